"""`ami-hes alarms`: what meters have raised, whether anybody attends to it, and outages."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from tools.hes.cli import show
from tools.hes.orders.typed import OrderProblem
from tools.hes.readings import profiles
from tools.hes.store.alarms import word
from tools.hes.store.records import Alarm, PowerOutage
from tools.hes.store.store import Store
from tools.package.model.tables import ENGLISH, SPANISH

_KINDS = {
    "data-notification": "sent by itself",
    "event-notification": "sent by itself",
    "information-report": "sent by itself",
}


def add_parser(commands: Any) -> None:
    command = commands.add_parser(
        "alarms",
        help="alarms that meters have raised, and outages",
        description="Alarms of meters, newest first, in the words of the meters' models; and"
        " outages. `ami-hes alarms acknowledge 4 7` says that somebody attends to these.",
    )
    command.add_argument("action", nargs="?", choices=("acknowledge",))
    command.add_argument("number", nargs="*", type=int, metavar="NUMBER", help="as listed")
    command.add_argument("--concentrator", metavar="ID", help="of the meters behind it")
    command.add_argument("--meter", metavar="METER", help="only of this one")
    command.add_argument("--open", action="store_true", help="only what nobody attends to yet")
    command.add_argument("--model", metavar="NAME", help="of the meters, for what bits mean")
    command.add_argument(
        "--inventory", type=Path, metavar="meters.jsonl", help="says the model of each meter"
    )
    command.add_argument("--language", choices=(ENGLISH, SPANISH), default=ENGLISH)
    command.add_argument("--last", type=int, default=100, metavar="N", help="default: 100")
    command.add_argument("--json", action="store_true", help="for machines")
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    store = Store(options.db)
    if options.action is not None:
        return _acknowledge(store, options)
    if options.model is not None:
        profiles.check_model(options.model)
    models = {} if options.inventory is None else profiles.read_models(options.inventory)
    found = store.alarms.raised(options.concentrator, options.meter, options.open, options.last)
    outages = store.alarms.outages(options.concentrator, options.last)
    words = [_words(each, options.model or models.get(each.serial), options) for each in found]
    if options.json:
        rows = [vars(each) | {"data": each.data.hex()} for each in found]
        for row, text in zip(rows, words, strict=True):
            row["words"] = text
        print(json.dumps({"alarms": rows, "outages": [vars(x) for x in outages]}, indent=2))
        return 0
    if found:
        Console().print(_table(found, words))
    else:
        print("no alarm was reported" + (" that nobody attends to" if options.open else " yet"))
    if outages:
        Console().print(_outages(outages))
    return 0


def _acknowledge(store: Store, options: argparse.Namespace) -> int:
    if not options.number:
        raise OrderProblem("expected the numbers of alarms, as `ami-hes alarms` lists them")
    done = store.alarms.acknowledge(options.number)
    for number in options.number:
        text = "acknowledged" if number in done else "no open alarm has this number"
        print("%d: %s" % (number, text))
    return 0 if len(done) == len(set(options.number)) else 1


def _words(alarm: Alarm, model: str | None, options: argparse.Namespace) -> str:
    if model is not None and model not in profiles.tables():
        model = None
    words = [word(alarm.source, bit, model, options.language) for bit in alarm.bits]
    return ", ".join(words) or alarm.detail or _KINDS.get(alarm.source, "-")


def _table(found: list[Alarm], words: list[str]) -> Any:
    table = show.table("", "Number", "When", "Concentrator", "Meter", "Alarm", "From", "State")
    for alarm, text in zip(found, words, strict=True):
        state = Text("open", "yellow")
        if alarm.acknowledged:
            state = Text("acknowledged", "green")
        when = show.date(alarm.happened or alarm.noticed)
        row = (alarm.concentrator, alarm.serial, text, alarm.source)
        table.add_row(str(alarm.id), when, *(Text(each) for each in row), state)
    return table


def _outages(found: list[PowerOutage]) -> Any:
    table = show.table("Outages", "When", "Until", "Concentrator", "What", "Meters")
    for each in found:
        what = "power is back" if each.over else "no power"
        serials = ", ".join(each.serials)
        if len(each.serials) < each.meters:
            last = each.first + len(each.serials) - 1
            serials = "%d to %d of %d: %s" % (each.first, last, each.meters, serials)
        when, until = show.date(each.began), show.date(each.ended)
        table.add_row(when, until, Text(each.concentrator), what, Text(serials))
    return table
