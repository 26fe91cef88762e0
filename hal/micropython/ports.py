"""Byte ports by their URL."""

from __future__ import annotations

from hal.micropython.tcp import TcpPort
from hal.rt.port_url import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.micropython.stream_port import StreamPort
    from hal.ports import Clock

CONNECT_MS = 10_000


async def open_port(url: str, clock: Clock) -> StreamPort:
    """The port of "tcp://host:port" or "serial:/dev/ttyX?baud=57600". PortError: no such URL;
    OSError: it cannot be opened; asyncio.TimeoutError: nobody answers within 10 s."""
    kind, place, number = parse(url)
    if kind == "serial":
        from hal.micropython.serial import SerialPort  # only the unix port has ffi and termios

        return await SerialPort.open(place, number)
    return await clock.wait_for_ms(TcpPort.open(place, number), CONNECT_MS)
