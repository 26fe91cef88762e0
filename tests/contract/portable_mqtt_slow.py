"""The Uplink on a slow line: a message that takes far longer than the keepalive time is no silence.

Environment: MQTT_PORT (of the slow line), MQTT_FAST_PORT (of the broker behind it),
MQTT_KEEPALIVE_S, MQTT_OCTETS (what a message has; takes many keepalive times), MQTT_TLS_PORT (of a
line of 2 kbit/s to the broker's TLS), MQTT_CERTIFICATES (folder).
"""

from __future__ import annotations

import asyncio
import os

from hal.ports import Message
from hal.rt.tls_files import TlsFiles
from tests.contract.here import MqttUplink, SystemClock
from tests.portable.support import random_bytes, run

SOON = 120_000  # ms; ten times what a large message takes
CLOCK = SystemClock()


def number(name: str) -> int:
    value = os.getenv(name)
    assert value, "%s is not in the environment" % name
    return int(value)


def uplink(client_id: str, port: str, keepalive_s: int) -> MqttUplink:
    return MqttUplink(
        "localhost", number(port), client_id, "board", "open sesame", None, 1 << 16, keepalive_s
    )


async def across(sender: MqttUplink, receiver: MqttUplink) -> None:
    """A large message, and a small one behind it."""
    large = Message("n", random_bytes(1, number("MQTT_OCTETS")))
    await sender.connect(None, [], SOON)
    await receiver.connect(None, ["n"], SOON)
    receiving = asyncio.create_task(receiver.receive())
    await sender.publish(large, SOON)
    assert (await CLOCK.wait_for_ms(receiving, SOON)).payload == large.payload
    await sender.publish(Message("n", b"small"), SOON)
    assert (await CLOCK.wait_for_ms(receiver.receive(), SOON)).payload == b"small"
    await sender.disconnect()
    await receiver.disconnect()


def test_a_large_message_up() -> None:
    slow = uplink("slow", "MQTT_PORT", number("MQTT_KEEPALIVE_S"))
    run(across(slow, uplink("fast", "MQTT_FAST_PORT", 60)))


def test_a_large_message_down() -> None:
    slow = uplink("slow", "MQTT_PORT", number("MQTT_KEEPALIVE_S"))
    run(across(uplink("fast", "MQTT_FAST_PORT", 60), slow))


def test_certificates_take_their_time() -> None:
    async def body() -> None:
        folder = os.getenv("MQTT_CERTIFICATES") or ""
        names = [folder + "/" + name for name in ("ca.pem", "client.pem", "client.key.pem")]
        port = number("MQTT_TLS_PORT")
        link = MqttUplink(
            "localhost", port, "slow", "board", "open sesame", TlsFiles(*names), 1 << 16, 60
        )
        await link.connect(None, ["n"], SOON)
        await link.publish(Message("n", b"?"), SOON)
        assert (await CLOCK.wait_for_ms(link.receive(), SOON)).payload == b"?"
        await link.disconnect()

    run(body())
