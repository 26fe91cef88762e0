"""The uplink as a small MQTT 3.1.1 client: clean session, QoS 1 both ways, TLS by mbedTLS."""

from __future__ import annotations

import asyncio
import errno

from hal.micropython import mqtt_packets as packets
from hal.micropython.clock import wait_for_ms
from hal.micropython.mqtt_connection import Connection
from hal.micropython.tcp import connect
from hal.ports import TOPICS_AT_ONCE, PortError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Message
    from hal.rt.tls_files import TlsFiles

_GOODBYE_MS = 2000


class MqttUplink:
    """See hal.ports.Uplink. `limit`: the largest payload in bytes; `keepalive_s`: a connection that
    says nothing for one and a half times as long is taken for gone, but not while a message of ours
    may still be on its way at 2 kbit/s."""

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
        self._connection: Connection | None = None
        self.ends: list[tuple[str, int]] = []

    async def connect(
        self,
        will: Message | None,
        topics: list[str],
        timeout_ms: int,
        bounds: tuple[int, int] = (0, 0xFFFFFFFF),
    ) -> None:
        await self._drop()
        try:
            await wait_for_ms(self._connect(will, topics, bounds), timeout_ms)
        except asyncio.TimeoutError:
            await self._drop()
            raise OSError(
                errno.ETIMEDOUT, "%s: no connection within %d ms" % (self._name(), timeout_ms)
            )
        except OSError as error:
            await self._drop()
            raise self._gone(error)
        except BaseException:
            await self._drop()
            raise

    async def publish(self, message: Message, timeout_ms: int) -> None:
        connection = self._connected()
        try:
            await wait_for_ms(connection.publish(message, timeout_ms), timeout_ms)
        except OSError as error:
            raise self._gone(error)

    async def receive(self) -> Message:
        try:
            return await self._connected().receive()
        except OSError as error:
            raise self._gone(error)

    async def disconnect(self) -> None:
        if self._connection is not None:
            try:
                await wait_for_ms(self._connection.goodbye(), _GOODBYE_MS)
            except (OSError, asyncio.TimeoutError):
                pass  # the broker will notice
        await self._drop()

    async def _connect(
        self, will: Message | None, topics: list[str], bounds: tuple[int, int]
    ) -> None:
        packet = packets.connect(
            self._client_id, self._username, self._password, self._keepalive_s, will
        )
        if self.tls is None:
            code = await self._opened(await connect(self._host, self._port), packet)
        else:
            code = await self._opened_with_tls(self.tls, packet, bounds)
        connection = self._connected()
        if code:
            reason = packets.REFUSALS[code] if code < len(packets.REFUSALS) else "code %d" % code
            raise PortError("%s: %s; check the settings" % (self._name(), reason))
        codes = b""
        for first in range(0, len(topics), TOPICS_AT_ONCE):
            codes += await connection.subscribe(topics[first : first + TOPICS_AT_ONCE])
        refused = [topic for topic, code in zip(topics, codes) if code >= 0x80]  # noqa: B905
        if refused or len(codes) != len(topics):
            raise PortError(
                "%s: the broker refuses the subscription to %s; check its access rules"
                % (self._name(), ", ".join(refused or topics))
            )

    async def _opened_with_tls(
        self, files: TlsFiles, packet: bytes, bounds: tuple[int, int]
    ) -> int:
        from hal.micropython.tls_client import Tls  # not without TLS

        tls = Tls(files, self._host, bounds)
        believed = bounds[0]
        while True:
            try:
                line = tls.begin(await connect(self._host, self._port), believed)
                code = await self._opened(line, packet)
                self.ends = tls.ends()
                return code
            except (OSError, ValueError) as error:  # ValueError: of mbedTLS, on certificates
                before, believed = believed, tls.valid_from()
                if believed <= before:
                    raise tls.words(error)
                await self._drop()
            finally:
                tls.end()

    async def _opened(self, line, packet: bytes) -> int:  # type: ignore[no-untyped-def]
        """CONNACK's code."""
        stream = asyncio.StreamWriter(line, {})
        # From here on a failure finds the connection where _drop() looks for it.
        self._connection = Connection(stream, self._limit, self._keepalive_s)
        return await self._connection.open(packet)

    async def _drop(self) -> None:
        connection = self._connection
        self._connection = None
        if connection is not None:
            await connection.close()

    def _connected(self) -> Connection:
        if self._connection is None:
            raise OSError(errno.ENOTCONN, "%s: not connected" % self._name())
        return self._connection

    def _gone(self, error: OSError) -> OSError:
        reason = error.args[1] if error.args[1:] else error
        return OSError(errno.ENOTCONN, "%s: %s" % (self._name(), reason))

    def _name(self) -> str:
        return "MQTT %s:%d" % (self._host, self._port)
