"""Records: equal by their fields, never hashed, and no secret in what is shown of them."""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.fields import Fields
from tests.portable.support import raises

CLOCK = b"\x00\x00\x01\x00\x00\xff"


class Pair(Fields):
    __slots__ = ("first", "second")
    FIELDS = ("first", "second")

    def __init__(self, first: object, second: object) -> None:
        self.first = first
        self.second = second


class Other(Pair):
    __slots__ = ()


def test_equal_is_who_has_the_same_class_and_fields() -> None:
    assert Pair(1, [2]) == Pair(1, [2])
    for other in (Pair(1, [3]), Pair(2, [2]), Other(1, [2]), (1, [2]), None):
        assert Pair(1, [2]) != other


def test_what_is_equal_and_may_change_has_no_hash() -> None:
    for each in (
        Pair(1, 2),
        Other(1, 2),
        apdu.GetRequest(0xC1, 8, CLOCK, 2, None),
        acse.Rlrq(0),
        apdu.GeneralBlock(True, False, 1, 1, 0, b""),
    ):
        raises(TypeError, hash, each)


def test_octets_are_shown_by_their_number_only() -> None:
    shown = repr(acse.Aarq(acse.LN, b"\x01\x00", b"", acse.LOW, b"password"))
    assert "password" not in shown and shown.startswith("Aarq(context=1, mechanism=")
    assert "value=<8 bytes>" in shown
