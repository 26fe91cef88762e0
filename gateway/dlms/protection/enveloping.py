"""general-ciphering and general-signing of one association (Green Book 9.2.7), and
the transactions they count in: keys identified, wrapped or agreed on, and signatures.

It stands on the association's Ciphering (security.py), which imports it when there is need of it:
where nothing is signed and the form is not general-ciphering, a board never has it in memory.
"""

from __future__ import annotations

from struct import pack

from gateway.dlms.data.axdr import length_size
from gateway.dlms.errors import ProtocolError, Replayed, SecurityFailed
from gateway.dlms.protection import envelope
from gateway.dlms.protection.envelope import KeyInfo, Parties
from gateway.dlms.protection.keyring import TITLE_SIZE
from gateway.dlms.protection.policy import (
    GENERAL_CIPHERING,
    IDENTIFIED,
    ONE_PASS,
    OTHER,
    PLAIN,
    STATIC,
    WRAPPED,
)
from gateway.dlms.protection.public_key import derived_key, is_signed, sign
from gateway.dlms.protection.tags import GENERAL_CIPHERING_TAG, PROTECTED
from hal.ports import CryptoError
from hal.rt.hexed import hexed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.data.axdr import Bytes
    from gateway.dlms.protection.security import Channel, Ciphering
    from hal.ports import AesGcm, Crypto

TRANSACTION_SIZE = 8
_PARTIES_SIZE = 1 + 2 * (1 + TITLE_SIZE) + 2  # without the transaction's name
_CUT = 16  # bytes of a derived key in the other dialect
_HEAD = ">BI"  # security control, invocation counter

# (kind, number, parameters) of a key-info: the source of the key
_SOURCES = {
    (envelope.IDENTIFIED, envelope.UNICAST_KEY, b""): IDENTIFIED,
    (envelope.WRAPPED, envelope.MASTER_KEY, b""): WRAPPED,
    (envelope.AGREED, 0, envelope.ONE_PASS): ONE_PASS,
    (envelope.AGREED, 0, envelope.STATIC): STATIC,
}


class Enveloping:
    """`responder`: on the meter's side, which answers in the client's transactions. Theirs may
    have names of any length. Where an invocation counter shows what is new, nothing else has to;
    else transaction and counter together are higher than those before."""

    __slots__ = ("_ciphering", "_crypto", "_done", "_last", "_name", "_other", "_responder")

    def __init__(self, ciphering: Ciphering, crypto: Crypto, responder: bool) -> None:
        self._ciphering = ciphering
        self._crypto = crypto
        self._responder = responder
        self._other = ciphering.protection.dialect == OTHER
        self._done = True  # the transaction under way has been answered
        self._last = (0, -1)  # the last transaction heard of, and its invocation counter
        self._name = b""  # of the transaction under way, as it is on the wire

    # ------------------------------------------------------------ sending

    def protect(self, plain: bytes) -> bytes:
        """In the form that the association has, signed where that is due."""
        ciphering = self._ciphering
        protection = ciphering.protection
        if protection.form == GENERAL_CIPHERING:
            parties = self._parties()
            done = self._enveloped(plain, parties)
        else:
            done = plain if protection.form == PLAIN else ciphering.ciphered(plain)
            parties = self._parties()
        if not protection.signed:
            return done
        signed = envelope.signed_part(parties, done)
        over = parties.encode() + done if self._other else signed
        return envelope.signing_apdu(signed, sign(self._crypto, ciphering.keys, over))

    def overhead(self, size: int, ciphered: int) -> int:
        """What is added to a plain APDU of `size` bytes, of which the ciphered service has
        `ciphered` more."""
        protection = self._ciphering.protection
        done = size + ciphered
        if protection.form == GENERAL_CIPHERING:
            done += self._parties_size() + self._key_info_size()
        if protection.signed:
            done += length_size(done) + 1 + self._parties_size()
            signature = self._ciphering.keys.suite.public_size
            done += length_size(signature) + signature
        return done - size

    def _enveloped(self, plain: bytes, parties: Parties) -> bytes:
        ciphering = self._ciphering
        info, gcm = self._key_to_send(parties)
        counter = ciphering.counter()
        body = ciphering.sealed(gcm, counter, plain, self._proven(parties))
        content = pack(_HEAD, ciphering.control, counter) + body
        return envelope.ciphering_apdu(parties, info, content)

    def _key_to_send(self, parties: Parties) -> tuple[KeyInfo, AesGcm]:
        crypto, keys = self._crypto, self._ciphering.keys
        suite = keys.suite
        source = self._ciphering.protection.key
        if source == IDENTIFIED:
            info = KeyInfo(envelope.IDENTIFIED, envelope.UNICAST_KEY)
            return info, self._ciphering.unicast.gcm
        if source == WRAPPED:
            key = crypto.random(suite.key_size)
            wrapped = crypto.aes_wrap(keys.master, key)
            return KeyInfo(envelope.WRAPPED, envelope.MASTER_KEY, wrapped), crypto.aes_gcm(key)
        if source == ONE_PASS:
            private, public = crypto.ec_generate(suite.curve)
            data = public + sign(crypto, keys, self._ephemeral(public))
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
        suite = self._ciphering.keys.suite
        key = derived_key(self._crypto, suite, shared, suite.ciphering, party_u, parties.recipient)
        return self._crypto.aes_gcm(key[:_CUT] if self._other else key)

    def _ephemeral(self, public: bytes) -> bytes:
        """What is signed of the originator's ephemeral key."""
        return envelope.ONE_PASS + public if self._other else public

    def _proven(self, parties: Parties) -> bytes:
        """What the tag covers of them."""
        return b"" if self._other else parties.encode()

    def _parties(self) -> Parties:
        ciphering = self._ciphering
        ciphering.check_title()
        if not self._responder:
            self._done = False
            if not self._other:
                self._name = ciphering.counter().to_bytes(TRANSACTION_SIZE, "big")
        return Parties(self._name, ciphering.keys.system_title, ciphering.peer_title)

    def _parties_size(self) -> int:
        return _PARTIES_SIZE + (0 if self._other else TRANSACTION_SIZE)

    def _key_info_size(self) -> int:
        suite = self._ciphering.keys.suite
        source = self._ciphering.protection.key
        if source == IDENTIFIED:
            return 3
        if source == WRAPPED:
            return 4 + suite.key_size + 8
        if source == STATIC:
            return 5
        data = 2 * suite.public_size
        return 4 + length_size(data) + data

    # ------------------------------------------------------------ receiving

    def deciphered(self, protected: Bytes) -> bytes:
        """The plain APDU of a general-ciphering APDU, which is taken as used."""
        plain, channel, counter, parties = self._opened(protected)
        self._ciphering.check_signed(plain)
        self._take(channel, counter, parties, channel is None)
        return plain

    def unsigned(self, protected: Bytes) -> bytes:
        """The plain APDU of a general-signing APDU, which is taken as used."""
        ciphering = self._ciphering
        parties, content, signed, signature = envelope.signing_parts(protected)
        self._check_parties(parties)
        if self._other:
            signed = parties.encode() + content
        if not is_signed(self._crypto, ciphering.keys, signed, signature):
            raise SecurityFailed("the signature of an APDU does not verify; check the keys")
        if not content:
            raise ProtocolError("a signed APDU without content")
        self._check_transaction(parties)
        if ciphering.protection.form == PLAIN:
            if content[0] in PROTECTED:
                raise SecurityFailed("a ciphered APDU came where none is agreed")
            self._take(None, 0, parties, True)
            return content
        if content[0] not in PROTECTED:
            raise SecurityFailed("an APDU that is only signed came, where ciphering is due")
        channel: Channel | None
        if content[0] == GENERAL_CIPHERING_TAG:
            # the envelope inside a signature is of the same transaction
            plain, channel, counter, _ = self._opened(content)
        else:
            plain, channel, counter = ciphering.deciphered(content)
        self._take(channel, counter, parties, True)
        return plain

    def _opened(self, protected: Bytes) -> tuple[bytes, Channel | None, int, Parties]:
        """(plain APDU, channel to count in or None, counter, parties), all proven and nothing taken
        as used yet."""
        ciphering = self._ciphering
        ciphering.check_enveloped()
        parties, info, content = envelope.ciphering_parts(protected)
        self._check_parties(parties)
        if info.kind != envelope.IDENTIFIED:
            self._check_transaction(parties)
        channel, gcm = self._key_received(parties, info)
        plain, counter = ciphering.opened(gcm, content, self._proven(parties))
        return plain, channel, counter, parties

    def _key_received(self, parties: Parties, info: KeyInfo) -> tuple[Channel | None, AesGcm]:
        crypto, keys = self._crypto, self._ciphering.keys
        due = self._ciphering.protection.key
        source = _SOURCES.get((info.kind, info.number, info.parameters))
        if source is None:
            raise SecurityFailed("general-ciphering with a key that is not known here")
        if source != due:
            raise SecurityFailed("general-ciphering with a key %s where %s is due" % (source, due))
        if source == IDENTIFIED:
            return self._ciphering.unicast, self._ciphering.unicast.gcm
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
                if not is_signed(crypto, keys, self._ephemeral(public), info.data[size:]):
                    raise SecurityFailed("the peer's ephemeral key is not signed by the peer")
                shared = crypto.ecdh(curve, keys.agreement, public)
        except CryptoError as error:
            raise SecurityFailed("general-ciphering: %s" % error)
        return None, self._agreed(shared, parties, info.parameters)

    def _take(
        self, channel: Channel | None, counter: int, parties: Parties, transaction_counts: bool
    ) -> None:
        """Now that all else is proven: was this there before? If not, it is from now on."""
        number = int.from_bytes(parties.transaction, "big")
        if transaction_counts and not self._responder and self._done:
            raise Replayed("the answer of transaction %d came again" % number)
        if channel is not None:
            channel.take(counter)
        elif self._responder or self._other:
            if (number, counter) <= self._last:
                raise Replayed("transaction %d came again" % number)
            self._last = (number, counter)
        if self._responder:
            self._name = parties.transaction
        elif transaction_counts:
            self._done = True

    def _check_transaction(self, parties: Parties) -> None:
        """An answer is of the transaction that we asked in."""
        if not self._responder and parties.transaction != self._name:
            raise Replayed(
                "an answer of transaction %s, not %s"
                % (hexed(parties.transaction), hexed(self._name))
            )

    def _check_parties(self, parties: Parties) -> None:
        ciphering = self._ciphering
        ciphering.check_title()
        if parties.originator != ciphering.peer_title:
            raise SecurityFailed("an APDU of another system title than the association's")
        if parties.recipient != ciphering.keys.system_title:
            raise SecurityFailed("an APDU that is for another system title than ours")
