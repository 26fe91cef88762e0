"""A TCP server of our simulators: several clients at once, all gone when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

MOST_LINE = 1 << 16  # octets that readline() takes, unless told otherwise

Converse = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Listener:
    """`converse` speaks with one client until it returns, or until the client is gone (OSError) or
    sends what makes no sense (ValueError): nothing is answered to that."""

    def __init__(self, converse: Converse, most_line: int = MOST_LINE) -> None:
        self._converse = converse
        self._most_line = most_line
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, port: int, host: str = "127.0.0.1") -> int:
        """Listen; returns the port, which is the system's choice for 0."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=self._most_line)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Every connection is closed when it returns. Harmless before start() and twice."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._converse(reader, writer)
        except (OSError, ValueError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()
