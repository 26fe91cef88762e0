"""The tasks that are here: sent ones, defaults, and what the flash may do to them."""

from __future__ import annotations

from gateway.contract.refused import Refused
from gateway.contract.task import (
    ALL,
    CLOCK,
    DAYS,
    LIST,
    LOG,
    MAX_TASKS,
    PROFILE,
    Every,
    Item,
    Task,
    TaskRemoved,
)
from gateway.tasks.book import DONE, Book
from gateway.tasks.defaults import delay_of
from hal.rt import log
from hal.sim.storage import MemoryStorage
from tests.portable.failing import ERRORS, FailingStorage
from tests.portable.support import raises

log.set_level("error")

NOW = 1_800_000_000
DAY = 86400
PROFILE_OBIS = b"\x01\x00\x63\x01\x00\xff"


class Model:
    def __init__(self, name, words):
        self.name = name
        self.objects = [(word, 7, PROFILE_OBIS) for word in words]


IDIS = Model("idis", ["load-profile", "fraud-log", "alarm-register-1", "daily-profile"])


def task(name="nightly", meters=(ALL, []), at=10):
    return Task(name, 0, Every(DAYS, 1, at, 0), 3, list(meters), [Item(CLOCK)], 990, 30, 0)


def names(book):
    return [entry.task.name for entry in book.entries()]


def test_defaults_are_of_what_the_model_names():
    book = Book(MemoryStorage(), lambda: [IDIS, Model("bare", ["alarm-register-1"])])
    assert names(book) == ["clock-bare", "clock-idis", "daily-idis"]
    _, clock, daily = [entry.task for entry in book.entries()]
    assert [item.what for item in clock.items] == [CLOCK]
    assert [(item.what, item.name) for item in daily.items] == [
        (PROFILE, "daily-profile"),
        (PROFILE, "load-profile"),
        (LOG, "fraud-log"),
    ]
    assert all(entry.default for entry in book.entries())
    for one in (clock, daily):
        assert Task.of(one.to_array()) == one  # as the HES could have sent it
    long = Book(MemoryStorage(), lambda: [Model("m" * 32, ["load-profile"])])
    assert [len(name) for name in names(long)] == [32, 32]


def test_concentrators_do_not_begin_at_the_same_second():
    delays = {delay_of("c-%04d" % number) for number in range(200)}
    assert len(delays) > 150 and max(delays) < 960


def test_a_default_is_replaced_removed_and_stays_so():
    storage = MemoryStorage()
    book = Book(storage, lambda: [IDIS])
    version = book.version
    book.set(task("daily-idis", at=77))
    assert book.version > version
    book.remove(TaskRemoved("clock-idis"))
    for each in (book, Book(storage, lambda: [IDIS])):
        assert [(entry.task.every.at, entry.default) for entry in each.entries()] == [(77, False)]
    book.remove(TaskRemoved("daily-idis"))
    assert names(Book(storage, lambda: [IDIS])) == []
    book.set(task("daily-idis"))
    assert names(Book(storage, lambda: [IDIS])) == ["daily-idis"]
    book.remove(TaskRemoved("never-there"))
    assert storage.size("task-never-there") < 0


def test_a_model_that_comes_later_brings_its_defaults():
    models = []
    book = Book(MemoryStorage(), lambda: models)
    version = book.version
    book.refresh()
    assert names(book) == [] and book.version == version
    models.append(IDIS)
    book.refresh()
    assert names(book) == ["clock-idis", "daily-idis"] and book.version > version
    entries = book.entries()
    book.refresh()
    assert book.entries() == entries  # the very same: runs hold them


def test_a_list_of_serials_stays_on_the_flash():
    storage = MemoryStorage()
    serials = ["M%04d" % number for number in range(2000)]
    for book in (Book(storage, list), Book(storage, list)):
        if not book.entries():
            book.set(task("some", (LIST, serials)))
        assert book.entries()[0].task.meters == [LIST, []]
        assert book.serials(book.entries()[0].task) == serials
    book.set(task("some", (LIST, serials[:5])))
    assert book.serials(book.entries()[0].task) == serials[:5]


def test_what_is_done_is_kept():
    storage = MemoryStorage()
    book = Book(storage, list)
    book.set(task())
    (entry,) = book.entries()
    book.begin(NOW)
    assert entry.done == NOW
    book.did(entry, NOW + 5)
    book.did(entry, NOW + 4)
    again = Book(storage, list)
    again.begin(NOW + 9)
    assert again.entries()[0].done == NOW + 5
    again.begin(NOW + 5 - 2 * DAY)  # the clock was wrong
    assert again.entries()[0].done == NOW + 5 - 2 * DAY


def test_what_was_due_while_it_was_paused_was_not_missed():
    book = Book(MemoryStorage(), list)
    book.set(task())
    book.begin(NOW)
    paused = task()
    paused.paused = True
    book.set(paused)
    book.begin(NOW + DAY)
    assert book.entries()[0].done == NOW
    book.set(task())
    book.begin(NOW + 5 * DAY)
    assert book.entries()[0].done == NOW + 5 * DAY


def test_damage_costs_one_task_and_is_told():
    storage = MemoryStorage()
    book = Book(storage, list)
    for name in ("a", "b", "c"):
        book.set(task(name))
    book.begin(NOW)
    good = storage.read("task-b")
    for bad in (good[:-1], b"", bytes(len(good)), storage.read("task-a")):
        storage.replace("task-b", bad)
        found = Book(storage, list)
        assert names(found) == ["a", "c"] and found.damaged == ["b"]
    found.set(task("b"))
    assert names(Book(storage, list)) == ["a", "b", "c"]
    storage.replace(DONE, b"\x00" * 40)
    found = Book(storage, list)
    found.begin(NOW + 7)
    assert [entry.done for entry in found.entries()] == [NOW + 7] * 3


def test_no_more_than_fit_removed_defaults_included():
    book = Book(MemoryStorage(), lambda: [IDIS])
    for number in range(MAX_TASKS):
        book.set(task("t-%d" % number))
    assert raises(Refused, book.set, task("one-more")).reason == "too-many-tasks"
    assert raises(Refused, book.remove, TaskRemoved("clock-idis")).reason == "too-many-tasks"


def test_a_storage_that_fails_changes_nothing():
    steps = (
        lambda book: book.set(task("a")),
        lambda book: book.begin(NOW),
        lambda book: book.set(task("a", at=44)),
        lambda book: book.did(book.entries()[0], NOW + 9),
        lambda book: book.remove(TaskRemoved("a")),
    )
    for error in ERRORS:
        for number in range(len(steps)):
            storage = FailingStorage()
            book = Book(storage, list)
            for step in steps[:number]:
                step(book)
            before = [(entry.task.every.at) for entry in book.entries()]
            storage.fail_at(0, error)
            assert raises(OSError, steps[number], book).errno == error
            assert [(entry.task.every.at) for entry in book.entries()] == before
            assert [entry.task.every.at for entry in Book(storage, list).entries()] == before
            steps[number](book)  # and again
            for step in steps[number + 1 :]:
                step(book)
            assert names(book) == names(Book(storage, list)) == []
