"""`ami-bench dlms`: our DLMS codecs against others in one process run."""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tools.bench import dlms_ours, dlms_work
from tools.bench.rounds import Speed, measure, ratio
from tools.bench.wrong import WrongWork

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

# package to import: (distribution with the version measured, our adapter)
PEERS = {
    "gurux_dlms": ("gurux-dlms==1.0.203", "tools.bench.peers.gurux"),
    "dlms_cosem": ("dlms-cosem==25.1.0", "tools.bench.peers.cosem"),
}
NOTES = [
    "gurux-dlms does not check the tag of what it deciphers; it prints two lines each time it does "
    "(thrown away here).",
    "dlms-cosem makes no glo-ciphered APDUs: the least envelope is put around its ciphertext here, "
    "and only ours checks that what is inside is what the label says and that its counter is new.",
    "dlms-cosem writes lengths above 127 wrong: the octet-string of the image block is put right "
    "here.",
]


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "dlms",
        help="DLMS codecs, against gurux-dlms and dlms-cosem",
        description="Our DLMS codecs against gurux-dlms and dlms-cosem where they are installed "
        "(they are test dependencies). Each does the same work, checked before it is timed.",
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    command.add_argument(
        "--repeat", type=_positive, default=101, metavar="N", help="rounds (default 101)"
    )
    command.add_argument(
        "--runtime",
        choices=["cpython", "micropython"],
        default="cpython",
        help="default cpython; micropython measures ours alone, for the peers do not run there",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    report = (compare if options.runtime == "cpython" else compare_micropython)(options.repeat)
    show(report, Console())
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def peers() -> tuple[list[ModuleType], list[str]]:
    """The adapters of what is installed, and a sentence for each that is not."""
    found, missing = [], []
    for package, (distribution, adapter) in PEERS.items():
        if importlib.util.find_spec(package):
            found.append(importlib.import_module(adapter))
        else:
            missing.append("%s is not installed (pip install %s)" % (package, distribution))
    return found, missing


def verify(implementation: ModuleType, row: dlms_work.Row) -> None:
    """WrongWork unless the implementation's first run of the row gives what is expected, and the
    second too: what can be done only once would be timed as something else."""
    run = implementation.make(row.key)
    for expected in (row.expected, row.again):
        with _silent():
            result = implementation.shown(row.key, run())
        if result != expected:
            raise WrongWork(
                "%s: %s gives %.200r, expected %.200r"
                % (row.key, implementation.NAME, result, expected)
            )


def compare(rounds: int) -> dict[str, Any]:
    """Every row, ours and every peer there is; as in --json."""
    others, missing = peers()
    implementations: list[ModuleType] = [dlms_ours, *others]
    rows = []
    for row in dlms_work.ROWS:
        for implementation in implementations:
            verify(implementation, row)
        with _silent():
            speeds = measure([each.make(row.key) for each in implementations], rounds)
        rows.append(_record(row, [each.NAME for each in implementations], speeds))
    return {"runtime": _runtime(), "rounds": rounds, "missing": missing, "rows": rows}


def compare_micropython(rounds: int) -> dict[str, Any]:
    """Ours alone under MicroPython."""
    command = [str(_micropython()), "-m", dlms_ours.__name__, str(rounds)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise WrongWork("MicroPython: %s" % (ran.stderr + ran.stdout)[-2000:])
    report = json.loads(ran.stdout.splitlines()[-1])
    rows = [
        {"key": row.key, "title": row.title, "note": row.note, "speeds": {dlms_ours.NAME: speed}}
        for row in dlms_work.ROWS
        for speed in [report["speeds"][row.key]]
    ]
    return {"runtime": report["runtime"], "rounds": rounds, "missing": [], "rows": rows}


def show(report: dict[str, Any], console: Console) -> None:
    names = list(report["rows"][0]["speeds"])
    table = Table(title="DLMS codecs, operations a second, %s" % report["runtime"])
    table.add_column("", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    if len(names) > 1:
        table.add_column("ratio", justify="right")
        table.add_column("aim", justify="right")
    for row in report["rows"]:
        cells = [row["title"], *["{:,.0f}".format(row["speeds"][name]["median"]) for name in names]]
        if len(names) > 1:
            met = row["ratio"] >= row["aim"]
            cells += [("%.1f" if met else "[red]%.1f[/]") % row["ratio"], "%d" % row["aim"]]
        table.add_row(*cells)
    console.print(table)
    console.print(
        "Medians of %d rounds, in turns; ratio: to the best peer, round by round."
        % report["rounds"]
    )
    for row in report["rows"]:
        console.print("  [b]%s[/]: %s." % (row["title"], row["note"]), highlight=False)
    for note in [*(NOTES if len(names) > 1 else []), *report["missing"]]:
        console.print("  " + note, highlight=False)


def _record(row: dlms_work.Row, names: list[str], speeds: list[Speed]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "key": row.key,
        "title": row.title,
        "note": row.note,
        "speeds": {name: speed.record() for name, speed in zip(names, speeds, strict=True)},
    }
    if len(speeds) > 1:
        record["aim"] = row.aim
        record["ratio"] = ratio(speeds[0], speeds[1:])
    return record


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _runtime() -> str:
    return "CPython %d.%d.%d" % sys.version_info[:3]


def _micropython() -> Path:
    path = Path(sys.prefix) / "bin" / "micropython"
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, "not there; ./tools/test fetches it", str(path))
    return path


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number
