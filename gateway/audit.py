"""The audit trail: what was ordered by whom, and done to which meter, as a chain of hashes.

    record = CBOR [number, hash of the record before (32), time, kind, details]
    hash   = SHA-256 of the record

Numbers count from 1 and never again. The record before the first has the hash 0. Each record is
durable before what it tells of is reported; the hello message carries the number and hash of the
last one, so that whoever shortens or rewrites the trail on the flash is found out.

kind    | details
--------|------------------------------------------------------------------------------------------
start   | firmware
job     | job id, key id of who signed it (empty: found in the ledger at a start), SHA-256 of its
        | payload, kind of job, number of meters
cancel  | job id, key id
pause   | job id, key id, whether paused
trust   | number, text
keys    | number, text
clock   | date before, date after: by a signed time
done    | job id, serial, attempt, outcome, reason, path
cut     | number of the oldest record that is kept, hash of the record before it
damaged | what recovery says

The trail keeps to its size: when it is full, a `cut` record says where it begins from then on, and
only then the older segments are removed. An offline check (verify()) starts at a record 1, or where
a cut record says.
"""

from __future__ import annotations

import hashlib

from gateway.journal import Journal, segment_of
from hal.rt import cbor, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from hal.ports import Clock, Storage

NAME = "audit"
MAX_TEXT = 200
_SEGMENTS = 8  # of which a full trail consists, about
_NOTHING = bytes(32)


class AuditBroken(Exception):
    """The trail does not check out; says at which record, what was expected and what came."""


class Audit:
    """`size`: bytes the trail may take. OSError of the storage comes out as it is, and then the
    record is not in the trail."""

    def __init__(self, storage: Storage, clock: Clock, size: int) -> None:
        self._clock = clock
        self._size = size
        self._journal = Journal(storage, NAME, max(size // _SEGMENTS, 2048))
        self.records = 0  # how many there ever were
        self.head = _NOTHING  # the hash of the last
        self._starts: dict[int, tuple[int, bytes]] = {}  # segment: (first number, hash before it)
        self._jobs: dict[bytes, bool] = {}
        recovery = self._journal.recover(self._apply)
        for note in recovery.notes:
            log.warning(NAME, note)
            if recovery.damaged:
                self.note("damaged", [note[:MAX_TEXT]])

    def note(self, kind: str, details: list[Any]) -> None:
        """One record, durable when this returns."""
        self._append(kind, details)
        if self._journal.full():
            try:
                self._begin_segment()
            except OSError as error:
                # The record is there; room can be made another time.
                log.warning(NAME, "no new segment: %s" % error)

    def note_if_possible(self, kind: str, details: list[Any]) -> None:
        """As note(), for what has happened already: a storage that refuses is only logged."""
        try:
            self.note(kind, details)
        except OSError as error:
            log.error(NAME, "storage: no record of %s: %s" % (kind, error))

    def has_job(self, job_id: bytes) -> bool:
        """Whether its `job` record is in the trail; of those cut off, it is not known."""
        return job_id in self._jobs

    def _append(self, kind: str, details: list[Any]) -> None:
        number = self.records + 1
        record = cbor.encode([number, self.head, self._clock.unix_time(), kind, details])
        position = self._journal.append(record)
        self._journal.commit()
        self._apply(position, record)

    def _begin_segment(self) -> None:
        self._journal.roll()
        while self._journal.size() > self._size - self._size // _SEGMENTS:
            segments = sorted(self._starts)
            if len(segments) < 2:
                break
            self._append("cut", list(self._starts[segments[1]]))
            self._journal.drop_before(segments[1])
            del self._starts[segments[0]]

    def _apply(self, position: int, record: bytes) -> None:
        try:
            number, previous, _, kind, details = cbor.decode(record)
            if kind == "job":
                self._jobs[details[0]] = True
        except (ValueError, IndexError, TypeError):
            log.error(NAME, "record at %d is not understood" % position)
            number, previous = self.records + 1, self.head
        segment = segment_of(position)
        if segment not in self._starts:
            self._starts[segment] = (number, previous)
        self.records = number
        self.head = hashlib.sha256(record).digest()

    def forget_jobs(self) -> None:
        """has_job() is not asked any more."""
        self._jobs = {}


class Verified:
    """What verify() found: `first` and `last` number, `head` the hash of the last, `cut_at` the
    first number where older ones were cut off, 0 if none were."""

    __slots__ = ("cut_at", "first", "head", "last")

    def __init__(self) -> None:
        self.first = 0
        self.last = 0
        self.head = _NOTHING
        self.cut_at = 0


def verify(records: Iterable[bytes], whole: bool = True) -> Verified:
    """Check the whole chain, oldest record first. AuditBroken at the first break.

    Only the beginning and the end it cannot see by itself: the beginning must be record 1, or what
    a cut record says, unless this is not meant to be the `whole` trail; the end is to be compared
    with the head that the HES knows.
    """
    found = Verified()
    begins: tuple[int, bytes] = (1, _NOTHING)
    cuts: list[tuple[int, bytes]] = []
    for raw in records:
        number, previous, _, kind, details = _decoded(raw, found.last + 1)
        if not found.first:
            found.first = number
            begins = (number, previous)
        else:
            if number != found.last + 1:
                raise AuditBroken(
                    "after record %d: expected record %d, came %d"
                    % (found.last, found.last + 1, number)
                )
            if previous != found.head:
                raise AuditBroken(
                    "record %d: it follows a record with the hash %s, but record %d has %s;"
                    " one of the two was changed"
                    % (number, previous.hex(), found.last, found.head.hex())
                )
        if kind == "cut":
            cuts.append((details[0], details[1]))
        found.last = number
        found.head = hashlib.sha256(raw).digest()
    if begins != (1, _NOTHING):
        if whole and begins not in cuts:
            raise AuditBroken(
                "it begins with record %d, and no cut record says so: the beginning is missing"
                % begins[0]
            )
        found.cut_at = begins[0]
    return found


def _decoded(raw: bytes, expected: int) -> tuple[int, bytes, int, str, list[Any]]:
    try:
        number, previous, time, kind, details = cbor.decode(raw)
        if type(number) is not int or not isinstance(previous, bytes) or len(previous) != 32:
            raise ValueError
        if kind == "cut" and (type(details[0]) is not int or not isinstance(details[1], bytes)):
            raise ValueError
    except (ValueError, TypeError, IndexError):
        raise AuditBroken("record %d: it is no audit record" % expected)
    return number, previous, time, kind, details
