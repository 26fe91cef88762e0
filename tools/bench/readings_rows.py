"""Rows as meters have them, for `ami-bench readings`: a day of 15 minutes each, time first, our
flags last."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from gateway.dlms.data import axdr
from tools.meter.device import LOAD_PROFILE, build_meter
from tools.meter.profile import ProfileGeneric

PERIOD = 900
ROWS = 96
MIDNIGHT = 1_700_006_400

Row = list[int | None]


class Profile:
    """`tags`: the types of the columns between time and flags. `rows(seed, day)`: those of one
    meter and day."""

    def __init__(self, name: str, tags: list[int], rows: Callable[[int, int], list[Row]]) -> None:
        self.name = name
        self.tags = tags
        self.rows = rows


def profiles() -> list[Profile]:
    u16, u32 = axdr.LONG_UNSIGNED, axdr.DOUBLE_LONG_UNSIGNED
    u8 = axdr.UNSIGNED
    return [
        Profile("virtual meter: energy, voltage", [u32, u16], _virtual),
        Profile("home: 4 registers that count", [u32] * 4, _counting(_home)),
        Profile("home: 4 values of each period, status", [u8] + [u32] * 4, _periods(_home)),
        Profile("solar: 4 registers that count", [u32] * 4, _counting(_solar)),
        Profile("workshop: 4 registers that count", [u32] * 4, _counting(_workshop)),
        Profile("3 voltages, 3 currents", [u16] * 6, _quality),
        Profile("random: 4 registers, steps of 16 bits", [u32] * 4, _counting(_noise(65536))),
        Profile("random: 4 values of 16 bits", [u16] * 4, _periods(_noise(65536), False)),
        Profile("random: 4 values of 32 bits", [u32] * 4, _periods(_noise(1 << 32), False)),
    ]


def _virtual(seed: int, day: int) -> list[Row]:
    """Asked of our own."""
    moment = [MIDNIGHT + day * 86400]
    serial = "AMI%010d" % seed
    meter = build_meter(serial, password=b"bench", source=lambda: float(moment[0]))
    profile = meter.find(7, LOAD_PROFILE)
    assert isinstance(profile, ProfileGeneric)
    for _ in range(ROWS):
        moment[0] += PERIOD
        profile.capture(moment[0])
    return [[time, row[1][1][1], row[1][2][1], 0] for time, row in profile.rows]


Load = Callable[
    [random.Random, int], list[int]
]  # of a period of the day: what each register counts


def _home(chance: random.Random, period: int) -> list[int]:
    """Wh and varh in 15 minutes: a base, a peak in the morning and one in the evening, and now and
    then a heater."""
    hour = period / 4
    watts = 60 + 40 * chance.random()
    watts += 300 * math.exp(-(((hour - 20) / 2.5) ** 2)) * 2 * chance.random()
    watts += 120 * math.exp(-(((hour - 7.5) / 1) ** 2)) * 2 * chance.random()
    if chance.random() < 0.04:
        watts += chance.choice([800, 1500, 2000])
    energy = watts / 4
    return [int(energy), 0, int(energy * 0.3 * chance.random()), int(energy * 0.05)]


def _solar(chance: random.Random, period: int) -> list[int]:
    found = _home(chance, period)
    sun = 900 * math.exp(-(((period / 4 - 13) / 3) ** 2)) * (0.4 + 0.6 * chance.random()) - 30
    net = found[0] - int(max(sun, 0))
    return [max(net, 0), max(-net, 0), found[2], found[3]]


def _workshop(chance: random.Random, period: int) -> list[int]:
    busy = 28 <= period % 96 < 68
    watts = chance.randrange(4000, 26000) if busy else chance.randrange(300, 900)
    return [watts // 4, 0, watts * chance.randrange(10, 60) // 400, chance.randrange(20)]


def _noise(most: int) -> Load:
    return lambda chance, period: [chance.randrange(most) for _ in range(4)]


def _counting(load: Load) -> Callable[[int, int], list[Row]]:
    def rows(seed: int, day: int) -> list[Row]:
        chance = random.Random(seed * 1000 + day)
        totals = [seed * 7919 + day * 9000, seed * 31, seed * 977, day * 500]
        found: list[Row] = []
        for period in range(ROWS):
            totals = [a + b for a, b in zip(totals, load(chance, period), strict=True)]
            found.append([_time(day, period), *totals, 0])
        return found

    return rows


def _periods(load: Load, status: bool = True) -> Callable[[int, int], list[Row]]:
    """With a status word that is seldom another one."""

    def rows(seed: int, day: int) -> list[Row]:
        chance = random.Random(seed * 1000 + day)
        found: list[Row] = []
        for period in range(ROWS):
            word: Row = [8 if chance.random() < 0.02 else 0] if status else []
            found.append([_time(day, period), *word, *load(chance, period), 0])
        return found

    return rows


def _quality(seed: int, day: int) -> list[Row]:
    chance = random.Random(seed * 1000 + day)
    found: list[Row] = []
    level = 2310.0
    for period in range(ROWS):
        level += chance.gauss(0, 6) + (2310 - level) * 0.1
        volts: Row = [int(level + chance.gauss(0, 4)) for _ in range(3)]
        found.append([_time(day, period), *volts, *_home(chance, period)[:3], 0])
    return found


def _time(day: int, period: int) -> int:
    return MIDNIGHT + day * 86400 + PERIOD * (period + 1)
