"""`ami-hes trust` and `ami-hes keys`: whose signatures a concentrator accepts, and new keys for its
meters, by signed and numbered messages.

Changes of trust are staged one by one, then signed and sent as one. The concentrator takes the
messages of each kind in the order of their numbers, each once. Meters' keys are wrapped here under
the board's key; the HES keeps the wrapped ones only, and those as long as the message is on record.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.contract import envelope, messages
from gateway.contract.key_change import MAX_METERS, SERIAL, KeyChange
from gateway.contract.meter_keys import MeterKeys, Vault
from gateway.uplink.trust import NAMES, TrustChange, TrustKey, purposes_text
from hal.cpython.crypto import SystemCrypto
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
        ' serial "broadcast": the keys of broadcasts to the fleet',
    )
    add_key(keys)
    keys.set_defaults(run=_keys)


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


def send_keys(
    store: Store,
    key: SigningKey,
    concentrator: str,
    board_key: bytes,
    meters: list[tuple[str, MeterKeys]],
    now: int,
) -> list[int]:
    """Wrap, sign, keep for `serve` to send; the numbers of the messages."""
    _check(concentrator)
    try:
        vault = Vault(SystemCrypto(), board_key)
    except ValueError as error:
        raise SecurityProblem(str(error)) from None
    wrapped = [(serial, vault.wrap(serial, keys)) for serial, keys in meters]
    numbers = []
    for first in range(0, len(wrapped), MAX_METERS):
        some = wrapped[first : first + MAX_METERS]
        number = store.next_number("keys", concentrator)
        change = KeyChange(concentrator, now, now + VALID_S, number, some)
        raw = envelope.sign(change.encode(), key.kid, key.sign)
        store.add_numbered("keys", concentrator, number, "keys of %d meters" % len(some), raw)
        numbers.append(number)
    return numbers


def load_board_key(path: Path) -> bytes:
    try:
        return bytes.fromhex(path.read_text().strip())
    except ValueError:
        raise SecurityProblem("%s: expected 32 or 64 hex digits, nothing else" % path) from None


def load_meter_keys(path: Path) -> list[tuple[str, MeterKeys]]:
    """SecurityProblem names the line, never its content."""
    meters = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            serial = str(fields["serial"])
            ek, ak = bytes.fromhex(fields["ek"]), bytes.fromhex(fields["ak"])
            keys = MeterKeys(ek, ak, fields.get("suite", 0))
            good = type(keys.suite) is int and SERIAL.fits(serial)
        except (ValueError, KeyError, TypeError):
            good = False
        if not good:
            raise SecurityProblem(
                '%s:%d: expected {"serial": ..., "ek": 32 hex digits, "ak": 32 hex digits}, or'
                ' 64 digits each with "suite": 2' % (path, number)
            )
        meters.append((serial, keys))
    if not meters:
        raise SecurityProblem("%s: expected the keys of at least one meter" % path)
    return meters


def _keys(options: argparse.Namespace) -> int:
    store, key = Store(options.db), SigningKey.load(options.key)
    meters = load_meter_keys(options.meter_keys)
    board_key = load_board_key(options.board_key)
    numbers = send_keys(store, key, options.concentrator, board_key, meters, int(time.time()))
    for number in numbers:
        print("keys message %d for %s is kept" % (number, options.concentrator))
    problem = service_problem(store)
    if problem:
        print(problem)
    return 0


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
        console.print(
            "its audit trail: --records %d --head %s"
            % (standing["records"], bytes(standing["head"]).hex()),
            markup=False,
            soft_wrap=True,
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
