"""What a run of a task does to one meter: reads what the task's items name, and records it.

A file for each `what` of an item (contract/task.py), imported on use; each has a coroutine function
`collect(visit, item)`. What was recorded before a path broke stays, and the next visit goes on from
the last row that is here.
"""

from __future__ import annotations

import sys

from gateway.activities.profile.layout import Layouts
from gateway.activities.verdict import explained
from gateway.contract.clock_policy import ClockPolicy
from gateway.contract.limits import MAX_TIME
from gateway.contract.task import ALARMS, CLOCK, LOG, PROFILE, VALUES
from gateway.dlms.errors import LINK_ENDED, AccessRefused, NotSupported, ProtocolError
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    from gateway.activities.meter_clock import MeterClock
    from gateway.contract.model import Model
    from gateway.contract.reports import MeterAlarm
    from gateway.contract.task import Item
    from gateway.dlms.client.client import Client
    from hal.ports import Clock

    # class id, OBIS, attribute, data index, tag of the type, scaler, unit
    Column = tuple[int, bytes, int, int, int, int | None, int | None]
    # class id, OBIS, attribute, value (A-XDR Data), scaler, unit
    Value = tuple[int, bytes, int, bytes, int | None, int | None]

    class Recorder(Protocol):
        """Who keeps what is read in one visit (gateway/readings/recorder.py). Rows: [unix time, a
        value for each further column, flags of contract/quality.py]; columns[0] is the time's.
        Values are int, float, bool, str, bytes or None; arrays and structures as their A-XDR."""

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

    class Alarms(Protocol):
        """Who tells alarms (gateway/alarms/telling.py). `source`: as in MeterAlarm."""

        def fresh(self, serial: str, source: str, bits: list[int]) -> list[int]:
            """Those of `bits` that were not told, or have been gone since."""

        async def tell(self, alarm: MeterAlarm) -> bool:
            """True once it is durable."""

        def stay(self, serial: str, source: str, bits: list[int]) -> None:
            """So much is set now."""


WHERE = "readings"

_MODULES = {
    VALUES: "gateway.activities.values",
    PROFILE: "gateway.activities.profile.collect",
    LOG: "gateway.activities.profile.collect",
    CLOCK: "gateway.activities.clock",
    ALARMS: "gateway.activities.alarms",
}
LIMIT_S = 30  # what a meter's clock may be off before its rows are marked for it


class Collected:
    """`rows` and values recorded; `gaps`: of what could not be had, the reasons (result.py), none
    where all is here; `details`: the same for people."""

    __slots__ = ("details", "gaps", "rows")

    def __init__(self) -> None:
        self.rows = 0
        self.gaps: list[str] = []
        self.details: list[str] = []

    def missed(self, reason: str, detail: str) -> None:
        self.gaps.append(reason)
        self.details.append(detail)


class Visit:
    """One meter, met for one task. `task`: its name, "" for none. Of what was never read before,
    `keep` days are wanted; `between`: these times alone (both included), what is here already too.
    `clocks`: what is done about a clock that is off. `alarms`: who tells them; None: they are only
    recorded.
    """

    def __init__(
        self,
        client: Client,
        serial: str,
        model: Model,
        recorder: Recorder,
        clock: Clock,
        layouts: Layouts,
        task: str = "",
        keep: int = 0,
        between: tuple[int, int] | None = None,
        clocks: ClockPolicy | None = None,
        alarms: Alarms | None = None,
    ) -> None:
        self.client = client
        self.serial = serial
        self.model = model
        self.recorder = recorder
        self.clock = clock
        self.layouts = layouts
        self.task = task
        self.keep = keep
        self.between = between
        self.clocks = clocks or ClockPolicy()
        self.alarms = alarms
        self.read_at = clock.unix_time()
        self.collected = Collected()
        self.ahead: int | None = None  # the meter's clock of ours, at most in this visit
        self._meter_clock: MeterClock | None = None

    async def meter_clock(self) -> MeterClock:
        """As it was when it was first asked for in this visit."""
        if self._meter_clock is None:
            from gateway.activities.meter_clock import measured

            self._meter_clock = await measured(self.client, self.clock)
            off = self._meter_clock.off
            if off is not None and (self.ahead is None or off > self.ahead):
                self.ahead = off
            if not self.read_at and self._meter_clock.now:
                self.read_at = self._meter_clock.now
        return self._meter_clock

    def forget_meter_clock(self) -> None:
        """It was moved."""
        self._meter_clock = None

    @property
    def end(self) -> int:
        """Up to which time rows are wanted."""
        return MAX_TIME if self.between is None else self.between[1]

    @property
    def clock_off(self) -> bool:
        """Whether the meter's clock was found further off than rows may come from unmarked."""
        found = self._meter_clock
        return found is not None and found.off is not None and abs(found.off) > LIMIT_S


class Collector:
    """Collects from any meter; any number of visits may run side by side, one for each meter."""

    def __init__(
        self, clock: Clock, clocks: ClockPolicy | None = None, alarms: Alarms | None = None
    ) -> None:
        self._clock = clock
        self._clocks = clocks
        self._alarms = alarms
        self._layouts = Layouts()

    async def collect(
        self,
        client: Client,
        serial: str,
        model: Model,
        items: Sequence[Item],
        recorder: Recorder,
        task: str = "",
        keep: int = 0,
        between: tuple[int, int] | None = None,
    ) -> Collected:
        """What `items` name of the meter that `client` is associated with, recorded and committed.
        `recorder`: one of this visit's own; the rest as in Visit.

        What the meter refuses, or says in a way that makes no sense, costs the item and is named.
        Other DlmsErrors, and OSError, come out as they are; what was read until then is recorded.
        """
        visit = Visit(
            client,
            serial,
            model,
            recorder,
            self._clock,
            self._layouts,
            task,
            keep,
            between,
            self._clocks,
            self._alarms,
        )
        try:
            for item in items:
                await _attended(visit, item)
        finally:
            await recorder.commit()
        return visit.collected

    def forget(self, serial: str) -> None:
        """What is known of the meter's profiles: a job may have changed it."""
        self._layouts.forget(serial)


async def _attended(visit: Visit, item: Item) -> None:
    try:
        await _module(item.what).collect(visit, item)
    except (AccessRefused, NotSupported) as error:
        result = explained(error, True)
        visit.collected.missed(result.reason, result.detail)
    except LINK_ENDED:
        raise
    except ProtocolError as error:
        result = explained(error, True)
        visit.collected.missed(result.reason, result.detail)
        log.warning(WHERE, "%s: %s" % (visit.serial, result.detail))
        await visit.client.associate()  # after that error the association is closed


def _module(what: int) -> Any:
    name = _MODULES[what]
    __import__(name)
    return sys.modules[name]
