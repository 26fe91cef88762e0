"""What an error about a meter means for its result: by what the meter said, not by the step in
which it said so."""

from __future__ import annotations

from gateway.activities.readable import one_line
from gateway.contract.result import KO, Result
from gateway.dlms.errors import (
    AccessRefused,
    ActionRefused,
    AssociationRefused,
    LinkLost,
    NotSupported,
    SecurityFailed,
    ServiceRefused,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.errors import DlmsError

# by data-access-result and action-result
_OF_RESULT = {
    "hardware-fault": "meter-defective",
    "temporary-failure": "meter-busy",
    "object-unavailable": "meter-busy",
    "read-write-denied": "access-denied",
    "scope-of-access-violated": "access-denied",
    "object-undefined": "object-mismatch",
    "object-class-inconsistent": "object-mismatch",
    "type-unmatched": "type-mismatch",
    "data-block-unavailable": "request-refused",
    "data-block-number-invalid": "request-refused",
    "long-get-aborted": "request-refused",
    "no-long-get-in-progress": "request-refused",
    "long-set-aborted": "request-refused",
    "no-long-set-in-progress": "request-refused",
    "long-action-aborted": "request-refused",
    "no-long-action-in-progress": "request-refused",
}
# by the diagnostic of an AARE; of any other, the meter does not know us
_OF_DIAGNOSTIC = {
    "application-context-name-not-supported": "association-unsuited",
    "authentication-mechanism-name-not-recognised": "association-unsuited",
    "authentication-mechanism-name-required": "association-unsuited",
    "authentication-required": "association-unsuited",
    "no-common-acse-version": "association-unsuited",
}
# by the error of an exception-response, or the group, or group and name, of a
# confirmed-service-error
_OF_SERVICE = {
    "service-not-supported": "service-refused",
    "pdu-too-long": "service-refused",
    "deciphering-error": "security-failed",
    "invocation-counter-error": "security-failed",
    "application-reference": "meter-busy",
    "application-reference/application-context-unsupported": "association-unsuited",
    "application-reference/deciphering-error": "security-failed",
    "hardware-resource": "meter-busy",
    "vde-state-error": "association-lost",
    "service": "service-refused",
    "definition": "object-mismatch",
    "access/scope-of-access-violated": "access-denied",
    "access/object-access-violated": "access-denied",
    "access/hardware-fault": "meter-defective",
    "access/object-unavailable": "meter-busy",
    "initiate": "association-unsuited",
    "initiate/refused-by-the-VDE-handler": "association-refused",
}


def explained(error: DlmsError, associated: bool) -> Result:
    """The KO that an error about the meter means; its text names the object and what came."""
    return Result(KO, _reason(error, associated), one_line(str(error)))


def refused_with(result: str, otherwise: str) -> str:
    """The reason that a data-access-result or action-result gives; `otherwise` where it says no
    more than no."""
    return _OF_RESULT.get(result, otherwise)


def _reason(error: DlmsError, associated: bool) -> str:
    if isinstance(error, AssociationRefused):
        if error.transient:
            return "meter-busy"
        return _OF_DIAGNOSTIC.get(error.diagnostic, "association-refused")
    if isinstance(error, SecurityFailed):
        return "security-failed"
    if isinstance(error, AccessRefused):
        # A refused write is judged by the activity that wrote; what is left are reads.
        return refused_with(error.result, "read-refused")
    if isinstance(error, ActionRefused):
        # Before the association stands the only method is the HLS reply.
        return refused_with(error.result, "action-refused") if associated else "association-refused"
    if isinstance(error, ServiceRefused):
        return _of_service(error, associated)
    if isinstance(error, NotSupported):
        return "service-refused"
    if isinstance(error, LinkLost):
        return "link-lost" if associated else "meter-busy"
    return "meter-protocol-error"


def _of_service(error: ServiceRefused, associated: bool) -> str:
    if error.service == "operation-not-possible":
        # There is no association (any more); to an AARQ: not now.
        return "association-lost" if associated else "meter-busy"
    unknown = "service-refused" if error.state == "service-unknown" else "request-refused"
    group = error.service.split("/")[0]
    return _OF_SERVICE.get(error.service, _OF_SERVICE.get(group, unknown))
