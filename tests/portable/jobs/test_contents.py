"""What the ledger's records amount to, one by one: what a checkpoint keeps, and where a report is
looked for."""

from __future__ import annotations

from gateway.contract.job import State
from gateway.jobs.contents import Contents
from gateway.jobs.entry import PASSED
from gateway.jobs.records import (
    ACCEPTED,
    ACKNOWLEDGED,
    AGAIN,
    CANARY,
    CANCELED,
    CHECKPOINT,
    ENDED,
    EVENT,
    FINISHED,
    JOB_STATE,
    PAUSED,
    STARTED,
)
from gateway.journal import segment_of
from hal.rt import cbor
from hal.sim.clock import ManualClock
from tests.portable.jobs.test_ledger import NOW, make_job

SEGMENT = 1
while segment_of(SEGMENT) == 0:
    SEGMENT <<= 1


def fresh(*seqs: int) -> Contents:
    """With a job under each of `seqs`, three meters in each."""
    contents = Contents(ManualClock(NOW))
    for seq in seqs:
        raw = make_job(seq).encode()
        contents.apply([ACCEPTED, seq, NOW, seq, "accepted", raw, ""], seq)
    return contents


def checkpoint(seqs: list[int], remembered: list[list[bytes]]) -> list[object]:
    return [CHECKPOINT, 1, 77, 9, 40, 30, [33, 35], remembered, seqs, 4]


def test_a_checkpoint_stands_for_all_before_it() -> None:
    contents = fresh(1, 2, 3)
    contents.memory.restore([[b"old", bytes(20)]], [7, [[b"early", 5, True, [False, 0, []]]]])
    contents.apply(checkpoint([2], [[b"id", bytes(20)]]), 5)
    # What is not in it had ended, although the record of that may have been lost to damage.
    assert sorted(contents.entries) == [2]
    memory = contents.memory
    assert (memory.ended, memory.early, memory.floor) == ({b"id": bytes(20)}, {}, 0)
    assert (contents.epoch, contents.next_seq) == (77, 9)
    assert (contents.last_number, contents.acknowledged) == (40, 30)
    assert contents.routine == [33, 35] and contents.checkpoint_segment == 4


def test_all_of_a_job_comes_through_a_checkpoint() -> None:
    for name, changes in (
        ("as accepted", []),
        ("begun", [[STARTED, 1, 1, 1]]),
        ("waits", [[STARTED, 1, 0, 1], [AGAIN, 1, 0, "no-answer", NOW + 90, 1]]),
        (
            "for two reasons",
            [
                [STARTED, 1, 0, 1],
                [AGAIN, 1, 0, "no-answer", NOW + 90, 1],
                [STARTED, 1, 2, 1],
                [AGAIN, 1, 2, "link-lost", NOW + 60, 2],
            ],
        ),
        ("interrupted, as it was", [[STARTED, 1, 0, 1], [AGAIN, 1, 0, "interrupted", 0, 1]]),
        ("interrupted", [[STARTED, 1, 0, 1], [AGAIN, 1, 0, "interrupted", NOW + 60, 1, 1]]),
        (
            "finished",
            [[FINISHED, 2, NOW, 1, 1, State.SUCCEEDED, "OK", "applied", "", None, 1, "plc", 9]],
        ),
        ("canceled", [[CANCELED, 2, NOW, 1, ""]]),
        ("paused", [[PAUSED, 2, NOW, 1, True, NOW - 5, ""]]),
        ("resumed", [[PAUSED, 2, NOW, 1, False, NOW - 4, ""]]),
        (
            "paused and resumed",
            [[PAUSED, 2, NOW, 1, True, NOW - 5, ""], [PAUSED, 3, NOW, 1, False, NOW - 4, ""]],
        ),
        ("canary", [[CANARY, 2, NOW, 1, PASSED, ""]]),
        ("ended", [[ENDED, 3, NOW + 1, 1, "ended", ""]]),
    ):
        contents = fresh(1)
        for change in changes:
            contents.apply(change, 7)
        entry = contents.entries[1]
        state = cbor.decode(cbor.encode(contents.job_state(entry, make_job(1).encode())))
        for into in (fresh(), fresh(1)):
            into._reasons = ["another"]  # the same codes need not stand for the same reasons
            into.apply(state, 99)
            got = into.entries[1]
            assert got.pausing.to_array() == entry.pausing.to_array(), name
            for field in ("seq", "accepted", "ended", "canceled"):
                assert getattr(got, field) == getattr(entry, field), (name, field)
            for field in ("canary", "final_number", "states", "attempts", "due", "uncounted"):
                assert getattr(got, field) == getattr(entry, field), (name, field)
            assert got.position == 99 and got.digest == entry.digest
            for index in range(3):
                reason = contents.reason_of(entry, index)
                assert into.reason_of(got, index) == reason, (name, index)


def test_a_state_that_was_later_undone_is_not_kept() -> None:
    contents = fresh(1)
    state = contents.job_state(contents.entries[1], make_job(1).encode())
    assert state[0] == JOB_STATE
    contents.apply([STARTED, 1, 0, 1], 7)
    contents.apply([AGAIN, 1, 0, "no-answer", NOW + 90, 1], 7)
    contents.apply(state, 8)
    entry = contents.entries[1]
    assert entry.due == {} and contents.reason_of(entry, 0) == ""
    assert list(entry.states) == [State.QUEUED] * 3 and list(entry.attempts) == [0] * 3


def test_a_report_is_looked_for_near_its_place() -> None:
    contents = fresh()
    for number in range(1, 101):
        contents.apply([EVENT, number, NOW, "clock-set", ""], number * 100)
    for number, place in (
        (0, 0),
        (1, 100),
        (32, 100),
        (33, 3300),
        (64, 3300),
        (65, 6500),
        (97, 9700),
        (100, 9700),
    ):
        assert contents.place_of(number) == place, number
    # from where the last one was read, if that is nearer and not behind it
    contents.read_last = (40, 4000)
    for number, place in ((39, 3300), (40, 4000), (41, 4000), (64, 4000), (65, 6500)):
        assert contents.place_of(number) == place, number
    contents.read_last = (0, 0)
    # What is acknowledged need not be found again.
    for acknowledged, number, place in ((31, 1, 100), (32, 1, 0), (32, 33, 3300), (63, 64, 3300)):
        contents.apply([ACKNOWLEDGED, acknowledged], 0)
        assert contents.place_of(number) == place, (acknowledged, number)


def test_which_segment_is_still_needed() -> None:
    contents = fresh()
    contents.checkpoint_segment = 3
    for number, segment in ((1, 0), (2, 0), (3, 1), (4, 1), (5, 1), (6, 3)):
        contents.apply([EVENT, number, NOW, "clock-set", ""], segment * SEGMENT)
    # one entry for each segment, however many reports are in it
    assert contents._segment_ends == [(0, 2), (1, 5), (3, 6)]
    for acknowledged, needed in ((0, 0), (1, 0), (2, 1), (4, 1), (5, 3), (6, 3)):
        contents.apply([ACKNOWLEDGED, acknowledged], 0)
        assert contents.oldest_needed() == needed, acknowledged
    # reports newer than the last checkpoint do not make it superfluous
    contents.apply([EVENT, 7, NOW, "clock-set", ""], 5 * SEGMENT)
    assert contents.oldest_needed() == 3


def test_events_wait_for_their_acknowledgement() -> None:
    contents = fresh()
    for number in (1, 2, 3):
        contents.apply([EVENT, number, NOW, "clock-set", ""], 0)
    for acknowledged, left in ((0, [1, 2, 3]), (1, [2, 3]), (3, [])):
        contents.apply([ACKNOWLEDGED, acknowledged], 0)
        assert contents.routine == left and contents.acknowledged == acknowledged
