"""Which faults are planted: so many in each room, at random, but the same for the same seed."""

from __future__ import annotations

import random
import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tools.mutants.plant import Fault, faults

# Room -> the share of faults that has to be noticed.
WINGS = {"gateway": 0.95, "hal": 0.95, "tools/hes": 0.90}
HERE = Path(__file__).parent
CHANGED = re.compile(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", re.MULTILINE)


@dataclass(frozen=True)
class Equivalent:
    """A fault that changes nothing anyone could notice, found by reading."""

    file: str
    function: str
    change: str
    reason: str

    def names(self, fault: Fault) -> bool:
        found = (fault.file, fault.function, fault.change())
        return found == (self.file, self.function, self.change)


def room_of(file: str) -> str:
    """The folder that a reader would call the room: gateway/jobs, hal/modem, tools/hes."""
    if file.startswith("tools/hes/"):
        return "tools/hes"
    return "/".join(file.split("/")[:-1][:2])


def goal_of(room: str) -> float:
    return next(goal for wing, goal in WINGS.items() if room.startswith(wing))


def source_files(root: Path) -> list[str]:
    """All of gateway and tools/hes, and of hal what CPython runs."""
    found = [path for wing in WINGS for path in (root / wing).rglob("*.py")]
    names = [str(path.relative_to(root)) for path in found]
    return sorted(name for name in names if not name.startswith("hal/micropython/"))


def changed_lines(root: Path, revision: str, file: str) -> set[int]:
    """The lines of the file that are new or other than in `revision`."""
    shown = subprocess.run(
        ["git", "diff", "-U0", "--no-color", revision, "--", file],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    lines: set[int] = set()
    for first, count in CHANGED.findall(shown.stdout):
        lines.update(range(int(first), int(first) + int(count or 1)))
    return lines


def equivalents() -> list[Equivalent]:
    listed = tomllib.loads((HERE / "equivalent.toml").read_text())
    return [Equivalent(**each) for each in listed.get("equivalent", [])]


def possible(root: Path, prefix: str, since: str | None) -> tuple[list[Fault], list[Equivalent]]:
    """Every fault that may be chosen, and the equivalents that name none in the files looked at."""
    known = equivalents()
    found: list[Fault] = []
    stale: list[Equivalent] = []
    for file in source_files(root):
        if not (file.startswith(prefix.rstrip("/") + "/") or file == prefix or not prefix):
            continue
        here = [each for each in known if each.file == file]
        all_faults = faults(file, (root / file).read_bytes())
        stale += [each for each in here if not any(each.names(fault) for fault in all_faults)]
        wanted = [f for f in all_faults if not any(each.names(f) for each in here)]
        if since is not None:
            lines = changed_lines(root, since, file)
            wanted = [f for f in wanted if not lines.isdisjoint(range(f.first, f.last + 1))]
        found += wanted
    return found, stale


def choose(possible: list[Fault], count: int, seed: int) -> list[Fault]:
    """`count` faults, as evenly over the rooms as they have statements to plant them in, each
    statement at most once.
    """
    chance = random.Random(seed)
    rooms: dict[str, dict[tuple[str, int], list[Fault]]] = {}
    for fault in possible:
        statements = rooms.setdefault(room_of(fault.file), {})
        statements.setdefault((fault.file, fault.first), []).append(fault)
    piles = []
    for room in sorted(rooms):
        pile = [chance.choice(faults) for faults in rooms[room].values()]
        chance.shuffle(pile)
        piles.append(pile)
    chosen: list[Fault] = []
    while len(chosen) < count and any(piles):
        chosen += [pile.pop() for pile in piles if pile][: count - len(chosen)]
    return chosen
