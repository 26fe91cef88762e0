"""The way to one meter over one modem: what the DLMS client sends and receives on."""

from __future__ import annotations

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.meters.modem_port import ModemPort
    from hal.ports import ModemError

QUEUED_APDUS = 4  # a DLMS client has one request outstanding; more are late or duplicate answers
SLOWER = 10  # times the limit for an APDU, as long as some of it comes within each
TX_STUCK_MS = 90000  # a modem that reports no TxDone for so long has lost it


class Link:
    """A `Link` port to one meter over one modem; made by Network.open()."""

    def __init__(
        self, port: ModemPort, address: str, server_sap: int, client_sap: int, promised_ms: int = 0
    ) -> None:
        self.max_apdu = port.modem.capabilities.unicast_mtu
        self._port = port
        self.address = address
        self.server_sap = server_sap
        self.client_sap = client_sap
        self.handle = -1  # of the newest frame: only its fate is of interest
        self.sent = 0  # APDUs
        self.octets = 0  # of those
        self.heard = 0
        self.held = False  # the newest frame still waits for the modem to take it
        self.lost = 0  # of those sent, by what the modem says
        self.promised_ms = promised_ms  # of the radio budget, and not used yet
        self.hops = 0  # by what the modem said of the newest frame heard; 0: it does not say
        # With each APDU that goes out: check() may end the conversation by raising, before it is
        # sent; heartbeat(), also while one slowly comes in, only shows that the work goes on.
        self.check: Callable[[], None] | None = None
        self.heartbeat: Callable[[], None] | None = None
        self._waiting: list[bytes | Exception] = []
        self._arrived = asyncio.Event()
        self._left = asyncio.Event()  # the modem is finished with the newest frame
        self._closed = False
        self.coming = False  # a part of an APDU has come, by what the modem says

    async def send(self, apdu: bytes | memoryview) -> None:
        """Returns when the modem is finished with the frame, so that the caller's timeout measures
        the meter and not the queue before it. Whether the frame arrived, receive() tells.

        OSError or a ModemError when the modem does not take it.
        """
        if self.check is not None:
            self.check()
        if self.heartbeat is not None:
            self.heartbeat()
        # A failure of an older frame says nothing about this one.
        self._waiting = [item for item in self._waiting if isinstance(item, bytes)]
        self.handle = -1
        self._left.clear()
        self.sent += 1
        self.octets += len(apdu)
        self.held = True
        await self._port.send(self, apdu)
        self.held = False
        if not self._left.is_set():
            try:
                await self._port.clock.wait_for_ms(self._left.wait(), TX_STUCK_MS)
            except asyncio.TimeoutError:
                pass  # lost or not, the answer will tell

    async def receive(self, timeout_ms: int) -> bytes:
        """The next APDU. asyncio.TimeoutError when none came or can come, for the newest frame was
        not delivered; OSError when the path is gone, NoRoute when the network says that there is no
        way. One that has come in part has more time."""
        for number in range(1, SLOWER + 1):
            if self._waiting:
                break
            self._check_open()
            self._arrived.clear()
            self.coming = False
            try:
                await self._port.clock.wait_for_ms(self._arrived.wait(), timeout_ms)
                break
            except asyncio.TimeoutError:
                if not self.coming or number == SLOWER:
                    raise
                if self.heartbeat is not None:
                    self.heartbeat()
        if not self._waiting:
            self._check_open()
            raise asyncio.TimeoutError
        item = self._waiting.pop(0)
        if isinstance(item, bytes):
            self.heard += 1
            return item
        raise item

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._arrived.set()
            self._left.set()
            self._port.forget(self)

    def done(self, handle: int, delivered: bool, error: ModemError | None = None) -> None:
        """The modem is finished with a frame of this link. error: why there is no sense in sending
        it again."""
        if handle == self.handle:
            self._left.set()
            if not delivered:
                self.lost += 1
                self.deliver(error or asyncio.TimeoutError())

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
