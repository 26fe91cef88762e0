"""gateway.journal on media that lie: it never crashes, and gives back a prefix of what was
committed.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit import Audit
from gateway.jobs.ledger import Ledger
from gateway.journal import Journal
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.jobs.told import told

RECORDS = st.lists(st.binary(min_size=1, max_size=300), max_size=30)


def recovered(storage: MemoryStorage, segment_size: int = 65536) -> tuple[Journal, list[bytes]]:
    journal = Journal(storage, "book", segment_size)
    found: list[bytes] = []
    journal.recover(lambda position, payload: found.append(payload))
    return journal, found


def written(records: list[bytes], segment_size: int = 65536) -> MemoryStorage:
    storage = MemoryStorage()
    journal, _ = recovered(storage, segment_size)
    for record in records:
        if journal.full():
            journal.roll()
        journal.append(record)
        journal.commit()
    return storage


def goes_on(storage: MemoryStorage, found: list[bytes], segment_size: int = 65536) -> None:
    """What was found is there for good, and so is what comes after it."""
    journal, again = recovered(storage, segment_size)
    assert again == found
    journal.append(b"next")
    journal.commit()
    assert recovered(storage, segment_size)[1] == found + [b"next"]


@given(records=RECORDS, tail=st.binary(max_size=400), zeros=st.integers(0, 500))
def test_anything_appended_is_cut_off(records: list[bytes], tail: bytes, zeros: int) -> None:
    storage = written(records)
    name = "book.00000001"
    end = sum(8 + len(record) for record in records) + 8 if records else 0
    good = storage.read(name, 0, end) if records else b""
    storage.replace(name, good + tail + bytes(zeros))
    _, found = recovered(storage)
    assert found[: len(records)] == records
    goes_on(storage, found)


@given(records=RECORDS, data=st.data())
def test_a_prefix_survives_any_damage(records: list[bytes], data: st.DataObject) -> None:
    storage = written(records)
    name = "book.00000001"
    content = bytearray(storage.read(name) if records else b"")
    hits = st.tuples(st.integers(0, max(len(content) - 1, 0)), st.integers(1, 255))
    for offset, flip in data.draw(st.lists(hits, max_size=4)):
        if content:
            content[offset] ^= flip
    cut = data.draw(st.integers(0, len(content)))
    storage.replace(name, bytes(content[:cut]))
    _, found = recovered(storage)
    assert found == records[: len(found)]
    goes_on(storage, found)


@given(records=RECORDS, noise=st.binary(max_size=600), victim=st.integers(1, 9))
def test_a_segment_of_noise_costs_only_itself(
    records: list[bytes], noise: bytes, victim: int
) -> None:
    storage = written(records, 256)
    storage.replace("book.%08d" % victim, noise)
    _, found = recovered(storage, 256)
    assert [record for record in found if record not in records] == []
    goes_on(storage, found, 256)


class Limits:
    jobs = 4
    ledger_bytes = 65536
    free_bytes = 0


@settings(max_examples=200)
@given(payloads=st.lists(st.binary(min_size=1, max_size=60), max_size=8))
def test_records_that_are_no_ledger_records(payloads: list[bytes]) -> None:
    """As another version of the firmware, or an attacker with the flash in hand, leaves them."""
    storage = MemoryStorage()
    journal = Journal(storage, "ledger")
    journal.recover(lambda position, payload: None)
    for payload in payloads:
        journal.append(payload)
    journal.commit()
    clock = ManualClock(1)
    trail = Audit(storage, clock, 16384)
    ledger = Ledger(storage, clock, lambda n: bytes(n), Limits(), trail)
    ledger.refused("job", bytes(32), None, "malformed")
    assert told(ledger, 0, 10)[-1].reason == "malformed"
