"""A serial line (tty) of the unix port as BytePort (a board's is StreamPort(machine.UART(...)))."""

from __future__ import annotations

import errno
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
_TCSADRAIN = 1
_SPEEDS = {
    300: 0o7,
    600: 0o10,
    1200: 0o11,
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


class SerialPort(StreamPort):
    """See hal.ports.SerialLine. Make one with `await SerialPort.open(...)`."""

    @staticmethod
    async def open(device: str, baud: int) -> SerialPort:
        """8N1, no flow control, for ourselves alone; OSError when absent or in use."""
        speed = _speed(baud)
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
        return SerialPort(line)

    async def set_baud(self, baud: int) -> None:
        """See hal.ports.SerialLine."""
        speed = _speed(baud)
        if self._closed:
            raise OSError(errno.EBADF, "the port is closed")
        fd = self._line.fileno()
        attributes = termios.tcgetattr(fd)
        attributes[4] = attributes[5] = speed
        termios.tcsetattr(fd, _TCSADRAIN, attributes)


def _speed(baud: int) -> int:
    speed = _SPEEDS.get(baud)
    if speed is None:
        raise PortError("serial: %d baud is not one of %s" % (baud, sorted(_SPEEDS.keys())))
    return speed
