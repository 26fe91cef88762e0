"""`ami-hes clocks`: how far meters' clocks were off when they were met, and who is told to look."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.text import Text

from gateway.dlms.data import axdr
from tools.hes.cli import show
from tools.hes.cli.readings import add_range, between
from tools.hes.readings.quantities import is_clock_ahead
from tools.hes.store.records import ReadingValue
from tools.hes.store.store import Store

MOST_BAR = 40  # characters, of all meters
LIMITS = (10, 30, 900, 3600)  # seconds: those of gateway/contract/clock_policy.py, and shift_time's


@dataclass(frozen=True)
class Met:
    """A meter's clock at one visit: `ahead` of the concentrator's by so many seconds, as found and,
    where it was put right, as it was left.
    """

    concentrator: str
    serial: str
    time: int
    ahead: int
    left: int


def add_parser(commands: Any) -> None:
    clocks = commands.add_parser(
        "clocks",
        help="how far meters' clocks were off, and which were put right",
        description="How far meters' clocks were off when a task met them: one meter's history, or"
        " how those of a concentrator are spread, the worst first.",
    )
    clocks.add_argument("meter", nargs="?", metavar="METER", help="its history")
    clocks.add_argument("--concentrator", metavar="ID", help="only meters of this one")
    clocks.add_argument("--last", type=int, default=20, metavar="N", help="the worst; default: 20")
    clocks.add_argument("--json", action="store_true", help="for machines")
    add_range(clocks, "30d")
    clocks.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    """Exit status 1 where nothing is known."""
    store = Store(options.db).readings
    start, end = between(options, store.now())
    met = visits(store.values(options.concentrator, options.meter, start, end))
    if options.json:
        print(json.dumps([vars(each) for each in met], indent=2))
        return 0 if met else 1
    if not met:
        print("no clock was measured in this time; a task with --clock does it")
        return 1
    console = Console()
    if options.meter is None:
        latest = {(each.concentrator, each.serial): each for each in met}
        _distribution(list(latest.values()), console)
        met = sorted(latest.values(), key=lambda each: -abs(each.ahead))[: options.last]
    table = show.table("", "Meter", "Concentrator", "When", "Ahead", "Put right to")
    for each in met:
        left = seconds(each.left) if each.left != each.ahead else "-"
        cells = (each.serial, each.concentrator)
        table.add_row(
            *(Text(cell) for cell in cells), show.date(each.time), seconds(each.ahead), left
        )
    console.print(table)
    return 0


def visits(values: list[ReadingValue]) -> list[Met]:
    """By time. Values of one visit have one time."""
    found: dict[tuple[str, str, int], Met] = {}
    for each in values:
        if not is_clock_ahead(each.class_id, each.attribute):
            continue
        ahead = axdr.decode(each.data)[1]
        if type(ahead) is not int:
            continue
        key = (each.concentrator, each.serial, each.time)
        first = found[key].ahead if key in found else ahead
        found[key] = Met(*key, first, ahead)
    return sorted(found.values(), key=lambda each: each.time)


def seconds(ahead: int) -> str:
    return "%+d s" % ahead if ahead else "0 s"


def _distribution(latest: list[Met], console: Console) -> None:
    counts = [0] * (len(LIMITS) + 1)
    for each in latest:
        counts[sum(abs(each.ahead) >= limit for limit in LIMITS)] += 1
    names = ["below %d s" % LIMITS[0]]
    names += ["%d s to %d s" % pair for pair in pairwise(LIMITS)]
    names.append("%d s and more" % LIMITS[-1])
    table = show.table("Clocks of %d meters, as found last" % len(latest), "Off", "Meters", "")
    for name, count in zip(names, counts, strict=True):
        bar = "\u2588" * -(-count * MOST_BAR // len(latest))
        table.add_row(name, str(count), Text(bar, "green" if name == names[0] else "yellow"))
    console.print(table)
