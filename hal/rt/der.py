"""DER (X.690), as much of it as certificates and requests for them need."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    Octets = bytes | bytearray | memoryview

INTEGER, BIT_STRING, OCTET_STRING, OID, UTF8 = 0x02, 0x03, 0x04, 0x06, 0x0C
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
SEQUENCE, SET = 0x30, 0x31
CONTEXT_0 = 0xA0  # [0], constructed; [1] is one more


class DerError(ValueError):
    """What came is no DER, or another thing than expected."""


def wrap(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    if size < 256:
        return bytes((tag, 0x81, size)) + content
    return bytes((tag, 0x82)) + size.to_bytes(2, "big") + content


def sequence(*parts: bytes) -> bytes:
    return wrap(SEQUENCE, b"".join(parts))


def unsigned(value: bytes) -> bytes:
    """INTEGER of a big-endian number."""
    while len(value) > 1 and not value[0]:
        value = value[1:]
    return wrap(INTEGER, (b"\0" if value[0] & 0x80 else b"") + value)


def take(data: Octets, offset: int = 0) -> tuple[int, int, int]:
    """(tag, where its content begins, where it ends) of what stands at `offset`. DerError."""
    if offset + 2 > len(data):
        raise DerError("DER: it ends before an element at %d" % offset)
    tag, size, begins = data[offset], data[offset + 1], offset + 2
    if size >= 0x80:
        count = size & 0x7F
        if not 1 <= count <= 3 or begins + count > len(data):
            raise DerError("DER: no length at %d" % (offset + 1))
        size = 0
        for octet in bytes(data[begins : begins + count]):
            size = size << 8 | octet
        begins += count
    if tag & 0x1F == 0x1F or begins + size > len(data):
        raise DerError("DER: an element at %d is longer than what there is" % offset)
    return tag, begins, begins + size


def elements(data: Octets, tag: int = SEQUENCE) -> list[tuple[int, bytes, bytes]]:
    """(tag, content, whole) of each element inside the one that `data` begins with. DerError."""
    found, place, end = take(data)
    if found != tag:
        raise DerError("DER: expected tag %02x, came %02x" % (tag, found))
    inside = []
    while place < end:
        kind, begins, ends = take(data, place)
        if ends > end:
            raise DerError("DER: an element at %d is longer than what holds it" % place)
        inside.append((kind, bytes(data[begins:ends]), bytes(data[place:ends])))
        place = ends
    return inside
