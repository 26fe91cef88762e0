"""One image to all meters of a district, by the real gateway."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tools.bench.mass_channel import BLOCK, SEED
from tools.bench.mass_cost import CpuShare, Memory
from tools.bench.mass_watch import PHASES, Town, Watch, phases
from tools.bench.wrong import WrongWork
from tools.meter.image import make_image
from tools.simulation import run

FIRMWARE = "V03.00.00"
SAMPLE_MS = 5000


def image(size: int) -> bytes:
    """Of exactly `size` bytes, that all meters take."""
    head = len(make_image("AMI-E450", FIRMWARE, b""))
    return make_image("AMI-E450", FIRMWARE, bytes(at * 7 % 256 for at in range(size - head)))


@dataclass
class Transfer:
    """Times in ms: `took` from the gateway's first frame to the last meter's result, `ordered` from
    the HES's order to the last result there, `busy` that the medium was occupied during `took`.
    cpu_s: of this process, simulated world and all; gateway_cpu_s:
    the gateway's share. samples: (time, busy so far, meters done), the time counted from the first
    frame; sends: (time, kind) of each block; spans: (phase, from, until)."""

    meters: int
    blocks: int
    took: int
    ordered: int
    busy: int
    cpu_s: float = 0.0
    gateway_cpu_s: float = 0.0
    phases: dict[str, int] = field(default_factory=dict)
    blocks_sent: dict[str, int] = field(default_factory=dict)
    samples: list[tuple[int, int, int]] = field(default_factory=list)
    sends: list[tuple[int, str]] = field(default_factory=list)
    spans: list[tuple[str, int, int]] = field(default_factory=list)
    urgent_starts: int = -1  # after its order
    urgent_ends: int = -1

    def record(self) -> dict[str, Any]:
        found = dict(vars(self))
        for name in ("samples", "sends", "spans"):
            del found[name]
        return found


def transfer(
    meters: int,
    size: int,
    loss: float,
    seed: int = SEED,
    urgent_after: float = 0.0,
    memory: Memory | None = None,
) -> Transfer:
    """`urgent_after`: a reading of one meter with priority is ordered after this many seconds of
    the transfer. `memory`: watches the gateway's. WrongWork when not every meter runs the image in
    the end."""
    with CpuShare() as cpu:
        found = run(_play(meters, size, loss, seed, urgent_after, memory))
    found.cpu_s, found.gateway_cpu_s = cpu.total_s, cpu.gateway_s
    return found


async def _play(
    meters: int, size: int, loss: float, seed: int, urgent_after: float, memory: Memory | None
) -> Transfer:
    async with Town(meters, loss, seed, memory=memory) as town:
        await town.settle()
        with town.watched() as watch:
            ordered = town.clock.ticks_ms()
            samples: list[tuple[int, int, int]] = []
            sampling = asyncio.create_task(_sample(town, samples))
            job = town.image(image(size), FIRMWARE, "ciphered")
            urgent = (-1, -1)
            if urgent_after:
                while not watch.frames:
                    await town.clock.sleep_ms(100)
                await asyncio.sleep(urgent_after)
                urgent = await _urgent(town)
            await town.finished(job, 7 * 86400)
            sampling.cancel()
            if memory is not None:
                memory.end()
            outcomes = Counter(row.outcome for row in town.meters_of(job))
        running = Counter(member.server.meter.firmware for member in town.members.values())
        if outcomes != {"OK": meters} or running != {FIRMWARE: meters}:
            raise WrongWork("the transfer ended with %s, the meters run %s" % (outcomes, running))
        return _measured(town, watch, samples, ordered, urgent, -(-size // BLOCK))


def _measured(
    town: Town,
    watch: Watch,
    samples: list[tuple[int, int, int]],
    ordered: int,
    urgent: tuple[int, int],
    blocks: int,
) -> Transfer:
    first, last = watch.frames[0][0], max(at for at, _ in watch.done)
    busy = town.plc.air.busy_ms - next(busy for at, busy, _ in samples if at >= ordered)
    found = Transfer(len(town.members), blocks, last - first, town.clock.ticks_ms() - ordered, busy)
    found.phases = dict.fromkeys(PHASES, 0)
    for name, since, until in phases(watch, last):
        found.phases[name] += until - since
        found.spans.append((name, since - first, until - first))
    found.blocks_sent = dict(watch.blocks())
    found.samples = [(at - first, busy, done) for at, busy, done in samples]
    found.sends = [(at - first, kind) for at, kind, size in watch.frames if size > BLOCK]
    found.urgent_starts, found.urgent_ends = urgent
    return found


async def _sample(town: Town, samples: list[tuple[int, int, int]]) -> None:
    while True:
        samples.append((town.clock.ticks_ms(), town.plc.air.busy_ms, len(town.watch.done)))
        await town.clock.sleep_ms(SAMPLE_MS)


async def _urgent(town: Town) -> tuple[int, int]:
    """How many ms after its order the reading of a meter begins, and its result is at the HES."""
    serial = next(iter(town.members))
    ordered = town.clock.ticks_ms()
    job = town.read("clock 0.0.1.0.0.255 time", [serial], priority=9)
    await town.finished(job)
    (row,) = town.meters_of(job)
    if row.outcome != "VALUE":
        raise WrongWork("the urgent reading ended with %s %s" % (row.outcome, row.reason))
    return town.watch.begun[job] - ordered, town.clock.ticks_ms() - ordered
