"""Meters over TCP: the DLMS wrapper (IEC 62056-4-7), one connection per meter, usually to port
4059.

Connections are opened by the first frame for a meter, closed when idle, and bounded in number. A
connection that cannot be opened, or dies, fails the frames waiting for it and nothing else. One
over which a meter floods (allowance.py), or sends what is no wrapper, is closed.
"""

from __future__ import annotations

import asyncio

from hal.modem.allowance import LISTEN, Allowances
from hal.modem.on_sockets import OnSockets, no_way
from hal.modem.wrapper import Unwrapper, wrap
from hal.ports import (
    BadAddress,
    Busy,
    Capabilities,
    Coming,
    Left,
    Misbehaves,
    ModemReset,
    PortClosed,
    Quality,
    Rx,
    TooLong,
    TxDone,
    Unreachable,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hal.ports import BytePort, Clock, ModemError

STATUS_OK = 0
STATUS_UNREACHABLE = 1
_MOST_HUNG_UP = 64  # meters remembered
_MAX_WAITING = 8  # frames for one connection that is being opened


def split_address(address: str) -> tuple[str, int]:
    """ "host:port", also "[v6]:port", to its parts. BadAddress when it is not that."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadAddress("an IP path is host:port, not %r" % address)
    if host[0] == "[" and host[-1] == "]":
        host = host[1:-1]
    return host, int(port)


class _Connection:
    def __init__(self, host: str, port: int, now_ms: int) -> None:
        self.host = host
        self.port = port
        self.used = now_ms
        self.waiting: list[tuple[int, bytes]] = []
        self.unanswered = False  # something has been sent since the meter was heard
        self.more = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class Ip(OnSockets):
    """A `Modem` over TCP. Address text is "host:port".

    connect(host, port) opens a byte port. limit: connections at once; a new meter takes the place
    of the one unused for longest if that is `spare_ms` ago, else Busy. idle_ms: unused ones are
    closed. mtu: largest APDU either way, in bytes."""

    def __init__(
        self,
        connect: Callable[[str, int], Awaitable[BytePort]],
        clock: Clock,
        limit: int = 32,
        idle_ms: int = 60000,
        spare_ms: int = 5000,
        connect_ms: int = 10000,
        mtu: int = 8192,
    ) -> None:
        super().__init__("ip")
        self.capabilities = Capabilities("ip", mtu, 0, limit, joins=False, addresses="host:port")
        self._connect = connect
        self._clock = clock
        self._limit = limit
        self._idle_ms = idle_ms
        self._spare_ms = spare_ms
        self._connect_ms = connect_ms
        self._connections: dict[str, _Connection] = {}
        self._allowances = Allowances("modem ip")
        self._hung_up: dict[str, int] = {}  # address: how often in a row, without an answer
        self._counts = {"sent": 0, "received": 0, "failed": 0, "opened": 0, "malformed": 0}

    async def send(
        self,
        address: str,
        data: bytes | memoryview,
        source_sap: int,
        destination_sap: int,
        route: list[str] | None = None,
    ) -> int:
        await self._begin()
        if len(data) > self.capabilities.unicast_mtu:
            raise TooLong(
                "IP paths take %d bytes, not %d" % (self.capabilities.unicast_mtu, len(data))
            )
        frame = wrap(source_sap, destination_sap, data)
        split_address(address)
        self._allowances.asked(address, self._clock.ticks_ms())
        connection = self._connections.get(address) or self._open(address)
        if len(connection.waiting) >= _MAX_WAITING:
            raise Busy("%d frames wait for %s" % (len(connection.waiting), address))
        self._last_handle += 1
        connection.waiting.append((self._last_handle, frame))
        connection.used = self._clock.ticks_ms()
        connection.more.set()
        return self._last_handle

    def nodes(self) -> list[str]:
        """Meters with a connection."""
        return list(self._connections)

    async def kick(self, address: str) -> None:
        """Close the meter's connection; the next frame opens another."""
        split_address(address)
        await self._drop(address)

    async def reset(self) -> None:
        """Close all connections."""
        for address in list(self._connections):
            await self._drop(address)
        self._events.put(ModemReset())

    def statistics(self) -> dict[str, int]:
        counts = dict(self._counts)
        counts["connections"] = len(self._connections)
        counts["floods"] = self._allowances.floods
        return counts

    async def close(self) -> None:
        self._closed = True
        self._events.wake()
        for address in list(self._connections):
            await self._drop(address)

    async def _begin(self) -> None:
        if self._closed:
            raise OSError("ip: closed")

    def _open(self, address: str) -> _Connection:
        host, port = split_address(address)
        now = self._clock.ticks_ms()
        if len(self._connections) >= self._limit:
            oldest = min(self._connections, key=lambda other: self._connections[other].used)
            connection = self._connections[oldest]
            if connection.waiting or now - connection.used < self._spare_ms:
                raise Busy("%d connections are open and in use" % len(self._connections))
            self._connections.pop(oldest)
            if connection.task is not None:
                connection.task.cancel()
        connection = _Connection(host, port, now)
        self._connections[address] = connection
        connection.task = asyncio.create_task(self._run(address, connection))
        return connection

    async def _drop(self, address: str) -> None:
        connection = self._connections.pop(address, None)
        if connection is not None and connection.task is not None:
            connection.task.cancel()
            try:
                await connection.task
            except asyncio.CancelledError:
                pass

    async def _run(self, address: str, connection: _Connection) -> None:
        """The life of one connection. A fault of our own comes out of event()."""
        port: BytePort | None = None
        reader: asyncio.Task[None] | None = None
        why: ModemError | None = None
        began = self._clock.ticks_ms()
        try:
            try:
                port = await self._clock.wait_for_ms(
                    self._connect(connection.host, connection.port), self._connect_ms
                )
                self._counts["opened"] += 1
                reader = asyncio.create_task(self._read(address, connection, port))
                await self._write(address, connection, port, reader)
                if reader.done() and connection.unanswered:
                    self._hangs_up(address)
            except asyncio.TimeoutError:
                if port is None:
                    text = "%s takes no connection within %d ms"
                    why = Unreachable(text % (address, self._connect_ms))
            except OSError as error:
                if port is None:
                    why = no_way(address, error, self._clock.ticks_ms() - began)
        except Exception as fault:
            self._fault = fault
        finally:
            if self._connections.get(address) is connection:
                self._connections.pop(address)
            for handle, _ in connection.waiting:
                self._done(handle, STATUS_UNREACHABLE, why)
            connection.waiting = []
            if reader is not None and not reader.done():
                reader.cancel()
            if port is not None:
                try:
                    await port.close()
                except OSError:
                    pass
            self._events.wake()

    async def _write(
        self, address: str, connection: _Connection, port: BytePort, reader: asyncio.Task[None]
    ) -> None:
        """Send what waits, until the meter closes or nothing happened for `idle_ms`."""
        while True:
            connection.more.clear()
            if reader.done() or self._connections.get(address) is not connection:
                return
            while connection.waiting:
                handle, frame = connection.waiting[0]
                await self._clock.wait_for_ms(port.write(frame), self._connect_ms)
                connection.waiting.pop(0)
                connection.unanswered = True
                self._done(handle, STATUS_OK)
            idle = self._clock.ticks_ms() - connection.used
            if idle >= self._idle_ms:
                return
            try:
                await self._clock.wait_for_ms(connection.more.wait(), self._idle_ms - idle)
            except asyncio.TimeoutError:
                pass

    async def _read(self, address: str, connection: _Connection, port: BytePort) -> None:
        unwrapper = Unwrapper(self.capabilities.unicast_mtu)
        try:
            while True:
                data = await port.read()
                if not data:
                    return
                connection.used = self._clock.ticks_ms()
                connection.unanswered = False
                self._hung_up.pop(address, None)
                for source, destination, apdu in unwrapper.feed(data):
                    self._counts["received"] += 1
                    if self._allowances.heard(address, connection.used) != LISTEN:
                        complaint = self._allowances.complaint(address, connection.used)
                        self._events.put(Left(address, complaint))
                        return
                    self._events.put(Rx(address, source, destination, apdu, Quality()))
                self._tell_coming(address, unwrapper.coming())
                await self._events.room()
        except OSError:
            return
        except ValueError as error:
            self._counts["malformed"] += 1
            self._events.put(Left(address, Misbehaves("%s: %s" % (address, error))))
        except Exception as fault:
            self._fault = fault
        finally:
            connection.more.set()

    def _hangs_up(self, address: str) -> None:
        """The meter has taken a frame and closed the connection. Once that may be an old connection
        that it has forgotten: another try opens a new one. Then it is its answer."""
        times = self._hung_up.get(address, 0) + 1
        if len(self._hung_up) < _MOST_HUNG_UP or address in self._hung_up:
            self._hung_up[address] = times
        error: Exception = asyncio.TimeoutError()
        if times > 1:
            text = "%s closes the connection without an answer, %d times"
            error = PortClosed(text % (address, times))
        self._events.put(Left(address, error))

    def _tell_coming(self, address: str, saps: tuple[int, int] | None) -> None:
        last = self._events.last()
        told = isinstance(last, Coming) and last.address == address
        if saps is not None and not told:
            self._events.put(Coming(address, saps[0], saps[1]))

    def _done(self, handle: int, status: int, why: ModemError | None = None) -> None:
        self._counts["failed" if status else "sent"] += 1
        self._events.put(TxDone(handle, status, why))
