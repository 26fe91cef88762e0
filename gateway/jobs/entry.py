"""A job in the ledger: how far each of its meters has got, and its canary."""

from __future__ import annotations

from gateway.contract.envelope import digest_of
from gateway.contract.job import Job, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# verdicts on a canary
UNDECIDED = 0
PASSED = 1
FAILED = 2


_PAUSES = 8  # so many earlier orders to pause or resume a job are known again


class Pausing:
    """The orders to pause a job or to resume it: of two the one `issued` later counts."""

    __slots__ = ("before", "issued", "paused")

    def __init__(
        self, paused: bool = False, issued: int = 0, before: list[int] | None = None
    ) -> None:
        self.paused = paused
        self.issued = issued  # unix time of the newest order; 0: there was none
        self.before = list(before or [])  # of the ones taken before it

    def to_array(self) -> list[Any]:
        return [self.paused, self.issued, self.before]

    def take(self, paused: bool, issued: int) -> None:
        if self.issued and issued != self.issued:
            self.before = (self.before + [self.issued])[-_PAUSES:]
        self.paused, self.issued = paused, issued

    def why_not(self, paused: bool, issued: int) -> str:
        """ "" if this order is the newest; "duplicate" if it was taken before; "outdated"."""
        if issued > self.issued:
            return ""
        same = issued == self.issued and paused == self.paused
        return "duplicate" if same or issued in self.before else "outdated"


class Entry:
    """A job in the ledger. Of each execution, by index into `job.serials`, bytes only: there may be
    very many.
    """

    __slots__ = (
        "accepted",
        "attempts",
        "canary",
        "canceled",
        "digest",
        "due",
        "ended",
        "final_number",
        "job",
        "last",
        "pausing",
        "position",
        "seq",
        "since_ms",
        "states",
        "uncounted",
    )

    def __init__(self, raw: bytes, seq: int, accepted: int, position: int) -> None:
        self.job = Job.decode(raw)
        self.digest = digest_of(raw)[:16]
        self.position = position  # of a record that holds the payload
        self.seq = seq  # counts jobs in the order they were accepted
        self.accepted = accepted  # unix time
        self.ended = 0  # unix time
        self.since_ms = 0  # ticks from which the job has been waiting
        self.canceled = False
        self.pausing = Pausing()
        self.canary = UNDECIDED
        self.final_number = 0  # of the report that says it has ended; 0: it has not
        size = len(self.job.serials)
        self.states = bytearray(size)
        self.attempts = bytearray(size)
        self.uncounted = bytearray(size)  # attempts that were broken off by a restart of ours
        self.last = bytearray(size)  # why the last attempt failed: a code of Contents.reason_of
        self.due: dict[
            int, int
        ] = {}  # index: ticks, only of those that wait after a failed attempt

    @property
    def paused(self) -> bool:
        return self.pausing.paused

    def count(self, state: int) -> int:
        return self.states.count(bytes([state]))

    def tries(self, index: int) -> int:
        """Attempts that count."""
        return self.attempts[index] - self.uncounted[index]

    def open(self) -> int:
        """How many executions have not ended."""
        return self.count(State.QUEUED) + self.count(State.IN_PROGRESS)

    def stopped(self) -> str:
        """Why nothing of the job begins any more: "canceled", "canary-failed"; else ""."""
        if self.canceled:
            return "canceled"
        return "canary-failed" if self.canary == FAILED else ""

    def first(self) -> int:
        """How many executions, from the first on, may begin: the others wait for the canary."""
        return self._canary_end() if self.canary == UNDECIDED else len(self.states)

    def _canary_end(self) -> int:
        """The index after the canary. What was rejected without a try (a meter nobody knows) is no
        part of it.
        """
        missing = self.job.canary.meters if self.job.canary is not None else 0
        for index in range(len(self.states)):
            if self.attempts[index] or self.states[index] != State.REJECTED:
                missing -= 1
                if missing == 0:
                    return index + 1
        return len(self.states)

    def beyond_canary(self) -> int:
        """How many executions wait for the canary, or would if it had no verdict yet."""
        return self.states[self._canary_end() :].count(bytes([State.QUEUED]))

    def canary_verdict(self, wanted: int) -> tuple[int, int]:
        """(verdict, how many succeeded) by the states as they are: as soon as the rest of the
        canary cannot change it. `wanted`: how many must succeed.
        """
        states = self.states[: self._canary_end()]
        succeeded = states.count(bytes([State.SUCCEEDED]))
        pending = states.count(bytes([State.QUEUED])) + states.count(bytes([State.IN_PROGRESS]))
        if succeeded >= wanted:
            return PASSED, succeeded
        return (FAILED if succeeded + pending < wanted else UNDECIDED), succeeded

    def summary(self) -> str:
        """As in "20 succeeded, 3 failed": for people."""
        counts = [(self.count(state), State.NAMES[state]) for state in range(len(State.NAMES))]
        return ", ".join(["%d %s" % count for count in counts if count[0]])
