"""The clock is set by the HES: a little by plain times, further only by signed ones."""

from __future__ import annotations

from gateway.contract.messages import SignedTime, Time
from gateway.contract.refused import Refused
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


def sealed(world: World, date: int) -> str:
    """The reason for which a plain time in a session's message is refused, or ""."""
    time = world.session.inbox.time
    hellos = [content.nonce for name, content in world.hes.heard if name == "hello"]
    try:
        time.take(Time(date, hellos[-1] if hellos else time.nonce()).encode(), True)
    except Refused as refused:
        return refused.reason
    return ""


def test_a_sealed_plain_time_sets_an_unset_clock_but_not_below_the_floor() -> None:
    world = World()
    assert sealed(world, NOW + 10) == ""  # confirms what the clock says
    floor = world.kept.floor
    assert NOW - 3 * HOUR < floor < NOW
    world.clock.set_unix_time(0)
    world.boot()
    assert world.kept.unix_time() == 0 and world.kept.floor == floor
    assert sealed(world, floor - 1) == "unsigned-time" and world.kept.unix_time() == 0
    assert sealed(world, NOW + 50 * HOUR) == "" and world.clock.unix_time() == NOW + 50 * HOUR
    # Once it is set, an hour a day is all, sealed or not.
    assert sealed(world, NOW) == "unsigned-time"
    assert sealed(world, NOW + 49 * HOUR) == ""


def test_plain_times_do_not_go_below_the_floor() -> None:
    world = World()
    world.kept.confirm()
    for _ in range(3):  # days, of which each lets it go back by an hour
        assert plain(world, -3600)
        assert world.kept.unix_time() == world.clock.unix_time()
        world.clock.advance(DAY_MS)
    assert NOW < world.kept.floor < NOW + 3 * 24 * HOUR


def test_a_floor_in_the_future_comes_back_by_a_signed_time_alone() -> None:
    async def scenario() -> None:
        world = World()
        world.hes.lose = ["time"]
        world.clock.set_unix_time(NOW + 1000 * HOUR)
        world.kept.confirm()
        world.clock.set_unix_time(0)
        await world.start()
        assert sealed(world, NOW) == "unsigned-time"
        nonce = world.hes.heard[-1][1].nonce
        world.give("time", signed(SignedTime(HERE, nonce, NOW).encode()))
        assert world.kept.unix_time() == NOW and world.kept.floor < NOW
        await world.stop()
        world.clock.set_unix_time(0)
        world.boot()
        assert world.kept.floor < NOW

    run(scenario())
