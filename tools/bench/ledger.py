"""`ami-bench ledger`: durable appends a second against SQLite, recovery, RAM per queued execution.

SQLite (WAL, synchronous=FULL) is the yardstick, on the same file system and in turns with ours, so
that what else the machine does meets both. One append is a record of the size of an execution's
result; a group shares one commit.

"bare" is what the medium gives at all: the same bytes, written over a file that has its blocks
already, and fdatasync(2), without records or sums. Nobody who waits for every commit can be faster,
and "bound" is how many times as fast as SQLite that would be. SQLite's log goes over its old blocks
too, so where one sync is most of a commit (group 1) both stand near the bound.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.audit import Audit
from gateway.contract.job import Job, State
from gateway.contract.kinds import READ
from gateway.contract.result import OK, Result
from gateway.jobs.ledger import Ledger
from gateway.journal import Journal
from hal.cpython.clock import SystemClock
from hal.cpython.storage import FolderStorage
from hal.ports import Clock, Storage
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tools.bench.rounds import Speed, ratio
from tools.bench.wrong import WrongWork

RECORD = 80  # bytes, about what FINISHED has
GROUPS = (1, 10, 100)
ROUND_S = 0.1
JOBS, METERS = 50, 2000  # of the recovery: 100,000 executions
NOW = 1_700_000_000
ROOT = Path(__file__).parents[2]


class Limits:
    jobs = 1024
    ledger_bytes = 1 << 28
    free_bytes = 0


def add_command(commands: Any) -> None:
    command: argparse.ArgumentParser = commands.add_parser(
        "ledger",
        help="durable appends against SQLite, recovery, RAM per execution",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--folder", type=Path, help="where to write; default: a temporary one")
    command.add_argument("--rounds", type=int, default=20, help="of each; default 20")
    command.add_argument("--micropython", metavar="FILE", help="measure its RAM too")
    command.add_argument("--json", metavar="FILE", help="write the figures for machines, too")
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="ami-bench-", dir=options.folder) as folder:
        figures["appends"] = _appends(Path(folder), options.rounds)
        figures["recovery"] = _recovery(Path(folder))
    figures["ram"] = {"cpython": ram_cpython()}
    if options.micropython:
        figures["ram"]["micropython"] = ram_micropython(options.micropython)
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=2) + "\n")
    return 0


# ------------------------------------------------------------ appends


def _appends(folder: Path, rounds: int) -> list[dict[str, Any]]:
    print("durable appends a second (median of %d rounds, in turns)" % rounds)
    print("%8s %10s %10s %10s %8s %8s" % ("group", "ours", "SQLite", "bare", "times", "bound"))
    found = []
    for group in GROUPS:
        ours = _journal(folder / ("journal-%d" % group), group)
        sqlite = _sqlite(folder / ("yardstick-%d.sqlite" % group), group)
        bare = _bare(folder / ("bare-%d" % group), group)
        speeds: tuple[list[float], list[float], list[float]] = ([], [], [])
        for _ in range(rounds):
            for commit, into in zip((ours, sqlite, bare), speeds, strict=True):
                into.append(_round(commit, group))
        mine, theirs, medium = Speed(speeds[0]), Speed(speeds[1]), Speed(speeds[2])
        times, bound = ratio(mine, [theirs]), ratio(medium, [theirs])
        print(
            "%8d %10.0f %10.0f %10.0f %8.2f %8.2f"
            % (group, mine.median, theirs.median, medium.median, times, bound)
        )
        found.append(
            {
                "group": group,
                "ours": mine.record(),
                "sqlite": theirs.record(),
                "bare": medium.record(),
                "ratio": times,
                "bound": bound,
            }
        )
    return found


def _round(commit: Callable[[], None], group: int) -> float:
    """Appends a second, by the clock on the wall: it is the medium that is waited for."""
    begin = time.perf_counter()
    count = 0
    while (took := time.perf_counter() - begin) < ROUND_S:
        commit()
        count += group
    return count / took


def _journal(folder: Path, group: int) -> Callable[[], None]:
    journal = Journal(FolderStorage(str(folder)), "ledger", 1 << 20)
    journal.recover(lambda position, payload: None)
    payload = os.urandom(RECORD)

    def commit() -> None:
        for _ in range(group):
            journal.append(payload)
        journal.commit()
        if journal.full():  # as a checkpoint does
            journal.roll()
            journal.drop_before(journal.newest() - 1)

    return commit


def _sqlite(path: Path, group: int) -> Callable[[], None]:
    db = sqlite3.connect(path, isolation_level=None)
    if db.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
        raise WrongWork("SQLite: expected journal_mode wal")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE records (id INTEGER PRIMARY KEY, payload BLOB NOT NULL)")
    payload = os.urandom(RECORD)

    def commit() -> None:
        db.execute("BEGIN")
        for _ in range(group):
            db.execute("INSERT INTO records (payload) VALUES (?)", (payload,))
        db.execute("COMMIT")

    return commit


def _bare(path: Path, group: int) -> Callable[[], None]:
    size = 1 << 20
    data = os.urandom(group * RECORD)
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(file, bytes(size))
    os.fsync(file)
    at = 0

    def commit() -> None:
        nonlocal at
        if at + len(data) > size:
            at = 0
        os.pwrite(file, data, at)
        os.fdatasync(file)
        at += len(data)

    return commit


# ------------------------------------------------------------ recovery


def _recovery(folder: Path) -> dict[str, Any]:
    """Of a ledger of 100,000 executions, a half of them done, a half of those acknowledged."""
    storage = FolderStorage(str(folder / "recovery"))
    ledger = _ledger(storage, SystemClock())
    for number in range(JOBS):
        job = _job(number, METERS)
        ledger.accept(job, job.encode())
        with ledger.batch():
            for index in range(0, METERS, 2):
                ledger.started(number + 1, index)
                done = Result(OK, "applied")
                serial = job.serials[index]
                ledger.note("done", [job.id, serial, 1, done.outcome, done.reason, "plc"])
                ledger.finished(number + 1, index, State.SUCCEEDED, done, "plc", 1500)
        if number < JOBS // 2:
            ledger.acknowledge(ledger.last_number)
    size = ledger.size()
    begin, work = time.perf_counter(), time.process_time()
    again = _ledger(storage, SystemClock())
    took, work = time.perf_counter() - begin, time.process_time() - work
    count = sum(entry.count(State.SUCCEEDED) for entry in again.jobs())
    if count != JOBS * METERS // 2:
        raise WrongWork("recovery: expected %d done, found %d" % (JOBS * METERS // 2, count))
    print(
        "recovery of %d executions (%.1f MB, %d reports waiting): %.2f s, %.2f s of them at work"
        % (JOBS * METERS, size / 1e6, again.last_number - again.acknowledged, took, work)
    )
    return {"executions": JOBS * METERS, "bytes": size, "seconds": took, "cpu_seconds": work}


def _ledger(storage: Storage, clock: Clock) -> Ledger:
    return Ledger(storage, clock, os.urandom, Limits(), Audit(storage, clock, 1 << 20))


def _job(number: int, meters: int) -> Job:
    serials = ["AMI%02d%08d" % (number, i) for i in range(meters)]
    objects = [(8, b"\x00\x00\x01\x00\x00\xff", 2)]
    id = number.to_bytes(16, "big")
    return Job(id, READ, "ct-1", NOW, 5, 0, 0, 3, 30, serials, None, objects)


# ------------------------------------------------------------ RAM


def ram_cpython() -> float:
    """Bytes a queued execution takes, its serial and its place in the job included."""
    tracemalloc.start()
    ledger = _ledger(MemoryStorage(), ManualClock(NOW))
    raw = [_job(number, METERS).encode() for number in range(4)]
    before = tracemalloc.get_traced_memory()[0]
    storage = sum(len(each) for each in raw)  # what MemoryStorage keeps of them
    for each in raw:
        ledger.accept(Job.decode(each), each)
    grown = tracemalloc.get_traced_memory()[0] - before - storage
    tracemalloc.stop()
    each_bytes = grown / (4 * METERS)
    print("RAM for a queued execution: %.0f bytes on CPython" % each_bytes)
    return each_bytes


_MICROPYTHON = """
import gc, sys, os
from gateway.audit import Audit
from gateway.contract.job import Job
from gateway.contract.kinds import READ
from gateway.jobs.ledger import Ledger
from hal.sim.clock import ManualClock
from hal.micropython.storage import FolderStorage
class Limits:
    jobs = 1024
    ledger_bytes = 1 << 28
    free_bytes = 0
def job(number):
    serials = ["AMI%02d%08d" % (number, i) for i in range(1000)]
    return Job(number.to_bytes(16, "big"), READ, "ct-1", 1700000000, 5, 0, 0, 3, 30, serials, None,
        [(8, b"\\x00\\x00\\x01\\x00\\x00\\xff", 2)])
storage, clock = FolderStorage(sys.argv[1]), ManualClock(1700000000)
ledger = Ledger(storage, clock, os.urandom, Limits(), Audit(storage, clock, 65536))
def accept(number):
    raw = job(number).encode()
    ledger.accept(Job.decode(raw), raw)
accept(0)
gc.collect()
before = gc.mem_alloc()
for number in range(1, 5):
    accept(number)
gc.collect()
print((gc.mem_alloc() - before) / 4000)
"""


def ram_micropython(binary: str) -> float:
    with tempfile.TemporaryDirectory(prefix="ami-bench-") as folder:
        script = Path(folder) / "ram.py"
        script.write_text("import sys\nsys.path.insert(0, '')\n" + _MICROPYTHON)
        done = subprocess.run(
            [binary, "-X", "heapsize=8m", str(script), folder + "/flash"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )
    if done.returncode:
        raise WrongWork("micropython: %s" % done.stderr.strip()[-300:])
    each = float(done.stdout)
    print("RAM for a queued execution: %.0f bytes on MicroPython" % each)
    return each


if __name__ == "__main__":
    sys.exit("run it as: ami-bench ledger")
