"""`ami-bench ledger`: it measures, and says so for machines too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.bench import ledger
from tools.bench.__main__ import main


def test_measures_all_it_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ledger, "JOBS", 3)
    monkeypatch.setattr(ledger, "ROUND_S", 0.01)
    file = tmp_path / "figures.json"
    assert main(["ledger", "--rounds", "2", "--folder", str(tmp_path), "--json", str(file)]) == 0
    figures = json.loads(file.read_text())
    assert [row["group"] for row in figures["appends"]] == [1, 10, 100]
    assert all(row["ours"]["median"] > 0 and row["ratio"] > 0 for row in figures["appends"])
    assert figures["recovery"]["executions"] == 6000
    assert 0 < figures["ram"]["cpython"] < 400
    assert "recovery of 6000 executions" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures.json"]
