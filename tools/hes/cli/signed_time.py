"""`ami-hes time`: a signed time for a technician to carry to a concentrator's local port."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from gateway.contract import envelope
from gateway.contract.messages import SignedTime
from tools.hes.orders import security
from tools.package.keys import SigningKey

NONCE_SIZE = 16


def add_parser(commands: Any, add_key: Callable[[argparse.ArgumentParser], None]) -> None:
    command = commands.add_parser(
        "time",
        help="sign the time for a concentrator that cannot be reached for want of one",
        description="A technician reads the nonce at the concentrator's local port (data"
        " 0.0.96.52.0.255), and writes there, within an hour, what this prints. It sets the clock"
        " to any date, and brings back a last known time that is wrong.",
    )
    command.add_argument("--concentrator", required=True, metavar="ID")
    command.add_argument(
        "--nonce", required=True, type=_nonce, metavar="HEX", help="what the local port shows"
    )
    add_key(command)
    command.set_defaults(run=_run)


def _nonce(text: str) -> bytes:
    try:
        nonce = bytes.fromhex(text)
    except ValueError:
        nonce = b""
    if len(nonce) != NONCE_SIZE:
        raise argparse.ArgumentTypeError("expected %d hex digits" % (2 * NONCE_SIZE))
    return nonce


def _run(options: argparse.Namespace) -> int:
    security.check(options.concentrator)
    key = SigningKey.load(options.key)
    signed = SignedTime(options.concentrator, options.nonce, int(time.time()))
    print(envelope.sign(signed.encode(), key.kid, key.sign).hex())
    return 0
