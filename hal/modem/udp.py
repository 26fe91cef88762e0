"""Meters with addresses of their own over UDP: the DLMS wrapper (IEC 62056-4-7), one APDU to a
datagram, usually to port 4059.

So are the meshes of G3-PLC and Wi-SUN: on Linux their coordinator shows a TUN interface, and the
meters behind it have IPv6 addresses. Which kind of path that is (power line, radio, plain IP) only
the board knows. UDP says nothing of what became of a datagram: the client's timeout does.
"""

from __future__ import annotations

import asyncio
import errno

from hal.modem.allowance import FLOODS, LISTEN, Allowances
from hal.modem.ip import split_address
from hal.modem.on_sockets import OnSockets, no_way
from hal.modem.wrapper import HEADER, unwrap, wrap
from hal.ports import (
    BROADCAST,
    Busy,
    Capabilities,
    Left,
    ModemReset,
    NoRoute,
    Quality,
    Rx,
    TooLong,
    TxDone,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hal.ports import Clock, Datagrams

MTU = 1280  # what every IPv6 link carries whole (RFC 8200 5), and 6LoWPAN meshes no more
MAX_APDU = MTU - 40 - 8 - HEADER  # after the headers of IPv6, UDP and wrapper
_MAX_PLACES = 4096
_NO_ROOM = (errno.EAGAIN, errno.ENOBUFS)
_RETRY_MS = 1000
_AT_ONCE = 16  # datagrams, before others have their turn
_STRANGERS = "who is no meter"  # all of them have one allowance


class Udp(OnSockets):
    """A `Modem` over UDP. Address text is "[v6]:port" or "host:port".

    open_port() opens a `Datagrams`. kind: of the paths it serves. group: the address of a multicast
    group that all meters are in, "" when there is none; "[ff03::1]:4059" is a mesh's all nodes (RFC
    7346), and the routing table has to lead it to the mesh.
    """

    def __init__(
        self,
        open_port: Callable[[], Awaitable[Datagrams]],
        clock: Clock,
        kind: str = "ip",
        group: str = "",
    ) -> None:
        super().__init__("udp " + kind)
        self.capabilities = Capabilities(
            kind, MAX_APDU, MAX_APDU if group else 0, 32, joins=False, addresses="host:port"
        )
        self._open_port = open_port
        self._clock = clock
        self._group = group
        self._port: Datagrams | None = None
        self._reader: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()
        self._places: dict[str, object] = {}
        self._addresses: dict[object, str] = {}  # as they were spelt, by their place
        self._heard: set[str] = set()
        self._allowances = Allowances("modem " + self._name)
        names = ("sent", "received", "malformed", "stranger", "failed", "opened")
        self._counts = dict.fromkeys(names, 0)

    async def send(
        self,
        address: str,
        data: bytes | memoryview,
        source_sap: int,
        destination_sap: int,
        route: list[str] | None = None,
    ) -> int:
        if len(data) > MAX_APDU:
            raise TooLong("UDP paths take %d bytes, not %d" % (MAX_APDU, len(data)))
        port = await self._ready()
        if address == BROADCAST:
            if not self._group:
                raise NoRoute("%s: no multicast group is configured" % self._name)
            address = self._group
        frame = wrap(source_sap, destination_sap, data)
        began = self._clock.ticks_ms()
        self._allowances.asked(address, began)
        try:
            await port.send(frame, await self._place(port, address))
        except OSError as error:
            if error.errno == errno.EBADF:
                raise
            if error.errno in _NO_ROOM:
                raise Busy("%s: the interface has no room now" % self._name)
            self._counts["failed"] += 1
            raise no_way(address, error, self._clock.ticks_ms() - began)
        self._counts["sent"] += 1
        self._last_handle += 1
        self._events.put(TxDone(self._last_handle, 0))
        return self._last_handle

    def nodes(self) -> list[str]:
        """Meters that have answered."""
        return list(self._heard)

    async def kick(self, address: str) -> None:
        """Forget where the name or address led; the next frame looks it up again."""
        split_address(address)
        place = self._places.pop(address, None)
        if place is not None:
            self._addresses.pop(place, None)
        self._heard.discard(address)

    async def reset(self) -> None:
        """Open another port and forget all places."""
        await self._drop()
        self._events.put(ModemReset())

    def statistics(self) -> dict[str, int]:
        counts = dict(self._counts)
        counts["floods"] = self._allowances.floods
        return counts

    async def close(self) -> None:
        self._closed = True
        await self._drop()
        self._events.wake()

    async def _begin(self) -> None:
        await self._ready()

    async def _ready(self) -> Datagrams:
        async with self._opening:
            if self._closed:
                raise OSError(errno.EBADF, "%s: closed" % self._name)
            if self._port is None:
                self._port = await self._open_port()
                self._counts["opened"] += 1
                self._reader = asyncio.create_task(self._read(self._port))
            return self._port

    async def _drop(self) -> None:
        port, reader = self._port, self._reader
        self._port = self._reader = None
        self._places = {}
        self._addresses = {}
        self._heard = set()
        if reader is not None:
            reader.cancel()
            try:
                await reader
            except asyncio.CancelledError:
                pass
        if port is not None:
            await port.close()
        self._events.wake()

    async def _place(self, port: Datagrams, address: str) -> object:
        place = self._places.get(address)
        if place is None:
            host, number = split_address(address)
            place = await port.place(host, number)
            if len(self._places) >= _MAX_PLACES:
                self._places = {}
                self._addresses = {}
            self._places[address] = place
            self._addresses[place] = address
        return place

    async def _read(self, port: Datagrams) -> None:
        """A fault of our own comes out of event()."""
        number = 0
        try:
            while True:
                number += 1
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(0)  # one that is here already comes without waiting
                try:
                    datagram, place = await port.receive()
                except OSError:
                    # What the network said of an earlier datagram; nothing that would not pass.
                    await self._clock.sleep_ms(_RETRY_MS)
                    continue
                self._received(port, datagram, place)
                await self._events.room()
        except Exception as fault:
            self._fault = fault
            self._events.wake()

    def _received(self, port: Datagrams, datagram: bytes, place: object) -> None:
        address = self._addresses.get(place)
        who, now_ms = address or _STRANGERS, self._clock.ticks_ms()
        said = self._allowances.heard(who, now_ms)
        if said != LISTEN:
            if said == FLOODS and address is not None:
                self._events.put(Left(address, self._allowances.complaint(address, now_ms)))
            return
        try:
            source, destination, apdu = unwrap(datagram)
        except ValueError:
            self._counts["malformed"] += 1
            return
        self._counts["received"] += 1
        if address is None:
            self._counts["stranger"] += 1
            address = port.text(place)
        elif len(self._heard) < _MAX_PLACES:
            self._heard.add(address)
        self._events.put(Rx(address, source, destination, apdu, Quality()))
