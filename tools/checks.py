"""What `./tools/test` runs, in order, and the one table it ends with.

Any failure makes the exit status 1.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import sysconfig
import time

from tools.bootstrap import ROOT

STATIC = [
    ("lint", ["ruff", "check", "."]),
    ("format", ["ruff", "format", "--check", "."]),
    ("types", ["mypy"]),
    ("types, MicroPython", ["basedpyright", "--typeshedpath", sysconfig.get_path("purelib")]),
    ("import arrows", ["lint-imports"]),
]
# Many tests wait for processes and lines: three side by side keep two cores busy.
PYTEST = [
    "python",
    "-m",
    "pytest",
    "-n",
    "3",
    "--dist",
    "loadfile",
    "-rfEs",
    "--ignore=tests/attack",
]
# Its scenarios share what they attack, so they run one after the other.
ATTACK = ["python", "-m", "pytest", "-p", "no:xdist", "tests/attack"]
PORTABLE = ["python", "-m", "tests.portable.on_micropython"]
# What each says at its end.
COUNTED = re.compile(r"(\d+) (passed|kept|(?:source )?files)")
UNHAPPY = re.compile(r"\b[1-9]\d* (?:failed|errors?|skipped)")


class Step:
    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        print(f"── {name}: {' '.join(command)}", flush=True)
        start = time.monotonic()
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert process.stdout is not None
        last: list[str] = []
        for raw in process.stdout:
            line = raw.decode(errors="replace")
            sys.stdout.write(line)
            sys.stdout.flush()
            last = [*last[-4:], line]
        self.ok = process.wait() == 0
        self.seconds = time.monotonic() - start
        tail = "".join(last)
        number, what = (COUNTED.findall(tail) or [("0", "")])[-1]
        self.passed = int(number) if what == "passed" else 0
        self.count = f"{number} {what.split()[-1]}" if what else ""
        self.unhappy = ", ".join(UNHAPPY.findall(tail))

    def row(self) -> str:
        note = f"  ({self.unhappy})" if self.unhappy else ""
        verdict = "ok" if self.ok else "FAILED"
        return f"{self.name:<24}{verdict:<8}{self.count:>14}{self.seconds:>9.1f} s{note}"


def main() -> None:
    if any(argument.split("=")[0] == "--mutants" for argument in sys.argv[1:]):
        from tools.mutants.__main__ import main as plant_faults

        sys.exit(plant_faults(sys.argv[1:]))
    parser = argparse.ArgumentParser(prog="./tools/test", description=__doc__)
    parser.add_argument("--long", action="store_true", help="add the soaks and fault matrices")
    parser.add_argument(
        "--mutants", metavar="N", help="instead: plant N small faults, see which go unnoticed"
    )
    options = parser.parse_args()
    steps = [Step(name, command) for name, command in STATIC]
    long = [] if options.long else ["-m", "not long"]
    cpython = Step("tests, CPython", [*PYTEST, *long])
    micropython = Step("tests, MicroPython", PORTABLE)
    attack = Step("attacks, both runtimes", [*ATTACK, *long])
    tested = [cpython, micropython, attack]
    steps += tested
    # A suite that runs nothing is no success.
    good = all(step.ok for step in steps) and all(step.passed > 0 for step in tested)
    print("\n" + "\n".join(step.row() for step in steps))
    print(
        f"\nCPython {cpython.passed} tests, MicroPython {micropython.passed} tests,"
        f" {attack.passed} attacks"
    )
    failed = sum(not step.ok for step in steps)
    print(f"{sum(step.passed for step in tested)} passed, {failed} failed")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
