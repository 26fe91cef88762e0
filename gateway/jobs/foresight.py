"""When the open jobs are likely to end, and what a new one may be promised: what is learned of each
attempt, and what it says of those to come."""

from __future__ import annotations

from gateway.contract.job import State
from gateway.contract.limits import MOST_JOBS
from gateway.contract.result import KO, WAIT
from gateway.jobs.entry import Entry
from gateway.jobs.forecast import SILENT, WAITED, end_of, fits, words
from gateway.jobs.progress import Progress
from gateway.jobs.remaining import WAITING, Left, Outlook, Shares, Standing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.contract.job import Job
    from gateway.contract.result import Result
    from gateway.jobs.forecast import Durations
    from gateway.jobs.ledger import Ledger
    from gateway.jobs.queue import Execution
    from hal.ports import Clock

    # Of a transfer to many: (phase, how long it has taken, ms likely left; 0: not known yet).
    Transfer = Callable[[], tuple[str, int, int]]


PROMISE = "expected to end in "


class Foresight:
    """`standing(job, serial)`: how it stands with a meter now. `backoff_ms(job, tries)`: the pause
    after so many tries."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        durations: Durations,
        standing: Callable[[Job, str], Standing],
        backoff_ms: Callable[[Job, int], int],
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._durations = durations
        self._standing = standing
        self._backoff_ms = backoff_ms
        self._shares: dict[int, Shares] = {}  # of each open job, by its seq
        self._before: dict[int, Shares] = {}  # of each kind, all jobs together
        self._asked: dict[tuple[int, int], int] = {}  # (seq, index): needs time, since when (ticks)
        self._transfers: dict[int, Transfer] = {}  # by the job's seq
        self.flash_refuses = False  # nothing can be begun

    # ------------------------------------------------------------ what is learned

    def note(self, execution: Execution, result: Result, duration_ms: int, at_once: int) -> None:
        """An attempt is over, while so many were made at once (itself included)."""
        kind, place = execution.job.kind, (execution.seq, execution.index)
        now_ms = self._clock.ticks_ms()
        since_ms = self._asked.get(place)
        end = end_of(result, since_ms is not None)
        if end is None:
            return
        self._durations.note(kind, duration_ms, at_once, end)
        if result.outcome == WAIT and result.reason in WAITING:
            self._asked.setdefault(place, now_ms)
        elif since_ms is not None:
            del self._asked[place]
            if result.outcome != KO:
                self._durations.note(kind, now_ms - since_ms, 1, WAITED)
        if since_ms is None and end <= SILENT:
            for shares in self._shares_of(execution.seq, kind):
                shares.note(end, execution.tries > 1)

    def keep(self, open_jobs: list[int]) -> None:
        """Forget what was learned of all other jobs (by seq) alone."""
        for seq in [seq for seq in self._shares if seq not in open_jobs]:
            del self._shares[seq]
        for place in [place for place in self._asked if place[0] not in open_jobs]:
            del self._asked[place]

    def transfers(self, seq: int, transfer: Transfer | None) -> None:
        """Whom to ask about this job; None: it is over."""
        if transfer is not None:
            self._transfers[seq] = transfer
        else:
            self._transfers.pop(seq, None)

    def _shares_of(self, seq: int, kind: int) -> tuple[Shares, Shares]:
        return self._shares.setdefault(seq, Shares()), self._before.setdefault(kind, Shares())

    # ------------------------------------------------------------ what is to come

    def of_new(self, job: Job) -> tuple[str, str]:
        """(warning, detail) for the answer to a new job: when it is likely to end, by what meters
        have taken so far and by what waits before it. The warning is "window-short" if that is
        after its window; both are empty while nothing is known.
        """
        now = self._clock.unix_time()
        if self._durations.any(job.kind) is None or not now:
            return "", ""
        own = self._left(Entry(job.encode(), 0, now, 0))
        if own.end_ms is None or not own.work_ms:
            return "", ""
        before_ms = 0
        for entry in self._ledger.jobs():
            if entry.job.priority >= job.priority and not entry.paused and entry.open():
                before_ms += self._left(entry).work_ms or entry.open() * own.work_ms // len(
                    job.serials
                )
        needed_s = (before_ms + own.work_ms + 999) // 1000
        room_s, end = fits(job, now, needed_s)
        end = max(end, now + (own.end_ms + 999) // 1000)
        late = job.not_after and end > job.not_after
        if room_s >= needed_s and not late:
            return "", PROMISE + words(end - now)
        meters, each_ms = len(job.serials), max(own.work_ms // len(job.serials), 1)
        if room_s >= needed_s:
            return "window-short", "the last of %d meters may take %s" % (meters, words(end - now))
        done = max(room_s * 1000 - before_ms, 0) // each_ms
        detail = "about %d of %d meters have their turn within the window" % (done, meters)
        return "window-short", detail + ", at %d ms a meter" % each_ms

    def progress(self, entries: list[Entry]) -> list[Progress]:
        """entries: open jobs, the most urgent first."""
        found: list[Progress] = []
        before_ms: int | None = 0  # None: not to be judged
        now = self._clock.unix_time()
        for entry in entries[:MOST_JOBS]:
            left = self._left(entry)
            progress = Progress(entry, left.waiting, now)
            found.append(progress)
            transfer = self._transfers.get(entry.seq)
            if transfer is not None:
                progress.phase, took_ms, left_ms = transfer()
                left.work_ms, left.end_ms = left_ms, left_ms or None
                if left_ms:
                    progress.permille = 1000 * took_ms // max(took_ms + left_ms, 1)
            if entry.paused:
                continue
            if before_ms is None or left.end_ms is None:
                before_ms = None
                continue
            before_ms += left.work_ms
            if now and not left.for_people:
                _, end = fits(entry.job, now, (before_ms + 999) // 1000)
                end = max(end, now + (left.end_ms + 999) // 1000)
                progress.end = min(end, entry.job.not_after) if entry.job.not_after else end
        return found

    def _left(self, entry: Entry) -> Left:
        now_ms, job = self._clock.ticks_ms(), entry.job
        ours = self._hinders_all(job)
        if ours:
            left = Left()
            left.waits(ours, entry.count(State.QUEUED), 0)
            left.end_ms = None
            return left
        return Outlook(
            entry,
            self._durations,
            self._shares_of(entry.seq, job.kind),
            self._ledger.reason_of,
            lambda serial: self._standing(job, serial),
            lambda tries: self._backoff_ms(job, tries),
            lambda index: now_ms - self._asked.get((entry.seq, index), now_ms),
            now_ms,
        ).left()

    def _hinders_all(self, job: Job) -> str:
        if self.flash_refuses:
            return "flash-full"
        windowed = job.not_before or job.not_after or job.daily is not None
        return "clock-unset" if windowed and not self._clock.unix_time() else ""
