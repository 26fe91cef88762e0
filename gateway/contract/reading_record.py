"""The records of the readings stream: the same octets on the flash and in a Readings message.

Each takes one number of the stream, but Lost and Kept, which stand for all up to `last`. What a
column of Rows means a Layout says, which stands in the stream before the first Rows that names it,
and again from time to time: it is told from others by its content, so meters of one model have it
together, and whoever knows it need not hear it again.
"""

from __future__ import annotations

from hashlib import sha256

from gateway.contract.fields import Record, field, one_of, record
from gateway.contract.limits import MAX_READING
from gateway.contract.refused import Refused
from gateway.contract.rules import (
    SERIAL,
    TIME,
    UINT32,
    UINT64,
    array_of,
    integer,
    octets,
    or_null,
    row,
    text,
    uint,
)
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Reading: TypeAlias = "Layout | Rows | Values | Lost | Gap | Kept"

MAX_PROFILE_COLUMNS = 200
MAX_TASK = 32  # octets of a task's name

_CLASS = uint(0xFFFF, 1)
_OBIS = octets(6, 6)
_ATTRIBUTE = integer(-128, 127)  # below 0: of the manufacturer
_SCALER = or_null(integer(-128, 127))
_UNIT = or_null(uint(255))
_COLUMN = row(_CLASS, _OBIS, _ATTRIBUTE, uint(0xFFFF), uint(255), _SCALER, _UNIT)
_VALUE = row(_CLASS, _OBIS, _ATTRIBUTE, octets(MAX_READING, 1), _SCALER, _UNIT)


@record(1)
class Layout(Record):
    """The columns of a profile or log that is the object `obis` of `class_id`: each [class id,
    OBIS, attribute, data index, tag of the type, scaler, unit], the first the time's. A last one,
    the flags of quality.py, is not among them. `period` in seconds, 0: rows come as things happen.
    """

    class_id: int = field(_CLASS)
    obis: bytes = field(_OBIS)
    period: int = field(uint(UINT32))
    columns: list[list[Any]] = field(array_of(_COLUMN, MAX_PROFILE_COLUMNS, 1))


@record(2)
class Rows(Record):
    """Rows of the meter `serial` in the columns of `layout` (layout_id()), read at `read_at` for
    the task of that name ("": none), in block.py's form. First in each stands its time, seconds
    since 1970 UTC, last its flags.
    """

    layout: int = field(uint(UINT64))
    serial: str = field(SERIAL)
    task: str = field(text(MAX_TASK))
    read_at: int = field(TIME)
    block: bytes = field(octets(MAX_READING, 1))


@record(3)
class Values(Record):
    """What attributes of a meter were at `read_at`: each [class id, OBIS, attribute, A-XDR, scaler,
    unit].
    """

    serial: str = field(SERIAL)
    task: str = field(text(MAX_TASK))
    read_at: int = field(TIME)
    values: list[list[Any]] = field(array_of(_VALUE, 64, 1))


@record(4)
class Lost(Record):
    """The records up to and with the number `last` are lost, for want of room (`no-room`) or to
    damage of the flash (`damage`). The next number is last + 1.
    """

    last: int = field(uint(UINT64, 1))
    reason: str = field(text(32, 1))


@record(5)
class Gap(Record):
    """The meter itself has no rows from `start` to `end`, both included, in the profile; `reason`
    is one of GAPS in quality.py.
    """

    serial: str = field(SERIAL)
    class_id: int = field(_CLASS)
    obis: bytes = field(_OBIS)
    start: int = field(TIME)
    end: int = field(TIME)
    reason: str = field(text(32, 1))


@record(6)
class Kept(Record):
    """The records up to and with the number `last` stay at the concentrator until they are asked
    for. The next number is last + 1.
    """

    last: int = field(uint(UINT64, 1))


NO_ROOM, DAMAGE = "no-room", "damage"

_ANY = one_of(Layout, Rows, Values, Lost, Gap, Kept)
_LEVELS = 4


def encode(reading: Reading) -> bytes:
    return cbor.encode(reading.to_array())


def decode(raw: bytes) -> Reading:
    """Refused `malformed`, `oversized`."""
    if len(raw) > MAX_READING:
        raise Refused("oversized", "a record of readings has at most %d octets" % MAX_READING)
    try:
        item = cbor.decode(raw, (), 0, _LEVELS)
    except cbor.CborError as error:
        raise Refused("malformed", "record of readings: %s" % error)
    if not _ANY.fits(item):
        raise Refused("malformed", "expected a record of readings as reading_record.py has it")
    assert _ANY.load is not None
    found: Reading = _ANY.load(item)
    return found


def layout_id(raw: bytes) -> int:
    """Of a Layout as encoded: the first 8 octets of its SHA-256."""
    return int.from_bytes(sha256(raw).digest()[:8], "big")


def numbered(first: int, records: list[bytes]) -> list[tuple[int, Reading]]:
    """The records of a Readings message, each with its last number. Refused as decode(), and where
    a Lost or Kept one does not go on from the number before."""
    found: list[tuple[int, Reading]] = []
    number = first
    for raw in records:
        reading = decode(raw)
        last = reading.last if isinstance(reading, (Lost, Kept)) else number
        if last < number:
            raise Refused("malformed", "record %d stands for those up to %d" % (number, last))
        found.append((last, reading))
        number = last + 1
    return found
