"""`ami-bench modem`: what the modem drivers cost, on both runtimes."""

from __future__ import annotations

import argparse
import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tools.bench import channel, modem_ours
from tools.bench.wrong import WrongWork

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "modem",
        help="modem drivers: exchanges and frames a second, share of a core on a full channel",
        description="Each driver alone: a request of 100 bytes out, its confirm and an echo in. "
        "The share is that of one core here, were the driver's channel full of such exchanges at "
        "its highest rate. Then the whole meter side of a gateway, DLMS and ciphering included, "
        "reading meters over an emulated PRIME base node whose channel it fills.",
    )
    command.add_argument(
        "--seconds",
        type=int,
        default=15,
        metavar="S",
        help="of the reading over a full channel (default 15; 0: leave it out)",
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    command.add_argument("--repeat", type=int, default=51, metavar="N", help="rounds (default 51)")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    rounds = max(1, options.repeat)
    reports = [modem_ours.main(rounds), _on_micropython(rounds)]
    console = Console()
    show(reports, console)
    if options.seconds > 0:
        filled = channel.measure(options.seconds)
        reports.append({"runtime": reports[0]["runtime"], "channel": filled})
        console.print(
            "A PRIME channel of %d kbit/s, occupied %.0f %% of the time:"
            " %.0f frames/s, %.0f reads/s, %.1f %% of a core (aim: below 5 %%)"
            % (
                channel.BIT_RATE // 1000,
                filled["full"],
                filled["frames"],
                filled["reads"],
                filled["share"],
            )
        )
    if options.json:
        options.json.write_text(json.dumps(reports, indent=2) + "\n")
    return 0


def show(reports: list[dict[str, Any]], console: Console) -> None:
    for report in reports:
        table = Table(title=str(report["runtime"]))
        table.add_column("driver", no_wrap=True)
        for head in ("exchanges/s", "frames/s", "bytes each", "kbit/s", "share of a core"):
            table.add_column(head, justify="right")
        for row in report["rows"]:
            speed = row["exchanges"]["median"]
            table.add_row(
                row["driver"],
                "%d" % speed,
                "%d" % (speed * row["frames"]),
                "%d" % row["octets"],
                "%.1f" % (row["bit_rate"] / 1000),
                "%.2f %%" % row["share"],
            )
        console.print(table)


def _on_micropython(rounds: int) -> dict[str, Any]:
    path = Path(sys.prefix) / "bin" / "micropython"
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, "not there; ./tools/test fetches it", str(path))
    command = [str(path), "-m", modem_ours.__name__, str(rounds)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise WrongWork("MicroPython: %s" % (ran.stderr + ran.stdout)[-2000:])
    report: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return report
