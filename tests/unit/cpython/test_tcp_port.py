"""A line over TCP notices that the other end is gone, and keeps nothing back (CPython only)."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from hal.cpython.tcp import TcpPort


def test_the_options_of_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    writers: list[asyncio.StreamWriter] = []
    connect = asyncio.open_connection

    async def connected(*arguments: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await connect(*arguments)
        writers.append(writer)
        return reader, writer

    async def body() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = await TcpPort.open("127.0.0.1", listener.getsockname()[1])
            (writer,) = writers
            line = writer.get_extra_info("socket")
            assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert writer.transport.get_write_buffer_limits() == (0, 0)
            await port.close()
            with pytest.raises(ConnectionResetError, match="the TCP connection is closed"):
                await port.write(b"x")

    monkeypatch.setattr(asyncio, "open_connection", connected)
    asyncio.run(body())
