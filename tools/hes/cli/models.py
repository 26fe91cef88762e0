"""`ami-hes model`: models of meters for concentrators, and which they have."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.contract.refused import Refused
from tools.hes.cli import show
from tools.hes.cli.watch import problems
from tools.hes.orders import security
from tools.hes.store.hellos import MODEL
from tools.hes.store.states import REJECTED, TAKEN, UNANSWERED
from tools.hes.store.store import Store
from tools.package.model import file


def add_parsers(commands: Any) -> None:
    model = commands.add_parser(
        "model",
        help="models of meters for a concentrator",
        description="A concentrator needs the model of each meter that is not of our own make, and"
        " is not of those its firmware brings along.",
    )
    actions = model.add_subparsers(metavar="ACTION", required=True)
    for name, run, what in (
        ("send", _send, "send models; they are signed already, by a key trusted for packages"),
        ("list", _list, "which were sent, and which the concentrator has"),
    ):
        action = actions.add_parser(name, help=what, description=what)
        action.add_argument("--concentrator", required=True, metavar="ID")
        action.set_defaults(run=run)
        if name == "send":
            action.add_argument(
                "files",
                nargs="+",
                type=Path,
                metavar="FILE.model",
                help="from `ami-package model compile`",
            )


def _send(options: argparse.Namespace) -> int:
    security.check(options.concentrator)
    models = [_read(path) for path in options.files]
    store = Store(options.db)
    for name, number, signed in models:
        _check_number(store, options.concentrator, name, number)
        store.trust.add_numbered(MODEL, options.concentrator, number, name, signed)
        print("model %s %d for %s is kept" % (name, number, options.concentrator))
    for problem in problems(store, options.concentrator):
        if problem:
            print(problem)
    return 0


def _check_number(store: Store, concentrator: str, name: str, number: int) -> None:
    sent = store.trust.numbered(concentrator, (*UNANSWERED, TAKEN))
    last = max([row.number for row in sent if (row.topic, row.what) == (MODEL, name)], default=0)
    standing = store.trust.standing(concentrator)
    there = dict(standing.models).get(name, 0) if standing else 0
    if there > last and number <= there:
        text = "model %s: %s has number %d, which this database did not send; expected a higher one"
        raise security.SecurityProblem(text % (name, concentrator, there))
    if number <= last:
        text = "model %s: expected a number above %d, which was sent to %s before; got %d"
        raise security.SecurityProblem(text % (name, last, concentrator, number))


def _read(path: Path) -> tuple[str, int, bytes]:
    """Name, number, and the signed model of a file."""
    raw = path.read_bytes()
    try:
        model = file.read(raw).model
        return model.name, model.number, file.split(raw)[0]
    except Refused as refused:
        raise security.SecurityProblem("%s: %s" % (path, refused)) from None


def _list(options: argparse.Namespace) -> int:
    security.check(options.concentrator)
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("Model", "Number", "Kept", "State"):
        table.add_column(name, overflow="fold")
    sent = Store(options.db).trust.numbered(options.concentrator, (*UNANSWERED, TAKEN, REJECTED))
    for row in sent:
        if row.topic == MODEL:
            state = row.state
            if row.reason:
                state += ": %s, %s" % (row.reason, row.detail)
            table.add_row(row.what, str(row.number), show.date(row.submitted), Text(state))
    if table.row_count:
        Console().print(table)
    else:
        print("no model was sent to %s" % options.concentrator)
    return 0
