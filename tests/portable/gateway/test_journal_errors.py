"""The journal over a storage that fails at any call, and every bound of it by its number."""

from __future__ import annotations

from gateway.journal import MAX_RECORD, Journal, JournalError, Recovery, segment_of
from hal.sim.storage import MemoryStorage
from tests.contract.here import MICROPYTHON
from tests.portable.failing import ENOSPC, ERRORS, FailingStorage
from tests.portable.support import raises, random_bytes

HEADER = FRAME = 8
FLUSH = 16384


def opened(storage, segment_size=65536):
    """(journal, records found, recovery)"""
    journal = Journal(storage, "book", segment_size)
    found = []
    recovery = journal.recover(lambda position, payload: found.append(payload))
    return journal, found, recovery


def content(journal):
    return [record for _, record in journal.records()]


# ---------------------------------------------------------------- a storage that fails


class Life:
    """Records come, are committed, segments roll and are dropped, all is rewritten; `kept` is what
    must be there: (position, record) of every commit that did not fail."""

    def __init__(self, storage):
        self.storage = storage
        self.journal = opened(storage, 400)[0]
        self.kept = []
        self.failures = []

    def tried(self, step):
        """Whether it succeeded. What fails is tried once more, as the gateway does."""
        try:
            return step()
        except OSError as error:
            self.failures.append(error.errno)
            assert content(self.journal) == [record for _, record in self.kept]
            assert not self.journal.pending()
        return step()

    def write(self, batch):
        def step():
            new = [(self.journal.append(record), record) for record in batch]
            self.journal.commit()
            self.kept += new

        self.tried(step)

    def roll(self):
        self.tried(self.journal.roll)

    def drop(self):
        # What is kept of the one that fails in the midst is what is left of the segments.
        oldest = self.journal.newest() - 1

        def step():
            try:
                self.journal.drop_before(oldest)
            finally:
                first = self.journal.oldest()
                self.kept = [each for each in self.kept if segment_of(each[0]) >= first]

        self.tried(step)

    def rewrite(self):
        wanted = [record for _, record in self.kept][::2] or [b"one"]

        def step():
            try:
                self.journal.rewrite(wanted)
            finally:
                found = list(self.journal.records())
                if [record for _, record in found] == wanted:
                    self.kept = found

        self.tried(step)

    def run(self):
        for number in range(24):
            self.write([random_bytes(number, 60), b"record %d" % number])
            if self.journal.full():
                self.roll()
            if number % 8 == 5:
                self.drop()
            if number % 12 == 11:
                self.rewrite()
        self.write([b"the last"])


def test_any_call_may_fail_once():
    storage = FailingStorage()
    Life(storage).run()
    count = storage.operations
    assert count > 60
    for error in ERRORS:
        for call in range(count):
            storage = FailingStorage()
            storage.fail_at(call, error)
            life = Life(storage)
            life.run()
            assert storage.failed == 1, call
            assert life.failures == [error], (call, life.failures)
            wanted = [record for _, record in life.kept]
            assert content(life.journal) == wanted, call
            _, found, recovery = opened(storage.after_cut(), 400)
            assert found == wanted and not recovery.damaged, (call, recovery.notes)


def test_after_a_failed_commit_the_next_one_stands_where_it_stood():
    for error in ERRORS:
        for call in (0, 1):  # the write, the sync
            storage = FailingStorage()
            journal = opened(storage)[0]
            first = journal.append(b"first")
            journal.commit()
            place = journal.append(b"second")
            storage.fail_at(call, error)
            told = raises(OSError, journal.commit)
            assert told.errno == error
            assert journal.newest_size() == journal.size() == HEADER + FRAME + 5
            assert journal.append(b"another") == place
            journal.commit()
            assert opened(storage.after_cut())[1] == [b"first", b"another"]
            assert [at for at, _ in journal.records()] == [first, place]


# ---------------------------------------------------------------- bounds


def test_the_size_of_a_record():
    assert MAX_RECORD == 1048576
    journal = opened(MemoryStorage())[0]
    for size in (0, MAX_RECORD + 1):
        error = raises(JournalError, journal.append, bytes(size))
        assert str(error) == "a record has 1..1048576 bytes, not %d" % size
        raises(JournalError, journal.rewrite, [bytes(size)])
    most = 9000 if MICROPYTHON else MAX_RECORD  # its heap has no megabyte in one piece
    for size in (1, most):
        journal.append(b"x" * size)
    journal.commit()
    assert [len(record) for record in content(journal)] == [1, most]
    journal.rewrite([bytes(1), b"y" * most])
    assert [len(record) for record in content(journal)] == [1, most]


def test_at_most_so_much_waits_in_memory():
    """A record that fills 16 KB is written at once, one octet less waits for the commit."""
    room = FLUSH - HEADER - FRAME
    for size, written in ((room - 1, False), (room, True), (room + 1, True)):
        storage = MemoryStorage(reserves=False)
        journal = opened(storage)[0]
        journal.append(b"x" * size)
        assert (storage.size("book.00000001") > 0) == written, size
        assert storage.syncs == 0 and journal.pending()
        assert content(journal) == [], "written is not committed"
        journal.append(b"more")
        journal.commit()
        assert storage.syncs == 1 and not journal.pending()
        assert opened(storage.after_cut())[1] == [b"x" * size, b"more"]


def test_what_was_flushed_and_not_committed_is_gone_with_a_failure():
    storage = FailingStorage()
    journal = opened(storage)[0]
    journal.append(b"kept")
    journal.commit()
    journal.append(b"x" * FLUSH)  # is written
    journal.append(b"more")
    storage.fail_at(1, ENOSPC)  # the sync, after the write of the rest
    raises(OSError, journal.commit)
    assert content(journal) == [b"kept"]
    assert storage.size("book.00000001") == HEADER + FRAME + 4
    journal.append(b"next")
    journal.commit()
    assert opened(storage.after_cut())[1] == [b"kept", b"next"]


def test_a_commit_of_nothing_costs_nothing():
    storage = MemoryStorage()
    journal = opened(storage)[0]
    journal.commit()
    journal.flush()
    assert (storage.syncs, storage.names()) == (0, [])
    journal.append(b"x")
    journal.commit()
    before = storage.operations
    journal.commit()
    journal.flush()
    assert storage.operations == before


def test_full_by_its_size_and_rolled_only_when_something_is_in():
    journal = opened(MemoryStorage(), 100)[0]
    journal.roll()
    assert journal.newest() == 1
    journal.append(bytes(100 - HEADER - FRAME - 1))
    assert not journal.full() and journal.newest_size() == 99
    journal.commit()
    journal.roll()
    assert (journal.oldest(), journal.newest(), journal.newest_size()) == (1, 2, 0)
    journal.append(b"x" * (100 - HEADER - FRAME))
    assert journal.full() and journal.newest_size() == 100
    assert journal.size() == 199
    journal.roll()
    assert journal.newest() == 3, "roll() commits what is pending"
    assert len(content(journal)) == 2


def test_what_is_dropped():
    journal = opened(MemoryStorage(), 100)[0]
    places = []
    for number in range(4):
        places.append(journal.append(b"record %d" % number))
        journal.roll()
    assert [segment_of(place) for place in places] == [1, 2, 3, 4]
    journal.drop_before(1)
    assert journal.oldest() == 1
    journal.drop_before(3)
    assert journal.oldest() == 3
    assert content(journal) == [b"record 2", b"record 3"]
    raises(JournalError, journal.read, places[1])
    assert journal.read(places[2]) == b"record 2"
    journal.drop_before(99)
    assert journal.oldest() == journal.newest() == 5, "the newest stays"
    assert content(journal) == []


def test_records_from_a_position_on():
    journal = opened(MemoryStorage(), 50)[0]
    places = []
    for number in range(6):
        places.append(journal.append(b"record %d" % number))
        journal.commit()
        if journal.full():
            journal.roll()
    assert journal.newest() > 2
    for number in range(6):
        found = list(journal.records(places[number]))
        assert found == [(places[i], b"record %d" % i) for i in range(number, 6)]
    assert list(journal.records()) == list(journal.records(0)) == list(journal.records(places[0]))
    error = raises(JournalError, journal.read, places[2] + 1)
    assert str(error) == "no record at book position %d" % (places[2] + 1)


def test_windows_of_reading():
    """Records before, at and over the 4 KB that are read at once, in every order."""
    for size in (4096 - FRAME - 1, 4096 - FRAME, 4096 - FRAME + 1, 4095, 4096, 4097, 9000):
        storage = MemoryStorage()
        journal = opened(storage)[0]
        wanted = [random_bytes(size, size), b"x", random_bytes(7, size), b"yz"]
        for record in wanted:
            journal.append(record)
        journal.commit()
        assert opened(storage)[1] == wanted
        assert content(journal) == wanted


def test_names_that_are_not_segments_are_left_alone():
    storage = MemoryStorage()
    journal = opened(storage)[0]
    journal.append(b"x")
    journal.commit()
    others = ["book.1", "book.0000000x", "book.000000001", "books.00000001", "ook.00000009"]
    for name in others:
        storage.replace(name, b"other")
    _, found, recovery = opened(storage)
    assert found == [b"x"] and recovery.notes == []
    assert [storage.read(name) for name in others] == [b"other"] * len(others)


def test_what_a_rewrite_leaves_behind_is_cleared_away():
    storage = MemoryStorage()
    journal = opened(storage)[0]
    journal.append(b"old")
    journal.commit()
    storage.replace("book.new", b"half of a rewrite")
    journal.rewrite([b"new"])
    assert content(journal) == [b"new"]
    assert storage.names() == ["book.00000002"]
    storage.replace("book.new", b"half of a rewrite")
    assert opened(storage)[1] == [b"new"]
    assert storage.names() == ["book.00000002"]


def test_a_fresh_recovery_knows_nothing():
    recovery = Recovery()
    assert (recovery.records, recovery.cut, recovery.damaged, recovery.notes) == (0, 0, False, [])
    _, found, recovery = opened(MemoryStorage())
    assert (found, recovery.records, recovery.cut, recovery.damaged) == ([], 0, 0, False)
