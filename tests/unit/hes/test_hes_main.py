"""`ami-hes` itself: what `serve` is started with, how a command ends, what the environment does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.messages import Meters
from gateway.version import VERSION
from hal.rt import log
from tests.unit.hes.orders import CONCENTRATOR
from tests.unit.hes.test_hes_meters import NOW, birth, way
from tools.hes.__main__ import main
from tools.hes.cli import serve
from tools.hes.cli.main import _parser
from tools.hes.store.store import Store
from tools.hes.validation.row import Row, Shape


class Served:
    """What a Service was made with, and that it ran."""

    def __init__(self, store: Any, broker: Any, time_key: Any, sessions: Any, chore: Any) -> None:
        Served.last = self
        self.store, self.broker, self.time_key, self.sessions = store, broker, time_key, sessions
        self.chore = chore
        self.ran = False

    last: Served

    async def run(self) -> None:
        self.ran = True


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Served]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AMI_HES_DB", raising=False)
    monkeypatch.delenv("AMI_HES_BROKER", raising=False)
    monkeypatch.setattr(serve, "Service", Served)
    return Served


def test_serve_is_started_with_what_was_said(served: Any, key: Any, capsys: Any) -> None:
    key.save(Path("k.pem"))
    levels: list[str] = []
    log_level, log.set_level = log.set_level, levels.append  # type: ignore[assignment]
    try:
        options = ["--time-key", "k.pem", "--log-level", "warning"]
        assert main(["serve", "--plain", "--broker", "mqtt://me:pw@there:1999", *options]) == 0
    finally:
        log.set_level = log_level
    found = served.last
    assert found.ran and levels == ["warning"]
    assert (found.broker.host, found.broker.port) == ("there", 1999)
    assert (found.broker.username, found.broker.password) == ("me", "pw")
    assert found.time_key.kid == key.kid
    assert found.store.addressed() == []
    assert Path("hes.sqlite").exists() and Path("hes.sqlite.lock").exists()


def test_a_key_for_missing_rows_and_rules_of_ones_own(served: Any, key: Any, capsys: Any) -> None:
    key.save(Path("k.pem"))
    Path("rules.py").write_text("def check(meter, profile, columns, rows): return {0: 'no'}")
    command = ["serve", "--plain", "--broker", "mqtt://x"]
    assert main(command) == 0
    assert served.last.chore is None
    assert main([*command, "--reread-key", "k.pem", "--rules", "rules.py"]) == 0
    look, every = served.last.chore
    assert every == 3600
    look()
    assert capsys.readouterr().err.count("missing rows") == 0
    row = Row(1, [])
    rules = served.last.store.own_rules
    assert rules.judge("M", Shape(7, bytes(6), 900, ()), [row]) == "" and row.words == "no"
    Path("rules.py").write_text("check = 1")
    assert main([*command, "--rules", "rules.py"]) == 1
    assert "rules.py: expected a function check" in capsys.readouterr().err


def test_the_environment_stands_in(served: Any, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("AMI_HES_BROKER", "mqtt://from-there")
    monkeypatch.setenv("AMI_HES_DB", str(tmp_path / "other.sqlite"))
    assert main(["serve", "--plain"]) == 0
    assert served.last.broker.host == "from-there" and served.last.time_key is None
    assert Path("other.sqlite").exists() and not Path("hes.sqlite").exists()
    assert main(["serve", "--plain", "--broker", "mqtt://said"]) == 0
    assert served.last.broker.host == "said"


def test_serve_needs_to_be_alone_and_a_broker(served: Any, capsys: Any) -> None:
    assert main(["serve", "--plain"]) == 1
    assert "expected a broker such as" in capsys.readouterr().err
    store = Store("hes.sqlite")
    with store.line.alone():
        assert main(["serve", "--plain", "--broker", "mqtt://x"]) == 1
    assert "already running on hes.sqlite" in capsys.readouterr().err


def test_serve_that_is_told_to_stop_leaves_all_in_its_file(served: Any, monkeypatch: Any) -> None:
    """What SQLite still keeps beside the file is in no copy of it."""
    logs = []

    async def stopped(self: Any) -> None:
        logs.append(os.path.getsize("hes.sqlite-wal"))  # noqa: ASYNC240
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(60)

    monkeypatch.setattr(Served, "run", stopped)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--plain", "--broker", "mqtt://x"])
    assert ended.value.code == 0 and logs[0] > 0
    assert not Path("hes.sqlite-wal").exists()
    assert signal.getsignal(signal.SIGTERM) is before


def test_how_a_command_ends(served: Any, monkeypatch: Any, capsys: Any) -> None:
    async def interrupted(self: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Served, "run", interrupted)
    assert main(["serve", "--plain", "--broker", "mqtt://x"]) == 1
    assert capsys.readouterr().err == "ami-hes: stopped; the orders stand\n"
    assert main(["serve", "--plain", "--broker", "mqtt://x", "--time-key", "none.pem"]) == 1
    assert capsys.readouterr().err == "ami-hes: none.pem: No such file or directory\n"
    for wrong in ([], ["serve", "--log-level", "loud"], ["submit"], ["nothing"]):
        with pytest.raises(SystemExit) as ended:
            main(wrong)
        assert ended.value.code == 2
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0 and capsys.readouterr().out == "ami-hes %s\n" % VERSION
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert (
        "\n  ami-hes serve --broker mqtt://user:password@localhost --line-key line.pem\n" in shown
    )  # as it is written


def test_what_submit_assumes() -> None:
    required = ["--concentrator", "c", "--meters", "A", "--key", "k", "--read", "x"]
    options = _parser().parse_args(["submit", *required])
    assert (options.priority, options.tries, options.backoff) == (5, 3, "30s")
    assert (options.dry_run, options.watch, options.activate, options.canary) == (
        False,
        False,
        None,
        None,
    )
    meters = _parser().parse_args(["meters", "c"])
    assert (meters.wait, meters.stored, meters.unreachable, meters.json) == (
        60,
        False,
        False,
        False,
    )


def test_meters_as_a_table(served: Any, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    store = Store("hes.sqlite")
    counters = {"recovery-discover": 4, "recovery-kick": 2, "sent": 9}
    store.line.take_state(CONCENTRATOR, birth([["plc", True, 7, counters], ["rf", False, 3, {}]]))
    page = [["A1", [way("plc", 1), way("rf", 2)]], ["A2", []], ["A3", [way("ip", 0)]]]
    page[0][1][0][5:8] = [93, 0, 6]
    page[0][1][1][5:8] = [12, 4, 1]
    page[2][1][0][2] = 1  # since a time when its clock was unset
    store.line.take_meters(CONCENTRATOR, Meters("", False, page))
    assert main(["meters", CONCENTRATOR, "--stored"]) == 0
    shown = capsys.readouterr().out
    lines = [line.split() for line in shown.splitlines() if line.strip()]
    assert lines[0] == ["Modems"]
    assert lines[1] == ["Path", "State", "Nodes", "Recoveries", "Now", "Told"]
    assert lines[3][:8] == ["plc", "up", "7", "discover", "4,", "kick", "2", lines[3][7]]
    assert lines[4][:4] == ["rf", "down", "3", "-"]
    assert lines[5][:3] == ["Meters,", "as", "told"]
    wanted = ["Meter", "Path", "State", "Since", "Last", "heard", "Rate", "Silent", "Changes"]
    assert lines[6] == wanted
    rows = [words for words in lines if words[0] in ("A1", "A2", "A3")]
    assert [words[:3] for words in rows] == [
        ["A1", "plc", "reachable"],
        ["A1", "rf", "unreachable"],
        ["A2", "-", "not"],
        ["A3", "ip", "unknown"],
    ]
    assert rows[0][-4:] == ["93", "%", "-", "6"] and rows[1][-4:] == ["12", "%", "4", "1"]
    assert shown.count("date unknown") == 1
    assert "3 meters, 1 of them reachable." in shown


def test_what_keeps_meters_waiting_is_told_of_their_modem(
    served: Any, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    store = Store("hes.sqlite")
    spent = {"budget-wait-ms": 3_420_000, "full": 1}
    store.line.take_state(
        CONCENTRATOR, birth([["plc", True, 7, {"forming": 1}], ["rf", True, 3, spent]])
    )
    assert main(["meters", CONCENTRATOR, "--stored"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (plc,) = [line for line in lines if line.split()[:2] == ["plc", "up"]]
    (rf,) = [line for line in lines if line.split()[:2] == ["rf", "up"]]
    assert "its network is still forming" in plc
    assert "radio time used up, some again" in rf and "; no room for one more conversation" in rf


def test_meters_that_nobody_told_of(served: Any, capsys: Any) -> None:
    store = Store("hes.sqlite")
    store.line.take_state(CONCENTRATOR, birth([]))
    assert main(["meters", CONCENTRATOR, "--stored", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "concentrator": CONCENTRATOR,
        "told": 0,
        "modems": [],
        "meters": [],
        "strangers": [],
    }
    assert main(["meters", CONCENTRATOR, "--stored"]) == 0
    assert capsys.readouterr().out == "0 meters, 0 of them reachable.\n"


def test_a_meter_with_its_history_for_machines(served: Any, capsys: Any) -> None:
    store = Store("hes.sqlite")
    store.line.take_state(CONCENTRATOR, birth([]))
    page = [["A1", [way("plc", 2, NOW, NOW - 60)]], ["A2", [way("rf")]]]
    store.line.take_meters(CONCENTRATOR, Meters("", False, page))
    assert main(["meters", CONCENTRATOR, "--stored", "--json", "--meter", "A1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["meters"] == [
        {
            "serial": "A1",
            "commissioned": True,
            "paths": [
                {
                    "path": "plc",
                    "state": "unreachable",
                    "since": NOW,
                    "last_heard": NOW + 5,
                    "delivery_percent": 90,
                    "silent_attempts": 0,
                    "changes": 1,
                    "registered": True,
                }
            ],
        }
    ]
    assert found["changes"] == [
        {"path": "plc", "since": NOW - 60, "state": "reachable"},
        {"path": "plc", "since": NOW, "state": "unreachable"},
    ]
    assert found["told"] > NOW - 10 * 365 * 86400
