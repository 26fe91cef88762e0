"""`python -m tools.mutants.server`, from the root of a copy: runs tests as a line of JSON on its
standard input tells, and answers each line with one.

It has pytest and the libraries loaded already and forks for every run, which saves the second or
two that they take; the code under test is imported in the child only.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tools.mutants.limit import OPTIONS, Limits, limited

HEAVY = (
    "aiomqtt",
    "alembic",
    "amqtt",
    "cbor2",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "cryptography.x509",
    "cwt",
    "dlms_cosem",
    "gurux_dlms",
    "hypothesis",
    "rich.table",
    "ruamel.yaml",
    "serial",
    "sqlalchemy",
)
MEMORY = 4 << 30  # octets of address space for one run
IMPORTING = 120.0  # seconds for the import of the tests
NOTICED, SURVIVED, TIMED_OUT = "noticed", "survived", "timed out"


class Ordered:
    """A pytest plugin: runs the tests asked for, in that order; says which one failed first."""

    def __init__(self, limits: dict[str, float], answer: int) -> None:
        self.limits = limits
        self.answer = answer  # where the verdict goes
        self.ran = 0
        self.failed: str | None = None
        self.timed_out = False

    def end(self) -> None:
        """Say the verdict and leave the process, whatever is still at work in it."""
        verdict = SURVIVED if self.failed is None else NOTICED
        verdict = TIMED_OUT if self.timed_out else verdict
        said = {"verdict": verdict, "test": self.failed, "ran": self.ran}
        os.write(self.answer, json.dumps(said).encode())
        os._exit(0)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        place = {name: i for i, name in enumerate(self.limits)}
        items[:] = sorted(
            (item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid]
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Iterator[None]:
        with limited(IMPORTING, lambda: self.give_up("(importing)")):
            return (yield)

    def give_up(self, name: str) -> None:
        self.failed, self.timed_out = name, True
        self.end()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ran += report.when == "call"
        if report.failed and self.failed is None:
            self.failed = report.nodeid
            self.timed_out = "TimeIsOver" in report.longreprtext

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid


def child(limits: dict[str, float], answer: int) -> None:
    """Run in the forked process, and never return."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    plugin = Ordered(limits, answer)
    files = list(dict.fromkeys(name.split("::")[0] for name in limits))
    each = Limits(limits.__getitem__, plugin.give_up)
    status = pytest.main(["-x", *OPTIONS, *files], plugins=[plugin, each])
    if status != pytest.ExitCode.OK and plugin.failed is None:
        plugin.failed = "(pytest ends with status %d)" % status
    plugin.end()


def run(limits: dict[str, float]) -> dict[str, Any]:
    """Verdict, the test that noticed, how many ran."""
    ours, theirs = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(ours)
        child(limits, theirs)
    os.close(theirs)
    # A test that hangs where its own limit cannot reach it.
    end = time.monotonic() + 60 + sum(limits.values())
    while os.waitpid(process, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            break
        time.sleep(0.02)
    try:
        os.killpg(process, signal.SIGKILL)  # what its tests have started and left behind
    except ProcessLookupError:
        pass
    os.set_blocking(ours, False)
    try:
        said = os.read(ours, 65536)
    except BlockingIOError:
        said = b""
    os.close(ours)
    if said:
        answer: dict[str, Any] = json.loads(said)
        return answer
    gone = TIMED_OUT if time.monotonic() > end else NOTICED
    return {"verdict": gone, "test": "(the run ends without a verdict)", "ran": 0}


def main() -> None:
    for name in HEAVY:
        try:
            importlib.import_module(name)
        except ImportError:
            pass  # the run that needs it says so
    # What the tests leave behind when their process is ended.
    with tempfile.TemporaryDirectory(prefix="ami-mutants-") as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        for line in sys.stdin:
            print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
