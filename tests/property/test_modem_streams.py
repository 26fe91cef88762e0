"""No byte stream crashes, hangs or grows a driver, and none keeps the next good frame from it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.modem import usi, wrapper
from hal.modem.dlmsotcp import DlmsOTcp
from hal.modem.mam import frames as mam_frames
from hal.modem.mam.mam import MetersAndMore
from hal.modem.prime.prime import Prime
from hal.modem.wmbus import amber_frames, hci, wmbus
from hal.modem.wmbus.amber import Amber
from hal.modem.wmbus.imst import Imst
from hal.ports import ModemError
from tests.portable.modem.mam_network import MODEM, Network
from tests.portable.modem.modem_ends import ENTRIES
from tests.portable.modem.test_contract import Bench, traffic

if TYPE_CHECKING:
    from hal.modem.attached import Driver
    from tests.portable.modem.modem_ends import Entry

NODE = "0080e1000001"
METER = "2d2c576866323002"

usi_frames = st.builds(
    lambda protocol, command, data: usi.frame(protocol, bytes([command & 0x7F]) + data),
    st.sampled_from((0x06, 0x07, 0x13, 0x30, 0x31)),
    st.one_of(st.integers(0x2B, 0x4F), st.integers(0, 255)),
    st.binary(max_size=80),
)
lists = st.builds(
    lambda count, size, data: usi.frame(0x07, bytes((0x0F, 0x82, 0x50, count, size)) + data),
    st.integers(0, 255),
    st.integers(0, 255),
    st.binary(max_size=900),
)
joins = st.builds(
    lambda node, eui48: usi.frame(0x30, b"\x3a\x00" + node.to_bytes(2, "big") + eui48 + b"\x00"),
    st.integers(0, 65535),
    st.binary(min_size=6, max_size=6),
)
hci_frames = st.builds(
    hci.frame,
    st.integers(0, 15),
    st.integers(0, 255),
    st.binary(max_size=250),
    st.one_of(st.none(), st.integers(0, 2**32 - 1)),
    st.integers(-1, 255),
)
telegrams = st.builds(
    lambda ci, tail: hci.frame(2, 3, b"\x08" + bytes.fromhex(METER) + bytes([ci]) + tail),
    st.sampled_from((0x60, 0x61, 0x7C, 0x7D, 0x8D)),
    st.binary(max_size=60),
)
usi_stream = st.lists(st.one_of(st.binary(max_size=300), usi_frames, lists, joins), max_size=25)
hci_stream = st.lists(st.one_of(st.binary(max_size=300), hci_frames, telegrams), max_size=25)


addresses = st.sampled_from((NODE, "0080e1000002", "ffffffffff03", "000000000000"))
mam_answers = st.builds(
    lambda address, attribute, dsap, status, apdu: mam_frames.Indication(
        bytes.fromhex(address), attribute, dsap, apdu, status
    ).encode(),
    addresses,
    st.sampled_from((19, 91, 95, 247, 255)),
    st.sampled_from((0, 2, 7)),
    st.sampled_from((0, 0, 0, 5)),
    st.one_of(
        st.binary(max_size=127),
        addresses.map(lambda text: mam_frames.record(bytes.fromhex(text))),
        st.lists(addresses, max_size=5).map(
            lambda found: (
                bytes([len(found)])
                + b"".join(mam_frames.record(bytes.fromhex(text)) for text in found)
            )
        ),
    ),
)
mam_others = st.one_of(
    st.builds(
        lambda address, status: b"\x14" + bytes.fromhex(address) + bytes((0, 0, status)),
        addresses,
        st.integers(0, 7),
    ),
    st.builds(lambda event: bytes((0x16, event, 0)), st.sampled_from((0, 0x20, 0x7F))),
    st.builds(
        lambda head, tail: bytes([head]) + tail, st.integers(0, 0x7F), st.binary(max_size=60)
    ),
)
mam_said = st.one_of(mam_answers, mam_others).map(lambda data: usi.frame(0x31, data))
mam_stream = st.lists(st.one_of(st.binary(max_size=300), usi_frames, mam_said), max_size=25)
amber_said = st.one_of(
    st.builds(amber_frames.frame, st.integers(0, 255), st.binary(max_size=254)),
    st.builds(
        lambda ci, tail: amber_frames.frame(3, b"\x08" + bytes.fromhex(METER) + bytes([ci]) + tail),
        st.sampled_from((0x60, 0x61, 0x7C, 0x7D, 0x8D)),
        st.binary(max_size=60),
    ),
)
amber_stream = st.lists(st.one_of(st.binary(max_size=300), amber_said), max_size=25)
tcp_messages = st.builds(wrapper.wrap, st.integers(0, 9), st.integers(0, 2), st.binary(max_size=60))
tcp_nodes = st.builds(
    lambda number, eui48: wrapper.wrap(0, 1, b"\x01" + number + b"\x00\x01\x00" + eui48),
    st.binary(min_size=2, max_size=2),
    st.binary(min_size=6, max_size=6),
)
tcp_stream = st.lists(st.one_of(tcp_messages, tcp_nodes, st.binary(max_size=9)), max_size=25)
# By driver; one that is not here gets octets of no protocol.
STREAMS = {
    "prime-usi": usi_stream,
    "dlms-o-tcp": tcp_stream,
    "meters-and-more": mam_stream,
    "imst": hci_stream,
    "amber": amber_stream,
}


def play(driver: Driver, pieces: list[bytes], cut: int, address: str) -> int:
    """Feed the pieces `cut` bytes at a time, sending in between; returns the time at the end."""
    driver.start(0)
    now = 0
    for piece in pieces:
        for start in range(0, len(piece), cut):
            now += 7
            driver.feed(piece[start : start + cut], now)
        now += driver.due_ms(now) // 10 + 1
        driver.tick(now)
        try:
            driver.send(address, b"\xc0\x01", 16, 1, now)
        except ModemError:
            pass
        assert len(driver.events()) <= 4 * (len(piece) + 10)
        assert len(driver.outgoing()) <= 200 + 4 * len(piece)
        assert driver.due_ms(now) >= 1
        assert len(driver.nodes()) <= 2000
        assert all(value >= 0 for value in driver.statistics().values())
    return now


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_after_any_stream_a_driver_works_on_a_new_line(entry: Entry, data: st.DataObject) -> None:
    driver = entry.driver()
    pieces = STREAMS.get(entry.name, st.lists(st.binary(max_size=300), max_size=25))
    stream, cut = data.draw(pieces), data.draw(st.integers(1, 500))
    play(driver, stream, cut, entry.nodes[0])
    bench = Bench(entry, "clean", driver)
    bench.form()
    assert traffic(bench, 6) == (6, 6, 6)


@settings(max_examples=150, deadline=None)
@given(tcp_stream, st.integers(1, 500))
def test_dlms_o_tcp_takes_any_stream(pieces: list[bytes], cut: int) -> None:
    driver = DlmsOTcp(silence_ms=1000, answer_ms=100)
    now = play(driver, pieces, cut, NODE)
    if driver.dead:
        return  # what came was another protocol: nothing more is read of it
    # It is still where a message may have to end first.
    driver.feed(bytes(3000), now)
    assert driver.dead and driver.events() == []


@settings(max_examples=150, deadline=None)
@given(usi_stream, st.integers(1, 500))
def test_prime_takes_any_stream(pieces: list[bytes], cut: int) -> None:
    driver = Prime(silence_ms=1000, answer_ms=100)
    now = play(driver, pieces, cut, NODE)
    # A base node that restarts and lists one node is heard, whatever came before.
    driver.feed(b"\x7e" + usi.frame(usi.PRIME_API, b"\x4f\x05" + bytes(13)), now)
    driver.events()
    record = b"\x00\x00\x00\x05" + bytes(17) + bytes.fromhex(NODE)
    driver.feed(usi.frame(0x07, b"\x0f\x82\x50\x01\x19" + record), now)
    assert driver.nodes() == [NODE] and not driver.dead


@settings(max_examples=150, deadline=None)
@given(hci_stream, st.integers(1, 500))
def test_imst_takes_any_stream(pieces: list[bytes], cut: int) -> None:
    driver = Imst(silence_ms=1000, answer_ms=100, duty_permille=1000)
    now = play(driver, pieces, cut, METER)
    driver.tick(now + 1000)
    driver.events()
    telegram = wmbus.Telegram(bytes.fromhex(METER), 1, 1, 16, b"\xc4")
    driver.feed(hci.frame(hci.RADIO, hci.INDICATION, wmbus.from_meter(telegram)), now + 1001)
    assert [event for event in driver.events() if getattr(event, "data", None) == b"\xc4"]


@settings(max_examples=150, deadline=None)
@given(amber_stream, st.integers(1, 500))
def test_amber_takes_any_stream(pieces: list[bytes], cut: int) -> None:
    driver = Amber(silence_ms=1000, answer_ms=100, duty_permille=1000)
    now = play(driver, pieces, cut, METER)
    driver.tick(now + 2000)
    driver.events()
    driver.start(now + 2000)
    memory = amber_frames.frame(0x8A, b"\x00\x80" + bytes(0x80))
    telegram = wmbus.Telegram(bytes.fromhex(METER), 1, 1, 16, b"\xc4")
    heard = amber_frames.frame(amber_frames.DATA_INDICATION, wmbus.from_meter(telegram))
    driver.feed(memory + heard, now + 2001)
    assert [event for event in driver.events() if getattr(event, "data", None) == b"\xc4"]


@settings(max_examples=150, deadline=None)
@given(mam_stream, st.integers(1, 500))
def test_meters_and_more_takes_any_stream(pieces: list[bytes], cut: int) -> None:
    driver = MetersAndMore(silence_ms=1000, answer_ms=100, confirm_ms=2000)
    now = play(driver, pieces, cut, NODE)
    # Whatever came before, a node that is there is found, and no other.
    driver.feed(b"\x7e", now)
    driver.reset(now)
    network = Network({MODEM: [NODE]})
    end = now + 120000
    while now < end:
        for answer in network.take(driver.outgoing()):
            driver.feed(answer, now)
        now += driver.due_ms(now)
        driver.tick(now)
    assert driver.nodes() == [NODE] and not driver.dead


def footprint(parser: object) -> int:
    return sum(sys.getsizeof(value) for value in vars(parser).values())


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=2000), st.integers(1, 20))
def test_parsers_do_not_grow(noise: bytes, times: int) -> None:
    usi_parser, hci_parser, amber_parser = usi.Parser(), hci.Parser(), amber_frames.Parser()
    for _ in range(times):
        usi_parser.feed(noise)
        hci_parser.feed(noise, 0)
        amber_parser.feed(noise, 0)
    assert footprint(usi_parser) < 12000
    assert footprint(hci_parser) < 2000
    assert footprint(amber_parser) < 2000


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=3000), st.integers(1, 600))
def test_unwrapper_gives_frames_or_a_value_error(stream: bytes, cut: int) -> None:
    unwrapper = wrapper.Unwrapper(500)
    try:
        for start in range(0, len(stream), cut):
            for _, _, apdu in unwrapper.feed(stream[start : start + cut]):
                assert len(apdu) <= 500
            assert footprint(unwrapper) < 2000
    except ValueError:
        pass


round_trips: list[tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = [
    (lambda d: usi.frame(0x13, d), lambda r: usi.Parser().feed(r)[0].data),
    (lambda d: usi.frame(0x07, d), lambda r: usi.Parser().feed(r)[0].data),
    (lambda d: usi.frame(0x30, b"\x37" + d), lambda r: usi.Parser().feed(r)[0].data[1:]),
    (lambda d: hci.frame(2, 3, d), lambda r: hci.Parser().feed(r, 0)[0].payload),
    (lambda d: amber_frames.frame(0, d), lambda r: amber_frames.Parser().feed(r, 0)[0][1]),
    (lambda d: wrapper.wrap(1, 2, d), lambda r: wrapper.Unwrapper(250).feed(r)[0][2]),
]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=250), st.sampled_from(round_trips))
def test_round_trips(
    data: bytes, trip: tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]
) -> None:
    there, back = trip
    assert back(there(data)) == data


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2000), st.integers(1, 255), st.binary(min_size=1, max_size=60))
def test_no_damaged_usi_byte_passes_for_another_frame(at: int, flip: int, data: bytes) -> None:
    """One changed byte never gives the same frame with other data (XOR, CRC16 and CRC32 alike)."""
    for protocol in (0x07, 0x13, 0x30):
        command = b"\x37" + data
        raw = bytearray(usi.frame(protocol, command))
        raw[at % len(raw)] ^= flip
        for frame in usi.Parser().feed(bytes(raw)):
            if frame.protocol == protocol and len(frame.data) == len(command):
                assert frame.data == command
