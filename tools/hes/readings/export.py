"""Readings for other programs: one line for each value of each row, as CSV or Parquet.

CSV is written line by line, Parquet in groups of rows, so that a month of a street needs no more
memory than an hour of one.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from tools.hes.orders.typed import OrderProblem
from tools.hes.readings import quantities
from tools.hes.store.readings import Readings
from tools.hes.store.records import Series
from tools.hes.validation.row import Column, Row, reasons_text

AT_ONCE = 50_000  # lines of a group in Parquet
# What a spreadsheet takes for a formula at the beginning of a cell.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Line(NamedTuple):
    """`time` and `read_at` in unix seconds; `object` and `profile` OBIS codes. `text` is the exact
    value as people read it, `value` the number nearest to it, None for what is none.
    """

    concentrator: str
    meter: str
    profile: str
    time: int
    object: str
    attribute: int
    text: str
    value: float | None
    unit: str
    validity: str
    reasons: str
    flags: str
    read_at: int


def lines(readings: Readings, some: Iterable[Series], start: int, end: int) -> Iterator[Line]:
    for each in some:
        profile = quantities.short(each.obis)
        for shape, row in readings.rows(each.id, start, end):
            for column, value in zip(shape.columns, row.values, strict=True):
                yield _line(each, profile, column, row, value)


def _line(each: Series, profile: str, column: Column, row: Row, value: Any) -> Line:
    return Line(
        each.concentrator,
        each.serial,
        profile,
        row.time,
        quantities.short(column.obis),
        column.attribute,
        "" if value is None else quantities.text(column, value),
        quantities.number(column, value),
        quantities.unit(column),
        row.validity,
        reasons_text(row),
        quantities.flags_text(row.flags),
        row.read_at,
    )


def write_csv(found: Iterable[Line], file: TextIO) -> int:
    """With a head, times in ISO 8601 UTC; how many lines."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(Line._fields)
    count = 0
    for line in found:
        cells = line._replace(time=_iso(line.time), read_at=_iso(line.read_at))
        writer.writerow([_harmless(each) for each in cells])
        count += 1
    return count


def _iso(seconds: int) -> Any:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _harmless(cell: Any) -> Any:
    """What others wrote is no formula in a spreadsheet; numbers stay as they are."""
    if cell is None:
        return ""
    if not isinstance(cell, str) or not cell.startswith(_FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return "'" + cell
    return cell


def write_parquet(found: Iterable[Line], path: Path) -> int:
    """With types of its own for times and numbers; how many lines. OrderProblem without pyarrow."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise OrderProblem(
            "Parquet needs pyarrow, which is not installed: `pip install"
            " 'ami-concentrator-tools[parquet]'`, or --csv"
        ) from None
    word, moment = arrow.dictionary(arrow.int32(), arrow.string()), arrow.timestamp("s", "UTC")
    types = {
        "time": moment,
        "read_at": moment,
        "attribute": arrow.int16(),
        "text": arrow.string(),
        "value": arrow.float64(),
    }
    schema = arrow.schema([(name, types.get(name, word)) for name in Line._fields])
    count = 0
    with parquet.ParquetWriter(path, schema) as writer:
        for group in _groups(found):
            columns = zip(*group, strict=True)
            arrays = [
                arrow.array(column, kind.type) for column, kind in zip(columns, schema, strict=True)
            ]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))
            count += len(group)
    return count


def _groups(found: Iterable[Line]) -> Iterator[list[Line]]:
    group: list[Line] = []
    for line in found:
        group.append(line)
        if len(group) == AT_ONCE:
            yield group
            group = []
    if group:
        yield group
