"""What a conversation of a job takes of a radio budget."""

from __future__ import annotations

from gateway.contract.job import Job, PackageRef
from gateway.contract.kinds import CONFIGURE, IMAGE, READ
from gateway.jobs.traffic import TrafficOfJobs
from tests.portable.jobs.test_queue import NOW


def job(number: int, kind: int = CONFIGURE, size: int = 1090, objects: int = 0) -> Job:
    package = None if kind == READ else PackageRef("tariff", size, bytes(32))
    names = [(8, b"\x00\x00\x01\x00\x00\xff", 2)] * objects
    id = number.to_bytes(16, "big")
    return Job(id, kind, "ct-1", NOW, 5, 0, 0, 3, 30, ["A"], package, names)


def test_the_first_meter_is_judged_by_the_size_of_the_order() -> None:
    traffic = TrafficOfJobs()
    small, large = traffic.of(job(1, READ, objects=1)), traffic.of(job(1, READ, objects=64))
    assert small < large and small[1] > 231, (
        "more than a reading of one value has been seen to take"
    )
    # As measured of the packages of tools/package/examples, on meters that need all of it.
    for size, seen in ((401, (6, 498)), (196, (6, 381)), (598, (9, 664)), (1090, (12, 1126))):
        frames, octets = traffic.of(job(1, size=size))
        assert frames > seen[0] and octets > seen[1], size


def test_the_others_by_those_before_and_some_room_for_what_gets_lost() -> None:
    traffic = TrafficOfJobs()
    one = job(1)
    for sent in ((10, 900), (12, 800), (3, 300)):
        traffic.note(one, sent)
    assert traffic.likely(one) == (12, 900) and traffic.of(one) == (18, 1350)
    assert traffic.of(job(2)) != (18, 1350), "of another job nothing is known"


def test_a_piece_of_an_image_is_enough_to_begin_with() -> None:
    traffic = TrafficOfJobs()
    image = job(1, IMAGE, 1 << 20)
    before = traffic.of(image)
    traffic.note(image, (9000, 1 << 21))
    assert traffic.of(image) == before and before[1] < 40_000


def test_few_jobs_are_remembered() -> None:
    traffic = TrafficOfJobs()
    for number in range(100):
        traffic.note(job(number), (1, 1))
    assert len(traffic._most) == 16 and traffic.likely(job(99)) == (1, 1)
