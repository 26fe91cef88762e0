"""The whole of local access on a line in memory: mode E, HDLC, the concentrator, and meters behind
it, with a technician's client at the other end."""

from __future__ import annotations

import asyncio

from gateway.dlms.client.client import HIGH_GMAC, Association, Client
from gateway.dlms.data import axdr, obis
from gateway.dlms.errors import DlmsError
from gateway.dlms.hdlc.link import HdlcLink
from gateway.dlms.hdlc.mode_e import open_mode_e
from gateway.dlms.protection.keyring import Keys
from gateway.local import header
from gateway.local.access import LocalAccess
from gateway.local.meters import Meters
from gateway.local.objects import Objects
from gateway.local.server import LocalServer
from gateway.meters.counters import Counters
from gateway.meters.inventory import METERS, Inventory
from gateway.meters.network import Network
from gateway.meters.reach import Reach
from hal.ports import Capabilities, NoRoute, Quality, Rx, TooLong, TxDone
from hal.rt import log
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.local.support import Times, kept
from tests.portable.support import run
from tests.portable.uplink.support import crypto

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EK, AK = bytes(range(16)), bytes(range(16, 32))
OURS, THEIRS = b"AMI\x00\x00\x00\x00\x01", b"TEC\x00\x00\x00\x00\x09"
NAME = obis.parse("0.0.42.0.0.255")
PLAIN_GET = bytes.fromhex("c001c1000100002a0000ff0200")
ROW = '{"serial": "%s", "paths": [["plc", "%s"]]}\n'


class Status:
    firmware = "0.1.0"

    known = 1

    def meters_known(self) -> int:
        if self.known < 0:
            raise ValueError("a fault of ours")
        return self.known

    def meters_reachable(self) -> int:
        return 1


class End:
    """One end of a line; the speed is part of it. `damage` drops every so many writes' bytes."""

    def __init__(self, damage: int = 0, step: int = 0) -> None:
        self.other: End | None = None
        self.baud = 0
        self.gone = False
        self._damage = damage
        self._step = step
        self._writes = 0
        self._incoming: list[bytes] = []
        self._more = asyncio.Event()

    async def read(self) -> bytes:
        while not self._incoming:
            if self.gone:
                return b""
            self._more.clear()
            await self._more.wait()
        return self._incoming.pop(0)

    async def write(self, data: bytes | memoryview) -> None:
        if self.gone or self.other is None:
            raise OSError("the line is gone")
        self._writes += 1
        if self._damage and self._writes % self._damage == 0:
            return
        if self.other.baud == self.baud:
            step = self._step or len(data) or 1
            for start in range(0, len(data), step):
                self.other.arrive(bytes(data[start : start + step]))

    async def set_baud(self, baud: int) -> None:
        self.baud = baud

    async def close(self) -> None:
        self.gone = True
        self._more.set()

    def arrive(self, data: bytes) -> None:
        self._incoming.append(data)
        self._more.set()


class EchoModem:
    """Nodes that say what was said to them; `silent` ones do not."""

    def __init__(self) -> None:
        self.capabilities = Capabilities("plc", 200, 0, 4, False)
        self.silent = False
        self.handle = 0
        self._events: list[Any] = []
        self._happened = asyncio.Event()

    async def send(
        self, address: str, data: Any, source_sap: int, destination_sap: int, route: Any = None
    ) -> int:
        if address == "0080e1000009":
            raise NoRoute("not there")
        if len(data) > self.capabilities.unicast_mtu:
            raise TooLong("%d bytes" % len(data))
        self.handle += 1
        self._events.append(TxDone(self.handle, 0))
        if not self.silent:
            quality = Quality()
            self._events.append(Rx(address, destination_sap, source_sap, bytes(data), quality))
        self._happened.set()
        return self.handle

    async def event(self) -> Any:
        while not self._events:
            self._happened.clear()
            await self._happened.wait()
        return self._events.pop(0)

    def nodes(self) -> list[str]:
        return []

    def statistics(self) -> dict[str, int]:
        return {}


class Scene:
    def __init__(self, damage: int = 0, step: int = 0, mode_e: int = 9600) -> None:
        log.set_level("error")
        self.clock = ManualClock(1800000000)
        self.damage, self.step = damage, step
        self.lines: list[End] = []
        self.records: list[list[Any]] = []
        self.modem = EchoModem()
        self.status = Status()
        storage = MemoryStorage()
        rows = ROW % ("METER1", "0080e1000001") + ROW % ("METER9", "0080e1000009")
        storage.replace(METERS, (rows + '{"serial": "NOWHERE", "paths": []}\n').encode())
        self.network = Network(self.clock)
        modem: Any = self.modem
        self.network.add(modem, 1)
        self._counters = {OURS: 0, THEIRS: 0}
        self.server = LocalServer(
            Objects("street-1", self.status, kept(self.clock), Times()),
            Keys(OURS, EK, AK),
            crypto(),
            self.clock,
            lambda: self.next(OURS),
            self.note,
        )
        self.inventory = Inventory(storage)
        reach = Reach(
            network=self.network,
            inventory=self.inventory,
            counters=Counters(storage, bytes),
            clock=self.clock,
            crypto=crypto(),
            system_title=OURS,
            patience={"plc": (3000, 1)},
        )
        meters = Meters(reach, self.note)
        access = LocalAccess(self.open_port, self.clock, self.server, meters, "street-1", mode_e)
        self.tasks = [
            asyncio.create_task(self.network.run()),
            asyncio.create_task(access.run()),
        ]

    def next(self, whose: bytes) -> int:
        self._counters[whose] += 1
        return self._counters[whose]

    def note(self, kind: str, details: list[Any]) -> None:
        self.records.append([kind] + details)

    async def open_port(self) -> Any:
        board, laptop = End(self.damage, self.step), End(self.damage, self.step)
        board.other, laptop.other = laptop, board
        self.lines.append(laptop)
        return board

    async def connected(self) -> tuple[End, HdlcLink, Client]:
        """A technician's client, not yet associated."""
        await self.clock.settle()
        line: Any = self.lines[-1]
        if line.gone:  # put the probe on again
            board, line = line.other, End(self.damage, self.step)
            board.other, line.other = line, board
            self.lines[-1] = line
        await open_mode_e(line, self.clock)
        link = HdlcLink(line, self.clock, 1, 1)
        association = Association(1, 1, HIGH_GMAC, keys=Keys(THEIRS, EK, AK))
        client = Client(
            link, self.clock, crypto(), association, lambda: self.next(THEIRS), 20000, 3
        )
        return line, link, client

    async def ask(self, link: HdlcLink, serial: str, apdu: bytes) -> bytes:
        await link.send(header.encode(header.TO_DEVICE, serial, apdu))
        raw = await link.receive(30000)
        if raw[0] != header.FROM_DEVICE:
            return raw
        tag, answered, inner = header.decode(raw)
        assert (tag, answered) == (header.FROM_DEVICE, serial)
        return inner

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await self.clock.settle()


def played(play: Any, **settings: Any) -> None:
    """Time passes as long as the technician waits."""

    async def body() -> None:
        scene = Scene(**settings)
        task = asyncio.create_task(play(scene))
        for _ in range(20000):
            if task.done():
                break
            await scene.clock.run(50)
        assert task.done(), "it hangs"
        await task
        await scene.end()

    run(body())


async def visit(scene: Scene) -> None:
    _, link, client = await scene.connected()
    await client.associate()
    assert axdr.decode(await client.get(1, NAME, 2)) == (axdr.OCTET_STRING, b"street-1")
    for size in (1, 50, 190):
        assert await scene.ask(link, "METER1", bytes([0xC0]) * size) == bytes([0xC0]) * size
    await client.release()
    await link.close()


def test_a_visit_over_any_line() -> None:
    played(visit)
    played(visit, step=1)
    played(visit, damage=5)


def test_one_visit_after_the_other_and_both_on_record() -> None:
    async def play(scene: Scene) -> None:
        for _ in range(2):
            await visit(scene)
            await scene.clock.sleep_ms(1000)
        title = THEIRS.hex()
        one = [["local", "in", title], ["local", "meter", title, "METER1", "plc"]]
        assert scene.records == one + one
        assert scene.network.statistics()[0][1]["links"] == 0
        assert len(scene.lines) == 1

    played(play)


def test_meters_are_for_those_who_have_proven_themselves() -> None:
    async def play(scene: Scene) -> None:
        _, link, client = await scene.connected()
        refusal = await scene.ask(link, "METER1", PLAIN_GET)
        assert refusal == bytes.fromhex("d80101") and scene.modem.handle == 0
        await client.associate()
        assert await scene.ask(link, "METER1", PLAIN_GET) == PLAIN_GET
        await client.release()
        assert await scene.ask(link, "METER1", PLAIN_GET) == refusal
        await link.close()

    played(play)


def test_why_a_meter_is_not_reached_is_said() -> None:
    async def play(scene: Scene) -> None:
        _, link, client = await scene.connected()
        await client.associate()
        for serial, apdu, answer in (
            ("STRANGER", b"\xc0", "d80103"),
            ("NOWHERE", b"\xc0", "d80101"),
            ("METER9", b"\xc0", "d80101"),
            ("METER1", bytes(201), "d80104"),
        ):
            assert await scene.ask(link, serial, apdu) == bytes.fromhex(answer), serial
        # the gateway's own work has the one slot of the modem
        meter = scene.inventory.meter("METER1")
        assert meter is not None
        assert await scene.ask(link, "METER9", b"\xc0") == bytes.fromhex("d80101")
        own = await scene.network.open(meter.as_client(2), meter.paths[0])
        assert await scene.ask(link, "METER1", b"\xc0") == bytes.fromhex("d80101")
        await own.close()
        assert await scene.ask(link, "METER1", b"\xc0") == b"\xc0"
        assert axdr.decode(await client.get(1, NAME, 2))[1] == b"street-1"
        await link.close()

    played(play)


def test_a_silent_meter_leaves_the_technician_to_ask_again() -> None:
    async def play(scene: Scene) -> None:
        _, link, client = await scene.connected()
        await client.associate()
        scene.modem.silent = True
        await link.send(header.encode(header.TO_DEVICE, "METER1", b"\xc0"))
        try:
            await link.receive(10000)
            raise AssertionError("something came")
        except asyncio.TimeoutError:
            pass
        scene.modem.silent = False
        assert await scene.ask(link, "METER1", b"\xc1") == b"\xc1"
        await link.close()

    played(play)


def test_a_technician_who_walks_away_is_forgotten() -> None:
    async def play(scene: Scene) -> None:
        line, link, client = await scene.connected()
        await client.associate()
        await scene.ask(link, "METER1", b"\xc0")
        await scene.clock.sleep_ms(125_000)
        assert not scene.server.proven(1)
        assert scene.network.statistics()[0][1]["links"] == 0
        await line.set_baud(300)
        await visit(scene)

    played(play)


def test_a_line_that_goes_away_is_opened_again() -> None:
    async def play(scene: Scene) -> None:
        line, _, client = await scene.connected()
        await client.associate()
        assert line.other is not None
        await line.other.close()
        await scene.clock.sleep_ms(2000)
        assert len(scene.lines) == 2 and not scene.server.proven(1)
        await visit(scene)

    played(play)


def test_noise_on_the_line_is_harmless() -> None:
    async def play(scene: Scene) -> None:
        await scene.clock.settle()
        line = scene.lines[-1]
        line.baud = 300
        for seed in range(50):
            await line.write(bytes([(seed * 37 + i * 101) & 0xFF for i in range(seed)]))
        await scene.clock.sleep_ms(1000)
        await visit(scene)

    played(play)


def test_a_fault_of_ours_ends_the_visit_and_nothing_else() -> None:
    async def play(scene: Scene) -> None:
        _, link, client = await scene.connected()
        await client.associate()
        scene.status.known = -1
        log.set_level("error")
        try:
            await client.get(1, obis.parse("0.0.96.50.0.255"), 2)
            raise AssertionError("it was answered")
        except (DlmsError, OSError):
            pass
        await link.close()
        scene.status.known = 1
        await scene.clock.sleep_ms(5000)
        assert len(scene.lines) == 2
        await visit(scene)

    played(play)
