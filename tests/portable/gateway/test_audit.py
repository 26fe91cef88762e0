"""The audit trail: chained, bounded, safe from power cuts; any change to it shows."""

from __future__ import annotations

import binascii
import hashlib

from gateway.audit import NAME, Audit, AuditBroken, verify
from gateway.journal import Journal
from hal.rt import log
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage, PowerCut
from tests.portable.support import raises

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

log.set_level("error")
SIZE = 16384
NOW = 1_800_000_000


def trail(storage: MemoryStorage, size: int = SIZE) -> Audit:
    return Audit(storage, ManualClock(NOW, 0), size)


def note(audit: Audit, kind: str, details: list[Any]) -> list[Any]:
    """A record, as if a ledger carried it; what it carries."""
    carried = audit.draft(kind, details)
    audit.adopt()
    audit.sync()
    return carried


def records(storage: MemoryStorage) -> list[bytes]:
    journal = Journal(storage, NAME)
    found: list[bytes] = []
    journal.recover(lambda position, record: found.append(record))
    return found


def filled(count: int = 20, size: int = SIZE) -> MemoryStorage:
    storage = MemoryStorage()
    audit = trail(storage, size)
    for number in range(count):
        note(audit, "done", [bytes(16), "AMI%d" % number, 1, "OK", "applied", "plc"])
    return storage


def test_a_trail_checks_out_and_goes_on_after_a_restart() -> None:
    storage = filled(3)
    audit = trail(storage)
    assert audit.records == 3
    note(audit, "start", ["0.1.0"])
    found = verify(records(storage))
    assert (found.first, found.last, found.cut_at) == (1, 4, 0)
    assert found.head == audit.head
    assert verify([]).last == 0


def test_what_the_file_lacks_comes_back_from_the_ledger() -> None:
    storage = MemoryStorage()
    audit = trail(storage)
    carried = [note(audit, "start", ["0.1.0"])]
    for number in range(5):
        carried.append(audit.draft("done", [bytes(16), "AMI%d" % number, 1, "OK", "applied", ""]))
    assert audit.records == 1
    audit.adopt()
    head = audit.head
    assert audit.records == 6
    # The power goes: only the first was synced in the trail's own file.
    again = trail(storage.after_cut())
    assert again.records == 1
    for _ in range(2):
        for each in carried:
            again.redo(each)
        assert (again.records, again.head) == (6, head)
    again.sync()
    assert verify(records(storage)).head == head


def test_drafts_that_are_forgotten_leave_no_trace() -> None:
    storage = MemoryStorage()
    audit = trail(storage)
    note(audit, "start", ["0.1.0"])
    head = audit.head
    audit.draft("start", ["lost"])
    audit.draft("start", ["lost"])
    audit.forget()
    audit.adopt()
    assert (audit.records, audit.head) == (1, head)
    note(audit, "start", ["0.1.1"])
    assert verify(records(storage)).last == 2


def test_a_file_that_refuses_falls_behind_and_catches_up() -> None:
    storage = MemoryStorage()
    audit = trail(storage)
    carried = [note(audit, "start", ["0.1.0"])]
    storage.fail_next(5)
    carried.append(audit.draft("start", ["0.1.1"]))
    audit.adopt()
    assert audit.behind and audit.records == 2
    carried.append(audit.draft("start", ["0.1.2"]))
    audit.adopt()
    head = audit.head
    assert (audit.behind, audit.records) == (True, 3)
    audit.recover()
    assert audit.records == 1
    for each in carried:
        audit.redo(each)
    audit.sync()
    assert (audit.behind, audit.records, audit.head) == (False, 3, head)
    assert verify(records(storage)).head == head


def test_every_change_shows() -> None:
    good = records(filled(8))
    whole = verify(good)
    for place in range(len(good)):
        for changed in (
            good[:place] + good[place + 1 :],  # removed
            good[:place] + [good[place], good[place]] + good[place + 1 :],  # twice
            good[:place] + [good[place].replace(b"OK", b"KO")] + good[place + 1 :],
            good[:place] + [b"\x00"] + good[place + 1 :],
            good[:place] + [b"\xff"] + good[place + 1 :],
        ):
            try:
                found = verify(changed)
            except AuditBroken as broken:
                # It names the record or its neighbour.
                assert [n for n in (place, place + 1, place + 2) if " %d" % n in str(broken)]
            else:
                # At the end only: there the head that the HES has tells.
                assert place == len(good) - 1 and found.head != whole.head
    swapped = [good[1], good[0]] + good[2:]
    assert raises(AuditBroken, verify, swapped)


def test_a_forged_record_with_a_good_crc_shows() -> None:
    storage = filled(5)
    name = storage.names()[0]
    content = storage.read(name)
    at = content.index(b"AMI2")
    # The head of its record is where the length and CRC fit.
    start = max(s for s in range(8, at) if _fits(content, s) and s + 8 < at)
    length = int.from_bytes(content[start : start + 4], "big") & 0x7FFFFFFF
    payload = content[start + 8 : start + 8 + length].replace(b"AMI2", b"AMI9")
    head = int.from_bytes(content[start : start + 4], "big")
    crc = binascii.crc32(payload, head).to_bytes(4, "big")
    storage.replace(name, content[: start + 4] + crc + payload + content[start + 8 + length :])
    assert len(records(storage)) == 5  # the journal sees nothing
    error = raises(AuditBroken, verify, records(storage))
    assert "record 4" in str(error) and "record 3" in str(error)


def _fits(content: bytes, start: int) -> bool:
    head = int.from_bytes(content[start : start + 4], "big")
    length = head & 0x7FFFFFFF
    payload = content[start + 8 : start + 8 + length]
    crc = binascii.crc32(payload, head)
    return 0 < length <= len(payload) and content[start + 4 : start + 8] == crc.to_bytes(4, "big")


def test_it_keeps_to_its_size_and_says_where_it_was_cut() -> None:
    storage = filled(2000)
    assert sum([storage.size(name) for name in storage.names()]) <= SIZE + 200
    kept = records(storage)
    found = verify(kept)
    assert found.cut_at == found.first > 1000 and found.last > 2000
    assert trail(storage).head == found.head
    # Cut off by somebody else.
    error = raises(AuditBroken, verify, kept[1:])
    assert "the beginning is missing" in str(error)
    smaller = trail(storage, SIZE // 2)
    for _ in range(200):
        note(smaller, "start", ["0.1.0"])
    assert sum([storage.size(name) for name in storage.names()]) <= SIZE // 2 + 200
    assert verify(records(storage)).head == smaller.head


def test_damage_is_said_and_shows() -> None:
    storage = filled(40)
    storage.damage(storage.names()[0], 200)
    assert trail(storage).recovery.damaged
    error = raises(AuditBroken, verify, records(storage))
    assert "record" in str(error)


def test_power_cuts() -> None:
    """At every changing call: what sync() has returned from is there, and the chain holds."""

    def work(storage: MemoryStorage, done: list[tuple[int, bytes]]) -> None:
        audit = trail(storage, 4096)
        while len(done) < 60:
            note(audit, "done", [bytes(16), "AMI%d" % len(done), 1, "OK", "applied", "plc"])
            done.append((audit.records, audit.head))

    counted = MemoryStorage()
    work(counted, [])
    cuts = 0
    for survival in ("lost", "half", "garbage", "whole"):
        for cut in range(0, counted.operations, 3 if survival != "half" else 1):
            storage = MemoryStorage()
            done: list[tuple[int, bytes]] = []
            storage.arm(cut, survival)
            try:
                work(storage, done)
                raise AssertionError("no cut")
            except PowerCut:
                cuts += 1
            after = storage.after_cut()
            audit = trail(after, 4096)
            promised = done[-1] if done else (0, bytes(32))
            assert audit.records >= promised[0]
            note(audit, "start", ["again"])
            kept = records(after)
            found = verify(kept)
            assert found.last == audit.records and found.head == audit.head
            if promised[0] >= found.first:
                record = kept[promised[0] - found.first]
                assert hashlib.sha256(record).digest() == promised[1]
    assert cuts > 100
