"""EDHOC against RFC 9529 3 (method 3, suite 2, CCS by reference), every intermediate value that is
given; HKDF against RFC 5869 A."""

from __future__ import annotations

from gateway.contract.edhoc import initiator as initiator_module
from gateway.contract.edhoc.claim import id_cred
from gateway.contract.edhoc.credential import Credential
from gateway.contract.edhoc.initiator import Initiator
from gateway.contract.edhoc.keys import Schedule, expand, hkdf_expand
from gateway.contract.edhoc.responder import Responder
from gateway.contract.sealed import Sealer
from tests.contract.here import SystemCrypto

hex_ = bytes.fromhex
CRYPTO = SystemCrypto()

X = hex_("368ec1f69aeb659ba37d5a8d45b21bdc0299dceaa8ef235f3ca42ce3530f9525")
G_X = hex_("8af6f430ebe18d34184017a9a11bf511c8dff8f834730b96c1b7c8dbca2fc3b6")
MESSAGE_1 = hex_("0382060258208af6f430ebe18d34184017a9a11bf511c8dff8f834730b96c1b7c8dbca2fc3b637")
C_I, C_R = hex_("37"), hex_("27")  # -24 and -8

Y = hex_("e2f4126777205e853b437d6eaca1e1f753cdcc3e2c69fa884b0a1a640977e418")
G_Y = hex_("419701d7f00a26c2dc587a36dd752549f33763c893422c8ea0f955a13a4ff5d5")
G_XY = hex_("2f0cb7e860ba538fbf5c8bded009f6259b4b628fe1eb7dbe9378e5ecf7a824ba")
TH_2 = hex_("356efd53771425e008f3fe3a86c83ff4c6b16e57028ff39d5236c182b202084b")
PRK_2E = hex_("5aa0d69f3e3d1e0c479f0b8a486690c9802630c3466b1dc92371c982563170b5")
KEYSTREAM_2 = hex_("bf50e9e7bad0bb68173399")

R = hex_("72cc4761dbd4c78f758931aa589d348d1ef874a7e303ede2f140dcf3e6aa4aac")
PUBLIC_R = hex_(
    "bbc34960526ea4d32e940cad2a234148ddc21791a12afbcbac93622046dd44f0"
    "4519e257236b2a0ce2023f0931f1f386ca7afda64fcde0108c224c51eabf6072"
)
CRED_R = hex_(
    "a2026b6578616d706c652e65647508a101a501020241322001215820"
    "bbc34960526ea4d32e940cad2a234148ddc21791a12afbcbac93622046dd44f0225820"
    "4519e257236b2a0ce2023f0931f1f386ca7afda64fcde0108c224c51eabf6072"
)
G_RX = hex_("f2b6eea02220b95eee5a0bc701f074e00a843ea02422f60825fb269b3e161423")
SALT_3E2M = hex_("af4e103a47cb3cf32570d5c25ad27732bd8d8178e9a69d061c31a27f8e3ca926")
PRK_3E2M = hex_("0ca3d3398296b3c03900987620c11f6fce70781c1d1219720f9ec08c122d8434")
MAC_2 = hex_("0943305c899f5c54")
PLAINTEXT_2 = hex_("2732480943305c899f5c54")
MESSAGE_2 = hex_(
    "582b419701d7f00a26c2dc587a36dd752549f33763c893422c8ea0f955a13a4ff5d59862a1eef9e0e7e1886fcd"
)

TH_3 = hex_("adaf67a78a4bcc91e018f8882762a722000b2507039df0bc1bbf0c161bb3155c")
K_3 = hex_("8e7a30042000f7900e8174131f75f3ed")
IV_3 = hex_("6d8300c1e23b56153ae70ee457")
I = hex_("fb13adeb6518cee5f88417660841142e830a81fe334380a953406a1305e8706b")  # noqa: E741
PUBLIC_I = hex_(
    "ac75e9ece3e50bfc8ed60399889522405c47bf16df96660a41298cb4307f7eb6"
    "6e5de611388a4b8a8211334ac7d37ecb52a387d257e6db3c2a93df21ff3affc8"
)
CRED_I = hex_(
    "a2027734322d35302d33312d46462d45462d33372d33322d333908a101a5010202412b2001215820"
    "ac75e9ece3e50bfc8ed60399889522405c47bf16df96660a41298cb4307f7eb6225820"
    "6e5de611388a4b8a8211334ac7d37ecb52a387d257e6db3c2a93df21ff3affc8"
)
G_IY = hex_("080f425085bc6249089eac8f108ea62326857e12ab07d72028ca1b5f36e004b3")
SALT_4E3M = hex_("cfddf9515a7e46e7b4dbff31cbd56cd04ba332250de9ea5de1caf9f6d13914a7")
PRK_4E3M = hex_("81cc8a298e357044e3c466bb5c0a1e507e01d49238aeba138df94635407c0ff7")
MAC_3 = hex_("623c91df41e34c2f")
PLAINTEXT_3 = hex_("2b48623c91df41e34c2f")
MESSAGE_3 = hex_("52e562097bc417dd5919485ac7891ffd90a9fc")
TH_4 = hex_("c902b1e3a4326c93c5551f5f3aa6c5ecc0246806765612e52b5d99e6059d6b6e")
PRK_OUT = hex_("2c71afc1a9338a940bb3529ca734b886f30d1aba0b4dc51beeaeabdfea9ecbf8")
PRK_EXPORTER = hex_("e14d06699cee248c5a04bf9227bbcd4ce394de7dcb56db43555474171e6446db")
OSCORE_SECRET = hex_("f9868f6a3aca78a05d1485b35030b162")
OSCORE_SALT = hex_("ada24c7dbfc85eeb")

# of PRK_EXPORTER, by HKDFExpand of `cryptography`
KEY_UP = hex_("e2f6e75dbdbd3a518c37c3d9bed63c64")
KEY_DOWN = hex_("15183ba8da78512ab57200985432c07f")
IV_UP, IV_DOWN = hex_("0e675899ee9f01064c278eb0"), hex_("1e5d3c50d7e4b6b157f72353")

CREDENTIAL_R = Credential("example.edu", hex_("32"), PUBLIC_R)
CREDENTIAL_I = Credential("42-50-31-FF-EF-37-32-39", hex_("2b"), PUBLIC_I)


class Scripted(SystemCrypto):
    """Its next ephemeral key is the one of the trace."""

    def __init__(self, private: bytes, public_x: bytes) -> None:
        super().__init__()
        self.pair = private, public_x + bytes(32)

    def ec_generate(self, curve: str) -> tuple[bytes, bytes]:
        return self.pair


def test_credentials() -> None:
    assert CREDENTIAL_R.ccs() == CRED_R
    assert CREDENTIAL_I.ccs() == CRED_I
    assert id_cred(hex_("32")) == hex_("a1044132")
    assert CRYPTO.ec_public("P-256", R) == PUBLIC_R
    assert CRYPTO.ec_public("P-256", I) == PUBLIC_I
    assert CRYPTO.ec_public("P-256", X)[:32] == G_X
    assert CRYPTO.ec_public("P-256", Y)[:32] == G_Y


def test_shared_secrets_of_x_coordinates() -> None:
    for private, x, secret in ((X, G_Y, G_XY), (Y, G_X, G_XY), (R, G_X, G_RX), (I, G_Y, G_IY)):
        assert CRYPTO.ecdh("P-256", private, CRYPTO.ec_point("P-256", x)) == secret


def test_every_key_of_the_schedule() -> None:
    schedule = Schedule(CRYPTO, MESSAGE_1, G_Y, G_XY)
    assert schedule.th_2 == TH_2
    assert schedule.prk_2e == PRK_2E
    assert schedule.crypt_2(bytes(11)) == KEYSTREAM_2
    assert expand(CRYPTO, PRK_2E, 1, TH_2, 32) == SALT_3E2M
    schedule.mix_2(G_RX)
    assert schedule.prk_3e2m == PRK_3E2M
    assert schedule.mac_2(C_R, id_cred(hex_("32")), CRED_R, b"") == MAC_2
    schedule.hash_3(PLAINTEXT_2, CRED_R)
    assert schedule.th_3 == TH_3
    assert expand(CRYPTO, PRK_3E2M, 3, TH_3, 16) == K_3
    assert expand(CRYPTO, PRK_3E2M, 4, TH_3, 13) == IV_3
    assert expand(CRYPTO, PRK_3E2M, 5, TH_3, 32) == SALT_4E3M
    schedule.mix_3(G_IY)
    assert schedule.prk_4e3m == PRK_4E3M
    assert schedule.mac_3(id_cred(hex_("2b")), CRED_I, b"") == MAC_3
    assert b"\x52" + schedule.seal_3(PLAINTEXT_3) == MESSAGE_3
    assert schedule.open_3(MESSAGE_3[1:]) == PLAINTEXT_3
    schedule.finish(PLAINTEXT_3, CRED_I)
    assert expand(CRYPTO, PRK_4E3M, 7, TH_4, 32) == PRK_OUT
    assert schedule.prk_exporter == PRK_EXPORTER
    assert schedule.export(0, 16) == OSCORE_SECRET
    assert schedule.export(1, 8) == OSCORE_SALT


def test_the_keys_of_a_session() -> None:
    """Which label is for what, and which side uses it: a HES of others has to find the same."""
    schedule = Schedule(CRYPTO, MESSAGE_1, G_Y, G_XY)
    schedule.prk_exporter = PRK_EXPORTER
    c_i, c_r = b"abcd", b"efgh"
    up, down = schedule.session(c_i, c_r, True), schedule.session(c_i, c_r, False)
    sealed = Sealer(CRYPTO, KEY_UP, IV_UP, c_r).seal("t", b"up")
    assert up.sealer.seal("t", b"up") == sealed and down.opener.open("t", sealed) == b"up"
    sealed = Sealer(CRYPTO, KEY_DOWN, IV_DOWN, c_i).seal("t", b"down")
    assert down.sealer.seal("t", b"down") == sealed and up.opener.open("t", sealed) == b"down"


def test_responder_of_the_trace() -> None:
    responder = Responder(Scripted(Y, G_Y), CREDENTIAL_R, R, C_R)
    assert responder.message_2(MESSAGE_1) == MESSAGE_2
    who, ead, session = responder.finished(MESSAGE_3, [CREDENTIAL_I])
    assert (who, ead) == (CREDENTIAL_I, [])
    assert (session.sealer.kid, session.opener.kid) == (C_I, C_R)


def test_initiator_of_the_trace() -> None:
    """The trace's message_1 has a second suite before ours, from an earlier error."""
    side = Initiator(Scripted(X, G_X), CREDENTIAL_I, I, C_I, (), False)
    assert side.message_1() == hex_("0302") + MESSAGE_1[4:]
    side._message_1 = MESSAGE_1
    subject, initiator_module.HES = initiator_module.HES, "example.edu"
    try:
        message_3, session = side.message_3(MESSAGE_2, [(hex_("32"), PUBLIC_R)])
    finally:
        initiator_module.HES = subject
    assert message_3 == MESSAGE_3
    assert (session.sealer.kid, session.opener.kid) == (C_R, C_I)


def test_hkdf_expand() -> None:
    """RFC 5869 A.1 and A.2: PRK, info, OKM."""
    for prk, info, okm in (
        (
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
            "f0f1f2f3f4f5f6f7f8f9",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
            bytes(range(0xB0, 0x100)).hex(),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
            "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
            "cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
    ):
        assert hkdf_expand(CRYPTO, hex_(prk), hex_(info), len(okm) // 2).hex() == okm
    assert hkdf_expand(CRYPTO, bytes(32), b"", 0) == b""
