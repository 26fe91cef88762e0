"""Whatever is pushed, notify shows it or says in one line why not; blocks in any order, doubled or
lost, are one APDU or none."""

from __future__ import annotations

import argparse
import asyncio
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dlms import apdu
from gateway.dlms.errors import DlmsError, ProtocolError
from gateway.dlms.protection import policy
from gateway.dlms.protection.enveloping import Enveloping
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.policy import Protection
from gateway.dlms.protection.security import Ciphering
from hal.cpython.crypto import SystemCrypto
from tests.field import AK, EK, FIELD, TITLE, capture
from tools.dlms.notify import Inbox
from tools.dlms.pushed import Blocks, Opener

CRYPTO = SystemCrypto()
PAIRS = [CRYPTO.ec_generate("P-256") for _ in range(4)]
OURS = bytes.fromhex("4d4d4d0000000099")


def keys(title: bytes, own: int, peer: int) -> Keys:
    """Of one side: its two private keys, and the other's public ones."""
    (signing, _), (agreement, _) = PAIRS[own : own + 2]
    (_, peer_signing), (_, peer_agreement) = PAIRS[peer : peer + 2]
    ek, ak = bytes.fromhex(EK), bytes.fromhex(AK)
    return Keys(title, ek, ak, 1, signing, peer_signing, agreement, peer_agreement, bytes(16))


METER, HEAD_END = keys(bytes.fromhex(TITLE), 0, 2), keys(OURS, 2, 0)
GOOD = apdu.DataNotification(7, b"", bytes.fromhex("020106000003e8")).encode()


def opener(due: int = policy.ENCRYPTED, **given: object) -> Opener:
    options = argparse.Namespace(
        protection=None,
        key_source=None,
        signed=False,
        policy=None,
        peer_title=None,
        dialect=None,
    )
    vars(options).update(given)
    return Opener(options, CRYPTO, HEAD_END, b"", due)


def pushes() -> list[bytes]:
    """One of each protection, and the captures."""
    found = [GOOD]
    for form, source in (
        ("general-glo", "identified"),
        *[("general-ciphering", each) for each in policy.KEY_SOURCES],
        ("plain", "identified"),
    ):
        for signed in (False, True):
            how = Protection(form, policy.AUTHENTICATED_ENCRYPTED, source, signed)
            numbers = count(1)
            ciphering = Ciphering(CRYPTO, METER, lambda n=numbers: next(n), OURS, protection=how)
            if how.enveloped:
                found.append(Enveloping(ciphering, CRYPTO, False).protect(GOOD))
            elif form != "plain":
                found.append(ciphering.protect(GOOD))
    wrapped = [capture(path.stem) for path in sorted(FIELD.glob("*.hex"))]
    return found + [data[8:] for data in wrapped if data[:2] == b"\0\1"]


PUSHES = pushes()


class Shown(Inbox):
    """Its lines are thrown away; that they can be made is what is tested."""

    def __init__(self, json: bool) -> None:
        super().__init__(argparse.Namespace(json=json, tracer=None), 0, opener())  # type: ignore[arg-type]


def test_one_of_each_is_opened() -> None:
    for raw in PUSHES[:12]:
        assert opener().open(raw) == (GOOD, "")


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(PUSHES),
    st.lists(st.tuples(st.integers(0, 600), st.integers(1, 255)), max_size=3),
    st.integers(0, 12),
)
def test_a_damaged_push_is_refused_in_words(
    raw: bytes, damage: list[tuple[int, int]], cut: int
) -> None:
    changed = bytearray(raw[: len(raw) - cut])
    for at, bits in damage:
        changed[at % len(changed)] ^= bits
    try:
        plain, unproven = opener().open(bytes(changed))
    except DlmsError as error:
        assert str(error)
        return
    if bytes(changed) != raw and changed[0] in (0xDB, 0xDD, 0xDF) and not unproven:
        assert plain == GOOD or plain[:1] == b"/"  # what no tag covers, such as a length's form


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*PUSHES, b""]), st.binary(max_size=60), st.booleans())
def test_anything_pushed_is_shown_or_told(raw: bytes, more: bytes, json: bool) -> None:
    async def story() -> None:
        inbox = Shown(json)
        for data in (raw + more, more, raw[: len(more)] + more, raw[:1] + more):
            inbox.take("somewhere", 1, data)

    asyncio.run(story())


@settings(max_examples=200, deadline=None)
@given(
    st.binary(min_size=1, max_size=200),
    st.integers(1, 40),
    st.lists(st.integers(0, 400), max_size=30),
)
def test_blocks_in_any_order_are_the_apdu_or_nothing(
    data: bytes, size: int, order: list[int]
) -> None:
    whole = b"\x0f" + data
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    all_of = [
        apdu.GeneralBlock(at == len(parts), True, 0, at, 0, part).encode()
        for at, part in enumerate(parts, 1)
    ]
    blocks = Blocks()
    for at in order:  # in disorder, with gaps and doubles
        try:
            came = blocks.take(1, all_of[at % len(all_of)])
        except ProtocolError:
            continue
        assert came in (None, whole)
    came = [blocks.take(2, block) for block in all_of]
    assert came[:-1] == [None] * (len(all_of) - 1) and came[-1] == whole


def test_blocks_of_ever_new_senders_do_not_grow() -> None:
    blocks = Blocks()
    first = apdu.GeneralBlock(False, True, 0, 1, 0, bytes(100)).encode()
    for sender in range(1000):
        assert blocks.take(sender, first) is None
    assert len(blocks._begun) <= 64


def test_titles_of_ever_new_senders_do_not_grow() -> None:
    taker = opener()
    body = PUSHES[1]
    for number in range(300):
        with pytest.raises(DlmsError):
            taker.open(body[:2] + number.to_bytes(8, "big") + body[10:])
    assert len(taker._ciphering) <= 64
