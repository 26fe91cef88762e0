"""`python -m tools.simulation`: long runs of the gateway in simulated time."""

from __future__ import annotations

import argparse
import json
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gateway.version import VERSION
from tools.cosem.source import Problem
from tools.meter.scenario import read_scenario
from tools.simulation.loop import run
from tools.simulation.soak import Soak, soak

SCENARIOS = Path(__file__).parent / "scenarios"


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0: all is as it must be; 1: it is not; 2: the command is not."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        return status
    except (OSError, ValueError, Problem) as error:
        print("simulation: %s" % error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.simulation", description=__doc__)
    parser.add_argument("--version", action="version", version="%(prog)s " + VERSION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "soak", help="a full concentrator for weeks", description="A full concentrator for weeks."
    )
    command.add_argument("--days", type=int, default=30, help="default %(default)s")
    command.add_argument("--meters", type=int, help="instead of the scenario's")
    command.add_argument("--seed", type=int, default=1, help="default %(default)s")
    command.add_argument(
        "--scenario",
        type=Path,
        default=SCENARIOS / "month.yaml",
        metavar="FILE",
        help="default: month.yaml of tools/simulation/scenarios",
    )
    command.add_argument(
        "--tracemalloc",
        action="store_true",
        help="measure what the gateway's code has allocated too; twice as slow",
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="the outcome for machines")
    command.set_defaults(run=_soak)
    return parser


def _soak(options: argparse.Namespace) -> int:
    scenario = read_scenario(options.scenario)
    if options.meters is not None:
        scenario = replace(scenario, meters=options.meters)
    if options.days < 1:
        raise ValueError("expected at least one day, got %d" % options.days)
    if options.tracemalloc:
        tracemalloc.start()
    console = Console(stderr=True)

    def say(text: str) -> None:
        console.print(text, highlight=False)

    outcome = run(soak(scenario, options.days, options.seed, say))
    show(outcome, Console() if sys.stdout.isatty() else Console(width=100))
    if options.json is not None:
        options.json.write_text(json.dumps(outcome.as_json(), indent=2) + "\n")
    return 1 if outcome.complaints else 0


def show(outcome: Soak, console: Console) -> None:
    table = Table(
        title="%d meters, %d days, seed %d" % (outcome.meters, outcome.days, outcome.seed),
        title_justify="left",
    )
    table.add_column("job")
    table.add_column("outcome")
    table.add_column("over, or why not")
    table.add_column("meters", justify="right")
    table.add_column("share", justify="right")
    kinds = sorted({kind for kind, _, _ in outcome.executions})
    for kind in kinds:
        rows = [(key, count) for key, count in outcome.executions.items() if key[0] == kind]
        total = sum(count for _, count in rows)
        for (_, what, detail), count in sorted(rows, key=lambda row: -row[1]):
            table.add_row(kind, what, detail, "%d" % count, "%.2f %%" % (100 * count / total))
        table.add_section()
    console.print(table)
    table = Table(title="Attempts by path", title_justify="left")
    for heading in ("path", "answered", "silent", "delivery", "medium busy"):
        table.add_column(heading, justify="left" if heading == "path" else "right")
    for kind in sorted(set(outcome.answered) | set(outcome.silent)):
        answered, silent = outcome.answered[kind], outcome.silent[kind]
        table.add_row(
            kind,
            "%d" % answered,
            "%d" % silent,
            "%.2f %%" % (100 * answered / (answered + silent)),
            "%.1f %%" % (100 * outcome.air_busy.get(kind, 0.0)),
        )
    console.print(table)
    for title, counts in (
        ("happened", outcome.happened),
        ("failovers", outcome.failovers),
        ("recoveries", outcome.recoveries),
        ("reported", outcome.events),
    ):
        text = ", ".join("%s %d" % (name, counts[name]) for name in sorted(counts)) or "none"
        console.print("%-11s %s" % (title + ":", text), highlight=False)
    console.print("%-11s %d meters answered again after silence" % ("back:", outcome.returned))
    first, last = outcome.held[min(2, len(outcome.held) - 1)], outcome.held[-1]
    console.print(
        "held:       day %d: %d own objects, %d tasks, %d files, %d KiB of flash, %d KiB of RAM\n"
        "            day %d: %d own objects, %d tasks, %d files, %d KiB of flash, %d KiB of RAM"
        % (*_held(first), *_held(last)),
        highlight=False,
    )
    console.print(
        "%.1f s, of the processor %.1f s, which is %.1f s a day; %d turns of the loop"
        % (outcome.wall_s, outcome.cpu_s, outcome.cpu_s / outcome.days, outcome.turns),
        highlight=False,
    )
    for reason in sorted(set(outcome.examples) - {"no-answer"}):
        for example in outcome.examples[reason]:
            console.print("%s: %s" % (reason, example), highlight=False, markup=False)
    for complaint in outcome.complaints:
        console.print(complaint, style="bold red", highlight=False, markup=False)


def _held(held: object) -> tuple[int, ...]:
    values = vars(held)
    return (
        values["day"] + 1,
        values["own"],
        values["tasks"],
        values["files"],
        values["flash"] // 1024,
        values["octets"] // 1024,
    )


if __name__ == "__main__":
    sys.exit(main())
