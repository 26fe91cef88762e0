"""Packages for the jobs that need them: a job begins once its package is here and proven, and what
no open job needs leaves the flash. Meters that wait for a model have their turn once it has come.
"""

from __future__ import annotations

from gateway.contract.refused import Refused
from gateway.uplink.files import COMPLETE, UNFIT
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.messages import Chunk
    from gateway.jobs.entry import Entry
    from gateway.jobs.ledger import Ledger
    from gateway.jobs.queue import Queue
    from gateway.uplink.files import Files

_WHERE = "uplink"
_ONLY_UNFIT = "the job names a file of %d octets; of all chunks that came none fits it"


class Provision:
    def __init__(self, ledger: Ledger, queue: Queue, files: Files) -> None:
        self._ledger = ledger
        self._queue = queue
        self._files = files

    def resume(self) -> None:
        """After a restart: pull on what open jobs still lack."""
        self.tidy()
        for entry in self._ledger.open_jobs():
            try:
                self.provide(entry)
            except OSError as error:
                log.error(_WHERE, "job %s: storage: %s" % (entry.job.id.hex(), error))

    def provide(self, entry: Entry) -> None:
        """Let the job begin if its package is here and good; have it pulled if not here."""
        ref = entry.job.package
        if ref is None or entry.final_number:
            return
        if not self._files.has(ref.digest):
            self._files.want(ref.digest, ref.size)
            return
        try:
            self._files.proven(entry.job.traits.takes, ref.digest)
        except Refused as refused:
            self._queue.fail_job(entry.job.id, refused.reason, refused.detail)
        else:
            self._queue.release(entry.job.id)

    def take(self, chunk: Chunk, now_ms: int) -> None:
        """A piece of a package has come."""
        outcome = self._files.take(chunk, now_ms)
        if outcome is None:
            return
        log.info(_WHERE, "package %s: %s" % (chunk.digest.hex()[:16], outcome))
        for entry in self._ledger.open_jobs():
            ref = entry.job.package
            if ref is not None and ref.digest == chunk.digest:
                if outcome == COMPLETE:
                    self.provide(entry)
                else:
                    detail = _ONLY_UNFIT % ref.size if outcome == UNFIT else ""
                    self._queue.fail_job(entry.job.id, outcome, detail)

    def model_taken(self) -> None:
        self._queue.over("unknown-model")

    def prove_anew(self) -> None:
        """The keys that packages are proven by have changed."""
        self._files.forget_proven()

    def tidy(self) -> None:
        """Packages that no open job needs leave the flash."""
        digests = []
        for entry in self._ledger.open_jobs():
            if entry.job.package is not None:
                digests.append(entry.job.package.digest)
        try:
            self._files.keep_only(digests)
        except OSError as error:
            log.error(_WHERE, "storage: %s" % error)
