"""hal.rt.cbor against RFC 8949 appendix A and against damage."""

from __future__ import annotations

from hal.rt.cbor import MAX_DEPTH, CborError, CBORTag, decode, decode_sequence, encode
from tests.portable.support import raises, random_bytes

# RFC 8949 appendix A: both directions.
BOTH_WAYS = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (255, "18ff"),
    (256, "190100"),
    (65535, "19ffff"),
    (65536, "1a00010000"),
    (1000000, "1a000f4240"),
    (1000000000000, "1b000000e8d4a51000"),
    (18446744073709551615, "1bffffffffffffffff"),
    (-18446744073709551616, "3bffffffffffffffff"),
    (-1, "20"),
    (-10, "29"),
    (-100, "3863"),
    (-1000, "3903e7"),
    (1.1, "fb3ff199999999999a"),
    (-4.1, "fbc010666666666666"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    (b"", "40"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("", "60"),
    ("IETF", "6449455446"),
    ("\u00fc", "62c3bc"),
    ("\u6c34", "63e6b0b4"),
    ("\U00010151", "64f0908591"),
    ([], "80"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    ({}, "a0"),
    ({1: 2}, "a10102"),
    ({"a": [2, 3]}, "a161618202" + "03"),
]
ONLY_READ = [
    (1.0, "f93c00"),
    (1.5, "f93e00"),
    (65504.0, "f97bff"),
    (5.960464477539063e-8, "f90001"),
    (-4.0, "f9c400"),
    (100000.0, "fa47c35000"),
    (float("inf"), "f97c00"),
    (24, "190018"),  # not shortest, but well-formed
]
REFUSED = [
    ("", "nothing"),
    ("0000", "trailing"),
    ("18", "ends in the head"),
    ("1c", "reserved"),
    ("5f4100ff", "indefinite"),
    ("9f01ff", "indefinite"),
    ("bf6161f5ff", "indefinite"),
    ("ff", "break"),
    ("f7", "undefined"),
    ("f0", "simple"),
    ("f8ff", "simple"),
    ("41", "short bytes"),
    ("5bffffffffffffffff00", "enormous bytes"),
    ("7b7fffffffffffffff00", "enormous text"),
    ("9b0000000100000000", "enormous array"),
    ("bb0000000100000000", "enormous map"),
    ("8201", "short array"),
    ("a101", "map without a value"),
    ("a201000100", "duplicate key"),
    ("a20100180100", "duplicate key, longer form"),
    ("a1f400", "bool key"),
    ("a1800a", "array key"),
    ("61ff", "not UTF-8"),
    ("62c080", "overlong"),
    ("63eda080", "surrogate"),
    ("64f4908080", "beyond Unicode"),
    ("62e6b0", "cut UTF-8"),
    ("c001", "tag not asked for"),
    ("d81c80", "shareable"),
    ("c2490100000000000000" + "00", "bignum"),
]


def test_appendix_a_both_ways() -> None:
    for value, text in BOTH_WAYS:
        raw = bytes.fromhex(text)
        assert encode(value) == raw, (value, encode(value).hex())
        assert decode(raw) == value, text
        assert type(decode(raw)) is type(value), text


def test_appendix_a_read() -> None:
    for value, text in ONLY_READ:
        assert decode(bytes.fromhex(text)) == value, text
    not_a_number = decode(bytes.fromhex("f97e00"))
    assert not_a_number != not_a_number


def test_tuples_and_memoryviews() -> None:
    assert encode((1, (2,))) == bytes.fromhex("82018102")
    assert decode(memoryview(b"\x82\x01\x81\x02")) == [1, [2]]


def test_refuses() -> None:
    for text, why in REFUSED:
        error = raises(CborError, decode, bytes.fromhex(text))
        assert isinstance(error, ValueError), why


def test_what_a_refusal_says() -> None:
    for text, said in (
        ("", "ends at byte 0 where an item is expected"),
        ("8119", "ends inside the head at byte 1"),
        ("820001ff"[:4], "2 items announced before byte 1, only 1 bytes follow"),
        ("a2000102", "4 items announced before byte 1, only 3 bytes follow"),
        ("4302", "string at byte 0 wants 3 bytes, 1 are left"),
        ("a161ff00", "text at byte 1 is not UTF-8"),
        ("a2000100f6", "duplicate map key at byte 3"),
        ("a18000", "map key at byte 1 is neither integer nor string"),
        ("81c100", "tag 1 at byte 1 is not expected here"),
    ):
        error = raises(CborError, decode, bytes.fromhex(text))
        assert str(error) == "CBOR: " + said, error


def test_tags_only_when_asked() -> None:
    tagged = encode(CBORTag(18, [b"a", {}]))
    assert tagged == bytes.fromhex("d2824161a0")
    item = decode(tagged, tags=(18,))
    assert item.tag == 18 and item.value == [b"a", {}]
    raises(CborError, decode, tagged)
    raises(CborError, decode, tagged, (17,))
    raises(CborError, decode, b"\x81\xd1\x01", (18,))


def test_depth() -> None:
    deepest = b"\x81" * MAX_DEPTH + b"\x00"
    assert encode(decode(deepest)) == deepest
    raises(CborError, decode, b"\x81" + deepest)
    tagged = b"\xd2" + deepest
    assert encode(decode(tagged, (18,))) == tagged
    raises(CborError, decode, b"\xd2\x81" + deepest, (18,))
    raises(CborError, decode, b"\x81" * 10000)
    loop: list[object] = []
    loop.append(loop)
    raises(CborError, encode, loop)
    raises(CborError, encode, CBORTag(18, loop))


def test_encode_refuses() -> None:
    for bad in (1 << 64, -(1 << 64) - 1, object(), {None: 1}, {True: 1}, {(1, 2): 3}, {1.5: 2}):
        raises(CborError, encode, bad)
        raises(CborError, encode, [bad])
    raises(CborError, encode, [CBORTag(18, [])])  # decode() would not take it


def test_every_cut_and_every_flip_is_an_answer() -> None:
    whole = encode([1, b"\x01" * 30, "text", [None, True, 1.5], {1: b"k", -7: "v"}, 70000])
    for size in range(len(whole)):
        raises(CborError, decode, whole[:size])
    for position in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            try:
                decode(bytes(damaged))
            except CborError:
                pass


def test_noise_is_an_answer() -> None:
    for seed in range(500):
        try:
            decode(random_bytes(seed, 1 + seed % 40), (18,))
        except CborError:
            pass


def test_sequences() -> None:
    """RFC 8742: items one after another, each as decode() takes it, and not too many."""
    assert decode_sequence(b"", 4) == []
    assert decode_sequence(b"\x03\x82\x06\x02\x41\x07", 3) == [3, [6, 2], b"\x07"]
    assert decode_sequence(memoryview(b"\x01\xf5"), 2) == [1, True]
    for bad in (b"\x01\x02\x03\x04\x05", b"\x01\x42\x00", b"\x01\xd2\x80", b"\x01\xff", b"\x1f"):
        raises(CborError, decode_sequence, bad, 4)


def test_what_claims_more_than_is_there_makes_nothing_below_either() -> None:
    """In the package under hal.rt.cbor: CPython's own, or ours for MicroPython."""
    import cbor2

    for raw in (
        b"\x9a\xff\xff\xff\xff\x00",
        b"\xba\xff\xff\xff\xff\x00\x00",
        b"\x5a\xff\xff\xff\xff\x00",
        b"\x7a\xff\xff\xff\xff\x00",
        b"\x82\x00",
        b"\xa1\x00",
    ):
        error = raises(Exception, cbor2.loads, raw)
        assert not isinstance(error, MemoryError), raw.hex()
