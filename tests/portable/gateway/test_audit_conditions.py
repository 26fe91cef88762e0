"""The audit trail: its records octet by octet, every break by its sentence, and a storage that
fails at any call."""

from __future__ import annotations

import hashlib

from gateway.audit import Audit, AuditBroken, verify
from hal.rt import cbor
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.failing import EIO, ERRORS, FailingStorage
from tests.portable.gateway.test_audit import NOW, SIZE, filled, note, records, trail
from tests.portable.support import raises

NOTHING = bytes(32)


def digest(record):
    return hashlib.sha256(record).digest()


def chain(*kinds):
    """Records 1, 2, 3 ... of these kinds; a kind may be (kind, details)."""
    made, head = [], NOTHING
    for number, kind in enumerate(kinds, 1):
        kind, details = kind if isinstance(kind, tuple) else (kind, [])
        made.append(cbor.encode([number, head, NOW, kind, details]))
        head = digest(made[-1])
    return made


def test_a_record_octet_by_octet():
    storage = MemoryStorage()
    clock = ManualClock(NOW)
    audit = Audit(storage, clock, SIZE)
    assert (audit.records, audit.head, audit.behind) == (0, NOTHING, False)
    assert audit.draft("start", ["0.1.0"]) == [1, NOW, "start", ["0.1.0"]]
    clock.advance(5000)
    assert audit.draft("keys", [2, "x"]) == [2, NOW + 5, "keys", [2, "x"]]
    assert records(storage) == [], "a draft is no record"
    audit.adopt()
    audit.sync()
    first = cbor.encode([1, NOTHING, NOW, "start", ["0.1.0"]])
    second = cbor.encode([2, digest(first), NOW + 5, "keys", [2, "x"]])
    assert records(storage) == [first, second]
    assert (audit.records, audit.head) == (2, digest(second))
    assert audit.draft("start", [])[0] == 3
    audit.forget()
    assert audit.draft("start", [])[0] == 3


def test_adopting_costs_no_sync_and_syncing_one():
    storage = MemoryStorage()
    audit = trail(storage)
    for number in range(3):
        audit.draft("start", [number])
        audit.adopt()
    assert storage.syncs == 0 and audit.records == 3
    audit.sync()
    assert storage.syncs == 1
    audit.adopt()
    audit.sync()
    assert storage.syncs == 1
    assert len(records(storage.after_cut())) == 3


def test_what_is_redone():
    """What the file has is not, what it lacks is, and what lies between is lost and said."""
    storage = MemoryStorage()
    audit = trail(storage)
    note(audit, "start", ["one"])
    head = audit.head
    audit.redo([1, NOW, "start", ["other"]])
    assert (audit.records, audit.head) == (1, head)
    audit.redo([2, NOW, "start", ["two"]])
    second = cbor.encode([2, head, NOW, "start", ["two"]])
    assert (audit.records, audit.head) == (2, digest(second))
    audit.redo([5, NOW, "start", ["five"]])
    fifth = cbor.encode([5, digest(second), NOW, "start", ["five"]])
    assert (audit.records, audit.head) == (5, digest(fifth))
    audit.sync()
    error = raises(AuditBroken, verify, records(storage))
    assert str(error) == "after record 2: expected record 3, came 5"
    assert trail(storage).records == 5


def test_every_break_by_its_sentence():
    good = chain("start", "job", "done")
    other = chain("start", "trust", "done")
    record = "record %d: it is no audit record"
    for kept, text in (
        ([good[0], good[2]], "after record 1: expected record 2, came 3"),
        ([good[0], good[0]], "after record 1: expected record 2, came 1"),
        (
            [good[0], other[1], good[2]],
            "record 3: it follows a record with the hash %s, but record 2 has %s;"
            " one of the two was changed" % (digest(good[1]).hex(), digest(other[1]).hex()),
        ),
        (good[1:], "it begins with record 2, and no cut record says so: the beginning is missing"),
        (
            [cbor.encode([1, digest(b""), NOW, "start", []])],
            "it begins with record 1, and no cut record says so: the beginning is missing",
        ),
        ([good[0], b"\xff"], record % 2),
        ([cbor.encode([1, NOTHING, NOW, "start"])], record % 1),
        ([cbor.encode(["1", NOTHING, NOW, "start", []])], record % 1),
        ([cbor.encode([True, NOTHING, NOW, "start", []])], record % 1),
        ([cbor.encode([1, NOTHING[1:], NOW, "start", []])], record % 1),
        ([cbor.encode([1, "x" * 32, NOW, "start", []])], record % 1),
        ([cbor.encode(7)], record % 1),
        ([cbor.encode([1, NOTHING, NOW, "cut", []])], record % 1),
        ([cbor.encode([1, NOTHING, NOW, "cut", ["1", NOTHING]])], record % 1),
        ([cbor.encode([1, NOTHING, NOW, "cut", [1, "x"]])], record % 1),
        ([cbor.encode([1, NOTHING, NOW, "cut", 5])], record % 1),
    ):
        assert str(raises(AuditBroken, verify, kept)) == text


def test_where_a_trail_may_begin():
    good = chain("start", "job", "done", "done")
    with_cut = chain("start", "job", ("cut", [2, digest(good[0])]), "done")
    found = verify(with_cut)
    assert (found.first, found.last, found.cut_at) == (1, 4, 0)
    found = verify(with_cut[1:])
    assert (found.first, found.last, found.cut_at) == (2, 4, 2)
    assert found.head == digest(with_cut[3])
    # The cut record says 2, and neither 3 nor another 2.
    raises(AuditBroken, verify, with_cut[2:])
    wrong = chain("start", "job", ("cut", [2, NOTHING]), "done")
    raises(AuditBroken, verify, wrong[1:])
    # Not meant to be the whole trail.
    found = verify(good[2:], False)
    assert (found.first, found.last, found.cut_at) == (3, 4, 3)
    found = verify([])
    assert (found.first, found.last, found.head, found.cut_at) == (0, 0, NOTHING, 0)


def test_any_call_of_the_storage_may_fail_once():
    """Only sync() says so; the trail falls behind, and after recover() the ledger's copies make it
    whole."""

    def life(storage):
        audit = Audit(storage, ManualClock(NOW), 4096)
        carried = []
        for number in range(98):  # the last one is synced
            carried.append(audit.draft("done", [bytes(16), "AMI%d" % number, 1, "OK", "x", "plc"]))
            audit.adopt()
            if number % 7 == 6:
                try:
                    assert not audit.behind
                    audit.sync()
                except (OSError, AssertionError):
                    head, count = audit.head, audit.records
                    audit.recover()
                    assert not audit.behind and audit.records <= count
                    for each in carried:
                        audit.redo(each)
                    assert (audit.records, audit.head) == (count, head)
                    audit.sync()
                carried = []
        return audit

    storage = FailingStorage()
    life(storage)
    count = storage.operations
    assert count > 40
    for error in ERRORS:
        for call in range(0, count, 1 if error == EIO else 5):
            storage = FailingStorage()
            storage.fail_at(call, error)
            audit = life(storage)
            assert storage.failed == 1, call
            found = verify(records(storage.after_cut()))
            assert (found.last, found.head) == (audit.records, audit.head), call
            assert found.last >= 98 and storage.size("audit.00000001") <= 4096


def test_the_trail_of_before_goes_on():
    storage = filled(5)
    audit = trail(storage)
    kept = records(storage)
    assert (audit.records, audit.head) == (5, digest(kept[-1]))
    note(audit, "start", [])
    assert verify(records(storage)).last == 6


def test_a_record_that_is_none_is_counted_and_the_chain_goes_on():
    from gateway.journal import Journal

    storage = filled(2)
    journal = Journal(storage, "audit")
    journal.recover(lambda position, record: None)
    journal.append(b"\xff nonsense")
    journal.commit()
    audit = trail(storage)
    assert (audit.records, audit.head) == (3, digest(b"\xff nonsense"))
    note(audit, "start", [])
    assert audit.records == 4
    assert str(raises(AuditBroken, verify, records(storage))) == "record 3: it is no audit record"
