"""`ami-bench mass`: images and configurations for a whole district by the real gateway, in
simulated time, against what an omniscient sender would take."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from hal.sim.channel import Channel
from tools.bench import (
    mass_channel,
    mass_configure,
    mass_growth,
    mass_micropython,
    mass_model,
    mass_plots,
    mass_show,
    mass_sizes,
)
from tools.bench.mass_growth import LOSS
from tools.bench.mass_transfer import FIRMWARE, Transfer, image, transfer

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

PARTS = ("transfer", "configure", "urgent", "growth", "micropython")
QUICK = ("transfer", "configure", "urgent")
URGENT_AFTER = 0.4  # of the transfer's time


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "mass",
        help="an image and a configuration for a whole district, against an omniscient sender",
        description="The real gateway, drivers and codecs against an emulated PRIME base node and"
        " virtual meters in simulated time. Same seed, same figures; all formulas are printed.",
    )
    command.add_argument("--meters", type=int, default=1000, help="default %(default)s")
    command.add_argument("--size", type=int, default=128, metavar="KIB", help="of the image")
    command.add_argument("--seed", type=int, default=mass_channel.SEED, help="default %(default)s")
    command.add_argument("--quick", action="store_true", help="60 meters, 8 KiB")
    command.add_argument(
        "--only", choices=PARTS, action="append", help="this part (several times: these)"
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    command.add_argument("--plots", type=Path, metavar="FOLDER", help="draw pictures there")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    meters, size = (60, 8192) if options.quick else (options.meters, options.size * 1024)
    parts = options.only or (QUICK if options.quick else PARTS)
    seed, plots = options.seed, options.plots
    if plots is not None:
        mass_plots.check()
    console = Console(width=None if Console().is_terminal else 130)
    sizes = mass_sizes.measure(image(size), FIRMWARE.encode(), seed)
    mass_show.notes(console, sizes)
    report: dict[str, Any] = {"meters": meters, "size": size, "seed": seed, "sizes": vars(sizes)}
    found: dict[float, Transfer] = {}
    if "transfer" in parts or "urgent" in parts:
        losses = list(mass_show.AIMS) if "transfer" in parts else [LOSS]
        found = {loss: transfer(meters, size, loss, seed) for loss in losses}
        rows = [_compared(loss, one, sizes, seed) for loss, one in found.items()]
        report["transfer"] = rows
        mass_show.transfers(console, rows)
        if plots is not None:
            loss = losses[len(losses) // 2]
            mass_plots.timeline(found[loss], loss, plots)
    if "urgent" in parts:
        report["urgent"] = _urgency(found[LOSS], size, seed)
        mass_show.urgency(console, report["urgent"])
    if "configure" in parts:
        report["configure"] = _configurations(meters, seed)
        mass_show.configurations(console, report["configure"])
    if "growth" in parts:
        counts = [count for count in mass_growth.METERS if count <= 2 * meters]
        report["growth"] = [
            mass_growth.grown(count, size, seed, found.get(LOSS) if count == meters else None)
            for count in counts
        ]
        mass_show.growth(console, report["growth"])
        if plots is not None:
            mass_plots.growth(report["growth"], plots)
    if "micropython" in parts:
        report["micropython"] = mass_micropython.measure(seed=seed)
        mass_show.micropython(console, report["micropython"])
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def _compared(loss: float, one: Transfer, sizes: mass_sizes.Sizes, seed: int) -> dict[str, Any]:
    nodes = mass_channel.addresses(one.meters)

    def channel() -> Channel:
        return mass_channel.channel(loss, seed)

    oracle = mass_model.oracle(channel(), nodes, one.blocks, loss, sizes)
    unicast_ms = mass_model.one_by_one(channel(), nodes, one.blocks, sizes)
    return {
        "loss": loss,
        **one.record(),
        "oracle": {**vars(oracle), "total_ms": oracle.total_ms},
        "unicast_ms": unicast_ms,
        "ratio": one.took / oracle.total_ms,
    }


def _configurations(meters: int, seed: int) -> list[dict[str, Any]]:
    rows = []
    for settings, write_ms in (
        (mass_configure.DEFAULTS, 0),
        (mass_configure.DEFAULTS, mass_configure.WRITE_MS),
        (mass_configure.ONE_BY_ONE, mass_configure.WRITE_MS),
    ):
        found = mass_configure.configure(meters, settings, write_ms, seed=seed).record()
        rows.append({"write_ms": write_ms, **found})
    return rows


def _urgency(without: Transfer, size: int, seed: int) -> dict[str, Any]:
    after_s = without.took * URGENT_AFTER / 1000
    found = transfer(without.meters, size, LOSS, seed, after_s)
    return {**found.record(), "lost": found.took / without.took - 1}
