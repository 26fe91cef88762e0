"""Guessing the local key: how long the door stays shut, to the millisecond."""

from __future__ import annotations

from gateway.dlms.data import obis
from gateway.dlms.errors import AccessRefused, ActionRefused, AssociationRefused
from gateway.local.server import FIRST_LOCK_MS, LONGEST_LOCK_MS
from tests.portable.local.test_server import Bench, refused
from tests.portable.support import run


def test_three_are_free_and_then_the_door_stays_shut_twice_as_long_each_time():
    assert (FIRST_LOCK_MS, LONGEST_LOCK_MS) == (1000, 900_000)

    async def play():
        bench = Bench()

        async def wrong():
            """Whether it was looked at."""
            before = len(bench.records)
            await refused(AssociationRefused, bench.client(ek=bytes(16)).associate())
            return len(bench.records) > before

        assert [await wrong(), await wrong(), await wrong()] == [True, True, True]
        lock_ms = 1000
        for _ in range(12):
            assert not await wrong(), lock_ms
            bench.clock.advance(lock_ms - 1)
            assert not await wrong(), lock_ms
            bench.clock.advance(1)
            assert await wrong(), lock_ms
            lock_ms = min(2 * lock_ms, 900_000)
        assert lock_ms == 900_000
        # The right key ends it: again three are free.
        bench.clock.advance(lock_ms)
        good = bench.client()
        await good.associate()
        await good.release()
        assert [await wrong(), await wrong(), await wrong()] == [True, True, True]
        assert not await wrong()

    run(play())


def test_what_a_technician_may_not_ask_for_is_refused_by_its_kind():
    async def play():
        bench = Bench()
        client = bench.client()
        await client.associate()
        await refused(AccessRefused, client.set(8, obis.parse("0.0.1.0.0.255"), 1, b"\0"))
        error = await refused(
            ActionRefused, client.action(8, obis.parse("0.0.1.0.0.255"), 1, b"\x0f\0")
        )
        assert error.result == "read-write-denied"
        await client.release()

    run(play())
