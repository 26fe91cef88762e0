"""Which fast tests run which line, kept in .cache/mutants between runs.

Every file of tests is run once under coverage.py, its measurement told which test is at work, and
is run again only when its text has changed. When a source file has changed since, its lines are
found again through the unchanged ones; what is new counts as run by every test of the file, and a
new file by the tests of the files that import it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

FOLDERS = ("tests/portable", "tests/unit", "tests/property", "tests/contract", "tests/interop")
SLOW = 10.0  # seconds; a slower test is not a fast one
LONGEST = 120.0  # seconds of tests for one fault: half of all tests may run its line


@dataclass
class Test:
    name: str  # pytest's node id
    seconds: float
    lines: dict[str, int]  # file -> a bit for each line it runs
    sources: dict[str, str]  # file -> digest of the text that was measured
    breadth: int = field(default=0)

    def __post_init__(self) -> None:
        self.breadth = sum(bits.bit_count() for bits in self.lines.values())


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]


def _particular_first(found: list[Test]) -> list[Test]:
    return sorted(found, key=lambda test: (test.breadth, test.seconds, test.name))


def _within_limit(found: list[Test]) -> list[Test]:
    seconds = 0.0
    taken: list[Test] = []
    for test in found:
        seconds += test.seconds
        if taken and seconds > LONGEST:
            break
        taken.append(test)
    return taken


def _is_of(place: Path, text: bytes) -> bool:
    measured = json.loads(place.read_text())
    return measured["digest"] == digest(text) and "imported" in measured


def test_files(root: Path) -> list[str]:
    found = [path for folder in FOLDERS for path in (root / folder).rglob("test_*.py")]
    return sorted(str(path.relative_to(root)) for path in found)


class Touched:
    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self.tests: list[Test] = []
        self.at_import: dict[str, dict[str, int]] = {}  # file -> text -> a bit for each line
        self.unusable: list[str] = []  # failed or were slow although nothing was planted
        self._old: dict[tuple[str, str], dict[int, int]] = {}
        (folder / "sources").mkdir(parents=True, exist_ok=True)

    def _place(self, test_file: str) -> Path:
        return self.folder / (test_file.replace("/", "~") + ".json")

    def stale(self) -> list[str]:
        """The test files that have to be run: new, or changed since."""
        wanted = []
        for name in test_files(self.root):
            place = self._place(name)
            text = (self.root / name).read_bytes()
            if not place.exists() or not _is_of(place, text):
                wanted.append(name)
        return wanted

    def load(self) -> None:
        for name in test_files(self.root):
            place = self._place(name)
            if not place.exists():
                continue
            measured = json.loads(place.read_text())
            for file, bits in measured["imported"].items():
                of_text = self.at_import.setdefault(file, {})
                text = measured["sources"][file]
                of_text[text] = of_text.get(text, 0) | int(bits, 16)
            for test in measured["tests"]:
                if not test["passed"] or test["seconds"] > SLOW:
                    self.unusable.append(test["name"])
                    continue
                lines = {file: int(bits, 16) for file, bits in test["lines"].items()}
                self.tests.append(Test(test["name"], test["seconds"], lines, measured["sources"]))

    def by(self, file: str, first: int, last: int, at_import: bool) -> list[Test]:
        """The tests that run one of these lines of the file as it is now, the most particular
        first, and no more than LONGEST allows. What runs at import counts as run by every test that
        runs a line of the module, or of a module that imports it: constants are read there.
        A function that was called at import, and by no test, makes one.
        """
        of_file = [test for test in self.tests if test.lines.get(file)]
        found = []
        if not at_import:
            found = [
                test
                for test in of_file
                if test.lines[file] & self._bits(file, first, last, test.sources[file])
            ]
        if not of_file or at_import or (not found and self._imported(file, first, last)):
            known = {test.name for test in of_file}
            found = of_file + [t for t in self._of_importers(file) if t.name not in known]
        return _within_limit(_particular_first(found))

    def _imported(self, file: str, first: int, last: int) -> bool:
        return any(
            bits & self._bits(file, first, last, text)
            for text, bits in self.at_import.get(file, {}).items()
        )

    def _of_importers(self, file: str) -> list[Test]:
        module = file.removesuffix("/__init__.py").removesuffix(".py").replace("/", ".")
        package, _, name = module.rpartition(".")
        words = (
            "import %s" % module,
            "from %s import" % module,
            "from %s import %s" % (package, name),
        )
        files = {file for test in self.tests for file in test.lines}
        importers = []
        for each in files:
            path = self.root / each
            if path.exists() and any(word in path.read_text() for word in words):
                importers.append(each)
        return [test for test in self.tests if any(test.lines.get(each) for each in importers)]

    def _bits(self, file: str, first: int, last: int, measured: str) -> int:
        """A bit for each line of the measured text that stands for `first` to `last` of now; all
        bits if one of them is new."""
        places = self._old_lines(file, measured)
        bits = 0
        for line in range(first, last + 1):
            if line not in places:
                return -1
            bits |= 1 << places[line]
        return bits

    def _old_lines(self, file: str, measured: str) -> dict[int, int]:
        if (file, measured) not in self._old:
            now = (self.root / file).read_bytes()
            count = len(now.splitlines())
            if digest(now) == measured:
                places = {line: line for line in range(1, count + 1)}
            else:
                kept = self.folder / "sources" / measured
                before = kept.read_text().splitlines() if kept.exists() else []
                match = difflib.SequenceMatcher(None, before, now.decode().splitlines(), False)
                places = {
                    new + i + 1: old + i + 1
                    for old, new, size in match.get_matching_blocks()
                    for i in range(size)
                }
            self._old[file, measured] = places
        return self._old[file, measured]

    def save(
        self,
        test_file: str,
        tests: list[dict[str, object]],
        imported: dict[str, str],
        sources: dict[str, str],
    ) -> None:
        """What a run under coverage has measured; `imported`: what ran outside all tests; `sources`
        are the texts it ran."""
        digests = {}
        for file, text in sources.items():
            digests[file] = digest(text.encode())
            (self.folder / "sources" / digests[file]).write_text(text)
        now = digest((self.root / test_file).read_bytes())
        content = {"digest": now, "sources": digests, "imported": imported, "tests": tests}
        self._place(test_file).write_text(json.dumps(content))
