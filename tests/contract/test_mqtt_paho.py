"""What hal/cpython/mqtt_line.py needs of paho, and gives it (CPython only)."""

from __future__ import annotations

import ast
import asyncio
import importlib.metadata
import inspect
import itertools
import socket
import ssl
from pathlib import Path
from typing import Any

import paho.mqtt.client
import pytest

from hal.cpython import mqtt, mqtt_line
from hal.cpython.mqtt import MqttUplink
from hal.cpython.mqtt_line import Line, Paho
from hal.ports import Message
from hal.rt.tls_files import TlsFiles

LIMIT = 4096
WHOLE = LIMIT + 65535 + 8  # octets of a packet that are not thinned out
MOST = (1 << 28) - 1  # the largest remaining length there is
PLACE = "_create_socket"


def test_paho_still_takes_its_socket_from_one_place() -> None:
    version = importlib.metadata.version("paho-mqtt")
    told = (
        f"paho-mqtt {version} no longer makes its socket in Client.{PLACE}(): give `Paho` in"
        " hal/cpython/mqtt_line.py another way to put our line there, or bound the version in"
        " pyproject.toml"
    )
    assert inspect.isfunction(getattr(paho.mqtt.client.Client, PLACE, None)), told
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = Paho(Line(ours, LIMIT), "one")
        client.on_socket_register_write = lambda client, data, line: None
        try:
            # Nobody listens there: a client that dials is refused.
            client.connect("127.0.0.1", 1)
        except OSError as error:
            raise AssertionError(told) from error
        assert client.socket() is client.line, told
        client.loop_write()
        assert theirs.recv(100).startswith(b"\x10\x0f\x00\x04MQTT\x04\x02"), told


@pytest.mark.parametrize("module", [mqtt, mqtt_line])
def test_nothing_else_of_paho_is_private(module: Any) -> None:
    """No `x._y` but of ourselves, and no method of `Paho` with such a name but the one."""
    tree = ast.parse(Path(module.__file__).read_text())
    reached = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and ast.unparse(node.value) != "self"
    ]
    assert reached == []
    if module is mqtt_line:
        assert [name for name in vars(Paho) if name[0] == "_" != name[1]] == [PLACE]


class Source:
    """A socket that has one large packet and a PINGRESP, `at_once` octets at a time."""

    def __init__(self, size: int, at_once: int) -> None:
        length = bytes(size >> 7 * i & 127 | (128 if i < 3 else 0) for i in range(4))
        self.head = b"\x30" + length
        self.size = size
        self.tail = b"\xd0\x00"
        self.at_once = at_once
        self.given = 0  # of the body, octet i of which is i modulo 251

    def recv(self, size: int) -> bytes:
        size = min(size, self.at_once)
        if self.head:
            given, self.head = self.head[:size], self.head[size:]
            return given
        if self.given < self.size:
            size = min(size, self.size - self.given)
            start = self.given % 251
            self.given += size
            return (bytes(range(251)) * (size // 251 + 2))[start : start + size]
        given, self.tail = self.tail[:size], self.tail[size:]
        return given


@pytest.mark.parametrize("at_once", [1, 1000, 65536])
@pytest.mark.parametrize(
    "size", [0, 1, WHOLE, WHOLE + 1, WHOLE + 8192, WHOLE + 8193, WHOLE + 20_000, 200_000]
)
def test_a_large_packet_is_thinned_out(size: int, at_once: int) -> None:
    source: Any = Source(size, at_once)
    check_one_packet(Line(source, LIMIT), source, size)


def test_the_largest_packet_is_thinned_out() -> None:
    source: Any = Source(MOST, 65536)
    got = check_one_packet(Line(source, LIMIT), source, MOST)
    assert WHOLE < got < WHOLE + 8192 + MOST // 8192 + 1


def check_one_packet(line: Line, source: Source, size: int) -> int:
    """Read the packet as paho does; returns how many octets its body had."""
    assert line.recv(1) == b"\x30"
    told = shift = 0
    while True:
        octet = line.recv(1)[0]
        told |= (octet & 127) << shift
        shift += 7
        if octet < 128:
            break
    body = bytearray()
    while len(body) < told:
        try:
            body += line.recv(told - len(body))
        except BlockingIOError:
            assert source.given < size
    assert len(body) == told and source.given == size
    rest = max(size - WHOLE, 0)
    stride = max(-(-rest // 8192), 1)
    assert told == size - rest + rest % stride + rest // stride
    exact = min(size, WHOLE)
    assert body[:exact] == (bytes(range(251)) * (exact // 251 + 1))[:exact]
    if size:
        assert body[-1] == (size - 1) % 251
    assert line.recv(1) + line.recv(1) == b"\xd0\x00"
    return told


@pytest.mark.parametrize(
    "octets, text",
    [
        (b"\x30\xff\xff\xff\xff\x01", "remaining length of more than four octets"),
        (b"\x34\x07\x00\x04down\x00\x01", "QoS 2"),
        (b"\x3d\x07\x00\x04down\x00\x01", "QoS 2"),
        (b"\x30", "the broker closed the connection"),
    ],
)
def test_what_paho_must_not_see(octets: bytes, text: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(octets)
        theirs.shutdown(socket.SHUT_WR)
        line = Line(ours, LIMIT)
        with pytest.raises(OSError, match=text):
            line.recv(1)
        assert text in line.fault


CONNACK, SUBACK = b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x01"


def test_messages_without_an_answer_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.sendall(CONNACK + SUBACK)  # and nothing more

    async def dialled(*_: object) -> socket.socket:
        return ours

    async def scenario() -> None:
        link = MqttUplink("127.0.0.1", 1, "one", None, None, None, LIMIT, keepalive_s=600)
        await link.connect(None, ["down"], 60_000)
        for _ in range(128):
            with pytest.raises(asyncio.TimeoutError):
                await link.publish(Message("up", b"?"), 1)
        with pytest.raises(OSError, match="queue full"):
            await link.publish(Message("up", b"?"), 60_000)
        await link.disconnect()

    monkeypatch.setattr(mqtt, "dial", dialled)
    with ours, theirs:
        asyncio.run(scenario())


def test_many_messages_in_one_record_of_tls(certificates: Path) -> None:
    """What TLS has deciphered does not make the line readable; it must not wait for more."""
    count = 40  # more than wait for receive(), so reading pauses and goes on
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key.pem")
    acknowledged = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal acknowledged
        await reader.read(4096)
        writer.write(CONNACK)
        await reader.read(4096)
        messages = [b"\x32\x0a\x00\x04down%c%c%02d" % (0, i + 1, i) for i in range(count)]
        writer.write(SUBACK + b"".join(messages))
        while heard := await reader.read(4096):
            acknowledged += heard
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        files = TlsFiles(str(certificates / "ca.pem"))
        link = MqttUplink("localhost", port, "one", None, None, files, LIMIT, keepalive_s=600)
        await link.connect(None, ["down"], 60_000)
        await asyncio.sleep(0.1)
        for i in range(count):
            message = await asyncio.wait_for(link.receive(), 60)
            assert message.payload == b"%02d" % i
        await link.disconnect()
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())
    assert (
        acknowledged == b"".join(b"\x40\x02%c%c" % (0, i + 1) for i in range(count)) + b"\xe0\x00"
    )


def test_a_broker_whose_packets_never_end_with_a_record_of_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Something deciphered is always there; whatever else the loop does has its turn."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)

    async def dialled(*_: object) -> socket.socket:
        return ours

    async def broker() -> None:
        loop = asyncio.get_running_loop()
        for answer in (CONNACK, SUBACK + b"\xd0\x00" * 1000):
            await loop.sock_recv(theirs, 4096)
            await loop.sock_sendall(theirs, answer)

    async def scenario() -> None:
        playing = asyncio.create_task(broker())
        link = MqttUplink("127.0.0.1", 1, "one", None, None, None, LIMIT, keepalive_s=600)
        await link.connect(None, ["down"], 60_000)
        for _ in range(100):
            await asyncio.sleep(0)
        await playing
        await link.disconnect()

    monkeypatch.setattr(mqtt, "dial", dialled)
    monkeypatch.setattr(Line, "pending", lambda line: 1)
    with ours, theirs:
        asyncio.run(scenario())


def test_a_broker_that_sends_but_does_not_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing more of it is read when its PUBACKs pile up, and silence ends the connection."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ours.setblocking(False)
    theirs.setblocking(False)
    sent = 0

    async def dialled(*_: object) -> socket.socket:
        return ours

    async def broker() -> None:
        nonlocal sent
        loop = asyncio.get_running_loop()
        for answer in (CONNACK, SUBACK):
            await loop.sock_recv(theirs, 4096)
            await loop.sock_sendall(theirs, answer)
        for number in itertools.count(1):
            identifier = (number % 65535 + 1).to_bytes(2, "big")
            await loop.sock_sendall(theirs, b"\x32\x08\x00\x04down" + identifier)
            sent = number

    async def scenario() -> None:
        link = MqttUplink("127.0.0.1", 1, "one", None, None, None, LIMIT, keepalive_s=1)
        playing = asyncio.create_task(broker())
        await link.connect(None, ["down"], 60_000)
        received = 0
        with pytest.raises(OSError, match="Keep alive timeout"):
            while True:
                message = await asyncio.wait_for(link.receive(), 60)
                assert (message.topic, message.payload) == ("down", b"")
                received += 1
        assert 1024 < received <= sent
        assert received < 20_000
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        await link.disconnect()

    monkeypatch.setattr(mqtt, "dial", dialled)
    with ours, theirs:
        asyncio.run(scenario())
