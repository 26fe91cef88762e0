"""What is due now, and which meter a worker takes next.

The most urgent task first, then the one that has been due for longest. However often a task was due
while there was no power or no date, there is one run for it: rows and events of all that time are
read by it, and values, which are gone, are counted as missed. So an outage makes no storm.

A run lasts until the task is due again at most. What it got is reported when every meter has had
its first try, and when it is over.
"""

from __future__ import annotations

from array import array

from gateway.contract.result import HINDERED, TRIED_AGAIN
from gateway.contract.task import ALL, LIST, MODEL, VALUES
from gateway.tasks.book import Entry
from gateway.tasks.due import last_due, missed, next_due
from gateway.tasks.run import IN_WORK, Run
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from gateway.contract.reports import TaskRun
    from gateway.contract.task import Task
    from gateway.contract.zone import Zone
    from gateway.tasks.book import Book
    from hal.ports import Clock

    class Meters(Protocol):
        """As gateway/meters/inventory.py."""

        def serials(self) -> list[str]: ...

        def meter(self, serial: str) -> Any:
            """None, or one with `model` and `paths`."""


WHERE = "tasks"
LOOK_MS = 1000  # how often it is looked what is due
REFRESH_MS = 600000  # and which models there are
MOST_VISITS = 64  # to single meters, that wait
VISIT_MS = 3600000  # within which such a visit has come about, or is given up
HINDERED_S = 10  # how long a meter waits that we were kept from, where nobody knows how long
_FLASH_S = 60  # after the flash refused


class Errand:
    """One meter of a run, for one worker, until it calls finish() or give_up()."""

    __slots__ = ("index", "run", "serial", "task")

    def __init__(self, run: Run, index: int) -> None:
        self.run = run
        self.index = index
        self.serial = run.serial(index)
        self.task = run.task


class Runs:
    """`cost(serial)`: what an exchange with the meter is likely to take of its medium;
    `tell(report)` keeps a report, durably, or raises OSError; `random(n)` gives n random bytes;
    `delay_s`: by how much defaults begin later than they are due."""

    def __init__(
        self,
        book: Book,
        zone: Zone,
        clock: Clock,
        meters: Meters,
        cost: Callable[[str], int],
        tell: Callable[[TaskRun], None],
        random: Callable[[int], bytes],
        delay_s: int = 0,
    ) -> None:
        self._book = book
        self._zone = zone
        self._clock = clock
        self._meters = meters
        self._cost = cost
        self._tell = tell
        self._random = random
        self._delay_s = delay_s
        self._runs: list[Run] = []  # the most urgent first
        self._visits: list[tuple[Run, int]] = []  # with when it is given up (ticks)
        self._next: dict[str, tuple[int, int]] = {}  # by task: after what was done, when
        self._in_work: dict[str, Errand] = {}
        self._version = -1
        self._look_at = 0  # ticks
        self._refresh_at = 0

    def runs(self) -> list[Run]:
        """Those that go on, the most urgent first."""
        return self._runs

    def visit(self, serial: str, task: Task) -> bool:
        """Go to this meter soon, for a task that is in no book and of which no run is told. False
        where one waits already, or too many do."""
        self._forget_visits()
        waiting = [run for run, _ in self._visits if run.serial(0) == serial]
        if waiting or len(self._visits) >= MOST_VISITS:
            return False
        now = self._clock.unix_time()
        run = Run(Entry(task, False), now, now, [serial], array("H", [0]))
        self._visits.append((run, self._clock.ticks_ms() + VISIT_MS))
        return True

    def in_work(self, serial: str) -> bool:
        return serial in self._in_work

    def urgency(self) -> int:
        """The priority of the most urgent task that has a meter to be tried now; -1: none has."""
        self._look()
        now_s = self._clock.ticks_ms() // 1000
        most = -1
        for run in self._all():
            if run.is_ready(now_s):
                most = max(most, run.task.priority)
        return most

    def take(self, usable: Callable[[str, Task], bool]) -> Errand | None:
        """The next meter for which `usable(serial, task)` holds; it is asked last."""
        self._look()
        now_s = self._clock.ticks_ms() // 1000
        for run in self._all():
            for index in run.ready(now_s):
                serial = run.serial(index)
                if serial not in self._in_work and usable(serial, run.task):
                    run.began_with(index)
                    errand = self._in_work[serial] = Errand(run, index)
                    return errand
        return None

    def finish(
        self, errand: Errand, outcome: str, reason: str, rows: int = 0, wait_s: int = 0
    ) -> None:
        """`reason`: why the meter is not complete; "": it is. `wait_s`: as in Result."""
        run, index, now_s = errand.run, errand.index, self._clock.ticks_ms() // 1000
        del self._in_work[errand.serial]
        run.rows += rows
        if outcome == HINDERED:
            run.put_back(index, now_s + (wait_s or HINDERED_S), reason)
        elif reason in TRIED_AGAIN:
            run.failed(index, now_s, reason, self._random(1)[0])
        else:
            run.ended(index, reason)
        self._look_at = min(self._look_at, self._clock.ticks_ms())

    def give_up(self, errand: Errand) -> None:
        """The meter, or its slot, was wanted for something else: it has its turn again."""
        del self._in_work[errand.serial]
        errand.run.put_back(errand.index, self._clock.ticks_ms() // 1000)

    def _all(self) -> list[Run]:
        """Visits first: what they are for is urgent."""
        if not self._visits:
            return self._runs
        self._forget_visits()
        return [run for run, _ in self._visits] + self._runs

    def _forget_visits(self) -> None:
        now = self._clock.ticks_ms()
        for each in list(self._visits):
            run, until = each
            if run.is_over() or (until <= now and not run.count(IN_WORK)):
                self._visits.remove(each)

    # ------------------------------------------------------------ what is due

    def _look(self) -> None:
        ticks, now = self._clock.ticks_ms(), self._clock.unix_time()
        if ticks < self._look_at or not now:
            return
        self._look_at = ticks + LOOK_MS
        try:
            if ticks >= self._refresh_at:
                self._refresh_at = ticks + REFRESH_MS
                self._book.refresh()
            self._book.begin(now)
            self._end_what_is_over(now)
            self._begin_what_is_due(now)
        except OSError as error:
            log.error(WHERE, "storage: %s" % error)
            self._look_at = ticks + _FLASH_S * 1000

    def _end_what_is_over(self, now: int) -> None:
        if self._version != self._book.version:
            self._version = self._book.version
            self._next = {}
            entries = self._book.entries()
            for run in list(self._runs):
                if run.entry not in entries or run.entry.task.paused:
                    self._end(run, now, False)
        for run in list(self._runs):
            if run.is_over():
                self._end(run, now, True)
            elif not run.told and run.all_tried():
                self._tell(run.report(now))
                run.told = True

    def _end(self, run: Run, now: int, known: bool) -> None:
        """`known`: the task is still in the book."""
        report = run.report(now)
        log.info(WHERE, "%s: %d of %d complete" % (report.name, report.complete, report.meters))
        self._tell(report)
        if known:
            self._book.did(run.entry, run.due)
        self._runs.remove(run)

    def _begin_what_is_due(self, now: int) -> None:
        for entry in self._book.entries():
            task = entry.task
            if task.paused:
                continue
            going = [run for run in self._runs if run.entry is entry]
            delay_s = self._delay_s if entry.default else 0
            if self._due_after(entry, going[0].due if going else entry.done) + delay_s > now:
                continue
            if going:
                self._end(going[0], now, True)
            self._begin(entry, now, delay_s)

    def _due_after(self, entry: Entry, after: int) -> int:
        kept = self._next.get(entry.task.name)
        if kept is None or kept[0] != after:
            due = next_due(entry.task.every, entry.task.start, self._zone, after)
            kept = self._next[entry.task.name] = (after, due)
        return kept[1]

    def _begin(self, entry: Entry, now: int, delay_s: int) -> None:
        task = entry.task
        due = last_due(task.every, task.start, self._zone, now - delay_s)
        gone = 0
        if [item for item in task.items if item.what == VALUES]:
            gone = missed(task.every, task.start, self._zone, entry.done, due)
        serials, unknown = self._selected(task)
        costs = [(self._cost(serials[index]), index) for index in range(len(serials))]
        costs.sort()
        order = array("H", [index for _, index in costs])
        run = Run(entry, due, now, serials, order, gone, unknown)
        log.info(WHERE, "%s: due, %d meters" % (task.name, len(run)))
        self._runs.append(run)
        self._runs.sort(key=lambda run: (-run.task.priority, run.due, run.task.name))

    def _selected(self, task: Task) -> tuple[list[str], int]:
        """The meters that are wanted, and how many serials are none's."""
        how, wanted = task.meters
        serials = self._meters.serials()
        if how == ALL:
            return serials, 0
        if how == LIST:
            listed = set(self._book.serials(task))
            found = [serial for serial in serials if serial in listed]
            return found, len(listed) - len(found)
        found = []
        for serial in serials:
            meter = self._meters.meter(serial)
            kinds = [meter.model] if how == MODEL else [kind for kind, _ in meter.paths]
            if [kind for kind in kinds if kind in wanted]:
                found.append(serial)
        return found, 0
