"""Suite 0: the Green Book's vectors, both roles, and everything that must be refused."""

from __future__ import annotations

import sys

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.errors import ProtocolError, Replayed, SecurityFailed
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.security import Ciphering
from tests.portable.support import raises, random_bytes

if sys.implementation.name == "micropython":
    from hal.micropython.crypto import SystemCrypto
else:
    from hal.cpython.crypto import SystemCrypto

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

EK = bytes(range(16))
AK = bytes(range(0xD0, 0xE0))
METER = bytes.fromhex("4d4d4d0000bc614e")
CLIENT = bytes.fromhex("4d4d4d0000000001")
GET_CLOCK = bytes.fromhex("c0010000080000010000ff0200")
CRYPTO = SystemCrypto()


def counting(start: int) -> Callable[[], int]:
    count = [start - 1]

    def following() -> int:
        count[0] += 1
        return count[0]

    return following


def side(own: bytes, peer: bytes, counter: int = 1) -> Ciphering:
    return Ciphering(CRYPTO, Keys(own, EK, AK), counting(counter), peer)


def test_green_book_get_request_authenticated_and_encrypted() -> None:
    expected = "c81e3001234567411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b"
    assert side(METER, CLIENT, 0x01234567).protect(GET_CLOCK).hex() == expected
    assert side(CLIENT, METER).unprotect(bytes.fromhex(expected)) == GET_CLOCK


def test_green_book_authentication_only() -> None:
    # the same GMAC as HLS: security control 0x10, the plain text as what is authenticated
    proof = side(METER, CLIENT, 0x01234567).proof(GET_CLOCK)
    assert proof.hex() == "100123456706725d910f9221d263877516"


def test_green_book_initiate_request() -> None:
    plain = acse.InitiateRequest(
        0x007E1F, 1200, bytes.fromhex("00112233445566778899aabbccddeeff")
    ).encode()
    ciphered = side(METER, CLIENT, 0x01234567).protect(plain).hex()
    assert ciphered.startswith("21303001234567801302ff")
    assert ciphered.endswith("6fdb8e356855")


def test_green_book_hls_5_both_passes() -> None:
    server_challenge = bytes.fromhex("503677524a323146")
    client_challenge = bytes.fromhex("4b35366956616759")
    from_client = side(CLIENT, METER, 1).proof(server_challenge)
    assert from_client.hex() == "1000000001" + "1a52fe7dd3e72748973c1e28"
    from_meter = side(METER, CLIENT, 0x01234567).proof(client_challenge)
    assert from_meter.hex() == "1001234567" + "fe1466afb3dbcd4f9389e2b7"
    side(METER, CLIENT).check_proof(server_challenge, from_client)
    side(CLIENT, METER).check_proof(client_challenge, from_meter)


def test_all_services_travel_both_ways_at_all_lengths() -> None:
    client, meter = side(CLIENT, METER), side(METER, CLIENT)
    for tag in (0x01, 0xC0, 0xC1, 0xC3):
        for size in (0, 1, 108, 109, 110, 236, 237, 238, 239, 1000):
            plain = bytes((tag,)) + random_bytes(size, size)
            ciphered = client.protect(plain)
            assert len(ciphered) == len(plain) + client.overhead(len(plain))
            assert meter.unprotect(ciphered) == plain
            assert meter.unprotect(memoryview(client.protect(plain))) == plain
    assert client.unprotect(meter.protect(b"\xc4\x01")) == b"\xc4\x01"


def test_every_changed_byte_is_refused() -> None:
    ciphered = side(METER, CLIENT, 7).protect(GET_CLOCK)
    receiver = side(CLIENT, METER)
    for at in range(len(ciphered)):
        broken = bytearray(ciphered)
        broken[at] ^= 0x01
        try:
            receiver.unprotect(broken)
        except (SecurityFailed, ProtocolError):
            continue
        raise AssertionError("byte %d may be changed" % at)
    assert receiver.received == -1  # a forged counter leaves no trace
    assert receiver.unprotect(ciphered) == GET_CLOCK


def test_every_cut_is_refused() -> None:
    ciphered = side(METER, CLIENT, 7).protect(GET_CLOCK)
    receiver = side(CLIENT, METER)
    for size in range(len(ciphered)):
        raises(ProtocolError, receiver.unprotect, ciphered[:size])
        shorter = bytes((ciphered[0], max(size - 2, 0))) + ciphered[2:size]
        try:
            receiver.unprotect(shorter)
        except (SecurityFailed, ProtocolError):
            continue
        raise AssertionError("cut at %d" % size)


def test_counters_only_go_up() -> None:
    sender, receiver = side(METER, CLIENT, 5), side(CLIENT, METER)
    first, second, third = [sender.protect(GET_CLOCK) for _ in range(3)]
    receiver.unprotect(second)
    assert receiver.received == 6
    raises(Replayed, receiver.unprotect, second)
    raises(Replayed, receiver.unprotect, first)
    assert receiver.unprotect(third) == GET_CLOCK


def test_a_remembered_counter_is_held_against_an_old_recording() -> None:
    recording = side(METER, CLIENT, 5).protect(GET_CLOCK)
    later = Ciphering(CRYPTO, Keys(CLIENT, EK, AK), counting(1), METER, 5)
    raises(Replayed, later.unprotect, recording)


def test_a_used_up_counter_is_not_wrapped() -> None:
    last = side(METER, CLIENT, 0xFFFFFFFF)
    last.protect(GET_CLOCK)
    raises(SecurityFailed, last.protect, GET_CLOCK)


def test_wrong_keys_and_titles_are_refused() -> None:
    ciphered = side(METER, CLIENT, 7).protect(GET_CLOCK)
    for keys in (Keys(CLIENT, AK, AK), Keys(CLIENT, EK, EK)):
        other = Ciphering(CRYPTO, keys, counting(1), METER)
        raises(SecurityFailed, other.unprotect, ciphered)
    raises(SecurityFailed, side(CLIENT, CLIENT).unprotect, ciphered)
    raises(SecurityFailed, side(CLIENT, b"").unprotect, ciphered)
    raises(SecurityFailed, side(CLIENT, b"short").check_proof, bytes(16), bytes(17))


def test_lower_protection_is_refused() -> None:
    tag = side(METER, CLIENT, 9).proof(GET_CLOCK)[5:]
    only_authenticated = b"\xc8\x1e\x10\x00\x00\x00\x09" + GET_CLOCK + tag
    error = raises(SecurityFailed, side(CLIENT, METER).unprotect, only_authenticated)
    assert "0x10" in str(error)


def test_a_service_in_the_wrong_envelope_is_refused() -> None:
    ciphered = side(METER, CLIENT, 7).protect(GET_CLOCK)
    raises(SecurityFailed, side(CLIENT, METER).unprotect, b"\xc9" + ciphered[1:])
    raises(ProtocolError, side(CLIENT, METER).unprotect, GET_CLOCK)
    raises(ProtocolError, side(CLIENT, METER).unprotect, ciphered + b"\x00")


def test_a_wrong_proof_is_refused() -> None:
    client, meter = side(CLIENT, METER), side(METER, CLIENT)
    proof = client.proof(b"challenge of the meter")
    raises(SecurityFailed, meter.check_proof, b"another challenge", proof)
    # the meter may not hand the client its own proof back
    raises(SecurityFailed, client.check_proof, b"challenge of the meter", proof)
    for at in range(len(proof)):
        broken = bytearray(proof)
        broken[at] ^= 0x80
        raises(SecurityFailed, meter.check_proof, b"challenge of the meter", bytes(broken))
    for size in range(len(proof)):
        raises(SecurityFailed, meter.check_proof, b"challenge of the meter", proof[:size])


def test_keys_are_checked_and_never_shown() -> None:
    raises(ValueError, Keys, b"short", EK, AK)
    raises(ValueError, Keys, CLIENT, EK[:15], AK)
    raises(ValueError, Keys, CLIENT, EK, AK + b"\x00")
    shown = repr(Keys(CLIENT, EK, AK))
    assert EK.hex() not in shown and repr(EK) not in shown
    ciphered = side(METER, CLIENT, 7).protect(GET_CLOCK)
    error = raises(SecurityFailed, side(CLIENT, CLIENT).unprotect, ciphered)
    assert EK.hex() not in str(error) and AK.hex() not in str(error)


def test_plain_and_glo_tags_pair_up() -> None:
    from gateway.dlms.protection.tags import GLO_OF, PLAIN_OF

    assert len(GLO_OF) == len(PLAIN_OF)
    assert GLO_OF[apdu.ACTION_RESPONSE] == 0xCF and GLO_OF[acse.INITIATE_RESPONSE] == 0x28
