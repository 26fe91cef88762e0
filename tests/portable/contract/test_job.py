"""A job: what is encoded decodes to the same, and every flaw has its named reason."""

from __future__ import annotations

from gateway.contract.envelope import digest_of
from gateway.contract.job import Canary, Job, PackageRef
from gateway.contract.kinds import COMPARE, CONFIGURE, IMAGE, READ
from gateway.contract.limits import MAX_METERS
from gateway.contract.refused import Refused
from hal.rt import cbor
from tests.portable.support import raises, random_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ID = bytes(range(16))
CLOCK = (8, b"\x00\x00\x01\x00\x00\xff", 2)


def read_job(serials: list[str]) -> Job:
    return Job(ID, READ, "ct-1", 1700000000, 5, 0, 0, 3, 30, serials, None, [CLOCK])


def fields() -> list[Any]:
    return [
        1,
        ID,
        CONFIGURE,
        "ct-1",
        1700000000,
        5,
        [0, 1700003600, [0, 0, 0]],
        [3, 30],
        ["AMI0000000001", "AMI0000000002"],
        ["tariff", 2000, bytes(32)],
        [],
        [0, 0],
        b"",
        0,
    ]


def flawed(position: int, value: Any) -> Refused:
    wrong = fields()
    wrong[position] = value
    return raises(Refused, Job.decode, cbor.encode(wrong))


def test_encoded_and_decoded_again() -> None:
    job = Job.decode(read_job(["A1", "B2"]).encode())
    assert (job.id, job.kind, job.concentrator, job.issued) == (ID, READ, "ct-1", 1700000000)
    assert (job.priority, job.not_before, job.not_after) == (5, 0, 0)
    assert (job.max_attempts, job.backoff_s) == (3, 30)
    assert job.serials == ["A1", "B2"] and job.package is None and job.objects == [CLOCK]
    job = Job.decode(cbor.encode(fields()))
    assert job.package is not None and job.objects == []
    assert (job.package.name, job.package.size, job.package.digest) == ("tariff", 2000, bytes(32))
    assert job.encode() == cbor.encode(fields())
    job.package = PackageRef("other", 1, bytes(32))
    assert digest_of(job.encode()) != digest_of(cbor.encode(fields()))


def test_what_may_be_left_out() -> None:
    values = fields()
    values[6][2], values[11], values[12] = [79200, 18000, 0x41], [1, 90], bytes(16)
    job = Job.decode(cbor.encode(values))
    assert job.daily is not None and job.canary is not None
    assert (job.daily.opens, job.daily.closes, job.daily.days) == (79200, 18000, 0x41)
    assert (job.canary.meters, job.canary.percent, job.retry_of) == (1, 90, bytes(16))
    assert job.encode() == cbor.encode(values)
    assert [Canary(10, percent).wanted() for percent in (1, 90, 91, 100)] == [1, 9, 10, 10]


def test_daylight_saving() -> None:
    values = fields()
    values[6][2] = [79200, 18000, 0x41, [[1_800_000_000, 3600], [1_815_000_000, 0]]]
    job = Job.decode(cbor.encode(values))
    assert job.daily is not None
    assert job.daily.shifts == [[1_800_000_000, 3600], [1_815_000_000, 0]]
    assert job.encode() == cbor.encode(values)


def test_every_field_is_checked() -> None:
    for position, value in [
        (0, 2),
        (0, True),
        (1, bytes(15)),
        (1, "text"),
        (2, "configure"),
        (3, ""),
        (3, "a b"),
        (3, "x" * 65),
        (4, -1),
        (4, 0),
        (4, 1 << 32),
        (5, 10),
        (5, True),
        (6, [0]),
        (6, [0, 0]),
        (6, [0, 0, None]),
        (6, [0, -1, [0, 0, 0]]),
        (6, [0, 0, 7]),
        (6, [0, 0, [0, 0]]),
        (6, [0, 0, [86400, 0, 127]]),
        (6, [0, 0, [0, -1, 127]]),
        (6, [0, 0, [0, 0, 128]]),
        (6, [0, 0, [0, 0, 127, []]]),
        (6, [0, 0, [0, 0, 0, [[1, 0]]]]),
        (6, [0, 0, [0, 0, 127, [[1, 10801]]]]),
        (6, [0, 0, [0, 0, 127, [[1, True]]]]),
        (6, [0, 0, [0, 0, 127, [[1, 0], [1, 0]]]]),
        (6, [0, 0, [0, 0, 127, [[1]]]]),
        (6, [0, 0, [0, 0, 127, [[time, 0] for time in range(9)]]]),
        (6, [0, 0, [0, 0, 127, [[1, 0]], 0]]),
        (7, [0, 30]),
        (7, [21, 30]),
        (7, [3, 90000]),
        (7, None),
        (8, "AMI0000000001"),
        (8, ["A", "A"]),
        (8, ["A", 7]),
        (8, ["x" * 33]),
        (8, ["M%d" % i for i in range(MAX_METERS + 1)]),
        (9, None),
        (9, ["n", 0, bytes(32)]),
        (9, ["n", 5, bytes(31)]),
        (9, ["n", 5]),
        (10, [[8, b"\0\0\1\0\0\xff", 2]]),
        (10, None),
        (11, []),
        (11, None),
        (11, [-1, 50]),
        (11, [1, 101]),
        (11, [2, 50]),
        (11, [True, 50]),
        (12, bytes(15)),
        (12, ID),
        (12, None),
        (13, 1700000000),
        (13, -1),
        (13, None),
    ]:
        error = flawed(position, value)
        assert error.reason == "malformed", (position, value, error)
        assert error.job_id == (None if position == 1 else ID)


def test_flaws_with_a_name_of_their_own() -> None:
    assert flawed(2, 7).reason == "unknown-kind"
    assert flawed(8, []).reason == "no-meters"
    assert flawed(6, [10, 10, [0, 0, 0]]).reason == "bad-window"
    assert flawed(6, [1700003600, 1700000000, [0, 0, 0]]).reason == "bad-window"
    # Tuesday 22:13:20 to 23:13:20 holds no minute of 05:00-06:00, and none of a Wednesday.
    assert flawed(6, [1700000000, 1700003600, [18000, 21600, 127]]).reason == "bad-window"
    assert flawed(6, [1700000000, 1700003600, [0, 0, 4]]).reason == "bad-window"


def test_fields_that_do_not_agree_are_named() -> None:
    """Each row changes some places of a good job, so that one thing is wrong."""
    package = ["tariff", 2000, bytes(32)]
    clock = [[8, b"\x00\x00\x01\x00\x00\xff", 2]]
    taken = "package: expected one where the kind takes one, else null"
    named = "objects: expected some for a kind without package, else none"
    for changes, detail in (
        ({}, ""),
        ({9: None}, taken),
        ({10: clock}, named),
        ({2: READ, 9: None, 10: clock}, ""),
        ({2: READ, 9: package, 10: clock}, taken),
        ({2: READ, 9: None}, named),
        ({6: [10, 10, [0, 0, 0]]}, "window: closes at 10, opens at 10"),
        ({6: [10, 11, [0, 0, 0]]}, ""),
        ({6: [10, 0, [0, 0, 0]]}, ""),
        ({13: 1}, "activation: expected a time where the kind may wait for one, else 0"),
        ({2: IMAGE, 13: 1}, ""),
        ({12: ID}, "retry_of: expected another job"),
        ({12: bytes(16)}, ""),
        ({11: [2, 50]}, "canary: expected fewer meters than the job has"),
        ({11: [1, 50]}, ""),
        (
            {6: [1700000000, 1700003600, [18000, 21600, 127]]},
            "window: no time of day lies within it",
        ),
    ):
        values = fields()
        for place in changes:
            values[place] = changes[place]
        try:
            Job.decode(cbor.encode(values))
            came = ""
        except Refused as refused:
            came = refused.detail
            assert refused.job_id == ID
        assert came == detail, changes


def test_a_read_job_names_objects() -> None:
    for objects in [[], [[8, bytes(5), 2]], [[8, bytes(6), 0]], [[65536, bytes(6), 2]], [[8]], [8]]:
        wrong = fields()
        wrong[2], wrong[9], wrong[10] = READ, None, objects
        assert raises(Refused, Job.decode, cbor.encode(wrong)).reason == "malformed"


def test_an_image_may_become_active_later() -> None:
    values = fields()
    values[2], values[13] = IMAGE, 1700003600
    job = Job.decode(cbor.encode(values))
    assert (job.kind, job.activation) == (IMAGE, 1700003600)
    assert job.encode() == cbor.encode(values)
    for activation in (-1, 1 << 32, None):
        values[13] = activation
        assert raises(Refused, Job.decode, cbor.encode(values)).reason == "malformed"


def test_a_comparison_is_ordered_like_a_configuration() -> None:
    values = fields()
    values[2] = COMPARE
    assert Job.decode(cbor.encode(values)).kind == COMPARE


def test_noise_is_malformed() -> None:
    good = cbor.encode(fields())
    for size in range(len(good)):
        assert raises(Refused, Job.decode, good[:size]).reason == "malformed"
    for seed in range(200):
        noise = random_bytes(seed, seed)
        assert raises(Refused, Job.decode, noise).reason == "malformed"
    for value in [None, 7, [], [1], {1: 2}, "x", [1, ID]]:
        assert raises(Refused, Job.decode, cbor.encode(value)).reason == "malformed"


def test_for_another_concentrator_or_time() -> None:
    job = Job.decode(cbor.encode(fields()))
    job.check("ct-1", 1700000000)
    job.check("ct-1", 0)
    job.check("ct-1", 1699999800)  # clocks may differ a little
    assert raises(Refused, job.check, "ct-2", 0).reason == "wrong-concentrator"
    assert raises(Refused, job.check, "ct-1", 1699999000).reason == "not-yet-valid"
    assert raises(Refused, job.check, "ct-1", 1700003600).reason == "expired"
    assert raises(Refused, job.check, "ct-1", 1700003600).job_id == ID
