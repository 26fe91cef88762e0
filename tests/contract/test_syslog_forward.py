"""`ami-hes security forward` to a real rsyslog: either side is killed, and every event comes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.rsyslog import Rsyslog
from tools import programs
from tools.hes.store.store import Store

pytestmark = pytest.mark.skipif(
    programs.find("rsyslogd") is None, reason=programs.why_not("rsyslogd")
)


class Forward:
    def __init__(self, rsyslog: Rsyslog, database: Path, *more: str) -> None:
        folder = rsyslog.folder
        self._command = [sys.executable, "-m", "tools.hes", "--db", str(database), "security"]
        self._command += ["forward", "--to", rsyslog.url, "--ca", str(folder / "authority.pem")]
        self._command += ["--cert", str(folder / "client.pem")]
        self._command += ["--cert-key", str(folder / "client.key.pem"), *more]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, cwd=ROOT, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(60)


@pytest.fixture
def rsyslog(tmp_path: Path) -> Iterator[Rsyslog]:
    server = Rsyslog(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "hes.sqlite")


def numbers(rsyslog: Rsyslog) -> list[int]:
    return [int(json.loads(each["data"])["meta"]["sequenceid"]) for each in rsyslog.taken(0)]


def wait_for(rsyslog: Rsyslog, last: int) -> None:
    deadline = time.monotonic() + 120
    while last not in numbers(rsyslog):
        assert time.monotonic() < deadline, "no event %d" % last
        time.sleep(0.05)


def add(store: Store, many: int) -> None:
    for n in range(many):
        store.security.note("malformed", "event %d" % n, "c-%d" % n)


def test_every_event_comes_whoever_is_killed(
    rsyslog: Rsyslog, store: Store, tmp_path: Path
) -> None:
    add(store, 250)
    forward = Forward(rsyslog, tmp_path / "hes.sqlite")
    try:
        wait_for(rsyslog, 250)
        forward.kill()
        add(store, 50)
        forward.start()
        wait_for(rsyslog, 300)
        rsyslog.stop()
        add(store, 50)
        rsyslog.start()
        wait_for(rsyslog, 350)
    finally:
        forward.kill()
    assert sorted(set(numbers(rsyslog))) == list(range(1, 351))
    assert store.security.told(rsyslog.url) <= 350


def test_from_now(rsyslog: Rsyslog, store: Store, tmp_path: Path) -> None:
    add(store, 3)
    forward = Forward(rsyslog, tmp_path / "hes.sqlite", "--from-now", "--form", "ecs")
    try:
        while not store.security.told(rsyslog.url):
            time.sleep(0.05)
        add(store, 1)
        wait_for(rsyslog, 4)
    finally:
        forward.kill()
    [taken] = rsyslog.taken(1)
    assert json.loads(taken["text"].lstrip("\ufeff"))["event.sequence"] == 4
