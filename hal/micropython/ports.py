"""Byte ports by their URL (hal/rt/port_url.py)."""

from __future__ import annotations

from hal.micropython.tcp import TcpPort
from hal.ports import PortError
from hal.rt.port_url import SERIAL, TCP, UART, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from hal.micropython.stream_port import StreamPort
    from hal.ports import Clock

CONNECT_MS = 10_000


def opener(
    uarts: dict[str, tuple[int, dict[str, Any]]],
) -> Callable[[str, Clock], Awaitable[StreamPort]]:
    """The open_port() of a board whose UARTs have these names; each is a machine.UART's id and what
    else its constructor takes (pins, buffers)."""

    async def open_port(url: str, clock: Clock) -> StreamPort:
        """PortError: no such URL here; OSError: it cannot be opened; asyncio.TimeoutError: nobody
        answers within 10 s."""
        wanted = parse(url)
        if wanted.kind == TCP:
            return await clock.wait_for_ms(TcpPort.open(wanted.place, wanted.port), CONNECT_MS)
        if wanted.kind == UART:
            if wanted.place not in uarts:
                names = ", ".join(sorted(uarts.keys())) or "none"
                raise PortError("this board has no UART %r; it has %s" % (wanted.place, names))
            from hal.micropython.uart import UartPort  # the unix port has no machine.UART

            number, pins = uarts[wanted.place]
            return UartPort.open(number, pins, wanted.baud, wanted.format, wanted.rs485)
        if wanted.kind == SERIAL:
            from hal.micropython.serial import SerialPort  # only the unix port has ffi and termios

            return await SerialPort.open(wanted.place, wanted.baud, wanted.format, wanted.rs485)
        raise PortError("port %r: MicroPython finds no USB adapters; use serial: or uart:" % url)

    return open_port


open_port = opener({})  # of the unix port, whose lines are devices
