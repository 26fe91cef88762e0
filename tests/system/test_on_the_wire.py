"""What a gateway puts on the wire, and what the HES sends it, is MQTT 3.1.1 at QoS 1 and within the
limits of AWS IoT, so that any broker or cluster serves.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import pytest

from gateway.contract import envelope, messages
from gateway.contract.sealed import kid_of
from tests.mosquitto import Broker
from tests.system.faulty_line import UP, FaultyLine
from tests.system.orders import normal_meters, period_package, signed
from tools.demonstration.stage import CONCENTRATOR, RUNTIMES, Stage
from tools.hes.orders import order

CONNECT, PUBLISH, SUBSCRIBE, DISCONNECT = 1, 3, 8, 14
ALLOWED = (CONNECT, 2, PUBLISH, 4, SUBSCRIBE, 9, 12, 13, DISCONNECT)  # none of QoS 2
CLEAN, WILL, WILL_QOS_1, WILL_RETAIN = 0x02, 0x04, 0x08, 0x20
# https://docs.aws.amazon.com/general/latest/gr/iot-core.html, message broker and protocol limits
PAYLOAD = 128 * 1024
LEVELS = 8
TOPIC_OCTETS = 256
CLIENT_ID_OCTETS = 128
SUBSCRIPTIONS = 8  # in one SUBSCRIBE
LEVEL = re.compile(r"[a-z0-9-]+")


@dataclass
class Packet:
    """`head` is the first octet, `body` what follows the remaining length."""

    head: int
    body: bytes

    @property
    def kind(self) -> int:
        return self.head >> 4

    @classmethod
    def of(cls, raw: bytes) -> Packet:
        start = 1
        while raw[start] & 128:
            start += 1
        return cls(raw[0], raw[start + 1 :])


def field(body: bytes, offset: int) -> tuple[bytes, int]:
    """Octets with their length in front, and where they end."""
    end = offset + 2 + int.from_bytes(body[offset : offset + 2], "big")
    return body[offset + 2 : end], end


def check_topic(topic: str) -> None:
    levels = topic.split("/")
    assert len(levels) <= LEVELS and len(topic) <= TOPIC_OCTETS
    assert all(LEVEL.fullmatch(level) for level in levels), topic
    assert topic.startswith("ami/v1/%s/" % CONCENTRATOR)


def check_connect(packet: Packet) -> None:
    assert packet.body[:7] == b"\x00\x04MQTT\x04"
    flags = packet.body[7]
    assert flags & 0x3E == CLEAN | WILL | WILL_QOS_1 | WILL_RETAIN
    client_id, end = field(packet.body, 10)
    assert 1 <= len(client_id) <= CLIENT_ID_OCTETS
    will, end = field(packet.body, end)
    check_topic(will.decode())
    _, state_octets, _ = envelope.split(field(packet.body, end)[0])
    state = messages.State.decode(state_octets)
    assert will.endswith(b"/state") and not state.online


def check_subscribe(packet: Packet) -> list[str]:
    """The names at the topics' ends."""
    end, names = 2, []
    while end < len(packet.body):
        topic, end = field(packet.body, end)
        check_topic(topic.decode())
        assert packet.body[end] == 1  # QoS
        end += 1
        names.append(topic.decode().rsplit("/", 1)[1])
    assert len(names) <= SUBSCRIPTIONS
    return names


def check_publish(packet: Packet, way: str) -> str:
    """The name at the topic's end."""
    topic, end = field(packet.body, 0)
    check_topic(topic.decode())
    name = topic.decode().rsplit("/", 1)[1]
    assert packet.head >> 1 & 3 == 1
    assert bool(packet.head & 1) == (way == UP and name == "state")  # retained
    payload = packet.body[end + 2 :]
    assert len(payload) < PAYLOAD
    if name == "state":
        envelope.split(payload)
    elif name != messages.HANDSHAKE:
        assert kid_of(payload) is not None, "%s: not sealed" % name
    return name


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_on_the_wire(stage: Stage, broker: Broker, runtime: str) -> None:
    stage.start_meters(5, seed=5, loss=0.0, speed=50.0)
    stage.start_hes()
    with FaultyLine(broker.port) as line, stage.control() as control:
        stage.start_broker("mqtt://board:open%%20sesame@127.0.0.1:%d" % line.port)
        stage.start_gateway(runtime)
        store = stage.store()
        terms = order.Terms(5, 0, int(time.time()) + 3600, tries=3, backoff=1)
        package = signed(period_package(900), stage.key)
        serials = normal_meters(control)
        job = order.configure(store.orders, stage.key, CONCENTRATOR, serials, terms, package)
        stage.wait_for("the job's end", 300, lambda: store.reports.finished(job))
        packets = [(way, Packet.of(raw)) for way, raw in list(line.packets)]

    assert {packet.kind for _, packet in packets} <= set(ALLOWED)
    heard: dict[str, list[str]] = {"up": [], "down": []}
    subscribed = []
    for way, packet in packets:
        if packet.kind == CONNECT:
            check_connect(packet)
        elif packet.kind == SUBSCRIBE:
            subscribed += check_subscribe(packet)
        elif packet.kind == PUBLISH:
            heard[way].append(check_publish(packet, way))
        # Whose meters these are, and what is ordered, is nobody's business on the way.
        assert not [serial for serial in serials if serial.encode() in packet.body]
    ups, downs = (
        {*names, messages.HANDSHAKE} for names in (messages.UP_TOPICS, messages.DOWN_TOPICS)
    )
    assert set(subscribed) == downs and len(subscribed) == len(downs)
    assert heard["up"][:4] == ["state", "edhoc", "edhoc", "hello"]  # the birth first
    assert {"report", "pull"} <= set(heard["up"]) <= ups
    assert {"time", "job", "chunk", "ack"} <= set(heard["down"]) <= downs
