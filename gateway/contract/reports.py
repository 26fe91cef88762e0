"""One numbered report: what happened on the concentrator that the HES must come to know."""

from __future__ import annotations

from gateway.contract.fields import Record, field, one_of, record
from gateway.contract.limits import (
    MAX_ALARM_BITS,
    MAX_ALARM_DATA,
    MAX_ALARM_DETAIL,
    MAX_DETAIL,
    MAX_METERS,
    MAX_OUTAGE,
    MAX_VALUE,
)
from gateway.contract.rules import (
    BOOL,
    DIGEST,
    ID,
    SERIAL,
    TIME,
    UINT32,
    array_of,
    octets,
    or_null,
    row,
    text,
    uint,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Body: TypeAlias = (
        "JobReport | MeterReport | Refusal | Dropped | Event | TaskRun | MeterAlarm | Outage"
    )

_REASON = text(32)
_DETAIL = text(MAX_DETAIL)


@record(1)
class JobReport(Record):
    """A whole job changed its `state`, a name of State in gateway/contract/job.py.

    "queued": accepted (reason `accepted`, `window-not-open` or `window-short`). "in-progress": the
    reason is `paused`, `resumed`, a canary's verdict, or `canceled` while meters in hand end first;
    `paused`, `resumed` and `canceled` also of a job that is not here yet, and is still to be sent.
    Any other: it has ended, `detail` counts its meters by state; a
    job is "succeeded", "rejected" or "timed-out" if every one of its meters is, "canceled" if it
    was, otherwise "failed".
    """

    job_id: bytes = field(ID)
    state: str = field(text(16, 1))
    reason: str = field(_REASON)
    detail: str = field(_DETAIL)


@record(2)
class MeterReport(Record):
    """The execution of a job on one meter is in `state` (a name as above) after `attempts`
    attempts.

    outcome OK, KO or VALUE with its reason and detail (gateway/contract/result.py), empty texts
    while there is none; path "plc", "rf", "ip" or "" (never reached); duration_ms of the last
    attempt; value None or the A-XDR encodings read.
    """

    job_id: bytes = field(ID)
    serial: str = field(text(32, 1))
    state: str = field(text(16, 1))
    outcome: str = field(text(8))
    reason: str = field(_REASON)
    detail: str = field(_DETAIL)
    attempts: int = field(uint(UINT32))
    path: str = field(text(16))
    duration_ms: int = field(uint(UINT32))
    value: list[bytes] | None = field(or_null(array_of(octets(MAX_VALUE), 256)))


@record(3)
class Refusal(Record):
    """A message that came down `topic` was refused and changed nothing. `digest` is the SHA-256 of
    what was signed, of the whole message where it is no envelope, or one whose signature or signer
    is at fault; job_id the job it was about, or None where it did not say so believably.
    """

    topic: str = field(text(16))
    digest: bytes = field(DIGEST)
    job_id: bytes | None = field(or_null(ID))
    reason: str = field(text(32, 1))
    detail: str = field(_DETAIL)


@record(4)
class Dropped(Record):
    """The reports from this one's number up to and with `last` are lost, to damage of the flash;
    the next number is last + 1.
    """

    last: int = field(uint())


@record(5)
class Event(Record):
    """Something happened to the concentrator itself: `name` "clock-set", "ledger-cut" and the like;
    detail for people.
    """

    name: str = field(text(32, 1))
    detail: str = field(_DETAIL)


@record(6)
class TaskRun(Record):
    """A run of the task `name` that was due at `due` is over, or so far that the HES should know.

    `began`, `ended`: unix times; `meters` wanted, of which so many are `complete`; `rows` read.
    `gaps`: [reason, how many meters] of the others, the most frequent first; "missed" counts how
    often it was due before this, and what was to be had then is gone. Of two reports with the same
    `due` the later one counts.
    """

    name: str = field(text(32, 1))
    due: int = field(TIME)
    began: int = field(TIME)
    ended: int = field(TIME)
    meters: int = field(uint(UINT32))
    complete: int = field(uint(UINT32))
    rows: int = field(uint(UINT32))
    gaps: list[list[Any]] = field(array_of(row(_REASON, uint(UINT32)), 16))


@record(7)
class MeterAlarm(Record):
    """A meter raises an alarm. `source`: where it stands, as the meter's model calls the object
    ("alarm-descriptor-1"), or what the meter sent unasked ("data-notification",
    "event-notification", "information-report").

    `bits`: those set that were not told before, counted from the lowest of a number, from the first
    of a bit-string; none where only the meter's table can say. `time`: when it happened, as the
    meter says, 0 if it does not. `data`: what it said, A-XDR, cut where it was longer.
    """

    serial: str = field(SERIAL)
    source: str = field(text(32, 1))
    bits: list[int] = field(array_of(uint(1023), MAX_ALARM_BITS))
    time: int = field(TIME)
    detail: str = field(text(MAX_ALARM_DETAIL))
    data: bytes = field(octets(MAX_ALARM_DATA))


@record(8)
class Outage(Record):
    """Many meters lost their power at once, or (`over`) have it back: so many `meters` between the
    unix times `began` and `ended`. More serials than fit one report are in several: the first of
    these here is number `first` of all, from 1 on.
    """

    over: bool = field(BOOL)
    began: int = field(TIME)
    ended: int = field(TIME)
    meters: int = field(uint(MAX_METERS, 1))
    first: int = field(uint(MAX_METERS, 1))
    serials: list[str] = field(array_of(SERIAL, MAX_OUTAGE, 1))


@record()
class Report(Record):
    """`number` counts from 1 within the epoch; `time` is when it happened, seconds since 1970 UTC,
    0 if the clock was unset.
    """

    number: int = field(uint())
    time: int = field(TIME)
    body: Body = field(
        one_of(JobReport, MeterReport, Refusal, Dropped, Event, TaskRun, MeterAlarm, Outage)
    )

    @property
    def last(self) -> int:
        """The last number that it accounts for."""
        return self.body.last if isinstance(self.body, Dropped) else self.number
