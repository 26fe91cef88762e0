"""What the store gives and takes: plain records, whatever the engine below. Times are unix seconds.

States are those of states.py; those of a meter are the names in gateway/contract/job.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NewJob:
    """A job as submitted: `id` 16 bytes, `kind` a name of gateway/contract/job.py, `envelope`
    signed.
    """

    id: bytes
    concentrator: str
    kind: str
    priority: int
    not_before: int  # 0: at once
    not_after: int
    tries: int
    backoff: int  # seconds
    package: bytes | None  # SHA-256 of one in the store
    attributes: list[tuple[int, bytes, int]]  # class, OBIS code, attribute
    meters: list[str]
    envelope: bytes
    daily: list[Any] | None = None  # opens, closes, days, shifts; see gateway/contract/window.py
    canary: tuple[int, int] | None = None  # meters, percent
    retry_of: bytes | None = None  # the job that this one orders again


@dataclass(frozen=True)
class Job:
    """A job as it stands."""

    id: bytes
    concentrator: str
    kind: str
    submitted: int
    priority: int
    not_before: int
    not_after: int
    tries: int
    backoff: int
    package: bytes | None
    attributes: list[tuple[int, bytes, int]]
    envelope: bytes
    digest: bytes  # of the envelope, as refusals name it
    state: str
    reason: str
    detail: str
    updated: int
    cancel: bytes | None  # the signed order to cancel
    cancel_state: str
    cancel_reason: str
    daily: list[Any] | None
    canary: list[int] | None
    retry_of: bytes | None
    paused: bool


@dataclass(frozen=True)
class Counted:
    """A job in a list, with the number of its meters and of those that ended so; `ends` is when it
    is expected to end (None, 0: not known).
    """

    id: bytes
    concentrator: str
    kind: str
    submitted: int
    state: str
    cancel_state: str
    meters: int
    ok: int
    ko: int
    value: int
    ends: int | None


@dataclass(frozen=True)
class Execution:
    """One job on one meter; `value` is A-XDR, one for each attribute read."""

    serial: str
    state: str
    outcome: str
    reason: str
    detail: str
    attempts: int
    path: str
    duration_ms: int
    value: list[bytes] | None
    updated: int


@dataclass(frozen=True)
class Pause:
    """The newest order to pause a job or (not `paused`) to resume it; `state` "": it is done."""

    paused: bool
    issued: int
    envelope: bytes
    state: str
    reason: str


@dataclass(frozen=True)
class Progress:
    """How far a job was at `time`; `ends`: when it is expected to, 0: not known; `waiting`:
    [reason, meters, and where it is known: when that is over].
    """

    time: int
    phase: str
    permille: int
    queued: int
    in_hand: int
    done: int
    waiting: list[list[Any]]
    ends: int


@dataclass(frozen=True)
class Order:
    """Something signed for a concentrator: `kind` is "job", "cancel" or "pause"."""

    kind: str
    job: bytes
    envelope: bytes


@dataclass(frozen=True)
class Taken:
    """What became of a message of reports: all up to `number` are safe; `gap`: those after it are
    missing.
    """

    number: int
    gap: bool


SILENT_S = 1000  # each concentrator says something every five minutes
ONLINE, SILENT, OFFLINE = "online", "silent", "offline"


@dataclass(frozen=True)
class TakenReadings:
    """Likewise of a message of readings; `counts`: how many of what were new (intake.py)."""

    number: int
    gap: bool
    counts: dict[str, int]


@dataclass(frozen=True)
class Series:
    """A profile or log of a meter, as one concentrator reads it; `last` the time of its last row,
    `read` when that was read.
    """

    id: int
    concentrator: str
    serial: str
    class_id: int
    obis: bytes
    layout: bytes
    last: int
    read: int


@dataclass(frozen=True)
class ReadingDay:
    """How many rows of a series a day has, and how many different times; `day` is unix time /
    86400.
    """

    day: int
    layout: bytes
    rows: int
    times: int
    doubtful: int
    invalid: int


@dataclass(frozen=True)
class ReadingValue:
    """An attribute as it was at `time`; `data` is A-XDR, `reasons` are those of
    validation/row.py.
    """

    concentrator: str
    serial: str
    task: str
    time: int
    class_id: int
    obis: bytes
    attribute: int
    data: bytes
    scaler: int | None
    unit: int | None
    reasons: int


@dataclass(frozen=True)
class ReadingGap:
    """From `start` to `end` the meter itself has no rows, for this reason."""

    concentrator: str
    serial: str
    class_id: int
    obis: bytes
    start: int
    end: int
    reason: str
    told: int


@dataclass(frozen=True)
class Unread:
    """A record of readings that could not be taken, as it came, and why."""

    concentrator: str
    why: str
    record: bytes
    told: int


@dataclass(frozen=True)
class Reread:
    """Rows of a series from `start` on were ordered to be read again: how often, last when, by
    which job.
    """

    series: int
    start: int
    times: int
    ordered: int
    job: bytes


@dataclass(frozen=True)
class Concentrator:
    """`online`: what it, or the broker in its place, has said last. Whoever holds the broker can
    say so again; so what counts is stands(), by when it was `seen`.
    """

    id: str
    online: bool
    session: int
    epoch: int
    firmware: str
    runtime: str
    jobs_open: int
    meters_known: int
    meters_reachable: int
    seen: int

    def stands(self, now: float) -> str:
        """How its line stands, in a word."""
        if not self.online:
            return OFFLINE
        return ONLINE if now - self.seen <= SILENT_S else SILENT


@dataclass(frozen=True)
class Event:
    concentrator: str
    time: int
    name: str
    detail: str


@dataclass(frozen=True)
class SecurityEvent:
    """`sequence` counts without a gap from 1. `name` and `reason` are the words of the contract
    ("refused", "bad-signature"). `concentrator` is "" for what happened at the head-end itself.
    `detail` is for people, and holds no secret.
    """

    sequence: int
    time: int
    concentrator: str
    name: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Service:
    """`silent` is how many seconds ago `serve` was last heard of; `broker` holds no credentials."""

    broker: str
    status: str
    silent: float


@dataclass(frozen=True)
class Modem:
    kind: str
    up: bool
    nodes: int
    counters: dict[str, int]
    told: int


@dataclass(frozen=True)
class Way:
    """A path of a meter; `place` NO_PATH: the meter has none, so it is not commissioned. `state` 0
    unknown, 1 reachable, 2 not; `delivery` in percent.
    """

    serial: str
    place: int
    kind: str
    state: int
    since: int
    heard: int
    delivery: int
    silent: int
    changes: int
    registered: bool
    told: int


@dataclass(frozen=True)
class WayChange:
    kind: str
    since: int
    state: int


@dataclass(frozen=True)
class Stranger:
    """A node on the network that is in nobody's inventory."""

    what: str
    first: int
    last: int


@dataclass(frozen=True)
class Numbered:
    """A signed message of topic `trust`, `keys`, `change` or `model`; `what` it does is for people,
    of a model it is the name.
    """

    id: int
    topic: str
    concentrator: str
    number: int
    what: str
    envelope: bytes
    state: str
    reason: str
    detail: str
    submitted: int


@dataclass(frozen=True)
class Enrolled:
    """Which board a concentrator is. `sign` x||y and `line_key`, the id of the key of ours that the
    last session is by, are None before the first; `agreed`: when that was, 0: never.
    """

    concentrator: str
    fingerprint: bytes
    sign: bytes | None
    line_key: bytes | None
    since: int
    agreed: int


@dataclass(frozen=True)
class Knock:
    """Somebody who holds the keys of `fingerprint`, and is not the board enrolled by this name."""

    concentrator: str
    fingerprint: bytes
    first: int
    last: int
    times: int


@dataclass(frozen=True)
class StagedKey:
    """A change for the next trust message: `public` x||y, None: the key is to go."""

    kid: bytes
    public: bytes | None
    purposes: int


@dataclass(frozen=True)
class Standing:
    """What a concentrator's last hello said: numbers taken, the end of its audit trail, the numbers
    of its reports as in Hello, and the models sent to it, [[name, number]].
    """

    trust: int
    keys: int
    records: int
    head: bytes
    epoch: int
    first: int
    next: int
    models: list[list[Any]]
    changes: int
    readings_epoch: int
    readings_first: int
    readings_next: int


@dataclass(frozen=True)
class TaskRun:
    """A run of a concentrator's task, as it reported it; see gateway/contract/reports.py. `due`,
    `began` and `ended` by its clock, `told` by ours.
    """

    concentrator: str
    name: str
    due: int
    began: int
    ended: int
    meters: int
    complete: int
    rows: int
    gaps: list[list[Any]]
    told: int


@dataclass(frozen=True)
class Alarm:
    """Of a meter; see gateway/contract/reports.py. `happened` by the meter's clock (0: it did not
    say), `noticed` by the concentrator's, `told` by ours; `acknowledged` by ours, 0: not yet."""

    id: int
    concentrator: str
    serial: str
    source: str
    bits: list[int]
    happened: int
    noticed: int
    told: int
    detail: str
    data: bytes
    acknowledged: int


@dataclass(frozen=True)
class PowerOutage:
    """A report of an outage, or of its end (`over`)."""

    concentrator: str
    over: bool
    began: int
    ended: int
    meters: int
    first: int
    serials: list[str]
    told: int


@dataclass(frozen=True)
class LineCertificates:
    """What a concentrator said at `told`: when its own certificate and the first one of the
    broker's chain end (0: none, or not known), its own one's SHA-256, and its request, or b""."""

    concentrator: str
    told: int
    until: int
    digest: bytes
    broker: int
    request: bytes
