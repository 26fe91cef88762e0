"""`ami-hes inventory`: which meters a concentrator has."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from gateway.contract.model_name import OWN
from tools.hes.cli import show
from tools.hes.cli.arguments import add_key
from tools.hes.cli.tasks import told_kept
from tools.hes.orders import inventory as orders
from tools.hes.orders.typed import parse_meters
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

_FILE = (
    'a meter a line, as in its meters.jsonl: {"serial": "A1", "paths": [["plc", "0080e1000001"]]}'
)


def add_parser(commands: Any) -> None:
    inventory = commands.add_parser(
        "inventory",
        help="which meters a concentrator has: put, add, adopt, remove",
        description="Meters come to a concentrator and go, by signed messages. Their keys follow"
        " with `ami-hes keys`, wrapped for its board.",
    )
    actions = inventory.add_subparsers(metavar="ACTION", required=True)
    put = _action(actions, "put", _put, "meters of a file, new ones and ones that are known")
    put.add_argument("file", type=Path, metavar="FILE", help=_FILE)
    for name, what in (
        ("add", "one meter, or another path, model or title of one that is known"),
        ("adopt", "a stranger that the concentrator has seen, as this meter"),
    ):
        one = _action(actions, name, _add, what)
        one.add_argument("serial", metavar="SERIAL", help="of the meter")
        one.add_argument(
            "--path",
            action="append",
            default=[],
            required=name == "adopt",
            metavar="KIND=ADDRESS",
            help="such as plc=0080e1000001 or ip=192.0.2.7:4059; all that it has; may be repeated",
        )
        one.add_argument("--model", default=OWN, metavar="NAME", help="default: %s" % OWN)
    remove = _action(actions, "remove", _remove, "meters, and their keys there")
    remove.add_argument("meters", metavar="SERIALS|FILE", help="serials with commas, or a file")
    _action(actions, "list", _list, "what was sent, and whether it was taken", signed=False)


def _action(actions: Any, name: str, run: Any, what: str, signed: bool = True) -> Any:
    action = actions.add_parser(name, help=what, description=what)
    action.add_argument("concentrator", metavar="CONCENTRATOR", help="its id")
    if signed:
        add_key(action)
    action.set_defaults(run=run)
    return action


def _put(options: argparse.Namespace) -> int:
    entries = orders.read(options.file)
    store, key = Store(options.db), SigningKey.load(options.key)
    now = int(time.time())
    return told_kept(store, orders.put(store.trust, key, options.concentrator, entries, now))


def _add(options: argparse.Namespace) -> int:
    entry = orders.one(options.serial, options.path, options.model)
    store, key = Store(options.db), SigningKey.load(options.key)
    now = int(time.time())
    return told_kept(store, orders.put(store.trust, key, options.concentrator, [entry], now))


def _remove(options: argparse.Namespace) -> int:
    serials = parse_meters(options.meters)
    store, key = Store(options.db), SigningKey.load(options.key)
    now = int(time.time())
    return told_kept(store, orders.remove(store.trust, key, options.concentrator, serials, now))


def _list(options: argparse.Namespace) -> int:
    found = orders.told(Store(options.db).trust, options.concentrator)
    if not found:
        print("no meters were sent to %s from this database" % options.concentrator)
        return 0
    table = show.table("", "Number", "What", "State")
    for message in found:
        why = "; %s: %s" % (message.reason, message.detail) if message.reason else ""
        table.add_row(str(message.number), Text(message.what), Text(message.state + why))
    Console().print(table)
    return 0
