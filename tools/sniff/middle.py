"""In the middle of a modem's line: the modem's port is opened, another one is offered to the
gateway, and what passes either way is recorded.

As on a wire: bytes go on unchanged and at once, nobody is asked. When the modem's port is lost the
offered one is dropped, and both come back together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TextIO

from hal.cpython.clock import SystemClock
from hal.cpython.ports import open_port
from hal.ports import BytePort, PortError
from hal.rt import port_url
from tools.emulator.line import Line, PtyLine, TcpLine
from tools.sniff import recording
from tools.sniff.frame import Chunk

_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.5, 30.0
_MOST_WAITING = 1024  # chunks on their way to the screen


def offered(url: str) -> Line:
    """The line of pty:/path/of/link or tcp://host:port. PortError."""
    if url.startswith("pty:") and len(url) > 4:
        return PtyLine(Path(url[4:]))
    if url.startswith("tcp://"):
        place = port_url.parse(url)
        return TcpLine(place.port, place.place)
    raise PortError("--offer %r: expected pty:/path/of/link or tcp://host:port" % url)


class Middle:
    """`file` gets the recording; run() gives what passes for the screen. Where the screen is slower
    than the line, it is the screen that misses something: `missed` chunks."""

    def __init__(self, url: str, line: Line, file: TextIO) -> None:
        self._url = url
        self._line = line
        self._file = file
        self._clock = SystemClock()
        self._port: BytePort | None = None
        self._passing: asyncio.Queue[Chunk | None] = asyncio.Queue(_MOST_WAITING)
        self._to_modem: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
        self._began_ms = 0
        self.missed = 0

    async def run(self, seconds: float) -> AsyncIterator[Chunk]:
        """Until cancelled, or for so many seconds (0: no limit). OSError, PortError: the modem's
        port cannot be opened at the start."""
        self._port = await open_port(self._url, self._clock)
        self._began_ms = time.time_ns() // 1_000_000
        recording.begin(self._file, self._began_ms, "ami-sniff --record of %s" % self._url)
        tasks = []
        try:
            await self._line.start(self._from_host, self._connected)
            tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
            until = time.monotonic() + seconds if seconds else float("inf")
            while (left := until - time.monotonic()) > 0:
                try:
                    chunk = await asyncio.wait_for(self._passing.get(), min(left, 2.5))
                except TimeoutError:
                    chunk = Chunk(b"", self._now_ms() + self._began_ms)
                if chunk is None:
                    break
                yield chunk
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            recording.put_line(self._file, self._now_ms(), "closed")
            await self._line.stop()
            if self._port is not None:
                await self._port.close()
        for error in ended:
            if isinstance(error, Exception):
                raise error

    def _now_ms(self) -> int:
        return max(0, time.time_ns() // 1_000_000 - self._began_ms)

    def _connected(self) -> None:
        recording.put_line(self._file, self._now_ms(), "open")

    def _from_host(self, data: bytes) -> None:
        if self._port is None or self._to_modem.full():
            return  # as on a line without flow control
        self._seen(True, data)
        self._to_modem.put_nowait(data)

    def _seen(self, outward: bool, data: bytes) -> None:
        at_ms = self._now_ms()
        recording.put_bytes(self._file, at_ms, outward, data)
        if self._passing.full():
            self.missed += 1
        else:
            self._passing.put_nowait(Chunk(data, at_ms + self._began_ms, outward))

    async def _write(self) -> None:
        while True:
            data = await self._to_modem.get()
            try:
                if self._port is not None:
                    await self._port.write(data)
            except OSError:
                pass  # _read() sees it too

    async def _read(self) -> None:
        backoff = _FIRST_BACKOFF_S
        while True:
            try:
                data = await self._port.read() if self._port is not None else b""
            except OSError:
                data = b""
            if data:
                backoff = _FIRST_BACKOFF_S
                self._seen(False, data)
                self._line.send(data)
                continue
            if self._port is not None:
                port, self._port = self._port, None
                recording.put_line(self._file, self._now_ms(), "closed")
                self._line.drop()
                await port.close()
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, _LONGEST_BACKOFF_S)
            try:
                self._port = await open_port(self._url, self._clock)
            except (OSError, TimeoutError):
                pass
