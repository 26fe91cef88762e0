"""`ami-bench daily` at small scale: all rows come, once, and the figures are those of a night."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.bench import daily, mass_channel
from tools.bench.__main__ import main
from tools.bench.daily_night import ASKED, least_ms

ROWS = 96 + 1 + 2  # of a meter and day: load profile, closure, events


def test_a_night(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two nights and a day take seconds, so all is in one: loss, a silent meter, and orders."""
    monkeypatch.setitem(daily.PARTS, "asked", (0.1, 0.05, True))
    file = tmp_path / "figures.json"
    arguments = ["daily", "--meters", "14", "--only", "asked", "--json", str(file)]
    assert main(arguments) == 0
    night = json.loads(file.read_text())["nights"]["asked"]
    assert night["came"] == night["expected"] == 14 * ROWS and night["complete"] == 14
    assert 0.8 * night["took"] <= night["busy"] <= night["took"] <= 1.25 * night["least"]
    assert night["rows_alone"] < night["least"] <= 1.25 * night["took"]
    assert night["encoded"] < night["sealed"] < night["axdr"] / 3 < night["json"] / 3
    assert night["silent"] == 1 and night["again"]["no-answer"] > 1
    starts, ordered = night["starts"], night["ordered"]
    assert 1 <= len(starts) <= ASKED and all(0 <= one <= 5000 for one in starts)
    assert all(later >= one for one, later in zip(starts, ordered, strict=True))
    printed = capsys.readouterr().out
    assert "least = sum over the meters" in printed and "readings on demand began" in printed


def test_what_must_travel_at_least() -> None:
    ten = mass_channel.addresses(10)
    without = least_ms(ten, 0.0, 1, [100, 300])
    assert least_ms(ten, 0.5, 1, [100, 300]) == 2 * without
    assert least_ms(ten, 0.0, 1, [100, 300, 300]) > 1.5 * without
    assert least_ms(ten + ten, 0.0, 1, [100, 300]) == 2 * without
