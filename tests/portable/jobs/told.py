"""The ledger's reports, flat, for tests that ask what was told rather than how it is sent."""

from __future__ import annotations

from gateway.contract.reports import (
    Dropped,
    Event,
    JobReport,
    MeterAlarm,
    MeterReport,
    Outage,
    Refusal,
    TaskRun,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.contract.reports import Report
    from gateway.jobs.ledger import Ledger

KINDS = (
    (MeterReport, "execution"),
    (JobReport, "job"),
    (Refusal, "refusal"),
    (Event, "event"),
    (Dropped, "lost"),
    (TaskRun, "run"),
    (MeterAlarm, "alarm"),
    (Outage, "outage"),
)


class Told:
    """What the body has, by name; what it has not is empty. kind: as above. state: of a job what
    happened to it, "accepted", "paused", "resumed", "canary", "canceled" or "ended"; else as in the
    report. reason: of an event its name."""

    def __init__(self, report: Report) -> None:
        body: Any = report.body
        self.number = report.number
        self.last = report.last
        self.finished_at = report.time
        self.kind = next(kind for body_class, kind in KINDS if isinstance(body, body_class))
        self.job_id: bytes | None = getattr(body, "job_id", None)
        self.serial: str = getattr(body, "serial", "")
        self.state: str = getattr(body, "state", "")
        self.outcome: str = getattr(body, "outcome", "")
        self.reason: str = getattr(body, "reason", getattr(body, "name", ""))
        self.detail: str = getattr(body, "detail", "")
        self.value: list[bytes] | None = getattr(body, "value", None)
        self.attempts: int = getattr(body, "attempts", 0)
        self.path: str = getattr(body, "path", "")
        self.duration_ms: int = getattr(body, "duration_ms", 0)
        self.digest: bytes = getattr(body, "digest", b"")
        self.topic: str = getattr(body, "topic", "")
        if self.kind == "job":
            self.state = _event(self.state, self.reason)

    def __repr__(self) -> str:
        what = self.serial or self.state or self.topic
        return "Told(%d, %s, %s, %s)" % (self.number, self.kind, what, self.reason)


def _event(state: str, reason: str) -> str:
    if state == "queued":
        return "accepted"
    if state != "in-progress":
        return "ended"
    return "canary" if reason.startswith("canary-") else reason


def told(ledger: Ledger, after: int, limit: int) -> list[Told]:
    return [Told(report) for report in ledger.reports(after, limit)]
