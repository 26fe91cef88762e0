"""`ami-bench readings`: how many octets a row of a load profile takes on the flash and on the line,
how fast rows become octets and back, and what a store of readings holds of MicroPython's heap."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from gateway.contract import block
from gateway.contract.limits import READINGS_SIZE
from gateway.contract.messages import Readings
from gateway.dlms.data import axdr
from gateway.readings.recorder import Recorder
from gateway.readings.store import Store
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tools.bench.readings_rows import MIDNIGHT, Profile, profiles
from tools.bench.worker import ROOT, in_turns, runtimes
from tools.bench.wrong import WrongWork

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

OURS = Path(__file__).with_name("readings_ours.py")
SEALING = 36  # octets that a sealed message is longer (ami-bench uplink)
METERS, DAYS = 20, 7
HEAP = "16m"  # the flash is in it, too
OBIS = bytes((1, 0, 99, 1, 0, 255))
ENERGY = bytes((1, 0, 1, 8, 0, 255))


class Limits:
    readings_bytes = 1 << 26
    free_bytes = 0


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "readings",
        help="octets of a row on the flash and on the line, speed of the codec, heap",
        description="Rows of realistic and of random profiles, %d meters for %d days, a record of"
        " 96 rows for each: octets a row on the flash with all that stands around them, and in"
        " sealed messages, beside A-XDR and JSON; the speed on both runtimes; the heap of"
        " MicroPython with 300 meters." % (METERS, DAYS),
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    command.add_argument("--repeat", type=int, default=11, metavar="N", help="rounds (default 11)")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    console = Console()
    report: dict[str, Any] = {"octets": [octets(profile) for profile in profiles()]}
    console.print(_octets_table(report["octets"]))
    report["us"] = speed(max(1, options.repeat))
    console.print(_speed_table(report["us"]))
    report["heap"] = heap()
    told = (
        "MicroPython's heap: modules %(modules)d octets, an empty store %(empty)d, with 300 meters"
    )
    told += " of 4 series and %(octets)d octets on the flash %(full)d; opened in %(open_ms)d ms"
    console.print(told % report["heap"])
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def octets(profile: Profile, meters: int = METERS, days: int = DAYS) -> dict[str, Any]:
    """Octets a row, each way."""
    store = Store(MemoryStorage(), ManualClock(MIDNIGHT), _random, Limits, _silent)
    count = plain = xdr = text = 0
    for day in range(days):
        for meter in range(meters):
            rows = profile.rows(meter, day)
            _record(store, "AMI%010d" % meter, profile, rows)
            count += len(rows)
            plain += len(block.encode(rows))
            xdr += sum([_axdr(profile, row) for row in rows])
            text += len(json.dumps(rows, separators=(",", ":")))
    return {
        "profile": profile.name,
        "block": plain / count,
        "flash": store.size() / count,
        "line": _line(store) / count,
        "axdr": xdr / count,
        "json": text / count,
    }


def _record(store: Store, serial: str, profile: Profile, rows: list[Any]) -> None:
    recorder = Recorder(store)
    columns = [(8, ENERGY, 2, 0, axdr.OCTET_STRING, None, None)]
    columns += [(3, ENERGY, 2, 0, tag, 0, 30) for tag in profile.tags]  # type: ignore[misc]
    layout = recorder.layout(serial, 7, OBIS, 900, columns)
    recorder.rows(layout, serial, "load-profile", rows[-1][0], rows)
    asyncio.run(recorder.commit())


def _line(store: Store) -> int:
    """Of all messages, sealed."""
    after, total = 0, 0
    while after < store.last_number:
        first = after + 1
        records, after = store.records(after, READINGS_SIZE)
        total += len(Readings(store.epoch, first, records).encode()) + SEALING
    return total


def _axdr(profile: Profile, row: list[Any]) -> int:
    """The row as the meter sends it, time as an octet string of 12."""
    typed = [(axdr.OCTET_STRING, bytes(12))]
    typed += [(tag, value) for tag, value in zip(profile.tags, row[1:-1], strict=True)]
    return len(axdr.encode((axdr.STRUCTURE, typed)))


def speed(repeat: int) -> dict[str, dict[str, list[float]]]:
    """By runtime and profile: microseconds a row, to encode and to decode."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        path.write_text(json.dumps([[one.name, one.rows(1, 1)] for one in profiles()]))
        for runtime, program in runtimes():
            (rounds,) = in_turns(program, OURS, [str(path)], [ROOT], repeat)
            found[runtime] = {
                name: [median([each[name][way] for each in rounds]) for way in (0, 1)]
                for name in rounds[0]
            }
    return found


def heap() -> dict[str, int]:
    program = dict(runtimes())["micropython"]
    ran = subprocess.run(
        [program, "-X", "heapsize=" + HEAP, str(OURS), "heap"],
        cwd=ROOT,
        env={"MICROPYPATH": "%s:%s/hal/micropython/lib:.frozen" % (ROOT, ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise WrongWork("no store on MicroPython: %s" % (ran.stderr or ran.stdout)[-2000:])
    told: dict[str, int] = json.loads(ran.stdout.splitlines()[-1])
    return told


def _random(count: int) -> bytes:
    return b"\x01" * count


def _silent(name: str, detail: str) -> None:
    pass


def _octets_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="octets a row")
    table.add_column("profile", no_wrap=True)
    for head in ("block", "flash", "line", "A-XDR", "JSON"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        figures = [row[name] for name in ("block", "flash", "line", "axdr", "json")]
        table.add_row(row["profile"], *["%.2f" % figure for figure in figures])
    return table


def _speed_table(found: dict[str, dict[str, list[float]]]) -> Table:
    table = Table(title="microseconds a row, encoded and decoded")
    table.add_column("profile", no_wrap=True)
    for runtime in found:
        table.add_column(runtime, justify="right")
    for name in found["cpython"]:
        table.add_row(name, *["%.1f / %.1f" % tuple(found[each][name]) for each in found])
    return table
