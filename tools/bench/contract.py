"""`ami-bench contract`: how fast messages are made and understood, on both runtimes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tools.bench.worker import ROOT, in_turns, runtimes

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

OURS = Path(__file__).with_name("contract_ours.py")
HELD = ROOT / "tests" / "data" / "golden" / "messages.json"
WAYS = ("decode", "encode")


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "contract",
        help="messages between HES and concentrator, into octets and back",
        description="Decodes and encodes every golden message, by class. With --against another"
        " checkout of the project does the same in turns with this one, round by round, and the"
        " ratios are medians over the rounds.",
    )
    command.add_argument(
        "--against", type=Path, metavar="FOLDER", help="compare with another checkout"
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    command.add_argument("--repeat", type=int, default=21, metavar="N", help="rounds (default 21)")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    trees = [ROOT] + ([options.against.resolve()] if options.against else [])
    console, report = Console(), {}
    for runtime, program in runtimes():
        rounds = in_turns(program, OURS, [str(HELD)], trees, max(1, options.repeat))
        report[runtime] = rows(rounds)
        console.print(_table(runtime, report[runtime], len(trees) > 1))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def rows(trees: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """By class: microseconds for all of it here, and how many times as fast as the other tree."""
    ours = trees[0]
    found = []
    for name in [*ours[0], "all"]:
        row: dict[str, Any] = {"class": name}
        for place, way in enumerate(WAYS):
            figures = [[_us(each, name, place) for each in tree] for tree in trees]
            row[way + "_us"] = median(figures[0])
            if len(trees) > 1:
                pairs = zip(figures[1], figures[0], strict=True)
                row[way + "_ratio"] = median([other / here for other, here in pairs])
        found.append(row)
    return found


def _us(told: dict[str, Any], name: str, place: int) -> float:
    if name == "all":
        return float(sum(each[place] for each in told.values()))
    return float(told[name][place])


def _table(runtime: str, found: list[dict[str, Any]], compared: bool) -> Table:
    table = Table(title="%s, microseconds for all golden messages of a class" % runtime)
    table.add_column("class", no_wrap=True)
    for way in WAYS:
        table.add_column(way, justify="right")
        if compared:
            table.add_column("times as fast", justify="right")
    for row in found:
        cells = [row["class"]]
        for way in WAYS:
            cells.append("%.1f" % row[way + "_us"])
            if compared:
                cells.append("%.2f" % row[way + "_ratio"])
        table.add_row(*cells)
    return table
