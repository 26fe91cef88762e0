"""A-XDR: what each type looks like in bytes, and what broken input does."""

from __future__ import annotations

from gateway.dlms.data import axdr
from gateway.dlms.errors import ProtocolError
from tests.portable.support import raises, random_bytes

# typed data, its bytes; the bytes are worked out by hand from IEC 61334-6 and the Blue Book
CASES = [
    ((axdr.NULL, None), "00"),
    ((axdr.BOOLEAN, True), "0301"),
    ((axdr.BOOLEAN, False), "0300"),
    ((axdr.BIT_STRING, "0101100000000001"), "04105801"),
    ((axdr.BIT_STRING, "010110"), "040658"),
    ((axdr.BIT_STRING, ""), "0400"),
    ((axdr.DOUBLE_LONG, -2), "05fffffffe"),
    ((axdr.DOUBLE_LONG_UNSIGNED, 4294967295), "06ffffffff"),
    ((axdr.OCTET_STRING, b"\x00\x01"), "09020001"),
    ((axdr.OCTET_STRING, bytes(200)), "0981c8" + "00" * 200),
    ((axdr.OCTET_STRING, bytes(300)), "0982012c" + "00" * 300),
    ((axdr.VISIBLE_STRING, "AMI"), "0a03414d49"),
    ((axdr.UTF8_STRING, "\u00f1"), "0c02c3b1"),
    ((axdr.BCD, 0x12), "0d12"),
    ((axdr.INTEGER, -1), "0fff"),
    ((axdr.LONG, -32768), "108000"),
    ((axdr.UNSIGNED, 255), "11ff"),
    ((axdr.LONG_UNSIGNED, 900), "120384"),
    ((axdr.LONG64, -1), "14" + "ff" * 8),
    ((axdr.LONG64_UNSIGNED, 1 << 63), "158000000000000000"),
    ((axdr.ENUM, 30), "161e"),
    ((axdr.FLOAT32, 1.5), "173fc00000"),
    ((axdr.FLOAT64, -2.0), "18c000000000000000"),
    ((axdr.DATE_TIME, bytes(12)), "19" + "00" * 12),
    ((axdr.DATE, bytes(5)), "1a" + "00" * 5),
    ((axdr.TIME, bytes(4)), "1b" + "00" * 4),
    ((axdr.DELTA_LONG, -5), "1dfffb"),
    ((axdr.DONT_CARE, None), "ff"),
    ((axdr.ARRAY, []), "0100"),
    ((axdr.STRUCTURE, [(axdr.UNSIGNED, 1), (axdr.NULL, None)]), "0202110100"),
    (
        (axdr.ARRAY, [(axdr.STRUCTURE, [(axdr.INTEGER, 0), (axdr.ENUM, 27)])]),
        "010102020f00161b",
    ),
    (
        (axdr.COMPACT_ARRAY, (axdr.LONG_UNSIGNED, [(axdr.LONG_UNSIGNED, 1)] * 2)),
        "13120400010001",
    ),
    (
        (
            axdr.COMPACT_ARRAY,
            (
                (axdr.STRUCTURE, [axdr.UNSIGNED, (axdr.ARRAY, 2, axdr.ENUM)]),
                [(axdr.STRUCTURE, [(axdr.UNSIGNED, 7), (axdr.ARRAY, [(axdr.ENUM, 1)] * 2)])],
            ),
        ),
        "1302021101000216" + "03" + "070101",
    ),
    (
        (
            axdr.COMPACT_ARRAY,
            (
                (axdr.STRUCTURE, [axdr.UNSIGNED, axdr.LONG, axdr.TIME]),
                [
                    (axdr.STRUCTURE, [(axdr.UNSIGNED, n), (axdr.LONG, -n), (axdr.TIME, bytes(4))])
                    for n in (1, 2)
                ],
            ),
        ),
        "130203" + "11101b" + "0e" + "01ffff00000000" + "02fffe00000000",
    ),
]

BROKEN = [
    ("", "nothing"),
    ("1203", "half a number"),
    ("12038400", "a byte too many"),
    ("07", "no such type"),
    ("0905aabb", "a string longer than the data"),
    ("0984ffffffff", "a string of 4 GB"),
    ("0985ffffffffff00", "a length of five bytes"),
    ("0980", "an indefinite length"),
    ("0102120001", "an array that lies about its count"),
    ("0184ffffffff00", "an array of 4 G elements"),
    ("0a0180", "a visible-string that is not ASCII"),
    ("0c01c3", "a utf8-string that is not UTF-8"),
    ("0409ff", "a bit-string with a byte missing"),
    ("0101" * 17 + "00", "nested too deep"),
    ("13000100", "a compact-array of nothing"),
    ("1301ffff01ffff01ffff00" + "0100", "a compact-array that swells"),
    ("1301ffff01ffff0301" + "03" + "000000", "a compact-array that swells, with content"),
    ("13130411111111", "a compact-array of compact-arrays"),
    ("13120300010a", "a compact-array with half an element"),
    ("13", "a compact-array of nothing at all"),
    ("1302021112" + "04" + "01000202", "a compact-array with a third of a row too much"),
    ("1302021112" + "02" + "0100", "a compact-array without a whole row"),
    ("130200" + "01" + "00", "a compact-array of empty rows"),
]


def test_every_type_encodes_as_the_standard_says() -> None:
    for typed, expected in CASES:
        assert axdr.encode(typed).hex() == expected, typed


def test_every_type_decodes_from_bytes_and_from_a_view() -> None:
    for typed, encoded in CASES:
        raw = bytes.fromhex(encoded)
        assert axdr.decode(raw) == typed, encoded
        assert axdr.decode(memoryview(raw)) == typed, encoded


def test_decode_at_and_skip_at_tell_where_the_data_ends() -> None:
    for typed, encoded in CASES:
        raw = b"\xaa" + bytes.fromhex(encoded) + b"\xbb\xcc"
        found, end = axdr.decode_at(raw, 1)
        assert found == typed
        assert end == len(raw) - 2 == axdr.skip_at(raw, 1)


def test_every_cut_is_refused() -> None:
    for _, encoded in CASES:
        raw = bytes.fromhex(encoded)
        for size in range(len(raw)):
            raises(ProtocolError, axdr.decode, raw[:size])
            raises(ProtocolError, axdr.skip_at, raw[:size], 0)


def test_skip_at_raises_nothing_else_and_goes_as_far_as_decode_at() -> None:
    for seed in range(1500):
        raw = random_bytes(seed + 1, 1 + seed % 40)
        if seed % 3 == 0:
            raw = b"\x02\x03" + raw
        try:
            end = axdr.skip_at(raw, 0)
        except ProtocolError:
            raises(ProtocolError, axdr.decode_at, raw, 0)
            continue
        assert end <= len(raw)
        try:
            assert axdr.decode_at(raw, 0)[1] == end
        except ProtocolError:
            pass  # it looks at the values too
    # a lie about a count, or a length, takes no time
    for lie in (
        "01 84ffffffff 00 00",
        "02 84ffffffff 01 84ffffffff",
        "09 84ffffffff",
        "04 84ffffffff",
    ):
        raises(ProtocolError, axdr.skip_at, bytes.fromhex(lie.replace(" ", "")), 0)


def test_broken_data_is_refused() -> None:
    for encoded, _ in BROKEN:
        raises(ProtocolError, axdr.decode, bytes.fromhex(encoded))


def test_random_bytes_raise_nothing_else() -> None:
    refused = 0
    for seed in range(1500):
        noise = random_bytes(seed, 1 + seed % 40)
        try:
            axdr.decode(bytes((noise[0] % 34,)) + noise[1:])
        except ProtocolError:
            refused += 1
    assert 500 < refused < 1500  # some of it is even right


def test_values_that_do_not_fit_their_type_are_refused() -> None:
    for typed in [
        (axdr.UNSIGNED, 256),
        (axdr.UNSIGNED, -1),
        (axdr.LONG, 32768),
        (axdr.LONG64_UNSIGNED, 1 << 64),
        (axdr.UNSIGNED, "1"),
        (axdr.FLOAT32, 1e39),
        (axdr.VISIBLE_STRING, "\u00f1"),
        (axdr.BIT_STRING, "012"),
        (axdr.DATE, bytes(4)),
        (7, 0),
        (axdr.COMPACT_ARRAY, (axdr.UNSIGNED, [(axdr.LONG, 1)])),
        (axdr.COMPACT_ARRAY, ((axdr.ARRAY, 2, axdr.UNSIGNED), [(axdr.ARRAY, [])])),
        (axdr.COMPACT_ARRAY, (axdr.STRUCTURE, [])),
    ]:
        raises(ValueError, axdr.encode, typed)


def test_to_values_gives_natives() -> None:
    typed = (axdr.STRUCTURE, [(axdr.ENUM, 1), (axdr.ARRAY, [(axdr.NULL, None)])])
    assert axdr.to_values(typed) == [1, [None]]
    assert axdr.to_values((axdr.COMPACT_ARRAY, (17, [(17, 3), (17, 4)]))) == [3, 4]


CLOCK = bytes((7, 234, 11, 23, 1, 0, 15, 0, 255, 128, 0, 0))


def row(clock: object, energy: int, last: object) -> tuple:
    return (axdr.STRUCTURE, [clock, (axdr.DOUBLE_LONG_UNSIGNED, energy), last])


def profile() -> list:
    """Rows of one build, then of others: no time, longer time, other type, one row on its own."""
    clock = (axdr.OCTET_STRING, CLOCK)
    long = (axdr.OCTET_STRING, bytes(300))
    null = (axdr.NULL, None)
    rows = [row(clock, n, (axdr.LONG, -n)) for n in range(5)]
    rows += [row(null, n, (axdr.FLOAT32, n / 2)) for n in range(5)]
    rows += [row(long, n, null) for n in range(5)]
    rows += [row((axdr.DATE_TIME, CLOCK), n, (axdr.LONG_UNSIGNED, n)) for n in range(5)]
    rows += [row((axdr.DATE_TIME, CLOCK), n, (axdr.BOOLEAN, n > 2)) for n in range(5)]
    rows += [row((axdr.VISIBLE_STRING, "AMI"), n, (axdr.ARRAY, [null])) for n in range(5)]
    rows += [row((axdr.UTF8_STRING, "AMI"), 9, (axdr.ARRAY, [null]))]
    rows += [(axdr.STRUCTURE, [])] * 3 + [(axdr.UNSIGNED, 9)] * 3
    rows += [(axdr.STRUCTURE, [(axdr.UNSIGNED, 9)] * 200)] * 3
    return rows


def test_rows_of_a_profile_decode_whatever_their_build() -> None:
    rows = profile()
    for first in range(len(rows)):
        typed = (axdr.ARRAY, rows[first:])
        raw = axdr.encode(typed)
        assert axdr.decode(raw) == axdr.decode(memoryview(raw)) == typed
        assert axdr.values(raw) == axdr.values(memoryview(raw)) == axdr.to_values(typed)
        assert axdr.decode_at(b"\xaa" + raw + b"\xbb", 1) == (typed, 1 + len(raw))


def test_alike_rows_that_differ_in_one_tag_or_length_are_told_apart() -> None:
    alike = row((axdr.OCTET_STRING, CLOCK), 7, (axdr.LONG, 1))
    for other in [
        row((axdr.OCTET_STRING, CLOCK), 7, (axdr.LONG_UNSIGNED, 1)),
        row((axdr.OCTET_STRING, CLOCK[:11]), 7, (axdr.STRUCTURE, [(axdr.UNSIGNED, 1)])),
        (axdr.OCTET_STRING, axdr.encode(alike)[2:]),
    ]:
        assert len(axdr.encode(other)) == len(axdr.encode(alike))
        typed = (axdr.ARRAY, [alike, alike, other, alike])
        assert axdr.decode(axdr.encode(typed)) == typed


def test_a_profile_cut_or_lying_about_its_rows_is_refused() -> None:
    rows = [row((axdr.OCTET_STRING, CLOCK), n, (axdr.LONG, n)) for n in range(6)]
    raw = axdr.encode((axdr.ARRAY, rows))
    for size in range(len(raw)):
        raises(ProtocolError, axdr.decode, raw[:size])
        raises(ProtocolError, axdr.values, raw[:size])
    for count in (5, 7, 127):
        raises(ProtocolError, axdr.decode, bytes((axdr.ARRAY, count)) + raw[2:])
        raises(ProtocolError, axdr.values, bytes((axdr.ARRAY, count)) + raw[2:])


def test_values_are_those_of_to_values() -> None:
    for typed, encoded in CASES:
        raw = bytes.fromhex(encoded)
        assert axdr.values(raw) == axdr.to_values(typed)
    for encoded, _ in BROKEN:
        raises(ProtocolError, axdr.values, bytes.fromhex(encoded))


def test_names_and_tags_match() -> None:
    assert axdr.TAG_OF["long-unsigned"] == axdr.LONG_UNSIGNED == 18
    assert axdr.TAGS[axdr.TAG_OF["compact-array"]] == "compact-array"
    assert len(axdr.TAGS) == len(axdr.TAG_OF)


def test_lengths_at_every_edge_of_their_spelling() -> None:
    for length, spelt in (
        (0, "00"),
        (0x7F, "7f"),
        (0x80, "8180"),
        (0xFF, "81ff"),
        (0x100, "820100"),
        (0xFFFF, "82ffff"),
        (0x10000, "8400010000"),
        (70000, "8400011170"),
        (0xFFFFFFFF, "84ffffffff"),
    ):
        out = bytearray()
        axdr.put_length(out, length)
        assert out == bytes.fromhex(spelt) and axdr.length_size(length) == len(out)
        assert axdr.length_at(out, 0) == (length, len(out))
        for size in range(len(out)):
            raises(ProtocolError, axdr.length_at, out[:size], 0)
    raises(ValueError, axdr.put_length, bytearray(), 0x100000000)
    # three bytes, or more than are needed, are fine to read; none and five are not
    assert axdr.length_at(bytes.fromhex("83010000"), 0) == (0x10000, 4)
    assert axdr.length_at(bytes.fromhex("8400000001"), 0) == (1, 5)
    raises(ProtocolError, axdr.length_at, b"\x80", 0)
    raises(ProtocolError, axdr.length_at, bytes.fromhex("850000000001"), 0)


def test_values_longer_than_two_bytes_of_length_can_say() -> None:
    for size in (0xFFFF, 0x10000, 70000):
        octets = random_bytes(3, 100) * (size // 100 + 1)
        octets = octets[:size]
        raw = axdr.encode((axdr.OCTET_STRING, octets))
        assert axdr.decode(raw) == (axdr.OCTET_STRING, octets) and axdr.values(raw) == octets
        assert axdr.skip_at(raw, 0) == len(raw)
        raises(ProtocolError, axdr.decode, raw[:-1])
        raises(ProtocolError, axdr.decode, raw + b"\x00")
    count = 0x10001
    raw = b"\x01\x84\x00\x01\x00\x01" + b"\x11\x07" * count
    assert axdr.skip_at(raw, 0) == len(raw)
    raises(ProtocolError, axdr.skip_at, raw[:-1], 0)
    raises(ProtocolError, axdr.skip_at, raw[:-2], 0)
