"""Opening and closing an association: AARQ, AARE, RLRQ, RLRE (Green Book 9.4.2, BER of ACSE) and
the xDLMS InitiateRequest/Response inside them (Green Book 9.4.4, A-XDR).

Every class has `encode() -> bytes` and a static `decode(data) -> instance`; decoding raises
ProtocolError only. BER fields that this profile does not use are skipped.
"""

from __future__ import annotations

from gateway.dlms.data.axdr import bytes_at, put_length
from gateway.dlms.errors import ProtocolError
from gateway.dlms.fields import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.data.axdr import Bytes

AARQ = 0x60
AARE = 0x61
RLRQ = 0x62
RLRE = 0x63
INITIATE_REQUEST = 0x01
INITIATE_RESPONSE = 0x08

# application context names, 2.16.756.5.8.1.x
LN = 1
SN = 2
LN_CIPHERED = 3
SN_CIPHERED = 4

# authentication mechanism names, 2.16.756.5.8.2.x
NONE = 0
LOW = 1
HIGH = 2  # manufacturer specific
HIGH_MD5 = 3
HIGH_SHA1 = 4
HIGH_GMAC = 5
HIGH_SHA256 = 6
HIGH_ECDSA = 7

ACCEPTED = 0
REJECTED_TRANSIENT = 2
RESULTS = ("accepted", "rejected-permanent", "rejected-transient")

RELEASE_REASONS = {0: "normal", 1: "urgent", 30: "user-defined"}  # of an RLRQ
RELEASE_RESPONSES = {0: "normal", 1: "not-finished", 30: "user-defined"}  # of an RLRE

# (source, number): standard name; source 1 is the ACSE service user, 2 its provider
DIAGNOSTICS = {
    (1, 0): "null",
    (1, 1): "no-reason-given",
    (1, 2): "application-context-name-not-supported",
    (1, 3): "calling-AP-title-not-recognized",
    (1, 4): "calling-AP-invocation-identifier-not-recognized",
    (1, 5): "calling-AE-qualifier-not-recognized",
    (1, 6): "calling-AE-invocation-identifier-not-recognized",
    (1, 7): "called-AP-title-not-recognized",
    (1, 8): "called-AP-invocation-identifier-not-recognized",
    (1, 9): "called-AE-qualifier-not-recognized",
    (1, 10): "called-AE-invocation-identifier-not-recognized",
    (1, 11): "authentication-mechanism-name-not-recognised",
    (1, 12): "authentication-mechanism-name-required",
    (1, 13): "authentication-failure",
    (1, 14): "authentication-required",
    (2, 0): "null",
    (2, 1): "no-reason-given",
    (2, 2): "no-common-acse-version",
}
AUTHENTICATION_FAILURE = 13
AUTHENTICATION_REQUIRED = 14

# conformance block (Green Book 9.4.6.1): bit 0 is the first on the wire, so 1 << 23 - bit
GENERAL_PROTECTION = 1 << 22
GENERAL_BLOCK_TRANSFER = 1 << 21
READ = 1 << 20
WRITE = 1 << 19
UNCONFIRMED_WRITE = 1 << 18
ATTRIBUTE0_WITH_SET = 1 << 15
PRIORITY = 1 << 14
ATTRIBUTE0_WITH_GET = 1 << 13
BLOCK_GET = 1 << 12  # block-transfer-with-get-or-read
BLOCK_SET = 1 << 11  # block-transfer-with-set-or-write
BLOCK_ACTION = 1 << 10
MULTIPLE_REFERENCES = 1 << 9
INFORMATION_REPORT = 1 << 8
DATA_NOTIFICATION = 1 << 7
ACCESS = 1 << 6
PARAMETERIZED_ACCESS = 1 << 5
GET = 1 << 4
SET = 1 << 3
SELECTIVE_ACCESS = 1 << 2
EVENT_NOTIFICATION = 1 << 1
ACTION = 1

CONFORMANCE_NAMES = {
    GENERAL_PROTECTION: "general-protection",
    GENERAL_BLOCK_TRANSFER: "general-block-transfer",
    READ: "read",
    WRITE: "write",
    UNCONFIRMED_WRITE: "unconfirmed-write",
    ATTRIBUTE0_WITH_SET: "attribute0-supported-with-set",
    PRIORITY: "priority-mgmt-supported",
    ATTRIBUTE0_WITH_GET: "attribute0-supported-with-get",
    BLOCK_GET: "block-transfer-with-get-or-read",
    BLOCK_SET: "block-transfer-with-set-or-write",
    BLOCK_ACTION: "block-transfer-with-action",
    MULTIPLE_REFERENCES: "multiple-references",
    INFORMATION_REPORT: "information-report",
    DATA_NOTIFICATION: "data-notification",
    ACCESS: "access",
    PARAMETERIZED_ACCESS: "parameterized-access",
    GET: "get",
    SET: "set",
    SELECTIVE_ACCESS: "selective-access",
    EVENT_NOTIFICATION: "event-notification",
    ACTION: "action",
}

_VERSION = 6
VAA_LN = 0x0007  # vaa-name of logical name referencing
VAA_SN = 0xFA00  # with short names: the base name of the current association
_OID = b"\x60\x85\x74\x05\x08"  # 2.16.756.5.8


class Aarq(Fields):
    """`context` LN.., `mechanism` NONE.., `value` the secret or challenge, `user_information` an
    InitiateRequest, plain or glo-ciphered."""

    __slots__ = ("context", "mechanism", "title", "user_information", "value")
    FIELDS = ("context", "mechanism", "title", "value", "user_information")

    def __init__(
        self,
        context: int,
        user_information: bytes,
        title: bytes = b"",
        mechanism: int = NONE,
        value: bytes = b"",
    ) -> None:
        self.context = context
        self.user_information = user_information
        self.title = title
        self.mechanism = mechanism
        self.value = value

    def encode(self) -> bytes:
        body = bytearray()
        _put_tlv(body, 0xA1, b"\x06\x07" + _OID + bytes((1, self.context)))
        if self.title:
            _put_tlv(body, 0xA6, _tlv(0x04, self.title))
        if self.mechanism:
            _put_tlv(body, 0x8A, b"\x07\x80")  # sender-acse-requirements: authentication
            _put_tlv(body, 0x8B, _OID + bytes((2, self.mechanism)))
            _put_tlv(body, 0xAC, _tlv(0x80, self.value))
        _put_tlv(body, 0xBE, _tlv(0x04, self.user_information))
        return _tlv(AARQ, body)

    @staticmethod
    def decode(data: Bytes) -> Aarq:
        fields = _Tags(data, AARQ)
        return Aarq(
            _oid(fields.inner(0xA1, 0x06), 1),
            fields.inner(0xBE, 0x04),
            fields.inner(0xA6, 0x04),
            _oid(fields.take(0x8B), 2) if fields.has(0x8B) else NONE,
            fields.inner(0xAC, 0x80),
        )


class Aare(Fields):
    """`result` 0 accepted, 1 rejected-permanent, 2 rejected-transient; `diagnostic` is (source,
    number), see DIAGNOSTICS; `value` is StoC where HLS goes on."""

    __slots__ = (
        "context",
        "diagnostic",
        "mechanism",
        "result",
        "title",
        "user_information",
        "value",
    )
    FIELDS = ("context", "result", "diagnostic", "title", "mechanism", "value", "user_information")

    def __init__(
        self,
        context: int,
        result: int,
        diagnostic: tuple[int, int],
        user_information: bytes,
        title: bytes = b"",
        mechanism: int = NONE,
        value: bytes = b"",
    ) -> None:
        self.context = context
        self.result = result
        self.diagnostic = diagnostic
        self.user_information = user_information
        self.title = title
        self.mechanism = mechanism
        self.value = value

    def result_name(self) -> str:
        return RESULTS[self.result] if self.result < len(RESULTS) else "result %d" % self.result

    def diagnostic_name(self) -> str:
        return DIAGNOSTICS.get(self.diagnostic, "diagnostic {}.{}".format(*self.diagnostic))

    def encode(self) -> bytes:
        body = bytearray()
        _put_tlv(body, 0xA1, b"\x06\x07" + _OID + bytes((1, self.context)))
        _put_tlv(body, 0xA2, b"\x02\x01" + bytes((self.result,)))
        source, number = self.diagnostic
        _put_tlv(body, 0xA3, _tlv(0xA0 + source, b"\x02\x01" + bytes((number,))))
        if self.title:
            _put_tlv(body, 0xA4, _tlv(0x04, self.title))
        if self.mechanism:
            _put_tlv(body, 0x88, b"\x07\x80")  # responder-acse-requirements: authentication
            _put_tlv(body, 0x89, _OID + bytes((2, self.mechanism)))
            _put_tlv(body, 0xAA, _tlv(0x80, self.value))
        if self.user_information:
            _put_tlv(body, 0xBE, _tlv(0x04, self.user_information))
        return _tlv(AARE, body)

    @staticmethod
    def decode(data: Bytes) -> Aare:
        fields = _Tags(data, AARE)
        source, number = fields.diagnostic()
        return Aare(
            _oid(fields.inner(0xA1, 0x06), 1),
            _small(fields.inner(0xA2, 0x02)),
            (source, number),
            fields.inner(0xBE, 0x04),
            fields.inner(0xA4, 0x04),
            _oid(fields.take(0x89), 2) if fields.has(0x89) else NONE,
            fields.inner(0xAA, 0x80),
        )


class Rlrq(Fields):
    """Release request; `reason` 0 normal. `user_information` may hold an InitiateRequest."""

    __slots__ = ("reason", "user_information")
    FIELDS = ("reason", "user_information")

    def __init__(self, reason: int = 0, user_information: bytes = b"") -> None:
        self.reason = reason
        self.user_information = user_information

    def reason_name(self) -> str:
        return RELEASE_REASONS.get(self.reason, "reason %d" % self.reason)

    def encode(self) -> bytes:
        return _release(RLRQ, self.reason, self.user_information)

    @staticmethod
    def decode(data: Bytes) -> Rlrq:
        fields = _Tags(data, RLRQ)
        return Rlrq(_small(fields.take(0x80, b"\x00")), fields.inner(0xBE, 0x04))


class Rlre(Fields):
    """Release response; `reason` 0 normal, 1 not finished, 30 user defined."""

    __slots__ = ("reason", "user_information")
    FIELDS = ("reason", "user_information")

    def __init__(self, reason: int = 0, user_information: bytes = b"") -> None:
        self.reason = reason
        self.user_information = user_information

    def reason_name(self) -> str:
        return RELEASE_RESPONSES.get(self.reason, "reason %d" % self.reason)

    def encode(self) -> bytes:
        return _release(RLRE, self.reason, self.user_information)

    @staticmethod
    def said_by(data: Bytes) -> Rlre:
        """Of an APDU with this tag, whatever is wrong behind it: it ends the association all the
        same. Some libraries count the outer lengths too small."""
        has_reason = len(data) > 4 and bytes(data[2:4]) == b"\x80\x01"
        return Rlre(data[4] if has_reason else 0)

    @staticmethod
    def decode(data: Bytes) -> Rlre:
        fields = _Tags(data, RLRE)
        return Rlre(_small(fields.take(0x80, b"\x00")), fields.inner(0xBE, 0x04))


class InitiateRequest(Fields):
    """`conformance` is a 24-bit set of the bits above; `max_pdu` what the client can receive, in
    bytes (0: no limit)."""

    __slots__ = ("conformance", "dedicated_key", "max_pdu", "response_allowed")
    FIELDS = ("conformance", "max_pdu", "response_allowed", "dedicated_key")

    def __init__(
        self,
        conformance: int,
        max_pdu: int,
        dedicated_key: bytes = b"",
        response_allowed: bool = True,
    ) -> None:
        self.conformance = conformance
        self.max_pdu = max_pdu
        self.dedicated_key = dedicated_key
        self.response_allowed = response_allowed

    def encode(self) -> bytes:
        out = bytearray((INITIATE_REQUEST,))
        if self.dedicated_key:
            out.append(1)
            put_length(out, len(self.dedicated_key))
            out.extend(self.dedicated_key)
        else:
            out.append(0)
        out.extend(b"\x00" if self.response_allowed else b"\x01\x00")  # BOOLEAN DEFAULT TRUE
        out.append(0)  # no quality of service
        out.append(_VERSION)
        _put_conformance(out, self.conformance)
        _put_u16(out, self.max_pdu)
        return bytes(out)

    @staticmethod
    def decode(data: Bytes) -> InitiateRequest:
        pos = _expect(data, 0, INITIATE_REQUEST, "InitiateRequest")
        key = b""
        present, pos = _flag(data, pos)
        if present:
            key, pos = bytes_at(data, pos)
        response_allowed = True
        present, pos = _flag(data, pos)
        if present:
            response_allowed, pos = _flag(data, pos)
        present, pos = _flag(data, pos)
        if present:
            _, pos = _octet(data, pos)  # quality of service: no meaning in COSEM
        version, pos = _octet(data, pos)
        if version != _VERSION:
            raise ProtocolError(f"DLMS version {version} where {_VERSION} is expected")
        conformance, pos = _conformance(data, pos)
        max_pdu, pos = _u16(data, pos)
        _finished(data, pos, "InitiateRequest")
        return InitiateRequest(conformance, max_pdu, key, response_allowed)


class InitiateResponse(Fields):
    """`conformance` is what both sides will use; `max_pdu` what the server can receive, in bytes
    (0: no limit); `vaa_name` VAA_LN or VAA_SN."""

    __slots__ = ("conformance", "max_pdu", "vaa_name")
    FIELDS = ("conformance", "max_pdu", "vaa_name")

    def __init__(self, conformance: int, max_pdu: int, vaa_name: int = VAA_LN) -> None:
        self.conformance = conformance
        self.max_pdu = max_pdu
        self.vaa_name = vaa_name

    def encode(self) -> bytes:
        out = bytearray((INITIATE_RESPONSE, 0, _VERSION))
        _put_conformance(out, self.conformance)
        _put_u16(out, self.max_pdu)
        _put_u16(out, self.vaa_name)
        return bytes(out)

    @staticmethod
    def decode(data: Bytes) -> InitiateResponse:
        pos = _expect(data, 0, INITIATE_RESPONSE, "InitiateResponse")
        present, pos = _flag(data, pos)
        if present:
            _, pos = _octet(data, pos)
        version, pos = _octet(data, pos)
        if version != _VERSION:
            raise ProtocolError(f"DLMS version {version} where {_VERSION} is expected")
        conformance, pos = _conformance(data, pos)
        max_pdu, pos = _u16(data, pos)
        vaa_name, pos = _u16(data, pos)
        _finished(data, pos, "InitiateResponse")
        return InitiateResponse(conformance, max_pdu, vaa_name)


# ---------------------------------------------------------------- BER


class _Tags:
    """The fields of one BER sequence, each at most once."""

    def __init__(self, data: Bytes, tag: int) -> None:
        found, body, pos = _tlv_at(data, 0)
        if found != tag:
            raise ProtocolError(f"APDU tag {found:#04x} where {tag:#04x} is expected")
        if pos != len(data):
            raise ProtocolError(f"{len(data) - pos} bytes left over after the APDU")
        self._fields: dict[int, bytes] = {}
        pos = 0
        while pos < len(body):
            tag, value, pos = _tlv_at(body, pos)
            if tag in self._fields:
                raise ProtocolError(f"field {tag:#04x} comes twice")
            self._fields[tag] = value

    def has(self, tag: int) -> bool:
        return tag in self._fields

    def take(self, tag: int, default: bytes = b"") -> bytes:
        return self._fields.get(tag, default)

    def inner(self, tag: int, inner_tag: int) -> bytes:
        """What the one TLV inside the field holds; b"" where the field is absent."""
        if tag not in self._fields:
            return b""
        body = self._fields[tag]
        found, value, pos = _tlv_at(body, 0)
        if found != inner_tag or pos != len(body):
            raise ProtocolError(f"field {tag:#04x} does not hold one {inner_tag:#04x}")
        return value

    def diagnostic(self) -> tuple[int, int]:
        body = self.take(0xA3)
        tag, value, pos = _tlv_at(body, 0)
        if tag not in (0xA1, 0xA2) or pos != len(body):
            raise ProtocolError("result-source-diagnostic is neither user's nor provider's")
        found, number, pos = _tlv_at(value, 0)
        if found != 0x02 or pos != len(value):
            raise ProtocolError("result-source-diagnostic is not one integer")
        return tag - 0xA0, _small(number)


def _tlv(tag: int, value: bytes | bytearray) -> bytes:
    out = bytearray()
    _put_tlv(out, tag, value)
    return bytes(out)


def _put_tlv(out: bytearray, tag: int, value: bytes | bytearray) -> None:
    out.append(tag)
    put_length(out, len(value))
    out.extend(value)


def _tlv_at(data: Bytes, pos: int) -> tuple[int, bytes, int]:
    # a BER length below 2**32 is spelt as in A-XDR
    tag, pos = _octet(data, pos)
    value, pos = bytes_at(data, pos)
    return tag, value, pos


def _oid(value: bytes, branch: int) -> int:
    """The last number of a DLMS UA object identifier 2.16.756.5.8.branch.number."""
    if len(value) != 7 or value[:5] != _OID or value[5] != branch:
        raise ProtocolError("an object identifier that is not 2.16.756.5.8." + str(branch))
    return value[6]


def _small(value: bytes) -> int:
    if len(value) != 1:
        raise ProtocolError(f"an integer of {len(value)} bytes where 1 is expected")
    return value[0]


def _release(tag: int, reason: int, user_information: bytes) -> bytes:
    body = bytearray((0x80, 1, reason))
    if user_information:
        _put_tlv(body, 0xBE, _tlv(0x04, user_information))
    return _tlv(tag, body)


# ---------------------------------------------------------------- A-XDR of Initiate


def _octet(data: Bytes, pos: int) -> tuple[int, int]:
    if pos >= len(data):
        raise ProtocolError("the APDU ends early")
    return data[pos], pos + 1


def _flag(data: Bytes, pos: int) -> tuple[bool, int]:
    value, pos = _octet(data, pos)
    return value != 0, pos


def _u16(data: Bytes, pos: int) -> tuple[int, int]:
    if pos + 2 > len(data):
        raise ProtocolError("the APDU ends early")
    return data[pos] << 8 | data[pos + 1], pos + 2


def _put_u16(out: bytearray, value: int) -> None:
    if not 0 <= value <= 0xFFFF:
        raise ValueError(f"{value} does not fit 16 bits")
    out.append(value >> 8)
    out.append(value & 0xFF)


def _put_conformance(out: bytearray, conformance: int) -> None:
    # [APPLICATION 31] BIT STRING of 24 bits, in BER inside the A-XDR (Green Book 9.4.4)
    out.extend(b"\x5f\x1f\x04\x00")
    out.extend(conformance.to_bytes(3, "big"))


def _conformance(data: Bytes, pos: int) -> tuple[int, int]:
    if pos + 7 > len(data) or bytes(data[pos : pos + 4]) != b"\x5f\x1f\x04\x00":
        raise ProtocolError("no conformance block (5F 1F 04 00) where it is due")
    return int.from_bytes(bytes(data[pos + 4 : pos + 7]), "big"), pos + 7


def _expect(data: Bytes, pos: int, tag: int, name: str) -> int:
    found, pos = _octet(data, pos)
    if found != tag:
        raise ProtocolError(f"tag {found:#04x} where an {name} is expected")
    return pos


def _finished(data: Bytes, pos: int, name: str) -> None:
    if pos != len(data):
        raise ProtocolError(f"{len(data) - pos} bytes left over after the {name}")
