"""A gateway started without a stderr: the log says nothing, and never writes into another file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, micropython_environment

PROGRAM = """
from hal.rt import log
files = [open("%s/%%d" %% i, "wb") for i in range(4)]
for i in range(3):
    log.error("here", "nobody reads this")
for file in files:
    file.close()
print("alive")
"""


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_closed_stderr(runtime: str, micropython: str, tmp_path: Path) -> None:
    interpreter = sys.executable if runtime == "cpython" else micropython
    program = tmp_path / "program.py"
    program.write_text(PROGRAM % tmp_path)
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" "$1" 2>&-', interpreter, str(program)],
        cwd=ROOT,
        env={**micropython_environment(), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        timeout=300,
    )
    assert done.stdout == b"alive\n"
    assert [(tmp_path / str(i)).read_bytes() for i in range(4)] == [b""] * 4


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_open_stderr(runtime: str, micropython: str, tmp_path: Path) -> None:
    interpreter = sys.executable if runtime == "cpython" else micropython
    program = tmp_path / "program.py"
    program.write_text(PROGRAM % tmp_path)
    done = subprocess.run(
        [interpreter, str(program)],
        cwd=ROOT,
        env={**micropython_environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=300,
    )
    assert done.stdout == b"alive\n"
    assert done.stderr.count(b"error   here: nobody reads this\n") == 3
