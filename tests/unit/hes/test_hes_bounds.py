"""What is durable moves only within bounds, whatever a concentrator, or somebody in its name,
claims; and a database that was restored from a copy says what it lacks, and goes on.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import envelope
from gateway.contract.envelope import digest_of
from gateway.contract.limits import OUTBOX_SIZE
from gateway.contract.messages import Hello, Reports, State
from gateway.contract.reports import Dropped, Event, Refusal
from tests.unit.hes.orders import CONCENTRATOR, accepted, configure, numbered, ok
from tools.hes.store import claims, notes, sightings
from tools.hes.store.schema import MAX_NUMBER
from tools.hes.store.states import REJECTED, SENT, SUBMITTED, TAKEN
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

BOTH = True
EPOCH = 0xABCD


def state(first: int, epoch: int = EPOCH, session: int = 1, online: bool = True) -> State:
    return State(CONCENTRATOR, session, online, epoch, first, first, 0, "1", "test", 0, 3, 3)


def hello(first: int = 1, *, epoch: int = EPOCH, session: int = 1, **more: Any) -> Hello:
    return Hello(session, 0, [], epoch=epoch, first=first, next=first, **more)


def names(store: Store) -> list[str]:
    return [event.name for event in reversed(store.reports.events(1000))]


def report(store: Store, first: int, *bodies: object) -> tuple[int, bool]:
    taken = store.line.take_reports(CONCENTRATOR, Reports(EPOCH, numbered(first, *bodies)))
    return taken.number, taken.gap


@pytest.mark.parametrize("first", [OUTBOX_SIZE + 3, 1 << 62, MAX_NUMBER, (1 << 64) - 1])
def test_one_state_erases_nothing(store: Store, key: SigningKey, first: int) -> None:
    """One unsigned message made the HES drop all results that it did not have yet."""
    job_id = configure(store, key)
    report(store, 1, accepted(job_id))
    store.line.take_state(CONCENTRATOR, state(first))
    assert store.line.position(CONCENTRATOR, EPOCH) == 1
    assert names(store) == ["claim-beyond-bounds"]
    assert report(store, 2, ok(job_id, "AMI01")) == (2, False)
    assert store.reports.meters(job_id)[0].outcome == "OK"


def test_where_the_line_is_protected_nothing_moves_on_a_state(store: Store) -> None:
    report(store, 1, Event("stranger", "plc 1"))
    store.line.take_state(CONCENTRATOR, state(5), moves=False)
    assert store.line.position(CONCENTRATOR, EPOCH) == 1
    store.line.take_hello(CONCENTRATOR, hello(5))
    assert store.line.position(CONCENTRATOR, EPOCH) == 4
    assert names(store) == ["stranger", "reports-lost"]


def test_a_forged_epoch_blinds_nobody(store: Store, key: SigningKey) -> None:
    job_id = configure(store, key)
    report(store, 1, accepted(job_id))
    store.line.take_state(CONCENTRATOR, state(7, epoch=0xBAD, session=9))
    store.line.take_hello(CONCENTRATOR, hello(1 << 60, epoch=0xBAD2))
    assert report(store, 2, ok(job_id, "AMI01")) == (2, False)
    store.line.take_hello(CONCENTRATOR, hello(3))
    assert store.line.position(CONCENTRATOR, EPOCH) == 2
    assert store.reports.meters(job_id)[0].outcome == "OK"


def test_a_database_that_knows_nothing_believes_where_it_begins(store: Store) -> None:
    store.line.take_hello(CONCENTRATOR, hello(5_000_000))
    assert store.line.position(CONCENTRATOR, EPOCH) == 4_999_999
    assert names(store) == ["reports-lost"]


def test_a_new_epoch_of_a_known_concentrator_begins_near_what_is_known(store: Store) -> None:
    report(store, 1, Event("stranger", "plc 1"))
    store.line.take_hello(CONCENTRATOR, hello(OUTBOX_SIZE + 3, epoch=7))
    assert store.line.position(CONCENTRATOR, 7) == 0
    assert names(store)[1:] == ["claim-beyond-bounds"]
    store.line.take_hello(CONCENTRATOR, hello(OUTBOX_SIZE + 2, epoch=7))
    assert store.line.position(CONCENTRATOR, 7) == OUTBOX_SIZE + 1


def test_a_folder_put_back_from_a_copy_goes_on_in_another_epoch(store: Store, key: Any) -> None:
    """Its numbers go on below those that are known, and nothing is lost."""
    job_id = configure(store, key)
    report(store, 1, *[Event("stranger", "plc %d" % n) for n in range(60)])
    store.line.take_hello(CONCENTRATOR, hello(41, epoch=7))
    assert store.line.position(CONCENTRATOR, 7) == 40
    message = Reports(7, numbered(41, accepted(job_id), ok(job_id, "AMI01")))
    assert store.line.take_reports(CONCENTRATOR, message).number == 42
    assert store.reports.meters(job_id)[0].outcome == "OK"
    assert set(names(store)) == {"stranger"}


def test_a_dropped_report_goes_no_further_than_there_can_be_reports(store: Store) -> None:
    assert report(store, 1, Dropped(OUTBOX_SIZE)) == (OUTBOX_SIZE, False)
    after = OUTBOX_SIZE + 1
    assert report(store, after, Dropped(after + OUTBOX_SIZE)) == (OUTBOX_SIZE, True)
    assert report(store, after, Dropped((1 << 64) - 1)) == (OUTBOX_SIZE, True)
    assert report(store, after, Event("stranger", "plc 1")) == (after, False)
    assert names(store) == [
        "reports-dropped",
        "claim-beyond-bounds",
        "claim-beyond-bounds",
        "stranger",
    ]


def test_the_epochs_that_are_kept_are_bounded(clocked: Store, now: list[float]) -> None:
    for epoch in range(1, 40):
        now[0] += 1
        message = Reports(epoch, numbered(1, Event("stranger", "plc 1")))
        clocked.line.take_reports(CONCENTRATOR, message)
    kept = [epoch for epoch in range(1, 40) if clocked.line.position(CONCENTRATOR, epoch)]
    assert kept == list(range(40 - claims.EPOCHS, 40))


# ------------------------------------------------------------------ refusals


def trust_message(store: Store, key: SigningKey, number: int = 1, topic: str = "trust") -> bytes:
    raw = envelope.sign(b"content %d" % number, key.kid, key.sign)
    store.trust.add_numbered(topic, CONCENTRATOR, number, "what", raw)
    return raw


def states(store: Store) -> list[tuple[int, str]]:
    all_of_them = (SUBMITTED, SENT, TAKEN, REJECTED)
    return [(row.number, row.state) for row in store.trust.numbered(CONCENTRATOR, all_of_them)]


def send(store: Store) -> None:
    for row in store.line.numbered(CONCENTRATOR, (SUBMITTED,)):
        store.line.numbered_sent(row)


def flipped(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


@pytest.mark.parametrize("topic", ["trust", "keys", "model"])
def test_a_copy_with_another_signature_is_not_ours(
    store: Store, key: SigningKey, topic: str
) -> None:
    """Its refusal marked our own message as rejected, and it was never sent again."""
    raw = trust_message(store, key, topic=topic)
    send(store)
    copy = flipped(raw)
    assert digest_of(copy) == digest_of(raw)
    whole, content = hashlib.sha256(copy).digest(), digest_of(copy)
    report(store, 1, Refusal(topic, whole, None, "bad-signature", "key 01 did not sign this"))
    report(store, 2, Refusal(topic, content, None, "bad-signature", "of an older firmware"))
    report(store, 3, Refusal(topic, whole, None, "unknown-signer", "key id 02"))
    assert states(store) == [(1, SENT)] and names(store) == ["refused"] * 3
    # The same octets that we sent: that is ours.
    ours = hashlib.sha256(raw).digest()
    report(store, 4, Refusal(topic, ours, None, "unknown-signer", "key id 01"))
    assert states(store) == [(1, REJECTED)] and names(store) == ["refused"] * 3


def test_a_jobs_copy_with_another_signature_is_not_the_job(store: Store, key: SigningKey) -> None:
    job_id = configure(store, key)
    [order] = store.line.orders(CONCENTRATOR)
    store.line.sent(order)
    whole = hashlib.sha256(flipped(order.envelope)).digest()
    report(store, 1, Refusal("job", whole, None, "bad-signature", ""))
    assert store.reports.job(job_id).state == SENT
    ours = hashlib.sha256(order.envelope).digest()
    report(store, 2, Refusal("job", ours, None, "unknown-signer", ""))
    assert store.reports.job(job_id).state == REJECTED


def test_what_was_never_sent_cannot_be_refused(store: Store, key: SigningKey) -> None:
    raw = trust_message(store, key)
    job_id = configure(store, key)
    [order] = store.line.orders(CONCENTRATOR)
    report(store, 1, Refusal("trust", digest_of(raw), None, "expired", ""))
    report(store, 2, Refusal("job", digest_of(order.envelope), job_id, "expired", ""))
    assert states(store) == [(1, SUBMITTED)]
    assert store.reports.job(job_id).state == SUBMITTED
    assert names(store) == ["refused", "refused"]


@pytest.mark.parametrize("told", ["in-progress", "succeeded"])
def test_a_refusal_of_a_job_at_work_or_over_is_noted_only(
    store: Store, key: SigningKey, told: str
) -> None:
    job_id = configure(store, key)
    [order] = store.line.orders(CONCENTRATOR)
    store.line.sent(order)
    job = accepted(job_id)
    report(store, 1, job, type(job)(job_id, told, "", ""))
    report(store, 3, Refusal("job", digest_of(order.envelope), job_id, "expired", "late"))
    assert store.reports.job(job_id).state == told
    [event] = store.reports.events()
    assert (event.concentrator, event.name) == (CONCENTRATOR, "refused")


# ------------------------------------------------------------------ numbers, a restored copy


def test_numbers_of_a_restored_copy_move_on(store: Store, key: SigningKey) -> None:
    store.line.take_hello(CONCENTRATOR, hello(trust=3, keys=1))
    assert names(store) == []
    trust_message(store, key, 4)  # made before it was heard again
    store.line.take_hello(CONCENTRATOR, hello(trust=5, keys=1))
    assert names(store) == ["numbers-ahead"]
    [event] = store.reports.events()
    assert "up to number 5" in event.detail and "number 6" in event.detail
    [row] = store.trust.numbered(CONCENTRATOR, (SUBMITTED, SENT, TAKEN, REJECTED))
    assert (row.state, row.reason) == (REJECTED, "replayed") and "send it again" in row.detail
    assert store.trust.next_number("trust", CONCENTRATOR) == 6
    assert store.trust.next_number("keys", CONCENTRATOR) == 2


def test_the_number_of_another_message_is_told_by_its_refusal(
    store: Store, key: SigningKey
) -> None:
    """Sent before the hello came that would have told the number."""
    store.line.take_hello(CONCENTRATOR, hello(trust=3))
    raw = trust_message(store, key, 4)
    send(store)
    store.line.take_hello(CONCENTRATOR, hello(trust=4))  # of a message 4 that the copy lacks
    assert states(store) == [(4, TAKEN)]
    report(store, 1, Refusal("trust", digest_of(raw), None, "replayed", "number 4"))
    assert states(store) == [(4, REJECTED)]
    assert store.trust.next_number("trust", CONCENTRATOR) == 5


def test_an_older_message_played_again_stays_taken(store: Store, key: SigningKey) -> None:
    first = trust_message(store, key, 1)
    trust_message(store, key, 2)
    send(store)
    store.line.take_hello(CONCENTRATOR, hello(trust=2))
    report(store, 1, Refusal("trust", digest_of(first), None, "replayed", "number 1"))
    assert states(store) == [(1, TAKEN), (2, TAKEN)]


def test_a_number_far_off_uses_up_nothing(store: Store) -> None:
    store.line.take_hello(CONCENTRATOR, hello(trust=3))
    store.line.take_hello(CONCENTRATOR, hello(trust=0xFFFFFFFF, keys=0xFFFFFFFF))
    assert store.trust.next_number("trust", CONCENTRATOR) == 4
    assert store.trust.next_number("keys", CONCENTRATOR) == 1
    assert names(store) == ["claim-beyond-bounds", "claim-beyond-bounds"]


def test_a_restored_copy_names_what_it_lacks(tmp_path: Path, key: SigningKey) -> None:
    path = tmp_path / "a.sqlite"
    made = Store(path)
    job_id = configure(made, key)
    report(made, 1, accepted(job_id))
    made.close()
    shutil.copy(path, tmp_path / "copy.sqlite")
    lost = Store(path)
    report(lost, 2, ok(job_id, "AMI01"), ok(job_id, "AMI02"))
    lost.close()
    restored = Store(tmp_path / "copy.sqlite")
    restored.line.take_hello(CONCENTRATOR, hello(4))
    assert restored.line.position(CONCENTRATOR, EPOCH) == 3
    [event] = restored.reports.events()
    assert event.name == "reports-lost" and "reports 2..3 of epoch 0000abcd" in event.detail
    restored.close()


# ------------------------------------------------------------------ two with one identity


def test_two_boards_in_turn_are_named(clocked: Store, now: list[float]) -> None:
    for session in (1, 2, 1):
        now[0] += 100
        clocked.line.take_state(CONCENTRATOR, state(1, session=session))
        clocked.line.take_hello(CONCENTRATOR, hello(session=session))
    assert names(clocked) == ["same-identity"]
    [event] = clocked.reports.events()
    assert CONCENTRATOR in event.detail and "session 00000001" in event.detail


def test_two_ledgers_in_turn_are_named(clocked: Store, now: list[float]) -> None:
    """They push each other off the broker: each time with a new session."""
    for session, epoch in ((1, 5), (2, 6), (3, 5)):
        now[0] += 100
        clocked.line.take_hello(CONCENTRATOR, hello(session=session, epoch=epoch))
    assert names(clocked) == ["same-identity"]


def test_many_connections_within_short_time_are_named(clocked: Store, now: list[float]) -> None:
    for session in range(sightings.KEPT - 1):
        now[0] += 20
        clocked.line.take_hello(CONCENTRATOR, hello(session=session))
    assert names(clocked) == []
    now[0] += 20
    clocked.line.take_hello(CONCENTRATOR, hello(session=99))
    assert names(clocked) == ["restless"]


def test_one_board_that_connects_anew_is_nobody_else(clocked: Store, now: list[float]) -> None:
    for session in range(30):
        now[0] += 3600
        clocked.line.take_state(CONCENTRATOR, state(1, session=session))
        clocked.line.take_hello(CONCENTRATOR, hello(session=session))
        clocked.line.take_hello(CONCENTRATOR, Hello(session, 0, []))  # as older firmware says it
        clocked.line.take_state(CONCENTRATOR, state(1, session=session, online=False))
        clocked.line.take_state(CONCENTRATOR, state(1, session=max(session - 1, 0)), retained=True)
    assert names(clocked) == []


# ------------------------------------------------------------------ events


def test_a_flood_of_events_is_counted(clocked: Store, now: list[float]) -> None:
    for number in range(notes.MOST + 4312):
        clocked.line.add_event("c-bad", "malformed", "number %d" % number)
    clocked.line.add_event(CONCENTRATOR, "malformed", "one")
    assert len(clocked.reports.events(10_000)) == notes.MOST + 1
    assert clocked.reports.events(1)[0].concentrator == CONCENTRATOR
    clocked.line.tell_counted()
    assert len(clocked.reports.events(10_000)) == notes.MOST + 1  # the hour is not over
    now[0] += notes.WITHIN
    clocked.line.tell_counted()
    [event] = clocked.reports.events(1)
    assert (event.concentrator, event.name) == ("c-bad", "malformed")
    assert event.detail == "and 4,312 more of the kind within 60 minutes"
    clocked.line.add_event("c-bad", "malformed", "again")
    assert clocked.reports.events(1)[0].detail == "again"
    assert len(clocked.security.after(0, 10_000)) == notes.MOST + 3


def test_names_that_nobody_knows_are_no_way_around(clocked: Store) -> None:
    for number in range(5000):
        clocked.line.add_event("c-bad", "name-%d" % number, "")
    kept = len(clocked.reports.events(10_000))
    assert kept == notes.MOST_NAMES + notes.MOST


def test_each_concentrator_has_its_share(
    clocked: Store, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "EVENTS_OF_ONE", 100)
    clocked.line.add_event(CONCENTRATOR, "stranger", "plc 1")
    for number in range(400):
        clocked.line.add_event("c-bad", "stranger", "plc %d" % number)
    found = clocked.reports.events(10_000)
    assert [each.detail for each in found if each.concentrator == CONCENTRATOR] == ["plc 1"]
    assert len(found) == 101 and found[0].detail == "plc 399"
