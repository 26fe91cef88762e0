"""A Link over HDLC: what a DLMS client stands on when the meter is at the end of a serial line, an
optical probe, or a TCP connection standing in for one."""

from __future__ import annotations

import asyncio

from gateway.dlms.errors import LinkBroken, ProtocolError
from gateway.dlms.hdlc.client import CLOSING, MAX_APDU, OPEN, OPENING, HdlcClient
from gateway.dlms.hdlc.frames import server_address
from gateway.dlms.hdlc.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import BytePort, Clock

__all__ = ("HdlcLink", "Settings")

WRITE_MS = 10_000  # a line that takes nothing for so long is stuck
BYTE_MS = 34  # on the slowest line, 300 baud


class HdlcLink:
    """See hal.ports.Link; one caller at a time. APDUs travel in segments, so that the largest is
    `max_apdu` bytes whatever the frames hold.

    `server_upper` is the logical device (the DLMS server SAP), `server_lower` the physical one
    (-1: none), `address_size` 1, 2 or 4 bytes (0: as few as will do).

    connect() is called by the first send() where nobody has. LinkSilent, LinkLost and LinkBroken
    say what ended the connection; the next send() connects anew, and the meter then knows nothing
    of the association there was. OSError: the port is gone. Nothing runs between calls, and one
    that is cancelled leaves all in order."""

    def __init__(
        self,
        port: BytePort,
        clock: Clock,
        client_sap: int,
        server_upper: int = 1,
        server_lower: int = -1,
        address_size: int = 0,
        settings: Settings | None = None,
        max_apdu: int = MAX_APDU,
    ) -> None:
        self.max_apdu = max_apdu
        self._port = port
        self._clock = clock
        address = server_address(server_upper, server_lower, address_size)
        settings = settings or Settings()
        self._grace_ms = settings.tries * settings.response_ms  # so long HDLC itself tries
        self._hdlc = HdlcClient(client_sap, address, settings, max_apdu)

    async def connect(self) -> None:
        """SNRM and UA. Ends a connection that is open."""
        self._hdlc.connect(self._clock.ticks_ms())
        while self._hdlc.state == OPENING:
            await self._step(None)
        self._check()

    async def send(self, apdu: bytes | memoryview) -> None:
        """Returns when the last frame has been handed to the line (ahead of it, what an earlier
        call that was cancelled left behind)."""
        if len(apdu) > self.max_apdu:
            raise ValueError("HDLC: an APDU of %d bytes, at most %d" % (len(apdu), self.max_apdu))
        if self._hdlc.state != OPEN:
            await self.connect()
        self._hdlc.send(apdu, self._clock.ticks_ms())
        await self._flush()
        while self._hdlc.state == OPEN and not self._hdlc.all_sent:
            await self._step(None)
        self._check()

    async def receive(self, timeout_ms: int) -> bytes:
        """The next APDU: an answer, or a notification the meter sent by itself (that needs no
        connection). asyncio.TimeoutError when none came, and no part of one for so long. Where
        HDLC itself is about to repeat a frame, it is waited for: both repeating would be one too
        many."""
        hdlc = self._hdlc
        now = self._clock.ticks_ms()
        until = now + timeout_ms
        heard = hdlc.heard
        while True:
            apdu = hdlc.arrived()
            if apdu is not None:
                return apdu
            self._check()
            if hdlc.heard != heard:
                heard = hdlc.heard
                until = now + timeout_ms
            late = now - until
            if late >= 0 and not hdlc.coming_in and not (hdlc.their_turn and late < self._grace_ms):
                raise asyncio.TimeoutError
            hdlc.ask(now)
            await self._step(until if late < 0 else None)
            now = self._clock.ticks_ms()

    async def send_unconfirmed(
        self, apdu: bytes | memoryview, server_upper: int, server_lower: int, address_size: int = 0
    ) -> None:
        """In one UI frame, which nobody answers, to the given address: ALL_STATIONS of
        hdlc_frames, or one meter. ValueError when it does not fit a frame."""
        address = server_address(server_upper, server_lower, address_size)
        self._hdlc.send_unconfirmed(apdu, address)
        await self._flush()

    async def disconnect(self) -> None:
        """DISC, when there is a connection; the port stays open."""
        self._hdlc.disconnect(self._clock.ticks_ms())
        while self._hdlc.state == CLOSING:
            await self._step(None)

    async def close(self) -> None:
        """disconnect(), and the port is closed whatever comes of it."""
        try:
            await self.disconnect()
        except OSError:
            pass  # the line is gone: so is the connection
        finally:
            await self._port.close()

    def _check(self) -> None:
        failure = self._hdlc.failure
        if failure is not None:
            self._hdlc.failure = None
            raise LinkBroken(str(failure)) if isinstance(failure, ProtocolError) else failure

    async def _flush(self) -> None:
        output = self._hdlc.output()
        if output:
            limit = WRITE_MS + BYTE_MS * len(output)
            try:
                await self._clock.wait_for_ms(self._port.write(output), limit)
            except asyncio.TimeoutError:
                self._hdlc.abandon()
                raise OSError("HDLC: the line takes no bytes")

    async def _step(self, until: int | None) -> None:
        """Send what there is; then until bytes have come, the procedure has something to do, or
        `until`."""
        await self._flush()
        deadline = self._hdlc.deadline
        if deadline is None or (until is not None and until < deadline):
            deadline = until
        now = self._clock.ticks_ms()
        if deadline is not None and deadline > now:
            await self._read(deadline - now)
        self._hdlc.tick(self._clock.ticks_ms())
        await self._flush()

    async def _read(self, limit_ms: int) -> None:
        try:
            data = await self._clock.wait_for_ms(self._port.read(), limit_ms)
        except asyncio.TimeoutError:
            return
        if not data:
            self._hdlc.abandon()
            raise OSError("HDLC: the line is gone")
        self._hdlc.feed(data, self._clock.ticks_ms())
