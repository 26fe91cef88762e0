"""The board's key: made once, for its owner only, and never guessed around."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from board.wiring import board_key
from gateway.settings import Settings, SettingsError, parse
from hal.cpython.crypto import SystemCrypto
from hal.cpython.private_file import make_private_file
from hal.modem.drivers import DRIVERS
from tests.conftest import ROOT, micropython_environment


def settings(**more: object) -> Settings:
    content = {
        "concentrator": "c-1",
        "system_title": "414d490000000001",
        "uplink": {"host": "localhost"},
        "signers": [{"kid": "01", "key": "ab" * 64}],
        **more,
    }
    return parse(json.dumps(content), DRIVERS)


def key(folder: Path, **more: object) -> bytes:
    return board_key(settings(**more), str(folder), SystemCrypto().random, make_private_file)


def test_it_is_made_once_for_its_owner(tmp_path: Path) -> None:
    first = key(tmp_path)
    assert len(first) == 32
    assert os.stat(tmp_path / "board.key").st_mode & 0o777 == 0o600
    assert key(tmp_path) == first
    assert key(tmp_path, board_key="other.key") != first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["board.key", "other.key"]


def test_a_key_of_ones_own(tmp_path: Path) -> None:
    make_private_file(str(tmp_path / "board.key"), b"00112233445566778899AABBCCDDEEFF")
    assert key(tmp_path).hex() == "00112233445566778899aabbccddeeff"


def test_others_may_not_read_it(tmp_path: Path) -> None:
    key(tmp_path)
    (tmp_path / "board.key").chmod(0o640)
    with pytest.raises(SettingsError, match="only its owner may read, came mode 640"):
        key(tmp_path)


@pytest.mark.parametrize("content", [b"", b"00" * 15, b"zz" * 16, b"\xff" * 32])
def test_no_key(tmp_path: Path, content: bytes) -> None:
    make_private_file(str(tmp_path / "board.key"), content)
    with pytest.raises(SettingsError, match="32 or 64 hex digits"):
        key(tmp_path)


def test_private_files_of_micropython(tmp_path: Path, micropython: str) -> None:
    path = tmp_path / "board.key"
    program = "from hal.micropython.private_file import make_private_file as m; m(%r, b'x')"
    subprocess.run(
        [micropython, "-c", program % str(path)],
        cwd=ROOT,
        env=micropython_environment(),
        check=True,
    )
    assert path.read_bytes() == b"x"
    assert os.stat(path).st_mode & 0o777 == 0o600
