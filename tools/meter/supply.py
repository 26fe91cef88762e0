"""Class 70 (disconnect control) and class 71 (limiter): the switch in the supply, and what opens
it when too much is drawn."""

from __future__ import annotations

from gateway.dlms.data import axdr, obis
from tools.meter import kinds, makes
from tools.meter.kinds import Typed
from tools.meter.model import CosemObject, Meter
from tools.meter.monitor import ACTION_SET, VALUE_DEFINITION
from tools.meter.script import run_script

DISCONNECTED, CONNECTED, READY = 0, 1, 2  # control_state
ALWAYS_CONNECTED = 0  # control_mode
DIRECT = (2, 4)  # control modes in which remote_reconnect closes the switch by itself
EMERGENCY = kinds.structure(kinds.LONG_UNSIGNED, kinds.DATE_TIME, kinds.DOUBLE_LONG_UNSIGNED)


class DisconnectControl(CosemObject):
    """Class 70. The energy registers stand still while the switch is open."""

    class_id = 70

    def __init__(self, meter: Meter, name: str) -> None:
        super().__init__(meter, name)
        self._supplied_s = 0.0  # up to the last change
        self._since = meter.supplied()
        self.attribute(
            2, kinds.BOOLEAN, get=lambda: (axdr.BOOLEAN, self.value(3)[1] == CONNECTED), public=True
        )
        self.attribute(3, kinds.enum(0, 1, 2), (axdr.ENUM, CONNECTED), public=True)
        self.attribute(4, kinds.enum(*range(7)), (axdr.ENUM, 2), writable=True)
        self.method(1, kinds.NOTHING, lambda _: self._disconnect())
        self.method(2, kinds.NOTHING, lambda _: self._reconnect())

    def supplied_s(self, ago: float = 0.0) -> float:
        """Seconds with power and the switch closed since the meter was switched on, as of so many
        seconds ago (since the switch's last change)."""
        if self.value(3)[1] != CONNECTED:
            return self._supplied_s
        return self._supplied_s + max(self.meter.supplied() - self._since - ago, 0.0)

    def _disconnect(self) -> None:
        if self.value(4)[1] != ALWAYS_CONNECTED:
            self._change(DISCONNECTED)

    def _reconnect(self) -> None:
        if self.value(3)[1] == DISCONNECTED:
            self._change(CONNECTED if self.value(4)[1] in DIRECT else READY)

    def _change(self, state: int) -> None:
        self._supplied_s = self.supplied_s()
        self._since = self.meter.supplied()
        self.put(3, (axdr.ENUM, state))
        if state != READY:
            self.meter.happen(makes.CONNECTED if state == CONNECTED else makes.DISCONNECTED)


class Limiter(CosemObject):
    """Class 71. The monitored value staying above the active threshold, or falling below it again,
    for its duration executes a script."""

    class_id = 71

    def __init__(self, meter: Meter, name: str, monitored: Typed, threshold: Typed) -> None:
        super().__init__(meter, name)
        self._over = False  # what the last script was about
        self._since = 0  # when the value went to the other side, in meter time; 0: it has not
        kind = kinds.simple(threshold[0])
        nothing = (axdr.STRUCTURE, [(axdr.OCTET_STRING, bytes(6)), (axdr.LONG_UNSIGNED, 0)])
        unused = (
            axdr.STRUCTURE,
            [
                (axdr.LONG_UNSIGNED, 0),
                (axdr.OCTET_STRING, bytes.fromhex("ffffffffffffffffff8000ff")),
                (axdr.DOUBLE_LONG_UNSIGNED, 0),
            ],
        )
        self.attribute(2, VALUE_DEFINITION, monitored)
        self.attribute(3, kind, get=lambda: self.value(4))  # threshold_active
        self.attribute(4, kind, threshold, writable=True)
        self.attribute(5, kind, threshold, writable=True)
        for index in (6, 7):
            self.attribute(
                index,
                kinds.DOUBLE_LONG_UNSIGNED,
                (axdr.DOUBLE_LONG_UNSIGNED, 60),
                writable=True,
            )
        self.attribute(8, EMERGENCY, unused, writable=True)
        self.attribute(9, kinds.array(kinds.LONG_UNSIGNED), (axdr.ARRAY, []), writable=True)
        self.attribute(10, kinds.BOOLEAN, (axdr.BOOLEAN, False))
        self.attribute(11, ACTION_SET, (axdr.STRUCTURE, [nothing, nothing]), writable=True)

    def tick(self, before: int, now: int) -> None:
        (_, class_id), (_, name), (_, index) = self.value(2)[1]
        over = self.meter.find(class_id, obis.text(name)).value(index)[1] > self.value(3)[1]
        if over == self._over:
            self._since = 0
            return
        self._since = self._since or now
        if now - self._since >= self.value(6 if over else 7)[1]:
            self._over = over
            self._since = 0
            action = self.value(11)[1][0 if over else 1]
            run_script(self.meter, action[1][0][1], action[1][1][1])
