"""Signed messages to a concentrator that are numbered and taken in that order: kept for `serve`."""

from __future__ import annotations

from collections.abc import Callable

from gateway.contract import envelope
from gateway.contract.fields import Message
from tools.hes.store.trust import Trust
from tools.package.keys import SigningKey

VALID_S = 30 * 86400  # how long a message that could not be delivered stays good


def keep(
    store: Trust,
    key: SigningKey,
    topic: str,
    concentrator: str,
    made: Callable[[int], Message],
    what: str,
) -> int:
    """Sign what `made` of the next number, keep it; the number. `what` it does, for people."""
    number = store.next_number(topic, concentrator)
    raw = envelope.sign(made(number).encode(), key.kid, key.sign)
    store.add_numbered(topic, concentrator, number, what, raw)
    return number
