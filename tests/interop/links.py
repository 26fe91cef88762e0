"""Our client's way to a peer, and a peer's way to be served, over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hal.cpython.tcp import TcpPort
from hal.modem.wrapper import Unwrapper, wrap

HOST = "127.0.0.1"


@asynccontextmanager
async def served(receive: Callable[[bytes], list[bytes]]) -> AsyncIterator[int]:
    """A sans-IO peer behind a TCP port, which is given. Its first fault comes out at the end."""
    faults: list[Exception] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(4096):
                for frame in receive(data):
                    writer.write(frame)
        except Exception as fault:
            faults.append(fault)
        writer.close()

    server = await asyncio.start_server(converse, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    except Exception as error:
        raise (faults or [error])[0] from error
    finally:
        server.close()
    if faults:
        raise faults[0]


class WrapperLink:
    """APDUs over TCP in the wrapper; keeps what it carried, for tests to look at."""

    max_apdu = 65535

    def __init__(self, port: TcpPort, client_sap: int, server_sap: int = 1) -> None:
        self._port = port
        self._saps = (client_sap, server_sap)
        self._cutter = Unwrapper()
        self._waiting: list[bytes] = []
        self.sent: list[bytes] = []
        self.received: list[bytes] = []

    @classmethod
    async def open(cls, port: int, client_sap: int, server_sap: int = 1) -> WrapperLink:
        return cls(await TcpPort.open(HOST, port), client_sap, server_sap)

    async def send(self, apdu: bytes | memoryview) -> None:
        self.sent.append(bytes(apdu))
        await self._port.write(wrap(*self._saps, apdu))

    async def receive(self, timeout_ms: int) -> bytes:
        while not self._waiting:
            data = await asyncio.wait_for(self._port.read(), timeout_ms / 1000)
            if not data:
                raise ConnectionResetError("the peer closed")
            for server_sap, client_sap, apdu in self._cutter.feed(data):
                assert (client_sap, server_sap) == self._saps
                self._waiting.append(apdu)
        self.received.append(self._waiting.pop(0))
        return self.received[-1]

    async def close(self) -> None:
        await self._port.close()
