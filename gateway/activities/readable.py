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
_SEVERAL = (axdr.ARRAY, axdr.STRUCTURE)


def attribute(class_id: int, name: bytes, index: int) -> str:
    """ "profile_generic.capture_period of 1.0.99.1.0.255"."""
    return "%s of %s" % (cosem.attribute_name(class_id, index), obis.text(name))


def shown(data: bytes) -> str:
    """A-XDR Data in a few words: type and value, "long-unsigned 900"; what is longer is cut."""
    try:
        return _typed(axdr.decode(data))
    except ProtocolError:
        return "malformed data %s" % _cut(hexed(data[:32]))


def difference(wanted: bytes, came: bytes) -> str:
    """Two A-XDR Data that differ: "expected long-unsigned 900, came long-unsigned 60". Inside
    arrays and structures the first element that differs, with its place from 0 on:
    "array[2].structure[0]: expected ..., came ..."."""
    try:
        first, second = axdr.decode(wanted), axdr.decode(came)
    except ProtocolError:
        return "expected %s, came %s" % (shown(wanted), shown(came))
    place = ""
    while first[0] == second[0] and first[0] in _SEVERAL:
        both = min(len(first[1]), len(second[1]))
        differing = [at for at in range(both) if first[1][at] != second[1][at]]
        if not differing:
            place += "%s: " % axdr.TAGS[first[0]]
            return _of_elements(place, first[1], second[1], both)
        place += "%s[%d]." % (axdr.TAGS[first[0]], differing[0])
        first, second = first[1][differing[0]], second[1][differing[0]]
    place = place[:-1] + ": " if place else ""
    return "%sexpected %s, came %s" % (place, _typed(first), _typed(second))


def _of_elements(place: str, wanted: list[Any], came: list[Any], both: int) -> str:
    """One list goes on where the other ends."""
    text = "%sexpected %d elements, came %d" % (place, len(wanted), len(came))
    if len(wanted) > both:
        return text + "; [%d] %s is missing" % (both, _typed(wanted[both]))
    if len(came) > both:
        return text + "; [%d] %s is too much" % (both, _typed(came[both]))
    return text


def passing(result: str) -> bool:
    """Whether a data-access-result or action-result tells of a state that will pass."""
    return result in ("temporary-failure", "object-unavailable")


def one_line(text: str) -> str:
    """A detail for a report: one line, bounded."""
    text = " ".join(text.split())
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 3] + "..."


def _typed(typed: tuple[int, Any]) -> str:
    tag, value = typed
    if tag == axdr.NULL:
        return axdr.TAGS[tag]
    if tag in _SEVERAL:
        return "%s of %d %s" % (axdr.TAGS[tag], len(value), _cut(axdr.encode(typed).hex()))
    return "%s %s" % (axdr.TAGS[tag], _cut(_value(value)))


def _value(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        if not value:
            return ""
        printable = not [byte for byte in value if not 32 <= byte < 127]
        return '"%s"' % bytes(value).decode() if printable else bytes(value).hex()
    return str(value)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."
