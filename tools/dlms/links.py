"""From a Place to a Link, over real lines."""

from __future__ import annotations

import asyncio

from gateway.dlms.hdlc.link import HdlcLink
from gateway.dlms.hdlc.mode_e import FIRST_BAUD, open_mode_e
from gateway.dlms.hdlc.settings import Settings
from hal.cpython.serial import SerialPort
from hal.cpython.tcp import TcpPort
from hal.cpython.udp import UdpLink
from hal.modem.wrapper import MAX_APDU, Unwrapper, wrap
from hal.ports import BytePort, Clock, Link
from tools.dlms.failure import CallProblem
from tools.dlms.place import HDLC_TCP, TCP, UDP, Place

CONNECT_MS = 10_000
SLOWER = 10
DEFAULT_BAUD = 9600


async def open_link(
    place: Place, client_sap: int, server_sap: int, clock: Clock, timeout_ms: int, tries: int
) -> Link:
    """A link to the meter. OSError says what could not be opened. `timeout_ms` and `tries` are for
    one frame, where the link itself repeats frames."""
    if place.scheme == UDP:
        return await UdpLink.open(place.host, place.port, client_sap, server_sap, clock)
    if place.scheme == TCP:
        return WrapperLink(await _connect(place, clock), client_sap, server_sap, clock)
    port: BytePort
    if place.scheme == HDLC_TCP:
        port = await _connect(place, clock)
    else:
        port = await _serial(place, clock)
    try:
        return _hdlc(place, port, client_sap, server_sap, clock, timeout_ms, tries)
    except ValueError as error:
        await port.close()
        raise CallProblem(str(error)) from None


def _hdlc(
    place: Place,
    port: BytePort,
    client_sap: int,
    server_sap: int,
    clock: Clock,
    timeout_ms: int,
    tries: int,
) -> Link:
    """ValueError where the addresses are not HDLC's."""
    defaults = Settings()
    settings = Settings(
        place.option("frame", defaults.information),
        place.option("window", defaults.window),
        min(timeout_ms, defaults.response_ms),
        tries,
    )
    lower, size = place.option("physical", -1), place.option("bytes", 0)
    return HdlcLink(port, clock, client_sap, server_sap, lower, size, settings)


async def _serial(place: Place, clock: Clock) -> SerialPort:
    """The line, brought to HDLC's speed by mode E where that is wanted."""
    baud = place.option("baud", DEFAULT_BAUD)
    if not place.option("mode_e", 0):
        return await SerialPort.open(place.device, baud)
    line = await SerialPort.open(place.device, FIRST_BAUD)
    try:
        await open_mode_e(line, clock, fastest=baud)
    except BaseException:
        await line.close()
        raise
    return line


async def _connect(place: Place, clock: Clock) -> TcpPort:
    try:
        return await clock.wait_for_ms(TcpPort.open(place.host, place.port), CONNECT_MS)
    except asyncio.TimeoutError:
        raise OSError("no TCP connection within %d s" % (CONNECT_MS // 1000)) from None


class WrapperLink:
    """A Link (hal.ports) over one byte stream that carries the DLMS wrapper."""

    max_apdu = MAX_APDU

    def __init__(self, port: BytePort, client_sap: int, server_sap: int, clock: Clock) -> None:
        self._port = port
        self._saps = (server_sap, client_sap)
        self._clock = clock
        self._unwrapper = Unwrapper(MAX_APDU)
        self._waiting: list[bytes] = []

    async def send(self, apdu: bytes | memoryview) -> None:
        server_sap, client_sap = self._saps
        await self._port.write(wrap(client_sap, server_sap, apdu))

    async def receive(self, timeout_ms: int) -> bytes:
        """As hal.ports.Link. An APDU that has come in part has more time: each part gives as much
        again, up to SLOWER times in all."""
        first = self._clock.ticks_ms()
        deadline = first + timeout_ms
        while not self._waiting:
            left = deadline - self._clock.ticks_ms()
            if left <= 0:
                raise asyncio.TimeoutError
            data = await self._clock.wait_for_ms(self._port.read(), left)
            if not data:
                raise ConnectionResetError("the meter closed the connection")
            try:
                frames = self._unwrapper.feed(data)
            except ValueError as error:
                raise OSError("not a DLMS wrapper at the other end: %s" % error) from None
            self._waiting += [apdu for *saps, apdu in frames if tuple(saps) == self._saps]
            if self._unwrapper.coming() == self._saps:
                now = self._clock.ticks_ms()
                deadline = min(now + timeout_ms, first + SLOWER * timeout_ms)
        return self._waiting.pop(0)

    async def close(self) -> None:
        await self._port.close()
