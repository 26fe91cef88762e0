"""Rows and records of readings: whatever a meter has comes out as it went in, and whatever anybody
sends is a record, or refused, in no more memory than it may take."""

from __future__ import annotations

import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import block, reading_record
from gateway.contract.refused import Refused
from tests.portable.contract.test_block import GOLDEN
from tests.portable.contract.test_reading_record import GOLDEN as RECORDS

INTEGERS = st.integers(-(1 << 63), (1 << 64) - 1)
CELL = st.one_of(
    st.none(), st.booleans(), INTEGERS, st.floats(allow_nan=False), st.binary(max_size=20),
    st.text(max_size=8),
)  # fmt: skip
COLUMN = st.sampled_from(
    [
        st.integers(0, 255),
        st.integers(-5, 1 << 20),
        INTEGERS,
        st.sampled_from([0, 8]),
        st.sampled_from([None, 0, True]),
        CELL,
    ]
)


@st.composite
def tables(draw: st.DrawFn) -> list[list[Any]]:
    count = draw(st.integers(1, 40))
    kinds = draw(st.lists(COLUMN, min_size=1, max_size=6))
    columns = [draw(st.lists(kind, min_size=count, max_size=count)) for kind in kinds]
    if draw(st.booleans()):  # registers that count
        for column in columns:
            if all(type(value) is int for value in column) and sum(map(abs, column)) < 1 << 63:
                for i in range(1, count):
                    column[i] += column[i - 1]
    return [list(row) for row in zip(*columns, strict=True)]


@given(tables())
def test_rows_come_out_as_they_went_in(rows: list[list[Any]]) -> None:
    octets = block.encode(rows)
    found = block.decode(octets)
    assert repr(found) == repr(rows)  # True is not 1
    assert block.encode(found) == octets


@given(tables())
def test_no_form_is_longer_than_the_values_themselves(rows: list[list[Any]]) -> None:
    whole = block.encode(rows)
    alone = [block.encode([[row[i]] for row in rows]) for i in range(len(rows[0]))]
    assert len(whole) <= sum(len(one) for one in alone)


HOSTILE = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda raw, place, octet: (
            bytes.fromhex(raw)[:place] + bytes([octet]) + bytes.fromhex(raw)[place + 1 :]
        ),
        st.sampled_from([octets for _, _, octets in GOLDEN] + [octets for _, octets in RECORDS]),
        st.integers(0, 30),
        st.integers(0, 255),
    ),
)


@given(HOSTILE)
def test_hostile_blocks_are_rows_or_refused(octets: bytes) -> None:
    try:
        rows = block.decode(octets)
    except Refused as refused:
        assert refused.reason == "malformed"
        return
    assert 0 < len(rows) * len(rows[0]) <= block.MAX_CELLS
    assert len({len(row) for row in rows}) == 1
    assert repr(block.decode(block.encode(rows))) == repr(rows)


@given(HOSTILE)
def test_hostile_records_are_records_or_refused(octets: bytes) -> None:
    try:
        record = reading_record.decode(octets)
    except Refused as refused:
        assert refused.reason in ("malformed", "oversized")
        return
    assert reading_record.decode(reading_record.encode(record)) == record


def test_the_largest_that_a_record_can_ask_for_is_bounded() -> None:
    """Full of cells that cost nothing on the line, and of integers that are no small ones."""
    rows = bytes.fromhex("800810")
    free = bytes.fromhex("0300" + "00")  # a column of nothing: refused
    wide = bytes([1, 0]) + b"".join([bytes([64]) + bytes(128)] * 64)
    line = bytes.fromhex("00") + bytes([0xFE] + [0xFF] * 8 + [1]) + b"\x00"
    for octets in (rows + free * 16, rows + wide * 16, rows + line * 16):
        tracemalloc.start()
        try:
            block.decode(octets)
        except Refused:
            pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2 << 20, len(octets)
