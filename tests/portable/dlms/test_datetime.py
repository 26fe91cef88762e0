"""COSEM dates and times: bytes of the Blue Book, spelling, wildcards."""

from __future__ import annotations

from gateway.dlms.data import datetime, moment
from gateway.dlms.data.datetime import (
    parse_date,
    parse_date_time,
    parse_time,
    text_date,
    text_date_time,
    text_time,
)
from tests.portable.support import raises, random_bytes

DATES = [
    ("2027-01-31", "07eb011fff"),
    ("*-*-*", "ffffffffff"),
    ("*-12-25", "ffff0c19ff"),
    ("*-03-last-sun", "ffff03fe07"),
    ("*-05-08-mon", "ffff050801"),
    ("2028-02-29-tue", "07ec021d02"),
    ("*-dstbegin-2last", "fffffefdff"),
    ("*-dstend-*-sat", "fffffdff06"),
    ("*-02-29", "ffff021dff"),
]
TIMES = [
    ("03:00:00", "03000000"),
    ("23:59:59.99", "173b3b63"),
    ("*:15:00", "ff0f0000"),
    ("*:*:*.*", "ffffffff"),
]
DATE_TIMES = [
    ("2027-01-01 00:00:00", "07eb0101ff000000008000ff"),
    ("2027-07-01 12:30:00.* +02:00 dst", "07eb0701ff0c1e00ffff8880"),
    ("2027-01-01 12:30:00 -05:30 ok", "07eb0101ff0c1e0000014a00"),
    ("2027-01-01 12:30:00 +00:00 invalid,doubtful", "07eb0101ff0c1e0000000003"),
    ("2027-01-01 12:30:00 0x10", "07eb0101ff0c1e0000800010"),
]


def test_dates_both_ways() -> None:
    for text, raw in DATES:
        assert parse_date(text).hex() == raw, text
        assert text_date(bytes.fromhex(raw)) == text


def test_times_both_ways() -> None:
    for text, raw in TIMES:
        assert parse_time(text).hex() == raw, text
        assert text_time(bytes.fromhex(raw)) == text


def test_date_times_both_ways() -> None:
    for text, raw in DATE_TIMES:
        assert parse_date_time(text).hex() == raw, text
        assert text_date_time(bytes.fromhex(raw)) == text


def test_shorter_spellings() -> None:
    assert parse_time("3:00") == parse_time("03:00:00.00")
    assert parse_date_time("2027-1-1 0:00 Z") == parse_date_time("2027-01-01 00:00:00 +00:00")
    assert parse_date("*-3-LAST-Sun") == parse_date("*-03-last-sun")


def test_wrong_spellings_are_refused_with_what_was_expected() -> None:
    for wrong in ("", "2027-02-29", "2027-13-01", "2027-00-01", "2027-01-32", "2027-04-31"):
        raises(ValueError, parse_date, wrong)
    for wrong in ("2027/01/01", "27-x-01", "2027-01-01-xyz", "20270-01-01", "2027-01-01-mon-x"):
        raises(ValueError, parse_date, wrong)
    for wrong in ("", "24:00", "12:60", "12", "12:00:60", "12:00:00.100", "12:00:00.", "12:00.5"):
        raises(ValueError, parse_time, wrong)
    for wrong in (
        "2027-01-01",
        "2027-01-01 00:00 +15:00",
        "2027-01-01 00:00 +1",
        "2027-01-01 00:00 nice",
        "2027-01-01 00:00 Zz",
        "2027-01-01 00:00 0x1g",
        "2027-01-01 00:00 0x-1",
        "2027-01-01 00:00 Z ok more",
        "2027-01-01 00:00 ok Z",
    ):
        raises(ValueError, parse_date_time, wrong)
    assert "month 2 has no day 29" in str(raises(ValueError, parse_date, "2027-02-29"))


def test_bytes_that_are_no_date_are_refused() -> None:
    for wrong in ("07eb0d01ff", "07eb0020ff", "07eb010108", "2fffff01ff", "07eb01", "07eb021dff"):
        raises(ValueError, text_date, bytes.fromhex(wrong))
    raises(ValueError, text_time, bytes.fromhex("18000000"))
    raises(ValueError, text_date_time, bytes.fromhex("07eb0101ff000000001000ff"))


def test_whatever_text_is_given_parses_back() -> None:
    spelt = 0
    for seed in range(3000):
        raw = random_bytes(seed, 12)
        # bring each field near its range, that not all of them are refused
        limits = (8, 256, 13, 32, 8, 24, 60, 60, 100, 4, 256, 256)
        raw = bytes([raw[i] % limits[i] for i in range(12)])
        try:
            text = text_date_time(raw)
        except ValueError:
            continue
        spelt += 1
        assert parse_date_time(text) == raw, text
    assert spelt > 1000


def test_moments():
    for text, local, deviation, summer in (
        ("1970-01-01 00:00:00", 0, None, None),
        ("2027-01-15 12:00:00 +01:00 ok", 1_800_014_400, -60, False),
        ("2027-07-01 00:00:00 -03:00 dst", 1_814_400_000, 180, True),
        ("2024-02-29 23:59:59 Z invalid", 1_709_251_199, 0, False),
        ("2027-01-15 12:*:* +01:00", 1_800_014_400, -60, None),
    ):
        raw = datetime.parse_date_time(text)
        assert moment.local_of(raw) == local, text
        assert moment.deviation_of(raw) == deviation, text
        assert moment.in_summer(raw) == summer, text
        if deviation is not None and "*" not in text:
            made = moment.date_time(local + deviation * 60, deviation)
            assert made[:9] == raw[:4] + b"\xff" + raw[5:9] and made[9:11] == raw[9:11], text
            assert moment.date_time(0, deviation, False)[9:11] == b"\x80\x00"
    for text in ("*-01-01 00:00:00", "2027-*-01 00:00:00", "2027-dstend-01 00:00:00"):
        assert moment.local_of(datetime.parse_date_time(text)) is None, text
    assert moment.local_of(b"") is None
    assert moment.local_of(bytes([7, 235, 2, 30, 255, 24, 0, 0, 0, 0, 0, 0])) is None
    assert moment.deviation_of(bytes(9) + b"\x7f\xff\x00") is None
