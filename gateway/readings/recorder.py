"""What was read of one meter becomes records of the stream, and durable together."""

from __future__ import annotations

from hashlib import sha256

from gateway.contract import block, reading_record
from gateway.contract.limits import MAX_READING, READINGS_SIZE
from gateway.contract.quality import JUMPED_BACK, MALFORMED
from gateway.contract.reading_record import Gap, Layout, Rows, Values, layout_id
from gateway.readings.entries import Written
from gateway.readings.series import DAY, DAYS, DIGEST, key_of
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from gateway.readings.store import Store

    # class id, OBIS, attribute, data index, tag of the type, scaler, unit
    Column = tuple[int, bytes, int, int, int, int | None, int | None]
    # class id, OBIS, attribute, value (A-XDR Data), scaler, unit
    Value = tuple[int, bytes, int, bytes, int | None, int | None]

_HEADS = 128  # octets of a record of Rows beside its block, and of the message around it, at most
_MOST_VALUES = 64  # in one record
_MOST_ROWS = 512  # that are collected for one: a batch is far smaller
MOST_WAITING = 65536  # octets that wait for commit()
_ENOMEM = 12


class Recorder:
    """Of one visit to one meter: what it is given waits in RAM until commit(). After an OSError
    of commit() none of that was recorded.

    asked: it stays on the flash until the HES asks for it; wait: it goes up with the next release
    of the store.
    """

    def __init__(self, store: Store, asked: bool = False, wait: bool = False) -> None:
        self._store = store
        self._asked = asked
        self._wait = wait
        self._layouts: dict[int, tuple[bytes, int, bytes]] = {}  # octets, class id, OBIS
        self._open: tuple[int, str, str, int] | None = None  # what all of _rows belong to
        self._forget()

    def another(self) -> Recorder:
        """For another visit."""
        return Recorder(self._store, self._asked, self._wait)

    def layout(
        self, serial: str, class_id: int, obis: bytes, period: int, columns: Sequence[Column]
    ) -> int:
        """What rows() is to be called with. ValueError where there are too many columns."""
        made = Layout(class_id, obis, period, [list(column) for column in columns])
        octets = reading_record.encode(made)
        if len(octets) > MAX_READING or len(columns) > reading_record.MAX_PROFILE_COLUMNS:
            told = "%s: %d columns in %d octets, at most %d in %d"
            most = (reading_record.MAX_PROFILE_COLUMNS, MAX_READING)
            raise ValueError(told % ((serial, len(columns), len(octets)) + most))
        found = layout_id(octets)
        self._layouts[found] = (octets, class_id, obis)
        return found

    def rows(
        self, layout: int, serial: str, task: str, read_at: int, rows: Sequence[Sequence[Any]]
    ) -> None:
        """Rows in the order of the meter, none that is here already: [unix time, a value for each
        further column, flags]. One that is too large for a record becomes a gap.
        """
        if not rows:
            return
        heading, obis = (layout, serial, task, read_at), self._layouts[layout][2]
        last = self.last(serial, obis)
        if self._open != heading or len(self._rows) >= _MOST_ROWS:
            self._close()
            self._open, self._before = heading, last
        self._rows.extend(rows)
        self._tails[key_of(serial, obis)] = self._tail(last, rows)

    def values(self, serial: str, task: str, read_at: int, values: Sequence[Value]) -> None:
        """ValueError where one of them is too large for a record."""
        size = 0
        part: list[list[Any]] = []
        for value in values:
            needed = len(value[3]) + 32
            if needed > MAX_READING - _HEADS:
                most = MAX_READING - _HEADS - 32
                told = "%s: a value of %d octets, at most %d" % (serial, len(value[3]), most)
                raise ValueError(told)
            if part and (size + needed > READINGS_SIZE - _HEADS or len(part) == _MOST_VALUES):
                self._add(_values(serial, task, read_at, part))
                size, part = 0, []
            size += needed
            part.append(list(value))
        if part:
            self._add(_values(serial, task, read_at, part))

    def gap(
        self, serial: str, class_id: int, obis: bytes, start: int, end: int, reason: str
    ) -> None:
        """`reason`: one of GAPS in quality.py."""
        gap = Gap(serial, class_id, obis, start, end, reason)
        self._add(Written(reading_record.encode(gap)))

    async def commit(self) -> None:
        """All is durable when it returns: everybody who calls this in the same turn of the loop
        shares one sync. OSError: none of it is, and it is forgotten."""
        try:
            self._close()
            waiting = self._waiting
        finally:
            self._forget()
        if waiting:
            self._store.write(waiting, self._asked, self._wait)
            await self._store.durable()

    def last(self, serial: str, obis: bytes) -> tuple[int, bytes]:
        """Time of the last row of the series, and the digest of all rows of that time, in their
        order; (0, b"") where there is none."""
        key = key_of(serial, obis)
        return self._tails.get(key) or self._store.series.last(key)

    def complete(self, serial: str, obis: bytes, day: int) -> int:
        """How many rows with times of that day (since 1970, UTC) are on the flash."""
        key = key_of(serial, obis)
        count = self._store.series.rows(key, day)
        if count >= 0:
            return count
        times: set[int] = set()
        for rows in self._store.stored(key):
            times.update([row[0] for row in block.decode(rows.block) if row[0] // DAY == day])
        return len(times)

    async def again(
        self, serial: str, obis: bytes, start: int, end: int, send: bool = True
    ) -> tuple[list[int], int]:
        """The times of the rows from `start` to `end` that are on the flash, and their period; they
        go to the HES once more, durably, where `send` says so. Of very many not all. OSError as
        commit()."""
        times: list[int] = []
        copies: list[Written] = []
        period = size = 0
        for rows, octets in self._store.with_layouts(key_of(serial, obis)):
            found = [row for row in block.decode(rows.block) if start <= row[0] <= end]
            if not found:
                continue
            size += len(rows.block)
            if size > MOST_WAITING:
                break
            times.extend([row[0] for row in found])
            layout = reading_record.decode(octets)
            assert isinstance(layout, Layout)
            period = layout.period
            rows.block = block.encode(found)
            copies.append(Written(reading_record.encode(rows), None, (rows.layout, octets)))
        if copies and send:
            self._store.write(copies)
            await self._store.durable()
        return times, period

    def digest(self, before: bytes, row: Sequence[Any]) -> bytes:
        """The digest after one more row of the same time; `before` b"" for the first. Flags do not
        count."""
        return sha256(before + cbor.encode(list(row[:-1]))).digest()[:DIGEST]

    # Inside.

    def _forget(self) -> None:
        self._waiting: list[Written] = []
        self._open = None
        self._rows: list[Sequence[Any]] = []
        self._before = (0, b"")  # last() without them
        self._size = 0
        self._tails: dict[bytes, tuple[int, bytes]] = {}

    def _add(self, written: Written) -> None:
        self._size += len(written.octets)
        if self._size > MOST_WAITING:
            self._forget()
            raise OSError(_ENOMEM, "more than %d octets wait for commit()" % MOST_WAITING)
        self._waiting.append(written)

    def _close(self) -> None:
        """What rows() has collected becomes records."""
        heading, rows = self._open, self._rows
        self._open, self._rows = None, []
        if heading is None:
            return
        layout, serial = heading[:2]
        octets, class_id, obis = self._layouts[layout]
        key, tail = key_of(serial, obis), self._before
        for part, encoded in _parts(rows):
            tail = self._tail(tail, part)
            if not encoded:
                self.gap(serial, class_id, obis, part[0][0], part[0][0], MALFORMED)
                continue
            head = (key, tail[0], tail[1], _counts(part, tail[0] // DAY))
            record = reading_record.encode(Rows(*heading, encoded))
            self._add(Written(record, head, (layout, octets)))

    def _tail(self, last: tuple[int, bytes], part: Sequence[Sequence[Any]]) -> tuple[int, bytes]:
        """Time and digest of the last row once these are here."""
        time = part[-1][0]
        if time < last[0] and not [row for row in part if row[-1] & JUMPED_BACK]:
            return last  # older ones, read again
        first = len(part) - 1
        while first and part[first - 1][0] == time:
            first -= 1
        digest = last[1] if time == last[0] else b""
        for row in part[first:]:
            digest = self.digest(digest, row)
        return time, digest


def _values(serial: str, task: str, read_at: int, part: list[list[Any]]) -> Written:
    return Written(reading_record.encode(Values(serial, task, read_at, part)))


def _parts(rows: Sequence[Sequence[Any]]) -> Iterator[tuple[Sequence[Sequence[Any]], bytes]]:
    """The rows in pieces, each with its block, which fits a message beside others; b"" for a single
    row that fits none."""
    start = 0
    most = min(block.MAX_ROWS, block.MAX_CELLS // len(rows[0])) if rows else 0
    while start < len(rows):
        part = rows[start : start + most]
        encoded = block.encode(part)
        limit = READINGS_SIZE if len(part) > 1 else MAX_READING
        if len(encoded) <= limit - _HEADS:
            yield part, encoded
            start += len(part)
        elif len(part) > 1:
            most = max(len(part) * (limit - _HEADS) // len(encoded) * 7 // 8, 1)
        else:
            yield part, b""
            start += 1


def _counts(part: Sequence[Sequence[Any]], last: int) -> list[int]:
    """Rows of each day up to `last`."""
    counts = [0] * DAYS
    for row in part:
        back = last - row[0] // DAY
        if 0 <= back < DAYS:
            counts[DAYS - 1 - back] += 1
    while len(counts) > 1 and not counts[0]:
        counts.pop(0)
    return counts
