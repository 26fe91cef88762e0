"""What came from the other side is not accepted, and why."""

from __future__ import annotations

from gateway.contract.result import REASONS


class Refused(Exception):
    """`reason` is one of REASONS; `detail` one line for people: what was expected, what came;
    `job_id` the job it is about, where that is known."""

    def __init__(self, reason: str, detail: str = "", job_id: bytes | None = None) -> None:
        if reason not in REASONS:
            raise ValueError("no such reason: %s" % reason)
        super().__init__(reason + (": " + detail if detail else ""))
        self.reason = reason
        self.detail = detail
        self.job_id = job_id
