"""A real Mosquitto for each test, with TLS, and the runner of portable suites."""

from __future__ import annotations

import importlib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, find_free_port, micropython_environment
from tests.mosquitto import Authority, Broker
from tools import programs

RunCase = Callable[[str, str, str], None]


def cases(suite: str) -> list[str]:
    """The names of a portable suite's test functions, in the order of the file."""
    module = importlib.import_module("tests.contract." + suite)
    return [name for name in vars(module) if name.startswith("test_")]


@pytest.fixture
def run_case(micropython: str) -> RunCase:
    """Run a case on "cpython" (in this process) or "micropython" (in a process of its own)."""

    def run(runtime: str, suite: str, case: str) -> None:
        if runtime == "cpython":
            getattr(importlib.import_module("tests.contract." + suite), case)()
            return
        done = subprocess.run(
            [micropython, "tests/contract/run_case.py", suite, case],
            cwd=ROOT,
            env=micropython_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=600,
        )
        text = done.stdout.decode(errors="replace")
        assert done.returncode == 0, text
        assert text.endswith("passed\n"), text

    return run


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca, server (for localhost) and client; other-ca and other-client; a file that is no
    certificate."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder, "ca")
    authority.issue("server", "localhost")
    authority.issue("client")
    Authority(folder, "other-ca").issue("other-client")
    (folder / "not-a.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
    return folder


@pytest.fixture
def broker(tmp_path: Path, certificates: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path, certificates)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


@pytest.fixture
def mqtt_environment(
    broker: Broker,
    certificates: Path,
    silent_port: int,
    micropython: str,
    runtime: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What portable_mqtt takes from the environment."""
    values = {
        "MQTT_PORT": broker.port,
        "MQTT_TLS_PORT": broker.tls_port,
        "MQTT_FREE_PORT": find_free_port(),
        "MQTT_SILENT_PORT": silent_port,
        "MQTT_PID_FILE": broker.pid_file,
        "MQTT_START": broker.start_command(),
        "MQTT_CERTIFICATES": certificates,
        "MQTT_PYTHON": sys.executable if runtime == "cpython" else micropython,
        "MQTT_PUBLISH": f"{programs.need('mosquitto_pub')} -u board -P 'open sesame'",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
