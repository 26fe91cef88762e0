"""USI framing: a captured session, computed frames, and every kind of damage."""

from __future__ import annotations

from hal.modem import usi
from tests.portable.support import raises, random_bytes

# Recorded by Atmel's PLC sniffer: a file header, then USI frames of protocol 13 as they came over
# its serial line. It came with the facts on modems that this project was given, under this name.
CAPTURE = "tests/portable/data/usi-sniffer-with-timestamp.bin"
DATA_REQUEST = bytes.fromhex("7e02f037010100050003c0018100837e")


def capture() -> bytes:
    with open(CAPTURE, "rb") as file:
        return file.read()


def damage(parser: usi.Parser) -> int:
    return (
        parser.bad_crc
        + parser.bad_length
        + parser.bad_escape
        + parser.too_long
        + parser.unknown_protocol
    )


def test_captured_session_has_193_right_frames() -> None:
    data = capture()
    assert data[:8] == b"ATPLSF\x00\x01"
    parser = usi.Parser()
    frames = parser.feed(data[8:])
    assert len(frames) == parser.frames == 193
    assert damage(parser) == 0
    assert {frame.protocol for frame in frames} == {usi.PRIME_SNIFFER}


def test_captured_frames_are_built_byte_for_byte() -> None:
    data = capture()[8:]
    built = b"".join([usi.frame(f.protocol, f.data) for f in usi.Parser().feed(data)])
    assert built == data


def test_capture_byte_at_a_time_with_its_file_header_as_noise() -> None:
    data = capture()
    parser = usi.Parser()
    frames = []
    for position in range(len(data)):
        frames += parser.feed(data[position : position + 1])
    assert len(frames) == 193
    assert damage(parser) == 1


def test_computed_frames() -> None:
    body = bytes.fromhex("37010100050003c0018100")
    assert usi.frame(usi.PRIME_API, body) == DATA_REQUEST
    aca = bytes.fromhex("0c00000201 0000".replace(" ", ""))
    assert usi.frame(usi.METERS_AND_MORE, aca) == bytes.fromhex(
        "7e01f10c00000201 0000ff7e".replace(" ", "")
    )


def test_crc_kinds() -> None:
    assert usi.crc16(b"123456789") == 0xBEEF
    assert usi.crc8(b"\x02\xf0\x37") == 0xC5
    # CRC-32 without reflection and final XOR, init 0: the remainder of the message itself.
    assert usi.crc32(b"\x00\x00\x00\x01") == 0x04C11DB7
    assert [usi.crc_size(p) for p in (0x00, 0x07, 0x13, 0x25, 0x30, 0x31, 0x0E)] == [
        4,
        4,
        2,
        2,
        1,
        1,
        0,
    ]


def test_round_trip_of_every_protocol_and_size() -> None:
    for protocol in (0x00, 0x06, 0x07, 0x13, 0x25, 0x30, 0x31):
        for size in (1, 2, 255, 256, 1023, 1024, 1030, 2047):
            if size > 1023 and protocol not in usi.LONG_PROTOCOLS:
                continue
            data = b"\x37" + random_bytes(size, size - 1)
            frames = usi.Parser().feed(usi.frame(protocol, data))
            assert len(frames) == 1
            assert (frames[0].protocol, frames[0].data) == (protocol, data)


def test_escapes() -> None:
    data = b"\x37\x7e\x7d\x7e\x7d\x5e\x5d"
    raw = usi.frame(usi.PRIME_API, data)
    assert b"\x7e" not in raw[1:-1]
    assert usi.Parser().feed(raw)[0].data == data


def test_what_does_not_fit_is_refused() -> None:
    raises(ValueError, usi.frame, 0x0E, b"x")
    raises(ValueError, usi.frame, 0x13, bytes(1024))
    raises(ValueError, usi.frame, 0x30, bytes(2048))
    raises(ValueError, usi.frame, 0x30, b"\x80")


def test_each_damage_is_counted_and_costs_one_frame() -> None:
    good = DATA_REQUEST
    cases = (
        ("bad_crc", good[:-2] + b"\x84\x7e"),
        ("bad_length", good[:5] + good[6:]),
        ("bad_length", b"\x7e\x02\x7e"),
        ("bad_escape", b"\x7e\x02\xf0\x7d\x00\x7e"),
        ("bad_escape", b"\x7e\x02\xf0\x7d\x7e"),
        ("unknown_protocol", b"\x7e\x00\x4e\x00\x00\x7e"),
        ("too_long", b"\x7e" + bytes(5000) + b"\x7e"),
    )
    for kind, raw in cases:
        parser = usi.Parser()
        frames = parser.feed(good + raw + good)
        assert len(frames) == 2, (kind, len(frames))
        assert getattr(parser, kind) == 1, kind
        assert damage(parser) == 1, kind


def test_a_lost_flag_costs_one_frame() -> None:
    parser = usi.Parser()
    assert len(parser.feed(DATA_REQUEST[1:] + DATA_REQUEST)) == 2  # the leading flag is not needed
    assert len(parser.feed(DATA_REQUEST[:-1] + DATA_REQUEST)) == 2  # one flag serves both
    merged = DATA_REQUEST[:-1] + DATA_REQUEST[1:]
    assert len(parser.feed(merged + DATA_REQUEST)) == 1


def test_noise_without_flags_does_not_grow_the_parser() -> None:
    parser = usi.Parser()
    for _ in range(100):
        parser.feed(bytes(1000))
        assert len(parser._partial) < 5000
    assert parser.too_long == 1
    assert len(parser.feed(b"\x7e" + DATA_REQUEST)) == 1


def test_random_bytes_between_frames() -> None:
    parser = usi.Parser()
    found = 0
    for seed in range(100):
        found += len(parser.feed(random_bytes(seed, 50) + DATA_REQUEST))
    assert found == 100


def test_reset_forgets_a_frame_half_received() -> None:
    for half in (DATA_REQUEST[:-5], b"\x7e" + bytes(1 << 16)):
        parser = usi.Parser()
        assert parser.feed(half) == []
        before = damage(parser)
        parser.reset()
        # No flag stands between: what was half there would be taken for its beginning.
        (frame,) = parser.feed(DATA_REQUEST[1:])
        assert frame.data == usi.Parser().feed(DATA_REQUEST)[0].data
        assert damage(parser) == before
