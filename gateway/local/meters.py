"""A technician's APDUs to a meter behind the concentrator, over the meter's best path. Keys, and
whatever is ciphered, are the technician's and the meter's; the concentrator carries.
"""

from __future__ import annotations

import asyncio

from gateway.dlms.errors import ProtocolError
from gateway.local import header
from gateway.local.server import NOT_ALLOWED, NOT_POSSIBLE, OTHER_REASON, exception
from gateway.meters.model_error import ModelError
from gateway.meters.reach import Unreached
from hal.ports import ModemError, TooLong
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gateway.meters.link import Link
    from gateway.meters.reach import Reach

WHERE = "local"
SLOT_MS = 10_000  # for a link, while the gateway's own work is on the modem
_PDU_TOO_LONG = 4


class Meters:
    """note(kind, details) puts on record whom a technician spoke to. One conversation at a time:
    the next meter ends it."""

    def __init__(self, reach: Reach, note: Callable[[str, list[Any]], None]) -> None:
        self._reach = reach
        self._note = note
        self._link: Link | None = None
        self._whose = ("", 0)  # serial and client of the link
        self._timeout_ms = 0  # of its path

    async def answers(self, client_sap: int, title: bytes, request: bytes) -> list[bytes]:
        """The meter's answer in its header; [] when there is none in time: the technician's client
        asks again, with a new invocation counter. An exception-response of ours, in the header too:

            service-not-allowed, other-reason            no such meter in the inventory
            service-not-allowed, operation-not-possible  no path to it now, or the gateway itself is
                                                         speaking to it
            service-not-allowed, pdu-too-long            for the path
        """
        try:
            tag, serial, apdu = header.decode(request)
            if tag != header.TO_DEVICE:
                raise ProtocolError("an answer where a request is due")
        except ProtocolError as error:
            log.warning(WHERE, str(error))
            return [exception(2, OTHER_REASON)]
        found = await self._asked(client_sap, title, serial, apdu)
        return [] if found is None else [header.encode(header.FROM_DEVICE, serial, found)]

    async def end(self) -> None:
        """The technician is gone."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def _asked(self, client_sap: int, title: bytes, serial: str, apdu: bytes) -> bytes | None:
        if self._link is None or self._whose != (serial, client_sap):
            await self.end()
            refusal = await self._open(client_sap, title, serial)
            if refusal is not None:
                return refusal
        link = self._link
        assert link is not None
        try:
            await link.send(apdu)
            return await link.receive(self._timeout_ms)
        except TooLong:
            return exception(NOT_ALLOWED, _PDU_TOO_LONG)
        except asyncio.TimeoutError:
            return None
        except (OSError, ModemError) as error:
            log.warning(WHERE, "%s: %s" % (serial, error))
            await self.end()  # the next request goes over what is the best path then
            return exception(NOT_ALLOWED, NOT_POSSIBLE)

    async def _open(self, client_sap: int, title: bytes, serial: str) -> bytes | None:
        """None, or why not."""
        meter = self._reach.inventory.meter(serial)
        if meter is None:
            return exception(NOT_ALLOWED, OTHER_REASON)
        paths = self._reach.network.usable(meter)
        if not paths:
            return exception(NOT_ALLOWED, NOT_POSSIBLE)
        try:
            meter = meter.as_client(client_sap).filled(self._reach.model(meter))
        except (ModelError, OSError) as error:
            log.warning(WHERE, "%s: %s" % (serial, error))
            return exception(NOT_ALLOWED, NOT_POSSIBLE)
        kind = paths[0][0]
        self._note("local", ["meter", title.hex(), serial, kind])
        try:
            self._link = await self._reach.link(meter, paths[0], SLOT_MS)
        except (OSError, ModemError, Unreached) as error:
            log.warning(WHERE, "%s: %s" % (serial, error))
            return exception(NOT_ALLOWED, NOT_POSSIBLE)
        self._timeout_ms = self._reach.patience[kind][0]
        self._whose = (serial, client_sap)
        return None
