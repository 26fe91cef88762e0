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

log.set_level("error")
SIZE = 16384
NOW = 1_800_000_000


def trail(storage: MemoryStorage, size: int = SIZE) -> Audit:
    return Audit(storage, ManualClock(NOW, 0), size)


def records(storage: MemoryStorage) -> list[bytes]:
    journal = Journal(storage, NAME)
    found: list[bytes] = []
    journal.recover(lambda position, record: found.append(record))
    return found


def filled(count: int = 20, size: int = SIZE) -> MemoryStorage:
    storage = MemoryStorage()
    audit = trail(storage, size)
    for number in range(count):
        audit.note("done", [bytes(16), "AMI%d" % number, 1, "OK", "applied", "plc"])
    return storage


def test_a_trail_checks_out_and_goes_on_after_a_restart() -> None:
    storage = filled(3)
    audit = trail(storage)
    assert audit.records == 3
    audit.note("start", ["0.1.0"])
    found = verify(records(storage))
    assert (found.first, found.last, found.cut_at) == (1, 4, 0)
    assert found.head == audit.head
    assert verify([]).last == 0


def test_jobs_in_it_are_known() -> None:
    storage = MemoryStorage()
    trail(storage).note("job", [b"j" * 16, b"kid", bytes(32), 1, 2])
    audit = trail(storage)
    assert audit.has_job(b"j" * 16) and not audit.has_job(b"k" * 16)


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
        smaller.note("start", ["0.1.0"])
    assert sum([storage.size(name) for name in storage.names()]) <= SIZE // 2 + 200
    assert verify(records(storage)).head == smaller.head


def test_damage_is_on_record() -> None:
    storage = filled(40)
    storage.damage(storage.names()[0], 200)
    trail(storage)
    error = raises(AuditBroken, verify, records(storage))
    assert "record" in str(error)
    assert b"damaged" in records(storage)[-1]


def test_power_cuts() -> None:
    """At every changing call: what note() has returned from is there, and the chain holds."""

    def work(storage: MemoryStorage, done: list[tuple[int, bytes]]) -> None:
        audit = trail(storage, 4096)
        while len(done) < 60:
            audit.note("done", [bytes(16), "AMI%d" % len(done), 1, "OK", "applied", "plc"])
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
            audit.note("start", ["again"])
            kept = records(after)
            found = verify(kept)
            assert found.last == audit.records and found.head == audit.head
            if promised[0] >= found.first:
                record = kept[promised[0] - found.first]
                assert hashlib.sha256(record).digest() == promised[1]
    assert cuts > 100
