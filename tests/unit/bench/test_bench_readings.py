"""`ami-bench readings`: what a row of a load profile may take, on the flash and on the line, and
that the fleets of the issue fit their flash. Octets do not depend on the machine; nothing here does
on its speed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import find_micropython
from tools.bench import readings, readings_ours
from tools.bench.__main__ import main
from tools.bench.readings_rows import ROWS, profiles

FLASH, LINE = 12, 8  # octets a row of 4 registers
# Whatever they were: no code is shorter than what it tells.
NOISE = "random: 4 values of 32 bits"


@pytest.fixture(scope="module")
def figures() -> dict[str, dict[str, float]]:
    """Of 4 meters in a week, which share a segment as those of a street do."""
    return {one.name: readings.octets(one, 4, 7) for one in profiles()}


def test_a_row_of_four_registers_is_small_enough(figures: dict[str, dict[str, float]]) -> None:
    assert len(figures) == 9
    usual = [row for name, row in figures.items() if name != NOISE]
    assert max(row["flash"] for row in usual) <= FLASH
    assert sum(row["line"] for row in usual) / len(usual) <= LINE
    realistic = [row for name, row in figures.items() if not name.startswith("random")]
    assert max(row["line"] for row in realistic) <= LINE
    for row in realistic:
        assert row["line"] * 3 <= row["axdr"], "at most a third of A-XDR"
    assert figures[NOISE]["block"] < 4 * 4 + 1, "as good as the octets themselves"


def test_the_fleets_fit_their_flash(figures: dict[str, dict[str, float]]) -> None:
    """Less two segments that room is made in."""
    spare = 2 * 65536
    for name, row in figures.items():
        if name != NOISE:
            assert 1000 * 30 * ROWS * row["flash"] <= (32 << 20) - spare, name
            assert 300 * 7 * ROWS * row["flash"] <= (4 << 20) - spare, name


def test_a_short_record_stays_below_the_limit_too() -> None:
    """A third of a day each time, of a busy meter: the heads weigh more."""
    (workshop,) = [one for one in profiles() if one.name.startswith("workshop")]

    third = readings.Profile(
        workshop.name, workshop.tags, lambda seed, day: workshop.rows(seed, day)[:16]
    )
    row = readings.octets(third, 4, 7)
    assert row["flash"] <= FLASH and row["line"] <= LINE


@pytest.mark.skipif(not find_micropython(), reason="no micropython: run ./tools/test once")
def test_the_report_has_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(readings, "octets", lambda profile: dict(ZERO, profile=profile.name))
    file = tmp_path / "figures.json"
    assert main(["readings", "--repeat", "1", "--json", str(file)]) == 0
    report = json.loads(file.read_text())
    names = {one.name for one in profiles()}
    for runtime in ("cpython", "micropython"):
        assert set(report["us"][runtime]) == names
        assert all(min(us) > 0 for us in report["us"][runtime].values())
    heap = report["heap"]
    assert heap["full"] < 64 << 10, "300 meters with 4 series each"
    assert heap["empty"] < 4 << 10
    assert heap["modules"] < 64 << 10
    assert "octets a row" in capsys.readouterr().out


ZERO = {"block": 0.0, "flash": 0.0, "line": 0.0, "axdr": 0.0, "json": 0.0}


def test_other_rows_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings_ours.block, "decode", lambda octets: [[1]])
    with pytest.raises(ValueError, match="other rows came out"):
        readings_ours._both([[2]])
