"""Signing keys: P-256, the private half in a PEM file only its owner may read, the public half as
JSON for the gateway.

The key id is the first 8 bytes of SHA-256 over the public key x||y, so that one key has one id
everywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils


class KeyProblem(Exception):
    """A key file is not what it should be. Never holds key material."""


class SigningKey:
    """A private key in memory; `kid` 8 bytes, `public` x||y 64 bytes."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        numbers = private.public_key().public_numbers()
        self._private = private
        self.public = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
        self.kid = key_id(self.public)

    @classmethod
    def generate(cls) -> SigningKey:
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Raises KeyProblem for anything but an unencrypted P-256 private key in PEM, OSError for
        the file.
        """
        try:
            private = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise KeyProblem(
                "%s: expected a private key in PEM without a password, from `ami-package keygen`"
                % path
            ) from None
        if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(
            private.curve, ec.SECP256R1
        ):
            raise KeyProblem("%s: expected a P-256 key, got another kind" % path)
        return cls(private)

    def save(self, path: Path) -> Path:
        """Write PATH (mode 0600) and the public half next to it as .json, whose path is returned.
        Never overwrites.
        """
        public = path.with_suffix(".json")
        for target in (path, public):
            if target.exists():
                raise KeyProblem("%s already exists; choose another name or remove it" % target)
        pem = self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        public.write_text(self.public_json())
        return public

    def public_json(self) -> str:
        return json.dumps({"kid": self.kid.hex(), "key": self.public.hex()}) + "\n"

    @property
    def scalar(self) -> bytes:
        """The private half, 32 bytes: for a key that agrees on keys, and signs nothing."""
        return self._private.private_numbers().private_value.to_bytes(32, "big")

    def sign(self, message: bytes) -> bytes:
        """ES256 (RFC 9053 2.1): r||s, 64 bytes."""
        r, s = utils.decode_dss_signature(self._private.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def key_id(public: bytes) -> bytes:
    return hashlib.sha256(public).digest()[:8]


def load_trust(path: Path) -> list[tuple[bytes, bytes]]:
    """(kid, public key) of a public key file, or of a list of such objects. Raises KeyProblem,
    OSError.
    """
    try:
        content = json.loads(path.read_text())
        entries = content if isinstance(content, list) else [content]
        trust = [(bytes.fromhex(entry["kid"]), bytes.fromhex(entry["key"])) for entry in entries]
    except (ValueError, KeyError, TypeError):
        raise KeyProblem(
            '%s: expected {"kid": HEX, "key": HEX of 64 bytes} or a list of these' % path
        ) from None
    for kid, public in trust:
        if len(public) != 64:
            raise KeyProblem(
                "%s: expected a key of 64 bytes for kid %s, got %d" % (path, kid.hex(), len(public))
            )
    return trust
