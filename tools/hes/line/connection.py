"""The connection to the broker: what aiomqtt leaves to us."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import aiomqtt

from gateway.contract import messages


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


async def publish(client: aiomqtt.Client, concentrator: str, name: str, payload: bytes) -> None:
    await client.publish(messages.topic(concentrator, name), payload, qos=1)
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
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
