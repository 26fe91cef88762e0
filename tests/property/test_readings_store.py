"""Lives of a store of readings in which several record at once, calls of the flash fail, the HES
comes and goes, segments are dropped, and the gateway is started anew: nothing promised is lost or
doubled."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.contract import block, reading_record
from gateway.contract.reading_record import Kept, Lost, Rows, numbered
from tests.portable.failing import ERRORS, FailingStorage
from tests.portable.readings.support import COLUMNS, ENERGY, NOW, PROFILE, World


class Life:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.storage = FailingStorage()
        self.world = World(self.storage)
        self.promised: dict[str, int] = {}  # time of the last row
        self.last = 0  # number that the HES has
        self.seen: dict[int, bytes] = {}
        self.times: dict[str, int] = {}  # of the last row that it has

    def live(self) -> None:
        chance = self.chance
        for _ in range(chance.randrange(20, 120)):
            if chance.random() < 0.3:
                self.storage.fail_at(chance.randrange(6), chance.choice(ERRORS))
            steps = [self.record, self.fetch, self.acknowledge, self.start, self.begin_epoch]
            (step,) = chance.choices(steps, [55, 25, 10, 5, 5])
            try:
                step()
            except OSError:
                pass
            store = self.world.store
            assert store.acknowledged <= self.last <= store.last_number
        self.storage.fails_at = -1
        self.start()
        self.fetch()

    def record(self) -> None:
        """Several meters in the same turn."""
        numbers = self.chance.sample(range(8), self.chance.randrange(1, 5))
        asyncio.run(self._record(numbers))

    async def _record(self, numbers: list[int]) -> None:
        visits = [self._visit("M%d" % number) for number in numbers]
        for error in await asyncio.gather(*visits, return_exceptions=True):
            if error is not None and not isinstance(error, OSError):
                raise error

    async def _visit(self, serial: str) -> None:
        chance = self.chance
        recorder = self.world.recorder(asked=chance.random() < 0.1)
        layout = recorder.layout(serial, 7, PROFILE, 900, COLUMNS)
        last, _ = recorder.last(serial, PROFILE)
        assert last >= self.promised.get(serial, 0), "%s is forgotten" % serial
        first = max(last + 900, NOW)
        count = chance.randrange(1, 40)
        rows = [[first + 900 * i, chance.randrange(1 << 30), 0] for i in range(count)]
        recorder.rows(layout, serial, "t", NOW, rows)
        if chance.random() < 0.5:
            octets = bytes(chance.randrange(1, 3000))
            recorder.values(serial, "t", NOW, [(1, ENERGY, 2, octets, None, None)])
        await recorder.commit()
        self.promised[serial] = rows[-1][0]

    def fetch(self) -> None:
        """As after a reconnection."""
        store = self.world.store
        after = store.acknowledged
        while after < store.released:
            records, last = store.records(after, 4096)
            assert records and last > after
            for number, reading in numbered(after + 1, records):
                self._take(number, reading)
            assert number == last
            after = last

    def _take(self, number: int, reading: Any) -> None:
        octets = reading_record.encode(reading)
        if number <= self.last:
            same = isinstance(reading, (Lost, Kept)) or self.seen.get(number, octets) == octets
            assert same, "record %d is another one" % number
            return
        self.last = number
        if not isinstance(reading, (Lost, Kept)):
            self.seen[number] = octets
        if isinstance(reading, Rows):
            for row in block.decode(reading.block):
                assert row[0] > self.times.get(reading.serial, 0), "a row came twice"
                self.times[reading.serial] = row[0]

    def acknowledge(self) -> None:
        self.world.store.acknowledge(self.chance.randrange(self.last + 1))

    def start(self) -> None:
        """What went before it could be carried on is read from the beginning, if the power goes
        right then: not played here."""
        if not self.world.store._to_carry:
            self.world.open(self.chance.randrange(1 << 30))

    def begin_epoch(self) -> None:
        self.world.store.begin_epoch()


@settings(max_examples=25, deadline=None)
@example(277)
@given(st.integers(0, 1 << 32))
def test_nothing_promised_is_lost_or_doubled(seed: int) -> None:
    Life(seed).live()
