"""`ami-hes trust` and `ami-hes keys`: whose signatures a concentrator accepts, and new keys for its
meters.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.contract import envelope
from gateway.contract.trust_change import NAMES, purposes_text
from tools.hes.cli import show
from tools.hes.cli.watch import problems
from tools.hes.orders import security
from tools.hes.store.states import REJECTED, TAKEN, UNANSWERED
from tools.hes.store.store import Store
from tools.package.keys import SigningKey, load_trust


def add_parsers(commands: Any, add_key: Callable[[argparse.ArgumentParser], None]) -> None:
    trust = commands.add_parser(
        "trust",
        help="whose signatures a concentrator accepts",
        description="Stage changes with add and remove, look at them with show, then send them.",
    )
    actions = trust.add_subparsers(metavar="ACTION", required=True)
    for name, run, what in (
        ("show", _show, "what was sent, what the concentrator has, what is staged"),
        ("add", _add, "stage a key to be trusted, or other purposes for a trusted one"),
        ("remove", _remove, "stage a key to be trusted no longer"),
        ("send", _send, "sign what is staged and send it"),
        ("drop", _drop, "forget what is staged"),
    ):
        action = actions.add_parser(name, help=what, description=what)
        action.add_argument("--concentrator", required=True, metavar="ID")
        action.set_defaults(run=run)
        if name == "add":
            action.add_argument(
                "public", type=Path, metavar="PUBLIC.json", help="from `ami-package keygen`"
            )
            action.add_argument(
                "--for",
                dest="purposes",
                required=True,
                metavar="LIST",
                help="any of %s, separated by commas" % ", ".join(NAMES.values()),
            )
        elif name == "remove":
            action.add_argument("kid", metavar="KID", help="its id, hexadecimal")
        elif name == "send":
            add_key(action)
    keys = commands.add_parser(
        "keys",
        help="bring new keys of meters to a concentrator",
        description="Wrap meters' keys under the board's key, sign them, and send them.",
    )
    keys.add_argument("--concentrator", required=True, metavar="ID")
    keys.add_argument(
        "--board-key", type=Path, required=True, metavar="FILE", help="a copy of the board's"
    )
    keys.add_argument(
        "--meter-keys",
        type=Path,
        required=True,
        metavar="keys.jsonl",
        help='one {"serial": ..., "ek": HEX, "ak": HEX} a line; "suite": 1 or 2 where it is not 0;'
        ' "lls": HEX of the secret of a meter that has one; serial "broadcast": the keys of'
        " broadcasts to the fleet",
    )
    keys.add_argument(
        "--counter",
        type=_counter,
        default=0,
        metavar="N",
        help="the invocation counter to begin with, for meters that stand far ahead of the"
        ' concentrator; "counter" in a line is for that meter alone',
    )
    add_key(keys)
    keys.set_defaults(run=_keys)


def _counter(text: str) -> int:
    if not text.isdecimal() or not security.COUNTER.fits(int(text)):
        raise argparse.ArgumentTypeError("expected " + security.COUNTER.name)
    return int(text)


def _keys(options: argparse.Namespace) -> int:
    store, key = Store(options.db), SigningKey.load(options.key)
    meters = security.load_meter_keys(options.meter_keys, options.counter)
    board_key = security.load_board_key(options.board_key)
    numbers = security.send_keys(
        store.trust, key, options.concentrator, board_key, meters, int(time.time())
    )
    for number in numbers:
        print("keys message %d for %s is kept" % (number, options.concentrator))
    for problem in problems(store, options.concentrator):
        if problem:
            print(problem)
    return 0


def _add(options: argparse.Namespace) -> int:
    security.check(options.concentrator)
    store, purposes = Store(options.db), security.parse_purposes(options.purposes)
    for kid, public in load_trust(options.public):
        store.trust.stage(options.concentrator, kid, public, purposes)
        print("staged: trust %s for %s" % (kid.hex(), purposes_text(purposes)))
    return 0


def _remove(options: argparse.Namespace) -> int:
    security.check(options.concentrator)
    try:
        kid = bytes.fromhex(options.kid)
    except ValueError:
        raise security.SecurityProblem(
            "expected a key id in hexadecimal, got '%s'" % options.kid
        ) from None
    if not 1 <= len(kid) <= envelope.MAX_KEY_ID:
        raise security.SecurityProblem("expected a key id of 1..%d bytes" % envelope.MAX_KEY_ID)
    Store(options.db).trust.stage(options.concentrator, kid, None, 0)
    print("staged: trust %s no longer" % kid.hex())
    return 0


def _drop(options: argparse.Namespace) -> int:
    Store(options.db).trust.clear_staged(options.concentrator)
    return 0


def _send(options: argparse.Namespace) -> int:
    store = Store(options.db)
    key = SigningKey.load(options.key)
    number = security.send_trust(store.trust, key, options.concentrator, int(time.time()))
    print("trust message %d for %s is kept" % (number, options.concentrator))
    for problem in problems(store, options.concentrator):
        if problem:
            print(problem)
    return 0


def _show(options: argparse.Namespace) -> int:
    store, console = Store(options.db), Console()
    standing = store.trust.standing(options.concentrator)
    if standing is None:
        console.print("%s was not heard of yet" % options.concentrator, markup=False)
    else:
        console.print(
            "%s has taken %d trust and %d key messages"
            % (options.concentrator, standing.trust, standing.keys),
            markup=False,
        )
        console.print(
            "its audit trail: --records %d --head %s" % (standing.records, standing.head.hex()),
            markup=False,
            soft_wrap=True,
        )
    table = Table(title="Sent", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("Topic", "Number", "Kept", "State", "What"):
        table.add_column(name, overflow="fold")
    for row in store.trust.numbered(options.concentrator, (*UNANSWERED, TAKEN, REJECTED)):
        state = row.state
        if row.reason:
            state += ": %s, %s" % (row.reason, row.detail)
        table.add_row(
            row.topic,
            str(row.number),
            show.date(row.submitted),
            Text(state),
            Text(row.what),
        )
    if table.row_count:
        console.print(table)
    for change in store.trust.staged(options.concentrator):
        console.print("staged: " + security.staged_text(change), markup=False)
    return 0
