"""Crypto by the package `cryptography`."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.hashes import SHA256

from hal.ports import CryptoError
from hal.rt.gcm_arguments import check_gcm_arguments


class SystemCrypto:
    """See hal.ports.Crypto."""

    def random(self, size: int) -> bytes:
        return os.urandom(size)

    def aes_gcm_encrypt(
        self, key: bytes, nonce: bytes, data: bytes | memoryview, aad: bytes, tag_size: int
    ) -> bytes:
        check_gcm_arguments(key, nonce, tag_size)
        encryptor = Cipher(AES(key), GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(aad)
        ciphertext = encryptor.update(data) + encryptor.finalize()
        return ciphertext + encryptor.tag[:tag_size]

    def aes_gcm_decrypt(
        self, key: bytes, nonce: bytes, data: bytes | memoryview, aad: bytes, tag_size: int
    ) -> bytes:
        check_gcm_arguments(key, nonce, tag_size)
        size = len(data) - tag_size
        if size < 0:
            raise CryptoError("AES-GCM: %d bytes are too few for a tag" % len(data))
        tag = bytes(data[size:])
        decryptor = Cipher(AES(key), GCM(nonce, tag, min_tag_length=tag_size)).decryptor()
        decryptor.authenticate_additional_data(aad)
        try:
            return decryptor.update(data[:size]) + decryptor.finalize()
        except InvalidTag:
            raise CryptoError("AES-GCM: the tag is wrong")

    def p256_verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        if len(public_key) != 64:
            raise CryptoError("P-256 public key: expected 64 bytes, got %d" % len(public_key))
        if len(signature) != 64:
            return False
        x = int.from_bytes(public_key[:32], "big")
        y = int.from_bytes(public_key[32:], "big")
        try:
            key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        except ValueError:
            raise CryptoError("P-256 public key: not a point of the curve")
        r = int.from_bytes(signature[:32], "big")
        s = int.from_bytes(signature[32:], "big")
        try:
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True
