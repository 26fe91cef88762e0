"""The signed envelope of everything that gives an order: COSE_Sign1 (RFC 9052 4.2) with ES256 (RFC
9053 2.1).

    18([ h'A10126' = {1: -7}, {4: kid}, payload bstr, signature bstr64 ])

The tag is always there, the protected header holds the algorithm and nothing else, the unprotected
one the key id and nothing else. What a payload is (job, cancel, package) shows in its own shape: no
shape serves two purposes.
"""

from __future__ import annotations

import hashlib

from gateway.contract.fields import no_memory
from gateway.contract.refused import Refused
from hal.ports import CryptoError
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hal.ports import Crypto

TAG_SIGN1 = b"\xd2"  # CBOR tag 18, COSE_Sign1_Tagged
PROTECTED = b"\xa1\x01\x26"  # {alg (1): ES256 (-7)}
KEY_ID = 4
MAX_KEY_ID = 32
SIGNATURE_SIZE = 64


def verify(raw: bytes, trust: Sequence[tuple[bytes, bytes]], crypto: Crypto) -> tuple[bytes, bytes]:
    """(payload, kid) once a key that `trust` has under this kid has proven the signature.

    `trust`: pairs of (kid, public key x||y, 64 bytes).

    Refused: `malformed`, `unknown-signer`, `bad-signature`.
    """
    kid, payload, signature = split(raw)
    keys = [key for known, key in trust if known == kid]
    if not keys:
        raise Refused("unknown-signer", "key id %s is not in the trust store" % kid.hex())
    try:
        structure = sign_structure(payload)
    except MemoryError:
        raise no_memory("envelope", raw)
    for key in keys:
        try:
            if crypto.ecdsa_verify("P-256", key, structure, signature):
                return payload, kid
        except CryptoError:
            pass  # a key of the settings that is no point of the curve proves nothing
    raise Refused("bad-signature", "the key with id %s did not sign this content" % kid.hex())


def verify_package(raw: bytes, trust: Sequence[tuple[bytes, bytes]], crypto: Crypto) -> bytes:
    """The payload, as verify(); what is no envelope is refused as `bad-package`."""
    try:
        payload, _ = verify(raw, trust, crypto)
    except Refused as refused:
        if refused.reason != "malformed":
            raise
        raise Refused("bad-package", refused.detail)
    return payload


def split(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """(kid, payload, signature) of an envelope, nothing proven. Refused `malformed`.

    Heads and sizes alone are looked at, so what is no envelope costs the same whatever its size.
    """
    if bytes(raw[:1]) != TAG_SIGN1:
        raise Refused("malformed", "envelope: expected COSE_Sign1 with its tag 18")
    try:
        kid, payload, signature = _places(raw)
    except cbor.CborError as error:
        raise Refused("malformed", "envelope: not one well-formed CBOR item: %s" % error)
    return raw[kid[0] : kid[1]], raw[payload[0] : payload[1]], raw[signature[0] : signature[1]]


def _places(raw: bytes) -> list[tuple[int, int]]:
    """Where kid, payload and signature begin and end."""
    if cbor.head(raw, 1)[:2] != (cbor.ARRAY, 4):
        raise Refused("malformed", "envelope: expected an array of 4")
    start, end = _octets(raw, 2, "the protected header {1: -7} (ES256) alone")
    if raw[start:end] != PROTECTED:
        raise Refused("malformed", "envelope: expected the protected header {1: -7} (ES256) alone")
    major, pairs, pos = cbor.head(raw, end)
    if (major, pairs) != (cbor.MAP, 1):
        raise Refused("malformed", "envelope: expected the unprotected header {4: key id} alone")
    major, key, pos = cbor.head(raw, pos)
    what = "a key id of 1..%d octets" % MAX_KEY_ID
    if (major, key) != (cbor.UINT, KEY_ID):
        raise Refused("malformed", "envelope: expected " + what)
    kid = _octets(raw, pos, what)
    if not 1 <= kid[1] - kid[0] <= MAX_KEY_ID:
        raise Refused("malformed", "envelope: expected " + what)
    payload = _octets(raw, kid[1], "the payload inside, as octets")
    what = "a signature of %d octets" % SIGNATURE_SIZE
    signature = _octets(raw, payload[1], what)
    if signature[1] - signature[0] != SIGNATURE_SIZE:
        raise Refused("malformed", "envelope: expected " + what)
    if signature[1] != len(raw):
        raise cbor.CborError("CBOR: %d bytes follow" % (len(raw) - signature[1]))
    return [kid, payload, signature]


def _octets(raw: bytes, pos: int, what: str) -> tuple[int, int]:
    if cbor.head(raw, pos)[0] != cbor.BYTES:
        raise Refused("malformed", "envelope: expected " + what)
    return cbor.string(raw, pos)


def digest_of(raw: bytes) -> bytes:
    """What a message is called by: the SHA-256 of the content of a signed envelope, of the whole
    where it is none. Tells the same order sent twice from another one with its id.
    """
    try:
        _, raw, _ = split(raw)
    except Refused:
        pass
    return hashlib.sha256(raw).digest()


def sign(payload: bytes, kid: bytes, private_sign: Callable[[bytes], bytes]) -> bytes:
    """The envelope of `payload`.

    `private_sign` gets the Sig_structure and gives r||s, 64 bytes, of ECDSA P-256 with SHA-256.
    """
    if not 1 <= len(kid) <= MAX_KEY_ID:
        raise ValueError("a key id has 1..%d octets, not %d" % (MAX_KEY_ID, len(kid)))
    signature = private_sign(sign_structure(payload))
    if len(signature) != SIGNATURE_SIZE:
        raise ValueError("a signature is r||s, 64 octets, not %d (DER?)" % len(signature))
    return TAG_SIGN1 + cbor.encode([PROTECTED, {KEY_ID: kid}, payload, signature])


def sign_structure(payload: bytes) -> bytes:
    """What is signed: Sig_structure of RFC 9052 4.4, no external data."""
    return cbor.encode(["Signature1", PROTECTED, b"", payload])
