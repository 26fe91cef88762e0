"""The attacker: a plain MQTT client to whom the broker denies nothing. It hears and keeps all, and
says whatever it likes.
"""

from __future__ import annotations

import threading

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway.contract import messages
from tools.demonstration.stage import CONCENTRATOR

PATIENCE = 60


class Attacker:
    def __init__(self, port: int) -> None:
        self._lock = threading.Lock()
        self._heard: list[tuple[str, bytes]] = []
        self._said: set[tuple[str, bytes]] = set()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self._client.max_queued_messages_set(0)
        self._client.on_message = self._take
        self._client.on_connect = self._subscribe
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def heard(self, *names: str) -> list[tuple[str, bytes]]:
        """(name of the topic, payload) of what others said, oldest first; of these topics, or of
        all."""
        with self._lock:
            found = [each for each in self._heard if each not in self._said]
        told = [(topic.rsplit("/", 1)[1], payload) for topic, payload in found]
        return [each for each in told if not names or each[0] in names]

    def say(self, name: str, payload: bytes, who: str = CONCENTRATOR, retain: bool = False) -> None:
        """Returns when the broker has it."""
        self.say_all([(name, payload)], who, retain)

    def say_all(
        self, said: list[tuple[str, bytes]], who: str = CONCENTRATOR, retain: bool = False
    ) -> None:
        sent = []
        for name, payload in said:
            topic = messages.topic(who, name)
            with self._lock:
                self._said.add((topic, payload))
            sent.append(self._client.publish(topic, payload, qos=1, retain=retain))
        for each in sent:
            each.wait_for_publish(PATIENCE)

    def play_again(self, said: list[tuple[str, bytes]]) -> None:
        """What others have said; it still counts as theirs."""
        sent = [
            self._client.publish(messages.topic(CONCENTRATOR, name), payload, qos=1)
            for name, payload in said
        ]
        for each in sent:
            each.wait_for_publish(PATIENCE)

    def _subscribe(self, *_: object) -> None:
        self._client.subscribe("ami/v1/#", 1)

    def _take(self, client: object, data: object, message: paho.MQTTMessage) -> None:
        with self._lock:
            self._heard.append((message.topic, bytes(message.payload)))
