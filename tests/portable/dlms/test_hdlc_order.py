"""A notification and an answer over HDLC come out in the order they came in: ciphered, the one
behind would otherwise look replayed."""

from __future__ import annotations

from gateway.dlms.hdlc import frames
from gateway.dlms.hdlc.client import OPEN, HdlcClient
from gateway.dlms.hdlc.settings import Settings

CLIENT, METER = frames.client_address(1), frames.server_address(1)
LLC = b"\xe6\xe7\x00"


def opened() -> HdlcClient:
    client = HdlcClient(1, METER, Settings())
    client.connect(0)
    client.feed(frames.encode(CLIENT, METER, frames.UA | frames.POLL), 1)
    assert client.state == OPEN
    client.send(b"\xc0\x01", 2)
    return client


def notification(text: bytes) -> bytes:
    return frames.encode(CLIENT, METER, frames.UI | frames.POLL, LLC + text)


def answer(text: bytes) -> bytes:
    return frames.encode(CLIENT, METER, 0x30, LLC + text)  # N(R) 1, N(S) 0, final


def taken(client: HdlcClient) -> list[bytes]:
    found = []
    while True:
        apdu = client.arrived()
        if apdu is None:
            return found
        found.append(apdu)


def test_in_the_order_they_came() -> None:
    client = opened()
    client.feed(notification(b"one") + answer(b"two") + notification(b"three"), 3)
    assert taken(client) == [b"one", b"two", b"three"]


def test_a_new_connection_keeps_the_notifications_only() -> None:
    client = opened()
    client.feed(notification(b"one") + answer(b"two") + notification(b"three"), 3)
    client.connect(4)
    assert taken(client) == [b"one", b"three"]
    assert client.arrived() is None
