"""The security suites (Green Book 9.2.3.7): which algorithms and key sizes go together."""

from __future__ import annotations

# what a derived key is for: the last number of the algorithm's identifier 2.16.756.5.8.3.x
AES_GCM_128 = 0
AES_GCM_256 = 1
AES_WRAP_128 = 2
AES_WRAP_256 = 3


class Suite:
    """`key_size` of all symmetric keys, in bytes; `curve` ("" where there is no public-key
    cryptography) and `digest` of signatures and key derivation; `ciphering` and `wrapping` the
    algorithms keys can be derived for."""

    __slots__ = ("ciphering", "curve", "digest", "key_size", "number", "wrapping")

    def __init__(
        self, number: int, key_size: int, curve: str, digest: str, ciphering: int, wrapping: int
    ) -> None:
        self.number = number
        self.key_size = key_size
        self.curve = curve
        self.digest = digest
        self.ciphering = ciphering
        self.wrapping = wrapping

    @property
    def private_size(self) -> int:
        """Bytes of a private key: 0 in suite 0."""
        return {"": 0, "P-256": 32, "P-384": 48}[self.curve]

    @property
    def public_size(self) -> int:
        """Bytes of a public key x||y, and of a signature r||s."""
        return 2 * self.private_size


SUITES = (
    Suite(0, 16, "", "", AES_GCM_128, AES_WRAP_128),
    Suite(1, 16, "P-256", "sha256", AES_GCM_128, AES_WRAP_128),
    Suite(2, 32, "P-384", "sha384", AES_GCM_256, AES_WRAP_256),
)
