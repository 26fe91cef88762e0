"""The uplink over aiomqtt (paho underneath): MQTT 3.1.1, clean session, QoS 1."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import socket
import ssl
import time

import aiomqtt
from paho.mqtt.enums import MQTTErrorCode

from hal.ports import TOPICS_AT_ONCE, Message, PortError
from hal.rt.queue import Queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, TypeVar

    from hal.rt.tls_files import TlsFiles

    T = TypeVar("T")

_WAITING = 16  # messages waiting for receive() here
_PAUSE = 16  # and behind them in aiomqtt; then nothing more is read from the line
_QUEUED = 128  # room there: what one look at the line may bring on top, and outgoing ones
_UNSENT = 1024  # packets a broker may leave on the line before it is given up
_OCTET_S = 0.005  # for each octet of a message on its way: lines go down to 2 kbit/s
_MAX_TOPIC = 65535


# What aiomqtt and paho log reaches the caller as an exception.
_SILENT = logging.getLogger("hal.cpython.mqtt")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class MqttUplink:
    """See hal.ports.Uplink. `limit`: the largest payload in bytes; `keepalive_s`: a connection that
    says nothing for about twice as long is taken for gone, but not while a message of ours may
    still be on its way at 2 kbit/s."""

    def __init__(
        self,
        host: str,
        port: int,
        client_id: str,
        username: str | None,
        password: str | None,
        tls: TlsFiles | None,
        limit: int,
        keepalive_s: int = 30,
    ) -> None:
        self._host = host
        self._port = port
        self._client_id = client_id
        self._username = username
        self._password = password
        self._tls = tls
        self._limit = limit
        self._keepalive_s = keepalive_s
        self._connection: _Connection | None = None
        self._abandoned: asyncio.Task[None] | None = None

    async def connect(self, will: Message | None, topics: list[str], timeout_ms: int) -> None:
        await self._drop()
        try:
            # asyncio.wait_for of Python 3.11 loses a cancellation that comes with the end.
            async with asyncio.timeout(timeout_ms / 1000):
                await self._connect(will, topics, timeout_ms / 1000)
        except asyncio.TimeoutError:
            await self._drop()
            raise OSError(
                errno.ETIMEDOUT,
                "MQTT %s:%d: no connection within %d ms" % (self._host, self._port, timeout_ms),
            )
        except aiomqtt.MqttError as error:
            await self._drop()
            raise self._gone(error)
        except BaseException:
            await self._drop()
            raise

    async def publish(self, message: Message, timeout_ms: int) -> None:
        connection = self._connected()
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await connection.unless_gone(connection.publish(message, timeout_ms / 1000))
        except aiomqtt.MqttError as error:
            raise self._gone(error)

    async def receive(self) -> Message:
        connection = self._connected()
        try:
            return await connection.receive()
        except aiomqtt.MqttError as error:
            raise self._gone(error)

    async def disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.goodbye()
        await self._drop()

    async def _connect(self, will: Message | None, topics: list[str], timeout: float) -> None:
        if self._abandoned is not None:
            # An attempt given up on may yet succeed, and the broker would then close this one.
            await asyncio.shield(self._abandoned)
            self._abandoned = None
        client = aiomqtt.Client(
            self._host,
            self._port,
            identifier=self._client_id,
            username=self._username,
            password=self._password,
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            will=None if will is None else aiomqtt.Will(will.topic, will.payload, 1, will.retain),
            keepalive=self._keepalive_s,
            tls_context=None if self._tls is None else _tls_context(self._tls),
            logger=_SILENT,
            queue_type=_Incoming,
            timeout=math.inf,
            max_queued_incoming_messages=_QUEUED,
            max_queued_outgoing_messages=_QUEUED,
        )
        _bound_packets(client, self._limit)
        _allow_a_slow_handshake(client, timeout)
        # A PUBACK is sent when receive() has given the message out: so the broker's in-flight
        # window throttles a burst.
        client._client.manual_ack_set(True)
        _Line(client)
        opening = asyncio.create_task(_open(client))
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            self._abandoned = asyncio.create_task(_abandon(client, opening))
            raise
        except BaseException:
            _close(client)
            raise
        self._connection = connection = _Connection(client, self._limit)
        refused: list[str] = []
        for first in range(0, len(topics), TOPICS_AT_ONCE):
            some = topics[first : first + TOPICS_AT_ONCE]
            codes: Any = await connection.unless_gone(
                client.subscribe([(topic, 1) for topic in some], timeout=math.inf)
            )
            refused += [
                topic for topic, code in zip(some, codes, strict=True) if code.value >= 0x80
            ]
        if refused:
            raise PortError(
                "MQTT %s:%d: the broker refuses the subscription to %s; check its access rules"
                % (self._host, self._port, ", ".join(refused))
            )

    async def _drop(self) -> None:
        connection = self._connection
        self._connection = None
        if connection is not None:
            await connection.close()

    def _connected(self) -> _Connection:
        if self._connection is None:
            raise self._gone("not connected")
        return self._connection

    def _gone(self, reason: object) -> OSError:
        return OSError(
            errno.ENOTCONN, "MQTT %s:%d: %s" % (self._host, self._port, reason or "unreachable")
        )


class _Connection:
    """One connected client and the task that takes its messages over."""

    def __init__(self, client: aiomqtt.Client, limit: int) -> None:
        self.client = client
        self._messages: Queue[tuple[Message, int, int]] = Queue(_WAITING)
        self._limit = limit
        self._patience = 0.0  # seconds that messages may be on their way
        self._pump = asyncio.create_task(self._take_over())
        self._loop_misc = client._client.loop_misc
        client._client.loop_misc = self._look_after  # type: ignore[method-assign]

    async def publish(self, message: Message, timeout: float) -> None:
        needs = min(len(message.payload) * _OCTET_S, timeout)
        self._patience += needs
        try:
            await self.client.publish(
                message.topic, message.payload, qos=1, retain=message.retain, timeout=math.inf
            )
        finally:
            self._patience -= needs

    def _look_after(self) -> MQTTErrorCode:
        """paho's pings and its judgement on silence, but not while a PINGREQ would only wait behind
        a long message."""
        silent = time.monotonic() - self.client._client._last_bytes_received
        if silent < self._patience:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        return self._loop_misc()

    async def receive(self) -> Message:
        if len(self._messages):
            message, packet_id, qos = await self._messages.get()
        else:
            message, packet_id, qos = await self.unless_gone(self._messages.get())
        if qos and not self._pump.done():
            paho = self.client._client
            paho.ack(packet_id, qos)
            if len(paho._out_packet) > _UNSENT:
                _close(self.client)
                raise aiomqtt.MqttError("the broker sends, but does not listen")
        return message

    async def unless_gone(self, awaitable: Awaitable[T]) -> T:
        """Await; MqttError as soon as the connection is gone (aiomqtt itself would wait on)."""
        task = asyncio.ensure_future(awaitable)
        try:
            await asyncio.wait({task, self._pump}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
        if task.done() and not task.cancelled():
            return task.result()
        raise _reason(self._pump)

    async def goodbye(self) -> None:
        """Tell the broker, if it still listens."""
        if self._pump.done():
            return
        self.client.timeout = 2
        try:
            await self.client.__aexit__(None, None, None)
        except aiomqtt.MqttError:
            pass

    async def close(self) -> None:
        self._pump.cancel()
        await asyncio.wait({self._pump})
        if not self._pump.cancelled():
            self._pump.exception()  # seen
        _close(self.client)

    async def _take_over(self) -> None:
        async for message in self.client.messages:
            payload = message.payload
            if not isinstance(payload, bytes):
                raise aiomqtt.MqttError("payload of type %s" % type(payload).__name__)
            topic = message.topic.value
            if len(payload) > self._limit:
                topic, payload = "oversized/" + topic, b""
            taken = Message(topic, payload, message.retain)
            await self._messages.put((taken, message.mid, message.qos))


class _Line:
    """Watches the line in aiomqtt's place, which would read on whatever waits: a broker without a
    window of its own (or messages of QoS 0) meets the window of TCP.

    paho asks for it in a thread; the line may be closed again before the loop comes to that, and
    its number may be no line's or another's then.
    """

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._incoming: asyncio.Queue[aiomqtt.Message] = client._queue
        self._paused = False
        client._client.on_socket_open = self._on_open
        client._client.on_socket_register_write = self._on_register_write
        if isinstance(self._incoming, _Incoming):
            self._incoming.on_room = self._resume

    def _on_open(self, paho: Any, userdata: Any, line: Any) -> None:
        self._client._loop.call_soon_threadsafe(self._watch, line)

    def _on_register_write(self, paho: Any, userdata: Any, line: Any) -> None:
        self._client._loop.call_soon_threadsafe(self._watch_for_room, line)

    def _watch(self, line: Any) -> None:
        client = self._client
        if self._is_open(line):
            client._loop.add_reader(line.fileno(), self._read)
            client._misc_task = client._loop.create_task(client._misc_loop())

    def _watch_for_room(self, line: Any) -> None:
        if self._is_open(line):
            self._client._loop.add_writer(line.fileno(), self._write)

    def _is_open(self, line: Any) -> bool:
        current: Any = self._client._client.socket()
        return current is line

    def _write(self) -> None:
        try:
            self._client._client.loop_write()
        except Exception as error:
            self._fail(error)

    def _read(self) -> None:
        client, paho = self._client, self._client._client
        try:
            while True:
                paho.loop_read()
                line: Any = paho.socket()
                if line is None:
                    return
                if self._incoming.qsize() >= _PAUSE:
                    self._paused = True
                    client._loop.remove_reader(line.fileno())
                    return
                if not (hasattr(line, "pending") and line.pending()):
                    return
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not self._client._disconnected.done():
            self._client._disconnected.set_exception(error)

    def _resume(self) -> None:
        line: Any = self._client._client.socket()
        if self._paused and self._incoming.qsize() < _PAUSE // 2 and line is not None:
            self._paused = False
            self._client._loop.add_reader(line.fileno(), self._read)
            # What TLS has decrypted already would not make the line readable.
            self._client._loop.call_soon(self._read)


class _Incoming(asyncio.Queue[aiomqtt.Message]):
    """aiomqtt's queue. On QueueFull aiomqtt drops the message, which the broker believes delivered;
    any other exception ends the connection, which everyone notices. `on_room` is called when a
    message has been taken."""

    on_room: Callable[[], None] = staticmethod(lambda: None)

    def get_nowait(self) -> aiomqtt.Message:
        message = super().get_nowait()
        self.on_room()
        return message

    def put_nowait(self, item: aiomqtt.Message) -> None:
        if self.full():
            raise OSError(errno.ENOBUFS, "%d messages wait to be received" % self.qsize())
        super().put_nowait(item)


def _reason(pump: asyncio.Task[None]) -> aiomqtt.MqttError:
    error = None if pump.cancelled() else pump.exception()
    cause = error.__cause__ if error is not None and error.__cause__ is not None else error
    return aiomqtt.MqttError(str(cause or "disconnected"))


async def _open(client: aiomqtt.Client) -> None:
    """Connect; MqttError also when the broker hangs up instead of sending CONNACK, where aiomqtt
    itself would wait on."""
    loop = asyncio.get_running_loop()
    entering = asyncio.create_task(_enter(client))
    lost = asyncio.Event()

    def on_disconnect(*arguments: Any) -> None:
        client._on_disconnect(*arguments)
        loop.call_soon_threadsafe(lost.set)

    client._client.on_disconnect = on_disconnect
    losing = asyncio.create_task(lost.wait())
    try:
        await asyncio.wait({entering, losing}, return_when=asyncio.FIRST_COMPLETED)
        if not entering.done():
            raise aiomqtt.MqttError("the broker hangs up; it may refuse our certificate or address")
        entering.result()
    finally:
        entering.cancel()
        losing.cancel()


async def _enter(client: aiomqtt.Client) -> None:
    await client.__aenter__()


async def _abandon(client: aiomqtt.Client, opening: asyncio.Task[None]) -> None:
    """Let go of an unfinished attempt. paho's connect blocks in a thread and cannot be cancelled,
    so its end is awaited (5 s for TCP, for TLS as long as connect() may take); what it opened is
    closed."""
    while not opening.done() and client._client.socket() is None:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    opening.cancel()
    await asyncio.wait({opening})
    if not opening.cancelled():
        opening.exception()  # seen
    _close(client)


def _close(client: aiomqtt.Client) -> None:
    """Close the socket whatever state it is in; aiomqtt can only say goodbye."""
    client._client._sock_close()
    if client._misc_task is not None:
        client._misc_task.cancel()


def _allow_a_slow_handshake(client: aiomqtt.Client, timeout: float) -> None:
    """paho gives the handshake of TLS as long as that of TCP, 5 s: too short for certificates at 2
    kbit/s."""
    paho: Any = client._client
    wrap = paho._ssl_wrap_socket

    def wrap_patiently(line: socket.socket) -> ssl.SSLSocket:
        paho._connect_timeout = timeout
        wrapped: ssl.SSLSocket = wrap(line)
        return wrapped

    paho._ssl_wrap_socket = wrap_patiently


def _bound_packets(client: aiomqtt.Client, limit: int) -> None:
    """Keep paho from storing more of a packet than it takes to see that it is oversized.

    MQTT 3.1.1 lets a broker send 256 MB; paho would gather them all before saying a word.
    """
    paho: Any = client._client
    receive = paho._sock_recv
    enough = limit + _MAX_TOPIC + 8

    def receive_bounded(size: int) -> bytes:
        packet = paho._in_packet["packet"]
        if len(packet) > enough:
            del packet[enough:]
        return bytes(receive(min(size, 65536)))

    paho._sock_recv = receive_bounded


def _tls_context(files: TlsFiles) -> ssl.SSLContext:
    """The server must show a certificate of this authority for the host name we dialled."""
    context = ssl.create_default_context(cafile=files.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.certificate is not None:
        context.load_cert_chain(files.certificate, files.key)
    return context
