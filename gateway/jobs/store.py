"""The ledger's records on the flash, and what they amount to in RAM: written, applied, made durable
together, and from time to time summed up in a checkpoint.

One journal holds them. Records of the audit trail travel in the same commits, each before what it
tells of: no report gets out of what is not on record, and the two cost one sync.

Each segment of the journal begins with a checkpoint of everything, so an older one holds nothing of
worth but reports; it is removed as soon as the HES has acknowledged the last of them.
"""

from __future__ import annotations

import asyncio

from gateway.contract.refused import Refused
from gateway.jobs import records
from gateway.jobs.contents import Contents, payload_of
from gateway.journal import Journal
from hal.rt import cbor, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gateway.audit import Audit
    from gateway.journal import Recovery
    from hal.ports import Clock, Storage

_CHECKPOINT_STEP = 8192  # bytes of a checkpoint written at once, give or take a job
_AFTER_DAMAGE = 1 << 20  # numbers left out, so that none is given twice
_EIO = 5
# what comes of a record that another version of the firmware wrote
NOT_UNDERSTOOD = (Refused, ValueError, IndexError, KeyError, TypeError, AttributeError)


class Store:
    """`checkpointed()` is called after each checkpoint. OSError of the storage comes out of every
    method as it is; what stands then is what stood at the last durable moment."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        name: str,
        segment_size: int,
        trail: Audit,
        checkpointed: Callable[[], None],
    ) -> None:
        self.journal = Journal(storage, name, segment_size)
        self.trail = trail
        self.checkpoint_size = 0  # of the last one, in bytes
        self.damaged = False  # found at the start, and not yet followed by a checkpoint
        self._clock = clock
        self._checkpointed = checkpointed
        self._kept = Contents(clock)
        self._batches = 0
        self._group: Group | None = None  # those who wait for the next shared sync
        self._durable_number = 0  # the last report's before what is pending
        self._failures = 0  # how often what was not durable yet was lost
        self._stale = False  # a write failed: RAM is to be rebuilt from flash before it is used
        self._checkpoint: Checkpoint | None = None  # the one being written
        self.recovery = self._rebuild()
        if self.recovery.damaged:
            self.damaged = True
            self.contents.last_number += _AFTER_DAMAGE

    @property
    def contents(self) -> Contents:
        """What the records amount to; rebuilt first where a write has failed."""
        if self._stale:
            self._rebuild()
        return self._kept

    @property
    def last_number(self) -> int:
        """Of the newest report that is durable; 0 if there was none yet."""
        contents = self.contents
        return self._durable_number if self.journal.pending() else contents.last_number

    def begin(self, epoch: int) -> None:
        """Write the checkpoint that a new ledger (then of this epoch) or a damaged one lacks."""
        contents = self.contents
        if contents.epoch == 0 or self.damaged:
            contents.epoch = contents.epoch or epoch
            self.compact()
            self.damaged = False

    def change_epoch(self, epoch: int) -> None:
        """Durable when it returns. OSError: it is the one it was."""
        contents = self.contents
        before, contents.epoch = contents.epoch, epoch
        try:
            if epoch != before:
                self.compact()
        except OSError:
            contents.epoch = before
            raise

    # Writing.

    def write(self, record: list[Any]) -> None:
        """Append and apply; durable at the end of the batch it is in, else at once."""
        with self.batch():
            try:
                position = self.journal.append(cbor.encode(record))
            except OSError:
                self.lost()
                raise
            self.contents.apply(record, position)

    def draft(self, kind: str, details: list[Any]) -> None:
        """Write a record of the audit trail."""
        if self._stale:
            self._rebuild()
        self.write([records.AUDIT] + self.trail.draft(kind, details))

    def batch(self) -> Batch:
        """`with store.batch():` makes everything inside durable with one sync at the end."""
        return Batch(self, True)

    def deferred(self) -> Batch:
        """Like batch(), but without the sync: `await durable()` straight after it. Until then
        nobody outside may be told.
        """
        if not self.journal.pending():
            self._durable_number = self.contents.last_number
        return Batch(self, False)

    async def durable(self) -> None:
        """Returns when all that has happened so far is durable: everybody who calls this in the
        same turn of the loop shares one sync. After an OSError none of it has happened.
        """
        if not self.journal.pending():
            return
        group = self._group
        if group is not None:
            await group.over.wait()
        else:
            group = self._group = Group(self._failures)
            try:
                await asyncio.sleep(0)
            finally:
                self._group = None
                self._end_group(group)
        if group.error is not None:
            raise OSError(group.error, "not written")

    def sync(self) -> None:
        """All so far is durable, without a thought for a checkpoint."""
        self.journal.commit()
        self.trail.adopt()

    def commit(self) -> None:
        """All so far is durable; a checkpoint begins when it is time, or goes on."""
        self.sync()
        # A checkpoint has its own size: it shall stay the smaller part of what is written.
        full = self.journal.full() and self.journal.newest_size() >= 4 * self.checkpoint_size
        if self._checkpoint is None and not full:
            return
        try:
            if self._checkpoint is None:
                self._begin_checkpoint()
            self._continue_checkpoint()
        except OSError as error:
            # What was to be made durable is; room can be made another time.
            log.warning("ledger", "no checkpoint: %s" % error)

    def lost(self) -> None:
        """What was not durable yet is gone from the journal: RAM is to be rebuilt."""
        self._stale = True
        self._failures += 1
        self.trail.forget()

    def _end_group(self, group: Group) -> None:
        try:
            self.commit()
            if group.failures == self._failures:
                group.error = None
            # else somebody else's write failed, and took this one with it
        except OSError as error:
            self.lost()
            group.error = error.errno
        finally:
            group.over.set()

    # Checkpoints.

    def compact(self) -> None:
        """Begin a new segment with a checkpoint; remove the old ones that nobody needs any more."""
        self._begin_checkpoint()
        while self._checkpoint is not None:
            self._continue_checkpoint()

    def drop_old(self) -> None:
        """Remove the segments that nobody needs any more."""
        oldest, trail = self.contents.oldest_needed(), self.trail
        if self.journal.oldest() >= oldest:
            return
        if trail.behind:
            trail.recover()
            for _, payload in self.journal.records():
                try:
                    record = decoded(payload)
                    if record[0] == records.AUDIT:
                        trail.redo(record[1:])
                except NOT_UNDERSTOOD:
                    pass  # said at the start
        trail.sync()
        self.journal.drop_before(oldest)

    def _begin_checkpoint(self) -> None:
        journal = self.journal
        try:
            journal.roll()
        except OSError:
            self.lost()
            raise
        self.trail.adopt()
        self._checkpoint = Checkpoint(journal.newest(), sorted(self.contents.entries))

    def _continue_checkpoint(self) -> None:
        """Write some of it, so that nobody waits long; the old segments go after the last piece."""
        checkpoint, contents, journal = self._checkpoint, self.contents, self.journal
        if checkpoint is None:
            return
        self._checkpoint = None  # unless all goes well
        before, positions = journal.size(), []
        while checkpoint.seqs and journal.size() - before < _CHECKPOINT_STEP:
            entry = contents.entries.get(checkpoint.seqs.pop(0))
            if entry is not None:
                raw = payload_of(journal.read(entry.position))
                position = journal.append(cbor.encode(contents.job_state(entry, raw)))
                positions.append((entry, position))
        last = not checkpoint.seqs
        if last:
            journal.append(cbor.encode(contents.checkpoint(checkpoint.segment)))
        journal.commit()
        for entry, position in positions:
            entry.position = position
        checkpoint.size += journal.size() - before
        if not last:
            self._checkpoint = checkpoint
        else:
            self.checkpoint_size = checkpoint.size
            contents.checkpoint_segment = checkpoint.segment
            self.drop_old()
            self._checkpointed()

    # Recovery.

    def _rebuild(self) -> Recovery:
        """RAM from flash."""
        self._stale = True
        self._kept = Contents(self._clock)
        self._checkpoint = None
        recovery = self.journal.recover(self._replay)
        self._stale = False
        if self.damaged:
            self._kept.last_number += _AFTER_DAMAGE
        return recovery

    def _replay(self, position: int, payload: bytes) -> None:
        try:
            record = decoded(payload)
            if record[0] == records.AUDIT:
                self.trail.redo(record[1:])
            else:
                self._kept.apply(record, position)
        except NOT_UNDERSTOOD as error:
            # Its CRC is right: another version of the firmware wrote it. The gateway must start all
            # the same.
            log.error("ledger", "record at %d is not understood: %r" % (position, error))


class Group:
    """Those who share a sync."""

    __slots__ = ("error", "failures", "over")

    def __init__(self, failures: int) -> None:
        self.failures = failures  # the store's count when it began
        self.over = asyncio.Event()
        self.error: int | None = _EIO  # errno


class Checkpoint:
    """One being written: it begins in `segment`; the jobs `seqs` are still to be written."""

    __slots__ = ("segment", "seqs", "size")

    def __init__(self, segment: int, seqs: list[int]) -> None:
        self.segment = segment
        self.seqs = seqs
        self.size = 0


class Batch:
    """Of a Store; may be nested, then the outermost counts."""

    def __init__(self, store: Store, sync: bool) -> None:
        self._store = store
        self._sync = sync

    def __enter__(self) -> None:
        self._store._batches += 1

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        store = self._store
        store._batches -= 1
        if store._batches or not self._sync:
            return
        try:
            store.commit()
        except OSError:
            store.lost()
            raise


def decoded(payload: bytes) -> list[Any]:
    """A record of the journal; one of NOT_UNDERSTOOD where it is none."""
    record = cbor.decode(payload)
    if not isinstance(record, list):
        raise ValueError("a record is an array, not %r" % type(record))
    return record
