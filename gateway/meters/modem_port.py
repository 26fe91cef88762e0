"""One modem as the network sees it: its reader, its window of frames, its nodes, its open links.

One reader hands each received frame to the link of its (address, server SAP, client SAP); frames
that no link waits for are counted, and given to who takes what comes unasked. What the modem cannot
deliver comes out of the link at once as OSError, so that the DLMS client repeats without waiting
for its timeout.
"""

from __future__ import annotations

import asyncio

from gateway.meters.link import TX_STUCK_MS
from hal.ports import (
    BROADCAST,
    Busy,
    Coming,
    DutyCycle,
    Joined,
    Left,
    Misbehaves,
    ModemGone,
    ModemReset,
    ModemRestarted,
    NoRoute,
    Rx,
    TooLong,
    TxDone,
)
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from gateway.meters.inventory import Path
    from gateway.meters.link import Link
    from hal.ports import Clock, Modem, ModemError

    class Sender(Protocol):
        """Whose frame is in flight."""

        handle: int

        def done(self, handle: int, delivered: bool, error: ModemError | None) -> None: ...


WHERE = "network"
DUTY_WAIT_MS = 60000  # longest wait for radio budget before the frame is refused
USUAL_TRAFFIC = (8, 700)  # frames and octets in all of a short conversation
HOUR_MS = 3_600_000
PROMISED_MS = 1000  # until it is looked again whether a promise of radio budget is free
FIRST_BACKOFF_MS = 2000  # until a modem that failed is tried again, if it does not speak before
MAX_BACKOFF_MS = 60000
SETTLE_MS = 30000  # nodes have so long to register, or to be listed, after a start or a reset
FORMING_MS = 600000  # a network in which nodes keep joining counts as settled after so long
MAX_NODES = 2048  # PRIME has at most 2000; whoever invents more does not fill the memory
EVIDENCE = 8  # silent meters remembered by name; more prove nothing more

_COUNTS = ("late", "lost", "overrun", "stranger", "stuck", "nodes-full", "broadcasts")
_ATTEMPTS = ("answered", "silent", "failover")


class ModemPort:
    """`meters_at_once`: how many links may be open side by side."""

    def __init__(self, modem: Modem, clock: Clock, meters_at_once: int) -> None:
        self.modem = modem
        self.clock = clock
        self.kind = modem.capabilities.name
        self.meters_at_once = meters_at_once
        self.links: dict[tuple[str, int, int], Link] = {}
        self.claims: list[str] = []  # serials that a slot is kept for until their link is opened
        self.promised_ms: dict[str, int] = {}  # and time on air, by serial
        self.slot_free = asyncio.Event()
        self.counts = {"link-" + name: 0 for name in _COUNTS}
        self.counts.update({"attempt-" + name: 0 for name in _ATTEMPTS})
        # Who takes frames that no conversation waits for.
        self.unasked: Callable[[str, Rx], None] | None = None
        self.nodes_version = 0  # counts changes of the nodes
        self.joined_ms = clock.ticks_ms()  # when a node last registered
        # Meters that have not answered since a node was last heard, and since when.
        self.silent: list[str] = []
        self.silent_ms = clock.ticks_ms()
        self._nodes: set[str] = set(modem.nodes()[:MAX_NODES])
        self._since = clock.ticks_ms()  # when its network began to form
        self._in_flight: dict[int, Sender] = {}
        self._window_free = asyncio.Event()
        self._handing_over = asyncio.Lock()
        self._broadcasting = asyncio.Lock()
        # TxDone that overtook the return of send(): (handle, status, error) while one frame is
        # handed over.
        self._early: list[tuple[int, int, ModemError | None]] = []
        self._down_until: int | None = None
        self._backoff_ms = FIRST_BACKOFF_MS
        self._answers = True  # by what the driver says

    # ------------------------------------------------------------ what it can do now

    def alive(self) -> bool:
        """False while the driver hears nothing of its modem, and from a failure until the modem
        speaks again or it is time for another try."""
        return self._answers and (
            self._down_until is None or self.clock.ticks_ms() >= self._down_until
        )

    def look(self) -> bool:
        """alive(), by asking the driver: its statistic "up" is 0 while its modem is silent."""
        try:
            answers = self.modem.statistics().get("up", 1) != 0
        except Exception as error:  # as in read()
            log.error(WHERE, "modem %s: statistics: %s" % (self.kind, error))
            answers = False
        if self._answers and not answers:
            self._drop_all(ModemGone("the %s modem does not answer" % self.kind))
        self._answers = answers
        return self.alive()

    def serves(self, path: Path) -> bool:
        """Whether it is a modem for this path: of its kind, and with addresses spelt like that."""
        spelt = self.modem.capabilities.addresses
        if spelt and (spelt == "host:port") != (":" in path[1]):
            return False
        return self.kind == path[0]

    def reaches(self, path: Path) -> bool:
        """serves() and, where nodes register, has this one in its list."""
        if not self.serves(path):
            return False
        return not self.modem.capabilities.joins or path[1] in self._nodes

    def settled(self) -> bool:
        """Whether who is not registered by now has no place in the network."""
        now = self.clock.ticks_ms()
        if now - self._since >= FORMING_MS:
            return True
        return now - max(self._since, self.joined_ms) >= SETTLE_MS

    def nodes(self) -> set[str]:
        """Not to be changed."""
        return self._nodes if self.modem.capabilities.joins else set(self.modem.nodes())

    def node_count(self) -> int:
        return len(self._nodes) if self.modem.capabilities.joins else len(self.modem.nodes())

    def has_slot(self) -> bool:
        return len(self.links) + len(self.claims) < self.meters_at_once

    def hinders(self) -> dict[str, int]:
        """What of its own keeps meters waiting now, for people: "budget-wait-ms", until there is
        radio budget for a usual conversation; "forming" and "full" are 1."""
        now: dict[str, int] = {}
        wait_ms = self.budget_wait_ms(self.airtime_ms(USUAL_TRAFFIC))
        if wait_ms:
            now["budget-wait-ms"] = wait_ms
        if self.alive() and self.modem.capabilities.joins and not self.settled():
            now["forming"] = 1
        if not self.has_slot():
            now["full"] = 1
        return now

    # ------------------------------------------------------------ its radio budget

    def airtime_ms(self, traffic: tuple[int, int]) -> int:
        """What so many frames with so many octets in all take of the radio budget, at most all that
        there ever is; 0 where there is no limit."""
        budget, (frames, octets) = self.modem.capabilities.budget, traffic
        if budget is None or not frames:
            return 0
        return min(frames * budget.airtime_ms(-(-octets // frames)), budget.total_ms)

    def budget_wait_ms(self, airtime_ms: int) -> int:
        """How long until there is room for so much, beside what is promised to others; 0: now."""
        budget = self.modem.capabilities.budget
        if budget is None or not airtime_ms:
            return 0
        promised = sum(self.promised_ms.values())
        promised += sum([link.promised_ms for link in self.links.values()])
        wait_ms = budget.wait_ms(airtime_ms + promised, self.clock.ticks_ms())
        if airtime_ms + promised > budget.total_ms:
            return max(wait_ms, PROMISED_MS)
        return wait_ms

    def room_for(self, traffic: tuple[int, int]) -> Callable[[int], int] | None:
        """(number of conversations) -> how long until there is room for the last of them, each with
        so much traffic; None: there is no limit."""
        budget, airtime_ms = self.modem.capabilities.budget, self.airtime_ms(traffic)
        if budget is None or not airtime_ms:
            return None
        an_hour = max(budget.total_ms // airtime_ms, 1)

        def last_of(conversations: int) -> int:
            hours = max(conversations - 1, 0) // an_hour
            rest_ms = (conversations - hours * an_hour) * airtime_ms
            return hours * HOUR_MS + budget.wait_ms(rest_ms, self.clock.ticks_ms())

        return last_of

    def _used(self, link: Link, size: int) -> None:
        budget = self.modem.capabilities.budget
        if budget is not None:
            link.promised_ms = max(link.promised_ms - budget.airtime_ms(size), 0)

    def forget(self, link: Link) -> None:
        key = (link.address, link.server_sap, link.client_sap)
        if self.links.get(key) is link:
            del self.links[key]
            self.slot_free.set()

    def note_silent(self, serial: str) -> None:
        """A meter that answered in earlier days did not: is it the meter, or this modem?"""
        if not self.silent:
            self.silent_ms = self.clock.ticks_ms()
        if serial not in self.silent and len(self.silent) < EVIDENCE:
            self.silent.append(serial)

    # ------------------------------------------------------------ sending

    async def send(self, link: Link, apdu: bytes | memoryview) -> None:
        async with self._handing_over:
            await self._wait_for_window()
            if self.links.get((link.address, link.server_sap, link.client_sap)) is not link:
                raise OSError("the link to %s is closed" % link.address)
            if not self.alive():
                raise ModemGone("the %s modem is gone" % self.kind)
            deadline = self.clock.ticks_ms() + TX_STUCK_MS
            while True:
                try:
                    await self._hand_over(
                        link, link.address, apdu, link.client_sap, link.server_sap
                    )
                    self._used(link, len(apdu))
                    return
                except Busy:
                    left = deadline - self.clock.ticks_ms()
                    if left <= 0:
                        raise
                    await self._wait_for_done(min(left, 1000))
                except DutyCycle as spent:
                    if spent.wait_ms > DUTY_WAIT_MS:
                        raise
                    await self.clock.sleep_ms(max(spent.wait_ms, 1))

    async def broadcast(self, data: bytes | memoryview, client_sap: int, server_sap: int) -> bool:
        """One frame to all nodes; True when the modem says it is on the medium.

        Returns when the modem is finished with it, so that there is never more than one. Frames of
        links that wait meanwhile go first: it queues behind them, and does not hold the modem while
        it waits for room or radio budget, however long that takes. NoRoute, TooLong, or OSError
        when the modem is gone.
        """
        most = self.modem.capabilities.broadcast_mtu
        if not most:
            raise NoRoute("the %s modem has no broadcast" % self.kind)
        if len(data) > most:
            raise TooLong(
                "%s broadcasts take %d bytes a frame, not %d" % (self.kind, most, len(data))
            )
        cast = _Cast()
        async with self._broadcasting:
            while True:
                wait_ms = 0
                async with self._handing_over:
                    await self._wait_for_window()
                    if not self.alive():
                        raise ModemGone("the %s modem is gone" % self.kind)
                    try:
                        await self._hand_over(cast, BROADCAST, data, client_sap, server_sap)
                        self.counts["link-broadcasts"] += 1
                        break
                    except Busy:
                        pass
                    except DutyCycle as spent:
                        wait_ms = max(spent.wait_ms, 1)
                if wait_ms:
                    await self.clock.sleep_ms(wait_ms)
                else:
                    await self._wait_for_done(1000)
            try:
                await self.clock.wait_for_ms(cast.finished.wait(), TX_STUCK_MS)
            except asyncio.TimeoutError:
                self._in_flight.pop(cast.handle, None)
                self._window_free.set()
                self.counts["link-stuck"] += 1
        return cast.delivered

    async def _hand_over(
        self,
        sender: Sender,
        address: str,
        data: bytes | memoryview,
        client_sap: int,
        server_sap: int,
    ) -> None:
        self._early = []
        try:
            handle = await self.modem.send(address, data, client_sap, server_sap)
        except OSError as error:
            self._failed(str(error))
            raise ModemGone("the %s modem is gone: %s" % (self.kind, error))
        sender.handle = handle
        for early, status, why in self._early:
            if early == handle:
                self._done(sender, handle, status, why)
                return
        self._in_flight[handle] = sender

    async def _wait_for_window(self) -> None:
        while len(self._in_flight) >= max(1, self.modem.capabilities.in_flight):
            if not await self._wait_for_done(TX_STUCK_MS):
                self.counts["link-stuck"] += len(self._in_flight)
                self._in_flight = {}

    async def _wait_for_done(self, limit_ms: int) -> bool:
        self._window_free.clear()
        try:
            await self.clock.wait_for_ms(self._window_free.wait(), limit_ms)
        except asyncio.TimeoutError:
            return False
        return True

    # ------------------------------------------------------------ receiving

    async def read(self) -> None:
        """Sort the modem's events, for ever.

        A modem that fails is tried again, ever more seldom.
        """
        while True:
            try:
                event = await self.modem.event()
            except Exception as error:  # whatever a driver dies of is its own, never the gateway's
                self._failed(str(error) or type(error).__name__)
                await self.clock.sleep_ms(self._backoff_ms)
                continue
            self._handle(event)

    def _handle(self, event: TxDone | Rx | Coming | Joined | Left | ModemReset) -> None:
        if self._down_until is not None:
            log.info(WHERE, "modem %s is back" % self.kind)
            self._down_until = None
        self._backoff_ms = FIRST_BACKOFF_MS
        if isinstance(event, Rx):
            self._received(event)
        elif isinstance(event, TxDone):
            sender = self._in_flight.pop(event.handle, None)
            if sender is not None:
                self._done(sender, event.handle, event.status, event.error)
            elif len(self._early) < 16:
                self._early.append((event.handle, event.status, event.error))
            self._window_free.set()
        elif isinstance(event, Coming):
            link = self.links.get((event.address, event.source_sap, event.destination_sap))
            if link is not None:
                link.coming = True
        elif isinstance(event, Joined):
            self._joined(event.address)
        elif isinstance(event, Left):
            if not isinstance(event.error, Misbehaves):  # it is still there, and too much so
                self._nodes.discard(event.address)
                self.nodes_version += 1
            for link in self._links_to(event.address):
                gone = OSError("%s left the %s network" % (event.address, self.kind))
                link.deliver(event.error or gone)
        elif isinstance(event, ModemReset):
            log.warning(WHERE, "modem %s was reset" % self.kind)
            self._nodes = set(self.modem.nodes()[:MAX_NODES])
            self.nodes_version += 1
            self._since = self.clock.ticks_ms()
            self._drop_all(ModemRestarted("the %s modem was reset" % self.kind))

    def _joined(self, address: str) -> None:
        if address in self._nodes:
            return
        if len(self._nodes) >= MAX_NODES:
            self.counts["link-nodes-full"] += 1
            return
        self._nodes.add(address)
        self.nodes_version += 1
        self.joined_ms = self.clock.ticks_ms()

    def _received(self, rx: Rx) -> None:
        link = self.links.get((rx.address, rx.source_sap, rx.destination_sap))
        if link is not None:
            self._node_heard()
            if rx.quality is not None and rx.quality.hops:
                link.hops = rx.quality.hops
            if not link.deliver(bytes(rx.data)):
                self.counts["link-overrun"] += 1
            return
        if rx.address in self._nodes:
            self._node_heard()
            self.counts["link-late"] += 1
        else:
            self.counts["link-stranger"] += 1
        if self.unasked is not None:
            self.unasked(self.kind, rx)

    def _done(self, sender: Sender, handle: int, status: int, error: ModemError | None) -> None:
        if status != 0:
            self.counts["link-lost"] += 1
        elif self.modem.capabilities.confirmed and not isinstance(sender, _Cast):
            self._node_heard()
        sender.done(handle, status == 0, error)

    def _node_heard(self) -> None:
        self.silent = []

    def _links_to(self, address: str) -> list[Link]:
        return [link for link in self.links.values() if link.address == address]

    def _failed(self, text: str) -> None:
        if self.alive():
            log.warning(WHERE, "modem %s is gone: %s" % (self.kind, text))
            self._down_until = self.clock.ticks_ms() + self._backoff_ms
            self._backoff_ms = min(2 * self._backoff_ms, MAX_BACKOFF_MS)
        self._drop_all(ModemGone("the %s modem is gone" % self.kind))

    def _drop_all(self, error: ModemGone) -> None:
        senders = list(self._in_flight.items())
        self._in_flight = {}
        for handle, sender in senders:
            if isinstance(sender, _Cast):
                sender.done(handle, False, None)
        self._window_free.set()
        for link in list(self.links.values()):
            link.deliver(error)


class _Cast:
    """A broadcast frame in flight."""

    def __init__(self) -> None:
        self.handle = -1
        self.delivered = False
        self.finished = asyncio.Event()

    def done(self, handle: int, delivered: bool, error: ModemError | None) -> None:
        self.delivered = delivered
        self.finished.set()
