"""The DLMS/COSEM client over one Link: associate, get, set, action, access, release.

Requests go out one at a time. Answers that are late or double are known by their invoke-id, block
number or invocation counter, and dropped. A request is sent again when no answer came, `tries`
times in all; a method is never invoked twice, so an ACTION (or the last block of one) is sent once.
Values that do not fit the meter's or the path's largest APDU travel in blocks. Every service is
asked for, and only those that the meter grants and keeps to are used: a list goes one by one where
there are no lists, ACCESS as lists. Of a meter that has short names only (an association
with SN) all is asked for alike; its names are found in its object list (short_names.py).

Errors are those of errors.py; OSError and ModemError of the link pass through. After a
ProtocolError the association is closed: associate() starts the next. Cancelling a call leaves the
link usable: what still comes for it is dropped later.
"""

from __future__ import annotations

from gateway.dlms.client import accessing, invoking, reading, writing
from gateway.dlms.client.associating import PROPOSED, PROPOSED_SN, Associating
from gateway.dlms.client.association import (
    HIGH,
    HIGH_ECDSA,
    HIGH_GMAC,
    HIGH_MD5,
    HIGH_SHA1,
    HIGH_SHA256,
    LN,
    LOW,
    NONE,
    SN,
    Association,
)
from gateway.dlms.client.exchange import Exchange
from gateway.dlms.data.selection import by_entry, by_range
from gateway.dlms.errors import LinkLost, LinkSilent, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, TypeVar

    from gateway.dlms.apdu.access import Operation
    from gateway.dlms.apdu.action import Method
    from gateway.dlms.apdu.parts import DataResult, Selection, Target
    from gateway.dlms.client.reading import Rows
    from gateway.dlms.client.short_names import ShortNames
    from gateway.dlms.data.axdr import Typed
    from gateway.dlms.protection.keyring import Keys
    from hal.ports import Clock, Crypto, Link

    T = TypeVar("T")

__all__ = (
    "HIGH",
    "HIGH_ECDSA",
    "HIGH_GMAC",
    "HIGH_MD5",
    "HIGH_SHA1",
    "HIGH_SHA256",
    "LN",
    "LOW",
    "NONE",
    "PROPOSED",
    "PROPOSED_SN",
    "SN",
    "Association",
    "Client",
)


class Client:
    """`timeout_ms` is how long one answer may take, `tries` how often a repeatable request is sent,
    `max_value` the largest value in bytes put together from blocks, `window` how many general
    blocks the meter may send at once (1..63). `next_counter` gives invocation counters never used
    before with these keys. `on_notification` is called with what the meter sends unasked
    (apdu.NOTIFICATIONS); without it that is dropped. `pause_ms` goes by before each request. One
    caller at a time."""

    def __init__(
        self,
        link: Link,
        clock: Clock,
        crypto: Crypto,
        association: Association,
        next_counter: Callable[[], int],
        timeout_ms: int = 10_000,
        tries: int = 3,
        max_value: int = 65536,
        window: int = 1,
        on_notification: Callable[[Any], None] | None = None,
        pause_ms: int = 0,
    ) -> None:
        self._exchange = Exchange(
            link, clock, timeout_ms, tries, max_value, window, on_notification, pause_ms
        )
        self._associating = Associating(self._exchange, crypto, association, next_counter)
        self._short: ShortNames | None = None
        if association.referencing == SN:
            from gateway.dlms.client.short_names import ShortNames

            self._short = ShortNames(self._exchange, self._associating.abandon)

    @property
    def conformance(self) -> int:
        """The services agreed to (bits of acse.py); 0 while there is no association."""
        return self._exchange.conformance

    @property
    def unkept(self) -> int:
        """The services (bits of acse.py) that the meter agreed to and did not keep to. This client
        does not use them any more; another one for the same meter may be told not to propose
        them."""
        return self._exchange.unkept

    @property
    def capacity(self) -> int:
        """The longest plain APDU in bytes that goes in one piece, protection allowed for."""
        return self._exchange.capacity()

    # ------------------------------------------------------------ association

    async def associate(self) -> None:
        """AARQ, AARE, and both passes of HLS. Starts anew each time it is called.

        On a bad path an AARE may belong to an AARQ before, even of a conversation before; then its
        challenge is void and authentication fails though the keys are right. So a failure counts
        only once the line has been silent before the AARQ; else it is NoAnswer.
        """
        await self._associating.open()

    def assume(self, title: bytes, conformance: int, max_pdu: int, received: int = -1) -> None:
        """A pre-established association (Green Book 9.3.1): nothing is exchanged, both sides know
        what would have been agreed. `title`: the meter's system title; `received`: the highest
        invocation counter that has come from it (see `received`)."""
        self._associating.assume(title, conformance, max_pdu, received)

    @property
    def received(self) -> int:
        """The highest invocation counter accepted from the meter so far; -1: none."""
        ciphering = self._exchange.ciphering
        return -1 if ciphering is None else ciphering.received

    def use_keys(self, keys: Keys) -> None:
        """From the next request on, in this association and those to come: after a key change."""
        self._associating.use_keys(keys)

    async def release(self) -> str:
        """RLRQ, once; whatever the meter or the link does about it, the association is over. What
        the meter said, by its standard name ("normal"); "" when it said nothing."""
        return await self._associating.release()

    async def leave(self) -> None:
        """RLRQ, and no waiting for what the meter says to it."""
        await self._associating.abandon()

    # ------------------------------------------------------------ services

    async def get(
        self, class_id: int, name: bytes, attribute: int, selection: Selection | None = None
    ) -> bytes:
        """The attribute's value: A-XDR Data as it came, for axdr.decode."""
        if self._short is not None:
            return await self._closing(self._short.get(class_id, name, attribute, selection))
        return await self._closing(
            reading.get(self._exchange, class_id, name, attribute, selection)
        )

    async def get_list(self, items: list[Target]) -> list[DataResult]:
        """Several attributes (class_id, obis, attribute, selection), in as few exchanges as the
        meter's services and largest APDU allow: for each its data-access-result and value (None
        unless SUCCESS)."""
        if self._short is not None:
            return await self._closing(self._short.get_list(items))
        return await self._closing(reading.get_list(self._exchange, items))

    def read_profile(
        self,
        name: bytes,
        start: bytes | Typed | None = None,
        end: bytes | Typed | None = None,
        first: int = 1,
        last: int = 0,
        columns: list[Typed] | None = None,
        restricting: Typed | None = None,
    ) -> Rows:
        """The rows of a profile generic's buffer: `async for row in client.read_profile(..)`, each
        a list of typed values. `start` and `end` (date-times of 12 bytes) choose a range of time;
        else `first` and `last` (from 1; last 0: the end) choose entries; none of them: all rows.
        `columns` (selection.column) chooses columns, of a range only. `restricting`: the column
        that the range is of; None: the clock's time."""
        selection: Selection | None = None
        if start is not None and end is not None:
            selection = by_range(start, end, columns, restricting)
        elif start is not None or end is not None or columns:
            raise ValueError("a range needs its start and its end")
        elif (first, last) != (1, 0):
            selection = by_entry(first, last)
        if self._short is not None:
            return self._short.rows(name, selection)
        return reading.rows(self._exchange, name, selection, self._associating.abandon)

    async def set(
        self,
        class_id: int,
        name: bytes,
        attribute: int,
        data: bytes,
        selection: Selection | None = None,
        confirmed: bool = True,
    ) -> None:
        """Write `data` (A-XDR Data); returns when the meter has said success, or at once where it
        is not `confirmed`."""
        if self._short is not None:
            await self._closing(
                self._short.set(class_id, name, attribute, data, selection, confirmed)
            )
            return
        await self._closing(
            writing.set_(self._exchange, class_id, name, attribute, data, selection, confirmed)
        )

    async def set_list(self, items: list[tuple[Target, bytes]]) -> list[int]:
        """Write several attributes, each ((class_id, obis, attribute, selection), data), in as few
        exchanges as possible: the data-access-result of each."""
        if self._short is not None:
            return await self._closing(self._short.set_list(items))
        return await self._closing(writing.set_list(self._exchange, items))

    async def action(
        self,
        class_id: int,
        name: bytes,
        method: int,
        data: bytes | None,
        confirmed: bool = True,
    ) -> bytes | None:
        """Invoke a method, never more than once; its return parameters as A-XDR Data, or None."""
        if self._short is not None:
            return await self._closing(self._short.action(class_id, name, method, data, confirmed))
        return await self._closing(
            invoking.action(self._exchange, class_id, name, method, data, confirmed)
        )

    async def action_list(self, items: list[tuple[Method, bytes | None]]) -> list[DataResult]:
        """Invoke several methods, each ((class_id, obis, method), data), in order, none more than
        once: for each its action-result and what it returned (None: nothing)."""
        if self._short is not None:
            return await self._closing(self._short.action_list(items))
        return await self._closing(invoking.action_list(self._exchange, items))

    async def access(
        self, operations: list[Operation], break_on_error: bool = False
    ) -> list[DataResult]:
        """apdu.AccessGet, AccessSet and AccessAction mixed, in order, by ACCESS; by lists or one by
        one where the meter has it not. For each its result (of ACCESS_RESULTS or ACTION_RESULTS)
        and data or None; with `break_on_error` the results end with the first refusal."""
        return await self._closing(
            accessing.access(self._exchange, self._short, operations, break_on_error)
        )

    async def listen(self, timeout_ms: int) -> Any:
        """The next notification (apdu.NOTIFICATIONS) while no request is under way, or None."""
        return await self._exchange.listen(timeout_ms)

    async def _closing(self, service: Awaitable[T]) -> T:
        """What the meter sends makes no sense: nothing more can be trusted in this association.
        Likewise where the link has ended."""
        try:
            return await service
        except (ProtocolError, LinkLost, LinkSilent) as error:
            await self._associating.abandon(error)
            raise error
