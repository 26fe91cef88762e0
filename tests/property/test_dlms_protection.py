"""Protected APDUs of every form, made by one side and read by the other, which are written apart:
client and virtual meter. Whatever comes instead is refused by name, on both."""

from __future__ import annotations

from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dlms.errors import ProtocolError, SecurityFailed
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.policy import (
    AUTHENTICATED,
    AUTHENTICATED_ENCRYPTED,
    DED,
    ENCRYPTED,
    GENERAL_CIPHERING,
    GENERAL_DED,
    GENERAL_GLO,
    GLO,
    IDENTIFIED,
    ONE_PASS,
    PLAIN,
    STATIC,
    WRAPPED,
    Protection,
)
from gateway.dlms.protection.security import Ciphering
from gateway.dlms.protection.suites import SUITES
from hal.cpython.crypto import SystemCrypto
from tools.meter.device import derive_test_keys
from tools.meter.protection import Damaged, Demand, Guard, Stale

CLIENT = b"CLIENT01"
CRYPTO = SystemCrypto()


class Own:
    """What the meter's security setup holds."""

    def __init__(self, suite: int, how: Protection) -> None:
        keys = derive_test_keys(1, "M", suite)
        self.suite = suite
        self.title = keys.title
        self.ek, self.ak, self.master = keys.ek, keys.ak, keys.master
        self.signing, self.agreement = keys.signing, keys.agreement
        self.client_signing = keys.client_public("signing")
        self.client_agreement = keys.client_public("agreement")
        self.last_counter = self.last_transaction = -1
        self.demand = Demand(how.form, how.policy, how.key, how.signed)
        self._counter = count(1)

    def next_counter(self) -> int:
        return next(self._counter)


def sides(suite: int, how: Protection) -> tuple[Ciphering, Guard]:
    keys = derive_test_keys(1, "M", suite)
    own = Own(suite, how)
    client = Ciphering(
        CRYPTO,
        Keys(
            CLIENT,
            keys.ek,
            keys.ak,
            suite,
            keys.client_signing,
            keys.public("signing"),
            keys.client_agreement,
            keys.public("agreement"),
            keys.master,
        ),
        count(1).__next__,
        own.title,
        -1,
        how,
    )
    guard = Guard(own, CLIENT)
    if how.dedicated:
        key = bytes(range(SUITES[suite].key_size))
        client.dedicate(key)
        guard.dedicate(key)
    return client, guard


@st.composite
def agreements(draw: st.DrawFn) -> tuple[int, Protection]:
    suite = draw(st.integers(0, 2))
    forms = [GLO, DED, GENERAL_GLO, GENERAL_DED, GENERAL_CIPHERING]
    signed = suite > 0 and draw(st.booleans())
    form = draw(st.sampled_from([*forms, PLAIN] if signed else forms))
    sources = [IDENTIFIED, WRAPPED] + ([ONE_PASS, STATIC] if suite else [])
    policy = draw(st.sampled_from([AUTHENTICATED, ENCRYPTED, AUTHENTICATED_ENCRYPTED]))
    return suite, Protection(form, policy, draw(st.sampled_from(sources)), signed)


@settings(max_examples=80, deadline=None)
@given(agreements(), st.binary(max_size=700), st.binary(max_size=700))
def test_what_one_side_makes_the_other_reads(
    agreed: tuple[int, Protection], asked: bytes, answered: bytes
) -> None:
    client, guard = sides(*agreed)
    for _ in range(2):
        request, answer = b"\xc0" + asked, b"\xc4" + answered
        assert guard.open(client.protect(request)) == request
        sealed = guard.seal(answer)
        assert len(sealed) <= len(answer) + guard.room()
        assert client.unprotect(sealed) == answer


@settings(max_examples=150, deadline=None)
@given(agreements(), st.data())
def test_what_is_changed_is_refused_or_never_was_authentic(
    agreed: tuple[int, Protection], data: st.DataObject
) -> None:
    client, guard = sides(*agreed)
    suite, how = agreed
    authentic = bool(how.policy & AUTHENTICATED) or how.signed
    asked = b"\xc0\x01\x41\x00\x01"
    request = client.protect(asked)
    mutated = data.draw(_mutations(request))
    try:
        opened = guard.open(mutated)
    except (Damaged, Stale):
        assert mutated != request
    else:
        if authentic or mutated == request:
            assert (mutated, opened) == (request, asked)
    client, guard = sides(suite, how)
    guard.open(client.protect(asked))
    answered = b"\xc4\x01\x41\x00\x00"
    answer = guard.seal(answered)
    mutated = data.draw(_mutations(answer))
    try:
        plain = client.unprotect(mutated)
    except (SecurityFailed, ProtocolError):
        assert mutated != answer
    else:
        if authentic or mutated == answer:
            assert (mutated, plain) == (answer, answered)


@st.composite
def _mutations(draw: st.DrawFn, raw: bytes) -> bytes:
    """Bytes changed, cut out, or put in; or all of it made up behind a tag that is known."""
    tag = draw(st.sampled_from([raw[0], 0xC8, 0xD0, 0xDB, 0xDC, 0xDD, 0xDF, 0xCC, 0x21]))
    if draw(st.integers(0, 4)) == 0:
        return bytes([tag]) + draw(st.binary(max_size=60))
    at = draw(st.integers(0, len(raw) - 1))
    gone = draw(st.integers(0, 3))
    spoilt = raw[:at] + draw(st.binary(max_size=3)) + raw[at + gone :]
    return spoilt or b"\x00"
