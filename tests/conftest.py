"""What the tests need of this machine: the project's root on the path, MicroPython, a free port."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


def find_micropython() -> str | None:
    """The interpreter that tools/bootstrap puts next to ours, or the system's."""
    ours = Path(sys.prefix) / "bin" / "micropython"
    return str(ours) if ours.exists() else shutil.which("micropython")


@pytest.fixture(scope="session")
def micropython() -> str:
    path = find_micropython()
    assert path, "no micropython: run ./tools/test once, it fetches it"
    return path


@pytest.fixture
def free_port() -> int:
    """A loopback TCP port nobody listens on."""
    return find_free_port()


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def micropython_environment() -> dict[str, str]:
    """Our environment, with the project on MicroPython's module path."""
    return {**os.environ, "MICROPYPATH": f"{ROOT}:{ROOT}/hal/micropython/lib:.frozen"}
