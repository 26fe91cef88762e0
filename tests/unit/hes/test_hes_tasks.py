"""Tasks: from what people type to signed, numbered changes, and what becomes of those."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import envelope
from gateway.contract.change import Change
from gateway.contract.messages import Hello, Reports
from gateway.contract.reports import Refusal, Report, TaskRun
from gateway.contract.task import (
    ALL,
    CLOCK,
    DAYS,
    LIST,
    LOG,
    MINUTES,
    MODEL,
    MONTHS,
    PATH,
    PROFILE,
    VALUES,
    WEEKS,
    Every,
    Task,
    TaskRemoved,
)
from tests.unit.hes.orders import CONCENTRATOR, numbered
from tools.hes.__main__ import main
from tools.hes.orders import task as orders
from tools.hes.orders.typed import OrderProblem
from tools.hes.store import hellos
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

BOTH = True

OBIS = bytes((1, 0, 99, 1, 0, 255))


@pytest.fixture
def hes(store: Store, key: SigningKey, tmp_path: Path) -> Any:
    pem = tmp_path / "k.pem"
    key.save(pem)

    def run(*arguments: str) -> int:
        signed = ("set", "pause", "resume", "remove")
        more = ["--key", str(pem)] if arguments[1:2] and arguments[1] in signed else []
        return main(["--db", store.where, *arguments, *more])

    return run


def sent(store: Store, concentrator: str = CONCENTRATOR) -> list[Change]:
    found = []
    for each in store.line.numbered(concentrator, ("submitted", "sent", "taken")):
        assert each.topic == "change"
        found.append(Change.decode(envelope.split(each.envelope)[1]))
    return found


def states(store: Store) -> list[tuple[int, str]]:
    every = ("submitted", "sent", "taken", "rejected")
    return [(each.number, each.state) for each in store.trust.numbered(CONCENTRATOR, every)]


def taken(store: Store, changes: int, session: int = 1) -> None:
    store.line.take_hello(CONCENTRATOR, Hello(session, 0, [], changes=changes))


def publish(store: Store) -> None:
    for each in store.line.numbered(CONCENTRATOR, ("submitted",)):
        store.line.numbered_sent(each)


# ---------------------------------------------------------------- what people type


@pytest.mark.parametrize(
    "text, at, on, wanted, said",
    [
        ("15m", None, None, Every(MINUTES, 15, 0, 0), "every 15 min"),
        ("1h", None, None, Every(MINUTES, 60, 0, 0), "every hour"),
        ("6h", None, None, Every(MINUTES, 360, 0, 0), "every 6 h"),
        ("1d", "00:10", None, Every(DAYS, 1, 10, 0), "every day at 00:10"),
        ("2d", None, None, Every(DAYS, 2, 0, 0), "every 2 days at 00:00"),
        ("1w", "3:00", "mon,thu", Every(WEEKS, 1, 180, 9), "every week on mon, thu at 03:00"),
        ("2w", None, None, Every(WEEKS, 2, 0, 1), "every 2 weeks on mon at 00:00"),
        ("1month", "02:00", "31", Every(MONTHS, 1, 120, 31), "every month on day 31 at 02:00"),
    ],
)
def test_periods(text: str, at: str | None, on: str | None, wanted: Every, said: str) -> None:
    assert orders.parse_every(text, at, on) == wanted
    assert orders.every_text(wanted) == said


@pytest.mark.parametrize(
    "text, at, on, expected",
    [
        ("", None, None, "expected --every such as 15m, 1h, 1d, 1w or 1month, got ''"),
        ("0d", None, None, "expected --every such as"),
        ("15", None, None, "expected --every such as"),
        ("7m", None, None, "expected a number of minutes that fits a day without rest"),
        ("36h", None, None, "for a day and more say 1d"),
        ("15m", "00:10", None, "expected --at and --on with days, weeks or months only"),
        ("1d", "24:00", None, "expected --at with a time of the day such as 00:10, got '24:00'"),
        ("1d", "0.10", None, "expected --at with a time of the day"),
        ("1d", None, "mon", "expected --on with weeks or months, got it with 1d"),
        ("1w", None, "monday", "expected days such as mon,wed-fri, got 'monday'"),
        ("1month", None, "0", "expected --on with the day of the month, 1..31, got '0'"),
        ("1month", None, "mon", "expected --on with the day of the month, 1..31, got 'mon'"),
    ],
)
def test_periods_that_are_none(text: str, at: str | None, on: str | None, expected: str) -> None:
    with pytest.raises(OrderProblem) as raised:
        orders.parse_every(text, at, on)
    assert expected in str(raised.value)


def test_which_meters(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('A1\n{"serial": "A2"}\n')
    for text, wanted, said in (
        ("all", [ALL, []], "all meters"),
        ("model:idis,spain", [MODEL, ["idis", "spain"]], "meters of model idis, spain"),
        ("path:plc", [PATH, ["plc"]], "meters over plc"),
        ("A1", [LIST, ["A1"]], "A1"),
        (str(tmp_path / "m.jsonl"), [LIST, ["A1", "A2"]], "2 meters"),
    ):
        assert orders.parse_selection(text) == wanted
        assert orders.meters_text(wanted) == said
    with pytest.raises(OrderProblem, match="expected a name behind model:"):
        orders.parse_selection("model:")


def test_what_to_do() -> None:
    items = orders.parse_items(
        ["load-profile", "1.0.99.1.0.255"], ["standard-log"], ["register 1.0.1.8.0.255 value"], True
    )
    assert [each.what for each in items] == [PROFILE, PROFILE, LOG, VALUES, CLOCK]
    assert items[0].name == "load-profile" and items[0].objects == []
    assert items[1].objects == [(7, OBIS, 2)]
    assert items[3].objects == [(3, bytes((1, 0, 1, 8, 0, 255)), 2)]
    assert orders.items_text(items) == (
        "load-profile, profile_generic 1.0.99.1.0.255 buffer, standard-log,"
        " register 1.0.1.8.0.255 value, clock"
    )
    for wrong, said in (
        (([], [], []), "expected what to do: any of --profile"),
        ((["Load Profile"], [], []), "--profile 'Load Profile': expected a name of the meters'"),
        (([], ["1.0.99"], []), "--log '1.0.99': expected a name of the meters' model"),
        (([], [], ["1.0.1.8.0.255"]), "expected a class, an OBIS code and an attribute"),
    ):
        with pytest.raises(OrderProblem) as raised:
            orders.parse_items(*wrong)
        assert said in str(raised.value)


def test_how_complete() -> None:
    assert [orders.parse_permille(each) for each in ("100", "99.9", "98%", "0")] == [
        1000,
        999,
        980,
        0,
    ]
    for wrong in ("101", "99.95", "x", ""):
        with pytest.raises(OrderProblem, match="expected --completeness in percent"):
            orders.parse_permille(wrong)


# ---------------------------------------------------------------- one command


def test_one_command_gives_many_concentrators_a_task(hes: Any, store: Store, capsys: Any) -> None:
    set_it = ("task", "set", "c-1", "c-2", "c-1", "--name", "night", "--every", "1d")
    assert hes(*set_it, "--at", "00:10", "--profile", "load-profile", "--keep", "30d") == 0
    said = capsys.readouterr().out
    assert said.startswith("task night: every day at 00:10, load-profile, all meters\n")
    assert "change 1 for c-1 is kept\n" in said and "change 1 for c-2 is kept\n" in said
    assert said.count("`ami-hes serve` is not running") == 1
    for concentrator in ("c-1", "c-2"):
        (change,) = sent(store, concentrator)
        task = change.body
        assert isinstance(task, Task)
        assert (change.concentrator, change.number) == (concentrator, 1)
        assert (task.name, task.priority, task.completeness, task.keep) == ("night", 4, 1000, 30)
        assert (task.send, task.paused) == (0, False)
    assert hes("task", "pause", "c-1", "--name", "night") == 0
    assert hes("task", "resume", "c-1", "c-2", "--name", "night") == 0
    assert hes("task", "remove", "c-1", "--name", "night") == 0
    assert [each.number for each in sent(store)] == [1, 2, 3, 4]
    bodies = [each.body for each in sent(store)]
    assert [each.paused for each in bodies if isinstance(each, Task)] == [False, True, False]
    assert bodies[3] == TaskRemoved("night")


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["c-1", "NO SUCH", "--name", "n"], "NO SUCH"),
        (["c-1", "--name", "No"], "task No: "),
        (["c-1", "--name", "n", "--priority", "9"], "expected --priority 0..8, got 9: urgent jobs"),
        (["c-1", "--name", "n", "--keep", "36h"], "expected --keep in days, such as 40d"),
        (["c-1", "--name", "n", "--keep", "401d"], "task n: "),
        (["c-1", "--name", "n", "--meters", "path:" + "p" * 99], "task n: "),
    ],
)
def test_what_is_no_task_is_not_kept(
    hes: Any, store: Store, capsys: Any, arguments: list[str], said: str
) -> None:
    assert hes("task", "set", *arguments, "--every", "1d", "--profile", "load-profile") == 1
    assert said in capsys.readouterr().err
    assert sent(store) == []


def test_pausing_what_is_not_there_names_what_is(hes: Any, store: Store, capsys: Any) -> None:
    hes("task", "set", "c-1", "--name", "night", "--every", "1d", "--clock")
    for action in ("pause", "resume"):
        assert hes("task", action, "c-1", "c-2", "--name", "nigth") == 1
        said = capsys.readouterr().err
        assert "no task nigth was sent to c-1 from this database; expected one of: night" in said
    assert hes("task", "pause", "c-1", "c-2", "--name", "night") == 1
    assert "no task night was sent to c-2" in capsys.readouterr().err
    assert len(sent(store)) == 1
    assert hes("task", "show", "c-1", "--name", "x") == 1
    assert hes("task", "remove", "c-1", "--name", "X!") == 1
    assert "expected a name of a-z, 0-9 and -, got 'X!'" in capsys.readouterr().err


# ---------------------------------------------------------------- what becomes of it


def test_a_hello_tells_that_it_was_taken(hes: Any, store: Store, capsys: Any) -> None:
    for name in ("a", "b", "c"):
        assert hes("task", "set", "c-1", "--name", name, "--every", "1d", "--clock") == 0
    publish(store)
    taken(store, 2)
    assert states(store) == [(1, "taken"), (2, "taken"), (3, "sent")]
    assert [each.number for each in sent(store)] == [1, 2, 3]
    assert [each.number for each in store.line.numbered(CONCENTRATOR)] == [3]
    capsys.readouterr()
    assert hes("task", "list") == 0
    shown = capsys.readouterr().out
    assert shown.count("taken") == 2 and shown.count("sent") == 1


def test_a_refused_one_is_shown_by_name_and_its_number_used_again(
    hes: Any, store: Store, capsys: Any
) -> None:
    hes("task", "set", "c-1", "--name", "a", "--every", "1d", "--clock")
    publish(store)
    (message,) = store.trust.numbered(CONCENTRATOR, ("sent",))
    refusal = Refusal("change", envelope.digest_of(message.envelope), None, "no-room", "32 tasks")
    store.line.take_reports(CONCENTRATOR, Reports(7, [Report(1, 0, refusal)]))
    assert states(store) == [(1, "rejected")]
    assert store.reports.events() == []
    capsys.readouterr()
    hes("task", "list", "c-1")
    assert "no-room: 32 tasks" in " ".join(capsys.readouterr().out.split())
    assert hes("task", "pause", "c-1", "--name", "a") == 1  # it has no such task
    assert store.trust.next_number("change", CONCENTRATOR) == 1


def test_another_message_with_the_number_was_taken(hes: Any, store: Store) -> None:
    """The database is an older copy."""
    taken(store, 0)
    hes("task", "set", "c-1", "--name", "a", "--every", "1d", "--clock")
    taken(store, 4)
    assert states(store) == [(1, "rejected")]
    assert store.trust.next_number("change", CONCENTRATOR) == 5
    assert [each.name for each in store.reports.events()] == ["numbers-ahead"]
    taken(store, 4 + hellos.NUMBERS_AHEAD + 1)
    assert store.trust.next_number("change", CONCENTRATOR) == 5
    assert store.reports.events()[0].name == "claim-beyond-bounds"


def test_a_board_that_lost_its_flash_gets_its_tasks_again(hes: Any, store: Store) -> None:
    for name in ("a", "b", "c"):
        hes("task", "set", "c-1", "--name", name, "--every", "1d", "--clock")
    publish(store)
    taken(store, 3)
    assert store.line.numbered(CONCENTRATOR) == []
    taken(store, 1, session=2)  # an older copy of its folder
    assert [each.number for each in store.line.numbered(CONCENTRATOR)] == [2, 3]
    publish(store)
    taken(store, 3, session=2)
    assert store.line.numbered(CONCENTRATOR) == []
    taken(store, 0, session=3)
    assert [each.number for each in store.line.numbered(CONCENTRATOR)] == [1, 2, 3]


# ---------------------------------------------------------------- runs


RUN = TaskRun("night", 1700000000, 1700000005, 1700003605, 100, 98, 9408, [["no-answer", 2]])


def test_runs_are_kept_and_shown(hes: Any, store: Store, capsys: Any) -> None:
    assert hes("runs") == 0
    assert "no run of a task was reported yet" in capsys.readouterr().out
    other = TaskRun("x\x1b[2J", 1, 2, 3, 1, 1, 0, [])
    store.line.take_reports(CONCENTRATOR, Reports(7, numbered(1, RUN, other)))
    store.line.take_reports(CONCENTRATOR, Reports(7, numbered(1, RUN)))  # a second copy
    assert [run.name for run in store.reports.runs()] == ["x\\x1b[2J", "night"]
    assert hes("runs", "c-1", "--task", "night", "--json") == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["due"], shown["meters"], shown["complete"]) == (1700000000, 100, 98)
    assert shown["gaps"] == [["no-answer", 2]]
    assert hes("runs", "c-2") == 0
    assert hes("runs") == 0
    said = capsys.readouterr().out
    assert "98 of 100" in said and "2 meters: " in said and "\x1b[2J" not in said


def test_a_task_is_shown_with_its_runs(hes: Any, store: Store, capsys: Any) -> None:
    hes("task", "set", "c-1", "--name", "night", "--every", "1d", "--at", "00:10", "--log", "a-log")
    store.line.take_reports(CONCENTRATOR, Reports(7, numbered(1, RUN)))
    capsys.readouterr()
    assert hes("task", "show", "c-1", "--name", "night") == 0
    said = capsys.readouterr().out
    assert "every day at 00:10, by the concentrator's local time" in said
    assert "a-log" in said and "98 of 100" in said and "submitted" in said
