"""What an attribute takes: the data types of the Blue Book, checked against A-XDR typed tuples
`(tag, value)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.dlms.data import axdr

Typed = tuple[int, Any]


@dataclass(frozen=True)
class Kind:
    """A data type: its text is what a person reads, `accepts` is what a write must pass."""

    text: str
    accepts: Callable[[Typed], bool]


def simple(tag: int) -> Kind:
    """Exactly one tag, any value."""
    return Kind(axdr.TAGS[tag], lambda typed: typed[0] == tag)


def octets(*sizes: int) -> Kind:
    """An octet-string; with `sizes`, of one of these lengths."""
    text = "octet-string" + ("(%s)" % "|".join(map(str, sizes)) if sizes else "")
    return Kind(
        text,
        lambda typed: typed[0] == axdr.OCTET_STRING and (not sizes or len(typed[1]) in sizes),
    )


def array(element: Kind, most: int = 1000) -> Kind:
    """An array of at most `most` elements of one kind."""

    def accepts(typed: Typed) -> bool:
        return (
            typed[0] == axdr.ARRAY and len(typed[1]) <= most and all(map(element.accepts, typed[1]))
        )

    return Kind("array of %s" % element.text, accepts)


def structure(*fields: Kind) -> Kind:
    """A structure with exactly these fields."""

    def accepts(typed: Typed) -> bool:
        return (
            typed[0] == axdr.STRUCTURE
            and len(typed[1]) == len(fields)
            and all(kind.accepts(value) for kind, value in zip(fields, typed[1], strict=True))
        )

    return Kind("structure {%s}" % ", ".join(kind.text for kind in fields), accepts)


def enum(*values: int) -> Kind:
    """An enum of one of these values."""
    return Kind(
        "enum(%s)" % "|".join(map(str, values)),
        lambda typed: typed[0] == axdr.ENUM and typed[1] in values,
    )


def either(*kinds: Kind) -> Kind:
    return Kind(
        " or ".join(kind.text for kind in kinds),
        lambda typed: any(kind.accepts(typed) for kind in kinds),
    )


ANY = Kind("any", lambda typed: True)
NULL = simple(axdr.NULL)
BOOLEAN = simple(axdr.BOOLEAN)
INTEGER = simple(axdr.INTEGER)
LONG = simple(axdr.LONG)
UNSIGNED = simple(axdr.UNSIGNED)
LONG_UNSIGNED = simple(axdr.LONG_UNSIGNED)
DOUBLE_LONG_UNSIGNED = simple(axdr.DOUBLE_LONG_UNSIGNED)
BIT_STRING = simple(axdr.BIT_STRING)
OCTETS = octets()
NAME = octets(6)  # a logical name
DATE_TIME = octets(12)
DATE = octets(5)
TIME = octets(4)
# the parameter "integer(0)" or "data" of a method that needs none
NOTHING = either(NULL, INTEGER)
