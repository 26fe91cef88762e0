"""Rules and the records made of them, each by itself: what fits, is converted, and is said."""

from __future__ import annotations

from gateway.contract.fields import Message, Record, field, message, one_of, record, record_rule
from gateway.contract.refused import Refused
from gateway.contract.rules import (
    array_of,
    called,
    came,
    either,
    every,
    exactly,
    integer,
    octets,
    or_null,
    otherwise,
    row,
    text,
    token,
    tuples,
    uint,
)
from hal.rt import cbor
from tests.portable.support import raises


def test_what_fits_at_each_bound():
    for rule, good, bad in (
        (integer(-2, 3), (-2, 0, 3), (-3, 4, True, None, "0", b"", [], 0.0)),
        (uint(3, 1), (1, 3), (0, 4, False, -1)),
        (text(3, 1), ("a", "abc", "\xe9a"), ("", "abcd", "\xe9\xe9", b"a", 1)),
        (token(2), ("!", "~~"), ("", "abc", " ", "\x7f", "\xe9", b"a")),
        (octets(2, 1), (b"a", b"ab"), (b"", b"abc", "a", bytearray(b"a"))),
        (exactly("job"), ("job",), ("jobs", b"job", 1)),
        (exactly(1), (1,), (2, True, "1", 1.0)),
        (either(uint(1), octets(0)), (0, 1, b""), (2, b"a", None)),
        (every(uint(9), uint(20, 5)), (5, 9), (4, 10, "5")),
        (array_of(uint(9), 2, 1), ([0], [9, 9]), ([], [1, 2, 3], [10], (1,), 1)),
        (row(uint(9), text(2)), ([1, "a"],), ([1], [1, "a", 1], ["a", 1], (1, "a"))),
        (or_null(uint(9)), (None, 9), (10, "")),
        (called("digit", uint(9)), (0, 9), (10,)),
    ):
        for value in good:
            assert rule.fits(value), (rule.name, value)
        for value in bad:
            assert not rule.fits(value), (rule.name, value)


def test_what_a_rule_is_called():
    for rule, name in (
        (integer(-2, 3), "an integer -2..3"),
        (text(3, 1), "text of 1..3 bytes"),
        (token(2), "1..2 printable ASCII characters"),
        (octets(2, 1), "1..2 octets"),
        (exactly("job"), '"job"'),
        (exactly(1), "1"),
        (either(uint(1), octets(0)), "an integer 0..1 or 0..0 octets"),
        (every(uint(9), uint(20, 5)), "an integer 0..9"),
        (array_of(uint(9), 2, 1), "an array of 1..2 of an integer 0..9"),
        (row(uint(9), text(2)), "[an integer 0..9, text of 0..2 bytes]"),
        (or_null(uint(9)), "an integer 0..9 or null"),
        (called("digit", uint(9)), "digit"),
    ):
        assert rule.name == name
    both = every(uint(9), uint(20, 5))
    assert both.broken_by(4).name == "an integer 5..20"
    assert both.broken_by(10).name == "an integer 0..9"


def test_what_is_converted_and_what_is_not():
    pairs = tuples(row(uint(9), uint(9)), 2)
    assert (pairs.load([[1, 2]]), pairs.dump) == ([(1, 2)], None)
    plain = or_null(uint(9))
    assert (plain.load, plain.dump) == (None, None)
    # one that converts in one direction only stays None for null
    one_way = or_null(pairs)
    assert (one_way.load(None), one_way.load([[1, 2]])) == (None, [(1, 2)])
    assert (one_way.dump(None), one_way.dump([[1, 2]])) == (None, [[1, 2]])
    # null on the line is another value there
    absent = otherwise(uint(9), lambda v: v == 0, 0)
    assert (absent.load(0), absent.load(7)) == (None, 7)
    assert (absent.dump(None), absent.dump(7)) == (0, 7)


def test_what_came():
    for value, words in (
        (7, "integer 7"),
        (-(1 << 32) + 1, "integer -4294967295"),
        (1 << 32, "a large integer"),
        (-(1 << 32), "a large integer"),
        (b"secret", "6 octets"),
        ("secret", "text of 6 characters"),
        ([1, 2], "an array of 2"),
        (None, "null"),
        (True, "bool"),
        ({}, "dict"),
    ):
        assert came(value) == words


@record()
class Plain(Record):
    first: int = field(uint(9))
    second: str = field(text(5), default="x")


@record(1)
class One(Record):
    a: int = field(uint(9))


@record(2)
class Two(Record):
    a: int = field(uint(9))
    b: list[int] = field(array_of(uint(9), 3), default=[])


@message("note", "n")
class Note(Message):
    plain: Plain = field(record_rule(Plain))
    opens: int = field(uint(9), within="window")
    part: One | Two = field(one_of(One, Two))
    closes: int = field(uint(9), within="window")


def test_records_are_arrays_with_their_head_first():
    for made, array in (
        (Plain(1), [1, "x"]),
        (Plain(1, "abc"), [1, "abc"]),
        (Plain(second="b", first=2), [2, "b"]),
        (One(3), [1, 3]),
        (Two(3), [2, 3, []]),
        (Note(Plain(1), 4, Two(3, [5]), 6), [1, "n", [1, "x"], [4, 6], [2, 3, [5]]]),
    ):
        assert made.to_array() == array
    note = Note(Plain(1), 4, Two(3, [5]), 6)
    again = Note.decode(note.encode())
    assert again == note and isinstance(again.part, Two) and again.encode() == note.encode()
    assert again != Note(Plain(1), 4, Two(3, [5]), 7)
    left_out = Two(1)
    left_out.b.append(1)
    assert Two(1).b == [], "a default is nobody's to change"


def test_what_is_wrong_with_a_message():
    good = [1, "n", [1, "x"], [4, 6], [2, 3, [5]]]
    for place, value, detail in (
        (0, 2, "note: expected version to be version 1, came integer 2"),
        (1, "m", 'note: expected kind to be "n", came text of 1 characters'),
        (4, [3, 1], "note: expected part to be [kind, a] or [kind, a, b], came an array of 2"),
        (4, [1, 1, 1], "note: expected part to be [kind, a] or [kind, a, b], came an array of 3"),
        (4, [], "note: expected part to be [kind, a] or [kind, a, b], came an array of 0"),
        (2, [1], "note: expected plain to be [first, second], came an array of 1"),
        (2, [10, "x"], "note: expected plain to be [first, second], came an array of 2"),
    ):
        wrong = list(good)
        wrong[place] = value
        refused = raises(Refused, Note.decode, cbor.encode(wrong))
        assert (refused.reason, refused.detail) == ("malformed", detail)


def test_constructors_say_what_they_lack():
    for arguments, named, text_of in (
        ((), {}, "Plain needs first"),
        ((1, "a", 2), {}, "Plain has 2 fields"),
        ((1,), {"third": 3}, "Plain has no such field: third"),
    ):
        error = raises(TypeError, lambda a=arguments, n=named: Plain(*a, **n))
        assert str(error) == text_of
