"""What the emulator tests share: an echoing meter, and byte ports over real TCP."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class EchoMeter:
    """Answers with its own name and what it was sent."""

    def __init__(self, name: str) -> None:
        self.name = name.encode()
        self.handled: list[bytes] = []

    def handle(self, client_sap: int, server_sap: int, apdu: bytes) -> bytes | None:
        self.handled.append(apdu)
        return self.name + bytes([client_sap, server_sap]) + apdu


class RealClock:
    def ticks_ms(self) -> int:
        return int(time.monotonic() * 1000)

    def unix_time(self) -> int:
        return int(time.time())

    def set_unix_time(self, seconds: int) -> None:
        raise NotImplementedError("the tests leave the machine's date alone")

    async def sleep_ms(self, duration: int) -> None:
        await asyncio.sleep(duration / 1000)

    async def wait_for_ms(self, awaitable: Awaitable[T], duration: int) -> T:
        return await asyncio.wait_for(awaitable, duration / 1000)


class StreamPort:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        return await self._reader.read(4096)

    async def write(self, data: bytes | memoryview) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def connect(host: str, port: int) -> StreamPort:
    return StreamPort(*await asyncio.open_connection(host, port))


def opener(port: int) -> Callable[[], Awaitable[StreamPort]]:
    return lambda: connect("127.0.0.1", port)
