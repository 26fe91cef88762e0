"""Class 21, register monitor: a measured value crossing a threshold executes a script."""

from __future__ import annotations

from gateway.dlms.data import axdr, obis
from tools.meter import kinds
from tools.meter.kinds import Typed
from tools.meter.model import CosemObject, Meter, Refused
from tools.meter.script import run_script

SCRIPT_REFERENCE = kinds.structure(kinds.NAME, kinds.LONG_UNSIGNED)
ACTION_SET = kinds.structure(SCRIPT_REFERENCE, SCRIPT_REFERENCE)
VALUE_DEFINITION = kinds.structure(kinds.LONG_UNSIGNED, kinds.NAME, kinds.INTEGER)


def value_definition(class_id: int, name: str, attribute: int) -> Typed:
    fields = [
        (axdr.LONG_UNSIGNED, class_id),
        (axdr.OCTET_STRING, obis.parse(name)),
        (axdr.INTEGER, attribute),
    ]
    return (axdr.STRUCTURE, fields)


class RegisterMonitor(CosemObject):
    """Class 21. Threshold i, crossed upwards, executes actions[i].action_up, downwards
    action_down."""

    class_id = 21

    def __init__(self, meter: Meter, name: str, thresholds: list[Typed], monitored: Typed) -> None:
        super().__init__(meter, name)
        self.attribute(
            2, kinds.array(kinds.ANY, 16), (axdr.ARRAY, thresholds), set=self._set_thresholds
        )
        self.attribute(3, VALUE_DEFINITION, monitored, set=self._set_monitored)
        self.attribute(4, kinds.array(ACTION_SET, 16), (axdr.ARRAY, []), writable=True)
        self._last: int | None = None

    def tick(self, before: int, now: int) -> None:
        current = self._monitored()[1]
        last, self._last = self._last, current
        if last is None:
            return
        for threshold, action in zip(self.value(2)[1], self.value(4)[1], strict=False):
            up, down = action[1]
            if last <= threshold[1] < current:
                run_script(self.meter, up[1][0][1], up[1][1][1])
            elif current <= threshold[1] < last:
                run_script(self.meter, down[1][0][1], down[1][1][1])

    def _monitored(self) -> Typed:
        (_, class_id), (_, name), (_, index) = self.value(3)[1]
        return self.meter.find(class_id, obis.text(name)).value(index)

    def _set_thresholds(self, typed: Typed) -> None:
        tag = self._monitored()[0]
        if any(threshold[0] != tag for threshold in typed[1]):
            raise Refused("type-unmatched")
        self.attributes[2].value = typed

    def _set_monitored(self, typed: Typed) -> None:
        (_, class_id), (_, name), (_, index) = typed[1]
        found = self.meter.find(class_id, obis.text(name))
        if index not in found.attributes or not isinstance(found.value(index)[1], int):
            raise Refused("object-undefined")
        if typed != self.value(3):
            self._last = None
        self.attributes[3].value = typed
