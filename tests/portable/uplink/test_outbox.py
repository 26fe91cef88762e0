"""The outbox alone: a window of messages, patience that doubles, and answers that do not count."""

from __future__ import annotations

from gateway.contract.messages import REPORTS_SIZE, Ack, Reports, Resend
from gateway.contract.result import VALUE, Result
from gateway.uplink.outbox import MAX_PATIENCE_MS, MOST, PATIENCE_MS, WINDOW, Outbox
from hal.rt import log
from tests.portable.uplink.support import KNOWN, World, read_job

log.set_level("error")


def full(count: int) -> tuple[World, Outbox]:
    """`count` reports wait, each of them small."""
    world = World()
    for number in range(count):
        world.ledger.event("event-%d" % number)
    assert world.ledger.last_number == count
    return world, Outbox(world.ledger)


def numbers(batch: Reports | None) -> list[int]:
    assert batch is not None
    return [report.number for report in batch.reports]


def drained(outbox: Outbox, now: int) -> list[int]:
    """The last number of each message that goes out now."""
    ends = []
    while True:
        batch = outbox.batch(now)
        if batch is None:
            return ends
        outbox.published(now)
        ends.append(numbers(batch)[-1])


def test_sizes_and_times() -> None:
    assert (WINDOW, MOST, PATIENCE_MS, MAX_PATIENCE_MS) == (4, 64, 60_000, 960_000)


def test_at_most_a_window_of_full_messages_is_on_the_way() -> None:
    _, outbox = full(WINDOW * MOST - 6)  # the last message of the window is not full
    assert drained(outbox, 0) == [MOST, 2 * MOST, 3 * MOST, 4 * MOST - 6]
    _, outbox = full(200)
    assert numbers(outbox.batch(0)) == list(range(1, MOST + 1))


def test_each_acknowledgement_makes_room_for_as_many_more() -> None:
    world = World()
    job = read_job(1, serials=KNOWN[:1])
    assert world.ledger.accept(job, job.encode()) == "accepted"
    outbox = Outbox(world.ledger)
    epoch = world.ledger.epoch
    for number in range(60):
        world.ledger.event("t%d" % number)
    sent = []
    for _ in range(WINDOW):
        batch = outbox.batch(0)
        sent.append(numbers(batch)[-1])
        outbox.published(0)
        world.ledger.event("u%d" % len(sent))
    assert sent == [61, 62, 63, 64]
    assert outbox.batch(0) is None  # the window is full
    outbox.acknowledged(Ack(epoch, 62), 0)  # two of the four messages
    world.ledger.event("v")
    assert numbers(outbox.batch(0)) == [65, 66]
    outbox.published(0)
    world.ledger.event("w")
    assert numbers(outbox.batch(0)) == [67]
    outbox.published(0)
    world.ledger.event("x")
    assert outbox.batch(0) is None


def test_without_an_answer_all_is_sent_again_ever_more_seldom() -> None:
    world, outbox = full(3)
    assert drained(outbox, 0) == [3]
    at, patience = 0, PATIENCE_MS
    for _ in range(8):
        assert drained(outbox, at + patience - 1) == []
        at += patience
        assert drained(outbox, at) == [3]
        patience = min(2 * patience, MAX_PATIENCE_MS)
    assert patience == MAX_PATIENCE_MS
    # Progress makes it as eager as at first; an answer that brings none does not.
    outbox.acknowledged(Ack(world.ledger.epoch, 0), at)
    assert drained(outbox, at + PATIENCE_MS) == []
    outbox.acknowledged(Ack(world.ledger.epoch, 1), at)
    assert drained(outbox, at + PATIENCE_MS - 1) == []
    assert drained(outbox, at + PATIENCE_MS) == [3]


def test_answers_that_are_not_of_this_ledger_change_nothing() -> None:
    world, outbox = full(5)
    epoch = world.ledger.epoch
    drained(outbox, 0)
    for epoch_told, number in ((epoch ^ 1, 3), (epoch, 6), (epoch ^ 1, 6)):
        outbox.acknowledged(Ack(epoch_told, number), 0)
        assert world.ledger.acknowledged == 0 and drained(outbox, 0) == []
    outbox.resend(Resend(epoch ^ 1, 1))
    assert drained(outbox, 0) == []
    outbox.resend(Resend(epoch, 6))  # it was not sent yet
    assert drained(outbox, 0) == []
    outbox.resend(Resend(epoch, 5))
    assert numbers(outbox.batch(0)) == [5]
    outbox.resend(Resend(epoch, 2))
    assert numbers(outbox.batch(0)) == [2, 3, 4, 5]
    outbox.acknowledged(Ack(epoch, 3), 0)
    outbox.resend(Resend(epoch, 1))  # 1 to 3 are acknowledged: they are not sent any more
    assert numbers(outbox.batch(0)) == [4, 5]
    outbox.acknowledged(Ack(epoch, 5), 0)
    assert world.ledger.acknowledged == 5 and outbox.batch(0) is None


def test_a_message_ends_before_it_is_too_large_and_holds_one_report_at_least() -> None:
    world = World()
    for number in range(3):
        job = read_job(number + 1, serials=KNOWN[:1])
        assert world.ledger.accept(job, job.encode()) == "accepted"
        execution = world.queue.take(lambda serial, job: True)
        assert execution is not None
        size = (REPORTS_SIZE // 2, REPORTS_SIZE // 2, 3 * REPORTS_SIZE)[number]
        value = [bytes(size)]
        world.ledger.finished(execution.seq, 0, 2, Result(VALUE, "read", "", value))
        world.queue.release(job.id)
        world.queue._in_work.abandon(execution)
    outbox = Outbox(world.ledger)
    # accepted, value, ended: of each of the three jobs
    for expected in ([1, 2, 3, 4], [5, 6, 7], [8], [9]):
        assert numbers(outbox.batch(0)) == expected
        outbox.published(0)
    assert outbox.batch(0) is None


def test_a_new_connection_begins_after_what_is_acknowledged() -> None:
    world, outbox = full(5)
    drained(outbox, 0)
    outbox.acknowledged(Ack(world.ledger.epoch, 2), 0)
    assert outbox.batch(0) is None
    outbox.connected()
    assert numbers(outbox.batch(0)) == [3, 4, 5]


def test_nothing_is_forgotten_that_was_not_sent_over_this_connection() -> None:
    world, outbox = full(5)
    epoch = world.ledger.epoch
    outbox.acknowledged(Ack(epoch, 5), 0)
    assert world.ledger.acknowledged == 0
    drained(outbox, 0)
    outbox.acknowledged(Ack(epoch, 2), 0)
    for _ in range(3):
        world.ledger.event("later")
    outbox.acknowledged(Ack(epoch, 8), 0)  # 6 to 8 were not sent
    assert world.ledger.acknowledged == 5
    outbox.connected()
    outbox.resend(Resend(epoch, 7))
    outbox.acknowledged(Ack(epoch, 8), 0)
    assert world.ledger.acknowledged == 5
    assert numbers(outbox.batch(0)) == [6, 7, 8]
    outbox.acknowledged(Ack(epoch, 8), 0)
    assert world.ledger.acknowledged == 8
