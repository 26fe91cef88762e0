"""What is promised of a job: means, their file, windows and words, by exact numbers."""

from __future__ import annotations

from gateway.contract.kinds import CONFIGURE, READ
from gateway.jobs.forecast import FILE, Durations, words
from hal.sim.clock import ManualClock
from tests.portable.failing import ERRORS, FailingStorage


def test_words_for_people():
    for seconds, text in (
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172799, "47 h"),
        (172800, "2 d"),
        (10**7, "115 d"),
    ):
        assert words(seconds) == text


def test_a_mean_of_each_kind():
    durations = Durations(ManualClock())
    assert durations.of(READ) is None
    durations.note(READ, 8000, 1)
    assert durations.of(READ) == 8000 and durations.of(CONFIGURE) is None
    durations.note(READ, 16000, 1)
    assert durations.of(READ) == 9000, "an eighth of the difference"
    durations.note(READ, 1000, 1)
    assert durations.of(READ) == 8000
    durations.note(CONFIGURE, 9000, 3)
    assert durations.of(CONFIGURE) == 3000, "shared by those at work"
    durations.note(CONFIGURE, 3000, 0)
    assert durations.of(CONFIGURE) == 3000


def test_it_is_written_when_a_quarter_off_and_not_sooner_than_in_ten_minutes():
    clock, storage = ManualClock(), FailingStorage()
    durations = Durations(clock, storage)
    durations.note(READ, 1000, 1)
    assert storage.read(FILE) == b"[[%d, 1000]]" % READ
    durations.note(READ, 10000, 1)
    assert durations.of(READ) == 2125
    clock.advance(599_999)
    durations.note(READ, 2125, 1)
    assert storage.read(FILE) == b"[[%d, 1000]]" % READ
    clock.advance(1)
    durations.note(READ, 2125, 1)
    assert storage.read(FILE) == b"[[%d, 2125]]" % READ
    clock.advance(600_000)
    before = storage.operations
    for mean in (2656, 1594):  # a quarter is 531
        durations._mean_ms[READ] = mean
        durations.note(READ, mean, 1)
        assert storage.operations == before
    durations._mean_ms[READ] = 2657
    durations.note(READ, 2657, 1)
    assert storage.operations == before + 1


def test_a_file_that_cannot_be_written_is_tried_again_later():
    for error in ERRORS:
        clock, storage = ManualClock(), FailingStorage()
        durations = Durations(clock, storage)
        storage.fail_at(0, error)
        durations.note(READ, 1000, 1)
        assert storage.failed == 1 and storage.size(FILE) == -1
        clock.advance(600_000)
        durations.note(READ, 1000, 1)
        assert Durations(clock, storage).of(READ) == 1000


def test_only_what_is_as_it_must_be_is_believed():
    most = 1000 * 86400
    for content, mean in (
        (b"[[%d, 1000]]" % READ, 1000),
        (b"[[%d, 0]]" % READ, 0),
        (b"[[%d, %d]]" % (READ, most), most),
        (b"[[%d, %d]]" % (READ, most + 1), None),
        (b"[[%d, -1]]" % READ, None),
        (b"[[%d, 1.5]]" % READ, None),
        (b"[[%d, true]]" % READ, None),
        (b"[[true, 1]]", None),
        (b"[[999, 1]]", None),
        (b'[["x", 1]]', None),
        (b"[[%d]]" % READ, None),
        (b"7", None),
        (b"no json", None),
        (b"\xff", None),
        (b"", None),
    ):
        storage = FailingStorage()
        storage.replace(FILE, content)
        assert Durations(ManualClock(), storage).of(READ) == mean, content
