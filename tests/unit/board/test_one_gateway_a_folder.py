"""Two gateways on one data folder would write over each other's ledger, and use the same counters
under the same keys: the second one ends with words, whatever the runtimes of the two."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from board import linux
from hal.cpython.serial import SerialPort
from tests.conftest import ROOT, micropython_environment
from tests.unit.board.test_systemd_unit import SETTINGS

CPYTHON, MICROPYTHON = "cpython", "micropython"
LIMIT_S = 60


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


class Run:
    """A gateway as a process, with a broker that is not there."""

    def __init__(self, runtime: str, folder: Path, micropython: str) -> None:
        settings = folder / "gateway.json"
        settings.write_text(json.dumps({**SETTINGS, "uplink": {"host": "127.0.0.1", "port": 9}}))
        programs = {CPYTHON: [sys.executable, "-m", "board.linux", "--settings"]}
        programs[MICROPYTHON] = [micropython, "-m", "board.unix"]
        self.process = subprocess.Popen(
            [*programs[runtime], str(settings)],
            cwd=ROOT,
            env=micropython_environment(),
            stderr=subprocess.PIPE,
            text=True,
        )

    def runs(self) -> bool:
        """It got as far as looking for its broker."""
        assert self.process.stderr is not None
        return any("no connection" in line for line in self.process.stderr)

    def end(self) -> None:
        self.process.kill()
        self.process.wait(LIMIT_S)
        if self.process.stderr is not None:
            self.process.stderr.close()


@pytest.mark.parametrize("first", [CPYTHON, MICROPYTHON])
@pytest.mark.parametrize("second", [CPYTHON, MICROPYTHON])
def test_of_two_processes_one_runs(
    tmp_path: Path, first: str, second: str, micropython: str
) -> None:
    one = Run(first, tmp_path, micropython)
    try:
        assert one.runs()
        before = {each.name: each.read_bytes() for each in (tmp_path / "data").iterdir()}
        other = Run(second, tmp_path, micropython)
        try:
            _, said = other.process.communicate(timeout=LIMIT_S)
        finally:
            other.end()
        assert other.process.returncode == 2
        assert "another gateway runs on %s already" % (tmp_path / "data") in said
        after = {each.name: each.read_bytes() for each in (tmp_path / "data").iterdir()}
        assert before.keys() == after.keys()
    finally:
        one.end()
    # The lock went with the process, though it was killed.
    next_one = Run(second, tmp_path, micropython)
    try:
        assert next_one.runs()
    finally:
        next_one.end()


@pytest.mark.parametrize("runtime", [CPYTHON, MICROPYTHON])
def test_the_data_is_for_its_owner_alone(tmp_path: Path, runtime: str, micropython: str) -> None:
    data, outside = tmp_path / "data", tmp_path / "outside"
    data.mkdir(mode=0o755)
    data.chmod(0o755)
    outside.write_text("not ours")
    outside.chmod(0o644)
    (data / "meters.jsonl").write_text("")
    (data / "meters.jsonl").chmod(0o664)
    (data / "link").symlink_to(outside)
    run = Run(runtime, tmp_path, micropython)
    try:
        assert run.process.stderr is not None
        said = []
        for line in run.process.stderr:
            said.append(line)
            if "no connection" in line:
                break
    finally:
        run.end()
    text = "".join(said)
    assert "open to others: %s had mode 755, it has 700 now" % data in text
    assert "open to others: meters.jsonl had mode 664, it has 600 now" in text
    modes = {each.name: each.lstat().st_mode & 0o777 for each in data.iterdir()}
    assert len(modes) > 3 and set(modes.values()) - {modes.pop("link")} == {0o600}
    assert data.stat().st_mode & 0o777 == 0o700
    assert outside.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("runtime", [CPYTHON, MICROPYTHON])
def test_a_made_folder_is_for_its_owner_alone(
    tmp_path: Path, runtime: str, micropython: str
) -> None:
    run = Run(runtime, tmp_path, micropython)
    try:
        assert run.runs()
    finally:
        run.end()
    data = tmp_path / "data"
    assert data.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in data.iterdir()} == {0o600}


PORT = """
import asyncio
from hal.micropython.serial import SerialPort
async def main():
    try:
        await SerialPort.open(%r, 9600)
    except OSError as error:
        print("refused", error.errno)
    else:
        print("open")
        await asyncio.sleep(60)
asyncio.run(main())
"""


def test_a_line_is_one_gateways_whatever_the_runtimes(micropython: str) -> None:
    """Also after one that was killed, on a line that stays, and for root."""
    master, slave = os.openpty()
    name = os.ttyname(slave)
    os.close(slave)

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [micropython, "-c", PORT % name],
            cwd=ROOT,
            env=micropython_environment(),
            stdout=subprocess.PIPE,
            text=True,
        )

    async def ours_is_refused() -> bool:
        try:
            port = await SerialPort.open(name, 9600)
        except OSError:
            return True
        await port.close()
        return False

    async def second_is_refused() -> str:
        port = await SerialPort.open(name, 9600)
        found, _ = start().communicate(timeout=LIMIT_S)
        await port.close()
        return found

    try:
        for _ in range(2):
            first = start()
            assert first.stdout is not None and first.stdout.readline() == "open\n"
            assert start().communicate(timeout=LIMIT_S)[0] == "refused 11\n"
            assert asyncio.run(ours_is_refused())
            first.kill()
            first.communicate(timeout=LIMIT_S)
        assert asyncio.run(second_is_refused()) == "refused 11\n"
    finally:
        os.close(master)


@pytest.mark.parametrize("runtime", [CPYTHON, MICROPYTHON])
def test_the_fingerprint_can_be_asked_for_before_the_first_start_and_while_it_runs(
    tmp_path: Path, runtime: str, micropython: str
) -> None:
    settings = tmp_path / "gateway.json"
    settings.write_text(json.dumps({**SETTINGS, "uplink": {"host": "127.0.0.1", "port": 9}}))
    ask = [sys.executable, "-m", "board.linux", "--identity", "--settings", str(settings)]
    if runtime == MICROPYTHON:
        ask = [micropython, "-m", "board.unix", "--identity", str(settings)]

    def asked() -> str:
        environment = micropython_environment()
        said = subprocess.run(ask, cwd=ROOT, env=environment, capture_output=True, check=True)
        return said.stdout.decode()

    before = asked()
    assert len(before.split("-")) == 8
    run = Run(runtime, tmp_path, micropython)
    try:
        assert run.process.stderr is not None
        said = ""
        for line in run.process.stderr:
            said += line
            if "no connection" in line:
                break
        assert asked() == before
        assert "fingerprint " + before in said
        assert "no record of its own past" not in said
    finally:
        run.end()
