"""How long attempts take, learned from those done: what a job of so many meters may be promised.

Times are kept by how an attempt ended, for a meter that refuses is done at once, and one that does
not answer takes longest. Of each kind of job and each end there is one running mean, so the memory
is bounded. They outlive a restart in a file of a line, `durations.json`: pairs of a kind (plus
_END times the end) and milliseconds.
"""

from __future__ import annotations

import json

from gateway.contract.kinds import BY_NUMBER
from gateway.contract.result import HINDERED, KO
from gateway.contract.window import DAY_S, opening
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.result import Result
    from gateway.contract.window import Windowed
    from hal.ports import Clock, Storage

# How an attempt ended.
ANSWERED = 0  # done, or as far as the meter needs time
REFUSED = 1  # the meter, or the way to it, said no
SILENT = 2  # nobody answered, or not to the end
ASKED = 3  # a look at a meter that needs time
# What the mean of WAITED is of: how long meters needed, from the first look to the last.
WAITED = 4

_ENDS = (ANSWERED, REFUSED, SILENT, ASKED, WAITED)
_SILENT = ("no-answer", "link-lost")
FILE = "durations.json"
_END = 256
_WEIGHT = 8  # a new duration counts one eighth
_MOST_WINDOWS = 1000
# The file is written when a mean is a quarter off what it says, and no sooner than after this.
_WRITE_MS = 600_000
_LONGEST_MS = 1000 * DAY_S


def end_of(result: Result, waited: bool) -> int | None:
    """How an attempt ended; None: it was none. waited: the meter had needed time before."""
    if result.outcome == HINDERED:
        return None
    if result.outcome != KO:
        return ASKED if waited else ANSWERED
    return SILENT if result.reason in _SILENT else REFUSED


class Durations:
    """Without a storage they are forgotten with the power."""

    def __init__(self, clock: Clock, storage: Storage | None = None) -> None:
        self._clock = clock
        self._storage = storage
        self._kept = {} if storage is None else _read(storage)
        # Kind of job and end: from one meter's end to the next one's.
        self._mean_ms: dict[int, int] = dict(self._kept)
        self._whole_ms: dict[int, int] = {}  # as they are, however many at once
        self._write_at = clock.ticks_ms()

    def note(self, kind: int, duration_ms: int, at_once: int, end: int = ANSWERED) -> None:
        """An attempt took so long, while so many were made at once (itself included)."""
        key = kind + _END * end
        duration_ms = min(duration_ms, _LONGEST_MS)
        self._whole_ms[key] = _learned(self._whole_ms.get(key), duration_ms)
        mean = _learned(self._mean_ms.get(key), duration_ms // max(at_once, 1))
        self._mean_ms[key] = mean
        kept = self._kept.get(key)
        if kept is None or 4 * abs(mean - kept) > kept:
            self._write()

    def _write(self) -> None:
        now = self._clock.ticks_ms()
        if self._storage is None or now < self._write_at:
            return
        self._write_at = now + _WRITE_MS
        pairs = [[key, self._mean_ms[key]] for key in sorted(self._mean_ms)]
        try:
            self._storage.replace(FILE, json.dumps(pairs).encode())
        except OSError as error:
            log.warning("queue", "%s cannot be written: %s" % (FILE, error))
            return
        self._kept = dict(self._mean_ms)

    def of(self, kind: int, end: int = ANSWERED) -> int | None:
        """Milliseconds a meter, when many are worked side by side; None while nothing is known."""
        return self._mean_ms.get(kind + _END * end)

    def whole(self, kind: int, end: int) -> int | None:
        """Milliseconds of one attempt."""
        return self._whole_ms.get(kind + _END * end, self.of(kind, end))

    def any(self, kind: int) -> int | None:
        """As of(), of meters of which nothing is known: by those that answer, else by whom there
        was."""
        for end in (ANSWERED, REFUSED, SILENT):
            mean = self.of(kind, end)
            if mean is not None:
                return mean
        return None


def _learned(mean: int | None, value: int) -> int:
    return value if mean is None else mean + (value - mean) // _WEIGHT


def _read(storage: Storage) -> dict[int, int]:
    """What the file says; nothing where it is not as it must be."""
    try:
        raw = storage.read(FILE, 0, 1024)
        means = {}
        for key, mean_ms in json.loads(str(raw, "utf-8")):
            known = type(key) is int and key % _END in BY_NUMBER and key // _END in _ENDS
            if known and type(mean_ms) is int and 0 <= mean_ms <= _LONGEST_MS:
                means[key] = mean_ms
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
