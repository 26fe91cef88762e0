"""Our codecs and those of dlms-cosem: what one encodes the other decodes, and encodes alike."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("dlms_cosem")

from dlms_cosem import security as peer_security
from dlms_cosem import utils
from dlms_cosem.connection import XDlmsApduFactory
from dlms_cosem.hdlc import frames as peer_frames
from dlms_cosem.protocol.xdlms import GeneralGlobalCipher
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.data import axdr
from gateway.dlms.errors import SecurityFailed
from gateway.dlms.hdlc import frames as hdlc_frames
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.policy import GENERAL_GLO, Protection
from gateway.dlms.protection.security import Ciphering
from hal.cpython.crypto import SystemCrypto
from tests.portable.dlms import published

EK, AK = bytes(range(16)), bytes(range(0xD0, 0xE0))
CLIENT, METER = b"CLIENT00", b"METER000"
CLOCK, ENERGY = bytes.fromhex("0000010000ff"), bytes.fromhex("0100010800ff")
NUMBER = b"\x12\x03\x84"
INITIATE = acse.InitiateRequest(0x007E1F, 1200)

SPOKEN_BY_BOTH = [
    acse.Aarq(acse.LN, INITIATE.encode()),
    acse.Aarq(acse.LN, INITIATE.encode(), b"", acse.LOW, b"12345678"),
    acse.Aarq(acse.LN, INITIATE.encode(), b"", acse.HIGH_GMAC, b"K56iVagY"),
    acse.Aare(acse.LN, 0, (1, 0), acse.InitiateResponse(0x00501F, 500).encode()),
    acse.Rlrq(0),
    acse.Rlre(0),
    INITIATE,
    acse.InitiateRequest(0x007E1F, 1200, bytes(range(16))),
    acse.InitiateResponse(0x00501F, 500),
    apdu.GetRequest(0xC1, 8, CLOCK, 2),
    apdu.GetNext(0xC1, 7),
    apdu.GetListRequest(0xC1, [(8, CLOCK, 2, None), (3, ENERGY, 2, None)]),
    apdu.GetResponse(0xC1, 3, None),
    apdu.GetBlock(0xC1, False, 1, 0, bytes(300)),
    apdu.GetBlock(0xC1, True, 2, 0, b"\x01"),
    apdu.GetBlock(0xC1, True, 2, 19, b""),
    apdu.SetRequest(0xC1, 3, ENERGY, 2, None, NUMBER),
    apdu.SetResponse(0xC1, 0),
    apdu.ActionRequest(0xC1, 15, bytes.fromhex("0000280000ff"), 1, b"\x09\x02ab"),
    apdu.ActionResponse(0xC1, 0),
    apdu.ActionResponse(0xC1, 0, b"\x09\x02ab"),
    apdu.ActionResponse(0xC1, 0, None, 3),
    apdu.DataNotification(0x40000001, b"", NUMBER),
    apdu.ExceptionResponse(1, 2),
    apdu.ConfirmedServiceError(1, 6, 1),
]


@pytest.mark.parametrize("message", SPOKEN_BY_BOTH, ids=lambda each: type(each).__name__)
def test_apdus(message: Any) -> None:
    ours = message.encode()
    theirs = XDlmsApduFactory.apdu_from_bytes(bytearray(ours))
    assert theirs.to_bytes() == ours
    assert apdu.decode(theirs.to_bytes()) == message


def test_apdus_that_it_decodes_and_cannot_encode() -> None:
    theirs = XDlmsApduFactory.apdu_from_bytes(bytearray(apdu.GetResponse(0xC1, 0, NUMBER).encode()))
    assert bytes(theirs.data) == NUMBER
    with pytest.raises(TypeError):
        theirs.to_bytes()
    raw = bytearray(apdu.ExceptionResponse(1, 6, 0x01234567).encode())
    theirs = XDlmsApduFactory.apdu_from_bytes(raw)
    assert theirs.invocation_counter_data == 0x01234567
    with pytest.raises(ValueError, match="range"):
        theirs.to_bytes()


@pytest.mark.parametrize("pdu", published.APDUS[:13], ids=lambda pdu: pdu[0])
def test_published_apdus(pdu: tuple[str, str, str]) -> None:
    raw = bytes.fromhex(pdu[2])
    theirs = XDlmsApduFactory.apdu_from_bytes(bytearray(raw))
    assert theirs.to_bytes() == apdu.decode(raw).encode()


def typed_data() -> st.SearchStrategy[tuple[int, object]]:
    """Of the types whose values both spell alike."""

    def number(tag: int, low: int, high: int) -> st.SearchStrategy[tuple[int, object]]:
        return st.tuples(st.just(tag), st.integers(low, high))

    simple = st.one_of(
        number(axdr.UNSIGNED, 0, 255),
        number(axdr.LONG_UNSIGNED, 0, 65535),
        number(axdr.DOUBLE_LONG_UNSIGNED, 0, 2**32 - 1),
        number(axdr.LONG64_UNSIGNED, 0, 2**64 - 1),
        number(axdr.INTEGER, -128, 127),
        number(axdr.LONG, -(2**15), 2**15 - 1),
        number(axdr.DOUBLE_LONG, -(2**31), 2**31 - 1),
        number(axdr.LONG64, -(2**63), 2**63 - 1),
        st.tuples(st.just(axdr.OCTET_STRING), st.binary(max_size=200)),
        st.just((axdr.NULL, None)),
    )
    return st.recursive(
        simple,
        lambda inner: st.tuples(
            st.sampled_from([axdr.ARRAY, axdr.STRUCTURE]), st.lists(inner, min_size=1, max_size=4)
        ),
        max_leaves=12,
    )


@settings(max_examples=200, deadline=None)
@given(typed_data())
def test_data(typed: tuple[int, object]) -> None:
    raw = axdr.encode(typed)
    found = utils.parse_as_dlms_data(raw)
    assert plain(found) == plain(axdr.to_values(axdr.decode(raw)))


def plain(value: object) -> object:
    if isinstance(value, list):
        return [plain(item) for item in value]
    return bytes(value) if isinstance(value, bytearray) else value


def test_frames() -> None:
    """Of dlms-cosem's frames only those of a meter can be decoded, and only some encoded."""
    ua, aare = [bytes.fromhex(published.FRAMES[n][2]) for n in (1, 3)]
    theirs = peer_frames.UnNumberedAcknowledgmentFrame.from_bytes(ua)
    assert theirs.to_bytes() == ua
    assert bytes(theirs.payload) == hdlc_frames.decode(ua).information
    theirs = peer_frames.InformationFrame.from_bytes(aare)
    ours = hdlc_frames.decode(aare)
    assert bytes(theirs.payload) == ours.information
    again = hdlc_frames.encode(ours.destination, ours.source, ours.control, ours.information)
    assert theirs.to_bytes() == again == aare


def side(own: bytes, peer: bytes) -> Ciphering:
    counter = iter(range(7, 99)).__next__
    keys = Keys(own, EK, AK)
    return Ciphering(SystemCrypto(), keys, counter, peer, protection=Protection(GENERAL_GLO))


FULL = peer_security.SecurityControlField(security_suite=0, authenticated=True, encrypted=True)


@pytest.mark.parametrize("size", [1, 50, 90])
def test_general_glo_both_ways(size: int) -> None:
    plain = b"\xc4\x01\xc1\x00\x09" + bytes((size,)) + bytes(size)
    ours = side(CLIENT, METER).protect(plain)
    theirs = GeneralGlobalCipher.from_bytes(bytearray(ours))
    assert theirs.system_title == CLIENT and theirs.invocation_counter == 7
    found = peer_security.decrypt(FULL, CLIENT, 7, EK, bytes(theirs.ciphered_text), AK)
    assert found == plain
    sealed = peer_security.encrypt(FULL, METER, 9, EK, plain, AK)
    raw = GeneralGlobalCipher(
        system_title=METER, security_control=FULL, invocation_counter=9, ciphered_text=sealed
    ).to_bytes()
    receiver = side(CLIENT, METER)
    assert receiver.unprotect(raw) == plain
    with pytest.raises(SecurityFailed):
        receiver.unprotect(raw[:-1] + bytes((raw[-1] ^ 1,)))


def test_gmac_and_key_wrap() -> None:
    control = peer_security.SecurityControlField(
        security_suite=0, authenticated=True, encrypted=False
    )
    theirs = peer_security.gmac(control, CLIENT, 7, EK, AK, b"P6wRJ21F")
    assert side(CLIENT, METER).proof(b"P6wRJ21F")[5:] == theirs
    wrapped = peer_security.wrap_key(FULL, bytes(16), EK)
    assert SystemCrypto().aes_wrap(bytes(16), EK) == wrapped
    assert SystemCrypto().aes_unwrap(bytes(16), wrapped) == EK
