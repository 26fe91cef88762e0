"""Serial lines behind a serial server, as the SerialLine (hal.ports) that mode E needs: with the
speed of the server, or one that is set over the network by RFC 2217 (telnet COM port control).
"""

from __future__ import annotations

import asyncio
import threading
import warnings

from serial.rfc2217 import Serial

from gateway.dlms.hdlc.mode_e import FIRST_BAUD
from hal.ports import BytePort, PortError

POLL_S = 0.2  # the thread that reads looks so often whether it is still wanted


class FixedSpeed:
    """A byte port whose far end stays at `baud`: mode E may choose that speed only."""

    def __init__(self, port: BytePort, baud: int) -> None:
        self._port = port
        self._baud = baud

    async def set_baud(self, baud: int) -> None:
        # The opening is at 300 baud by the standard; many meters take it at their own speed too.
        if baud not in (self._baud, FIRST_BAUD):
            raise PortError(
                "the serial server stays at %d baud, the meter goes on at %d: set the server to"
                " %d and give baud=%d, or rfc2217=1 where it knows that"
                % (self._baud, baud, baud, baud)
            )

    async def read(self) -> bytes:
        return await self._port.read()

    async def write(self, data: bytes | memoryview) -> None:
        await self._port.write(data)

    async def close(self) -> None:
        await self._port.close()


class ComPort:
    """A line whose speed the server changes when asked (RFC 2217), by pyserial. Make one with
    `await ComPort.open(host, port, baud)`."""

    def __init__(self, line: Serial) -> None:
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self._closed = False
        self._reader = threading.Thread(target=self._pump, daemon=True)
        self._reader.start()

    @classmethod
    async def open(cls, host: str, port: int, baud: int) -> ComPort:
        """OSError when there is no such server, or it does not know RFC 2217."""
        host = "[%s]" % host if ":" in host else host

        def connect() -> Serial:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of pyserial's own threads
                return Serial("rfc2217://%s:%d" % (host, port), baudrate=baud, timeout=POLL_S)

        return cls(await asyncio.to_thread(connect))

    async def set_baud(self, baud: int) -> None:
        def change() -> None:
            self._line.baudrate = baud

        try:
            await asyncio.to_thread(change)
        except ValueError as error:
            raise PortError("the serial server does not take %d baud: %s" % (baud, error)) from None

    async def read(self) -> bytes:
        return await self._arrived.get()

    async def write(self, data: bytes | memoryview) -> None:
        await asyncio.to_thread(self._line.write, bytes(data))

    async def close(self) -> None:
        self._closed = True
        await asyncio.to_thread(self._reader.join)
        await asyncio.to_thread(self._line.close)

    def _pump(self) -> None:
        """In a thread of its own: pyserial's lines wait for their bytes."""
        while not self._closed:
            try:
                data = self._line.read(max(1, self._line.in_waiting))
            except OSError:
                self._loop.call_soon_threadsafe(self._arrived.put_nowait, b"")
                return
            if data:
                self._loop.call_soon_threadsafe(self._arrived.put_nowait, data)
