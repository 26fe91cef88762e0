"""The side of the handshake that begins: the concentrator (RFC 9528, method 3, suite 2)."""

from __future__ import annotations

from gateway.contract.edhoc.claim import BY_VALUE, claim_of, encoded, id_cred
from gateway.contract.edhoc.credential import Credential
from gateway.contract.edhoc.frames import METHOD, SUITE
from gateway.contract.edhoc.keys import CURVE, X_SIZE, Schedule, same
from gateway.contract.edhoc.sequence import encode_ead, identified, identifier, items, string_in
from gateway.contract.refused import Refused
from gateway.contract.sealed import CONNECTION_SIZE
from hal.ports import CryptoError
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.contract.edhoc.sequence import Ead
    from gateway.contract.sealed import Session
    from hal.ports import Crypto

HES = "hes"  # the subject of every credential of a HES


class Initiator:
    """One handshake. `private` is the key of `credential`, `connection` our connection id, `ead`
    what message_3 brings besides. The credential travels by value, or by reference."""

    def __init__(
        self,
        crypto: Crypto,
        credential: Credential,
        private: bytes,
        connection: bytes,
        ead: Sequence[Ead] = (),
        by_value: bool = True,
    ) -> None:
        self._crypto = crypto
        self._cred_i = credential.ccs()
        if by_value:
            self._id_cred_i = self._in_message = BY_VALUE + self._cred_i
        else:
            self._id_cred_i, self._in_message = id_cred(credential.kid), identifier(credential.kid)
        self._private = private
        self._connection = connection
        self._ead = encode_ead(ead)
        self._ephemeral, public = crypto.ec_generate(CURVE)
        self._message_1 = (
            cbor.encode(METHOD)
            + cbor.encode(SUITE)
            + cbor.encode(public[:X_SIZE])
            + identifier(connection)
        )

    def message_1(self) -> bytes:
        """The same octets each time it is asked for."""
        return self._message_1

    def message_3(
        self, message_2: bytes, peers: Sequence[tuple[bytes, bytes]]
    ) -> tuple[bytes, Session]:
        """The answer to a message_2 that one of `peers`, (kid, public key x||y), has made, and the
        session with him: its sealer's `kid` is C_R. Once only: the same message_2 again would make
        a session whose numbers begin anew under the same keys.

        Refused: `malformed`, `unknown-signer`, `unsealed`; another message_2 can be tried then.
        `replayed` after the end.
        """
        if not self._ephemeral:
            raise Refused("replayed", "message_2: this handshake has ended")
        both = string_in(message_2, "message_2")
        g_y = both[:X_SIZE]
        try:
            point = self._crypto.ec_point(CURVE, g_y)
            g_xy = self._crypto.ecdh(CURVE, self._ephemeral, point)
        except CryptoError as error:
            raise Refused("malformed", "message_2: %s" % error)
        schedule = Schedule(self._crypto, self._message_1, g_y, g_xy)
        plaintext_2 = schedule.crypt_2(both[X_SIZE:])
        c_r, cred_r = self._proven(schedule, plaintext_2, peers)
        schedule.hash_3(plaintext_2, cred_r)
        schedule.mix_3(self._crypto.ecdh(CURVE, self._private, point))
        mac_3 = schedule.mac_3(self._id_cred_i, self._cred_i, self._ead)
        plaintext_3 = encoded(self._in_message, mac_3, self._ead)
        message_3 = cbor.encode(schedule.seal_3(plaintext_3))
        schedule.finish(plaintext_3, self._cred_i)
        self._ephemeral = b""
        return message_3, schedule.session(self._connection, c_r, True)

    def _proven(
        self, schedule: Schedule, plaintext_2: bytes, peers: Sequence[tuple[bytes, bytes]]
    ) -> tuple[bytes, bytes]:
        """(C_R, CRED_R) once MAC_2 proves that one of `peers` has made this. Of an answer to
        another message_1 noise has come out, and is refused as `malformed`."""
        found = items(plaintext_2, "message_2")
        c_r = identified(found[0] if found else None, "C_R", CONNECTION_SIZE)
        in_message = identifier(c_r)
        claim = claim_of(found[1:], plaintext_2[len(in_message) :], "message_2")
        known = claim.among([Credential(HES, kid, public) for kid, public in peers])
        if not known:
            raise Refused("unknown-signer", "key id %s is not in the trust store" % claim.kid.hex())
        for credential in known:
            try:
                g_rx = self._crypto.ecdh(CURVE, self._ephemeral, credential.public)
            except CryptoError:
                continue  # a key of the settings that is no point of the curve proves nothing
            schedule.mix_2(g_rx)
            cred_r = credential.ccs()
            mac_2 = schedule.mac_2(in_message, claim.id_cred(), cred_r, claim.raw_ead)
            if same(mac_2, claim.mac):
                return c_r, cred_r
        raise Refused("unsealed", "the key with id %s did not make message_2" % claim.kid.hex())
