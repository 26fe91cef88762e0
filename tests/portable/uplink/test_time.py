"""The clock is set by the HES: a little by plain times, further only by signed ones."""

from __future__ import annotations

from gateway.contract.messages import SignedTime, Time
from gateway.contract.reports import Event
from gateway.uplink.hes_time import ANSWER_MS, DAY_MS
from hal.rt import log
from tests.portable.support import run
from tests.portable.uplink.support import HERE, HOUR, NOW, World, read_job, signed

log.set_level("error")


def plain(world: World, offset: int) -> bool:
    """Whether a plain time so far from the gateway's is taken, exactly."""
    here = world.clock.unix_time()
    world.give("time", Time(here + offset).encode())
    moved = world.clock.unix_time() - here
    assert moved in (0, offset)
    return moved == offset


def test_an_unset_clock_is_set_before_any_job_is_taken() -> None:
    async def scenario() -> None:
        world = World(unix=0)
        world.hes.lose = ["time"]
        await world.start()
        world.hes.order("job", signed(read_job().encode()))
        await world.clock.run(1000)
        assert world.ledger.jobs() == [] and world.refusals() == []
        world.give("time", Time(NOW).encode())
        await world.clock.run(1000)
        assert world.clock.unix_time() == 0 and world.hes.reasons() == ["unsigned-time"]
        world.hes.lose = []
        await world.clock.run(6 * 60_000)
        assert abs(world.clock.unix_time() - world.hes.clock_time()) < 10
        assert len(world.ledger.jobs()) == 1
        assert world.hes.bodies(Event) == []
        await world.stop()

    run(scenario())


def test_small_deviations_are_left_alone() -> None:
    world = World()
    assert not plain(world, 30) and not plain(world, -30)
    assert plain(world, 31) and plain(world, -31)
    assert world.ledger.last_number == 0


def test_plain_times_move_the_clock_by_an_hour_a_day() -> None:
    world = World()
    assert not plain(world, 3601) and not plain(world, -3601)
    assert plain(world, 3000) and plain(world, -600)
    assert not plain(world, 31) and not plain(world, -31)
    assert world.refusals() == ["unsigned-time"] * 4
    world.clock.advance(DAY_MS)
    assert plain(world, -3600) and not plain(world, -31)


def test_a_signed_time_moves_it_by_any_step_and_is_reported() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        hello = world.hes.heard[-1][1]
        signed_time = signed(SignedTime(HERE, hello.nonce, NOW - 50 * HOUR).encode())
        # The HES's own plain answer to this hello was no step: it is not used up.
        world.give("time", signed_time)
        assert world.clock.unix_time() == NOW - 50 * HOUR
        world.give("time", signed_time)
        await world.clock.run(1000)
        assert world.refusals() == []
        assert [event.name for event in world.hes.bodies(Event)] == ["clock-set"]
        await world.stop()

    run(scenario())


def test_refused_signed_times() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        nonce = world.hes.heard[-1][1].nonce
        before = world.clock.unix_time()
        good = SignedTime(HERE, nonce, 5).encode()
        for raw, reason in (
            (signed(SignedTime("c-0043", nonce, 5).encode()), "wrong-concentrator"),
            (signed(SignedTime(HERE, bytes(16), 5).encode()), "stale-time"),
            (signed(good, b"nobody"), "unknown-signer"),
            (signed(good)[:-1] + b"x", "bad-signature"),
            (signed(Time(5).encode()), "malformed"),
            (signed(read_job().encode()), "malformed"),
            (good, "malformed"),
        ):
            world.give("time", raw)
            assert world.refusals()[-1:] == [reason]
            assert world.clock.unix_time() == before
        world.clock.advance(ANSWER_MS + 1)
        world.give("time", signed(good))
        assert world.refusals()[-1:] == ["stale-time"]
        await world.stop()

    run(scenario())
