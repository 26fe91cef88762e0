"""A technician at the optical port: the real ami-dlms over mode E and HDLC on a pseudo-terminal,
the real gateway on both runtimes, a virtual meter behind it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, find_free_port, micropython_environment
from tests.system.optical_line import OpticalLine

SERIAL = "AMI0000000001"


class Scene:
    """The technician's laptop, with what it was given."""

    def __init__(self, folder: Path, line: OpticalLine) -> None:
        self.folder = folder
        self.line = line

    def dlms(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tools.dlms"]
        command += ["hdlc+serial:%s?mode_e=1" % self.line.laptop, *arguments]
        command += ["--counter-file", str(self.folder / "counters"), "--timeout", "20"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)

    def good(self, *arguments: str) -> str:
        done = self.dlms(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, *arguments: str) -> str:
        done = self.dlms(*arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    def audit(self) -> list[list[str]]:
        """The details of the records of local access."""
        command = [sys.executable, "-m", "tools.audit", "show", str(self.folder / "data")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        return [record["details"] for record in records if record["kind"] == "local"]


@pytest.fixture(params=["cpython", "micropython"])
def scene(request: pytest.FixtureRequest, micropython: str, tmp_path: Path) -> Iterator[Scene]:
    data = tmp_path / "data"
    line = OpticalLine()
    processes: list[subprocess.Popen[str]] = []
    try:
        street = subprocess.Popen(
            [sys.executable, "-m", "tools.meter", "population", "--inventory", str(data)]
            + ["--meters", "1", "--plc", "1", "--rf", "0", "--both", "0", "--ip", "0"]
            + ["--dead", "0", "--refuses-write", "0", "--other-firmware", "0"]
            + ["--plc-pty", str(tmp_path / "plc"), "--speed", "20"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(street)
        assert street.stdout is not None and street.stdout.readline()
        shutil.copy(data / "keys.jsonl", tmp_path / "technician.jsonl")
        settings = tmp_path / "gateway.json"
        settings.write_text(
            json.dumps(
                {
                    "concentrator": "street-1",
                    "system_title": "414d490000000001",
                    "uplink": {"host": "127.0.0.1", "port": find_free_port()},
                    "signers": [{"kid": "01", "key": "ab" * 64}],
                    "plain": True,
                    "modems": [
                        {"driver": "prime-usi", "url": "serial:%s" % (tmp_path / "plc")},
                    ],
                    "local": {"url": "serial:" + line.board},
                }
            )
        )
        if request.param == "cpython":
            command = [sys.executable, "-m", "board.linux", "--settings", str(settings)]
        else:
            command = [micropython, "-m", "board.unix", str(settings)]
        with open(tmp_path / "log", "w") as log:
            processes.append(
                subprocess.Popen(
                    command, cwd=ROOT, env=micropython_environment(), stderr=log, text=True
                )
            )
        deadline = time.monotonic() + 300
        while "1 meters" not in (tmp_path / "log").read_text():
            assert processes[-1].poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        assert (tmp_path / "local.key").stat().st_mode & 0o777 == 0o600
        yield Scene(tmp_path, line)
        key = (tmp_path / "local.key").read_text().strip()
        assert key not in (tmp_path / "log").read_text()
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGKILL)
            process.wait()
        line.close()


def test_a_technician_reads_the_concentrator_and_a_meter_behind_it(scene: Scene) -> None:
    local = ["--local-key", str(scene.folder / "local.key")]
    itself = ["get", "data 0.0.42.0.0.255 value", "data 0.0.96.51.0.255 value", *local]
    deadline = time.monotonic() + 300
    while "double-long-unsigned 1" not in scene.good(*itself):  # until the meter has registered
        assert time.monotonic() < deadline
    assert "street-1" in scene.good(*itself)
    assert "clock" in scene.good("objects", *local)

    via = [*local, "--via", SERIAL]
    keys = ["--keys", str(scene.folder / "technician.jsonl"), "--serial", SERIAL]
    # as the public client, whose answers are plain, and as the management client
    assert SERIAL in scene.good("get", "data 0.0.42.0.0.255 value", *via)
    scene.good(
        "set",
        "profile_generic 1.0.99.1.0.255 capture_period",
        "double-long-unsigned: 600",
        *via,
        *keys,
    )
    assert "600" in scene.good("get", "profile_generic 1.0.99.1.0.255 capture_period", *via, *keys)
    assert scene.line.lost == 0
    records = scene.audit()
    title = records[0][1]
    assert records[0] == ["in", title] and records[-2:] == [
        ["in", title],
        ["meter", title, SERIAL, "plc"],
    ]


def test_nobody_gets_further_without_the_local_key(scene: Scene) -> None:
    wrong = scene.folder / "wrong.key"
    wrong.write_text("00" * 32)
    assert "authentication-required" in scene.refused("get", "data 0.0.42.0.0.255 value")
    text = scene.refused("get", "data 0.0.42.0.0.255 value", "--local-key", str(wrong))
    assert "authentication-failure" in text
    assert [record[0] for record in scene.audit()] == ["refused"]
    via = ["--via", SERIAL, "--local-key"]
    assert "the concentrator: " in scene.refused(
        "get", "data 0.0.42.0.0.255 value", *via, str(wrong)
    )
    text = scene.refused(
        "get",
        "data 0.0.42.0.0.255 value",
        "--via",
        "AMI0000000099",
        "--local-key",
        str(scene.folder / "local.key"),
    )
    assert "other-reason" in text and "does not know this meter" in text
