"""On MicroPython the power goes during writes, erases and syncs of the blocks under littlefs."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.conftest import ROOT, micropython_environment


def cuts(micropython: str, step: int, *life: str) -> str:
    done = subprocess.run(
        [micropython, "-X", "heapsize=8m", "-m", "tests.power.on_littlefs", str(step), *life],
        cwd=ROOT,
        env=micropython_environment(),
        capture_output=True,
        text=True,
        timeout=4 * 3600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_nothing_promised_is_lost_on_littlefs(micropython: str) -> None:
    """At a sample of the cut points."""
    assert int(re.findall(r"(\d+) cuts", cuts(micropython, 101))[0]) > 150


def test_no_reading_is_lost_on_littlefs(micropython: str) -> None:
    """Likewise."""
    assert int(re.findall(r"(\d+) cuts", cuts(micropython, 211, "readings"))[0]) > 50


def test_the_folder_goes_on_on_littlefs(micropython: str) -> None:
    """Likewise."""
    assert int(re.findall(r"(\d+) cuts", cuts(micropython, 19, "folder"))[0]) > 100


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_nor_the_folder_at_any_cut_point(micropython: str) -> None:
    assert int(re.findall(r"(\d+) cuts", cuts(micropython, 1, "folder"))[0]) > 1000


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_nor_a_reading_at_any_cut_point(micropython: str) -> None:
    assert int(re.findall(r"(\d+) cuts", cuts(micropython, 1, "readings"))[0]) > 5000


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_nor_at_any_cut_point(micropython: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = cuts(micropython, 1)
    with capsys.disabled():
        print("\n" + text)
    assert int(re.findall(r"(\d+) cuts", text)[0]) > 5000
