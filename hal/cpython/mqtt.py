"""The uplink over paho: MQTT 3.1.1, clean session, QoS 1."""

from __future__ import annotations

import asyncio
import errno
import time
from collections import deque

from paho.mqtt.client import error_string
from paho.mqtt.enums import MQTTErrorCode

from hal.cpython.mqtt_line import Line, Paho, dial
from hal.cpython.tls import Tls
from hal.ports import TOPICS_AT_ONCE, Message, PortError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from paho.mqtt.client import Client, MQTTMessage

    from hal.rt.tls_files import TlsFiles

_WAITING = 16  # messages waiting for receive(); then nothing more is read from the line
_GO_ON = 8  # so few, and it is read again
_QUEUED = 128  # messages of ours without the broker's answer
_UNSENT = 1024  # PUBACKs a broker may leave on the line before nothing more of it is read
_READ_AT_ONCE = 64  # times paho reads before others have their turn
_OCTET_S = 0.005  # for each octet of a message on its way: lines go down to 2 kbit/s
_MISC_S = 1  # paho looks at its pings so often
_GOODBYE_S = 2


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
        self.tls = tls
        self._limit = limit
        self._keepalive_s = keepalive_s
        self._connection: _Connection | None = None
        self.ends: list[tuple[str, int]] = []

    async def connect(
        self,
        will: Message | None,
        topics: list[str],
        timeout_ms: int,
        bounds: tuple[int, int] = (0, 0xFFFFFFFF),
    ) -> None:
        self._drop()
        # asyncio.wait_for of Python 3.11 loses a cancellation that comes with the end.
        patience = asyncio.timeout(timeout_ms / 1000)
        try:
            async with patience:
                await self._connect(will, topics, bounds)
        except OSError as error:
            self._drop()
            if patience.expired():
                raise OSError(
                    errno.ETIMEDOUT, "%s: no connection within %d ms" % (self._name(), timeout_ms)
                )
            raise self._gone(error)
        except BaseException:
            self._drop()
            raise

    async def publish(self, message: Message, timeout_ms: int) -> None:
        connection = self._connected()
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await connection.publish(message, timeout_ms / 1000)
        except asyncio.TimeoutError:  # an OSError too
            raise
        except OSError as error:
            raise self._gone(error)

    async def receive(self) -> Message:
        connection = self._connected()
        try:
            return await connection.receive()
        except OSError as error:
            raise self._gone(error)

    async def disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.goodbye()
        self._drop()

    async def _connect(
        self, will: Message | None, topics: list[str], bounds: tuple[int, int]
    ) -> None:
        if self.tls is None:
            line = Line(await dial(self._host, self._port, None), self._limit)
        else:
            tls = Tls(self.tls, self._host, bounds)
            line = Line(await dial(self._host, self._port, tls), self._limit, tls.words)
            self.ends = tls.ends
        client = Paho(line, self._client_id)
        if self._username is not None:
            client.username_pw_set(self._username, self._password)
        if will is not None:
            client.will_set(will.topic, will.payload, 1, will.retain)
        # From here on a failure finds the connection where _drop() looks for it.
        self._connection = connection = _Connection(client, self._limit)
        refusal = await connection.open(self._host, self._port, self._keepalive_s)
        if refusal:
            raise PortError("%s: %s; check the settings" % (self._name(), refusal))
        refused: list[str] = []
        for first in range(0, len(topics), TOPICS_AT_ONCE):
            some = topics[first : first + TOPICS_AT_ONCE]
            codes = await connection.subscribe(some)
            if len(codes) == len(some):
                refused += [topic for topic, code in zip(some, codes, strict=True) if code >= 0x80]
            else:
                refused += some
        if refused:
            raise PortError(
                "%s: the broker refuses the subscription to %s; check its access rules"
                % (self._name(), ", ".join(refused))
            )

    def _drop(self) -> None:
        connection = self._connection
        self._connection = None
        if connection is not None:
            connection.close("disconnected")

    def _connected(self) -> _Connection:
        if self._connection is None:
            raise OSError(errno.ENOTCONN, "%s: not connected" % self._name())
        return self._connection

    def _gone(self, error: OSError) -> OSError:
        return OSError(errno.ENOTCONN, "%s: %s" % (self._name(), error.strerror or error))

    def _name(self) -> str:
        return "MQTT %s:%d" % (self._host, self._port)


class _Connection:
    """One client on its line, from CONNECT to its end, after which everything raises OSError.

    paho calls back from within loop_read(), loop_write() and loop_misc(), so all of this runs in
    the loop's own thread.
    """

    def __init__(self, client: Paho, limit: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = client
        self._line = client.line
        self._limit = limit
        self._patience = 0.0  # seconds that messages may be on their way
        self._incoming: deque[tuple[Message, int, int]] = deque()  # message, packet id, QoS
        # By packet id: the codes the broker answered, or None if it never will. CONNACK has 0.
        self._answers: dict[int, asyncio.Future[list[Any] | None]] = {}
        self._unsent = 0  # PUBACKs since the line had last taken everything
        self._reason: str | None = None  # of the end
        self._news = asyncio.Event()  # a message arrived, or the connection ended
        self._misc = self._loop.call_later(_MISC_S, self._look_after)
        client.max_queued_messages_set(_QUEUED)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_register_write
        client.on_socket_unregister_write = self._on_unregister_write

    async def open(self, host: str, port: int, keepalive_s: int) -> str:
        """Returns why the broker refuses us, or "" if it does not."""
        self._loop.add_reader(self._line.fileno(), self._read)
        self._client.connect(host, port, keepalive_s)
        try:
            (reason,) = await self._answer(0)
        except OSError:
            told = (self._reason or "").startswith("TLS: ")
            raise self._ended("" if told else "; the broker may refuse our certificate or address")
        return str(reason) if reason.is_failure else ""

    async def subscribe(self, topics: list[str]) -> list[int]:
        """SUBACK's codes, one for each topic; 0x80 and above: refused."""
        self._check()
        result, packet_id = self._client.subscribe([(topic, 1) for topic in topics])
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS or packet_id is None:
            raise OSError(errno.EIO, "SUBSCRIBE: " + error_string(result))
        return [code.value for code in await self._answer(packet_id)]

    async def publish(self, message: Message, timeout: float) -> None:
        """Returns at the broker's PUBACK; the caller will wait for `timeout` seconds at most."""
        self._check()
        sent = self._client.publish(message.topic, message.payload, 1, message.retain)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise OSError(errno.ENOBUFS, "PUBLISH: " + error_string(sent.rc))
        needs = min(len(message.payload) * _OCTET_S, timeout)
        self._patience += needs
        try:
            await self._answer(sent.mid)
        finally:
            self._patience -= needs

    async def receive(self) -> Message:
        while not self._incoming:
            self._check()
            self._news.clear()
            await self._news.wait()
        message, packet_id, qos = self._incoming.popleft()
        if self._reason is None:
            # Only now, so that the broker's in-flight window throttles a burst.
            if qos:
                self._unsent += 1
                self._client.ack(packet_id, qos)
            self._pause_or_go_on()
        return message

    async def goodbye(self) -> None:
        """Tell the broker, if it still listens."""
        if self._reason is not None:
            return
        self._client.disconnect()
        try:
            async with asyncio.timeout(_GOODBYE_S):
                while self._reason is None:
                    self._news.clear()
                    await self._news.wait()
        except asyncio.TimeoutError:
            pass

    def close(self, reason: str) -> None:
        """Leave nothing open, and tell everyone who waits."""
        if self._reason is not None:
            return
        self._reason = reason
        self._misc.cancel()
        self._leave()
        self._line.close()
        self._news.set()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result(None)

    async def _answer(self, packet_id: int) -> list[Any]:
        answer: asyncio.Future[list[Any] | None] = self._loop.create_future()
        self._answers[packet_id] = answer
        try:
            codes = await answer
        finally:
            del self._answers[packet_id]
        if codes is None:
            raise self._ended()
        return codes

    def _answered(self, packet_id: int, codes: list[Any]) -> None:
        answer = self._answers.get(packet_id)
        if answer is not None and not answer.done():  # else it came too late
            answer.set_result(codes)

    def _check(self) -> None:
        if self._reason is not None:
            raise self._ended()

    def _ended(self, more: str = "") -> OSError:
        return OSError(errno.ENOTCONN, "%s%s" % (self._reason, more))

    def _read(self) -> None:
        if self._reason is not None or self._line.paused:
            return
        try:
            for _ in range(_READ_AT_ONCE):
                self._client.loop_read()
                if self._reason is not None or self._line.paused or not self._line.pending():
                    break
            else:
                self._loop.call_soon(self._read)
        except Exception as error:  # whatever paho makes of octets that are not MQTT
            self.close("the broker speaks no MQTT: %s" % error)
        self._pause_or_go_on()

    def _write(self) -> None:
        try:
            self._client.loop_write()
        except Exception as error:
            self.close(str(error))

    def _look_after(self) -> None:
        """paho's pings and its judgement on silence, but not while a PINGREQ would only wait behind
        a long message."""
        if time.monotonic() - self._line.heard >= self._patience:
            self._client.loop_misc()
        if self._reason is None:
            self._misc = self._loop.call_later(_MISC_S, self._look_after)

    def _pause_or_go_on(self) -> None:
        """Read while there is room. A broker without an in-flight window meets that of TCP; one
        that does not listen is left to the keepalive time."""
        if self._reason is not None:
            return
        most = _GO_ON if self._line.paused else _WAITING - 1
        paused = len(self._incoming) > most or self._unsent > _UNSENT
        if paused == self._line.paused:
            return
        self._line.paused = paused
        if paused:
            self._loop.remove_reader(self._line.fileno())
        else:
            self._loop.add_reader(self._line.fileno(), self._read)
            # What TLS has deciphered already would not make the line readable.
            self._loop.call_soon(self._read)

    def _leave(self) -> None:
        if self._line.fileno() >= 0:
            self._loop.remove_reader(self._line.fileno())
            self._loop.remove_writer(self._line.fileno())

    # What paho calls. Its types allow for every version of MQTT and of the callbacks.

    def _on_connect(self, client: Client, data: Any, flags: Any, reason: Any, more: Any) -> None:
        self._answered(0, [reason])

    def _on_disconnect(self, client: Client, data: Any, flags: Any, reason: Any, more: Any) -> None:
        self.close(self._line.fault or "the connection ended: %s" % reason)

    def _on_message(self, client: Client, data: Any, message: MQTTMessage) -> None:
        if self._is_early("PUBLISH"):
            return
        topic, payload = message.topic, message.payload
        if len(payload) > self._limit:
            topic, payload = "oversized/" + topic, b""
        taken = Message(topic, bytes(payload), message.retain)
        self._incoming.append((taken, message.mid, message.qos))
        self._news.set()
        self._pause_or_go_on()

    def _on_publish(self, client: Client, data: Any, mid: int, reason: Any, more: Any) -> None:
        self._answered(mid, [reason])

    def _on_subscribe(self, client: Client, data: Any, mid: int, codes: Any, more: Any) -> None:
        if not self._is_early("SUBACK"):
            self._answered(mid, codes)

    def _is_early(self, packet: str) -> bool:
        """CONNACK has to come first (3.2.0-1), to which paho does not see."""
        answer = self._answers.get(0)
        early = answer is not None and not answer.done()
        if early:
            self.close("%s came before CONNACK" % packet)
        return early

    def _on_socket_close(self, client: Client, data: Any, line: Any) -> None:
        self._leave()

    def _on_register_write(self, client: Client, data: Any, line: Any) -> None:
        if self._reason is None:
            self._loop.add_writer(self._line.fileno(), self._write)

    def _on_unregister_write(self, client: Client, data: Any, line: Any) -> None:
        if self._reason is None:
            self._loop.remove_writer(self._line.fileno())
            self._unsent = 0
            self._pause_or_go_on()
