"""The PRIME driver: every exchange byte for byte, and traffic in four conditions of the line."""

from __future__ import annotations

from hal.modem import usi
from hal.modem.answer import Answer
from hal.modem.prime import api
from hal.modem.prime.prime import Prime
from hal.modem.prime.walk import LIST_RECORD
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
from tests.portable.support import raises

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

A = "0080e1000001"
B = "0080e1000002"
LIST_QUERY = usi.frame(0x06, bytes.fromhex("0e82501e0000"))


def said(text: str) -> bytes:
    return usi.frame(usi.PRIME_API, bytes.fromhex(text.replace(" ", "")))


def join(node: int, address: str, tail: str = "00") -> bytes:
    return said("3a 03 414d49 %04x %s %s" % (node, address, tail))


def list_page(first: int, count: int, record: int = LIST_RECORD) -> bytes:
    page = bytearray((0x0F, 0x82, 0x50, count, record))
    for index in range(first, first + count):
        page += index.to_bytes(2, "big") + (index + 1).to_bytes(2, "big")
        page += (
            b"AMI"
            + bytes(13)
            + b"\x03"
            + bytes.fromhex("0080e1%06x" % (index + 1))
            + bytes(record - 25)
        )
    return usi.frame(0x07, bytes(page))


def started(**settings: Any) -> Prime:
    """A driver whose node list is known to be empty."""
    driver = Prime(**settings)
    driver.start(0)
    assert driver.outgoing() == LIST_QUERY
    driver.feed(list_page(0, 0), 0)
    assert driver.events() == [] and driver.outgoing() == b""
    return driver


def with_nodes(**settings: Any) -> Prime:
    driver = started(**settings)
    driver.feed(join(5, A) + join(6, B), 0)
    events = driver.events()
    assert [event.address for event in events] == [A, B]
    assert isinstance(events[0], Joined)
    return driver


def statuses(driver: Prime) -> list[tuple[int, int]]:
    return [(e.handle, e.status) for e in driver.events() if isinstance(e, TxDone)]


def test_data_request_and_its_answer_byte_for_byte() -> None:
    driver = with_nodes()
    handle = driver.send(A, bytes.fromhex("c00181"), 1, 1, 0)
    assert driver.outgoing() == bytes.fromhex("7e02f037010100050003c0018100837e")
    driver.feed(said("39 01 01 0005 00"), 10)
    assert statuses(driver) == [(handle, 0)]
    driver.feed(said("38 10 01 0000 0005 0002 c401 00"), 20)
    (event,) = driver.events()
    assert isinstance(event, Rx)
    assert (event.address, event.source_sap, event.destination_sap) == (A, 1, 16)
    assert event.data == b"\xc4\x01"


def test_saps_of_a_request() -> None:
    driver = with_nodes()
    driver.send(B, b"\xaa", 16, 1, 0)
    assert driver.outgoing() == said("37 01 10 0006 0001 aa 00")


def test_broadcast() -> None:
    driver = with_nodes()
    handle = driver.send(BROADCAST, b"\xaa", 1, 0, 0)
    assert driver.outgoing() == said("37 00 01 0fff 0001 aa 00")
    driver.feed(said("39 00 01 0fff 00"), 1)
    assert statuses(driver) == [(handle, 0)]


def test_largest_payload_uses_the_eleventh_length_bit() -> None:
    driver = with_nodes()
    driver.send(A, bytes(1021), 1, 1, 0)
    (frame,) = usi.Parser().feed(driver.outgoing())
    assert len(frame.data) == 1029
    raises(TooLong, driver.send, B, bytes(1022), 1, 1, 0)


def test_window_and_unknown_nodes() -> None:
    driver = with_nodes(in_flight=1)
    raises(NoRoute, driver.send, "0080e1ffffff", b"x", 1, 1, 0)
    driver.send(A, b"x", 1, 1, 0)
    raises(Busy, driver.send, A, b"x", 1, 1, 0)
    raises(Busy, driver.send, B, b"x", 1, 1, 0)
    driver.feed(said("39 01 01 0005 00"), 1)
    driver.send(B, b"x", 1, 1, 2)
    two = with_nodes(in_flight=2)
    two.send(A, b"x", 1, 1, 0)
    raises(Busy, two.send, A, b"x", 1, 1, 0)
    two.send(B, b"x", 1, 1, 0)


def test_failed_and_missing_confirms() -> None:
    driver = with_nodes(confirm_ms=1000)
    first = driver.send(A, b"x", 1, 1, 0)
    second = driver.send(B, b"x", 1, 1, 0)
    driver.feed(said("39 01 01 0005 02"), 10)
    assert statuses(driver) == [(first, api.STATUS_TIMEOUT)]
    driver.tick(999)
    assert driver.events() == []
    driver.tick(1000)
    assert statuses(driver) == [(second, api.STATUS_TIMEOUT)]
    driver.feed(said("39 01 01 0006 00"), 1010)
    assert driver.events() == []
    counts = driver.statistics()
    assert counts["failed"] == 2 and counts["unasked"] == 1


def test_join_dialects_and_moves() -> None:
    driver = started()
    driver.feed(join(5, A, "") + join(6, B, "0000 01"), 0)  # without ae; with eight EUI bytes
    assert driver.nodes() == [A, B] or driver.nodes() == [B, A]
    driver.events()
    driver.feed(join(5, A), 1)
    assert driver.events() == []  # nothing new
    driver.feed(join(9, A), 2)
    left, joined = driver.events()
    assert isinstance(left, Left) and isinstance(joined, Joined)
    driver.send(A, b"x", 1, 1, 3)
    assert driver.outgoing() == said("37 01 01 0009 0001 78 00")
    driver.feed(join(9, B), 4)  # B takes A's place and leaves its own
    assert driver.nodes() == [B]


def test_leaving_fails_what_is_in_flight() -> None:
    driver = with_nodes()
    handle = driver.send(A, b"x", 1, 1, 0)
    driver.feed(said("3b 0005"), 1)
    done, left = driver.events()
    assert isinstance(done, TxDone) and isinstance(left, Left)
    assert (done.handle, done.status, left.address) == (handle, api.STATUS_BAD_ADDRESS, A)
    raises(NoRoute, driver.send, A, b"x", 1, 1, 2)
    driver.feed(said("4f 01 %s 00 0001 00 00 00 00" % B), 3)
    assert driver.nodes() == []


def test_nodes_from_before_the_start_page_by_page() -> None:
    driver = Prime()
    driver.start(0)
    assert driver.outgoing() == LIST_QUERY
    driver.feed(list_page(0, 30), 1)
    assert driver.outgoing() == usi.frame(0x06, bytes.fromhex("0e82501e001e"))
    driver.feed(list_page(30, 30, record=31), 2)  # longer records: newer firmware
    assert driver.outgoing() == usi.frame(0x06, bytes.fromhex("0e82501e003c"))
    driver.feed(list_page(60, 7), 3)
    assert driver.outgoing() == b""
    assert len(driver.nodes()) == 67 and len(driver.events()) == 67
    assert A in driver.nodes()


def test_unanswered_list_is_asked_three_times_then_later() -> None:
    driver = Prime(answer_ms=1000, refresh_ms=900000, silence_ms=10**9)
    driver.start(0)
    asked = 0
    for now in range(0, 15000, 500):
        driver.tick(now)
        asked += len(usi.Parser().feed(driver.outgoing()))
    assert asked == 3
    assert driver.statistics()["list-unanswered"] == 1
    driver.tick(15000)
    assert driver.outgoing() == LIST_QUERY
    driver.feed(list_page(0, 3), 15001)
    driver.tick(800000)
    assert len(driver.nodes()) == 3 and driver.outgoing() == b""


def test_refresh_finds_missed_joins_and_leaves() -> None:
    driver = started(refresh_ms=1000)
    driver.feed(join(1, A) + join(500, B), 1)
    driver.events()
    driver.tick(1000)
    assert driver.outgoing() == LIST_QUERY
    driver.feed(list_page(0, 3), 1001)
    # B is listed as node 2 now: it left 500 and joined again.
    kinds = [(type(event).__name__, event.address) for event in driver.events()]
    assert kinds == [("Left", B), ("Joined", B), ("Joined", "0080e1000003")]
    driver.feed(join(600, "0080e1000999"), 1002)
    driver.tick(3000)
    driver.feed(list_page(0, 2), 3001)
    assert sorted(driver.nodes()) == [A, B]


def test_a_join_during_the_walk_survives_it() -> None:
    driver = Prime()
    driver.start(0)
    driver.feed(join(40, B), 1)
    driver.feed(list_page(0, 1), 2)
    assert len(driver.nodes()) == 2


def test_strangers_are_counted_and_looked_for() -> None:
    driver = started()
    driver.feed(said("38 10 01 0000 0007 0001 aa 00"), 100)
    assert driver.events() == [] and driver.statistics()["stranger"] == 1
    driver.tick(100)
    assert driver.outgoing() == b""
    driver.tick(100 + 5000)
    assert driver.outgoing() == LIST_QUERY


def test_base_node_restarts() -> None:
    for reboot in ("4f 05 000000000000 00 0000 00 00 00 00", "2c 00"):
        driver = with_nodes()
        driver.send(A, b"x", 1, 1, 0)
        driver.reset(1)
        driver.outgoing()
        driver.feed(said(reboot), 5)
        (event,) = driver.events()
        assert isinstance(event, ModemReset)
        assert driver.nodes() == []
        assert driver.outgoing() == LIST_QUERY


def test_supervision_asks_resets_and_gives_up() -> None:
    driver = started(silence_ms=60000, answer_ms=5000)
    sent = []
    now = 0
    while not driver.dead:
        now += driver.due_ms(now)
        driver.tick(now)
        for frame in usi.Parser().feed(driver.outgoing()):
            sent.append((now, frame.data))
    probe = bytes.fromhex("2d0024")
    assert sent == [(60000, probe), (65000, probe), (70000, probe), (75000, b"\x2b")]
    assert now == 95000
    driver.start(now)
    assert not driver.dead


def test_any_answer_is_a_sign_of_life() -> None:
    driver = started()
    for now in range(0, 600000, 1000):
        driver.tick(now)
        if driver.outgoing():
            driver.feed(said("2e 00 0024 01 02"), now)
    assert not driver.dead and driver.statistics()["resets"] == 0


def test_table_is_bounded() -> None:
    driver = started()
    for index in range(2100):
        driver.feed(join(index + 1, "0080e1%06x" % index), 0)
        driver.events()
    assert len(driver.nodes()) == 2000
    assert driver.statistics()["table-full"] == 100


def test_malformed_and_unknown_commands_are_counted() -> None:
    driver = with_nodes()
    malformed = ("38 10 01", "38 10 01 0000 0005 0009 aa 00", "39 01", "3a", "3a 09 41", "3b", "4f")
    malformed += ("2c", "2e 00 0024 02 00", "30 00 0053 0003 00", "32", "36 0005", "4f 04 00")
    for text in malformed:
        driver.feed(said(text), 0)
    driver.feed(said("57 00") + said("4f 07" + 13 * "00") + usi.frame(0x13, b"x"), 0)
    assert driver.events() == []
    counts = driver.statistics()
    assert counts["malformed"] == len(malformed)
    assert counts["unknown-command"] == counts["unknown-event"] == counts["other-protocol"] == 1


def test_what_nobody_asked_for_is_counted_and_harmless() -> None:
    driver = with_nodes()
    unasked = ("39 01 01 0005 00", "2c 00", "2e 00 0001 01 00", "30 00 0053 0000", "32 00")
    unasked += ("36 0005 00",)
    for text in unasked:
        driver.feed(said(text), 0)
    driver.feed(list_page(0, 3), 0)
    assert driver.events() == [] and driver.nodes() == [A, B]
    assert driver.statistics()["unasked"] == len(unasked) + 1


def answers(driver: Prime) -> list[tuple[int, bytes | None, str]]:
    return [(e.token, e.value, e.error) for e in driver.events() if isinstance(e, Answer)]


def test_parameters_are_got_and_set() -> None:
    driver = with_nodes()
    token = driver.get("0024", 0)
    assert driver.outgoing() == said("2d 0024")
    driver.feed(said("2e 00 0001 01 07") + said("2e 00 0024 01 02"), 1)
    assert answers(driver) == [(token, b"\x02", "")]
    token = driver.get("0053", 2)
    assert driver.outgoing() == said("2f 0053")
    driver.feed(said("30 00 0053 0101 " + 257 * "ab"), 3)
    assert answers(driver) == [(token, 257 * b"\xab", "")]
    token = driver.set("006d", bytes.fromhex(A), 4)
    assert driver.outgoing() == said("31 006d 06 " + A)
    driver.feed(said("32 0d"), 5)
    assert answers(driver) == [(token, None, "refused: read only")]
    token = driver.get("8101", 6)
    driver.feed(said("2e 0b 8101 00"), 7)
    assert answers(driver) == [(token, None, "refused: no such attribute")]
    for wrong in ("", "24", "00024", "0x24", "wxyz", "24  "):
        raises(PortError, driver.get, wrong, 8)
        raises(PortError, driver.set, wrong, b"", 8)
    raises(PortError, driver.set, "0024", bytes(256), 8)


def test_a_kicked_node_leaves_and_joins_anew() -> None:
    driver = with_nodes()
    driver.kick(A, 0)
    assert driver.outgoing() == said("35 0005")
    driver.feed(said("36 0005 00") + join(9, A), 1)
    kinds = [(type(event).__name__, event.address) for event in driver.events()]
    assert kinds == [("Left", A), ("Joined", A)]
    driver.kick(B, 2)
    driver.feed(said("36 0006 01"), 3)
    assert driver.events() == [] and driver.statistics()["kick-refused"] == 1
    raises(NoRoute, driver.kick, "0080e1000003", 4)


def test_discovery_reads_the_list_anew() -> None:
    driver = with_nodes()
    driver.discover(1)
    assert driver.outgoing() == LIST_QUERY
    driver.discover(2)
    assert driver.outgoing() == b""
    driver.feed(list_page(0, 3), 3)
    assert len(driver.nodes()) == 3


def test_a_reset_is_asked_for_until_it_is_confirmed() -> None:
    driver = with_nodes(answer_ms=1000)
    driver.reset(0)
    assert driver.outgoing() == said("2b")
    driver.tick(999)
    assert driver.outgoing() == b""
    driver.tick(1000)
    assert driver.outgoing() == said("2b")
    driver.feed(said("2c 01"), 1001)
    driver.tick(5000)
    assert driver.events() == [] and driver.statistics()["reset-refused"] == 1
    assert driver.outgoing() == b""
    driver.reset(6000)
    for now in (7000, 8000):
        driver.tick(now)
        assert not driver.dead
    driver.tick(9000)
    assert driver.dead and driver.statistics()["resets"] == 5
    driver.start(9001)
    assert not driver.dead


def event(kind: int, address: str, sid: int, lsid: int = 0, rx: int = 0, tx: int = 0) -> bytes:
    fields = (kind, address, sid, 1, lsid, rx, tx, 3)
    return said("4f %02x %s %02x %04x %02x %02x %02x %02x" % fields)


def quality(driver: Prime) -> tuple[int | None, int | None]:
    """(hops, lqi) of a frame from A."""
    driver.feed(said("38 10 01 0000 0005 0001 aa 00"), 9)
    (rx,) = driver.events()
    assert isinstance(rx, Rx)
    return rx.quality.hops, rx.quality.lqi


def test_network_events_tell_hops_and_quality() -> None:
    driver = with_nodes()
    assert quality(driver) == (None, None)
    driver.feed(event(0, A, 0), 1)
    assert quality(driver) == (1, None)
    driver.feed(event(4, A, 7, rx=6, tx=7), 2)
    assert quality(driver) == (None, None)  # behind a switch that nothing is known of
    driver.feed(event(2, B, 3, lsid=7) + event(2, "0080e1000009", 0, lsid=3), 3)
    assert quality(driver) == (3, None)
    driver.feed(event(4, A, 7, rx=9, tx=11), 4)  # modulo 8: 3 of 4 came through
    assert quality(driver) == (3, 75)
    driver.feed(event(3, B, 3, lsid=7), 5)
    assert quality(driver) == (None, 75)
    driver.feed(event(2, B, 7, lsid=7), 5)  # a switch below itself
    assert quality(driver) == (None, 75)
    driver.feed(event(1, B, 0), 6)
    (left,) = driver.events()
    assert isinstance(left, Left) and left.address == B
    counts = driver.statistics()
    kinds = ("registered", "unregistered", "promoted", "demoted", "alive", "rebooted")
    assert [counts[kind] for kind in kinds] == [1, 1, 3, 1, 2, 0]
    driver.feed(event(5, "000000000000", 0) + join(5, A), 7)
    driver.events()
    assert quality(driver) == (None, None)
    counts = driver.statistics()
    assert (counts["rebooted"], counts["unknown-event"]) == (1, 0)
    driver.feed(event(6, A, 0), 8)
    assert driver.statistics()["unknown-event"] == 1


class BaseNode:
    """Answers each request with a confirm and an echo; repeats nothing."""

    def __init__(self) -> None:
        self.parser = usi.Parser()

    def feed(self, data: bytes) -> list[bytes]:
        answers = []
        for frame in self.parser.feed(data):
            body = frame.data
            if frame.protocol == 0x06:
                answers.append(list_page(body[5], min(30, 40 - body[5])))
            elif body[0] == api.CL432_DATA_REQUEST:
                echo = body[1:5].hex()
                answers.append(said("39 %s 00" % echo))
                apdu = body[7:-1]
                answers.append(
                    said(
                        "38 %02x %02x 0000 %s %04x %s 00"
                        % (body[2], body[1], body[3:5].hex(), len(apdu), apdu.hex())
                    )
                )
            elif body[0] == api.MLME_GET_REQUEST:
                answers.append(said("2e 00 0024 01 02"))
        return answers


def play(condition: str) -> tuple[int, int, Prime]:
    """400 s of traffic to 40 nodes: (echoes, requests settled, driver)."""
    rng = Rng(7, condition)
    node = BaseNode()
    driver = Prime(confirm_ms=2000, answer_ms=1000, refresh_ms=20000)
    driver.start(0)
    late: list[tuple[int, bytes]] = []
    echoes = settled = 0
    for now in range(0, 400000, 100):
        driver.tick(now)
        addresses = driver.nodes() if now % 500 == 0 else []
        if addresses:
            address = addresses[now // 500 % len(addresses)]
            try:
                driver.send(address, now.to_bytes(4, "big"), 16, 1, now)
            except Busy:
                pass
        for answer in node.feed(driver.outgoing()):
            if condition == "lossy" and rng.chance(0.2):
                continue
            late.append((now + (rng.between(1, 3) * 300 if condition == "delayed" else 0), answer))
        arrived = [entry[1] for entry in late if entry[0] <= now]
        late = [entry for entry in late if entry[0] > now]
        for data in arrived:
            step = 1 if condition == "bytewise" else len(data)
            for start in range(0, len(data), step):
                driver.feed(data[start : start + step], now)
        for event in driver.events():
            if isinstance(event, Rx):
                assert (event.source_sap, event.destination_sap) == (1, 16)
                echoes += 1
            elif isinstance(event, TxDone):
                settled += 1
    return echoes, settled, driver


def test_clean_and_bytewise_lines_lose_nothing() -> None:
    for condition in ("clean", "bytewise"):
        echoes, settled, driver = play(condition)
        sent = driver.statistics()["sent"]
        assert sent == echoes == settled == 799  # the first tick knows no node yet
        assert len(driver.nodes()) == 40


def test_delayed_line_loses_nothing() -> None:
    echoes, settled, driver = play("delayed")
    assert driver.statistics()["sent"] - 4 <= settled
    assert echoes >= settled - 4 and driver.statistics()["failed"] == 0


def test_lossy_line_settles_every_request() -> None:
    echoes, settled, driver = play("lossy")
    counts = driver.statistics()
    assert counts["sent"] - 4 <= settled <= counts["sent"]
    assert 0.7 < echoes / counts["sent"] < 0.9
    assert not driver.dead and len(driver.nodes()) == 40


def test_the_event_of_a_node_may_come_before_its_connection() -> None:
    driver = with_nodes()
    for number in range(100):  # of nodes that never come: not kept for ever
        driver.feed(event(0, "0080e1ff%04x" % number, 0), 1)
    new = "0080e100000c"
    driver.feed(event(0, new, 0) + join(9, new), 2)
    (joined,) = driver.events()
    assert isinstance(joined, Joined) and joined.address == new
    driver.feed(said("38 10 01 0000 0009 0001 aa 00"), 3)
    (rx,) = driver.events()
    assert isinstance(rx, Rx) and rx.quality is not None and rx.quality.hops == 1
