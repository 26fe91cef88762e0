"""Invocation counters: each number is used for one ciphered APDU to one meter, never again.

AES-GCM loses everything when a nonce comes twice (NIST SP 800-38D 8), and a meter refuses a counter
that is not above the last. So numbers are reserved in blocks, and a block is durable in the journal
before its first number is given out: after a restart the rest of the block is lost, none is reused.
Each record is the last reserved number (4 bytes, big-endian) and the serial (none: the floor for
meters that have no record).
"""

from __future__ import annotations

from gateway.contract.limits import MAX_COUNTER
from gateway.journal import Journal
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from hal.ports import Storage

WHERE = "counters"
JOURNAL = "counters"
JOURNAL_SIZE = 131072  # 2000 meters take 50 kB; beyond this the journal is rewritten
FIRST = 1
LAST = 0xFFFFFFFF
BLOCK = 256
# A meter may ask for a higher counter, but an exception-response is not authenticated: whoever
# forges one must not be able to use up the key's numbers at once.
MAX_JUMP = 1 << 24
# Skipped for every meter when the journal was damaged: more than the lost records can reserve.
SKIP = 1 << 16


class CounterError(Exception):
    """No counter can be given out; says for which meter and what to do."""


class NotStored(CounterError):
    """The flash refuses: for now there is no counter."""


class Counters:
    """The next invocation counter of every meter, durable."""

    def __init__(self, storage: Storage) -> None:
        self._journal = Journal(storage, JOURNAL, JOURNAL_SIZE)
        self._reserved: dict[str, int] = {}  # serial -> first number not reserved
        self._next: dict[str, int] = {}  # serial -> next number, below the reserved end
        self._floor = FIRST  # of meters the journal does not name
        recovery = self._journal.recover(self._apply)
        for note in recovery.notes:
            log.warning(WHERE, note)
        if recovery.cut:
            self._floor = min(self._floor + SKIP, LAST + 1)
            for serial in list(self._reserved):
                self._reserved[serial] = min(self._reserved[serial] + SKIP, LAST + 1)
            self._journal.rewrite(self._records())

    def next(self, serial: str) -> int:
        """FIRST..LAST, each once. CounterError when all are used up, OSError of the storage."""
        number = self._peek(serial)
        if number > LAST:
            raise CounterError("%s: invocation counters used up; give the meter new keys" % serial)
        if number >= self._reserved_end(serial):
            self._reserve(serial, number)
        self._next[serial] = number + 1
        return number

    def raise_to(self, serial: str, value: int) -> None:
        """next() gives at least `value` from here on. Lower values change nothing."""
        number = self._peek(serial)
        if value <= number:
            return
        if value - number > MAX_JUMP or value > LAST:
            raise CounterError(
                "%s wants invocation counter %d, %d is next: further than %d, not believed;"
                " if it is so, send its keys again with that counter"
                % (serial, value, number, MAX_JUMP)
            )
        self._next[serial] = value

    def begin_at(self, serial: str, value: int) -> None:
        """As raise_to(), however far it is: whoever commissioned the meter says so. CounterError
        above MAX_COUNTER."""
        if value > self._peek(serial):
            if value > MAX_COUNTER:
                raise CounterError(
                    "%s: told to begin at invocation counter %d, %d at most; correct it where its"
                    " keys or its model are" % (serial, value, MAX_COUNTER)
                )
            self._next[serial] = value

    def _peek(self, serial: str) -> int:
        number = self._next.get(serial)
        return self._reserved_end(serial) if number is None else number

    def _reserved_end(self, serial: str) -> int:
        return self._reserved.get(serial, self._floor)

    def _reserve(self, serial: str, number: int) -> None:
        end = min(number + BLOCK, LAST + 1)
        self._journal.append(_record(serial, end))
        self._journal.commit()
        self._reserved[serial] = end
        if self._journal.full():
            self._journal.rewrite(self._records())

    def _apply(self, position: int, record: bytes) -> None:
        end = int.from_bytes(record[:4], "big") + 1
        serial = str(record[4:], "utf-8")
        if serial == "":
            self._floor = max(self._floor, end)
        else:
            self._reserved[serial] = max(end, self._reserved.get(serial, FIRST))

    def _records(self) -> Iterator[bytes]:
        yield _record("", self._floor)
        for serial, end in self._reserved.items():
            yield _record(serial, end)


def _record(serial: str, end: int) -> bytes:
    # The last reserved number rather than the end: that one fits 32 bits.
    return (end - 1).to_bytes(4, "big") + serial.encode()
