"""A concentrator that does exactly what a test tells it, over a real broker."""

from __future__ import annotations

import asyncio
from typing import Any

import aiomqtt

from gateway.contract import messages
from gateway.contract.messages import Hello, Pull, Reports, State
from tests.unit.hes.orders import CONCENTRATOR, numbered

EPOCH = 0xABCD
PATIENCE = 120  # seconds; a limit for a test that fails, not a pace


class Concentrator:
    """Use as `async with`. Messages that come down wait in `inbox` by topic name."""

    def __init__(self, port: int, session: int = 1, name: str = CONCENTRATOR) -> None:
        self.name = name
        self.session = session
        self.inbox: dict[str, asyncio.Queue[bytes]] = {
            each: asyncio.Queue() for each in (*messages.DOWN_TOPICS, messages.HANDSHAKE)
        }
        will = aiomqtt.Will(self._topic("state"), self._state(False, 1), 1, True)
        self._client = aiomqtt.Client("127.0.0.1", port, will=will, clean_session=True)

    async def __aenter__(self) -> Concentrator:
        await self._client.__aenter__()
        await self._client.subscribe("ami/v1/%s/+" % self.name, qos=1)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *error: Any) -> None:
        self._reader.cancel()
        await self._client.__aexit__(*error)

    async def birth(self, first: int = 1) -> None:
        await self.send("state", self._state(True, first), retain=True)

    async def hello(self, jobs: list[bytes] | None = None) -> None:
        await self.send("hello", Hello(self.session, 0, jobs or []).encode())

    async def report(self, first: int, *bodies: object) -> None:
        await self.send("report", Reports(EPOCH, numbered(first, *bodies)).encode())

    async def pull(self, digest: bytes, offset: int, size: int) -> messages.Chunk:
        await self.send("pull", Pull(digest, offset, size).encode())
        return messages.Chunk.decode(await self.next("chunk"))

    async def send(self, name: str, payload: bytes, retain: bool = False) -> None:
        await self._client.publish(self._topic(name), payload, qos=1, retain=retain)

    async def next(self, name: str) -> bytes:
        return await asyncio.wait_for(self.inbox[name].get(), PATIENCE)

    async def acknowledged(self) -> int:
        ack = messages.Ack.decode(await self.next("ack"))
        assert ack.epoch == EPOCH
        return ack.number

    async def acknowledged_up_to(self, number: int) -> None:
        while await self.acknowledged() != number:
            pass

    async def asked_again_from(self, number: int) -> None:
        while True:
            resend = messages.Resend.decode(await self.next("resend"))
            assert resend.epoch == EPOCH
            if resend.number == number:
                return

    def _topic(self, name: str) -> str:
        return messages.topic(self.name, name)

    def _state(self, online: bool, first: int) -> bytes:
        state = State(
            self.name, self.session, online, EPOCH, first, first, 0, "0.1", "test", 0, 3, 3
        )
        return state.encode()

    async def _read(self) -> None:
        async for message in self._client.messages:
            name = str(message.topic).rsplit("/", 1)[1]
            if name in self.inbox:
                assert isinstance(message.payload, bytes)
                self._take(name, message.payload)

    def _take(self, name: str, payload: bytes) -> None:
        self.inbox[name].put_nowait(payload)
