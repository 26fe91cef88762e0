"""What a handshake makes keys of, the same on both sides: RFC 9528 4, method 3, suite 2 (SHA-256,
AES-CCM-16-64-128).

    TH_2 = H(G_Y, H(message_1))             PRK_2e   = Extract(TH_2, G_XY)
    TH_3 = H(TH_2, PLAINTEXT_2, CRED_R)     PRK_3e2m = Extract(SALT_3e2m, G_RX)
    TH_4 = H(TH_3, PLAINTEXT_3, CRED_I)     PRK_4e3m = Extract(SALT_4e3m, G_IY)

Credentials and ID_CRED stand here as they are encoded.
"""

from __future__ import annotations

from gateway.contract.sealed import IV_SIZE, KEY_SIZE, Opener, Sealer, Session
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Crypto

CURVE = "P-256"
X_SIZE = 32  # octets of the ephemeral keys G_X and G_Y: x coordinates
MAC_SIZE = 8

KEY_UP, KEY_DOWN, IV_UP, IV_DOWN = 32768, 32769, 32770, 32771  # labels for private use (10.1)

_HASH_SIZE = 32
_TAG_SIZE = 8
_NONCE_SIZE = 13
_KEYSTREAM_2, _SALT_3E2M, _MAC_2, _K_3, _IV_3, _SALT_4E3M, _MAC_3, _PRK_OUT = 0, 1, 2, 3, 4, 5, 6, 7
_PRK_EXPORTER = 10


class Schedule:
    """The steps in their order; what each needs is there after the one before."""

    def __init__(self, crypto: Crypto, message_1: bytes, g_y: bytes, g_xy: bytes) -> None:
        self._crypto = crypto
        hashed = crypto.digest("sha256", message_1)
        self.th_2 = crypto.digest("sha256", cbor.encode(g_y) + cbor.encode(hashed))
        self.prk_2e = crypto.hmac("sha256", self.th_2, g_xy)
        self.prk_3e2m = b""
        self.th_3 = b""
        self.prk_4e3m = b""
        self.prk_exporter = b""

    def crypt_2(self, text: bytes) -> bytes:
        """PLAINTEXT_2 of CIPHERTEXT_2, and the other way; proves nothing (5.3.2)."""
        stream = expand(self._crypto, self.prk_2e, _KEYSTREAM_2, self.th_2, len(text))
        return bytes([text[i] ^ stream[i] for i in range(len(text))])

    def mix_2(self, g_rx: bytes) -> None:
        salt = expand(self._crypto, self.prk_2e, _SALT_3E2M, self.th_2, _HASH_SIZE)
        self.prk_3e2m = self._crypto.hmac("sha256", salt, g_rx)

    def mac_2(self, c_r: bytes, id_cred_r: bytes, cred_r: bytes, ead_2: bytes) -> bytes:
        """`c_r` as in the message."""
        context = c_r + id_cred_r + cbor.encode(self.th_2) + cred_r + ead_2
        return expand(self._crypto, self.prk_3e2m, _MAC_2, context, MAC_SIZE)

    def hash_3(self, plaintext_2: bytes, cred_r: bytes) -> None:
        data = cbor.encode(self.th_2) + plaintext_2 + cred_r
        self.th_3 = self._crypto.digest("sha256", data)

    def seal_3(self, plaintext_3: bytes) -> bytes:
        key, nonce, external = self._sealing_3()
        return self._crypto.aes_ccm(key).encrypt(nonce, plaintext_3, external, _TAG_SIZE)

    def open_3(self, ciphertext_3: bytes) -> bytes:
        """CryptoError if it is not of the other side of this handshake."""
        key, nonce, external = self._sealing_3()
        return self._crypto.aes_ccm(key).decrypt(nonce, ciphertext_3, external, _TAG_SIZE)

    def _sealing_3(self) -> tuple[bytes, bytes, bytes]:
        """K_3, IV_3, and Enc_structure (RFC 9052 5.3) with TH_3 as external data."""
        key = expand(self._crypto, self.prk_3e2m, _K_3, self.th_3, KEY_SIZE)
        nonce = expand(self._crypto, self.prk_3e2m, _IV_3, self.th_3, _NONCE_SIZE)
        return key, nonce, cbor.encode(["Encrypt0", b"", self.th_3])

    def mix_3(self, g_iy: bytes) -> None:
        salt = expand(self._crypto, self.prk_3e2m, _SALT_4E3M, self.th_3, _HASH_SIZE)
        self.prk_4e3m = self._crypto.hmac("sha256", salt, g_iy)

    def mac_3(self, id_cred_i: bytes, cred_i: bytes, ead_3: bytes) -> bytes:
        context = id_cred_i + cbor.encode(self.th_3) + cred_i + ead_3
        return expand(self._crypto, self.prk_4e3m, _MAC_3, context, MAC_SIZE)

    def finish(self, plaintext_3: bytes, cred_i: bytes) -> None:
        data = cbor.encode(self.th_3) + plaintext_3 + cred_i
        th_4 = self._crypto.digest("sha256", data)
        prk_out = expand(self._crypto, self.prk_4e3m, _PRK_OUT, th_4, _HASH_SIZE)
        self.prk_exporter = expand(self._crypto, prk_out, _PRK_EXPORTER, b"", _HASH_SIZE)

    def export(self, label: int, size: int) -> bytes:
        """EDHOC_Exporter (4.2.1), of an empty context."""
        return expand(self._crypto, self.prk_exporter, label, b"", size)

    def session(self, c_i: bytes, c_r: bytes, initiator: bool) -> Session:
        """Of the one side or the other: the initiator sends up."""
        up = self.export(KEY_UP, KEY_SIZE), self.export(IV_UP, IV_SIZE)
        down = self.export(KEY_DOWN, KEY_SIZE), self.export(IV_DOWN, IV_SIZE)
        if initiator:
            return Session(
                Sealer(self._crypto, up[0], up[1], c_r), Opener(self._crypto, down[0], down[1], c_i)
            )
        return Session(
            Sealer(self._crypto, down[0], down[1], c_i), Opener(self._crypto, up[0], up[1], c_r)
        )


def expand(crypto: Crypto, prk: bytes, label: int, context: bytes, size: int) -> bytes:
    """EDHOC_KDF (4.1.2): HKDF-Expand (RFC 5869 2.3) of what the octets are for."""
    info = cbor.encode(label) + cbor.encode(context) + cbor.encode(size)
    return hkdf_expand(crypto, prk, info, size)


def hkdf_expand(crypto: Crypto, prk: bytes, info: bytes, size: int) -> bytes:
    """RFC 5869 2.3 with SHA-256; at most 255 hashes long."""
    out = block = b""
    while len(out) < size:
        block = crypto.hmac("sha256", prk, block + info + bytes([len(out) // _HASH_SIZE + 1]))
        out += block
    return out[:size]


def same(a: bytes, b: bytes) -> bool:
    """Compare without stopping at the first difference."""
    return len(a) == len(b) and int.from_bytes(a, "big") ^ int.from_bytes(b, "big") == 0
