"""MQTT 3.1.1 packets (OASIS standard, sections 2 and 3) as a QoS 1 client writes and reads them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Message

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 2, 3, 4, 9, 13
PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"
MAX_REMAINING = 268435455
# Section 3.2.2.3
REFUSALS = (
    "",
    "the broker does not speak MQTT 3.1.1",
    "the broker refuses the client identifier",
    "the broker is not available",
    "user name or password is wrong",
    "this client is not authorised",
)


def connect(
    client_id: str,
    username: str | None,
    password: str | None,
    keepalive_s: int,
    will: Message | None,
) -> bytes:
    """CONNECT with a clean session; the will, if any, at QoS 1."""
    flags = 0x02
    fields = [text(client_id)]
    if will is not None:
        flags |= 0x04 | 1 << 3 | (0x20 if will.retain else 0)
        fields.append(text(will.topic))
        fields.append(binary(will.payload))
    if username is not None:
        flags |= 0x80
        fields.append(text(username))
    if password is not None:
        flags |= 0x40
        fields.append(text(password))
    start = text("MQTT") + bytes([4, flags]) + keepalive_s.to_bytes(2, "big")
    return packet(0x10, start + b"".join(fields))


def subscribe(packet_id: int, topics: list[str]) -> bytes:
    """SUBSCRIBE to all of `topics` at QoS 1."""
    wanted = b"".join([text(topic) + b"\x01" for topic in topics])
    return packet(0x82, packet_id.to_bytes(2, "big") + wanted)


def publish(packet_id: int, message: Message) -> bytes:
    """PUBLISH at QoS 1."""
    head = text(message.topic) + packet_id.to_bytes(2, "big")
    return packet(0x32 | (1 if message.retain else 0), head + message.payload)


def puback(packet_id: int) -> bytes:
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def packet(first: int, body: bytes) -> bytes:
    """The fixed header (2.2) and the body."""
    size = len(body)
    if size > MAX_REMAINING:
        raise ValueError("MQTT packet of %d bytes: the limit is %d" % (size, MAX_REMAINING))
    head = bytearray([first])
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return bytes(head) + body


def text(value: str) -> bytes:
    """A UTF-8 string (1.5.3)."""
    return binary(value.encode())


def binary(value: bytes) -> bytes:
    if len(value) > 65535:
        raise ValueError("MQTT field of %d bytes: the limit is 65535" % len(value))
    return len(value).to_bytes(2, "big") + value
