"""The keys and the password of the command line, of the environment, or of a line of keys.jsonl."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

from gateway.meters.key_lines import parse_keys
from gateway.meters.line_fields import InventoryError
from tools.dlms.failure import CallProblem

PASSWORD, EK, AK, MASTER = "AMI_DLMS_PASSWORD", "AMI_DLMS_EK", "AMI_DLMS_AK", "AMI_DLMS_MASTER"


@dataclass
class Given:
    """b"" for what was not given. `counter`: the invocation counter at commissioning, 0: none."""

    ek: bytes = b""
    ak: bytes = b""
    secret: bytes = b""
    master: bytes = b""
    suite: int = 0
    counter: int = 0


def given(options: argparse.Namespace, alone: bool) -> Given:
    """`alone`: ek will do without ak. CallProblem says which option is wrong; never with what it
    held."""
    secret = _password(options)
    master = _key("--master", options.master or os.environ.get(MASTER, ""))
    if options.keys is not None:
        if options.ek or options.ak:
            raise CallProblem("--keys, or --ek and --ak: not both")
        if not options.serial:
            raise CallProblem("--keys needs --serial, the meter whose keys to take")
        found = _line(options.keys, options.serial, options.suite)
        found.secret = secret or found.secret
    else:
        ek = _key("--ek", options.ek or os.environ.get(EK, ""))
        ak = _key("--ak", options.ak or os.environ.get(AK, ""))
        if bool(ek) != bool(ak) and not (alone and ek):
            raise CallProblem("--ek and --ak (or %s and %s) go together" % (EK, AK))
        found = Given(ek, ak, secret)
    found.master = master
    if options.suite is not None:
        found.suite = options.suite
    if options.counter is not None:
        found.counter = options.counter
    return found


def _line(path: Path, serial: str, suite: int | None) -> Given:
    """Of keys.jsonl, as the concentrator reads it (gateway/meters/key_lines.py); `suite` None: the
    one that stands there."""
    for number, line in enumerate(read_text(path).splitlines(), 1):
        where = "%s:%d" % (path, number)
        try:
            fields = json.loads(line)
            if fields["serial"] != serial:
                continue
        except (ValueError, KeyError, TypeError):
            raise CallProblem("%s: expected a JSON object with serial" % where) from None
        if suite is not None:
            fields["suite"] = suite
        try:
            row = parse_keys(json.dumps(fields).encode())
        except InventoryError as error:
            raise CallProblem("%s: %s" % (where, error)) from None
        if not row.ek and not row.lls:
            raise CallProblem("%s: its keys are wrapped for a concentrator" % where)
        return Given(row.ek, row.ak, row.lls, b"", row.suite, row.counter)
    raise CallProblem("%s has no line for %s" % (path, serial))


def _password(options: argparse.Namespace) -> bytes:
    """Text, or octets as 0x and hex digits."""
    if options.password_file is not None:
        text = read_text(options.password_file).rstrip("\r\n")
    else:
        text = options.password or os.environ.get(PASSWORD, "")
    if text.lower().startswith("0x"):
        try:
            return bytes.fromhex(text[2:])
        except ValueError:
            raise CallProblem("the password starts with 0x: pairs of hex digits expected") from None
    return str(text).encode()


def _key(name: str, text: str) -> bytes:
    if not text:
        return b""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) not in (16, 32):
        raise CallProblem("%s: expected 32 hex digits (64 in suite 2)" % name)
    return key


def read_text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CallProblem("%s: %s" % (path, getattr(error, "strerror", "not text"))) from None
