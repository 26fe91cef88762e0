"""A meter at the end of a serial line: HDLC (IEC 62056-46), after an opening in protocol mode E
(IEC 62056-21) where wanted. The line is a TCP connection, or a pseudo-terminal that stands in for
an optical probe, speed and all.
"""

from __future__ import annotations

import asyncio
import os
import termios
import time
import tty
from typing import Protocol

from gateway.dlms.hdlc.mode_e import FIRST_BAUD, Identification, ModeEServer
from gateway.dlms.hdlc.numbered import Parameters
from gateway.dlms.hdlc.server import HdlcServer, Request
from tools.listener import Listener
from tools.meter.server import SERVER_SAP, MeterServer

LOWER = 17  # the physical device's address
BEST = Parameters(1024, 1024, 7, 7)  # larger information fields than most meters have
REACTION_S = 0.2  # of a meter in mode E, the shortest the standard allows
FORGET_MS = 10_000  # without an HDLC connection: the opening starts anew
CHUNK = 4096


_Answer = tuple[int, Request, list[bytes]]  # when it is ready


class Line(Protocol):
    async def read(self) -> bytes:
        """b"" when the line is gone."""

    async def write(self, data: bytes) -> None: ...

    def set_baud(self, baud: int) -> None:
        """Of the meter's end."""


class MeterHdlc:
    """One meter on any number of lines. `mode_e`: how it identifies itself there; None: HDLC at
    once."""

    def __init__(
        self,
        meter: MeterServer,
        parameters: Parameters = BEST,
        lower: int = LOWER,
        mode_e: Identification | None = None,
    ) -> None:
        self._meter = meter
        self._parameters = parameters
        self._lower = lower
        self._mode_e = mode_e
        self._listener = Listener(self._accept)
        self._pty: _Pty | None = None
        self._on_pty: asyncio.Task[None] | None = None

    async def start(self, port: int, host: str = "127.0.0.1") -> int:
        """Listen on TCP; returns the port, which is the system's choice for 0."""
        return await self._listener.start(port, host)

    def open_pty(self) -> str:
        """Serve a new pseudo-terminal; returns the device that a client opens."""
        self._pty = _Pty()
        self._on_pty = asyncio.create_task(self._serve(self._pty))
        return self._pty.device

    async def stop(self) -> None:
        await self._listener.stop()
        if self._on_pty is not None:
            self._on_pty.cancel()
            await asyncio.gather(self._on_pty, return_exceptions=True)
            self._on_pty = None
        if self._pty is not None:
            self._pty.close()
            self._pty = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._serve(_Tcp(reader, writer))

    async def _serve(self, line: Line) -> None:
        while True:
            if self._mode_e is not None and not await _opened(line, self._mode_e):
                return
            if not await self._converse(line):
                return

    async def _converse(self, line: Line) -> bool:
        """HDLC, until the line is gone (False) or, after mode E, no connection is left (True)."""
        station = HdlcServer((SERVER_SAP,), self._lower, self._parameters)
        late: list[_Answer] = []
        idle_since = _now()
        try:
            while True:
                was_connected = station.connected
                if was_connected or self._mode_e is None:
                    idle_since = _now()
                data = await _read(line, station, late, idle_since + FORGET_MS)
                if data == b"":
                    return False
                await self._work(station, line, late, data)
                ended = was_connected or _now() - idle_since >= FORGET_MS
                if self._mode_e is not None and not station.connected and ended:
                    return True
        finally:
            for client_sap in station.clients():
                self._meter.forget(client_sap)

    async def _work(
        self, station: HdlcServer, line: Line, late: list[_Answer], data: bytes | None
    ) -> None:
        if data is not None:
            station.feed(data, _now())
        for client_sap, _ in station.ended():
            self._meter.forget(client_sap)
        for request in station.requests():
            answers = self._meter.answers(request.client_sap, request.server_sap, request.apdu)
            late.append((_now() + self._meter.delay_ms, request, answers))
        while late and late[0][0] <= _now():
            _, request, answers = late.pop(0)
            station.answer(request, answers, _now())
        station.tick(_now())
        output = station.output()
        if output and not self._meter.meter.faults.dead:
            await line.write(output)


async def _read(
    line: Line, station: HdlcServer, late: list[_Answer], idle_until: int
) -> bytes | None:
    """What comes; None when it is time to do something else."""
    times = [idle_until if station.deadline is None else station.deadline]
    times += [at for at, _, _ in late[:1]]
    try:
        async with asyncio.timeout(max(0, min(times) - _now()) / 1000):
            return await line.read()
    except TimeoutError:
        return None


async def _opened(line: Line, identification: Identification) -> bool:
    """Mode E, until a client has chosen HDLC; False when the line is gone."""
    opening = ModeEServer(identification)
    baud = FIRST_BAUD
    line.set_baud(baud)
    while data := await line.read():
        answer = opening.feed(data)
        if not answer:
            continue
        await asyncio.sleep(10 * len(data) / baud + REACTION_S)
        baud = opening.baud
        line.set_baud(baud)
        await line.write(answer)
        if opening.hdlc:
            return True
    return False


def _now() -> int:
    return time.monotonic_ns() // 1_000_000


class _Tcp:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        return await self._reader.read(CHUNK)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def set_baud(self, baud: int) -> None:
        """A TCP connection has none."""


class _Pty:
    """The far end of a pseudo-terminal. It carries nothing while the two ends have different
    speeds, and has lost what nobody fetched in time, as a real line does."""

    def __init__(self) -> None:
        self._leader, self._follower = os.openpty()
        tty.setraw(self._follower)
        os.set_blocking(self._leader, False)
        self.device = os.ttyname(self._follower)
        self._speed: int | None = None  # of our end; None: whatever the other end has
        self._seen = self._theirs()

    async def read(self) -> bytes:
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = os.read(self._leader, CHUNK)
            except BlockingIOError:
                ready = asyncio.Event()
                loop.add_reader(self._leader, ready.set)
                try:
                    await ready.wait()
                finally:
                    loop.remove_reader(self._leader)
                continue
            # They were sent at the speed there is now, or at the one before.
            speeds = (self._seen, self._theirs())
            self._seen = speeds[1]
            if self._speed is None or self._speed in speeds:
                return data

    async def write(self, data: bytes) -> None:
        self._seen = self._theirs()
        if self._speed in (None, self._seen):
            try:
                os.write(self._leader, data)
            except BlockingIOError:
                pass

    def set_baud(self, baud: int) -> None:
        self._speed = getattr(termios, "B%d" % baud)

    def close(self) -> None:
        os.close(self._leader)
        os.close(self._follower)

    def _theirs(self) -> int:
        # The leader's attributes are those the client has set at its end.
        speed: int = termios.tcgetattr(self._leader)[4]
        return speed
