"""`python -m tools.mutants.measure FOLDER TEST_FILE...`: run these tests once under coverage.py and
keep which test runs which line in FOLDER. Run from the root of a copy of the tree.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

from tools.mutants.limit import OPTIONS, Limits
from tools.mutants.touched import Touched

GAVE_UP = 3  # exit status: a test does not let itself be stopped
LIMIT = 60  # seconds for one test; the slow ones are not asked anyway
MEASURED = ("gateway", "hal", "tools/hes")


class Measuring:
    """A pytest plugin: tells coverage.py whose lines it sees, and who passed in which time."""

    def __init__(self, measurement: coverage.Coverage) -> None:
        self.measurement = measurement
        self.seconds: dict[str, float] = {}
        self.unhappy: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Soaks are not fast, and faults are noticed in this process only."""
        items[:] = [
            item
            for item in items
            if not item.get_closest_marker("long") and "micropython" not in item.name
        ]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.measurement.switch_context(item.nodeid)
        start = time.monotonic()
        done = yield
        self.seconds[item.nodeid] = time.monotonic() - start
        self.measurement.switch_context("")
        return done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self.unhappy.add(report.nodeid)


def main() -> None:
    root = Path.cwd()
    touched = Touched(root, Path(sys.argv[1]))
    files = sys.argv[2:]
    measurement = coverage.Coverage(
        data_file=None,
        config_file=False,
        include=["%s/%s/*" % (root, folder) for folder in MEASURED],
    )
    measuring = Measuring(measurement)
    measurement.start()
    limits = Limits(lambda _: LIMIT, lambda _: os._exit(GAVE_UP))
    status = pytest.main([*OPTIONS, *files], plugins=[measuring, limits])
    measurement.stop()
    data = measurement.get_data()
    lines: dict[str, dict[str, int]] = {name: {} for name in measuring.seconds}
    imported: dict[str, int] = {}
    sources = {}
    for path in data.measured_files():
        file = str(Path(path).relative_to(root))
        sources[file] = Path(path).read_text()
        for line, names in data.contexts_by_lineno(path).items():
            for name in names:
                if not name:
                    imported[file] = imported.get(file, 0) | 1 << line
                elif name in lines:
                    lines[name][file] = lines[name].get(file, 0) | 1 << line
    if status not in (0, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED):
        sys.exit(int(status))  # such as a file that cannot be imported: nothing has run
    for test_file in files:
        tests: list[dict[str, object]] = [
            {
                "name": name,
                "seconds": round(seconds, 3),
                "passed": name not in measuring.unhappy,
                "lines": {file: "%x" % bits for file, bits in lines[name].items()},
            }
            for name, seconds in measuring.seconds.items()
            if name.split("::")[0] == test_file
        ]
        at_import = {file: "%x" % bits for file, bits in imported.items()}
        touched.save(test_file, tests, at_import, sources)


if __name__ == "__main__":
    main()
