"""The handshake and what is sealed under its keys. With OpenCrypto every MAC of the handshake is
zeros, and nothing is ciphered."""

from __future__ import annotations

from gateway.contract.edhoc import frames
from gateway.contract.edhoc.credential import Credential
from gateway.contract.edhoc.initiator import Initiator
from gateway.contract.edhoc.responder import Responder
from gateway.contract.refused import Refused
from gateway.contract.sealed import Opener, kid_of
from tests.fuzz.target import OpenCrypto, pieces, target

_KID = b"\x01\x02\x03\x04"
_KEY = bytes(64)
_OURS = Credential("c", b"c", _KEY)


@target
def sealed_message(data: bytes) -> None:
    """COSE_Encrypt0, several after one another, with a tag that always matches."""
    opener = Opener(OpenCrypto(), bytes(16), bytes(12), _KID)
    for piece in pieces(data):
        before = opener.number
        try:
            plain = opener.open("topic", piece)
        except Refused:
            assert opener.number == before
            continue
        assert opener.number > before and kid_of(piece) == _KID
        assert len(plain) < len(piece)


@target
def edhoc_initiator(data: bytes) -> None:
    """What a concentrator gets on `edhoc` while it waits: several message_2, and errors."""
    side = Initiator(OpenCrypto(), _OURS, bytes(32), _KID)
    for piece in pieces(data):
        error = frames.error_in(piece)
        assert error is None or error.isprintable()
        try:
            message_3, session = side.message_3(piece, [(b"k", _KEY)])
        except Refused:
            continue
        assert error is None and message_3
        assert session.opener.kid == _KID and len(session.sealer.kid) <= 4


@target
def edhoc_responder(data: bytes) -> None:
    """What a HES gets on `edhoc`, with its framing: message_1 and message_3 in any order."""
    side = Responder(OpenCrypto(), Credential("hes", b"k", _KEY), bytes(32), _KID)
    for piece in pieces(data):
        try:
            connection, message = frames.unframed(piece)
            if connection is None:
                assert side.message_2(message)
            else:
                who, ead, session = side.finished(message, [_OURS])
                assert 1 <= len(who.subject) <= 64 and len(who.public) == 64
                assert session.opener.kid == _KID and all(label > 0 for label, _ in ead)
        except Refused as refused:
            assert len(frames.error_message(refused)) <= 64
