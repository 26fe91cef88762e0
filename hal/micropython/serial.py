"""A serial line (tty) of the unix port as BytePort (a board's is StreamPort(machine.UART(...)))."""

from __future__ import annotations

import errno
import os
import struct
import termios

import ffi

from hal.micropython.stream_port import StreamPort
from hal.ports import PortError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Linux, include/uapi/asm-generic/{fcntl,termbits,ioctls}.h
_O_RDWR = 0o2
_O_NOCTTY = 0o400
_O_NONBLOCK = 0o4000
_O_CLOEXEC = 0o2000000
_LOCK_EX_NB = 2 | 4
_TIOCSRS485 = 0x542F
_CLOCAL_CREAD = 0o4000 | 0o200
_CSTOPB, _CRTSCTS = 0o100, 0o20000000000
_DATA_BITS = {"7": 0o40, "8": 0o60}
_PARITIES = {"N": 0, "E": 0o400, "O": 0o400 | 0o1000}
_FORMAT_BITS = _CSTOPB | _DATA_BITS["8"] | _PARITIES["O"]
_INPCK = 0o20
# struct serial_rs485 (include/uapi/linux/serial.h): enabled, RTS on while sending
_RS485 = struct.pack("<I28x", 1 | 2)
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
_flock = _libc.func("i", "flock", "ii")
_ioctl_of = _libc.func("i", "ioctl", "iip")


class SerialPort(StreamPort):
    """See hal.ports.SerialLine. Make one with `await SerialPort.open(...)`."""

    @staticmethod
    async def open(device: str, baud: int, format: str = "8N1", rs485: bool = False) -> SerialPort:
        """No flow control, for ourselves alone. `format`, `rs485`: see hal/rt/port_url.py. OSError
        when absent, in use, or without what is asked of it."""
        speed = _speed(baud)
        # MicroPython's own open() blocks, and with it the whole loop.
        fd = _open(device, _O_RDWR | _O_NOCTTY | _O_NONBLOCK | _O_CLOEXEC)
        if fd < 0:
            raise OSError(os.errno(), device)  # pyright: ignore[reportAttributeAccessIssue]
        try:
            # Not TIOCEXCL: root opens the line all the same, and on a pseudo-terminal it stays when
            # the process is gone. CPython's (pyserial) locks so too.
            if _flock(fd, _LOCK_EX_NB) != 0:
                raise OSError(errno.EAGAIN, device + " is in use by another process")
            termios.setraw(fd)
            attributes = termios.tcgetattr(fd)
            flags = attributes[2] & ~(_FORMAT_BITS | _CRTSCTS)
            flags |= _CLOCAL_CREAD | _DATA_BITS[format[0]] | _PARITIES[format[1]]
            attributes[2] = flags | (_CSTOPB if format[2] == "2" else 0)
            if format[1] != "N":
                attributes[0] |= _INPCK
            attributes[4] = attributes[5] = speed
            if not _taken(fd, attributes):
                text = "%s does not take %s at %d baud" % (device, format, baud)
                raise OSError(errno.EINVAL, text)
            if rs485 and _ioctl_of(fd, _TIOCSRS485, _RS485) != 0:
                raise OSError(errno.EINVAL, device + " cannot switch an RS-485 driver")
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


def _taken(fd: int, attributes: list[Any]) -> bool:
    """Some systems refuse a format that the line has not, others leave it as it was."""
    try:
        termios.tcsetattr(fd, termios.TCSANOW, attributes)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return False
        raise
    taken: bool = termios.tcgetattr(fd)[2] & _FORMAT_BITS == attributes[2] & _FORMAT_BITS
    return taken


def _speed(baud: int) -> int:
    speed = _SPEEDS.get(baud)
    if speed is None:
        raise PortError("serial: %d baud is not one of %s" % (baud, sorted(_SPEEDS.keys())))
    return speed
