"""A broker that hangs up while this machine is too busy to look (CPython only)."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client
import pytest

from hal.cpython.mqtt import MqttUplink

TURN = 0.05  # seconds the loop takes to come round
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of 0 seconds: closing sends RST


@pytest.fixture
def resetting_port() -> Iterator[int]:
    """Resets every connection at once."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            time.sleep(0.002)  # so that connecting itself goes well
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            line.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield int(listener.getsockname()[1])
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_a_line_closed_before_the_loop_comes_to_it(
    resetting_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_connect = paho.mqtt.client.Client._send_connect
    faults: list[Any] = []

    def late(client: paho.mqtt.client.Client, keepalive: int) -> Any:
        time.sleep(2 * TURN)  # the loop finds the reset as this asks it to watch
        return send_connect(client, keepalive)

    monkeypatch.setattr(paho.mqtt.client.Client, "_send_connect", late)

    async def keep_busy() -> None:
        while True:
            time.sleep(TURN)  # noqa: ASYNC251 - this is a loop that does not come round
            await asyncio.sleep(0)

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        busy = asyncio.create_task(keep_busy())
        for _ in range(5):
            link = MqttUplink("127.0.0.1", resetting_port, "one", None, None, None, 4096)
            with pytest.raises(OSError, match=r"127\.0\.0\.1"):
                await link.connect(None, ["n"], 10_000)
            await link.disconnect()
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)

    asyncio.run(scenario())
    assert faults == []
