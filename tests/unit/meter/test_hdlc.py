"""The virtual meter at the end of a line: the client over HDLC, over TCP and over a pseudo-terminal
with mode E, and what pyserial sees there."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import pytest
import serial

from gateway.dlms.client.client import LOW, Association, Client
from gateway.dlms.data import axdr, obis
from gateway.dlms.errors import LinkSilent, NotSupported
from gateway.dlms.hdlc.frames import FRMR, POLL, SNRM, UA, Receiver, encode
from gateway.dlms.hdlc.link import HdlcLink
from gateway.dlms.hdlc.mode_e import Identification, open_mode_e
from gateway.dlms.hdlc.numbered import Parameters
from gateway.dlms.hdlc.settings import Settings
from hal.cpython.clock import SystemClock
from hal.cpython.crypto import SystemCrypto
from hal.cpython.serial import SerialPort
from hal.cpython.tcp import TcpPort
from tests.conftest import ROOT
from tests.unit.meter.conftest import SERIAL
from tests.unit.meter.links import management, public
from tools.meter import device
from tools.meter.hdlc import LOWER, MeterHdlc
from tools.meter.model import MANAGEMENT, PUBLIC, Meter
from tools.meter.server import MeterServer

CLOCK = SystemClock()
NAME = obis.parse(device.LOGICAL_DEVICE_NAME)
ALARMS = obis.parse(device.ALARM_FILTER)
ASSOCIATION = obis.parse("0.0.40.0.0.255")
CALENDAR = obis.parse("0.0.13.0.0.255")
PROBE = Identification("AMI", 9600, True, "E450")
COUNTER = count(1)


@asynccontextmanager
async def on_tcp(
    server: MeterServer, settings: Settings, parameters: Parameters
) -> AsyncIterator[HdlcLink]:
    """A link to the meter over TCP."""
    meter = MeterHdlc(server, parameters)
    port = await TcpPort.open("127.0.0.1", await meter.start(0))
    link = HdlcLink(port, CLOCK, MANAGEMENT, 1, LOWER, settings=settings)
    try:
        yield link
    finally:
        await link.close()
        await meter.stop()


def manager(link: HdlcLink) -> Client:
    association = management(7, SERIAL)
    return Client(link, CLOCK, SystemCrypto(), association, lambda: next(COUNTER))


@pytest.mark.parametrize("window", [1, 3, 7])
@pytest.mark.parametrize("size", [16, 64, 128, 1024])
def test_client_over_hdlc(meter: Meter, size: int, window: int) -> None:
    """Small values, values that HDLC must segment, values that DLMS must cut into blocks as well;
    reading, writing, acting."""

    async def story() -> None:
        server = MeterServer(meter, max_pdu=200)
        settings, parameters = Settings(size, window), Parameters(size, size, window, window)
        async with on_tcp(server, settings, parameters) as link:
            client = manager(link)
            await client.associate()
            name = await client.get(1, NAME, 2)
            assert axdr.decode(name) == (axdr.OCTET_STRING, SERIAL.encode())
            objects = await client.get(15, ASSOCIATION, 2)
            assert len(objects) > 1000
            wanted = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 0x0F0F0000 | size))
            await client.set(1, ALARMS, 2, wanted)
            assert await client.get(1, ALARMS, 2) == wanted
            days = await client.get(20, CALENDAR, 9)
            await client.set(20, CALENDAR, 9, days)
            assert await client.get(20, CALENDAR, 9) == days
            await client.action(20, CALENDAR, 1, axdr.encode((axdr.INTEGER, 0)))
            await client.release()

    asyncio.run(story())


@pytest.mark.parametrize("size", [32, 128])
@pytest.mark.parametrize("window", [1, 7])
def test_a_stream_of_general_blocks(size: int, window: int) -> None:
    """More of them than the link keeps for whoever takes them."""
    meter = device.build_meter(SERIAL, password=b"password")
    association = Association(MANAGEMENT, authentication=LOW, secret=b"password", max_pdu=64)

    async def story() -> None:
        settings, parameters = Settings(size, window), Parameters(size, size, window, window)
        async with on_tcp(MeterServer(meter), settings, parameters) as link:
            client = Client(link, CLOCK, SystemCrypto(), association, lambda: 0, window=63)
            await client.associate()
            objects = await client.get(15, ASSOCIATION, 2)
            assert objects == await client.get(15, ASSOCIATION, 2)
            assert len(objects) > 16 * 64
            await client.release()

    asyncio.run(story())


def test_the_association_ends_with_the_connection(meter: Meter) -> None:
    async def story() -> None:
        server = MeterServer(meter)
        async with on_tcp(server, Settings(), Parameters()) as link:
            client = manager(link)
            await client.associate()
            assert meter.associations[MANAGEMENT].status == 2
            await link.disconnect()
            assert meter.associations[MANAGEMENT].status == 0
            await client.associate()  # on a connection of its own making
            await client.get(1, NAME, 2)
        await asyncio.sleep(0.05)
        assert meter.associations[MANAGEMENT].status == 0

    asyncio.run(story())


def test_a_meter_that_answers_late(meter: Meter) -> None:
    """It holds the poll, says RR, and is asked again; nothing is sent twice."""

    async def story() -> None:
        async with on_tcp(MeterServer(meter), Settings(poll_ms=50), Parameters()) as link:
            client = manager(link)
            await client.associate()
            meter.faults.slow_ms = 2000
            assert axdr.decode(await client.get(1, NAME, 2))[1] == SERIAL.encode()
            # AARQ, both of HLS5, GET, and the one taken here: none was needed twice
            assert next(COUNTER) - before == 5

    before = next(COUNTER)
    asyncio.run(story())


def test_a_dead_meter(meter: Meter) -> None:
    async def story() -> None:
        meter.faults.dead = True
        settings = Settings(response_ms=50, tries=2)
        async with on_tcp(MeterServer(meter), settings, Parameters()) as link:
            with pytest.raises(LinkSilent, match="SNRM"):
                await link.connect()
            start = CLOCK.ticks_ms()
            with pytest.raises(LinkSilent, match="SNRM"):
                await manager(link).associate()
            assert CLOCK.ticks_ms() - start < 5000  # the link's own tries are enough

    asyncio.run(story())


@pytest.mark.parametrize("parity", [True, False])
def test_mode_e_on_a_pseudo_terminal(meter: Meter, parity: bool) -> None:
    async def story() -> None:
        probe = MeterHdlc(MeterServer(meter), mode_e=PROBE)
        device_name = probe.open_pty()
        for _ in range(2):  # after DISC the opening starts anew
            line = await SerialPort.open(device_name, 300)
            found = await open_mode_e(line, CLOCK, parity=parity)
            assert found is not None and found.text == "E450" and found.baud == 9600
            link = HdlcLink(line, CLOCK, PUBLIC, 1, LOWER, settings=Settings(512, 3))
            client = Client(link, CLOCK, SystemCrypto(), public(), lambda: 0)
            await client.associate()
            assert axdr.decode(await client.get(1, NAME, 2))[1] == SERIAL.encode()
            await client.release()
            await link.close()
        await probe.stop()

    asyncio.run(story())


def test_the_speed_matters(meter: Meter) -> None:
    """HDLC at 9600 baud reaches no meter that listens at 300, or has gone to 4800."""

    async def story() -> None:
        probe = MeterHdlc(MeterServer(meter), mode_e=PROBE)
        line = await SerialPort.open(probe.open_pty(), 9600)
        quick = Settings(response_ms=50, tries=2)
        with pytest.raises(LinkSilent):
            await HdlcLink(line, CLOCK, PUBLIC, 1, LOWER, settings=quick).connect()
        found = await open_mode_e(line, CLOCK, fastest=4800)
        assert found is not None and found.baud == 4800
        await line.set_baud(9600)
        with pytest.raises(LinkSilent):
            await HdlcLink(line, CLOCK, PUBLIC, 1, LOWER, settings=quick).connect()
        await line.set_baud(4800)
        link = HdlcLink(line, CLOCK, PUBLIC, 1, LOWER, settings=quick)
        await link.connect()
        await link.close()
        await probe.stop()

    asyncio.run(story())


def test_a_meter_without_mode_e(meter: Meter) -> None:
    async def story() -> None:
        mode_c = MeterHdlc(MeterServer(meter), mode_e=Identification("AMI", 9600, False, "OLD"))
        line = await SerialPort.open(mode_c.open_pty(), 300)
        with pytest.raises(NotSupported, match="OLD"):
            await open_mode_e(line, CLOCK)
        await line.close()
        await mode_c.stop()

    asyncio.run(story())


def test_pyserial_reads_the_probe(meter: Meter) -> None:
    """With an ordinary serial library at the client's end: 300 baud 7E1, then 9600 baud 8N1."""

    def client_end(device_name: str) -> None:
        line = serial.Serial(device_name, 300, timeout=60)
        line.write(b"/?!\r\n")
        said = bytes(byte & 0x7F for byte in line.read_until(b"\n"))
        assert said == b"/AMI5\\2E450\r\n"
        line.write(b"\x06252\r\n")
        line.baudrate = 9600  # at once: the meter waits for its reaction time
        assert line.read_until(b"\n") == b"\x06252\r\n"
        address = bytes((1 << 1, LOWER << 1 | 1))
        line.write(encode(address, b"\x21", SNRM | POLL))
        raw = line.read_until(b"\x7e") + line.read_until(b"\x7e")
        (frame,) = Receiver().feed(raw)
        assert frame.kind == UA and Parameters.decode(frame.information).are_default
        line.write(encode(address, b"\x21", 0x10, bytes(200)))  # more than was agreed
        raw = line.read_until(b"\x7e") + line.read_until(b"\x7e")
        (frame,) = Receiver().feed(raw)
        assert frame.kind == FRMR and frame.information[2] == 4
        line.close()

    async def story() -> None:
        probe = MeterHdlc(MeterServer(meter), mode_e=PROBE)
        await asyncio.to_thread(client_end, probe.open_pty())
        await probe.stop()

    asyncio.run(story())


def test_serve_command() -> None:
    command = [sys.executable, "-m", "tools.meter", "serve", "--port", "0"]
    command += ["--hdlc", "0", "--pty", "--mode-e"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["hdlc"] > 0

        async def story() -> str:
            line = await SerialPort.open(ready["pty"], 300)
            found = await open_mode_e(line, CLOCK)
            assert found is not None
            link = HdlcLink(line, CLOCK, PUBLIC, 1, LOWER)
            client = Client(link, CLOCK, SystemCrypto(), public(), lambda: 0)
            await client.associate()
            assert axdr.decode(await client.get(1, NAME, 2))[1] == ready["serial"].encode()
            await link.close()
            return found.text

        assert asyncio.run(story()) == "%s.%s" % (device.FACTORY_MODEL, device.FACTORY_FIRMWARE)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
