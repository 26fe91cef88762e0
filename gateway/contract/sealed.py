"""The sealed envelope of everything that is not signed: COSE_Encrypt0 (RFC 9052 5.2) with
AES-128-GCM (RFC 9053 4.1) under the keys of a session, one for each direction.

    16([ << {1: 1, 4: kid, 6: partial IV} >>, {}, ciphertext and tag bstr ])

kid is the receiver's connection id, which tells his session. The partial IV is the number of the
message, 1, 2, 3 and so on, in as few octets as it needs; the nonce is the session's IV xor that
(RFC 9052 3.1). The MQTT topic is the external data (RFC 9052 5.3), so no message serves for another
topic. Only this one spelling is taken: what it is shows in its first octets, before anything is
deciphered.
"""

from __future__ import annotations

from gateway.contract.refused import Refused
from hal.ports import CryptoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Crypto

CONNECTION_SIZE = 4  # octets of a connection id
KEY_SIZE = 16
IV_SIZE = 12
MAX_NUMBER = 0xFFFFFFFF
MAX_OVERHEAD = 40  # octets that a sealed message is longer than its content, at most

_TAG_SIZE = 16
_BEFORE_KID = b"\xa3\x01\x01\x04\x44"  # {alg (1): A128GCM (1), kid (4): bstr of 4
_PARTIAL_IV = 6
_SHORTEST = 33  # octets of the envelope of nothing


class Sealer:
    """Seals what one side sends. `key` and `iv` are those of the direction, `kid` the receiver's
    connection id; `number` is that of the last message, 0 before the first."""

    __slots__ = ("_gcm", "_iv", "kid", "number")

    def __init__(self, crypto: Crypto, key: bytes, iv: bytes, kid: bytes) -> None:
        self._gcm = crypto.aes_gcm(key)
        self._iv = iv
        self.kid = kid
        self.number = 0

    def seal(self, topic: str, plain: bytes) -> bytes:
        """The envelope of `plain` for `topic`; ValueError once the numbers of the session are used
        up."""
        if self.number >= MAX_NUMBER:
            raise ValueError("a session seals %d messages: begin a new one" % MAX_NUMBER)
        self.number += 1
        number = _minimal(self.number)
        protected = _BEFORE_KID + self.kid + bytes([_PARTIAL_IV, 0x40 | len(number)]) + number
        ciphertext = self._gcm.encrypt(
            _nonce(self._iv, self.number), plain, _external(protected, topic), _TAG_SIZE
        )
        return b"\xd0\x83" + _string(protected) + b"\xa0" + _head(len(ciphertext)) + ciphertext


class Opener:
    """Opens what the other side sent. As Sealer; `kid` is our own connection id, `number` that of
    the last message that was taken."""

    __slots__ = ("_gcm", "_iv", "kid", "number")

    def __init__(self, crypto: Crypto, key: bytes, iv: bytes, kid: bytes) -> None:
        self._gcm = crypto.aes_gcm(key)
        self._iv = iv
        self.kid = kid
        self.number = 0

    def open(self, topic: str, sealed: bytes | memoryview) -> bytes:
        """The content, proven to be the other side's, for this topic, and later than all before.

        Refused: `unsealed`, `replayed`, or `repeated` for what has the number of the last one: MQTT
        delivers at least once. Nothing has changed then.
        """
        shape = _shape(sealed)
        if shape is None:
            raise Refused("unsealed", "expected COSE_Encrypt0 with its tag 16, by AES-128-GCM")
        kid, number, protected, start = shape
        if kid != self.kid:
            raise Refused(
                "unsealed", "sealed for session %s, this one is %s" % (kid.hex(), self.kid.hex())
            )
        if number <= self.number:
            reason = "repeated" if number == self.number else "replayed"
            raise Refused(reason, "number %d after number %d" % (number, self.number))
        try:
            plain = self._gcm.decrypt(
                _nonce(self._iv, number),
                memoryview(sealed)[start:],
                _external(protected, topic),
                _TAG_SIZE,
            )
        except CryptoError:
            raise Refused("unsealed", "not sealed by the other side of session %s" % kid.hex())
        self.number = number
        return plain


class Session:
    """What two sides that have agreed on keys hold: `sealer` for what we send, `opener` for what we
    get."""

    __slots__ = ("opener", "sealer")

    def __init__(self, sealer: Sealer, opener: Opener) -> None:
        self.sealer = sealer
        self.opener = opener


def kid_of(sealed: bytes | memoryview) -> bytes | None:
    """The connection id a message is sealed for, nothing proven; None if it is not sealed."""
    shape = _shape(sealed)
    return None if shape is None else shape[0]


def _shape(sealed: bytes | memoryview) -> tuple[bytes, int, bytes, int] | None:
    """(kid, number, protected header, where the ciphertext begins); None if it is none of ours.
    The cost does not depend on the size."""
    if len(sealed) < _SHORTEST:
        return None
    head = bytes(sealed[:24])
    size = head[2] & 15  # octets of the protected header
    digits = size - 11  # octets of the partial IV
    if not 1 <= digits <= 4 or head[:3] != bytes([0xD0, 0x83, 0x40 | size]):
        return None
    kid = head[8:12]
    number = head[14 : 14 + digits]
    end = 3 + size
    if (
        head[3:8] != _BEFORE_KID
        or head[12:14] != bytes([_PARTIAL_IV, 0x40 | digits])
        or number[0] == 0
        or head[end] != 0xA0
    ):
        return None
    for size in (1, 2, 3, 5):  # what the head of the ciphertext can take
        start = end + 1 + size
        if bytes(sealed[end + 1 : start]) == _head(len(sealed) - start):
            if len(sealed) - start < _TAG_SIZE:
                return None
            return kid, int.from_bytes(number, "big"), head[3:end], start
    return None


def _external(protected: bytes, topic: str) -> bytes:
    """What is authenticated besides the content: Enc_structure of RFC 9052 5.3."""
    return b"\x83\x68Encrypt0" + _string(protected) + _string(topic.encode())


def _nonce(iv: bytes, number: int) -> bytes:
    return (int.from_bytes(iv, "big") ^ number).to_bytes(IV_SIZE, "big")


def _minimal(number: int) -> bytes:
    size = 1
    while number >> 8 * size:
        size += 1
    return number.to_bytes(size, "big")


def _string(data: bytes) -> bytes:
    return _head(len(data)) + data


def _head(size: int) -> bytes:
    """Of a CBOR byte string (RFC 8949 3), the shortest."""
    if size < 24:
        return bytes([0x40 | size])
    if size < 0x100:
        return bytes([0x58, size])
    if size < 0x10000:
        return b"\x59" + size.to_bytes(2, "big")
    return b"\x5a" + size.to_bytes(4, "big")
