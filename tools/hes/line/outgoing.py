"""What goes to the concentrators by itself: orders, messages of trust and keys, asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hal.rt import log
from tools.hes.line.connection import Sender
from tools.hes.store.line import Line
from tools.hes.store.records import Numbered, Order
from tools.hes.store.states import SUBMITTED

_WHERE = "hes"


@dataclass(frozen=True)
class Due:
    """What is to be sent now; orders and asks by concentrator."""

    numbered: list[Numbered]
    orders: list[tuple[str, list[Order]]]
    asks: list[tuple[str, str]]


def due(store: Line, states: tuple[str, ...], stands: Callable[[str], bool]) -> Due:
    """What is to be sent now to those who can be spoken to, marked as sent: should it get lost, it
    is unanswered, and comes again with the next connection or hello.
    """
    if not store.anything_due(states):
        return Due([], [], [])
    names = store.concentrators_with_orders(states)
    found = Due(
        [each for each in store.numbered(None, states) if stands(each.concentrator)],
        [(name, store.orders(name, states)) for name in names if stands(name)],
        [(name, after) for name, after in store.asks() if stands(name)],
    )
    mark(store, found.numbered, [order for _, orders in found.orders for order in orders])
    for concentrator, _ in found.asks:
        store.ask_sent(concentrator)
    return found


def mark(store: Line, numbered: list[Numbered], orders: list[Order]) -> None:
    for message in numbered:
        if message.state == SUBMITTED:
            store.numbered_sent(message)
    for order in orders:
        store.sent(order)


async def send(sender: Sender, concentrator: str, orders: list[Order]) -> None:
    for order in orders:
        await sender.publish(concentrator, order.kind, order.envelope)
        log.info(_WHERE, "%s %s sent to %s" % (order.kind, order.job.hex(), concentrator))


async def send_numbered(sender: Sender, found: list[Numbered]) -> None:
    for each in found:
        await sender.publish(each.concentrator, each.topic, each.envelope)
        log.info(_WHERE, "%s %d sent to %s" % (each.topic, each.number, each.concentrator))
