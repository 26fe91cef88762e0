"""`ami-bench dlms`: every implementation does each row's work right, and the report says it all.
Nothing here depends on speed."""

from __future__ import annotations

import hashlib
import importlib
import json
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from rich.console import Console

from tools.bench import dlms, dlms_ours, dlms_work, rounds
from tools.bench.__main__ import main
from tools.bench.wrong import WrongWork

KEYS = [row.key for row in dlms_work.ROWS]
ADAPTERS = ["tools.bench.dlms_ours", "tools.bench.peers.gurux", "tools.bench.peers.cosem"]
PACKAGES = {adapter: package for package, (_, adapter) in dlms.PEERS.items()}


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "ROUND_US", 100)


@pytest.fixture(params=ADAPTERS)
def implementation(request: pytest.FixtureRequest) -> ModuleType:
    if request.param in PACKAGES:
        pytest.importorskip(PACKAGES[request.param])
    return importlib.import_module(request.param)


@pytest.mark.parametrize("row", dlms_work.ROWS, ids=KEYS)
def test_everybody_does_the_same_work(implementation: ModuleType, row: dlms_work.Row) -> None:
    dlms.verify(implementation, row)


@pytest.mark.parametrize("row", dlms_work.ROWS, ids=KEYS)
def test_wrong_work_is_told(row: dlms_work.Row) -> None:
    other = dlms_work.Row(row.key, row.title, row.aim, row.note, b"something else")
    with pytest.raises(WrongWork, match=row.key):
        dlms.verify(dlms_ours, other)  # type: ignore[arg-type]


def test_what_is_expected_of_ciphering_is_what_aes_gcm_gives() -> None:
    for counter, head, digest in [
        (dlms_work.COUNTER, dlms_work.CIPHERED_HEAD, dlms_work.CIPHERED_SHA256),
        (dlms_work.COUNTER + 1, dlms_work.NEXT_HEAD, dlms_work.NEXT_SHA256),
    ]:
        nonce = dlms_work.METER_TITLE + counter.to_bytes(4, "big")
        sealed = AESGCM(dlms_work.EK).encrypt(nonce, dlms_work.PLAIN, b"\x30" + dlms_work.AK)
        ciphered = head + sealed[:-4]
        assert len(ciphered) == 4 + int.from_bytes(head[2:4], "big")
        assert hashlib.sha256(ciphered).hexdigest() == digest


def test_the_profile_is_96_rows_of_6() -> None:
    assert len(dlms_work.PROFILE_ROWS) == dlms_work.PROFILE[1] == 96
    assert {len(row) for row in dlms_work.PROFILE_ROWS} == {dlms_work.COLUMNS} == {6}
    assert len(dlms_work.INFORMATION) == 128
    assert len(dlms_work.PLAIN) == 1024
    assert len(dlms_work.BLOCK) == 200


def test_report_and_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    assert main(["dlms", "--repeat", "2", "--json", str(file)]) == 0
    report = json.loads(file.read_text())
    assert report["runtime"].startswith("CPython 3.")
    assert report["rounds"] == 2
    assert [row["key"] for row in report["rows"]] == KEYS
    names = [each.NAME for each in [dlms_ours, *dlms.peers()[0]]]
    for row in report["rows"]:
        assert list(row["speeds"]) == names
        for speed in row["speeds"].values():
            assert 0 < speed["low"] <= speed["median"] <= speed["high"]
        if len(names) > 1:
            assert row["ratio"] > 0
            assert row["aim"] in (2, 3, 10)
    shown = capsys.readouterr().out
    for row in dlms_work.ROWS:
        assert row.title in shown


def test_without_peers_ours_alone_is_shown_and_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = {"no_such_dlms": ("no-such-dlms==1.0", "tools.bench.peers.none")}
    monkeypatch.setattr(dlms, "PEERS", absent)
    report = dlms.compare(1)
    assert all(list(row["speeds"]) == ["ami"] and "ratio" not in row for row in report["rows"])
    dlms.show(report, Console())
    shown = capsys.readouterr().out
    assert "no-such-dlms==1.0" in shown
    assert "gurux" not in shown


def test_micropython_measures_the_same_rows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, micropython: str
) -> None:
    file = tmp_path / "bench.json"
    arguments = ["dlms", "--runtime", "micropython", "--repeat", "1", "--json", str(file)]
    assert main(arguments) == 0
    report = json.loads(file.read_text())
    assert report["runtime"].startswith("MicroPython 1.")
    assert [row["key"] for row in report["rows"]] == KEYS
    assert all(row["speeds"]["ami"]["median"] > 0 for row in report["rows"])
    assert dlms_work.ROWS[0].title in capsys.readouterr().out


def test_wrong_work_ends_with_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dlms_work.ROWS[0], "expected", b"something else")
    assert main(["dlms", "--repeat", "1"]) == 1
    assert "get-request: ami gives" in capsys.readouterr().err


def test_no_micropython_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dlms.sys, "prefix", str(tmp_path))
    assert main(["dlms", "--runtime", "micropython"]) == 1
    assert "./tools/test fetches it" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["dlms", "--repeat", "0"], ["dlms", "--runtime", "x"]])
def test_a_wrong_command_is_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2


def test_rounds_are_taken_in_turns() -> None:
    turns: list[str] = []
    speeds = rounds.measure([lambda: turns.append("a"), lambda: turns.append("b")], 3)
    changes = [x + y for x, y in pairwise(turns) if x != y]
    assert changes == ["ab", "ba"] * 3 + ["ab"]  # how many calls make a round, then three rounds
    assert all(speed.low <= speed.median <= speed.high for speed in speeds)


def test_the_median_is_the_middle() -> None:
    assert rounds.Speed([4.0, 1.0, 100.0]).median == 4.0
    assert rounds.Speed([4.0, 1.0, 100.0, 6.0]).record() == {"low": 4.0, "median": 5.0, "high": 6.0}
    assert rounds.Speed([7.0]).record() == {"low": 7.0, "median": 7.0, "high": 7.0}


def test_the_ratio_is_to_the_best_of_each_round() -> None:
    ours = rounds.Speed([8.0, 80.0, 9.0])
    others = [rounds.Speed([4.0, 10.0, 3.0]), rounds.Speed([1.0, 40.0, 2.0])]
    assert rounds.ratio(ours, others) == 2.0  # of 2, 2 and 3


def test_two_runs_are_asked_of_everybody() -> None:
    results = [dlms_work.GET_REQUEST]
    once = SimpleNamespace(
        NAME="once",
        make=lambda key: lambda: results.pop() if results else b"",
        shown=lambda key, result: result,
    )
    with pytest.raises(WrongWork):
        dlms.verify(once, dlms_work.ROWS[0])  # type: ignore[arg-type]
