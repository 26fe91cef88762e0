"""Whether the data folder is as old as it says: what the HES remembers of it (message `memory`),
held against what is here.

A copy of the folder that somebody has put back does not know what was done after it was made; nor
do two gateways on two copies know of each other. Either would use the same invocation counters
again, under the same keys. The HES remembers how often a gateway was started on the folder, how
many counters were used, and one record of the audit trail. Where it knows of more than is here, or
of a record that is not in the trail, all counters go on ahead of what it knows, durably and before
another meter is spoken to, and it is told. The numbers of reports go on in another epoch: those
that follow here the HES has seen with other reports.

It counts from what was used before this start, not now: what one meter has used since must not make
up for what another one has to skip. What was used after the last hello that the HES has heard it
does not know; MARGIN is for that, for each meter.
"""

from __future__ import annotations

from gateway.contract.messages import Memory
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.folder import Folder
    from gateway.jobs.ledger import Ledger
    from gateway.meters.counters import Counters

WHERE = "folder"
EVENT = "folder-rolled-back"
STRIDE = 1 << 16  # of a start, at most: see counters.py
MARGIN = 1 << 16
MOST = 1 << 28  # skipped in one life: whoever has the key of the HES cannot use up the meters'
# Where nothing proves who says it: a thousand days of busy reading of one meter. Whoever can write
# on a plain line needs four thousand restarts to use up the meters' keys.
MOST_UNPROVEN = 1 << 20
_TOLD = 4  # ends of the trail that the HES was told of lately: it need not be read for those


class Past:
    """`starts` and `used` are for the hello; told() says which end of the trail it carries."""

    def __init__(self, folder: Folder, counters: Counters, ledger: Ledger) -> None:
        self._folder = folder
        self._counters = counters
        self._ledger = ledger
        self._ends: list[tuple[int, bytes]] = []
        self._skipped = 0
        self._also: Callable[[], None] | None = None

    @property
    def starts(self) -> int:
        return self._folder.starts

    @property
    def used(self) -> int:
        return self._counters.used

    def also(self, begin_epoch: Callable[[], None]) -> None:
        """Other records of this folder that are numbered go on in another epoch, too, by this."""
        self._also = begin_epoch

    def told(self, records: int, head: bytes) -> None:
        """A hello carries this end of the audit trail."""
        self._ends = self._ends[1 - _TOLD :] + [(records, head)]

    def take(self, payload: bytes, proven: bool = True) -> None:
        """What the HES remembers; `proven`: it is the HES. Refused; OSError of the storage: then it
        comes again."""
        memory = Memory.decode(payload)
        why = self._older_than(memory)
        most = MOST if proven else MOST_UNPROVEN
        if not why or (not proven and self._skipped >= most):
            return
        # First, for once the rest is durable nothing tells any more that this is a copy.
        self._ledger.begin_epoch()
        if self._also is not None:
            self._also()
        count = max(memory.used - self._counters.used_before, 0) + MARGIN
        count += max(memory.starts - self._folder.starts + 1, 0) * STRIDE
        count = min(count, most - self._skipped)
        self._counters.skip(count, memory.used)
        self._skipped += count
        self._folder.went_to(memory.starts)
        what = "%s; invocation counters go on %d further" % (", ".join(why), count)
        log.error(WHERE, "the HES knows more than is here: is it a copy? " + what)
        self._ledger.note_if_possible("older", [what])
        self._ledger.event(EVENT, what)

    def _older_than(self, memory: Memory) -> list[str]:
        why = []
        if memory.starts > self._folder.starts:
            why.append("%d starts, here %d" % (memory.starts, self._folder.starts))
        if memory.used > self._counters.used:
            why.append("%d counters used, here %d" % (memory.used, self._counters.used))
        trail = self._ledger.trail
        if memory.records > trail.records:
            why.append("%d audit records, here %d" % (memory.records, trail.records))
        elif not self._follows(memory.records, memory.head):
            why.append("audit record %d is another here" % memory.records)
        return why

    def _follows(self, records: int, head: bytes) -> bool:
        """Whether the trail has this record, as far as can be told."""
        if not records or (records, head) in self._ends:
            return True
        return self._ledger.trail.hash_of(records) in (None, head)
