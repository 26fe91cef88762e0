"""Crypto from cryptolib's AES, hashlib, and the pieces that MicroPython lacks: of these, the
curves, AES-CCM, HMAC and SHA-384 are imported on use.
"""

from __future__ import annotations

import hashlib
import os

from cryptolib import aes

from hal.micropython import keywrap
from hal.micropython.gcm import Gcm
from hal.ports import CryptoError, PortError
from hal.rt.ec_arguments import check_ec_key, ec_size
from hal.rt.ecb_arguments import check_ecb_sizes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.micropython.ccm import Ccm
    from hal.micropython.ec import Curve


_MODE_ECB = 1


class SystemCrypto:
    """See hal.ports.Crypto."""

    def random(self, size: int) -> bytes:
        return os.urandom(size)

    def digest(self, name: str, data: bytes) -> bytes:
        if name == "sha384":
            return _sha384(data)
        found = getattr(hashlib, name, None)  # a board's firmware may leave some out
        if found is None:
            raise PortError("the digest %s is not in this board's MicroPython" % name)
        digest: bytes = found(data).digest()
        return digest

    def hmac(self, name: str, key: bytes, data: bytes) -> bytes:
        from hal.micropython.hmac import hmac

        return hmac(
            lambda data: self.digest(name, data), 128 if name == "sha384" else 64, key, data
        )

    def aes_gcm(self, key: bytes) -> Gcm:
        return Gcm(key)

    def aes_ccm(self, key: bytes) -> Ccm:
        from hal.micropython.ccm import Ccm

        return Ccm(key)

    def aes_ecb(self, key: bytes, data: bytes) -> bytes:
        check_ecb_sizes(key, data)
        found: bytes = aes(key, _MODE_ECB).encrypt(data)
        return found

    def aes_wrap(self, kek: bytes, key: bytes) -> bytes:
        return keywrap.wrap(kek, key)

    def aes_unwrap(self, kek: bytes, wrapped: bytes) -> bytes:
        return keywrap.unwrap(kek, wrapped)

    def ec_generate(self, curve: str) -> tuple[bytes, bytes]:
        size = ec_size(curve)
        n = _curve(curve).n
        while True:
            # both orders begin with ones: hardly ever more than one round
            private_key = os.urandom(size)
            if 0 < int.from_bytes(private_key, "big") < n:
                return private_key, self.ec_public(curve, private_key)

    def ec_public(self, curve: str, private_key: bytes) -> bytes:
        secret = _secret(curve, private_key)
        return _joined(_curve(curve).public(secret), len(private_key))

    def ecdsa_sign(self, curve: str, private_key: bytes, message: bytes) -> bytes:
        secret = _secret(curve, private_key)
        found = _curve(curve).sign(secret, _HASHES[curve](message), _HASHES[curve])
        return _joined(found, len(private_key))

    def ecdsa_verify(self, curve: str, public_key: bytes, message: bytes, signature: bytes) -> bool:
        x, y = _point(curve, public_key)
        if len(signature) != len(public_key):
            return False
        size = len(signature) // 2
        digest = int.from_bytes(_HASHES[curve](message), "big")
        r = int.from_bytes(signature[:size], "big")
        s = int.from_bytes(signature[size:], "big")
        return _curve(curve).verify(x, y, digest, r, s)

    def ec_point(self, curve: str, x: bytes) -> bytes:
        size = ec_size(curve)
        check_ec_key(curve, "public", x + bytes(size))
        y = _curve(curve).y_of(int.from_bytes(x, "big"))
        if y is None:
            raise CryptoError("%s public key: no point of the curve has this x" % curve)
        return x + y.to_bytes(size, "big")

    def ecdh(self, curve: str, private_key: bytes, public_key: bytes) -> bytes:
        x, y = _point(curve, public_key)
        secret = _secret(curve, private_key)
        return _curve(curve).multiple(secret, x, y)[0].to_bytes(len(private_key), "big")


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _sha384(data: bytes) -> bytes:
    from hal.micropython.sha384 import sha384

    return sha384(data)


_HASHES = {"P-256": _sha256, "P-384": _sha384}


def _curve(name: str) -> Curve:
    ec_size(name)  # refuses a curve there is not
    from hal.micropython.ec import P256, P384

    return P256 if name == "P-256" else P384


def _secret(curve: str, key: bytes) -> int:
    check_ec_key(curve, "private", key)
    secret = int.from_bytes(key, "big")
    if not 0 < secret < _curve(curve).n:
        raise CryptoError("%s private key: not between 1 and the curve's order" % curve)
    return secret


def _point(curve: str, key: bytes) -> tuple[int, int]:
    check_ec_key(curve, "public", key)
    size = len(key) // 2
    x = int.from_bytes(key[:size], "big")
    y = int.from_bytes(key[size:], "big")
    if not _curve(curve).is_on_curve(x, y):
        raise CryptoError("%s public key: not a point of the curve" % curve)
    return x, y


def _joined(numbers: tuple[int, int], size: int) -> bytes:
    return numbers[0].to_bytes(size, "big") + numbers[1].to_bytes(size, "big")
