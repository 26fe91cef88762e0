"""Security suite 0 on the meter's side (Green Book 9.2.7): AES-GCM-128 with 12-byte tags.

Written apart from gateway/dlms/security.py on purpose: the client and its test peer must agree
because both follow the standard, not because they share code.
"""

from __future__ import annotations

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from gateway.dlms import axdr
from gateway.dlms.errors import ProtocolError

AUTHENTICATED, ENCRYPTED = 0x10, 0x20  # security control byte
FULL = AUTHENTICATED | ENCRYPTED
TAG_SIZE = 12


class Damaged(Exception):
    """The tag is wrong, or what came is no ciphered APDU at all."""


def seal(tag: int, title: bytes, counter: int, ek: bytes, ak: bytes, plain: bytes) -> bytes:
    """A glo-ciphered APDU: tag, length, SC, counter, ciphertext, authentication tag."""
    head = bytes([FULL]) + counter.to_bytes(4, "big")
    encryptor = Cipher(AES(ek), GCM(title + head[1:])).encryptor()
    encryptor.authenticate_additional_data(bytes([FULL]) + ak)
    body = head + encryptor.update(plain) + encryptor.finalize() + encryptor.tag[:TAG_SIZE]
    out = bytearray([tag])
    axdr.put_length(out, len(body))
    return bytes(out) + body


def counter_of(sealed: bytes) -> int:
    """The invocation counter of a glo-ciphered APDU, not yet to be trusted."""
    return int.from_bytes(_body(sealed)[1:5], "big")


def unseal(sealed: bytes, title: bytes, ek: bytes, ak: bytes) -> bytes:
    """The plain APDU; Damaged if the tag is wrong or not everything is protected."""
    body = _body(sealed)
    if body[0] != FULL:
        raise Damaged("security control %02x, expected %02x" % (body[0], FULL))
    decryptor = Cipher(AES(ek), GCM(title + body[1:5], body[-TAG_SIZE:], TAG_SIZE)).decryptor()
    decryptor.authenticate_additional_data(body[:1] + ak)
    try:
        return decryptor.update(body[5:-TAG_SIZE]) + decryptor.finalize()
    except InvalidTag:
        raise Damaged("the authentication tag is wrong") from None


def gmac(title: bytes, counter: int, ek: bytes, ak: bytes, challenge: bytes) -> bytes:
    """f(challenge) of HLS5: SC, counter, tag."""
    head = bytes([AUTHENTICATED]) + counter.to_bytes(4, "big")
    encryptor = Cipher(AES(ek), GCM(title + head[1:])).encryptor()
    encryptor.authenticate_additional_data(head[:1] + ak + challenge)
    encryptor.finalize()
    return head + encryptor.tag[:TAG_SIZE]


def gmac_fits(reply: bytes, title: bytes, ek: bytes, ak: bytes, challenge: bytes) -> bool:
    """Whether the peer's f(challenge) proves that it holds the keys."""
    if len(reply) != 5 + TAG_SIZE:
        return False
    expected = gmac(title, int.from_bytes(reply[1:5], "big"), ek, ak, challenge)
    return hmac.compare_digest(reply, expected)


def _body(sealed: bytes) -> bytes:
    try:
        body, end = axdr.bytes_at(sealed, 1)
    except ProtocolError as error:
        raise Damaged(str(error)) from None
    if end != len(sealed) or len(body) < 5 + TAG_SIZE:
        raise Damaged("a ciphered APDU of %d bytes" % len(sealed))
    return body
