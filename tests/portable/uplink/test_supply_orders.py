"""Who may open or close the switch in somebody's supply: a key that is trusted for it by name."""

from __future__ import annotations

from gateway.contract.job import Job
from gateway.contract.kinds import SUPPLY
from gateway.contract.refused import Refused
from gateway.contract.reports import JobReport, Refusal
from gateway.contract.trust_change import EVERYTHING, LINE, ORDERS, SWITCH, TrustChange, TrustKey
from tests.portable.support import raises, run
from tests.portable.uplink.support import HERE, HOUR, NOW, PUBLIC, World, read_job, signed
from tests.portable.uplink.test_trust import change, new_key, signed_by_new

OPEN = [(70, b"\x00\x00\x60\x03\x0a\xff", 1)]


def supply_job(number: int = 1, objects: list[tuple[int, bytes, int]] | None = None) -> Job:
    return read_job(number, kind=SUPPLY, objects=objects or OPEN)


def refused(world: World) -> list[str]:
    return [body.reason for body in world.hes.bodies(Refusal)]


def accepted(world: World) -> list[str]:
    return [body.reason for body in world.hes.bodies(JobReport)]


def test_a_key_for_everything_else_is_not_enough() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        world.give("job", signed(supply_job().encode()))
        await world.clock.run(5000)
        assert refused(world) == ["not-permitted"] and world.ledger.jobs() == []
        (refusal,) = world.hes.bodies(Refusal)
        assert "takes a key that is trusted for switch" in refusal.detail
        await world.stop()

    run(scenario())


def test_a_key_for_the_switch_orders_that_and_nothing_else() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        world.give("trust", signed(change(add=[new_key(SWITCH)])))
        world.give("job", signed_by_new(supply_job().encode()))
        world.give("job", signed_by_new(read_job(2).encode()))
        world.give("trust", signed_by_new(change(2)))
        await world.clock.run(5000)
        assert refused(world) == ["not-permitted", "unknown-signer"]
        assert [entry.job.kind for entry in world.ledger.jobs()] == [SUPPLY]
        assert accepted(world) == ["accepted"]
        await world.stop()

    run(scenario())


def test_one_key_may_be_for_both() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        world.give("trust", signed(change(add=[new_key(ORDERS | SWITCH)])))
        world.give("job", signed_by_new(supply_job().encode()))
        world.give("job", signed_by_new(read_job(2).encode()))
        await world.clock.run(5000)
        assert refused(world) == [] and accepted(world) == ["accepted"] * 2
        await world.stop()

    run(scenario())


def test_a_key_that_has_lost_it_orders_no_more() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        world.give("trust", signed(change(add=[new_key(ORDERS | SWITCH)])))
        world.give("trust", signed(change(2, add=[new_key(ORDERS)])))
        world.give("job", signed_by_new(supply_job().encode()))
        await world.clock.run(5000)
        assert refused(world) == ["not-permitted"]
        await world.stop()

    run(scenario())


def test_a_job_that_makes_no_sense() -> None:
    for objects in (
        [(3, OPEN[0][1], 1)],
        [(70, OPEN[0][1], 4)],
        OPEN * 2,
    ):
        assert raises(Refused, Job.decode, supply_job(1, objects).encode()).reason == "malformed"


def test_purposes_that_make_no_sense() -> None:
    assert EVERYTHING & SWITCH == 0
    for purposes in (0, LINE | SWITCH, LINE | ORDERS, 64):
        key = TrustKey(b"k", PUBLIC, purposes)
        payload = TrustChange(HERE, NOW, NOW + HOUR, 1, [key], []).encode()
        assert raises(Refused, TrustChange.decode, payload).reason == "malformed"
