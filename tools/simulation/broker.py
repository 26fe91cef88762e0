"""A broker in memory between one gateway and the HES: the gateway's Uplink port on one side, what
aiomqtt's client is for tools/hes/line/service.py on the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from hal.ports import Message, Shown, Uplink

GRANTED = 1  # QoS of a subscription, in the SUBACK
_MOST_WAITING = 1000  # messages to the gateway; more are lost, as with a broker's limits


class MemoryBroker:
    """`latency_ms`: from one side to the other. `up` False: the gateway's line is down, what is
    connected is cut; `messages` and `octets` count what passed, by topic's last name."""

    def __init__(self, latency_ms: int = 40) -> None:
        self.latency_s = latency_ms / 1000
        self.messages: dict[str, int] = {}
        self.octets: dict[str, int] = {}
        self.uplink: Uplink = GatewayEnd(self)
        self.hes = HesEnd(self)
        self._up = True

    @property
    def up(self) -> bool:
        return self._up

    @up.setter
    def up(self, up: bool) -> None:
        self._up = up
        if not up:
            assert isinstance(self.uplink, GatewayEnd)
            self.uplink.cut()

    def count(self, topic: str, payload: bytes) -> None:
        name = topic.rpartition("/")[2]
        self.messages[name] = self.messages.get(name, 0) + 1
        self.octets[name] = self.octets.get(name, 0) + len(payload)


class GatewayEnd:
    """hal.ports.Uplink."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._inbox: asyncio.Queue[Message | None] | None = None
        self._topics: list[str] = []
        self._will: Message | None = None
        self.tls: Shown | None = None
        self.ends: list[tuple[str, int]] = []

    async def connect(
        self,
        will: Message | None,
        topics: list[str],
        timeout_ms: int,
        bounds: tuple[int, int] = (0, 0xFFFFFFFF),
    ) -> None:
        self.cut()
        if not self._broker.up:
            await asyncio.sleep(timeout_ms / 1000)
            raise asyncio.TimeoutError
        await asyncio.sleep(2 * self._broker.latency_s)
        self._will = will
        self._topics = topics
        self._inbox = asyncio.Queue(_MOST_WAITING)

    async def publish(self, message: Message, timeout_ms: int) -> None:
        if self._inbox is None:
            raise OSError("not connected")
        broker = self._broker
        broker.count(message.topic, message.payload)
        loop = asyncio.get_running_loop()
        loop.call_later(broker.latency_s, broker.hes.deliver, message)
        await asyncio.sleep(2 * broker.latency_s)

    async def receive(self) -> Message:
        message = None if self._inbox is None else await self._inbox.get()
        if message is None:
            raise OSError("not connected")
        return message

    async def disconnect(self) -> None:
        self._will = None
        self.cut()

    def deliver(self, message: Message) -> None:
        inbox = self._inbox
        if inbox is not None and message.topic in self._topics and not inbox.full():
            inbox.put_nowait(message)

    def cut(self) -> None:
        inbox, self._inbox = self._inbox, None
        if inbox is not None:
            if inbox.full():
                inbox.get_nowait()
            inbox.put_nowait(None)
            if self._will is not None:
                self._broker.hes.deliver(self._will)
                self._will = None


@dataclass
class _Code:
    value: int


class HesEnd:
    """As much of aiomqtt.Client as tools/hes/line/service.py uses. Always connected."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()

    @property
    def messages(self) -> AsyncIterator[Message]:
        return self._messages()

    async def _messages(self) -> AsyncIterator[Message]:
        while True:
            yield await self._inbox.get()

    async def subscribe(self, topics: list[tuple[str, int]]) -> list[_Code]:
        return [_Code(GRANTED) for _ in topics]

    async def publish(self, topic: str, payload: bytes, qos: int) -> None:
        broker = self._broker
        broker.count(topic, payload)
        assert isinstance(broker.uplink, GatewayEnd)
        loop = asyncio.get_running_loop()
        loop.call_later(broker.latency_s, broker.uplink.deliver, Message(topic, payload))

    def deliver(self, message: Message) -> None:
        # What comes at once was not kept by the broker for a subscriber.
        self._inbox.put_nowait(Message(message.topic, message.payload))
