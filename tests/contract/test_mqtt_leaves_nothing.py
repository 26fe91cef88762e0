"""What a connection leaves behind in the loop: nothing (CPython only)."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import ssl
import weakref
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hal.cpython import mqtt
from hal.cpython.mqtt import MqttUplink
from hal.cpython.mqtt_line import Line, Paho, dial
from hal.cpython.tls import Tls
from hal.ports import Message
from hal.rt.tls_files import TlsFiles
from hal.rt.tls_words import ANY_TIME

LIMIT = 4096
SOON = 60_000
CONNACK, SUBACK = b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x01"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end, which the uplink finds instead of dialling, and the broker's."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    async def dialled(*_: object) -> socket.socket:
        if ours.fileno() < 0:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "nobody listens any more")
        return ours

    monkeypatch.setattr(mqtt, "dial", dialled)
    with ours, theirs:
        yield ours, theirs


def uplink() -> MqttUplink:
    return MqttUplink("127.0.0.1", 1, "one", None, None, None, LIMIT, keepalive_s=600)


def still_watched(descriptor: int) -> tuple[bool, bool]:
    """Whether the loop would read from it, or write to it; it does not any more."""
    loop = asyncio.get_running_loop()
    return loop.remove_reader(descriptor), loop.remove_writer(descriptor)


async def after_a_goodbye(link: MqttUplink, theirs: socket.socket) -> None:
    await link.connect(None, ["down"], SOON)
    await link.disconnect()


async def after_the_broker_hung_up(link: MqttUplink, theirs: socket.socket) -> None:
    await link.connect(None, ["down"], SOON)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(OSError, match="the broker closed the connection"):
        await asyncio.wait_for(link.receive(), 60)


async def after_a_write_that_failed(link: MqttUplink, theirs: socket.socket) -> None:
    """Nothing says so but the write itself."""
    await link.connect(None, ["down"], SOON)
    theirs.shutdown(socket.SHUT_RD)
    with pytest.raises(OSError, match="Broken pipe"):
        await link.publish(Message("up", b"?"), SOON)


async def after_a_new_connect(link: MqttUplink, theirs: socket.socket) -> None:
    """The old line goes without a word, with PUBLISH still to be written to it."""
    await link.connect(None, ["down"], SOON)
    with pytest.raises(asyncio.TimeoutError):
        await link.publish(Message("up", bytes(1 << 22)), 10)
    with pytest.raises(OSError, match="nobody listens any more"):
        await link.connect(None, ["down"], SOON)


@pytest.mark.parametrize(
    "scenario",
    [
        after_a_goodbye,
        after_the_broker_hung_up,
        after_a_write_that_failed,
        after_a_new_connect,
    ],
)
def test_the_loop_watches_the_line_no_more(
    scenario: Callable[[MqttUplink, socket.socket], Awaitable[None]],
    lines: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = lines
    descriptor = ours.fileno()
    theirs.sendall(CONNACK + SUBACK)

    async def body() -> None:
        await scenario(uplink(), theirs)
        assert ours.fileno() == -1
        assert still_watched(descriptor) == (False, False)

    asyncio.run(body())


def test_a_connect_cancelled_closes_its_line(lines: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = lines
    descriptor = ours.fileno()

    async def body() -> None:
        link = uplink()
        connecting = asyncio.create_task(link.connect(None, ["down"], SOON))
        theirs.setblocking(False)
        await asyncio.get_running_loop().sock_recv(theirs, 4096)  # CONNECT, which nobody answers
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert ours.fileno() == -1
        assert still_watched(descriptor) == (False, False)
        with pytest.raises(OSError, match="not connected") as told:
            await link.publish(Message("up", b"?"), SOON)
        assert told.value.errno == errno.ENOTCONN and "127.0.0.1:1" in str(told.value)

    asyncio.run(body())


def test_no_timer_keeps_a_connection_alive(
    lines: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    clients: list[weakref.ref[Paho]] = []

    class Known(Paho):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            clients.append(weakref.ref(self))

    monkeypatch.setattr(mqtt, "Paho", Known)
    lines[1].sendall(CONNACK + SUBACK)

    async def body() -> None:
        link = uplink()
        await link.connect(None, ["down"], SOON)
        await link.disconnect()
        await asyncio.sleep(0)
        gc.collect()
        assert [client() for client in clients] == [None]

    asyncio.run(body())


def test_a_handshake_leaves_the_line_to_its_caller(certificates: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates / "server.pem", certificates / "server.key.pem")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async def body() -> None:
        listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
        port = listener.sockets[0].getsockname()[1]
        ours = Tls(TlsFiles(str(certificates / "ca.pem")), "localhost", ANY_TIME)
        line = await asyncio.wait_for(dial("localhost", port, ours), 60)
        assert still_watched(line.fileno()) == (False, False)
        line.close()
        listener.close()
        await listener.wait_closed()

    asyncio.run(body())


def test_a_host_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object, **__: object) -> list[object]:
        return []

    async def body() -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nothing)
        with pytest.raises(OSError, match="nobody has no address") as told:
            await dial("nobody", 1883, None)
        assert told.value.errno == errno.EHOSTUNREACH

    asyncio.run(body())


def test_a_paused_line_begins_no_packet_but_ends_the_one_it_has() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        line = Line(ours, LIMIT)
        theirs.sendall(b"\x30\x04abcd\xd0\x00")
        assert line.recv(1) + line.recv(1) == b"\x30\x04"
        line.paused = True
        assert line.recv(1) + line.recv(100) == b"abcd"
        with pytest.raises(BlockingIOError):
            line.recv(1)
        assert ours.recv(100, socket.MSG_PEEK) == b"\xd0\x00"
        line.paused = False
        assert line.recv(1) + line.recv(1) == b"\xd0\x00"


def test_a_publish_octet_for_octet(lines: tuple[socket.socket, socket.socket]) -> None:
    """At QoS 1, retained only if it is to be; answered, so that both return."""
    heard: list[bytes] = []

    async def broker(theirs: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for answer in (CONNACK, SUBACK, b"\x40\x02\x00\x02", b"\x40\x02\x00\x03"):
            heard.append(await loop.sock_recv(theirs, 4096))
            await loop.sock_sendall(theirs, answer)

    async def body() -> None:
        lines[1].setblocking(False)
        link = uplink()
        playing = asyncio.create_task(broker(lines[1]))
        await link.connect(None, ["down"], SOON)
        await link.publish(Message("up", b"hi"), SOON)
        await link.publish(Message("up", b"ho", True), SOON)
        await playing
        await link.disconnect()

    asyncio.run(body())
    assert heard == [
        b"\x10\x0f\x00\x04MQTT\x04\x02\x02\x58\x00\x03one",
        b"\x82\x09\x00\x01\x00\x04down\x01",
        b"\x32\x08\x00\x02up\x00\x02hi",
        b"\x33\x08\x00\x02up\x00\x03ho",
    ]
