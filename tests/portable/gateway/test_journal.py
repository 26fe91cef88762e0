"""gateway.journal: what is committed is there again, what is not never looks as if it were."""

from __future__ import annotations

from gateway.journal import MAX_RECORD, Journal, JournalError, Recovery
from hal.sim.storage import EACCES, EIO, ENOSPC, SURVIVALS, MemoryStorage, PowerCut
from tests.portable.support import raises, random_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def opened(
    storage: MemoryStorage, segment_size: int = 65536
) -> tuple[Journal, list[bytes], Recovery]:
    journal = Journal(storage, "book", segment_size)
    found: list[bytes] = []
    recovery = journal.recover(lambda position, payload: found.append(payload))
    return journal, found, recovery


def numbered(count: int) -> list[bytes]:
    return [b"record %d " % i + random_bytes(i, i % 40) for i in range(count)]


def test_committed_records_come_back_in_order() -> None:
    storage = MemoryStorage()
    journal, found, _ = opened(storage)
    assert found == [] and journal.size() == 0
    wanted = numbered(100)
    places = [journal.append(record) for record in wanted]
    journal.commit()
    journal.commit()
    assert storage.syncs == 1
    _, found, recovery = opened(storage.after_cut())
    assert found == wanted and recovery.records == 100 and recovery.notes == []
    assert [place for place, _ in journal.records()] == places
    assert [record for _, record in journal.records(places[60])] == wanted[60:]
    assert journal.read(places[7]) == wanted[7]
    raises(JournalError, journal.read, places[7] + 1)


def test_records_larger_than_the_reading_window() -> None:
    storage = MemoryStorage()
    journal, _, _ = opened(storage)
    wanted = [random_bytes(1, 20000), b"small", random_bytes(2, 4096), b"x"]
    for record in wanted:
        journal.append(record)
    journal.commit()
    assert opened(storage)[1] == wanted
    raises(JournalError, journal.append, b"")
    raises(JournalError, journal.append, bytes(MAX_RECORD + 1))


def test_uncommitted_records_are_not_readable() -> None:
    storage = MemoryStorage()
    journal, _, _ = opened(storage)
    journal.append(b"one")
    journal.commit()
    journal.append(b"two")
    assert [record for _, record in journal.records()] == [b"one"]
    assert opened(storage.after_cut())[1] == [b"one"]


def test_a_torn_tail_is_cut_and_said() -> None:
    for survival in SURVIVALS:
        storage = MemoryStorage()
        journal, _, _ = opened(storage)
        journal.append(b"first")
        journal.commit()
        second = random_bytes(3, 500)
        journal.append(second)
        journal.append(random_bytes(4, 600))
        storage.arm(1, survival)
        raises(PowerCut, journal.commit)  # in the sync
        after = storage.after_cut()
        journal, found, recovery = opened(after)
        if survival == "half":
            assert found == [b"first", second] and recovery.cut == 50
            assert len(recovery.notes) == 1 and "removed" in recovery.notes[0]
        elif survival in ("lost", "zeros", "last-block-only"):
            assert found == [b"first"]
            # Zeros are room not used yet.
            assert (recovery.cut > 0) == (survival == "last-block-only")
        else:
            assert len(found) == 3
        journal.append(b"goes on")
        journal.commit()
        journal, found, recovery = opened(after)
        assert found[-1] == b"goes on" and recovery.notes == []


def test_room_set_aside_is_neither_record_nor_damage() -> None:
    storage = MemoryStorage()
    journal, _, _ = opened(storage, 1024)
    journal.append(b"first")
    journal.commit()
    name = "book.00000001"
    assert storage.size(name) == 1024 and journal.size() < 40
    for left in (1024, journal.size() + 3, journal.size()):
        storage.truncate(name, left)
        journal, found, recovery = opened(storage, 1024)
        assert found == [b"first"] and recovery.notes == [] and recovery.cut == 0
    storage.truncate(name, 0)
    storage.append(name, 1024)  # made, set aside, and then the power went
    journal, found, recovery = opened(storage, 1024)
    assert found == [] and recovery.notes == []
    journal.append(b"second")
    journal.commit()
    journal.roll()
    assert storage.size(name) == journal.size() < 40
    assert opened(storage, 1024)[1] == [b"second"]


def test_a_torn_record_in_room_set_aside_is_cut_and_said() -> None:
    for size in range(1, 29):
        storage = MemoryStorage()
        journal, _, _ = opened(storage, 1024)
        journal.append(b"first")
        journal.commit()
        good = journal.size()
        journal.append(random_bytes(3, 20))
        journal.commit()
        second = storage.read("book.00000001", good, 28)
        storage.truncate("book.00000001", good)
        storage.append("book.00000001", 1024).write(second[:size])
        _, found, recovery = opened(storage, 1024)
        if size == 28:
            assert len(found) == 2 and recovery.notes == []
            continue
        assert found == [b"first"] and not recovery.damaged
        assert recovery.cut == len(second[:size].rstrip(b"\x00"))
        assert "removed" in recovery.notes[0]
        assert storage.size("book.00000001") == good


def test_zeros_in_an_older_segment_are_damage() -> None:
    storage = MemoryStorage()
    journal, _, _ = opened(storage, 1024)
    for record in (b"first", b"second"):
        journal.append(record)
        journal.commit()
    end = journal.size()
    journal.roll()
    journal.append(b"third")
    journal.commit()
    name = "book.00000001"
    storage.replace(name, storage.read(name, 0, end - 14) + bytes(14))
    _, found, recovery = opened(storage, 1024)
    assert found == [b"first", b"third"] and recovery.damaged


def test_segments_roll_and_are_dropped() -> None:
    storage = MemoryStorage()
    journal, _, _ = opened(storage, 256)
    for record in numbered(50):
        if journal.full():
            journal.roll()
        journal.append(record)
        journal.commit()
    segments = len(storage.names())
    assert segments > 3
    _, found, _ = opened(storage, 256)
    assert found == numbered(50)
    journal.drop_before(journal.newest() - 1)
    assert len(storage.names()) == 2
    _, found, _ = opened(storage, 256)
    assert found == numbered(50)[-len(found) :]
    journal.drop_before(journal.newest() + 9)
    assert len(storage.names()) == 1


def test_damage_in_the_middle_is_kept_for_people() -> None:
    storage = MemoryStorage()
    journal, _, _ = opened(storage, 256)
    for record in numbered(30):
        if journal.full():
            journal.roll()
        journal.append(record)
        journal.commit()
    whole = storage.read("book.00000001")
    storage.damage("book.00000001", 50)
    _, found, recovery = opened(storage, 256)
    assert found[0] == numbered(30)[0] and found[-1] == numbered(30)[-1]
    assert 2 < len(found) < 30 and recovery.cut > 0
    assert "book.bad.00000001" in recovery.notes[0]
    assert len(storage.read("book.bad.00000001")) == len(whole)
    assert opened(storage, 256)[2].notes == []


def test_damage_in_the_newest_segment_is_no_torn_tail() -> None:
    storage = MemoryStorage()
    journal, _, _ = opened(storage)
    for record in numbered(30):
        journal.append(record)
        journal.commit()
    storage.damage("book.00000001", 60)
    _, found, recovery = opened(storage)
    assert found == numbered(30)[: len(found)] and len(found) < 30
    assert "book.bad.00000001" in storage.names() and recovery.cut > 0


def test_a_segment_that_cannot_be_read_any_more_costs_only_itself() -> None:
    for newest in (False, True):
        for offset in (0, 100):
            storage = MemoryStorage()
            journal, _, _ = opened(storage, 256)
            first: dict[str, int] = {}
            for number, record in enumerate(numbered(30)):
                if journal.full():
                    journal.roll()
                first.setdefault("book.%08d" % journal.newest(), number)
                journal.append(record)
                journal.commit()
            name = storage.names()[-1 if newest else 1]
            storage.spoil(name, offset)
            for _ in range(2):
                journal, found, recovery = opened(storage, 256)
                assert recovery.damaged and name in recovery.notes[0]
                assert found[: first[name]] == numbered(first[name])
                assert len(found) < 30 and (newest or found[-1] == numbered(30)[-1])
                assert [record for _, record in journal.records()] == found
            journal.append(b"goes on")
            journal.commit()
            assert opened(storage, 256)[1] == found + [b"goes on"]
            journal.drop_before(journal.newest())
            assert "book.bad." + name[5:] in storage.names()


def test_full_flash_leaves_what_was_committed() -> None:
    storage = MemoryStorage(200)
    journal, _, _ = opened(storage)
    journal.append(b"kept")
    journal.commit()
    journal.append(bytes([1]) * 300)
    assert raises(OSError, journal.commit).errno == ENOSPC
    assert opened(storage)[1] == [b"kept"]
    storage.set_capacity(1000)
    journal.append(b"later")
    journal.commit()
    _, found, recovery = opened(storage)
    assert found == [b"kept", b"later"] and recovery.notes == []


def test_a_failed_sync_leaves_what_was_committed() -> None:
    storage = MemoryStorage()
    journal, _, _ = opened(storage)
    journal.append(b"kept")
    journal.commit()
    journal.append(b"not kept")
    journal.flush()
    storage.fail_next(5)
    raises(OSError, journal.commit)
    journal.append(b"later")
    journal.commit()
    assert opened(storage)[1] == [b"kept", b"later"]


def test_rewrite_is_all_or_nothing_at_every_cut() -> None:
    old, new = numbered(20), [b"new %d" % i for i in range(5)]

    def filled() -> tuple[MemoryStorage, Journal]:
        storage = MemoryStorage()
        journal, _, _ = opened(storage, 200)
        for record in old:
            if journal.full():
                journal.roll()
            journal.append(record)
            journal.commit()
        return storage, journal

    def rewrite(journal: Journal) -> None:
        journal.rewrite(new)
        journal.append(b"after")
        journal.commit()

    storage, journal = filled()
    before = storage.operations
    rewrite(journal)
    assert opened(storage)[1] == new + [b"after"]
    assert len(storage.names()) == 1
    cuts = storage.operations - before
    assert cuts > 10
    for cut in range(cuts):
        for survival in SURVIVALS:
            storage, journal = filled()
            storage.arm(cut, survival)
            raises(PowerCut, rewrite, journal)
            assert opened(storage.after_cut(), 200)[1] in (old, new, new + [b"after"])


def test_records_around_what_is_kept_in_ram_before_it_is_written() -> None:
    """16 KiB wait at most; what is written then is not durable yet."""
    for size in (16384 - 17, 16384 - 16, 16384 - 15, 16384, 16385, 40000, 70000):
        storage = MemoryStorage()
        journal, _, _ = opened(storage, 1 << 20)
        journal.append(b"committed")
        journal.commit()
        before = storage.operations
        record = random_bytes(size, 64) * (size // 64 + 1)
        record = record[:size]
        journal.append(record)  # alone, its head of 8 bytes makes 16,384 of 16,376
        assert storage.operations - before == (1 if size + 8 >= 16384 else 0)
        assert journal.pending()
        assert opened(storage.after_cut())[1] == [b"committed"]
        journal.append(b"behind")
        journal.commit()
        assert not journal.pending()
        assert opened(storage.after_cut())[1] == [b"committed", record, b"behind"]


def test_a_segment_is_full_at_its_size_and_not_before() -> None:
    journal, _, _ = opened(MemoryStorage(), 100)
    journal.append(bytes(1) * 83)  # 8 of the segment's head, 8 of the record's
    assert not journal.full() and journal.newest_size() == 99
    journal.commit()
    journal.roll()
    journal.append(bytes(1) * 84)
    assert journal.full() and journal.newest_size() == 100


def _lived(storage: MemoryStorage, errno: int) -> tuple[Journal, list[bytes]]:
    """A journal after a life of every call, each made again while it fails; and what it holds."""
    journal, _, _ = opened(storage, 4096)
    held: list[bytes] = []

    def made(call: Callable[[], object], drops: bool = False) -> None:
        for _ in range(3):
            try:
                call()
                return
            except OSError as error:
                assert error.errno == errno
                # Back at the last commit, and to be used further.
                assert not journal.pending()
                there = [record for _, record in journal.records()]
                assert there == (held[len(held) - len(there) :] if drops else held)
        raise AssertionError("it does not succeed any more")

    for round in range(8):
        records = [b"%d " % round + bytes(size) for size in (10, 1000, 20000)[: 1 + round % 3]]

        def append(records: list[bytes] = records) -> None:
            for record in records:
                journal.append(record)
            journal.commit()

        made(append)
        held += records
        if round % 2:
            made(journal.roll)
        if round == 4:
            there = len(held)
            made(lambda: journal.drop_before(journal.newest()), True)
            held = [record for _, record in journal.records()]
            assert 0 < len(held) < there
        if round == 6:
            kept = held[-3:]
            before = held
            for _ in range(3):
                try:
                    journal.rewrite(kept)
                    break
                except OSError as error:
                    assert error.errno == errno
                    assert [record for _, record in journal.records()] in (before, kept)
            held = kept
    return journal, held


def test_any_one_call_that_fails_costs_what_was_not_committed_and_no_more() -> None:
    storage = MemoryStorage()
    _lived(storage, 0)
    for errno in (EIO, EACCES, ENOSPC):
        for at in range(storage.operations):
            failing = MemoryStorage()
            failing.fail_at(at, errno)
            journal, held = _lived(failing, errno)
            assert failing.failed()
            assert [record for _, record in journal.records()] == held
            _, found, recovery = opened(failing.after_cut(), 4096)
            assert found[-len(held) :] == held and not recovery.damaged
