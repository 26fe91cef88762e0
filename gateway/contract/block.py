"""Rows of readings in few octets: column by column, each in the form that is shortest for it.

    block  = rows columns column*                      both varints; every row has so many columns
    column = 0 first step                              LINE: first, first + step, first + 2 step ..
           | 1 least group*                            PACKED: integers, each above `least`
           | 2 first least group*                      STEPS: from one integer to the next, likewise
           | 3 size [value, times, value, times, ..]   RUNS: a CBOR array of `size` octets
           | 4 size [value, value, ..]                 CELLS: a CBOR array of `size` octets
    group  = width bits                                of 16 integers, the last of fewer: so many
                                                       bits each (`width`, one octet), the most
                                                       significant first; then zeros up to an octet

A varint has seven bits in each octet, the lowest first, and another one follows where the highest
bit is set. `first`, `least` and `step` are zigzag varints: 0, -1, 1, -2 are 0, 1, 2, 3. A value is
an integer of 64 bits, octets, text, true, false, null, a float, or an array of those.

Registers that count are STEPS, what is measured in each period is PACKED; loads come and go in
hours, so each four hours of 15 minutes have a width of their own.
"""

from __future__ import annotations

from gateway.contract.refused import Refused
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

MAX_ROWS = 1024
MAX_COLUMNS = 255
MAX_CELLS = 16384  # of a block: whoever decodes one has room for them

LINE, PACKED, STEPS, RUNS, CELLS = range(5)
GROUP = 16
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1
_MOST_STEP = _MOST - _LEAST
_WIDEST = 66  # bits: between two steps lie at most 2 * _MOST_STEP
_VARINT = 10  # octets at most
_LEVELS = 8  # of arrays inside each other


def encode(rows: Sequence[Sequence[Any]]) -> bytes:
    """The block of at least one row, all of the same number of columns. ValueError for what has no
    place in one."""
    count, width = len(rows), len(rows[0]) if rows else 0
    if not (0 < count <= MAX_ROWS and 0 < width <= MAX_COLUMNS and count * width <= MAX_CELLS):
        raise ValueError(
            "a block has 1..%d rows of 1..%d columns, at most %d cells; came %d rows of %d"
            % (MAX_ROWS, MAX_COLUMNS, MAX_CELLS, count, width)
        )
    out = bytearray()
    _put(out, count)
    _put(out, width)
    for place in range(width):
        column = []
        for row in rows:
            if len(row) != width:
                raise ValueError("all rows have %d columns, one has %d" % (width, len(row)))
            column.append(row[place])
        out += _column(column)
    return bytes(out)


def decode(data: bytes) -> list[list[Any]]:
    """The rows of a block. Refused `malformed`, and never more than MAX_CELLS made for it."""
    pos = [0]
    count, width = _get(data, pos), _get(data, pos)
    if not (0 < count <= MAX_ROWS and 0 < width <= MAX_COLUMNS and count * width <= MAX_CELLS):
        raise _malformed("%d rows of %d columns" % (count, width))
    rows: list[list[Any]] = [[] for _ in range(count)]
    for _ in range(width):
        column = _read_column(data, pos, count)
        for place in range(count):
            rows[place].append(column[place])
    if pos[0] != len(data):
        raise _malformed("%d octets follow the block" % (len(data) - pos[0]))
    return rows


# Writing.


def _column(values: list[Any]) -> bytes:
    """In the shortest form; of two as short the one with the lower number."""
    forms = []
    if _are_integers(values):
        steps = [values[i] - values[i - 1] for i in range(1, len(values))]
        if not steps or min(steps) == max(steps):
            return _line(values[0], steps[0] if steps else 0)
        forms = [_packed(values), _stepped(values[0], steps)]
    runs = _runs(values)
    # Not even looked at where it will not be the shortest.
    if len(runs) < len(values) or not forms:
        forms.append(_array(RUNS, runs))
    if len(forms) == 1:
        forms.append(_array(CELLS, values))
    best = forms[0]
    for form in forms:
        if len(form) < len(best):
            best = form
    return best


def _are_integers(values: list[Any]) -> bool:
    for value in values:
        if type(value) is not int:  # a bool is one in CPython
            return False
    return bool(min(values) >= _LEAST and max(values) <= _MOST)


def _line(first: int, step: int) -> bytes:
    out = bytearray((LINE,))
    _put_signed(out, first)
    _put_signed(out, step)
    return bytes(out)


def _packed(values: list[int]) -> bytes:
    out = bytearray((PACKED,))
    _put_groups(out, values)
    return bytes(out)


def _stepped(first: int, steps: list[int]) -> bytes:
    out = bytearray((STEPS,))
    _put_signed(out, first)
    _put_groups(out, steps)
    return bytes(out)


def _put_groups(out: bytearray, values: list[int]) -> None:
    least = min(values)
    _put_signed(out, least)
    for start in range(0, len(values), GROUP):
        group = values[start : start + GROUP]
        width = _width(max(group) - least)
        out.append(width)
        bits = 0
        for value in group:
            bits = bits << width | (value - least)
        used = width * len(group)
        size = (used + 7) // 8
        out += (bits << (8 * size - used)).to_bytes(size, "big")


def _runs(values: list[Any]) -> list[Any]:
    """Each value that differs from the one before, and how often it stands there."""
    runs: list[Any] = []
    before: Any = None
    for value in values:
        # True is 1, and 1.0 too; on the line they are not.
        now = value if type(value) is int else cbor.encode(value)
        if runs and type(now) is type(before) and now == before:
            runs[-1] += 1
        else:
            runs.append(value)
            runs.append(1)
            before = now
    return runs


def _array(form: int, values: list[Any]) -> bytes:
    content = cbor.encode(values)
    out = bytearray((form,))
    _put(out, len(content))
    return bytes(out) + content


def _width(number: int) -> int:
    """Bits that it takes. MicroPython's int has no bit_length()."""
    width = 0
    while number > 255:
        number >>= 8
        width += 8
    while number:
        number >>= 1
        width += 1
    return width


def _put(out: bytearray, number: int) -> None:
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def _put_signed(out: bytearray, number: int) -> None:
    _put(out, number << 1 if number >= 0 else (-number << 1) - 1)


# Reading. `pos` is a list of one number, the position of what is read next.


def _read_column(data: bytes, pos: list[int], count: int) -> list[Any]:
    form = _octet(data, pos)
    if form == LINE:
        first, step = _get_signed(data, pos), _get_signed(data, pos)
        values = [first + i * step for i in range(count)]
    elif form == PACKED:
        values = _groups(data, pos, count)
    elif form == STEPS:
        values = _summed(_get_signed(data, pos), _groups(data, pos, count - 1))
    elif form == RUNS:
        return _repeated(_read_array(data, pos), count)
    elif form == CELLS:
        cells = _read_array(data, pos)
        if len(cells) != count:
            raise _malformed("%d cells for %d rows" % (len(cells), count))
        return cells
    else:
        raise _malformed("a column in form %d" % form)
    if min(values) < _LEAST or max(values) > _MOST:
        raise _malformed("an integer of more than 64 bits")
    return values


def _summed(value: int, steps: list[int]) -> list[int]:
    values = [value]
    for step in steps:
        value += step
        values.append(value)
    return values


def _groups(data: bytes, pos: list[int], count: int) -> list[int]:
    values: list[int] = []
    if count == 0:
        return values
    least = _get_signed(data, pos)
    while count > 0:
        size = min(count, GROUP)
        _read_group(data, pos, size, least, values)
        count -= size
    return values


def _read_group(data: bytes, pos: list[int], size: int, least: int, values: list[int]) -> None:
    width = _octet(data, pos)
    start, end = pos[0], pos[0] + (width * size + 7) // 8
    if width > _WIDEST or end > len(data):
        raise _malformed("%d integers of %d bits" % (size, width))
    pos[0] = end
    bits = int.from_bytes(data[start:end], "big")
    shift, mask = 8 * (end - start), (1 << width) - 1
    for _ in range(size):
        shift -= width
        values.append((bits >> shift & mask) + least)
    if bits & ((1 << shift) - 1):
        raise _malformed("bits behind the last integer")


def _repeated(runs: list[Any], count: int) -> list[Any]:
    values: list[Any] = []
    if len(runs) % 2:
        raise _malformed("a run without a length")
    for i in range(0, len(runs), 2):
        times = runs[i + 1]
        if type(times) is not int or not 0 < times <= count - len(values):
            raise _malformed("a run too long, or none")
        values.extend([runs[i]] * times)
    if len(values) != count:
        raise _malformed("runs of %d rows, expected %d" % (len(values), count))
    return values


def _read_array(data: bytes, pos: list[int]) -> list[Any]:
    size = _get(data, pos)
    start, end = pos[0], pos[0] + size
    if end > len(data):
        raise _malformed("a column of %d octets, %d are left" % (size, len(data) - start))
    pos[0] = end
    try:
        values = cbor.decode(data[start:end], (), MAX_CELLS, _LEVELS)
    except cbor.CborError as error:
        raise _malformed(str(error))
    if not isinstance(values, list):
        raise _malformed("a column that is no array")
    return values


def _octet(data: bytes, pos: list[int]) -> int:
    at = pos[0]
    if at >= len(data):
        raise _malformed("its end at octet %d" % at)
    pos[0] = at + 1
    return data[at]


def _get(data: bytes, pos: list[int]) -> int:
    number = shift = 0
    while shift < 7 * _VARINT:
        octet = _octet(data, pos)
        number |= (octet & 127) << shift
        if octet < 128:
            return number
        shift += 7
    raise _malformed("a number of more than %d octets" % _VARINT)


def _get_signed(data: bytes, pos: list[int]) -> int:
    number = _get(data, pos)
    return number >> 1 if not number & 1 else -(number + 1 >> 1)


def _malformed(what: str) -> Refused:
    return Refused("malformed", "block of rows: expected what block.py says, came " + what)
