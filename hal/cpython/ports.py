"""Byte ports by their URL (hal/rt/port_url.py)."""

from __future__ import annotations

from hal.cpython import usb_serial
from hal.cpython.serial import SerialPort
from hal.cpython.tcp import TcpPort
from hal.ports import PortError
from hal.rt.port_url import SERIAL, TCP, UART, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hal.ports import BytePort, Clock

CONNECT_MS = 10_000


def opener(uarts: dict[str, str]) -> Callable[[str, Clock], Awaitable[BytePort]]:
    """The open_port() of a board whose UARTs have these names; each is a device, or a USB adapter
    spelt "usb:vendor:product[:serial]"."""

    async def open_port(url: str, clock: Clock) -> BytePort:
        """PortError: no such URL here; OSError: it cannot be opened; asyncio.TimeoutError: nobody
        answers within 10 s."""
        wanted = parse(url)
        if wanted.kind == TCP:
            return await clock.wait_for_ms(TcpPort.open(wanted.place, wanted.port), CONNECT_MS)
        device = wanted.place
        if wanted.kind == UART:
            if device not in uarts:
                names = ", ".join(sorted(uarts)) or "none"
                raise PortError("this board has no UART %r; it has %s" % (device, names))
            device = uarts[device]
        elif wanted.kind != SERIAL:
            device = "usb:" + device
        if device.startswith("usb:"):
            device = usb_serial.device_of(parse(device).place)
        return await SerialPort.open(device, wanted.baud, wanted.format, wanted.rs485)

    return open_port


open_port = opener({})  # of a machine without names for its UARTs
