"""Long ciphered APDUs have a path of their own (security.py): whatever is refused of short ones is
refused of them, and they are accepted once, at every size around which the path or the spelling of
a length changes."""

from __future__ import annotations

from gateway.dlms.data import axdr
from gateway.dlms.errors import DlmsError, ProtocolError, Replayed, SecurityFailed
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.policy import AUTHENTICATED, ENCRYPTED, GENERAL_GLO, GLO, Protection
from gateway.dlms.protection.security import Ciphering
from tests.portable.dlms.test_security import AK, CLIENT, CRYPTO, EK, METER, counting, side
from tests.portable.support import raises, random_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# of the plain APDU; protected, they are 20 to 24 octets longer
LONG = (200, 232, 233, 234, 235, 236, 237, 238, 239, 240, 256, 300, 5000)
LONGEST = (65520, 70000)
SIZES = LONG + LONGEST
# where the length of the ciphered service needs another octet
EDGES = (0x7F - 17, 0x80 - 17, 0xFF - 17, 0x100 - 17, 0xFFFF - 17, 0x10000 - 17)


def told(size: int) -> bytes:
    return (b"\xc4\x01\xc1\x00" + random_bytes(7, 100) * (size // 100 + 1))[:size]


def refused(receiver: Ciphering, protected: Any) -> DlmsError:
    """The error; `receiver` has forgotten nothing and learned nothing."""
    before = receiver.received
    error: DlmsError = raises(DlmsError, receiver.unprotect, protected)
    assert receiver.received == before, "what is refused leaves a trace"
    return error


def changed(protected: bytes, at: int, mask: int = 1) -> bytes:
    broken = bytearray(protected)
    broken[at] ^= mask
    return bytes(broken)


def test_what_is_sent_comes_through_at_every_size() -> None:
    for size in SIZES + EDGES:
        meter, client = side(METER, CLIENT, 5), side(CLIENT, METER)
        protected = meter.protect(told(size))
        assert len(protected) == size + meter.overhead(size)
        assert axdr.length_at(protected, 1)[0] == size + 17
        assert client.unprotect(protected) == told(size)
        assert client.received == 5
        assert client.unprotect(memoryview(meter.protect(told(size)))) == told(size)
        assert client.received == 6


def test_a_replay_is_refused_at_every_size() -> None:
    for size in SIZES:
        meter, client = side(METER, CLIENT, 5), side(CLIENT, METER)
        first, second = meter.protect(told(size)), meter.protect(told(size))
        assert client.unprotect(second) == told(size)  # counter 6
        assert isinstance(refused(client, second), Replayed)
        assert isinstance(refused(client, first), Replayed)  # a lower counter, never seen before
        assert client.unprotect(meter.protect(told(size))) == told(size) and client.received == 7


def test_a_counter_counts_whatever_the_sizes_before_and_after() -> None:
    for before, after in ((50, 300), (300, 50), (300, 300), (300, 70000), (70000, 300)):
        client = side(CLIENT, METER)
        assert client.unprotect(side(METER, CLIENT, 9).protect(told(before))) == told(before)
        for counter in (9, 8, 1, 0):
            late = side(METER, CLIENT, counter).protect(told(after))
            assert isinstance(refused(client, late), Replayed)
        assert client.unprotect(side(METER, CLIENT, 10).protect(told(after))) == told(after)


def test_every_octet_that_is_changed_is_noticed() -> None:
    for size in SIZES:
        protected = side(METER, CLIENT, 7).protect(told(size))
        client = side(CLIENT, METER)
        head = len(protected) - size - 12
        places = list(range(head + 4)) + [head + size // 2]
        places += list(range(len(protected) - 14, len(protected)))
        if size in LONGEST:
            places = [2, 3, head - 5, head - 1, head + size // 2, len(protected) - 1]
        for at in places:
            assert not isinstance(refused(client, changed(protected, at)), Replayed)
        assert client.unprotect(protected) == told(size)


def test_a_label_that_is_not_the_contents_is_refused() -> None:
    for size in SIZES:
        protected = side(METER, CLIENT, 7).protect(told(size))
        client = side(CLIENT, METER)
        for tag in (0xC8, 0xCD, 0xCF, 0x28):  # of other services; the tag does not cover it
            assert isinstance(refused(client, bytes([tag]) + protected[1:]), SecurityFailed)
        assert client.unprotect(protected) == told(size)


def test_what_is_cut_short_or_too_long_is_refused() -> None:
    for size in SIZES:
        protected = side(METER, CLIENT, 7).protect(told(size))
        client = side(CLIENT, METER)
        for broken in (protected[:-1], protected[: size // 2], protected + b"\0"):
            assert isinstance(refused(client, broken), (ProtocolError, SecurityFailed))
        assert client.unprotect(protected) == told(size)


def test_only_the_right_keys_and_titles_open_it() -> None:
    other = bytes(16)
    for size in LONG:
        protected = side(METER, CLIENT, 7).protect(told(size))
        for keys, peer in (
            (Keys(CLIENT, other, AK), METER),
            (Keys(CLIENT, EK, other), METER),
            (Keys(CLIENT, EK, AK), CLIENT),
            (Keys(CLIENT, EK, AK), b""),
            (Keys(CLIENT, EK, AK, 1), METER),
        ):
            client = Ciphering(CRYPTO, keys, counting(1), peer)
            assert isinstance(refused(client, protected), SecurityFailed)


def test_less_protection_than_is_due_is_refused() -> None:
    for size in LONG:
        for policy in (AUTHENTICATED, ENCRYPTED):
            weak = Ciphering(
                CRYPTO, Keys(METER, EK, AK), counting(7), CLIENT, protection=Protection(GLO, policy)
            )
            assert isinstance(
                refused(side(CLIENT, METER), weak.protect(told(size))), SecurityFailed
            )
        plain = refused(side(CLIENT, METER), told(size))
        assert isinstance(plain, (ProtocolError, SecurityFailed))


def test_more_or_another_form_goes_the_long_way_and_counts_the_same() -> None:
    for size in LONG:
        general = Ciphering(
            CRYPTO, Keys(METER, EK, AK), counting(7), CLIENT, protection=Protection(GENERAL_GLO)
        )
        protected = general.protect(told(size))
        client = side(CLIENT, METER)
        assert client.unprotect(protected) == told(size) and client.received == 7
        assert isinstance(refused(client, protected), Replayed)
        # and so does what has the service's own tag
        assert isinstance(refused(client, side(METER, CLIENT, 7).protect(told(size))), Replayed)


def test_an_empty_service_is_no_apdu_however_it_is_spelt() -> None:
    client = side(CLIENT, METER)
    for broken in (
        b"",
        b"\xcc",
        b"\xcc\x82\x01",
        b"\xcc" + bytes(300),
        b"\xcc\x82\x01\x20" + bytes(288),
        b"\xcc\x84\x00\x00\x01\x20" + bytes(288),
    ):
        assert isinstance(refused(client, broken), (ProtocolError, SecurityFailed))
