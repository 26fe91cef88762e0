"""A broker that refuses a subscription: whoever asks hears of it by name, and the service does not
take itself for connected.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.contract import messages
from tests.unit.hes.test_hes_service import run, serving, status_of, until

CONNACK = b"\x20\x02\x00\x00"
TAKEN, REFUSED = b"\x01", b"\x80"  # codes of a SUBACK


class Refusing:
    """Speaks just as much MQTT as the start of the service needs. `refused` is the place of the
    topic among those asked for, or None."""

    def __init__(self, refused: int | None) -> None:
        self.refused = refused
        self.asked = 0  # subscriptions
        self.port = 0

    async def serve(self, reader: Any, writer: Any) -> None:
        await reader.read(4096)
        writer.write(CONNACK)
        head = await reader.readexactly(2)
        assert head[0] == 0x82 and head[1] < 128
        body = await reader.readexactly(head[1])
        self.asked += 1
        codes = [TAKEN] * len(messages.UP_TOPICS)
        if self.refused is not None:
            codes[self.refused] = REFUSED
        writer.write(bytes((0x90, 2 + len(codes))) + body[:2] + b"".join(codes))
        while await reader.read(4096):
            pass
        writer.close()


@pytest.mark.parametrize("place", range(len(messages.UP_TOPICS)))
def test_a_refused_subscription_is_told(store, place: int) -> None:
    topic = "ami/v1/+/" + messages.UP_TOPICS[place]
    told = (
        "not connected (nothing is heard: the broker refuses the subscription to %s; check its"
        " access rules)" % topic
    )

    async def scenario() -> None:
        broker = Refusing(place)
        server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, serving(store, "mqtt://127.0.0.1:%d" % port, wait=False):
            await until(lambda: status_of(store) == told)
            await until(lambda: broker.asked > 1)  # it is tried again, and told the same
            assert status_of(store) == told
            broker.refused = None
            await until(lambda: status_of(store) == "connected")

    run(scenario())
