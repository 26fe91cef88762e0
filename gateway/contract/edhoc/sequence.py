"""The messages of the handshake as CBOR sequences (RFC 8742, RFC 9528 5): their items, connection
ids, and external authorization data."""

from __future__ import annotations

from gateway.contract.refused import Refused
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    # (label, value or b"" where there is none)
    Ead = tuple[int, bytes]

MAX_HANDSHAKE = 1024  # octets of any message of the handshake, its framing included

_MAX_ITEMS = 16  # of any message; external authorization data takes two each
_MAX_LABEL = 65535
_PADDING = 0  # RFC 9528 3.8.1


def items(data: bytes, what: str) -> list[Any]:
    """Refused `malformed` if it is no short sequence of a few items."""
    if len(data) > MAX_HANDSHAKE:
        raise Refused("malformed", "%s: expected %d octets at most" % (what, MAX_HANDSHAKE))
    try:
        return cbor.decode_sequence(data, _MAX_ITEMS)
    except cbor.CborError as error:
        raise Refused("malformed", "%s: %s" % (what, error))


def string_in(data: bytes, what: str) -> bytes:
    """The one byte string that a message is. Refused `malformed`."""
    found = items(data, what)
    if len(found) != 1 or not isinstance(found[0], bytes):
        raise Refused("malformed", "%s: expected one byte string" % what)
    return found[0]


def identifier(octets: bytes) -> bytes:
    """How connection ids and key ids stand in a message: what is itself the encoding of an integer
    of one octet stands as that integer (RFC 9528 3.3.2, 3.5.3.2)."""
    return octets if _is_integer(octets) else cbor.encode(octets)


def identified(item: Any, what: str, most: int) -> bytes:
    """The octets of an id of at most `most` octets, back from identifier(). Refused `malformed`."""
    if isinstance(item, int) and not isinstance(item, bool) and -24 <= item <= 23:
        return cbor.encode(item)
    if isinstance(item, bytes) and len(item) <= most and not _is_integer(item):
        return item
    raise Refused("malformed", "EDHOC: expected %s of at most %d octets" % (what, most))


def _is_integer(octets: bytes) -> bool:
    return len(octets) == 1 and (octets[0] <= 0x17 or 0x20 <= octets[0] <= 0x37)


def encode_ead(ead: Sequence[Ead]) -> bytes:
    out = b""
    for label, value in ead:
        out += cbor.encode(label)
        if value:
            out += cbor.encode(value)
    return out


def ead_of(found: Sequence[Any], what: str) -> list[Ead]:
    """Of the items at the end of a message, without padding.

    Refused `malformed`, also for what is critical (RFC 9528 3.8): none of it is known here.
    """
    ead: list[Ead] = []
    after_label = False
    for item in found:
        if isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= _MAX_LABEL:
            ead.append((item, b""))
            after_label = True
        elif isinstance(item, bytes) and after_label:
            ead[-1] = (ead[-1][0], item)
            after_label = False
        else:
            raise Refused("malformed", "%s: expected no critical external data" % what)
    return [each for each in ead if each[0] != _PADDING]
