"""Check that decoded CBOR has the shape its CDDL says, element by element, before anyone uses it.

A `Rule` is a test of one value with a name for the error text.
"""

from __future__ import annotations

from gateway.contract.refused import Refused
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

UINT32 = 0xFFFFFFFF
UINT64 = 0xFFFFFFFFFFFFFFFF


class Rule:
    """`name` says what is expected, in words for the sender."""

    __slots__ = ("fits", "name")

    def __init__(self, name: str, fits: Callable[[Any], bool]) -> None:
        self.name = name
        self.fits = fits


def uint(most: int = UINT64, least: int = 0) -> Rule:
    # type() and not isinstance(): a bool is an int in CPython.
    return Rule(
        "an integer %d..%d" % (least, most), lambda v: type(v) is int and least <= v <= most
    )


def text(most: int, least: int = 0) -> Rule:
    """UTF-8 of `least`..`most` bytes."""
    return Rule(
        "text of %d..%d bytes" % (least, most),
        lambda v: isinstance(v, str) and least <= len(v.encode()) <= most,
    )


def octets(most: int, least: int = 0) -> Rule:
    return Rule(
        "%d..%d octets" % (least, most),
        lambda v: isinstance(v, bytes) and least <= len(v) <= most,
    )


def either(*rules: Rule) -> Rule:
    return Rule(" or ".join([c.name for c in rules]), lambda v: any(c.fits(v) for c in rules))


def array_of(rule: Rule, most: int, least: int = 0) -> Rule:
    return Rule(
        "an array of %d..%d of %s" % (least, most, rule.name),
        lambda v: isinstance(v, list) and least <= len(v) <= most and all(rule.fits(e) for e in v),
    )


def row(*rules: Rule) -> Rule:
    """An array of exactly these elements."""
    return Rule(
        "[" + ", ".join([c.name for c in rules]) + "]",
        lambda v: (
            isinstance(v, list)
            and len(v) == len(rules)
            and all(rules[i].fits(v[i]) for i in range(len(rules)))
        ),
    )


BOOL = Rule("true or false", lambda v: v is True or v is False)
NULL = Rule("null", lambda v: v is None)
ARRAY = Rule("an array", lambda v: isinstance(v, list))
VERSION = Rule("version 1", lambda v: type(v) is int and v == 1)


def require(
    value: Any, what: str, names: str, rules: list[Rule], reason: str = "malformed"
) -> list[Any]:
    """`value` as a list that fits `rules`, else Refused(`reason`) naming the field of `names`
    (space separated) at fault.
    """
    if not isinstance(value, list) or len(value) != len(rules):
        came = "%d elements" % len(value) if isinstance(value, list) else kind_of(value)
        raise Refused(
            reason, "%s: expected an array of %d elements, came %s" % (what, len(rules), came)
        )
    for i in range(len(rules)):
        if not rules[i].fits(value[i]):
            raise Refused(
                reason,
                "%s: expected %s to be %s, came %s"
                % (what, names.split()[i], rules[i].name, kind_of(value[i])),
            )
    return value


def decoded(data: bytes, what: str, reason: str = "malformed") -> Any:
    """The one CBOR item that `data` is, else Refused(`reason`)."""
    try:
        return cbor.decode(data)
    except cbor.CborError as error:
        raise Refused(reason, "%s: not one well-formed CBOR item: %s" % (what, error))


def kind_of(value: Any) -> str:
    """What came, in a word or two: never its whole content, which may be long or secret."""
    if type(value) is int:
        return "integer %d" % value if -UINT32 <= value <= UINT32 else "a large integer"
    if isinstance(value, bytes):
        return "%d octets" % len(value)
    if isinstance(value, str):
        return "text of %d characters" % len(value)
    if isinstance(value, list):
        return "an array of %d" % len(value)
    return "null" if value is None else type(value).__name__
