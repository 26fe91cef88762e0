"""What is new among the rows of a profile: marked with what is known of it, and recorded.

Rows come in the order in which the meter captured them. The last one that is here is asked for
again: what follows it is new. Several rows may have the same time, so it is known by the digest of
all rows of its time. Until it has come, rows are held back, for they may be known already: its
clock may have been set back since, and the same times come twice.
"""

from __future__ import annotations

from gateway.contract import quality
from gateway.dlms.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.activities.profile.decoding import Decoder, Stamp
    from gateway.activities.profile.layout import Layout
    from gateway.activities.readings import Visit

BATCH = 64  # rows held in RAM
_MOST_UNREADABLE = 64


class Doubtful(Exception):
    """The last row that is here is gone from the buffer: does the profile still have the same
    layout?"""


class Intake:
    """Of one profile of one meter. `log`: things happen when they happen, several in a second
    perhaps. `gone`: why the last row that is here may be gone from the buffer (quality.py), "" if
    nobody has looked for that yet. `floor`: rows from before this time are known, or not wanted."""

    def __init__(
        self, visit: Visit, obis: bytes, layout: Layout, log: bool, gone: str = ""
    ) -> None:
        self.floor = 0
        self.answered = 0  # rows in the answers, known ones too
        self.recorded = 0  # since the last commit
        self.visit = visit
        self.obis = obis
        self.layout = layout
        self._log = log
        self._gone = gone
        self._unreadable = 0
        self._held: list[tuple[Stamp, list[Any]]] = []
        self._before: list[Any] = []  # the row before the next new one, flags included
        self._deviation: int | None = None  # of that row
        self._fold_end = 0  # local time up to which an hour is passed through for the second time
        self.expect()

    def expect(self) -> None:
        """The next rows begin with known ones, where those are not read again on demand."""
        self.time, self._digest = 0, b""
        if self.visit.between is None and self.layout.time >= 0:
            self.time, self._digest = self.visit.recorder.last(self.visit.serial, self.obis)
        self.matched = self.time == 0
        self._chain = b""

    def take(self, stamp: Stamp, values: list[Any], decoder: Decoder) -> None:
        """The next row. Doubtful; ProtocolError where its times make no sense at all."""
        self.answered += 1
        unix = stamp.unix
        if stamp.unreadable:
            self._unreadable += 1
            if self._unreadable > _MOST_UNREADABLE:
                raise ProtocolError("rows whose times are none")
        if unix is None:
            unix = self._assumed()
            stamp.unix = unix
            stamp.repaired = True
        if not self.matched:
            if unix < self.floor:
                return
            self._chain = self._chained(unix, values)
            if unix == self.time and self._chain == self._digest:
                self.matched = True
                self._held = []
                self._seen([unix] + values + [0], stamp)
                return
        elif not self.time and not self.floor <= unix <= self.visit.end:
            return
        self._held.append((stamp, values))
        if len(self._held) >= BATCH:
            self.flush(decoder)

    def flush(self, decoder: Decoder) -> None:
        """Record what is held. Doubtful, and nothing is."""
        if not self._held:
            return
        missing = ""
        if not self.matched:
            if not self._gone:
                raise Doubtful()
            missing = self._gone
            self.matched = True
        visit = self.visit
        rows = []
        for stamp, values in self._held:
            rows.append(self._marked(stamp, values, missing))
            missing = ""
        self._held = []
        layout = visit.recorder.layout(
            visit.serial, 7, self.obis, self.layout.period, decoder.columns()
        )
        visit.recorder.rows(layout, visit.serial, visit.task, visit.read_at, rows)
        visit.collected.rows += len(rows)
        self.recorded += len(rows)

    def keep(self, decoder: Decoder) -> None:
        """Record what is held, where it is known to be new: nothing more comes."""
        if self.matched or self._gone:
            self.flush(decoder)
        self._held = []

    def _assumed(self) -> int:
        """The time of a row that has none."""
        if self.layout.time < 0:
            return self.visit.read_at
        if self._held:
            before = self._held[-1][0].unix
            assert before is not None
            return before + self.layout.period
        if self.time and not self.matched and self.answered == 1:
            return self.time  # the answer begins with the row that was asked for
        return self._before[0] + self.layout.period if self._before else self.visit.read_at

    def _chained(self, unix: int, values: list[Any]) -> bytes:
        if unix != self.time:
            return b""
        return self.visit.recorder.digest(self._chain, [unix] + values + [0])

    def _marked(self, stamp: Stamp, values: list[Any], missing: str) -> list[Any]:
        """The row with its flags; what is missing before it is named."""
        assert stamp.unix is not None
        unix = stamp.unix
        flags = quality.TIME_REPAIRED if stamp.repaired else 0
        if self.visit.clock_off:
            flags |= quality.CLOCK_OFF
        before = self._before[0] if self._before else self.time
        period = self.layout.period
        if missing == quality.CHANGED:
            flags |= quality.PERIOD_CHANGED
        if before:
            if unix < before:
                flags |= quality.JUMPED_BACK
            elif unix == before and not self._log and self._before[1:-1] != values:
                flags |= quality.OTHER_VALUES
            elif (
                self.visit.between is None
                and (missing or period)
                and unix - before > max(period * 3 // 2, 1)
            ):
                flags |= quality.AFTER_GAP
                self._name_gap(before, unix, missing or quality.NOT_CAPTURED)
        if self._second_pass(stamp):
            flags |= quality.SECOND_PASS
        row = [unix] + values + [flags]
        self._seen(row, stamp)
        return row

    def _name_gap(self, before: int, unix: int, reason: str) -> None:
        period = self.layout.period or 1
        start = before + period
        visit = self.visit
        visit.recorder.gap(visit.serial, 7, self.obis, start, max(start, unix - period), reason)

    def _second_pass(self, stamp: Stamp) -> bool:
        """Whether the local time has been passed through before, in summer time."""
        assert stamp.unix is not None
        if stamp.deviation is None:
            return False
        local = stamp.unix - stamp.deviation * 60
        if self._deviation is not None and stamp.deviation > self._deviation and self._before:
            self._fold_end = self._before[0] - self._deviation * 60
        return local <= self._fold_end

    def _seen(self, row: list[Any], stamp: Stamp) -> None:
        self._before = row
        self._deviation = stamp.deviation
