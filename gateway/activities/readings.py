"""What a run of a task does to one meter: reads what the task's items name, and records it.

A file for each `what` of an item (contract/task.py), imported on use; each has a coroutine function
`collect(visit, item)`. What was recorded before a path broke stays, and the next visit goes on from
the last row that is here.
"""

from __future__ import annotations

import sys

from gateway.contract.task import ALARMS, CLOCK, LOG, PROFILE, VALUES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from gateway.contract.model import Model
    from gateway.contract.task import Item
    from gateway.dlms.client.client import Client
    from hal.ports import Clock

    # class id, OBIS, attribute, data index, tag of the type, scaler, unit
    Column = tuple[int, bytes, int, int, int, int | None, int | None]
    # class id, OBIS, attribute, value (A-XDR Data), scaler, unit
    Value = tuple[int, bytes, int, bytes, int | None, int | None]

    class Recorder(Protocol):
        """Who keeps what is read (gateway/readings/recorder.py). Rows: [unix time, a value for each
        further column, flags of contract/quality.py]; columns[0] is the time's. Values are int,
        float, bool, str, bytes or None; arrays and structures as their A-XDR octets."""

        def layout(
            self, serial: str, class_id: int, obis: bytes, period: int, columns: list[Column]
        ) -> int: ...

        def rows(
            self, layout: int, serial: str, task: str, read_at: int, rows: list[list[Any]]
        ) -> None: ...

        def values(self, serial: str, task: str, read_at: int, values: list[Value]) -> None: ...

        def gap(
            self, serial: str, class_id: int, obis: bytes, start: int, end: int, reason: str
        ) -> None: ...

        async def commit(self) -> None: ...

        def last(self, serial: str, obis: bytes) -> tuple[int, bytes]:
            """Time of the last row recorded, and the digest of all rows with that time, in the
            order in which they came; (0, b"") where there is none."""

        def digest(self, before: bytes, row: list[Any]) -> bytes:
            """The digest after one more row of the same time; `before` b"" for the first. Flags do
            not count."""


_MODULES = {
    VALUES: "gateway.activities.values",
    PROFILE: "gateway.activities.profile",
    LOG: "gateway.activities.profile",
    CLOCK: "gateway.activities.clock",
    ALARMS: "gateway.activities.alarms",
}


class Collected:
    """`rows` and values recorded; `gaps`: of what could not be had, the reasons (result.py), none
    where all is here."""

    __slots__ = ("gaps", "rows")

    def __init__(self) -> None:
        self.rows = 0
        self.gaps: list[str] = []


class Visit:
    """One meter, met for one task."""

    def __init__(
        self,
        client: Client,
        serial: str,
        model: Model,
        task: str,
        keep: int,
        recorder: Recorder,
        clock: Clock,
    ) -> None:
        self.client = client
        self.serial = serial
        self.model = model
        self.task = task
        self.keep = keep
        self.recorder = recorder
        self.clock = clock
        self.collected = Collected()


class Collector:
    """Collects from any meter; any number of visits may run side by side, one for each meter."""

    def __init__(self, recorder: Recorder, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock

    async def collect(
        self, client: Client, serial: str, model: Model, items: list[Item], task: str, keep: int
    ) -> Collected:
        """What `items` name of the meter that `client` is associated with, recorded and committed.
        `task`: its name, "" for none; `keep`: of what was never read before, so many days back.

        DlmsError and OSError come out as they are; what was read until then is recorded.
        """
        visit = Visit(client, serial, model, task, keep, self._recorder, self._clock)
        try:
            for item in items:
                await _module(item.what).collect(visit, item)
        finally:
            await self._recorder.commit()
        return visit.collected


def _module(what: int) -> Any:
    name = _MODULES[what]
    __import__(name)
    return sys.modules[name]
