"""A store of readings, and rows for it."""

from __future__ import annotations

import asyncio

from gateway.contract import block, reading_record
from gateway.contract.reading_record import Kept, Layout, Lost, Rows, layout_id, numbered
from gateway.readings.recorder import Recorder
from gateway.readings.store import Store
from hal.rt import log
from hal.sim.clock import ManualClock
from tests.portable.support import random_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from hal.ports import Storage

log.set_level("error")

NOW = 1_700_000_000
PROFILE = b"\x01\x00\x63\x01\x00\xff"
DAILY = b"\x01\x00\x63\x02\x00\xff"
CLOCK = b"\x00\x00\x01\x00\x00\xff"
ENERGY = b"\x01\x00\x01\x08\x00\xff"
COLUMNS: list[Any] = [(8, CLOCK, 2, 0, 25, None, None), (3, ENERGY, 2, 0, 6, 0, 30)]


class Limits:
    readings_bytes = 65536  # segments of 4 KiB
    free_bytes = 0


class World:
    """A store on a storage, which is opened anew by open()."""

    def __init__(self, storage: Storage, limits: Any = Limits, seed: int = 1) -> None:
        self.storage = storage
        self.limits = limits
        self.clock = ManualClock(NOW)
        self.events: list[str] = []
        self.open(seed)

    def open(self, seed: int = 1) -> None:
        self.store = Store(
            self.storage, self.clock, lambda n: random_bytes(seed, n), self.limits, self.tell
        )

    def tell(self, name: str, detail: str) -> None:
        self.events.append(name)

    def recorder(self, asked: bool = False, wait: bool = False) -> Recorder:
        return Recorder(self.store, asked, wait)

    def record(
        self,
        serial: str,
        rows: Sequence[Sequence[Any]],
        more: int = 0,
        obis: bytes = PROFILE,
        asked: bool = False,
    ) -> None:
        """`more`: octets of a value beside the rows."""
        recorder = self.recorder(asked)
        if more:
            recorder.values(serial, "daily", NOW, [(1, ENERGY, 2, bytes(more), None, None)])
        layout = recorder.layout(serial, 7, obis, 900, COLUMNS)
        recorder.rows(layout, serial, "daily", NOW, new_ones(recorder, serial, obis, rows))
        asyncio.run(recorder.commit())

    def sent(self, after: int = 0, size: int = 4096) -> list[tuple[int, Any]]:
        """All that the HES would get: (last number, record)."""
        found: list[tuple[int, Any]] = []
        after = max(after, self.store.acknowledged)
        while after < self.store.released:
            records, last = self.store.records(after, size)
            assert records and last > after
            part = numbered(after + 1, records)
            assert part[-1][0] == last
            found += part
            after = last
        return found


def new_ones(
    recorder: Recorder, serial: str, obis: bytes, rows: Sequence[Sequence[Any]]
) -> Sequence[Sequence[Any]]:
    """Without those at the beginning that are here: as whoever reads a meter does it."""
    last, digest = recorder.last(serial, obis)
    chain = b""
    for count in range(len(rows)):
        if rows[count][0] != last:
            break
        chain = recorder.digest(chain, rows[count])
        if chain == digest:
            return rows[count + 1 :]
    return rows


def rows_of(start: int, count: int, energy: int = 1000) -> list[list[Any]]:
    """Every 15 minutes from start on."""
    return [[start + 900 * i, energy + i * i * 40503 % 65536, 0] for i in range(count)]


def understood(
    records: Sequence[tuple[int, Any]], from_the_first: bool = True
) -> dict[str, list[list[Any]]]:
    """The rows of each meter in what the HES got; every layout came before it was named, if it got
    all from the first on."""
    layouts: set[int] = set()
    rows: dict[str, list[list[Any]]] = {}
    for _, record in records:
        if isinstance(record, Layout):
            layouts.add(layout_id(reading_record.encode(record)))
        elif isinstance(record, Rows):
            assert record.layout in layouts or not from_the_first
            rows.setdefault(record.serial, []).extend(block.decode(record.block))
        elif from_the_first:
            assert not isinstance(record, (Lost, Kept))
    return rows
