"""A meter's no as an error: the step, the object, the standard result, and what to try."""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.errors import AccessRefused, ActionRefused, ServiceRefused

# results of GET and SET that say a block transfer has come apart, not that access is denied
BROKEN_TRANSFER = (14, 15, 16, 17, 18, 19)

_HINTS = {
    "hardware-fault": "the meter is defective; read its error register",
    "temporary-failure": "try later",
    "read-write-denied": "the client may not do this at this association's level",
    "object-undefined": "the meter has no such object; check model and firmware",
    "object-class-inconsistent": "the object is there under another class; read the object list",
    "object-unavailable": "the meter cannot give it now; try later",
    "type-unmatched": "the value's type is not what this object takes",
    "scope-of-access-violated": "only part of the object is open to this client",
    "other-reason": "the meter does not say why; check the value's range",
}

_SERVICE_HINTS = {
    "operation-not-possible": "the meter has no association for it (any more): associate again",
    "service-not-supported": "the meter lacks this service",
    "pdu-too-long": "ask for a smaller largest APDU",
    "deciphering-error": "check keys and system title",
    "invocation-counter-error": "the meter has counted further than we have; go on above that",
}


class Broken(Exception):
    """A block transfer of GET or SET came apart (a repeated block confused the meter); both may
    start again from the first block."""

    def __init__(self, result: int) -> None:
        super().__init__(result)
        self.result = result


def hint(result: str) -> str:
    return "; " + _HINTS[result] if result in _HINTS else ""


def access_refused(result: int, step: str) -> AccessRefused:
    name = apdu.access_result_name(result)
    return AccessRefused(name, step, "%s: %s%s" % (step, name, hint(name)), result)


def action_refused(result: int, step: str) -> ActionRefused:
    name = apdu.action_result_name(result)
    return ActionRefused(name, step, "%s: %s%s" % (step, name, hint(name)), result)


def broken(result: int, step: str) -> Exception:
    return Broken(result) if result in BROKEN_TRANSFER else access_refused(result, step)


def service_refused(
    answer: apdu.ExceptionResponse | apdu.ConfirmedServiceError, step: str
) -> ServiceRefused:
    """Of an answer that refuses the service as a whole."""
    if isinstance(answer, apdu.ConfirmedServiceError):
        service, error_name = answer.service_name(), answer.error_name()
        text = "%s: confirmed-service-error, %s, %s" % (step, service, error_name)
        return ServiceRefused(service, error_name, None, text)
    state, service = answer.state_name(), answer.service_name()
    text = "%s: exception-response, %s, %s" % (step, state, service)
    if answer.counter is not None:
        text += "; the meter names counter %d" % answer.counter
    if service in _SERVICE_HINTS:
        text += "; " + _SERVICE_HINTS[service]
    return ServiceRefused(state, service, answer.counter, text)
