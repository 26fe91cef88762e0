"""One MQTT connection from CONNECT to its end: a reader, a writer and a pinger that die
together.

A message that is too large, or that there is no memory for now, is passed over and acknowledged: a
broker would send it again at each connection, for ever. Of the others so many octets as one may
have wait for receive() at once; then nothing more is read, and TCP lets the broker wait.
"""

from __future__ import annotations

import asyncio
import errno
import time

from hal.micropython import mqtt_packets as packets
from hal.ports import Message
from hal.rt.group import Group
from hal.rt.queue import Full, Queue

_INCOMING = 16  # messages waiting for receive(); then the broker waits
_OUTGOING = 8  # packets waiting for the line
_SKIP = 512  # bytes of what is passed over, read at a time
_OCTET_MS = 5  # for each octet of a message on its way: lines go down to 2 kbit/s
_MAX_TOPIC = 1024
_MAX_CONTROL = 256  # bytes of any packet that is not a PUBLISH


class Connection:
    """`stream`: an asyncio.StreamWriter. Every method raises OSError once it is
    gone."""

    def __init__(self, stream, limit: int, keepalive_s: int) -> None:
        self._stream = stream
        self._limit = limit
        self._keepalive_ms = keepalive_s * 1000
        self._incoming: Queue[Message] = Queue(_INCOMING)
        self._held = 0  # octets of their payloads
        self._taken = asyncio.Event()  # receive() took one of them
        self._full = False  # nothing is read until it does
        self._outgoing: Queue[bytes] = Queue(_OUTGOING)
        self._answers: dict[int, _Answer] = {}  # by packet identifier
        self._last_id = 0
        self._patience_ms = 0  # how long messages may be on their way
        self._heard = time.ticks_ms()
        self._news = asyncio.Event()  # a message arrived, or the connection ended
        self._reason: BaseException | None = None
        self._life: asyncio.Task[None] | None = None
        self._lives = False  # its task has begun, so its end will be told

    async def open(self, connect: bytes) -> int:
        """Send CONNECT; returns CONNACK's code, and lives on if it is 0."""
        self._stream.write(connect)
        await self._stream.drain()
        first, size = await self._head()
        if first >> 4 != packets.CONNACK or size != 2:
            raise OSError(errno.EIO, "expected CONNACK, got packet type %d" % (first >> 4))
        code = (await self._exactly(2))[1]
        if code == 0:
            self._life = asyncio.create_task(self._live())
        return code

    async def subscribe(self, topics: list[str]) -> bytes:
        """SUBACK's codes, one for each topic; 0x80 and above: refused."""
        packet_id = self._next_id()
        return await self._ask(packet_id, packets.subscribe(packet_id, topics))

    async def publish(self, message: Message, timeout_ms: int) -> None:
        """Returns at the broker's PUBACK; the caller will wait for `timeout_ms` at most."""
        packet_id = self._next_id()
        needs_ms = min(len(message.payload) * _OCTET_MS, timeout_ms)
        self._patience_ms += needs_ms
        try:
            await self._ask(packet_id, packets.publish(packet_id, message))
        finally:
            self._patience_ms -= needs_ms

    async def receive(self) -> Message:
        while not len(self._incoming):
            self._check()
            self._news.clear()
            await self._news.wait()
        message = await self._incoming.get()
        self._held -= len(message.payload)
        self._taken.set()
        return message

    async def goodbye(self) -> None:
        """Send DISCONNECT after what waits for the line, and return when it is sent."""
        self._check()
        await self._outgoing.put(packets.DISCONNECT)
        while self._reason is None:
            self._news.clear()
            await self._news.wait()

    async def close(self) -> None:
        """Leave no task and no socket behind."""
        life = self._life
        self._life = None
        if life is not None and not life.done():
            life.cancel()
            while self._lives and self._reason is None:
                self._news.clear()
                await self._news.wait()
        self._stream.close()
        await self._stream.wait_closed()

    async def _live(self) -> None:
        self._lives = True
        group = Group()
        group.start(self._read())
        group.start(self._write())
        group.start(self._ping())
        reason: BaseException = OSError(errno.ECONNABORTED, "disconnected")
        try:
            await group.wait()
        except _Goodbye:
            pass
        except OSError as error:
            reason = error
        except Exception as error:  # a fault of ours: who uses the connection knows OSError alone
            reason = OSError(errno.EIO, "%s: %s" % (type(error).__name__, error))
        finally:
            self._reason = reason
            self._news.set()
            for answer in self._answers.values():
                answer.arrived.set()

    async def _ask(self, packet_id: int, packet: bytes) -> bytes:
        """Send and wait for the packet that answers `packet_id`."""
        self._check()
        answer = self._answers[packet_id] = _Answer()
        try:
            await self._outgoing.put(packet)
            await answer.arrived.wait()
        finally:
            del self._answers[packet_id]
        if answer.body is None:
            self._check()
        return answer.body or b""

    def _check(self) -> None:
        if self._reason is not None:
            raise self._reason

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % 65535 + 1
            if self._last_id not in self._answers:
                return self._last_id

    async def _write(self) -> None:
        # Only here, whole packets one after the other: a cancelled publish leaves no torn one.
        while True:
            packet = await self._outgoing.get()
            self._stream.write(packet)
            await self._stream.drain()
            if packet == packets.DISCONNECT:
                raise _Goodbye()

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep_ms(  # pyright: ignore[reportAttributeAccessIssue]
                self._keepalive_ms
            )
            silent = time.ticks_diff(time.ticks_ms(), self._heard)
            # While receive() is not called we do not listen, and silence means nothing.
            listening = not self._full and len(self._incoming) < _INCOMING
            patience = self._keepalive_ms * 3 // 2 + self._patience_ms
            if listening and silent > patience:
                raise OSError(errno.ETIMEDOUT, "nothing heard for %d ms" % silent)
            try:
                self._outgoing.put_nowait(packets.PINGREQ)
            except Full:
                pass  # the line is stuck: to wait for it here would be to miss its end

    async def _read(self) -> None:
        while True:
            first, size = await self._head()
            kind = first >> 4
            if kind == packets.PUBLISH:
                await self._read_publish(first, size)
            elif size > _MAX_CONTROL:
                raise OSError(errno.EIO, "packet type %d of %d bytes" % (kind, size))
            elif kind in (packets.PUBACK, packets.SUBACK) and size >= 2:
                body = await self._exactly(size)
                answer = self._answers.get(int.from_bytes(body[:2], "big"))
                if answer is not None:  # else it came too late
                    answer.body = body[2:]
                    answer.arrived.set()
            elif kind == packets.PINGRESP and size == 0:
                pass
            else:
                raise OSError(errno.EIO, "unexpected packet type %d of %d bytes" % (kind, size))

    async def _read_publish(self, first: int, size: int) -> None:
        qos = first >> 1 & 3
        topic_size = int.from_bytes(await self._exactly(2), "big") if size >= 2 else 0
        size -= 2 + topic_size + 2 * qos
        if qos > 1 or size < 0 or not topic_size:
            raise OSError(errno.EIO, "PUBLISH with QoS %d, topic of %d bytes" % (qos, topic_size))
        topic = await self._topic(topic_size)
        packet_id = int.from_bytes(await self._exactly(2), "big") if qos else 0
        payload = await self._payload(size)
        if payload is None or not topic:
            topic, payload = "oversized/" + topic, b""
        self._held += len(payload)
        await self._incoming.put(Message(topic, payload, first & 1 == 1))
        self._news.set()
        if qos:
            await self._outgoing.put(packets.puback(packet_id))

    async def _topic(self, size: int) -> str:
        """ "" for one that is longer than any of ours, passed over."""
        if size > _MAX_TOPIC:
            await self._skip(size)
            return ""
        try:
            return (await self._exactly(size)).decode()
        except UnicodeError:
            raise OSError(errno.EIO, "PUBLISH with a topic that is not UTF-8")

    async def _payload(self, size: int) -> bytes | None:
        """None for one that is too large, or that there is no memory for: it is passed over."""
        buffer = None
        if size <= self._limit:
            await self._room(size)
            try:
                buffer = bytearray(size)
            except MemoryError:
                pass
        if buffer is None:
            await self._skip(size)
            return None
        await self._fill(buffer)
        try:
            return bytes(buffer)
        except MemoryError:
            return None

    async def _room(self, size: int) -> None:
        """Wait until what is held and so much more is no more than one message may have."""
        while self._held and self._held + size > self._limit:
            self._full = True
            self._taken.clear()
            await self._taken.wait()
        self._full = False

    async def _skip(self, size: int) -> None:
        while size:
            size -= len(await self._exactly(min(size, _SKIP)))

    async def _head(self) -> tuple[int, int]:
        """First byte and remaining length (2.2.3)."""
        first = (await self._exactly(1))[0]
        size = shift = 0
        while shift < 28:
            byte = (await self._exactly(1))[0]
            size |= (byte & 127) << shift
            if byte < 128:
                return first, size
            shift += 7
        raise OSError(errno.EIO, "remaining length of more than four bytes")

    async def _exactly(self, size: int) -> bytes:
        """`size` bytes; OSError when the broker closes before."""
        buffer = bytearray(size)
        await self._fill(buffer)
        return bytes(buffer)

    async def _fill(self, buffer: bytearray) -> None:
        view = memoryview(buffer)
        while len(view):
            got = await self._stream.readinto(view)
            if got is None:  # TLS had something to read, but not for us
                continue
            if got == 0:
                raise OSError(errno.ECONNRESET, "the broker closed the connection")
            view = view[got:]
            self._heard = time.ticks_ms()


class _Answer:
    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.body: bytes | None = None


class _Goodbye(Exception):
    """DISCONNECT is sent."""
