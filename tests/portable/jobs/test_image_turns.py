"""The queue with images: one at a time, and who may speak to a meter of a transfer meanwhile."""

from __future__ import annotations

from gateway.contract.job import Job, PackageRef
from gateway.contract.kinds import IMAGE
from tests.portable.jobs.support import done
from tests.portable.jobs.test_queue import APPLIED, NO_ANSWER, NOW, World


def image_job(world, number, serials, priority=5, digest=0):
    reference = PackageRef("image", 10, bytes([digest]) * 32)
    job = Job(number.to_bytes(16, "big"), IMAGE, "ct-1", NOW, priority, 0, 0, 3, 30, serials)
    job.package = reference
    assert world.ledger.accept(job, job.encode()) == "accepted"
    world.queue.release(job.id)
    return job


def together(world):
    """As the worker of a campaign takes them."""
    found = world.queue.take(lambda serial, job: True, lambda execution: lambda serial: True)
    assert found is not None
    for execution in [found] + found.others:
        world.queue.park(execution)
    return [found] + found.others


def test_one_image_at_a_time() -> None:
    world = World()
    image_job(world, 1, ["A", "B", "C"], digest=1)
    image_job(world, 2, ["E"], digest=1)
    image_job(world, 3, ["D"], digest=2)
    taken = together(world)
    assert [each.serial for each in taken] == ["A", "B", "C"]
    same = world.must_take()
    assert same.serial == "E"  # the same image does no harm
    assert world.take() is None
    for execution in taken + [same]:
        done(world.queue, execution, APPLIED)
    assert world.must_take().serial == "D"


def test_an_urgent_image_waits_for_what_is_in_hand_and_no_longer() -> None:
    world = World()
    image_job(world, 1, ["A", "B"], digest=1)
    first = world.must_take()
    image_job(world, 2, ["D"], priority=9, digest=2)
    assert world.take() is None  # nor B: the urgent one would never have its turn
    done(world.queue, first, APPLIED)
    urgent = world.must_take()
    assert urgent.serial == "D"
    assert world.take() is None
    done(world.queue, urgent, NO_ANSWER)
    assert world.must_take().serial == "B"  # while the urgent one waits for its next attempt


def test_other_orders_do_not_wait_for_images() -> None:
    world = World()
    image_job(world, 1, ["A", "B"], digest=1)
    taken = together(world)
    world.job(2, ["A"], priority=9)
    world.job(3, ["C"], priority=1)
    assert [world.must_take().serial, world.must_take().serial] == ["A", "C"]
    assert world.take() is None
    assert [each.serial for each in taken] == ["A", "B"]


def test_a_transfer_gives_way_to_what_is_more_urgent_on_this_meter() -> None:
    world = World()
    image_job(world, 1, ["A", "B"], digest=1)
    first, second = together(world)
    assert world.queue.unpark(first)
    assert not world.queue.overtaken(first)
    world.job(2, ["C", "A"], priority=9)
    assert world.queue.overtaken(first) and not world.queue.overtaken(second)
    world.queue.park(first)
    urgent = [world.must_take(), world.must_take()]
    assert sorted([each.serial for each in urgent]) == ["A", "C"]
    assert not world.queue.overtaken(first)
    for execution in urgent:
        done(world.queue, execution, NO_ANSWER)
    assert world.queue.unpark(first)
    assert not world.queue.overtaken(first)  # it waits for its next attempt
    world.clock.advance(60_000)
    assert world.queue.overtaken(first)


def test_another_image_never_gets_at_a_meter_of_a_transfer() -> None:
    world = World()
    image_job(world, 1, ["A", "B"], priority=5, digest=1)
    taken = together(world)
    image_job(world, 2, ["A"], priority=9, digest=1)
    image_job(world, 3, ["B"], priority=9, digest=2)
    assert world.take() is None
    for execution in taken:
        done(world.queue, execution, APPLIED)
    assert world.must_take().serial == "A"
