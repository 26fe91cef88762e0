"""A meter reached through a concentrator's optical or service port: first an association with the
concentrator itself, by its local key, then the meter's APDUs behind the header of the gateway
protocol (Green Book 10.10) on the same connection.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.dlms.client.client import HIGH_GMAC, Association, Client
from gateway.dlms.errors import DlmsError, ServiceRefused
from gateway.dlms.protection.keyring import Keys
from gateway.local import header
from hal.ports import Clock, Crypto, Link, PortError
from tools.dlms.counter_file import CounterFile
from tools.dlms.failure import CallProblem, Failed, one_line

SERVER_SAP = 1  # of the concentrator
MAX_APDU = 200  # goes through every radio path; --max-pdu for more


class LocalKey:
    """The key of a concentrator's local access, from the file that it made (64 hex digits)."""

    def __init__(self, path: Path, title: bytes, counters: Path) -> None:
        try:
            key = bytes.fromhex(path.read_text().strip())
        except OSError as error:
            raise CallProblem("%s: %s" % (path, error.strerror)) from None
        except ValueError:
            key = b""
        if len(key) != 32:
            raise CallProblem("%s: expected 64 hex digits, the key of local access" % path)
        self.ek, self.ak = key[:16], key[16:]
        self.title = title
        self.counter = CounterFile(counters, title, self.ek)

    def __repr__(self) -> str:
        return "LocalKey(...)"


class ViaLink:
    """A Link (hal.ports) to the meter `serial` behind the concentrator at the end of `link`."""

    def __init__(self, link: Link, serial: str, local: Client, max_apdu: int) -> None:
        self.max_apdu = max_apdu
        self._link = link
        self._serial = serial
        self._local = local

    @classmethod
    async def open(
        cls,
        link: Link,
        serial: str,
        client_sap: int,
        key: LocalKey,
        clock: Clock,
        crypto: Crypto,
        timeout_ms: int,
        tries: int,
    ) -> ViaLink:
        """Failed when the concentrator does not let us in; `link` is closed then."""
        keys = Keys(key.title, key.ek, key.ak)
        association = Association(client_sap, SERVER_SAP, HIGH_GMAC, keys=keys)
        client = Client(link, clock, crypto, association, key.counter.next, timeout_ms, tries)
        try:
            try:
                await client.associate()
            except ServiceRefused as refused:
                if refused.counter is None:
                    raise
                key.counter.raise_to(refused.counter + 1)
                await client.associate()
        except DlmsError as error:
            await link.close()
            raise Failed("the concentrator: %s" % one_line(error)) from None
        except BaseException:
            await link.close()
            raise
        return cls(link, serial, client, MAX_APDU)

    async def send(self, apdu: bytes | memoryview) -> None:
        await self._link.send(header.encode(header.TO_DEVICE, self._serial, apdu))

    async def receive(self, timeout_ms: int) -> bytes:
        """What another meter says is passed over; what the concentrator itself says, which is a
        refusal, comes through as it is."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_ms / 1000
        while True:
            left = int((until - loop.time()) * 1000)
            if left <= 0:
                raise asyncio.TimeoutError
            raw = await self._link.receive(left)
            if raw[:1] != bytes([header.FROM_DEVICE]):
                return raw
            try:
                _, serial, apdu = header.decode(raw)
            except DlmsError:
                continue
            if serial == self._serial:
                return apdu

    async def close(self) -> None:
        try:
            await self._local.release()
        except (OSError, PortError, asyncio.TimeoutError):
            pass  # it is over either way
        await self._link.close()
