"""What the two IP drivers do as every Modem does (test_contract.py has those with a line of
their own): each to meters that send everything back, over a network that is clean, delivers byte
at a time (TCP), loses a fifth (UDP), or is slow."""

from __future__ import annotations

import asyncio

from hal.modem.ip import Ip
from hal.modem.udp import Udp
from hal.modem.wrapper import Unwrapper, unwrap, wrap
from hal.ports import BROADCAST, Busy, Coming, ModemReset, NoRoute, PortError, Rx, TooLong, TxDone
from hal.sim.channel import Rng
from hal.sim.clock import ManualClock
from tests.portable.modem.modem_wire import Wire
from tests.portable.support import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NODES = ["[fd00::%d]:4059" % number for number in range(1, 7)]
UNKNOWN = "not an address"
DELAY_MS = 700
CLIENT, SERVER = 16, 1


class EchoWire(Wire):
    """A TCP connection to one meter."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network
        self._unwrapper = Unwrapper()

    async def write(self, data: bytes | memoryview) -> None:
        await super().write(data)
        for client, server, apdu in self._unwrapper.feed(self.take()):
            self._network.later(self.say, wrap(server, client, apdu))


class EchoAir:
    """UDP to all meters."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._incoming: list[tuple[bytes, object]] = []
        self._more = asyncio.Event()
        self.closed = False

    async def place(self, host: str, port: int) -> object:
        return (host, port)

    def text(self, place: Any) -> str:
        return "[%s]:%d" % place

    async def send(self, data: bytes, place: object) -> None:
        client, server, apdu = unwrap(data)
        self._network.later(self._arrive, (wrap(server, client, apdu), place))

    async def receive(self) -> tuple[bytes, object]:
        while not self._incoming:
            self._more.clear()
            await self._more.wait()
        return self._incoming.pop(0)

    async def close(self) -> None:
        self.closed = True

    def _arrive(self, datagram: tuple[bytes, object]) -> None:
        self._incoming.append(datagram)
        self._more.set()


class Network:
    """What is between driver and meters, and the driver with its events."""

    def __init__(self, driver: str, condition: str) -> None:
        self.clock = ManualClock()
        self.condition = condition
        self.opened = 0
        self._rng = Rng(5, condition)
        self._tasks: list[asyncio.Task[None]] = []
        self.modem: Any
        if driver == "ip":
            self.modem = Ip(self._connect, self.clock)
        else:
            self.modem = Udp(self._open, self.clock, "plc")
        self.done: list[TxDone] = []
        self.echoes: list[Rx] = []
        self.resets = 0
        self.coming = 0
        self._collector = asyncio.create_task(self._collect())

    async def _connect(self, host: str, port: int) -> EchoWire:
        self.opened += 1
        return EchoWire(self)

    async def _open(self) -> EchoAir:
        self.opened += 1
        return EchoAir(self)

    def later(self, deliver: Any, what: Any) -> None:
        if self.condition == "lossy" and self._rng.chance(0.2):
            return
        if self.condition == "bytewise":
            for byte in what:
                deliver(bytes((byte,)))
        elif self.condition == "delayed":
            self._tasks.append(asyncio.create_task(self._delayed(deliver, what)))
        else:
            deliver(what)

    async def _delayed(self, deliver: Any, what: Any) -> None:
        await self.clock.sleep_ms(DELAY_MS)
        deliver(what)

    async def _collect(self) -> None:
        try:
            while True:
                event = await self.modem.event()
                if isinstance(event, TxDone):
                    self.done.append(event)
                elif isinstance(event, Rx):
                    self.echoes.append(event)
                elif isinstance(event, Coming):
                    self.coming += 1
                else:
                    assert isinstance(event, ModemReset)
                    self.resets += 1
        except OSError:
            pass

    async def traffic(self, rounds: int) -> int:
        """How many of the frames came back; each was settled once, and came from its node."""
        self.done, self.echoes = [], []
        handles, sent = [], {}
        for number in range(rounds):
            address = NODES[number % len(NODES)]
            data = b"%d" % number
            while True:
                try:
                    handles.append(await self.modem.send(address, data, CLIENT, SERVER))
                    break
                except Busy:
                    await self.clock.run(500)
            sent[data] = address
            await self.clock.run(100)
        await self.clock.run(20000)
        assert sorted([done.handle for done in self.done]) == handles
        assert all(done.status == 0 for done in self.done)
        for echo in self.echoes:
            assert sent[bytes(echo.data)] == echo.address
            assert (echo.source_sap, echo.destination_sap) == (SERVER, CLIENT)
        return len(self.echoes)

    async def refused(self, kind: type[Exception], call: Any) -> None:
        try:
            await call
        except kind:
            return
        raise AssertionError("it was taken")


def test_contract() -> None:
    async def play(driver: str, condition: str) -> None:
        network = Network(driver, condition)
        modem, clock = network.modem, network.clock
        echoed = await network.traffic(40)
        assert echoed == 40 or (condition == "lossy" and 20 < echoed < 40)
        assert (network.coming > 0) == (driver == "ip" and condition == "bytewise")
        assert sorted(modem.nodes()) == NODES

        largest = modem.capabilities.unicast_mtu
        before = modem.statistics()["sent"]
        for kind, address, data in (
            (TooLong, NODES[0], bytes(largest + 1)),
            (NoRoute, UNKNOWN, b"x"),
            (NoRoute, BROADCAST, b"x"),
        ):
            await network.refused(kind, modem.send(address, data, CLIENT, SERVER))
        assert modem.statistics()["sent"] == before
        network.echoes = []
        await modem.send(NODES[0], bytes(largest), CLIENT, SERVER)
        await clock.run(20000)
        assert [len(echo.data) for echo in network.echoes] == [largest] or condition == "lossy"

        await modem.discover()
        assert sorted(modem.nodes()) == NODES
        await network.refused(NoRoute, modem.kick(UNKNOWN))
        await modem.kick(NODES[0])
        assert sorted(modem.nodes()) == NODES[1:]
        for call in (modem.get("no such parameter"), modem.set("no such parameter", b"")):
            await network.refused(PortError, call)

        opened = network.opened
        await modem.reset()
        await clock.settle()
        assert network.resets == 1 and modem.nodes() == []
        echoed = await network.traffic(12)
        assert echoed == 12 or (condition == "lossy" and echoed > 3)
        assert network.opened > opened and network.resets == 1
        counts = modem.statistics()
        assert counts["failed"] == counts["malformed"] == 0

        await modem.close()
        await network._collector
        await network.refused(OSError, modem.send(NODES[0], b"x", CLIENT, SERVER))

    for driver, condition in (
        ("ip", "clean"),
        ("ip", "bytewise"),
        ("ip", "delayed"),
        ("udp", "clean"),
        ("udp", "lossy"),
        ("udp", "delayed"),
    ):
        run(play(driver, condition))
