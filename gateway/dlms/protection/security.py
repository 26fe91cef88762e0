"""Protection of APDUs (Green Book 9.2.7): suites 0 to 2, every form the standard has.

    form                 on the wire                                 under
    "glo", "ded"         tag of the service, ciphered service        global or dedicated key
    "general-glo", -ded  0xDB or 0xDC, system title, ciphered service    the same
    "general-ciphering"  envelope.py, ciphered service               a global key identified, a new
                                                                     key wrapped, a key agreed
    "plain"              the APDU itself: with `signed`, or where only authentication needs keys

A ciphered service is security control, invocation counter (4), ciphertext, tag (12). With `signed`
all this is the content of a general-signing APDU.

The same class serves client and meter: each sends under its own system title and checks what came
under the other's. The tag of everything received is checked, then that it is new: by its counter,
or, where every APDU has a key of its own and where it is only signed, by its transaction-id.
general-ciphering and general-signing are in enveloping.py, which is imported when they are used.
"""

from __future__ import annotations

from struct import pack, unpack_from

from gateway.dlms.data.axdr import bytes_at, length_size, put_length, put_octets
from gateway.dlms.errors import ProtocolError, Replayed, SecurityFailed
from gateway.dlms.protection.keyring import TITLE_SIZE, same
from gateway.dlms.protection.policy import (
    AUTHENTICATED,
    AUTHENTICATED_ENCRYPTED,
    BROADCAST,
    COMPRESSED,
    DED,
    ENCRYPTED,
    GENERAL_CIPHERING,
    GENERAL_DED,
    GENERAL_GLO,
    GLO,
    PLAIN,
    Protection,
)
from gateway.dlms.protection.tags import (
    ALWAYS_GLOBAL,
    DED_OF,
    GENERAL_CIPHERING_TAG,
    GENERAL_DED_TAG,
    GENERAL_GLO_TAG,
    GENERAL_SIGNING_TAG,
    GLO_OF,
    PLAIN_OF,
    PLAIN_OF_DED,
)
from hal.ports import CryptoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.dlms.data.axdr import Bytes
    from gateway.dlms.protection.enveloping import Enveloping
    from gateway.dlms.protection.keyring import Keys
    from hal.ports import AesGcm, Crypto

TAG_SIZE = 12
COUNTER_LIMIT = 0xFFFFFFFF

_HEAD = ">BI"  # security control, invocation counter
_LONG_HEAD = ">BBHBI"  # the same after tag and a length of two bytes
# a form's for as long as there is no dedicated key
_WHILE_PENDING = {DED: GLO, GENERAL_DED: GENERAL_GLO}


class Channel:
    """One key's cipher, and the highest counter received under it (-1: none)."""

    __slots__ = ("gcm", "received")

    def __init__(self, gcm: AesGcm, received: int = -1) -> None:
        self.gcm = gcm
        self.received = received

    def take(self, counter: int) -> None:
        """Of what is proven otherwise: was this there before? If not, it is from now on."""
        if counter <= self.received:
            raise Replayed(
                "invocation counter %d came again (%d was the last)" % (counter, self.received)
            )
        self.received = counter


class Ciphering:
    """One association's protection, on either side.

    `next_counter()` gives an invocation counter never given before for this key. `peer_title` may
    be set later, when the AARQ or AARE has told it. `received` is the highest counter accepted so
    far from the peer under the global key (-1: none); read it back to remember it. `responder` is
    True on the meter's side: it answers in the client's transactions. While `pending`, between
    AARE and the end of HLS, the global key stands in for the dedicated one: there are meters that
    know that one only from then on, while every meter takes the global key.
    """

    __slots__ = (
        "_aad",
        "_crypto",
        "_dedicated",
        "_enveloping",
        "_next_counter",
        "_responder",
        "_title",
        "_usual",
        "control",
        "keys",
        "peer_title",
        "pending",
        "protection",
        "unicast",
    )

    def __init__(
        self,
        crypto: Crypto,
        keys: Keys,
        next_counter: Callable[[], int],
        peer_title: bytes = b"",
        received: int = -1,
        protection: Protection | None = None,
        responder: bool = False,
    ) -> None:
        self._crypto = crypto
        self._next_counter = next_counter
        self.peer_title = peer_title
        self.protection = protection or Protection()
        self.protection.check(keys)
        self.control = self.protection.policy | keys.suite.number
        self._usual = (
            self.protection.form == GLO
            and self.protection.policy == AUTHENTICATED_ENCRYPTED
            and not self.protection.signed
        )
        self._responder = responder
        self.pending = False
        self._enveloping: Enveloping | None = None
        self._dedicated: Channel | None = None
        self.use(keys, received)

    @property
    def received(self) -> int:
        return self.unicast.received

    def use(self, keys: Keys, received: int = -1) -> None:
        """From now on these keys, of the same suite; their counters received begin anew."""
        self.keys = keys
        self._title = keys.system_title
        # authentication alone needs no cipher; a key that is never used costs nothing
        self.unicast = Channel(
            self._crypto.aes_gcm(keys.ek or bytes(keys.suite.key_size)), received
        )
        self._aad = bytes((self.control,)) + keys.ak

    def dedicate(self, key: bytes) -> None:
        """The dedicated key of this association, of the suite's size."""
        if len(key) != self.keys.suite.key_size:
            raise ProtocolError(
                "a dedicated key of %d bytes came, %d are due"
                % (len(key), self.keys.suite.key_size)
            )
        self._dedicated = Channel(self._crypto.aes_gcm(key))

    # ------------------------------------------------------------ sending

    def protect(self, plain: bytes) -> bytes:
        """The protected form of a plain APDU. InitiateRequest and -Response are always ciphered by
        service, under the global key, and not signed: until then there is no agreement."""
        glo = GLO_OF.get(plain[0])
        if self._usual and glo is not None:
            # Nearly everything goes this way, so it is written out.
            counter = self._next_counter()
            if not 0 <= counter <= COUNTER_LIMIT:
                raise _used_up()
            size = 5 + len(plain) + TAG_SIZE
            if 0x100 <= size <= 0xFFFF:
                head = pack(_LONG_HEAD, glo, 0x82, size, self.control, counter)
            else:
                short = bytearray((glo,))
                put_length(short, size)
                head = bytes(short) + pack(_HEAD, self.control, counter)
            nonce = self._title + head[-4:]
            return head + self.unicast.gcm.encrypt(nonce, plain, self._aad, TAG_SIZE)
        return self._protected(plain)

    def _protected(self, plain: bytes) -> bytes:
        protection = self.protection
        if plain[0] in ALWAYS_GLOBAL:
            if protection.form == PLAIN:
                return plain
            return self._by_service(plain, GLO_OF.get(plain[0]), GENERAL_GLO_TAG, self.unicast)
        if protection.enveloped:
            return self._envelopes().protect(plain)
        return plain if protection.form == PLAIN else self.ciphered(plain)

    def ciphered(self, plain: bytes) -> bytes:
        """By service or in general-glo or -ded, as the form has it."""
        form = self.protection.form
        if self.pending:
            form = _WHILE_PENDING.get(form, form)
        if form == GLO:
            return self._by_service(plain, GLO_OF.get(plain[0]), GENERAL_GLO_TAG, self.unicast)
        if form == DED:
            return self._by_service(plain, DED_OF.get(plain[0]), GENERAL_DED_TAG, self._due())
        if form == GENERAL_GLO:
            return self._by_service(plain, None, GENERAL_GLO_TAG, self.unicast)
        return self._by_service(plain, None, GENERAL_DED_TAG, self._due())

    def _by_service(self, plain: bytes, tag: int | None, general: int, channel: Channel) -> bytes:
        """Ciphered under the service's own tag; where there is none, general-glo or -ded."""
        counter = self.counter()
        body = self.sealed(channel.gcm, counter, plain)
        out = bytearray((general if tag is None else tag,))
        if tag is None:
            put_octets(out, self._title)
        put_length(out, 5 + len(body))
        return bytes(out) + pack(_HEAD, self.control, counter) + body

    def sealed(self, gcm: AesGcm, counter: int, plain: bytes, parties: bytes = b"") -> bytes:
        """Ciphertext and tag, as far as the policy has them; `parties` is authenticated too."""
        aad = self._aad + parties
        nonce = self._title + counter.to_bytes(4, "big")
        if not self.control & AUTHENTICATED:
            return gcm.crypt(nonce, plain)
        if not self.control & ENCRYPTED:
            return plain + gcm.encrypt(nonce, b"", aad + plain, TAG_SIZE)
        return gcm.encrypt(nonce, plain, aad, TAG_SIZE)

    # ------------------------------------------------------------ receiving

    def unprotect(self, protected: Bytes) -> bytes:
        """The plain APDU. SecurityFailed when it is not authentic (or less protected than due),
        Replayed when it is but not new, ProtocolError when it is no protected APDU."""
        if len(protected) == 0:
            raise ProtocolError("an empty APDU")
        tag = protected[0]
        if self._usual and len(protected) > 0x100:
            # Long answers under glo are where time goes, so accepting one is written out. What is
            # not right in any way goes the long way below, which says why and refuses it.
            _, long, size, control, counter = unpack_from(_LONG_HEAD, protected)
            if long == 0x82 and size == len(protected) - 4 and control == self.control:
                channel = self.unicast
                nonce = self.peer_title + protected[5:9]
                try:
                    plain = channel.gcm.decrypt(nonce, protected[9:], self._aad, TAG_SIZE)
                    if plain[0] == PLAIN_OF.get(tag) and counter > channel.received:
                        channel.received = counter
                        return plain
                except CryptoError:
                    pass
        if tag == GENERAL_SIGNING_TAG:
            if not self.keys.peer_signing:
                raise SecurityFailed("a signed APDU came, but there is no key to verify it with")
            return self._envelopes().unsigned(protected)
        if tag == GENERAL_CIPHERING_TAG:
            self.check_enveloped()
            return self._envelopes().deciphered(protected)
        plain, channel, counter = self.deciphered(protected)
        self.check_signed(plain)
        channel.take(counter)
        return plain

    def deciphered(self, protected: Bytes) -> tuple[bytes, Channel, int]:
        """(plain APDU, channel to count in, counter) of what is ciphered by service or in
        general-glo or -ded: all proven, and nothing taken as used yet."""
        if self.protection.form == PLAIN:
            raise SecurityFailed("a ciphered APDU came where none is agreed")
        tag = protected[0]
        expected = PLAIN_OF.get(tag)
        channel = self.unicast
        if expected is not None:
            content, pos = bytes_at(protected, 1)
        elif tag in (GENERAL_GLO_TAG, GENERAL_DED_TAG):
            title, pos = bytes_at(protected, 1)
            if title and title != self.peer_title:
                raise SecurityFailed("an APDU of another system title than the association's")
            content, pos = bytes_at(protected, pos)
            if tag == GENERAL_DED_TAG:
                channel = self._due()
        elif tag in PLAIN_OF_DED:
            expected = PLAIN_OF_DED[tag]
            content, pos = bytes_at(protected, 1)
            channel = self._due()
        else:
            raise ProtocolError("not a protected APDU that is known here")
        if pos != len(protected):
            raise ProtocolError("%d bytes left over after the APDU" % (len(protected) - pos))
        plain, counter = self.opened(channel.gcm, content)
        # The tag does not cover the label: an APDU with a false one must not use up the counter.
        if expected is not None and plain[0] != expected:
            raise SecurityFailed("inside the ciphered APDU 0x%02x is 0x%02x" % (tag, plain[0]))
        due = (DED, GENERAL_DED) if channel is self._dedicated else (GLO, GENERAL_GLO)
        early = self.pending and self.protection.dedicated
        if self.protection.form not in due and plain[0] not in ALWAYS_GLOBAL and not early:
            raise SecurityFailed(
                "APDU 0x%02x where protection %s is due" % (tag, self.protection.form)
            )
        return plain, channel, counter

    def opened(self, gcm: AesGcm, content: bytes, parties: bytes = b"") -> tuple[bytes, int]:
        """(plain, counter) of a ciphered service whose tag fits, over `parties` too."""
        if len(content) < 6:
            raise ProtocolError("a ciphered APDU of %d bytes cannot hold anything" % len(content))
        control = content[0]
        aad = self._aad
        if control != self.control:
            self._check_control(control)
            aad = bytes((control,)) + self.keys.ak
        self.check_title()
        nonce = self.peer_title + content[1:5]
        counter = int.from_bytes(content[1:5], "big")
        if not control & AUTHENTICATED:
            return gcm.crypt(nonce, content[5:]), counter
        if len(content) < 6 + TAG_SIZE:
            raise ProtocolError("a ciphered APDU of %d bytes cannot hold a tag" % len(content))
        try:
            if control & ENCRYPTED:
                return gcm.decrypt(nonce, content[5:], aad + parties, TAG_SIZE), counter
            plain = content[5:-TAG_SIZE]
            gcm.decrypt(nonce, content[-TAG_SIZE:], aad + parties + plain, TAG_SIZE)
        except CryptoError:
            raise SecurityFailed("the tag of a ciphered APDU does not match; check the keys")
        return plain, counter

    # ------------------------------------------------------------ HLS 5

    def proof(self, challenge: bytes) -> bytes:
        """f(StoC) of the client, f(CtoS) of the meter: control, counter, GMAC (17 bytes)."""
        control = AUTHENTICATED | self.keys.suite.number
        counter = self.counter()
        nonce = self._title + counter.to_bytes(4, "big")
        return pack(_HEAD, control, counter) + self._gmac(nonce, control, challenge)

    def check_proof(self, challenge: bytes, proof: bytes) -> None:
        """SecurityFailed unless `proof` is the peer's for `challenge`. Its counter is not held
        against `received`: the challenge is fresh, and the APDU around it took a later counter."""
        self.check_title()
        control = AUTHENTICATED | self.keys.suite.number
        if len(proof) != 5 + TAG_SIZE or proof[0] != control:
            raise SecurityFailed(
                "the peer's HLS proof is not 17 bytes with security control 0x%02x" % control
            )
        expected = self._gmac(self.peer_title + proof[1:5], control, challenge)
        if not same(expected, proof[5:]):
            raise SecurityFailed("the peer's HLS proof does not match; check the keys")

    def _gmac(self, nonce: bytes, control: int, challenge: bytes) -> bytes:
        if not self.keys.ek:
            raise SecurityFailed("HLS by GMAC needs ek and ak")
        aad = bytes((control,)) + self.keys.ak + challenge
        return self.unicast.gcm.encrypt(nonce, b"", aad, TAG_SIZE)

    # ------------------------------------------------------------ sizes

    def overhead(self, size: int) -> int:
        """Bytes that protect() adds to a plain APDU of `size` bytes (of a service that has tags of
        its own)."""
        form, ciphered = self.protection.form, 0
        if form != PLAIN:
            ciphered = 5 + (TAG_SIZE if self.control & AUTHENTICATED else 0)
            ciphered += length_size(size + ciphered) + 1
            if form in (GENERAL_GLO, GENERAL_DED):
                ciphered += 1 + TITLE_SIZE
        if self.protection.enveloped:
            return self._envelopes().overhead(size, ciphered)
        return ciphered

    # ------------------------------------------------------------ small parts

    def _envelopes(self) -> Enveloping:
        if self._enveloping is None:
            from gateway.dlms.protection.enveloping import Enveloping

            self._enveloping = Enveloping(self, self._crypto, self._responder)
        return self._enveloping

    def check_enveloped(self) -> None:
        """A general-ciphering APDU has come: SecurityFailed where none may."""
        if self.protection.form == PLAIN:
            raise SecurityFailed("a ciphered APDU came where none is agreed")
        if self.protection.form != GENERAL_CIPHERING:
            raise SecurityFailed("general-ciphering where %s is due" % self.protection.form)

    def check_signed(self, plain: bytes) -> None:
        """`plain` has come without a signature: SecurityFailed where one is due."""
        if self.protection.signed and plain[0] not in ALWAYS_GLOBAL:
            raise SecurityFailed("an APDU without the signature that is due")

    def _check_control(self, control: int) -> None:
        """A security control other than what we send: more protection is welcome, nothing else."""
        if control & COMPRESSED:
            raise SecurityFailed(
                "security control 0x%02x: compression is not supported here; switch it off in"
                " the meter" % control
            )
        policy = self.protection.policy
        if control & (BROADCAST | 0x0F) != self.keys.suite.number or control & policy != policy:
            raise SecurityFailed(
                "security control 0x%02x where 0x%02x (suite %d, %s, unicast key) is due; align the"
                " security policy of meter and head-end"
                % (control, self.control, self.keys.suite.number, _POLICY_NAMES[policy])
            )

    def _due(self) -> Channel:
        if self._dedicated is None:
            raise SecurityFailed("there is no dedicated key in this association")
        return self._dedicated

    def counter(self) -> int:
        counter = self._next_counter()
        if not 0 <= counter <= COUNTER_LIMIT:
            raise _used_up()
        return counter

    def check_title(self) -> None:
        if len(self.peer_title) != TITLE_SIZE:
            raise SecurityFailed(
                "the peer told a system title of %d bytes; 8 are due" % len(self.peer_title)
            )


_POLICY_NAMES = {
    AUTHENTICATED: "authenticated",
    ENCRYPTED: "encrypted",
    AUTHENTICATED_ENCRYPTED: "authenticated and encrypted",
}


def _used_up() -> SecurityFailed:
    return SecurityFailed("the invocation counter is used up; the meter needs new keys")
