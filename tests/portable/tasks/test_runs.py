"""Runs of tasks: whose turn it is, what is tried again, what is reported, what a restart leaves."""

from __future__ import annotations

from gateway.contract.result import HINDERED, KO, OK
from gateway.contract.task import (
    ALARMS,
    ALL,
    DAYS,
    LIST,
    MINUTES,
    MODEL,
    MONTHS,
    PATH,
    PROFILE,
    VALUES,
    WEEKS,
    Every,
    Item,
    Task,
    TaskRemoved,
)
from gateway.contract.zone import Zone
from gateway.tasks.book import Book
from gateway.tasks.due import next_due
from gateway.tasks.run import LAST_PAUSE_S
from gateway.tasks.runs import HINDERED_S, REFRESH_MS, Runs
from hal.rt import log
from hal.rt.calendar import days_to
from hal.sim.clock import ManualClock
from hal.sim.storage import SURVIVALS, MemoryStorage, PowerCut
from tests.portable.failing import ERRORS, FailingStorage

log.set_level("error")

HOUR, DAY = 3600, 86400
NOON = days_to(2026, 7, 1) * DAY + 12 * HOUR  # a Wednesday, UTC
SERIALS = ["A", "B", "C", "D"]
COSTS = {"A": 40, "B": 10, "C": 30, "D": 20}
READ = [Item(PROFILE, "load-profile")]
OBIS = b"\x01\x00\x01\x08\x00\xff"


def daily(name="nightly", priority=3, meters=(ALL, []), items=None, completeness=1000, at=10):
    every = Every(DAYS, 1, at, 0)
    return Task(name, 0, every, priority, list(meters), items or READ, completeness, 30, 0)


def quarterly(name="quarterly", priority=3):
    items = [Item(VALUES, "", [(3, OBIS, 2)])]
    return Task(name, 0, Every(MINUTES, 15, 0, 0), priority, [ALL, []], items, 1000, 30, 0)


class Meter:
    def __init__(self, model, paths):
        self.model = model
        self.paths = paths


class Meters:
    def __init__(self, serials):
        self.names = serials

    def serials(self):
        return list(self.names)

    def meter(self, serial):
        model = "idis" if serial in ("A", "B") else "ami"
        return Meter(model, [("plc", "1"), ("ip", "x:1")] if serial == "D" else [("plc", "1")])


class World:
    def __init__(self, tasks, storage=None, now=NOON, models=None, delay_s=0, serials=SERIALS):
        self.clock = ManualClock(now)
        self.storage = storage or MemoryStorage()
        self.models = [] if models is None else models
        self.delay_s = delay_s
        self.meters = Meters(serials)
        self.told = []
        self.refuse = []
        self.boot()
        for task in tasks:
            if task.name not in [entry.task.name for entry in self.book.entries()]:
                self.book.set(task)

    def boot(self):
        self.book = Book(self.storage, lambda: self.models)
        self.runs = Runs(
            self.book,
            Zone("CET-1CEST,M3.5.0,M10.5.0/3"),
            self.clock,
            self.meters,
            lambda serial: COSTS.get(serial, 0),
            self.tell,
            lambda size: bytes(size),
            self.delay_s,
        )

    def tell(self, run):
        if self.refuse:
            raise OSError(self.refuse.pop(0))
        self.told.append(run)

    def wait(self, seconds):
        self.clock.advance(seconds * 1000)

    def take(self, but=()):
        return self.runs.take(lambda serial, task: serial not in but)

    def all(self, result=(OK, ""), rows=96, but=()):
        """Everybody who can be taken now, in order; each comes to `result`."""
        found = []
        while True:
            errand = self.take(but)
            if errand is None:
                return found
            found.append(errand.serial)
            outcome, reason = (
                result.get(errand.serial, (OK, "")) if type(result) is dict else result
            )
            self.runs.finish(errand, outcome, reason, rows if not reason else 0)

    def reports(self):
        self.wait(1)
        self.take(SERIALS)
        return [(r.name, r.meters, r.complete, r.rows, r.gaps) for r in self.told]


def test_nothing_is_due_before_its_time_and_the_cheapest_meter_is_first():
    world = World([daily()])
    assert world.all() == [] and world.runs.urgency() == -1
    world.wait(10 * HOUR + 9 * 60)  # 0:09 in Madrid
    assert world.all() == []
    world.wait(60)
    assert world.runs.urgency() == 3
    assert world.all() == ["B", "D", "C", "A"]
    assert world.reports() == [("nightly", 4, 4, 384, [])]
    run = world.told[0]
    assert run.due == days_to(2026, 7, 1) * DAY + 22 * HOUR + 600
    assert run.began == run.due and run.ended >= run.began
    world.wait(DAY - 60)
    assert world.all() == []
    world.wait(120)
    assert len(world.all()) == 4


def test_the_clock_unset_nothing_is_due():
    world = World([daily()], now=0)
    world.wait(3 * DAY)
    assert world.all() == []
    world.clock.set_unix_time(NOON)
    assert world.all() == []  # it has just come
    world.wait(DAY)
    assert len(world.all()) == 4


def test_which_meters():
    for meters, expected in (
        ((ALL, []), "ABCD"),
        ((MODEL, ["idis", "none"]), "AB"),
        ((PATH, ["ip"]), "D"),
        ((PATH, ["ip", "plc"]), "ABCD"),
        ((LIST, ["C", "A", "X", "Y"]), "AC"),
        ((LIST, ["X"]), ""),
    ):
        world = World([daily(meters=meters)])
        world.take()
        world.wait(DAY)
        assert "".join(sorted(world.all())) == expected
        (report,) = world.reports()
        unknown = [name for name in meters[1] if meters[0] == LIST and name in "XY"]
        assert report[1:3] == (len(expected) + len(unknown), len(expected))
        assert report[4] == ([["unknown-meter", len(unknown)]] if unknown else [])


def test_the_more_urgent_first_then_what_has_waited_for_longer():
    world = World([daily("early", 3, at=5), daily("late", 3, at=50), daily("top", 7, at=55)])
    world.take()
    world.wait(DAY)
    order = []
    while True:
        errand = world.take()
        if errand is None:
            break
        order.append(errand.task.name)
        world.runs.finish(errand, OK, "")
    assert order == ["top"] * 4 + ["early"] * 4 + ["late"] * 4


def test_a_meter_is_with_one_worker_at_a_time():
    world = World([daily("one"), daily("two")])
    world.take()
    world.wait(DAY)
    taken = [world.take() for _ in range(5)]
    assert [errand.serial for errand in taken[:4]] == ["B", "D", "C", "A"] and taken[4] is None
    assert world.runs.in_work("B")
    world.runs.finish(taken[0], OK, "")
    assert not world.runs.in_work("B")
    errand = world.take()
    assert (errand.serial, errand.task.name) == ("B", "two")


def test_who_fails_is_tried_again_after_growing_pauses_until_the_next_time():
    world = World([daily()])
    world.take()
    world.wait(12 * HOUR)
    silent = {"A": (KO, "no-answer"), "C": (KO, "no-answer")}
    assert world.all(silent) == ["B", "D", "C", "A"]
    assert world.reports() == [("nightly", 4, 2, 192, [["no-answer", 2]])]  # so far
    tries = []
    for minute in range(22 * 60):
        world.wait(60)
        if "A" in world.all(silent):
            tries.append(minute + 1)
    pauses = [tries[at] - tries[at - 1] for at in range(1, len(tries))]
    assert [tries[0]] + pauses[:6] == [1, 2, 4, 8, 16, 32, 60]
    assert set(pauses[6:]) == {60} and LAST_PAUSE_S == 60 * 60
    assert len(world.told) == 1
    world.wait(HOUR)
    assert world.take() is not None  # due again
    assert [r.complete for r in world.told] == [2, 2] and world.told[0].due == world.told[1].due


def test_enough_is_enough():
    world = World([daily(completeness=750)])
    world.take()
    world.wait(12 * HOUR)
    world.all({"A": (KO, "link-lost")})
    assert world.reports() == [("nightly", 4, 3, 288, [["link-lost", 1]])]
    world.wait(2 * HOUR)
    assert world.all() == []


def test_what_would_end_in_the_same_way_is_not_tried_again():
    world = World([daily()])
    world.take()
    world.wait(12 * HOUR)
    world.all({"A": (KO, "no-keys"), "D": (OK, "read-refused"), "C": (KO, "no-keys")})
    expected = [("nightly", 4, 1, 96, [["no-keys", 2], ["read-refused", 1]])]
    assert world.reports() == expected
    world.wait(2 * HOUR)
    assert world.all() == [] and world.reports() == expected


def test_a_hindrance_is_no_try():
    world = World([daily()])
    world.take()
    world.wait(12 * HOUR)
    errand = world.take()
    world.runs.finish(errand, HINDERED, "radio-budget", 0, 90)
    assert world.all() == ["D", "C", "A"]
    world.wait(89)
    assert world.all() == [] and world.reports() == []
    world.wait(1)
    errand = world.take()
    world.runs.finish(errand, HINDERED, "modem-busy")
    world.wait(HINDERED_S)
    assert world.all() == ["B"]
    assert world.reports()[0][1:3] == (4, 4)


def test_given_up_it_has_its_turn_again():
    world = World([daily()])
    world.take()
    world.wait(12 * HOUR)
    errand = world.take()
    world.runs.give_up(errand)
    assert not world.runs.in_work("B")
    assert world.all() == ["B", "D", "C", "A"]


def test_after_an_outage_there_is_one_run_for_all_that_was_missed():
    world = World([daily(), quarterly()])
    world.take()
    world.wait(4 * DAY)  # without power
    assert len(world.all()) == 8
    (night, quarters) = sorted(world.reports())
    assert night == ("nightly", 4, 4, 384, [])
    # since noon of four days ago 4 x 96 quarters, the last of which is the one it did
    assert quarters == ("quarterly", 4, 4, 384, [["missed", 4 * 96 - 1]])
    first, second = world.told
    assert (first.name, second.name) == ("nightly", "quarterly")  # the oldest first
    assert second.due == world.clock.unix_time() - world.clock.unix_time() % 900
    world.wait(900)
    assert len(world.all()) == 4


def test_both_changes_of_the_clock():
    for year, month, day, quarters in ((2026, 3, 29, 92), (2026, 10, 25, 100)):
        begin = days_to(year, month, day) * DAY - 12 * HOUR
        world = World([daily(at=150), quarterly(priority=1)], now=begin)
        for _ in range(24 * 60 * 2):
            world.wait(60)
            world.all()
        names = [run.name for run in world.told]
        assert names.count("nightly") == 2
        dues = [run.due for run in world.told if run.name == "quarterly"]
        midnight = Zone("CET-1CEST,M3.5.0,M10.5.0/3").moment(days_to(year, month, day) * DAY)
        after = Zone("CET-1CEST,M3.5.0,M10.5.0/3").moment(days_to(year, month, day + 1) * DAY)
        assert len([due for due in dues if midnight <= due < after]) == quarters
        assert not [run for run in world.told if run.gaps]


def test_defaults_begin_a_little_later():
    class Model:
        name = "idis"
        objects = [("load-profile", 7, OBIS)]

    world = World([], models=[Model()], delay_s=300)
    world.take()
    world.wait(10 * HOUR + 14 * 60)
    assert world.all() == []
    world.wait(60)
    assert world.all() == ["B", "A"]
    assert world.told == [] or world.told[0].due == world.told[0].began - 300
    world.reports()
    assert world.told[0].due == world.told[0].began - 300


def test_a_model_that_comes_brings_its_task():
    class Model:
        name = "idis"
        objects = [("load-profile", 7, OBIS)]

    world = World([], models=[])
    world.take()
    world.models.append(Model())
    world.wait(REFRESH_MS // 1000)
    world.take()
    assert [entry.task.name for entry in world.book.entries()] == ["clock-idis", "daily-idis"]


def test_changed_paused_and_removed_in_the_midst_of_a_run():
    for change in ("paused", "removed", "changed"):
        world = World([daily()])
        world.take()
        world.wait(12 * HOUR)
        errand = world.take()
        changed = daily(at=700)
        changed.paused = change == "paused"
        if change == "removed":
            world.book.remove(TaskRemoved("nightly"))
        else:
            world.book.set(changed)
        world.wait(2)
        assert world.take() is None
        world.runs.finish(errand, OK, "", 96)
        assert world.take() is None
        assert [(run.meters, run.complete) for run in world.told] == [(4, 0)]
        world.wait(2 * DAY)
        assert (len(world.all()) == 4) == (change == "changed")


def test_a_flash_that_refuses_is_asked_again():
    for error in ERRORS:
        world = World([daily()])
        world.take()
        world.wait(12 * HOUR)
        world.refuse = [error]
        world.all()
        assert world.reports() == []
        world.wait(70)
        assert world.reports() == [("nightly", 4, 4, 384, [])]
        world.wait(70)
        assert len(world.reports()) == 1
    for calls in range(3):
        storage = FailingStorage()
        world = World([daily()], storage)
        world.take()
        world.wait(12 * HOUR)
        storage.fail_at(calls, 5)
        world.all()
        world.wait(70)
        world.all()
        world.wait(70)
        assert world.reports()[-1][1:3] == (4, 4)
        world.wait(DAY - 200)
        assert len(world.all()) == 4


def test_a_restart_at_any_point_and_a_cut_at_any_call():
    """A run that was cut off begins anew; one that has ended does not; none is forgotten."""
    for stop in range(5):
        world = World([daily()])
        world.take()
        world.wait(12 * HOUR)
        for _ in range(stop):
            world.runs.finish(world.take(), OK, "", 96)
        world.wait(2)
        world.take(SERIALS)
        world.boot()
        again = len(world.all())
        assert again == (4 if stop < 4 else 0)
        assert [(r[1], r[2]) for r in world.reports()] == [(4, 4)]
    for survival in SURVIVALS:
        for cut in range(4):
            world = World([daily()])
            world.storage.arm(cut, survival)
            try:
                for _ in range(3):
                    world.take(SERIALS)
                    world.wait(12 * HOUR)
                    world.all()
                    world.wait(2)
                    world.take(SERIALS)
            except PowerCut:
                pass
            world.storage = world.storage.after_cut()
            world.boot()
            world.take(SERIALS)
            world.wait(DAY)
            world.all()
            world.reports()
            dues = [run.due for run in world.told]
            assert len(world.book.entries()) == 1 and dues
            assert dues == sorted(dues)
            assert world.told[-1].complete == 4
            assert world.clock.unix_time() - world.told[-1].due < DAY


def test_a_month_with_outages_and_a_change_of_the_clock():
    """Each time it was due has a run, or one after it covers it; no time has two."""
    begin = days_to(2026, 10, 1) * DAY
    zone = Zone("CET-1CEST,M3.5.0,M10.5.0/3")
    weekly = Task("weekly", 0, Every(WEEKS, 1, 150, 0b1000000), 5, [ALL, []], READ, 1000, 30, 0)
    monthly = Task("monthly", 0, Every(MONTHS, 1, 5, 31), 5, [ALL, []], READ, 1000, 30, 0)
    tasks = [daily(), quarterly(), weekly, monthly]
    world = World(tasks, now=begin)
    world.take()
    minute = restarts = 0
    while minute < 31 * 24 * 60:
        step = 5
        if minute // 5 % 1009 == 0:  # the power goes for some hours
            step, restarts = 7 * 60 + minute % 60, restarts + 1
            world.boot()
        world.wait(60 * step)
        minute += step
        world.all({"A": (KO, "no-answer")} if minute % 35 else {})
    world.reports()
    end = world.clock.unix_time()
    for task in tasks:
        told = [run for run in world.told if run.name == task.name]
        dues = []
        for run in told:
            if run.due not in dues:
                dues.append(run.due)
        assert dues == sorted(dues)
        wanted, due = [], begin
        while True:
            due = next_due(task.every, 0, zone, due)
            if due > end:
                break
            wanted.append(due)
        assert [due for due in dues if due not in wanted] == []
        last = [[run for run in told if run.due == due][-1] for due in dues]
        if task.name == "quarterly":  # values that nobody has read are counted
            gone = [gap[1] for run in last for gap in run.gaps if gap[0] == "missed"]
            # a run that was cut off counts as missed, though some of it was told
            assert len(wanted) <= len(dues) + sum(gone) <= len(wanted) + restarts
            assert len(gone) > 5 and restarts > 5
        elif task.name == "nightly":
            assert len(wanted) - len(dues) <= 1
        else:
            assert dues == wanted and len(dues) == (4 if task.name == "weekly" else 1)
        assert min([run.complete for run in last[:-1]] + [3]) >= 3


def test_a_thousand_meters():
    serials = ["M%04d" % number for number in range(1000)]
    world = World([daily(), quarterly()], serials=serials)
    world.take()
    world.wait(12 * HOUR)
    assert len(world.all()) == 2000
    assert sorted(world.reports())[0][1:3] == (1000, 1000)


def test_a_visit_goes_ahead_of_all_runs_and_is_no_run():
    world = World([daily(priority=8)], now=NOON)
    world.wait(86400)
    visit = Task("alarms", 0, Every(DAYS, 1, 0, 0), 8, [ALL, []], [Item(ALARMS)], 1000, 1, 0)
    last = SERIALS[-1]
    assert world.runs.visit(last, visit) and not world.runs.visit(last, visit)
    errand = world.runs.take(lambda serial, task: True)
    assert (errand.serial, errand.task.name) == (last, "alarms")
    assert not world.runs.visit(last, visit)
    world.runs.finish(errand, "KO", "no-answer")
    assert world.runs.take(lambda serial, task: task is visit) is None
    world.wait(120)
    errand = world.runs.take(lambda serial, task: task is visit)
    world.runs.finish(errand, OK, "")
    world.wait(7200)
    assert world.runs.take(lambda serial, task: task is visit) is None
    assert world.runs.visit(last, visit)
    world.wait(7200)  # nobody could go there
    assert world.runs.take(lambda serial, task: task is visit) is None
    assert [told for told in world.reports() if told[0] == "alarms"] == []
