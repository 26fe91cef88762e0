"""The Uplink against a server that speaks MQTT badly: every case ends in an error, soon, in little
memory."""

from __future__ import annotations

import asyncio
import gc

from hal.ports import Message, PortError
from tests.contract.here import MICROPYTHON, MqttUplink, SystemClock
from tests.portable.support import random_bytes, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LIMIT = 4096
SOON = 60_000
CLOCK = SystemClock()
CONNACK = b"\x20\x02\x00\x00"
SUBACK = b"\x90\x03\x00\x01\x01"


class Server:
    """Reads a packet, sends the next answer, and so on; then goes on listening, or hangs up."""

    def __init__(self, answers: list[bytes], hang_up: bool = False) -> None:
        self.answers = answers
        self.hang_up = hang_up
        self.heard = b""
        self.port = 0

    async def serve(self, reader: Any, writer: Any) -> None:
        try:
            for answer in self.answers:
                self.heard += await reader.read(4096)
                writer.write(answer)
                await writer.drain()
            while not self.hang_up:
                got = await reader.read(4096)
                if not got:
                    break
                self.heard += got
        except OSError:
            pass
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            pass


def against(server: Server, body: Any, keepalive_s: int = 120) -> None:
    """Run `await body(uplink)` against the server. Its silence ends nothing within SOON, but where
    `keepalive_s` is short."""

    run(meet(server, body, keepalive_s))


async def meet(server: Server, body: Any, keepalive_s: int) -> None:
    for port in range(20000 + random_port(), 65000, 7):
        try:
            listener = await asyncio.start_server(server.serve, "127.0.0.1", port)
            break
        except OSError:
            continue
    link = MqttUplink("127.0.0.1", port, "one", None, None, None, LIMIT, keepalive_s)
    await body(link)
    await link.disconnect()
    listener.close()
    if MICROPYTHON:
        await listener.wait_closed()


def random_port() -> int:
    return CLOCK.ticks_ms() * 31 % 20000


def refused(answers: list[bytes], hang_up: bool = False, timeout_ms: int = SOON) -> str:
    """connect() must fail, if `timeout_ms` is given by that, else before; returns what it says."""
    said = []

    async def body(link: MqttUplink) -> None:
        try:
            await link.connect(None, ["down/#"], timeout_ms)
            raise AssertionError("connected")
        except (OSError, PortError) as error:
            said.append(str(error))

    against(Server(answers, hang_up), body)
    late = "within %d ms" % timeout_ms in said[0]
    assert late == (timeout_ms != SOON), said[0]
    return said[0]


async def ended(link: MqttUplink) -> int:
    """The connection ends by itself; returns how many messages came before."""
    came = 0
    while True:
        try:
            got = await CLOCK.wait_for_ms(link.receive(), SOON)
        except asyncio.TimeoutError:  # an OSError too on CPython
            raise AssertionError("the connection lives")
        except OSError:
            return came
        assert len(got.payload) <= LIMIT, len(got.payload)
        came += 1


def broken(packet: bytes, keepalive_s: int = 120) -> None:
    """Once connected, `packet` must end the connection for receive() and publish()."""

    async def body(link: MqttUplink) -> None:
        await link.connect(None, ["down/#"], SOON)
        assert await ended(link) == 0
        try:
            await link.publish(Message("up", b"x"), SOON)
            raise AssertionError("published")
        except asyncio.TimeoutError:
            raise AssertionError("the connection lives")
        except OSError:
            pass

    against(Server([CONNACK, SUBACK + packet]), body, keepalive_s)


def test_the_server_itself_is_sound() -> None:
    """Else the cases below prove nothing."""
    server = Server([CONNACK, SUBACK + b"\x30\x07\x00\x04downhi"[:9] + b""])

    async def body(link: MqttUplink) -> None:
        await link.connect(Message("will", b"w", True), ["down/#"], SOON)
        got = await CLOCK.wait_for_ms(link.receive(), SOON)
        assert (got.topic, got.payload) == ("down", b"h")

    against(server, body)
    # Clean session, keep alive of two minutes, a retained will at QoS 1, and a goodbye.
    assert server.heard.startswith(b"\x10\x18\x00\x04MQTT\x04\x2e\x00\x78\x00\x03one\x00\x04will")
    assert b"\x82\x0b\x00\x01\x00\x06down/#\x01" in server.heard
    assert server.heard.endswith(b"\xe0\x00")


def test_nine_topics_in_two_requests() -> None:
    """AWS IoT closes the connection at a SUBSCRIBE of more than eight."""
    eight = b"\x90\x0a\x00\x01" + b"\x01" * 8
    server = Server([CONNACK, eight, b"\x90\x03\x00\x02\x01"])

    async def body(link: MqttUplink) -> None:
        await link.connect(None, list("abcdefghi"), SOON)

    against(server, body)
    assert b"\x82\x22\x00\x01\x00\x01a\x01" in server.heard
    assert b"\x00\x01h\x01\x82\x06\x00\x02\x00\x01i\x01" in server.heard


def test_the_ninth_topic_refused() -> None:
    eight = b"\x90\x0a\x00\x01" + b"\x01" * 8

    async def body(link: MqttUplink) -> None:
        try:
            await link.connect(None, list("abcdefghi"), SOON)
            raise AssertionError("connected")
        except PortError as error:
            assert str(error).find("subscription to i;") > 0, error

    against(Server([CONNACK, eight, b"\x90\x03\x00\x02\x80"]), body)


def test_refusals() -> None:
    for code in (1, 2, 3, 4, 5, 77):
        assert "127.0.0.1" in refused([b"\x20\x02\x00" + bytes([code])], hang_up=True)


def test_hangs_up_before_connack() -> None:
    refused([b""], hang_up=True)


def test_half_a_connack() -> None:
    assert "within 300 ms" in refused([CONNACK[:3]], timeout_ms=300)


def test_not_mqtt() -> None:
    refused([b"HTTP/1.1 400 Bad Request\r\n\r\n"], hang_up=True)


def test_subscription_refused() -> None:
    assert "down/#" in refused([CONNACK, b"\x90\x03\x00\x01\x80"])


def test_a_suback_with_too_few_codes_or_too_many() -> None:
    assert "down/#" in refused([CONNACK, b"\x90\x02\x00\x01"])
    assert "down/#" in refused([CONNACK, b"\x90\x04\x00\x01\x01\x01"])


def test_what_comes_before_connack() -> None:
    """A SUBACK for a request that nobody made, a PUBLISH."""
    for packet in (b"\x90\x04\x00\x00\x01\x01", b"\x90\x02\x00\x00", b"\x90\x03\x00\x00\x00"):
        refused([packet])
    refused([b"\x30\x07\x00\x04downhi" + CONNACK])


def test_a_suback_that_goes_on_and_on() -> None:
    """Its codes are not looked at one by one."""
    size = 100_000
    head = bytes([0x90, size & 127 | 128, size >> 7 & 127 | 128, size >> 14])
    assert "100000" in refused([CONNACK, head + b"\x00\x01" + bytes(3000)])


def test_no_suback() -> None:
    assert "within 300 ms" in refused([CONNACK], timeout_ms=300)


def test_remaining_length_of_five_bytes() -> None:
    broken(b"\x30\xff\xff\xff\xff\x01" + bytes(100))


def test_publish_with_an_empty_topic() -> None:
    broken(b"\x30\x03\x00\x00x")


def test_publish_with_a_topic_beyond_its_end() -> None:
    broken(b"\x30\x05\x00\x09abc")


def test_publish_with_a_topic_that_is_not_utf8() -> None:
    broken(b"\x30\x06\x00\x03a\xff\xfex")


def test_reserved_packet() -> None:
    broken(b"\xf0\x00")


def test_silence_within_a_packet() -> None:
    broken(b"\x30\x20\x00\x04down", keepalive_s=1)


def test_announced_but_never_sent() -> None:
    """256 MB announced: nothing may be allocated for them."""

    async def body(link: MqttUplink) -> None:
        await link.connect(None, ["down/#"], SOON)
        gc.collect()
        assert await ended(link) == 0

    announced = SUBACK + b"\x30\xff\xff\xff\x7f\x00\x04down" + bytes(3000)
    against(Server([CONNACK, announced]), body, keepalive_s=1)


def test_noise() -> None:
    """At once or after a silence, each of these connections ends."""
    came: list[int] = []

    async def body(link: MqttUplink) -> None:
        await link.connect(None, ["down/#"], SOON)
        came.append(await ended(link))

    async def all_of_them() -> None:
        servers = [Server([CONNACK, SUBACK + random_bytes(seed, 200)]) for seed in range(20)]
        await asyncio.gather(*[meet(server, body, 1) for server in servers])

    run(all_of_them())
    assert len(came) == 20 and sum(came) < 20, came


def test_a_server_that_stops_reading() -> None:
    """Publishes pile up in a line nobody reads: each times out, and the connection ends."""

    async def body(link: MqttUplink) -> None:
        await link.connect(None, ["down/#"], SOON)
        timeouts = 0
        try:
            for _ in range(2000):
                try:
                    await link.publish(Message("up", bytes(60_000)), 50)
                except asyncio.TimeoutError:
                    timeouts += 1
        except OSError:
            pass
        else:
            raise AssertionError("the connection lives")
        assert timeouts

    against(Deaf([CONNACK, SUBACK]), body, keepalive_s=1)


def publish(packet_id: int, topic: bytes, payload: bytes) -> bytes:
    """PUBLISH at QoS 1."""
    size = 4 + len(topic) + len(payload)
    head = bytes(
        [0x32, size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21]
    )
    return head + len(topic).to_bytes(2, "big") + topic + packet_id.to_bytes(2, "big") + payload


def puback(packet_id: int) -> bytes:
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


async def next_on(link: MqttUplink, topic: str) -> Message:
    """The next message on this topic, whatever else comes before."""
    while True:
        got = await CLOCK.wait_for_ms(link.receive(), SOON)
        assert len(got.payload) <= LIMIT
        if got.topic == topic:
            return got


async def acknowledged(server: Server, packet_ids: range) -> None:
    """Until the server has heard it of each."""
    for _ in range(SOON // 50):
        if all(puback(each) in server.heard for each in packet_ids):
            return
        await CLOCK.sleep_ms(50)
    raise AssertionError("not all are acknowledged")


def test_what_is_too_large_is_passed_over_and_acknowledged() -> None:
    """Not to acknowledge it, or to hang up, would be to get it again, for ever."""
    poison = publish(1, b"down", bytes(60_000)) + publish(2, b"t" * 60_000, b"x")
    server = Server([CONNACK, SUBACK + poison + publish(3, b"t" * 2000, bytes(9000))])
    server.answers[-1] += publish(4, b"down", b"good")

    async def body(link: MqttUplink) -> None:
        await link.connect(None, ["down/#"], SOON)
        assert (await next_on(link, "oversized/down")).payload == b""
        assert (await next_on(link, "down")).payload == b"good"
        await acknowledged(server, range(1, 5))

    against(server, body)


class Unholdable(Server):
    """Answers, then publishes what is larger than the heap of MicroPython's unix port."""

    async def serve(self, reader: Any, writer: Any) -> None:
        for answer in self.answers:
            await reader.read(4096)
            writer.write(answer)
            await writer.drain()
        # remaining length 4 MiB: topic of 4, packet id, and the rest
        writer.write(b"\x32\x80\x80\x80\x02\x00\x04down\x00\x01")
        piece = bytes(4096)
        for _ in range(1023):
            writer.write(piece)
            await writer.drain()
        writer.write(bytes(4096 - 8) + publish(2, b"down", b"good"))
        await writer.drain()
        self.answers = []
        await super().serve(reader, writer)


def test_what_there_is_no_memory_for_is_passed_over_and_acknowledged() -> None:
    server = Unholdable([CONNACK, SUBACK])

    async def body(link: MqttUplink) -> None:
        link._limit = 8 << 20
        await link.connect(None, ["down/#"], SOON)
        got = await CLOCK.wait_for_ms(link.receive(), SOON)
        if MICROPYTHON:
            assert (got.topic, got.payload) == ("oversized/down", b"")
        else:
            assert (got.topic, len(got.payload)) == ("down", (4 << 20) - 8)
        del got
        assert (await next_on(link, "down")).payload == b"good"
        await acknowledged(server, range(1, 3))

    against(server, body)


def test_a_flood_of_answers_that_nobody_waits_for() -> None:
    """It is read, and stands in nobody's way."""
    some = b"".join([puback(each) for each in range(30_000, 30_500)])
    flood = (some + b"\x90\x03\x77\x00\x01" * 100 + b"\xd0\x00" * 100) * 20
    server = Server([CONNACK, SUBACK + flood + publish(1, b"down", b"good"), puback(2)])

    async def body(link: MqttUplink) -> None:
        await link.connect(None, ["down/#"], SOON)
        turns = 0

        async def other_work() -> None:
            nonlocal turns
            while True:
                await CLOCK.sleep_ms(0)
                turns += 1

        working = asyncio.create_task(other_work())
        assert (await next_on(link, "down")).payload == b"good"
        await acknowledged(server, range(1, 2))
        working.cancel()
        assert turns > 10, turns

    against(server, body)


FLOOD = 4000
FLOOD_PAYLOAD = 4000


def test_a_flood_waits_in_the_line() -> None:
    """A server that knows no in-flight window, and a receiver that is slow: what does not fit the
    queues stays in the line, and nothing is lost."""
    server = Flood([CONNACK, SUBACK])

    async def body(link: MqttUplink) -> None:
        await link.connect(None, ["down/#"], SOON)
        before = 0
        while not server.sent or server.sent != before:
            before = server.sent
            await CLOCK.sleep_ms(200)
        assert 0 < before < FLOOD, before
        for i in range(FLOOD):
            got = await CLOCK.wait_for_ms(link.receive(), SOON)
            assert int(got.payload[:8]) == i

    against(server, body)


class Flood(Server):
    """Answers, then publishes FLOOD messages as fast as the line takes them."""

    sent = 0

    async def serve(self, reader: Any, writer: Any) -> None:
        for answer in self.answers:
            await reader.read(4096)
            writer.write(answer)
            await writer.drain()
        self.hearing = asyncio.create_task(self.listen(reader))
        try:
            while self.sent < FLOOD:
                size = 2 + 4 + 2 + FLOOD_PAYLOAD
                head = bytes([0x32, size & 127 | 128, size >> 7]) + b"\x00\x04down"
                packet_id = (self.sent % 65535 + 1).to_bytes(2, "big")
                writer.write(head + packet_id + b"%08d" % self.sent + bytes(FLOOD_PAYLOAD - 8))
                await writer.drain()
                self.sent += 1
            await self.hearing
        except OSError:
            pass
        writer.close()

    async def listen(self, reader: Any) -> None:
        while await reader.read(4096):
            pass


class Deaf(Server):
    """Answers, then neither reads nor hangs up until the client has."""

    async def serve(self, reader: Any, writer: Any) -> None:
        for answer in self.answers:
            await reader.read(4096)
            writer.write(answer)
            await writer.drain()
        await CLOCK.sleep_ms(8000)
        writer.close()
