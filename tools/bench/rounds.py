"""Time functions against each other: in turns, so that what else the machine does meets all alike.
Runs on CPython and MicroPython.
"""

from __future__ import annotations

import gc
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# How long one function runs in one round, about: shorter than what a scheduler gives at a time, so
# that most rounds are whole.
ROUND_US = 1000

if TYPE_CHECKING or hasattr(time, "process_time_ns"):

    def _us() -> int:
        """Of this process alone: what others run on the machine meanwhile does not count."""
        return time.process_time_ns() // 1000

else:
    _us = time.ticks_us


class Speed:
    """Operations a second: all rounds in their order, the median, and what a quarter of the rounds
    is below and above."""

    def __init__(self, rounds: list[float]) -> None:
        self.rounds = rounds
        self.median = median(rounds)
        ordered = sorted(rounds)
        self.low = ordered[len(rounds) // 4]
        self.high = ordered[-1 - len(rounds) // 4]

    def record(self) -> dict[str, float]:
        return {"low": self.low, "median": self.median, "high": self.high}


def median(numbers: list[float]) -> float:
    ordered = sorted(numbers)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def ratio(ours: Speed, others: list[Speed]) -> float:
    """How many times the best of the others: the median of what it is in each round, where what
    else the machine does has slowed all of them alike."""
    best = [max([other.rounds[at] for other in others]) for at in range(len(ours.rounds))]
    return median([ours.rounds[at] / best[at] for at in range(len(best))])


def measure(functions: list[Callable[[], Any]], rounds: int) -> list[Speed]:
    """The speed of each function, in `rounds` rounds in which each has its turn."""
    times = [_calls_a_round(function) for function in functions]
    found: list[list[float]] = [[] for _ in functions]
    gc.collect()
    for _ in range(rounds):
        for at in range(len(functions)):
            took = _time(functions[at], times[at])
            found[at].append(times[at] * 1000000 / took)
    return [Speed(speeds) for speeds in found]


def _calls_a_round(function: Callable[[], Any]) -> int:
    calls = 1
    while True:
        took = _time(function, calls)
        if took >= ROUND_US // 4:
            return max(1, calls * ROUND_US // took)
        calls *= 4


def _time(function: Callable[[], Any], calls: int) -> int:
    """Microseconds, at least 1."""
    begin = _us()
    for _ in range(calls):
        function()
    return max(1, _us() - begin)
