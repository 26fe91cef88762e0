"""The life of a client's association: AARQ, AARE, both passes of HLS, RLRQ (Green Book 9.4.4).

Every service is proposed (PROPOSED), and only those that the meter grants are used.
"""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client import invoking
from gateway.dlms.data import axdr
from gateway.dlms.errors import (
    LINK_ENDED,
    ActionRefused,
    AssociationRefused,
    DlmsError,
    LinkSilent,
    NoAnswer,
    NotSupported,
    ProtocolError,
    SecurityFailed,
)
from gateway.dlms.protection import hls
from gateway.dlms.protection.policy import PLAIN
from gateway.dlms.protection.security import Ciphering
from hal.ports import PortError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.dlms.client.association import Association
    from gateway.dlms.client.exchange import Exchange
    from gateway.dlms.protection.keyring import Keys
    from hal.ports import Crypto

PROPOSED = (
    acse.GENERAL_PROTECTION
    | acse.GENERAL_BLOCK_TRANSFER
    | acse.BLOCK_GET
    | acse.BLOCK_SET
    | acse.BLOCK_ACTION
    | acse.MULTIPLE_REFERENCES
    | acse.DATA_NOTIFICATION
    | acse.ACCESS
    | acse.GET
    | acse.SET
    | acse.SELECTIVE_ACCESS
    | acse.EVENT_NOTIFICATION
    | acse.ACTION
)
PROPOSED_SN = (
    acse.GENERAL_PROTECTION
    | acse.GENERAL_BLOCK_TRANSFER
    | acse.READ
    | acse.WRITE
    | acse.UNCONFIRMED_WRITE
    | acse.BLOCK_GET
    | acse.BLOCK_SET
    | acse.MULTIPLE_REFERENCES
    | acse.INFORMATION_REPORT
    | acse.DATA_NOTIFICATION
    | acse.PARAMETERIZED_ACCESS
)

_INVOKING_SN = acse.READ | acse.PARAMETERIZED_ACCESS
_REPLY_TO_HLS = 1
_RELEASE_MS = 500  # for an RLRE, beside what the path takes


class _ProofRefused(AssociationRefused):
    """By the meter, after an AARE that may have been an earlier one."""


class Associating:
    """Opens and closes what `exchange` then speaks in; `association` says how."""

    def __init__(
        self,
        exchange: Exchange,
        crypto: Crypto,
        association: Association,
        next_counter: Callable[[], int],
    ) -> None:
        self._exchange = exchange
        self._crypto = crypto
        self._association = association
        self._next_counter = next_counter
        self._short = association.referencing == acse.SN
        self._proposed = PROPOSED_SN if self._short else PROPOSED
        self._dedicated = b""  # this association's key, where its protection has one
        self._open = False  # an AARQ is out, and no RLRQ after it
        self._aare_ms = 0  # how long the AARE took

    async def open(self) -> None:
        """AARQ, AARE, and both passes of HLS. Starts anew each time it is called.

        On a bad path an AARE may belong to an AARQ before, even of a conversation before; then its
        challenge is void and authentication fails though the keys are right. So a failure counts
        only once the line has been silent before the AARQ; else it is NoAnswer. What the meter
        says to the AARQ after that, some do not take a second one, hides no failure before it.
        """
        exchange = self._exchange
        silent_before = exchange.tries == 1
        failed: DlmsError | None = None
        for attempt in range(1, exchange.tries + 1):
            exchange.conformance = 0
            self._open = True
            try:
                await self._associate_once()
                return
            except LinkSilent:
                raise  # the link has tried often enough, and says what
            except NoAnswer:
                if attempt == exchange.tries:
                    raise NoAnswer(
                        "association of client %d: no answer within %d ms, tried %d times;"
                        " check the path%s"
                        % (
                            self._association.client_sap,
                            exchange.timeout_ms,
                            attempt,
                            "; before that: %s" % failed if failed else "",
                        )
                    )
                silent_before = False
            except (SecurityFailed, _ProofRefused) as error:
                if silent_before:
                    raise error
                if attempt == exchange.tries:
                    raise NoAnswer(
                        "%s; or the answers come too late: tried %d times" % (error, attempt)
                    )
                failed = error
                await exchange.drain()
                silent_before = True
            except AssociationRefused as refused:
                raise failed or refused
            except ProtocolError as error:
                await self.abandon(error)
                raise error

    def assume(self, title: bytes, conformance: int, max_pdu: int, received: int = -1) -> None:
        """A pre-established association (Green Book 9.3.1): nothing is exchanged, both sides know
        what would have been agreed. `title`: the meter's system title; `received`: the highest
        invocation counter that has come from it (see `received`)."""
        exchange = self._exchange
        self._begin_protection()
        if self._association.proves:
            raise ValueError("a pre-established association has no authentication of its own")
        if exchange.ciphering is not None:
            exchange.ciphering.peer_title = title
            assert self._association.keys is not None
            exchange.ciphering.use(self._association.keys, received)
        exchange.max_send = min(max_pdu, exchange.link.max_apdu)
        exchange.conformance = conformance & self._proposed

    def use_keys(self, keys: Keys) -> None:
        """From the next request on, in this association and those to come: after a key change."""
        before = self._association.keys
        self._association.keys = keys
        ciphering = self._exchange.ciphering
        if ciphering is not None:
            same_key = before is not None and before.ek == keys.ek
            ciphering.use(keys, ciphering.received if same_key else -1)

    async def release(self) -> str:
        """RLRQ, once; whatever the meter or the link does about it, the association is over. What
        the meter said, by its standard name ("normal"); "" when it said nothing. Not every meter
        answers, so it has little more time for it than it took for the AARE."""
        if not self._open:
            return ""
        self._open = False
        exchange = self._exchange
        request = acse.Rlrq(0, self._release_information())
        exchange.conformance = 0
        patience = exchange.timeout_ms
        exchange.timeout_ms = min(patience, 2 * self._aare_ms + _RELEASE_MS)
        try:
            answer = await exchange.ask(request.encode(), (acse.Rlre,), "release", False)
        except (DlmsError, OSError, PortError):
            return ""
        finally:
            exchange.timeout_ms = patience
        said: str = answer.reason_name()
        return said

    async def abandon(self, error: DlmsError | None = None) -> None:
        """Close it after a fault, without waiting for the meter's consent; where the link has ended
        with that `error`, there is nobody to tell."""
        if not self._open:
            return
        self._open = False
        if isinstance(error, LINK_ENDED):
            self._exchange.conformance = 0
            return
        await self._exchange.abandon(self._release_information())

    # ------------------------------------------------------------ opening

    async def _associate_once(self) -> None:
        wanted = self._association
        exchange = self._exchange
        step = "association of client %d" % wanted.client_sap
        self._begin_protection()
        challenge = b""
        if wanted.proves:
            challenge = self._crypto.random(hls.challenge_size(wanted.authentication))
        asked = exchange.now()
        answer = await exchange.ask(self._aarq(challenge).encode(), (acse.Aare,), step, False)
        self._aare_ms = exchange.now() - asked
        agreed = self._check_aare(answer, step)
        exchange.max_send = exchange.link.max_apdu
        if agreed.max_pdu:
            exchange.max_send = min(agreed.max_pdu, exchange.max_send)
        conformance = agreed.conformance & self._services()
        if wanted.protection.general and not conformance & acse.GENERAL_PROTECTION:
            raise NotSupported("%s: the meter did not agree to general-protection" % step)
        if wanted.proves:
            # The association is only pending: nothing but this one method is allowed in it, in
            # whatever it has to be wrapped to fit.
            exchange.conformance = (_INVOKING_SN if self._short else acse.ACTION) | (
                conformance & (acse.GENERAL_PROTECTION | acse.GENERAL_BLOCK_TRANSFER)
            )
            if exchange.ciphering is not None:
                exchange.ciphering.pending = True
            await self._prove(challenge, answer, step)
        if exchange.ciphering is not None:
            exchange.ciphering.pending = False
        exchange.conformance = conformance

    def _begin_protection(self) -> None:
        """A fresh Ciphering; what the meter sent last is remembered from the one before."""
        wanted = self._association
        exchange = self._exchange
        before = exchange.ciphering
        self._dedicated = b""
        exchange.ciphering = None
        if wanted.keys is None or (
            wanted.protection.form == PLAIN and not wanted.protection.signed
        ):
            return
        exchange.ciphering = Ciphering(
            self._crypto,
            wanted.keys,
            self._next_counter,
            b"",
            -1 if before is None else before.received,
            wanted.protection,
        )
        if wanted.protection.dedicated:
            self._dedicated = self._crypto.random(wanted.keys.suite.key_size)
            exchange.ciphering.dedicate(self._dedicated)

    def _aarq(self, challenge: bytes) -> acse.Aarq:
        wanted = self._association
        return acse.Aarq(
            wanted.context,
            self._initiate_request(),
            b"" if wanted.keys is None else wanted.keys.system_title,
            wanted.authentication,
            challenge if wanted.proves else wanted.secret,
        )

    def _services(self) -> int:
        """What is proposed: nothing that the meter did not keep to before."""
        return (
            self._association.services & self._proposed or self._proposed
        ) & ~self._exchange.unkept

    def _initiate_request(self) -> bytes:
        largest = min(self._association.max_pdu or 0xFFFF, self._exchange.link.max_apdu, 0xFFFF)
        plain = acse.InitiateRequest(self._services(), largest, self._dedicated).encode()
        ciphering = self._exchange.ciphering
        return plain if ciphering is None else ciphering.protect(plain)

    def _check_aare(self, answer: acse.Aare, step: str) -> acse.InitiateResponse:
        wanted = self._association
        if answer.result != acse.ACCEPTED:
            name = answer.diagnostic_name()
            hint = self._hint(name, answer.context)
            transient = answer.result == acse.REJECTED_TRANSIENT
            if transient:
                hint = "the meter is busy, perhaps with another client: try again later"
            said = _initiate_error(answer.user_information)
            text = "%s: %s, %s%s; %s" % (step, answer.result_name(), name, said, hint)
            raise AssociationRefused(name, text, transient)
        if answer.context != wanted.context:
            raise ProtocolError(
                "%s: application context %d came, %d was asked"
                % (step, answer.context, wanted.context)
            )
        information = answer.user_information
        ciphering = self._exchange.ciphering
        if ciphering is not None:
            ciphering.peer_title = answer.title
            if wanted.protection.form != PLAIN:
                information = ciphering.unprotect(information)
        agreed = acse.InitiateResponse.decode(information)
        # Some meters leave out the name of the mechanism, but not their challenge: passes 3 and 4
        # will show whether it is ours.
        named = answer.mechanism != acse.NONE or not answer.value
        if wanted.proves and named and answer.mechanism != wanted.authentication:
            raise SecurityFailed("%s: the meter skips its own authentication" % step)
        return agreed

    def _hint(self, diagnostic: str, context: int) -> str:
        """What to try, of a meter that refuses and names a context of its own."""
        if context != self._association.context and context in _CONTEXTS:
            return "the meter wants %s" % _CONTEXTS[context]
        return _DIAGNOSTIC_HINTS.get(diagnostic, "check authentication, keys and client number")

    async def _prove(self, challenge: bytes, answer: acse.Aare, step: str) -> None:
        """Passes 3 and 4 of HLS: our f(StoC) for the meter's f(CtoS)."""
        wanted = self._association
        ciphering = self._exchange.ciphering
        if wanted.authentication == acse.HIGH_GMAC and ciphering is None:
            assert wanted.keys is not None
            ciphering = Ciphering(self._crypto, wanted.keys, self._next_counter, answer.title)
        proving = hls.Hls(
            wanted.authentication,
            self._crypto,
            wanted.secret,
            wanted.keys,
            ciphering,
            wanted.algorithm,
        )
        try:
            hls.check_challenge(wanted.authentication, answer.value, challenge)
            own = proving.prove(answer.value, challenge, answer.title)
            reply = await self._reply_to_hls(axdr.encode((axdr.OCTET_STRING, own)))
            typed = axdr.decode(reply or b"")
            if typed[0] != axdr.OCTET_STRING:
                raise ProtocolError("%s: the meter's HLS proof is not an octet-string" % step)
            proving.check(typed[1], challenge, answer.value, answer.title)
        except ActionRefused as refused:
            raise _ProofRefused(
                "authentication-failure",
                "%s: the meter refused our HLS proof (%s); check the keys" % (step, refused.result),
            )
        except SecurityFailed as failed:
            raise SecurityFailed("%s: %s" % (step, failed))

    async def _reply_to_hls(self, proof: bytes) -> bytes | None:
        """Method reply_to_HLS_authentication of the current association."""
        if self._short:
            from gateway.dlms.client.short_names import reply_to_hls

            return await reply_to_hls(self._exchange, self.abandon, proof)
        return await invoking.action(
            self._exchange, 15, self._association.current, _REPLY_TO_HLS, proof, True
        )

    def _release_information(self) -> bytes:
        """What proves to a ciphering meter that the RLRQ is ours."""
        if self._exchange.ciphering is None or not self._exchange.conformance:
            return b""
        try:
            return self._initiate_request()
        except SecurityFailed:
            return b""


_CONTEXTS = {
    acse.LN: "logical names (LN) without ciphering",
    acse.SN: "short names (SN) without ciphering",
    acse.LN_CIPHERED: "logical names (LN) with ciphering",
    acse.SN_CIPHERED: "short names (SN) with ciphering",
}
_DIAGNOSTIC_HINTS = {
    "application-context-name-not-supported": (
        "the meter wants ciphering, or wants none; or it knows the other names only (LN, SN)"
    ),
    "calling-AP-title-not-recognized": "check the system title",
    "authentication-mechanism-name-not-recognised": "choose another authentication",
    "authentication-mechanism-name-required": "choose an authentication",
    "authentication-failure": "check password and keys",
    "authentication-required": "this client must authenticate",
    "no-common-acse-version": "the meter speaks another version of ACSE",
}


def _initiate_error(information: bytes) -> str:
    """What a confirmed-service-error inside a refusing AARE adds."""
    try:
        error = apdu.decode(information)
    except ProtocolError:
        return ""
    if not isinstance(error, apdu.ConfirmedServiceError):
        return ""
    return " (%s)" % error.error_name()
