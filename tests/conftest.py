"""What the tests need of this machine: the project's root on the path, the programs of
tools/programs.py and no other, MicroPython, a free port.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from hal.rt import log  # noqa: E402
from tools import programs  # noqa: E402

os.environ["PATH"] = programs.link()


def find_micropython() -> str | None:
    """The interpreter that tools/bootstrap puts next to ours, or the system's."""
    return programs.find("micropython")


@pytest.fixture(scope="session")
def micropython() -> str:
    return programs.need("micropython")


@pytest.fixture(autouse=True)
def log_level() -> None:
    """Each test begins with the log as a program does, whatever one before it has set."""
    log.set_level("info")


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
