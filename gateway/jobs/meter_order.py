"""Whose turn it is within a job.

What an operator wants: most meters done early, and the rest not forgotten. So

    first   meters that only needed time (WAIT) and have had it, those that we were kept from
            (HINDERED), and those at which a restart interrupted us: little is left to do there, or
            half is done
    then    first tries, the cheapest for the medium first: near ones that lose nothing
    last    what has failed before, in the order of the job

Everybody has a first try before anybody has a second, so a job of n meters makes nobody wait for
more than n others. With the shortest first, half of the meters are done sooner; the last is as late
as in any other order.
"""

from __future__ import annotations

from array import array

from gateway.contract.job import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gateway.jobs.entry import Entry

RENEW_MS = 600000  # what meters cost is looked up again after so long


class _Sorted:
    """The first tries of a job, as they stood at `made_ms`; two bytes a meter."""

    __slots__ = ("at", "entry", "indices", "made_ms")

    def __init__(self, entry: Entry, made_ms: int, indices: list[int]) -> None:
        self.entry = entry  # another one after a fault of the flash: some were given back
        self.made_ms = made_ms
        self.indices = array("H", indices)
        self.at = 0  # all before have had their try


class MeterOrder:
    """`cost(serial)`: what an exchange with the meter is likely to take of the medium."""

    def __init__(self, cost: Callable[[str], int]) -> None:
        self._cost = cost
        self._sorted: dict[int, _Sorted] = {}  # by the job's seq

    def of(self, entry: Entry, waited: Iterable[int], now_ms: int) -> Iterator[int]:
        """Queued executions by index, in the order in which they are to be tried; some may not be
        due yet. `waited`: those that needed time."""
        for index in waited:
            if entry.states[index] == State.QUEUED:
                yield index
        end = entry.first()
        first_tries = self._first_tries(entry, now_ms)
        indices = first_tries.indices
        for at in range(first_tries.at, len(indices)):
            index = indices[at]
            if entry.states[index] != State.QUEUED or _has_failed(entry, index):
                if at == first_tries.at:
                    first_tries.at += 1
            elif index < end:
                yield index
        for index in queued(entry):
            if _has_failed(entry, index):
                yield index

    def keep(self, open_jobs: Iterable[int]) -> None:
        """Forget the order of all other jobs (by seq)."""
        if self._sorted:
            kept = set(open_jobs)
            for seq in [seq for seq in self._sorted if seq not in kept]:
                del self._sorted[seq]

    def _first_tries(self, entry: Entry, now_ms: int) -> _Sorted:
        found = self._sorted.get(entry.seq)
        if found is None or found.entry is not entry or now_ms - found.made_ms >= RENEW_MS:
            serials = entry.job.serials
            ranked = []
            for index in range(len(serials)):
                if entry.states[index] != State.QUEUED or _has_failed(entry, index):
                    continue
                begun = entry.attempts[index] or entry.last[index]
                ranked.append((-1 if begun else self._cost(serials[index]), index))
            ranked.sort()
            found = self._sorted[entry.seq] = _Sorted(entry, now_ms, [index for _, index in ranked])
        return found


def queued(entry: Entry) -> Iterator[int]:
    """Those of the executions that may begin, in the order of the job."""
    end = entry.first()
    index = entry.states.find(b"\x00")
    while 0 <= index < end:
        yield index
        index = entry.states.find(b"\x00", index + 1)


def _has_failed(entry: Entry, index: int) -> bool:
    """At its last attempt; not: it needed time (no attempt counts), or was interrupted (not due at
    any time)."""
    return entry.attempts[index] > 0 and index in entry.due
