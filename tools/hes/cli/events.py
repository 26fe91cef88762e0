"""`ami-hes events`: what meters have written into their logs, in the words of their models."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from tools.hes.cli import show
from tools.hes.cli.readings import add_range, between
from tools.hes.orders.typed import OrderProblem
from tools.hes.readings import profiles, quantities
from tools.hes.store.records import Series
from tools.hes.store.store import Store
from tools.hes.validation.row import Column, Row, Shape
from tools.package.model.tables import ENGLISH, SPANISH

EVENT_CODE = (0, 96, 11)  # value groups A, C and D of event codes


def add_parser(commands: Any) -> None:
    command = commands.add_parser(
        "events",
        help="what meters have written into their event logs",
        description="Entries of event logs that concentrators have read, in the words of the"
        " meters' models.",
    )
    command.add_argument("meter", nargs="?", metavar="METER", help="only of this one")
    command.add_argument("--concentrator", metavar="ID", help="of all meters behind it")
    command.add_argument("--log", metavar="NAME|OBIS", help="only of this one, as standard-log")
    command.add_argument("--model", metavar="NAME", help="of the meters, for what codes mean")
    command.add_argument(
        "--inventory", type=Path, metavar="meters.jsonl", help="says the model of each meter"
    )
    command.add_argument("--language", choices=(ENGLISH, SPANISH), default=ENGLISH)
    command.add_argument("--json", action="store_true", help="for machines")
    add_range(command, "7d")
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.meter is None and options.concentrator is None:
        raise OrderProblem("expected a meter, or --concentrator")
    if options.model is not None:
        profiles.check_model(options.model)
    models = {} if options.inventory is None else profiles.read_models(options.inventory)
    store, console = Store(options.db).readings, Console()
    start, end = between(options, store.now())
    objects = None if options.log is None else profiles.parse(options.log)
    unsure = False
    found = []
    for each in store.series(options.concentrator, options.meter, objects):
        model = options.model or models.get(each.serial)
        if model is not None and model not in profiles.tables():
            model = None
        for shape, row in store.rows(each.id, start, end):
            if shape.period:
                continue
            text, sure, rest = _entry(each, shape, row, model, options.language)
            unsure = unsure or not sure
            found.append((row.time, each.serial, _log(each, model), text, rest))
    found.sort(key=lambda entry: entry[:2])
    if options.json:
        names = ("time", "meter", "log", "event", "more")
        print(json.dumps([dict(zip(names, entry, strict=True)) for entry in found], indent=2))
        return 0
    table = show.table("", "When", "Meter", "Log", "Event", "More")
    for at, serial, log_name, text, rest in found:
        table.add_row(show.date(at), *(Text(each) for each in (serial, log_name, text, rest)))
    if not found:
        print("no entries of event logs in this time")
    else:
        console.print(table)
    if unsure:
        text = (
            "One code is not the same thing in all models: say --model, or --inventory with the"
            " concentrator's meters.jsonl. Models: %s" % ", ".join(sorted(profiles.tables()))
        )
        console.print(Text(text, "dim"), soft_wrap=True)
    return 0


def _log(each: Series, model: str | None) -> str:
    return profiles.word_of(each.obis, model) or quantities.short(each.obis)


def _entry(
    each: Series, shape: Shape, row: Row, model: str | None, language: str
) -> tuple[str, bool, str]:
    """(what happened, whether its words are sure, the other columns) of a row."""
    place = _code_column(shape.columns, row)
    more = []
    for at, (column, value) in enumerate(zip(shape.columns, row.values, strict=True)):
        if at != place and value is not None:
            unit = quantities.unit(column)
            value_text = ("%s %s" % (quantities.text(column, value), unit)).strip()
            more.append("%s: %s" % (quantities.name(column), value_text))
    if quantities.flags_text(row.flags):
        more.append(quantities.flags_text(row.flags))
    text, sure = "-", True
    if place is not None:
        text, sure = profiles.event_text(each.obis, row.values[place], model, language)
    return text, sure, "; ".join(more)


def _code_column(columns: tuple[Column, ...], row: Row) -> int | None:
    """Where the event's code stands: in an object of event codes, else in the first number."""
    numbers = [at for at, value in enumerate(row.values) if type(value) is int]
    for at in numbers:
        obis = columns[at].obis
        if (obis[0], obis[2], obis[3]) == EVENT_CODE:
            return at
    return numbers[0] if numbers else None
