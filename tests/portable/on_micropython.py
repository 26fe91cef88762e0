"""`python -m tests.portable.on_micropython`: every topic in a MicroPython of its own.

A board carries one firmware, not every room's tests at once: each topic has to fit MicroPython's
default heap by itself. As many run side by side as there are cores.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.conftest import ROOT, find_micropython, micropython_environment

COUNTS = re.compile(rb"(\d+) passed, (\d+) failed\n$")
LIMIT = 300  # seconds for one topic
FOLDER = ROOT / "tests/portable"


def run(topic: str) -> tuple[int, int, str]:
    """(passed, failed, what it printed); a topic that dies is one failure."""
    interpreter = find_micropython()
    assert interpreter, "no micropython: run ./tools/test once, it fetches it"
    done = subprocess.run(
        [interpreter, "tests/portable/run.py", topic],
        cwd=ROOT,
        env=micropython_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LIMIT,
        check=False,
    )
    text = done.stdout.decode(errors="replace")
    found = COUNTS.search(done.stdout)
    if found is None or (done.returncode == 0) != (found[2] == b"0"):
        return 0, 1, text
    return int(found[1]), int(found[2]), text


def main() -> int:
    topics = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.glob("*/test_*.py"))
    passed = failed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for topic, (right, wrong, text) in zip(topics, pool.map(run, topics), strict=True):
            print(text if wrong else "%s: %d passed" % (topic, right), flush=True)
            passed += right
            failed += wrong
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
