"""What meters send unasked, over whatever path, outside of a conversation.

A frame waits in a short queue; whose it is, its address says; whether it is really that meter's,
its keys do, with an invocation counter higher than any before. What is proven becomes an alarm's
report, and the meter is visited soon: its alarm objects say what it is about. What is not proven is
believed in nothing: it is counted, named once, and may cause one visit, a quarter of an hour apart,
in which the meter speaks for itself.

How far each meter has counted is saved now and then, and forgotten with another key.
"""

from __future__ import annotations

import asyncio
import hashlib

from gateway.alarms.outages import power_of
from gateway.contract.limits import MAX_ALARM_DATA
from gateway.contract.reports import MeterAlarm
from gateway.contract.task import ALARMS, AT_ONCE, DAYS, LIST, MOST_URGENT, Every, Item, Task
from gateway.meters.line_fields import InventoryError
from gateway.meters.model_error import ModelError
from hal.rt import cbor, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gateway.alarms.outages import Outages
    from gateway.alarms.telling import Telling
    from gateway.meters.access import Access
    from gateway.meters.inventory import Inventory, Meter
    from gateway.meters.reach import Reach
    from hal.ports import Clock, Rx, Storage

WHERE = "alarms"
FILE = "heard"
QUEUED = 32  # frames
UNPROVEN = "push-unproven"
NAMED = 128  # meters and addresses named for it, until they are forgotten
ONCE = 256  # digests of what was told
SAME_MS = 3_600_000  # what says the same after so long, says it anew
VISIT_MS = 60000  # a meter that proves itself is visited so often at most
SUSPECT_MS = 900000  # one in whose name something came
SAVE_MS = 600000
TURN_MS = 10000
_METERS = 2048
_ADDRESSES = 256
_PAUSE_METERS = 64  # others get their turn after so many
_MAX_FILE = 1 << 17
_WORDS = ("data-notification", "event-notification", "information-report")

# By their tags (Green Book 9.5): plain, under the global key, under a dedicated one, general. What
# else comes late or astray is no notification, and is not looked at.
_PLAIN = (0x0F, 0x18, 0xC2)
_CIPHERED = (0x38, 0xCA, 0xDB, 0xDD)
_GENERAL_GLO, _GENERAL_CIPHERING = 0xDB, 0xDD


class Hearing:
    """run() it as one task. `visit(serial, task)` as Runs.visit; `tell(name, detail)` reports an
    event."""

    def __init__(
        self,
        reach: Reach,
        telling: Telling,
        visit: Callable[[str, Task], bool],
        tell: Callable[[str, str], None],
        storage: Storage,
        outages: Outages,
    ) -> None:
        self.dropped = 0  # for want of room in the queue
        self.unproven = 0
        self._reach = reach
        self._inventory: Inventory = reach.inventory
        self._clock: Clock = reach.clock
        self._telling = telling
        self._visit = visit
        self._tell = tell
        self._storage = storage
        self._outages = outages
        self._waiting: list[tuple[str, str, bytes]] = []
        self._said: list[tuple[str, Any]] = []
        self._arrived = asyncio.Event()
        self._whose: dict[tuple[str, str], str] = {}
        self._counters: dict[str, tuple[bytes, int]] = {}  # by serial: mark of its key, counter
        self._told: list[tuple[bytes, int]] = []  # digests, and when (ticks)
        self._frames: list[bytes] = []  # digests of those proven: a path may double them
        self._named: list[str] = []
        self._visited: dict[str, int] = {}  # ticks
        self._save_at = 0
        self._changed = False
        self._read()

    def take(self, kind: str, rx: Rx) -> None:
        """A frame that no conversation waits for."""
        if len(rx.data) < 2 or rx.data[0] not in _PLAIN + _CIPHERED:
            return
        if len(self._waiting) >= QUEUED:
            self.dropped += 1
            return
        self._waiting.append((kind, rx.address, bytes(rx.data)))
        self._arrived.set()

    def said(self, serial: str, said: Any) -> None:
        """A notification that came within a conversation with the meter, and is proven."""
        if len(self._said) >= QUEUED:
            self.dropped += 1
            return
        self._said.append((serial, said))
        self._arrived.set()

    async def run(self, heartbeat: Callable[[], None]) -> None:
        """For ever."""
        while True:
            heartbeat()
            await self.attend()
            self._arrived.clear()
            try:
                await self._clock.wait_for_ms(self._arrived.wait(), TURN_MS)
            except asyncio.TimeoutError:
                pass

    async def attend(self) -> None:
        """To all that waits."""
        while self._waiting:
            kind, address, data = self._waiting.pop(0)
            await self._heard(kind, address, data)
        while self._said:
            serial, said = self._said.pop(0)
            await self._believed(serial, said)
        self._outages.look()
        self.save(False)

    def save(self, now: bool = True) -> None:
        """How far the meters have counted, if it is time to."""
        ticks = self._clock.ticks_ms()
        if not self._changed or (not now and ticks < self._save_at):
            return
        self._save_at = ticks + SAVE_MS
        rows = [[each] + list(self._counters[each]) for each in sorted(self._counters)]
        try:
            self._storage.replace(FILE, cbor.encode([1, rows]))
            self._changed = False
        except OSError as error:
            log.error(WHERE, "storage: cannot keep how far meters have counted: %s" % error)

    # ------------------------------------------------------------ one frame

    async def _heard(self, kind: str, address: str, data: bytes) -> None:
        digest = hashlib.sha256(data).digest()[:8]
        if digest in self._frames:
            return
        meter = await self._meter_at(kind, address)
        if meter is None:
            self._suspect("", "%s %s: it is no meter's" % (kind, address))
            return
        serial = meter.serial
        try:
            access = self._reach.access(meter)
        except (ModelError, InventoryError, OSError) as error:
            log.warning(WHERE, "%s: what it sent cannot be proven: %s" % (serial, error))
            self._go_to(serial, SUSPECT_MS)
            return
        from gateway.dlms import apdu
        from gateway.dlms.errors import DlmsError

        try:
            plain = self._proven(meter, access, data)
            said = apdu.decode(plain)
            if not isinstance(said, apdu.NOTIFICATIONS):
                return  # the late answer of a conversation that is over
        except DlmsError as error:
            self._suspect(serial, "%s: %s" % (serial, error))
            return
        self._frames = self._frames[-ONCE:] + [digest]
        await self._believed(serial, said)

    def _proven(self, meter: Meter, access: Access, data: bytes) -> bytes:
        """The plain APDU, if it is the meter's own, and new. DlmsError otherwise."""
        from gateway.dlms.data.axdr import bytes_at
        from gateway.dlms.errors import SecurityFailed
        from gateway.dlms.protection.security import Ciphering

        keys = access.keys
        if not access.ciphered or keys is None:
            if data[0] not in _PLAIN:
                raise SecurityFailed("ciphered, and there is no key for it")
            return data
        if data[0] in _PLAIN:
            raise SecurityFailed("plain, where it has to be ciphered")
        title = meter.title
        if data[0] == _GENERAL_GLO:
            given, _ = bytes_at(data, 1)
            title = title or bytes(given)
        if title == self._reach.system_title:
            raise SecurityFailed("our own system title")
        mark = hashlib.sha256(keys.ek).digest()[:4]
        known, counter = self._counters.get(meter.serial, (mark, -1))
        protection = access.association(meter).protection
        ciphering = Ciphering(
            self._reach.crypto,
            keys,
            lambda: 0,
            title,
            counter if known == mark else -1,
            protection,
        )
        if data[0] == _GENERAL_CIPHERING:
            plain = ciphering.unprotect(data)
        else:
            plain, channel, counter = ciphering.deciphered(data)
            ciphering.check_signed(plain)
            if plain[0] not in _PLAIN:
                return plain  # a late answer, whose counter is of no interest
            channel.take(counter)
        if meter.serial in self._counters or len(self._counters) < _METERS:
            self._counters[meter.serial] = (mark, ciphering.received)
            self._changed = True
        return plain

    async def _believed(self, serial: str, said: Any) -> None:
        source, time, data, detail = content_of(said)
        digest = hashlib.sha256(("%s %s %s " % (serial, source, time)).encode() + data).digest()[:8]
        now = self._clock.ticks_ms()
        self._told = [each for each in self._told if now - each[1] < SAME_MS][-ONCE:]
        if digest in [each[0] for each in self._told]:
            return
        over = power_of(said, _number(data)) if source == _WORDS[1] else None
        if over is not None and self._outages.collects(serial, over):
            self._told.append((digest, now))
            return  # of an outage, nobody is visited
        alarm = MeterAlarm(serial, source, [], time, detail, data[:MAX_ALARM_DATA])
        if await self._telling.tell(alarm):
            self._told.append((digest, now))
        self._go_to(serial, VISIT_MS)

    def _suspect(self, serial: str, why: str) -> None:
        self.unproven += 1
        name = serial or why
        if name not in self._named:
            self._named = self._named[-NAMED + 1 :] + [name]
            log.warning(WHERE, "not believed: %s" % why)
            if serial:
                self._tell(UNPROVEN, why)
        if serial:
            self._go_to(serial, SUSPECT_MS)

    def _go_to(self, serial: str, pause_ms: int) -> None:
        now = self._clock.ticks_ms()
        last = self._visited.get(serial)
        if last is not None and now - last < pause_ms:
            return
        if self._visit(serial, visit_to(serial)):
            if len(self._visited) >= _METERS:
                self._visited = {}
            self._visited[serial] = now

    async def _meter_at(self, kind: str, address: str) -> Meter | None:
        """Of IP, who calls from another port than it is called on is known by its host."""
        serial = self._whose.get((kind, address))
        if serial is not None:
            meter = self._inventory.meter(serial)
            if meter is not None and (kind, address) in meter.paths:
                return meter
        host = address[: address.rfind(":")] if ":" in address else ""
        near: list[Meter] = []
        for number, serial in enumerate(self._inventory.serials()):
            if number % _PAUSE_METERS == 0:
                await self._clock.sleep_ms(0)
            meter = self._inventory.meter(serial)
            for of_kind, own in [] if meter is None else meter.paths:
                if of_kind == kind and own == address:
                    if len(self._whose) >= _ADDRESSES:
                        self._whose = {}
                    self._whose[(kind, address)] = serial
                    return meter
                if host and of_kind == kind and own[: own.rfind(":")] == host:
                    near.append(meter)  # type: ignore[arg-type]
        return near[0] if len(near) == 1 else None

    def _read(self) -> None:
        try:
            if not 0 < self._storage.size(FILE) <= _MAX_FILE:
                return
            _, rows = cbor.decode(self._storage.read(FILE))
            for serial, mark, counter in rows[:_METERS]:
                self._counters[serial] = (bytes(mark), int(counter))
        except (OSError, ValueError, TypeError):
            self._counters = {}
            log.warning(WHERE, "%s is damaged: how far meters have counted is not known" % FILE)


def _number(data: bytes) -> int | None:
    from gateway.dlms.data import axdr
    from gateway.dlms.errors import ProtocolError

    try:
        value = axdr.decode(data)[1]
    except ProtocolError:
        return None
    return value if type(value) is int else None


def visit_to(serial: str) -> Task:
    """What is done at a meter that has something to say."""
    every, meters = Every(DAYS, 1, 0, 0), [LIST, [serial]]
    return Task("alarms", 0, every, MOST_URGENT, meters, [Item(ALARMS)], 1000, 1, AT_ONCE)


def content_of(said: Any) -> tuple[str, int, bytes, str]:
    """(source, unix time or 0, A-XDR data, words) of a notification."""
    from gateway.dlms import apdu
    from gateway.dlms.data import moment

    if isinstance(said, apdu.InformationReport):
        return _WORDS[2], 0, b"".join(said.values), ""
    if isinstance(said, apdu.EventNotification):
        when, source = said.time, _WORDS[1]
        words = "class %d, %s, attribute %d"
        obis = ".".join([str(each) for each in said.obis])
        detail = words % (said.class_id, obis, said.attribute)
    else:
        when, source, detail = said.date_time, _WORDS[0], ""
    local = moment.local_of(when) if len(when) == 12 else None
    deviation = moment.deviation_of(when) if local is not None else None
    time = 0
    if local is not None and deviation is not None:
        time = min(max(local + deviation * 60, 0), 0xFFFFFFFF)
    return source, time, bytes(said.data), detail
