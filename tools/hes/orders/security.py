"""Whose signatures a concentrator accepts, and new keys for its meters, by signed and numbered
messages.

Changes of trust are staged one by one, then signed and sent as one. The concentrator takes the
messages of each kind in the order of their numbers, each once. Meters' keys are wrapped here under
the board's key; the HES keeps the wrapped ones only, and those as long as the message is on record.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from gateway.contract import messages
from gateway.contract.key_change import KeyChange
from gateway.contract.limits import MAX_COUNTER, MAX_KEYED
from gateway.contract.meter_keys import MeterKeys, Vault
from gateway.contract.rules import SERIAL, uint
from gateway.contract.trust_change import LINE, NAMES, TrustChange, TrustKey, purposes_text
from hal.cpython.crypto import SystemCrypto
from tools.hes.orders.numbered import VALID_S, keep
from tools.hes.orders.typed import text_of
from tools.hes.store.records import StagedKey
from tools.hes.store.trust import Trust
from tools.package.keys import SigningKey

COUNTER = uint(MAX_COUNTER)


class SecurityProblem(Exception):
    """What was asked cannot be done; the text says what was expected."""


def parse_purposes(text: str) -> int:
    bits = {name: bit for bit, name in NAMES.items()}
    purposes = 0
    for name in text.split(","):
        if name.strip() not in bits:
            raise SecurityProblem(
                "expected any of %s for --for, got '%s'" % (", ".join(bits), name.strip())
            )
        purposes |= bits[name.strip()]
    if purposes & LINE and purposes != LINE:
        raise SecurityProblem(
            "expected %s alone for --for: a key for the line agrees on keys, and signs nothing"
            % NAMES[LINE]
        )
    return purposes


def send_trust(store: Trust, key: SigningKey, concentrator: str, now: int) -> int:
    """Sign what is staged, keep it for `serve` to send; its number."""
    check(concentrator)
    staged = store.staged(concentrator)
    if not staged:
        raise SecurityProblem("nothing is staged; `ami-hes trust add` and `remove` do that")
    add = [TrustKey(row.kid, row.public, row.purposes) for row in staged if row.public is not None]
    remove = [row.kid for row in staged if row.public is None]
    made = partial(TrustChange, concentrator, now, now + VALID_S, add=add, remove=remove)
    what = "; ".join(map(staged_text, staged))
    number = keep(store, key, "trust", concentrator, made, what)
    store.clear_staged(concentrator)
    return number


def send_keys(
    store: Trust,
    key: SigningKey,
    concentrator: str,
    board_key: bytes,
    meters: list[tuple[str, MeterKeys]],
    now: int,
) -> list[int]:
    """Wrap, sign, keep for `serve` to send; the numbers of the messages."""
    check(concentrator)
    try:
        vault = Vault(SystemCrypto(), board_key)
    except ValueError as error:
        raise SecurityProblem(str(error)) from None
    wrapped = [_wrapped(vault, serial, keys) for serial, keys in meters]
    # A message stays below the limit of 128 KiB; who has a secret too takes twice as much.
    at_once = MAX_KEYED if max(map(len, wrapped)) == 2 else MAX_KEYED // 2
    numbers = []
    for first in range(0, len(wrapped), at_once):
        some = wrapped[first : first + at_once]
        made = partial(KeyChange, concentrator, now, now + VALID_S, keys=some)
        what = "keys of %d meters" % len(some)
        numbers.append(keep(store, key, "keys", concentrator, made, what))
    return numbers


def _wrapped(vault: Vault, serial: str, keys: MeterKeys) -> tuple[Any, ...]:
    """As a KeyChange has it."""
    own = vault.wrap(serial, keys) if keys.ek else b""
    if keys.ek and not keys.lls and not keys.counter:
        return serial, own
    secret = vault.wrap_secret(serial, keys.lls) if keys.lls else b""
    return serial, own, keys.counter, secret


def load_board_key(path: Path) -> bytes:
    try:
        return bytes.fromhex(path.read_text().strip())
    except ValueError:
        raise SecurityProblem("%s: expected 32 or 64 hex digits, nothing else" % path) from None


def load_meter_keys(path: Path, counter: int = 0) -> list[tuple[str, MeterKeys]]:
    """`counter`: the invocation counter to begin with, of those whose line has none.
    SecurityProblem names the line, never its content.
    """
    meters = []
    for number, line in enumerate(text_of(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            serial = str(fields["serial"])
            lls = bytes.fromhex(fields.get("lls", ""))
            bare = bool(lls) and "ek" not in fields and "ak" not in fields
            ek, ak = ("", "") if bare else (fields["ek"], fields["ak"])
            keys = MeterKeys(
                bytes.fromhex(ek),
                bytes.fromhex(ak),
                fields.get("suite", 0),
                lls,
                fields.get("counter", counter),
            )
            good = type(keys.suite) is int and SERIAL.fits(serial) and COUNTER.fits(keys.counter)
            good = good and (bare or bool(keys.ek))
        except (ValueError, LookupError, TypeError, RecursionError):
            good = False
        if not good:
            raise SecurityProblem(
                '%s:%d: expected {"serial": ..., "ek": 32 hex digits, "ak": 32 hex digits}, or'
                ' 64 digits each with "suite": 2; "lls": hex digits of a secret, with them or'
                ' alone; "counter": a number, if any' % (path, number)
            )
        meters.append((serial, keys))
    if not meters:
        raise SecurityProblem("%s: expected the keys of at least one meter" % path)
    return meters


def staged_text(row: StagedKey) -> str:
    kid = row.kid.hex()
    if row.public is None:
        return "-%s" % kid
    return "+%s for %s" % (kid, purposes_text(row.purposes))


def check(concentrator: str) -> None:
    try:
        messages.topic(concentrator, "trust")
    except ValueError as error:
        raise SecurityProblem(str(error)) from None
