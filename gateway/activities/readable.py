"""Values and objects as people read them in a report: by COSEM name, and short."""

from __future__ import annotations

from gateway.dlms.data import axdr, cosem, obis
from gateway.dlms.errors import ProtocolError
from hal.rt.hexed import hexed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_SHOWN = 48
MOST_CHARACTERS = 240


def attribute(class_id: int, name: bytes, index: int) -> str:
    """ "profile_generic.capture_period of 1.0.99.1.0.255"."""
    return "%s of %s" % (cosem.attribute_name(class_id, index), obis.text(name))


def shown(data: bytes) -> str:
    """A-XDR Data in a few words: type and value, "long-unsigned 900"; what is longer is cut."""
    try:
        tag, value = axdr.decode(data)
    except ProtocolError:
        return "malformed data %s" % _cut(hexed(data[:32]))
    if tag == axdr.NULL:
        return axdr.TAGS[tag]
    if tag in (axdr.ARRAY, axdr.STRUCTURE):
        return "%s of %d %s" % (axdr.TAGS[tag], len(value), _cut(data.hex()))
    return "%s %s" % (axdr.TAGS[tag], _cut(_value(value)))


def passing(result: str) -> bool:
    """Whether a data-access-result or action-result tells of a state that will pass."""
    return result in ("temporary-failure", "object-unavailable")


def one_line(text: str) -> str:
    """A detail for a report: one line, bounded."""
    text = " ".join(text.split())
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 3] + "..."


def _value(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        if not value:
            return ""
        printable = not [byte for byte in value if not 32 <= byte < 127]
        return '"%s"' % bytes(value).decode() if printable else bytes(value).hex()
    return str(value)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."
