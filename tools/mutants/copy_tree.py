"""A copy of the tree to plant faults in: the checkout itself is never touched."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


def tracked(root: Path) -> list[str]:
    """What git knows or would take up, as it lies in the checkout now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if name and (root / name).is_file()]


def refresh(root: Path, copy: Path) -> None:
    """Make `copy` hold exactly the tracked files of `root`; what is the same stays as it is, with
    its compiled form.
    """
    wanted = set(tracked(root))
    for path in list(copy.rglob("*")):
        name = path.relative_to(copy)
        if name.parts[0] == ".venv" or "__pycache__" in name.parts:
            continue
        if path.is_file() and str(name) not in wanted:
            path.unlink()
    for each in sorted(wanted):
        source, target = root / each, copy / each
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    environment = copy / ".venv"
    if (root / ".venv").exists() and not environment.exists():
        environment.symlink_to((root / ".venv").resolve())


def environment(copy: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(copy),
        "MICROPYPATH": "%s:%s/hal/micropython/lib:.frozen" % (copy, copy),
        "COVERAGE_CORE": "ctrace",
    }
