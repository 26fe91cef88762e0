"""A serial line (tty) as BytePort: pyserial sets it up, the loop watches its descriptor."""

from __future__ import annotations

import asyncio
import errno
import os
import termios

import serial
from serial.rs485 import RS485Settings

from hal.ports import PortError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 4096


class SerialPort:
    """See hal.ports.SerialLine; no flow control. Make one with `await SerialPort.open(...)`."""

    def __init__(self, line: serial.Serial) -> None:
        self._line = line
        self._fd: int = line.fileno()
        self._waiting: list[asyncio.Event] = []  # for the line, one reader and one writer

    @classmethod
    async def open(
        cls, device: str, baud: int, format: str = "8N1", rs485: bool = False
    ) -> SerialPort:
        """Open for ourselves alone. `format`, `rs485`: see hal/rt/port_url.py. OSError when absent,
        in use, or without what is asked of it."""
        try:
            line = serial.Serial(
                device,
                baud,
                bytesize=int(format[0]),
                parity=format[1],
                stopbits=int(format[2]),
                timeout=0,
                exclusive=True,
            )
        except (termios.error, ValueError):
            text = "%s does not take %s at %d baud" % (device, format, baud)
            raise OSError(errno.EINVAL, text) from None
        if rs485:
            try:
                line.rs485_mode = RS485Settings()
            except (OSError, ValueError):
                line.close()
                raise OSError(errno.EINVAL, "%s cannot switch an RS-485 driver" % device) from None
        # pyserial sets VMIN to 0, with which an idle line reads as b"" like a line that is gone.
        attributes = termios.tcgetattr(line.fileno())
        attributes[6][termios.VMIN] = 1
        termios.tcsetattr(line.fileno(), termios.TCSANOW, attributes)
        return cls(line)

    async def set_baud(self, baud: int) -> None:
        """See hal.ports.SerialLine."""
        speed = getattr(termios, "B%d" % baud, None)
        if speed is None:
            raise PortError("serial: %d baud is no speed of this system" % baud)
        if self._fd < 0:
            raise OSError(errno.EBADF, "the serial port is closed")
        try:
            attributes = termios.tcgetattr(self._fd)
            attributes[4] = attributes[5] = speed
            termios.tcsetattr(self._fd, termios.TCSADRAIN, attributes)
        except termios.error as error:
            raise OSError(errno.EIO, "the serial port takes no speed: %s" % error) from None

    async def read(self) -> bytes:
        loop = asyncio.get_running_loop()
        while self._fd >= 0:
            try:
                return os.read(self._fd, CHUNK)
            except BlockingIOError:
                await self._ready(loop.add_reader, loop.remove_reader)
            except OSError:
                break  # unplugged, or the other end of a pty closed
        return b""

    async def write(self, data: bytes | memoryview) -> None:
        loop = asyncio.get_running_loop()
        rest = memoryview(data)
        while rest:
            if self._fd < 0:
                raise OSError(errno.EBADF, "the serial port is closed")
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                await self._ready(loop.add_writer, loop.remove_writer)

    async def close(self) -> None:
        if self._fd < 0:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._fd)
        loop.remove_writer(self._fd)
        self._fd = -1
        self._line.close()
        for event in self._waiting:
            event.set()

    async def _ready(self, add: Callable[..., object], remove: Callable[[int], object]) -> None:
        fd = self._fd
        event = asyncio.Event()
        self._waiting.append(event)
        add(fd, event.set)
        try:
            await event.wait()
        finally:
            self._waiting.remove(event)
            if self._fd == fd:
                remove(fd)
