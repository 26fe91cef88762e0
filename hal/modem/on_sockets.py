"""What the drivers on the system's own network have in common (hal/modem/ip.py, udp.py): there is
no modem that could be asked, and meters are where the inventory says."""

from __future__ import annotations

from hal.modem.events import Events
from hal.ports import PortError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.modem.events import Event


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
