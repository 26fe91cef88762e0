"""Security of the meter's side (Green Book 9.2.7), suites 0 to 2: ciphered APDUs in every form, and
what proves that a client or the meter holds its secrets.

Written apart from gateway/dlms on purpose, on `cryptography` directly: the client and its test peer
must agree because both follow the standard, not because they share code.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass, replace
from typing import Protocol

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB, GCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

AUTHENTICATED, ENCRYPTED = 0x10, 0x20  # security control byte
TAG_SIZE = 12
KEY_SIZES = (16, 16, 32)  # by suite
CURVES: tuple[ec.EllipticCurve | None, ...] = (None, ec.SECP256R1(), ec.SECP384R1())
HASHES: tuple[hashes.HashAlgorithm, ...] = (hashes.SHA256(), hashes.SHA256(), hashes.SHA384())

GENERAL_GLO, GENERAL_DED, GENERAL_CIPHERING, GENERAL_SIGNING = 0xDB, 0xDC, 0xDD, 0xDF
GLO_INITIATE_REQUEST, GLO_INITIATE_RESPONSE = 0x21, 0x28
# plain tag + 8, ded + 16; with short names + 32 and + 64
GLO_REQUESTS = (0xC8, 0xC9, 0xCB, 0x25, 0x26, 0x36)
DED_REQUESTS = (0xD0, 0xD1, 0xD3, 0x45, 0x46, 0x56)
SHORT_NAMES = (0x0C, 0x0D)  # tags of answers
FORMS = {
    **dict.fromkeys(GLO_REQUESTS, "glo"),
    **dict.fromkeys(DED_REQUESTS, "ded"),
    GENERAL_GLO: "general-glo",
    GENERAL_DED: "general-ded",
    GENERAL_CIPHERING: "general-ciphering",
}
# what a key agreed on is for: last byte of the algorithm identifier, by suite
FOR_CIPHERING, FOR_WRAPPING = (0, 0, 1), (2, 2, 3)
ALGORITHM = bytes.fromhex("608574050803")

# mechanisms of authentication
HIGH, MD5, SHA1, GMAC, SHA256, ECDSA = 2, 3, 4, 5, 6, 7


class Damaged(Exception):
    """The tag or signature is wrong, or what came is no protected APDU, or not as it should be."""


class Stale(Exception):
    """An invocation counter not above the last one accepted; `expected` is the least that would
    be."""

    def __init__(self, expected: int) -> None:
        super().__init__(expected)
        self.expected = expected


@dataclass(frozen=True)
class Demand:
    """What the meter insists on: a form (None: whichever the client takes; "glo" and "ded" by
    service or general, for ACCESS has no other; "plain": no ciphering, but `signed` if that is
    on), bits of the security control, for general-ciphering a key (None: any), and a signature.
    `other`: it speaks the dialect of some head-ends' libraries, not the Green Book's: the parties
    are not under the tag, the content is signed without its length, an ephemeral key as 01 || x ||
    y, what suite 2 derives for an envelope is cut to 16 bytes, and transactions need no names."""

    form: str | None = None
    policy: int = AUTHENTICATED | ENCRYPTED
    key: str | None = None
    signed: bool = False
    other: bool = False


class Secrets(Protocol):
    """What the security setup holds, and the counters that belong to its keys."""

    suite: int
    title: bytes
    ek: bytes
    ak: bytes
    master: bytes
    signing: bytes  # private
    agreement: bytes  # private
    client_signing: bytes  # public
    client_agreement: bytes  # public
    last_counter: int
    last_transaction: int
    demand: Demand

    def next_counter(self) -> int: ...


# ---------------------------------------------------------------- AES-GCM


def gcm_seal(key: bytes, nonce: bytes, control: int, aad: bytes, plain: bytes) -> bytes:
    """Ciphertext and tag as the bits of the security control say; `aad` goes after it."""
    encryptor = Cipher(AES(key), GCM(nonce)).encryptor()
    if control & AUTHENTICATED:
        encryptor.authenticate_additional_data(bytes([control]) + aad)
    if control & ENCRYPTED:
        body = encryptor.update(plain)
    else:
        encryptor.authenticate_additional_data(plain)
        body = plain
    encryptor.finalize()
    return body + (encryptor.tag[:TAG_SIZE] if control & AUTHENTICATED else b"")


def gcm_open(key: bytes, nonce: bytes, control: int, aad: bytes, sealed: bytes) -> bytes:
    if not control & AUTHENTICATED:
        return Cipher(AES(key), GCM(nonce)).encryptor().update(sealed)
    if len(sealed) < TAG_SIZE:
        raise Damaged("no room for a tag")
    body, tag = sealed[:-TAG_SIZE], sealed[-TAG_SIZE:]
    decryptor = Cipher(AES(key), GCM(nonce, tag, TAG_SIZE)).decryptor()
    decryptor.authenticate_additional_data(bytes([control]) + aad)
    try:
        if control & ENCRYPTED:
            return decryptor.update(body) + decryptor.finalize()
        decryptor.authenticate_additional_data(body)
        decryptor.finalize()
    except InvalidTag:
        raise Damaged("the authentication tag is wrong") from None
    return body


def gmac(own: Secrets, title: bytes, counter: int, challenge: bytes) -> bytes:
    """f(challenge) of HLS5: security control, counter, tag."""
    control = AUTHENTICATED | own.suite
    head = counter.to_bytes(4, "big")
    tag = gcm_seal(own.ek, title + head, control, own.ak + challenge, b"")
    return bytes([control]) + head + tag


# ---------------------------------------------------------------- elliptic curves


def private_key(suite: int, private: bytes) -> ec.EllipticCurvePrivateKey:
    curve = CURVES[suite]
    if curve is None or not private:
        raise Damaged("suite %d, or this meter, has no such key" % suite)
    return ec.derive_private_key(int.from_bytes(private, "big"), curve)


def public_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    size = (key.curve.key_size + 7) // 8
    point = key.public_key().public_numbers()
    return point.x.to_bytes(size, "big") + point.y.to_bytes(size, "big")


def public_key(suite: int, public: bytes) -> ec.EllipticCurvePublicKey:
    curve = CURVES[suite]
    if curve is None:
        raise Damaged("suite 0 has no public keys")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + public)
    except ValueError:
        raise Damaged("not a public key") from None


def sign(suite: int, private: bytes, message: bytes) -> bytes:
    key = private_key(suite, private)
    size = (key.curve.key_size + 7) // 8
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(HASHES[suite])))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def signature_fits(suite: int, public: bytes, message: bytes, signature: bytes) -> bool:
    half = len(signature) // 2
    r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    if not public or len(signature) != len(public):
        return False
    try:
        key = public_key(suite, public)
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(HASHES[suite]))
    except InvalidSignature:
        return False
    return True


def agree(
    suite: int, private: ec.EllipticCurvePrivateKey, public: bytes, purpose: int, info: bytes
) -> bytes:
    """The key that follows from a key agreement; `info` is both parties' (SP 800-56A)."""
    shared = private.exchange(ec.ECDH(), public_key(suite, public))
    other = ALGORITHM + bytes([purpose]) + info
    return ConcatKDFHash(HASHES[suite], KEY_SIZES[suite], other).derive(shared)


def generate(suite: int) -> ec.EllipticCurvePrivateKey:
    curve = CURVES[suite]
    if curve is None:
        raise Damaged("suite 0 has no key agreement")
    return ec.generate_private_key(curve)


# ---------------------------------------------------------------- HLS


def proof_of_client(
    own: Secrets,
    mechanism: int,
    secret: bytes,
    title: bytes,
    ctos: bytes,
    stoc: bytes,
    reply: bytes,
) -> bool:
    """Whether `reply` is f(StoC)."""
    if mechanism == GMAC:
        if len(reply) != 5 + TAG_SIZE:
            return False
        expected = gmac(own, title, int.from_bytes(reply[1:5], "big"), stoc)
        return hmac.compare_digest(reply, expected)
    if mechanism == ECDSA:
        return signature_fits(own.suite, own.client_signing, title + own.title + stoc + ctos, reply)
    if mechanism == SHA256:
        message = secret + title + own.title + stoc + ctos
        return hmac.compare_digest(reply, hashlib.sha256(message).digest())
    return hmac.compare_digest(reply, _simple(mechanism, secret, stoc))


def proof_of_meter(
    own: Secrets, mechanism: int, secret: bytes, title: bytes, ctos: bytes, stoc: bytes
) -> bytes:
    """f(CtoS)."""
    if mechanism == GMAC:
        return gmac(own, own.title, own.next_counter(), ctos)
    if mechanism == ECDSA:
        return sign(own.suite, own.signing, own.title + title + ctos + stoc)
    if mechanism == SHA256:
        return hashlib.sha256(secret + own.title + title + ctos + stoc).digest()
    return _simple(mechanism, secret, ctos)


def _simple(mechanism: int, secret: bytes, challenge: bytes) -> bytes:
    if mechanism == MD5:
        return hashlib.md5(challenge + secret).digest()
    if mechanism == SHA1:
        return hashlib.sha1(challenge + secret).digest()
    return manufacturer_algorithm(secret, challenge)


def manufacturer_algorithm(secret: bytes, challenge: bytes) -> bytes:
    """HLS 2 as most makes have it: the challenge under AES, both filled up with zeros."""
    key = secret.ljust(16 if len(secret) <= 16 else 32, b"\0")
    blocks = challenge + bytes(-len(challenge) % 16)
    return Cipher(AES(key), ECB()).encryptor().update(blocks)


# ---------------------------------------------------------------- protected APDUs


class Guard:
    """Protection within one association. Answers go out in the form the request came in."""

    def __init__(self, own: Secrets, client: bytes) -> None:
        self.own = own
        self.client = client
        self._dedicated = b""
        self._dedicated_counter = -1
        # of the request under way
        self._form = ""
        self._control = 0
        self._key = ""
        self._transaction = b""
        self._signed = False

    def dedicate(self, key: bytes) -> None:
        """The dedicated key that came in the InitiateRequest; b"" for none."""
        if key and len(key) != KEY_SIZES[self.own.suite]:
            raise Damaged("a dedicated key of %d bytes" % len(key))
        self._dedicated = key
        self._dedicated_counter = -1

    def open_initiate(self, raw: bytes) -> bytes:
        """The InitiateRequest inside its glo-ciphered form."""
        if raw[:1] != bytes([GLO_INITIATE_REQUEST]):
            raise Damaged("not a glo-initiate-request in a ciphered context")
        reader = Reader(raw, 1)
        content = reader.octets()
        reader.end()
        plain, counter = self._opened(self.own.ek, content, b"")
        self._advance(counter)
        return plain

    def seal_initiate(self, plain: bytes, counter: int | None = None) -> bytes:
        content = self._sealed(self.own.ek, plain, b"", counter)
        return bytes([GLO_INITIATE_RESPONSE]) + octets(content)

    def open(self, raw: bytes, pending: bool = False) -> bytes:
        """The plain request. `pending`: HLS is not through yet; until then the global key does for
        the dedicated one."""
        self._signed = False
        demanded = self.own.demand
        if pending and demanded.form in ("ded", "general-ded"):
            demanded = replace(demanded, form=None)
        transaction = -1
        if raw[0] == GENERAL_SIGNING:
            transaction, raw = self._verified(raw)
            self._signed = True
            if demanded.form in (None, "plain") and raw[0] not in FORMS:
                if demanded.form is None:
                    raise Damaged("a request that is signed only")
                self._form = "plain"
                self._advance_transaction(transaction, 0)
                return raw
        elif demanded.signed:
            raise Damaged("a request without signature")
        form = FORMS.get(raw[0])
        proof_only = form in ("glo", "general-glo") and demanded.form in ("ded", "general-ded")
        if form is None or (
            demanded.form not in (None, form, form.removeprefix("general-")) and not proof_only
        ):
            raise Damaged("APDU %02x where %s is due" % (raw[0], demanded.form))
        self._form = form
        plain = self._enveloped(raw) if form == "general-ciphering" else self._by_key(raw)
        # the dedicated key is in use from the end of HLS on: its proof may be under the global one
        if proof_only and not _is_hls_proof(plain):
            raise Damaged("APDU %02x where %s is due" % (raw[0], demanded.form))
        return plain

    def seal(self, plain: bytes, counter: int | None = None) -> bytes:
        """The answer, protected as the request was. `counter`: a false one (a fault of the
        meter)."""
        form = self._form
        if form == "plain":
            done = plain
        elif form == "glo":
            tag = plain[0] + (32 if plain[0] in SHORT_NAMES else 8)
            done = bytes([tag]) + octets(self._sealed(self.own.ek, plain, b"", counter))
        elif form == "ded":
            content = self._sealed(self._dedicated, plain, b"", counter)
            tag = plain[0] + (64 if plain[0] in SHORT_NAMES else 16)
            done = bytes([tag]) + octets(content)
        elif form == "general-glo":
            content = self._sealed(self.own.ek, plain, b"", counter)
            done = bytes([GENERAL_GLO]) + octets(self.own.title) + octets(content)
        elif form == "general-ded":
            content = self._sealed(self._dedicated, plain, b"", counter)
            done = bytes([GENERAL_DED]) + octets(self.own.title) + octets(content)
        else:
            parties = self._parties()
            info, key = self._answering_key()
            content = self._sealed(key, plain, self._proven(parties), counter)
            done = bytes([GENERAL_CIPHERING]) + parties + info + octets(content)
        if not self._signed:
            return done
        signed = self._parties() + octets(done)
        over = self._parties() + done if self.own.demand.other else signed
        signature = sign(self.own.suite, self.own.signing, over)
        return bytes([GENERAL_SIGNING]) + signed + octets(signature)

    def seal_unasked(self, plain: bytes) -> bytes:
        """A notification: general-glo, and where no request was before as the policy has it."""
        self._control = self._control or self.own.demand.policy | self.own.suite
        content = self._sealed(self.own.ek, plain, b"", None)
        return bytes([GENERAL_GLO]) + octets(self.own.title) + octets(content)

    def room(self) -> int:
        """What sealing adds to an answer, at most."""
        sizes = {"plain": 0, "glo": 24, "ded": 24, "general-glo": 33, "general-ded": 33}
        half = KEY_SIZES[self.own.suite] * 3 if self.own.suite == 2 else 64
        room = sizes.get(self._form, 33 + 40 + 2 * (half + 40))
        return room + (40 + half + 40 if self._signed else 0)

    # ------------------------------------------------------------ parts

    def _by_key(self, raw: bytes) -> bytes:
        """glo, ded, general-glo, general-ded."""
        dedicated = self._form in ("ded", "general-ded")
        if dedicated and not self._dedicated:
            raise Damaged("there is no dedicated key")
        reader = Reader(raw, 1)
        if self._form.startswith("general"):
            title = reader.octets()
            if title != self.client:
                raise Damaged("another system title")
        content = reader.octets()
        reader.end()
        plain, counter = self._opened(self._dedicated if dedicated else self.own.ek, content, b"")
        short = raw[0] < 0x80
        step = {"glo": 32 if short else 8, "ded": 64 if short else 16}.get(self._form, 0)
        if step and plain[:1] != bytes([raw[0] - step]):
            raise Damaged("the ciphered APDU is another than its tag says")
        if not dedicated:
            self._advance(counter)
        elif counter <= self._dedicated_counter:
            raise Stale(self._dedicated_counter + 1)
        else:
            self._dedicated_counter = counter
        return plain

    def _enveloped(self, raw: bytes) -> bytes:
        reader = Reader(raw, 1)
        transaction, parties = self._parties_from(reader)
        if reader.byte() != 1:
            raise Damaged("general-ciphering without key-info")
        kind = reader.byte()
        own = self.own
        if kind == 0:
            name, key = "identified", own.ek
            if reader.byte() != 0:
                raise Damaged("a key that is not the unicast key")
        elif kind == 1:
            name = "wrapped"
            if reader.byte() != 0 or not own.master:
                raise Damaged("a key wrapped with another than the master key")
            try:
                key = aes_key_unwrap(own.master, reader.octets())
            except (InvalidUnwrap, ValueError):
                raise Damaged("a wrapped key that does not unwrap") from None
        elif kind == 2:
            scheme, data = reader.octets(), reader.octets()
            name, key = self._agreed(scheme, data, transaction)
        else:
            raise Damaged("key-info %d" % kind)
        if self.own.demand.key not in (None, name):
            raise Damaged("a key %s where %s is due" % (name, self.own.demand.key))
        self._key = name
        content = reader.octets()
        reader.end()
        plain, counter = self._opened(key, content, self._proven(parties))
        if name == "identified":
            self._advance(counter)
        else:  # keys of their own each time: their counters may begin anew
            self._advance_transaction(int.from_bytes(transaction, "big"), counter)
        return plain

    def _agreed(self, scheme: bytes, data: bytes, transaction: bytes) -> tuple[str, bytes]:
        own = self.own
        static = private_key(own.suite, own.agreement)
        purpose = FOR_CIPHERING[own.suite]
        if scheme == b"\x02":
            info = self.client + octets(transaction) + own.title
            return "static", self._cut(
                agree(own.suite, static, own.client_agreement, purpose, info)
            )
        if scheme != b"\x01":
            raise Damaged("another scheme of key agreement")
        ephemeral, signature = data[: len(data) // 2], data[len(data) // 2 :]
        proven = self._ephemeral(ephemeral)
        if not signature_fits(own.suite, own.client_signing, proven, signature):
            raise Damaged("an ephemeral key that the client did not sign")
        key = agree(own.suite, static, ephemeral, purpose, self.client + own.title)
        return "one-pass", self._cut(key)

    def _proven(self, parties: bytes) -> bytes:
        return b"" if self.own.demand.other else parties

    def _cut(self, key: bytes) -> bytes:
        return key[:16] if self.own.demand.other else key

    def _ephemeral(self, public: bytes) -> bytes:
        return b"\x01" + public if self.own.demand.other else public

    def _answering_key(self) -> tuple[bytes, bytes]:
        """Key-info and key of an answer, of the same kind as the request's."""
        own = self.own
        if self._key == "identified":
            return b"\x01\x00\x00", own.ek
        if self._key == "wrapped":
            key = os.urandom(KEY_SIZES[own.suite])
            return b"\x01\x01\x00" + octets(aes_key_wrap(own.master, key)), key
        purpose = FOR_CIPHERING[own.suite]
        if self._key == "static":
            info = own.title + octets(self._transaction) + self.client
            static = private_key(own.suite, own.agreement)
            key = agree(own.suite, static, own.client_agreement, purpose, info)
            return b"\x01\x02\x01\x02\x00", self._cut(key)
        ephemeral = generate(own.suite)
        key = agree(own.suite, ephemeral, own.client_agreement, purpose, own.title + self.client)
        public = public_of(ephemeral)
        data = public + sign(own.suite, own.signing, self._ephemeral(public))
        return b"\x01\x02\x01\x01" + octets(data), self._cut(key)

    def _verified(self, raw: bytes) -> tuple[int, bytes]:
        reader = Reader(raw, 1)
        transaction, parties = self._parties_from(reader)
        content = reader.octets()
        signed = parties + content if self.own.demand.other else raw[1 : reader.position]
        signature = reader.octets()
        reader.end()
        own = self.own
        if not content or not signature_fits(own.suite, own.client_signing, signed, signature):
            raise Damaged("the signature is wrong")
        return int.from_bytes(transaction, "big"), content

    def _parties_from(self, reader: Reader) -> tuple[bytes, bytes]:
        """(transaction-id, all five fields as they came)."""
        start = reader.position
        transaction, originator, recipient = reader.octets(), reader.octets(), reader.octets()
        reader.octets()
        reader.octets()
        if originator != self.client or recipient != self.own.title:
            raise Damaged("another originator or recipient")
        self._transaction = transaction
        return transaction, reader.data[start : reader.position]

    def _parties(self) -> bytes:
        return (
            octets(self._transaction) + octets(self.own.title) + octets(self.client) + b"\x00\x00"
        )

    def _opened(self, key: bytes, content: bytes, parties: bytes) -> tuple[bytes, int]:
        if len(content) < 6:
            raise Damaged("a ciphered service of %d bytes" % len(content))
        control = content[0]
        policy = self.own.demand.policy
        if control & 0xCF != self.own.suite or control & policy != policy or not control & 0x30:
            raise Damaged("security control %02x" % control)
        if len(self.client) != 8:
            raise Damaged("a system title has 8 bytes")
        self._control = control
        plain = gcm_open(
            key, self.client + content[1:5], control, self.own.ak + parties, content[5:]
        )
        if not plain:
            raise Damaged("nothing inside")
        return plain, int.from_bytes(content[1:5], "big")

    def _sealed(self, key: bytes, plain: bytes, parties: bytes, counter: int | None) -> bytes:
        own = self.own
        number = own.next_counter() if counter is None else counter
        head = number.to_bytes(4, "big")
        body = gcm_seal(key, own.title + head, self._control, own.ak + parties, plain)
        return bytes([self._control]) + head + body

    def _advance(self, counter: int) -> None:
        if counter <= self.own.last_counter:
            raise Stale(self.own.last_counter + 1)
        self.own.last_counter = counter

    def _advance_transaction(self, number: int, counter: int) -> None:
        """Its name may have any length, and be the same for all: then the counter tells."""
        order = number << 32 | counter
        if order <= self.own.last_transaction:
            raise Damaged("a transaction that was there before")
        self.own.last_transaction = order


class Reader:
    """Octet-strings of A-XDR, one after the other; Damaged where they end early."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position

    def byte(self) -> int:
        self.position += 1
        if self.position > len(self.data):
            raise Damaged("the APDU ends early")
        return self.data[self.position - 1]

    def octets(self) -> bytes:
        size = self.byte()
        if size > 0x80:
            count = size - 0x80
            size = int.from_bytes(bytes(self.byte() for _ in range(count)), "big")
        elif size == 0x80:
            raise Damaged("a length that is none")
        start = self.position
        if start + size > len(self.data):
            raise Damaged("the APDU ends early")
        self.position = start + size
        return self.data[start : self.position]

    def end(self) -> None:
        if self.position != len(self.data):
            raise Damaged("bytes left over")


def octets(data: bytes) -> bytes:
    """With its length before it."""
    size = len(data)
    if size < 0x80:
        return bytes([size]) + data
    count = (size.bit_length() + 7) // 8
    return bytes([0x80 + count]) + size.to_bytes(count, "big") + data


def _is_hls_proof(plain: bytes) -> bool:
    """Method 1 of an association LN, or 0xFA58, method 8 of the association SN."""
    if plain[0] == 0x05:
        return plain[:5] == bytes.fromhex("050104fa58")
    return (plain[0], plain[3:5], plain[11:12]) == (0xC3, b"\x00\x0f", b"\x01")
