"""The connection to the broker: what aiomqtt leaves to us."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import aiomqtt

from gateway.contract import messages
from tools.hes.line.sessions import Sessions

CANCEL_AGAIN = 15.0  # seconds: longer than a broker is given to say goodbye


class Deaf(aiomqtt.MqttError):
    """The broker lets us in and refuses what we want to hear."""


async def subscribe(client: aiomqtt.Client, topics: list[str]) -> None:
    """One request for all topics, so that a birth is not heard before its reports can be."""
    codes: Any = await client.subscribe([(topic, 1) for topic in topics])
    for topic, code in zip(topics, codes, strict=True):
        if code.value >= 0x80:
            raise Deaf(
                "nothing is heard: the broker refuses the subscription to %s; check its access"
                " rules" % topic
            )


class Sender:
    """What goes down to the concentrators over one connection, each in its session."""

    def __init__(self, client: aiomqtt.Client, sessions: Sessions) -> None:
        self._client = client
        self._sessions = sessions

    async def publish(self, concentrator: str, name: str, payload: bytes) -> None:
        """Nothing goes to who cannot be spoken to: it is said again when he can."""
        topic = messages.topic(concentrator, name)
        # Handed to the client before anything else is sealed: numbers only rise.
        sealed = self._sessions.sealed(concentrator, topic, payload)
        if sealed is not None:
            await self._published(topic, sealed)

    async def handshake(self, concentrator: str, payload: bytes) -> None:
        self._sessions.answered(concentrator, payload)
        await self._published(messages.topic(concentrator, messages.HANDSHAKE), payload)

    async def subscribe(self, topics: list[str]) -> None:
        await subscribe(self._client, topics)

    async def _published(self, topic: str, payload: bytes) -> None:
        await self._client.publish(topic, payload, qos=1)
        stop_if_cancelled()


def stop_if_cancelled() -> None:
    """Before Python 3.12, asyncio.wait_for(), which aiomqtt uses, swallows a cancel that comes
    together with the answer it waits for.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def together(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run them until the first ends. The others are cancelled; what it raised comes out."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        pending = set(tasks)
        while pending:  # who has swallowed a cancel, see stop_if_cancelled(), gets another
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN)
    for task in done:
        task.result()
