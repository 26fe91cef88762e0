"""The chip's clock is lent our date for a handshake, and nobody takes it for the time meanwhile."""

from __future__ import annotations

import sys

from tests.portable.support import run  # noqa: F401 - the path of modules is set there

NOW = 1_800_000_000
LAST = 0xFFFFFFFF
MICROPYTHON = sys.implementation.name == "micropython"  # there is none elsewhere

if MICROPYTHON:
    from hal.micropython import rtc
    from hal.micropython.clock import SystemClock


class Chip:
    """machine.RTC, and the date of the runtime that comes from it."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self.puts: list[int] = []

    def put(self, seconds: int) -> bool:
        self.puts.append(seconds)
        self.seconds = seconds
        return True

    def __enter__(self) -> Chip:
        self._kept = rtc.put, rtc.date
        rtc.put = self.put
        rtc.date = lambda: self.seconds
        return self

    def __exit__(self, *_: object) -> None:
        rtc.put, rtc.date = self._kept


def test_a_chip_that_has_lost_its_date_is_lent_one_and_gets_its_own_back() -> None:
    if not MICROPYTHON:
        return
    with Chip(5000) as chip:
        clock = SystemClock()
        lent = rtc.Lent((NOW, LAST))
        lent.begin(NOW)
        assert chip.seconds == NOW and clock.unix_time() == 0
        lent.end()
        assert 5000 <= chip.seconds <= 5060 and clock.unix_time() == 0
        lent.end()
        assert len(chip.puts) == 2


def test_a_chip_that_is_right_is_left_alone() -> None:
    if not MICROPYTHON:
        return
    for bounds in ((NOW, NOW), (NOW - 1000, LAST), (0, LAST)):
        with Chip(NOW) as chip:
            lent = rtc.Lent(bounds)
            lent.begin(bounds[0])
            lent.end()
            assert chip.puts == [], bounds


def test_a_later_date_may_be_asked_for() -> None:
    if not MICROPYTHON:
        return
    with Chip(5000) as chip:
        lent = rtc.Lent((0, LAST))
        lent.begin(0)
        assert chip.puts == []
        lent.begin(NOW)  # the day from which a chain is valid
        assert chip.seconds == NOW
        lent.end()
        assert chip.seconds < NOW


def test_the_clock_sets_the_chip() -> None:
    if not MICROPYTHON:
        return
    with Chip(5000) as chip:
        clock = SystemClock()
        clock.set_unix_time(NOW)
        assert chip.seconds == NOW and NOW <= clock.unix_time() <= NOW + 60
        assert SystemClock().unix_time() == NOW  # what a restart without loss of power finds
