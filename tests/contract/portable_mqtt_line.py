"""The protected line over a real broker: the handshake, whose messages come back to who sends them,
and large messages, on CPython the largest that may be, sealed, each way. Environment as
portable_mqtt.py.
"""

from __future__ import annotations

import sys

from gateway.contract.limits import MAX_MESSAGE, MAX_SEALED
from gateway.contract.messages import HANDSHAKE, topic
from gateway.uplink.identity import identity_of
from gateway.uplink.line import Line
from hal.ports import Message
from hal.sim.storage import MemoryStorage
from tests.contract.here import MqttUplink
from tests.contract.portable_mqtt import SOON, env, receive
from tests.portable.support import run
from tests.portable.uplink.protected import Guard
from tests.portable.uplink.support import BOARD_KEY, HERE, crypto

# Both sides in one small heap hold the message six times over.
LARGEST = MAX_MESSAGE // 4 if sys.implementation.name == "micropython" else MAX_MESSAGE
EDHOC, UP, DOWN = topic(HERE, HANDSHAKE), topic(HERE, "hello"), topic(HERE, "job")


def link(client_id: str) -> MqttUplink:
    port = int(env("MQTT_PORT"))
    return MqttUplink("localhost", port, client_id, "board", "open sesame", None, MAX_SEALED)


async def handshake(line: Line, guard: Guard, gateway: MqttUplink, hes: MqttUplink) -> None:
    for answered in (True, False):
        message = line.due(0)
        assert message is not None
        await gateway.publish(Message(EDHOC, message), SOON)
        answer = guard.handshake((await receive(hes)).payload)
        line.take((await receive(gateway)).payload, 0)  # its own, which is no answer
        assert (answer is not None) == answered
        if answer is not None:
            await hes.publish(Message(EDHOC, answer), SOON)
            assert (await receive(hes)).payload == answer
            line.take((await receive(gateway)).payload, 0)


def test_a_session_and_large_messages() -> None:
    async def body() -> None:
        guard = Guard(crypto())
        identity = identity_of(MemoryStorage(), crypto(), BOARD_KEY)
        line = Line(HERE, identity, guard.peers, crypto())
        line.connected(77, 0)
        gateway, hes = link("gateway"), link("hes")
        await gateway.connect(None, [EDHOC, DOWN], SOON)
        await hes.connect(None, [EDHOC, UP], SOON)
        await handshake(line, guard, gateway, hes)
        assert line.ready and guard.handshakes == 1
        for size in (0, 1, LARGEST):
            plain = bytes(size)
            await gateway.publish(Message(UP, line.seal(UP, plain)), SOON)
            assert guard.opened(UP, (await receive(hes)).payload) == plain
            sealed = guard.sealed(DOWN, plain)
            assert sealed is not None
            await hes.publish(Message(DOWN, sealed), SOON)
            assert line.open(DOWN, (await receive(gateway)).payload) == plain
        assert line.confirmed
        await gateway.disconnect()
        await hes.disconnect()

    run(body())
