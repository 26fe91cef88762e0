"""The security suites (Green Book 9.2.3.7): which algorithms and key sizes go together, and how
keys are derived from an agreement."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Crypto

# what a derived key is for: the last number of the algorithm's identifier 2.16.756.5.8.3.x
AES_GCM_128 = 0
AES_GCM_256 = 1
AES_WRAP_128 = 2
AES_WRAP_256 = 3

_ALGORITHM = b"\x60\x85\x74\x05\x08\x03"


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


def derived_key(
    crypto: Crypto, suite: Suite, shared: bytes, algorithm: int, party_u: bytes, party_v: bytes
) -> bytes:
    """The key that both sides of an agreement derive from their shared secret Z (NIST SP 800-56A
    5.8.1 with the OtherInfo of Green Book 9.2.3.4.6.5): `party_u` is the originator's system title,
    in the static scheme followed by the transaction-id with its length; `party_v` the
    recipient's."""
    other = _ALGORITHM + bytes((algorithm,)) + party_u + party_v
    # one round is enough: the digest is at least as long as the key
    return crypto.digest(suite.digest, b"\x00\x00\x00\x01" + shared + other)[: suite.key_size]
