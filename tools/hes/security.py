"""`ami-hes trust`: whose signatures a concentrator accepts, changed by signed messages.

Changes are staged one by one, then signed and sent as one. The concentrator takes them in the order
of their numbers, each once.
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

from gateway.uplink import envelope, messages
from gateway.uplink.trust import NAMES, TrustChange, TrustKey, purposes_text
from tools.hes import report
from tools.hes.store import REJECTED, TAKEN, UNANSWERED, Store
from tools.hes.watch import service_problem
from tools.package.keys import SigningKey, load_trust

VALID_S = 30 * 86400  # how long a message that could not be delivered stays good


class SecurityProblem(Exception):
    """What was asked cannot be done; the text says what was expected."""


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


def parse_purposes(text: str) -> int:
    bits = {name: bit for bit, name in NAMES.items()}
    purposes = 0
    for name in text.split(","):
        if name.strip() not in bits:
            raise SecurityProblem(
                "expected any of %s for --for, got '%s'" % (", ".join(bits), name.strip())
            )
        purposes |= bits[name.strip()]
    return purposes


def send_trust(store: Store, key: SigningKey, concentrator: str, now: int) -> int:
    """Sign what is staged, keep it for `serve` to send; its number."""
    _check(concentrator)
    staged = store.staged_trust(concentrator)
    if not staged:
        raise SecurityProblem("nothing is staged; `ami-hes trust add` and `remove` do that")
    add = [
        TrustKey(bytes(row["kid"]), bytes(row["public"]), row["purposes"])
        for row in staged
        if row["public"] is not None
    ]
    remove = [bytes(row["kid"]) for row in staged if row["public"] is None]
    number = store.next_number("trust", concentrator)
    change = TrustChange(concentrator, now, now + VALID_S, number, add, remove)
    raw = envelope.sign(change.encode(), key.kid, key.sign)
    store.add_numbered("trust", concentrator, number, "; ".join(map(_staged, staged)), raw)
    store.clear_staged_trust(concentrator)
    return number


def _add(options: argparse.Namespace) -> int:
    _check(options.concentrator)
    store, purposes = Store(options.db), parse_purposes(options.purposes)
    for kid, public in load_trust(options.public):
        store.stage_trust(options.concentrator, kid, public, purposes)
        print("staged: trust %s for %s" % (kid.hex(), purposes_text(purposes)))
    return 0


def _remove(options: argparse.Namespace) -> int:
    _check(options.concentrator)
    try:
        kid = bytes.fromhex(options.kid)
    except ValueError:
        raise SecurityProblem("expected a key id in hexadecimal, got '%s'" % options.kid) from None
    if not 1 <= len(kid) <= envelope.MAX_KEY_ID:
        raise SecurityProblem("expected a key id of 1..%d bytes" % envelope.MAX_KEY_ID)
    Store(options.db).stage_trust(options.concentrator, kid, None, 0)
    print("staged: trust %s no longer" % kid.hex())
    return 0


def _drop(options: argparse.Namespace) -> int:
    Store(options.db).clear_staged_trust(options.concentrator)
    return 0


def _send(options: argparse.Namespace) -> int:
    store = Store(options.db)
    key = SigningKey.load(options.key)
    number = send_trust(store, key, options.concentrator, int(time.time()))
    print("trust message %d for %s is kept" % (number, options.concentrator))
    problem = service_problem(store)
    if problem:
        print(problem)
    return 0


def _show(options: argparse.Namespace) -> int:
    store, console = Store(options.db), Console()
    standing = store.standing(options.concentrator)
    if standing is None:
        console.print("%s was not heard of yet" % options.concentrator, markup=False)
    else:
        console.print(
            "%s has taken %d trust and %d key messages" % (options.concentrator, *standing[1:3]),
            markup=False,
        )
    table = Table(title="Sent", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("Topic", "Number", "Kept", "State", "What"):
        table.add_column(name, overflow="fold")
    for row in store.numbered(options.concentrator, (*UNANSWERED, TAKEN, REJECTED)):
        state = row["state"]
        if row["reason"]:
            state += ": %s, %s" % (row["reason"], row["detail"])
        table.add_row(
            row["topic"],
            str(row["number"]),
            report.date(row["submitted"]),
            Text(state),
            Text(row["what"]),
        )
    if table.row_count:
        console.print(table)
    for row in store.staged_trust(options.concentrator):
        console.print("staged: " + _staged(row), markup=False)
    return 0


def _staged(row: Any) -> str:
    kid = bytes(row["kid"]).hex()
    if row["public"] is None:
        return "-%s" % kid
    return "+%s for %s" % (kid, purposes_text(row["purposes"]))


def _check(concentrator: str) -> None:
    try:
        messages.topic(concentrator, "trust")
    except ValueError as error:
        raise SecurityProblem(str(error)) from None
