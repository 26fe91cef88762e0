"""`ami-hes task` and `ami-hes runs`: what concentrators do by themselves, and what came of it."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.contract.reasons import sentence
from gateway.contract.task import MOST_URGENT, SENDS, Task, TaskRemoved
from tools.hes.cli import show
from tools.hes.cli.arguments import add_key
from tools.hes.cli.watch import problems
from tools.hes.orders import task as orders
from tools.hes.orders.change import check_name
from tools.hes.orders.typed import OrderProblem, parse_duration, parse_moment
from tools.hes.store.records import TaskRun
from tools.hes.store.states import TAKEN
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

_MANY = "one or more ids, from `ami-hes list`"


def add_parsers(commands: Any) -> None:
    task = commands.add_parser(
        "task",
        help="what concentrators do by themselves: readings, events, clocks",
        description="Work that a concentrator does by itself, again and again, by its local time."
        " Its meters' models bring some tasks along; one that is set takes the place of the one of"
        " the same name.",
    )
    actions = task.add_subparsers(metavar="ACTION", required=True)
    _add_set(actions)
    for name, run, what in (
        ("list", _list, "the tasks that were sent to them, and whether they were taken"),
        ("show", _show, "one task, and what its last runs came to"),
        ("pause", _pause, "let it rest"),
        ("resume", _resume, "let a paused one go on"),
        ("remove", _remove, "do it no longer; also one that the meters' models bring along"),
    ):
        action = actions.add_parser(name, help=what, description=what)
        action.add_argument(
            "concentrators",
            nargs="*" if name == "list" else "+",
            metavar="CONCENTRATOR",
            help="%s; all, if none is given" % _MANY if name == "list" else _MANY,
        )
        action.set_defaults(run=run)
        if name != "list":
            action.add_argument("--name", required=True, metavar="NAME", help="of the task")
        if name in ("pause", "resume", "remove"):
            add_key(action)
    runs = commands.add_parser(
        "runs",
        help="what runs of the concentrators' tasks came to",
        description="What runs of the concentrators' tasks came to, newest first.",
    )
    runs.add_argument("concentrator", nargs="?", metavar="CONCENTRATOR", help="only this one")
    runs.add_argument("--task", metavar="NAME", help="only of this task")
    runs.add_argument("--last", type=_count, default=30, metavar="N", help="default: 30")
    runs.add_argument("--json", action="store_true", help="for machines")
    runs.set_defaults(run=_runs)


def _add_set(actions: Any) -> None:
    what = "give concentrators a task, or change it"
    action = actions.add_parser("set", help=what, description=what)
    action.add_argument("concentrators", nargs="+", metavar="CONCENTRATOR", help=_MANY)
    action.add_argument("--name", required=True, metavar="NAME", help="a-z, 0-9 and -")
    action.add_argument("--every", required=True, metavar="PERIOD", help="15m, 1h, 1d, 1w, 1month")
    action.add_argument("--at", metavar="HH:MM", help="with days and longer (default: 00:00)")
    action.add_argument(
        "--on", metavar="DAYS", help="with weeks mon,wed-fri (default: mon); with months 1..31"
    )
    action.add_argument(
        "--meters",
        default="all",
        metavar="WHICH",
        help="all, model:NAME, path:plc, serials, or a file of them as for submit (default: all)",
    )
    for name, metavar, text in (
        ("profile", "NAME|OBIS", "rows of a profile since the last one, such as load-profile"),
        ("log", "NAME|OBIS", "entries of an event log since the last one, such as standard-log"),
        ("values", "ATTRIBUTE", 'a value as it is then: "register 1.0.1.8.0.255 value"'),
    ):
        help_text = text + "; may be repeated"
        action.add_argument(
            "--" + name, action="append", default=[], metavar=metavar, help=help_text
        )
    action.add_argument("--clock", action="store_true", help="measure and correct clocks")
    action.add_argument("--alarms", action="store_true", help="read alarms, tell, clear them")
    action.add_argument(
        "--completeness", default="100", metavar="PERCENT", help="of the meters (default: 100)"
    )
    action.add_argument("--keep", default="40d", metavar="DAYS", help="on its flash (default: 40d)")
    action.add_argument(
        "--send", choices=SENDS, default=SENDS[0], help="when (default: %s)" % SENDS[0]
    )
    action.add_argument(
        "--priority", type=int, default=4, metavar="0..%d" % MOST_URGENT, help="default: 4"
    )
    action.add_argument("--from", dest="start", metavar="TIME", help="first then (default: now)")
    add_key(action)
    action.set_defaults(run=_set)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError("expected 1..100000, got '%s'" % text)
    return int(text)


def _set(options: argparse.Namespace) -> int:
    keep, rest = divmod(parse_duration(options.keep), 86400)
    if rest:
        raise OrderProblem("expected --keep in days, such as 40d, got '%s'" % options.keep)
    if not 0 <= options.priority <= MOST_URGENT:
        text = "expected --priority 0..%d, got %d: urgent jobs go before all tasks"
        raise OrderProblem(text % (MOST_URGENT, options.priority))
    now = int(time.time())
    task = Task(
        options.name,
        parse_moment(options.start) if options.start else now,
        orders.parse_every(options.every, options.at, options.on),
        options.priority,
        orders.parse_selection(options.meters),
        orders.parse_items(
            options.profile, options.log, options.values, options.clock, options.alarms
        ),
        orders.parse_permille(options.completeness),
        keep,
        SENDS.index(options.send),
    )
    orders.check(task)
    store, key = Store(options.db), SigningKey.load(options.key)
    print(orders.what_text(task))
    return told_kept(store, orders.send(store.trust, key, _each(options), task, now))


def _pause(options: argparse.Namespace) -> int:
    return _paused(options, True)


def _resume(options: argparse.Namespace) -> int:
    return _paused(options, False)


def _paused(options: argparse.Namespace, paused: bool) -> int:
    store, key = Store(options.db), SigningKey.load(options.key)
    now = int(time.time())
    sent = orders.pause(store.trust, key, _each(options), options.name, paused, now)
    return told_kept(store, sent)


def _remove(options: argparse.Namespace) -> int:
    body = TaskRemoved(options.name)
    try:
        orders.check(body)
    except OrderProblem:
        raise OrderProblem("expected a name of a-z, 0-9 and -, got '%s'" % options.name) from None
    store, key = Store(options.db), SigningKey.load(options.key)
    return told_kept(store, orders.send(store.trust, key, _each(options), body, int(time.time())))


def _each(options: argparse.Namespace) -> list[str]:
    return list(dict.fromkeys(options.concentrators))


def told_kept(store: Store, sent: list[tuple[str, int]]) -> int:
    told = []
    for concentrator, number in sent:
        print("change %d for %s is kept" % (number, concentrator))
        for problem in problems(store, concentrator):
            if problem and problem not in told:
                told.append(problem)
    for problem in told:
        print(problem)
    return 0


def _list(options: argparse.Namespace) -> int:
    store = Store(options.db)
    table = show.table("", "Concentrator", "Task", "Due", "What", "Meters", "State")
    for concentrator in _each(options) or sorted(store.line.addressed()):
        check_name(concentrator)
        for each in orders.kept(store.trust, concentrator):
            task = each.task
            if task is None:
                due = what = which = "-"
            else:
                due, what = orders.every_text(task.every), orders.items_text(task.items)
                which = orders.meters_text(task.meters)
            table.add_row(
                *(Text(text) for text in (concentrator, each.name, due, what, which)), _state(each)
            )
    if table.row_count:
        Console().print(table)
    else:
        print("no task was sent; those that the meters' models bring along are not listed here")
    return 0


def _state(each: orders.Kept) -> Text:
    text = Text("removed" if each.task is None and not each.refused else "")
    if each.task is not None and each.task.paused:
        text.append("paused")
    if each.state != TAKEN:
        text.append("%s%s" % ("; " if text else "", each.state), "yellow")
    elif not text:
        text.append(each.state, "green")
    if each.refused:
        text.append("; a later one was refused, " if each.task is not None else "; ", "red")
        text.append(each.refused, "red")
    return text


def _show(options: argparse.Namespace) -> int:
    store, console = Store(options.db), Console()
    for concentrator in _each(options):
        task = orders.find(store.trust, concentrator, options.name)
        console.print(Text("Task %s of %s" % (options.name, concentrator), "bold"))
        for name, text in orders.details(task):
            console.print(Text("  %-13s %s" % (name, text)), soft_wrap=True)
        (state,) = [x for x in orders.kept(store.trust, concentrator) if x.name == options.name]
        console.print(Text("  %-13s " % "State").append_text(_state(state)), soft_wrap=True)
        runs = store.reports.runs(concentrator, options.name, 10)
        if runs:
            console.print(_runs_table(runs))
    return 0


def _runs(options: argparse.Namespace) -> int:
    found = Store(options.db).reports.runs(options.concentrator, options.task, options.last)
    if options.json:
        print(json.dumps([vars(run) for run in found], indent=2))
    elif found:
        Console().print(_runs_table(found))
    else:
        print("no run of a task was reported yet")
    return 0


def _runs_table(found: list[TaskRun]) -> Table:
    table = show.table("", "Concentrator", "Task", "Due", "Took", "Meters", "Rows", "Missing")
    for run in found:
        done = "%d of %d" % (run.complete, run.meters)
        style = "green" if run.complete >= run.meters else "yellow"
        missing = ["%s: %s" % (show.meters(count), sentence(why)) for why, count in run.gaps]
        table.add_row(
            Text(run.concentrator),
            Text(run.name),
            show.date(run.due),
            show.duration(max(run.ended - run.began, 0)),
            Text(done, style),
            str(run.rows),
            Text("; ".join(missing) or "-"),
        )
    return table
