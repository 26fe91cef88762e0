"""A USB adapter that is pulled out and put back, played with pseudo-terminals: the line's name is a
link to one, which goes away with its master, and appears again leading to another."""

from __future__ import annotations

import os
import select
import termios
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.conftest import RunCase, cases


class Adapter:
    """Sends back what it gets. It is pulled out when the file `next` is gone, stays out for a
    while, and comes back as another device."""

    OUT_S = 0.7

    def __init__(self, folder: Path) -> None:
        self.line = folder / "ttyUSB0"
        self.next = folder / "next"
        self.times = 0
        self.pty = -1  # another line, that stays
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._plug_in()
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(10)
        os.close(self._master)

    def _plug_in(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.line.symlink_to(os.ttyname(slave))
        os.close(slave)
        self.next.touch()
        self.times += 1

    def _run(self) -> None:
        while not self._stopped.is_set():
            if not self.next.exists():
                self.line.unlink()
                os.close(self._master)
                self._stopped.wait(self.OUT_S)
                self._plug_in()
            if select.select([self._master], [], [], 0.02)[0]:
                try:
                    os.write(self._master, os.read(self._master, 4096))
                except OSError:
                    self._stopped.wait(0.02)  # nobody has the line open


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Adapter]:
    adapter = Adapter(tmp_path)
    master, adapter.pty = os.openpty()
    monkeypatch.setenv("REPLUG_LINE", str(adapter.line))
    monkeypatch.setenv("REPLUG_NEXT", str(adapter.next))
    monkeypatch.setenv("REPLUG_PTY", os.ttyname(adapter.pty))
    yield adapter
    adapter.stop()
    os.close(master)
    os.close(adapter.pty)


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("case", cases("portable_replug"))
def test_replug(runtime: str, case: str, run_case: RunCase, adapter: Adapter) -> None:
    run_case(runtime, "portable_replug", case)
    if case == "test_a_line_that_is_unplugged_is_opened_again":
        assert adapter.times == 3
    if case == "test_formats":
        # What a pseudo-terminal, which has no wire, keeps of the format.
        flags = termios.tcgetattr(adapter.pty)[2]
        assert flags & termios.CSTOPB
