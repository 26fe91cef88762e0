"""JSON of a value is the spelling that `set` takes: it comes back the same, whatever it is."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.dlms.data import axdr
from tools.cosem.units import ScalerUnit, read_scaler_unit
from tools.cosem.values import INTEGERS
from tools.dlms import shown
from tools.dlms.members import typed_value

Typed = tuple[int, Any]

scalars: st.SearchStrategy[Typed] = st.one_of(
    st.just((axdr.NULL, None)),
    st.booleans().map(lambda value: (axdr.BOOLEAN, value)),
    st.text("01").map(lambda value: (axdr.BIT_STRING, value)),
    st.binary(max_size=20).map(lambda value: (axdr.OCTET_STRING, value)),
    st.binary(min_size=12, max_size=12).map(lambda value: (axdr.OCTET_STRING, value)),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)).map(
        lambda value: (axdr.OCTET_STRING, value.encode())
    ),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)).map(
        lambda value: (axdr.VISIBLE_STRING, value)
    ),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FFF)).map(
        lambda value: (axdr.UTF8_STRING, value)
    ),
    st.floats(width=32, allow_nan=False).map(lambda value: (axdr.FLOAT32, value)),
    st.sampled_from(sorted(INTEGERS)).flatmap(
        lambda tag: st.integers(*INTEGERS[tag]).map(lambda value: (tag, value))
    ),
)
values = st.recursive(
    scalars,
    lambda inner: st.tuples(
        st.sampled_from([axdr.ARRAY, axdr.STRUCTURE]), st.lists(inner, max_size=4)
    ),
    max_leaves=12,
)


@given(values)
def test_what_was_got_can_be_set(typed: Typed) -> None:
    raw = axdr.encode(typed)
    assert typed_value(json.dumps(shown.raw_as_json(raw))) == raw


@given(st.binary(max_size=60))
def test_anything_is_shown(raw: bytes) -> None:
    json.dumps(shown.raw_as_json(raw))


@given(st.sampled_from([1, 3, 5, 7, 8, 15, 18, 64, 70]), st.integers(1, 11), values)
def test_any_value_has_a_meaning_or_none(class_id: int, index: int, typed: Typed) -> None:
    assert isinstance(shown.meaning(class_id, index, typed), str)


@given(st.integers(-(10**18), 10**18), st.integers(-12, 12))
def test_scaled_numbers_are_exact(value: int, scaler: int) -> None:
    from decimal import Decimal

    text = ScalerUnit(scaler, "Wh").number(value)
    assert Decimal(text) == Decimal(value) * Decimal(10) ** scaler


def test_units() -> None:
    def unit(number: int) -> ScalerUnit | None:
        return read_scaler_unit((axdr.STRUCTURE, [(axdr.INTEGER, -1), (axdr.ENUM, number)]))

    known = unit(35)
    assert known is not None
    assert known.quantity(2301) == "230.1 V"
    assert known.quantity(-5) == "-0.5 V"
    none = unit(255)
    assert none is not None
    assert none.quantity(5) == "0.5"
    other = unit(200)
    assert other is not None
    assert other.unit == "unit 200"
    assert read_scaler_unit((axdr.NULL, None)) is None
