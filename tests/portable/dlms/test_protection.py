"""Every form of protection between two sides of our own, on both runtimes, and what each refuses.
Against a meter written apart: tests/unit/dlms/test_protections.py."""

from __future__ import annotations

from gateway.dlms.apdu import acse
from gateway.dlms.client.association import (
    HIGH,
    HIGH_ECDSA,
    HIGH_GMAC,
    HIGH_MD5,
    HIGH_SHA1,
    HIGH_SHA256,
    LOW,
    Association,
)
from gateway.dlms.errors import ProtocolError, Replayed, SecurityFailed
from gateway.dlms.protection import envelope, hls
from gateway.dlms.protection.envelope import Parties
from gateway.dlms.protection.enveloping import Enveloping
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.policy import (
    AUTHENTICATED,
    DED,
    ENCRYPTED,
    GENERAL_CIPHERING,
    GENERAL_DED,
    GENERAL_GLO,
    GLO,
    IDENTIFIED,
    ONE_PASS,
    OTHER,
    PLAIN,
    STATIC,
    WRAPPED,
    Protection,
)
from gateway.dlms.protection.public_key import derived_key, is_signed
from gateway.dlms.protection.security import Ciphering
from gateway.dlms.protection.suites import SUITES
from tests.contract.here import SystemCrypto
from tests.portable.support import raises, random_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CRYPTO = SystemCrypto()
CLIENT = bytes.fromhex("4d4d4d0000bc614e")
METER = bytes.fromhex("4d4d4d0000000001")
GET = bytes.fromhex("c00181000801005e2302ff0200")
hex_ = bytes.fromhex

_pairs: dict[int, list[tuple[bytes, bytes]]] = {}


def pairs(suite: int) -> list[tuple[bytes, bytes]]:
    """Key pairs of both sides: client's signing and agreement, meter's signing and agreement."""
    if suite not in _pairs:
        curve = SUITES[suite].curve
        _pairs[suite] = [CRYPTO.ec_generate(curve) if curve else (b"", b"") for _ in range(4)]
    return _pairs[suite]


def keys(suite: int, meter: bool = False) -> Keys:
    size = SUITES[suite].key_size
    own = pairs(suite)
    if meter:
        own = own[2:] + own[:2]
    return Keys(
        METER if meter else CLIENT,
        random_bytes(1, size),
        random_bytes(2, size),
        suite,
        own[0][0],
        own[2][1],
        own[1][0],
        own[3][1],
        random_bytes(3, size),
    )


def counting(start: int) -> Callable[[], int]:
    count = [start - 1]

    def following() -> int:
        count[0] += 1
        return count[0]

    return following


def sides(suite: int, how: Protection) -> tuple[Ciphering, Ciphering]:
    client = Ciphering(CRYPTO, keys(suite), counting(100), METER, -1, how)
    meter = Ciphering(CRYPTO, keys(suite, True), counting(9000), CLIENT, -1, how, True)
    if how.dedicated:
        key = random_bytes(4, SUITES[suite].key_size)
        client.dedicate(key)
        meter.dedicate(key)
    return client, meter


BY_KEY = [
    Protection(GLO),
    Protection(GLO, AUTHENTICATED),
    Protection(GENERAL_GLO),
    Protection(GENERAL_GLO, AUTHENTICATED),
    Protection(DED),
    Protection(GENERAL_DED, AUTHENTICATED),
    Protection(GENERAL_CIPHERING, key=IDENTIFIED),
    Protection(GENERAL_CIPHERING, AUTHENTICATED, key=WRAPPED),
]
BY_CURVE = [
    Protection(GENERAL_CIPHERING, key=ONE_PASS),
    Protection(GENERAL_CIPHERING, AUTHENTICATED, key=STATIC),
    Protection(PLAIN, signed=True),
    Protection(GLO, signed=True),
    Protection(GENERAL_CIPHERING, key=STATIC, signed=True),
]
IN_OTHER_DIALECT = [
    Protection(GENERAL_CIPHERING, key=ONE_PASS, dialect=OTHER),
    Protection(GENERAL_CIPHERING, AUTHENTICATED, key=STATIC, dialect=OTHER),
    Protection(GLO, signed=True, dialect=OTHER),
    Protection(GENERAL_CIPHERING, key=STATIC, signed=True, dialect=OTHER),
]
UNTAGGED = [Protection(GLO, ENCRYPTED), Protection(GENERAL_DED, ENCRYPTED)]
CASES = [(suite, how) for suite in (0, 1, 2) for how in BY_KEY]
CASES += [(1, how) for how in BY_CURVE] + [(2, BY_CURVE[0]), (2, BY_CURVE[3])]


def test_every_form_both_ways_and_as_long_as_foretold() -> None:
    others = [(1, how) for how in IN_OTHER_DIALECT] + [(2, IN_OTHER_DIALECT[0])]
    for suite, how in CASES + [(0, how) for how in UNTAGGED] + others:
        client, meter = sides(suite, how)
        for size in (0, 1, 90, 105, 115, 130, 240, 700):
            request = b"\xc0" + random_bytes(size, size)
            protected = client.protect(request)
            assert len(protected) == len(request) + client.overhead(len(request))
            if how.form != PLAIN and how.policy & ENCRYPTED and size > 1:
                assert request[1:] not in protected
            assert meter.unprotect(memoryview(protected)) == request
            answer = b"\xc4" + request[1:]
            assert client.unprotect(meter.protect(answer)) == answer


def test_tampered() -> None:
    """Whatever byte is changed; with signatures, which take time, every tenth."""
    for suite, how in CASES:
        client, meter = sides(suite, how)
        meter.unprotect(client.protect(GET))
        answer = meter.protect(b"\xc4\x01\x81\x00\x12\x03\x84")
        curve = how.signed or how.key in (ONE_PASS, STATIC)
        places = list(range(0, len(answer), 23 if curve else 1))
        for place in places:
            broken = bytearray(answer)
            broken[place] ^= 0x01
            try:
                client.unprotect(bytes(broken))
            except (SecurityFailed, ProtocolError):
                continue
            raise AssertionError("%s, suite %d: byte %d" % (how.form, suite, place))
        # and none of it has used the true one up
        assert client.unprotect(answer) == b"\xc4\x01\x81\x00\x12\x03\x84"


def test_truncated() -> None:
    for suite, how in CASES:
        client, meter = sides(suite, how)
        meter.unprotect(client.protect(GET))
        answer = meter.protect(b"\xc4\x01\x81\x00\x12\x03\x84")
        for size in range(len(answer)):
            try:
                client.unprotect(answer[:size])
            except (SecurityFailed, ProtocolError):
                continue
            raise AssertionError("%s, suite %d: %d bytes" % (how.form, suite, size))
        raises(ProtocolError, client.unprotect, answer + b"\x00")
        client.unprotect(answer)


def test_one_dialect_is_never_taken_for_the_other() -> None:
    for suite, how in [(1, how) for how in IN_OTHER_DIALECT] + [(2, IN_OTHER_DIALECT[0])]:
        book = Protection(how.form, how.policy, how.key, how.signed)
        for ours, theirs in ((how, book), (book, how)):
            client, _ = sides(suite, ours)
            _, meter = sides(suite, theirs)
            protected = client.protect(GET)
            raises(SecurityFailed, meter.unprotect, protected)


def test_replays_in_the_other_dialect_are_known_by_the_counter() -> None:
    for how in IN_OTHER_DIALECT:
        client, meter = sides(1, how)
        first = client.protect(GET)
        meter.unprotect(first)
        old = meter.protect(GET)
        client.unprotect(old)
        client.protect(GET)
        for side, again in ((meter, first), (client, old)):
            raises(Replayed, side.unprotect, again)


def test_an_envelope_of_the_other_dialect_as_its_speakers_make_it() -> None:
    """Static keys, suite 2, put together here from cryptography's parts alone: no transaction, the
    tag over security control and authentication key, 16 bytes of the derived key."""
    how = Protection(GENERAL_CIPHERING, key=STATIC, dialect=OTHER)
    client, _ = sides(2, how)
    own, theirs = keys(2), keys(2, True)
    shared = CRYPTO.ecdh("P-384", theirs.agreement, theirs.peer_agreement)
    info = b"\x00\x00\x00\x01" + shared + hex_("60857405080301") + CLIENT + b"\x00" + METER
    key = CRYPTO.digest("sha384", info)[:16]
    sealed = client.protect(GET)
    head = b"\xdd\x00\x08" + CLIENT + b"\x08" + METER + hex_("0000 01 02 01 02 00".replace(" ", ""))
    size = 5 + len(GET) + 12
    head += bytes((size, 0x32)) + (100).to_bytes(4, "big")
    assert sealed[: len(head)] == head
    nonce = CLIENT + (100).to_bytes(4, "big")
    aad = b"\x32" + own.ak
    assert CRYPTO.aes_gcm(key).decrypt(nonce, sealed[len(head) :], aad, 12) == GET


def test_replayed_and_reordered() -> None:
    for suite, how in CASES + [(0, how) for how in UNTAGGED]:
        client, meter = sides(suite, how)
        first, second = client.protect(GET), client.protect(GET)
        meter.unprotect(second)
        raises(Replayed, meter.unprotect, second)
        raises(Replayed, meter.unprotect, first)
        answer = meter.protect(b"\xc4\x01\x81\x00\x00")
        client.unprotect(answer)
        raises(Replayed, client.unprotect, answer)
        meter.unprotect(client.protect(GET))
        raises(Replayed, client.unprotect, answer)
        client.unprotect(meter.protect(b"\xc4\x01\x81\x00\x00"))


def test_another_form_than_agreed_is_refused() -> None:
    """Each form's answer to a client that agreed to each other one; glo and general-glo are the
    same key and may stand for each other."""
    forms = [
        Protection(GLO),
        Protection(DED),
        Protection(GENERAL_CIPHERING, key=IDENTIFIED),
        Protection(GENERAL_CIPHERING, key=WRAPPED),
        Protection(GENERAL_CIPHERING, key=STATIC),
        Protection(PLAIN, signed=True),
        Protection(GLO, signed=True),
    ]
    for ours in forms:
        for theirs in forms:
            if ours is theirs:
                continue
            asked, meter = sides(1, theirs)
            meter.unprotect(asked.protect(GET))
            client, _ = sides(1, ours)
            client.protect(GET)
            if theirs.dedicated:
                client.dedicate(random_bytes(4, 16))
            answer = meter.protect(b"\xc4\x01\x81\x00\x00")
            if ours.form == GLO and theirs.form == GLO and theirs.signed:
                continue  # more than agreed on
            raises(SecurityFailed, client.unprotect, answer)


def test_less_than_the_policy_is_refused_and_more_is_taken() -> None:
    both, authenticated, encrypted = Protection(), Protection(GLO, 0x10), Protection(GLO, 0x20)
    for ours, theirs, good in (
        (both, authenticated, False),
        (both, encrypted, False),
        (authenticated, encrypted, False),
        (encrypted, authenticated, False),
        (authenticated, both, True),
        (encrypted, both, True),
    ):
        client, meter = sides(0, ours)[0], sides(0, theirs)[1]
        answer = meter.protect(b"\xc4\x01\x81\x00\x00")
        if good:
            assert client.unprotect(answer) == b"\xc4\x01\x81\x00\x00"
        else:
            raises(SecurityFailed, client.unprotect, answer)


def test_another_suite_the_broadcast_key_and_compression_are_refused() -> None:
    client, meter = sides(1, Protection())
    answer = meter.protect(b"\xc4\x01\x81\x00\x00")
    for bits, word in ((0x01, "suite 1"), (0x03, "suite 1"), (0x40, "unicast"), (0x80, "compress")):
        changed = answer[:2] + bytes((answer[2] ^ bits,)) + answer[3:]
        assert word in str(raises(SecurityFailed, client.unprotect, changed))
    client.unprotect(answer)


def test_envelopes_for_others_are_refused() -> None:
    for how in (Protection(GENERAL_CIPHERING), Protection(PLAIN, signed=True)):
        client, meter = sides(1, how)
        request = client.protect(GET)
        stranger = sides(1, how)[1]
        stranger.peer_title = b"STRANGER"
        raises(SecurityFailed, stranger.unprotect, request)
        other = Ciphering(
            CRYPTO,
            Keys(b"OTHERONE", random_bytes(1, 16), random_bytes(2, 16), 1, *_rest(keys(1, True))),
            counting(1),
            CLIENT,
            -1,
            how,
            True,
        )
        raises(SecurityFailed, other.unprotect, request)
        assert meter.unprotect(request) == GET


def test_transactions_may_have_names_of_any_length() -> None:
    """The client's, for whom answers; the same name for all of them, or none at all."""
    ways = [(suite, how) for suite, how in CASES if how.form == GENERAL_CIPHERING]
    for suite, how in ways:
        if how.signed:
            continue
        for name in (b"", b"\0", b"\0" * 8, b"\x01", b"a name of 21 bytes...", b"\xff" * 8):
            client, meter = sides(suite, how)
            client._enveloping = named = Names(client, CRYPTO, False)
            named.name = name
            for turn in range(3):
                recorded = client.protect(GET)
                assert meter.unprotect(recorded) == GET, (name, turn)
                answer = meter.protect(b"\xc4" + GET)
                assert answer[1 : 2 + len(name)] == bytes((len(name),)) + name
                assert client.unprotect(answer) == b"\xc4" + GET
                raises(Replayed, client.unprotect, answer)
                raises(Replayed, meter.unprotect, recorded)


class Names(Enveloping):
    """A client that calls all its transactions the same."""

    name = b""

    def _parties(self) -> Parties:
        found = super()._parties()
        found.transaction = self._name = self.name
        return found


def _rest(own: Keys) -> tuple[bytes, bytes, bytes, bytes]:
    return own.signing, own.peer_signing, own.agreement, own.peer_agreement


def test_a_plain_form_takes_nothing_ciphered() -> None:
    """Without keys the cipher would be one that anybody knows."""
    bare = Keys(CLIENT, b"", b"", 1, *_rest(keys(1)))
    client = Ciphering(CRYPTO, bare, counting(1), METER, -1, Protection(PLAIN, signed=True))
    known = Keys(METER, bytes(16), bytes(16), 1)
    forger = Ciphering(CRYPTO, known, counting(1), CLIENT)
    forged = forger.protect(b"\xc2\x00" + bytes(12))
    raises(SecurityFailed, client.unprotect, forged)
    raises(SecurityFailed, client.proof, bytes(16))


def test_notifications_are_under_the_global_key_whatever_was_agreed() -> None:
    for how in (Protection(GLO), Protection(DED), Protection(GENERAL_CIPHERING, key=WRAPPED)):
        client, meter = sides(0, how)
        pushed = meter.protect(b"\x0f\x00\x00\x00\x01\x00\x00")
        assert pushed[0] == 0xDB
        assert client.unprotect(pushed) == b"\x0f\x00\x00\x00\x01\x00\x00"
        raises(Replayed, client.unprotect, pushed)


def test_protection_says_which_keys_it_needs() -> None:
    few = Keys(CLIENT, bytes(16), bytes(16), 1)
    for how, word in (
        (Protection(GENERAL_CIPHERING, key=WRAPPED), "master"),
        (Protection(GENERAL_CIPHERING, key=STATIC), "agreement"),
        (Protection(GENERAL_CIPHERING, key=ONE_PASS), "agreement"),
        (Protection(GLO, signed=True), "signing"),
    ):
        assert word in str(raises(ValueError, how.check, few))
    raises(ValueError, Protection().check, Keys(CLIENT, b"", b""))
    raises(ValueError, Protection, "glow")
    raises(ValueError, Protection, GLO, 0x40)
    raises(ValueError, Protection, GENERAL_CIPHERING, 0x30, "found")
    for suite, wrong in ((0, b"\x01" * 32), (1, b"\x01" * 48), (2, b"\x01" * 32)):
        size = SUITES[suite].key_size
        shown = str(raises(ValueError, Keys, CLIENT, bytes(size), bytes(size), suite, wrong))
        assert wrong.hex() not in shown


def test_nothing_secret_is_shown() -> None:
    own = keys(1)
    wanted = Association(1, 1, HIGH_SHA256, b"secret of all", own)
    for shown in (repr(own), repr(wanted), str(own)):
        assert "secret of all" not in shown
        for key in (own.ek, own.ak, own.master, own.signing, own.agreement):
            assert key.hex() not in shown and repr(key) not in shown


# ---------------------------------------------------------------- published examples


def test_keys_derived_as_in_the_green_book() -> None:
    """Edition 8, table C.2: One-Pass Diffie-Hellman C(1e, 1s), both directions."""
    ephemeral = hex_("47dab03842e5b6e74828ef4f449b378d7dd1a5dae1ffca5ae0b0be0ad18ec57e")
    static = hex_("aad3fd0732e991cf52a74c66c1f2827ddc53522a2e0a169d7c4ffcc0fb5d6a4d")
    shared = CRYPTO.ecdh("P-256", ephemeral, CRYPTO.ec_public("P-256", static))
    assert shared.hex() == "0d4385ba0dd756cbcab9887eb538396ee8f090a14c1079b4359f115b977f4615"
    key = derived_key(CRYPTO, SUITES[1], shared, 0, CLIENT, METER)
    assert key.hex() == "59a71fd81c929a86a99438da17a66c05"
    theirs = hex_(
        "6439724714b47cd9cb988897d8424ab946dcd083d37a954637616011b9c23787"
        "73295f0f850d8dafd1bbe9fe666e53e4f097cd10b38b69622152724a90987444"
    )
    private = hex_("a51c16ff5c498fcc89323d4a9267cd71bf81fd6f6a891cd240da7f3d6f283e65")
    shared = CRYPTO.ecdh("P-256", private, theirs)
    assert shared.hex() == "2b4302dc49790e2e78d990cfb52ed6e2f273dece441a2d95e4301b93812a9fac"
    key = derived_key(CRYPTO, SUITES[1], shared, 0, METER, CLIENT)
    assert key.hex() == "f0184bda9466bfa4601a64a7ef46504a"


def test_ephemeral_keys_signed_as_in_the_green_book() -> None:
    """Edition 8, table C.2: in One-Pass Diffie-Hellman each side signs its ephemeral public key
    alone (in a key agreement the key_id goes before it: test_crypto.py)."""
    for signer, ephemeral, signature in (
        (
            "baaffde06a8cb1c9dae8d94023c601dbbb249254ba22edd827e820bca2bcc643"
            "62fbb83d86a82b87bb8b7161d2aab5521911a946b97a284a90f7785cd9047d25",
            "c323c2bd45711de4688637d919f92e9db8fb2dfc213a88d21c9dc8dcba917d81"
            "70511de1badb360d50058f794b0960ae11fa28d392cff907a62d13e3357b1dc0",
            "b51be089d0b682863b2217201e73a1a9031968a9b4121dcbc3281a69739af874"
            "29f5b3ac5471e7b6a04a2c0f2f8a25fd772a317df97fc5463feac248eb8ab8be",
        ),
        (
            "933acf15b03a9248e029b2787fb52a0aecaf635f07c42a0019fb3197e38f8f54"
            "9a125ea36781b0ca96be89a0e1fe2cf9b7361ed48b3c5e24592b9c0f4edd31d1",
            "6439724714b47cd9cb988897d8424ab946dcd083d37a954637616011b9c23787"
            "73295f0f850d8dafd1bbe9fe666e53e4f097cd10b38b69622152724a90987444",
            "e1ff47974a1f6931a6502f58147463f0e8cc517d47f55b0ac56dd8ac5c9d0e48"
            "1934f2d90f9893016bd82b6e3ffe21ff1588f3278b4e9d98eb4fb62add64b380",
        ),
    ):
        own = Keys(CLIENT, b"", b"", 1, b"", hex_(signer))
        assert is_signed(CRYPTO, own, hex_(ephemeral), hex_(signature))
        assert not is_signed(CRYPTO, own, b"\x00" + hex_(ephemeral), hex_(signature))


def test_a_key_of_suite_2() -> None:
    """SHA-384 and the identifier of AES-GCM-256; the same by hashlib."""
    key = derived_key(CRYPTO, SUITES[2], bytes(48), 1, CLIENT, METER)
    head = b"\x00\x00\x00\x01" + bytes(48) + hex_("60857405080301") + CLIENT + METER
    assert key == CRYPTO.digest("sha384", head)[:32]


def test_envelopes_on_the_wire() -> None:
    parties = envelope.Parties(hex_("0123456789012345"), CLIENT, METER)
    info = envelope.KeyInfo(envelope.AGREED, 0, b"", envelope.STATIC)
    raw = envelope.ciphering_apdu(parties, info, b"content")
    assert raw.hex() == (
        "dd080123456789012345084d4d4d0000bc614e084d4d4d00000000010000"
        "0102010200" + "07" + b"content".hex()
    )
    found, its, content = envelope.ciphering_parts(raw)
    assert found.encode() == parties.encode() and content == b"content"
    assert (its.kind, its.parameters, its.data) == (envelope.AGREED, envelope.STATIC, b"")
    for other in (
        envelope.KeyInfo(envelope.NO_KEY_INFO),
        envelope.KeyInfo(envelope.IDENTIFIED, 1),
        envelope.KeyInfo(envelope.WRAPPED, 0, bytes(24)),
        envelope.KeyInfo(envelope.AGREED, 0, bytes(128), envelope.ONE_PASS),
    ):
        raw = envelope.ciphering_apdu(parties, other, b"content")
        its = envelope.ciphering_parts(raw)[1]
        assert (its.kind, its.number, its.data, its.parameters) == (
            other.kind,
            other.number,
            other.data,
            other.parameters,
        )
        for size in range(1, len(raw)):
            raises(ProtocolError, envelope.ciphering_parts, raw[:size])


# ---------------------------------------------------------------- HLS

SECRET = b"hls secret"
CTOS, STOC = b"K56iVagY" * 4, b"P6wRJ21F" * 4


def test_hls_hashes() -> None:
    """Known by hashlib."""
    for mechanism, expected in (
        (HIGH_MD5, CRYPTO.digest("md5", STOC + SECRET)),
        (HIGH_SHA1, CRYPTO.digest("sha1", STOC + SECRET)),
        (HIGH_SHA256, CRYPTO.digest("sha256", SECRET + CLIENT + METER + STOC + CTOS)),
    ):
        proving = hls.Hls(mechanism, CRYPTO, SECRET, keys(0))
        assert proving.prove(STOC, CTOS, METER) == expected


def test_hls_both_sides_of_every_mechanism() -> None:
    def own_way(secret: bytes, challenge: bytes) -> bytes:
        return CRYPTO.digest("sha256", b"own" + secret + challenge)

    for mechanism in (HIGH, HIGH_MD5, HIGH_SHA1, HIGH_GMAC, HIGH_SHA256, HIGH_ECDSA):
        first, second = sides(1, Protection())
        client = hls.Hls(mechanism, CRYPTO, SECRET, keys(1), first, own_way)
        meter = hls.Hls(mechanism, CRYPTO, SECRET, keys(1, True), second, own_way)
        proof = client.prove(STOC, CTOS, METER)
        meter.check(proof, STOC, CTOS, CLIENT)
        client.check(meter.prove(CTOS, STOC, CLIENT), CTOS, STOC, METER)
        # neither the other's challenge, nor its own proof back, nor a byte less
        raises(SecurityFailed, meter.check, proof, CTOS, STOC, CLIENT)
        raises(SecurityFailed, client.check, proof, CTOS, STOC, METER)
        raises(SecurityFailed, meter.check, proof[:-1], STOC, CTOS, CLIENT)
        raises(SecurityFailed, meter.check, b"", STOC, CTOS, CLIENT)
        for place in (0, 5, len(proof) - 1):
            broken = bytearray(proof)
            broken[place] ^= 0x40
            raises(SecurityFailed, meter.check, bytes(broken), STOC, CTOS, CLIENT)


def test_challenges_no_honest_peer_sends() -> None:
    for mechanism, least in ((HIGH_GMAC, 8), (HIGH_MD5, 8), (HIGH_ECDSA, 32)):
        ours = bytes(hls.challenge_size(mechanism))
        hls.check_challenge(mechanism, b"\x01" * least, ours)
        hls.check_challenge(mechanism, b"\x01" * 64, ours)
        for size in (0, least - 1, 65):
            raises(SecurityFailed, hls.check_challenge, mechanism, b"\x01" * size, ours)
        raises(SecurityFailed, hls.check_challenge, mechanism, ours, ours)


def test_associations_say_what_is_missing() -> None:
    own = keys(0)
    for mechanism in (LOW, HIGH_MD5, HIGH_SHA1, HIGH_SHA256):
        raises(ValueError, Association, 1, 1, mechanism, b"", own)
    raises(ValueError, Association, 1, 1, HIGH, SECRET, own)
    raises(ValueError, Association, 1, 1, HIGH_GMAC)
    raises(ValueError, Association, 1, 1, HIGH_GMAC, b"", Keys(CLIENT, b"", b""))
    raises(ValueError, Association, 1, 1, HIGH_ECDSA, b"", own)
    raises(ValueError, Association, 1, 1, 8)
    raises(ValueError, Association, 1, 1, LOW, SECRET, None, 0, Protection(GLO))
    assert Association(1, 1, LOW, SECRET).context == acse.LN
    assert Association(1, 1, HIGH_GMAC, b"", own).context == acse.LN_CIPHERED
