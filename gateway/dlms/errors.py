"""What can go wrong with a meter. Texts say the step, the object, what came and what to do.

Never a secret."""

from __future__ import annotations


class DlmsError(Exception):
    """Base of what the DLMS client raises about a meter. OSError of the link passes as it is."""


class ProtocolError(DlmsError):
    """Bytes from the meter are not what the standard describes."""


class LinkBroken(ProtocolError):
    """The data link (HDLC) has ended, over bytes that are not what its standard describes, or over
    ours that the meter takes for such: associate anew."""


class NoAnswer(DlmsError):
    """Nothing (that fits the request) came in time, in all tries."""


class AssociationRefused(DlmsError):
    """The meter answered the AARQ with a refusal; `diagnostic` is its standard name. `transient`:
    it will take the same later (another client is connected, or it is starting)."""

    def __init__(self, diagnostic: str, text: str, transient: bool = False) -> None:
        super().__init__(text)
        self.diagnostic = diagnostic
        self.transient = transient


class AccessRefused(DlmsError):
    """GET or SET refused; `result` is the data-access-result's standard name, `number` its number
    (250: other-reason), `object` the attribute."""

    def __init__(self, result: str, object: str, text: str, number: int = 250) -> None:
        super().__init__(text)
        self.result = result
        self.object = object
        self.number = number


class ActionRefused(DlmsError):
    """ACTION refused; `result` is the action-result's standard name, `number` its number (0: done,
    but the answer could not be given), `object` says which method."""

    def __init__(self, result: str, object: str, text: str, number: int = 250) -> None:
        super().__init__(text)
        self.result = result
        self.object = object
        self.number = number


class ServiceRefused(DlmsError):
    """exception-response or confirmed-service-error; `state` and `service` are the standard names.

    `counter` is the invocation counter the meter names, when it does (else None): the one it
    expects, as the standard says, or the last it has accepted, as some understand it. The next one
    above it satisfies both.
    """

    def __init__(self, state: str, service: str, counter: int | None, text: str) -> None:
        super().__init__(text)
        self.state = state
        self.service = service
        self.counter = counter


class SecurityFailed(DlmsError):
    """A tag does not match, a counter is not fresh, or an answer came plain that must not."""


class Replayed(SecurityFailed):
    """The counter of an otherwise authentic APDU has been seen before: a replay, or a duplicate."""


class NotSupported(DlmsError):
    """The meter did not agree to a service this needs."""


class LinkSilent(NoAnswer):
    """The data link (HDLC) got no answer in all its own tries: trying again above it is idle."""


class LinkLost(DlmsError):
    """The meter refused or gave up the data link connection (HDLC DM): associate anew."""


# with these the data link has ended, and with it the association
LINK_ENDED = (LinkBroken, LinkSilent, LinkLost)
