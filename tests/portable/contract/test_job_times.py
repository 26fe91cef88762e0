"""When a job may be taken, to the second, and what is said of one that may not."""

from __future__ import annotations

from gateway.contract.job import Canary, Job
from gateway.contract.refused import Refused
from hal.rt import cbor
from tests.portable.contract.test_job import fields
from tests.portable.support import raises

ISSUED = 1700000000


def test_clocks_may_differ_by_so_much():
    job = Job.decode(cbor.encode(fields()))
    for now, skew in ((ISSUED - 300, 300), (ISSUED - 7, 7), (ISSUED, 0), (1, ISSUED)):
        job.check("ct-1", now, skew)
    job.check("ct-1", ISSUED - 300)
    for now, skew in ((ISSUED - 301, 300), (ISSUED - 8, 7), (ISSUED - 1, 0)):
        refused = raises(Refused, job.check, "ct-1", now, skew)
        assert refused.reason == "not-yet-valid" and refused.job_id == job.id
        assert refused.detail == "issued at 1700000000, here it is %d" % now
    assert raises(Refused, job.check, "ct-1", ISSUED - 301).reason == "not-yet-valid"


def test_the_end_of_its_window():
    job = Job.decode(cbor.encode(fields()))
    job.check("ct-1", 1700003599)
    refused = raises(Refused, job.check, "ct-1", 1700003600)
    assert refused.reason == "expired" and refused.job_id == job.id
    assert refused.detail == "the window closed for good by 1700003600, here it is 1700003600"
    job.check("ct-1", 0)  # whoever does not know the time refuses nothing for it


def test_another_concentrators():
    job = Job.decode(cbor.encode(fields()))
    refused = raises(Refused, job.check, "ct-2", ISSUED)
    assert refused.reason == "wrong-concentrator" and refused.job_id == job.id
    assert refused.detail == "expected ct-2, came ct-1"


def test_how_many_of_the_canary_must_succeed():
    for meters, percent, wanted in (
        (10, 90, 9),
        (10, 91, 10),
        (10, 100, 10),
        (10, 0, 0),
        (3, 50, 2),
        (1, 1, 1),
        (200, 1, 2),
        (0, 100, 0),
    ):
        assert Canary(meters, percent).wanted() == wanted, (meters, percent)
