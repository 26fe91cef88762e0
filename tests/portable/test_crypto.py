"""What hal.ports.Crypto promises, with published vectors."""

from __future__ import annotations

from hal.ports import CryptoError
from tests.contract.here import SystemCrypto
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
        sealed = CRYPTO.aes_gcm_encrypt(hex_(key), hex_(nonce), hex_(plain), hex_(aad), 16)
        assert sealed.hex() == cipher + tag
        opened = CRYPTO.aes_gcm_decrypt(hex_(key), hex_(nonce), sealed, hex_(aad), 16)
        assert opened == hex_(plain)
        for size in (4, 12, 15):
            short = CRYPTO.aes_gcm_encrypt(hex_(key), hex_(nonce), hex_(plain), hex_(aad), size)
            assert short == sealed[: len(sealed) - 16 + size]
            view = memoryview(short)
            opened = CRYPTO.aes_gcm_decrypt(hex_(key), hex_(nonce), view, hex_(aad), size)
            assert opened == hex_(plain)


def test_gcm_of_the_green_book() -> None:
    """DLMS UA 1000-2: GET request ciphered, then authenticated only; HLS5's f(StoC) and f(CtoS)."""
    key = hex_("000102030405060708090a0b0c0d0e0f")
    authentication = hex_("d0d1d2d3d4d5d6d7d8d9dadbdcdddedf")
    nonce = hex_("4d4d4d0000bc614e01234567")
    request = hex_("c0010000080000010000ff0200")
    sealed = CRYPTO.aes_gcm_encrypt(key, nonce, request, b"\x30" + authentication, 12)
    assert sealed.hex() == "411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b"
    tag = CRYPTO.aes_gcm_encrypt(key, nonce, b"", b"\x10" + authentication + request, 12)
    assert tag.hex() == "06725d910f9221d263877516"
    nonce = hex_("4d4d4d000000000100000001")
    challenge = hex_("503677524a323146")
    tag = CRYPTO.aes_gcm_encrypt(key, nonce, b"", b"\x10" + authentication + challenge, 12)
    assert tag.hex() == "1a52fe7dd3e72748973c1e28"


def test_gcm_every_length() -> None:
    key = random_bytes(1, 16)
    nonce = random_bytes(2, 12)
    for size in list(range(34)) + [1023, 1024, 1025, 2500]:
        data = random_bytes(size, size)
        aad = random_bytes(size + 1, size % 37)
        sealed = CRYPTO.aes_gcm_encrypt(key, nonce, data, aad, 12)
        assert len(sealed) == size + 12
        assert CRYPTO.aes_gcm_decrypt(key, nonce, sealed, aad, 12) == data


def test_gcm_refuses_every_change() -> None:
    key = random_bytes(1, 16)
    nonce = random_bytes(2, 12)
    aad = b"\x30" + random_bytes(3, 16)
    sealed = CRYPTO.aes_gcm_encrypt(key, nonce, b"sixteen and more", aad, 12)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1 << position % 8
        error = raises(CryptoError, CRYPTO.aes_gcm_decrypt, key, nonce, bytes(changed), aad, 12)
        assert key.hex() not in str(error) and "sixteen" not in str(error)
    for size in range(len(sealed)):
        raises(CryptoError, CRYPTO.aes_gcm_decrypt, key, nonce, sealed[:size], aad, 12)
    raises(CryptoError, CRYPTO.aes_gcm_decrypt, key, nonce, sealed, aad + b"\x00", 12)
    raises(CryptoError, CRYPTO.aes_gcm_decrypt, key, bytes(12), sealed, aad, 12)
    raises(CryptoError, CRYPTO.aes_gcm_decrypt, bytes(16), nonce, sealed, aad, 12)
    assert CRYPTO.aes_gcm_decrypt(key, nonce, sealed, aad, 12) == b"sixteen and more"


def test_gcm_refuses_wrong_sizes() -> None:
    for key, nonce, tag in ((15, 12, 12), (24, 12, 12), (0, 12, 12), (16, 11, 12), (16, 16, 12)):
        raises(CryptoError, CRYPTO.aes_gcm_encrypt, bytes(key), bytes(nonce), b"", b"", tag)
        raises(CryptoError, CRYPTO.aes_gcm_decrypt, bytes(key), bytes(nonce), bytes(32), b"", tag)
    for tag in (0, 3, 17, -1):
        raises(CryptoError, CRYPTO.aes_gcm_encrypt, bytes(16), bytes(12), b"", b"", tag)
        raises(CryptoError, CRYPTO.aes_gcm_decrypt, bytes(16), bytes(12), bytes(32), b"", tag)


# RFC 6979 A.2.5, SHA-256
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


def test_p256_vectors() -> None:
    assert CRYPTO.p256_verify(PUBLIC, b"sample", SAMPLE)
    assert CRYPTO.p256_verify(PUBLIC, b"test", TEST)
    assert not CRYPTO.p256_verify(PUBLIC, b"test", SAMPLE)
    assert not CRYPTO.p256_verify(PUBLIC, b"", SAMPLE)


def test_p256_refuses_every_change() -> None:
    for position in range(0, 64, 3):
        changed = bytearray(SAMPLE)
        changed[position] ^= 1 << position % 8
        assert not CRYPTO.p256_verify(PUBLIC, b"sample", bytes(changed))
    for bad in (b"", SAMPLE[:63], SAMPLE + b"\x00", bytes(64)):
        assert not CRYPTO.p256_verify(PUBLIC, b"sample", bad)
    r = SAMPLE[:32]
    s = SAMPLE[32:]
    order = ORDER.to_bytes(32, "big")
    for bad in (bytes(32) + s, r + bytes(32), order + s, r + order, b"\xff" * 32 + s):
        assert not CRYPTO.p256_verify(PUBLIC, b"sample", bad)
    # (r, N - s) is the same signature's twin: ECDSA itself accepts it.
    twin = (ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")
    assert CRYPTO.p256_verify(PUBLIC, b"sample", r + twin)


def test_p256_refuses_what_is_no_key() -> None:
    for bad in (b"", PUBLIC[:63], PUBLIC + b"\x00", bytes(64), b"\xff" * 64, PUBLIC[:63] + b"\x98"):
        raises(CryptoError, CRYPTO.p256_verify, bad, b"sample", SAMPLE)


def test_random() -> None:
    assert CRYPTO.random(0) == b""
    seen = [CRYPTO.random(16) for _ in range(10)]
    for i in range(10):
        assert len(seen[i]) == 16 and seen.index(seen[i]) == i
