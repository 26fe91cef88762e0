"""`ami-bench heap`: how much of MicroPython's heap the gateway takes once it runs."""

from __future__ import annotations

import argparse
import errno
import json
import os
import pty
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tools.bench.wrong import WrongWork

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

ROOT = Path(__file__).resolve().parents[2]
OURS = Path(__file__).with_name("heap_ours.py")  # for MicroPython only
HEAP = "8m"
LIMIT_S = 120
ONE_MODEM = "one PRIME modem"
EVERYTHING = "every driver, local access"


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "heap",
        help="the gateway's heap on MicroPython after its start, by what its settings use",
        description="Starts the gateway on the unix port of MicroPython, with lines at which nobody"
        " answers, and asks after a second and a collection how much of the heap is in use. The"
        " modules' bytecode is in it, which a board has in its flash if it is frozen.",
    )
    command.add_argument(
        "--against", type=Path, metavar="FOLDER", help="the same of another checkout beside it"
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    trees = {"here": ROOT}
    if options.against:
        trees = {str(options.against): options.against.resolve(), **trees}
    report = [
        {"settings": name, "firmware": label, **measure(modems, local, tree)}
        for name, modems, local in configurations()
        for label, tree in trees.items()
    ]
    Console().print(_table(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def configurations() -> list[tuple[str, list[dict[str, Any]], bool]]:
    """(What they are called, the settings' modems, whether there is local access)."""
    prime = {"driver": "prime-usi"}
    others = [{"driver": name} for name in ("dlms-o-tcp", "meters-and-more", "imst", "amber")]
    ip = [{"driver": "ip"}, {"driver": "udp", "kind": "plc"}]
    return [(ONE_MODEM, [prime], False), (EVERYTHING, [prime, *others, *ip], True)]


def measure(modems: list[dict[str, Any]], local: bool, tree: Path = ROOT) -> dict[str, Any]:
    """As heap_ours tells it, of the firmware in the folder `tree`. WrongWork when it does not
    start."""
    micropython = Path(sys.prefix) / "bin" / "micropython"
    if not micropython.exists():
        why = "not there; ./tools/test fetches it"
        raise FileNotFoundError(errno.ENOENT, why, str(micropython))
    with tempfile.TemporaryDirectory() as folder:
        near, far = pty.openpty()
        try:
            line = "serial:%s?baud=115200" % os.ttyname(far)
            path = Path(folder) / "gateway.json"
            path.write_text(json.dumps(_settings(modems, line if local else "", line)))
            command = [str(micropython), "-X", "heapsize=" + HEAP, str(OURS)]
            environment = {"MICROPYPATH": "%s:%s/hal/micropython/lib:.frozen" % (tree, tree)}
            for _ in range(2):  # at the first start there is more to do: keys are made
                ran = subprocess.run(
                    [*command, str(path), folder + "/data"],
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=LIMIT_S,
                    env={**os.environ, **environment},
                )
        finally:
            os.close(near)
            os.close(far)
    if ran.returncode:
        raise WrongWork("the gateway did not start: %s" % ran.stderr[-2000:])
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return told


def _settings(modems: list[dict[str, Any]], local: str, line: str) -> dict[str, Any]:
    """`line`: of each modem that takes one; `local`: of local access, "" without it."""
    without = ("ip", "udp")
    found: dict[str, Any] = {
        "concentrator": "bench",
        "system_title": "414d490000000001",
        "uplink": {"host": "127.0.0.1", "port": 1},
        "signers": [{"kid": "01", "key": "02" * 64}],
        "plain": True,
        "modems": [one if one["driver"] in without else {**one, "url": line} for one in modems],
    }
    if local:
        found["local"] = {"url": local}
    return found


def _table(report: list[dict[str, Any]]) -> Table:
    table = Table(title="heap of the gateway on MicroPython, kB")
    table.add_column("settings", no_wrap=True)
    table.add_column("firmware")
    for head in ("its code", "running", "modules"):
        table.add_column(head, justify="right")
    for row in report:
        kilobytes = ["%.1f" % (row[name] / 1000) for name in ("code", "live")]
        table.add_row(row["settings"], row["firmware"], *kilobytes, "%d" % len(row["modules"]))
    return table
