"""The serial line between a modem's emulator and its host: over TCP, a pseudo-terminal, or in
memory. Each carries the bytes and nothing else.

One other end at a time, as on a wire: who connects last has the line. Bytes nobody takes are lost,
as on a UART. `damage` is done to what goes either way.
"""

from __future__ import annotations

import asyncio
import os
import select
import termios
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tools.emulator.damage import Damage
from tools.emulator.wire import Direction, Port
from tools.listener import Listener

MOST_UNSENT = 1 << 20
CHUNK = 4096
LOOK_S = 0.05  # how often a pseudo-terminal that nobody has open is looked at


class Line(Protocol):
    """What an emulator serves."""

    damage: Damage

    async def start(self, received: Callable[[bytes], None], connected: Callable[[], None]) -> None:
        """From now on `received` gets what comes; `connected` is called when another end takes the
        line."""

    def send(self, data: bytes) -> None: ...

    def drop(self) -> None:
        """Unplug for a moment: the other end sees the line close."""

    async def stop(self) -> None: ...


class TcpLine:
    """A TCP server; `port` is the system's choice for 0, and known after start()."""

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        self.port = port
        self.host = host
        self.damage = Damage()
        self._listener = Listener(self._serve)
        self._writer: asyncio.StreamWriter | None = None

    async def start(self, received: Callable[[bytes], None], connected: Callable[[], None]) -> None:
        self._received = received
        self._connected = connected
        self.port = await self._listener.start(self.port, self.host)

    async def stop(self) -> None:
        await self._listener.stop()

    def drop(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def send(self, data: bytes) -> None:
        writer = self._writer
        if writer is None or writer.is_closing():
            return
        if writer.transport.get_write_buffer_size() < MOST_UNSENT:
            writer.write(self.damage.passed(data))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.drop()
        self._writer = writer
        self._connected()
        try:
            while data := await reader.read(CHUNK):
                if self._writer is writer:
                    self._received(self.damage.passed(data))
        finally:
            if self._writer is writer:
                self._writer = None


class PtyLine:
    """A pseudo-terminal: what a program opens as a serial port, at `link` (a symbolic link, made
    anew) or else at `path`, known after start().

    `baud`: the speed of our end, at which bytes take their time and without which the other end
    hears nothing. 0: whatever the other end has, and no time."""

    def __init__(self, link: Path | None = None, baud: int = 0) -> None:
        self.path = ""
        self.damage = Damage()
        self._link = link
        self._baud = baud
        self._leader = -1
        self._open = False  # somebody has the other end open

    async def start(self, received: Callable[[bytes], None], connected: Callable[[], None]) -> None:
        self._received = received
        self._connected = connected
        self._in = Direction(self._came, self._baud, self.damage)
        self._out = Direction(self._write, self._baud, self.damage)
        self.plug()

    async def stop(self) -> None:
        self.unplug()

    def drop(self) -> None:
        self.unplug()
        self.plug()

    def send(self, data: bytes) -> None:
        if self._open:
            self._out.send(data)

    def plug(self) -> None:
        """After unplug(): it is there again, under the same link."""
        if self._leader >= 0:
            return
        self._leader, follower = os.openpty()
        tty.setraw(follower)
        self.path = os.ttyname(follower)
        os.close(follower)  # a follower of ours would hide that the other end comes and goes
        os.set_blocking(self._leader, False)
        if self._link is not None:
            fresh = self._link.with_name(self._link.name + ".new")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(self.path)
            fresh.replace(self._link)
        self._look()

    def unplug(self) -> None:
        """From now on there is no such device."""
        if self._leader < 0:
            return
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        leader, self._leader = self._leader, -1
        asyncio.get_running_loop().remove_reader(leader)
        self._looking.cancel()
        self._open = False
        os.close(leader)

    def _look(self) -> None:
        """Wait until somebody opens the other end."""
        loop = asyncio.get_running_loop()
        poll = select.poll()
        poll.register(self._leader, select.POLLIN)
        if any(state & select.POLLHUP for _, state in poll.poll(0)):
            self._looking = loop.call_later(LOOK_S, self._look)
            return
        self._open = True
        self._connected()
        loop.add_reader(self._leader, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._leader, CHUNK)
        except BlockingIOError:
            return
        except OSError:  # EIO: the other end has closed
            self._closed()
            return
        if self._same_speed():
            self._in.send(data)

    def _closed(self) -> None:
        if self._link is not None:
            # A new one: the old one's TIOCEXCL, where it was opened with that, has no end.
            self.drop()
            return
        asyncio.get_running_loop().remove_reader(self._leader)
        self._open = False
        self._look()

    def _came(self, data: bytes) -> None:
        if self._leader >= 0:
            self._received(data)

    def _write(self, data: bytes) -> None:
        if self._open and self._same_speed():
            try:
                os.write(self._leader, data)
            except OSError:  # full, or closed meanwhile: lost
                pass

    def _same_speed(self) -> bool:
        # The leader's attributes are those that the other end has set.
        speed: int = termios.tcgetattr(self._leader)[4]
        return not self._baud or speed == getattr(termios, "B%d" % self._baud)


class MemoryLine:
    """In this process, in real or simulated time; the host's end is what open() gives.

    `baud` 0: no time passes on it."""

    def __init__(self, baud: int = 115200) -> None:
        self.damage = Damage()
        self._baud = baud
        self._received: Callable[[bytes], None] | None = None
        self._port: Port | None = None
        self._out: Direction | None = None

    async def start(self, received: Callable[[bytes], None], connected: Callable[[], None]) -> None:
        self._received = received
        self._connected = connected

    async def open(self) -> Port:
        """A hal.ports.BytePort; OSError while nobody serves the line."""
        if self._received is None:
            raise OSError("nobody serves this line")
        self.drop()
        port = self._port = Port()
        port.out = Direction(lambda data: self._came(port, data), self._baud, self.damage)
        self._out = Direction(port.deliver, self._baud, self.damage)
        self._connected()
        return port

    async def stop(self) -> None:
        self.drop()
        self._received = None

    def drop(self) -> None:
        port, self._port = self._port, None
        self._out = None
        if port is not None:
            port.deliver(b"")

    def send(self, data: bytes) -> None:
        if self._out is not None:
            self._out.send(data)

    def _came(self, port: Port, data: bytes) -> None:
        if port is not self._port or self._received is None:
            return
        if data:
            self._received(data)
        else:
            self._port = None
            self._out = None
