"""Values for people and for programs.

JSON has the spelling that `set` and `action` take (tools/cosem/values.py), so what was read can
be written back: {"double-long-unsigned": 900}, {"array": [...]}, {"octet-string": "0x0a0b"}.
"""

from __future__ import annotations

import math
from typing import Any

from gateway.activities import identity
from gateway.contract.place import Place
from gateway.dlms.apdu import acse
from gateway.dlms.data import axdr, datetime, obis
from gateway.dlms.errors import ProtocolError
from tools.cosem import render
from tools.cosem.names import ATTRIBUTE, class_name, member_name
from tools.cosem.units import read_scaler_unit

Typed = tuple[int, Any]
Json = dict[str, Any]

# what enumerations mean (Blue Book), by class and attribute
_ENUMERATIONS: dict[tuple[int, int], dict[int, str]] = {
    (7, 5): {1: "fifo", 2: "lifo", 3: "largest", 4: "smallest", 5: "nearest to zero",
             6: "farthest from zero"},
    (8, 9): {0: "not defined", 1: "internal crystal", 2: "mains 50 Hz", 3: "mains 60 Hz", 4: "GPS",
             5: "radio controlled"},
    (15, 8): {0: "non-associated", 1: "association-pending", 2: "associated"},
    (18, 6): {0: "not initiated", 1: "initiated", 2: "verification initiated",
              3: "verification successful", 4: "verification failed", 5: "activation initiated",
              6: "activation successful", 7: "activation failed"},
    (64, 3): {0: "suite 0, AES-GCM-128", 1: "suite 1, AES-GCM-128 ECDSA P-256",
              2: "suite 2, AES-GCM-256 ECDSA P-384"},
    (70, 3): {0: "disconnected", 1: "connected", 2: "ready for reconnection"},
}  # fmt: skip
_CLOCK_STATUS = {0x01: "invalid", 0x02: "doubtful", 0x04: "other base", 0x08: "invalid status",
                 0x80: "daylight saving"}  # fmt: skip
_OID = bytes.fromhex("60857405 08")  # 2.16.756.5.8, and what hangs below it
_CONTEXTS = {1: "LN", 2: "SN", 3: "LN, ciphered", 4: "SN, ciphered"}
MECHANISMS = {0: "none", 1: "LLS", 2: "HLS", 3: "HLS MD5", 4: "HLS SHA-1", 5: "HLS GMAC",
               6: "HLS SHA-256", 7: "HLS ECDSA"}  # fmt: skip
_POLICY = {0x04: "authenticated requests", 0x08: "encrypted requests", 0x10: "signed requests",
           0x20: "authenticated responses", 0x40: "encrypted responses",
           0x80: "signed responses"}  # fmt: skip
IMAGE_STATUS = _ENUMERATIONS[18, 6]
_CONFORMANCE = {
    acse.GENERAL_PROTECTION: "general-protection",
    acse.GENERAL_BLOCK_TRANSFER: "general-block-transfer",
    acse.READ: "read",
    acse.WRITE: "write",
    acse.UNCONFIRMED_WRITE: "unconfirmed-write",
    acse.ATTRIBUTE0_WITH_SET: "attribute0-supported-with-set",
    acse.PRIORITY: "priority-mgmt-supported",
    acse.ATTRIBUTE0_WITH_GET: "attribute0-supported-with-get",
    acse.BLOCK_GET: "block-transfer-with-get",
    acse.BLOCK_SET: "block-transfer-with-set",
    acse.BLOCK_ACTION: "block-transfer-with-action",
    acse.MULTIPLE_REFERENCES: "multiple-references",
    acse.INFORMATION_REPORT: "information-report",
    acse.DATA_NOTIFICATION: "data-notification",
    acse.ACCESS: "access",
    acse.PARAMETERIZED_ACCESS: "parameterized-access",
    acse.GET: "get",
    acse.SET: "set",
    acse.SELECTIVE_ACCESS: "selective-access",
    acse.EVENT_NOTIFICATION: "event-notification",
    acse.ACTION: "action",
}


def conformance(bits: int) -> list[str]:
    """The services of a conformance block by their standard names."""
    return [name for bit, name in _CONFORMANCE.items() if bits & bit]


def as_json(typed: Typed) -> Json:
    """{type name: content}."""
    tag, value = typed
    name = axdr.TAGS[tag]
    if tag in (axdr.ARRAY, axdr.STRUCTURE):
        return {name: [as_json(element) for element in value]}
    if tag == axdr.COMPACT_ARRAY:
        return {name: [as_json(element) for element in value[1]]}
    if tag == axdr.OCTET_STRING:
        return {name: _octets(value)}
    if tag in _CALENDAR:
        return {name: _calendar(tag, value) or "0x" + value.hex()}
    if tag in (axdr.FLOAT32, axdr.FLOAT64) and not math.isfinite(value):
        return {name: str(value)}  # JSON has no such numbers
    return {name: value}


def raw_as_json(raw: bytes) -> Json:
    """The same of A-XDR as it came; what does not decode is {"raw": hex}."""
    try:
        return as_json(axdr.decode(raw))
    except ProtocolError:
        return {"raw": "0x" + raw.hex()}


def _octets(value: bytes) -> str | Json:
    if value and all(0x20 <= octet < 0x7F for octet in value):
        text = value.decode()
        if not text.lower().startswith("0x"):
            return text
    if len(value) == 6 and value.endswith(b"\xff"):
        return {"obis": obis.text(value)}
    if len(value) == 12 and (text := _calendar(axdr.DATE_TIME, value)):
        return {"date-time": text}
    return "0x" + value.hex()


_CALENDAR = {
    axdr.DATE_TIME: (datetime.text_date_time, datetime.parse_date_time),
    axdr.DATE: (datetime.text_date, datetime.parse_date),
    axdr.TIME: (datetime.text_time, datetime.parse_time),
}


def _calendar(tag: int, value: bytes) -> str:
    """The spelling, where it stands for exactly these bytes; else ""."""
    write, read = _CALENDAR[tag]
    try:
        text = write(value)
        return text if read(text) == value else ""
    except ValueError:
        return ""


def quoted(data: bytes, place: Place) -> str:
    """What stands at a place of a model, as it is read there; as it is where that does not go."""
    try:
        text = identity.text(data, place.reading)
        typed = axdr.decode(data)
    except ProtocolError:
        return "0x" + data.hex()
    if text is not None:
        return '"%s"' % text if typed[0] in (axdr.OCTET_STRING, axdr.VISIBLE_STRING) else text
    return render.octets(typed[1]) if typed[0] == axdr.OCTET_STRING else render.text(typed)


def meaning(class_id: int, index: int, typed: Typed) -> str:
    """What an attribute's value says beyond its type, "" where nothing is known."""
    tag, value = typed
    names = _ENUMERATIONS.get((class_id, index))
    if names is not None and tag == axdr.ENUM:
        return names.get(value, "")
    if (class_id, index) == (8, 4) and tag == axdr.UNSIGNED:
        return ", ".join(name for bit, name in _CLOCK_STATUS.items() if value & bit) or "valid"
    if (class_id, index) in ((3, 3), (4, 3), (5, 4)):
        scaler_unit = read_scaler_unit(typed)
        return "" if scaler_unit is None else "x 10^%d %s" % (scaler_unit.scaler, scaler_unit.unit)
    if (class_id, index) == (7, 3):
        return "\n".join(capture_names(typed))
    if class_id == 15 and index in (4, 6) and tag == axdr.OCTET_STRING and len(value) == 7:
        branch = _CONTEXTS if index == 4 else MECHANISMS
        return branch.get(value[6], "") if value.startswith(_OID) else ""
    if (class_id, index) == (64, 2) and tag == axdr.ENUM and value > 3:
        return ", ".join(name for bit, name in _POLICY.items() if value & bit)
    if (class_id, index) == (15, 5) and tag == axdr.STRUCTURE and value:
        bits = value[0]
        if bits[0] == axdr.BIT_STRING and len(bits[1]) == 24:
            return ", ".join(conformance(int(bits[1], 2)))
    return ""


class CaptureObject:
    """A column of a profile: which attribute, and which element of it (`data_index`, 0: all)."""

    def __init__(self, class_id: int, name: bytes, index: int, data_index: int) -> None:
        self.class_id = class_id
        self.obis = name
        self.index = index
        self.data_index = data_index

    def __str__(self) -> str:
        text = "%s %s %s" % (
            class_name(self.class_id),
            obis.text(self.obis),
            member_name(ATTRIBUTE, self.class_id, self.index),
        )
        return text if self.data_index == 0 else "%s[%d]" % (text, self.data_index)


def capture_objects(typed: Typed) -> list[CaptureObject]:
    """From the attribute capture_objects; ProtocolError when it is not the Blue Book's."""
    columns = []
    rows = typed[1] if typed[0] == axdr.ARRAY else [typed]
    for tag, fields in rows:
        if tag != axdr.STRUCTURE or [field[0] for field in fields] != _CAPTURE_OBJECT:
            raise ProtocolError(
                "capture_objects: expected an array of structures {long-unsigned, octet-string,"
                " integer, long-unsigned}, got %s" % render.text(typed)[:80]
            )
        (_, class_id), (_, name), (_, index), (_, data_index) = fields
        if len(name) != 6:
            raise ProtocolError("capture_objects: a logical name of %d bytes" % len(name))
        columns.append(CaptureObject(class_id, name, index, data_index))
    return columns


_CAPTURE_OBJECT = [axdr.LONG_UNSIGNED, axdr.OCTET_STRING, axdr.INTEGER, axdr.LONG_UNSIGNED]


def capture_names(typed: Typed) -> list[str]:
    try:
        return [str(column) for column in capture_objects(typed)]
    except ProtocolError:
        return []
