"""A district on the bench's channel that notes what goes over the air and when a meter is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from gateway.activities.image import image_object
from gateway.activities.image.fleet import Fleet
from gateway.work import many_meters
from tools.bench import mass_channel
from tools.bench.mass_cost import Memory
from tools.emulator import PrimeEmulator
from tools.emulator.prime_network import Node
from tools.meter.scenario import Scenario
from tools.meter.street import Street
from tools.simulation.district import District

BLOCK_BYTES = mass_channel.BLOCK  # a frame longer than this carries a block
TO_METER, OF_METER, TO_ALL = "request", "answer", "broadcast"


@dataclass
class Watch:
    """frames: (time in ms, kind, bytes), when handed to the air; methods: (time, method) of each
    broadcast; talks: (begin, end, frames with blocks) of conversations with one meter; done: when a
    meter had its result; begun: when a job's first attempt began; sizes: of frames, by node."""

    frames: list[tuple[int, str, int]] = field(default_factory=list)
    methods: list[tuple[int, int]] = field(default_factory=list)
    talks: list[tuple[int, int, int]] = field(default_factory=list)
    done: list[tuple[int, str]] = field(default_factory=list)
    begun: dict[bytes, int] = field(default_factory=dict)
    sizes: dict[str, list[int]] = field(default_factory=dict)

    def blocks(self) -> Counter[str]:
        return Counter(kind for _, kind, size in self.frames if size > BLOCK_BYTES)


class Base(PrimeEmulator):
    """A base node that notes the frames it is given. `watch` is set once it is made."""

    watch: Watch

    async def broadcast(self, client_sap: int, server_sap: int, apdu: bytes) -> None:
        self.watch.frames.append((self.air.now_ms(), TO_ALL, len(apdu)))
        await super().broadcast(client_sap, server_sap, apdu)

    async def arq(self, node: Node, size: int) -> tuple[bool, bool]:
        kind = TO_METER if node.sending else OF_METER
        self.watch.frames.append((self.air.now_ms(), kind, size))
        self.watch.sizes.setdefault(node.address, []).append(size)
        return await super().arq(node, size)


class Town(District):
    """`meters` healthy ones on the bench's channel, or `scene`. `memory` watches the gateway. Other
    arguments as District's."""

    def __init__(
        self,
        meters: int,
        loss: float,
        seed: int = mass_channel.SEED,
        settings: dict[str, Any] | None = None,
        meter_ms: int = mass_channel.THINK_MS,
        memory: Memory | None = None,
        scene: Scenario | None = None,
    ) -> None:
        scene = scene or mass_channel.scenario(meters, loss)
        super().__init__(scene, seed, settings=settings, baud=mass_channel.BAUD)
        self.watch = Watch()
        self._memory = memory
        members = list(self.members.values())
        make = mass_channel.modem(Base, meter_ms)
        self.street = Street(members, scene, seed, clock=self.clock, plc_modem=make)
        assert isinstance(self.street.plc, Base)
        self.plc = self.street.plc
        self.plc.watch = self.watch

    async def __aenter__(self) -> Town:
        await super().__aenter__()
        return self

    def boot(self) -> None:
        if self._memory is not None:
            self._memory.begin(self.clock.sleep_ms)
        super().boot()
        queue, watch, clock = self.gateway._queue, self.watch, self.clock
        finish = queue.finish

        async def noted(execution: Any, *more: Any) -> None:
            await finish(execution, *more)
            watch.done.append((clock.ticks_ms(), execution.serial))

        queue.finish = noted  # type: ignore[method-assign, assignment]
        begin = queue.begin

        async def begun(*more: Any) -> Any:
            execution = await begin(*more)
            if execution is not None:
                watch.begun.setdefault(execution.job.id, clock.ticks_ms())
            return execution

        queue.begin = begun  # type: ignore[method-assign, assignment]

    @property
    def at_once(self) -> int:
        """How many meters the gateway serves side by side."""
        return self._settings.modems[0].meters_at_once

    async def settle(self) -> None:
        """Until all nodes are registered."""
        while self.network.statistics()[0][1]["nodes"] < len(self.members):
            await self.clock.sleep_ms(1000)

    @contextmanager
    def watched(self) -> Iterator[Watch]:
        """What campaigns say is noted, too."""
        watch, clock = self.watch, self.clock

        class Watched(Fleet):
            async def broadcast(self, method: int, data: bytes) -> None:
                watch.methods.append((clock.ticks_ms(), method))
                await super().broadcast(method, data)

            async def talk(self, *what: Any) -> Any:
                began, frames = clock.ticks_ms(), len(watch.frames)
                try:
                    return await super().talk(*what)
                finally:
                    sent = watch.frames[frames:]
                    blocks = sum(kind == TO_METER and size > BLOCK_BYTES for _, kind, size in sent)
                    watch.talks.append((began, clock.ticks_ms(), blocks))

        with mock.patch.object(many_meters, "Fleet", Watched):
            yield watch


PHASES = (
    "survey",
    "initiate",
    "rounds",
    "sentinels",
    "verify",
    "check",
    "repair",
    "activate",
    "confirm",
    "stragglers",
)


def phases(watch: Watch, ends: int) -> list[tuple[str, int, int]]:
    """(name, from, until) in ms: what a campaign was at, by what it broadcasts and whom it speaks
    to. What is brought to one meter after the last other meter has been asked is for stragglers."""
    happened = [(begins, "bring" if blocks else "ask", 0) for begins, _, blocks in watch.talks]
    happened += [(at, "", method) for at, method in watch.methods]
    found = [("survey", watch.frames[0][0], ends)]
    for at, talk, method in sorted(happened):
        now, since, _ = found[-1]
        after = _after_talk(now, talk) if talk else _after_broadcast(now, method)
        if after != now:
            found[-1] = (now, since, max(at, since))
            found.append((after, max(at, since), ends))
    now, since, _ = found[-1]
    asked = max([end for _, end, blocks in watch.talks if not blocks], default=ends)
    if now == "confirm" and since < asked < ends:
        found[-1] = (now, since, asked)
        found.append(("stragglers", asked, ends))
    return found


def _after_talk(now: str, talk: str) -> str:
    if talk == "bring":
        return now if now == "confirm" else "repair"
    return {"rounds": "sentinels", "verify": "check", "activate": "confirm"}.get(now, now)


def _after_broadcast(now: str, method: int) -> str:
    if method == image_object.INITIATE:
        return "initiate"
    if method == image_object.ACTIVATE:
        return "activate"
    if now in ("check", "repair", "confirm", "stragglers"):
        return "repair"
    return "verify" if method == image_object.VERIFY else "rounds"
