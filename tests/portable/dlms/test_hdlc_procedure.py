"""Both ends of an HDLC connection against each other, and each against frames made by hand."""

from __future__ import annotations

from gateway.dlms.errors import DlmsError, LinkLost, LinkSilent, ProtocolError
from gateway.dlms.hdlc import frames
from gateway.dlms.hdlc.client import CLOSED, OPEN, OPENING, HdlcClient
from gateway.dlms.hdlc.frames import ALL_STATIONS, Receiver, client_address, encode, server_address
from gateway.dlms.hdlc.numbered import LLC_COMMAND, LLC_RESPONSE, Parameters
from gateway.dlms.hdlc.server import MAX_CLIENTS, HdlcServer
from gateway.dlms.hdlc.settings import Settings
from tests.portable.dlms.hdlc_line import ADDRESS, Line, Trouble
from tests.portable.dlms.test_hdlc_frames import AARQ, NOTIFICATION, SNRM, UA
from tests.portable.support import raises, random_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.hdlc.frames import Frame

OWN = client_address(1)
NOW = 1000


def backwards(apdu: bytes) -> bytes:
    return bytes(reversed(apdu))


def parsed(data: bytes) -> list[Frame]:
    """Frames of an output, which must hold nothing else."""
    found = Receiver().feed(data)
    assert sum([len(encode(f.destination, f.source, f.control, f.information)) for f in found]) == (
        len(data)
    )
    return found


def names(data: bytes) -> list[str]:
    """As "I2/5 P segmented": N(S), N(R), poll or final bit."""
    texts = []
    for frame in parsed(data):
        text = frame.name
        if frame.kind == frames.INFORMATION:
            text += "%d/%d" % (frame.control >> 1 & 7, frame.control >> 5)
        elif frame.kind in (frames.RR, frames.RNR, frames.REJ):
            text += "/%d" % (frame.control >> 5)
        texts.append(
            text + (" P" if frame.poll else "") + (" segmented" if frame.segmented else "")
        )
    return texts


def connected(settings: Settings | None = None) -> HdlcClient:
    """A client whose SNRM a meter has answered with the same parameters."""
    settings = settings or Settings()
    client = HdlcClient(1, ADDRESS, settings)
    client.connect(NOW)
    client.output()
    size, window = settings.information, settings.window
    client.feed(
        answer(frames.UA | frames.POLL, Parameters(size, size, window, window).encode()), NOW
    )
    assert client.state == OPEN
    return client


def answer(control: int, information: bytes = b"", segmented: bool = False) -> bytes:
    """A frame of the meter."""
    return encode(OWN, ADDRESS, control, information, segmented)


def command(control: int, information: bytes = b"", segmented: bool = False) -> bytes:
    return encode(ADDRESS, OWN, control, information, segmented)


def station(**options: int) -> HdlcServer:
    """A meter that has answered client 1's SNRM."""
    server = HdlcServer((1,), 17, Parameters(2030, 2030, 7, 7), **options)
    server.feed(command(frames.SNRM | frames.POLL, Parameters(128, 128, 7, 7).encode()), NOW)
    assert names(server.output()) == ["UA P"]
    return server


# ---------------------------------------------------------------- the published exchange


def test_published_connection() -> None:
    client = HdlcClient(16, server_address(1, 17, 4), Settings())
    client.connect(NOW)
    assert client.output() == SNRM
    server = HdlcServer((1,), 17, Parameters())
    server.feed(SNRM, NOW)
    assert server.output() == UA
    client.feed(UA, NOW)
    assert client.state == OPEN
    client.send(AARQ[14:-3], NOW)
    assert client.output() == AARQ
    server.feed(AARQ, NOW)
    (request,) = server.requests()
    assert (request.client_sap, request.server_sap, request.apdu) == (16, 1, AARQ[14:-3])


def test_a_real_notification_is_put_together() -> None:
    client = HdlcClient(103, server_address(1, 17), Settings())
    client.feed(NOTIFICATION, NOW)  # without any connection
    apdu = client.arrived()
    assert apdu is not None and len(apdu) == 154 + 154 + 35 - 3
    assert apdu[:6].hex() == "0f0004022c0c"
    assert client.arrived() is None


# ---------------------------------------------------------------- an undisturbed line


def test_sizes_and_windows() -> None:
    for window in (1, 2, 7):
        for size in (8, 128, 2030):
            line = Line(Settings(size, window), Parameters(size, size, window, window), backwards)
            for length in (0, 1, size - 3, size - 2, 3 * size, 20 * size + 1):
                request = random_bytes(length + 1, length)
                assert line.exchange(request) == backwards(request)
            line.disconnect()


def test_a_window_saves_turns() -> None:
    turns = []
    for window in (1, 3, 7):
        line = Line(Settings(64, window), Parameters(64, 64, window, window), backwards)
        line.connect()
        start = line.now
        line.exchange(random_bytes(1, 6400))
        turns.append((line.now - start) // 10)  # there and back again takes 10 ms
    assert turns[0] > 2.5 * turns[1] > 5 * turns[2]


def test_the_weaker_end_decides() -> None:
    line = Line(Settings(512, 7), Parameters(100, 200, 2, 3), backwards)
    line.connect()
    agreed = line.client.parameters
    assert (agreed.send_size, agreed.receive_size) == (200, 100)
    assert (agreed.send_window, agreed.receive_window) == (3, 2)
    request = random_bytes(1, 3000)
    assert line.exchange(request) == backwards(request)


def test_a_slow_application_is_waited_for() -> None:
    server = station(hold_ms=1000)
    server.feed(command(0x10, LLC_COMMAND + b"question"), NOW)
    (request,) = server.requests()
    assert server.output() == b"" and server.deadline == NOW + 1000
    server.tick(NOW + 1000)
    assert names(server.output()) == ["RR/1 P"]  # nothing yet
    server.answer(request, [b"answer"], NOW + 1500)
    assert server.output() == b""  # it is the client's turn
    server.feed(command(0x11), NOW + 2000)
    assert names(server.output()) == ["I0/1 P"]


def test_a_silent_application() -> None:
    asked = []

    def nothing_at_first(apdu: bytes) -> bytes | None:
        asked.append(apdu)
        return apdu if len(asked) > 1 else None

    line = Line(Settings(), Parameters(), nothing_at_first)
    line.connect()
    line.client.send(b"one", line.now)
    for _ in range(20):
        line.client.ask(line.now)
        line.step()
    assert line.received == [] and asked == [b"one"]
    assert line.exchange(b"two") == b"two"


def test_several_answers_to_one_request() -> None:
    # as general block transfer streams them
    server = station()
    server.feed(command(0x10, LLC_COMMAND + b"go"), NOW)
    (request,) = server.requests()
    server.answer(request, [b"first", b"second", b"third"], NOW)
    assert names(server.output()) == ["I0/1", "I1/1", "I2/1 P"]


# ---------------------------------------------------------------- a disturbed line


def test_whatever_the_line_does() -> None:
    for seed in range(24):
        window = (1, 3, 7)[seed % 3]
        line = Line(
            Settings(64, window, tries=15),
            Parameters(64, 64, window, window),
            backwards,
            Trouble(seed, 0.02),
        )
        requests = [bytes((i,)) + random_bytes(seed * 10 + i, 300) for i in range(4)]
        for request in requests:
            assert line.exchange(request) == backwards(request), seed
        assert line.handled == requests, seed


def test_a_bad_line_ends_in_a_named_failure() -> None:
    failures = 0
    for seed in range(12):
        line = Line(Settings(64, 3), Parameters(64, 64, 3, 3), backwards, Trouble(seed, 0.12))
        requests = []
        try:
            for i in range(6):
                requests.append(bytes((i,)) + random_bytes(seed * 10 + i, 300))
                assert line.exchange(requests[-1]) == backwards(requests[-1])
        except DlmsError as error:
            failures += 1
            assert isinstance(error, LinkSilent), error
            assert line.client.state == CLOSED
        assert line.handled == requests[: len(line.handled)]
        assert len(requests) - len(line.handled) <= 1
    assert failures


def test_nobody_there() -> None:
    line = Line(Settings(response_ms=1000, tries=3), Parameters(), backwards, lambda data: [])
    start = line.now
    text = str(raises(LinkSilent, line.connect))
    assert "SNRM" in text and "3 times" in text
    assert line.now - start == 3000
    assert line.client.deadline is None


def test_first_frame_of_a_window_lost() -> None:
    client = connected(Settings(8, 3))
    client.send(random_bytes(1, 18), NOW)  # with its LLC header: 21 bytes, 3 frames
    sent = client.output()
    assert names(sent) == ["I0/0 segmented", "I1/0 segmented", "I2/0 P"]
    server = HdlcServer((1,), 17, Parameters(8, 8, 3, 3))
    server.feed(command(frames.SNRM | frames.POLL, Parameters(8, 8, 3, 3).encode()), NOW)
    server.output()
    first = len(encode(ADDRESS, OWN, 0, bytes(8)))
    server.feed(sent[first:], NOW)
    rejected = server.output()
    assert names(rejected) == ["REJ/0 P"]
    client.feed(rejected, NOW)
    again = client.output()
    assert again == sent
    server.feed(again, NOW)
    (request,) = server.requests()
    assert request.apdu == random_bytes(1, 18)


def test_middle_frame_of_an_answer_lost() -> None:
    client = connected(Settings(8, 3))
    client.send(b"x", NOW)
    client.output()
    parts = LLC_RESPONSE + bytes(range(21))
    client.feed(answer(0x20, parts[:8], True) + answer(0x34, parts[16:], False), NOW)
    assert names(client.output()) == ["RR/1 P"]  # asks for what is missing, at once
    client.feed(answer(0x22, parts[8:16], True) + answer(0x34, parts[16:], False), NOW)
    assert client.arrived() == bytes(range(21))
    assert client.output() == b""


def test_repeats_the_newest_frame_only() -> None:
    client = connected(Settings(8, 3, response_ms=1000, tries=3))
    client.send(bytes(18), NOW)
    client.output()
    client.tick(NOW + 999)
    assert client.output() == b""
    client.tick(NOW + 1000)
    assert names(client.output()) == ["I2/0 P"]
    client.feed(answer(0x31 | 0x40), NOW + 1100)  # RR/3: all three had arrived, the answer had not
    assert client.all_sent and client.output() == b""
    client.ask(NOW + 1100)
    client.tick(NOW + 1100 + 300)
    assert names(client.output()) == ["RR/0 P"]


def test_an_answer_that_comes_twice() -> None:
    client = connected()
    client.send(b"one", NOW)
    client.output()
    first = answer(0x30, LLC_RESPONSE + b"1")
    client.feed(first, NOW)
    client.send(b"two", NOW)
    assert names(client.output()) == ["I1/1 P"]
    client.feed(first, NOW)  # again: nothing is repeated for it, the true answer is on its way
    assert client.output() == b""
    client.feed(answer(0x52, LLC_RESPONSE + b"2"), NOW)
    assert [client.arrived(), client.arrived(), client.arrived()] == [b"1", b"2", None]


def test_a_request_that_comes_twice() -> None:
    server = station()
    question = command(0x10, LLC_COMMAND + b"question")
    server.feed(question + question, NOW)
    (request,) = server.requests()
    server.answer(request, [b"answer"], NOW)
    reply = server.output()
    assert names(reply) == ["I0/1 P"]
    server.feed(question, NOW)  # the client has not had the answer
    assert server.requests() == []
    assert server.output() == reply


def test_tries_count_anew_after_every_progress() -> None:
    client = connected(Settings(8, 3, tries=2))
    client.send(bytes(61), NOW)  # 8 frames, of which every turn brings one through
    for number in range(1, 8):
        assert names(client.output())[0] == "I%d/0 segmented" % (number - 1)
        client.feed(answer(number << 5 | frames.RR | frames.POLL), NOW)
        assert client.state == OPEN
    assert names(client.output()) == ["I7/0 P"]


def test_a_meter_that_rejects_for_ever() -> None:
    client = connected(Settings(tries=3))
    client.send(b"x", NOW)
    turns = 0
    while client.state == OPEN and turns < 50:
        assert names(client.output()) == ["I0/0 P"]
        client.feed(answer(frames.REJ | frames.POLL), NOW)
        turns += 1
    assert turns == 3 and isinstance(client.failure, LinkSilent)


def test_a_frame_that_broke_off_is_given_up_after_a_silence() -> None:
    client = connected(Settings(silence_ms=500))
    client.send(b"x", NOW)
    client.output()
    broken = answer(0x30, LLC_RESPONSE + bytes(100))[:40]
    client.feed(broken + answer(0x30, LLC_RESPONSE + b"y"), NOW)
    assert client.arrived() is None and client.deadline == NOW + 500
    client.tick(NOW + 500)
    assert client.arrived() == b"y"
    server = station(silence_ms=500)
    server.feed(command(0x10, LLC_COMMAND + bytes(100))[:40] + command(0x11), NOW)
    assert server.output() == b"" and server.deadline == NOW + 500
    server.tick(NOW + 500)
    assert names(server.output()) == ["RR/0 P"]


# ---------------------------------------------------------------- busy


def test_a_busy_meter() -> None:
    client = connected(Settings(poll_ms=300, busy_ms=5000))
    client.send(b"x", NOW)
    client.output()
    client.feed(answer(frames.RNR | frames.POLL), NOW)  # not even taken: N(R) is 0
    assert client.output() == b""
    client.tick(NOW + 300)
    assert names(client.output()) == ["RR/0 P"]
    client.feed(answer(frames.RNR | frames.POLL), NOW + 400)
    client.tick(NOW + 700)
    client.output()
    client.feed(answer(frames.RR | frames.POLL), NOW + 800)
    assert names(client.output()) == ["I0/0 P"]
    client.feed(answer(0x30, LLC_RESPONSE + b"y"), NOW + 900)
    assert client.arrived() == b"y"


def test_a_meter_that_stays_busy() -> None:
    client = connected(Settings(poll_ms=300, busy_ms=5000))
    client.send(b"x", NOW)
    now = NOW
    while client.state == OPEN and now < NOW + 60_000:
        client.output()
        client.feed(answer(frames.RNR | frames.POLL), now)
        now += 300
        client.tick(now)
    assert isinstance(client.failure, LinkSilent) and "busy" in str(client.failure)
    assert now - NOW < 6000


def test_a_busy_client() -> None:
    server = station()
    server.feed(command(0x10, LLC_COMMAND + b"question"), NOW)
    (request,) = server.requests()
    server.answer(request, [b"answer"], NOW)
    server.output()
    server.feed(command(frames.RNR | frames.POLL), NOW)
    assert names(server.output()) == ["RR/1 P"]
    server.feed(command(frames.RR | frames.POLL), NOW)
    assert names(server.output()) == ["I0/1 P"]


def test_a_server_made_busy() -> None:
    line = Line(Settings(), Parameters(), backwards)
    line.connect()
    line.server.busy = True
    line.client.send(b"abc", line.now)
    for _ in range(10):
        line.step()
    assert line.handled == []
    line.server.busy = False
    while not line.received:
        line.client.ask(line.now)
        line.step()
    assert line.received == [b"cba"] and line.handled == [b"abc"]


def test_apdus_nobody_takes_do_not_pile_up() -> None:
    client = connected(Settings(128, 7))
    control = 0
    for _ in range(40):
        client.feed(answer(control << 1, LLC_RESPONSE + b"x"), NOW)
        control = control + 1 & 7
    taken = 0
    while client.arrived() is not None:
        taken += 1
    assert taken == 16


# ---------------------------------------------------------------- what the other end does wrong


def test_the_meter_refuses_or_gives_up() -> None:
    client = HdlcClient(1, ADDRESS, Settings())
    client.connect(NOW)
    client.feed(answer(frames.DM | frames.POLL), NOW)
    assert client.state == CLOSED and isinstance(client.failure, LinkLost)
    client = connected()
    client.send(b"x", NOW)
    client.feed(answer(frames.DM | frames.POLL), NOW)
    assert client.state == CLOSED and isinstance(client.failure, LinkLost)
    raises(LinkLost, client.send, b"x", NOW)
    client.connect(NOW)
    assert client.state == OPENING and client.failure is None


def test_frame_reject_is_named() -> None:
    client = connected()
    client.send(b"x", NOW)
    client.feed(answer(frames.FRMR | frames.POLL, bytes.fromhex("102004")), NOW)
    text = str(client.failure)
    assert isinstance(client.failure, ProtocolError) and "too long" in text and "10" in text


def test_faults_of_the_meter_are_named() -> None:
    for frame, text in (
        (answer(0x70), "never sent"),
        (answer(0x71), "never sent"),
        (answer(0x10, LLC_COMMAND + b"x"), "LLC"),
        (answer(0x10, b"\xe6"), "LLC"),
    ):
        client = connected()
        client.feed(frame, NOW)
        assert client.state == CLOSED, text
        assert isinstance(client.failure, ProtocolError) and text in str(client.failure), text
    client = HdlcClient(1, ADDRESS, Settings())
    client.connect(NOW)
    client.feed(answer(frames.UA | frames.POLL, b"\x81\x80\x03\x07\x01\x00"), NOW)
    assert client.state == CLOSED and isinstance(client.failure, ProtocolError)


def test_an_endless_apdu_is_refused() -> None:
    client = HdlcClient(1, ADDRESS, Settings(), 200)
    client.connect(NOW)
    client.feed(answer(frames.UA | frames.POLL), NOW)
    number = 0
    while client.state == OPEN and number < 8:
        client.feed(answer(number << 1, LLC_RESPONSE + bytes(100), True), NOW)
        number += 1
    assert number == 2 and "longer than 200" in str(client.failure)


def test_what_is_for_others_or_makes_no_sense_is_ignored() -> None:
    client = connected()
    client.send(b"x", NOW)
    client.output()
    good = answer(0x30, LLC_RESPONSE + b"y")
    for frame in (
        encode(client_address(2), ADDRESS, 0x30, LLC_RESPONSE + b"y"),
        encode(OWN, server_address(1, 18), 0x30, LLC_RESPONSE + b"y"),
        encode(OWN, server_address(1, 17, 4), 0x30, LLC_RESPONSE + b"y"),
        command(0x30, LLC_RESPONSE + b"y"),  # our own, sent back by the probe
        answer(frames.UA | frames.POLL),
        answer(frames.SNRM | frames.POLL),
        answer(0xE3),
    ):
        client.feed(frame, NOW)
        assert client.state == OPEN and client.arrived() is None and client.output() == b""
    client.feed(good, NOW)
    assert client.arrived() == b"y"
    assert client.strangers == 4


def test_the_station_rejects_what_it_must() -> None:
    for frame, reason in (
        (command(0xE3 | frames.POLL), "0001"),
        (command(0x10, bytes(129)), "0004"),
        (command(0x70, LLC_COMMAND + b"x"), "0008"),
        (command(0x71), "0008"),
        (command(0x10, LLC_RESPONSE + b"x"), "2004"),
    ):
        server = station()
        server.feed(frame, NOW)
        (reject,) = parsed(server.output())
        assert reject.name == "FRMR" and reject.poll, reason
        control = frames.decode(frame).control
        assert reject.information == bytes((control,)) + bytes.fromhex(reason)
        server.feed(command(0x10, LLC_COMMAND + b"x"), NOW)  # and everything after it
        assert names(server.output()) == ["FRMR P"] and server.requests() == []
        server.feed(command(frames.SNRM | frames.POLL), NOW)
        assert names(server.output()) == ["UA P"]
        server.feed(command(0x10, LLC_COMMAND + b"x"), NOW)
        assert len(server.requests()) == 1


def test_without_a_connection() -> None:
    server = HdlcServer((1,), 17, Parameters())
    for control in (0x10, 0x11, frames.DISC | frames.POLL):
        server.feed(command(control), NOW)
        assert names(server.output()) == ["DM P"]
    server.feed(command(0x00, LLC_COMMAND), NOW)  # no poll bit: no answer
    server.feed(encode(server_address(2, 17), OWN, frames.SNRM | frames.POLL), NOW)
    server.feed(encode(server_address(1, 18), OWN, frames.SNRM | frames.POLL), NOW)
    server.feed(command(frames.SNRM | frames.POLL, b"\x81\x80\x09"), NOW)
    assert names(server.output()) == ["DM P"]
    assert server.requests() == [] and not server.connected


def test_clients_have_connections_of_their_own() -> None:
    server = HdlcServer((1,), 17, Parameters())
    for sap in range(1, MAX_CLIENTS + 1):
        server.feed(encode(ADDRESS, client_address(sap), frames.SNRM | frames.POLL), NOW)
    assert names(server.output()) == ["UA P"] * MAX_CLIENTS
    server.feed(encode(ADDRESS, client_address(100), frames.SNRM | frames.POLL), NOW)
    assert names(server.output()) == ["DM P"]
    server.feed(command(0x10, LLC_COMMAND + b"x"), NOW)
    server.feed(command(frames.SNRM | frames.POLL), NOW)  # anew: the request is void
    assert server.ended() == [(1, 1)]
    server.output()
    for request in server.requests():
        server.answer(request, [b"y"], NOW)
    assert server.output() == b""
    server.feed(command(frames.DISC | frames.POLL), NOW)
    assert names(server.output()) == ["UA P"]
    assert server.ended() == [(1, 1)] and len(server.clients()) == MAX_CLIENTS - 1
    server.tick(NOW + 120_000)  # nobody says anything
    assert not server.connected and len(server.ended()) == MAX_CLIENTS - 1
    assert server.deadline is None


# ---------------------------------------------------------------- without numbers


def test_broadcast_and_notification() -> None:
    client = connected()
    for address, count in (
        (server_address(0x7F, 0x7F, 2), 2),
        (server_address(0x3FFF, 0x3FFF, 4), 2),
        (server_address(ALL_STATIONS[0]), 2),
        (server_address(1, 17), 1),
        (server_address(1, 18), 0),
    ):
        server = HdlcServer((1, 2), 17, Parameters())
        client.send_unconfirmed(b"to all", address)
        server.feed(client.output(), NOW)
        requests = server.requests()
        assert [r.apdu for r in requests] == [b"to all"] * count
        for request in requests:
            assert not request.confirmed
            server.answer(request, [b"nobody listens"], NOW)
        assert server.output() == b""
    raises(ValueError, client.send_unconfirmed, bytes(2030), ADDRESS)
    server = station()
    server.notify(1, 1, b"news")
    server.notify(2, 1, b"to nobody")
    client.feed(server.output(), NOW)
    assert client.arrived() == b"news" and client.arrived() is None


def test_random_frames_crash_neither_end() -> None:
    for seed in range(150):
        client = connected(Settings(16, 3))
        server = station()
        data = random_bytes(seed + 1, 400)
        for i in range(0, 400, 10):
            size = data[i] % 30
            control = data[i + 1]
            if data[i + 2] % 3:
                control &= 0x1F  # else most acknowledge what cannot be
            body = (LLC_RESPONSE + data)[:size]
            client.feed(answer(control, body, data[i + 3] % 2 == 0), NOW + 50 * i)
            client.tick(NOW + 50 * i)
            if client.state == CLOSED:
                client.connect(NOW + 50 * i)
            elif client.state == OPEN and data[i + 4] % 4 == 0:
                client.send(data[: data[i + 5]], NOW + 50 * i)
            server.feed(command(control, (LLC_COMMAND + data)[:size]), NOW + 50 * i)
            server.tick(NOW + 50 * i)
            for request in server.requests():
                server.answer(request, [request.apdu], NOW)
            parsed(server.output())
            parsed(client.output())
