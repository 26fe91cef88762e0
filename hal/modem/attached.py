"""Binds a sans-IO modem driver to a byte port: together they are a `Modem` (hal/ports.py).

The line may be absent, die, or come back (an unplugged adapter, a restarted emulator): the port is
opened again with backoff. `ModemReset` comes when it is lost (what was in flight is lost too) and
again when it is back; in between send() raises OSError and nodes() is empty. A driver that declares
its modem dead has its line closed and opened again the same way, and the log tells so.

A driver is sans-IO, and told the time in milliseconds; class Driver below is all it has. It answers
get() and set() with an event of its own, Answer, which goes to who asked: one question at a time,
so a driver keeps one token and may forget the question before.

What a node that floods sends goes no further than to here (allowance.py). A line that brings more
octets than any modem's medium carries babbles: it is closed, and opened again after pauses that
grow to an hour.
"""

from __future__ import annotations

import asyncio

from hal.modem.allowance import FLOODS, LISTEN, Allowances, LineAllowance
from hal.modem.answer import Answer
from hal.modem.events import Events
from hal.ports import BROADCAST, Joined, Left, ModemReset, PortError, Rx, TxDone
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Protocol

    from hal.ports import BytePort, Capabilities, Clock, Coming

    Event = TxDone | Rx | Coming | Joined | Left | ModemReset
    DriverEvent = TxDone | Rx | Joined | Left | ModemReset | Answer

    class Driver(Protocol):
        capabilities: Capabilities

        @property
        def dead(self) -> bool: ...
        def start(self, now_ms: int) -> None: ...
        def feed(self, data: bytes, now_ms: int) -> None: ...
        def tick(self, now_ms: int) -> None: ...
        def due_ms(self, now_ms: int) -> int: ...
        def send(
            self,
            address: str,
            data: bytes | memoryview,
            source_sap: int,
            destination_sap: int,
            now_ms: int,
            route: list[str] | None = None,
        ) -> int:
            """As Modem.send()."""

        def discover(self, now_ms: int) -> None: ...
        def kick(self, address: str, now_ms: int) -> None: ...
        def get(self, parameter: str, now_ms: int) -> int:
            """Ask; returns the token of the Answer. PortError when there is no such parameter."""

        def set(self, parameter: str, value: bytes, now_ms: int) -> int: ...
        def reset(self, now_ms: int) -> None: ...
        def events(self) -> list[DriverEvent]: ...
        def outgoing(self) -> bytes: ...
        def nodes(self) -> list[str]: ...
        def statistics(self) -> dict[str, int]: ...


ANSWER_MS = 5000  # a get or set has so long to be answered
WRITE_MS = 10000  # a line that takes no bytes for so long is gone
FIRST_BACKOFF_MS = 500
MAX_BACKOFF_MS = 30000
MAX_BABBLE_MS = 3_600_000  # pause after which a line that babbles is opened again, at most
# A PRIME network carries 16 kB a second at most, Meters and More and radio far less.
LINE_RATE = 32_768  # octets a second
LINE_BURST = 1 << 20  # and at once: what a TCP line has gathered meanwhile


class Attached:
    """A `Modem`: driver, line and clock. The line is opened by the first event() or send()."""

    def __init__(
        self,
        driver: Driver,
        open_port: Callable[[], Awaitable[BytePort]],
        clock: Clock,
        name: str = "",
    ) -> None:
        self.capabilities = driver.capabilities
        self._driver = driver
        self._open_port = open_port
        self._clock = clock
        self._name = "modem " + (name or driver.capabilities.name)
        self._port: BytePort | None = None
        self._events = Events()
        self._changed = asyncio.Event()  # the driver's due time may have changed
        self._tried = asyncio.Event()  # the line has been opened, or could not be, at least once
        self._writing = asyncio.Lock()
        self._asking = asyncio.Lock()
        self._token = 0  # of the question that is open; 0: none
        self._answer: Answer | None = None
        self._answered = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._fault: Exception | None = None
        self._closed = False
        self._opened = 0
        self._heard = False  # a byte came since the line was opened
        self._babbled = False  # so it was closed
        self._allowances = Allowances(self._name)

    async def send(
        self,
        address: str,
        data: bytes | memoryview,
        source_sap: int,
        destination_sap: int,
        route: list[str] | None = None,
    ) -> int:
        now = await self._ready()
        if address != BROADCAST:
            self._allowances.asked(address, now)
        handle = self._driver.send(address, data, source_sap, destination_sap, now, route)
        log.debug(self._name, "frame %d: %d bytes for %s" % (handle, len(data), address))
        await self._hurry()
        return handle

    async def event(self) -> Event:
        """The next event. A fault of the driver comes out of here once; the call after it opens the
        line anew."""
        while not len(self._events):
            self._begin()
            keeper = self._keeper
            if keeper is None:
                raise OSError("%s: closed" % self._name)
            if keeper.done():
                self._keeper = None
                raise self._fault or OSError("%s: ended" % self._name)
            await self._events.happening()
        return self._events.take()

    async def discover(self) -> None:
        now = await self._ready()
        self._driver.discover(now)
        await self._hurry()

    async def kick(self, address: str) -> None:
        now = await self._ready()
        self._driver.kick(address, now)
        await self._hurry()

    async def reset(self) -> None:
        now = await self._ready()
        self._driver.reset(now)
        await self._hurry()

    async def get(self, parameter: str) -> bytes:
        async with self._asking:
            now = await self._ready()
            return await self._await_answer(parameter, self._driver.get(parameter, now))

    async def set(self, parameter: str, value: bytes) -> None:
        async with self._asking:
            now = await self._ready()
            await self._await_answer(parameter, self._driver.set(parameter, value, now))

    def nodes(self) -> list[str]:
        return [] if self._port is None else self._driver.nodes()

    def statistics(self) -> dict[str, int]:
        """The driver's, `opened`: how often the line was, and `up`: 1 while the modem is heard over
        an open line."""
        statistics = self._driver.statistics()
        statistics["opened"] = self._opened
        statistics["floods"] = self._allowances.floods
        statistics["up"] = int(self._port is not None and self._heard)
        return statistics

    async def close(self) -> None:
        self._closed = True
        self._events.wake()
        self._tried.set()
        keeper = self._keeper
        self._keeper = None
        if keeper is not None:
            keeper.cancel()
            try:
                await keeper
            except asyncio.CancelledError:
                pass
        await self._drop_port()

    async def _ready(self) -> int:
        """The time, once there is a line."""
        self._begin()
        await self._tried.wait()
        if self._port is None:
            raise OSError("%s: the line is not open" % self._name)
        return self._clock.ticks_ms()

    async def _hurry(self) -> None:
        """The driver was told to do something: let it."""
        self._changed.set()
        self._collect()
        await self._flush()

    async def _await_answer(self, parameter: str, token: int) -> bytes:
        self._token = token
        self._answer = None
        self._answered.clear()
        try:
            await self._hurry()
            await self._clock.wait_for_ms(self._answered.wait(), ANSWER_MS)
        except asyncio.TimeoutError:
            raise PortError(
                "%s: parameter %s: no answer within %d ms" % (self._name, parameter, ANSWER_MS)
            )
        finally:
            self._token = 0
        answer = self._answer
        if answer is None:
            raise OSError("%s: the line was lost before the answer" % self._name)
        if answer.value is None:
            raise PortError("%s: parameter %s: %s" % (self._name, parameter, answer.error))
        return answer.value

    def _begin(self) -> None:
        if self._keeper is None and not self._closed:
            self._keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        """Keep the line open until closed, or until a fault of our own."""
        self._fault = None
        backoff = FIRST_BACKOFF_MS
        babble_ms = MAX_BACKOFF_MS
        try:
            while self._fault is None and not self._closed:
                if await self._open():
                    try:
                        await self._serve()
                    finally:
                        await self._drop_port()
                    self._reset_happened()
                    if self._heard:
                        backoff = FIRST_BACKOFF_MS
                    if self._fault is not None:
                        return
                    if self._babbled:
                        backoff = babble_ms
                        babble_ms = min(2 * babble_ms, MAX_BABBLE_MS)
                await self._clock.sleep_ms(backoff)
                backoff = min(2 * backoff, MAX_BACKOFF_MS)
        except Exception as fault:
            self._fault = fault
        finally:
            self._events.wake()

    async def _open(self) -> bool:
        try:
            self._port = await self._open_port()
        except (OSError, asyncio.TimeoutError) as error:
            log.warning(self._name, "cannot open its line: %s" % (error or "no answer"))
            return False
        finally:
            self._tried.set()
        self._driver.start(self._clock.ticks_ms())
        self._driver.events()
        self._heard = False
        self._opened += 1
        log.info(self._name, "line open")
        return True

    async def _serve(self) -> None:
        """Read and tick until the line is gone or the modem dead."""
        reader = asyncio.create_task(self._read())
        try:
            while True:
                self._changed.clear()
                if reader.done() or self._port is None or self._closed:
                    return
                now = self._clock.ticks_ms()
                self._driver.tick(now)
                await self._flush()
                self._collect()
                if self._driver.dead:
                    log.error(self._name, "its driver gave it up: reopening the line")
                    return
                try:
                    await self._clock.wait_for_ms(self._changed.wait(), self._driver.due_ms(now))
                except asyncio.TimeoutError:
                    pass
        except OSError as error:
            log.warning(self._name, "line lost: %s" % error)
        finally:
            if not reader.done():
                reader.cancel()
            try:
                await reader
            except asyncio.CancelledError:
                pass

    async def _read(self) -> None:
        port = self._port
        allowance = LineAllowance(LINE_RATE, LINE_BURST, self._clock.ticks_ms())
        self._babbled = False
        try:
            while port is not None:
                data = await port.read()
                if not data:
                    log.warning(self._name, "line closed by the other end")
                    return
                if not allowance.heard(len(data), self._clock.ticks_ms()):
                    text = "its line babbles: more than %d bytes a second; check the modem"
                    log.error(self._name, text % LINE_RATE)
                    self._babbled = True
                    return
                if not self._heard:
                    # Some runtimes tell of a refused connection only at the first read.
                    self._heard = True
                    if self._opened > 1:
                        self._reset_happened()
                self._driver.feed(data, self._clock.ticks_ms())
                self._collect()
                await self._flush()
                self._changed.set()
                await self._events.room()
        except OSError as error:
            log.warning(self._name, "line lost: %s" % error)
        except Exception as fault:
            self._fault = fault
        finally:
            self._changed.set()

    def _reset_happened(self) -> None:
        if not isinstance(self._events.last(), ModemReset):
            self._events.put(ModemReset())

    def _collect(self) -> None:
        for event in self._driver.events():
            if isinstance(event, Rx):
                self._heard_of(event)
            elif not isinstance(event, Answer):
                log.debug(self._name, _shown(event))
                self._events.put(event)
            elif event.token == self._token and self._answer is None:
                self._answer = event
                self._answered.set()

    def _heard_of(self, event: Rx) -> None:
        now = self._clock.ticks_ms()
        said = self._allowances.heard(event.address, now)
        if said == LISTEN:
            log.debug(self._name, _shown(event))
            self._events.put(event)
        elif said == FLOODS:
            complaint = self._allowances.complaint(event.address, now)
            self._events.put(Left(event.address, complaint))

    async def _flush(self) -> None:
        """Everything the driver wants sent goes out whole and in order."""
        async with self._writing:
            data = self._driver.outgoing()
            port = self._port
            if not data:
                return
            if port is None:
                raise OSError("%s: the line is gone" % self._name)
            try:
                await self._clock.wait_for_ms(port.write(data), WRITE_MS)
            except (OSError, asyncio.TimeoutError) as error:
                self._changed.set()
                await self._drop_port()
                raise OSError("%s: the line takes no bytes: %s" % (self._name, error or "stuck"))

    async def _drop_port(self) -> None:
        port = self._port
        self._port = None
        self._answered.set()  # who waits for an answer gets none
        if port is not None:
            try:
                await port.close()
            except OSError:
                pass


def _shown(event: Event) -> str:
    """For the log: never what is in a frame."""
    if isinstance(event, TxDone):
        return "frame %d: done, status %d" % (event.handle, event.status)
    if isinstance(event, Rx):
        return "%d bytes from %s" % (len(event.data), event.address)
    if isinstance(event, ModemReset):
        return "it restarted"
    return "%s %s" % (event.address, "joined" if isinstance(event, Joined) else "left")
