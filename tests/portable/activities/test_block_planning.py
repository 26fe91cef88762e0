"""Blind rounds, repair and bitmaps of a transfer to many meters."""

from gateway.activities.image import block_planning
from hal.sim.channel import Rng
from tests.portable.support import raises

COSTS = block_planning.Costs(300.0, 170.0, 120.0)


def _airtime(rounds: int, losses: list[float], blocks: int, meters: int) -> float:
    """What a transfer with so many blind rounds takes, drawn meter by meter and block by block."""
    rng = Rng(rounds)
    total = rounds * blocks * COSTS.broadcast
    for meter in range(meters):
        loss = losses[meter % len(losses)]
        lacking = 0
        for _ in range(blocks):
            if all(rng.chance(loss) for _ in range(rounds)):
                lacking += 1
        for _ in range(lacking):
            total += COSTS.unicast
            while rng.chance(loss):
                total += COSTS.unicast
        if lacking:
            total += block_planning.STRAGGLER * COSTS.exchange
    return total


def test_blind_rounds_are_the_cheapest() -> None:
    for loss in (0.02, 0.1, 0.3):
        losses = [loss, 2 * loss]
        chosen = block_planning.blind_rounds(losses, 40, 60, COSTS)
        drawn = [_airtime(rounds, losses, 40, 60) for rounds in range(1, 12)]
        assert drawn[chosen - 1] <= 1.05 * min(drawn), (loss, chosen, drawn)


def test_blind_rounds_at_the_ends() -> None:
    assert block_planning.blind_rounds([], 100, 100, COSTS) == 1
    assert block_planning.blind_rounds([0.0, 0.0], 100, 100, COSTS) == 1
    assert block_planning.blind_rounds([1.0], 100, 100, COSTS) == 1  # broadcasting does not help
    assert block_planning.blind_rounds([0.02], 656, 1, COSTS) == 1  # nor for a single meter
    many = block_planning.blind_rounds([0.9] * 4, 656, 100000, COSTS)
    assert many == block_planning.MOST_ROUNDS


def test_one_bad_meter_does_not_hold_the_others() -> None:
    losses = [0.02] * 15 + [0.98]
    assert block_planning.blind_rounds(losses, 656, 16, COSTS) <= 3


def test_control_rounds_grow_with_loss_and_with_what_a_miss_costs() -> None:
    few = block_planning.control_rounds([0.02] * 8, 1000, COSTS, 200.0)
    more = block_planning.control_rounds([0.2] * 8, 1000, COSTS, 200.0)
    most = block_planning.control_rounds([0.2] * 8, 1000, COSTS, 100000.0)
    assert 1 <= few < more < most <= block_planning.MOST_ROUNDS
    assert block_planning.control_rounds([], 1000, COSTS, 200.0) == 1
    assert (
        block_planning.control_rounds([1.0], 1000, COSTS, 200.0) == 1
    )  # a deaf meter never hears it


def test_bitmap() -> None:
    bitmap = block_planning.Bitmap(11)
    assert bitmap.held() == 0 and bitmap.lacking() == list(range(11))
    bitmap.add(0)
    bitmap.add(10)
    assert bitmap.has(0) and bitmap.has(10) and not bitmap.has(9)
    assert bitmap.held() == 2 and bitmap.lacking() == list(range(1, 10))
    for block in range(11):
        bitmap.add(block)
    assert bitmap.complete() and bitmap.lacking() == []


def test_bitmap_of_a_meter() -> None:
    bitmap = block_planning.Bitmap(11, bytes([0b10100000, 0b01011111]))  # padding set
    assert bitmap.held() == 3 and bitmap.has(2) and bitmap.has(9) and not bitmap.has(10)
    assert block_planning.Bitmap(16, b"\xff\xff").complete()
    for wrong in (b"", b"\x00", bytes(3)):
        raises(ValueError, block_planning.Bitmap, 11, wrong)


def test_broadcast_repairs_what_many_lack() -> None:
    lacking = [[3, 7], [3], [3, 9], []]
    chosen = block_planning.worth_broadcasting(lacking, [0.02, 0.02, 0.02, 0.02], COSTS)
    assert chosen == [3]
    assert (
        block_planning.worth_broadcasting([[1], [1]], [1.0, 1.0], COSTS) == []
    )  # the deaf do not count
    assert block_planning.worth_broadcasting([], [], COSTS) == []


def test_sentinels_are_spread() -> None:
    assert block_planning.sentinels(5, 16) == [0, 1, 2, 3, 4]
    chosen = block_planning.sentinels(1000, 16)
    assert len(set(chosen)) == 16 and chosen[0] == 0 and 930 < chosen[-1] < 1000
