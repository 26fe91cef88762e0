"""What the ledger knows of jobs that are not in it: those that have ended and were forgotten, and
those for which an order to cancel or pause them has come before they did.

Both are bounded, and what is forgotten at the bound is named when it matters: the memory reaches
back to a floor. A job that is not known and was issued at the floor or before could have run
already, or have been cancelled: it is refused as `too-old`. So windows may be as long as they like,
and no clock is asked: what is remembered does not depend on the date of the moment.
"""

from __future__ import annotations

from gateway.jobs.entry import Pausing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.jobs.entry import Entry

ENDED_JOBS = 512  # beyond, the one issued first is forgotten
EARLY_ORDERS = 64  # jobs with such an order; beyond, the one whose order was issued first


class Early:
    """What was ordered of a job that is not here yet. issued: of the newest of its orders."""

    __slots__ = ("canceled", "issued", "pausing")

    def __init__(self, issued: int, canceled: bool, pausing: Pausing) -> None:
        self.issued = issued
        self.canceled = canceled
        self.pausing = pausing


class Memory:
    def __init__(self) -> None:
        # job id: the payload's digest (16), issued (4); then, where there was such an order, that
        # of the newest pause (4), and 1 if the job was canceled, else 0. Journals of before have
        # the time at which the job ended in place of issued: that is later, so the floor is safe.
        self.ended: dict[bytes, bytes] = {}
        self.early: dict[bytes, Early] = {}
        self.floor = 0

    def restore(self, ended: list[list[bytes]], late: list[Any]) -> None:
        """As a checkpoint has it; `late` as of late()."""
        self.ended, self.early, self.floor = {}, {}, 0
        for job_id, what in ended:
            self.ended[job_id] = what
        if late:
            self.floor, early = late
            for job_id, issued, canceled, pausing in early:
                self.early[job_id] = Early(issued, canceled, Pausing(*pausing))

    def late(self) -> list[Any]:
        """What a checkpoint has of it beside `ended`; nothing where there is nothing to say."""
        if not self.early and not self.floor:
            return []
        early = []
        for job_id in sorted(self.early):
            order = self.early[job_id]
            early.append([job_id, order.issued, order.canceled, order.pausing.to_array()])
        return [self.floor, early]

    def digest(self, job_id: bytes) -> bytes | None:
        """The first 16 octets, of a job that has ended."""
        what = self.ended.get(job_id)
        return None if what is None else what[:16]

    def was_canceled(self, job_id: bytes) -> bool:
        """Of a job that has ended."""
        return self.ended.get(job_id, b"")[24:25] == b"\x01"

    def last_pause(self, job_id: bytes) -> int:
        """When the newest order to pause or resume it was issued; 0: there was none."""
        return int.from_bytes(self.ended.get(job_id, b"")[20:24], "big")

    def is_too_old(self, job_id: bytes, issued: int) -> bool:
        """Whether it may have been forgotten."""
        known = job_id in self.ended or job_id in self.early
        return not known and issued <= self.floor

    def remember(self, entry: Entry) -> None:
        """A job leaves the ledger."""
        what = entry.digest + entry.job.issued.to_bytes(4, "big")
        if entry.canceled or entry.pausing.issued:
            what += entry.pausing.issued.to_bytes(4, "big") + bytes([entry.canceled])
        self.ended[entry.job.id] = what
        while len(self.ended) > ENDED_JOBS:
            issued, oldest = min([(_issued(what), job_id) for job_id, what in self.ended.items()])
            del self.ended[oldest]
            self.floor = max(self.floor, issued)

    def order_early(self, job_id: bytes, issued: int, paused: bool | None) -> None:
        """`paused`: None where it is to be canceled."""
        order = self.early.get(job_id)
        if order is None:
            order = self.early[job_id] = Early(issued, False, Pausing())
        order.issued = max(order.issued, issued)
        if paused is None:
            order.canceled = True
        else:
            order.pausing.take(paused, issued)
        while len(self.early) > EARLY_ORDERS:
            issued, oldest = min([(each.issued, job_id) for job_id, each in self.early.items()])
            del self.early[oldest]
            self.floor = max(self.floor, issued)


def _issued(what: bytes) -> int:
    return int.from_bytes(what[16:20], "big")
