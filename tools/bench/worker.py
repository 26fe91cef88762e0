"""A program that measures, as a process of its own, of one checkout of the project: it takes each
line of its input for one round, and answers with a line of JSON."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.bench.wrong import WrongWork

ROOT = Path(__file__).resolve().parents[2]


def runtimes() -> list[tuple[str, str]]:
    """(name, program) of both."""
    micropython = Path(sys.prefix) / "bin" / "micropython"
    if not micropython.exists():
        why = "not there; ./tools/test fetches it"
        raise FileNotFoundError(errno.ENOENT, why, str(micropython))
    return [("cpython", sys.executable), ("micropython", str(micropython))]


def in_turns(
    program: str, script: Path, arguments: list[str], trees: list[Path], repeat: int
) -> list[list[dict[str, Any]]]:
    """For each tree what the script told, round by round. In a round each has its turn."""
    workers = [Worker(program, script, arguments, tree) for tree in trees]
    try:
        rounds = [[worker.round() for worker in workers] for _ in range(repeat)]
    finally:
        for worker in workers:
            worker.close()
    return [[each[place] for each in rounds] for place in range(len(trees))]


class Worker:
    def __init__(self, program: str, script: Path, arguments: list[str], tree: Path) -> None:
        paths = [str(tree), str(tree / "hal" / "micropython" / "lib"), ".frozen"]
        environment = dict(os.environ, PYTHONPATH=str(tree), MICROPYPATH=":".join(paths))
        self._name = script.stem
        self._process = subprocess.Popen(
            [program, str(script), *arguments],
            cwd=tree,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def round(self) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it says why
        line = self._process.stdout.readline()
        if not line:
            assert self._process.stderr is not None
            raise WrongWork("%s: %s" % (self._name, self._process.stderr.read()[-2000:]))
        told: dict[str, Any] = json.loads(line)
        return told

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._process.wait()
