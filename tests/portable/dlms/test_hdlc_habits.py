"""What meters and lines in the field do beside the standard, and what is slow but healthy."""

from __future__ import annotations

import asyncio

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client.client import Association, Client
from gateway.dlms.errors import LinkBroken, LinkSilent, ProtocolError
from gateway.dlms.hdlc import frames
from gateway.dlms.hdlc.client import CLOSED, OPEN, HdlcClient
from gateway.dlms.hdlc.frames import Receiver, client_address, encode, server_address
from gateway.dlms.hdlc.link import HdlcLink
from gateway.dlms.hdlc.numbered import LLC_RESPONSE, Parameters
from gateway.dlms.hdlc.settings import Settings
from hal.sim.channel import Rng
from tests.portable.dlms.hdlc_line import Line, Trouble
from tests.portable.dlms.test_client import CRYPTO
from tests.portable.dlms.test_hdlc_link import MeterPort, fails, with_link
from tests.portable.dlms.test_hdlc_procedure import NOW, answer, backwards, connected, names
from tests.portable.support import random_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.sim.clock import ManualClock

SAME = server_address(1)  # one byte, the same as client 1's


# ---------------------------------------------------------------- headers and lengths


def test_a_doubled_llc_header() -> None:
    # field case double-llc-aare
    frame = bytes.fromhex(
        "7ea03a210330e3f7e6e700e6e7006129a109060760857405080101a203020100a305a103020100"
        "be10040e0800065f1f040000101d020000079f497e"
    )
    client = HdlcClient(16, SAME, Settings())
    client.connect(NOW)
    client.feed(encode(client_address(16), SAME, frames.UA | frames.POLL), NOW)
    client.send(b"aarq", NOW)
    client.feed(frame, NOW)
    raw = client.arrived()
    assert raw is not None and client.failure is None
    found = apdu.decode(raw)
    assert isinstance(found, acse.Aare) and found.result == acse.ACCEPTED
    agreed = acse.InitiateResponse.decode(found.user_information)
    assert (agreed.conformance, agreed.max_pdu) == (0x00101D, 512)
    client = connected()
    client.feed(answer(frames.UI, 2 * LLC_RESPONSE + b"news"), NOW)
    assert client.arrived() == b"news"


def test_general_blocks_with_a_header_before_the_first_only() -> None:
    blocks = [
        apdu.GeneralBlock(number == 3, True, 0, number, 0, bytes(20)).encode()
        for number in (1, 2, 3)
    ]
    client = connected(Settings(128, 3))
    client.send(b"x", NOW)
    client.output()
    for number, block in enumerate(blocks):
        information = block if number else LLC_RESPONSE + block
        client.feed(answer(0x20 | number << 1 | (number == 2) << 4, information), NOW)
    assert [client.arrived() for _ in range(4)] == blocks + [None]
    for number, block in enumerate(blocks):
        client.feed(answer(frames.UI, block if number else LLC_RESPONSE + block), NOW)
    assert [client.arrived() for _ in range(4)] == blocks + [None]
    client.send(b"x", NOW)
    client.feed(answer(0x56, b"\xc4\x01\xc1\x00\x11\x05"), NOW)  # nothing else goes without
    assert client.state == CLOSED and isinstance(client.failure, ProtocolError)


def test_frames_longer_than_agreed_are_taken() -> None:
    for excess in (1, 3, 1000):
        client = connected()
        client.send(b"x", NOW)
        value = random_bytes(excess, 125 + excess)
        client.feed(answer(0x30, LLC_RESPONSE + value), NOW)
        assert client.arrived() == value and client.state == OPEN
    # but no APDU longer than there is room for
    client = HdlcClient(1, server_address(1, 17), Settings(), 200)
    client.connect(NOW)
    client.feed(answer(frames.UA | frames.POLL), NOW)
    client.feed(answer(0x10, LLC_RESPONSE + bytes(201)), NOW)
    assert client.state == CLOSED and "longer than 200" in str(client.failure)


# ---------------------------------------------------------------- echo


def test_own_frames_that_come_back_are_passed_over() -> None:
    assert client_address(1) == SAME
    client = HdlcClient(1, SAME, Settings())
    client.connect(NOW)
    client.feed(client.output(), NOW)  # SNRM
    client.feed(encode(SAME, SAME, frames.UA | frames.POLL), NOW)
    assert client.state == OPEN
    client.send(random_bytes(1, 200), NOW)
    client.feed(client.output(), NOW)  # I, segmented
    assert client.output() == b"" and client.arrived() is None
    client.feed(encode(SAME, SAME, 0x20 | frames.RR | frames.POLL), NOW)
    last = client.output()
    assert names(last) == ["I1/0 P"]
    client.feed(last, NOW)  # without any LLC header
    assert client.output() == b"" and client.arrived() is None
    client.feed(encode(SAME, SAME, 0x40 | frames.RR | frames.POLL), NOW)
    client.ask(NOW)
    client.tick(NOW + 300)
    asked = client.output()
    assert names(asked) == ["RR/0 P"]
    client.feed(asked, NOW)
    assert client.output() == b""
    client.feed(encode(SAME, SAME, 0x50, LLC_RESPONSE + b"answer"), NOW)
    assert client.arrived() == b"answer"
    client.disconnect(NOW)
    client.feed(client.output(), NOW)  # DISC
    assert client.state != CLOSED
    client.feed(encode(SAME, SAME, frames.UA | frames.POLL), NOW)
    assert client.state == CLOSED and client.failure is None


def test_without_an_echo_a_like_answer_is_an_answer() -> None:
    client = HdlcClient(1, SAME, Settings())
    client.connect(NOW)
    client.output()
    client.feed(encode(SAME, SAME, frames.UA | frames.POLL), NOW)
    client.ask(NOW)
    client.tick(NOW + 300)
    asked = client.output()
    assert names(asked) == ["RR/0 P"] and client.their_turn
    client.feed(asked, NOW)  # it is the meter's, to the bit
    assert not client.their_turn


class Echo:
    """What is sent comes back at once; of a bad line not all, and not undamaged."""

    def __init__(self, seed: int, share: float) -> None:
        self._rng = Rng(seed, "echo")
        self._share = share

    def __call__(self, data: bytes) -> list[tuple[int, bytes]]:
        pieces = []
        for start in range(0, len(data), 40):
            piece = data[start : start + 40]
            if self._rng.chance(self._share):
                piece = bytes((piece[0] ^ 0x20,)) + piece[1:]
            if not self._rng.chance(self._share):
                pieces.append((1, piece))
        return pieces


def test_requests_of_all_sizes_over_a_line_with_an_echo() -> None:
    for seed in range(12):
        window = (1, 3, 7)[seed % 3]
        line = Line(
            Settings(64, window, tries=15),
            Parameters(64, 64, window, window),
            backwards,
            Trouble(seed, 0.01) if seed >= 6 else None,
            address=SAME,
            echo=Echo(seed, 0.02 if seed >= 6 else 0),
        )
        requests = [bytes((i,)) + random_bytes(seed * 10 + i, 300) for i in range(4)]
        for request in requests:
            assert line.exchange(request) == backwards(request), seed
        assert line.handled == requests, seed
        line.disconnect()


# ---------------------------------------------------------------- slow, and healthy


def test_a_frame_that_has_begun_is_waited_for() -> None:
    client = connected(Settings(2030, 1, response_ms=1000, silence_ms=500))
    client.send(b"x", NOW)
    client.output()
    frame = answer(0x30, LLC_RESPONSE + random_bytes(1, 1000))
    now = NOW + 900  # 300 baud from here on: 33 ms a byte
    for at in range(len(frame)):
        now += 33
        client.feed(frame[at : at + 1], now)
        client.tick(now)
        assert client.output() == b"", at
    assert client.arrived() == random_bytes(1, 1000) and now > NOW + 30_000


def test_what_is_no_answer_puts_off_no_repetition_but_one() -> None:
    client = connected(Settings(2030, 1, response_ms=1000, tries=99, silence_ms=500))
    client.send(b"x", NOW)
    client.output()
    now = NOW
    others = encode(client_address(2), server_address(1, 17), 0x30, LLC_RESPONSE + bytes(500))
    for babble in (others, b"\x7e\xa0\x40\x03\x02\x23\x13\x00\x00\x00\x00\x00\x00\x00"):
        now += 60_000
        client.tick(now)
        assert client.output()  # again, with 1000 ms to go
        start, ended = now, 0
        for at in range(3 * len(others)):
            now += 33
            client.feed(babble[at % len(babble) :][:1], now)
            client.tick(now)
            ended = ended or (now if client.output() else 0)
        assert start + 1000 <= ended <= start + 1000 + 33 * len(babble) + 500


class SlowPort(MeterPort):
    """A line of 1200 baud: what the meter says arrives 12 bytes at a time, each 100 ms."""

    async def read(self) -> bytes:
        while not self._waiting:
            self._ready.clear()
            await self._ready.wait()
        await self._clock.sleep_ms(100)
        data, self._waiting = self._waiting[:12], self._waiting[12:]
        return data


def test_a_long_answer_on_a_slow_line_is_asked_for_once() -> None:
    async def body(link: HdlcLink, port: MeterPort, clock: ManualClock) -> None:
        slow_port = SlowPort(clock, Parameters(128, 128, 1, 1))
        link = HdlcLink(slow_port, clock, 1, 1, 17, settings=Settings(response_ms=1000))
        long = random_bytes(3, 4000)
        await link.send(long)
        start = clock.ticks_ms()
        assert await link.receive(2000) == backwards(long)
        assert clock.ticks_ms() - start > 30_000
        assert slow_port.handled == [long]
        # its 32 segments were asked for once each, with the SNRM and the 32 of the request
        assert len(slow_port.written) == 1 + 32 + 31

    with_link(body)


def test_one_of_the_two_repeats() -> None:
    async def body(link: HdlcLink, port: MeterPort, clock: ManualClock) -> None:
        await link.connect()
        port.mute = True
        await link.send(b"abc")
        waiting = asyncio.create_task(link.receive(500))  # the caller's patience is the shorter
        await clock.sleep_ms(1500)
        assert not waiting.done()
        port.mute = False
        await clock.sleep_ms(2000)  # meanwhile HDLC has repeated, and the answer is there
        assert await waiting == b"cba"
        assert port.handled == [b"abc"]
        port.deaf = True
        await link.send(b"def")
        await fails(LinkSilent, link.receive(500))

    with_link(body)


def test_a_meter_that_speaks_for_ever_without_answering_is_given_up() -> None:
    class Babbler(MeterPort):
        """Each turn it sends a segment with nothing in it, and says that more will come."""

        async def write(self, data: bytes | memoryview) -> None:
            for frame in Receiver().feed(bytes(data)):
                if frame.kind == frames.SNRM:
                    self.say(answer(frames.UA | frames.POLL))
                    self.number = 0
                else:
                    self.say(answer(0x30 | self.number << 1, b"", True))
                    self.number = self.number + 1 & 7
                self.written.append(bytes(data))
            await self._clock.sleep_ms(50)

    async def body(link: HdlcLink, port: MeterPort, clock: ManualClock) -> None:
        link = HdlcLink(Babbler(clock), clock, 1, 1, 17)
        await link.send(b"abc")
        start = clock.ticks_ms()
        await fails(asyncio.TimeoutError, link.receive(5000))
        assert clock.ticks_ms() - start < 5000 + 3 * 3000 + 100

    with_link(body)


def test_an_answer_to_disc_that_does_not_come_costs_little() -> None:
    client = connected(Settings(response_ms=3000, tries=3))
    client.send(b"x", NOW)
    client.output()
    client.feed(answer(0x30, LLC_RESPONSE + b"y"), NOW + 200)
    client.disconnect(NOW + 1000)
    assert names(client.output()) == ["DISC P"]
    client.tick(NOW + 1000 + 899)
    assert client.state != CLOSED
    client.tick(NOW + 1000 + 900)
    assert client.state == CLOSED and client.failure is None and client.output() == b""


def test_a_rejected_frame_ends_it_all_and_is_told() -> None:
    """Field cases frmr-w to frmr-z: no release is sent to a link that has ended."""
    for bit, words in (
        (1, "the control field is not known (W)"),
        (2, "information where none may be (X)"),
        (4, "the information is too long (Y)"),
        (8, "the acknowledgement cannot be (Z)"),
    ):

        class Rejecting(MeterPort):
            bit = 0

            async def write(self, data: bytes | memoryview) -> None:
                self.written.append(bytes(data))
                for frame in Receiver().feed(bytes(data)):
                    if frame.kind == frames.SNRM and not self.handled:
                        self.say(answer(frames.UA | frames.POLL))
                    elif frame.kind == frames.INFORMATION:
                        self.handled.append(b"")
                        rejected = bytes((frame.control, 0, self.bit))
                        self.say(answer(frames.FRMR | frames.POLL, rejected))

        async def body(
            link: HdlcLink,
            port: MeterPort,
            clock: ManualClock,
            kind: type[Rejecting] = Rejecting,
            bit: int = bit,
            words: str = words,
        ) -> None:
            rejecting = kind(clock)
            rejecting.bit = bit
            link = HdlcLink(rejecting, clock, 1, 1, 17)
            association = Association(1)
            made = Client(link, clock, CRYPTO, association, lambda: 1, 1000, 3)
            start = clock.ticks_ms()
            error = await fails(LinkBroken, made.associate())
            assert "rejects a frame: control 10, " + words in str(error)
            assert await made.release() == ""
            assert len(rejecting.written) == 2 and clock.ticks_ms() - start < 1000

        with_link(body)


def test_an_answer_in_general_blocks_with_one_llc_header() -> None:
    """Field case gbt-llc-first-get, from the association on."""
    value = b"\x09\x81\xb4" + random_bytes(5, 180)
    agreed = acse.InitiateResponse(acse.GET | acse.GENERAL_BLOCK_TRANSFER, 500).encode()

    class Streaming(MeterPort):
        async def write(self, data: bytes | memoryview) -> None:
            for frame in Receiver().feed(bytes(data)):
                request = frame.information[3:]
                if frame.kind == frames.SNRM:
                    self.say(answer(frames.UA | frames.POLL))
                elif request[:1] == bytes((acse.AARQ,)):
                    accepted = acse.Aare(1, 0, (1, 0), agreed).encode()
                    self.say(answer(0x30, LLC_RESPONSE + accepted))
                elif request[:1] == bytes((apdu.GET_REQUEST,)):
                    whole = apdu.GetResponse(request[2], 0, value).encode()
                    for at in range(3):
                        part = whole[60 * at : 60 * (at + 1) if at < 2 else len(whole)]
                        last = at == 2
                        block = apdu.GeneralBlock(last, True, 0, at + 1, 0, part).encode()
                        control = 0x40 | (at + 1) << 1 | (frames.POLL if last else 0)
                        self.say(answer(control, block if at else LLC_RESPONSE + block))

    async def body(link: HdlcLink, port: MeterPort, clock: ManualClock) -> None:
        link = HdlcLink(Streaming(clock), clock, 1, 1, 17)
        made = Client(link, clock, CRYPTO, Association(1), lambda: 1, 1000, 3)
        await made.associate()
        assert await made.get(1, b"\0\0\x2a\0\0\xff", 2) == value

    with_link(body)
