"""What a meter sent is shown, whatever it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dlms.data import axdr
from tools.cosem import render
from tools.meter.text import shown

CALENDAR = {axdr.DATE_TIME: 12, axdr.DATE: 5, axdr.TIME: 4}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("07eb0105020c000a00800000", "2027-01-05-tue 12:00:10 ok"),
        ("07eb0105000c000a00800000", "2027-01-05 12:00:10 ok"),  # day of week 0
        ("07eb010500", "2027-01-05"),
        ("0c000a00", "12:00:10"),
        ("00" * 12, "0x" + "00" * 12),  # "never"
        ("00" * 5, "0x" + "00" * 5),
        ("19000000", "0x19000000"),  # hour 25
        ("07eb01050219000a00800000", "0x07eb01050219000a00800000"),
        ("07eb0105080c000a00800000", "0x07eb0105080c000a00800000"),  # day of week 8
    ],
)
def test_moments_are_spelt_and_what_is_none_is_hex(raw: str, text: str) -> None:
    octets = bytes.fromhex(raw)
    tag = next(tag for tag, size in CALENDAR.items() if size == len(octets))
    assert render.text((tag, octets)) == "%s %s" % (axdr.TAGS[tag], text)
    assert render.text((axdr.OCTET_STRING, octets)) == "octet-string " + text


@given(
    st.sampled_from(sorted(CALENDAR)),
    st.lists(st.integers(0, 255), min_size=12, max_size=12).map(bytes),
)
def test_any_date_or_time_is_shown(tag: int, octets: bytes) -> None:
    octets = octets[: CALENDAR[tag]]
    assert render.text((tag, octets)).startswith(axdr.TAGS[tag] + " ")
    assert render.data(axdr.encode((axdr.STRUCTURE, [(tag, octets)])))
    assert shown((axdr.OCTET_STRING, octets))


@given(st.binary(max_size=60))
def test_any_octets_are_shown(raw: bytes) -> None:
    assert render.data(raw)
    assert render.lines(raw)
    assert render.octets(raw)
