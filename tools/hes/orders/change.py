"""Signed, numbered changes of a concentrator (gateway/contract/change.py): kept for `serve`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from gateway.contract import envelope, messages
from gateway.contract.change import Change
from tools.hes.orders.numbered import VALID_S, keep
from tools.hes.orders.typed import OrderProblem
from tools.hes.store.records import Numbered
from tools.hes.store.trust import Trust
from tools.package.keys import SigningKey

if TYPE_CHECKING:
    from gateway.contract.change import Body

CHANGE = "change"  # the topic


def send(
    store: Trust,
    key: SigningKey,
    concentrators: Sequence[str],
    body: Body,
    what: str,
    now: int,
) -> list[tuple[str, int]]:
    """Sign a change for each concentrator, keep them all for `serve` to send; [(concentrator,
    number)]. `what` it is, for people. None is kept where one of the names is none: OrderProblem.
    """
    for concentrator in concentrators:
        check_name(concentrator)
    sent = []
    for concentrator in concentrators:
        made = partial(Change, concentrator, now, now + VALID_S, body=body)
        sent.append((concentrator, keep(store, key, CHANGE, concentrator, made, what)))
    return sent


def check_name(concentrator: str) -> None:
    try:
        messages.topic(concentrator, CHANGE)
    except ValueError as error:
        raise OrderProblem(str(error)) from None


def body_of(message: Numbered) -> object:
    """Of a message of topic `change`, which we have made ourselves."""
    _, payload, _ = envelope.split(message.envelope)
    return Change.decode(payload).body
