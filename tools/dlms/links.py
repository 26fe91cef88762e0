"""From a Place to a Link, over real lines."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from typing import TypeVar

from gateway.dlms.hdlc.link import HdlcLink
from gateway.dlms.hdlc.mode_e import FIRST_BAUD, open_mode_e
from gateway.dlms.hdlc.settings import Settings
from hal.cpython.serial import SerialPort
from hal.cpython.tcp import TcpPort
from hal.cpython.udp import UdpLink
from hal.modem.wrapper import MAX_APDU, Unwrapper, wrap
from hal.ports import BytePort, Clock, Link, SerialLine
from tools.dlms.com_port import ComPort, FixedSpeed
from tools.dlms.failure import CallProblem
from tools.dlms.place import HDLC_SERIAL, TCP, UDP, Place

CONNECT_MS = 10_000
SLOWER = 10
DEFAULT_BAUD = 9600
OVERHEAD = 20  # what HDLC adds to the information of a frame, at most
BITS = 10  # of a character on the line

T = TypeVar("T")


async def open_link(
    place: Place, client_sap: int, server_sap: int, clock: Clock, timeout_ms: int, tries: int
) -> Link:
    """A link to the meter. OSError says what could not be opened. `timeout_ms` and `tries` are for
    one frame, where the link itself repeats frames."""
    if place.scheme == UDP:
        return await UdpLink.open(place.host, place.port, client_sap, server_sap, clock)
    if place.scheme == TCP:
        port = await _opened(TcpPort.open(place.host, place.port), clock)
        return WrapperLink(port, client_sap, server_sap, clock)
    line, baud = await open_line(place, clock)
    try:
        return _hdlc(place, line, baud, client_sap, server_sap, clock, timeout_ms, tries)
    except ValueError as error:
        await line.close()
        raise CallProblem(str(error)) from None


def _hdlc(
    place: Place,
    port: BytePort,
    baud: int,
    client_sap: int,
    server_sap: int,
    clock: Clock,
    timeout_ms: int,
    tries: int,
) -> Link:
    """`baud` 0: not known. ValueError where the addresses are not HDLC's."""
    defaults = Settings()
    frame = place.option("frame", defaults.information)
    window = place.option("window", defaults.window)
    sending_ms = window * (frame + OVERHEAD) * BITS * 1000 // baud if baud else 0
    settings = Settings(frame, window, min(timeout_ms, defaults.response_ms) + sending_ms, tries)
    lower, size = place.option("physical", -1), place.option("bytes", 0)
    return HdlcLink(port, clock, client_sap, server_sap, lower, size, settings)


async def open_line(place: Place, clock: Clock) -> tuple[BytePort, int]:
    """The line, brought to HDLC's speed by mode E where that is wanted, and this speed (0: not
    known)."""
    mode_e = place.option("mode_e", 0) != 0
    line: SerialLine
    if place.scheme == HDLC_SERIAL:
        fastest = place.option("baud", DEFAULT_BAUD)
        line = await SerialPort.open(place.device, FIRST_BAUD if mode_e else fastest)
    elif place.option("rfc2217", 0):
        fastest = place.option("baud", DEFAULT_BAUD)
        start = FIRST_BAUD if mode_e else fastest
        line = await _opened(ComPort.open(place.host, place.port, start), clock)
    else:
        fastest = place.option("baud", FIRST_BAUD if mode_e else 0)
        line = FixedSpeed(await _opened(TcpPort.open(place.host, place.port), clock), fastest)
    if not mode_e:
        return line, fastest
    try:
        found = await open_mode_e(line, clock, fastest=fastest)
    except BaseException:
        await line.close()
        raise
    return line, fastest if found is None else found.baud


async def _opened(opening: Awaitable[T], clock: Clock) -> T:
    """OSError tells after how long there was no connection."""
    start = clock.ticks_ms()
    try:
        return await clock.wait_for_ms(opening, CONNECT_MS)
    except asyncio.TimeoutError:
        raise OSError("no TCP connection within %d s" % (CONNECT_MS // 1000)) from None
    except OSError as error:
        number = error.errno if error.errno is not None and error.errno > 0 else 0
        why = os.strerror(number) if number else error.strerror or str(error)
        raise OSError("%s, after %d ms" % (why, clock.ticks_ms() - start)) from None


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
