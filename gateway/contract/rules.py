"""What a value on the line must be, before anyone uses it: rules, and rules made of rules.

CBOR knows integers, octets, text, arrays, maps, true, false and null; a rule tells which of them
and within which limits. Where the program holds a value otherwise than the line (null for a job
without package, say), the rule also converts it, both ways.
"""

from __future__ import annotations

from gateway.contract.limits import MAX_SERIAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Size = tuple[int, int, int]

HEAD = 9  # octets of an item without its content, at most (RFC 8949 3)
UINT32 = 0xFFFFFFFF
UINT64 = 0xFFFFFFFFFFFFFFFF


class Rule:
    """`name` says what is expected, in words for the sender; `fits` tells whether a value is that.

    load, dump   from the value on the line, which fits, to what the program holds, and back; None:
                 they are the same
    parts        rules that all must hold, in this order: the first that does not is the one named
    reason       why a value is refused, if not for the reason of its message
    size         how large what fits can be on the line: octets, items inside each other, levels of
                 arrays and maps. What is larger is refused before it is looked at
    """

    # Most rules have none of these: a value of the class costs no memory in each.
    load: Callable[[Any], Any] | None = None
    dump: Callable[[Any], Any] | None = None
    parts: tuple[Rule, ...] = ()
    reason = ""
    size = (HEAD, 1, 0)

    def __init__(
        self,
        name: str,
        fits: Callable[[Any], bool],
        load: Callable[[Any], Any] | None = None,
        dump: Callable[[Any], Any] | None = None,
        parts: tuple[Rule, ...] = (),
        reason: str = "",
        size: Size = (HEAD, 1, 0),
    ) -> None:
        self.name = name
        self.fits = fits
        if load is not None:
            self.load = load
        if dump is not None:
            self.dump = dump
        if parts:
            self.parts = parts
        if reason:
            self.reason = reason
        if size != self.size:
            self.size = size

    def broken_by(self, value: Any) -> Rule:
        """The rule to name when `value` does not fit."""
        for part in self.parts:
            if not part.fits(value):
                return part.broken_by(value)
        return self


def integer(least: int, most: int) -> Rule:
    # type() and not isinstance(): a bool is an int in CPython.
    return Rule(
        "an integer %d..%d" % (least, most), lambda v: type(v) is int and least <= v <= most
    )


def uint(most: int = UINT64, least: int = 0) -> Rule:
    return integer(least, most)


def text(most: int, least: int = 0) -> Rule:
    """UTF-8 of `least`..`most` bytes."""
    return Rule(
        "text of %d..%d bytes" % (least, most),
        lambda v: isinstance(v, str) and least <= len(v.encode()) <= most,
        size=(HEAD + most, 1, 0),
    )


def token(most: int) -> Rule:
    """1..`most` printable ASCII characters, no space."""

    def fits(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        codes = value.encode()
        return 0 < len(codes) <= most and min(codes) > 32 and max(codes) < 127

    return Rule("1..%d printable ASCII characters" % most, fits, size=(HEAD + most, 1, 0))


def octets(most: int, least: int = 0) -> Rule:
    return Rule(
        "%d..%d octets" % (least, most),
        lambda v: isinstance(v, bytes) and least <= len(v) <= most,
        size=(HEAD + most, 1, 0),
    )


def exactly(value: int | str) -> Rule:
    """This very integer or text."""
    kind = type(value)
    name = '"%s"' % value if isinstance(value, str) else "%d" % value
    octets = len(value) if isinstance(value, str) else 0
    return Rule(name, lambda v: type(v) is kind and v == value, size=(HEAD + octets, 1, 0))


def called(name: str, rule: Rule) -> Rule:
    """The same rule in other words."""
    return Rule(name, rule.fits, rule.load, rule.dump, rule.parts, rule.reason, rule.size)


def either(*rules: Rule) -> Rule:
    return Rule(
        " or ".join([c.name for c in rules]),
        lambda v: any(c.fits(v) for c in rules),
        size=largest(rules),
    )


def every(*rules: Rule) -> Rule:
    """All of them hold; what the first one converts is converted."""
    first = rules[0]
    return Rule(
        first.name,
        lambda v: all(c.fits(v) for c in rules),
        first.load,
        first.dump,
        parts=rules,
        size=first.size,
    )


def array_of(rule: Rule, most: int, least: int = 0) -> Rule:
    """The elements are on the line as in the program."""
    fits = rule.fits
    return Rule(
        "an array of %d..%d of %s" % (least, most, rule.name),
        lambda v: isinstance(v, list) and least <= len(v) <= most and all(fits(e) for e in v),
        size=times(most, rule),
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
        size=together(rules),
    )


def tuples(rule: Rule, most: int, least: int = 0) -> Rule:
    """As array_of() of a row(), which the program holds as tuples."""
    rows = array_of(rule, most, least)
    return Rule(rows.name, rows.fits, lambda v: [tuple(e) for e in v], size=rows.size)


def small(items: int, rule: Rule) -> Rule:
    """The same rule, of what has so many items inside each other at most."""
    size = (rule.size[0], items, rule.size[2])
    return Rule(rule.name, rule.fits, rule.load, rule.dump, rule.parts, rule.reason, size)


def or_null(rule: Rule) -> Rule:
    """Null, which is None in the program, or what the rule says."""
    fits = rule.fits
    either_way = Rule(
        rule.name + " or null",
        lambda v: v is None or fits(v),
        rule.load,
        rule.dump,
        size=rule.size,
    )
    if rule.load is None and rule.dump is None:
        return either_way
    return otherwise(either_way, lambda v: v is None, None)


def otherwise(rule: Rule, absent: Callable[[Any], bool], blank: Any) -> Rule:
    """None in the program where `absent` of the value on the line, which is `blank` then."""
    load, dump = rule.load, rule.dump
    return Rule(
        rule.name,
        rule.fits,
        lambda v: None if absent(v) else v if load is None else load(v),
        lambda v: blank if v is None else v if dump is None else dump(v),
        size=rule.size,
    )


def largest(rules: Sequence[Rule]) -> Size:
    """Of one of them."""
    sizes = [rule.size for rule in rules]
    return max([s[0] for s in sizes]), max([s[1] for s in sizes]), max([s[2] for s in sizes])


def together(rules: Sequence[Rule]) -> Size:
    """Of an array of all of them."""
    sizes = [rule.size for rule in rules]
    octets, items = sum([s[0] for s in sizes]), sum([s[1] for s in sizes])
    return HEAD + octets, 1 + items, 1 + max([s[2] for s in sizes])


def times(most: int, rule: Rule) -> Size:
    """Of an array of so many."""
    octets, items, levels = rule.size
    return HEAD + most * octets, 1 + most * items, 1 + levels


BOOL = Rule("true or false", lambda v: v is True or v is False)
VERSION = Rule("version 1", lambda v: type(v) is int and v == 1)
ID = octets(16, 16)  # of a job
DIGEST = octets(32, 32)  # SHA-256
SERIAL = token(MAX_SERIAL)  # of a meter
TIME = uint(UINT32)  # seconds since 1970 UTC; 0: not known, or none


def came(value: Any) -> str:
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
