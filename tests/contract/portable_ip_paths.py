"""Meters with IP addresses, through the whole network room of the gateway.

Environment: IP_UDP and IP_TCP, addresses of one meter, "[v6]:port" or "host:port"; IP_SERIAL, its
serial. For broadcast IP_GROUP, a multicast group, and IP_HEARD, a file where its listener puts
what came."""

from __future__ import annotations

import asyncio
import os

from gateway.dlms.client.client import Association, Client
from gateway.dlms.data import axdr, obis
from gateway.meters.inventory import Meter
from gateway.meters.network import Network
from hal.modem.ip import Ip
from hal.modem.udp import MAX_APDU, Udp
from hal.modem.wrapper import wrap
from hal.ports import BROADCAST, PortClosed, TxDone
from hal.rt.group import Group
from tests.contract.here import SystemClock, SystemCrypto, UdpPort, open_port
from tests.portable.support import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Modem

CLOCK = SystemClock()
PUBLIC = 16
NAME = obis.parse("0.0.42.0.0.255")
ASSOCIATION = obis.parse("0.0.40.0.0.255")


def environment(name: str) -> str:
    value = os.getenv(name)
    assert value, name + " is not in the environment"
    return value


async def read(modem: Modem, kind: str, address: str) -> None:
    """The meter's name, and its object list, which takes several blocks."""
    network = Network(CLOCK)
    network.add(modem, 4)
    tasks = Group()
    tasks.start(network.run())
    meter = Meter(environment("IP_SERIAL"), [(kind, address)], PUBLIC, 1)
    link = await network.open(meter, meter.paths[0])
    client = Client(link, CLOCK, SystemCrypto(), Association(PUBLIC), lambda: 0, 20_000)
    await client.associate()
    name = axdr.decode(await client.get(1, NAME, 2))
    assert name == (axdr.OCTET_STRING, environment("IP_SERIAL").encode())
    assert len(await client.get(15, ASSOCIATION, 2)) > 300
    await client.release()
    await link.close()
    assert modem.nodes() == [address]
    await tasks.cancel()
    await modem.close()


def test_dlms_over_udp() -> None:
    run(read(Udp(UdpPort.open, CLOCK, "plc"), "plc", environment("IP_UDP")))


def test_dlms_over_tcp() -> None:
    async def connect(host: str, port: int) -> object:
        return await open_port("tcp://[%s]:%d" % (host, port), CLOCK)

    run(read(Ip(connect, CLOCK), "ip", environment("IP_TCP")))  # type: ignore[arg-type]


def test_a_closed_port_says_so() -> None:
    """IP_CLOSED: an address where nobody listens; without it, another port of the meter's."""

    async def body() -> None:
        async def connect(host: str, port: int) -> object:
            return await open_port(
                ("tcp://[%s]:%d" if ":" in host else "tcp://%s:%d") % (host, port), CLOCK
            )

        modem = Ip(connect, CLOCK)  # type: ignore[arg-type]
        address = os.getenv("IP_CLOSED") or "[%s]:9" % environment("IP_TCP")[1:].split("]")[0]
        handle = await modem.send(address, b"x", 16, 1)
        event = await modem.event()
        assert isinstance(event, TxDone) and (event.handle, event.status) == (handle, 1)
        assert isinstance(event.error, PortClosed), event.error
        assert address in str(event.error) and "ms" in str(event.error)
        await modem.close()

    run(body())


def test_broadcast() -> None:
    async def body() -> None:
        modem = Udp(UdpPort.open, CLOCK, "plc", environment("IP_GROUP"))
        apdu = bytes(range(MAX_APDU % 256)) + bytes(MAX_APDU - MAX_APDU % 256)
        handle = await modem.send(BROADCAST, apdu, 1, 1)
        event = await modem.event()
        assert isinstance(event, TxDone) and (event.handle, event.status) == (handle, 0)
        for _ in range(100):
            await CLOCK.sleep_ms(50)
            with open(environment("IP_HEARD"), "rb") as file:  # noqa: ASYNC230
                if file.read() == wrap(1, 1, apdu):
                    break
        else:
            raise AssertionError("the group has not heard it")
        await modem.close()

    run(body())


def test_nobody_there() -> None:
    async def body() -> None:
        """Nothing comes of it, and the port goes on."""
        modem = Udp(UdpPort.open, CLOCK)
        nobody = environment("IP_UDP").replace("::2]", "::99]")
        for _ in range(3):
            await modem.send(nobody, b"hello", 1, 1)
            assert isinstance(await modem.event(), TxDone)
        try:
            await CLOCK.wait_for_ms(modem.event(), 200)
            raise AssertionError("somebody is there")
        except asyncio.TimeoutError:
            pass
        await modem.close()
        await read(Udp(UdpPort.open, CLOCK), "ip", environment("IP_UDP"))

    run(body())
