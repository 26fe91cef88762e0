"""A population on the air: meters behind the emulated PLC and RF modems, and on TCP ports; and what
happens to them all by a scenario (tools/meter/scenario.py)."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import Callable, Mapping

from tools.emulator import (
    AmberEmulator,
    DlmsOTcpEmulator,
    ImstEmulator,
    MamEmulator,
    PrimeEmulator,
)
from tools.emulator.air import RealTime, Time
from tools.emulator.line import Line
from tools.meter import scenario
from tools.meter.population import IP, PLC, RF, Member
from tools.meter.scenario import Happening, Scenario
from tools.meter.server import MeterServer
from tools.meter.tcp import MeterTcp

HOST = "127.0.0.1"
PlcEmulator = PrimeEmulator | DlmsOTcpEmulator | MamEmulator
RfEmulator = ImstEmulator | AmberEmulator
PLC_MODEMS: dict[str, type[PlcEmulator]] = {
    "prime": PrimeEmulator,
    "dlms-o-tcp": DlmsOTcpEmulator,
    "meters-and-more": MamEmulator,
}
RF_MODEMS: dict[str, type[RfEmulator]] = {"imst": ImstEmulator, "amber": AmberEmulator}


class Street:
    """`members` behind modems whose channels are the scenario's. `speed`: times faster than real
    that the channels and the timeline are; `clock`: all in its time instead. `plc_modem` and
    `rf_modem`: of which make they are.

    `plc` and `rf` are the modems, None where there is no meter on that medium. `away`: who has
    left. `happened`: how often what was done."""

    def __init__(
        self,
        members: list[Member],
        scene: Scenario,
        seed: int = 1,
        speed: float = 1.0,
        clock: Time | None = None,
        plc_modem: Callable[..., PlcEmulator] = PrimeEmulator,
        rf_modem: type[RfEmulator] = ImstEmulator,
    ) -> None:
        self.members = members
        self.away: set[str] = set()
        self.happened: Counter[str] = Counter()
        self._scene = scene
        self._clock = clock or RealTime(speed)
        self._random = random.Random("%d street" % seed)
        self._tcp: list[MeterTcp] = []
        self._turn = 0
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._timeline: asyncio.Task[None] | None = None
        plc, rf = _on(members, PLC), _on(members, RF)
        midnight = self._clock.ticks_ms() - scene.starts_ms
        self.plc: PlcEmulator | None = None
        self.rf: RfEmulator | None = None
        if plc:
            channel = scene.plc.channel(seed, midnight)
            self.plc = plc_modem(plc, channel, speed=speed, clock=clock)
        if rf:
            channel = scene.rf.channel(seed, midnight)
            self.rf = rf_modem(rf, channel, speed=speed, clock=clock)

    async def start(self, lines: Mapping[str, Line]) -> None:
        """Serve the modems on these lines, by "plc" and "rf", and let the timeline begin."""
        began = self._clock.ticks_ms()
        self._keep_away(began)
        for kind, emulator in self._emulators():
            await emulator.serve(lines[kind])
        for happening in self._scene.timeline:
            self._plan(began + happening.at_ms, self._doing(began + happening.at_ms, happening))
        self._timeline = asyncio.create_task(self._live())
        self._timeline.add_done_callback(_not_silent)

    async def start_tcp(self) -> None:
        """IP meters listen on loopback, each on a port of its own; they learn their path here."""
        for member in self.members:
            if member.on_ip:
                tcp = MeterTcp(member.server)
                self._tcp.append(tcp)
                member.paths = [(IP, "%s:%d" % (HOST, await tcp.start(0, HOST)))]

    async def stop(self) -> None:
        if self._timeline is not None:
            self._timeline.cancel()
            await asyncio.gather(self._timeline, return_exceptions=True)
        for _, emulator in self._emulators():
            await emulator.stop()
        for tcp in self._tcp:
            await tcp.stop()

    def modem(self, kind: str) -> PlcEmulator | RfEmulator:
        """Of this kind; ValueError when there is none."""
        found = dict(self._emulators()).get(kind)
        if found is None:
            raise ValueError("there is no %s modem" % kind)
        return found

    def leave(self, member: Member) -> None:
        """Off all networks, without a word: its power is gone."""
        self.away.add(member.serial)
        for kind, address in member.paths:
            if kind == PLC and self.plc is not None:
                self.plc.leave(address)
            elif kind == RF and self.rf is not None:
                self.rf.leave(address)

    def join(self, member: Member) -> None:
        """Back again."""
        self.away.discard(member.serial)
        for kind, address in member.paths:
            if kind == PLC and self.plc is not None:
                self.plc.join(address)
            elif kind == RF and self.rf is not None:
                self.rf.join(address)

    def _emulators(self) -> list[tuple[str, PlcEmulator | RfEmulator]]:
        found: list[tuple[str, PlcEmulator | RfEmulator]] = []
        if self.plc is not None:
            found.append((PLC, self.plc))
        if self.rf is not None:
            found.append((RF, self.rf))
        return found

    def _keep_away(self, now: int) -> None:
        """Some nodes need longer to register."""
        share, within = self._scene.late
        on_plc = [member for member in self.members if any(k == PLC for k, _ in member.paths)]
        for member in self._some(on_plc, share):
            address = next(address for kind, address in member.paths if kind == PLC)
            assert self.plc is not None
            self.plc.leave(address)
            self._plan(now + self._random.randrange(within + 1), _joining(self.plc, address))

    def _some(self, members: list[Member], share: float) -> list[Member]:
        count = round(share * len(members))
        return self._random.sample(members, min(len(members), count or (1 if share else 0)))

    # The timeline.

    def _plan(self, at_ms: int, action: Callable[[], None]) -> None:
        self._turn += 1
        heapq.heappush(self._due, (at_ms, self._turn, action))

    async def _live(self) -> None:
        while self._due:
            at_ms, _, action = self._due[0]
            wait = at_ms - self._clock.ticks_ms()
            if wait > 0:
                await self._clock.sleep_ms(wait)
                continue
            heapq.heappop(self._due)
            action()

    def _doing(self, at_ms: int, happening: Happening) -> Callable[[], None]:
        def act() -> None:
            self.happened[happening.doing] += 1
            undo = self._do(at_ms, happening)
            if undo is not None:
                self._plan(at_ms + happening.for_ms, undo)
            if happening.every_ms:
                again = at_ms + happening.every_ms
                self._plan(again, self._doing(again, happening))

        return act

    def _do(self, at_ms: int, happening: Happening) -> Callable[[], None] | None:
        """Let it happen; returns what ends it."""
        if happening.doing == scenario.LEAVE:
            return self._let_leave(happening.share)
        emulator = dict(self._emulators()).get(happening.modem)
        if emulator is None:
            return None
        if happening.doing == scenario.RESET:
            emulator.reboot()
            return None
        if happening.doing == scenario.HANG:
            emulator.hanging = True
            return _setting(emulator, "hanging", False)
        if happening.doing == scenario.NOISE:
            emulator.air.channel.make_noise(happening.share, at_ms + happening.for_ms)
            return None
        field = "wrong" if happening.doing == scenario.WRONG_CRC else "lost"
        setattr(emulator.line.damage, field, happening.share)
        return _setting(emulator.line.damage, field, 0.0)

    def _let_leave(self, share: float) -> Callable[[], None]:
        here = [m for m in self.members if m.serial not in self.away and not m.on_ip]
        gone = self._some(here, share)
        for member in gone:
            self.leave(member)

        def back() -> None:
            for member in gone:
                self.join(member)

        return back


def _setting(of: object, field: str, value: object) -> Callable[[], None]:
    return lambda: setattr(of, field, value)


def _joining(emulator: PlcEmulator, address: str) -> Callable[[], None]:
    return lambda: emulator.join(address)


def _not_silent(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.result()


def _on(members: list[Member], kind: str) -> dict[str, MeterServer]:
    return {
        address: member.server
        for member in members
        for path_kind, address in member.paths
        if path_kind == kind
    }
