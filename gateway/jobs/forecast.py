"""How long a meter takes, learned from those done: what a job of so many meters may be promised.

One running mean for each kind of job, so the memory is bounded. They outlive a restart in a file
of a line, `durations.json`: pairs of kind and milliseconds.
"""

from __future__ import annotations

import json

from gateway.contract.kinds import BY_NUMBER
from gateway.contract.window import DAY_S, opening
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.window import Windowed
    from hal.ports import Clock, Storage

FILE = "durations.json"
_WEIGHT = 8  # a new duration counts one eighth
_MOST_WINDOWS = 1000
# The file is written when a mean is a quarter off what it says, and no sooner than after this.
_WRITE_MS = 600_000
_LONGEST_MS = 1000 * DAY_S


class Durations:
    """Without a storage they are forgotten with the power."""

    def __init__(self, clock: Clock, storage: Storage | None = None) -> None:
        self._clock = clock
        self._storage = storage
        self._kept = {} if storage is None else _read(storage)
        # Kind of job: from one meter's end to the next one's.
        self._mean_ms: dict[int, int] = dict(self._kept)
        self._write_at = clock.ticks_ms()

    def note(self, kind: int, duration_ms: int, at_once: int) -> None:
        """An attempt took so long, while so many were made at once (itself included)."""
        share = min(duration_ms // max(at_once, 1), _LONGEST_MS)
        mean = self._mean_ms.get(kind)
        mean = share if mean is None else mean + (share - mean) // _WEIGHT
        self._mean_ms[kind] = mean
        kept = self._kept.get(kind)
        if kept is None or 4 * abs(mean - kept) > kept:
            self._write()

    def _write(self) -> None:
        now = self._clock.ticks_ms()
        if self._storage is None or now < self._write_at:
            return
        self._write_at = now + _WRITE_MS
        pairs = [[kind, self._mean_ms[kind]] for kind in sorted(self._mean_ms)]
        try:
            self._storage.replace(FILE, json.dumps(pairs).encode())
        except OSError as error:
            log.warning("queue", "%s cannot be written: %s" % (FILE, error))
            return
        self._kept = dict(self._mean_ms)

    def of(self, kind: int) -> int | None:
        """Milliseconds a meter; None while nothing is known."""
        return self._mean_ms.get(kind)


def _read(storage: Storage) -> dict[int, int]:
    """What the file says; nothing where it is not as it must be."""
    try:
        raw = storage.read(FILE, 0, 1024)
        means = {}
        for kind, mean_ms in json.loads(str(raw, "utf-8")):
            known = type(kind) is int and kind in BY_NUMBER
            if known and type(mean_ms) is int and 0 <= mean_ms <= _LONGEST_MS:
                means[kind] = mean_ms
        return means
    except (OSError, ValueError, TypeError, RuntimeError):  # RuntimeError: nested too deep
        return {}


def fits(job: Windowed, now: int, needed_s: int) -> tuple[int, int]:
    """(how many of `needed_s` seconds of work the job's windows have room for, unix time of their
    end).
    """
    left, end = needed_s, now
    for _ in range(_MOST_WINDOWS):
        window = opening(job, end)
        if window is None:
            break
        start, closes = window
        if not closes or closes - start >= left:
            return needed_s, start + left
        left -= closes - start
        end = closes
    return needed_s - left, end


def words(seconds: int) -> str:
    """For people."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return "%d %s" % (seconds // size, unit)
    return "%d s" % seconds
