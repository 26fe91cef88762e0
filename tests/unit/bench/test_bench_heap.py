"""`ami-bench heap`: the report, and which modules a gateway on MicroPython does without where its
settings do not need them. Held are the modules, not the bytes: these differ from one MicroPython to
the next."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.conftest import find_micropython
from tools.bench.__main__ import main
from tools.bench.heap import EVERYTHING, ONE_MODEM, configurations, measure
from tools.bench.wrong import WrongWork

pytestmark = pytest.mark.skipif(
    not find_micropython(), reason="no micropython: run ./tools/test once"
)

# Names, or the beginnings of names, that the firmware with one PRIME modem and without local access
# has no use for once it runs.
UNUSED = (
    "gateway.activities",  # before the first job
    "gateway.contract.block",  # before the first reading
    "gateway.contract.edhoc",  # before a line that is not plain
    "gateway.contract.image_file",
    "gateway.contract.package",
    "gateway.contract.reading_record",
    "gateway.contract.reasons",  # only for the HES
    "gateway.dlms",
    "gateway.local",
    "gateway.readings",
    "gateway.uplink.line",
    "gateway.uplink.readings",
    "gateway.work.many_meters",
    "hal.micropython.ccm",
    "hal.micropython.ec",  # before the first signature
    "hal.micropython.sha384",
    "hal.modem.dlmsotcp",
    "hal.modem.ip",
    "hal.modem.mam",
    "hal.modem.udp",
    "hal.modem.wmbus",
)


def test_what_is_not_used_is_not_loaded() -> None:
    modems, local = next((m, with_local) for n, m, with_local in configurations() if n == ONE_MODEM)
    found = measure(modems, local)
    assert "hal.modem.prime.prime" in found["modules"] and "gateway.app" in found["modules"]
    assert [name for name in found["modules"] if name.startswith(UNUSED)] == []
    assert 0 < found["code"] < found["live"]


def test_the_report_has_each_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    root = Path(__file__).parents[3]
    assert main(["heap", "--against", str(root), "--json", str(file)]) == 0
    rows = json.loads(file.read_text())
    assert [row["settings"] for row in rows] == [ONE_MODEM, ONE_MODEM, EVERYTHING, EVERYTHING]
    assert [row["firmware"] for row in rows] == [str(root), "here"] * 2
    assert rows[0]["live"] < rows[2]["live"]
    assert {"hal.modem.udp", "gateway.local.access"} <= set(rows[2]["modules"])
    assert ONE_MODEM in capsys.readouterr().out


def test_a_gateway_that_does_not_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(WrongWork, match="driver: expected amber or"):
        measure([{"driver": "x"}], local=False)


def test_no_micropython_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert main(["heap"]) == 1
    assert "./tools/test fetches it" in capsys.readouterr().err
