"""Two gateways on one data folder would write over each other's ledger."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from board import linux
from tests.unit.board.test_systemd_unit import SETTINGS


def test_a_second_one_says_so_and_touches_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, data = tmp_path / "gateway.json", tmp_path / "data"
    settings.write_text(json.dumps(SETTINGS))
    data.mkdir()
    first = os.open(data, os.O_RDONLY)
    fcntl.flock(first, fcntl.LOCK_EX)
    try:
        assert linux.main(["--settings", str(settings)]) == 2
    finally:
        os.close(first)
    assert "another gateway runs on %s already" % data in capsys.readouterr().err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["data", "gateway.json"]
    assert list(data.iterdir()) == []
