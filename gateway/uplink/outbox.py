"""Sends the ledger's reports to the HES until it acknowledges them: a few messages ahead, and again
when it stays silent.

Sans-IO: batch() gives the next message to publish, acknowledged() and resend() take the answers.
"""

from __future__ import annotations

from gateway.contract.limits import REPORTS_SIZE
from gateway.contract.messages import Reports
from gateway.contract.reports import Report
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.messages import Ack, Resend
    from gateway.jobs.ledger import Ledger

WINDOW = 4  # messages sent and not acknowledged
MOST = 64  # reports in one message
PATIENCE_MS = 60_000  # without progress, before sending again; doubles up to MAX_PATIENCE_MS
MAX_PATIENCE_MS = 960_000


class Outbox:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._patience_ms = PATIENCE_MS
        self.connected()

    def connected(self) -> None:
        """A new connection: whatever is not acknowledged is sent anew."""
        self._ends: list[int] = []  # last number of each message in flight
        self._sent = self._most = self._ledger.acknowledged
        self._deadline_ms = 0

    def batch(self, now_ms: int) -> Reports | None:
        """The next message, which then counts as sent; None if there is nothing to send at this
        tick. OSError of the storage."""
        if self._ends and now_ms >= self._deadline_ms:
            self._ends = []
            self._sent = self._ledger.acknowledged
            self._patience_ms = min(2 * self._patience_ms, MAX_PATIENCE_MS)
        if len(self._ends) >= WINDOW or self._sent >= self._ledger.last_number:
            return None
        reports: list[Report] = []
        size, last = 0, 0
        for report in self._ledger.reports(self._sent, MOST):
            size += len(cbor.encode(report.to_array()))
            if reports and size > REPORTS_SIZE:
                break
            reports.append(report)
            last = report.last
        if not reports:
            return None
        self._sent = last
        self._most = max(self._most, last)
        self._ends.append(self._sent)
        return Reports(self._ledger.epoch, reports)

    def published(self, now_ms: int) -> None:
        """The message is on its way: from here the HES is waited for."""
        self._deadline_ms = now_ms + self._patience_ms

    def acknowledged(self, ack: Ack, now_ms: int) -> None:
        """Ignored: those of another epoch, and of numbers not given out yet. Of the others, only
        what was sent over this connection counts as acknowledged. So what the HES had before is
        sent once more, and nobody can make us forget what it has not."""
        if ack.epoch != self._ledger.epoch or ack.number > self._ledger.last_number:
            return
        number = min(ack.number, self._most)
        if number > self._ledger.acknowledged:
            self._ledger.acknowledge(number)
            self._patience_ms = PATIENCE_MS
            self._deadline_ms = now_ms + self._patience_ms
        self._ends = [end for end in self._ends if end > number]
        self._sent = max(self._sent, number)

    def resend(self, resend: Resend) -> None:
        if resend.epoch == self._ledger.epoch and resend.number <= self._sent:
            self._ends = []
            self._sent = max(resend.number - 1, self._ledger.acknowledged)
