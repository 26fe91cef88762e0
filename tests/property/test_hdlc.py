"""HDLC: frames come back as they were sent however the bytes are cut; the two ends deliver every
APDU once and in order over any line that keeps the order of its bytes, or say why not."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dlms.errors import DlmsError, LinkSilent, ProtocolError
from gateway.dlms.hdlc import frames
from gateway.dlms.hdlc.client import CLOSED, OPEN, HdlcClient
from gateway.dlms.hdlc.frames import Frame, Receiver, server_address, split_address
from gateway.dlms.hdlc.mode_e import Identification, Messages, ModeEServer
from gateway.dlms.hdlc.numbered import Parameters
from gateway.dlms.hdlc.server import HdlcServer
from gateway.dlms.hdlc.settings import Settings
from tests.portable.dlms.hdlc_line import ADDRESS, Line

sizes = st.sampled_from([8, 16, 32, 64, 128, 512, 2030])
windows = st.integers(1, 7)
addresses = st.one_of(
    st.integers(0, 127).map(server_address),
    st.tuples(st.integers(0, 127), st.integers(0, 127)).map(lambda a: server_address(*a)),
    st.tuples(st.integers(0, 16383), st.integers(0, 16383)).map(lambda a: server_address(*a, 4)),
)
# bytes among which flags and beginnings of frames are frequent
spiked = st.lists(
    st.one_of(
        st.binary(max_size=8),
        st.sampled_from([b"\x7e", b"\x7e\x7e", b"\x7e\xa0", b"\x7e\xa7\xff", b"\xa0\x08"]),
    ),
    max_size=12,
).map(b"".join)
sent_frames = st.builds(
    Frame, addresses, addresses, st.integers(0, 255), st.one_of(spiked, st.binary()), st.booleans()
)


def encoded(frame: Frame) -> bytes:
    return frames.encode(
        frame.destination, frame.source, frame.control, frame.information, frame.segmented
    )


def same(one: Frame, other: Frame) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in Frame.__slots__)


def feed_cut(receiver: Receiver, data: bytes, cuts: list[int]) -> list[Frame]:
    """Feed in pieces of these sizes, over and over."""
    found = []
    i = 0
    while data:
        size = cuts[i % len(cuts)] if cuts else len(data)
        found += receiver.feed(data[:size])
        data = data[size:]
        i += 1
    return found


@given(addresses)
def test_addresses(address: bytes) -> None:
    upper, lower = split_address(address)
    assert server_address(upper, lower, len(address)) == address


@given(st.lists(sent_frames, max_size=5), st.lists(st.integers(1, 400), max_size=4), st.booleans())
def test_frames_come_back(sent: list[Frame], cuts: list[int], shared: bool) -> None:
    data = b"".join(encoded(frame)[1 if shared else 0 :] for frame in sent)
    found = feed_cut(Receiver(), b"\x7e" + data if shared else data, cuts)
    assert len(found) == len(sent)
    assert all(same(one, other) for one, other in zip(found, sent, strict=True))


@given(spiked, sent_frames, spiked, st.lists(st.integers(1, 30), max_size=4))
def test_a_frame_in_noise_is_found(
    before: bytes, frame: Frame, after: bytes, cuts: list[int]
) -> None:
    receiver = Receiver()
    found = feed_cut(receiver, before + encoded(frame) + after, cuts)
    found += receiver.silence()
    assert any(same(one, frame) for one in found)
    assert not receiver.amid_frame


@given(st.lists(spiked), st.lists(st.integers(1, 30), max_size=4))
def test_no_bytes_crash_the_receiver(pieces: list[bytes], cuts: list[int]) -> None:
    receiver = Receiver()
    for piece in pieces:
        feed_cut(receiver, piece, cuts)
        assert len(receiver._buffer) <= frames.MAX_LENGTH + 2


@given(st.binary(max_size=60))
def test_decode_says_no_in_its_own_words(data: bytes) -> None:
    try:
        frame = frames.decode(data)
    except ProtocolError:
        return
    assert encoded(frame) == data


@given(sizes, sizes, windows, windows)
def test_parameters_come_back(send: int, receive: int, out: int, back: int) -> None:
    there = Parameters(send, receive, out, back)
    found = Parameters.decode(there.encode())
    assert found.encode() == there.encode()
    others = Parameters(64, 256, 2, 5)
    agreed, theirs = there.agreed(others), others.agreed(there)
    assert (agreed.send_size, agreed.send_window) == (theirs.receive_size, theirs.receive_window)
    assert (agreed.receive_size, agreed.receive_window) == (theirs.send_size, theirs.send_window)


@given(st.binary(max_size=40))
def test_parameters_of_any_bytes(data: bytes) -> None:
    for raw in (data, b"\x81\x80" + bytes((len(data),)) + data):
        try:
            found = Parameters.decode(raw)
        except ProtocolError:
            continue
        assert Parameters.decode(found.encode()).encode() == found.encode()


# ---------------------------------------------------------------- both ends


class DrawnTrouble:
    """What befalls each frame on the line, in turn; after the last one, nothing any more."""

    def __init__(self, events: list[tuple[str, int]]) -> None:
        self._events = list(events)

    def __call__(self, data: bytes) -> list[tuple[int, bytes]]:
        pieces = []
        while data:
            size = ((data[1] & 7) << 8 | data[2]) + 2
            frame, data = data[:size], data[size:]
            what, number = self._events.pop(0) if self._events else ("", 0)
            at = number % size
            if what == "damage":
                frame = frame[:at] + bytes((frame[at] ^ 1 << number % 8,)) + frame[at + 1 :]
            elif what == "cut":
                frame = frame[:at]
            elif what == "hole":
                frame = frame[:at] + frame[at + 1 + number % 7 :]
            elif what == "noise":
                frame = frame[:at] + b"\x7e\xa1" * (number % 3) + frame[at:]
            elif what == "flags":
                frame = b"\x7e" * (number % 5) + frame + b"\x7e"
            if what != "lose":
                pieces.append((number if what == "late" else 5, frame))
            if what == "double":
                pieces.append((5, frame))
        return pieces


events = st.lists(
    st.one_of(
        st.just(("", 0)),
        st.tuples(
            st.sampled_from(["lose", "damage", "cut", "hole", "noise", "flags", "double", "late"]),
            st.integers(0, 4000),
        ),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.binary(max_size=200), min_size=1, max_size=5),
    st.sampled_from([8, 32, 128]),
    windows,
    windows,
    events,
)
def test_every_apdu_once_and_in_order(
    apdus: list[bytes], size: int, window: int, others: int, trouble: list[tuple[str, int]]
) -> None:
    """With tries enough for all the trouble there is, everything arrives."""
    line = Line(
        Settings(size, window, tries=40),
        Parameters(size, 2 * size, others, others),
        lambda apdu: apdu[::-1],
        DrawnTrouble(trouble),
    )
    requests = [bytes((i,)) + apdu for i, apdu in enumerate(apdus)]
    for request in requests:
        assert line.exchange(request) == request[::-1]
    assert line.handled == requests
    assert line.received == [request[::-1] for request in requests]
    line.disconnect()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.binary(max_size=100), min_size=1, max_size=4),
    windows,
    st.lists(
        st.tuples(
            st.sampled_from(["lose", "lose", "damage", "cut", "late", ""]), st.integers(0, 9000)
        ),
        min_size=20,
        max_size=80,
    ),
)
def test_too_much_trouble_has_a_name(
    apdus: list[bytes], window: int, trouble: list[tuple[str, int]]
) -> None:
    line = Line(
        Settings(32, window), Parameters(32, 32, 7, 7), lambda apdu: apdu, DrawnTrouble(trouble)
    )
    requests = []
    try:
        for i, apdu in enumerate(apdus):
            requests.append(bytes((i,)) + apdu)
            assert line.exchange(requests[-1]) == requests[-1]
        assert line.handled == requests
    except DlmsError as error:
        assert isinstance(error, LinkSilent)
        assert line.client.state == CLOSED
        assert line.handled in (requests, requests[:-1])
    line.without_trouble()
    assert line.exchange(b"again") == b"again"


@given(st.lists(st.tuples(st.booleans(), sent_frames, st.integers(0, 5000)), max_size=30))
def test_no_frames_crash_either_end(sent: list[tuple[bool, Frame, int]]) -> None:
    client = HdlcClient(1, ADDRESS, Settings(32, 3), 500)
    server = HdlcServer((1,), 17, Parameters(32, 32, 3, 3), 500)
    now = 1000
    client.connect(now)
    for to_client, frame, pause in sent:
        now += pause
        server.feed(client.output(), now)
        client.feed(server.output(), now)
        if to_client:
            frame.destination, frame.source = b"\x03", ADDRESS
            client.feed(encoded(frame), now)
        else:
            frame.destination, frame.source = ADDRESS, b"\x03"
            server.feed(encoded(frame), now)
        client.tick(now)
        server.tick(now)
        while client.arrived() is not None:
            pass
        for request in server.requests():
            server.answer(request, [request.apdu], now)
        if client.state == OPEN:
            client.ask(now)
        elif client.state == CLOSED:
            assert client.failure is not None
            client.connect(now)


@given(st.lists(st.binary(max_size=30)))
def test_no_bytes_crash_mode_e(pieces: list[bytes]) -> None:
    messages = Messages()
    meter = ModeEServer(Identification("ABC", 9600, True, "x"))
    for piece in pieces:
        meter.feed(piece)
        for message in messages.feed(piece):
            try:
                Identification.decode(message)
            except ProtocolError:
                pass
        assert len(messages._line) <= 80
