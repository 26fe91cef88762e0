"""What becomes of an execution that has been tried, and of those that wait when their job ends."""

from __future__ import annotations

from gateway.contract.job import State
from gateway.contract.result import HINDERED, HINDERED_BY, KO, WAIT, Result
from gateway.contract.window import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.contract.job import Job
    from gateway.jobs.entry import Entry
    from gateway.jobs.ledger import Ledger
    from gateway.jobs.queue import Execution
    from gateway.jobs.remaining import Standing
    from hal.ports import Clock

MAX_BACKOFF_S = 3600
# An execution that something of ours hinders waits until that is over, and at least so long in
# seconds, doubled with each time in a row: (first, most). Where it is known when that will be;
# where it is seen when it is over, before an attempt begins; and where neither holds.
KNOWN_S = (1, 60)
SEEN_S = (5, 60)
UNKNOWN_S = (30, 3600)
LONGEST_S = 3600  # a radio budget is whole again after an hour, whatever a modem says
_DOUBLINGS = 12
_SEEN = ("modem-gone", "modem-busy", "no-slot", "network-forming")
_JITTER_PERCENT = 25
# A meter that needs time (WAIT) is asked again for so long before that is a failure too.
WAIT_LIMIT_MS = 7200000
_LIMITED = ("image-verifying", "image-activating")
# How a meter may look that is at one of these, and has no time to answer or starts anew: no failure
# of its own. It is asked again after so many seconds.
_NO_TIME = ("no-answer", "link-lost", "meter-busy", "association-lost")
_NO_TIME_S = 60

# Reasons that leave the meter as it was, because the order does not fit it.
_REJECTING = (
    "wrong-meter",
    "wrong-model",
    "wrong-firmware",
    "unknown-meter",
    "not-commissioned",
)


class Outcomes:
    """`random(n)` gives n random bytes, for the jitter of the waits between attempts.
    `standing(job, serial)`: how it stands with the meter now."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        random: Callable[[int], bytes],
        max_backoff_s: int,
        standing: Callable[[Job, str], Standing],
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._random = random
        self._max_backoff_ms = max_backoff_s * 1000
        self._standing = standing
        # (seq, index): since when (ticks), for what, and how long it may
        self._waits: dict[tuple[int, int], tuple[int, str, int]] = {}
        self._hindered: dict[tuple[int, int], int] = {}  # (seq, index): how often in a row

    def waited(self, entry: Entry) -> list[int]:
        """Those, by index, that needed time when they were tried, or that we were kept from."""
        held = list(self._waits) + list(self._hindered)
        return [index for seq, index in held if seq == entry.seq]

    def keep(self, open_jobs: list[int]) -> None:
        """Forget how long the meters of all other jobs (by seq) have waited."""
        for held in (self._waits, self._hindered):
            for place in [place for place in held if place[0] not in open_jobs]:
                del held[place]

    def record(self, execution: Execution, result: Result, path: str, duration_ms: int) -> None:
        """The execution succeeds, fails, or waits for its next attempt."""
        entry = self._ledger.entry_of(execution.seq)
        seq, index = execution.seq, execution.index
        # What it was at, even if something of ours has been in the way since.
        told = self._ledger.reason_of(entry, index)
        before = self._waits.get((seq, index), (0, told, 0))[1]
        if result.reason in _NO_TIME and before in _LIMITED:
            result = Result(WAIT, before, result.detail, wait_s=_NO_TIME_S)
        if result.outcome == WAIT:
            result = self._waited(entry, index, result)
        self._ledger.note(
            "done",
            [
                execution.job.id,
                execution.serial,
                execution.attempt,
                result.outcome,
                result.reason,
                path,
            ],
        )
        if result.outcome == HINDERED:
            self._put_back(entry, index, result.reason, result, path, duration_ms)
            return
        if result.outcome == WAIT:
            self._ledger.again(seq, index, result.reason, result.wait_s * 1000, False)
            return
        self._waits.pop((seq, index), None)
        if result.hindered and execution.tries >= entry.job.max_attempts:
            # Over the one path it was tried often enough, over the other never.
            self._put_back(entry, index, result.hindered, result, path, duration_ms)
            return
        self._hindered.pop((seq, index), None)
        if result.outcome != KO:
            self._ledger.finished(seq, index, State.SUCCEEDED, result, path, duration_ms)
        elif not result.worth_retrying():
            state = State.REJECTED if result.reason in _REJECTING else State.FAILED
            self._ledger.finished(seq, index, state, result, path, duration_ms)
        elif entry.stopped():
            final = Result(KO, entry.stopped(), _last(result))
            self._ledger.finished(seq, index, State.CANCELED, final, path, duration_ms)
        elif execution.tries >= entry.job.max_attempts:
            self._ledger.finished(seq, index, State.FAILED, result, path, duration_ms)
        else:
            wait_ms = self._backoff_ms(entry.job.backoff_s, execution.tries)
            if self.closed(entry, wait_ms):
                final = Result(KO, "window-closed", _last(result))
                self._ledger.finished(seq, index, State.TIMED_OUT, final, path, duration_ms)
            else:
                self._ledger.again(seq, index, result.reason, wait_ms)

    def _put_back(
        self,
        entry: Entry,
        index: int,
        hindrance: str,
        result: Result,
        path: str,
        duration_ms: int,
    ) -> None:
        """Something of ours was in the way: it waits, and that costs no try."""
        place = entry.seq, index
        if entry.stopped():
            self._hindered.pop(place, None)
            final = Result(KO, entry.stopped(), _last(result))
            self._ledger.finished(*place, State.CANCELED, final, path, duration_ms)
            return
        times = self._hindered.get(place, 0)
        self._hindered[place] = times + 1
        first_s, most_s = SEEN_S if hindrance in _SEEN else UNKNOWN_S
        if result.wait_s:
            first_s, most_s = KNOWN_S
        wait_s = max(min(result.wait_s, LONGEST_S), min(first_s << min(times, _DOUBLINGS), most_s))
        self._ledger.again(entry.seq, index, hindrance, wait_s * 1000, False)

    def _waited(self, entry: Entry, index: int, result: Result) -> Result:
        """WAIT as it is, or the KO for one that has gone on for too long."""
        now_ms = self._clock.ticks_ms()
        since_ms, before, limit_ms = self._waits.get((entry.seq, index), (now_ms, "", 0))
        if before not in _LIMITED:
            since_ms = now_ms  # that it waited for its time is over
        limit_ms = max(limit_ms, WAIT_LIMIT_MS, result.limit_s * 1000)
        self._waits[entry.seq, index] = (since_ms, result.reason, limit_ms)
        if result.reason in _LIMITED and now_ms - since_ms >= limit_ms:
            return Result(KO, "image-stuck", _last(result))
        if entry.stopped() or self.closed(entry, result.wait_s * 1000):
            return Result(KO, result.reason, result.detail)
        return result

    def closed(self, entry: Entry, wait_ms: int = 0) -> bool:
        """Whether the job's window, in `wait_ms` from now, does not open any more."""
        now = self._clock.unix_time()
        return now > 0 and opening(entry.job, now + (wait_ms + 999) // 1000) is None

    def _backoff_ms(self, backoff_s: int, attempt: int) -> int:
        """backoff_s, doubled with every attempt, at most the limit, give or take a quarter."""
        wait_ms = self._doubled_ms(backoff_s, attempt)
        spread = wait_ms * _JITTER_PERCENT // 100
        noise = int.from_bytes(self._random(4), "big") % (2 * spread + 1)
        return wait_ms - spread + noise

    def usual_backoff_ms(self, job: Job, tries: int) -> int:
        """The wait after so many tries, without its jitter."""
        return self._doubled_ms(job.backoff_s, tries)

    def _doubled_ms(self, backoff_s: int, tries: int) -> int:
        return min(backoff_s * 1000 << (tries - 1), self._max_backoff_ms)

    def fail(self, entry: Entry, result: Result) -> None:
        """End what is queued as FAILED with the result."""
        if entry.count(State.QUEUED):
            with self._ledger.batch():
                for index in _canary_last(entry):
                    self._ledger.finished(entry.seq, index, State.FAILED, result)

    def close(self, entry: Entry, held: bool) -> None:
        """End what is queued as TIMED_OUT: the window has closed. `held`: the job still waited for
        its package."""
        if not entry.count(State.QUEUED):
            return
        with self._ledger.batch():
            for index in _canary_last(entry):
                reason = self._ledger.reason_of(entry, index)
                if entry.tries(index):
                    final = Result(KO, "window-closed", "last attempt: " + reason)
                elif held:
                    final = Result(KO, "package-unavailable")
                else:
                    reason = reason or self._standing(entry.job, entry.job.serials[index]).reason
                    final = Result(KO, "not-tried", HINDERED_BY + reason if reason else "")
                self._ledger.finished(entry.seq, index, State.TIMED_OUT, final)


def _canary_last(entry: Entry) -> Iterator[int]:
    """What is still queued, by index. The canary last: it has not failed when all ends for another
    reason."""
    first = entry.first() % len(entry.states)
    for index in list(range(first, len(entry.states))) + list(range(first)):
        if entry.states[index] == State.QUEUED:
            yield index


def _last(result: Result) -> str:
    text = "last attempt: " + result.reason
    return text + ": " + result.detail if result.detail else text
