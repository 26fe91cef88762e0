"""The board's clock, with the last known time kept on the flash for boards that have no battery.

The floor is a date that has certainly passed. It only rises, and only by dates that the HES or a
technician has confirmed in this run: a board's own clock that has lost its mind does not move it.
A date below it is none: the clock counts as unset. Only a time signed by a key for orders lowers
it, which is the way out of a floor that a mistake has put into the future.

It stays MARGIN_S behind what is confirmed, so that no correction that plain times may make goes
below it, and is written when it can rise by EVERY_S: four times a day at most, to two files in
turn. A block of NOR flash bears 100,000 erasures; always in the same place, they would last for
more than a hundred years. What that costs: after a power cut a certificate that ended in the last
eight hours may still count, until the clock is set.

    time.0, time.1 = seconds since 1970 UTC (4), CRC-32 of "time" and them (4)         big-endian
"""

from __future__ import annotations

import binascii

from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from hal.ports import Clock, Storage

MARGIN_S = 7200  # plain times move the clock by an hour a day: two hours at the turn of a day
EVERY_S = 21_600
LAST = 0xFFFFFFFF
_FILES = ("time.0", "time.1")
_WHERE = "clock"


class KeptClock:
    """A Clock (hal.ports) on that of the board. The storage's faults are told in the log.

    `floor`: seconds since 1970 UTC; 0: nothing is known. `doubtful_time()` is a date that nobody
    has vouched for, such as that of an NTP server: for people, and for no decision.
    """

    def __init__(self, clock: Clock, storage: Storage) -> None:
        self._clock = clock
        self._storage = storage
        # Bound here: most calls are for these, and cost no more than before.
        self.ticks_ms: Callable[[], int] = clock.ticks_ms
        self.sleep_ms: Callable[[int], Coroutine[Any, Any, None]] = clock.sleep_ms
        self.wait_for_ms: Any = clock.wait_for_ms
        kept = [_kept(storage, name) for name in _FILES]
        self.floor = max(kept)
        self._next = _FILES[0] if kept[0] <= kept[1] else _FILES[1]
        self._confirmed = False
        self._doubtful = 0  # and the ticks of then
        self._doubtful_at = 0
        here = clock.unix_time()
        if 0 < here < self.floor:
            log.warning(
                _WHERE,
                "the board's clock says %d, but %d has passed already: it counts as unset"
                % (here, self.floor),
            )

    def unix_time(self) -> int:
        """0 while nobody has set it who may."""
        date = self._clock.unix_time()
        return date if date >= self.floor else 0

    def set_unix_time(self, seconds: int) -> None:
        """ValueError below the floor."""
        if seconds < self.floor:
            raise ValueError("%d is below the floor, %d" % (seconds, self.floor))
        self._doubtful = 0
        self._clock.set_unix_time(seconds)

    def bounds(self) -> tuple[int, int]:
        """Now is not before the first and not after the second: by these, certificates are
        judged."""
        now = self.unix_time()
        return (now, now) if now else (self.floor, LAST)

    def guess(self, seconds: int) -> None:
        """A date that nobody vouches for; nothing below the floor."""
        if seconds >= self.floor:
            self._doubtful, self._doubtful_at = seconds, self.ticks_ms()

    def doubtful_time(self) -> int:
        """unix_time(), or while it is unset the guess; 0 where there is none."""
        now = self.unix_time()
        if now or not self._doubtful:
            return now
        return self._doubtful + (self.ticks_ms() - self._doubtful_at) // 1000

    def confirm(self) -> None:
        """Somebody who may set the clock says that it is right: from now on the floor goes with
        it."""
        self._confirmed = True
        self.keep()

    def keep(self) -> None:
        """Write the floor, if that is due. Never raises."""
        if not self._confirmed:
            return
        wanted = self._clock.unix_time() - MARGIN_S
        if wanted - self.floor >= EVERY_S:
            self._write(wanted)

    def lower(self, seconds: int) -> None:
        """Below the floor by an order that may do so. Never raises."""
        wanted = max(seconds - MARGIN_S, 0)
        if wanted < self.floor:
            log.warning(_WHERE, "the floor goes back from %d to %d" % (self.floor, wanted))
            for _ in _FILES:
                self._write(wanted)

    def _write(self, seconds: int) -> None:
        self.floor = seconds
        octets = seconds.to_bytes(4, "big")
        try:
            self._storage.replace(self._next, octets + _checksum(octets))
        except OSError as error:
            log.error(_WHERE, "storage: the last known time is not kept: %s" % error)
            return
        self._next = _FILES[1] if self._next == _FILES[0] else _FILES[0]


def _kept(storage: Storage, name: str) -> int:
    """0: absent, damaged, or it cannot be read."""
    try:
        raw = storage.read(name) if storage.size(name) >= 0 else b""
    except OSError as error:
        log.error(_WHERE, "storage: %s: %s" % (name, error))
        return 0
    if len(raw) != 8 or _checksum(raw[:4]) != raw[4:]:
        return 0
    return int.from_bytes(raw[:4], "big")


def _checksum(octets: bytes) -> bytes:
    # Without the word, erased flash would be a whole record: the CRC of FFFFFFFF is itself.
    return (binascii.crc32(b"time" + octets) & LAST).to_bytes(4, "big")
