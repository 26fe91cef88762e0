"""Records of readings that the tests share: what a concentrator puts into its stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.contract import block
from gateway.contract.messages import Readings
from gateway.contract.reading_record import Gap, Kept, Layout, Lost, Rows, Values, encode, layout_id
from tests.unit.hes.orders import CONCENTRATOR
from tools.hes.store.records import TakenReadings
from tools.hes.store.store import Store

EPOCH = 0x5EED
METER = "AMI01"
DAY = 86400
T0 = 1_790_035_200  # a midnight, UTC
NOW = T0 + 3 * DAY

PROFILE = bytes((1, 0, 99, 1, 0, 255))
LOG = bytes((0, 0, 99, 98, 0, 255))
CLOCK = [8, bytes((0, 0, 1, 0, 0, 255)), 2, 0, 25, None, None]
STATUS = [1, bytes((0, 0, 96, 10, 1, 255)), 2, 0, 17, None, None]
EVENT = [1, bytes((0, 0, 96, 11, 0, 255)), 2, 0, 18, None, None]


def register(c: int, d: int = 8, scaler: int | None = 0, unit: int | None = 30) -> list[Any]:
    return [3, bytes((1, 0, c, d, 0, 255)), 2, 0, 6, scaler, unit]


def layout(*columns: list[Any], period: int = 900, obis: bytes = PROFILE) -> bytes:
    return encode(Layout(7, obis, period, [CLOCK, *columns]))


def rows(
    of: bytes, some: Sequence[Sequence[Any]], serial: str = METER, read_at: int = NOW - 100
) -> bytes:
    """Each row: time, values ..., flags."""
    return encode(Rows(layout_id(of), serial, "night", read_at, block.encode(some)))


def load(
    first: int, count: int, level: int = 1000, step: int = 50, period: int = 900
) -> list[list[int]]:
    """Rows of one register that counts."""
    return [[first + at * period, level + at * step, 0] for at in range(count)]


def values(*some: list[Any], serial: str = METER, at: int = NOW - 100) -> bytes:
    return encode(Values(serial, "totals", at, list(some)))


def gap(start: int, end: int, reason: str = "overwritten", serial: str = METER) -> bytes:
    return encode(Gap(serial, 7, PROFILE, start, end, reason))


def lost(last: int, reason: str = "no-room") -> bytes:
    return encode(Lost(last, reason))


def kept(last: int) -> bytes:
    return encode(Kept(last))


class Stream:
    """The stream of one concentrator into a store."""

    def __init__(self, store: Store, concentrator: str = CONCENTRATOR, epoch: int = EPOCH) -> None:
        self._store = store
        self._concentrator = concentrator
        self._epoch = epoch
        self.next = 1

    def send(self, *records: bytes) -> TakenReadings:
        """What follows what was sent before."""
        taken = self.at(self.next, *records)
        self.next = taken.number + 1
        return taken

    def at(self, first: int, *records: bytes) -> TakenReadings:
        message = Readings(self._epoch, first, list(records))
        assert Readings.decode(message.encode()) == message
        return self._store.line.take_readings(self._concentrator, message)


def shown(
    store: Store, serial: str = METER, obis: bytes = PROFILE, start: int = 0, end: int = NOW + DAY
) -> list[tuple[int, list[Any], str]]:
    """(time, values, validity) of all rows of the meter."""
    found = []
    for each in store.readings.series(serial=serial, objects=[(7, obis)]):
        for _, row in store.readings.rows(each.id, start, end):
            found.append((row.time, row.values, row.validity))
    return found
