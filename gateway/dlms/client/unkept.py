"""Services that a meter agreed to and does not keep to: lists and ACCESS that it drops without a
word, refuses as a whole, or answers with what is none. One of the operations by itself shows
whether it was that; then the service is given up (Exchange.give_up), and all others go singly.
"""

from __future__ import annotations

from gateway.dlms.apdu import acse
from gateway.dlms.errors import (
    LINK_ENDED,
    AccessRefused,
    DlmsError,
    NoAnswer,
    ProtocolError,
    ServiceRefused,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from gateway.dlms.client.exchange import Exchange

    T = TypeVar("T")
    Item = TypeVar("Item")

_MAY_BE_OF_THE_FORM = (
    "operation-not-possible",
    "service-not-supported",
    "other-reason",
    "pdu-too-long",
)


async def singly(
    exchange: Exchange, service: int, failed: DlmsError, first: Callable[[], Awaitable[T]]
) -> T:
    """What first() gives, the first operation of a request that failed, by itself. From here on
    the meter is not asked for `service`, conformance bits, any more. The failure itself, where it
    is of another kind or the meter is silent to this too."""
    if isinstance(failed, ServiceRefused):
        may_be = failed.service in _MAY_BE_OF_THE_FORM
    else:
        may_be = not isinstance(failed, LINK_ENDED)
    if not may_be:
        raise failed
    if not isinstance(failed, NoAnswer):
        exchange.give_up(service)
        return await first()
    tries, exchange.tries = exchange.tries, 1  # silence has taken long enough
    try:
        found = await first()
    except NoAnswer:
        raise failed
    finally:
        exchange.tries = tries
    exchange.give_up(service)
    return found


FAILURES = (AccessRefused, NoAnswer, ProtocolError, ServiceRefused)  # that singly() is for


async def together(
    exchange: Exchange,
    items: list[Item],
    listed: Callable[[Exchange, list[Item]], Awaitable[list[T]]],
    single: Callable[[Exchange, Item], Awaitable[T]],
    failures: tuple[type[DlmsError], ...] = FAILURES,
) -> list[T]:
    """What listed() gives of all items; or what single() gives, of the first one, where one of the
    `failures` shows that the meter knows no lists."""
    try:
        return await listed(exchange, items)
    except failures as error:
        lists = acse.MULTIPLE_REFERENCES
        return [await singly(exchange, lists, error, lambda: single(exchange, items[0]))]
