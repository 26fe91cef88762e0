"""`ami-dlms` and `ami-meter serve` as two programs, over what only a real process shows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.unit.dlms_tool.conftest import SERIAL, Tool

PERIOD = "profile_generic 1.0.99.1.0.255 capture_period"
Serve = Callable[..., dict[str, Any]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts `ami-meter serve` and gives what it says once it is ready."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> dict[str, Any]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.meter", "serve", "--port", "0", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        ready: dict[str, Any] = json.loads(process.stdout.readline())
        return ready

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0


def test_optical_probe(serve: Serve, tool: Tool, tmp_path: Path) -> None:
    ready = serve("--pty", "--mode-e", "--inventory", str(tmp_path))
    keys = ["--keys", str(tmp_path / "keys.jsonl"), "--serial", SERIAL]
    url = "hdlc+serial:%s?mode_e=1&baud=9600&physical=17" % ready["pty"]
    for _ in range(2):  # the probe is put on again: the meter begins anew at 300 baud
        ran = tool(url, "get", PERIOD, "--json", *keys)
        assert ran.status == 0, ran.err
        assert ran.json[0]["value"] == {"double-long-unsigned": 3600}


def test_hdlc_with_small_frames_and_windows(serve: Serve, tool: Tool, tmp_path: Path) -> None:
    ready = serve("--hdlc", "0", "--inventory", str(tmp_path))
    keys = ["--keys", str(tmp_path / "keys.jsonl"), "--serial", SERIAL]
    url = "hdlc+tcp://127.0.0.1:%d" % ready["hdlc"]
    for options in ("frame=32", "frame=128&window=7&bytes=4&physical=17", "bytes=2&physical=17"):
        ran = tool("%s?%s" % (url, options), "objects", "--json", *keys)
        assert ran.status == 0, ran.err
        assert len(ran.json) > 10


def test_another_hdlc_address_does_not_answer(serve: Serve, tool: Tool) -> None:
    ready = serve("--hdlc", "0")
    url = "hdlc+tcp://127.0.0.1:%d?physical=99" % ready["hdlc"]
    ran = tool(url, "get", PERIOD, "--timeout", "0.5", "--tries", "1")
    assert ran.status == 1
    assert ran.err.count("\n") == 1
    ran = tool("hdlc+tcp://127.0.0.1:%d" % ready["hdlc"], "get", PERIOD, "--client", "500")
    assert ran.status == 2


@pytest.mark.parametrize("suite", ["1", "2"])
def test_suites_with_the_keys_it_wrote(
    serve: Serve, tool: Tool, tmp_path: Path, suite: str
) -> None:
    ready = serve("--suite", suite, "--auth", "ecdsa", "--signed", "--inventory", str(tmp_path))
    assert (tmp_path / (SERIAL + "-client-signing.pem")).stat().st_mode & 0o077 == 0
    options = ["--keys", str(tmp_path / "keys.jsonl"), "--serial", SERIAL, "--suite", suite]
    for what in ("signing", "agreement"):
        options += ["--%s-key" % what, str(tmp_path / ("%s-client-%s.pem" % (SERIAL, what)))]
        options += ["--peer-" + what, str(tmp_path / ("%s-%s.pem" % (SERIAL, what)))]
    url = "tcp://127.0.0.1:%d" % ready["port"]
    ran = tool(url, "get", PERIOD, "--auth", "ecdsa", "--signed", *options)
    assert ran.status == 0, ran.err
    assert "double-long-unsigned 3600" in ran.out
    ran = tool(url, "get", PERIOD, "--auth", "gmac", *options)
    assert ran.status == 1


def test_secret_without_ciphering(serve: Serve, tool: Tool) -> None:
    ready = serve("--auth", "sha256", "--password", "sesame street", "--protection", "plain")
    url = "tcp://127.0.0.1:%d" % ready["port"]
    ran = tool(url, "get", PERIOD, "--auth", "sha256", "--password", "sesame street")
    assert ran.status == 0, ran.err


def test_a_serial_line_that_is_not_there_or_silent(tool: Tool) -> None:
    ran = tool("hdlc+serial:/dev/no-such-line", "get", PERIOD)
    assert ran.status == 1
    assert "No such file" in ran.err
    leader, follower = os.openpty()
    try:
        url = "hdlc+serial:%s" % os.ttyname(follower)
        ran = tool(url, "get", PERIOD, "--timeout", "0.3", "--tries", "1")
        assert ran.status == 1
        assert ran.err.count("\n") == 1
    finally:
        os.close(leader)
        os.close(follower)
