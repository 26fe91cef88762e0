"""How the handshake travels on the topic `edhoc` (RFC 9528 A.2.1, 6): the concentrator sends
`true || message_1` and `C_R || message_3`, the HES answers with message_2, or with an error.
"""

from __future__ import annotations

from gateway.contract.edhoc.sequence import MAX_HANDSHAKE, items
from gateway.contract.refused import Refused
from gateway.contract.sealed import CONNECTION_SIZE
from hal.rt import cbor

METHOD = 3  # both sides prove themselves by static Diffie-Hellman keys (RFC 9528 3.2)
SUITE = 2  # AES-CCM-16-64-128, SHA-256, 8, P-256, ES256, AES-CCM-16-64-128, SHA-256 (RFC 9528 3.6)

SIGN_KEY = (
    32768  # label, for private use, of the key in EAD_3 that the concentrator signs with: x||y
)
UNSPECIFIED, WRONG_SUITE, UNKNOWN_CREDENTIAL = 1, 2, 3  # ERR_CODE (RFC 9528 6)

_TRUE = b"\xf5"
_CONNECTION_HEAD = bytes([0x40 | CONNECTION_SIZE])
# With these a message of the concentrator begins, and none of the HES: on one topic each side hears
# what it sends itself.
HEADS_UP = (_TRUE, _CONNECTION_HEAD)
NOT_KNOWN = "the credential is not known there"
_MAX_TEXT = 256  # octets of an error's text that are of interest


class WrongSuite(Refused):
    """The peer's message_1 has not selected the suite that we have; it is to be told so."""

    def __init__(self, detail: str) -> None:
        super().__init__("malformed", detail)


def framed_1(message_1: bytes) -> bytes:
    return _TRUE + message_1


def framed_3(connection: bytes, message_3: bytes) -> bytes:
    """`connection` is C_R: the `kid` of the session's sealer."""
    return _CONNECTION_HEAD + connection + message_3


def unframed(payload: bytes) -> tuple[bytes | None, bytes]:
    """(None, message_1) or (C_R, message_3) of what a concentrator sent. Refused `malformed`."""
    if len(payload) <= MAX_HANDSHAKE:
        if payload[:1] == _TRUE:
            return None, payload[1:]
        end = 1 + CONNECTION_SIZE
        if payload[:1] == _CONNECTION_HEAD and len(payload) > end:
            return payload[1:end], payload[end:]
    raise Refused(
        "malformed",
        "EDHOC: expected true, or a connection id of %d octets, and %d octets at most"
        % (CONNECTION_SIZE, MAX_HANDSHAKE),
    )


def error_message(refused: Refused | None = None) -> bytes:
    """The EDHOC error that tells the peer of `refused`; without it, that there is no such
    session."""
    if isinstance(refused, WrongSuite):
        return cbor.encode(WRONG_SUITE) + cbor.encode(SUITE)
    if refused is not None and refused.reason == "unknown-signer":
        return cbor.encode(UNKNOWN_CREDENTIAL) + b"\xf5"
    text = "no such session" if refused is None else refused.reason
    return cbor.encode(UNSPECIFIED) + cbor.encode(text)


def error_in(payload: bytes) -> str | None:
    """What an EDHOC error says, in a line for the log; None if the payload is none. Nothing of it
    is proven."""
    if len(payload) > MAX_HANDSHAKE or payload[:1] not in (b"\x01", b"\x02", b"\x03"):
        return None
    try:
        found = items(payload, "EDHOC error")
    except Refused:
        return None
    if len(found) != 2:
        return None
    code, info = found
    if code == UNSPECIFIED and isinstance(info, str):
        return "%r" % info[:_MAX_TEXT]
    if code == WRONG_SUITE and isinstance(info, (int, list)):
        return "wrong cipher suite: the other side has %s" % str(info)[:_MAX_TEXT]
    if code == UNKNOWN_CREDENTIAL and info is True:
        return NOT_KNOWN
    return None
