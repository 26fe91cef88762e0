"""A line in memory: bytes take their time, arrive whole and in order, or damaged as ordered."""

from __future__ import annotations

import asyncio

import pytest

from tools.simulation import Damage, Wire, run


def now() -> float:
    return asyncio.get_running_loop().time()


def test_bytes_take_their_time_both_ways() -> None:
    async def play() -> None:
        wire = Wire(9600)
        await wire.near.write(bytes(960))
        await wire.near.write(b"more")
        await wire.far.write(b"x" * 96)
        assert await wire.near.read() == b"x" * 96
        assert now() == pytest.approx(0.1)
        assert await wire.far.read() == bytes(960)
        assert now() == pytest.approx(1.0)
        assert await wire.far.read() == b"more"

    run(play())


def test_a_full_line_makes_the_writer_wait() -> None:
    async def play() -> None:
        wire = Wire(9600)
        await wire.near.write(bytes(4096))
        assert now() == 0
        await wire.near.write(bytes(960))
        assert now() == pytest.approx(1.0)
        assert len(await wire.far.read()) == 4096
        assert len(await wire.far.read()) == 960

    run(play())


def test_more_than_a_read_takes_comes_in_pieces() -> None:
    async def play() -> None:
        wire = Wire(0)
        data = bytes(range(256)) * 40
        await wire.near.write(data)
        assert await wire.far.read() + await wire.far.read() + await wire.far.read() == data

    run(play())


def test_closing_tells_the_other_end_after_what_was_written() -> None:
    async def play() -> None:
        wire = Wire(9600)
        await wire.near.write(b"last")
        await wire.near.close()
        assert await wire.near.read() == b""
        assert await wire.far.read() == b"last"
        assert await wire.far.read() == b""
        for end in (wire.near, wire.far):
            with pytest.raises(OSError, match="gone"):
                await end.write(b"x")
            await end.close()

    run(play())


def test_damage_turns_bits_and_loses_bytes_in_its_shares() -> None:
    async def play() -> None:
        damage = Damage(wrong=0.3, seed=3)
        wire = Wire(115200, damage)
        frame = bytes(range(100))
        came = []
        for _ in range(1000):
            await wire.near.write(frame)
            came.append(await wire.far.read())
        wrong = [data for data in came if data != frame]
        assert 250 < len(wrong) < 350 and damage.done == len(wrong)
        for data in wrong:
            turned = [a ^ b for a, b in zip(data, frame, strict=True) if a != b]
            assert len(turned) == 1 and turned[0].bit_count() == 1
        damage.wrong, damage.lost = 0.0, 1.0
        await wire.near.write(frame)
        assert len(await wire.far.read()) == 99
        await wire.near.write(b"x")  # the only byte is lost: nothing comes, nobody hangs up
        damage.lost = 0.0
        await wire.near.write(frame)
        assert await wire.far.read() == frame

    run(play())


def test_the_same_seed_does_the_same_damage() -> None:
    def damaged(seed: int) -> list[bytes]:
        damage = Damage(0.5, 0.5, seed)
        return [damage.passed(bytes(50)) for _ in range(50)]

    assert damaged(1) == damaged(1) != damaged(2)
