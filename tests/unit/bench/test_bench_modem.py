"""`ami-bench modem`: every driver does its exchanges right, and the report has them all. Nothing
here depends on speed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hal.modem.dlmsotcp import DlmsOTcp
from hal.modem.wrapper import wrap
from tests.conftest import find_micropython
from tools.bench import modem_ours, rounds
from tools.bench.__main__ import main

DRIVERS = ["prime-usi", "dlms-o-tcp", "meters-and-more", "imst", "amber"]


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "ROUND_US", 100)


@pytest.mark.parametrize("number", range(len(DRIVERS)))
def test_an_exchange_can_be_done_over_and_over(number: int) -> None:
    case = modem_ours.MAKERS[number]()
    assert case.name == DRIVERS[number]
    assert {case.exchange() for _ in range(50)} <= {case.octets - 1, case.octets, case.octets + 1}


def test_wrong_work_is_told() -> None:
    driver = DlmsOTcp()
    driver.start(0)
    driver.feed(wrap(0, 1, b"\x01\x00\x05\x00\x01\x00" + bytes.fromhex(modem_ours.PLC_NODE)), 0)
    driver.outgoing()
    driver.events()
    with pytest.raises(ValueError, match="x: the exchange is not done right"):
        modem_ours.Case("x", driver, modem_ours.PLC_NODE, wrap(5, 16, b"another"), 1, 1)


@pytest.mark.skipif(not find_micropython(), reason="no micropython: run ./tools/test once")
def test_the_report_has_every_driver_on_both_runtimes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    assert main(["modem", "--repeat", "2", "--seconds", "1", "--json", str(file)]) == 0
    *reports, filled = json.loads(file.read_text())
    assert min(filled["channel"].values()) > 0
    assert [report["runtime"].split()[0] for report in reports] == ["cpython", "micropython"]
    for report in reports:
        assert [row["driver"] for row in report["rows"]] == DRIVERS
        assert all(row["exchanges"]["median"] > 0 < row["share"] for row in report["rows"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in DRIVERS)
