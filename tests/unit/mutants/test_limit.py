"""A time limit that comes again, and gives up in the end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools.mutants import limit
from tools.mutants.limit import TimeIsOver, limited


class GivenUp(BaseException):
    pass


def give_up() -> None:
    raise GivenUp


def test_who_is_in_time_notices_nothing() -> None:
    with limited(30, give_up):
        pass
    time.sleep(0.01)


def test_who_is_not_is_ended() -> None:
    with pytest.raises(TimeIsOver), limited(0.05, give_up):
        while True:
            time.sleep(0.01)


def test_it_comes_again() -> None:
    """Raised in a task, it ends the task; who waits for an event goes on waiting."""

    async def work() -> None:
        for _ in range(1 << 40):
            await asyncio.sleep(0)

    async def whole() -> None:
        task = asyncio.create_task(work())
        await asyncio.Event().wait()
        await task

    with pytest.raises(TimeIsOver), limited(0.05, give_up):
        asyncio.run(whole())


def test_who_does_not_stop_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit, "PATIENCE", 1)
    with pytest.raises(GivenUp), limited(0.05, give_up):
        while True:
            try:
                time.sleep(0.01)
            except TimeIsOver:
                pass


SLOW_TO_REPORT = """
import time


def pytest_runtest_makereport(item, call):
    time.sleep(1.2 if call.when == "call" else 0)  # longer than from signal to signal
"""
HANGS = """
def test_hangs():
    while True:
        pass


def test_does_not():
    pass
"""


def test_no_signal_comes_while_the_failure_is_reported(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(SLOW_TO_REPORT)
    (tmp_path / "test_two.py").write_text(HANGS)
    program = (
        "import pytest, sys; from tools.mutants.limit import OPTIONS, Limits;"
        " limits = Limits(lambda name: 0.5 if 'hangs' in name else 60, sys.exit);"
        " sys.exit(pytest.main([*OPTIONS, 'test_two.py'], plugins=[limits]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert "TimeIsOver" in done.stdout and "1 failed, 1 passed" in done.stdout
