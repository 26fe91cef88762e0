"""Ways to the meters: every modem's frames sorted to the conversations they belong to.

One reader per modem hands each received frame to the link of its (address, server SAP, client SAP);
frames nobody waits for are counted and dropped. What a modem cannot deliver comes out of the link
at once as OSError, so that the DLMS client repeats without waiting for its timeout. Which path of a
meter is tried first is decided here; going on to the next one is gateway/activities/attempt.py's
business.
"""

from __future__ import annotations

import asyncio

from hal.ports import Busy, DutyCycle, Joined, Left, ModemReset, NoRoute, Rx, TxDone
from hal.rt import log
from hal.rt.group import Group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.meters.inventory import Meter
    from hal.ports import Clock, Modem

    Path = tuple[str, str]

WHERE = "links"
QUEUED_APDUS = 4  # a DLMS client has one request outstanding; more are late or duplicate answers
TX_STUCK_MS = 90000  # a modem that reports no TxDone for so long has lost it
DUTY_WAIT_MS = 60000  # longest wait for radio budget before the frame is refused
FIRST_BACKOFF_MS = 2000  # until a modem that failed is tried again, if it does not speak before
MAX_BACKOFF_MS = 60000
SETTLE_MS = 30000  # nodes have so long to register, or to be listed, after a start or a reset

# Paths are ranked by their delivery in percent less what they cost. Nothing is known at first, so
# that the costs decide: PLC before RF before IP.
_COST = {"plc": 0, "rf": 10, "ip": 20}
_PRIOR = 90  # percent
_PRIOR_WEIGHT = 4  # attempts
_MEMORY = 16  # attempts; beyond it old ones fade
_ATTEMPT = 16  # history counts sixteenths of an attempt, so that it can fade gently


class Link:
    """A `Link` port to one meter over one modem; made by Network.open()."""

    def __init__(self, port: _Port, address: str, server_sap: int, client_sap: int) -> None:
        self.max_apdu = port.modem.capabilities.unicast_mtu
        self._port = port
        self.address = address
        self.server_sap = server_sap
        self.client_sap = client_sap
        self.handle = -1  # of the newest frame: only its fate is of interest
        self._waiting: list[bytes | Exception] = []
        self._arrived = asyncio.Event()
        self._left = asyncio.Event()  # the modem is finished with the newest frame
        self._closed = False

    async def send(self, apdu: bytes | memoryview) -> None:
        """Returns when the modem is finished with the frame, so that the caller's timeout measures
        the meter and not the queue before it. Whether the frame arrived, receive() tells.

        OSError or a ModemError when the modem does not take it.
        """
        # A failure of an older frame says nothing about this one.
        self._waiting = [item for item in self._waiting if isinstance(item, bytes)]
        self.handle = -1
        self._left.clear()
        await self._port.send(self, apdu)
        if not self._left.is_set():
            try:
                await self._port.clock.wait_for_ms(self._left.wait(), TX_STUCK_MS)
            except asyncio.TimeoutError:
                pass  # lost or not, the answer will tell

    async def receive(self, timeout_ms: int) -> bytes:
        """The next APDU. asyncio.TimeoutError when none came or can come, for the newest frame was
        not delivered; OSError when the path is gone."""
        if not self._waiting:
            self._check_open()
            self._arrived.clear()
            await self._port.clock.wait_for_ms(self._arrived.wait(), timeout_ms)
        if not self._waiting:
            self._check_open()
            raise asyncio.TimeoutError
        item = self._waiting.pop(0)
        if isinstance(item, bytes):
            return item
        raise item

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._arrived.set()
            self._left.set()
            self._port.forget(self)

    def done(self, handle: int, delivered: bool) -> None:
        """The modem is finished with a frame of this link."""
        if handle == self.handle:
            self._left.set()
            if not delivered:
                self.deliver(asyncio.TimeoutError())

    def deliver(self, item: bytes | Exception) -> bool:
        """False when nobody fetches what is already there."""
        # Where something comes back, the frame has left, whatever the modem says later.
        self._left.set()
        if len(self._waiting) >= QUEUED_APDUS:
            return False
        self._waiting.append(item)
        self._arrived.set()
        return True

    def _check_open(self) -> None:
        if self._closed:
            raise OSError("the link to %s is closed" % self.address)


class _Port:
    """One modem: its reader, its window of frames in flight, its nodes, its open links."""

    def __init__(self, modem: Modem, clock: Clock, meters_at_once: int) -> None:
        self.modem = modem
        self.clock = clock
        self.kind = modem.capabilities.name
        self.meters_at_once = meters_at_once
        self.links: dict[tuple[str, int, int], Link] = {}
        self.claims: list[str] = []  # serials that a slot is kept for until their link is opened
        self.slot_free = asyncio.Event()
        names = ("late", "lost", "overrun", "stranger", "stuck")
        self.counts = {"link-" + name: 0 for name in names}
        self._nodes: set[str] = set(modem.nodes())
        self._since = clock.ticks_ms()  # when its network began to form
        self._in_flight: dict[int, Link] = {}
        self._window_free = asyncio.Event()
        self._handing_over = asyncio.Lock()
        # TxDone that overtook the return of send(): (handle, status) while one frame is handed
        # over.
        self._early: list[tuple[int, int]] = []
        self._down_until: int | None = None
        self._backoff_ms = FIRST_BACKOFF_MS

    def alive(self) -> bool:
        """False from a failure until the modem speaks again, or it is time for another try."""
        return self._down_until is None or self.clock.ticks_ms() >= self._down_until

    def reaches(self, address: str) -> bool:
        return not self.modem.capabilities.joins or address in self._nodes

    def settled(self) -> bool:
        """Whether who is not registered by now has no place in the network."""
        return self.clock.ticks_ms() - self._since >= SETTLE_MS

    def node_count(self) -> int:
        return len(self._nodes) if self.modem.capabilities.joins else len(self.modem.nodes())

    def has_slot(self) -> bool:
        return len(self.links) + len(self.claims) < self.meters_at_once

    def forget(self, link: Link) -> None:
        key = (link.address, link.server_sap, link.client_sap)
        if self.links.get(key) is link:
            del self.links[key]
            self.slot_free.set()

    async def send(self, link: Link, apdu: bytes | memoryview) -> None:
        async with self._handing_over:
            await self._wait_for_window()
            if self.links.get((link.address, link.server_sap, link.client_sap)) is not link:
                raise OSError("the link to %s is closed" % link.address)
            if not self.alive():
                raise OSError("the %s modem is gone" % self.kind)
            self._early = []
            handle = await self._hand_over(link, apdu)
            link.handle = handle
            for early, status in self._early:
                if early == handle:
                    self._done(link, handle, status)
                    return
            self._in_flight[handle] = link

    async def _hand_over(self, link: Link, apdu: bytes | memoryview) -> int:
        deadline = self.clock.ticks_ms() + TX_STUCK_MS
        while True:
            try:
                return await self.modem.send(link.address, apdu, link.client_sap, link.server_sap)
            except Busy:
                left = deadline - self.clock.ticks_ms()
                if left <= 0:
                    raise
                await self._wait_for_done(min(left, 1000))
            except DutyCycle as spent:
                if spent.wait_ms > DUTY_WAIT_MS:
                    raise
                await self.clock.sleep_ms(max(spent.wait_ms, 1))
            except OSError as error:
                self._failed(str(error))
                raise

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

    def _handle(self, event: TxDone | Rx | Joined | Left | ModemReset) -> None:
        if self._down_until is not None:
            log.info(WHERE, "modem %s is back" % self.kind)
            self._down_until = None
        self._backoff_ms = FIRST_BACKOFF_MS
        if isinstance(event, Rx):
            self._received(event)
        elif isinstance(event, TxDone):
            link = self._in_flight.pop(event.handle, None)
            if link is not None:
                self._done(link, event.handle, event.status)
            elif len(self._early) < 16:
                self._early.append((event.handle, event.status))
            self._window_free.set()
        elif isinstance(event, Joined):
            self._nodes.add(event.address)
        elif isinstance(event, Left):
            self._nodes.discard(event.address)
            for link in self._links_to(event.address):
                link.deliver(OSError("%s left the %s network" % (event.address, self.kind)))
        elif isinstance(event, ModemReset):
            log.warning(WHERE, "modem %s was reset" % self.kind)
            self._nodes = set(self.modem.nodes())
            self._since = self.clock.ticks_ms()
            self._drop_all("the %s modem was reset" % self.kind)

    def _received(self, rx: Rx) -> None:
        link = self.links.get((rx.address, rx.source_sap, rx.destination_sap))
        if link is not None:
            if not link.deliver(bytes(rx.data)):
                self.counts["link-overrun"] += 1
        elif rx.address in self._nodes:
            self.counts["link-late"] += 1
        else:
            self.counts["link-stranger"] += 1

    def _done(self, link: Link, handle: int, status: int) -> None:
        if status != 0:
            self.counts["link-lost"] += 1
        link.done(handle, status == 0)

    def _links_to(self, address: str) -> list[Link]:
        return [link for link in self.links.values() if link.address == address]

    def _failed(self, text: str) -> None:
        if self.alive():
            log.warning(WHERE, "modem %s is gone: %s" % (self.kind, text))
            self._down_until = self.clock.ticks_ms() + self._backoff_ms
            self._backoff_ms = min(2 * self._backoff_ms, MAX_BACKOFF_MS)
        self._drop_all("the %s modem is gone" % self.kind)

    def _drop_all(self, text: str) -> None:
        self._in_flight = {}
        self._window_free.set()
        for link in list(self.links.values()):
            link.deliver(OSError(text))


class Network:
    """All modems. add() each, keep run() running, then ask usable() and open()."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ports: list[_Port] = []
        # path -> [carried, lost] in _ATTEMPT; only for meters with a choice
        self._history: dict[Path, list[int]] = {}

    def add(self, modem: Modem, meters_at_once: int) -> None:
        """Before run(). meters_at_once: how many links may be open over this modem side by side."""
        self._ports.append(_Port(modem, self._clock, meters_at_once))

    async def run(self) -> None:
        """Read all modems until cancelled."""
        readers = Group()
        for port in self._ports:
            readers.start(port.read())
        if not self._ports:
            log.warning(WHERE, "no modem is configured: no meter can be reached")
            await asyncio.Event().wait()
        await readers.wait()

    def ready(self, meter: Meter) -> bool:
        """Whether an attempt now makes sense: a path is usable and its modem has a slot free.

        Also True when waiting promises nothing: none of the paths has a modem, or the meter has not
        registered though its network has settled. The attempt then tells so at once.
        """
        ports = [port for port in self._ports if port.kind in [kind for kind, _ in meter.paths]]
        if not ports:
            return True
        for kind, address in meter.paths:
            port = self._port((kind, address))
            if port is not None and port.has_slot():
                return True
        return any(port.alive() and port.settled() and port.has_slot() for port in ports)

    def claim(self, meter: Meter) -> bool:
        """ready(), and when True the slot is kept for the meter until open() or release()."""
        if not self.ready(meter):
            return False
        for path in self.usable(meter):
            port = self._port(path)
            if port is not None and port.has_slot():
                port.claims.append(meter.serial)
                break
        return True

    def release(self, meter: Meter) -> None:
        """Give a slot back that was claimed and not used."""
        for port in self._ports:
            if meter.serial in port.claims:
                port.claims.remove(meter.serial)
                port.slot_free.set()

    def usable(self, meter: Meter) -> list[Path]:
        """The paths over which the meter may answer now, the best first."""
        paths = [path for path in meter.paths if self._port(path) is not None]
        # Sorting is not stable on MicroPython: the place in the inventory decides among equals.
        return sorted(paths, key=lambda path: (-self._rate(path), meter.paths.index(path)))

    def obstacle(self, path: Path) -> str:
        """Why a path is not usable: "no modem", "modem gone" or "not registered"; "" when it is."""
        ports = [port for port in self._ports if port.kind == path[0]]
        if not ports:
            return "no modem"
        if not any(port.alive() for port in ports):
            return "modem gone"
        return "" if self._port(path) is not None else "not registered"

    async def open(self, meter: Meter, path: Path) -> Link:
        """A link over one of the usable paths; waits for a free slot. NoRoute when it is not usable
        (any more), Busy when such a link is open already."""
        kind, address = path
        self.release(meter)  # now for the link
        while True:
            port = self._port(path)
            if port is None:
                raise NoRoute("%s %s: %s" % (kind, address, self.obstacle(path)))
            key = (address, meter.server_sap, meter.client_sap)
            if key in port.links:
                raise Busy("a conversation with %s %s is open already" % (kind, address))
            if port.has_slot():
                link = Link(port, address, meter.server_sap, meter.client_sap)
                port.links[key] = link
                return link
            port.slot_free.clear()
            await port.slot_free.wait()

    def record(self, meter: Meter, path: Path, answered: bool) -> None:
        """What an attempt over `path` taught: whether the meter answered."""
        if len(meter.paths) < 2:
            return
        history = self._history.get(path)
        if history is None:
            history = self._history[path] = [0, 0]
        history[0 if answered else 1] += _ATTEMPT
        if history[0] + history[1] > _MEMORY * _ATTEMPT:
            history[0] -= history[0] // 2
            history[1] -= history[1] // 2
        if answered:
            # The others get their chance again: what was wrong with them may be over.
            for other in meter.paths:
                if other != path and other in self._history:
                    lost = self._history[other][1]
                    self._history[other][1] = lost * 15 // 16

    def reachable(self, meters: list[Meter]) -> int:
        """How many of the meters have a usable path now."""
        return len([meter for meter in meters if any(self._port(p) for p in meter.paths)])

    def statistics(self) -> list[tuple[str, dict[str, int]]]:
        """(kind, counters by name) of each modem: the driver's own and those of its links."""
        rows = []
        for port in self._ports:
            counts = dict(port.modem.statistics())
            counts.update(port.counts)
            counts["alive"] = 1 if port.alive() else 0
            counts["links"] = len(port.links)
            counts["nodes"] = port.node_count()
            rows.append((port.kind, counts))
        return rows

    def _port(self, path: Path) -> _Port | None:
        """The working modem of the path's kind that reaches its address."""
        for port in self._ports:
            if port.kind == path[0] and port.alive() and port.reaches(path[1]):
                return port
        return None

    def _rate(self, path: Path) -> int:
        """Expected delivery in percent less cost: what was seen, leaning on the prior at first."""
        answered, lost = self._history.get(path, [0, 0])
        weight = _PRIOR_WEIGHT * _ATTEMPT
        return (100 * answered + _PRIOR * weight) // (answered + lost + weight) - _COST[path[0]]
