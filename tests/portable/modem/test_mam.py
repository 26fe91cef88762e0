"""Meters and More: bytes, finding nodes and ways, sending, losing, what a modem says wrong."""

from __future__ import annotations

from hal.modem import usi
from hal.modem.answer import Answer
from hal.modem.mam import frames, mam, spelling
from hal.modem.mam.mam import MetersAndMore
from hal.modem.mam.routes import MAX_ROUTES, Routes
from hal.ports import (
    BROADCAST,
    Busy,
    Joined,
    Left,
    ModemReset,
    NoRoute,
    PortError,
    Rx,
    TooLong,
    TxDone,
)
from hal.sim.channel import Rng
from tests.portable.modem.mam_network import MODEM, Network
from tests.portable.support import raises

A = "0a0000000001"
B = "0a0000000002"
C = "0a0000000003"
D = "0a0000000004"
# A and B hear the modem; C hears A and B; D hears C alone.
HEARS = {MODEM: [A, B], A: [B, C], B: [A, C], C: [A, B, D], D: [C]}


def frame(data: str) -> bytes:
    return usi.frame(usi.METERS_AND_MORE, bytes.fromhex(data))


class Bench:
    """A driver on a scripted network; time passes only while run() lets it."""

    def __init__(self, hears: dict[str, list[str]] = HEARS, driver: MetersAndMore | None = None):
        self.network = Network(hears)
        self.driver = driver or MetersAndMore(refresh_ms=3600000)
        self.now = 0
        self.events: list[object] = []
        self.driver.start(0)

    def run(self, duration: int) -> None:
        """Jump from one thing to be done to the next, as the runner does."""
        end = self.now + duration
        self.serve()
        while self.now < end:
            self.now = min(end, self.now + self.driver.due_ms(self.now))
            self.driver.tick(self.now)
            self.serve()

    def serve(self) -> None:
        while True:
            sent = self.driver.outgoing()
            if not sent:
                break
            for answer in self.network.take(sent):
                self.driver.feed(answer, self.now)
        self.events += self.driver.events()

    def kinds(self) -> list[str]:
        names = [type(event).__name__ for event in self.events]
        self.events = []
        return names

    def joined(self) -> list[str]:
        return sorted([event.address for event in self.events if isinstance(event, Joined)])

    def send(self, address: str, data: bytes, route: list[str] | None = None) -> int:
        self.events = []
        handle = self.driver.send(address, data, 16, 1, self.now, route)
        self.serve()
        return handle


def found(hears: dict[str, list[str]] = HEARS) -> Bench:
    bench = Bench(hears)
    bench.run(60000)
    assert sorted(bench.driver.nodes()) == bench.joined()
    bench.events = []
    bench.network.said = []
    return bench


# ------------------------------------------------------------ bytes


def test_get_aca_byte_for_byte() -> None:
    request = usi.frame(usi.METERS_AND_MORE, frames.get_request(frames.ACA_PARAMETER, 0))
    assert request == bytes.fromhex("7e01f10c00000201000000ff7e".replace("000000ff", "0000ff"))
    assert request.hex() == "7e01f10c000002010000ff7e"


def test_a_data_request_byte_for_byte() -> None:
    path = [bytes.fromhex(A), bytes.fromhex(C)]
    request = frames.data_request(path, frames.REQUEST, 18, 0, b"\xc0\x01\x81", 128)
    assert request.hex() == (
        "0a" + "00" * 16 + "0080" + "0000" + "02" + A + C + "01" + "12" + "00" + "00" + "0003c00181"
    )
    assert frames.parse_request(request) == (path, 1, 18, 0, 128, 0, b"\xc0\x01\x81")
    for size in range(len(request)):
        raises(ValueError, frames.parse_request, request[:size])
    assert frames.parse_request(request[:-5] + b"\0\0") == (path, 1, 18, 0, 128, 0, b"")
    raises(ValueError, frames.data_request, [], 0, 0, 0, b"", 0)
    raises(ValueError, frames.data_request, path * 5, 0, 0, 0, b"", 0)
    raises(ValueError, frames.data_request, path, 0, 0, 0, bytes(128), 0)
    longest = frames.data_request([path[0]] * 9, 1, 18, 0, bytes(127), 128)
    assert usi.Parser().feed(usi.frame(usi.METERS_AND_MORE, longest))[0].data == longest


def test_parameters_at_their_bounds() -> None:
    for text, expected in (
        ("0", (0, 0)),
        ("201", (0x201, 0)),
        ("ffffffff.65535", (0xFFFFFFFF, 65535)),
    ):
        assert spelling.parameter(text) == expected
    for wrong in ("", "-1", "100000000", "0.65536", "0.-1", "x", "0.x"):
        raises(PortError, spelling.parameter, wrong)


def test_saps_that_do_not_fit_are_refused() -> None:
    driver = MetersAndMore()
    driver.start(0)
    for saps in ((256, 1), (1, 256), (-1, 1), (1, -1)):
        error = raises(ValueError, driver.send, A, b"x", saps[0], saps[1], 0)
        assert "SAPs are 0..255, not %d, %d" % saps in str(error)


def test_indications() -> None:
    told = frames.Indication(bytes.fromhex(A), 19, 0, b"abc", 5)
    raw = told.encode()
    assert raw.hex() == "15" + "00" * 16 + A + "13000005" + "0003616263"
    back = frames.indication(raw)
    assert (back.source.hex(), back.attribute, back.dsap, back.status) == (A, 19, 0, 5)
    assert back.apdu == b"abc"
    for wrong in (raw[:-1], raw + b"x", raw[:20]):
        raises(ValueError, frames.indication, wrong)


def test_addresses_found_stand_backwards() -> None:
    record = bytes.fromhex("01000000000a" + "28190a" + "ffffff")
    assert frames.found(record).hex() == A
    assert frames.all_found(b"\x05" + record * 4) == [bytes.fromhex(A)] * 4
    for wrong in (b"", b"\x00" + record, b"\x01" + record[:-1], b"\x02" + record + b"x"):
        raises(ValueError, frames.all_found, wrong)


# ------------------------------------------------------------ finding


def test_the_first_steps_byte_for_byte() -> None:
    driver = MetersAndMore()
    driver.start(0)
    everybody = "ffffffffff03"
    wake = "0a" + "00" * 16 + "0014" + "0000" + "01" + everybody + "005c0200" + "0001ff"
    assert driver.outgoing() == frame(wake)
    driver.feed(frame("14" + everybody + "020000"), 10)
    look = "0a" + "00" * 16 + "0020" + "0010" + "01" + everybody + "035a0200" + "000402550000"
    assert driver.outgoing() == frame(look)
    driver.feed(frame("14" + everybody + "020000"), 20)
    response = "15" + "00" * 16 + A + "5b020000" + "000c" + "01000000000a" + "ff" * 6
    driver.feed(frame(response), 100)
    assert driver.outgoing() == b"" and driver.nodes() == []  # others may answer too
    driver.tick(20 + 2000)
    poll = "0a" + "00" * 16 + "0014" + "0000" + "01" + A + "015c0200" + "000101"
    assert driver.outgoing() == frame(poll)
    driver.feed(frame("14" + A + "020000"), 2100)
    driver.feed(frame("15" + "00" * 16 + A + "f7020000" + "0004" + "00ffffff"), 2200)
    (joined,) = driver.events()
    assert isinstance(joined, Joined) and joined.address == A
    assert driver.nodes() == [A] and driver.route(A) == []


def test_nodes_are_found_level_after_level() -> None:
    bench = found()
    driver = bench.driver
    assert sorted(driver.nodes()) == [A, B, C, D]
    assert driver.route(A) == driver.route(B) == []
    assert driver.route(C) in ([A], [B])
    assert driver.route(D) == (driver.route(C) or []) + [C]
    bench.run(600000)
    assert bench.events == [] and bench.network.said == []  # it does not go on for ever


def test_everybody_answers_again_after_a_pass() -> None:
    bench = found()
    assert all(value == 0xFF for value in bench.network.thresholds.values())
    bench.driver.discover(bench.now)
    bench.run(60000)
    assert bench.kinds() == [] and bench.network.polls() >= 4
    assert all(value == 0xFF for value in bench.network.thresholds.values())


def test_silent_from_an_earlier_life() -> None:
    bench = Bench()
    for node in (A, B, C, D):
        bench.network.thresholds[node] = 1
    bench.run(120000)
    assert sorted(bench.driver.nodes()) == [A, B, C, D]


def test_many_nodes_in_groups_and_fours() -> None:
    near = ["0b00000000%02x" % number for number in range(60)]
    far = ["0c00000000%02x" % number for number in range(30)]
    hears = {MODEM: near, near[7]: far + near}
    for node in near + far:
        hears.setdefault(node, [])
    bench = Bench(hears)
    bench.run(600000)
    assert sorted(bench.driver.nodes()) == near + far
    assert bench.driver.route(far[3]) == [near[7]]


def test_a_new_node_is_found_by_the_next_pass() -> None:
    bench = found({MODEM: [A], A: []})
    bench.network.hears = HEARS
    bench.run(3000000)
    assert bench.kinds() == []
    bench.run(1200000)
    assert bench.joined() == [B, C, D]


def test_nobody_there() -> None:
    bench = Bench({MODEM: []})
    bench.run(3600000)
    assert bench.driver.nodes() == [] and bench.kinds() == []
    raises(NoRoute, bench.driver.send, A, b"x", 1, 1, bench.now)


# ------------------------------------------------------------ sending


def test_data_goes_over_the_repeaters_and_back() -> None:
    bench = found()
    handle = bench.send(D, b"\xc0\x01")
    done, rx = bench.events
    assert isinstance(done, TxDone) and (done.handle, done.status) == (handle, 0)
    assert isinstance(rx, Rx) and (rx.address, rx.data) == (D, b"\xc0\x01")
    assert (rx.source_sap, rx.destination_sap, rx.quality.hops) == (1, 16, 3)
    ((path, service, attribute, apdu),) = bench.network.said
    assert path == (bench.driver.route(D) or []) + [D]
    assert (service, attribute, apdu) == (frames.REQUEST, frames.DLMS, b"\x10\x01\xc0\x01")


def test_the_host_may_name_the_route() -> None:
    bench = found()
    bench.send(C, b"x", [B])
    assert bench.network.said[-1][0] == [B, C]
    assert bench.kinds() == ["TxDone", "Rx"]
    bench.send(D, b"x", [A, C])
    assert bench.network.said[-1][0] == [A, C, D]
    bench.send(D, b"x", [])
    assert bench.network.said[-1][0] == [D]
    assert bench.kinds() == ["TxDone"]
    raises(NoRoute, bench.driver.send, D, b"x", 1, 1, bench.now, [A] * 9)
    raises(NoRoute, bench.driver.send, D, b"x", 1, 1, bench.now, ["zz"])
    raises(NoRoute, bench.driver.send, D, b"x", 1, 1, bench.now, [C, D])


def test_what_cannot_be_sent_is_refused() -> None:
    bench = found()
    driver = bench.driver
    for text in ("", A[:-1], A + "00", "zz" * 6, "0a00000000ff"):
        raises(NoRoute, driver.send, text, b"x", 1, 1, bench.now)
    raises(TooLong, driver.send, A, bytes(126), 1, 1, bench.now)
    raises(ValueError, driver.send, A, b"x", 256, 1, bench.now)
    driver.send(A, bytes(125), 1, 1, bench.now)
    raises(Busy, driver.send, B, b"x", 1, 1, bench.now)
    bench.serve()
    assert bench.kinds() == ["TxDone", "Rx"]


def test_a_frame_to_all_is_said_again_by_repeaters() -> None:
    bench = found()
    handle = bench.send(BROADCAST, b"now")
    (done,) = bench.events
    assert isinstance(done, TxDone) and (done.handle, done.status) == (handle, 0)
    assert sorted(bench.network.received) == [A, B, C, D]
    paths = [path for path, _, _, _ in bench.network.said]
    assert paths[0] == ["ffffffffff03"] and len(paths) == 3
    assert all(service == frames.SEND for _, service, _, _ in bench.network.said)
    bench.network.said = []
    bench.send(BROADCAST, b"there", [A])
    assert [path for path, _, _, _ in bench.network.said] == [[A, "ffffffffff03"]]


def test_general_blocks_that_stream_are_not_answered() -> None:
    bench = found()
    for control, service in ((0x41, frames.SEND), (0xC1, frames.SEND), (0x81, frames.REQUEST)):
        bench.send(C, bytes((0xE0, control)) + b"\x00\x01\x00\x00\x01x")
        assert bench.network.said[-1][1] == service
        assert bench.kinds() == (["TxDone"] if service == frames.SEND else ["TxDone", "Rx"])
    bench.network.dead.add(C)
    bench.send(C, b"\xe0\x41\x00\x01\x00\x00\x01x")
    (done,) = bench.events
    assert isinstance(done, TxDone) and done.status == 0  # sent is all that is known


def test_a_silent_node_is_told_of_at_once() -> None:
    bench = found()
    bench.network.dead.add(B)
    bench.send(B, b"x")
    (done,) = bench.events
    assert isinstance(done, TxDone) and done.status == frames.EVENT_TIMEOUT


def test_a_busy_modem_is_asked_again() -> None:
    bench = found()
    bench.network.busy = 3
    bench.send(A, b"x")
    assert bench.events == []
    bench.run(499)
    assert len(bench.network.said) == 1
    bench.run(1100)
    assert bench.kinds() == ["TxDone", "Rx"]
    assert bench.driver.statistics()["busy"] == 3 and len(bench.network.said) == 4
    bench.network.busy = 1000
    bench.send(A, b"x")
    bench.run(31000)
    assert "TxDone" in bench.kinds()


def test_a_modem_that_is_not_ready_or_refuses() -> None:
    bench = found()
    bench.driver.send(A, b"x", 16, 1, bench.now)
    bench.driver.outgoing()
    bench.driver.feed(frame("00010a"), bench.now)
    bench.run(500)
    assert bench.kinds() == ["TxDone", "Rx"]  # it was sent again
    bench.driver.send(A, b"x", 16, 1, bench.now)
    bench.driver.outgoing()
    bench.driver.feed(frame("00030a"), bench.now)
    (done,) = bench.driver.events()
    assert isinstance(done, TxDone) and done.status == mam.STATUS_REFUSED


def test_a_modem_that_says_nothing_of_a_frame() -> None:
    bench = found()
    handle = bench.driver.send(A, b"x", 1, 1, bench.now)
    bench.driver.outgoing()
    bench.run(29999)
    assert bench.kinds() == []
    bench.run(1)
    done = bench.events[0]
    assert isinstance(done, TxDone) and (done.handle, done.status) == (handle, 0xFF)
    assert bench.driver.statistics()["stuck"] == 1


def test_the_host_goes_before_the_search_but_does_not_starve_it() -> None:
    bench = found()
    bench.driver.discover(bench.now)
    before = bench.driver.statistics()["polls"]
    rounds = 0
    while bench.driver.statistics()["polls"] < before + 4:
        rounds += 1
        assert rounds < 200
        try:
            bench.driver.send(A, b"x", 1, 1, bench.now)
        except Busy:
            pass
        bench.run(500)


# ------------------------------------------------------------ losing


def test_another_way_is_taken_when_one_fails() -> None:
    bench = found()
    route = bench.driver.route(C)
    assert route in ([A], [B])
    bench.network.dead.add(route[0])
    statuses = []
    for _ in range(8):
        bench.send(C, b"x")
        statuses += [event.status for event in bench.events if isinstance(event, TxDone)]
        bench.run(5000)
    assert statuses[-1] == 0 and statuses.count(0) >= 4
    other = B if route == [A] else A
    assert bench.driver.route(C) == [other]
    assert C in bench.driver.nodes()


def test_a_node_that_is_gone_leaves_and_returns() -> None:
    bench = found()
    bench.network.dead.add(D)
    for _ in range(3):
        bench.send(D, b"x")
        assert bench.kinds() == ["TxDone"]
    bench.send(D, b"x")
    bench.run(60000)
    done, left = bench.events
    assert isinstance(done, TxDone) and done.status != 0
    assert isinstance(left, Left) and left.address == D
    assert D not in bench.driver.nodes()
    polls = bench.network.polls()
    assert polls <= 14  # a bounded search
    bench.events = []
    bench.network.dead.clear()
    bench.driver.discover(bench.now)
    bench.run(60000)
    assert bench.joined() == [D]


def test_a_node_nobody_speaks_to_is_missed_too() -> None:
    bench = found()
    bench.network.dead.add(B)
    bench.run(2 * 3600000)
    assert [event.address for event in bench.events if isinstance(event, Left)] == [B]


def test_kick_finds_a_new_way() -> None:
    bench = found()
    bench.driver.kick(C, bench.now)
    bench.run(10000)
    assert bench.kinds() == ["Left", "Joined"]
    assert sorted(bench.driver.nodes()) == [A, B, C, D]
    raises(NoRoute, bench.driver.kick, "0a00000000ff", bench.now)


def test_reset_finds_everything_anew() -> None:
    bench = found()
    bench.driver.reset(bench.now)
    bench.serve()
    assert isinstance(bench.events[0], ModemReset)
    bench.run(60000)
    assert bench.joined() == [A, B, C, D]


def test_supervision_asks_resets_and_gives_up() -> None:
    driver = MetersAndMore()
    driver.start(0)
    asked = []
    now = 0
    while not driver.dead:
        now += driver.due_ms(now)
        driver.tick(now)
        for heard in usi.Parser().feed(driver.outgoing()):
            if heard.data[0] == frames.GET_REQUEST:
                asked.append(now)
    assert asked == [60000, 65000, 70000]
    assert driver.statistics()["resets"] == 1 and now == 95000


# ------------------------------------------------------------ parameters


def test_parameters() -> None:
    bench = found()
    driver = bench.driver
    token = driver.get("201", bench.now)
    bench.serve()
    (answer,) = bench.events
    assert isinstance(answer, Answer)
    assert (answer.token, answer.value) == (token, bytes.fromhex("0200000000f1"))
    bench.events = []
    driver.get("999.3", bench.now)
    driver.set("5", b"\x01", bench.now)
    bench.serve()
    (answer,) = bench.events
    assert isinstance(answer, Answer) and answer.value == b""
    bench.events = []
    driver.set("5", b"", bench.now)
    bench.serve()
    (answer,) = bench.events
    assert isinstance(answer, Answer) and answer.value is None and answer.error
    for wrong in ("", "x", "1.x", "1.99999", "100000000", "-1"):
        raises(PortError, driver.get, wrong, bench.now)
    raises(PortError, driver.set, "5", bytes(256), bench.now)


# ------------------------------------------------------------ what a modem may say wrong


def test_damage_is_counted_and_harmless() -> None:
    bench = found()
    driver = bench.driver
    cases = (
        ("malformed", "15" + "00" * 20),
        ("malformed", "15" + "00" * 16 + A + "13000000" + "000110"),
        ("malformed", "15" + "00" * 16 + A + "13010000" + "0003100161"),
        ("malformed", "15" + "00" * 16 + A + "5b020000" + "000101"),
        ("malformed", "15" + "00" * 16 + A + "5b020000" + "000c" + "00" * 12),
        ("stranger", "15" + "00" * 16 + "0f0000000001" + "13000000" + "0003010161"),
        ("bad-answer", "15" + "00" * 16 + A + "13000005" + "0003010161"),
        ("unexpected", "14" + A + "000000"),
        ("unexpected", "162000"),
        ("unexpected", "15" + "00" * 16 + A + "f7020000" + "000400ffffff"),
        ("unexpected", "15" + "00" * 16 + A + "5f020000" + "000100"),
        ("unexpected", "1701000000000000"),  # the public firmware, after each data request
        ("unexpected", "1801000000050000" + "00"),
        ("unknown-command", "167f00"),
        ("unknown-command", "14" + A),
        ("unknown-command", "7f"),
        ("refused", "000214"),
    )
    for kind, data in cases:
        before = driver.statistics()[kind]
        driver.feed(frame(data), bench.now)
        assert driver.statistics()[kind] == before + 1, data
    driver.feed(usi.frame(usi.PRIME_API, b"\x39"), bench.now)
    driver.feed(b"\x7e\x01\xf1\x0c\x7e", bench.now)
    counts = driver.statistics()
    assert counts["unknown-protocol"] == 1 and counts["bad-length"] == 1
    bench.run(60000)
    bench.send(A, b"x")
    assert bench.kinds() == ["TxDone", "Rx"]


def test_what_a_node_sends_unasked_arrives() -> None:
    bench = found()
    unasked = "15" + "00" * 16 + C + "14000000" + "0003" + "0110" + "0f"
    bench.driver.feed(frame(unasked), bench.now)
    (rx,) = bench.driver.events()
    assert isinstance(rx, Rx) and (rx.address, rx.data, rx.quality.hops) == (C, b"\x0f", None)


def test_routes_are_bounded() -> None:
    routes = Routes()
    for number in range(2500):
        routes.told(number.to_bytes(6, "big"), ())
    assert len(routes.all()) == 2000
    node = routes.told(b"target", ())
    assert node is not None
    for number in range(50):
        routes.told(b"target", (number.to_bytes(6, "big"),))
    assert len(node.routes) == MAX_ROUTES
    assert routes.told(b"target", (b"target",)) is None
    assert routes.told(b"target", (b"other1",) * 9) is None


# ------------------------------------------------------------ the line


def play(condition: str) -> tuple[int, int, MetersAndMore]:
    """Echoes of a node over a line in this condition: (echoes, requests settled, driver)."""
    rng = Rng(7, condition)
    network = Network({MODEM: [A], A: []})
    driver = MetersAndMore(confirm_ms=3000)
    driver.start(0)
    late: list[tuple[int, bytes]] = []
    echoes = settled = 0
    for now in range(0, 300000, 100):
        driver.tick(now)
        if now >= 100000 and now % 500 == 0 and A in driver.nodes():
            try:
                driver.send(A, now.to_bytes(4, "big"), 16, 1, now)
            except Busy:
                pass
        delay = rng.between(1, 3) * 300 if condition == "delayed" else 0
        for answer in network.take(driver.outgoing()):
            if condition != "lossy" or rng.chance(0.8):
                late.append((now + delay, answer))
        arrived = [entry[1] for entry in late if entry[0] <= now]
        late = [entry for entry in late if entry[0] > now]
        for data in arrived:
            step = 1 if condition == "bytewise" else len(data)
            for start in range(0, len(data), step):
                driver.feed(data[start : start + step], now)
        for event in driver.events():
            if isinstance(event, Rx):
                assert (event.address, event.source_sap, event.destination_sap) == (A, 1, 16)
                echoes += 1
            elif isinstance(event, TxDone):
                settled += 1
    return echoes, settled, driver


def test_four_conditions_of_the_line() -> None:
    for condition in ("clean", "bytewise"):
        echoes, settled, driver = play(condition)
        assert echoes == settled == driver.statistics()["sent"] >= 390
    echoes, settled, driver = play("delayed")
    assert settled >= driver.statistics()["sent"] - 1 > 50 and echoes >= settled - 1
    echoes, settled, driver = play("lossy")
    sent = driver.statistics()["sent"]
    assert sent - 1 <= settled <= sent and sent > 20 and 0.5 < echoes / sent < 0.9
    assert driver.statistics()["stuck"] > 0 and not driver.dead
