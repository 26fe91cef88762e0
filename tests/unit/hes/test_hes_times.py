"""When, how many, and by whom: what the store holds after each message, exactly."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from gateway.contract.envelope import digest_of
from gateway.contract.job import State as JobState
from gateway.contract.messages import Hello, Meters, Progress, Reports, State
from gateway.contract.reports import Event, JobReport, MeterReport, Refusal, Report
from tests.unit.hes.orders import CONCENTRATOR, METERS, accepted, configure, ended, ko, ok, value
from tools.hes.orders import order, security
from tools.hes.store import records
from tools.hes.store.problems import Illegal, StoreProblem
from tools.hes.store.records import NewJob, Order
from tools.hes.store.schema import MAX_NUMBER
from tools.hes.store.store import Store

BOTH = True  # engines, see conftest.py
NOW = 1_800_000_000
EPOCH = 5


def take(store: Store, at: int, *bodies: Any, where: str = CONCENTRATOR) -> int:
    """Reports of the time `at`; the position after them."""
    first = store.line.position(where, EPOCH) + 1
    reports = [Report(first + index, at, body) for index, body in enumerate(bodies)]
    return store.line.take_reports(where, Reports(EPOCH, reports)).number


def birth(online: bool = True, session: int = 1, first: int = 1, **more: Any) -> State:
    return State(
        CONCENTRATOR, session, online, EPOCH, first, first, 0, "1.2", "cpython", 3, 5, 4, **more
    )


def seen(store: Store) -> int:
    (there,) = store.reports.concentrators()
    return there.seen


def sent(store: Store, job_id: bytes, kind: str = "job") -> None:
    store.line.sent(Order(kind, job_id, b""))


def test_a_job_as_it_was_ordered(clocked, key) -> None:
    job_id = configure(clocked, key)
    job = clocked.reports.job(job_id)
    assert (job.submitted, job.updated, job.state) == (NOW, NOW, "submitted")
    assert (job.reason, job.detail, job.cancel_state, job.cancel_reason) == ("", "", "", "")
    assert (job.paused, job.daily, job.canary, job.retry_of) == (False, None, None, None)
    assert job.cancel is None and job.digest == digest_of(job.envelope)
    assert [asdict(each) for each in clocked.reports.meters(job_id)] == [
        {
            "serial": serial,
            "state": "queued",
            "outcome": "",
            "reason": "",
            "detail": "",
            "attempts": 0,
            "path": "",
            "duration_ms": 0,
            "value": None,
            "updated": 0,
        }
        for serial in METERS
    ]


def test_when_a_job_was_sent_answered_and_over(clocked, now, key) -> None:
    job_id = configure(clocked, key)

    def stands() -> tuple[str, int, str, str]:
        job = clocked.reports.job(job_id)
        return job.state, job.updated, job.reason, job.detail

    now[0] += 5
    sent(clocked, job_id)
    assert stands() == ("sent", NOW + 5, "", "")
    now[0] += 5
    sent(clocked, job_id)  # again, to the same end
    assert stands() == ("sent", NOW + 5, "", "")
    take(clocked, NOW + 20, accepted(job_id))
    assert stands() == ("queued", NOW + 20, "accepted", "")
    sent(clocked, job_id)
    assert stands() == ("queued", NOW + 20, "accepted", "")
    take(clocked, NOW + 30, ok(job_id, "AMI01"))
    assert stands() == ("in-progress", NOW + 30, "accepted", "")
    take(clocked, NOW + 40, ko(job_id, "AMI02", "no-answer", "why"))
    assert stands() == ("in-progress", NOW + 30, "accepted", "")  # nothing new of the job
    now[0] = NOW + 60.9
    take(clocked, 0, value(job_id, "AMI03", b"\x00", b"\x01"))  # its clock was unset
    failed = JobState.NAMES[JobState.FAILED]
    take(clocked, NOW + 70, JobReport(job_id, failed, "ended", "2 and 1"))
    assert stands() == ("failed", NOW + 70, "ended", "2 and 1")
    meters = clocked.reports.meters(job_id)
    assert [each.updated for each in meters] == [NOW + 30, NOW + 40, NOW + 60]
    assert [each.attempts for each in meters] == [1, 3, 2]
    assert [each.duration_ms for each in meters] == [1500, 9000, 40]
    assert [each.path for each in meters] == ["plc", "rf", "ip"]
    assert [each.detail for each in meters] == ["", "why", ""]
    assert [each.value for each in meters] == [None, None, [b"\x00", b"\x01"]]
    (counted,) = clocked.reports.jobs()
    assert (counted.meters, counted.ok, counted.ko, counted.value) == (3, 1, 1, 1)
    assert (counted.submitted, counted.state, counted.ends) == (NOW, "failed", None)
    assert clocked.reports.events() == []


def test_what_is_over_stays_over_and_is_noted(clocked, now, key) -> None:
    job_id = configure(clocked, key)
    take(clocked, NOW + 1, accepted(job_id), *(ok(job_id, each) for each in METERS), ended(job_id))
    now[0] += 9
    before = clocked.reports.job(job_id)
    for state in ("queued", "in-progress", "failed", "published", "worked", "nonsense"):
        take(clocked, NOW + 5, JobReport(job_id, state, "resumed", ""))
        assert clocked.reports.job(job_id) == before
    events = clocked.reports.events()
    assert {(each.name, each.time, each.concentrator) for each in events} == {
        ("late-report", NOW + 9, CONCENTRATOR)
    }
    assert len(events) == 6 and job_id.hex() in events[0].detail
    take(clocked, 1, JobReport(bytes(16), "queued", "accepted", ""))
    assert clocked.reports.events()[0].name == "unknown-report"
    assert clocked.reports.events()[0].detail.endswith("not known here")


def test_the_newest_result_of_a_meter_counts(clocked, key) -> None:
    job_id = configure(clocked, key)
    take(clocked, NOW + 1, accepted(job_id), ok(job_id, "AMI01"))
    take(clocked, NOW + 2, ko(job_id, "AMI01", "no-answer"), ko(job_id, "AMI99", "no-answer"))
    assert [each.outcome for each in clocked.reports.meters(job_id)] == ["KO", "", ""]
    (unknown,) = clocked.reports.events()
    assert unknown.name == "unknown-report" and "meter AMI99 of job" in unknown.detail
    assert not clocked.reports.finished(job_id)


def test_a_refusal_counts_until_there_was_an_answer(clocked, key) -> None:
    first, second = configure(clocked, key), configure(clocked, key)
    digest = {each: clocked.reports.job(each).digest for each in (first, second)}
    refusal = Refusal("job", digest[first], None, "no-room", "16 at most")
    sent(clocked, first)
    take(clocked, NOW + 3, refusal, where="c-2")  # of another concentrator
    assert clocked.reports.job(first).state == "sent"
    take(clocked, NOW + 4, refusal)
    job = clocked.reports.job(first)
    assert (job.state, job.reason, job.detail, job.updated) == (
        "rejected",
        "no-room",
        "16 at most",
        NOW + 4,
    )
    take(clocked, NOW + 5, Refusal("job", digest[second], second, "duplicate", ""))
    job = clocked.reports.job(second)
    assert (job.state, job.reason, job.updated) == ("queued", "duplicate", NOW + 5)
    take(clocked, NOW + 6, Refusal("job", digest[second], second, "no-room", ""))
    assert clocked.reports.job(second).state == "queued"
    assert [each.name for each in clocked.reports.events()] == ["refused", "refused"]
    # A second copy of the refused one came at a better time.
    take(clocked, NOW + 7, accepted(first))
    assert clocked.reports.job(first).state == "queued"


def test_a_cancel_goes_its_way(clocked, now, key) -> None:
    job_id = configure(clocked, key)
    take(clocked, NOW + 1, accepted(job_id))
    order.cancel(clocked.orders, key, job_id)
    now[0] += 2
    sent(clocked, job_id, "cancel")
    job = clocked.reports.job(job_id)
    assert (job.state, job.cancel_state, job.updated) == ("queued", "sent", NOW + 2)
    assert clocked.line.orders(CONCENTRATOR, ("submitted",)) == []
    take(clocked, NOW + 3, JobReport(job_id, "in-progress", "canceled", ""))
    job = clocked.reports.job(job_id)
    assert (job.state, job.cancel_state) == ("in-progress", "in-progress")
    order.cancel(clocked.orders, key, job_id)  # said twice, sent twice
    assert clocked.reports.job(job_id).cancel_state == "submitted"
    canceled = JobState.NAMES[JobState.CANCELED]
    take(clocked, NOW + 4, JobReport(job_id, canceled, "ended", ""))
    job = clocked.reports.job(job_id)
    assert (job.state, job.cancel_state) == ("canceled", "canceled")
    with pytest.raises(Illegal, match="it cannot be ordered any more: its state is 'canceled'"):
        clocked.orders.add_cancel(job_id, b"late")
    assert clocked.reports.job(job_id) == job
    with pytest.raises(StoreProblem, match="holds no job 00"):
        clocked.orders.add_cancel(bytes(16), b"")


def test_a_job_that_ends_without_a_cancel_has_none(clocked, key) -> None:
    job_id = configure(clocked, key)
    take(clocked, NOW, accepted(job_id), ended(job_id))
    assert clocked.reports.job(job_id).cancel_state == ""


def test_a_refused_cancel_may_be_ordered_again(clocked, key) -> None:
    job_id = configure(clocked, key)
    order.cancel(clocked.orders, key, job_id)
    digest = digest_of(clocked.reports.job(job_id).cancel)
    sent(clocked, job_id, "cancel")
    take(clocked, NOW, Refusal("cancel", digest, job_id, "unknown-job", ""), where="c-2")
    assert clocked.reports.job(job_id).cancel_state == "sent"
    take(clocked, NOW, Refusal("cancel", digest, job_id, "unknown-job", ""))
    job = clocked.reports.job(job_id)
    assert (job.cancel_state, job.cancel_reason) == ("rejected", "unknown-job")
    assert [each.name for each in clocked.reports.events()] == ["refused"]  # the other's
    order.cancel(clocked.orders, key, job_id)
    job = clocked.reports.job(job_id)
    assert (job.cancel_state, job.cancel_reason) == ("submitted", "")


def test_paused_from_when_the_concentrator_says_so(clocked, now, key) -> None:
    job_id = configure(clocked, key)
    take(clocked, NOW, accepted(job_id))

    def stands() -> tuple[bool, str]:
        pause = clocked.reports.pause(job_id)
        assert pause is not None
        return clocked.reports.job(job_id).paused, pause.state

    assert clocked.reports.pause(job_id) is None
    order.pause(clocked.orders, key, job_id, True)
    assert clocked.reports.pause(job_id).issued == NOW
    assert stands() == (False, "submitted")
    sent(clocked, job_id, "pause")
    assert stands() == (False, "sent")
    take(clocked, NOW, JobReport(job_id, "in-progress", "resumed", ""))  # of an earlier order
    assert stands() == (False, "sent")
    take(clocked, NOW, JobReport(job_id, "in-progress", "paused", ""))
    assert stands() == (True, "")
    order.pause(clocked.orders, key, job_id, False)
    pause = clocked.reports.pause(job_id)
    assert (pause.paused, pause.issued) == (False, NOW + 1)
    digest = digest_of(pause.envelope)
    sent(clocked, job_id, "pause")
    take(clocked, NOW, Refusal("pause", digest, job_id, "clock", ""), where="c-2")
    assert stands() == (True, "sent")
    take(clocked, NOW, Refusal("pause", digest, job_id, "clock", ""))
    assert stands() == (True, "rejected")
    assert clocked.reports.pause(job_id).reason == "clock"
    now[0] += 100
    assert clocked.orders.next_pause(job_id) == NOW + 100
    order.pause(clocked.orders, key, job_id, False)
    assert clocked.reports.pause(job_id).reason == ""
    take(clocked, NOW, JobReport(job_id, "in-progress", "resumed", ""))
    assert stands() == (False, "")


def test_an_old_state_that_somebody_says_again_makes_nobody_seem_to_be_there(clocked, now) -> None:
    """Over a protected line; what is sealed tells who is there, and who says nothing is silent."""

    def there() -> tuple[str, int]:
        (found,) = clocked.reports.concentrators()
        return found.stands(now[0]), found.seen - NOW

    clocked.line.take_state(CONCENTRATOR, birth(), moves=False)
    clocked.line.take_hello(CONCENTRATOR, Hello(1, 0, []), proven=True)
    assert there() == ("online", 0)
    now[0] += 300
    clocked.line.take_state(CONCENTRATOR, birth(False), moves=False)  # the will, by somebody else
    assert there() == ("offline", 0)
    clocked.line.take_hello(CONCENTRATOR, Hello(1, 0, []), proven=True)
    assert there() == ("online", 300)
    now[0] += 2000
    for session in (1, 2, 1):
        clocked.line.take_state(CONCENTRATOR, birth(session=session), moves=False)
    assert there() == ("silent", 300)
    # In plain a hello of a connection that is over, or that a will has ended, is late.
    clocked.line.take_hello(CONCENTRATOR, Hello(2, 0, []))
    assert there() == ("silent", 300)
    clocked.line.take_hello(CONCENTRATOR, Hello(1, 0, []))
    assert there() == ("online", 2300)
    clocked.line.take_state(CONCENTRATOR, birth(False))
    clocked.line.take_hello(CONCENTRATOR, Hello(1, 0, []))
    assert there() == ("offline", 2300)


def test_last_heard(clocked, now) -> None:
    clocked.line.take_state(CONCENTRATOR, birth())
    assert seen(clocked) == NOW
    (there,) = clocked.reports.concentrators()
    assert asdict(there) == {
        "id": CONCENTRATOR,
        "online": True,
        "session": 1,
        "epoch": EPOCH,
        "firmware": "1.2",
        "runtime": "cpython",
        "jobs_open": 3,
        "meters_known": 5,
        "meters_reachable": 4,
        "seen": NOW,
    }
    now[0] += 10
    message = Reports(EPOCH, [Report(1, 0, Event("x", ""))])
    clocked.line.take_reports(CONCENTRATOR, message)
    assert seen(clocked) == NOW + 10
    now[0] += 10
    clocked.line.take_reports(CONCENTRATOR, message)  # nothing new
    assert seen(clocked) == NOW + 10
    clocked.line.take_state(CONCENTRATOR, birth(False, session=2))  # late
    assert seen(clocked) == NOW + 10
    clocked.line.take_state(CONCENTRATOR, birth(False))
    assert seen(clocked) == NOW + 20
    assert clocked.line.epoch(CONCENTRATOR) == EPOCH and clocked.line.epoch("c-2") is None
    assert clocked.street.heard_of(CONCENTRATOR) and not clocked.street.heard_of("c-2")


def test_a_position_moves_to_what_the_concentrator_still_has(clocked) -> None:
    clocked.line.take_state(CONCENTRATOR, birth(first=1))
    assert clocked.line.position(CONCENTRATOR, EPOCH) == 0
    assert clocked.reports.events() == []
    clocked.line.take_state(CONCENTRATOR, birth(first=2))
    assert clocked.line.position(CONCENTRATOR, EPOCH) == 1
    (lost,) = clocked.reports.events()
    assert (lost.name, lost.time) == ("reports-lost", NOW)
    assert lost.detail.startswith("reports 1..1 of epoch 00000005 were acknowledged before")
    clocked.line.take_state(CONCENTRATOR, birth(first=MAX_NUMBER + 1))
    assert clocked.line.position(CONCENTRATOR, EPOCH) == 1


def test_modems_are_those_of_the_last_birth(clocked, now) -> None:
    def modems() -> list[records.Modem]:
        return clocked.street.modems(CONCENTRATOR)

    clocked.line.take_state(
        CONCENTRATOR, birth(modems=[["plc", True, 7, {"a": 1}], ["rf", 0, 0, {}]])
    )
    assert modems() == [
        records.Modem("plc", True, 7, {"a": 1}, NOW),
        records.Modem("rf", False, 0, {}, NOW),
    ]
    now[0] += 5
    clocked.line.take_state(CONCENTRATOR, birth(False))
    assert len(modems()) == 2  # a will knows of none
    clocked.line.take_state(CONCENTRATOR, birth(modems=[["ip", True, 0, {}]]))
    assert modems() == [records.Modem("ip", True, 0, {}, NOW + 5)]


@pytest.mark.parametrize(
    ("told_at", "ends", "kept"),
    [
        (NOW, NOW + 600, NOW + 600),
        (NOW - 7200, NOW - 6600, NOW + 600),  # its clock is slow
        (NOW, 0, 0),  # it does not know
        (0, NOW + 600, NOW + 600),  # it has no clock to compare
        (2 * NOW, 1, 0),
    ],
)
def test_the_expected_end_is_by_our_clock(clocked, key, told_at: int, ends: int, kept: int) -> None:
    job_id = configure(clocked, key)
    standing = [job_id, "blocks", 431, 1, 2, 3, [["activation-waits", 1]], ends]
    clocked.line.take_progress(CONCENTRATOR, Progress(told_at, [standing]))
    assert clocked.reports.progress(job_id) == records.Progress(
        NOW, "blocks", 431, 1, 2, 3, [["activation-waits", 1]], kept
    )


def test_progress_is_replaced(clocked, now, key) -> None:
    job_id = configure(clocked, key)
    for queued in (3, 2):
        now[0] += 1
        standing = [job_id, "", 0, queued, 1, 0, [], 0]
        clocked.line.take_progress(CONCENTRATOR, Progress(0, [standing]))
    progress = clocked.reports.progress(job_id)
    assert (progress.time, progress.queued) == (NOW + 2, 2)


def test_numbers_of_messages(clocked, now, key) -> None:
    trust, line = clocked.trust, clocked.line

    def states() -> list[tuple[str, int, str]]:
        every = ("submitted", "sent", "taken", "rejected")
        return [(m.topic, m.number, m.state) for m in trust.numbered(CONCENTRATOR, every)]

    for number in (1, 2):
        trust.stage(CONCENTRATOR, bytes([number]), None, 0)
        assert security.send_trust(trust, key, CONCENTRATOR, NOW) == number
    assert trust.next_number("keys", CONCENTRATOR) == 1
    trust.add_numbered("keys", CONCENTRATOR, 1, "keys of 1 meters", b"keys")
    trust.add_numbered("trust", "c-2", 1, "", b"other")
    found = trust.numbered(CONCENTRATOR, ("submitted",))
    assert [(each.what, each.submitted) for each in found] == [
        ("-01", NOW),
        ("-02", NOW),
        ("keys of 1 meters", NOW),
    ]
    line.numbered_sent(found[0])
    assert states()[0] == ("trust", 1, "sent")
    assert [m.concentrator for m in line.numbered(None)] == [CONCENTRATOR] * 3 + ["c-2"]
    assert [m.number for m in line.numbered(CONCENTRATOR, ("submitted",))] == [2, 1]
    line.take_hello(CONCENTRATOR, Hello(1, 0, [], trust=1, keys=0))
    assert states() == [("trust", 1, "taken"), ("trust", 2, "submitted"), ("keys", 1, "submitted")]
    # A second copy of what was taken last is a duplicate: it stays taken.
    refusal = Refusal("trust", digest_of(found[0].envelope), None, "duplicate", "")
    take(clocked, NOW + 1, refusal)
    assert states()[0] == ("trust", 1, "taken")
    second = digest_of(found[1].envelope)
    line.numbered_sent(found[1])
    take(clocked, NOW + 2, Refusal("trust", second, None, "duplicate", ""))
    take(clocked, NOW + 2, Refusal("keys", second, None, "unknown-signer", ""))
    take(clocked, NOW + 2, Refusal("trust", second, None, "unknown-signer", ""), where="c-2")
    assert states()[1] == ("trust", 2, "sent")
    take(clocked, NOW + 2, Refusal("trust", second, None, "unknown-signer", "key 00"))
    assert states()[1] == ("trust", 2, "rejected")
    (refused,) = trust.numbered(CONCENTRATOR, ("rejected",))
    assert (refused.reason, refused.detail) == ("unknown-signer", "key 00")
    assert trust.next_number("trust", CONCENTRATOR) == 2  # it is used again
    line.take_hello(CONCENTRATOR, Hello(1, 0, [], trust=6, keys=9))
    # What was never sent cannot be what was taken under its number.
    assert states()[1:] == [("trust", 2, "rejected"), ("keys", 1, "rejected")]
    assert trust.next_number("trust", CONCENTRATOR) == 7
    assert trust.next_number("keys", CONCENTRATOR) == 10
    assert line.numbered("c-2")[0].state == "submitted"


def test_who_is_spoken_to(clocked, key) -> None:
    line = clocked.line
    assert line.addressed() == [] and line.concentrators_with_orders() == []
    line.take_state("c-3", birth())
    clocked.trust.add_numbered("keys", "c-4", 1, "", b"")
    job_id = configure(clocked, key)
    assert sorted(line.addressed()) == [CONCENTRATOR, "c-3", "c-4"]
    take(clocked, NOW, accepted(job_id))
    assert line.concentrators_with_orders() == []
    order.pause(clocked.orders, key, job_id, True)
    assert line.concentrators_with_orders() == [CONCENTRATOR]
    assert line.concentrators_with_orders(("sent",)) == []
    sent(clocked, job_id, "pause")
    assert line.concentrators_with_orders(("sent",)) == [CONCENTRATOR]
    take(clocked, NOW, JobReport(job_id, "in-progress", "paused", ""))
    assert line.concentrators_with_orders() == []
    order.cancel(clocked.orders, key, job_id)
    assert line.concentrators_with_orders() == [CONCENTRATOR]


def test_orders_oldest_first(clocked, now, key) -> None:
    jobs = [configure(clocked, key) for _ in range(3)]  # within one second
    for at, job_id in enumerate(reversed(jobs)):
        now[0] = NOW + at
        order.pause(clocked.orders, key, job_id, True)
    order.cancel(clocked.orders, key, jobs[1])
    found = [(each.kind, jobs.index(each.job)) for each in clocked.line.orders(CONCENTRATOR)]
    assert found == [
        ("job", 0),
        ("job", 1),
        ("cancel", 1),
        ("job", 2),
        ("pause", 2),
        ("pause", 1),
        ("pause", 0),
    ]
    missing = clocked.line.missing(CONCENTRATOR, [jobs[0], jobs[2]])
    assert [each.kind for each in missing] == ["job", "cancel", "pause", "pause", "pause"]


def test_a_sign_of_life(clocked, now) -> None:
    assert clocked.reports.service() is None
    clocked.line.beat("mqtt://a", "connecting")
    now[0] += 0.5
    clocked.line.beat("mqtt://b", "connected")
    now[0] += 2.5
    assert clocked.reports.service() == records.Service("mqtt://b", "connected", 2.5)


def test_events_are_cut_and_dated(clocked, now) -> None:
    now[0] += 0.9
    clocked.line.add_event("c-1", "long", "x" * 1001)
    (event,) = clocked.reports.events()
    assert (event.time, len(event.detail)) == (NOW, 1000)
    for number in range(3):
        clocked.line.add_event("c-1", "n", str(number))
    assert [each.detail for each in clocked.reports.events(2)] == ["2", "1"]


def test_strangers_by_when_they_were_told(clocked, now) -> None:
    for at, name, detail, who in (
        (0, "stranger", "plc 02", CONCENTRATOR),
        (5, "stranger", "plc 01", CONCENTRATOR),
        (9, "stranger", "plc 02", CONCENTRATOR),
        (11, "stranger", "plc 02", "c-2"),
        (12, "other", "plc 01", CONCENTRATOR),
    ):
        now[0] = NOW + at
        clocked.line.add_event(who, name, detail)
    assert clocked.street.strangers(CONCENTRATOR) == [
        records.Stranger("plc 01", NOW + 5, NOW + 5),
        records.Stranger("plc 02", NOW, NOW + 9),
    ]


def test_a_way_as_it_was_told(clocked, now) -> None:
    now[0] += 3
    path = ["plc", 2, NOW - 9, NOW - 20, NOW - 5, 90, 4, 6, True]
    clocked.line.take_meters(CONCENTRATOR, Meters("", False, [["A", [path]], ["B", []]]))
    assert clocked.street.ways(CONCENTRATOR) == [
        records.Way("A", 0, "plc", 2, NOW - 9, NOW - 5, 90, 4, 6, True, NOW + 3),
        records.Way("B", -1, "", 0, 0, 0, 0, 0, 0, False, NOW + 3),
    ]
    assert clocked.street.way_changes(CONCENTRATOR, "A") == [
        records.WayChange("plc", NOW - 20, 1),
        records.WayChange("plc", NOW - 9, 2),
    ]
    assert clocked.street.way_changes(CONCENTRATOR, "B") == []


def test_what_no_engine_could_hold(clocked, key) -> None:
    """A concentrator may tell anything that the CDDL allows."""
    job_id = configure(clocked, key)
    huge = (1 << 64) - 1
    result = MeterReport(job_id, "AMI01", "failed", "KO", "a\0b", "\0", huge, "plc", huge, None)
    take(clocked, huge, result, Event("e\0", "d\0"))
    meter = clocked.reports.meters(job_id)[0]
    assert (meter.reason, meter.detail) == ("a\ufffdb", "\ufffd")
    assert (meter.attempts, meter.duration_ms, meter.updated) == (MAX_NUMBER,) * 3
    assert clocked.reports.events()[0].name == "e\ufffd"
    clocked.line.take_state(CONCENTRATOR, birth(session=huge))
    clocked.line.take_state(CONCENTRATOR, birth(False, session=huge))
    assert not clocked.reports.concentrators()[0].online
    clocked.line.take_hello(CONCENTRATOR, Hello(1, 0, [], records=huge, head=bytes(32)))
    clocked.line.take_hello(CONCENTRATOR, Hello(1, 0, [], records=huge, head=bytes(32)))
    assert len(clocked.reports.events()) == 1
    assert clocked.reports.package_piece(bytes(32), huge, huge) == (0, b"")


def test_jobs_are_found_by_their_first_digits(clocked, key) -> None:
    ids = [bytes([0xAB, 0xC0 + number]) + bytes(14) for number in range(2)]
    ids.append(bytes([0xAB, 0xD0]) + b"\xff" * 14)
    for each in ids:
        job = NewJob(each, "c", "read", 5, 0, NOW + 9, 1, 1, None, [(8, bytes(6), 2)], ["A"], each)
        clocked.orders.add_job(job)
    find = clocked.reports.find_job
    assert find("ABC-0") == ids[0] and find("abc1") == ids[1] and find("abd") == ids[2]
    assert find(ids[2].hex()) == ids[2] and find("last") == ids[2]
    with pytest.raises(StoreProblem, match=r"more than one job in .* starts with abc"):
        find("abc")
    with pytest.raises(StoreProblem, match=r"no job in .* starts with b"):
        find("b")
    with pytest.raises(StoreProblem, match=r"no job in"):
        find(ids[2].hex() + "f")
    assert clocked.reports.job(ids[0]).attributes == [(8, bytes(6), 2)]
    with pytest.raises(StoreProblem, match="holds no job cd00"):
        clocked.reports.job(b"\xcd" + bytes(15))
    with pytest.raises(StoreProblem, match="holds no package 00"):
        clocked.reports.package_name(bytes(32))


def test_a_package_stays_what_it_was(clocked) -> None:
    digest = clocked.orders.add_package(b"content", "name", "1")
    assert clocked.orders.add_package(b"content", "other", "2") == digest
    assert clocked.reports.package_name(digest) == ("name", "1")
    assert clocked.reports.package_piece(digest, 2, 3) == (7, b"nte")


def test_one_short_look_tells_whether_anything_is_due(clocked, now, key) -> None:
    new, unanswered = ("submitted",), ("submitted", "sent")

    def due() -> tuple[bool, bool]:
        return clocked.line.anything_due(new), clocked.line.anything_due(unanswered)

    assert due() == (False, False)
    job_id = configure(clocked, key)
    assert due() == (True, True)
    sent(clocked, job_id)
    assert due() == (False, True)
    take(clocked, NOW, accepted(job_id))
    assert due() == (False, False)
    order.cancel(clocked.orders, key, job_id)
    assert due() == (True, True)
    sent(clocked, job_id, "cancel")
    assert due() == (False, True)
    take(clocked, NOW, JobReport(job_id, "in-progress", "canceled", ""))
    order.pause(clocked.orders, key, job_id, True)
    assert due() == (True, True)
    sent(clocked, job_id, "pause")
    take(clocked, NOW, JobReport(job_id, "in-progress", "paused", ""))
    assert due() == (False, False)
    clocked.trust.add_numbered("keys", "c-4", 1, "", b"")
    assert due() == (True, True)
    clocked.line.numbered_sent(clocked.line.numbered("c-4")[0])
    clocked.line.take_hello("c-4", Hello(1, 0, [], keys=1))
    assert due() == (False, False)
    clocked.street.ask_meters(CONCENTRATOR)
    assert due() == (True, True)
    clocked.line.ask_sent(CONCENTRATOR)
    now[0] += 29
    assert due() == (False, False)
    now[0] += 1
    assert due() == (True, True)
