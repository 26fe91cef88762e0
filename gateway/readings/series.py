"""How far each series is here: a series is one profile or log of one meter. Kept in RAM, and made
anew at each start from what the records on the flash say of themselves.

    series = key(6) last(4) digest(6) segment(4) day(2) rows(2)*8                      big-endian

`last` is the time of the last row recorded, `digest` that of all rows of this time; `segment` of
the journal has the record. `rows` counts the rows of eight days, by the remainder of the day's
number (since 1970, UTC), of which `day` is the newest.

38 octets each, in pages, for a heap in pieces has no room for one large array.
"""

from __future__ import annotations

import struct
from array import array
from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

DAYS = 8
DAY = 86400
DIGEST = 6  # octets
MOST = 0xFFFE  # series
_FORM = ">6sI6sIH8H"
SIZE = struct.calcsize(_FORM)
_PAGE = 64  # series


def key_of(serial: str, obis: bytes) -> bytes:
    """Of the series; of two among thousands it is the same once in many million concentrators."""
    return sha256(obis + serial.encode()).digest()[:6]


class Series:
    def __init__(self) -> None:
        self._pages: list[bytearray] = []
        self._places = array("H", bytes(2 * 256))  # by hash: 1 + number of the series, 0 for none
        self.count = 0

    def last(self, key: bytes) -> tuple[int, bytes]:
        """(0, b"") where there is none."""
        number = self._find(key)
        if number < 0:
            return 0, b""
        found = self._unpacked(number)
        return found[1], found[2]

    def rows(self, key: bytes, day: int) -> int:
        """How many rows of that day are here; -1: too long ago to be known."""
        number = self._find(key)
        if number < 0:
            return 0
        found = self._unpacked(number)
        newest = found[4]
        if day > newest:
            return 0
        return found[5 + day % DAYS] if day > newest - DAYS else -1

    def note(
        self, key: bytes, last: int, digest: bytes, segment: int, counts: Sequence[int]
    ) -> tuple[int, bytes]:
        """A record came: with `counts` rows of so many days, the last of them that of `last`.
        Returns what takes it back: see undo()."""
        number = self._find(key)
        if number < 0:
            fields = [key, last, digest, segment, last // DAY] + [0] * DAYS
            before = b""
            number = self._new(key)
        else:
            fields = list(self._unpacked(number))
            before = self._raw(number)
            fields[1:4] = [last, digest, segment]
        _count(fields, last // DAY, counts)
        self._pack(number, fields)
        return number, before

    def undo(self, step: tuple[int, bytes]) -> None:
        """Take back note(): the last one first."""
        number, before = step
        if before:
            self._put(number, before)
        else:
            self.count -= 1
            self._rehash(len(self._places))

    def before(self, segment: int) -> Iterator[bytes]:
        """The series whose last record is in a segment before, each as above."""
        for number in range(self.count):
            if self._unpacked(number)[3] < segment:
                yield self._raw(number)

    def carried(self, raw: bytes, segment: int) -> None:
        """One of before() that was written again in this segment; of one that has gone on since
        only the newest counts."""
        key = raw[:6]
        number = self._find(key)
        if number < 0:
            number = self._new(key)
        elif self._unpacked(number)[3] > segment:
            return
        self._put(number, raw)
        fields = list(self._unpacked(number))
        fields[3] = segment
        self._pack(number, fields)

    # Inside.

    def _new(self, key: bytes) -> int:
        if self.count >= MOST:
            raise OSError(12, "%d series are known, and no more can be" % MOST)  # ENOMEM
        number = self.count
        if number == len(self._pages) * _PAGE:
            self._pages.append(bytearray(_PAGE * SIZE))
        self.count += 1
        self._put(number, key + bytes(SIZE - 6))
        if 4 * self.count > 3 * len(self._places):
            self._rehash(2 * len(self._places))
        else:
            self._place(number)
        return number

    def _rehash(self, size: int) -> None:
        self._places = array("H", bytes(2 * size))
        for number in range(self.count):
            self._place(number)

    def _place(self, number: int) -> None:
        places, at = self._places, self._hash(self._key(number))
        while places[at]:
            at = (at + 1) % len(places)
        places[at] = number + 1

    def _find(self, key: bytes) -> int:
        """Its number, -1: there is none."""
        places, at = self._places, self._hash(key)
        while places[at]:
            if self._key(places[at] - 1) == key:
                return places[at] - 1
            at = (at + 1) % len(places)
        return -1

    def _hash(self, key: bytes) -> int:
        # Of a SHA-256: any octets will do.
        return (key[0] << 16 | key[1] << 8 | key[2]) % len(self._places)

    def _key(self, number: int) -> bytes:
        start = number % _PAGE * SIZE
        return bytes(self._pages[number // _PAGE][start : start + 6])

    def _raw(self, number: int) -> bytes:
        start = number % _PAGE * SIZE
        return bytes(self._pages[number // _PAGE][start : start + SIZE])

    def _put(self, number: int, raw: bytes) -> None:
        start = number % _PAGE * SIZE
        self._pages[number // _PAGE][start : start + SIZE] = raw

    def _unpacked(self, number: int) -> tuple[Any, ...]:
        return struct.unpack_from(_FORM, self._pages[number // _PAGE], number % _PAGE * SIZE)

    def _pack(self, number: int, fields: list[Any]) -> None:
        struct.pack_into(_FORM, self._pages[number // _PAGE], number % _PAGE * SIZE, *fields)


def _count(fields: list[Any], last: int, counts: Sequence[int]) -> None:
    """Add the rows of the days that end with `last`."""
    newest = fields[4]
    if last > newest:
        for day in range(max(newest + 1, last - DAYS + 1), last + 1):
            fields[5 + day % DAYS] = 0
        fields[4] = newest = last
    for i in range(len(counts)):
        day = last - i
        if day > newest - DAYS:
            place = 5 + day % DAYS
            fields[place] = min(fields[place] + counts[len(counts) - 1 - i], 0xFFFF)
