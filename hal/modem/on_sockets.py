"""What the drivers on the system's own network have in common (hal/modem/ip.py, udp.py): there is
no modem that could be asked, and meters are where the inventory says."""

from __future__ import annotations

import errno

from hal.modem.events import Events
from hal.ports import BadAddress, NoRoute, PortClosed, PortError, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.modem.events import Event


_AGAIN = -3  # EAI_AGAIN: the name service does not answer


def no_way(address: str, error: OSError, took_ms: int) -> NoRoute:
    """What the system said when there was no way to `address`, after so long."""
    number = error.errno if isinstance(error.errno, int) else 0
    if number < 0 and number != _AGAIN:  # of getaddrinfo()
        return BadAddress("%s: there is no such host (%s)" % (address, error))
    if number in (errno.ECONNREFUSED, errno.ECONNRESET):
        return PortClosed("%s refuses the connection, after %d ms" % (address, took_ms))
    return Unreachable("no way to %s: %s, after %d ms" % (address, _said(error), took_ms))


def _said(error: OSError) -> str:
    return error.strerror if hasattr(error, "strerror") and error.strerror else str(error)


class OnSockets:
    """`_fault`: of our own, in a task; it comes out of event() once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._events = Events()
        self._fault: Exception | None = None
        self._closed = False
        self._last_handle = 0

    async def event(self) -> Event:
        while not len(self._events):
            if self._fault is not None:
                fault = self._fault
                self._fault = None
                raise fault
            await self._begin()
            await self._events.happening()
        return self._events.take()

    async def discover(self) -> None:
        """Nothing to look for."""

    async def get(self, parameter: str) -> bytes:
        raise PortError("%s: there is no parameter %r" % (self._name, parameter))

    async def set(self, parameter: str, value: bytes) -> None:
        await self.get(parameter)

    async def _begin(self) -> None:
        """Be ready for events; OSError once closed."""
        raise NotImplementedError
