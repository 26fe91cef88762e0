"""Our handshake against `lakers`, written in Rust by others (lakers-python), in both roles.

Credentials by reference with the whole of what a concentrator sends, and by value. lakers counts
wrong what goes into MAC_3 once that is longer than 255 octets, on both of its sides alike: by value
it is met with short external data. Its exporter takes labels of one octet: ours are lowered for it.
"""

from __future__ import annotations

from typing import Any

import pytest

from gateway.contract.edhoc import keys
from gateway.contract.edhoc.claim import id_cred
from gateway.contract.edhoc.credential import Credential
from gateway.contract.edhoc.frames import SIGN_KEY
from gateway.contract.edhoc.initiator import Initiator
from gateway.contract.edhoc.responder import Responder
from gateway.contract.refused import Refused
from gateway.contract.sealed import Opener, Sealer, Session
from hal.cpython.crypto import SystemCrypto

lakers = pytest.importorskip("lakers")
CRYPTO = SystemCrypto()
HES_PRIVATE, HES_PUBLIC = CRYPTO.ec_generate("P-256")
PRIVATE, PUBLIC = CRYPTO.ec_generate("P-256")
C_I, C_R = b"\x00\x00\x00\x07", b"\x12\x34\x56\x78"
WAYS = pytest.mark.parametrize(
    ("by_value", "ead_size", "kid"),
    [(False, 64, b"\x11" * 8), (False, 0, b"\x2b"), (True, 2, b"\x11" * 8), (True, 0, b"\x2b")],
)


@pytest.fixture(autouse=True)
def labels(monkeypatch: pytest.MonkeyPatch) -> None:
    for label, name in enumerate(("KEY_UP", "KEY_DOWN", "IV_UP", "IV_DOWN"), 16):
        monkeypatch.setattr(keys, name, label)


def credentials(kid: bytes) -> tuple[Credential, Credential]:
    hes_kid = b"line-1" if len(kid) > 1 else b"\x32"
    return Credential("hes", hes_kid, HES_PUBLIC), Credential("cabinet-7", kid, PUBLIC)


def agree(ours: Session, theirs: Any, initiator: bool) -> None:
    """Each opens what the other one seals with the keys that it exports."""
    up, down = [
        (theirs.edhoc_exporter(key, b"", 16), theirs.edhoc_exporter(iv, b"", 12))
        for key, iv in ((16, 18), (17, 19))
    ]
    sealing, opening = (down, up) if initiator else (up, down)
    sealer = Sealer(CRYPTO, *sealing, C_I if initiator else C_R)
    opener = Opener(CRYPTO, *opening, C_R if initiator else C_I)
    assert ours.opener.open("t", sealer.seal("t", b"to ours")) == b"to ours"
    assert opener.open("t", ours.sealer.seal("t", b"to theirs")) == b"to theirs"


@WAYS
def test_lakers_answers(by_value: bool, ead_size: int, kid: bytes) -> None:
    hes, cabinet = credentials(kid)
    ead = [(SIGN_KEY, bytes(range(ead_size)))] if ead_size else []
    ours = Initiator(CRYPTO, cabinet, PRIVATE, C_I, ead, by_value)
    theirs = lakers.EdhocResponder(HES_PRIVATE, lakers.Credential(hes.ccs()))
    assert theirs.process_message_1(ours.message_1()) == (C_I, [])
    how = lakers.CredentialTransfer.ByValue if by_value else lakers.CredentialTransfer.ByReference
    message_2 = theirs.prepare_message_2(how, C_R, [lakers.EADItem(40000, False, b"more")])

    stranger = CRYPTO.ec_generate("P-256")[1]
    with pytest.raises(Refused, match="unknown-signer"):
        ours.message_3(message_2, [(b"line-9", hes.public)])
    with pytest.raises(Refused, match="unknown-signer" if by_value else "unsealed"):
        ours.message_3(message_2, [(hes.kid, stranger)])
    message_3, session = ours.message_3(message_2, [(hes.kid, stranger), (hes.kid, hes.public)])
    assert session.sealer.kid == C_R

    who, told = theirs.parse_message_3(message_3)
    assert who == (b"\xa1\x0e" + cabinet.ccs() if by_value else id_cred(kid))
    assert [(item.label(), bytes(item.value())) for item in told] == ead
    theirs.verify_message_3(lakers.credential_check_or_fetch(who, lakers.Credential(cabinet.ccs())))
    theirs.completed_without_message_4()
    agree(session, theirs, True)


@WAYS
def test_lakers_begins(by_value: bool, ead_size: int, kid: bytes) -> None:
    hes, cabinet = credentials(kid)
    theirs = lakers.EdhocInitiator()
    ours = Responder(CRYPTO, hes, HES_PRIVATE, C_R)
    message_1 = theirs.prepare_message_1(C_I, [lakers.EADItem(40000, False, b"more")])
    c_r, who, told = theirs.parse_message_2(ours.message_2(message_1))
    assert (c_r, who, told) == (C_R, id_cred(hes.kid), [])
    fetched = lakers.credential_check_or_fetch(who, lakers.Credential(hes.ccs()))
    theirs.verify_message_2(PRIVATE, lakers.Credential(cabinet.ccs()), fetched)
    ead = [lakers.EADItem(SIGN_KEY, False, bytes(range(ead_size)))] if ead_size else []
    how = lakers.CredentialTransfer.ByValue if by_value else lakers.CredentialTransfer.ByReference
    message_3, _ = theirs.prepare_message_3(how, ead)
    if not by_value:
        with pytest.raises(Refused, match="unknown-signer"):
            ours.finished(message_3)
    peer, found, session = ours.finished(message_3, [] if by_value else [cabinet])
    assert peer == cabinet
    assert found == ([(SIGN_KEY, bytes(range(ead_size)))] if ead_size else [])
    theirs.completed_without_message_4()
    agree(session, theirs, False)


def test_critical_data_of_lakers_is_refused() -> None:
    hes, cabinet = credentials(b"\x2b")
    critical = [lakers.EADItem(SIGN_KEY, True, b"x")]
    with pytest.raises(Refused, match="critical"):
        Responder(CRYPTO, hes, HES_PRIVATE, C_R).message_2(
            lakers.EdhocInitiator().prepare_message_1(C_I, critical)
        )
    ours = Initiator(CRYPTO, cabinet, PRIVATE, C_I)
    theirs = lakers.EdhocResponder(HES_PRIVATE, lakers.Credential(hes.ccs()))
    theirs.process_message_1(ours.message_1())
    message_2 = theirs.prepare_message_2(lakers.CredentialTransfer.ByReference, C_R, critical)
    with pytest.raises(Refused, match="critical"):
        ours.message_3(message_2, [(hes.kid, hes.public)])
