"""Plants small faults, one at a time, in a copy of the tree, and says which ones no test notices.

Only the fast tests that run the line are asked. The exit status is 0 if every room is at its goal:
95 % in gateway and hal, 90 % in tools/hes.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import queue
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tools.bootstrap import CACHE, ROOT
from tools.mutants.choose import choose, possible, room_of
from tools.mutants.copy_tree import environment, refresh
from tools.mutants.plant import Fault
from tools.mutants.server import NOTICED, SURVIVED
from tools.mutants.table import Outcome, as_json, rows, survivor, table
from tools.mutants.touched import Test, Touched

FIRST = 24  # tests in the first run: most faults are noticed there, and few files are collected
CHUNK = 6  # test files measured by one process


class Copy:
    """One copy of the tree with a server that runs tests in it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.planted = 0
        self.server = subprocess.Popen(
            [sys.executable, "-m", "tools.mutants.server"],
            cwd=place,
            env=environment(place),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def try_out(self, fault: Fault, tests: list[Test]) -> Outcome:
        start = time.monotonic()
        path = self.place / fault.file
        source = path.read_bytes()
        times = path.stat()
        path.write_bytes(fault.planted(source))
        # Compiled forms are recognised by the second of the change and the size.
        self.planted += 1
        os.utime(path, (self.planted, self.planted))
        ran = 0
        answer: dict[str, Any] = {"verdict": SURVIVED, "test": None}
        try:
            for part in (tests[:FIRST], tests[FIRST:]):
                if part and answer["verdict"] == SURVIVED:
                    answer = self._ask({test.name: 10 + 10 * test.seconds for test in part})
                    ran += answer["ran"]
        finally:
            path.write_bytes(source)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        files = list(dict.fromkeys(test.name.split("::")[0] for test in tests))
        seconds = time.monotonic() - start
        return Outcome(fault, answer["verdict"], answer["test"], ran, files, seconds)

    def _ask(self, limits: dict[str, float]) -> dict[str, Any]:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(limits) + "\n")
        self.server.stdin.flush()
        answer: dict[str, Any] = json.loads(self.server.stdout.readline())
        return answer

    def close(self) -> None:
        assert self.server.stdin is not None
        self.server.stdin.close()
        self.server.wait()


class Progress:
    """A line for each fault as it is done, with the share noticed so far and the time left."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.done = 0
        self.noticed = 0
        self.start = time.monotonic()
        self.lock = threading.Lock()

    def tell(self, outcome: Outcome) -> None:
        with self.lock:
            self.done += 1
            self.noticed += outcome.verdict != SURVIVED
            left = (time.monotonic() - self.start) / self.done * (self.count - self.done)
            fault = outcome.fault
            print(
                "%4d/%d  %3d %% noticed, %3d min left  %-9s %5.1f s  %s:%d  %s"
                % (
                    self.done,
                    self.count,
                    100 * self.noticed // self.done,
                    left // 60,
                    outcome.verdict if outcome.verdict == NOTICED else outcome.verdict.upper(),
                    outcome.seconds,
                    fault.file,
                    fault.line,
                    fault.kind,
                ),
                flush=True,
            )


def measure(touched: Touched, copies: list[Path]) -> None:
    """Bring the map of lines to tests up to date."""
    stale = touched.stale()
    chunks = [stale[i : i + CHUNK] for i in range(0, len(stale), CHUNK)]
    if not chunks:
        return
    print("· measuring which test runs which line: %d files of tests" % len(stale), flush=True)
    waiting: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
    for chunk in chunks:
        waiting.put(chunk)
    done = 0

    def measured(place: Path) -> None:
        while True:
            try:
                one(place, waiting.get_nowait())
            except queue.Empty:
                return

    def one(place: Path, files: list[str]) -> None:
        nonlocal done
        command = [sys.executable, "-m", "tools.mutants.measure", str(touched.folder), *files]
        ended = subprocess.run(
            command, cwd=place, env=environment(place), capture_output=True, text=True, check=False
        )
        done = min(done + len(files), len(stale))
        if ended.returncode:
            print(ended.stdout[-2000:] + ended.stderr[-2000:], flush=True)
        if ended.returncode and len(files) > 1:  # one of them spoils it for the others
            for file in files:
                waiting.put([file])
        print("· %4d/%d  %s" % (done, len(stale), files[-1]), flush=True)

    with ThreadPoolExecutor(len(copies)) as pool:
        list(pool.map(measured, copies))


def try_all(faults: list[Fault], touched: Touched, places: list[Path]) -> list[Outcome]:
    waiting: queue.SimpleQueue[Fault] = queue.SimpleQueue()
    for fault in faults:
        waiting.put(fault)
    progress = Progress(len(faults))
    outcomes: list[Outcome] = []

    def work(place: Path) -> None:
        copy = Copy(place)
        try:
            while True:
                fault = waiting.get_nowait()
                tests = touched.by(fault.file, fault.first, fault.last, fault.at_import)
                outcomes.append(copy.try_out(fault, tests))
                progress.tell(outcomes[-1])
        except queue.Empty:
            return
        finally:
            copy.close()

    with ThreadPoolExecutor(len(places)) as pool:
        for each in [pool.submit(work, place) for place in places]:
            each.result()
    return outcomes


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./tools/test", description=__doc__)
    parser.add_argument("--mutants", type=int, metavar="N", required=True, help="how many faults")
    parser.add_argument("--since", metavar="REV", help="only in lines changed since this revision")
    parser.add_argument("--seed", type=int, default=1, help="which faults are chosen (default 1)")
    parser.add_argument("--room", default="", help="only below this folder or file: gateway/jobs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all of it here as well")
    cores = os.cpu_count() or 1
    parser.add_argument("-j", type=int, default=cores, metavar="COPIES", help="default: the cores")
    return parser.parse_args(given)


def since(revision: str | None) -> str:
    return " that has changed since %s" % revision if revision else ""


def main(given: list[str]) -> int:
    options = arguments(given)
    start = time.monotonic()
    base = CACHE / "mutants"
    base.mkdir(parents=True, exist_ok=True)
    lock = (base / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("error: another run is at work in %s; wait for it" % base)
    candidates, stale = possible(ROOT, options.room, options.since)
    for each in stale:
        print("· equivalent.toml names no fault any more: %s %s" % (each.file, each.change))
    chosen = choose(candidates, options.mutants, options.seed)
    if not chosen:
        where = "%s%s" % (options.room or "gateway, hal and tools/hes", since(options.since))
        sys.exit("error: nothing to plant in %s; name a folder or file of the three" % where)
    places = [base / ("copy-%d" % i) for i in range(max(1, options.j))]
    for place in places:
        place.mkdir(exist_ok=True)
        refresh(ROOT, place)
    touched = Touched(ROOT, base / "touched")
    measure(touched, places)
    touched.load()
    for name in touched.unusable:
        print("· not asked, it fails without a fault or is slow: %s" % name)
    rooms = len({room_of(fault.file) for fault in chosen})
    print("· %d faults in %d rooms, seed %d" % (len(chosen), rooms, options.seed), flush=True)
    outcomes = try_all(chosen, touched, places)
    lost = [outcome for outcome in outcomes if outcome.verdict == SURVIVED]
    print("\nNobody notices:" if lost else "\nEvery fault was noticed.")
    for outcome in sorted(lost, key=lambda each: (each.fault.file, each.fault.start)):
        print(survivor(outcome))
    minutes = (time.monotonic() - start) / 60
    print("\n" + table(outcomes))
    print("\nseed %d, %d faults, %.0f minutes" % (options.seed, len(outcomes), minutes))
    if options.json:
        about = {"seed": options.seed, "since": options.since, "minutes": round(minutes, 1)}
        options.json.write_text(json.dumps(as_json(outcomes, about), indent=1) + "\n")
    return 0 if all(row.good for row in rows(outcomes)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
