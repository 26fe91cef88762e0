"""`ami-bench uplink`: what it costs that nobody on the line can read, forge or repeat a message."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from gateway.contract import envelope
from gateway.contract.edhoc.frames import framed_1, framed_3
from gateway.contract.sealed import Sealer
from tools.bench import uplink_ours
from tools.bench.contract import HELD
from tools.bench.worker import ROOT, Worker, in_turns, runtimes

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

OURS = Path(__file__).with_name("uplink_ours.py")
HEAP = Path(__file__).with_name("uplink_heap.py")
SIGNED = ("Cancel", "Job", "KeyChange", "Model", "Pause", "SignedTime", "TrustChange")
INSIDE = ("ImageFile", "Package", "envelope")  # of chunks, or no message
MORE_LIMIT = 60  # octets of a message
SESSION_LIMIT_MS = 2000  # of each side, on the unix port of MicroPython
USUAL_NUMBER = 1000  # of a message within its session
SIDES = {"concentrator": ("message_1", "message_3"), "HES": ("message_2", "finished")}


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "uplink",
        help="sealed messages and the handshake of a session: octets and processor time",
        description="Octets of every golden message, plain and sealed, and of a handshake; and what"
        " handshake, sealing and opening cost on both runtimes. With --against another checkout of"
        " the project measures that in turns with this one, and the ratios are medians over the"
        " rounds.",
    )
    command.add_argument(
        "--against", type=Path, metavar="FOLDER", help="compare with another checkout"
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    command.add_argument("--repeat", type=int, default=11, metavar="N", help="rounds (default 11)")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    trees = [ROOT] + ([options.against.resolve()] if options.against else [])
    console = Console()
    report: dict[str, Any] = {"messages": messages(), "session": session()}
    console.print(_table_of_messages(report["messages"]))
    console.print(_table_of_session(report["session"]))
    for runtime, program in runtimes():
        rounds = in_turns(program, OURS, [], trees, max(1, options.repeat))
        report[runtime] = rows(rounds)
        console.print(_table_of_times(runtime, report[runtime], len(trees) > 1))
    report["heap"] = heap(dict(runtimes())["micropython"])
    slowest = max(row["us"] for row in report["micropython"] if row["step"] in SIDES) / 1000
    console.print(
        "A session on MicroPython takes a side %.0f ms, of %d allowed."
        % (slowest, SESSION_LIMIT_MS)
    )
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def messages() -> list[dict[str, Any]]:
    """By class: the octets of its shortest and longest golden message as it is published, and how
    many more it has when it is sealed, or (State) signed."""
    found: dict[str, list[bytes]] = {}
    for case in json.loads(HELD.read_text()):
        if case["class"] not in INSIDE:
            found.setdefault(case["class"], []).append(bytes.fromhex(case["hex"]))
    rows = []
    for name, octets in sorted(found.items()):
        plain = [_signed(raw) for raw in octets] if name in SIGNED else octets
        closed = [_signed(raw) if name == "State" else sealed(raw) for raw in plain]
        more = [len(after) - len(before) for before, after in zip(plain, closed, strict=True)]
        rows.append(
            {
                "class": name,
                "how": "signed" if name == "State" else "sealed",
                "shortest": min(map(len, plain)),
                "longest": max(map(len, plain)),
                "more": max(more),
            }
        )
    return rows


def sealed(plain: bytes, number: int = USUAL_NUMBER) -> bytes:
    sealer = Sealer(uplink_ours.crypto(), bytes(16), bytes(12), uplink_ours.C_R)
    sealer.number = number - 1
    return sealer.seal(uplink_ours.TOPIC, plain)


def _signed(payload: bytes) -> bytes:
    return envelope.sign(payload, bytes(8), lambda structure: bytes(64))


def session() -> dict[str, int]:
    """Octets of each message of a handshake, with its framing."""
    shake = uplink_ours.Handshake()
    return {
        "message_1, up": len(framed_1(shake.message_1)),
        "message_2, down": len(shake.message_2),
        "message_3, up": len(framed_3(uplink_ours.C_R, shake.message_3)),
    }


def heap(micropython: str) -> dict[str, int]:
    """What a secured line holds there besides what a plain one does."""
    worker = Worker(micropython, HEAP, [], ROOT)
    try:
        return worker.round()
    finally:
        worker.close()


def rows(trees: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """By step, and by side for the whole handshake: microseconds here, and how many times as fast
    as the other tree."""
    told = [[dict(each["steps"]) for each in tree] for tree in trees]
    steps = {step: (step,) for step in told[0][0]}
    found = []
    for name, parts in {**steps, **SIDES}.items():
        figures = [[sum(each[part] for part in parts) for each in tree] for tree in told]
        row: dict[str, Any] = {"step": name, "us": median(figures[0])}
        if len(trees) > 1:
            pairs = zip(figures[1], figures[0], strict=True)
            row["ratio"] = median([other / here for other, here in pairs])
        found.append(row)
    return found


def _table_of_messages(found: list[dict[str, Any]]) -> Table:
    table = Table(title="octets of a message (limit: %d more when sealed)" % MORE_LIMIT)
    for column in ("message", "shortest", "longest", "more", ""):
        table.add_column(column, justify="left" if column in ("message", "") else "right")
    for row in found:
        cells = [str(row[key]) for key in ("class", "shortest", "longest", "more", "how")]
        table.add_row(*cells)
    return table


def _table_of_session(found: dict[str, int]) -> Table:
    table = Table(title="octets of a handshake, once a connection")
    table.add_column("message")
    table.add_column("octets", justify="right")
    for name, octets in {**found, "all": sum(found.values())}.items():
        table.add_row(name, str(octets))
    return table


def _table_of_times(runtime: str, found: list[dict[str, Any]], compared: bool) -> Table:
    table = Table(title="%s, microseconds" % runtime)
    table.add_column("step", no_wrap=True)
    table.add_column("us", justify="right")
    if compared:
        table.add_column("times as fast", justify="right")
    for row in found:
        name = row["step"] + (", whole handshake" if row["step"] in SIDES else "")
        cells = [name, "%.0f" % row["us"]]
        if compared:
            cells.append("%.2f" % row["ratio"])
        table.add_row(*cells)
    return table
