"""What hal.ports.Crypto promises, with published vectors."""

from __future__ import annotations

from hal.ports import CryptoError, PortError
from tests.contract.here import MICROPYTHON, SystemCrypto
from tests.portable.support import raises, random_bytes

hex_ = bytes.fromhex
CRYPTO = SystemCrypto()

# McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 1 to 4 and 13 to 16 (those of
# SP 800-38D's validation): key, nonce, plaintext, AAD, ciphertext, tag.
P = (
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
K = "feffe9928665731c6d6a8f9467308308"
A = "feedfacedeadbeeffeedfacedeadbeefabaddad2"
NONCE = "cafebabefacedbaddecaf888"
C128 = (
    "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
    "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
)
C256 = (
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
)
GCM = [
    ("00" * 16, "00" * 12, "", "", "", "58e2fccefa7e3061367f1d57a4e7455a"),
    (
        "00" * 16,
        "00" * 12,
        "00" * 16,
        "",
        "0388dace60b6a392f328c2b971b2fe78",
        "ab6e47d42cec13bdf53a67b21257bddf",
    ),
    (
        K,
        NONCE,
        P + "1aafd255",
        "",
        C128 + "473f5985",
        "4d5c2af327cd64a62cf35abd2ba6fab4",
    ),
    (K, NONCE, P, A, C128, "5bc94fbc3221a5db94fae95ae7121a47"),
    ("00" * 32, "00" * 12, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
    (
        "00" * 32,
        "00" * 12,
        "00" * 16,
        "",
        "cea7403d4d606b6e074ec5d3baf39d18",
        "d0d1c8a799996bf0265b98b5d48ab919",
    ),
    (K * 2, NONCE, P + "1aafd255", "", C256 + "898015ad", "b094dac5d93471bdec1a502270e3cc6c"),
    (K * 2, NONCE, P, A, C256, "76fc6ece0f4e1768cddf8853bb2d551b"),
]


def test_gcm_vectors() -> None:
    for key, nonce, plain, aad, cipher, tag in GCM:
        gcm = CRYPTO.aes_gcm(hex_(key))
        sealed = gcm.encrypt(hex_(nonce), hex_(plain), hex_(aad), 16)
        assert sealed.hex() == cipher + tag
        opened = gcm.decrypt(hex_(nonce), sealed, hex_(aad), 16)
        assert opened == hex_(plain)
        for size in (4, 12, 15):
            short = gcm.encrypt(hex_(nonce), hex_(plain), hex_(aad), size)
            assert short == sealed[: len(sealed) - 16 + size]
            view = memoryview(short)
            opened = gcm.decrypt(hex_(nonce), view, hex_(aad), size)
            assert opened == hex_(plain)
        assert gcm.crypt(hex_(nonce), hex_(plain)) == hex_(cipher)
        assert gcm.crypt(hex_(nonce), memoryview(hex_(cipher))) == hex_(plain)


def test_gcm_of_the_green_book() -> None:
    """DLMS UA 1000-2: GET request ciphered, then authenticated only; HLS5's f(StoC) and f(CtoS)."""
    key = hex_("000102030405060708090a0b0c0d0e0f")
    authentication = hex_("d0d1d2d3d4d5d6d7d8d9dadbdcdddedf")
    nonce = hex_("4d4d4d0000bc614e01234567")
    request = hex_("c0010000080000010000ff0200")
    sealed = CRYPTO.aes_gcm(key).encrypt(nonce, request, b"\x30" + authentication, 12)
    assert sealed.hex() == "411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b"
    tag = CRYPTO.aes_gcm(key).encrypt(nonce, b"", b"\x10" + authentication + request, 12)
    assert tag.hex() == "06725d910f9221d263877516"
    nonce = hex_("4d4d4d000000000100000001")
    challenge = hex_("503677524a323146")
    tag = CRYPTO.aes_gcm(key).encrypt(nonce, b"", b"\x10" + authentication + challenge, 12)
    assert tag.hex() == "1a52fe7dd3e72748973c1e28"


def test_gcm_every_length() -> None:
    key = random_bytes(1, 16)
    nonce = random_bytes(2, 12)
    for size in list(range(34)) + [1023, 1024, 1025, 2500]:
        data = random_bytes(size, size)
        aad = random_bytes(size + 1, size % 37)
        sealed = CRYPTO.aes_gcm(key).encrypt(nonce, data, aad, 12)
        assert len(sealed) == size + 12
        assert CRYPTO.aes_gcm(key).decrypt(nonce, sealed, aad, 12) == data


def test_gcm_refuses_every_change() -> None:
    key = random_bytes(1, 16)
    nonce = random_bytes(2, 12)
    aad = b"\x30" + random_bytes(3, 16)
    sealed = CRYPTO.aes_gcm(key).encrypt(nonce, b"sixteen and more", aad, 12)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1 << position % 8
        error = raises(CryptoError, CRYPTO.aes_gcm(key).decrypt, nonce, bytes(changed), aad, 12)
        assert key.hex() not in str(error) and "sixteen" not in str(error)
    for size in range(len(sealed)):
        raises(CryptoError, CRYPTO.aes_gcm(key).decrypt, nonce, sealed[:size], aad, 12)
    raises(CryptoError, CRYPTO.aes_gcm(key).decrypt, nonce, sealed, aad + b"\x00", 12)
    raises(CryptoError, CRYPTO.aes_gcm(key).decrypt, bytes(12), sealed, aad, 12)
    raises(CryptoError, CRYPTO.aes_gcm(bytes(16)).decrypt, nonce, sealed, aad, 12)
    assert CRYPTO.aes_gcm(key).decrypt(nonce, sealed, aad, 12) == b"sixteen and more"


def test_gcm_refuses_wrong_sizes() -> None:
    for size in (0, 15, 17, 24, 31, 33):
        raises(CryptoError, CRYPTO.aes_gcm, bytes(size))
    gcm = CRYPTO.aes_gcm(bytes(16))
    for nonce, tag in ((0, 12), (11, 12), (13, 12), (16, 12), (12, 0), (12, 3), (12, 17), (12, -1)):
        raises(CryptoError, gcm.encrypt, bytes(nonce), b"", b"", tag)
        raises(CryptoError, gcm.decrypt, bytes(nonce), bytes(32), b"", tag)
    for nonce in (0, 11, 13):
        raises(CryptoError, gcm.crypt, bytes(nonce), b"data")


# RFC 3610 8 (packet vectors 1, 2 and 7) and SP 800-38C C.1 to C.4: key, nonce, AAD, plaintext, tag
# size, ciphertext and tag
RFC_KEY = "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
NIST_KEY = "404142434445464748494a4b4c4d4e4f"
COUNTED = bytes(range(256)).hex()
CCM = [
    (
        RFC_KEY,
        "00000003020100a0a1a2a3a4a5",
        COUNTED[:16],
        COUNTED[16:62],
        8,
        "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0",
    ),
    (
        RFC_KEY,
        "00000004030201a0a1a2a3a4a5",
        COUNTED[:16],
        COUNTED[16:64],
        8,
        "72c91a36e135f8cf291ca894085c87e3cc15c439c9e43a3ba091d56e10400916",
    ),
    (NIST_KEY, COUNTED[32:46], COUNTED[:16], COUNTED[64:72], 4, "7162015b4dac255d"),
    (
        NIST_KEY,
        COUNTED[32:48],
        COUNTED[:32],
        COUNTED[64:96],
        6,
        "d2a1f0e051ea5f62081a7792073d593d1fc64fbfaccd",
    ),
    (
        NIST_KEY,
        COUNTED[32:56],
        COUNTED[:40],
        COUNTED[64:112],
        8,
        "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951",
    ),
    (
        NIST_KEY,
        COUNTED[32:58],
        COUNTED * 256,
        COUNTED[64:128],
        14,
        "69915dad1e84c6376a68c2967e4dab615ae0fd1faec44cc484828529463ccf72"
        "b4ac6bec93e8598e7f0dadbcea5b",
    ),
]


def test_ccm_vectors() -> None:
    for key, nonce, aad, plain, size, cipher in CCM:
        ccm = CRYPTO.aes_ccm(hex_(key))
        assert ccm.encrypt(hex_(nonce), hex_(plain), hex_(aad), size).hex() == cipher
        sealed = memoryview(hex_(cipher))
        assert ccm.decrypt(hex_(nonce), sealed, memoryview(hex_(aad)), size) == hex_(plain)


def test_ccm_every_length() -> None:
    """Around blocks, and around the pieces that MicroPython takes."""
    nonce = random_bytes(2, 13)
    for key in (random_bytes(1, 16), random_bytes(1, 32)):
        ccm = CRYPTO.aes_ccm(key)
        for size in list(range(34)) + [1008, 1009, 1021, 1022, 1023, 1024, 1025, 2500]:
            data = random_bytes(size, size)
            for aad in (b"", random_bytes(size + 1, size)):
                sealed = ccm.encrypt(nonce, data, aad, 8)
                assert len(sealed) == size + 8
                assert ccm.decrypt(nonce, sealed, aad, 8) == data
    zeros = CRYPTO.aes_ccm(bytes(16)).encrypt(bytes(13), bytes(2500), bytes(1025), 16)
    digest = "0c3a0ec517c20f286d8bf1ab84181d77320e2e8b762811111f9ec0f33332d255"
    assert CRYPTO.digest("sha256", zeros).hex() == digest  # of `cryptography`


def test_ccm_refuses_every_change() -> None:
    key = random_bytes(1, 16)
    nonce = random_bytes(2, 13)
    ccm = CRYPTO.aes_ccm(key)
    sealed = ccm.encrypt(nonce, b"sixteen and more", b"aad", 8)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1 << position % 8
        error = raises(CryptoError, ccm.decrypt, nonce, bytes(changed), b"aad", 8)
        assert key.hex() not in str(error) and "sixteen" not in str(error)
    for size in range(len(sealed)):
        raises(CryptoError, ccm.decrypt, nonce, sealed[:size], b"aad", 8)
    raises(CryptoError, ccm.decrypt, nonce, sealed, b"aad\x00", 8)
    raises(CryptoError, ccm.decrypt, nonce, sealed, b"", 8)
    raises(CryptoError, ccm.decrypt, bytes(13), sealed, b"aad", 8)
    raises(CryptoError, CRYPTO.aes_ccm(bytes(16)).decrypt, nonce, sealed, b"aad", 8)


def test_ccm_refuses_wrong_sizes() -> None:
    for size in (0, 15, 17, 24, 31, 33):
        raises(CryptoError, CRYPTO.aes_ccm, bytes(size))
    ccm = CRYPTO.aes_ccm(bytes(16))
    for nonce, tag in ((0, 8), (6, 8), (14, 8), (13, 0), (13, 2), (13, 5), (13, 18), (13, -2)):
        raises(CryptoError, ccm.encrypt, bytes(nonce), b"", b"", tag)
        raises(CryptoError, ccm.decrypt, bytes(nonce), bytes(32), b"", tag)
    raises(CryptoError, ccm.encrypt, bytes(13), bytes(0x10000), b"", 8)
    raises(CryptoError, ccm.decrypt, bytes(13), bytes(0x10008), b"", 8)


# RFC 4231 4.2 to 4.4, 4.7 and 4.8: key, data, HMAC-SHA-256, HMAC-SHA-384
HMAC = [
    (
        "0b" * 20,
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
        "faea9ea9076ede7f4af152e8b2fa9cb6",
    ),
    (
        b"Jefe".hex(),
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
        "8e2240ca5e69e2c78b3239ecfab21649",
    ),
    (
        "aa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b"
        "2a5ab39dc13814b94e3ab6e101a34f27",
    ),
    (
        "aa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"
        "0c2ef6ab4030fe8296248df163f44952",
    ),
    (
        "aa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data."
        b" The key needs to be hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5"
        "a678cc31e799176d3860e6110c46523e",
    ),
]


def test_hmac_vectors() -> None:
    for key, data, short, long in HMAC:
        assert CRYPTO.hmac("sha256", hex_(key), data).hex() == short
        assert CRYPTO.hmac("sha384", hex_(key), data).hex() == long


def test_digests() -> None:
    """FIPS 180-4 and RFC 1321: "abc", nothing, and lengths around a block's end."""
    known = {
        "md5": ("900150983cd24fb0d6963f7d28e17f72", "d41d8cd98f00b204e9800998ecf8427e"),
        "sha1": (
            "a9993e364706816aba3e25717850c26c9cd0d89d",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        ),
        "sha256": (
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        "sha384": (
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
            "8086072ba1e7cc2358baeca134c825a7",
            "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da"
            "274edebfe76f65fbd51ad2f14898b95b",
        ),
    }
    for name, (abc, nothing) in known.items():
        assert CRYPTO.digest(name, b"abc").hex() == abc
        assert CRYPTO.digest(name, b"").hex() == nothing
    two_blocks = (
        b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
        b"hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"
    )
    assert CRYPTO.digest("sha384", two_blocks).hex() == (
        "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712"
        "fcc7c71a557e2db966c3e9fa91746039"
    )


# RFC 3394 4.1, 4.3, 4.5, 4.6: key-encryption key, key, wrapped
WRAPPED = [
    (
        "000102030405060708090a0b0c0d0e0f",
        "00112233445566778899aabbccddeeff",
        "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5",
    ),
    (
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "00112233445566778899aabbccddeeff",
        "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7",
    ),
    (
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "00112233445566778899aabbccddeeff0001020304050607",
        "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1",
    ),
    (
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
        "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
    ),
]


def test_blocks_of_aes() -> None:
    """FIPS 197, appendices C.1 and C.3."""
    text = hex_("00112233445566778899aabbccddeeff")
    for size, ciphered in (
        (16, "69c4e0d86a7b0430d8cdb78070b4c55a"),
        (32, "8ea2b7ca516745bfeafc49904b496089"),
    ):
        key = bytes(range(size))
        assert CRYPTO.aes_ecb(key, text).hex() == ciphered
        assert CRYPTO.aes_ecb(key, text + text).hex() == ciphered + ciphered
        for wrong in (b"", text[:-1], text + b"\0"):
            raises(CryptoError, CRYPTO.aes_ecb, key, wrong)
        raises(CryptoError, CRYPTO.aes_ecb, key[:-1], text)


def test_key_wrap_vectors() -> None:
    for kek, key, wrapped in WRAPPED:
        assert CRYPTO.aes_wrap(hex_(kek), hex_(key)).hex() == wrapped
        assert CRYPTO.aes_unwrap(hex_(kek), hex_(wrapped)).hex() == key


def test_key_wrap_refuses_every_change() -> None:
    kek, _, wrapped = WRAPPED[0]
    for position in range(len(wrapped) // 2):
        changed = bytearray(hex_(wrapped))
        changed[position] ^= 1 << position % 8
        error = raises(CryptoError, CRYPTO.aes_unwrap, hex_(kek), bytes(changed))
        assert kek not in str(error)
    for size in (0, 8, 16, 23):
        raises(CryptoError, CRYPTO.aes_unwrap, hex_(kek), hex_(wrapped)[:size])
    raises(CryptoError, CRYPTO.aes_unwrap, bytes(16), hex_(wrapped))
    for size in (0, 8, 15, 17):
        raises(CryptoError, CRYPTO.aes_wrap, hex_(kek), bytes(size))
    for size in (0, 15, 17):
        raises(CryptoError, CRYPTO.aes_wrap, bytes(size), bytes(16))
        raises(CryptoError, CRYPTO.aes_unwrap, bytes(size), hex_(wrapped))


# RFC 6979 A.2.5 (SHA-256) and A.2.6 (SHA-384)
PUBLIC = hex_(
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
SAMPLE = hex_(
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
)
TEST = hex_(
    "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
    "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"
)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


PRIVATE = hex_("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
PRIVATE_384 = hex_(
    "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d8"
    "96d5724e4c70a825f872c9ea60d2edf5"
)
PUBLIC_384 = hex_(
    "ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64"
    "def8f0ea9055866064a254515480bc138015d9b72d7d57244ea8ef9ac0c62189"
    "6708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720"
)
SAMPLE_384 = hex_(
    "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c"
    "81a648152e44acf96e36dd1e80fabe4699ef4aeb15f178cea1fe40db2603138f"
    "130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8"
)
TEST_384 = hex_(
    "8203b63d3c853e8d77227fb377bcf7b7b772e97892a80f36ab775d509d7a5feb"
    "0542a7f0812998da8f1dd3ca3cf023dbddd0760448d42d8a43af45af836fce4d"
    "e8be06b485e9b61b827c2f13173923e06a739f040649a667bf3b828246baa5a5"
)
CURVES = [
    ("P-256", PRIVATE, PUBLIC, SAMPLE, TEST),
    ("P-384", PRIVATE_384, PUBLIC_384, SAMPLE_384, TEST_384),
]


def test_ecdsa_vectors() -> None:
    for curve, private, public, sample, test in CURVES:
        assert CRYPTO.ec_public(curve, private) == public
        assert CRYPTO.ecdsa_verify(curve, public, b"sample", sample)
        assert CRYPTO.ecdsa_verify(curve, public, b"test", test)
        assert not CRYPTO.ecdsa_verify(curve, public, b"test", sample)
        assert not CRYPTO.ecdsa_verify(curve, public, b"", sample)
        if MICROPYTHON:  # where signatures are those of RFC 6979
            assert CRYPTO.ecdsa_sign(curve, private, b"sample") == sample
            assert CRYPTO.ecdsa_sign(curve, private, b"test") == test


def test_ecdsa_of_suite_b_and_the_green_book() -> None:
    """NSA's Suite B Implementer's Guide to FIPS 186-3 D.2; Green Book 8 table C.1 (key_id and
    ephemeral public key of a key agreement)."""
    assert CRYPTO.ecdsa_verify(
        "P-384",
        hex_(
            "1fbac8eebd0cbf35640b39efe0808dd774debff20a2a329e91713baf7d7f3c3e"
            "81546d883730bee7e48678f857b02ca0eb213103bd68ce343365a8a4c3d4555f"
            "a385f5330203bdd76ffad1f3affb95751c132007e1b240353cb0a4cf1693bdf9"
        ),
        b"This is only a test message. It is 48 bytes long",
        hex_(
            "a0c27ec893092dea1e1bd2ccfed3cf945c8134ed0c9f81311a0f4a05942db8db"
            "ed8dd59f267471d5462aa14fe72de85620ab3f45b74f10b6e11f96a2c8eb694d"
            "206b9dda86d3c7e331c26b22c987b7537726577667adadf168ebbe803794a402"
        ),
    )
    private = hex_("418073c239fa6125011de4d6cd2e645780289f761bb21bfb0835cb5585e8b373")
    public = hex_(
        "baaffde06a8cb1c9dae8d94023c601dbbb249254ba22edd827e820bca2bcc643"
        "62fbb83d86a82b87bb8b7161d2aab5521911a946b97a284a90f7785cd9047d25"
    )
    message = hex_(
        "00"
        "2914d60e10ab705f62ed6cc349d7cb99b9ab3f3978e59278c7af595b3af98794"
        "1372dab6d5af1fa867e134167e6f23de664a6693e05f43414611058d1b48f894"
    )
    signature = hex_(
        "06f0607702aa0e2435a183e2f6b1ecd19629712e389a213610c03f77b2590860"
        "ea840af5c3fa1f2bcdf055d4744e9a01ce9a0e55026bcaa4eebeb764ced64bb3"
    )
    assert CRYPTO.ec_public("P-256", private) == public
    assert CRYPTO.ecdsa_verify("P-256", public, message, signature)
    assert not CRYPTO.ecdsa_verify("P-256", public, message[1:], signature)


def test_what_is_signed_here_verifies_and_nothing_else_does() -> None:
    for curve in ("P-256", "P-384"):
        private, public = CRYPTO.ec_generate(curve)
        assert (private, public) != CRYPTO.ec_generate(curve)
        assert CRYPTO.ec_public(curve, private) == public
        for size in (0, 1, 200):
            signature = CRYPTO.ecdsa_sign(curve, private, bytes(size))
            assert CRYPTO.ecdsa_verify(curve, public, bytes(size), signature)
            assert not CRYPTO.ecdsa_verify(curve, public, bytes(size + 1), signature)


# NIST CAVS 14.1, ECC CDH Primitive (SP 800-56A 5.7.1.2), COUNT = 0: dIUT, QIUT, QCAVS, ZIUT
CDH = [
    (
        "P-256",
        "7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534",
        "ead218590119e8876b29146ff89ca61770c4edbbf97d38ce385ed281d8a6b230"
        "28af61281fd35e2fa7002523acc85a429cb06ee6648325389f59edfce1405141",
        "700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287"
        "db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac",
        "46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b",
    ),
    (
        "P-384",
        "3cc3122a68f0d95027ad38c067916ba0eb8c38894d22e1b15618b6818a661774"
        "ad463b205da88cf699ab4d43c9cf98a1",
        "9803807f2f6d2fd966cdd0290bd410c0190352fbec7ff6247de1302df86f25d3"
        "4fe4a97bef60cff548355c015dbb3e5fba26ca69ec2f5b5d9dad20cc9da71138"
        "3a9dbe34ea3fa5a2af75b46502629ad54dd8b7d73a8abb06a3a3be47d650cc99",
        "a7c76b970c3b5fe8b05d2838ae04ab47697b9eaf52e764592efda27fe7513272"
        "734466b400091adbf2d68c58e0c50066ac68f19f2e1cb879aed43a9969b91a08"
        "39c4c38a49749b661efedf243451915ed0905a32b060992b468c64766fc8437a",
        "5f9d29dc5e31a163060356213669c8ce132e22f57c9a04f40ba7fcead493b457"
        "e5621e766c40a2e3d4d6a04b25e533f1",
    ),
]


def test_ecdh_vectors() -> None:
    for curve, private, public, theirs, shared in CDH:
        assert CRYPTO.ec_public(curve, hex_(private)).hex() == public
        assert CRYPTO.ecdh(curve, hex_(private), hex_(theirs)).hex() == shared
        # a point off the curve would give the private key away piece by piece
        off = bytearray(hex_(theirs))
        off[-1] ^= 1
        raises(CryptoError, CRYPTO.ecdh, curve, hex_(private), bytes(off))
        raises(CryptoError, CRYPTO.ecdh, curve, hex_(private), bytes(len(off)))


def test_secrets_with_few_bits() -> None:
    """The smallest, the largest, and those with long runs of zeros: k times m times the generator
    is m times k times it, and the order less k gives the same x."""
    secrets = [1, 2, 15, 16, 17, 0x1001, 1 << 64, 1 << 252, ORDER - 1, ORDER - 16]
    keys = [secret.to_bytes(32, "big") for secret in secrets]
    points = [CRYPTO.ec_public("P-256", key) for key in keys]
    assert points[0][:32] == points[8][:32] and points[0] != points[8]
    assert points[3][:32] == points[9][:32]
    for i in range(len(keys)):
        for j in range(i):
            one = CRYPTO.ecdh("P-256", keys[i], points[j])
            assert one == CRYPTO.ecdh("P-256", keys[j], points[i])
    assert CRYPTO.ecdh("P-256", keys[1], points[0]) == points[1][:32]


def test_points_by_their_x() -> None:
    for curve, private, public, theirs, shared in CDH:
        size = len(theirs) // 4
        for point in (hex_(public), hex_(theirs)):
            found = CRYPTO.ec_point(curve, point[:size])
            assert len(found) == 2 * size and found[:size] == point[:size]
        assert CRYPTO.ecdh(curve, hex_(private), found).hex() == shared
        # no x with a point; one that is not below p; wrong sizes
        for x in (bytes(size - 1) + b"\x01", b"\xff" * size, b"", bytes(size + 1)):
            raises(CryptoError, CRYPTO.ec_point, curve, x)


def test_private_keys_out_of_range_are_refused() -> None:
    for curve, _, _, theirs, _ in CDH:
        size = len(theirs) // 4
        for bad in (b"", bytes(size), b"\xff" * size, b"\x01" * (size - 1), b"\x01" * (size + 1)):
            raises(CryptoError, CRYPTO.ecdsa_sign, curve, bad, b"")
            raises(CryptoError, CRYPTO.ecdh, curve, bad, hex_(theirs))
            raises(CryptoError, CRYPTO.ec_public, curve, bad)
    raises(PortError, CRYPTO.ec_generate, "P-521")
    raises(PortError, CRYPTO.ecdsa_sign, "secp256k1", bytes(32), b"")


def test_p256_refuses_every_change() -> None:
    for position in range(0, 64, 3):
        changed = bytearray(SAMPLE)
        changed[position] ^= 1 << position % 8
        assert not CRYPTO.ecdsa_verify("P-256", PUBLIC, b"sample", bytes(changed))
    for bad in (b"", SAMPLE[:63], SAMPLE + b"\x00", bytes(64)):
        assert not CRYPTO.ecdsa_verify("P-256", PUBLIC, b"sample", bad)
    r = SAMPLE[:32]
    s = SAMPLE[32:]
    order = ORDER.to_bytes(32, "big")
    for bad in (bytes(32) + s, r + bytes(32), order + s, r + order, b"\xff" * 32 + s):
        assert not CRYPTO.ecdsa_verify("P-256", PUBLIC, b"sample", bad)
    # (r, N - s) is the same signature's twin: ECDSA itself accepts it.
    twin = (ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")
    assert CRYPTO.ecdsa_verify("P-256", PUBLIC, b"sample", r + twin)


def test_p256_refuses_what_is_no_key() -> None:
    for bad in (b"", PUBLIC[:63], PUBLIC + b"\x00", bytes(64), b"\xff" * 64, PUBLIC[:63] + b"\x98"):
        raises(CryptoError, CRYPTO.ecdsa_verify, "P-256", bad, b"sample", SAMPLE)


def test_random() -> None:
    assert CRYPTO.random(0) == b""
    seen = [CRYPTO.random(16) for _ in range(10)]
    for i in range(10):
        assert len(seen[i]) == 16 and seen.index(seen[i]) == i
