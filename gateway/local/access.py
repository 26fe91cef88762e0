"""Local access: the board's optical or service port, where a technician's laptop is the client.

Mode E (IEC 62056-21) where the line begins with it, then HDLC; behind that the concentrator itself
(server.py), and through the gateway protocol's header the meters (meters.py), those only for a
client that has proven itself to the concentrator on the same connection.
"""

from __future__ import annotations

import asyncio

from gateway.dlms.hdlc.mode_e import FIRST_BAUD, Identification, ModeEServer
from gateway.dlms.hdlc.numbered import Parameters
from gateway.dlms.hdlc.server import HdlcServer
from gateway.local import header
from gateway.local.server import NOT_ALLOWED, NOT_POSSIBLE, exception
from hal.ports import PortError
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.dlms.hdlc.server import Request
    from gateway.local.meters import Meters
    from gateway.local.server import LocalServer
    from hal.ports import BytePort, Clock

WHERE = "local"
SERVER_SAP = 1  # the management logical device
PHYSICAL = 16  # lower HDLC address, the least that is free to use (IEC 62056-46, 6.4.2.3)
PARAMETERS = Parameters(128, 128, 1, 1)  # what every probe and its software can do
MAX_APDU = 2048
MANUFACTURER = "AMI"  # FLAG letters; these are nobody's
REACTION_MS = 200  # IEC 62056-21: the shortest, which lets the probe's light settle
IDLE_MS = 10_000  # without a connection: the opening starts anew
LINGER_MS = 300  # until the last answer has left the line, before its speed changes
FIRST_BACKOFF_MS = 1000
LONGEST_BACKOFF_MS = 60_000
MAX_WAITING = 4  # requests that are not answered yet; more are dropped


class LocalPort:
    """What a board provides for it: open_port() opens the line; `key` is ek and ak of suite 0. repr
    hides it."""

    __slots__ = ("key", "open_port")

    def __init__(self, open_port: Callable[[], Awaitable[BytePort]], key: bytes) -> None:
        self.open_port = open_port
        self.key = key

    def __repr__(self) -> str:
        return "LocalPort(...)"


class LocalAccess:
    """`mode_e`: the fastest speed to agree to; 0: HDLC at the line's own speed."""

    def __init__(
        self,
        open_port: Callable[[], Awaitable[BytePort]],
        clock: Clock,
        server: LocalServer,
        meters: Meters,
        name: str,
        mode_e: int,
    ) -> None:
        self._open_port = open_port
        self._clock = clock
        self._server = server
        self._meters = meters
        self._identification = Identification(MANUFACTURER, mode_e or FIRST_BAUD, True, name[:16])
        self._mode_e = mode_e

    async def run(self) -> None:
        """Until cancelled. A line that is not there, or goes away, is opened again."""
        backoff = FIRST_BACKOFF_MS
        told = ""
        while True:
            try:
                port = await self._open_port()
            except (OSError, PortError, asyncio.TimeoutError) as error:
                text = "cannot open its line: %s" % (error or "no answer")
                if text != told:
                    log.warning(WHERE, text)
                told = text
                await self._clock.sleep_ms(backoff)
                backoff = min(2 * backoff, LONGEST_BACKOFF_MS)
                continue
            told = ""
            try:
                began = self._clock.ticks_ms()
                await self._serve(port)
                log.warning(WHERE, "the line is gone")
            except (OSError, PortError) as error:
                log.warning(WHERE, "the line is gone: %s" % error)
            except Exception as fault:  # of ours, or of the storage: the gateway goes on without
                log.error(WHERE, "visit ended: %s: %s" % (type(fault).__name__, fault))
            finally:
                await port.close()
            if self._clock.ticks_ms() - began > LONGEST_BACKOFF_MS:
                backoff = FIRST_BACKOFF_MS
            await self._clock.sleep_ms(backoff)

    async def _serve(self, port: BytePort) -> None:
        """Until the line is gone."""
        while True:
            if self._mode_e and not await self._opened(port):
                return
            conversation = _Conversation(port, self._clock, self._server, self._meters)
            if not await conversation.run(self._mode_e != 0):
                return
            await self._clock.sleep_ms(LINGER_MS)

    async def _opened(self, port: BytePort) -> bool:
        """Mode E, until a client has chosen HDLC; False when the line is gone."""
        opening = ModeEServer(self._identification)
        baud = FIRST_BAUD
        await _set_baud(port, baud)
        while True:
            data = await port.read()
            if not data:
                return False
            answer = opening.feed(data)
            if not answer:
                continue
            await self._clock.sleep_ms(REACTION_MS)
            baud = opening.baud
            await _set_baud(port, baud)
            await port.write(answer)
            # The speed must not change again before the answer has left.
            await self._clock.sleep_ms(len(answer) * 10_000 // baud)
            if opening.hdlc:
                return True


class _Conversation:
    """HDLC on the line, from the opening to the end of the last connection."""

    def __init__(self, port: BytePort, clock: Clock, server: LocalServer, meters: Meters) -> None:
        self._port = port
        self._clock = clock
        self._server = server
        self._meters = meters
        self._station = HdlcServer((SERVER_SAP,), PHYSICAL, PARAMETERS, MAX_APDU)
        self._waiting: list[Request] = []
        self._asked = asyncio.Event()
        self._wake = asyncio.Event()
        self._gone = False
        self._fault: Exception | None = None

    async def run(self, ends: bool) -> bool:
        """False when the line is gone; True, if `ends`, when nobody is connected any more."""
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._answer())]
        try:
            return await self._until_over(ends)
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                try:
                    await task
                except asyncio.CancelledError:
                    pass
            for client_sap in self._station.clients():
                self._server.forget(client_sap)
            await self._meters.end()

    async def _until_over(self, ends: bool) -> bool:
        idle_since = self._clock.ticks_ms()
        was_connected = False
        while True:
            self._wake.clear()
            if self._fault is not None:
                raise self._fault
            if self._gone:
                return False
            now = self._clock.ticks_ms()
            self._station.tick(now)
            for client_sap, _ in self._station.ended():
                self._server.forget(client_sap)
            self._take_requests()
            output = self._station.output()
            if output:
                await self._port.write(output)
            if self._station.connected:
                was_connected = True
                idle_since = now
            elif ends and (was_connected or now - idle_since >= IDLE_MS):
                return True
            await self._pause(idle_since + IDLE_MS if ends else now + IDLE_MS)

    async def _pause(self, until: int) -> None:
        deadline = self._station.deadline
        if deadline is not None:
            until = deadline
        left = max(until - self._clock.ticks_ms(), 1)
        try:
            await self._clock.wait_for_ms(self._wake.wait(), left)
        except asyncio.TimeoutError:
            pass

    def _take_requests(self) -> None:
        for request in self._station.requests():
            if not request.confirmed:
                continue  # a broadcast: nothing here is for everybody
            if len(self._waiting) >= MAX_WAITING:
                self._station.answer(request, [], self._clock.ticks_ms())
                continue
            self._waiting.append(request)
            self._asked.set()

    async def _read(self) -> None:
        try:
            while True:
                data = await self._port.read()
                if not data:
                    break
                self._station.feed(data, self._clock.ticks_ms())
                self._wake.set()
        except OSError:
            pass
        except Exception as fault:
            self._fault = fault
        self._gone = True
        self._wake.set()

    async def _answer(self) -> None:
        """One request after the other; meanwhile the station tells the client to wait."""
        try:
            while True:
                while not self._waiting:
                    self._asked.clear()
                    await self._asked.wait()
                request = self._waiting.pop(0)
                answers = await self._answers(request)
                self._station.answer(request, answers, self._clock.ticks_ms())
                self._wake.set()
        except Exception as fault:
            self._fault = fault
            self._wake.set()

    async def _answers(self, request: Request) -> list[bytes]:
        client_sap, apdu = request.client_sap, request.apdu
        if apdu[:1] != bytes((header.TO_DEVICE,)):
            return [self._server.answer(client_sap, apdu)]
        if not self._server.proven(client_sap):
            return [exception(NOT_ALLOWED, NOT_POSSIBLE)]
        return await self._meters.answers(client_sap, self._server.title(client_sap), apdu)


async def _set_baud(port: BytePort, baud: int) -> None:
    """A TCP connection that stands for a line has no speed."""
    set_baud = getattr(port, "set_baud", None)
    if set_baud is not None:
        await set_baud(baud)
