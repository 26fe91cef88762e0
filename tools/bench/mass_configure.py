"""A configuration of 2 KiB for all meters of a district, by the real gateway."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from gateway.contract.package import Action, Check, Package, Set
from gateway.dlms.data import axdr, obis
from tools.bench import mass_channel
from tools.bench.mass_channel import SEED
from tools.bench.mass_watch import Town
from tools.bench.wrong import WrongWork
from tools.emulator.air import Time
from tools.meter.data import Data
from tools.meter.kinds import Typed
from tools.meter.server import MeterServer
from tools.simulation import run

BYTES = 2048  # of A-XDR, in
PARAMETERS = ["0.128.96.0.%d.255" % number for number in range(32)]  # the maker's own
LOSS = 0.02
WRITE_MS = 500  # a slow meter takes for each attribute
DEFAULTS: dict[str, Any] = {}  # of the gateway
ONE_BY_ONE: dict[str, Any] = {
    "modems": [{"driver": "prime-usi", "url": "tcp://plc:1", "meters_at_once": 1}],
    "workers": 1,
}
FORMULA = (
    "least = sum over the meters of hops x sum over the frames of a configuration of"
    " t(n) / (1 - p); the frames are those that one meter gets and gives without losses:"
    " association, what is read before, written, read back, release"
)


@dataclass
class Configured:
    """Times in ms: `took` from the gateway's first frame to the last meter's result, `busy` that
    the medium was occupied meanwhile, `least` as FORMULA says."""

    meters: int
    at_once: int
    took: int
    busy: int
    least: int
    wall_s: float

    def record(self) -> dict[str, Any]:
        return dict(vars(self))


class SlowWriter:
    """A meter that takes its time for each attribute written, and answers nothing before."""

    def __init__(self, server: MeterServer, write_ms: int, clock: Time) -> None:
        self._server = server
        self._write_ms = write_ms
        self._clock = clock
        self._writes = 0
        self._ready_ms = 0

    @property
    def delay_ms(self) -> int:
        return max(0, self._ready_ms - self._clock.ticks_ms())

    def handle(self, client_sap: int, server_sap: int, apdu: bytes) -> bytes | None:
        answer = self._server.handle(client_sap, server_sap, apdu)
        counts = self._server.meter.log.counts
        writes = sum(times for (what, *_), times in counts.items() if what == "set")
        if writes > self._writes:
            self._ready_ms = self._clock.ticks_ms() + (writes - self._writes) * self._write_ms
            self._writes = writes
        return answer

    def unasked(self) -> list[bytes]:
        return []


def package() -> Package:
    """Each of the PARAMETERS gets a new value."""
    rows = [(1, obis.parse(name), 2, axdr.encode(_value(0x55))) for name in PARAMETERS]
    steps: list[Set | Action] = [Set(*row) for row in rows]
    checks = [Check(*row) for row in rows]
    return Package("bench", "1", "", [("AMI-E450", [])], steps, checks)


def _value(content: int) -> Typed:
    return (axdr.OCTET_STRING, bytes((content,)) * (BYTES // len(PARAMETERS) - 2))


def configure(
    meters: int, settings: dict[str, Any], write_ms: int = 0, loss: float = LOSS, seed: int = SEED
) -> Configured:
    """WrongWork when not every meter has it in the end."""
    began = time.process_time()
    found, _ = run(_play(meters, settings, write_ms, loss, seed))
    _, frames = run(_play(1, settings, 0, 0.0, seed))
    channel = mass_channel.channel(loss, seed)
    hops = sum(channel.hops(node) for node in mass_channel.addresses(meters))
    found.least = round(hops * sum(channel.hop_ms(size) for size in frames) / (1 - loss))
    found.wall_s = time.process_time() - began
    return found


async def _play(
    meters: int, settings: dict[str, Any], write_ms: int, loss: float, seed: int
) -> tuple[Configured, list[int]]:
    """And how large the frames were."""
    async with Town(meters, loss, seed, settings) as town:
        for member in town.members.values():
            meter = member.server.meter
            meter.add(*[Data(meter, name, _value(0), writable=True) for name in PARAMETERS])
        if write_ms:
            _slow(town, write_ms)
        await town.settle()
        busy = town.plc.air.busy_ms
        job = town.configure(package())
        await town.finished(job)
        outcomes = Counter((row.outcome, row.reason) for row in town.meters_of(job))
        written = sum(
            member.server.meter.read(1, name, 2) == _value(0x55)
            for member in town.members.values()
            for name in PARAMETERS
        )
        if outcomes != {("OK", "applied"): meters} or written != meters * len(PARAMETERS):
            raise WrongWork("the configuration ended with %s" % outcomes)
        frames = town.watch.frames
        took = max(at for at, _ in town.watch.done) - frames[0][0]
        found = Configured(meters, town.at_once, took, town.plc.air.busy_ms - busy, 0, 0.0)
        return found, [size for _, _, size in frames]


def _slow(town: Town, write_ms: int) -> None:
    for node in town.plc.nodes:
        assert isinstance(node.meter, MeterServer)
        node.meter = SlowWriter(node.meter, write_ms, town.clock)
