"""One numbered report: what happened on the concentrator that the HES must come to know."""

from __future__ import annotations

from gateway.contract.limits import MAX_VALUE
from gateway.contract.shape import NULL, UINT32, array_of, either, octets, row, text, uint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Body: TypeAlias = "JobReport | MeterReport | Refusal | Dropped | Event"

_ID = octets(16, 16)
_REASON = text(32)
_DETAIL = text(1024)


class JobReport:
    """A whole job changed its `state`, a name of State in gateway/contract/job.py.

    "queued": accepted (reason `accepted`, `window-not-open` or `window-short`). "in-progress": the
    reason is `paused`, `resumed`, a canary's verdict, or `canceled` while meters in hand end first.
    Any other: it has ended, `detail` counts its meters by state; a
    job is "succeeded", "rejected" or "timed-out" if every one of its meters is, "canceled" if it
    was, otherwise "failed".
    """

    __slots__ = ("detail", "job_id", "reason", "state")
    KIND = 1
    RULE = row(uint(1, 1), _ID, text(16, 1), _REASON, _DETAIL)

    def __init__(self, job_id: bytes, state: str, reason: str, detail: str) -> None:
        self.job_id = job_id
        self.state = state
        self.reason = reason
        self.detail = detail

    def to_array(self) -> list[Any]:
        return [self.KIND, self.job_id, self.state, self.reason, self.detail]


class MeterReport:
    """The execution of a job on one meter is in `state` (a name as above) after `attempts`
    attempts.

    outcome OK, KO or VALUE with its reason and detail (gateway/contract/result.py), empty texts
    while there is none; path "plc", "rf", "ip" or "" (never reached); duration_ms of the last
    attempt; value None or the A-XDR encodings read.
    """

    __slots__ = (
        "attempts",
        "detail",
        "duration_ms",
        "job_id",
        "outcome",
        "path",
        "reason",
        "serial",
        "state",
        "value",
    )
    KIND = 2
    RULE = row(
        uint(2, 2),
        _ID,
        text(32, 1),
        text(16, 1),
        text(8),
        _REASON,
        _DETAIL,
        uint(UINT32),
        text(16),
        uint(UINT32),
        either(NULL, array_of(octets(MAX_VALUE), 256)),
    )

    def __init__(
        self,
        job_id: bytes,
        serial: str,
        state: str,
        outcome: str,
        reason: str,
        detail: str,
        attempts: int,
        path: str,
        duration_ms: int,
        value: list[bytes] | None,
    ) -> None:
        self.job_id = job_id
        self.serial = serial
        self.state = state
        self.outcome = outcome
        self.reason = reason
        self.detail = detail
        self.attempts = attempts
        self.path = path
        self.duration_ms = duration_ms
        self.value = value

    def to_array(self) -> list[Any]:
        return [
            self.KIND,
            self.job_id,
            self.serial,
            self.state,
            self.outcome,
            self.reason,
            self.detail,
            self.attempts,
            self.path,
            self.duration_ms,
            self.value,
        ]


class Refusal:
    """A message that came down `topic` was refused and changed nothing. `digest` is the SHA-256 of
    its payload; job_id the job it was about, or None where it did not say so believably.
    """

    __slots__ = ("detail", "digest", "job_id", "reason", "topic")
    KIND = 3
    RULE = row(uint(3, 3), text(16), octets(32, 32), either(NULL, _ID), text(32, 1), _DETAIL)

    def __init__(
        self, topic: str, digest: bytes, job_id: bytes | None, reason: str, detail: str
    ) -> None:
        self.topic = topic
        self.digest = digest
        self.job_id = job_id
        self.reason = reason
        self.detail = detail

    def to_array(self) -> list[Any]:
        return [self.KIND, self.topic, self.digest, self.job_id, self.reason, self.detail]


class Dropped:
    """The reports from this one's number up to and with `last` are lost, to damage of the flash;
    the next number is last + 1.
    """

    __slots__ = ("last",)
    KIND = 4
    RULE = row(uint(4, 4), uint())

    def __init__(self, last: int) -> None:
        self.last = last

    def to_array(self) -> list[Any]:
        return [self.KIND, self.last]


class Event:
    """Something happened to the concentrator itself: `name` "clock-set", "ledger-cut" and the like;
    detail for people.
    """

    __slots__ = ("detail", "name")
    KIND = 5
    RULE = row(uint(5, 5), text(32, 1), _DETAIL)

    def __init__(self, name: str, detail: str) -> None:
        self.name = name
        self.detail = detail

    def to_array(self) -> list[Any]:
        return [self.KIND, self.name, self.detail]


BODIES = (JobReport, MeterReport, Refusal, Dropped, Event)
REPORT = row(uint(), uint(UINT32), either(*[body.RULE for body in BODIES]))


class Report:
    """`number` counts from 1 within the epoch; `time` is when it happened, seconds since 1970 UTC,
    0 if the clock was unset.
    """

    __slots__ = ("body", "number", "time")

    def __init__(self, number: int, time: int, body: Body) -> None:
        self.number = number
        self.time = time
        self.body = body

    def to_array(self) -> list[Any]:
        return [self.number, self.time, self.body.to_array()]

    @classmethod
    def from_array(cls, values: list[Any]) -> Report:
        """Of an array that fits REPORT."""
        number, time, body = values
        return cls(number, time, BODIES[body[0] - 1](*body[1:]))
