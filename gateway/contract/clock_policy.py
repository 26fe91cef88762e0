"""What is done about a meter's clock that is off.

The defaults are those of the concentrators in Spain: corrected from 30 s on, and never by more than
an hour without somebody's order; 10 s is what Belgium allows at the end of a measuring period.
"""

from __future__ import annotations

from gateway.contract.fields import Record, field, record
from gateway.contract.refused import Refused
from gateway.contract.rules import uint

_SECONDS = uint(86400)


@record()
class ClockPolicy(Record):
    """In seconds: `report` from which the deviation is told by itself, `correct` from which the
    clock is put right, `refuse` above which it is left to a signed order. `period`: the capture
    period whose end a correction keeps clear of, where it can.
    """

    report: int = field(_SECONDS, default=10)
    correct: int = field(_SECONDS, default=30)
    refuse: int = field(_SECONDS, default=3600)
    period: int = field(uint(86400, 1), default=900)

    def agree(self) -> None:
        if not self.report <= self.correct <= self.refuse:
            raise Refused("malformed", "clocks: expected report <= correct <= refuse")
