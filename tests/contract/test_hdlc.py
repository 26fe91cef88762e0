"""HDLC and protocol mode E over real lines on both runtimes: a virtual meter in a process of its
own, over TCP and a pseudo-terminal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.contract.conftest import RunCase, cases


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("case", cases("portable_hdlc"))
def test_hdlc(runtime: str, case: str, run_case: RunCase, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = []
    try:
        for name, arguments, form in (
            ("hdlc", ["--hdlc", "0"], "tcp://127.0.0.1:%d"),
            ("pty", ["--pty", "--mode-e"], "serial:%s?baud=9600"),
        ):
            command = [sys.executable, "-m", "tools.meter", "serve", "--port", "0", *arguments]
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            processes.append(process)
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            url = "HDLC_TCP" if name == "hdlc" else "HDLC_PTY"
            monkeypatch.setenv(url, form % ready[name])
            monkeypatch.setenv("HDLC_SERIAL", ready["serial"])
        run_case(runtime, "portable_hdlc", case)
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0
