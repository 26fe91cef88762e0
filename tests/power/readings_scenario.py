"""What is read in a life on a flash that loses power: what was promised is written down outside,
and checked after each cut.

Runs on both runtimes.
"""

from __future__ import annotations

import asyncio

from gateway.contract import block, reading_record
from gateway.contract.reading_record import Layout, Lost, Rows, layout_id, numbered
from gateway.readings.recorder import Recorder
from gateway.readings.store import Store
from hal.sim.clock import ManualClock
from tests.portable.readings.support import new_ones
from tests.portable.support import random_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.ports import Storage

NOW = 1_700_000_000
OBIS = b"\x01\x00\x63\x01\x00\xff"
COLUMNS: list[Any] = [(8, OBIS, 2, 0, 25, None, None), (3, OBIS, 2, 0, 6, 0, 30)]
METERS = ["M0", "M1", "M2"]
SELDOM = "SELDOM"  # read once: its only record goes with the first segment
DAYS = 12
ROWS = 24  # a day


class Limits:
    readings_bytes = 32768  # eight segments of 4 KiB
    free_bytes = 0


def rows_of(serial: str, day: int) -> list[list[Any]]:
    number = METERS.index(serial) if serial in METERS else 9
    first = day * ROWS
    return [[NOW + 900 * i, i * i * 40503 % 65536 + number, 0] for i in range(first, first + ROWS)]


class Life:
    """The scenario, and what has been promised so far."""

    def __init__(self) -> None:
        self.recorded: dict[str, int] = {}  # time of the last row that is promised
        self.epoch = 0
        self.acknowledged = 0
        self.last = 0  # number the HES has
        self.seen: dict[int, bytes] = {}  # by number, since nothing may change
        self.rows: dict[str, list[list[Any]]] = {}  # what the HES has
        self.layouts: list[int] = []
        self.seed = 0

    def boot(self, storage: Storage) -> None:
        """The gateway starts, and all goes its way to the end."""
        self.seed += 1
        noise = random_bytes(self.seed, 4)
        self.store = Store(
            storage, ManualClock(NOW), lambda n: noise[:n], Limits, lambda name, text: None
        )
        self.check()
        if SELDOM not in self.recorded:
            self._record(SELDOM, 0)
        for day in range(DAYS):
            for serial in METERS:
                self._record(serial, day)
            self._send(8)
            if day % 3 == 2:
                self.store.acknowledge(self.last)
                self.acknowledged = max(self.acknowledged, self.last)
        self._send(1000)
        self.store.acknowledge(self.last)
        self.acknowledged = self.last
        self._all_is_there()

    def check(self) -> None:
        """After a start: every promise holds."""
        store = self.store
        assert self.epoch in (0, store.epoch), "the numbering began anew"
        assert store.acknowledged >= self.acknowledged, "an acknowledgement is lost"
        assert store.acknowledged <= self.last, "what the HES does not have is gone"
        assert store.last_number >= self.last, "a record that was sent is gone"
        recorder = Recorder(store)
        for serial in self.recorded:
            assert recorder.last(serial, OBIS)[0] >= self.recorded[serial], "rows are forgotten"

    def _record(self, serial: str, day: int) -> None:
        """As a meter is read: from the last row on that is here, and it once more."""
        recorder = Recorder(self.store)
        last, _ = recorder.last(serial, OBIS)
        rows = rows_of(serial, day)
        if rows[-1][0] <= last:
            return
        before = rows_of(serial, day - 1) if day else []
        layout = recorder.layout(serial, 7, OBIS, 900, COLUMNS)
        fresh = [row for row in before + rows if row[0] >= last]
        recorder.rows(layout, serial, "daily", NOW, new_ones(recorder, serial, OBIS, fresh))
        recorder.values(serial, "daily", NOW, [(3, OBIS, 2, bytes(1200), 0, 30)])
        asyncio.run(recorder.commit())
        self.recorded[serial] = rows[-1][0]
        self.epoch = self.store.epoch

    def _send(self, messages: int) -> None:
        """From what is not acknowledged on, as after a reconnection."""
        after = self.store.acknowledged
        while messages and after < self.store.released:
            records, last = self.store.records(after, 4096)
            assert records, "nothing to send"
            for number, reading in numbered(after + 1, records):
                self._take(number, reading)
            assert number == last
            after, messages = last, messages - 1
            self.last = max(self.last, last)

    def _take(self, number: int, reading: Any) -> None:
        assert not isinstance(reading, Lost), "there was room for all"
        octets = reading_record.encode(reading)
        if number <= self.last:
            assert self.seen[number] == octets, "record %d is another one" % number
            return
        self.seen[number] = octets
        if isinstance(reading, Layout):
            self.layouts.append(layout_id(octets))
        elif isinstance(reading, Rows):
            assert reading.layout in self.layouts, "rows nobody can understand"
            self.rows.setdefault(reading.serial, []).extend(block.decode(reading.block))

    def _all_is_there(self) -> None:
        """Every row once."""
        assert self.store.journal.oldest() > 2, "segments have gone"
        for serial in METERS:
            expected = [row for day in range(DAYS) for row in rows_of(serial, day)]
            assert self.rows[serial] == expected, serial
        assert self.rows[SELDOM] == rows_of(SELDOM, 0)
        assert Recorder(self.store).last(SELDOM, OBIS)[0] == rows_of(SELDOM, 0)[-1][0]
