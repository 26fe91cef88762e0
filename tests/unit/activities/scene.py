"""The gateway's meter side over virtual meters: all of it real but the modems, which are in RAM."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from gateway.activities.attempt import Attempts
from gateway.contract.result import Result
from gateway.meters.counters import Counters
from gateway.meters.inventory import KEYS, METERS, Inventory
from gateway.meters.network import Network
from gateway.meters.reach import Reach
from hal.cpython.crypto import SystemCrypto
from hal.ports import (
    Capabilities,
    Joined,
    Left,
    ModemReset,
    NoRoute,
    PortError,
    Quality,
    Rx,
    TxDone,
)
from hal.rt.queue import Queue
from hal.sim.channel import Rng
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tools.meter.device import build_meter, derive_test_keys
from tools.meter.server import MeterServer

SERIAL = "AMI0000000001"
PLC = ("plc", "0080e1000001")
RF = ("rf", "2c2d576866323002")
TIMEOUT_MS = 1000
TRIES = 4

Event = TxDone | Rx | Joined | Left | ModemReset


class ServerModem:
    """A Modem with MeterServers behind it. lose(direction, number) decides over each frame."""

    def __init__(self, name: str, mtu: int = 400) -> None:
        self.capabilities = Capabilities(name, mtu, 0, 2, False)
        self.servers: dict[str, MeterServer] = {}
        self.lose: Callable[[str, int], bool] = lambda direction, number: False
        self.tells = False  # a lost request is reported as not delivered
        self.gone = False
        self.frames = 0
        self.start()

    def start(self) -> None:
        """Anew on the loop that runs now."""
        self._events: Queue[Event] = Queue(64)

    async def send(
        self,
        address: str,
        data: bytes | memoryview,
        source_sap: int,
        destination_sap: int,
        route: list[str] | None = None,
    ) -> int:
        if self.gone:
            raise OSError("no line")
        if address not in self.servers:
            raise NoRoute(address)
        assert len(data) <= self.capabilities.unicast_mtu
        self.frames += 1
        number = self.frames
        if self.lose("request", number):
            self._events.put_nowait(TxDone(number, 2 if self.tells else 0))
            return number
        self._events.put_nowait(TxDone(number, 0))
        answer = self.servers[address].handle(source_sap, destination_sap, bytes(data))
        if answer is not None and not self.lose("answer", number):
            assert len(answer) <= self.capabilities.unicast_mtu
            self._events.put_nowait(Rx(address, destination_sap, source_sap, answer, Quality()))
        return number

    async def event(self) -> Event:
        return await self._events.get()

    def nodes(self) -> list[str]:
        return list(self.servers)

    async def discover(self) -> None:
        pass

    async def kick(self, address: str) -> None:
        pass

    async def get(self, parameter: str) -> bytes:
        raise PortError("there is no parameter %r" % parameter)

    async def set(self, parameter: str, value: bytes) -> None:
        await self.get(parameter)

    async def reset(self) -> None:
        self._events.put_nowait(ModemReset())

    def statistics(self) -> dict[str, int]:
        return {"frames": self.frames}

    async def close(self) -> None:
        pass


def losing(seed: int, share: float) -> Callable[[str, int], bool]:
    rng = Rng(seed)
    return lambda direction, number: rng.chance(share)


class Scene:
    """One meter on PLC and RF; run() makes attempts on it, `meter` tells what it really holds."""

    def __init__(
        self,
        paths: tuple[tuple[str, str], ...] = (PLC,),
        model: str = "AMI-E450",
        firmware: str = "V02.10.01",
        real_serial: str = SERIAL,
        wrong_keys: bool = False,
        counters: MemoryStorage | None = None,
        mtu: int = 400,
        suite: int = 0,
        short_names: dict[str, int] | None = None,
    ) -> None:
        self.clock = ManualClock(1_790_000_000)
        keys = derive_test_keys(1, SERIAL, suite)
        self.meter = build_meter(
            real_serial,
            model,
            firmware,
            keys=keys,
            source=self.clock.unix_time,
            short_names=short_names,
        )
        self.server = MeterServer(self.meter)
        self.plc = ServerModem("plc", mtu)
        self.rf = ServerModem("rf", mtu)
        self.plc.servers[PLC[1]] = self.server
        self.rf.servers[RF[1]] = self.server
        self.storage = counters or MemoryStorage()
        line: dict[str, Any] = {"serial": SERIAL, "paths": [list(p) for p in paths]}
        if short_names is not None:
            line["model"] = "ami-sn"
        self.storage.replace(METERS, json.dumps(line).encode())
        ek = derive_test_keys(2, SERIAL).ek if wrong_keys else keys.ek
        row = {"serial": SERIAL, "suite": suite, "ek": ek.hex(), "ak": keys.ak.hex()}
        self.storage.replace(KEYS, json.dumps(row).encode())

    def run(self, kind: int, order: Any, times: int = 1, serial: str = SERIAL) -> list[Any]:
        """[(Result, path)] of `times` attempts one after the other."""
        return asyncio.run(self._run(kind, order, times, serial))

    def once(self, kind: int, order: Any, serial: str = SERIAL) -> tuple[Result, str]:
        found: tuple[Result, str] = self.run(kind, order, 1, serial)[0]
        return found

    async def _run(self, kind: int, order: Any, times: int, serial: str) -> list[Any]:
        for modem in (self.plc, self.rf):
            modem.start()
        network = Network(self.clock)
        network.add(self.plc, 4)
        network.add(self.rf, 4)
        reading = asyncio.create_task(network.run())
        reach = Reach(
            network=network,
            inventory=Inventory(self.storage),
            counters=Counters(self.storage, bytes),
            clock=self.clock,
            crypto=SystemCrypto(),
            system_title=b"AMI\x00\x00\x00\x00\x01",
            patience={"plc": (TIMEOUT_MS, TRIES), "rf": (TIMEOUT_MS, TRIES)},
        )
        attempts = Attempts(reach)
        outcomes = []
        try:
            for _ in range(times):
                task = asyncio.create_task(attempts.run(serial, kind, order))
                await self.clock.settle()
                while not task.done():
                    await self.clock.run(TIMEOUT_MS)
                outcomes.append(task.result())
            for _, counts in network.statistics():
                assert counts["links"] == 0
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        return outcomes
