"""Security suite 0 (Green Book 9.2): global authenticated encryption (glo), and HLS 5 (GMAC).

A ciphered APDU is glo-tag, length, security control, invocation counter (4), ciphertext, tag (12).
The same class serves client and meter: each sends under its own system title and checks what came
under the other's. The tag of everything received is checked, then its counter must be new.
"""

from __future__ import annotations

from gateway.dlms import acse, apdu
from gateway.dlms.axdr import bytes_at, put_length
from gateway.dlms.errors import ProtocolError, Replayed, SecurityFailed
from hal.ports import CryptoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.dlms.axdr import Bytes
    from hal.ports import Crypto

# security control byte: suite 0, unicast key
AUTHENTICATED = 0x10
AUTHENTICATED_ENCRYPTED = 0x30

TAG_SIZE = 12
COUNTER_LIMIT = 0xFFFFFFFF

# plain tag: glo tag (Green Book 9.5, COSEMpdu)
GLO_OF = {
    acse.INITIATE_REQUEST: 0x21,
    acse.INITIATE_RESPONSE: 0x28,
    apdu.GET_REQUEST: 0xC8,
    apdu.SET_REQUEST: 0xC9,
    apdu.ACTION_REQUEST: 0xCB,
    apdu.GET_RESPONSE: 0xCC,
    apdu.SET_RESPONSE: 0xCD,
    apdu.ACTION_RESPONSE: 0xCF,
}
PLAIN_OF = {glo: plain for plain, glo in GLO_OF.items()}


class Keys:
    """One side's own system title (8 bytes), and the keys both share: global unicast encryption key
    `ek` and authentication key `ak`, 16 bytes each. Its repr shows none of them."""

    __slots__ = ("ak", "ek", "system_title")

    def __init__(self, system_title: bytes, ek: bytes, ak: bytes) -> None:
        if len(system_title) != 8 or len(ek) != 16 or len(ak) != 16:
            raise ValueError("a system title of 8 bytes and two keys of 16 bytes expected")
        self.system_title = system_title
        self.ek = ek
        self.ak = ak

    def __repr__(self) -> str:
        return "Keys(...)"


class Ciphering:
    """One association's protection, on either side.

    `next_counter()` gives an invocation counter never given before for this key. `peer_title` may
    be set later, when the AARQ or AARE has told it. `received` is the highest counter accepted so
    far from the peer under this key (-1: none); read it back to remember it.
    """

    __slots__ = ("_crypto", "_keys", "_next_counter", "peer_title", "received")

    def __init__(
        self,
        crypto: Crypto,
        keys: Keys,
        next_counter: Callable[[], int],
        peer_title: bytes = b"",
        received: int = -1,
    ) -> None:
        self._crypto = crypto
        self._keys = keys
        self._next_counter = next_counter
        self.peer_title = peer_title
        self.received = received

    def protect(self, plain: bytes) -> bytes:
        """The glo-ciphered form of a plain APDU."""
        counter = self._counter()
        body = self._crypto.aes_gcm_encrypt(
            self._keys.ek,
            self._keys.system_title + counter,
            plain,
            bytes((AUTHENTICATED_ENCRYPTED,)) + self._keys.ak,
            TAG_SIZE,
        )
        out = bytearray((GLO_OF[plain[0]],))
        put_length(out, 5 + len(body))
        out.append(AUTHENTICATED_ENCRYPTED)
        out.extend(counter)
        out.extend(body)
        return bytes(out)

    def unprotect(self, ciphered: Bytes) -> bytes:
        """The plain APDU. SecurityFailed when it is not authentic (or less protected than due),
        Replayed when it is but its counter is not new, ProtocolError when it is not a glo APDU."""
        if len(ciphered) == 0 or ciphered[0] not in PLAIN_OF:
            raise ProtocolError("not a ciphered APDU that is known here")
        content, pos = bytes_at(ciphered, 1)
        if pos != len(ciphered):
            raise ProtocolError("%d bytes left over after the APDU" % (len(ciphered) - pos))
        if len(content) < 5 + TAG_SIZE + 1:
            raise ProtocolError("a ciphered APDU of %d bytes cannot hold a tag" % len(content))
        if content[0] != AUTHENTICATED_ENCRYPTED:
            raise SecurityFailed(
                "security control 0x%02x where 0x30 (suite 0, authenticated and encrypted, unicast "
                "key) is due; align the security policy of meter and head-end" % content[0]
            )
        self._check_title()
        try:
            plain = self._crypto.aes_gcm_decrypt(
                self._keys.ek,
                self.peer_title + content[1:5],
                content[5:],
                bytes((AUTHENTICATED_ENCRYPTED,)) + self._keys.ak,
                TAG_SIZE,
            )
        except CryptoError:
            raise SecurityFailed("the tag of a ciphered APDU does not match; check the keys")
        # The tag does not cover the envelope: one with a false label must not use up the counter.
        if plain[0] != PLAIN_OF[ciphered[0]]:
            raise SecurityFailed(
                "inside the ciphered APDU 0x%02x is 0x%02x" % (ciphered[0], plain[0])
            )
        counter = int.from_bytes(content[1:5], "big")
        if counter <= self.received:
            raise Replayed(
                "invocation counter %d came again (%d was the last)" % (counter, self.received)
            )
        self.received = counter
        return plain

    def proof(self, challenge: bytes) -> bytes:
        """f(StoC) of the client, f(CtoS) of the meter: control, counter, GMAC (17 bytes)."""
        counter = self._counter()
        control = bytes((AUTHENTICATED,))
        return control + counter + self._gmac(self._keys.system_title, counter, challenge)

    def check_proof(self, challenge: bytes, proof: bytes) -> None:
        """SecurityFailed unless `proof` is the peer's for `challenge`. Its counter is not held
        against `received`: the challenge is fresh, and the APDU around it took a later counter."""
        self._check_title()
        if len(proof) != 5 + TAG_SIZE or proof[0] != AUTHENTICATED:
            raise SecurityFailed("the peer's HLS proof is not 17 bytes with security control 0x10")
        expected = self._gmac(self.peer_title, proof[1:5], challenge)
        different = 0
        for ours, theirs in zip(expected, proof[5:]):  # noqa: B905 (lengths are equal)
            different |= ours ^ theirs
        if different:
            raise SecurityFailed("the peer's HLS proof does not match; check the keys")

    def overhead(self, size: int) -> int:
        """Bytes that protect() adds to a plain APDU of `size` bytes."""
        content = 5 + size + TAG_SIZE
        return 1 + (1 if content < 0x80 else 2 if content < 0x100 else 3) + content - size

    def _counter(self) -> bytes:
        counter = self._next_counter()
        if not 0 <= counter <= COUNTER_LIMIT:
            raise SecurityFailed("the invocation counter is used up; the meter needs new keys")
        return counter.to_bytes(4, "big")

    def _gmac(self, title: bytes, counter: bytes, challenge: bytes) -> bytes:
        aad = bytes((AUTHENTICATED,)) + self._keys.ak + challenge
        return self._crypto.aes_gcm_encrypt(self._keys.ek, title + counter, b"", aad, TAG_SIZE)

    def _check_title(self) -> None:
        if len(self.peer_title) != 8:
            raise SecurityFailed(
                "the peer told a system title of %d bytes; 8 are due" % len(self.peer_title)
            )
