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
"""

from __future__ import annotations

from struct import pack, unpack_from

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.data.axdr import bytes_at, put_length
from gateway.dlms.errors import ProtocolError, Replayed, SecurityFailed
from gateway.dlms.protection import envelope
from gateway.dlms.protection.envelope import KeyInfo, Parties
from gateway.dlms.protection.keyring import TITLE_SIZE, Keys, is_signed, same, sign
from gateway.dlms.protection.policy import (
    AUTHENTICATED,
    AUTHENTICATED_ENCRYPTED,
    BROADCAST,
    COMPRESSED,
    DED,
    ENCRYPTED,
    FORMS,
    GENERAL_CIPHERING,
    GENERAL_DED,
    GENERAL_GLO,
    GLO,
    IDENTIFIED,
    KEY_SOURCES,
    ONE_PASS,
    PLAIN,
    STATIC,
    WRAPPED,
    Protection,
)
from gateway.dlms.protection.suites import derived_key
from hal.ports import CryptoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.dlms.data.axdr import Bytes
    from hal.ports import AesGcm, Crypto

__all__ = (
    "AUTHENTICATED",
    "AUTHENTICATED_ENCRYPTED",
    "DED",
    "DED_OF",
    "ENCRYPTED",
    "FORMS",
    "GENERAL_CIPHERING",
    "GENERAL_DED",
    "GENERAL_DED_TAG",
    "GENERAL_GLO",
    "GENERAL_GLO_TAG",
    "GLO",
    "GLO_OF",
    "IDENTIFIED",
    "KEY_SOURCES",
    "ONE_PASS",
    "PLAIN",
    "PLAIN_OF",
    "PROTECTED",
    "STATIC",
    "TAG_SIZE",
    "WRAPPED",
    "Ciphering",
    "Keys",
    "Protection",
)

TAG_SIZE = 12
COUNTER_LIMIT = 0xFFFFFFFF
TRANSACTION_SIZE = 8

GENERAL_GLO_TAG = 0xDB
GENERAL_DED_TAG = 0xDC

# plain tag: glo tag (Green Book 9.5, COSEMpdu)
GLO_OF = {
    acse.INITIATE_REQUEST: 0x21,
    acse.INITIATE_RESPONSE: 0x28,
    apdu.CONFIRMED_SERVICE_ERROR: 0x2E,
    apdu.GET_REQUEST: 0xC8,
    apdu.SET_REQUEST: 0xC9,
    apdu.EVENT_NOTIFICATION: 0xCA,
    apdu.ACTION_REQUEST: 0xCB,
    apdu.GET_RESPONSE: 0xCC,
    apdu.SET_RESPONSE: 0xCD,
    apdu.ACTION_RESPONSE: 0xCF,
}
DED_OF = {plain: glo + (0x20 if glo < 0x80 else 0x08) for plain, glo in GLO_OF.items()}
PLAIN_OF = {glo: plain for plain, glo in GLO_OF.items()}
PLAIN_OF_DED = {ded: plain for plain, ded in DED_OF.items()}
# every tag that means protection
PROTECTED = (
    tuple(PLAIN_OF)
    + tuple(PLAIN_OF_DED)
    + (
        GENERAL_GLO_TAG,
        GENERAL_DED_TAG,
        envelope.GENERAL_CIPHERING,
        envelope.GENERAL_SIGNING,
    )
)

_HEAD = ">BI"  # security control, invocation counter
_LONG_HEAD = ">BBHBI"  # the same after tag and a length of two bytes
# Under the global key though another was agreed: what opens and ends an association (the dedicated
# key is inside), and what the meter sends unasked.
_ALWAYS_GLOBAL = (
    acse.INITIATE_REQUEST,
    acse.INITIATE_RESPONSE,
    apdu.CONFIRMED_SERVICE_ERROR,
    apdu.EVENT_NOTIFICATION,
    apdu.DATA_NOTIFICATION,
)


class _Channel:
    """One key's cipher, and the highest counter received under it (-1: none)."""

    __slots__ = ("gcm", "received")

    def __init__(self, gcm: AesGcm, received: int = -1) -> None:
        self.gcm = gcm
        self.received = received


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
        "_control",
        "_crypto",
        "_dedicated",
        "_global",
        "_keys",
        "_next_counter",
        "_responder",
        "_title",
        "_transaction",
        "_transaction_done",
        "_usual",
        "peer_title",
        "pending",
        "protection",
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
        self._control = self.protection.policy | keys.suite.number
        self._usual = (
            self.protection.form == GLO
            and self.protection.policy == AUTHENTICATED_ENCRYPTED
            and not self.protection.signed
        )
        self._responder = responder
        self.pending = False
        self._transaction = 0  # the last one asked by us; of a responder, the last one answered
        self._transaction_done = True
        self._dedicated: _Channel | None = None
        self.use(keys, received)

    @property
    def received(self) -> int:
        return self._global.received

    def use(self, keys: Keys, received: int = -1) -> None:
        """From now on these keys, of the same suite; their counters received begin anew."""
        self._keys = keys
        self._title = keys.system_title
        # authentication alone needs no cipher; a key that is never used costs nothing
        self._global = _Channel(
            self._crypto.aes_gcm(keys.ek or bytes(keys.suite.key_size)), received
        )
        self._aad = bytes((self._control,)) + keys.ak

    def dedicate(self, key: bytes) -> None:
        """The dedicated key of this association, of the suite's size."""
        if len(key) != self._keys.suite.key_size:
            raise ProtocolError(
                "a dedicated key of %d bytes came, %d are due"
                % (len(key), self._keys.suite.key_size)
            )
        self._dedicated = _Channel(self._crypto.aes_gcm(key))

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
                head = pack(_LONG_HEAD, glo, 0x82, size, self._control, counter)
            else:
                short = bytearray((glo,))
                put_length(short, size)
                head = bytes(short) + pack(_HEAD, self._control, counter)
            nonce = self._title + head[-4:]
            return head + self._global.gcm.encrypt(nonce, plain, self._aad, TAG_SIZE)
        return self._protected(plain)

    def _protected(self, plain: bytes) -> bytes:
        form = self.protection.form
        tag = plain[0]
        if self.pending:
            form = {DED: GLO, GENERAL_DED: GENERAL_GLO}.get(form, form)
        if tag in _ALWAYS_GLOBAL and form != PLAIN:
            return self._by_service(plain, GLO_OF.get(tag), GENERAL_GLO_TAG, self._global)
        if form == GLO:
            done = self._by_service(plain, GLO_OF.get(tag), GENERAL_GLO_TAG, self._global)
        elif form == GENERAL_GLO:
            done = self._by_service(plain, None, GENERAL_GLO_TAG, self._global)
        elif form == DED:
            done = self._by_service(plain, DED_OF.get(tag), GENERAL_DED_TAG, self._due())
        elif form == GENERAL_DED:
            done = self._by_service(plain, None, GENERAL_DED_TAG, self._due())
        else:
            if form == PLAIN and (not self.protection.signed or tag in _ALWAYS_GLOBAL):
                return plain
            parties = self._parties()
            done = plain if form == PLAIN else self._enveloped(plain, parties)
            return self._signed(done, parties) if self.protection.signed else done
        return self._signed(done, self._parties()) if self.protection.signed else done

    def _by_service(self, plain: bytes, tag: int | None, general: int, channel: _Channel) -> bytes:
        """Ciphered under the service's own tag; where there is none, general-glo or -ded."""
        counter = self._counter()
        body = self._sealed(channel.gcm, counter, plain, self._aad)
        out = bytearray((general if tag is None else tag,))
        if tag is None:
            envelope.put_octets(out, self._title)
        put_length(out, 5 + len(body))
        return bytes(out) + pack(_HEAD, self._control, counter) + body

    def _sealed(self, gcm: AesGcm, counter: int, plain: bytes, aad: bytes) -> bytes:
        """Ciphertext and tag, as far as the policy has them; `aad` begins with security control
        and authentication key."""
        nonce = self._title + counter.to_bytes(4, "big")
        if not self._control & AUTHENTICATED:
            return gcm.crypt(nonce, plain)
        if not self._control & ENCRYPTED:
            return plain + gcm.encrypt(nonce, b"", aad + plain, TAG_SIZE)
        return gcm.encrypt(nonce, plain, aad, TAG_SIZE)

    def _enveloped(self, plain: bytes, parties: Parties) -> bytes:
        info, gcm = self._key_to_send(parties)
        counter = self._counter()
        body = self._sealed(gcm, counter, plain, self._aad + parties.encode())
        return envelope.ciphering_apdu(parties, info, pack(_HEAD, self._control, counter) + body)

    def _key_to_send(self, parties: Parties) -> tuple[KeyInfo, AesGcm]:
        keys, crypto = self._keys, self._crypto
        suite = keys.suite
        source = self.protection.key
        if source == IDENTIFIED:
            return KeyInfo(envelope.IDENTIFIED, envelope.UNICAST_KEY), self._global.gcm
        if source == WRAPPED:
            key = crypto.random(suite.key_size)
            wrapped = crypto.aes_wrap(keys.master, key)
            return KeyInfo(envelope.WRAPPED, envelope.MASTER_KEY, wrapped), crypto.aes_gcm(key)
        if source == ONE_PASS:
            private, public = crypto.ec_generate(suite.curve)
            data = public + sign(crypto, keys, public)
            info = KeyInfo(envelope.AGREED, 0, data, envelope.ONE_PASS)
            shared = crypto.ecdh(suite.curve, private, keys.peer_agreement)
        else:
            info = KeyInfo(envelope.AGREED, 0, b"", envelope.STATIC)
            shared = crypto.ecdh(suite.curve, keys.agreement, keys.peer_agreement)
        return info, self._agreed(shared, parties, info.parameters)

    def _agreed(self, shared: bytes, parties: Parties, scheme: bytes) -> AesGcm:
        party_u = parties.originator
        if scheme == envelope.STATIC:
            # the only thing in it that differs from one APDU to the next
            party_u += bytes((len(parties.transaction),)) + parties.transaction
        suite = self._keys.suite
        key = derived_key(self._crypto, suite, shared, suite.ciphering, party_u, parties.recipient)
        return self._crypto.aes_gcm(key)

    def _signed(self, content: bytes, parties: Parties) -> bytes:
        signed = envelope.signed_part(parties, content)
        return envelope.signing_apdu(signed, sign(self._crypto, self._keys, signed))

    def _parties(self) -> Parties:
        self._check_title()
        if not self._responder:
            self._transaction = self._counter()
            self._transaction_done = False
        return Parties(
            self._transaction.to_bytes(TRANSACTION_SIZE, "big"),
            self._keys.system_title,
            self.peer_title,
        )

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
            if long == 0x82 and size == len(protected) - 4 and control == self._control:
                channel = self._global
                nonce = self.peer_title + protected[5:9]
                try:
                    plain = channel.gcm.decrypt(nonce, protected[9:], self._aad, TAG_SIZE)
                    if plain[0] == PLAIN_OF.get(tag) and counter > channel.received:
                        channel.received = counter
                        return plain
                except CryptoError:
                    pass
        if tag == envelope.GENERAL_SIGNING:
            return self._unsigned(protected)
        plain, counted, counter, transaction = self._deciphered(protected)
        if self.protection.signed and plain[0] not in _ALWAYS_GLOBAL:
            raise SecurityFailed("an APDU without the signature that is due")
        self._take(counted, counter, transaction)
        return plain

    def _unsigned(self, protected: Bytes) -> bytes:
        parties, content, signed, signature = envelope.signing_parts(protected)
        keys = self._keys
        if not keys.peer_signing:
            raise SecurityFailed("a signed APDU came, but there is no key to verify it with")
        self._check_parties(parties)
        if not is_signed(self._crypto, keys, signed, signature):
            raise SecurityFailed("the signature of an APDU does not verify; check the keys")
        if not content:
            raise ProtocolError("a signed APDU without content")
        transaction = self._new_transaction(parties)
        if self.protection.form == PLAIN:
            if content[0] in PROTECTED:
                raise SecurityFailed("a ciphered APDU came where none is agreed")
            self._take(None, 0, transaction)
            return content
        if content[0] not in PROTECTED:
            raise SecurityFailed("an APDU that is only signed came, where ciphering is due")
        plain, channel, counter, _ = self._deciphered(content)
        # the envelope inside a signature is of the same transaction
        self._take(channel, counter, transaction)
        return plain

    def _deciphered(self, protected: Bytes) -> tuple[bytes, _Channel | None, int, int | None]:
        """(plain APDU, channel to count in or None, counter, transaction or None), all proven and
        nothing taken as used yet."""
        if self.protection.form == PLAIN:
            raise SecurityFailed("a ciphered APDU came where none is agreed")
        tag = protected[0]
        expected = PLAIN_OF.get(tag)
        channel: _Channel | None = self._global
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
        elif tag == envelope.GENERAL_CIPHERING:
            return self._from_envelope(protected)
        else:
            raise ProtocolError("not a protected APDU that is known here")
        if pos != len(protected):
            raise ProtocolError("%d bytes left over after the APDU" % (len(protected) - pos))
        assert channel is not None
        plain, counter = self._opened(channel.gcm, content, b"")
        # The tag does not cover the label: an APDU with a false one must not use up the counter.
        if expected is not None and plain[0] != expected:
            raise SecurityFailed("inside the ciphered APDU 0x%02x is 0x%02x" % (tag, plain[0]))
        due = (DED, GENERAL_DED) if channel is self._dedicated else (GLO, GENERAL_GLO)
        early = self.pending and self.protection.dedicated
        if self.protection.form not in due and plain[0] not in _ALWAYS_GLOBAL and not early:
            raise SecurityFailed(
                "APDU 0x%02x where protection %s is due" % (tag, self.protection.form)
            )
        return plain, channel, counter, None

    def _opened(self, gcm: AesGcm, content: bytes, parties: bytes) -> tuple[bytes, int]:
        """(plain, counter) of a ciphered service whose tag fits."""
        if len(content) < 6:
            raise ProtocolError("a ciphered APDU of %d bytes cannot hold anything" % len(content))
        control = content[0]
        aad = self._aad
        if control != self._control:
            self._check_control(control)
            aad = bytes((control,)) + self._keys.ak
        self._check_title()
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

    def _from_envelope(self, protected: Bytes) -> tuple[bytes, _Channel | None, int, int | None]:
        parties, info, content = envelope.ciphering_parts(protected)
        self._check_parties(parties)
        transaction: int | None = None
        if info.kind != envelope.IDENTIFIED or self._responder:
            transaction = self._new_transaction(parties)
        channel, gcm = self._key_received(parties, info)
        plain, counter = self._opened(gcm, content, parties.encode())
        if self.protection.form != GENERAL_CIPHERING:
            raise SecurityFailed("general-ciphering where %s is due" % self.protection.form)
        return plain, channel, counter, transaction

    def _key_received(self, parties: Parties, info: KeyInfo) -> tuple[_Channel | None, AesGcm]:
        keys, crypto = self._keys, self._crypto
        if info.kind == envelope.IDENTIFIED and info.number == envelope.UNICAST_KEY:
            source = IDENTIFIED
        elif info.kind == envelope.WRAPPED and info.number == envelope.MASTER_KEY:
            source = WRAPPED
        elif info.kind == envelope.AGREED and info.parameters == envelope.ONE_PASS:
            source = ONE_PASS
        elif info.kind == envelope.AGREED and info.parameters == envelope.STATIC:
            source = STATIC
        else:
            raise SecurityFailed("general-ciphering with a key that is not known here")
        if self.protection.form != GENERAL_CIPHERING or source != self.protection.key:
            raise SecurityFailed(
                "general-ciphering with a key %s where %s is due" % (source, self.protection.key)
            )
        if source == IDENTIFIED:
            return self._global, self._global.gcm
        curve = keys.suite.curve
        try:
            if source == WRAPPED:
                key = crypto.aes_unwrap(keys.master, info.data)
                if len(key) != keys.suite.key_size:
                    raise SecurityFailed("a wrapped key of %d bytes" % len(key))
                return None, crypto.aes_gcm(key)
            if source == STATIC:
                shared = crypto.ecdh(curve, keys.agreement, keys.peer_agreement)
            else:
                size = keys.suite.public_size
                public = info.data[:size]
                if not is_signed(crypto, keys, public, info.data[size:]):
                    raise SecurityFailed("the peer's ephemeral key is not signed by the peer")
                shared = crypto.ecdh(curve, keys.agreement, public)
        except CryptoError as error:
            raise SecurityFailed("general-ciphering: %s" % error)
        return None, self._agreed(shared, parties, info.parameters)

    # ------------------------------------------------------------ HLS 5

    def proof(self, challenge: bytes) -> bytes:
        """f(StoC) of the client, f(CtoS) of the meter: control, counter, GMAC (17 bytes)."""
        control = AUTHENTICATED | self._keys.suite.number
        counter = self._counter()
        nonce = self._title + counter.to_bytes(4, "big")
        return pack(_HEAD, control, counter) + self._gmac(nonce, control, challenge)

    def check_proof(self, challenge: bytes, proof: bytes) -> None:
        """SecurityFailed unless `proof` is the peer's for `challenge`. Its counter is not held
        against `received`: the challenge is fresh, and the APDU around it took a later counter."""
        self._check_title()
        control = AUTHENTICATED | self._keys.suite.number
        if len(proof) != 5 + TAG_SIZE or proof[0] != control:
            raise SecurityFailed(
                "the peer's HLS proof is not 17 bytes with security control 0x%02x" % control
            )
        expected = self._gmac(self.peer_title + proof[1:5], control, challenge)
        if not same(expected, proof[5:]):
            raise SecurityFailed("the peer's HLS proof does not match; check the keys")

    def _gmac(self, nonce: bytes, control: int, challenge: bytes) -> bytes:
        if not self._keys.ek:
            raise SecurityFailed("HLS by GMAC needs ek and ak")
        aad = bytes((control,)) + self._keys.ak + challenge
        return self._global.gcm.encrypt(nonce, b"", aad, TAG_SIZE)

    # ------------------------------------------------------------ sizes

    def overhead(self, size: int) -> int:
        """Bytes that protect() adds to a plain APDU of `size` bytes (of a service that has tags of
        its own)."""
        form = self.protection.form
        done = size
        if form != PLAIN:
            done += 5 + (TAG_SIZE if self._control & AUTHENTICATED else 0)
            done += _length_size(done)
            if form in (GENERAL_GLO, GENERAL_DED):
                done += 1 + TITLE_SIZE
            if form == GENERAL_CIPHERING:
                done += _PARTIES_SIZE + self._key_info_size()
            done += 1
        if self.protection.signed:
            done += _length_size(done) + 1 + _PARTIES_SIZE
            signature = self._keys.suite.public_size
            done += _length_size(signature) + signature
        return done - size

    def _key_info_size(self) -> int:
        suite = self._keys.suite
        source = self.protection.key
        if source == IDENTIFIED:
            return 3
        if source == WRAPPED:
            return 4 + suite.key_size + 8
        if source == STATIC:
            return 5
        data = 2 * suite.public_size
        return 4 + _length_size(data) + data

    # ------------------------------------------------------------ small parts

    def _take(self, channel: _Channel | None, counter: int, transaction: int | None) -> None:
        """Now that all else is proven: was this there before? If not, it is from now on."""
        if transaction is not None and not self._responder and self._transaction_done:
            raise Replayed("the answer of transaction %d came again" % transaction)
        if channel is not None:
            if counter <= channel.received:
                raise Replayed(
                    "invocation counter %d came again (%d was the last)"
                    % (counter, channel.received)
                )
            channel.received = counter
        if transaction is not None:
            self._transaction = transaction
            self._transaction_done = True

    def _new_transaction(self, parties: Parties) -> int:
        """Its number: the one we asked in; of a responder, one higher than all before."""
        number = int.from_bytes(parties.transaction, "big")
        if len(parties.transaction) != TRANSACTION_SIZE:
            raise SecurityFailed("a transaction-id of %d bytes" % len(parties.transaction))
        if self._responder:
            if number <= self._transaction:
                raise Replayed("transaction %d came again" % number)
        elif number != self._transaction:
            raise Replayed("an answer of transaction %d, not %d" % (number, self._transaction))
        return number

    def _check_parties(self, parties: Parties) -> None:
        self._check_title()
        if parties.originator != self.peer_title:
            raise SecurityFailed("an APDU of another system title than the association's")
        if parties.recipient != self._keys.system_title:
            raise SecurityFailed("an APDU that is for another system title than ours")

    def _check_control(self, control: int) -> None:
        """A security control other than what we send: more protection is welcome, nothing else."""
        if control & COMPRESSED:
            raise SecurityFailed(
                "security control 0x%02x: compression is not supported here; switch it off in"
                " the meter" % control
            )
        policy = self.protection.policy
        if control & (BROADCAST | 0x0F) != self._keys.suite.number or control & policy != policy:
            raise SecurityFailed(
                "security control 0x%02x where 0x%02x (suite %d, %s, unicast key) is due; align the"
                " security policy of meter and head-end"
                % (control, self._control, self._keys.suite.number, _POLICY_NAMES[policy])
            )

    def _due(self) -> _Channel:
        if self._dedicated is None:
            raise SecurityFailed("there is no dedicated key in this association")
        return self._dedicated

    def _counter(self) -> int:
        counter = self._next_counter()
        if not 0 <= counter <= COUNTER_LIMIT:
            raise _used_up()
        return counter

    def _check_title(self) -> None:
        if len(self.peer_title) != TITLE_SIZE:
            raise SecurityFailed(
                "the peer told a system title of %d bytes; 8 are due" % len(self.peer_title)
            )


_POLICY_NAMES = {
    AUTHENTICATED: "authenticated",
    ENCRYPTED: "encrypted",
    AUTHENTICATED_ENCRYPTED: "authenticated and encrypted",
}
_PARTIES_SIZE = 1 + TRANSACTION_SIZE + 2 * (1 + TITLE_SIZE) + 2


def _used_up() -> SecurityFailed:
    return SecurityFailed("the invocation counter is used up; the meter needs new keys")


def _length_size(length: int) -> int:
    return 1 if length < 0x80 else 2 if length < 0x100 else 3
