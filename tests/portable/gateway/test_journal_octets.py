"""The journal's format, octet by octet, and what each kind of damage is called."""

from __future__ import annotations

from binascii import crc32

from gateway.journal import Journal
from hal.sim.storage import MemoryStorage
from tests.portable.failing import EACCES, EIO
from tests.portable.support import raises

SEGMENT = "book.00000001"
HEADER = b"AMIJ\x02\x00\x00\x00"
REWRITTEN = b"AMIJ\x02\x01\x00\x00"


def framed(payload, first):
    head = (len(payload) | first << 31).to_bytes(4, "big")
    return head + crc32(payload, int.from_bytes(head, "big")).to_bytes(4, "big") + payload


def journal_over(storage):
    found = []
    journal = Journal(storage, "book")
    recovery = journal.recover(lambda position, payload: found.append(payload))
    return journal, found, recovery


def stored(content):
    storage = MemoryStorage()
    storage.replace(SEGMENT, content)
    return storage


def test_a_segment_octet_by_octet():
    """The first record of each commit is marked, no other is."""
    storage = MemoryStorage(reserves=False)
    journal = journal_over(storage)[0]
    for commit in ((b"one", b"two"), (b"three",), (b"four", b"five", b"six")):
        for payload in commit:
            journal.append(payload)
        journal.commit()
    assert storage.read(SEGMENT) == HEADER + (
        framed(b"one", 1)
        + framed(b"two", 0)
        + framed(b"three", 1)
        + framed(b"four", 1)
        + framed(b"five", 0)
        + framed(b"six", 0)
    )
    journal.rewrite([b"new", b"newer"])
    assert storage.read("book.00000002") == REWRITTEN + framed(b"new", 1) + framed(b"newer", 0)
    journal.append(b"x")
    journal.commit()
    assert storage.read("book.00000002")[-9:] == framed(b"x", 1)


def test_it_is_marked_after_a_restart_a_failure_and_a_roll():
    storage = MemoryStorage(reserves=False)
    journal = journal_over(storage)[0]
    journal.append(b"one")
    journal.commit()
    journal = journal_over(storage)[0]
    journal.append(b"two")
    journal.append(b"three")
    storage.fail_next(EIO)
    raises(OSError, journal.commit)
    journal.append(b"four")
    journal.commit()
    assert storage.read(SEGMENT) == HEADER + framed(b"one", 1) + framed(b"four", 1)
    journal.append(b"five")
    journal.roll()
    journal.append(b"six")
    journal.commit()
    assert storage.read("book.00000002") == HEADER + framed(b"six", 1)


def test_each_damage_by_its_name():
    good = HEADER + framed(b"good", 1)
    after = len(good)
    bad_crc = bytearray(framed(b"bad", 1))
    bad_crc[-1] ^= 1
    for content, found, text in (
        (
            b"AMIJ\x01\x00\x00\x00" + framed(b"x", 1),
            [],
            "expected a segment's header, came 414d494a01000000",
        ),
        (b"AMIJ\x02\x00\x00\x01", [], "expected a segment's header, came 414d494a02000001"),
        (b"AMI", [], "expected a segment's header, came 414d49"),
        (good + b"1234567", [b"good"], "7 bytes where a record's head has 8"),
        (good + b"\x80\0\0\x051234four", [b"good"], "a record of 5 bytes where 4 are left"),
        (
            good + b"\x7f\xff\xff\xff1234four",
            [b"good"],
            "a record of 2147483647 bytes where 4 are left",
        ),
        (good + b"\x80\0\0\x001234four", [b"good"], "a record of 0 bytes where 4 are left"),
        (good + bytes(bad_crc), [b"good"], "a record whose CRC does not match"),
    ):
        _, came, recovery = journal_over(stored(content))
        assert came == found, text
        at = after if found else 0
        assert recovery.cut == len(content) - at
        assert recovery.notes == [
            "%s: %s at byte %d of %d: the tail of a write the power cut off is removed"
            % (SEGMENT, text, at, len(content))
        ]
        assert not recovery.damaged and recovery.records == len(found)


def test_a_commit_behind_the_damage_makes_it_no_torn_tail():
    good, bad = HEADER + framed(b"good", 1), bytearray(framed(b"bad", 1))
    bad[-1] ^= 1
    for behind, damaged in ((framed(b"later", 1), True), (framed(b"later", 0), False)):
        content = good + bytes(bad) + behind
        storage = stored(content)
        journal, found, recovery = journal_over(storage)
        assert found == [b"good"] and recovery.damaged == damaged
        kept = "book.bad.00000001"
        assert (kept in storage.names()) == damaged
        if damaged:
            assert storage.read(kept) == content
            assert recovery.notes[0].endswith("damaged; kept as " + kept)
        assert storage.read(SEGMENT) == good
        journal.append(b"next")
        journal.commit()
        assert journal_over(storage)[1] == [b"good", b"next"]


class Unreadable(MemoryStorage):
    """Reading what begins at `at` or later, or as the n-th call, fails with an error of its own."""

    def __init__(self, error, calls):
        MemoryStorage.__init__(self)
        self.error = error
        self.calls = calls

    def read(self, name, offset=0, size=-1):
        self.calls -= 1
        if self.calls < 0:
            raise OSError(self.error, "as the test ordered")
        return MemoryStorage.read(self, name, offset, size)


def test_a_flash_that_does_not_answer_is_no_damage():
    """Nothing is cut off, nothing is copied: the error comes out, and another time all is there."""
    bad = bytearray(framed(b"bad", 1))
    bad[-1] ^= 1
    content = HEADER + framed(b"good", 1) + bytes(bad) + framed(b"later", 1)
    for error in (EIO, EACCES):
        calls = 0
        while True:
            storage = Unreadable(error, calls)
            storage.replace(SEGMENT, content)
            try:
                journal_over(storage)
                break
            except OSError as told:
                assert told.errno == error
            storage.calls = 1 << 30
            assert storage.read(SEGMENT) == content, calls
            _, found, recovery = journal_over(storage)
            assert found == [b"good"] and recovery.damaged
            calls += 1
        assert calls >= 4


def test_files_are_closed():
    """Not more than one at a time, and none when another begins."""
    storage = MemoryStorage()
    opened = []
    made = storage.append

    def append(name, reserve=0):
        file = made(name, reserve)
        opened.append(name)
        closed = file.close

        def close():
            opened.remove(name)
            closed()

        file.close = close
        return file

    storage.append = append
    journal = journal_over(storage)[0]
    for number in range(3):
        journal.append(b"record %d" % number)
        journal.commit()
        assert opened == ["book.%08d" % (number + 1)]
        journal.roll()
        assert opened == []
    journal.append(b"x")
    journal.commit()
    journal.rewrite([b"y"])
    assert opened == []
    journal.append(b"x")
    storage.fail_next(EIO)
    raises(OSError, journal.commit)
    assert opened == []


def test_how_far_behind_a_commit_is_looked_for():
    """In 16 KB: of a record that ends with the last of them, and one octet later."""
    good, later = HEADER + framed(b"good", 1), framed(b"later", 1)
    for between, damaged in ((16384 - len(later), True), (16385 - len(later), False)):
        _, found, recovery = journal_over(stored(good + b"\x7f" * between + later))
        assert found == [b"good"] and recovery.damaged == damaged, between
    for between, damaged in ((1, True), (9, True)):
        _, found, recovery = journal_over(stored(good + b"\x7f" * between + later))
        assert found == [b"good"] and recovery.damaged == damaged, between
