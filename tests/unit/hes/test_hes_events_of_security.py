"""Events of security are kept apart, in order, numbered without a gap, on both engines."""

from __future__ import annotations

import pytest

from gateway.contract.messages import Reports
from gateway.contract.reports import Event, Refusal
from tests.unit.hes.orders import CONCENTRATOR, numbered
from tools.hes.store import notes
from tools.hes.store.store import Store

BOTH = True


def names(store: Store) -> list[tuple[int, str, str]]:
    return [(each.sequence, each.name, each.reason) for each in store.security.after(0, 1000)]


def test_a_refusal_keeps_its_reason(store: Store) -> None:
    refusal = Refusal("job", bytes(32), None, "bad-signature", "key 01 did not sign this")
    store.line.take_reports(CONCENTRATOR, Reports(7, numbered(1, refusal)))
    assert names(store) == [(1, "refused", "bad-signature")]
    [event] = store.security.after(0, 10)
    assert event.concentrator == CONCENTRATOR
    assert event.detail == "job: bad-signature, key 01 did not sign this"


def test_noise_pushes_nothing_out_and_takes_no_number(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "EVENTS", 10)
    store.line.add_event("c-9", "audit-trail-cut", "it had 7 records")
    noise = [Event("stranger", "plc %d" % n) for n in range(30)]
    store.line.take_reports(CONCENTRATOR, Reports(7, numbered(1, *noise)))
    store.line.add_event("c-9", "malformed", "x")
    assert names(store) == [(1, "audit-trail-cut", ""), (2, "malformed", "")]
    assert "audit-trail-cut" not in [event.name for event in store.reports.events(100)]


def test_the_oldest_make_room_and_numbers_go_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "SECURITY_EVENTS", 3)
    for n in range(5):
        store.line.add_event("c-9", "malformed", str(n))
    assert [number for number, _, _ in names(store)] == [3, 4, 5]
    assert [event.sequence for event in store.security.newest(2)] == [5, 4]
    assert store.security.last() == 5


def test_a_transaction_that_fails_leaves_no_gap(store: Store) -> None:
    store.line.add_event("c-9", "malformed", "1")
    with pytest.raises(RuntimeError), store.line.together():
        store.line.add_event("c-9", "malformed", "never")
        raise RuntimeError
    store.line.add_event("c-9", "malformed", "2")
    assert [number for number, _, _ in names(store)] == [1, 2]


def test_each_receiver_for_itself(store: Store) -> None:
    assert store.security.told("tls://a:6514") == 0
    store.security.now_told("tls://a:6514", 4)
    store.security.now_told("tls://a:6514", 7)
    assert store.security.told("tls://a:6514") == 7 and store.security.told("tls://b:6514") == 0
