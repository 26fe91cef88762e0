"""DLMSoTCP byte for byte, and what an unconfirmed session cannot know."""

from __future__ import annotations

from hal.modem.dlmsotcp import DlmsOTcp
from hal.modem.wrapper import wrap
from hal.ports import BROADCAST, Busy, Joined, Left, NoRoute, PortError, Rx, TooLong, TxDone
from tests.portable.support import raises

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

A = "0080e1000001"
B = "0080e1000002"
ENABLE = bytes.fromhex("000100010000000103")


def node(number: int, address: str, name: bytes = b"ZIV0034678912") -> bytes:
    body = b"\x01" + number.to_bytes(2, "big") + b"\x00\x01" + bytes([len(name)]) + name
    return (
        bytes.fromhex("000100000001")
        + len(body + b"123456").to_bytes(2, "big")
        + (body + bytes.fromhex(address))
    )


def gone(number: int) -> bytes:
    return bytes.fromhex("000100000001000302") + number.to_bytes(2, "big")


def started(**settings: Any) -> DlmsOTcp:
    driver = DlmsOTcp(**settings)
    driver.start(0)
    assert driver.outgoing() == ENABLE
    driver.feed(node(5, A) + node(6, B), 0)
    joined = driver.events()
    assert [type(event) for event in joined] == [Joined, Joined]
    assert driver.nodes() == [A, B]
    return driver


def test_an_exchange_byte_for_byte() -> None:
    driver = started()
    handle = driver.send(A, bytes.fromhex("c00181"), 2, 1, 10)
    assert driver.outgoing() == bytes.fromhex("0001000200050003c00181")
    assert driver.events() == []
    driver.feed(bytes.fromhex("0001000500020002c401"), 500)
    done, rx = driver.events()
    assert isinstance(done, TxDone) and (done.handle, done.status) == (handle, 0)
    assert isinstance(rx, Rx) and rx.data == b"\xc4\x01"
    assert (rx.address, rx.source_sap, rx.destination_sap) == (A, 1, 2)


def test_broadcast_goes_to_007f() -> None:
    driver = started(hold_ms=5000, broadcast_ms=3000)
    handle = driver.send(BROADCAST, b"\xaa", 1, 1, 0)
    assert driver.outgoing() == bytes.fromhex("00010001007f0001aa")
    driver.tick(2999)
    assert driver.events() == []
    driver.tick(3000)
    (done,) = driver.events()
    assert isinstance(done, TxDone) and (done.handle, done.status) == (handle, 0)


def test_frames_wait_for_those_before_them() -> None:
    driver = started(hold_ms=3000)
    first = driver.send(A, b"x", 1, 1, 0)
    second = driver.send(B, b"x", 1, 1, 1000)
    settled = []
    for now in range(0, 10000, 500):
        driver.tick(now)
        settled += [(event.handle, now) for event in driver.events() if isinstance(event, TxDone)]
    assert settled == [(first, 3000), (second, 7000)]


def test_what_has_no_address_is_refused() -> None:
    driver = started(in_flight=1)
    raises(NoRoute, driver.send, "0080e1000003", b"x", 1, 1, 0)
    raises(NoRoute, driver.send, A, b"x", 1, 16, 0)  # the server SAP does not travel
    raises(TooLong, driver.send, A, bytes(1022), 1, 1, 0)
    raises(ValueError, driver.send, A, b"x", 0, 1, 0)
    driver.send(A, b"x", 1, 1, 0)
    raises(Busy, driver.send, B, b"x", 1, 1, 0)
    driver.feed(node(0x7F, "0080e1000003"), 1)
    raises(NoRoute, driver.send, "0080e1000003", b"x", 1, 1, 1)  # that would be a broadcast
    assert driver.statistics()["unreachable"] == 1
    raises(PortError, driver.get, "0024", 0)
    raises(ValueError, DlmsOTcp, 6)


def test_nodes_come_and_go() -> None:
    driver = started()
    handle = driver.send(A, b"x", 1, 1, 0)
    driver.feed(gone(5), 1)
    done, left = driver.events()
    assert isinstance(done, TxDone) and done.handle == handle and done.status != 0
    assert isinstance(left, Left) and left.address == A
    driver.feed(gone(5) + node(6, B) + node(7, B), 2)  # B moves
    assert [type(event) for event in driver.events()] == [Left, Joined]
    driver.outgoing()
    driver.send(B, b"x", 1, 1, 3)
    assert driver.outgoing() == bytes.fromhex("000100010007000178")


def test_kick_deletes_and_discover_lists() -> None:
    driver = started()
    driver.kick(B, 0)
    assert driver.outgoing() == bytes.fromhex("0001000100000003040006")
    driver.discover(1)
    assert driver.outgoing() == ENABLE
    raises(NoRoute, driver.kick, "0080e1000003", 2)


def test_bad_messages_are_counted_and_harmless() -> None:
    driver = started()
    driver.outgoing()
    bad = ("01", "01 0009", "01 0009 0001 0d 41", "02", "02 00", "02 0005 00")
    for text in bad:
        body = bytes.fromhex(text.replace(" ", ""))
        driver.feed(wrap(0, 1, body), 1)
    driver.feed(wrap(0, 1, b"") + wrap(0, 1, b"\x63"), 1)
    driver.feed(wrap(99, 1, b"stranger") + node(0xFFE, "0080e1000004"), 1)
    driver.feed(node(9, "000000000000"), 1)
    assert driver.events() == [] and driver.nodes() == [A, B]
    counts = driver.statistics()
    assert counts["malformed"] == len(bad)
    assert counts["unknown-command"] == 2 and counts["stranger"] == 3
    assert not driver.dead


def test_another_protocol_ends_the_session_and_nothing_else() -> None:
    driver = started()
    driver.feed(b"HTTP/1.1 400 Bad Request\r\n", 5)
    assert driver.dead and driver.statistics()["malformed"] == 1
    driver.feed(node(9, "0080e1000009"), 6)
    assert driver.events() == []
    driver.start(7)
    assert not driver.dead and driver.nodes() == [] and driver.outgoing() == ENABLE


def test_a_length_that_cannot_be_ends_the_session() -> None:
    driver = started()
    driver.feed(bytes.fromhex("000100050001ffff"), 5)
    assert driver.dead


def test_silence_is_asked_about_only_where_there_are_nodes() -> None:
    empty = DlmsOTcp(silence_ms=60000, answer_ms=5000)
    empty.start(0)
    empty.outgoing()
    now = 0
    while now < 1000000:
        now += empty.due_ms(now)
        empty.tick(now)
        assert empty.outgoing() == b"" and not empty.dead
    driver = started(silence_ms=60000, answer_ms=5000)
    asked = []
    now = 0
    while not driver.dead:
        now += driver.due_ms(now)
        driver.tick(now)
        if driver.outgoing():
            asked.append(now)
    assert asked == [60000, 65000, 70000] and now == 75000
