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

ROUND_US = 10000  # how long one function runs in one round, about

if TYPE_CHECKING or hasattr(time, "perf_counter_ns"):

    def _us() -> int:
        return time.perf_counter_ns() // 1000

else:
    _us = time.ticks_us


class Speed:
    """Operations a second: the median of all rounds, and the quarter of them on either side."""

    def __init__(self, rounds: list[float]) -> None:
        rounds = sorted(rounds)
        count = len(rounds)
        self.low = rounds[count // 4]
        self.median = (rounds[(count - 1) // 2] + rounds[count // 2]) / 2
        self.high = rounds[count - 1 - count // 4]

    def record(self) -> dict[str, float]:
        return {"low": self.low, "median": self.median, "high": self.high}


def measure(functions: list[Callable[[], Any]], rounds: int) -> list[Speed]:
    """The speed of each function, in `rounds` rounds in which each has its turn."""
    times = [_calls_a_round(function) for function in functions]
    found: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds):
        for at in range(len(functions)):
            gc.collect()
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
