"""The conversation with the HES: real ledger, queue, signatures; HES in RAM; a bad line."""

from __future__ import annotations

import hashlib

from gateway.contract.limits import MAX_MESSAGE, MAX_PACKAGE
from gateway.contract.messages import Ack, Cancel, Pause, Resend
from gateway.contract.reports import JobReport, MeterReport, Refusal
from gateway.contract.result import OK, VALUE, Result
from gateway.uplink.inbox import HELLO_AGAIN_MS
from gateway.uplink.session import LAST_PAUSE_MS, PUBLISH_MS
from hal.ports import Message
from hal.rt import log
from tests.portable.jobs.support import done
from tests.portable.support import random_bytes, run
from tests.portable.uplink.support import (
    HERE,
    HOUR,
    KNOWN,
    NOW,
    World,
    configure_job,
    package,
    read_job,
    signed,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

log.set_level("error")
MINUTE = 60_000


def work(world: World, result: Result | None = None) -> list[str]:
    """Carry out whatever the queue gives, every time with the same result; the serials."""
    serials: list[str] = []
    while True:
        execution = world.queue.take(lambda serial, job: True)
        if execution is None:
            return serials
        done(world.queue, execution, result or Result(VALUE, "read", "", [b"\x00"]), "plc", 5)
        serials.append(execution.serial)


def results(world: World) -> list[tuple[str, str, str]]:
    """What the HES was told of each meter, in order."""
    bodies = world.hes.bodies(MeterReport)
    return [(body.serial, body.state, body.reason) for body in bodies]


# The way of a job.


def test_birth_and_will() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        state = world.hes.state
        assert state is not None and state.online and state.concentrator == HERE
        assert (state.meters_known, state.meters_reachable, state.jobs_open) == (3, 2, 0)
        assert (state.firmware, state.runtime, state.epoch) == ("1.0", "test", world.ledger.epoch)
        assert (state.first, state.next) == (1, 1)
        born = state.session
        world.line.up = False
        world.line.cut()
        state = world.hes.state
        assert state is not None and not state.online and state.session == born
        world.line.up = True
        await world.clock.run(2 * MINUTE)
        state = world.hes.state
        assert state is not None and state.online and state.session != born
        await world.stop()

    run(scenario())


def test_farewell_is_an_offline_state() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        await world.session.farewell()
        assert world.hes.state is not None and not world.hes.state.online

    run(scenario())


def test_a_read_job_from_order_to_report() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        job = read_job()
        world.hes.order("job", signed(job.encode()))
        await world.clock.run(1000)
        assert work(world) == KNOWN[:2]
        await world.clock.run(1000)
        bodies = world.hes.bodies(JobReport)
        assert [(body.state, body.reason) for body in bodies] == [
            ("queued", "accepted"),
            ("succeeded", "ended"),
        ]
        assert results(world) == [(serial, "succeeded", "read") for serial in KNOWN[:2]]
        report = world.hes.bodies(MeterReport)[0]
        assert (report.outcome, report.value, report.path) == (VALUE, [b"\x00"], "plc")
        assert (report.attempts, report.duration_ms, report.job_id) == (1, 5, job.id)
        assert world.ledger.acknowledged == world.ledger.last_number == 4
        assert [report.number for report in world.hes.reports] == [1, 2, 3, 4]
        await world.stop()

    run(scenario())


def test_a_configure_job_waits_for_its_package() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        raw = signed(package(9000).to_payload())
        job = configure_job(raw)
        world.hes.lose = ["chunk"]
        world.hes.packages[hashlib.sha256(raw).digest()] = raw
        world.hes.order("job", signed(job.encode()))
        await world.clock.run(5000)
        assert work(world) == []
        world.hes.lose = []
        await world.clock.run(2 * MINUTE)
        assert job.package is not None
        assert world.session.files.package(job.package.digest).name == "interval-900"
        assert work(world, Result(OK, "applied")) == KNOWN[:2]
        await world.clock.run(6 * MINUTE)
        assert [report[2] for report in results(world)] == ["applied", "applied"]
        assert not [name for name in world.storage.names() if name.startswith("package")]
        await world.stop()

    run(scenario())


def test_two_jobs_share_one_package() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        raw = signed(package().to_payload())
        world.hes.packages[hashlib.sha256(raw).digest()] = raw
        world.hes.order("job", signed(configure_job(raw, 1).encode()))
        await world.clock.run(2000)
        world.hes.order("job", signed(configure_job(raw, 2, serials=KNOWN[2:]).encode()))
        await world.clock.run(2000)
        assert work(world, Result(OK, "applied")) == KNOWN
        assert world.hes.count("pull") == 1
        await world.stop()

    run(scenario())


def test_unknown_meters_are_rejected_at_once_and_the_others_go_on() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        job = read_job(serials=["NOBODY", KNOWN[1], "NOONE"])
        world.hes.order("job", signed(job.encode()))
        await world.clock.run(1000)
        assert results(world) == [
            ("NOBODY", "rejected", "unknown-meter"),
            ("NOONE", "rejected", "unknown-meter"),
        ]
        assert work(world) == [KNOWN[1]]
        await world.clock.run(1000)
        assert world.hes.bodies(JobReport)[-1].state == "failed"
        await world.stop()

    run(scenario())


def test_a_cancel_ends_what_is_queued() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        job = read_job()
        world.hes.order("job", signed(job.encode()))
        await world.clock.run(1000)
        world.hes.order("cancel", signed(Cancel(job.id, HERE, NOW).encode()))
        await world.clock.run(1000)
        assert results(world) == [(serial, "canceled", "canceled") for serial in KNOWN[:2]]
        assert world.hes.bodies(JobReport)[-1].state == "canceled"
        assert work(world) == []
        await world.stop()

    run(scenario())


def test_a_job_is_paused_and_resumed() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        job = read_job()
        world.hes.order("job", signed(job.encode()))
        await world.clock.run(1000)
        for _ in range(2):  # a repeated one says nothing new
            world.hes.tell("pause", signed(Pause(job.id, HERE, NOW, True).encode()))
        await world.clock.run(1000)
        assert work(world) == []
        await world.stop()
        world.boot()
        await world.start()
        assert work(world) == []
        world.hes.tell("pause", signed(Pause(job.id, HERE, NOW + 1, False).encode()))
        await world.clock.run(1000)
        assert work(world) == KNOWN[:2]
        await world.clock.run(1000)
        assert [(body.state, body.reason) for body in world.hes.bodies(JobReport)] == [
            ("queued", "accepted"),
            ("in-progress", "paused"),
            ("in-progress", "resumed"),
            ("succeeded", "ended"),
        ]
        assert world.hes.reasons() == []
        await world.stop()

    run(scenario())


def test_a_job_for_nobody_known_is_refused() -> None:
    world = World()
    assert refused(signed(read_job(serials=["NOBODY"]).encode()), "job", world) == "unknown-meter"
    assert world.ledger.jobs() == []


def test_a_window_that_is_too_short_is_accepted_with_the_forecast() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        world.hes.order("job", signed(read_job(1, serials=KNOWN[:1]).encode()))
        await world.clock.run(1000)
        execution = world.queue.take(lambda serial, job: True)
        assert execution is not None
        await world.queue.finish(execution, Result(VALUE, "read", "", [b"\x00"]), "plc", 40000)
        world.hes.order("job", signed(read_job(2, not_after=NOW + 63).encode()))
        await world.clock.run(1000)
        told = world.hes.bodies(JobReport)[-1]
        assert (told.state, told.reason) == ("queued", "window-short")
        assert told.detail.startswith("about 1 of 2 meters have their turn within the window")
        assert len(work(world)) == 2
        await world.stop()

    run(scenario())


def test_refusals_of_a_pause() -> None:
    world = World()
    job_id = read_job().id
    world.give("job", signed(read_job().encode()))
    world.give("pause", signed(Pause(job_id, HERE, NOW, True).encode()))
    for reason, order in (
        ("wrong-concentrator", Pause(job_id, "c-0043", NOW, False)),
        ("not-yet-valid", Pause(job_id, HERE, NOW + 3700, False)),
        ("outdated", Pause(job_id, HERE, NOW - 1, False)),
    ):
        assert refused(signed(order.encode()), "pause", world) == reason
    # An order for one thing is none for another, whoever publishes it where.
    assert refused(signed(Cancel(job_id, HERE, NOW).encode()), "pause", world) == "malformed"
    order = Pause(job_id, HERE, NOW + 1, False)
    assert refused(signed(order.encode()), "cancel", world) == "malformed"
    assert work(world) == []


def test_an_order_lost_on_the_way_comes_with_the_next_hello() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        world.hes.lose = ["job"]
        world.hes.order("job", signed(read_job().encode()))
        await world.clock.run(1000)
        assert world.hes.reports == []
        world.hes.lose = []
        await world.clock.run(6 * MINUTE)
        assert world.hes.bodies(JobReport)[0].reason == "accepted"
        await world.stop()

    run(scenario())


def test_after_a_restart_a_pull_goes_on_where_it_was() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        raw = signed(package(1000).to_payload())
        digest = hashlib.sha256(raw).digest()
        job = configure_job(raw)
        world.hes.order("job", signed(job.encode()))
        await world.clock.run(1000)
        await world.stop()
        world.hes.packages[digest] = raw
        world.boot()
        await world.start()
        await world.clock.run(1000)
        assert world.session.files.has(digest)
        await world.stop()
        # And a restart with the package here: the job may begin without the HES.
        world.line.up = False
        world.boot()
        assert work(world, Result(OK, "applied")) == KNOWN[:2]

    run(scenario())


# Each refusal has its name, is reported, and changes nothing.


def refused(payload: bytes, name: str = "job", world: World | None = None) -> str:
    world = world or World()
    before = len(world.refusals())
    jobs = [entry.job.id for entry in world.ledger.jobs()]
    world.give(name, payload)
    reasons = world.refusals()[before:]
    assert len(reasons) == 1, reasons
    assert [entry.job.id for entry in world.ledger.jobs()] == jobs
    return reasons[0]


def test_refusals_of_the_envelope() -> None:
    good = signed(read_job().encode())
    assert refused(b"") == "malformed"
    assert refused(b"\xff" * 50) == "malformed"
    assert refused(read_job().encode()) == "malformed"
    assert refused(good[:-1] + bytes([good[-1] ^ 1])) == "bad-signature"
    assert refused(signed(read_job().encode(), b"nobody")) == "unknown-signer"


def test_refusals_of_the_job() -> None:
    for reason, changes in (
        ("wrong-concentrator", {"concentrator": "c-0043"}),
        ("expired", {"not_after": NOW - 1}),
        ("not-yet-valid", {"issued": NOW + 3700}),
        ("bad-window", {"not_before": NOW + 20, "not_after": NOW + 10}),
        ("unknown-kind", {"kind": 9}),
        ("no-meters", {"serials": []}),
        ("malformed", {"priority": 10}),
        ("malformed", {"objects": []}),
    ):
        payload = read_job(**changes).encode()
        assert refused(signed(payload)) == reason, changes


def test_a_job_issued_within_the_tolerance_is_taken() -> None:
    world = World()
    world.give("job", signed(read_job(issued=NOW + 3500).encode()))
    assert world.refusals() == [] and len(world.ledger.jobs()) == 1


def test_oversized() -> None:
    assert refused(bytes(MAX_MESSAGE + 1)) == "oversized"
    job = configure_job(b"x")
    assert job.package is not None
    job.package.size = MAX_PACKAGE + 1
    assert refused(signed(job.encode())) == "oversized"
    world = World()
    world.session.take(Message("oversized/ami/v1/%s/job" % HERE, b""))
    assert world.refusals() == ["oversized"]


def test_duplicates() -> None:
    world = World()
    world.give("job", signed(read_job().encode()))
    assert refused(signed(read_job().encode()), "job", world) == "duplicate"
    other = signed(read_job(priority=6).encode())
    assert refused(other, "job", world) == "conflicting-duplicate"
    assert len(work(world)) == 2
    assert refused(signed(read_job().encode()), "job", world) == "duplicate"


def test_a_job_that_is_known_is_refused_as_nothing_else_however_late_it_comes() -> None:
    """So another refusal tells the HES that the job is not here."""
    world = World()
    job = signed(read_job().encode())
    world.give("job", job)
    world.clock.advance(2 * HOUR * 1000)
    world.status.knows = lambda serial: False  # type: ignore[method-assign]
    assert refused(job, "job", world) == "duplicate"
    work(world)
    world.ledger.cancel(read_job().id)
    world.ledger.acknowledge(world.ledger.last_number)
    assert refused(job, "job", world) == "already-ended"
    assert refused(job, "job", World(NOW + 2 * HOUR)) == "expired"


def test_what_is_asked_for_and_not_kept_any_more_brings_a_hello_and_no_more_than_one() -> None:
    """A HES that was restored from a copy asks for what it had acknowledged: the hello tells it
    where the reports begin."""

    async def scenario() -> None:
        world = World()
        await world.start()
        world.ledger.event("an-event")
        await world.clock.run(2000)
        assert world.ledger.acknowledged == 1
        hellos, epoch = world.hes.count("hello"), world.ledger.epoch
        for _ in range(50):
            world.hes.tell("resend", Resend(epoch, 1).encode())
            await world.clock.run(100)
        assert world.hes.count("hello") == hellos + 1
        hello = [content for name, content in world.hes.heard if name == "hello"][-1]
        assert (hello.first, hello.next) == (2, 2)
        await world.clock.run(HELLO_AGAIN_MS)
        world.hes.tell("resend", Resend(epoch, 1).encode())
        await world.clock.run(1000)
        assert world.hes.count("hello") == hellos + 2
        # What is kept, or of another epoch, needs none.
        for resend in (Resend(epoch, 2), Resend(epoch ^ 1, 1)):
            await world.clock.run(HELLO_AGAIN_MS)
            world.hes.tell("resend", resend.encode())
            await world.clock.run(1000)
        assert world.hes.count("hello") == hellos + 2
        await world.stop()

    run(scenario())


def test_a_job_whose_package_never_fits_ends_and_says_so() -> None:
    async def scenario() -> None:
        raw = signed(package().to_payload())
        job = configure_job(raw)
        world = World()
        world.hes.packages[job.package.digest] = raw + b"x"  # type: ignore[union-attr]
        world.hes.order("job", signed(job.encode()))
        await world.start()
        await world.clock.run(20 * 60_000)
        assert world.hes.bodies(MeterReport) == []
        await world.clock.run(20 * 60_000)
        found = [(body.outcome, body.reason) for body in world.hes.bodies(MeterReport)]
        assert found == [("KO", "package-unavailable")] * 2
        assert "%d octets" % len(raw) in world.hes.bodies(MeterReport)[0].detail
        assert world.ledger.open_jobs() == []
        await world.stop()

    run(scenario())


def test_too_many_jobs() -> None:
    world = World()
    for number in range(4):
        world.give("job", signed(read_job(number).encode()))
    assert refused(signed(read_job(9).encode()), "job", world) == "too-many-jobs"


def test_refusals_of_a_cancel() -> None:
    world = World()
    world.give("job", signed(read_job().encode()))
    job_id = read_job().id
    assert refused(Cancel(job_id, HERE, NOW).encode(), "cancel", world) == "malformed"
    for reason, cancel in (
        ("wrong-concentrator", Cancel(job_id, "c-0043", NOW)),
        ("not-yet-valid", Cancel(job_id, HERE, NOW + 3700)),
    ):
        assert refused(signed(cancel.encode()), "cancel", world) == reason
    assert refused(signed(read_job().encode()), "cancel", world) == "malformed"
    assert refused(signed(Cancel(job_id, HERE, NOW).encode()), "job", world) == "malformed"
    assert len(work(world)) == 2


def test_malformed_on_each_topic() -> None:
    for name in ("job", "cancel", "chunk", "ack", "resend", "time"):
        for raw in (b"", b"\x80", b"\x81\x02", random_bytes(7, 99)):
            assert refused(raw, name) == "malformed"


def test_a_refusal_reaches_the_hes_with_the_digest() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        payload = read_job(concentrator="other").encode()
        world.hes.order("job", signed(payload))
        world.hes.order("cancel", b"noise")
        await world.clock.run(1000)
        first, second = world.hes.bodies(Refusal)
        assert (first.reason, first.topic, first.job_id) == (
            "wrong-concentrator",
            "job",
            bytes(15) + b"\x01",
        )
        assert first.digest == hashlib.sha256(payload).digest()
        assert "expected %s, came other" % HERE in first.detail
        assert (second.reason, second.topic, second.job_id) == ("malformed", "cancel", None)
        assert second.digest == hashlib.sha256(b"noise").digest()
        await world.stop()

    run(scenario())


def test_a_flood_of_bad_messages_leaves_a_bounded_outbox() -> None:
    world = World()
    for number in range(2000):
        world.give("ack", b"%d" % number)
    assert world.ledger.last_number <= 300


def test_other_topics_are_nothing_to_us() -> None:
    world = World()
    for topic in (
        "",
        "ami/v1/c-0043/job",
        "ami/v1/%s/state" % HERE,
        "ami/v1/%s/job/x" % HERE,
        "oversized/x",
    ):
        world.session.take(Message(topic, b"\x00"))
    assert world.ledger.last_number == 0


# Packages that do not come, or not as named.


def bad_package(raw: bytes, answer: bytes) -> list[tuple[str, str, str]]:
    """What is reported of the meters when the HES sends `answer` for the package file `raw`."""

    async def scenario() -> list[tuple[str, str, str]]:
        world = World()
        await world.start()
        world.hes.packages[hashlib.sha256(raw).digest()] = answer
        world.hes.order("job", signed(configure_job(raw).encode()))
        await world.clock.run(2000)
        assert work(world) == []
        assert world.hes.bodies(JobReport)[-1].state == "failed"
        told = results(world)
        await world.stop()
        return told

    return run(scenario())


def test_wrong_digest() -> None:
    raw = signed(package().to_payload())
    told = [(serial, "failed", "bad-digest") for serial in KNOWN[:2]]
    assert bad_package(raw, raw[:-1] + b"?") == told


def test_bad_packages() -> None:
    payload = package().to_payload()
    good = signed(payload)
    for reason, raw in (
        ("bad-package", payload),
        ("bad-package", signed(b"\x80")),
        ("bad-package", signed(read_job().encode())),
        ("unknown-signer", signed(payload, b"nobody")),
        ("bad-signature", good[:-1] + bytes([good[-1] ^ 1])),
    ):
        assert bad_package(raw, raw) == [(serial, "failed", reason) for serial in KNOWN[:2]]


def test_package_that_never_comes() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        raw = signed(package().to_payload())
        world.hes.order("job", signed(configure_job(raw).encode()))
        await world.clock.run(30 * MINUTE)
        assert work(world) == [] and results(world) == []
        assert 4 <= world.hes.count("pull") <= 30  # it was asked for, but not without pause
        await world.clock.run(31 * MINUTE)
        assert work(world) == []
        await world.clock.run(MINUTE)
        assert results(world) == [(s, "timed-out", "package-unavailable") for s in KNOWN[:2]]
        await world.stop()

    run(scenario())


# Reports: each arrives once, in order, whatever happens on the way.


def check_all_arrived(world: World, jobs: int) -> None:
    assert [report.number for report in world.hes.reports] == list(range(1, jobs * 4 + 1))
    assert sorted(results(world)) == sorted(
        [(serial, "succeeded", "read") for serial in KNOWN[:2]] * jobs
    )
    assert world.ledger.acknowledged == world.ledger.last_number


def test_nothing_is_forgotten_before_the_hes_acknowledges() -> None:
    async def scenario() -> None:
        world = World()
        world.hes.acknowledging = False
        await world.start()
        world.hes.order("job", signed(read_job().encode()))
        await world.clock.run(1000)
        work(world)
        await world.clock.run(20 * MINUTE)
        assert world.ledger.acknowledged == 0
        assert world.hes.count("report") > 3  # sent again, and again
        assert world.hes.count("report") < 12  # but with patience
        world.hes.acknowledging = True
        await world.clock.run(20 * MINUTE)
        check_all_arrived(world, 1)
        await world.stop()

    run(scenario())


def test_lost_reports_and_lost_acknowledgements() -> None:
    for lost in ("report", "ack", "resend"):

        async def scenario(lost: str = lost) -> None:
            world = World()
            await world.start()
            for number in range(1, 4):
                world.hes.lose = [lost] if number == 2 else []
                world.hes.order("job", signed(read_job(number).encode()))
                await world.clock.run(1000)
                work(world)
                await world.clock.run(1000)
            await world.clock.run(20 * MINUTE)
            check_all_arrived(world, 3)
            await world.stop()

        run(scenario())


def test_a_gap_is_filled_at_once_on_request() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        world.hes.lose = ["report"]
        world.hes.order("job", signed(read_job(1).encode()))
        await world.clock.run(1000)
        work(world)
        await world.clock.run(1000)
        assert world.hes.reports == []
        world.hes.lose = []
        world.hes.order("job", signed(read_job(2, serials=KNOWN[2:]).encode()))
        await world.clock.run(1000)
        assert [report.number for report in world.hes.reports] == [1, 2, 3, 4, 5]
        await world.stop()

    run(scenario())


def test_duplicated_and_reordered_messages() -> None:
    for twice, backwards in ((True, False), (False, True), (True, True)):

        async def scenario(twice: bool = twice, backwards: bool = backwards) -> None:
            world = World()
            world.line.twice, world.line.backwards = twice, backwards
            await world.start()
            raw = signed(package(9000).to_payload())
            world.hes.packages[hashlib.sha256(raw).digest()] = raw
            world.hes.order("job", signed(configure_job(raw).encode()))
            await world.clock.run(10 * MINUTE)
            assert work(world, Result(OK, "applied")) == KNOWN[:2]
            await world.clock.run(10 * MINUTE)
            assert results(world) == [(serial, "succeeded", "applied") for serial in KNOWN[:2]]
            assert [r.number for r in world.hes.reports] == list(range(1, world.hes.number + 1))
            for reason in world.hes.reasons():
                assert reason == "duplicate"
            await world.stop()

        run(scenario())


def test_works_on_offline_and_delivers_later() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        world.hes.order("job", signed(read_job().encode()))
        await world.clock.run(1000)
        world.line.up = False
        world.line.cut()
        assert work(world) == KNOWN[:2]
        await world.clock.run(3 * HOUR * 1000)
        assert results(world) == []
        world.line.up = True
        await world.clock.run(2 * MINUTE)
        check_all_arrived(world, 1)
        await world.stop()

    run(scenario())


def test_a_restart_between_report_and_acknowledgement() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        world.hes.order("job", signed(read_job().encode()))
        await world.clock.run(1000)
        world.hes.lose = ["ack"]
        work(world)
        await world.clock.run(1000)
        assert world.hes.number == 4 and world.ledger.acknowledged == 1
        await world.stop()
        world.hes.lose = []
        world.boot()
        await world.start()
        check_all_arrived(world, 1)
        await world.stop()

    run(scenario())


def test_many_reports_go_in_bounded_messages() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        world.line.up = False
        world.line.cut()
        for number in range(4):
            serials = KNOWN[:1] + ["S%03d" % i for i in range(101)]
            world.give("job", signed(read_job(number, serials=serials).encode()))
        world.line.up = True
        await world.clock.run(3 * MINUTE)
        assert world.hes.number == 4 * 102
        messages = [content for name, content in world.hes.heard if name == "report"]
        assert max([len(message.encode()) for message in messages]) <= 16384 + 64
        assert max([len(message.reports) for message in messages]) <= 64
        await world.stop()

    run(scenario())


def test_a_large_value_goes_alone() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        world.hes.order("job", signed(read_job().encode()))
        await world.clock.run(1000)
        work(world, Result(VALUE, "read", "", [bytes(30000), bytes(8000)]))
        await world.clock.run(1000)
        assert [len(body.value[0]) for body in world.hes.bodies(MeterReport)] == [30000, 30000]
        await world.stop()

    run(scenario())


def test_acknowledgements_that_cannot_be_are_ignored() -> None:
    world = World()
    world.give("job", signed(read_job().encode()))
    epoch = world.ledger.epoch
    world.give("ack", Ack(epoch, 1).encode())  # nothing was sent yet
    assert world.ledger.acknowledged == 0
    assert world.session._outbox.batch(0) is not None
    world.give("ack", Ack(epoch ^ 1, 1).encode())
    world.give("ack", Ack(epoch, 2).encode())
    world.give("resend", Resend(epoch, 99).encode())
    world.give("resend", Resend(epoch ^ 1, 1).encode())
    assert world.ledger.acknowledged == 0
    world.give("ack", Ack(epoch, 1).encode())
    assert world.ledger.acknowledged == 1
    assert world.refusals() == []


# The line.


def test_pauses_between_attempts_grow_and_differ() -> None:
    async def scenario() -> None:
        world = World()
        world.line.up = False
        await world.start()
        await world.clock.run(HOUR * 1000)
        ticks = world.line.attempts
        pauses = [ticks[i + 1] - ticks[i] for i in range(len(ticks) - 1)]
        assert 500 <= pauses[0] <= 1000
        assert max(pauses) <= LAST_PAUSE_MS
        assert min(pauses[7:]) >= LAST_PAUSE_MS // 2
        assert len(set(pauses[7:])) > 5
        world.line.up = True
        await world.clock.run(LAST_PAUSE_MS)
        assert world.session.online
        await world.stop()

    run(scenario())


def test_a_half_open_line_is_noticed() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        world.line.stuck = True
        await world.clock.run(5 * MINUTE + PUBLISH_MS - 10_000)
        assert len(world.line.attempts) == 1
        await world.clock.run(20_000)
        assert len(world.line.attempts) == 2
        world.line.stuck = False
        births = world.hes.count("state")
        await world.clock.run(2 * MINUTE + PUBLISH_MS)
        assert world.session.online and world.hes.count("state") > births
        await world.stop()

    run(scenario())


def test_a_fault_in_the_uplink_does_not_end_the_session() -> None:
    async def scenario() -> None:
        log.set_level("error")
        world = World()
        publish = world.line.publish
        faults: list[Message] = []

        async def faulty(message: Message, timeout_ms: int) -> None:
            if not faults:
                faults.append(message)
                raise ValueError("a fault for the test")
            await publish(message, timeout_ms)

        world.line.publish = faulty  # type: ignore[method-assign]
        await world.start()
        await world.clock.run(2 * MINUTE)
        assert faults and world.session.online
        await world.stop()

    run(scenario())


# Storage.


def test_a_full_flash_refuses_jobs_and_goes_on() -> None:
    world = World()
    world.storage.set_capacity(sum([world.storage.size(name) for name in world.storage.names()]))
    world.give("job", signed(read_job().encode()))
    assert world.ledger.jobs() == []
    world.storage.set_capacity(1 << 20)
    world.give("job", signed(read_job().encode()))
    assert len(world.ledger.jobs()) == 1


def test_a_write_error_is_not_an_answer() -> None:
    log.set_level("error")
    world = World()
    world.storage.fail_next(5)
    world.give("job", signed(read_job().encode()))
    assert world.ledger.jobs() == []
    world.give("job", signed(read_job().encode()))
    assert len(world.ledger.jobs()) == 1 and world.refusals() == []
