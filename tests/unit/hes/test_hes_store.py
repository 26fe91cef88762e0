"""The store: orders wait until answered, reports are taken once and in order, whoever asks."""

from __future__ import annotations

import hashlib

import pytest

from gateway.contract.envelope import digest_of
from gateway.contract.messages import Reports
from gateway.contract.messages import State as Birth
from gateway.contract.reports import Dropped, Event, Refusal
from tests.unit.hes.orders import (
    CONCENTRATOR,
    METERS,
    accepted,
    configure,
    ended,
    ko,
    numbered,
    ok,
    package,
    value,
)
from tools.hes.orders import order
from tools.hes.store.problems import StoreProblem
from tools.hes.store.states import REJECTED, SENT, SUBMITTED
from tools.hes.store.store import Store

BOTH = True  # engines, see conftest.py

EPOCH = 0xABCD


def take(store: Store, first: int, *bodies: object, where: str = CONCENTRATOR) -> tuple[int, bool]:
    taken = store.line.take_reports(where, Reports(EPOCH, numbered(first, *bodies)))
    return taken.number, taken.gap


def birth(session: int, online: bool, first: int = 1) -> Birth:
    return Birth(CONCENTRATOR, session, online, EPOCH, first, first, 0, "0.1", "cpython", 0, 3, 2)


def sent(store: Store, kind: str, job_id: bytes) -> None:
    orders = store.line.orders(CONCENTRATOR)
    store.line.sent(next(each for each in orders if (each.kind, each.job) == (kind, job_id)))


def outcomes(store: Store, job_id: bytes) -> list[str]:
    return [row.outcome for row in store.reports.meters(job_id)]


def test_an_order_is_sent_until_it_is_answered(store, key) -> None:
    job_id = configure(store, key)
    assert [(each.kind, each.job) for each in store.line.orders(CONCENTRATOR)] == [("job", job_id)]
    assert store.line.orders("c-2") == []
    sent(store, "job", job_id)
    assert store.reports.job(job_id).state == SENT
    assert len(store.line.orders(CONCENTRATOR)) == 1
    assert store.line.orders(CONCENTRATOR, (SUBMITTED,)) == []
    take(store, 1, accepted(job_id))
    assert store.line.orders(CONCENTRATOR) == []
    assert store.line.concentrators_with_orders() == []


def test_hello_brings_back_what_the_concentrator_lost(store, key) -> None:
    job_id = configure(store, key)
    take(store, 1, accepted(job_id))
    assert store.line.missing(CONCENTRATOR, [job_id]) == []
    assert [each.job for each in store.line.missing(CONCENTRATOR, [])] == [job_id]
    take(store, 2, *(ok(job_id, serial) for serial in METERS), ended(job_id))
    assert store.line.missing(CONCENTRATOR, []) == []


def test_reports_are_taken_once_and_in_order(store, key) -> None:
    job_id = configure(store, key)
    assert take(store, 1, accepted(job_id), ok(job_id, "AMI01")) == (2, False)
    assert take(store, 4, ok(job_id, "AMI03")) == (2, True)
    assert outcomes(store, job_id) == ["OK", "", ""]
    assert take(store, 3, ko(job_id, "AMI02", "no-answer"), ok(job_id, "AMI03")) == (4, False)
    assert outcomes(store, job_id) == ["OK", "KO", "OK"]
    # an old message comes again: nothing changes
    assert take(store, 2, ko(job_id, "AMI01", "no-answer")) == (4, False)
    assert outcomes(store, job_id) == ["OK", "KO", "OK"]
    assert store.reports.finished(job_id)


def test_a_message_with_old_and_new_reports(store, key) -> None:
    job_id = configure(store, key)
    take(store, 1, accepted(job_id), ok(job_id, "AMI01"))
    assert take(store, 2, ko(job_id, "AMI01", "no-answer"), ok(job_id, "AMI02")) == (3, False)
    assert outcomes(store, job_id) == ["OK", "OK", ""]


def test_a_new_epoch_counts_anew(store, key) -> None:
    job_id = configure(store, key)
    take(store, 1, accepted(job_id), ok(job_id, "AMI01"))
    other = Reports(EPOCH + 1, numbered(1, ok(job_id, "AMI02")))
    assert store.line.take_reports(CONCENTRATOR, other).number == 1
    assert store.line.position(CONCENTRATOR, EPOCH) == 2
    assert outcomes(store, job_id) == ["OK", "OK", ""]


def test_everything_survives_a_restart(store, key) -> None:
    job_id = configure(store, key)
    take(store, 1, accepted(job_id), value(job_id, "AMI01", b"\x11\x07"))
    again = Store(store.where)
    assert again.line.position(CONCENTRATOR, EPOCH) == 2
    assert outcomes(again, job_id) == ["VALUE", "", ""]
    assert again.reports.package_piece(hashlib.sha256(package(key)).digest(), 0, 1) == (0, b"")
    again.close()


def test_dropped_reports_are_accounted_for(store, key) -> None:
    job_id = configure(store, key)
    assert take(store, 1, accepted(job_id), Dropped(7)) == (7, False)
    assert take(store, 8, ok(job_id, "AMI01")) == (8, False)
    assert "no room for reports 2..7" in store.reports.events()[0].detail
    assert take(store, 9, Dropped((1 << 64) - 1)) == (8, True)  # see test_hes_bounds.py


def test_reports_acknowledged_before_this_database_was_made(store, key) -> None:
    job_id = configure(store, key)
    store.line.take_state(CONCENTRATOR, birth(1, True, first=40))
    assert store.line.position(CONCENTRATOR, EPOCH) == 39
    assert "reports 1..39" in store.reports.events()[0].detail
    assert take(store, 40, accepted(job_id)) == (40, False)


def test_a_late_will_does_not_hide_a_new_birth(store) -> None:
    store.line.take_state(CONCENTRATOR, birth(1, True))
    store.line.take_state(CONCENTRATOR, birth(2, True))
    store.line.take_state(CONCENTRATOR, birth(1, False))
    assert store.reports.concentrators()[0].online == 1
    store.line.take_state(CONCENTRATOR, birth(2, False))
    assert store.reports.concentrators()[0].online == 0


def test_a_retained_will_of_a_birth_that_was_missed(store) -> None:
    store.line.take_state(CONCENTRATOR, birth(1, True))
    store.line.take_state(CONCENTRATOR, birth(2, False), retained=True)
    assert store.reports.concentrators()[0].online == 0


def test_an_old_retained_state_moves_no_position_back(store) -> None:
    store.line.take_state(CONCENTRATOR, birth(1, True, first=40))
    store.line.take_state(CONCENTRATOR, birth(1, True, first=2), retained=True)
    assert store.line.position(CONCENTRATOR, EPOCH) == 39


def test_nobody_reports_on_the_job_of_another(store, key) -> None:
    job_id = configure(store, key)
    take(store, 1, ok(job_id, "AMI01"), ended(job_id), where="c-2")
    assert outcomes(store, job_id) == ["", "", ""]
    assert store.reports.job(job_id).state == SUBMITTED
    assert [event.name for event in store.reports.events()] == ["unknown-report", "unknown-report"]


def test_a_refused_job_is_over(store, key) -> None:
    job_id = configure(store, key)
    sent(store, "job", job_id)
    digest = hashlib.sha256(store.reports.job(job_id).envelope).digest()
    take(store, 1, Refusal("job", digest, None, "bad-signature", "the key did not sign this"))
    assert store.reports.job(job_id).state == REJECTED
    assert store.reports.finished(job_id)
    assert store.line.orders(CONCENTRATOR) == []


def test_a_duplicate_is_no_refusal(store, key) -> None:
    job_id = configure(store, key)
    digest = digest_of(store.reports.job(job_id).envelope)
    take(store, 1, accepted(job_id), Refusal("job", digest, job_id, "duplicate", ""))
    assert store.reports.job(job_id).state == "queued"
    assert store.reports.events() == []


@pytest.mark.parametrize("reason", ["expired", "too-old", "already-ended", "unknown-meter"])
def test_a_job_that_is_gone_at_the_concentrator_ends_here_once(store, key, reason) -> None:
    """It was sent again at each hello for ever."""
    job_id = configure(store, key)
    sent(store, "job", job_id)
    take(store, 1, accepted(job_id), ok(job_id, "AMI01"))
    order.cancel(store.orders, key, job_id)
    sent(store, "cancel", job_id)
    assert [each.kind for each in store.line.missing(CONCENTRATOR, [])] == ["job", "cancel"]
    digest = digest_of(store.reports.job(job_id).envelope)
    for number in (3, 4):
        message = Reports(EPOCH, numbered(number, Refusal("job", digest, job_id, reason, "why")))
        assert store.line.take_reports(CONCENTRATOR, message, proven=True).number == number
    job = store.reports.job(job_id)
    assert (job.state, job.reason, job.detail) == (REJECTED, reason, "why")
    assert [row.reason for row in store.reports.meters(job_id)] == [
        "applied",
        "result-unknown",
        "result-unknown",
    ]
    assert outcomes(store, job_id) == ["OK", "KO", "KO"]
    assert store.reports.finished(job_id) and store.line.missing(CONCENTRATOR, []) == []
    # Should a result come after all, it counts.
    take(store, 5, ok(job_id, "AMI02"), ended(job_id))
    assert outcomes(store, job_id) == ["OK", "OK", "KO"]
    assert store.reports.job(job_id).state == "succeeded"


def test_a_refusal_that_nothing_proves_ends_no_job_at_work(store, key) -> None:
    job_id = configure(store, key)
    take(store, 1, accepted(job_id), ok(job_id, "AMI01"))
    digest = digest_of(store.reports.job(job_id).envelope)
    take(store, 3, Refusal("job", digest, job_id, "expired", ""))
    other = Refusal("job", bytes(32), job_id, "expired", "")
    store.line.take_reports(CONCENTRATOR, Reports(EPOCH, numbered(4, other)), proven=True)
    duplicate = Refusal("job", digest, job_id, "duplicate", "")
    store.line.take_reports(CONCENTRATOR, Reports(EPOCH, numbered(5, duplicate)), proven=True)
    assert store.reports.job(job_id).state == "in-progress"
    assert outcomes(store, job_id) == ["OK", "", ""]
    # Of a job that has ended here too, that is nothing new.
    take(store, 6, ended(job_id), Refusal("job", digest, job_id, "already-ended", ""))
    assert [event.name for event in store.reports.events()] == ["refused", "refused"]


def test_cancel_is_sent_until_answered(store, key) -> None:
    job_id = configure(store, key)
    take(store, 1, accepted(job_id))
    order.cancel(store.orders, key, job_id)
    assert [each.kind for each in store.line.orders(CONCENTRATOR)] == ["cancel"]
    assert [each.kind for each in store.line.missing(CONCENTRATOR, [job_id])] == ["cancel"]
    sent(store, "cancel", job_id)
    digest = digest_of(store.reports.job(job_id).cancel)
    take(store, 2, Refusal("cancel", digest, job_id, "unknown-job", ""))
    assert store.line.orders(CONCENTRATOR) == []
    assert store.reports.job(job_id).cancel_reason == "unknown-job"


def test_what_is_over_cannot_be_cancelled(store, key) -> None:
    job_id = configure(store, key)
    take(store, 1, *(ok(job_id, serial) for serial in METERS), ended(job_id))
    with pytest.raises(order.OrderProblem, match="the job is over"):
        order.cancel(store.orders, key, job_id)


def test_package_in_pieces(store, key) -> None:
    raw = package(key)
    digest = store.orders.add_package(raw, "n", "1")
    assert store.orders.add_package(raw, "n", "1") == digest
    pieces = [store.reports.package_piece(digest, at, 50) for at in range(0, len(raw), 50)]
    assert b"".join(data for _, data in pieces) == raw
    assert {total for total, _ in pieces} == {len(raw)}
    assert store.reports.package_piece(digest, len(raw) + 10, 50) == (len(raw), b"")
    assert store.reports.package_piece(bytes(32), 0, 50) == (0, b"")


def test_find_job(store, key) -> None:
    with pytest.raises(StoreProblem, match="holds no job yet"):
        store.reports.find_job("last")
    job_id = configure(store, key)
    newest = configure(store, key)
    assert store.reports.find_job("last") == newest
    assert store.reports.find_job(job_id.hex()[:12]) == job_id
    for wrong in ("xyz", "", "%", job_id.hex() + "00"):
        with pytest.raises(StoreProblem):
            store.reports.find_job(wrong)


def test_events_do_not_grow_without_end(store, monkeypatch) -> None:
    monkeypatch.setattr("tools.hes.store.notes.EVENTS", 5)
    take(store, 1, *(Event("clock-set", str(number)) for number in range(12)))
    assert [event.detail for event in store.reports.events()] == ["11", "10", "9", "8", "7"]


def test_a_file_that_is_no_database(tmp_path) -> None:
    path = tmp_path / "x"
    path.write_text("this is not a database, whatever its name says" * 10)
    with pytest.raises(StoreProblem, match="--db"):
        Store(path)
