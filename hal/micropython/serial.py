"""A serial line (tty) of the unix port as BytePort (a board's is StreamPort(machine.UART(...)))."""

from __future__ import annotations

import os
import termios

import ffi

from hal.micropython.stream_port import StreamPort
from hal.ports import PortError

# Linux, include/uapi/asm-generic/{fcntl,termbits,ioctls}.h
_O_RDWR = 0o2
_O_NOCTTY = 0o400
_O_NONBLOCK = 0o4000
_O_CLOEXEC = 0o2000000
_TIOCEXCL = 0x540C
_CLOCAL_CREAD = 0o4000 | 0o200
_CSTOPB_CRTSCTS = 0o100 | 0o20000000000
_SPEEDS = {
    2400: 0o13,
    4800: 0o14,
    9600: 0o15,
    19200: 0o16,
    38400: 0o17,
    57600: 0o10001,
    115200: 0o10002,
    230400: 0o10003,
    460800: 0o10004,
    921600: 0o10007,
}

_libc = ffi.open(None)
_open = _libc.func("i", "open", "si")
_close = _libc.func("i", "close", "i")
_ioctl = _libc.func("i", "ioctl", "iii")


class SerialPort:
    """Makes byte ports of ttys."""

    @staticmethod
    async def open(device: str, baud: int) -> StreamPort:
        """8N1, no flow control, for ourselves alone; OSError when absent or in use."""
        speed = _SPEEDS.get(baud)
        if speed is None:
            raise PortError(
                "serial %s: %d baud is not one of %s" % (device, baud, sorted(_SPEEDS.keys()))
            )
        # MicroPython's own open() blocks, and with it the whole loop.
        fd = _open(device, _O_RDWR | _O_NOCTTY | _O_NONBLOCK | _O_CLOEXEC)
        if fd < 0:
            raise OSError(os.errno(), device)  # pyright: ignore[reportAttributeAccessIssue]
        try:
            termios.setraw(fd)
            attributes = termios.tcgetattr(fd)
            attributes[2] = attributes[2] & ~_CSTOPB_CRTSCTS | _CLOCAL_CREAD
            attributes[4] = attributes[5] = speed
            termios.tcsetattr(fd, termios.TCSANOW, attributes)
            _ioctl(fd, _TIOCEXCL, 0)
        except OSError:
            _close(fd)
            raise
        line = open(fd, "r+b", 0)  # noqa: SIM115, ASYNC230 - of a descriptor, closed by the port
        return StreamPort(line)
