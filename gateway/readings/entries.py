"""What stands in the journal of the readings. The first octet of each entry says what it is:

0    record                     of the stream (gateway/contract/reading_record.py)
1    record                     likewise, kept here until the HES asks for it
2, 3 head record                likewise, Rows: `head` is what series.py has to know of them
16   epoch(4) first(8) acknowledged(8) time(4)     each segment begins with it: `first` is the
                                                   number of the next record, `time` the date
17   acknowledged(8)            the HES has all up to this number
18   series*                    of series.py, whose last record was in a segment that has gone

head = key(6) last(4) digest(6) days(1) rows(2)*days      rows of so many days up to that of
                                                          `last`; integers are big-endian
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Head = tuple[bytes, int, bytes, Sequence[int]]

PLAIN, ASKED, ROWS, ROWS_ASKED = range(4)
BEGIN, ACKNOWLEDGED, CARRIED = 16, 17, 18
_BEGIN = ">BIQQI"
_ACKNOWLEDGED = ">BQ"
_HEAD = ">6sI6sB"
_HEAD_SIZE = 17
# what comes of an entry that another version of the firmware wrote
NOT_UNDERSTOOD = (ValueError, IndexError, getattr(struct, "error", ValueError))


class Written:
    """A record to be written. `rows`: key, last, digest and rows of the days up to that of `last`,
    None where it is no Rows; `layout`: id and octets of the Layout that it needs."""

    __slots__ = ("layout", "octets", "rows")

    def __init__(
        self,
        octets: bytes,
        rows: Head | None = None,
        layout: tuple[int, bytes] | None = None,
    ) -> None:
        self.octets = octets
        self.rows = rows
        self.layout = layout


def plain(record: bytes, asked: bool) -> bytes:
    return bytes((ASKED if asked else PLAIN,)) + record


def rows(head: Head, record: bytes, asked: bool) -> bytes:
    key, last, digest, counts = head
    fixed = struct.pack(_HEAD, key, last, digest, len(counts))
    days = struct.pack(">%dH" % len(counts), *counts)
    return bytes((ROWS_ASKED if asked else ROWS,)) + fixed + days + record


def head_of(entry: bytes) -> Head:
    """Of rows()."""
    key, last, digest, days = struct.unpack_from(_HEAD, entry, 1)
    return key, last, digest, struct.unpack_from(">%dH" % days, entry, 1 + _HEAD_SIZE)


def is_of(entry: bytes, key: bytes) -> bool:
    """Whether they are rows of this series."""
    return entry[0] in (ROWS, ROWS_ASKED) and entry[1 : 1 + len(key)] == key


def record_of(entry: bytes) -> bytes:
    """Of plain() or rows()."""
    if entry[0] < ROWS:
        return entry[1:]
    return entry[1 + _HEAD_SIZE + 2 * entry[_HEAD_SIZE] :]


def begin(epoch: int, first: int, acknowledged: int, time: int) -> bytes:
    return struct.pack(_BEGIN, BEGIN, epoch, first, acknowledged, time)


def begun(entry: bytes) -> tuple[int, int, int, int]:
    """Epoch, first, acknowledged and time of begin()."""
    _, epoch, first, acknowledged, time = struct.unpack(_BEGIN, entry)
    return epoch, first, acknowledged, time


def acknowledged(number: int) -> bytes:
    return struct.pack(_ACKNOWLEDGED, ACKNOWLEDGED, number)


def number_of(entry: bytes) -> int:
    """Of acknowledged()."""
    number: int = struct.unpack(_ACKNOWLEDGED, entry)[1]
    return number
