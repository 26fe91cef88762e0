"""How modems and meters stand, told upstream: in the birth, and page by page when asked."""

from __future__ import annotations

from gateway.contract.messages import Ask
from gateway.uplink.session import ASK_MS
from hal.rt import cbor
from tests.portable.support import run
from tests.portable.uplink.support import KNOWN, World


def test_the_birth_tells_of_the_modems_and_the_will_does_not() -> None:
    async def play() -> None:
        world = World()
        await world.start()
        await world.clock.run(5000)
        state = world.hes.state
        assert state is not None and state.modems == [["plc", True, 3, {"sent": 7}]]
        await world.stop()
        assert world.hes.state is not None and world.hes.state.modems == []

    run(play())


def test_each_ask_has_its_page() -> None:
    async def play() -> None:
        world = World()
        await world.start()
        await world.clock.run(5000)
        for after, expected in (("", KNOWN), (KNOWN[0], KNOWN[1:]), (KNOWN[2], [])):
            world.hes.tell("ask", Ask(after).encode())
            await world.clock.run(ASK_MS + 1000)
            name, page = world.hes.heard[-1]
            assert name == "meters" and page.after == after and not page.more
            assert [meter[0] for meter in page.meters] == expected
        await world.stop()

    run(play())


def test_a_flood_of_asks_has_one_answer_a_second() -> None:
    async def play() -> None:
        world = World()
        await world.start()
        await world.clock.run(5000)
        for _ in range(50):
            world.hes.tell("ask", Ask("").encode())
            await world.clock.run(ASK_MS // 10)
        assert 4 <= world.hes.count("meters") <= 6
        await world.stop()

    run(play())


def test_a_bad_ask_is_refused() -> None:
    async def play() -> None:
        world = World()
        await world.start()
        await world.clock.run(5000)
        for bad in ([1, 7], [1, "x" * 33], [2, ""], [1, "", 0]):
            world.hes.tell("ask", cbor.encode(bad))
        await world.clock.run(5000)
        assert world.hes.reasons() == ["malformed"] * 4
        assert world.hes.count("meters") == 0
        await world.stop()

    run(play())
