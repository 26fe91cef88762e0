"""The side of the handshake that answers: the HES (RFC 9528, method 3, suite 2). No firmware
imports this."""

from __future__ import annotations

from gateway.contract.edhoc.claim import claim_of, encoded, id_cred
from gateway.contract.edhoc.credential import Credential
from gateway.contract.edhoc.frames import METHOD, SUITE, WrongSuite
from gateway.contract.edhoc.keys import CURVE, X_SIZE, Schedule, same
from gateway.contract.edhoc.sequence import ead_of, identified, identifier, items, string_in
from gateway.contract.refused import Refused
from gateway.contract.sealed import CONNECTION_SIZE
from hal.ports import CryptoError
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from gateway.contract.edhoc.sequence import Ead
    from gateway.contract.sealed import Session
    from hal.ports import Crypto


class Responder:
    """One handshake. `private` is the key of `credential`, which travels by reference; `connection`
    our connection id."""

    def __init__(
        self, crypto: Crypto, credential: Credential, private: bytes, connection: bytes
    ) -> None:
        self._crypto = crypto
        self._credential = credential
        self._private = private
        self._connection = connection
        self._peer_connection = b""
        self._ephemeral = b""
        self._schedule: Schedule | None = None

    def message_2(self, message_1: bytes) -> bytes:
        """Refused `malformed`; frames.WrongSuite where the peer has to be told our suite."""
        found = items(message_1, "message_1")
        if len(found) < 4 or found[0] != METHOD or isinstance(found[0], bool):
            raise Refused("malformed", "message_1: expected method %d" % METHOD)
        _check_suites(found[1])
        g_x = found[2]
        if not isinstance(g_x, bytes):
            raise Refused("malformed", "message_1: expected G_X as octets")
        self._peer_connection = identified(found[3], "C_I", CONNECTION_SIZE)
        ead_of(found[4:], "message_1")
        ephemeral, public = self._crypto.ec_generate(CURVE)
        try:
            point = self._crypto.ec_point(CURVE, g_x)
        except CryptoError as error:
            raise Refused("malformed", "message_1: %s" % error)
        g_y, c_r = public[:X_SIZE], identifier(self._connection)
        g_xy = self._crypto.ecdh(CURVE, ephemeral, point)
        schedule = Schedule(self._crypto, message_1, g_y, g_xy)
        schedule.mix_2(self._crypto.ecdh(CURVE, self._private, point))
        kid, cred_r = self._credential.kid, self._credential.ccs()
        mac_2 = schedule.mac_2(c_r, id_cred(kid), cred_r, b"")
        plaintext_2 = c_r + encoded(identifier(kid), mac_2, b"")
        schedule.hash_3(plaintext_2, cred_r)
        self._ephemeral, self._schedule = ephemeral, schedule
        return cbor.encode(g_y + schedule.crypt_2(plaintext_2))

    def finished(
        self, message_3: bytes, known: Sequence[Credential] = ()
    ) -> tuple[Credential, list[Ead], Session]:
        """Who the peer is, what he brings besides, and the session with him. That he has the
        credential's key is proven, not that we know him: the caller decides whether he is enrolled.
        `known` are those whose credential may come by reference. Once only: the same message_3
        again would make a session whose numbers begin anew under the same keys.

        Refused: `malformed`, `unknown-signer`, `unsealed`; another message_3 can be tried then.
        `replayed` before the beginning and after the end.
        """
        schedule = self._schedule
        if schedule is None:
            raise Refused("replayed", "message_3: no handshake waits for it")
        try:
            plaintext_3 = schedule.open_3(string_in(message_3, "message_3"))
        except CryptoError:
            raise Refused("unsealed", "message_3 is not of this handshake")
        claim = claim_of(items(plaintext_3, "message_3"), plaintext_3, "message_3")
        candidates = claim.among(known) if claim.credential is None else [claim.credential]
        if not candidates:
            raise Refused("unknown-signer", "key id %s is not known" % claim.kid.hex())
        for credential in candidates:
            try:
                schedule.mix_3(self._crypto.ecdh(CURVE, self._ephemeral, credential.public))
            except CryptoError as error:
                raise Refused("malformed", "message_3: %s" % error)
            cred_i = credential.ccs()
            if same(schedule.mac_3(claim.id_cred(), cred_i, claim.raw_ead), claim.mac):
                schedule.finish(plaintext_3, cred_i)
                self._schedule = None
                session = schedule.session(self._peer_connection, self._connection, False)
                return credential, claim.ead, session
        raise Refused("unsealed", "the key with id %s did not make message_3" % claim.kid.hex())


def _check_suites(suites: Any) -> None:
    """SUITES_I (5.2.1): one suite, or a list in the order of preference whose last one is
    selected."""
    if isinstance(suites, list) and len(suites) >= 2:
        suites = suites[-1]
    if not isinstance(suites, int) or isinstance(suites, bool):
        raise Refused("malformed", "message_1: expected one suite, or two and more")
    if suites != SUITE:
        raise WrongSuite("message_1: suite %d is selected, expected %d" % (suites, SUITE))
