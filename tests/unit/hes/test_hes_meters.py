"""ami-hes meters: asked for page by page, kept with its history, and shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.contract import messages
from gateway.contract.messages import Ask, Meters, State
from gateway.contract.reports import Event, Report
from tests.unit.hes.concentrator import Concentrator
from tests.unit.hes.orders import CONCENTRATOR
from tests.unit.hes.test_hes_service import run, serving, until
from tools.hes.__main__ import main
from tools.hes.store.line import ASK_AGAIN
from tools.hes.store.pages import NO_PATH, WAY_CHANGES
from tools.hes.store.store import Store

BOTH = True  # engines, see conftest.py

NOW = 1_800_000_000
SERIALS = ["A%02d" % number for number in range(7)]


def way(kind: str = "plc", state: int = 1, since: int = NOW, before: int = 0) -> list[Any]:
    return [kind, state, since, before, since + 5, 90, 0, 1, True]


def birth(modems: list[list[Any]]) -> State:
    return State(CONCENTRATOR, 1, True, 7, 1, 1, NOW, "1.0", "test", 0, 7, 7, modems)


def test_pages_are_asked_for_until_the_last(store: Store, broker: Any) -> None:
    async def scenario() -> None:
        async with serving(store, broker.url), Concentrator(broker.port) as there:
            await there.birth()
            await there.acknowledged()
            store.street.ask_meters(CONCENTRATOR)
            for first in range(0, 7, 3):
                ask = Ask.decode(await there.next("ask"))
                assert ask.after == (SERIALS[first - 1] if first else "")
                page = [[serial, [way()]] for serial in SERIALS[first : first + 3]]
                await there.send("meters", Meters(ask.after, first + 3 < 7, page).encode())
            await until(lambda: not store.street.asking(CONCENTRATOR))
            assert [row.serial for row in store.street.ways(CONCENTRATOR)] == SERIALS
            assert there.inbox["ask"].empty()

    run(scenario())


def test_a_page_that_does_not_come_is_asked_for_again(tmp_path: Path) -> None:
    now = [float(NOW)]
    store = Store(tmp_path / "hes.sqlite", lambda: now[0])
    store.street.ask_meters(CONCENTRATOR)
    assert store.line.asks() == [(CONCENTRATOR, "")]
    store.line.ask_sent(CONCENTRATOR)
    assert store.line.asks() == []
    now[0] += ASK_AGAIN
    assert store.line.asks() == [(CONCENTRATOR, "")]
    store.line.take_meters(CONCENTRATOR, Meters("", True, [["A", [way()]]]))
    assert store.line.asks() == [(CONCENTRATOR, "A")]
    # One that comes twice, or late, moves nothing.
    store.line.take_meters(CONCENTRATOR, Meters("", True, [["A", [way()]]]))
    assert store.line.asks() == [(CONCENTRATOR, "A")]
    store.line.take_meters(CONCENTRATOR, Meters("A", False, []))
    assert store.line.asks() == [] and not store.street.asking(CONCENTRATOR)


def test_meters_that_are_gone_vanish(store: Store) -> None:
    def serials() -> list[str]:
        return [row.serial for row in store.street.ways(CONCENTRATOR)]

    store.line.take_meters(CONCENTRATOR, Meters("", False, [[s, [way()]] for s in SERIALS]))
    store.line.take_meters("other", Meters("", False, [["A03", [way()]]]))
    page = [["A00", [way()]], ["A02", []], ["A04", [way(), way("rf")]]]
    store.line.take_meters(CONCENTRATOR, Meters("", True, page))
    assert serials() == ["A00", "A02", "A04", "A04", "A05", "A06"]
    assert store.street.ways(CONCENTRATOR)[1].place == NO_PATH
    store.line.take_meters(CONCENTRATOR, Meters("A04", False, []))
    assert serials() == ["A00", "A02", "A04", "A04"]
    assert len(store.street.ways("other")) == 1


def test_history_grows_and_is_bounded(store: Store) -> None:
    def take(ways: list[list[Any]]) -> list[tuple[int, int]]:
        store.line.take_meters(CONCENTRATOR, Meters("", False, [["A", ways]]))
        return [(row.since, row.state) for row in store.street.way_changes(CONCENTRATOR, "A")]

    assert take([way(state=0, since=0)]) == []
    assert take([way(since=100)]) == [(100, 1)]
    assert take([way(since=100)]) == [(100, 1)]
    # Two changes since: the one between is told too.
    assert take([way(since=300, before=200)]) == [(100, 1), (200, 2), (300, 1)]
    with store.line.together():  # as one, for speed
        for number in range(200):
            changes = take([way(since=1000 + number)])
    assert len(changes) == WAY_CHANGES and changes[-1] == (1199, 1)


def test_shown_and_for_machines(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    store = Store("hes.sqlite")
    counters = {"sent": 9, "recovery-kick": 2, "recovery-reset": 1}
    store.line.take_state(CONCENTRATOR, birth([["plc", True, 7, counters], ["rf", False, 0, {}]]))
    page = [
        ["GOOD", [way(), way("rf", 2, NOW + 9, NOW)]],
        ["SILENT", [way("plc", 2)]],
        ["BARE", []],
    ]
    store.line.take_meters(CONCENTRATOR, Meters("", False, page))
    store.line.take_reports(
        CONCENTRATOR,
        messages.Reports(7, [_event(1, "stranger", "plc 0080e1000009"), _event(2, "other", "x")]),
    )
    assert main(["meters", CONCENTRATOR, "--stored"]) == 0
    shown = capsys.readouterr().out
    for text in ("GOOD", "not commissioned", "unreachable", "plc 0080e1000009", "90 %", "kick 2"):
        assert text in shown, text
    assert "3 meters, 1 of them reachable." in shown
    assert "down" in shown and "reset 1" in shown
    assert main(["meters", CONCENTRATOR, "--stored", "--unreachable", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert [meter["serial"] for meter in made["meters"]] == ["BARE", "SILENT"]
    assert [modem["up"] for modem in made["modems"]] == [True, False]
    assert [stranger["what"] for stranger in made["strangers"]] == ["plc 0080e1000009"]
    assert main(["meters", CONCENTRATOR, "--stored", "--meter", "GOOD", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert [c["state"] for c in made["changes"] if c["path"] == "rf"] == [
        "reachable",
        "unreachable",
    ]


def test_what_is_in_the_way_is_said(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["meters", "nobody"]) == 1
    assert "no concentrator nobody has been heard of" in capsys.readouterr().err
    store = Store("hes.sqlite")
    store.line.take_state(CONCENTRATOR, birth([]))
    assert main(["meters", CONCENTRATOR]) == 1
    assert "`ami-hes serve` is not running" in capsys.readouterr().err
    store.line.beat("mqtt://here", "connected")
    assert main(["meters", CONCENTRATOR, "--wait", "0.1"]) == 1
    assert "did not tell all of its meters" in capsys.readouterr().err
    assert not store.street.asking(CONCENTRATOR)


def _event(number: int, name: str, detail: str) -> Report:
    return Report(number, NOW, Event(name, detail))
