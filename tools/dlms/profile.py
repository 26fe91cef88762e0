"""profile: the buffer of a profile generic as a table."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from rich.text import Text

from gateway.dlms.apdu import acse
from gateway.dlms.client.client import Client
from gateway.dlms.data import axdr, datetime, obis
from gateway.dlms.data.selection import by_entry, by_range
from gateway.dlms.data.selection import column as definition
from gateway.dlms.errors import AccessRefused, NotSupported, ProtocolError
from tools.cosem import render
from tools.cosem.names import ATTRIBUTE, Member
from tools.cosem.units import ScalerUnit, read_scaler_unit
from tools.dlms import shown
from tools.dlms.failure import DONE, CallProblem, Failed
from tools.dlms.members import read, value_of
from tools.dlms.moment import shifted, to_unix, with_seconds
from tools.dlms.output import console, print_json, row, table
from tools.dlms.session import Settings, conversation
from tools.dlms.shown import CaptureObject
from tools.dlms.words import Log, Words

if TYPE_CHECKING:
    from gateway.dlms.apdu.parts import Selection

PROFILE_GENERIC = 7
BUFFER, CAPTURE_OBJECTS, CAPTURE_PERIOD, ENTRIES_IN_USE = 2, 3, 4, 7
CLOCK_TIME = (8, 2)  # class, attribute
_EARLIEST, _LATEST = "2000-01-01 00:00:00", "2099-12-31 23:59:59"
_SCALERS = {3: 3, 4: 3, 5: 4}  # class: attribute scaler_unit
_VALUES = {3: (2,), 4: (2,), 5: (2, 3)}

Typed = tuple[int, Any]


async def profile(options: argparse.Namespace, settings: Settings) -> int:
    try:
        name = obis.parse(options.obis)
    except ValueError as error:
        raise CallProblem(str(error)) from None
    span = _span(options)
    async with conversation(settings) as client:
        columns, period = await _columns(client, name)
        units = await _units(client, columns)
        raw, selected = await _buffer(client, name, columns, span, options.last)
    rows = filled(rows_of(raw, len(columns)), columns, period)
    if not selected:
        rows = _chosen(rows, columns, span, options.last)
    log = settings.words.log(name, columns)
    if settings.json:
        print_json(_json(name, columns, units, rows, log))
    else:
        _print(name, columns, units, rows, settings.words, log)
    return DONE


def _span(options: argparse.Namespace) -> tuple[bytes, bytes] | None:
    if options.start is None and options.end is None:
        return None
    if options.last is not None:
        raise CallProblem("--last, or --from and --to: not both")
    start = _moment(options.start or _EARLIEST)
    end = _moment(options.end or _LATEST)
    if to_unix(start, 0) > to_unix(end, 0):
        raise CallProblem("--from is later than --to")
    return start, end


def _moment(text: str) -> bytes:
    """A fully given moment; a bare date is its midnight."""
    spelt = with_seconds(text)
    try:
        moment = datetime.parse_date_time(spelt)
        to_unix(moment, 0)
    except ValueError as error:
        raise CallProblem(str(error)) from None
    return moment


# ---------------------------------------------------------------- reading


async def _columns(client: Client, name: bytes) -> tuple[list[CaptureObject], int]:
    """The capture objects, and the capture period in seconds (0: not periodic, or not readable)."""
    typed = axdr.decode(await client.get(PROFILE_GENERIC, name, CAPTURE_OBJECTS))
    period = value_of(
        (await read(client, [Member(ATTRIBUTE, PROFILE_GENERIC, name, CAPTURE_PERIOD)]))[0]
    )
    seconds = period[1] if period is not None and period[0] == axdr.DOUBLE_LONG_UNSIGNED else 0
    return shown.capture_objects(typed), seconds


async def _units(client: Client, columns: list[CaptureObject]) -> list[ScalerUnit | None]:
    """For each column how its numbers are to be read, where the meter tells."""
    wanted = {}
    for column in columns:
        if column.index in _VALUES.get(column.class_id, ()) and column.data_index == 0:
            key = (column.class_id, column.obis)
            wanted[key] = Member(ATTRIBUTE, *key, _SCALERS[column.class_id])
    answers = await read(client, list(wanted.values()))
    found: dict[tuple[int, bytes], ScalerUnit | None] = {}
    for key, answer in zip(wanted, answers, strict=True):
        typed = value_of(answer)
        found[key] = None if typed is None else read_scaler_unit(typed)
    return [
        found.get((column.class_id, column.obis))
        if column.index in _VALUES.get(column.class_id, ())
        else None
        for column in columns
    ]


async def _buffer(
    client: Client,
    name: bytes,
    columns: list[CaptureObject],
    span: tuple[bytes, bytes] | None,
    last: int | None,
) -> tuple[bytes, bool]:
    """The rows asked for, and True; or all rows and False where the meter does not select."""
    if span is None and last is None:
        return await client.get(PROFILE_GENERIC, name, BUFFER), True
    if client.conformance & acse.SELECTIVE_ACCESS:
        if span is not None:
            clock = _clock_column(columns)
            restricting = definition(clock.class_id, clock.obis, clock.index, clock.data_index)
            selection = by_range(*span, restricting=restricting)
        else:
            selection = await _last_entries(client, name, last or 0)
        try:
            return await client.get(PROFILE_GENERIC, name, BUFFER, selection), True
        except (AccessRefused, NotSupported) as error:
            reason = str(error)
    else:
        reason = "the meter did not agree to selective access"
    console(stderr=True).print(
        Text("whole buffer read, rows chosen here: %s" % reason, "yellow"), soft_wrap=True
    )
    return await client.get(PROFILE_GENERIC, name, BUFFER), False


def _clock_column(columns: list[CaptureObject]) -> CaptureObject:
    for column in columns:
        if (column.class_id, column.index) == CLOCK_TIME:
            return column
    raise Failed("this profile captures no clock: choose rows by --last instead of --from, --to")


async def _last_entries(client: Client, name: bytes, last: int) -> Selection:
    typed = axdr.decode(await client.get(PROFILE_GENERIC, name, ENTRIES_IN_USE))
    if typed[0] != axdr.DOUBLE_LONG_UNSIGNED:
        raise ProtocolError("entries_in_use of %s: not double-long-unsigned" % obis.text(name))
    return by_entry(max(1, typed[1] - last + 1))


# ---------------------------------------------------------------- rows


def rows_of(raw: bytes, width: int) -> list[list[Typed]]:
    """Rows of typed values; ProtocolError when they are not as wide as there are columns."""
    tag, value = axdr.decode(raw)
    if tag == axdr.COMPACT_ARRAY:
        value = value[1]
    elif tag != axdr.ARRAY:
        raise ProtocolError("buffer: expected an array, got %s" % axdr.TAGS[tag])
    rows = []
    for kind, fields in value:
        if kind != axdr.STRUCTURE or len(fields) != width:
            raise ProtocolError("buffer: a row is not a structure of %d values" % width)
        rows.append(list(fields))
    return rows


def filled(rows: list[list[Typed]], columns: list[CaptureObject], period: int) -> list[list[Typed]]:
    """null-data in a buffer stands for what was there a row before; in a clock column for that
    plus the capture period (Blue Book 4.3.6)."""
    before: list[Typed] = []
    for cells in rows:
        for place, column in enumerate(columns):
            if cells[place][0] != axdr.NULL or not before or before[place][0] == axdr.NULL:
                continue
            cells[place] = before[place]
            if (column.class_id, column.index) == CLOCK_TIME and period:
                cells[place] = _later(before[place], period)
        before = cells
    return rows


def _later(typed: Typed, seconds: int) -> Typed:
    try:
        return typed[0], shifted(typed[1], seconds)
    except (ValueError, TypeError):
        return typed


def _chosen(
    rows: list[list[Typed]],
    columns: list[CaptureObject],
    span: tuple[bytes, bytes] | None,
    last: int | None,
) -> list[list[Typed]]:
    if span is None:
        return rows[-last:] if last else []
    place = columns.index(_clock_column(columns))
    kept = []
    for cells in rows:
        try:
            stamp = cells[place][1]
            deviation = int.from_bytes(stamp[9:11], "big", signed=True)
            moment = to_unix(stamp, 0)
            first, end = (to_unix(limit, deviation) for limit in span)
        except (ValueError, TypeError):
            continue
        if first <= moment <= end:
            kept.append(cells)
    return kept


# ---------------------------------------------------------------- output


def _heading(column: CaptureObject, unit: ScalerUnit | None) -> str:
    text = str(column)
    return "%s\n[%s]" % (text, unit.unit) if unit is not None and unit.unit else text


def _print(
    name: bytes,
    columns: list[CaptureObject],
    units: list[ScalerUnit | None],
    rows: list[list[Typed]],
    words: Words,
    log: Log | None,
) -> None:
    headings = [_heading(column, unit) for column, unit in zip(columns, units, strict=True)]
    count = "%d row%s" % (len(rows), "" if len(rows) == 1 else "s")
    made = table(*headings, title="profile_generic %s, %s" % (obis.text(name), count))
    for cells in rows:
        shown_cells = []
        for place, (typed, column, unit) in enumerate(zip(cells, columns, units, strict=True)):
            word = log.word(cells) if log is not None and place == log.place else ""
            shown_cells.append(word or _cell(typed, unit, words.bits(column.obis, typed)))
        row(made, *shown_cells)
    console().print(made)


def _cell(typed: Typed, unit: ScalerUnit | None, bits: str) -> str:
    tag, value = typed
    if bits:
        return "%s: %s" % (render.text(typed), bits)
    if unit is not None and type(value) is int:
        return unit.number(value)
    if tag == axdr.OCTET_STRING:
        return render.octets(value)
    if tag == axdr.NULL:
        return ""
    return str(value) if type(value) in (int, float, str) else render.text(typed)


def _json(
    name: bytes,
    columns: list[CaptureObject],
    units: list[ScalerUnit | None],
    rows: list[list[Typed]],
    log: Log | None,
) -> dict[str, Any]:
    described: list[dict[str, Any]] = []
    for column, unit in zip(columns, units, strict=True):
        described.append({"attribute": str(column)})
        if unit is not None:
            described[-1] |= {"scaler": unit.scaler, "unit": unit.unit}
    document: dict[str, Any] = {
        "profile": obis.text(name),
        "columns": described,
        "rows": [[shown.as_json(typed) for typed in cells] for cells in rows],
    }
    if log is not None:
        document["events"] = [log.as_json(cells) for cells in rows]
    return document
