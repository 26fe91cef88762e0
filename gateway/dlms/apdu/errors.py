"""How a meter refuses a whole service: exception-response and confirmed-service-error."""

from __future__ import annotations

from gateway.dlms.apdu.parts import ends, lone_u32, u32
from gateway.dlms.errors import ProtocolError
from gateway.dlms.fields import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.data.axdr import Bytes

EXCEPTION_RESPONSE = 0xD8
CONFIRMED_SERVICE_ERROR = 0x0E

STATE_ERRORS = {1: "service-not-allowed", 2: "service-unknown"}
SERVICE_ERRORS = {
    1: "operation-not-possible",
    2: "service-not-supported",
    3: "other-reason",
    4: "pdu-too-long",
    5: "deciphering-error",
    6: "invocation-counter-error",
}
INVOCATION_COUNTER_ERROR = 6

# the CHOICE of ConfirmedServiceError
CONFIRMED_SERVICES = {
    1: "initiate",
    2: "get-status",
    3: "get-name-list",
    4: "get-variable-attribute",
    5: "read",
    6: "write",
    7: "get-data-set-attribute",
    8: "get-TI-attribute",
    9: "change-scope",
    10: "start",
    11: "stop",
    12: "resume",
    13: "make-usable",
    14: "initiate-load",
    15: "load-segment",
    16: "terminate-load",
    17: "initiate-up-load",
    18: "up-load-segment",
    19: "terminate-up-load",
}
# the CHOICE of ServiceError, and its values from 0 on
SERVICE_ERROR_GROUPS = {
    0: (
        "application-reference",
        "other time-elapsed application-unreachable application-reference-invalid"
        " application-context-unsupported provider-communication-error deciphering-error",
    ),
    1: (
        "hardware-resource",
        "other memory-unavailable processor-resource-unavailable mass-storage-unavailable"
        " other-resource-unavailable",
    ),
    2: (
        "vde-state-error",
        "other no-dlms-context loading-data-set status-nochange status-inoperable",
    ),
    3: ("service", "other pdu-size service-unsupported"),
    4: (
        "definition",
        "other object-undefined object-class-inconsistent object-attribute-inconsistent",
    ),
    5: (
        "access",
        "other scope-of-access-violated object-access-violated hardware-fault object-unavailable",
    ),
    6: (
        "initiate",
        "other dlms-version-too-low incompatible-conformance pdu-size-too-short"
        " refused-by-the-VDE-handler",
    ),
    7: (
        "load-data-set",
        "other primitive-out-of-sequence not-loadable dataset-size-too-large not-awaited-segment"
        " interpretation-failure storage-failure data-set-not-ready",
    ),
    9: ("task", "other no-remote-control ti-stopped ti-running ti-unusable"),
}


class ExceptionResponse(Fields):
    """`state` of STATE_ERRORS, `service` of SERVICE_ERRORS; `counter` is the invocation counter the
    server expects, with INVOCATION_COUNTER_ERROR only."""

    __slots__ = ("counter", "service", "state")
    FIELDS = ("state", "service", "counter")

    def __init__(self, state: int, service: int, counter: int | None = None) -> None:
        self.state = state
        self.service = service
        self.counter = counter

    def state_name(self) -> str:
        return STATE_ERRORS.get(self.state, "state-error %d" % self.state)

    def service_name(self) -> str:
        return SERVICE_ERRORS.get(self.service, "service-error %d" % self.service)

    def encode(self) -> bytes:
        head = bytes((EXCEPTION_RESPONSE, self.state, self.service))
        return head if self.counter is None else head + u32(self.counter)


class ConfirmedServiceError(Fields):
    """`service` of CONFIRMED_SERVICES, `group` of SERVICE_ERROR_GROUPS, `number` within it."""

    __slots__ = ("group", "number", "service")
    FIELDS = ("service", "group", "number")

    def __init__(self, service: int, group: int, number: int) -> None:
        self.service = service
        self.group = group
        self.number = number

    def service_name(self) -> str:
        return CONFIRMED_SERVICES.get(self.service, "service %d" % self.service)

    def error_name(self) -> str:
        """ "initiate/pdu-size-too-short", with numbers where the names are unknown."""
        if self.group not in SERVICE_ERROR_GROUPS:
            return "error %d/%d" % (self.group, self.number)
        group, names = SERVICE_ERROR_GROUPS[self.group]
        known = names.split(" ")
        if self.number < len(known):
            return "%s/%s" % (group, known[self.number])
        return "%s/%d" % (group, self.number)

    def encode(self) -> bytes:
        return bytes((CONFIRMED_SERVICE_ERROR, self.service, self.group, self.number))


def _exception_response(data: Bytes) -> ExceptionResponse:
    if len(data) < 3:
        raise ProtocolError("exception-response of %d bytes" % len(data))
    if data[2] == INVOCATION_COUNTER_ERROR and len(data) > 3:
        return ExceptionResponse(data[1], data[2], lone_u32(data))
    ends(data, 3)
    return ExceptionResponse(data[1], data[2])


def _confirmed_service_error(data: Bytes) -> ConfirmedServiceError:
    if len(data) != 4:
        raise ProtocolError("confirmed-service-error of %d bytes where 4 are due" % len(data))
    return ConfirmedServiceError(data[1], data[2], data[3])


ERROR_DECODERS = {
    EXCEPTION_RESPONSE: _exception_response,
    CONFIRMED_SERVICE_ERROR: _confirmed_service_error,
}
