"""A numbered report: one thing that the HES must come to know, as the ledger keeps it."""

from __future__ import annotations


class Report:
    """What the fields mean depends on `kind`:

    execution  job_id, serial, state (a name of State.NAMES), outcome, reason, detail, value,
               attempts, path, duration_ms: one meter of a job has its result
    job        job_id, state ("accepted", "paused", "resumed", "canary", "canceled" or "ended"),
               reason, detail
    refusal    topic, digest (SHA-256) and, if known, job_id of a message that changed nothing;
               reason, detail
    event      reason (the event's name), detail: something happened to the concentrator itself
    lost       last: flash damage took the reports from `number` up to and with `last`

    finished_at is unix time, 0 if the clock was unset.
    """

    __slots__ = (
        "attempts",
        "detail",
        "digest",
        "duration_ms",
        "finished_at",
        "job_id",
        "kind",
        "last",
        "number",
        "outcome",
        "path",
        "reason",
        "serial",
        "state",
        "topic",
        "value",
    )

    def __init__(
        self, kind: str, number: int, finished_at: int = 0, reason: str = "", detail: str = ""
    ) -> None:
        self.kind = kind
        self.number = number
        self.finished_at = finished_at
        self.reason = reason
        self.detail = detail
        self.job_id: bytes | None = None
        self.serial = ""
        self.state = ""
        self.outcome = ""
        self.value: list[bytes] | None = None
        self.attempts = 0
        self.path = ""
        self.duration_ms = 0
        self.digest = b""
        self.topic = ""
        self.last = number

    def __repr__(self) -> str:
        return "Report(%d, %s, %s, %s)" % (
            self.number,
            self.kind,
            self.serial or self.state or self.topic,
            self.reason,
        )
