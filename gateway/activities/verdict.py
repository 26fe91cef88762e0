"""What an error about a meter means for its result."""

from __future__ import annotations

from gateway.activities.readable import one_line, passing
from gateway.contract.result import KO, Result
from gateway.dlms.errors import (
    AccessRefused,
    ActionRefused,
    AssociationRefused,
    SecurityFailed,
    ServiceRefused,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.errors import DlmsError


def explained(error: DlmsError, associated: bool) -> Result:
    """The KO that an error about the meter means; its text names the object and what came."""
    if isinstance(error, AssociationRefused):
        reason = "association-refused"
    elif isinstance(error, SecurityFailed):
        reason = "security-failed"
    elif isinstance(error, AccessRefused):
        # A refused write is judged by the activity that wrote; what is left are reads.
        reason = "meter-busy" if passing(error.result) else "read-refused"
    elif isinstance(error, ActionRefused):
        # Before the association stands the only method is the HLS reply.
        reason = "action-refused" if associated else "association-refused"
    elif isinstance(error, ServiceRefused) and error.service == "deciphering-error":
        reason = "security-failed"
    else:
        reason = "meter-protocol-error"
    return Result(KO, reason, one_line(str(error)))
