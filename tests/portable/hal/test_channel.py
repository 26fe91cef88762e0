"""The simulated channel: seeded, bounded by its figures, the same numbers on every runtime."""

from __future__ import annotations

from hal.sim.channel import Bursts, Channel, Evening, Rng
from tests.portable.support import raises


def share_delivered(channel: Channel, node: str, frames: int, step_ms: int = 100) -> float:
    delivered = 0
    for index in range(frames):
        delivered += channel.delivered(node, index * step_ms)
    return delivered / frames


def test_rng_is_the_same_everywhere() -> None:
    rng = Rng(1, "0080e1000001")
    assert [rng.below(1000) for _ in range(6)] == EXPECTED
    other = Rng(2, "0080e1000001")
    assert [other.below(1000) for _ in range(6)] != EXPECTED


EXPECTED = [125, 344, 287, 876, 283, 14]


def test_clean_channel_loses_nothing() -> None:
    assert share_delivered(Channel(), "a", 500) == 1.0


def test_loss_is_near_its_figure_and_adds_up_over_hops() -> None:
    assert 0.77 < share_delivered(Channel(loss=0.2), "a", 3000) < 0.83
    two = Channel(loss=0.2, hops=(0, 100))
    assert two.hops("a") == 2
    assert 0.60 < share_delivered(two, "a", 3000) < 0.68


def test_one_hop_of_several_has_its_own_fate() -> None:
    two = Channel(loss=0.2, hops=(0, 100))
    over = sum([two.over_a_hop("a", time) for time in range(3000)])
    assert 0.77 < over / 3000 < 0.83
    assert two.airtime_ms("a", 70) == 2 * two.hop_ms(70)


def test_same_seed_same_fate_whatever_the_others_do() -> None:
    one, two = Channel(seed=5, loss=0.3), Channel(seed=5, loss=0.3)
    fate_one, fate_two = [], []
    for time in range(200):
        fate_one.append(one.delivered("a", time))
        two.delivered("b", time)
        fate_two.append(two.delivered("a", time))
    assert fate_one == fate_two


def test_airtime_follows_rate_size_and_hops() -> None:
    channel = Channel(bit_rate=8000, overhead=20, latency_ms=5)
    assert channel.airtime_ms("a", 80) == 105
    assert Channel(bit_rate=8000, overhead=20, hops=(0, 0, 100)).airtime_ms("a", 80) == 315


def test_hops_follow_their_shares() -> None:
    channel = Channel(seed=9, hops=(50, 30, 20))
    counts = [0, 0, 0, 0]
    for index in range(1000):
        counts[channel.hops("node %d" % index)] += 1
    assert counts[0] == 0
    assert 450 < counts[1] < 550 and 250 < counts[2] < 350 and 150 < counts[3] < 250


def test_bursts_come_and_go() -> None:
    bursts = Bursts(good_loss=0.0, bad_loss=1.0, good_ms=(1000, 2000), bad_ms=(500, 1000))
    channel = Channel(seed=3, bursts=bursts)
    fates = [channel.delivered("a", time) for time in range(0, 60000, 50)]
    turns = 0
    for index in range(1, len(fates)):
        turns += fates[index] != fates[index - 1]
    assert 40 < turns < 100  # about 27 spells of each kind
    assert fates[0]
    assert 0.5 < sum(fates) / len(fates) < 0.8


def test_a_node_is_good_when_first_looked_at() -> None:
    bursts = Bursts(good_loss=0.0, bad_loss=1.0, good_ms=(10, 20), bad_ms=(10000, 20000))
    late = 86400000
    for seed in range(20):
        channel = Channel(seed=seed, bursts=bursts)
        assert channel.delivered("a", late) and channel.delivered("a", late + 9)
        assert not channel.delivered("a", late + 20) and not channel.delivered("a", late + 10009)


def test_bad_times_and_good_ones_know_evening_and_noise() -> None:
    noon, evening = 12 * 3600000, 19 * 3600000
    for good_ms, bad_ms, loss in (
        ((1 << 30, 1 << 30), (1, 1), 0.1),  # good for days
        ((1, 1), (1 << 30, 1 << 30), 0.2),
    ):
        bursts = Bursts(0.1, 0.2, good_ms, bad_ms)
        for begins, noise, expected in (
            (noon, 0.0, 1 - loss),
            (evening, 0.0, 1 - 3 * loss),
            (noon, 0.5, (1 - loss) / 2),
            (evening, 0.5, (1 - 3 * loss) / 2),
        ):
            channel = Channel(bursts=bursts, evening=Evening())
            channel.make_noise(noise, begins + 10000)
            channel.delivered("a", begins)
            times = range(begins + 1, begins + 3001)
            share = sum([channel.delivered("a", time) for time in times]) / 3000
            assert expected - 0.03 < share < expected + 0.03, (loss, begins, noise, share)


def test_a_long_jump_in_time_is_taken() -> None:
    channel = Channel(seed=3, bursts=Bursts())
    channel.delivered("a", 0)
    channel.delivered("a", 30 * 86400 * 1000)


def test_figures_that_nobody_gave() -> None:
    assert Channel().hop_ms(1 << 20) == 8 * ((1 << 20) + 30) * 1000 // 21400 + 5
    assert Channel(bit_rate=1000).hop_ms(0) == 245 and Channel().hops("a") == 1
    assert Channel(1, 0.1, 1, 0, 0).hop_ms(1) == 8000
    bursts, evening = Bursts(), Evening()
    assert (bursts.good_loss, bursts.good_ms) == (0.02, (60000, 600000))
    assert (bursts.bad_loss, bursts.bad_ms) == (0.4, (5000, 60000))
    figures = (evening.begins, evening.ends, evening.factor, evening.midnight_ms)
    assert figures == (1080, 1380, 3.0, 0)


def test_evening_at_its_bounds() -> None:
    minute = 60000
    for evening, inside, outside in (
        (Evening(60, 120), (60 * minute, 120 * minute - 1), (60 * minute - 1, 120 * minute)),
        (Evening(120, 60), (120 * minute, 60 * minute - 1), (120 * minute - 1, 60 * minute)),
        (Evening(60, 60), (), (0, 60 * minute, 61 * minute)),
    ):
        assert [evening.now(time) for time in inside] == [True] * len(inside)
        assert [evening.now(time) for time in outside] == [False] * len(outside)
        assert [evening.now(time + 86400000) for time in inside] == [True] * len(inside)


def test_each_hop_of_a_named_route_may_lose() -> None:
    channel = Channel(loss=0.2)
    share = sum([channel.delivered("a", time, ["b"]) for time in range(3000)]) / 3000
    assert 0.60 < share < 0.68


def test_figures_are_checked() -> None:
    raises(ValueError, Channel, 1, 0.0, 100, 0, 0, (0,) * 16 + (100,))
    assert Channel(1, 1.0, 100, 0, 0, (0,) * 15 + (100,)).hops("a") == 16
    raises(ValueError, Channel, 1, 1.5)
    raises(ValueError, Channel, 1, 0.1, 0)
    raises(ValueError, Channel, 1, 0.1, 100, 0, 0, (50, 30))


def test_a_broadcast_reaches_each_node_by_its_own_loss() -> None:
    nodes = ["node %d" % index for index in range(600)]
    channel = Channel(seed=5, loss=0.2, hops=(50, 50), bit_rate=8000, overhead=20)
    assert channel.broadcast_ms(nodes, 80) == 210
    assert channel.broadcast_ms([node for node in nodes if channel.hops(node) == 1], 80) == 105
    heard = channel.heard(nodes, 0)
    for hops, low, high in ((1, 0.7, 0.9), (2, 0.5, 0.75)):
        level = [node for node in nodes if channel.hops(node) == hops]
        share = len([node for node in level if node in heard]) / len(level)
        assert low < share < high
    assert Channel(seed=5, loss=0.2, hops=(50, 50)).heard(nodes, 0) == heard
    assert channel.heard([], 0) == [] and channel.broadcast_ms([], 80) == 105


def test_evenings_lose_three_times_as_much() -> None:
    evening = Evening(18 * 60, 23 * 60, 3.0, 1000)
    assert not evening.now(1000) and evening.now(1000 + 18 * 3600000)
    night = Evening(22 * 60, 5 * 60)
    assert night.now(0) and night.now(23 * 3600000) and not night.now(12 * 3600000)
    channel = Channel(loss=0.1, evening=evening)
    assert 0.88 < share_delivered(channel, "a", 3000, 10) < 0.92
    lost = 0
    for index in range(3000):
        lost += not channel.delivered("a", 1000 + 19 * 3600000 + index)
    assert 0.27 < lost / 3000 < 0.33


def test_noise_is_a_spell() -> None:
    channel = Channel()
    channel.make_noise(0.5, 1000)
    assert 0.4 < share_delivered(channel, "a", 999, 1) < 0.6
    assert channel.delivered("a", 1000) and channel.delivered("a", 5000)


def test_a_named_route_reaches_one_level_further_with_each_repeater() -> None:
    channel = Channel(seed=4, hops=(40, 30, 30), bit_rate=8000, overhead=20)
    level = {}
    for index in range(100):
        level[channel.hops("n%d" % index)] = "n%d" % index
    one, two, three = level[1], level[2], level[3]
    assert channel.delivered(one, 0, []) and not channel.delivered(two, 0, [])
    assert channel.delivered(two, 0, [one]) and not channel.delivered(three, 0, [one])
    assert channel.delivered(three, 0, [one, two]) and channel.delivered(one, 0, [one, two])
    assert not channel.delivered(three, 0, [two, one])
    assert channel.airtime_ms(three, 80, [one, two]) == 315
    assert channel.airtime_ms(three, 80, []) == 105
