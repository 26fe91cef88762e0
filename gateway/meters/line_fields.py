"""The fields of a line of the inventory's files, checked: texts of errors name the field, what was
expected, and never what came, which may be a key."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class InventoryError(Exception):
    """One meter's entry cannot be used.

    Says the file, what was expected and what came; never key material.
    """


def fields_of(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(str(line, "utf-8"))
    except (ValueError, RuntimeError):  # RuntimeError: nested deeper than the parser goes
        raise InventoryError("not JSON")
    if not isinstance(fields, dict):
        raise InventoryError("expected a JSON object")
    return fields


def serial_of(fields: dict[str, Any]) -> str:
    serial = fields.get("serial")
    if not isinstance(serial, str) or not 1 <= len(serial) <= 32:
        raise InventoryError("serial: expected a text of 1 to 32 characters")
    if not all("!" <= c <= "~" for c in serial):
        raise InventoryError("serial: expected printable ASCII without blanks")
    return serial


def number_of(
    fields: dict[str, Any], name: str, absent: int, least: int, most: int, what: str = ""
) -> int:
    if name not in fields:
        return absent
    value = fields[name]
    if type(value) is not int or not least <= value <= most:
        what = what or "a number from %d to %d" % (least, most)
        raise InventoryError("%s: expected %s" % (name, what))
    return value


def hex_within(fields: dict[str, Any], name: str, least: int, most: int) -> bytes:
    value: Any = fields.get(name)
    octets = len(value) // 2 if isinstance(value, str) else 0
    if not least <= octets <= most or not is_hex(value, 2 * octets):
        raise InventoryError("%s: expected %d to %d octets in hex digits" % (name, least, most))
    return bytes.fromhex(value)


def hex_digits(fields: dict[str, Any], name: str, digits: int) -> bytes:
    value = fields.get(name)
    if not isinstance(value, str) or not is_hex(value, digits):
        raise InventoryError("%s: expected %d hex digits" % (name, digits))
    return bytes.fromhex(value)


def is_hex(text: str, digits: int) -> bool:
    return len(text) == digits and all(c in "0123456789abcdefABCDEF" for c in text)
