"""`ami-bench uplink`: no message grows by more than it may, and the report has every step on both
runtimes. Nothing here depends on speed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.contract.sealed import MAX_NUMBER
from tests.conftest import find_micropython
from tools.bench import uplink, uplink_ours
from tools.bench.__main__ import main
from tools.bench.contract import HELD
from tools.bench.worker import ROOT

CLASSES = {case["class"] for case in json.loads(HELD.read_text())} - set(uplink.INSIDE)


def test_no_message_grows_by_more_than_sixty_octets() -> None:
    """On a cellular line octets are money; with the highest number that a session has, too."""
    found = uplink.messages()
    assert {row["class"] for row in found} == CLASSES
    for row in found:
        if row["class"] != "State":  # signed, once a connection and once ahead as its will
            assert row["how"] == "sealed" and 0 < row["more"] <= uplink.MORE_LIMIT
    for size in (0, 1, 1000, 128 * 1024):
        assert len(uplink.sealed(bytes(size), MAX_NUMBER)) - size <= uplink.MORE_LIMIT


def test_a_handshake_is_small() -> None:
    octets = uplink.session()
    assert octets["message_1, up"] == 42
    assert octets["message_2, down"] <= 70
    assert octets["message_3, up"] <= 220


def test_each_step_does_its_work() -> None:
    for name, work in uplink_ours.steps():
        work()
        work()
        assert name


@pytest.mark.skipif(not find_micropython(), reason="no micropython: run ./tools/test once")
def test_the_report_has_every_step_on_both_runtimes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    command = ["uplink", "--repeat", "1", "--against", str(ROOT), "--json", str(file)]
    assert main(command) == 0
    report = json.loads(file.read_text())
    assert sorted(report) == ["cpython", "heap", "messages", "micropython", "session"]
    for runtime in ("cpython", "micropython"):
        steps = [row["step"] for row in report[runtime]]
        assert steps == [name for name, _ in uplink_ours.steps()] + ["concentrator", "HES"]
        assert all(row["us"] > 0 and row["ratio"] > 0 for row in report[runtime])
    assert report["heap"]["modules"] > 0 and report["heap"]["session"] > 0
    out = capsys.readouterr().out
    assert "times as fast" in out and "A session on MicroPython" in out
