"""Where pushes come in: connections and datagrams to this computer, or a customer port's line.
Each gives whole APDUs on, with the address they came from and with who sent them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from gateway.dlms.hdlc import frames
from hal.modem.wrapper import Unwrapper, unwrap
from hal.ports import BytePort, Clock
from tools.dlms.links import open_line
from tools.dlms.place import TCP, UDP, Place

# (address for people, sender: what tells one meter from another, APDU)
Take = Callable[[str, object, bytes], None]

_CONNECTIONS = 64  # meters pushing at once; more wait
_LONGEST = 1 << 16  # bytes of an APDU put together from segments
_LLC = (b"\xe6\xe6\x00", b"\xe6\xe7\x00")


class Listener(Protocol):
    async def start(self, place: Place, clock: Clock) -> None:
        """OSError."""

    async def stop(self) -> None: ...


def listener(place: Place, take: Take) -> Listener:
    if place.scheme == TCP:
        return Streams(take)
    return Datagrams(take) if place.scheme == UDP else CustomerPort(take)


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, take: Take) -> None:
        self._take_up = take
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, place: Place, clock: Clock) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(place.host, place.port)
        )

    async def stop(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, address: Any) -> None:
        try:
            source, destination, raw = unwrap(data)
        except ValueError:
            return
        self._take_up(address[0], (address, source, destination), raw)


class Streams:
    """A meter may leave its connection open for the next push: when all is shown it is closed here,
    whoever is still connected."""

    def __init__(self, take: Take) -> None:
        self._take_up = take
        self._free = asyncio.Semaphore(_CONNECTIONS)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, place: Place, clock: Clock) -> None:
        self._server = await asyncio.start_server(self._accept, place.host, place.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._read(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        unwrapper = Unwrapper()
        try:
            async with self._free:
                while data := await reader.read(4096):
                    for source, destination, raw in unwrapper.feed(data):
                        self._take_up(peer[0], (peer, source, destination), raw)
        except (OSError, ValueError):
            pass  # gone, or no wrapper: nothing to be had from it
        finally:
            writer.close()


class CustomerPort:
    """A line on which a meter pushes in HDLC frames, some in several segments, some with an LLC
    header in the first frame of several general blocks only."""

    def __init__(self, take: Take) -> None:
        self._take_up = take
        self._port: BytePort | None = None
        self._reading: asyncio.Task[None] | None = None
        self._segments: dict[bytes, bytes] = {}

    async def start(self, place: Place, clock: Clock) -> None:
        self._port, _ = await open_line(place, clock)
        self._reading = asyncio.create_task(self._read(self._port, str(place)))

    async def stop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._port is not None:
            await self._port.close()

    async def _read(self, port: BytePort, origin: str) -> None:
        receiver = frames.Receiver()
        while data := await port.read():
            for frame in receiver.feed(data):
                if frame.kind == frames.UI:
                    self._take(origin, frame)

    def _take(self, origin: str, frame: frames.Frame) -> None:
        sender = frame.destination + frame.source
        whole = self._segments.pop(sender, b"") + bytes(frame.information)
        if frame.segmented:
            if len(self._segments) < _CONNECTIONS and len(whole) <= _LONGEST:
                self._segments[sender] = whole
            return
        while whole[:3] in _LLC:
            whole = whole[3:]
        self._take_up(origin, sender, whole)
