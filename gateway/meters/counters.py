"""Invocation counters: each number is used for one ciphered APDU to one meter, never again.

AES-GCM loses everything when a nonce comes twice (NIST SP 800-38D 8), and a meter refuses a counter
that is not above the last. So numbers are reserved in blocks, and a block is durable in the journal
before its first number is given out: after a restart the rest of the block is lost, none is reused.

Numbers belong to a key. A new key goes on where the one before it was, which is right for any key;
but where that one has used more than half of them, the new one begins anew, and the old one is
never taken again.

A meter may ask for a higher number, and nobody has proven that it is the meter who asks. All that
is asked for it in a day raises its numbers by MAX_JUMP at most: more than a year of busy reading,
so whoever has lost so few goes on, and whoever lies needs eleven years to use up a key.

The flash may be older than it seems: a copy of the data folder that somebody has put back, or one
of two that both go on. So each start skips, for each meter, a random stride of up to 1/65536 of the
numbers that are left: 32768 on average at first, less later, so that no number of starts uses up a
key. With a start a day a tenth of the numbers is gone after 38 years, with one an hour half of them
after ten; busy reading takes a thousand a day. Two lives from the same copy that use n numbers
each overlap by chance with 2n in 65536. What that leaves is for the HES, which remembers how many
numbers were ever `used`, of all meters together, strides left out: skip().

Records, each of them the last reserved number (4 bytes, big-endian) and then

  serial                              of which key is not known; no serial: the floor for
                                      meters that have no record
  00 key(4) serial                    `key`: 30 bits of a hash
  01 key(4) since(4) raised(4) serial and raised by so much since then (unix time)
  02 key(4) serial                    this key of the meter is not taken any more
  03 used(8)                          so many were used
"""

from __future__ import annotations

import hashlib

from gateway.contract.limits import MAX_COUNTER
from gateway.journal import Journal
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hal.ports import Storage

WHERE = "counters"
JOURNAL = "counters"
JOURNAL_SIZE = 131072  # 2000 meters take 60 kB; beyond this the journal is rewritten
FIRST = 1
LAST = 0xFFFFFFFF
BLOCK = 256
MAX_JUMP = 1 << 20
DAY_S = 86400
HALF = 1 << 31
# Skipped for every meter when the journal was damaged: more than the lost records can reserve.
SKIP = 1 << 16
# Skipped where the journal is gone altogether: more than strides and reading take in twenty years.
LOST = 1 << 28
MOST_USED = 1 << 62  # what anybody may claim; it still counts on from there
_OF_KEY, _RAISED, _SPENT, _USED = 0, 1, 2, 3  # no serial begins so


class CounterError(Exception):
    """No counter can be given out; says for which meter and what to do."""


class NotStored(CounterError):
    """The flash refuses: for now there is no counter."""


class Counters:
    """The next invocation counter of every meter, durable. `random(n)` gives n random bytes.
    `lost`: there was a journal, and it is gone. OSError of the storage.

    `used`: how many were ever reserved, or left out for what a meter is said to want.
    """

    def __init__(
        self, storage: Storage, random: Callable[[int], bytes], lost: bool = False
    ) -> None:
        self._journal = Journal(storage, JOURNAL, JOURNAL_SIZE)
        self._random = random
        self.used = 0
        self._left_out = 0  # not yet in `used`
        self._reserved: dict[str, int] = {}  # serial -> first number not reserved
        self._next: dict[str, int] = {}  # serial -> next number, below the reserved end
        self._key: dict[str, int] = {}  # serial -> the key they are of
        self._raised: dict[str, tuple[int, int]] = {}  # serial -> (since, by how much)
        self._spent: list[tuple[str, int]] = []  # (serial, key)
        self._floor = FIRST  # of meters the journal does not name
        recovery = self._journal.recover(self._apply)
        for note in recovery.notes:
            log.warning(WHERE, note)
        self.used_before = self.used  # this start
        if recovery.cut or lost:
            self.skip(LOST if lost else SKIP)

    def next(self, serial: str) -> int:
        """FIRST..LAST, each once. CounterError when all are used up, OSError of the storage."""
        number = self._peek(serial)
        if number > LAST:
            raise CounterError("%s: invocation counters used up; give the meter new keys" % serial)
        if number >= self._reserved_end(serial):
            self._reserve(serial, number)
        self._next[serial] = number + 1
        return number

    def raise_to(self, serial: str, value: int, now: int) -> None:
        """next() gives at least `value` from here on, because the meter is said to want it. Lower
        values change nothing. `now`: unix time, 0 while the clock is unset."""
        number = self._peek(serial)
        if value <= number:
            return
        since, raised = self._raised.get(serial, (now, 0))
        if now and abs(now - since) >= DAY_S:  # further back: the clock was wrong then
            since, raised = now, 0
        raised += value - number
        if raised > MAX_JUMP or value > LAST:
            raise CounterError(
                "%s wants invocation counter %d, %d is next: not believed, a meter may raise it by"
                " %d a day; if it is so, send its keys again with that counter"
                % (serial, value, number, MAX_JUMP)
            )
        self._raised[serial] = since, raised
        self._left_out += value - number
        self._next[serial] = value

    def skip(self, count: int, used: int = 0) -> None:
        """Leave out so many numbers of every meter, also of those that come later; at least `used`
        were used. Durable when it returns; OSError of the storage."""
        self.used = max(self.used, min(used, MOST_USED))
        self._floor = min(self._floor + count, LAST + 1)
        for numbers in (self._reserved, self._next):
            for serial in list(numbers):
                numbers[serial] = min(numbers[serial] + count, LAST + 1)
        self._journal.rewrite(self._records())

    def begin_at(self, serial: str, key: bytes, value: int) -> None:
        """The meter's key is this one (b"": none), and next() gives at least `value`, however far
        it is: whoever commissioned the meter says so. CounterError above MAX_COUNTER, and for a key
        that is not taken any more; OSError of the storage."""
        if key:
            self._belong(serial, _short(key))
        # What was skipped for all is skipped here too: it may have begun there before.
        begin = value + self._floor - FIRST
        if value and begin > self._peek(serial):
            if value > MAX_COUNTER:
                raise CounterError(
                    "%s: told to begin at invocation counter %d, %d at most; correct it where its"
                    " keys or its model are" % (serial, value, MAX_COUNTER)
                )
            self._next[serial] = begin + self._stride(begin)

    def _belong(self, serial: str, key: int) -> None:
        old = self._key.get(serial)
        if old == key:
            return
        if (serial, key) in self._spent:
            raise CounterError(
                "%s: the invocation counters of this key are used up, and it was replaced for that;"
                " give the meter new keys" % serial
            )
        if old is not None and self._peek(serial) > HALF:
            if (serial, old) not in self._spent:
                self._journal.append(_record(LAST + 1, serial, _SPENT, old))
                self._journal.commit()
                self._spent.append((serial, old))
            self._raised.pop(serial, None)
            # The floor, and not FIRST: damage may have taken away what this key has used.
            self._reserved[serial] = self._floor
            self._next.pop(serial, None)
            log.warning(WHERE, "%s has a new key: its invocation counters begin anew" % serial)
        self._key[serial] = key

    def _peek(self, serial: str) -> int:
        number = self._next.get(serial)
        if number is None:  # the first time in this life
            end = self._reserved_end(serial)
            number = self._next[serial] = end + self._stride(end)
        return number

    def _stride(self, number: int) -> int:
        left = LAST + 1 - number
        return int.from_bytes(self._random(4), "big") % ((left >> 16) + 1) if left > 0 else 0

    def _reserved_end(self, serial: str) -> int:
        return self._reserved.get(serial, self._floor)

    def _reserve(self, serial: str, number: int) -> None:
        end = min(number + BLOCK, LAST + 1)
        used = self.used + self._left_out + end - number
        self._journal.append(self._of_meter(serial, end))
        self._journal.append(_used(used))
        self._journal.commit()
        self._reserved[serial], self.used, self._left_out = end, used, 0
        if self._journal.full():
            self._journal.rewrite(self._records())

    def _apply(self, position: int, record: bytes) -> None:
        end = int.from_bytes(record[:4], "big") + 1
        form = record[4] if len(record) > 4 else -1
        if form == -1:
            self._floor = max(self._floor, end)
        elif form == _USED:
            self.used = max(self.used, int.from_bytes(record[5:], "big"))
        elif form > _USED:
            self._take(str(record[4:], "utf-8"), None, end)
        else:
            key = int.from_bytes(record[5:9], "big")
            serial = str(record[17 if form == _RAISED else 9 :], "utf-8")
            if form == _SPENT:
                self._spent.append((serial, key))
                return
            self._take(serial, key, end)
            self._raised.pop(serial, None)
            if form == _RAISED:
                since = int.from_bytes(record[9:13], "big")
                self._raised[serial] = since, int.from_bytes(record[13:17], "big")

    def _take(self, serial: str, key: int | None, end: int) -> None:
        old = self._key.get(serial)
        if key is None or old is None or (serial, old) not in self._spent:
            end = max(end, self._reserved.get(serial, FIRST))
        self._reserved[serial] = end
        if key is not None:
            self._key[serial] = key

    def _records(self) -> Iterator[bytes]:
        yield _record(self._floor)
        yield _used(self.used)
        for serial, end in self._reserved.items():
            yield self._of_meter(serial, end)
        # Behind the meters: the number of one whose key is spent counts until it has another.
        for serial, key in self._spent:
            yield _record(LAST + 1, serial, _SPENT, key)

    def _of_meter(self, serial: str, end: int) -> bytes:
        key = self._key.get(serial)
        if key is None:
            return _record(end, serial)
        raised = self._raised.get(serial)
        if raised is None:
            return _record(end, serial, _OF_KEY, key)
        return _record(end, serial, _RAISED, key, raised)


def _record(
    end: int,
    serial: str = "",
    form: int = -1,
    key: int = 0,
    raised: tuple[int, int] | None = None,
) -> bytes:
    # The last reserved number rather than the end: that one fits 32 bits.
    record = (end - 1).to_bytes(4, "big")
    if form >= 0:
        record += bytes((form,)) + key.to_bytes(4, "big")
    if raised is not None:
        since, by = raised
        record += since.to_bytes(4, "big") + by.to_bytes(4, "big")
    return record + serial.encode()


def _used(count: int) -> bytes:
    return bytes((0, 0, 0, 0, _USED)) + count.to_bytes(8, "big")


def _short(key: bytes) -> int:
    """What tells a key from another, and nothing of the key. 30 bits: no object of its own on a
    32-bit board."""
    digest = hashlib.sha256(b"invocation counter" + key).digest()
    return int.from_bytes(digest[:4], "big") >> 2
