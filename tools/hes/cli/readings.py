"""`ami-hes readings`: what meters have measured, what is missing of it, and what it adds up to."""

from __future__ import annotations

import argparse
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hal.rt import log
from tools.hes.cli import show
from tools.hes.orders.typed import OrderProblem, parse_duration, parse_moment
from tools.hes.readings import energy, expected, export, profiles, quantities
from tools.hes.readings.reread import spans
from tools.hes.store.problems import StoreProblem
from tools.hes.store.readings import Readings
from tools.hes.store.records import Series
from tools.hes.store.store import Store
from tools.hes.validation.row import INVALID, VALID, Column, Row, Shape, reasons_text
from tools.hes.validation.rules import is_counter

DAY = 86400
MOST_BARS = 96
MOST_COMMANDS = 10
_STYLES = {VALID: "", INVALID: "red"}
WHY = {
    "": "not received",
    "overwritten": "the meter's buffer has gone over them",
    "not-captured": "the meter captured none",
    "period-changed": "the meter's buffer began anew",
    "rows-malformed": "the meter's rows are none",
    "clock-set": "the meter's clock was set over the end of a period",
}


def add_parsers(commands: Any) -> None:
    command = commands.add_parser(
        "readings",
        help="what meters have measured, what is missing, what it adds up to",
        description="Rows of profiles and values that concentrators read by themselves (`ami-hes"
        " task`) and sent. Each was judged when it came; nothing is left out or changed.",
    )
    actions = command.add_subparsers(metavar="ACTION", required=True)
    what = "the rows of a meter's profile, with a plot; or its values"
    action = actions.add_parser("show", help=what, description=what)
    action.add_argument("meter", metavar="METER")
    add_profile(action, profiles.LOAD_PROFILE)
    action.add_argument("--values", action="store_true", help="single values instead of a profile")
    action.add_argument("--model", metavar="NAME", help="of the meter, for words of status bits")
    add_range(action, "1d")
    action.set_defaults(run=_show)

    what = "which rows are missing, why, and how to read them again"
    action = actions.add_parser("gaps", help=what, description=what)
    action.add_argument("concentrator", nargs="?", metavar="CONCENTRATOR", help="only this one")
    action.add_argument("--meter", metavar="SERIAL", help="only this one")
    add_profile(action, None)
    action.add_argument("--by-day", action="store_true", help="expected and received, day by day")
    add_range(action, "7d")
    action.set_defaults(run=_gaps)

    what = "rows for other programs, a line for each value"
    action = actions.add_parser("export", help=what, description=what)
    action.add_argument("--csv", metavar="FILE", help="as CSV; -: to standard output")
    action.add_argument("--parquet", type=Path, metavar="FILE", help="as Parquet (needs pyarrow)")
    action.add_argument("--concentrator", metavar="ID", help="only of this one")
    action.add_argument("--meter", metavar="SERIAL", help="only of this one")
    add_profile(action, None)
    add_range(action, "1d")
    action.set_defaults(run=_export)

    what = "energy by hour: what a supervision meter counts, the meters behind it, and what is lost"
    action = actions.add_parser("balance", help=what, description=what)
    action.add_argument("concentrator", metavar="CONCENTRATOR")
    action.add_argument("--supervisor", metavar="SERIAL", help="of all the others' meter")
    action.add_argument(
        "--transformers",
        type=Path,
        metavar="FILE",
        help='one {"transformer": NAME, "supervisor": SERIAL, "meters": [SERIAL, ...]} a line',
    )
    add_range(action, "1d")
    action.set_defaults(run=_balance)


def add_profile(action: argparse.ArgumentParser, default: str | None) -> None:
    which = "all" if default is None else default
    action.add_argument(
        "--profile",
        default=default,
        metavar="NAME|OBIS",
        help="such as load-profile or 1.0.99.1.0.255 (default: %s)" % which,
    )


def add_range(action: argparse.ArgumentParser, length: str) -> None:
    action.add_argument(
        "--from", dest="start", metavar="TIME", help="local time (default: %s before)" % length
    )
    action.add_argument("--to", dest="end", metavar="TIME", help="default: now")
    action.set_defaults(length=length)


def between(options: argparse.Namespace, now: float) -> tuple[int, int]:
    """Unix seconds. OrderProblem."""
    end = parse_moment(options.end) if options.end else int(now) + 1
    start = parse_moment(options.start) if options.start else end - parse_duration(options.length)
    if start >= end:
        raise OrderProblem("expected --from before --to")
    return start, end


def _objects(options: argparse.Namespace) -> list[tuple[int, bytes]] | None:
    return None if options.profile is None else profiles.parse(options.profile)


# ------------------------------------------------------------ show


def _show(options: argparse.Namespace) -> int:
    store, console = Store(options.db).readings, Console()
    model = None if options.model is None else profiles.check_model(options.model)
    start, end = between(options, store.now())
    if options.values:
        return _show_values(store, options.meter, start, end, console)
    some = store.series(serial=options.meter, objects=_objects(options))
    if not some:
        raise StoreProblem(_none_of(store, options.meter, options.profile))
    status = 1
    for each in some:
        rows = list(store.rows(each.id, start, end))
        title = "%s of %s, read by %s" % (_title(each), each.serial, each.concentrator)
        if not rows:
            last = "its last row is of %s" % show.date(each.last)
            console.print(Text("%s: no rows in this time; %s" % (title, last)), soft_wrap=True)
            continue
        status = 0
        console.print(Text(title, "bold"), soft_wrap=True)
        at = 0
        while at < len(rows):  # each layout is a table of its own
            shape, some_rows = rows[at][0], []
            while at < len(rows) and rows[at][0] == shape:
                some_rows.append(rows[at][1])
                at += 1
            console.print(_rows_table(shape, some_rows, model))
            for line in _plots(shape, some_rows):
                console.print(Text(line), soft_wrap=True)
    return status


def _none_of(store: Readings, meter: str, profile: str) -> str:
    there = sorted({_title(each) for each in store.series(serial=meter)})
    if not there:
        text = "no rows of profiles or logs of a meter %s are here; for single values add --values"
        return text % log.printable(meter)
    text = "meter %s has no readings of %s; it has: %s"
    return text % (log.printable(meter), profile, ", ".join(there))


def _title(each: Series) -> str:
    code = quantities.short(each.obis)
    word = profiles.word_of(each.obis)
    return "%s (%s)" % (word, code) if word else code


def _rows_table(shape: Shape, rows: list[Row], model: str | None) -> Table:
    table = show.table("", "Time")
    for column in shape.columns:
        unit = quantities.unit(column)
        head = quantities.name(column) + ("\n" + unit if unit else "")
        table.add_column(head, justify="right", overflow="fold")
    table.add_column("Quality", overflow="fold")
    for row in rows:
        cells = [
            Text(_cell(column, value, model))
            for column, value in zip(shape.columns, row.values, strict=True)
        ]
        table.add_row(show.date(row.time), *cells, _quality(row))
    return table


def _quality(row: Row) -> Text:
    """Nothing where all is well."""
    said = [] if row.validity == VALID else [row.validity]
    said += [each for each in (reasons_text(row), quantities.flags_text(row.flags)) if each]
    return Text("; ".join(said), _STYLES.get(row.validity, "yellow"))


def _cell(column: Column, value: Any, model: str | None) -> str:
    words = profiles.status_words(column.obis, value, model) if value is not None else []
    return ", ".join(words) if words else quantities.text(column, value)


def _plots(shape: Shape, rows: list[Row]) -> list[str]:
    """A line for each quantity: of registers that count, what each period added."""
    lines = []
    for place, column in enumerate(shape.columns):
        numbers = [quantities.number(column, row.values[place]) for row in rows]
        if column.scaler is None and column.unit is None:
            continue
        name = quantities.name(column)
        if is_counter(column):
            numbers = [
                None if a is None or b is None or b < a else b - a for a, b in pairwise(numbers)
            ]
            name += ", from row to row"
        bars, each = _thinned(numbers)
        there = [number for number in bars if number is not None]
        if len(there) > 1 and max(there) != min(there):
            most = "%g %s" % (max(there), quantities.unit(column))
            of = " (mean of %d rows a bar)" % each if each > 1 else ""
            lines.append("%s, at most %s%s\n  %s" % (name, most.strip(), of, quantities.plot(bars)))
    return lines


def _thinned(numbers: list[float | None]) -> tuple[list[float | None], int]:
    each = -(-len(numbers) // MOST_BARS) or 1
    bars: list[float | None] = []
    for first in range(0, len(numbers), each):
        there = [number for number in numbers[first : first + each] if number is not None]
        bars.append(sum(there) / len(there) if there else None)
    return bars, each


def _show_values(store: Readings, meter: str, start: int, end: int, console: Console) -> int:
    found = store.values(None, meter, start, end)
    table = show.table("", "When", "Object", "Value", "Task", "Quality")
    for each in found:
        name = quantities.short(each.obis)
        if quantities.is_clock_ahead(each.class_id, each.attribute):
            name += " is ahead by"
        elif each.attribute != 2:
            name += " attribute %d" % each.attribute
        value = quantities.value_text(each.data, each.scaler, each.unit)
        judged = Row(each.time, reasons=each.reasons)
        cells = [Text(text) for text in (name, value, each.task or "-")]
        table.add_row(show.date(each.time), *cells, _quality(judged))
    if not found:
        print("no values of %s in this time" % log.printable(meter))
        return 1
    console.print(table)
    return 0


# ------------------------------------------------------------ gaps


def _gaps(options: argparse.Namespace) -> int:
    """Exit status 0: nothing is missing that can be read again."""
    store, console = Store(options.db), Console()
    start, end = between(options, store.now())
    some = store.readings.series(options.concentrator, options.meter, _objects(options))
    due = expected.due_until(store.readings, store.trust, some, store.now())
    until = {each: min(end, at) for each, at in due.items()}
    if options.by_day:
        return _by_day(store, some, start, until, console)
    found = expected.missing(store.readings, some, start, until)
    table = show.table("", "Meter", "Profile", "From", "To", "Rows", "Why")
    for each in found:
        table.add_row(
            Text(each.series.serial),
            Text(_title(each.series)),
            show.date(each.start),
            show.date(each.end),
            str(each.rows),
            Text(WHY.get(each.reason, each.reason), "dim" if each.reason else "yellow"),
        )
    if table.row_count:
        console.print(table)
    again = [each for each in found if not each.reason]
    _tell_how_to_read(store.readings, again, console)
    never = _never(store, options)
    for serial, profile, name in never:
        text = "%s: nothing of %s was ever received (task %s)" % (serial, profile, name)
        console.print(Text(text, "yellow"), soft_wrap=True)
    _tell_unread(store, options.concentrator, console)
    gone = sum(each.rows for each in found if each.reason)
    rows = sum(each.rows for each in again)
    text = "%d rows can be read again, %d are gone from the meters themselves." % (rows, gone)
    console.print(Text(text if found else "Nothing is missing."))
    return 1 if again or never else 0


def _never(store: Store, options: argparse.Namespace) -> list[tuple[str, str, str]]:
    names = [options.concentrator] if options.concentrator else sorted(store.line.addressed())
    found = []
    for concentrator in names:
        meters = sorted({way.serial for way in store.street.ways(concentrator)})
        found += expected.never_read(store.readings, store.trust, concentrator, meters)
    return [each for each in found if options.meter in (None, each[0])]


def _tell_how_to_read(store: Readings, again: list[expected.Missing], console: Console) -> None:
    rereads = store.rereads()
    keys = [(each.series.id, each.start) for each in again]
    asked = [rereads[key].ordered for key in keys if key in rereads]
    if asked:
        text = "%d of these gaps were asked for again, last %s, by `serve --reread-key`."
        console.print(Text(text % (len(asked), show.date(max(asked)))), soft_wrap=True)
    found = spans(again)
    if found:
        console.print(Text("To have them read again now:"))
    for each in found[:MOST_COMMANDS]:
        console.print(Text("  " + each.command()), soft_wrap=True)
    if len(found) > MOST_COMMANDS:
        more = len(found) - MOST_COMMANDS
        console.print(Text("  ... and %d more; narrow it with --meter, --from and --to" % more))


def _tell_unread(store: Store, concentrator: str | None, console: Console) -> None:
    found = store.readings.unread(concentrator, 1000)
    if found:
        text = "%d records of readings could not be taken, and are kept as they came; the last: %s"
        console.print(Text(text % (len(found), found[0].why), "yellow"), soft_wrap=True)


def _by_day(
    store: Store, some: list[Series], start: int, until: dict[int, int], console: Console
) -> int:
    last = max(until.values(), default=0)
    found = expected.by_day(store.readings, some, start // DAY, last // DAY, until)
    table = show.table("Days in UTC", "Meter", "Profile", "Day", "Expected", "Received", "Quality")
    for each in found:
        whole = each.received >= each.expected
        said = []
        if each.doubtful:
            said.append("%d doubtful" % each.doubtful)
        if each.invalid:
            said.append("%d invalid" % each.invalid)
        table.add_row(
            Text(each.series.serial),
            Text(_title(each.series)),
            time.strftime("%Y-%m-%d", time.gmtime(each.day * DAY)),
            str(each.expected),
            Text(str(each.received), "green" if whole else "yellow"),
            ", ".join(said) or "-",
        )
    console.print(table)
    wanted = sum(each.expected for each in found)
    here = sum(min(each.received, each.expected) for each in found)
    if wanted:
        console.print(Text("%d of %d rows, %.2f %%." % (here, wanted, 100 * here / wanted)))
    return 0 if here == wanted else 1


# ------------------------------------------------------------ export, balance


def _export(options: argparse.Namespace) -> int:
    if (options.csv is None) == (options.parquet is None):
        raise OrderProblem("expected either --csv FILE or --parquet FILE")
    store = Store(options.db).readings
    start, end = between(options, store.now())
    some = store.series(options.concentrator, options.meter, _objects(options))
    found = export.lines(store, some, start, end)
    if options.parquet is not None:
        count, where = export.write_parquet(found, options.parquet), str(options.parquet)
    elif options.csv == "-":
        count, where = export.write_csv(found, sys.stdout), ""
    else:
        with open(options.csv, "w", encoding="utf-8", newline="") as file:
            count, where = export.write_csv(found, file), options.csv
    print("%d values%s" % (count, " in %s" % where if where else ""), file=sys.stderr)
    return 0 if count else 1


def _balance(options: argparse.Namespace) -> int:
    store, console = Store(options.db).readings, Console()
    start, end = between(options, store.now())
    if options.transformers is not None:
        if options.supervisor is not None:
            raise OrderProblem("expected --supervisor or --transformers, got both")
        some = energy.read_transformers(options.transformers)
    else:
        some = [energy.Transformer(options.concentrator, options.supervisor or "", None)]
    supervisors = [each.supervisor for each in some if each.supervisor]
    status = 1
    for each in some:
        hours = energy.balances(store, options.concentrator, each, supervisors, start, end)
        if any(hour.told for hour in hours):
            status = 0
        console.print(_balance_table(each, hours))
    return status


def _balance_table(transformer: energy.Transformer, hours: list[energy.Balance]) -> Table:
    title = "Behind %s" % log.printable(transformer.name)
    if transformer.supervisor:
        title += ", supervised by %s" % transformer.supervisor
    table = show.table(title, "Hour", "Supervised kWh", "Metered kWh", "Lost kWh", "Lost", "Meters")
    for hour in hours:
        complete = hour.told == hour.meters
        lost = "-" if hour.lost is None else _kwh(hour.lost)
        share = "-" if hour.percent is None else "%.1f %%" % hour.percent
        table.add_row(
            show.date(hour.start)[:16],
            "-" if hour.supervised is None else _kwh(hour.supervised),
            _kwh(hour.metered),
            Text(lost, "" if complete else "dim"),
            Text(share, "" if complete else "dim"),
            Text("%d of %d" % (hour.told, hour.meters), "green" if complete else "yellow"),
        )
    known = [hour for hour in hours if hour.lost is not None and hour.told == hour.meters]
    supervised = sum(hour.supervised or 0.0 for hour in known)
    if supervised:
        metered = sum(hour.metered for hour in known)
        percent = 100 * (supervised - metered) / supervised
        table.caption = "%d complete hours: %s kWh in, %s kWh metered, %.1f %% lost" % (
            len(known),
            _kwh(supervised),
            _kwh(metered),
            percent,
        )
    return table


def _kwh(wh: float) -> str:
    return "%.3f" % (wh / 1000)
