"""The IP modem and meters behind real TCP servers."""

from __future__ import annotations

import asyncio

from gateway.dlms.apdu import acse
from hal.cpython.clock import SystemClock
from hal.cpython.tcp import TcpPort
from hal.modem.ip import STATUS_UNREACHABLE, Ip
from hal.modem.wrapper import Unwrapper, wrap
from hal.ports import Left, Misbehaves, PortClosed, Rx, TxDone
from tests.unit.emulator.harness import EchoMeter
from tools.meter import device
from tools.meter.server import MeterServer
from tools.meter.tcp import MeterTcp


async def serve(meter: EchoMeter) -> tuple[asyncio.Server, str]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        unwrapper = Unwrapper(65535)
        while data := await reader.read(4096):
            for client, server, apdu in unwrapper.feed(data):
                writer.write(wrap(server, client, meter.echo(client, server, apdu)))
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    return server, "127.0.0.1:%d" % server.sockets[0].getsockname()[1]


def test_meters_answer_each_on_its_own_connection() -> None:
    async def play() -> None:
        meters = [EchoMeter("m%d" % index) for index in range(5)]
        served = [await serve(meter) for meter in meters]
        modem = Ip(TcpPort.open, SystemClock())
        apdu = bytes(range(256)) * 8
        for _, address in served:
            await modem.send(address, apdu, 16, 1)
        echoes: dict[str, bytes] = {}
        while len(echoes) < 5:
            event = await modem.event()
            if isinstance(event, Rx):
                echoes[event.address] = event.data
            else:
                assert isinstance(event, TxDone) and event.status == 0
        for meter, (_, address) in zip(meters, served, strict=True):
            assert echoes[address] == meter.echo(16, 1, apdu)
        assert modem.statistics()["connections"] == 5
        await modem.close()
        for server, _ in served:
            server.close()
            await server.wait_closed()

    asyncio.run(play())


def test_a_meter_that_floods_is_hung_up_on() -> None:
    async def play() -> None:
        meter = MeterServer(device.build_meter("AMI0000000001", password=b"12345678"))
        meter.meter.faults.flood = 100_000
        carrier = MeterTcp(meter)
        address = "127.0.0.1:%d" % await carrier.start(0)
        modem = Ip(TcpPort.open, SystemClock())
        aarq = acse.Aarq(acse.LN, acse.InitiateRequest(acse.GET, 500).encode())
        await modem.send(address, aarq.encode(), 16, 1)
        events: list[object] = [await modem.event()]
        while not isinstance(events[-1], Left):
            events.append(await modem.event())
        error = events[-1].error
        assert isinstance(error, Misbehaves) and address in str(error)
        assert len(events) < 200
        await modem.close()
        await carrier.stop()

    asyncio.run(play())


def test_a_refused_connection_fails_the_frame_only() -> None:
    async def play() -> None:
        server, address = await serve(EchoMeter("m"))
        server.close()
        await server.wait_closed()
        modem = Ip(TcpPort.open, SystemClock())
        handle = await modem.send(address, b"x", 16, 1)
        event = await modem.event()
        assert isinstance(event, TxDone)
        assert (event.handle, event.status) == (handle, STATUS_UNREACHABLE)
        assert isinstance(event.error, PortClosed) and address in str(event.error)
        await modem.close()

    asyncio.run(play())
