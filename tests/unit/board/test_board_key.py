"""The board's key: made once, for its owner only, and never guessed around."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from board.wiring import board_key
from gateway.settings import Settings, SettingsError, parse
from hal.cpython.crypto import SystemCrypto
from hal.cpython.private_file import make_private_file
from hal.modem.drivers import DRIVERS
from hal.sim.storage import MemoryStorage
from tests.conftest import ROOT, micropython_environment
from tests.unit.board.test_systemd_unit import SETTINGS


def settings(**more: object) -> Settings:
    content = {
        "concentrator": "c-1",
        "system_title": "414d490000000001",
        "uplink": {"host": "localhost"},
        "signers": [{"kid": "01", "key": "ab" * 64}],
        "plain": True,
        **more,
    }
    return parse(json.dumps(content), DRIVERS)


def key(folder: Path, **more: object) -> bytes:
    random = SystemCrypto().random
    return board_key(settings(**more), str(folder), random, make_private_file, MemoryStorage())


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


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_a_lost_or_wrong_one_ends_the_gateway_with_words(
    tmp_path: Path, runtime: str, micropython: str
) -> None:
    """Before, a new one was made, and every meter ended as if it had refused us."""
    path = tmp_path / "gateway.json"
    path.write_text(json.dumps({**SETTINGS, "uplink": {"host": "127.0.0.1", "port": 9}}))
    program = [sys.executable, "-m", "board.linux", "--settings", str(path)]
    if runtime == "micropython":
        program = [micropython, "-m", "board.unix", str(path)]

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            program, cwd=ROOT, env=micropython_environment(), stderr=subprocess.PIPE, text=True
        )

    with start() as first:
        assert first.stderr is not None
        assert any("no connection" in line for line in first.stderr)
        first.kill()
    (tmp_path / "board.key").rename(tmp_path / "aside")
    with start() as without:
        said = without.communicate(timeout=60)[1]
    assert without.returncode == 2
    assert "board.key is gone" in said and "put its copy back" in said
    assert not (tmp_path / "board.key").exists()
    make_private_file(str(tmp_path / "board.key"), b"00" * 32)
    with start() as wrong:
        said = wrong.communicate(timeout=60)[1]
    assert wrong.returncode == 2
    assert "this is not the key that the secrets in the data folder are wrapped under" in said
    (tmp_path / "aside").replace(tmp_path / "board.key")
    with start() as again:
        assert again.stderr is not None
        assert any("no connection" in line for line in again.stderr)
        again.kill()
