"""The audit trail: what was ordered by whom, and done to which meter, as a chain of hashes.

    record = CBOR [number, hash of the record before (32), time, kind, details]
    hash   = SHA-256 of the record

Numbers count from 1 and never again. The record before the first has the hash 0. Each record is
durable, here or in the ledger, before what it tells of is reported; the hello message carries the
number and hash of the last one, so that whoever shortens or rewrites the trail on the flash is
found out.

kind    | details
--------|------------------------------------------------------------------------------------------
start   | firmware
job     | job id, key id of who signed it, SHA-256 of its payload, kind of job, number of meters
cancel  | job id, key id
pause   | job id, key id, whether paused
trust   | number, text
keys    | number, text
model   | name, number, text
change  | number, text
older   | text: the HES knows of more than is here, the data folder is an old copy
clock   | date before, date after: by a signed time
done    | job id, serial, attempt, outcome, reason, path
local   | of a technician at the board's port, by his system title: "in", title; "refused", title;
        | "meter", title, serial, kind of path
cut     | number of the oldest record that is kept, hash of the record before it
damaged | what recovery says

The ledger carries of each record all but the hash of the one before, which follows from the chain.
The trail keeps to its size: when it is full, a `cut` record says where it begins from then on, and
only then the older segments are removed. An offline check (verify()) starts at a record 1, or where
a cut record says.
"""

from __future__ import annotations

import hashlib

from gateway.journal import Journal, beginning_of, segment_of
from hal.rt import cbor, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from gateway.journal import Recovery
    from hal.ports import Clock, Storage

NAME = "audit"
_SEGMENTS = 8  # of which a full trail consists, about
_NOTHING = bytes(32)


class AuditBroken(Exception):
    """The trail does not check out; says at which record, what was expected and what came."""


class Audit:
    """`size`: bytes the trail may take. Never raises OSError but in sync() and hash_of().

    Each record reaches the flash in the ledger first, with what it tells of, so one sync serves
    both: draft() gives what the ledger is to carry, adopt() says that it is durable there. The
    trail's own file is written then, without a sync of its own: before the ledger lets go of what
    it carries it calls sync(), and after a power cut it gives back what the file lacks: redo().
    """

    def __init__(self, storage: Storage, clock: Clock, size: int) -> None:
        self._clock = clock
        self._size = size
        self._journal = Journal(storage, NAME, max(size // _SEGMENTS, 2048))
        self._drafts: list[bytes] = []
        self._draft_head = _NOTHING  # the hash of the last of them
        self.recovery = self.recover()
        for note in self.recovery.notes:
            log.warning(NAME, note)

    def recover(self) -> Recovery:
        """From the file alone: records that only the ledger has are to come by redo()."""
        self.records = 0  # how many there ever were
        self.head = _NOTHING  # the hash of the last
        self.behind = False  # the file lacks records that are in the ledger
        self._starts: dict[int, tuple[int, bytes]] = {}  # segment: (first number, hash before it)
        return self._journal.recover(self._found)

    def draft(self, kind: str, details: list[Any]) -> list[Any]:
        """The next record, for the ledger to carry; it counts from adopt() on."""
        number = self.records + len(self._drafts) + 1
        before = self._draft_head if self._drafts else self.head
        time = self._clock.unix_time()
        record = cbor.encode([number, before, time, kind, details])
        self._drafts.append(record)
        self._draft_head = hashlib.sha256(record).digest()
        return [number, time, kind, details]

    def adopt(self) -> None:
        """The drafts are durable in the ledger."""
        drafts, self._drafts = self._drafts, []
        for record in drafts:
            self._add(self.records + 1, record)
        if drafts and not self.behind:
            try:
                self._journal.flush()
                if self._journal.full():
                    self._journal.roll()
                    self._cut()
            except OSError as error:
                self._fell_behind(error)

    def forget(self) -> None:
        """The drafts are not in the ledger."""
        self._drafts = []

    def redo(self, carried: list[Any]) -> None:
        """What draft() gave, found in the ledger."""
        number, time, kind, details = carried
        if number <= self.records:
            return
        if number != self.records + 1:
            log.error(NAME, "records %d to %d are lost" % (self.records + 1, number - 1))
        self._add(number, cbor.encode([number, self.head, time, kind, details]))

    def sync(self) -> None:
        """All records are durable in the trail's own file. Not while it is `behind`."""
        self._journal.commit()

    def hash_of(self, number: int) -> bytes | None:
        """The hash of the record with this number; None where it cannot be told (any more)."""
        if number == self.records:
            return self.head
        begins = [one for one in self._starts if self._starts[one][0] <= number + 1]
        if self.behind or not begins or not 0 < number < self.records:
            return None
        self._journal.commit()
        for _, record in self._journal.records(beginning_of(max(begins))):
            found: list[Any] = cbor.decode(record)
            if found[0] == number + 1:
                previous: bytes = found[1]
                return previous
        return None

    def _add(self, number: int, record: bytes) -> None:
        if not self.behind:
            try:
                self._begins(self._journal.append(record), number, self.head)
            except OSError as error:
                self._fell_behind(error)
        self.records = number
        self.head = hashlib.sha256(record).digest()

    def _fell_behind(self, error: OSError) -> None:
        """The journal is back at its last sync."""
        log.error(NAME, "storage: %s" % error)
        self.behind = True

    def _cut(self) -> None:
        """Keep to the size; where the trail begins then is said first, by a record durable at once,
        as the ledger does not carry it."""
        while self._journal.size() > self._size - self._size // _SEGMENTS:
            segments = sorted(self._starts)
            if len(segments) < 2:
                break
            number = self.records + 1
            details = list(self._starts[segments[1]])
            record = cbor.encode([number, self.head, self._clock.unix_time(), "cut", details])
            try:
                position = self._journal.append(record)
                self._journal.commit()
            except OSError as error:
                # Room can be made another time.
                log.warning(NAME, "nothing is cut off: %s" % error)
                return
            self._found(position, record)
            self._journal.drop_before(segments[1])
            del self._starts[segments[0]]

    def _found(self, position: int, record: bytes) -> None:
        try:
            number, previous, _, _, _ = cbor.decode(record)
        except (ValueError, TypeError):
            log.error(NAME, "record at %d is not understood" % position)
            number, previous = self.records + 1, self.head
        self._begins(position, number, previous)
        self.records = number
        self.head = hashlib.sha256(record).digest()

    def _begins(self, position: int, number: int, previous: bytes) -> None:
        """Keep what each segment begins with."""
        segment = segment_of(position)
        if segment not in self._starts:
            self._starts[segment] = (number, previous)


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
