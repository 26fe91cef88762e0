"""Crypto by the package `cryptography`."""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from hal.ports import CryptoError
from hal.rt.ccm_arguments import check_ccm_key, check_ccm_sizes
from hal.rt.ec_arguments import check_ec_key, ec_size
from hal.rt.ecb_arguments import check_ecb_sizes
from hal.rt.gcm_arguments import check_gcm_key, check_gcm_sizes

_CURVES: dict[str, tuple[ec.EllipticCurve, hashes.HashAlgorithm]] = {
    "P-256": (ec.SECP256R1(), hashes.SHA256()),
    "P-384": (ec.SECP384R1(), hashes.SHA384()),
}
_FULL_TAG = 16


class Gcm:
    """See hal.ports.AesGcm.

    AESGCM is the fastest way into OpenSSL from here (a Cipher object costs five times as much as
    the ciphering of 1 KiB itself), but knows tags of 16 bytes only. A shorter one is the first
    bytes of it, so decrypting is: cipher back (GCM's counter mode is its own inverse), cipher the
    plaintext found again, and compare what tag it gets.
    """

    __slots__ = ("_encrypt",)

    def __init__(self, key: bytes) -> None:
        check_gcm_key(key)
        self._encrypt = AESGCM(key).encrypt

    def encrypt(
        self,
        nonce: bytes,
        data: bytes | bytearray | memoryview,
        aad: bytes | memoryview,
        tag_size: int,
    ) -> bytes:
        if not len(nonce) == tag_size == 12:  # the sizes of DLMS need no closer look
            check_gcm_sizes(nonce, tag_size)
        sealed = self._encrypt(nonce, data, aad)
        return sealed if tag_size == _FULL_TAG else sealed[: tag_size - _FULL_TAG]

    def decrypt(
        self,
        nonce: bytes,
        data: bytes | bytearray | memoryview,
        aad: bytes | memoryview,
        tag_size: int,
    ) -> bytes:
        if not len(nonce) == tag_size == 12:
            check_gcm_sizes(nonce, tag_size)
        size = len(data) - tag_size
        if size < 0:
            raise CryptoError("AES-GCM: %d bytes are too few for a tag" % len(data))
        encrypt = self._encrypt
        plain = encrypt(nonce, data, None)[:size]  # what becomes of the tag is of no interest
        if hmac.compare_digest(encrypt(nonce, plain, aad)[size : size + tag_size], data[size:]):
            return plain
        raise CryptoError("AES-GCM: the tag is wrong")

    def crypt(self, nonce: bytes, data: bytes | bytearray | memoryview) -> bytes:
        check_gcm_sizes(nonce, _FULL_TAG)
        return self._encrypt(nonce, data, None)[:-_FULL_TAG]


class Ccm:
    """See hal.ports.AesCcm."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        check_ccm_key(key)
        self._key = key

    def encrypt(
        self,
        nonce: bytes,
        data: bytes | bytearray | memoryview,
        aad: bytes | memoryview,
        tag_size: int,
    ) -> bytes:
        check_ccm_sizes(nonce, len(data), tag_size)
        return AESCCM(self._key, tag_size).encrypt(nonce, data, aad)

    def decrypt(
        self,
        nonce: bytes,
        data: bytes | bytearray | memoryview,
        aad: bytes | memoryview,
        tag_size: int,
    ) -> bytes:
        size = len(data) - tag_size
        if size < 0:
            raise CryptoError("AES-CCM: %d bytes are too few for a tag" % len(data))
        check_ccm_sizes(nonce, size, tag_size)
        try:
            return AESCCM(self._key, tag_size).decrypt(nonce, data, aad)
        except InvalidTag:
            raise CryptoError("AES-CCM: the tag is wrong") from None


class SystemCrypto:
    """See hal.ports.Crypto."""

    def random(self, size: int) -> bytes:
        return os.urandom(size)

    def digest(self, name: str, data: bytes) -> bytes:
        return hashlib.new(name, data).digest()

    def hmac(self, name: str, key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, name)

    def aes_gcm(self, key: bytes) -> Gcm:
        return Gcm(key)

    def aes_ccm(self, key: bytes) -> Ccm:
        return Ccm(key)

    def aes_ecb(self, key: bytes, data: bytes) -> bytes:
        check_ecb_sizes(key, data)
        return Cipher(AES(key), ECB()).encryptor().update(data)

    def aes_wrap(self, kek: bytes, key: bytes) -> bytes:
        try:
            return keywrap.aes_key_wrap(kek, key)
        except ValueError as error:
            raise CryptoError("AES key wrap: %s" % error)

    def aes_unwrap(self, kek: bytes, wrapped: bytes) -> bytes:
        try:
            return keywrap.aes_key_unwrap(kek, wrapped)
        except (keywrap.InvalidUnwrap, ValueError):
            raise CryptoError("AES key wrap: the wrapped key is damaged, or wrapped by another key")

    def ec_generate(self, curve: str) -> tuple[bytes, bytes]:
        size = ec_size(curve)
        key = ec.generate_private_key(_CURVES[curve][0])
        return key.private_numbers().private_value.to_bytes(size, "big"), _public_bytes(key, size)

    def ec_public(self, curve: str, private_key: bytes) -> bytes:
        return _public_bytes(_private(curve, private_key), ec_size(curve))

    def ecdsa_sign(self, curve: str, private_key: bytes, message: bytes) -> bytes:
        size = ec_size(curve)
        key = _private(curve, private_key)
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(_CURVES[curve][1])))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    def ecdsa_verify(self, curve: str, public_key: bytes, message: bytes, signature: bytes) -> bool:
        key = _public(curve, public_key)
        size = ec_size(curve)
        if len(signature) != 2 * size:
            return False
        r = int.from_bytes(signature[:size], "big")
        s = int.from_bytes(signature[size:], "big")
        try:
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(_CURVES[curve][1]))
        except InvalidSignature:
            return False
        return True

    def ec_point(self, curve: str, x: bytes) -> bytes:
        check_ec_key(curve, "public", x + bytes(ec_size(curve)))
        try:
            key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[curve][0], b"\x02" + x)
        except ValueError:
            raise CryptoError("%s public key: no point of the curve has this x" % curve) from None
        return _point_bytes(key, len(x))

    def ecdh(self, curve: str, private_key: bytes, public_key: bytes) -> bytes:
        theirs = _public(curve, public_key)
        return _private(curve, private_key).exchange(ec.ECDH(), theirs)


def _private(curve: str, key: bytes) -> ec.EllipticCurvePrivateKey:
    check_ec_key(curve, "private", key)
    try:
        return ec.derive_private_key(int.from_bytes(key, "big"), _CURVES[curve][0])
    except ValueError:
        raise CryptoError("%s private key: not between 1 and the curve's order" % curve) from None


def _public(curve: str, key: bytes) -> ec.EllipticCurvePublicKey:
    check_ec_key(curve, "public", key)
    size = len(key) // 2
    x = int.from_bytes(key[:size], "big")
    y = int.from_bytes(key[size:], "big")
    try:
        return ec.EllipticCurvePublicNumbers(x, y, _CURVES[curve][0]).public_key()
    except ValueError:
        raise CryptoError("%s public key: not a point of the curve" % curve)


def _public_bytes(key: ec.EllipticCurvePrivateKey, size: int) -> bytes:
    return _point_bytes(key.public_key(), size)


def _point_bytes(key: ec.EllipticCurvePublicKey, size: int) -> bytes:
    numbers = key.public_numbers()
    return numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")
