"""The records of the readings stream: octets for good, and what is none is refused."""

from __future__ import annotations

from gateway.contract import reading_record
from gateway.contract.reading_record import Gap, Kept, Layout, Lost, Rows, Values
from gateway.contract.refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.reading_record import Reading

PROFILE = b"\x01\x00\x63\x01\x00\xff"
ENERGY = b"\x01\x00\x01\x08\x00\xff"
CLOCK = b"\x00\x00\x01\x00\x00\xff"
NOW = 1_700_000_000

GOLDEN: list[tuple[Reading, str]] = [
    (
        Layout(7, PROFILE, 900, [[8, CLOCK, 2, 0, 25, None, None], [3, ENERGY, 2, 0, 6, 0, 30]]),
        "850107460100630100ff190384828708460000010000ff02001819f6f68703460100010800ff02000600181e",
    ),
    (
        Rows(0xFFEEDDCCBBAA9988, "M1", "daily", NOW, b"\x01\x01\x00\x0e\x00"),
        "86021bffeeddccbbaa9988624d31656461696c791a6553f100450101000e00",
    ),
    (
        Values("M1", "", NOW, [[3, ENERGY, 2, b"\x12\x00\x05", -1, 30]]),
        "8503624d31601a6553f100818603460100010800ff024312000520181e",
    ),
    (Lost(300, "no-room"), "830419012c676e6f2d726f6f6d"),
    (
        Gap("M1", 7, PROFILE, NOW, NOW + 900, "overwritten"),
        "8705624d3107460100630100ff1a6553f1001a6553f4846b6f7665727772697474656e",
    ),
    (Kept(9), "820609"),
]


def refused(octets: bytes) -> str:
    try:
        reading_record.decode(octets)
    except Refused as error:
        return error.reason
    return ""


def test_the_octets_are_these() -> None:
    for reading, octets in GOLDEN:
        raw = reading_record.encode(reading)
        assert raw == bytes.fromhex(octets), reading
        assert reading_record.decode(raw) == reading


def test_what_is_no_record_is_refused() -> None:
    for octets in ("", "80", "01", "820709", "820600", "8206f4", "83060900", "82060900", "a0"):
        assert refused(bytes.fromhex(octets)) == "malformed", octets
    for _, octets in GOLDEN:
        raw = bytes.fromhex(octets)
        for end in range(len(raw)):
            assert refused(raw[:end]) == "malformed"
    assert refused(bytes(8193)) == "oversized"


def test_a_layout_is_told_by_its_content() -> None:
    layout = GOLDEN[0][0]
    assert isinstance(layout, Layout)
    raw = reading_record.encode(layout)
    assert reading_record.layout_id(raw) == 0x549702671485E103
    other = reading_record.encode(Layout(7, PROFILE, 3600, layout.columns))
    assert reading_record.layout_id(other) != reading_record.layout_id(raw)


def test_numbers_go_on_behind_what_stands_for_many() -> None:
    records = [reading_record.encode(one) for one in (Lost(9, "damage"), Kept(10), Lost(11, "x"))]
    found = reading_record.numbered(4, records)
    assert [number for number, _ in found] == [9, 10, 11]
    try:
        reading_record.numbered(10, records)
        raise AssertionError("taken")
    except Refused as error:
        assert error.reason == "malformed"
