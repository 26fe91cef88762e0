"""Whatever comes, ami-sniff decodes or counts it: it neither fails nor grows."""

from __future__ import annotations

import json
import tracemalloc
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.modem import usi
from hal.modem.wmbus import hci
from hal.modem.wrapper import wrap
from tests.conftest import ROOT
from tests.unit.dlms.test_protections import Protection, pair
from tests.unit.sniff.test_sniff_keys import decode, known, overheard, shown
from tests.unit.sniff.test_sniff_lines import LINES
from tools.replay.derive import derive
from tools.replay.orders import FORMATS
from tools.replay.player import OUTCOME
from tools.sniff import framing, output, pcap
from tools.sniff.cosem import MOST
from tools.sniff.decoder import AUTO, Decoder
from tools.sniff.frame import Chunk
from tools.sniff.recording import RecordingProblem, chunks, rows

SYNCS = [b"\x7e", b"\x7d", b"\xa5", b"\xff", b"\x00\x01", b"\x7e\xa0", b"\x7e\xa8", b"\xa5\x82\x03"]
GOOD = [frame for pair_ in LINES.values() for frame in pair_]
pieces = st.one_of(st.binary(max_size=40), st.sampled_from(SYNCS), st.sampled_from(GOOD))
ways = st.sampled_from([None, True, False])
damages = st.tuples(st.integers(0, 40), st.integers(0, 200), st.integers(1, 255))
formats = st.sampled_from([AUTO, *framing.FORMATS])


def all_of(frames: list[Any], decoder: Decoder) -> None:
    """Shown both ways: that has to work too."""
    document = output.summary(decoder)
    assert document["frames"] + sum(document["damaged"].values()) == len(frames)
    assert shown(frames) or not frames
    json.dumps(document)


@settings(max_examples=300, deadline=None)
@given(
    formats, st.lists(st.tuples(pieces, st.integers(0, 3000), st.sampled_from([None, True, False])))
)
def test_noise_and_frames(format: str, said: list[tuple[bytes, int, bool | None]]) -> None:
    decoder = Decoder(format)
    frames = []
    at_ms = 0
    for data, pause, outward in said:
        at_ms += pause
        frames += decoder.feed(Chunk(data, at_ms, outward))
    frames += decoder.end()
    assert decoder.bytes == sum(len(data) for data, _, _ in said)
    all_of(frames, decoder)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(framing.FORMATS), st.binary(max_size=600), st.integers(1, 50))
def test_frames_do_not_depend_on_the_pieces(format: str, data: bytes, size: int) -> None:
    """Where no time tells that a frame has ended."""

    def found(piece: int) -> list[Any]:
        framer = framing.framer(format)
        raws = []
        for at in range(0, len(data), piece):
            raws += framer.feed(data[at : at + piece], None)
        return [raw for raw in raws + framer.end() if not raw.damage]

    whole = found(len(data) or 1)
    assert found(size) == whole


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([0x06, 0x07, 0x13, 0x25, 0x30, 0x31]), st.binary(max_size=200))
def test_anything_inside_a_right_usi_frame(protocol: int, data: bytes) -> None:
    if data[:1] >= b"\x80" and protocol in usi.LONG_PROTOCOLS:
        data = bytes((data[0] & 0x7F,)) + data[1:]
    decoder = Decoder(framing.USI)
    frames = decoder.feed(Chunk(usi.frame(protocol, data)))
    assert len(frames) == 1
    all_of(frames, decoder)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(range(1, 80)), st.binary(max_size=200))
def test_any_prime_or_meters_and_more_command(command: int, data: bytes) -> None:
    decoder = Decoder(framing.USI)
    frames = decoder.feed(Chunk(usi.frame(0x30, bytes((command,)) + data)))
    frames += decoder.feed(Chunk(usi.frame(0x31, bytes((command,)) + data)))
    assert len(frames) == 2
    all_of(frames, decoder)
    decoder = Decoder(framing.IMST)
    frames = decoder.feed(Chunk(hci.frame(1 + command % 2, command, data)))
    assert len(frames) == 1
    all_of(frames, decoder)


@cache
def association() -> list[tuple[bool, bytes]]:
    return overheard(*pair(0, Protection("general-ded")))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 200), st.integers(1, 255)), max_size=4)
)
def test_damaged_apdus_with_keys(damage: list[tuple[int, int, int]]) -> None:
    said = list(association())
    for place, at, bits in damage:
        outward, data = said[place % len(said)]
        at = 8 + at % (len(data) - 8)
        said[place % len(said)] = outward, data[:at] + bytes((data[at] ^ bits,)) + data[at + 1 :]
    frames, decoder = decode(said, known(0))
    all_of(frames, decoder)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=80)), max_size=8))
def test_any_apdus_with_keys(said: list[tuple[bool, bytes]]) -> None:
    tags = b"\x60\x61\x21\xc8\xcc\xdb\xdc\xdd\xdf\xe0\xc0\xc1\xc3\x0f"
    lines = [
        (outward, wrap(1, 1, bytes((tags[len(apdu) % len(tags)],)) + apdu))
        for outward, apdu in said
    ]
    frames, decoder = decode(lines, known(0))
    all_of(frames, decoder)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_any_file(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    for head in (b"", b"\xd4\xc3\xb2\xa1" + bytes(16) + b"\x01\0\0\0", b'{"recording": 1}\n'):
        path.write_bytes(head + data)
        decoder = Decoder()
        try:
            if head[:1] == b"{":
                for chunk in chunks(path):
                    decoder.feed(chunk)
            else:
                for chunk in pcap.chunks(path):
                    decoder.feed(chunk)
        except (pcap.PcapProblem, RecordingProblem):
            pass
        decoder.end()


bytes_ = st.one_of(pieces, st.sampled_from([b""]))
events = st.one_of(
    st.builds(lambda data: {"read": data.hex()}, bytes_),
    st.builds(lambda data: {"write": data.hex()}, bytes_),
    st.sampled_from([{"line": "open"}, {"line": "closed"}]),
)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(FORMATS)),
    st.lists(st.tuples(st.integers(0, 70000), events), max_size=12),
)
def test_any_trace_can_be_made_a_test(driver: str, said: list[tuple[int, dict[str, str]]]) -> None:
    at, trace = 0, []
    for pause, event in said:
        at += pause
        trace.append({"at": at, **event})
    derived = derive({"recording": 1, "driver": driver}, trace)
    reads = [row["read"] for row in derived.rows if "read" in row]
    assert reads == [row["read"] for row in trace if "read" in row]
    assert not any(kind in row for row in derived.rows for kind in OUTCOME)


def test_recordings_kept_are_read_whole() -> None:
    recordings = sorted((ROOT / "tests/data/recordings").glob("*.jsonl"))
    assert len(recordings) >= 4
    for path in recordings:
        assert len(list(rows(path))) > 20
        assert sum(len(chunk.data) for chunk in chunks(path)) > 500


@pytest.mark.parametrize("format", [AUTO, *framing.FORMATS])
def test_memory_stays_where_it_is(format: str) -> None:
    """A megabyte of frames from ever new nodes, with noise between them."""
    decoder = Decoder(format, known(0))

    def feed(count: int, start: int) -> None:
        for number in range(start, start + count):
            for data in GOOD:
                decoder.feed(Chunk(data, number, None, ""))
            other = number.to_bytes(4, "big")
            node = (number % 500).to_bytes(2, "big")
            join = b"\x3a\x03AMI" + node + b"\x00\x80" + other + b"\x00"
            decoder.feed(Chunk(usi.frame(0x30, join) + other + b"\x7e\xa7\xff", number))
            decoder.feed(Chunk(wrap(number & 0xFFFF, 1, b"\x60" + other), number))

    feed(MOST + 100, 0)
    tracemalloc.start()
    feed(MOST, 10000)  # as many as are remembered
    before, _ = tracemalloc.get_traced_memory()
    feed(MOST, 20000)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 100_000


def test_beginnings_without_an_end_are_given_up() -> None:
    """One after the other, which must not take a square of the time: the suite's limit tells."""
    for format, data in (
        (framing.WRAPPER, b"\x00\x01\x00\x01\x00\x01\xff\xff"),
        (framing.HDLC, b"\x7e\xa7\xff\x03\x03"),
        (framing.IMST, b"\xa5\x82\x03\xff"),
    ):
        decoder = Decoder(format)
        frames = decoder.feed(Chunk(data * 25000)) + decoder.end()
        assert frames and all(frame.damage or frame.layers for frame in frames)
