"""`./tools/demo` and `./tools/test` find a Python under any of its names, or say what to type."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

STARTS = ("demo", "test")
# Stands for an interpreter: of the version of this one, and tells what it was asked to run.
TOLD = '#!/bin/sh\n[ "$1" = -c ] && exec %s "$@"\necho "$0 root=$PYTHONPATH" "$@"\n'
OLD = "#!/bin/sh\nexit 1\n"


def started(name: str, pythons: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """`name` with nothing on the PATH but these."""
    for python, script in pythons.items():
        (folder / python).write_text(script)
        (folder / python).chmod(0o755)
    return subprocess.run(
        [str(ROOT / "tools" / name), "--seed", "two words"],
        cwd=folder,
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize("python", ["python3", "python3.11", "python3.13", "python"])
def test_any_name_of_a_python(tmp_path: Path, name: str, python: str) -> None:
    done = started(name, {python: TOLD % sys.executable}, tmp_path)
    shown = "root=%s -B -P -m tools.bootstrap %s --seed two words\n" % (ROOT, name)
    assert done.stdout.endswith("/%s %s" % (python, shown)), done.stdout + done.stderr
    assert done.returncode == 0 and done.stderr == ""


def test_an_old_one_is_passed_over(tmp_path: Path) -> None:
    done = started("demo", {"python3": OLD, "python3.12": TOLD % sys.executable}, tmp_path)
    assert "/python3.12 root=" in done.stdout


@pytest.mark.parametrize("name", STARTS)
def test_none(tmp_path: Path, name: str) -> None:
    done = started(name, {"python3": OLD}, tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: Python 3.11 or later is needed")
    assert line.endswith("apt-get install python3 python3-venv")
