"""A meter's alarms: read, told before anything is cleared, and once each."""

from __future__ import annotations

from gateway.activities.alarms import bits_of, without
from gateway.activities.readings import Collector
from gateway.alarms.telling import AN_HOUR, HOUR_MS, Telling
from gateway.alarms.told import Told
from gateway.audit import Audit
from gateway.contract.reports import MeterAlarm
from gateway.contract.task import ALARMS, Item
from gateway.dlms.client.refusals import access_refused
from gateway.dlms.data import axdr
from gateway.jobs.ledger import Ledger
from gateway.jobs.routine import ALARMS_SIZE
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.activities.profile_meter import NOON, Recorder
from tests.portable.jobs.told import told
from tests.portable.support import random_bytes, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REGISTER, DESCRIPTOR = bytes((0, 0, 97, 98, 0, 255)), bytes((0, 0, 97, 98, 20, 255))
FILTER, WORD = bytes((0, 0, 97, 98, 10, 255)), bytes((0, 0, 94, 91, 18, 255))
STATUS = bytes((0, 0, 96, 10, 1, 255))
BOTH = [
    ("alarm-register-1", 1, REGISTER),
    ("alarm-filter-1", 1, FILTER),
    ("alarm-descriptor-1", 1, DESCRIPTOR),
    ("profile-status", 1, STATUS),
]
U32 = axdr.DOUBLE_LONG_UNSIGNED


class Limits:
    jobs = 8
    ledger_bytes = 1 << 20
    free_bytes = 1000


class Model:
    name = "some"

    def __init__(self, objects: list[tuple[str, int, bytes]]) -> None:
        self.objects = objects


class Meter:
    """`values` by OBIS; `causes`: bits that are set again as soon as they are cleared; `rises`:
    bits that come between the first reading and the next. `written`: what was, by OBIS."""

    def __init__(self, values: dict[bytes, Any]) -> None:
        self.values = values
        self.causes: dict[bytes, int] = {}
        self.rises: list[tuple[bytes, int]] = []
        self.refuses = False
        self.written: list[tuple[bytes, Any]] = []
        self.on_set: Any = None

    async def get(self, class_id: int, name: bytes, attribute: int, selection: Any = None) -> bytes:
        for rising, bits in self.rises:
            tag, value = self.values[rising]
            self.values[rising] = tag, value | bits
        self.rises = []
        return axdr.encode(self.values[name])

    async def get_list(self, items: list[Any]) -> list[Any]:
        found: list[Any] = []
        for _, name, _, _ in items:
            value = self.values.get(name)
            found.append((4, None) if value is None else (0, axdr.encode(value)))
        return found

    async def set(self, class_id: int, name: bytes, attribute: int, data: bytes) -> None:
        if self.on_set is not None:
            self.on_set()
        if self.refuses:
            raise access_refused(3, "SET")
        tag, value = axdr.decode(data)
        self.written.append((name, value))
        if name in self.causes:
            value |= self.causes[name]
        self.values[name] = tag, value


class Scene:
    def __init__(self, objects: Any, values: dict[bytes, Any]) -> None:
        self.storage = MemoryStorage(1 << 22, False)
        self.clock = ManualClock(NOON)
        self.recorder = Recorder()
        self.meter = Meter(values)
        self.model = Model(objects)
        self.start()

    def start(self) -> None:
        trail = Audit(self.storage, self.clock, 16384)
        self.ledger = Ledger(
            self.storage, self.clock, lambda n: random_bytes(1, n), Limits(), trail
        )
        self.telling = Telling(self.ledger, Told(self.storage), self.clock)
        self.collector = Collector(self.clock, None, self.telling)

    def visit(self, item: Item | None = None) -> Any:
        task = [item or Item(ALARMS)]
        self.found = run(
            self.collector.collect(
                self.meter,
                "M1",
                self.model,
                task,
                self.recorder,
                "alarms",  # type: ignore[arg-type]
            )
        )
        return self.found

    def told(self) -> list[tuple[str, list[int]]]:
        """Source and bits of each."""
        bodies: list[Any] = [each.body for each in self.ledger.reports(0, 5000)]
        return [(each.source, each.bits) for each in bodies if isinstance(each, MeterAlarm)]


def of_both(register: int, descriptor: int) -> Scene:
    values = {REGISTER: (U32, register), DESCRIPTOR: (U32, descriptor), STATUS: (17, 8)}
    return Scene(BOTH, values)


def test_nothing_set_is_read_and_nothing_else() -> None:
    scene = of_both(0, 0)
    assert scene.visit().gaps == [] and scene.found.rows == 3
    assert scene.told() == [] and scene.meter.written == []
    assert [each[1] for each in scene.recorder.read[0][3]] == [DESCRIPTOR, REGISTER, STATUS]


def test_what_is_set_is_told_once_and_the_descriptor_cleared() -> None:
    scene = of_both(0b10, 0b10 | 1 << 13)
    scene.visit()
    assert scene.told() == [("alarm-descriptor-1", [1, 13])]
    assert scene.meter.written == [(DESCRIPTOR, 0)]
    scene.visit()  # the register still has what the descriptor has told
    assert scene.told() == [("alarm-descriptor-1", [1, 13]), ("alarm-register-1", [1])]
    scene.start()
    scene.visit()
    assert len(scene.told()) == 2
    scene.meter.values[DESCRIPTOR] = (U32, 1 << 13)  # it has happened again
    scene.visit()
    assert scene.told()[2:] == [("alarm-descriptor-1", [13])]


def test_a_register_alone_keeps_its_bits_until_it_is_written() -> None:
    scene = Scene(BOTH[:1], {REGISTER: (U32, 0b101)})
    scene.visit()
    assert scene.told() == [("alarm-register-1", [0, 2])]
    assert scene.meter.written == [(REGISTER, 0)] and scene.meter.values[REGISTER] == (U32, 0)


def test_the_report_is_durable_before_the_meter_is_written_to() -> None:
    scene = of_both(0, 1)
    seen: list[Any] = []

    def look() -> None:
        """As a gateway would that began anew at this moment."""
        storage = scene.storage
        ledger = Ledger(
            storage,
            scene.clock,
            lambda n: random_bytes(1, n),
            Limits(),
            Audit(storage, scene.clock, 1 << 14),
        )
        seen.append([each.kind for each in told(ledger, 0, 9)])
        seen.append(Told(storage).fresh("M1", "alarm-descriptor-1", [0]))

    scene.meter.on_set = look
    scene.visit()
    assert seen == [["alarm"], []]


def test_what_is_not_durable_is_not_cleared() -> None:
    scene = of_both(0, 1)
    for number in range(ALARMS_SIZE):
        assert scene.ledger.alarm(MeterAlarm("X%d" % number, "x", [], 0, "", b""))
    assert scene.visit().gaps == ["flash-full"]
    assert scene.meter.written == []
    scene.ledger.acknowledge(scene.ledger.last_number)
    assert scene.visit().gaps == [] and scene.told() == [("alarm-descriptor-1", [0])]
    assert scene.meter.written == [(DESCRIPTOR, 0)]


def test_bits_whose_cause_stays_are_told_once_and_again_when_they_had_gone() -> None:
    scene = Scene(BOTH[:1], {REGISTER: (U32, 0b100)})
    scene.meter.causes[REGISTER] = 0b100
    for _ in range(3):
        scene.visit()
        scene.start()
    assert scene.told() == [("alarm-register-1", [2])]
    scene.meter.causes = {}
    scene.visit()
    assert scene.meter.values[REGISTER] == (U32, 0)
    scene.meter.values[REGISTER] = (U32, 0b100)
    scene.visit()
    assert scene.told() == [("alarm-register-1", [2])] * 2


def test_a_bit_that_comes_meanwhile_is_told_before_it_is_cleared() -> None:
    scene = of_both(0, 0b1)
    scene.meter.rises = [(DESCRIPTOR, 0b1000)]
    scene.visit()
    assert scene.told() == [("alarm-descriptor-1", [0]), ("alarm-descriptor-1", [3])]
    assert scene.meter.written == [(DESCRIPTOR, 0)]


def test_a_meter_that_refuses_to_be_cleared_is_named_and_told_once() -> None:
    scene = of_both(0, 0b1)
    scene.meter.refuses = True
    assert scene.visit().gaps == ["access-denied"] == scene.visit().gaps
    assert scene.told() == [("alarm-descriptor-1", [0])]


def test_a_status_word_is_told_and_never_written() -> None:
    bits = "0" * 126 + "11"
    scene = Scene([("event-status-word", 1, WORD)], {WORD: (axdr.BIT_STRING, bits)})
    scene.visit()
    assert scene.told() == [("event-status-word", [126, 127])] and scene.meter.written == []


def test_an_object_that_the_meter_has_not_is_named_and_the_others_are_told() -> None:
    scene = Scene(BOTH, {DESCRIPTOR: (U32, 1)})
    assert scene.visit().gaps == ["object-mismatch"] * 2
    assert scene.told() == [("alarm-descriptor-1", [0])]


def test_objects_without_a_model_are_called_by_their_number() -> None:
    scene = Scene([], {REGISTER: (U32, 1), DESCRIPTOR: (U32, 2)})
    assert scene.visit().gaps == ["model-unfit"]
    scene.visit(Item(ALARMS, "", [(1, REGISTER, 2), (1, DESCRIPTOR, 2)]))
    assert scene.told() == [("alarm-descriptor-1", [1]), ("alarm-register-1", [0])]
    assert scene.meter.written == [(DESCRIPTOR, 0)]


def test_a_meter_whose_alarms_never_end_is_throttled_and_named() -> None:
    scene = of_both(0, 0)
    for _ in range(AN_HOUR + 5):
        scene.meter.values[DESCRIPTOR] = (U32, 1)
        scene.visit()
    assert len(scene.told()) == AN_HOUR
    assert scene.found.gaps == ["flash-full"] and scene.meter.values[DESCRIPTOR] == (U32, 1)
    run(scene.clock.run(HOUR_MS))
    scene.visit()
    assert len(scene.told()) == AN_HOUR + 1
    events = [each for each in told(scene.ledger, 0, 99) if each.kind == "event"]
    assert [each.reason for each in events] == ["alarms-throttled"]
    assert events[0].detail.startswith("M1: 5 alarms more than %d" % AN_HOUR)


def test_bits() -> None:
    for typed, bits in (
        ((U32, 0b1010), [1, 3]),
        ((axdr.OCTET_STRING, b"\x80\x01"), [0, 15]),
        ((axdr.BIT_STRING, "1001"), [0, 3]),
        ((axdr.LONG, -1), []),
        ((axdr.VISIBLE_STRING, "1"), []),
        ((axdr.STRUCTURE, []), []),
    ):
        assert bits_of(typed) == bits, typed
        if bits:
            assert bits_of(without(typed, bits[:1])) == bits[1:]
            assert axdr.decode(axdr.encode(without(typed, bits[:1])))[0] == typed[0]


def test_an_alarm_has_at_most_a_kibibyte() -> None:
    from gateway.contract import limits

    longest = MeterAlarm(
        "M" * 32,
        "s" * 32,
        list(range(1024 - limits.MAX_ALARM_BITS, 1024)),
        limits.MAX_TIME,
        "d" * limits.MAX_ALARM_DETAIL,
        bytes(limits.MAX_ALARM_DATA),
    )
    from hal.rt import cbor

    assert len(cbor.encode(longest.to_array())) <= 1024


def test_an_hour_that_ends_while_its_report_becomes_durable() -> None:
    scene = of_both(0, 1)
    durable = scene.ledger.durable

    async def slowly() -> None:
        scene.clock.advance(HOUR_MS)
        scene.telling.tell_counted()
        await durable()

    scene.ledger.durable = slowly  # type: ignore[method-assign]
    scene.visit()
    assert scene.told() == [("alarm-descriptor-1", [0])] and scene.found.gaps == []


def test_a_flash_that_fails_costs_the_meter_none_of_its_hour() -> None:
    scene = of_both(0, 1)
    durable = scene.ledger.durable

    async def fails() -> None:
        await durable()
        raise OSError(5, "EIO")

    scene.ledger.durable = fails  # type: ignore[method-assign]
    for _ in range(AN_HOUR + 1):
        assert scene.visit().gaps == ["flash-full"] and scene.meter.written == []
    scene.ledger.durable = durable  # type: ignore[method-assign]
    assert scene.visit().gaps == [] and scene.meter.written == [(DESCRIPTOR, 0)]
