"""The soak, small; the long one looks at memory too."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from tools.meter.scenario import read_scenario
from tools.simulation import run
from tools.simulation.__main__ import SCENARIOS, main
from tools.simulation.soak import Held, _piled_up, soak


@pytest.mark.timeout(3600)
def test_a_day_of_a_street(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "soak.json"
    assert main(["soak", "--meters", "50", "--days", "1", "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    assert found["complaints"] == []
    executions = {tuple(row[:3]): row[3] for row in found["executions"]}
    night = sum(n for key, n in executions.items() if key[:2] == ("night reading", "VALUE"))
    assert night >= 48 and sum(executions.values()) == 55
    assert found["happened"]["leave"] == 1 and found["answered"]["plc"] >= 40
    assert "Attempts by path" in capsys.readouterr().out


def test_wrong_use_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("population: {meters: 5}\nplc: {rats: 5}\n")
    assert main(["soak", "--scenario", str(wrong)]) == 2
    assert "wrong.yaml:2:" in capsys.readouterr().err
    assert main(["soak", "--days", "0"]) == 2
    assert main(["soak", "--scenario", str(tmp_path / "none.yaml")]) == 2


def test_what_piles_up_is_complained_of() -> None:
    steady = [Held(day, 1000, 10, 10, 20, 5, 100) for day in range(10)]
    assert _piled_up(steady) == []
    assert _piled_up([replace(each, octets=1000 + 100 * each.day) for each in steady])
    assert _piled_up([replace(each, own=10 + each.day) for each in steady])
    assert _piled_up([replace(each, files=5 + each.day // 6) for each in steady])
    assert _piled_up([replace(each, tasks=20 + 5 * each.day) for each in steady])


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_nothing_piles_up_in_ten_days() -> None:
    scenario = replace(read_scenario(SCENARIOS / "month.yaml"), meters=200)
    tracemalloc.start()
    try:
        outcome = run(soak(scenario, 10, 1))
    finally:
        tracemalloc.stop()
    assert outcome.complaints == []
    assert outcome.happened["hang"] >= 1
    assert outcome.returned >= outcome.missed > 0
    assert outcome.held[-1].octets > 0
