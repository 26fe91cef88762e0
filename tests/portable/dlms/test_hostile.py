"""Tampered, cut, replayed and reordered APDUs are refused under every form of protection, in both
directions; and what is refused leaves no trace: the true APDU is taken afterwards."""

from __future__ import annotations

import sys

from gateway.dlms.errors import ProtocolError, Replayed, SecurityFailed
from gateway.dlms.protection import envelope
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.policy import (
    AUTHENTICATED,
    DED,
    GENERAL_CIPHERING,
    GENERAL_DED,
    GENERAL_GLO,
    GLO,
    ONE_PASS,
    PLAIN,
    STATIC,
    WRAPPED,
    Protection,
)
from gateway.dlms.protection.security import Ciphering
from tests.portable.support import raises

if sys.implementation.name == "micropython":
    from hal.micropython.crypto import SystemCrypto
else:
    from hal.cpython.crypto import SystemCrypto

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CRYPTO = SystemCrypto()
EK, AK, MASTER = bytes(range(16)), bytes(range(0xD0, 0xE0)), bytes(range(0x40, 0x50))
GET_CLOCK = bytes.fromhex("c001c100080000010000ff0200")
ANSWER = bytes.fromhex("c401c100090c07e8021dff0c223800000000")

SYMMETRIC = [
    Protection(GLO),
    Protection(GLO, AUTHENTICATED),
    Protection(DED),
    Protection(GENERAL_GLO),
    Protection(GENERAL_GLO, AUTHENTICATED),
    Protection(GENERAL_DED),
    Protection(GENERAL_CIPHERING),
    Protection(GENERAL_CIPHERING, AUTHENTICATED),
    Protection(GENERAL_CIPHERING, key=WRAPPED),
]
ASYMMETRIC = [
    Protection(GENERAL_CIPHERING, key=STATIC),
    Protection(GENERAL_CIPHERING, key=ONE_PASS),
    Protection(PLAIN, signed=True),
    Protection(GLO, signed=True),
]


def _private(first: int) -> bytes:
    return bytes((first,)) * 32


def _public(first: int) -> bytes:
    return CRYPTO.ec_public("P-256", _private(first))


def counting() -> Callable[[], int]:
    count = [0]

    def following() -> int:
        count[0] += 1
        return count[0]

    return following


PUBLIC = [_public(number) for number in (1, 2, 3, 4)]


def sides(how: Protection) -> tuple[Ciphering, Ciphering]:
    """Client and meter of one association."""
    suite = 1 if how in ASYMMETRIC else 0
    found = []
    for client in (True, False):
        own = {"suite": suite, "master": MASTER}
        if suite:
            numbers = (1, 2) if client else (3, 4)
            others = (3, 4) if client else (1, 2)
            own["signing"], own["agreement"] = [_private(number) for number in numbers]
            own["peer_signing"], own["peer_agreement"] = [PUBLIC[n - 1] for n in others]
        titles = (b"CLIENT00", b"METER000") if client else (b"METER000", b"CLIENT00")
        one = Ciphering(
            CRYPTO,
            Keys(titles[0], EK, AK, **own),
            counting(),
            titles[1],
            protection=how,
            responder=not client,
        )
        if how.dedicated:
            one.dedicate(bytes(range(0x60, 0x70)))
        found.append(one)
    return found[0], found[1]


def refused(receiver: Ciphering, raw: bytes) -> bool:
    try:
        receiver.unprotect(raw)
    except (SecurityFailed, ProtocolError):
        return True
    return False


def _assert_hostile_forms_refused(receiver: Ciphering, raw: bytes, plain: bytes, step: int) -> None:
    for place in list(range(0, len(raw), step)) + [len(raw) - 1]:
        for bit in (0x01, 0x80):
            broken = bytearray(raw)
            broken[place] ^= bit
            assert refused(receiver, bytes(broken)), "byte %d of %s" % (place, raw.hex())
    for end in list(range(0, len(raw), step)) + [len(raw) - 1]:
        assert refused(receiver, raw[:end]), "cut to %d bytes" % end
    assert refused(receiver, raw + b"\x00")
    assert refused(receiver, plain)
    assert receiver.unprotect(raw) == plain
    raises(Replayed, receiver.unprotect, raw)


def _play(how: Protection, step: int) -> None:
    client, meter = sides(how)
    for _ in range(2):
        _assert_hostile_forms_refused(meter, client.protect(GET_CLOCK), GET_CLOCK, step)
        _assert_hostile_forms_refused(client, meter.protect(ANSWER), ANSWER, step)


def test_symmetric_forms() -> None:
    for how in SYMMETRIC:
        _play(how, 1)


def test_forms_with_public_keys() -> None:
    for how in ASYMMETRIC:
        _play(how, 29)


def test_reordered_requests() -> None:
    for how in SYMMETRIC + ASYMMETRIC:
        client, meter = sides(how)
        first, second, third = [client.protect(GET_CLOCK) for _ in range(3)]
        assert meter.unprotect(second) == GET_CLOCK
        raises(Replayed, meter.unprotect, first)
        assert meter.unprotect(third) == GET_CLOCK
        raises(Replayed, meter.unprotect, second)


def test_an_answer_to_another_request() -> None:
    for how in SYMMETRIC + ASYMMETRIC:
        client, meter = sides(how)
        meter.unprotect(client.protect(GET_CLOCK))
        old = meter.protect(ANSWER)
        assert client.unprotect(old) == ANSWER
        meter.unprotect(client.protect(GET_CLOCK))
        new = meter.protect(ANSWER)
        assert refused(client, old)
        assert client.unprotect(new) == ANSWER


def test_reflected_apdus() -> None:
    """What one side sent is not taken by it as the other's."""
    for how in SYMMETRIC + ASYMMETRIC:
        client, meter = sides(how)
        request = client.protect(GET_CLOCK)
        assert refused(client, request), how.form
        meter.unprotect(request)
        assert refused(meter, meter.protect(ANSWER)), how.form


def test_a_wrapped_key_of_another_size() -> None:
    how = Protection(GENERAL_CIPHERING, key=WRAPPED)
    _, meter = sides(how)
    parties = envelope.Parties(bytes(7) + b"\x01", b"CLIENT00", b"METER000")
    wrapped = CRYPTO.aes_wrap(MASTER, bytes(32))  # of suite 2
    info = envelope.KeyInfo(envelope.WRAPPED, envelope.MASTER_KEY, wrapped)
    head = b"\x30\x00\x00\x00\x01"
    aad = b"\x30" + AK + parties.encode()
    sealed = CRYPTO.aes_gcm(bytes(32)).encrypt(b"CLIENT00" + head[1:], GET_CLOCK, aad, 12)
    raw = envelope.ciphering_apdu(parties, info, head + sealed)
    raises(SecurityFailed, meter.unprotect, raw)


def test_one_form_is_not_taken_for_another() -> None:
    forms = SYMMETRIC + ASYMMETRIC
    for sent in forms:
        client, _ = sides(sent)
        raw = client.protect(GET_CLOCK)
        for due in forms:
            same_suite = (sent in ASYMMETRIC) == (due in ASYMMETRIC)
            more = due.policy == AUTHENTICATED and sent.policy != AUTHENTICATED
            named = (sent.form, sent.key, sent.signed) == (due.form, due.key, due.signed)
            # by service or general is one protection in two spellings; more of it is welcome
            twins = (GLO, GENERAL_GLO), (DED, GENERAL_DED)
            alike = not sent.signed and not due.signed
            alike = alike and any(sent.form in pair and due.form in pair for pair in twins)
            if same_suite and (named or alike) and (sent.policy == due.policy or more):
                continue
            meter = sides(due)[1]
            assert refused(meter, raw), (sent.form, sent.key, due.form, due.key)
