"""DLMSoTCP: nodes by all sixteen bits of their number."""

from __future__ import annotations

from hal.ports import Joined, Left, Rx
from tests.portable.modem.test_dlmsotcp import A, B, gone, node, started

C = "0080e1000003"


def test_numbers_of_two_octets():
    driver = started()  # A is 5, B is 6
    driver.feed(node(0x0105, C), 0)
    assert [event.address for event in driver.events()] == [C]
    driver.send(C, b"\xaa", 1, 1, 0)
    assert driver.outgoing() == bytes.fromhex("0001000101050001aa")
    driver.feed(bytes.fromhex("0001010500010001bb"), 0)
    heard = [event for event in driver.events() if isinstance(event, Rx)]
    assert [event.address for event in heard] == [C]
    driver.feed(gone(0x0106), 0)
    assert [event for event in driver.events() if isinstance(event, Left)] == []
    driver.feed(gone(0x0105), 0)
    left = driver.events()
    assert [event.address for event in left] == [C] and isinstance(left[0], Left)
    assert driver.nodes() == [A, B]
    driver.feed(gone(5), 0)
    assert driver.nodes() == [B]
    driver.feed(node(5, A), 0)
    assert isinstance(driver.events()[-1], Joined) and sorted(driver.nodes()) == [A, B]
