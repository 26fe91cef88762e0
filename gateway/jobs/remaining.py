"""What is left of a job that runs: how much work, and how long its slowest meters will take.

Two things decide when a job ends. There is the work: so many attempts yet, each of about the length
that attempts with its end have had (forecast.py). And there are the meters that cannot be hurried:
who did not answer is tried again after a pause, each pause longer than the one before; who needs
time is waited for; who is hindered waits until that is over. The later of the two is the end.

How many of the meters will not answer is judged by the job's own first tries and, while they are
few, by what it was in earlier jobs; those that did not answer when they were last tried, by how
many of such did at the next try.
"""

from __future__ import annotations

from gateway.contract.job import State
from gateway.contract.result import HINDRANCES
from gateway.jobs.forecast import ANSWERED, ASKED, REFUSED, SILENT, WAITED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.jobs.entry import Entry
    from gateway.jobs.forecast import Durations

WAITING = ("image-verifying", "image-activating")
FOR_PEOPLE = "unknown-model"  # when they will send it, nobody can say
OURS = HINDRANCES + ("modem-gone", "interrupted")
LOOKED_AT = 256  # meters of one job, for what stands in their way now; the others are like them
_PRIOR = 4  # first tries of the job that count as much as all jobs before
_MOST = 64  # tries after which what was long ago counts half
_LEAST_MS = 30_000  # of a wait that has lasted longer than was to be expected


class Standing:
    """How it stands with one meter. `reason`, `wait_ms`: what of ours is in its way, "" nothing,
    and when that is likely to be over, 0: not known. `silent`: it did not answer when it was last
    tried. `radio_ms(meters)`: how long until the radio budget has room for the last of so many such
    meters; None: there is no limit."""

    __slots__ = ("radio_ms", "reason", "silent", "wait_ms")

    def __init__(
        self,
        reason: str,
        wait_ms: int,
        silent: bool,
        radio_ms: Callable[[int], int] | None = None,
    ) -> None:
        self.reason = reason
        self.wait_ms = wait_ms
        self.silent = silent
        self.radio_ms = radio_ms


class Shares:
    """How tries ended: `first` ones by their end, and those `again` of meters that had been
    silent."""

    def __init__(self) -> None:
        self.first = [0, 0, 0]  # ANSWERED, REFUSED, SILENT
        self.again = [1, 2]  # answered, and silent as before; a silent meter likely stays so

    def note(self, end: int, again: bool) -> None:
        counts = self.again if again else self.first
        counts[int(end == SILENT) if again else end] += 1
        if sum(counts) > _MOST:
            for place in range(len(counts)):
                counts[place] //= 2

    def stays_silent(self) -> float:
        return self.again[1] / max(sum(self.again), 1)

    def of_first(self, before: Shares) -> list[float]:
        """Shares of the ends; `before`: of the jobs before."""
        known = sum(before.first)
        weight = min(known, _PRIOR)
        tried = sum(self.first) + weight
        if not tried:
            return [1.0, 0.0, 0.0]
        return [
            (self.first[end] + (weight * before.first[end] / known if known else 0)) / tried
            for end in (ANSWERED, REFUSED, SILENT)
        ]


class Left:
    """`work_ms`: of all workers together. `end_ms`: from now, of the slowest meter, beside the work
    of other jobs; None: cannot be judged. `for_people`: it ends when people have done something,
    and others do not wait for that. `waiting`: {reason: [meters, until in ms from now]} of those
    that wait."""

    def __init__(self) -> None:
        self.work_ms = 0
        self.end_ms: int | None = 0
        self.for_people = False
        self.waiting: dict[str, list[int]] = {}

    def at_least(self, end_ms: int) -> None:
        if self.end_ms is not None:
            self.end_ms = max(self.end_ms, end_ms)

    def waits(self, reason: str, meters: int, until_ms: int) -> None:
        known = self.waiting.setdefault(reason, [0, 0])
        known[0] += meters
        known[1] = max(known[1], until_ms)


class Outlook:
    """What is left of one job. `backoff_ms(tries)`: the pause after so many tries. `since(index)`:
    for how long (ms) a meter that needs time has been waited for. `standing(serial)`: as it is now.
    """

    def __init__(
        self,
        entry: Entry,
        durations: Durations,
        shares: tuple[Shares, Shares],
        reason_of: Callable[[Entry, int], str],
        standing: Callable[[str], Standing],
        backoff_ms: Callable[[int], int],
        since: Callable[[int], int],
        now_ms: int,
    ) -> None:
        self._entry = entry
        self._kind = entry.job.kind
        self._durations = durations
        self._own, self._before = shares
        self._reason_of = reason_of
        self._standing = standing
        self._backoff_ms = backoff_ms
        self._since = since
        self._now_ms = now_ms
        self._left = Left()
        self._stays_silent = self._before.stays_silent()

    def left(self) -> Left:
        left, entry = self._left, self._entry
        unknown = self._durations.any(self._kind)
        fresh: list[int] = []
        silent: dict[int, list[int]] = {}  # tries so far: [meters, when the last is due]
        for index in range(len(entry.states)):
            if entry.states[index] == State.IN_PROGRESS:
                if self._since(index):
                    self._needs_time(index, 0)
                else:
                    left.work_ms += (unknown or 0) // 2
            elif entry.states[index] == State.QUEUED:
                self._queued(index, fresh, silent)
        self._first_tries(fresh)
        for tries, (meters, due_ms) in silent.items():
            self._tried_again(meters, tries, due_ms)
        if unknown is None and entry.open():
            left.end_ms = None
        left.at_least(left.work_ms)
        return left

    def _queued(self, index: int, fresh: list[int], silent: dict[int, list[int]]) -> None:
        entry, left = self._entry, self._left
        due_ms = entry.due.get(index)
        reason = "" if due_ms is None else self._reason_of(entry, index)
        wait_ms = 0 if due_ms is None else max(due_ms - self._now_ms, 0)
        if reason in WAITING:
            left.waits(reason, 1, 0)
            self._needs_time(index, wait_ms)
        elif reason == FOR_PEOPLE:
            left.waits(reason, 1, 0)
            left.for_people = True
        elif not entry.tries(index):
            if wait_ms:
                left.waits(reason, 1, wait_ms if reason in OURS else 0)
            left.at_least(wait_ms)
            fresh.append(index)
        else:
            left.waits(reason, 1, wait_ms if reason in OURS else 0)
            group = silent.setdefault(entry.tries(index), [0, 0])
            group[0] += 1
            group[1] = max(group[1], wait_ms)

    def _needs_time(self, index: int, wait_ms: int) -> None:
        """What others have taken to verify or to start an image is what it will take too. While
        none has, nobody can say."""
        left, durations = self._left, self._durations
        left.work_ms += durations.of(self._kind, ASKED) or 0
        usual_ms = durations.whole(self._kind, WAITED)
        if usual_ms is None:
            left.end_ms = None
            return
        waited_ms = self._since(index)
        left.at_least(max(usual_ms - waited_ms, waited_ms // 4, wait_ms, _LEAST_MS))

    # ------------------------------------------------------------ what was not tried yet

    def _first_tries(self, fresh: list[int]) -> None:
        left = self._left
        looked, silent, on_radio = 0, 0, 0
        radio_ms: Callable[[int], int] | None = None
        found: dict[str, list[int]] = {}
        for index in fresh[:LOOKED_AT]:
            one = self._standing(self._entry.job.serials[index])
            looked += 1
            silent += one.silent
            if one.radio_ms is not None:
                radio_ms, on_radio = one.radio_ms, on_radio + 1
            if one.reason == "no-slot" and self._entry.count(State.IN_PROGRESS):
                continue  # those before it have their turn
            if one.reason and not self._entry.due.get(index):
                known = found.setdefault(one.reason, [0, 0])
                known[0] += 1
                known[1] = max(known[1], one.wait_ms)
        if not looked:
            return
        begins_ms = 0
        for reason, (meters, wait_ms) in found.items():
            left.waits(reason, meters * len(fresh) // looked, wait_ms)
            begins_ms = max(begins_ms, wait_ms)
        if radio_ms is not None:
            begins_ms = max(begins_ms, radio_ms(on_radio * len(fresh) // looked))
        self._tried_first(len(fresh) * silent / looked, len(fresh), begins_ms)

    def _tried_first(self, known_silent: float, meters: int, begins_ms: int) -> None:
        """So many meters, of whom some did not answer the last time; the last of them cannot begin
        before `begins_ms`."""
        left, others = self._left, meters - known_silent
        shares = self._own.of_first(self._before)
        lengths = [self._of(end) for end in (ANSWERED, REFUSED, SILENT)]
        work_ms = others * sum([shares[end] * lengths[end] for end in range(3)])
        stays = self._stays_silent
        work_ms += known_silent * (stays * lengths[SILENT] + (1 - stays) * lengths[ANSWERED])
        left.work_ms += int(work_ms)
        if begins_ms:
            left.at_least(begins_ms + self._whole(ANSWERED))
        silent = others * shares[SILENT] + known_silent * stays
        tried_ms = max(begins_ms, left.work_ms) + self._whole(SILENT)
        self._tried_again(silent, 1, tried_ms + self._backoff_ms(1))
        waits_ms = self._durations.whole(self._kind, WAITED)
        if waits_ms is not None and meters > silent:
            left.at_least(max(begins_ms, left.work_ms) + waits_ms)

    def _tried_again(self, meters: float, tries: int, due_ms: int) -> None:
        """So many meters that have been silent in so many tries; the last is due in `due_ms`."""
        left, attempt_ms, share_ms = self._left, self._whole(SILENT), self._of(SILENT)
        end_ms = due_ms
        for number in range(tries, self._entry.job.max_attempts):
            if meters < 0.5:
                return
            if number > tries:
                end_ms += self._backoff_ms(number)
            end_ms += attempt_ms
            left.work_ms += int(meters * share_ms)
            left.at_least(end_ms)
            meters *= self._stays_silent

    def _of(self, end: int) -> int:
        mean = self._durations.of(self._kind, end)
        return (self._durations.any(self._kind) or 0) if mean is None else mean

    def _whole(self, end: int) -> int:
        mean = self._durations.whole(self._kind, end)
        return self._of(end) if mean is None else mean
