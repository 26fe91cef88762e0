"""Orders to cancel or pause a job that is not here yet, and changes that are played again."""

from __future__ import annotations

from gateway.contract.messages import Cancel, Pause
from gateway.contract.reports import JobReport, MeterReport, Refusal
from hal.rt import log
from tests.portable.memory import MICROPYTHON
from tests.portable.support import run
from tests.portable.uplink.support import HERE, HOUR, KNOWN, NOW, World, read_job, signed
from tests.portable.uplink.test_trust import METER, change, keys_for

log.set_level("error")

MINUTE = 60_000


def begun(world: World) -> list[str]:
    """The meters that a worker would begin with now."""
    serials = []
    while True:
        execution = world.queue.take(lambda serial, job: True)
        if execution is None:
            return serials
        serials.append(execution.serial)


def test_a_cancel_overtakes_its_job_while_the_clock_is_unset() -> None:
    async def scenario() -> None:
        world = World(0)
        job = read_job()
        world.hes.lose = ["time"]
        await world.start()
        world.hes.tell("job", signed(job.encode()))
        world.hes.tell("cancel", signed(Cancel(job.id, HERE, NOW).encode()))
        await world.clock.run(1000)
        assert world.ledger.jobs() == []
        (answer,) = world.hes.bodies(JobReport)
        assert (answer.job_id, answer.state, answer.reason) == (job.id, "in-progress", "canceled")
        await world.stop()
        world.boot()
        world.hes.lose = []
        await world.start()
        world.hes.tell("job", signed(job.encode()))
        await world.clock.run(1000)
        assert world.clock.unix_time() >= NOW
        told = [(each.state, each.reason) for each in world.hes.bodies(JobReport)[1:]]
        assert told == [
            ("queued", "accepted"),
            ("in-progress", "canceled"),
            ("canceled", "canceled"),
        ]
        states = [each.state for each in world.hes.bodies(MeterReport)]
        assert states == ["canceled", "canceled"] and begun(world) == []
        await world.stop()

    run(scenario())


def test_a_pause_overtakes_its_job() -> None:
    world = World()
    job = read_job()
    world.give("pause", signed(Pause(job.id, HERE, NOW, True).encode()))
    world.give("job", signed(job.encode()))
    assert begun(world) == [] and world.refusals() == []
    world.give("pause", signed(Pause(job.id, HERE, NOW + 1, False).encode()))
    assert begun(world) == KNOWN[:2]


def test_a_job_whose_order_was_answered_ends_however_late_it_comes() -> None:
    """The HES takes it for a job at work: a refusal would not fit that any more."""
    for number, order in (
        (1, ("cancel", Cancel(read_job(1).id, HERE, NOW))),
        (2, ("pause", Pause(read_job(2).id, HERE, NOW, True))),
    ):
        for late in (
            read_job(number, not_after=NOW + 60),
            read_job(number, serials=["nobody"]),
        ):
            world = World()
            world.give(order[0], signed(order[1].encode()))
            world.clock.advance(2 * HOUR * 1000)
            world.give("job", signed(late.encode()))
            assert begun(world) == [] and world.refusals() == []
            assert world.ledger.jobs()[0].final_number, (order[0], late.serials)


def test_a_job_that_ended_is_not_taken_again_after_a_month() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        job = signed(read_job(not_after=0).encode())
        world.hes.tell("job", job)
        await world.clock.run(1000)
        assert begun(world) == KNOWN[:2]
        world.ledger.cancel(read_job().id)
        await world.stop()
        world.boot()  # what was in hand is canceled
        await world.start()
        await world.clock.run(2 * MINUTE)
        assert world.ledger.jobs() == []
        world.clock.advance(31 * 24 * HOUR * 1000)
        world.hes.tell("job", job)
        await world.clock.run(1000)
        assert world.hes.bodies(Refusal)[-1].reason == "already-ended"
        assert begun(world) == []
        await world.stop()

    run(scenario())


def test_changes_that_are_played_again_change_nothing_and_fill_nothing() -> None:
    world = World()
    world.storage.replace("meters.jsonl", METER.encode())
    job = read_job()
    world.give("job", signed(job.encode()))
    played = [
        ("pause", signed(Pause(job.id, HERE, NOW, True).encode())),
        ("pause", signed(Pause(job.id, HERE, NOW + 1, False).encode())),
        ("trust", signed(change())),
        ("keys", signed(keys_for(1))),
        ("keys", signed(keys_for(2))),
        ("cancel", signed(Cancel(job.id, HERE, NOW).encode())),
    ]
    for name, order in played:
        world.give(name, order)
    before = world.ledger.last_number
    numbers = world.session.trust.number, world.session.trust.keys_number
    assert numbers == (1, 2) and world.refusals() == []
    for _ in range(20 if MICROPYTHON else 200):  # where each of its signatures takes long
        for name, order in played[::-1] + played:
            world.give(name, order)
    assert (world.session.trust.number, world.session.trust.keys_number) == numbers
    # Those with a number are answered once more, the orders not at all.
    assert sorted(world.refusals()) == ["duplicate", "duplicate", "replayed"]
    assert world.ledger.last_number == before + 3
    world.clock.advance(10 * MINUTE)
    world.give("keys", played[3][1])  # a HES that has lost the answer gets it
    assert world.refusals()[3:] == ["replayed"]


def test_a_wrong_order_is_answered_once_in_a_while() -> None:
    world = World()
    wrong = [signed(Cancel(bytes([n] * 16), "c-0043", NOW).encode()) for n in range(3)]
    for _ in range(100):
        for order in wrong:
            world.give("cancel", order)
    assert world.refusals() == ["wrong-concentrator"] * 3
