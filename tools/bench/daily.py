"""`ami-bench daily`: a night of the daily work of a whole street, by the real gateway in simulated
time."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tools.bench import daily_show, mass_channel
from tools.bench.daily_night import night

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

LOSS, HIGH_LOSS, SILENT = 0.02, 0.1, 0.05
NIGHT, BAD_NIGHT, ASKED = "night", "bad", "asked"
PARTS = {  # loss, share of silent meters, readings on demand
    NIGHT: (LOSS, 0.0, False),
    BAD_NIGHT: (HIGH_LOSS, SILENT, False),
    ASKED: (LOSS, 0.0, True),
}


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "daily",
        help="a night of daily readings of a whole street",
        description="The real gateway with its default tasks against an emulated PRIME base node"
        " and virtual meters in simulated time: closure, 96 rows of 4 registers, event logs. Same"
        " seed, same figures; all formulas are printed.",
    )
    command.add_argument("--meters", type=int, default=200, help="default %(default)s")
    command.add_argument("--seed", type=int, default=mass_channel.SEED, help="default %(default)s")
    command.add_argument(
        "--only", choices=list(PARTS), action="append", help="this row (several times: these)"
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    meters, seed = options.meters, options.seed
    console = Console(width=None if Console().is_terminal else 170)
    daily_show.notes(console)
    rows: dict[str, dict[str, Any]] = {}
    for part in options.only or PARTS:
        loss, silent, asked = PARTS[part]
        rows[part] = night(meters, loss, silent, asked, seed).record()
    daily_show.nights(console, rows)
    if options.json:
        report = {"meters": meters, "seed": seed, "nights": rows}
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0
