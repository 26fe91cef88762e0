"""`ami-bench contract`: every golden message goes both ways, and the report has every class on both
runtimes. Nothing here depends on speed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import find_micropython
from tools.bench import contract, contract_ours
from tools.bench.__main__ import main

CLASSES = {case["class"] for case in json.loads(contract.HELD.read_text())} - {"envelope"}


def test_every_class_of_messages_is_measured() -> None:
    found = contract_ours.cases(str(contract.HELD))
    assert {name for name, _, _ in found} == CLASSES
    for _, decode, encode in found:
        decode()
        encode()


def test_other_octets_are_told(tmp_path: Path) -> None:
    class Wrong:
        @classmethod
        def decode(cls, raw: bytes) -> Wrong:
            return cls()

        def encode(self) -> bytes:
            return b"other"

    with pytest.raises(ValueError, match="Wrong: other octets came out"):
        contract_ours.both_ways(Wrong, [b"octets"])


@pytest.mark.skipif(not find_micropython(), reason="no micropython: run ./tools/test once")
def test_the_report_has_every_class_on_both_runtimes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    command = ["contract", "--repeat", "1", "--against", str(contract.ROOT), "--json", str(file)]
    assert main(command) == 0
    report = json.loads(file.read_text())
    assert sorted(report) == ["cpython", "micropython"]
    for rows in report.values():
        assert {row["class"] for row in rows} == CLASSES | {"all"}
        assert all(row["decode_us"] > 0 and row["encode_ratio"] > 0 for row in rows)
    assert "times as fast" in capsys.readouterr().out
