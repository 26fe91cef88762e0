"""How the concentrator's modems and meters stand, as the HES is told: part of State, and page by
page the Meters it asks for.
"""

from __future__ import annotations

from gateway.contract.rules import (
    BOOL,
    UINT32,
    Rule,
    array_of,
    row,
    text,
    times,
    uint,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_MODEMS = 16
MAX_COUNTERS = 96  # of one modem
PAGE = 32  # meters in one message: 2 KB, on a slow line a few seconds
MAX_PAGE = 256
MAX_WAYS = 8

_COUNTER = text(48, 1)
_COUNT = uint()
_KIND = text(16, 1)
_TIME = uint(UINT32)


def _are_counters(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= MAX_COUNTERS
        and all(_COUNTER.fits(name) and _COUNT.fits(count) for name, count in value.items())
    )


_PAIRS = times(MAX_COUNTERS, row(_COUNTER, _COUNT))  # a map's are no arrays: a bit less
_COUNTERS = Rule("a map of counters", _are_counters, size=_PAIRS)
# [kind of path, whether it is up, nodes, {counter: count}]; a counter that is not there is 0.
MODEM = row(_KIND, BOOL, uint(UINT32), _COUNTERS)
MODEMS = array_of(MODEM, MAX_MODEMS)

# [kind, state (0 unknown, 1 reachable, 2 unreachable), since, before, heard, delivery in percent,
# attempts in a row without an answer, changes so far, registered]; see PathState in
# gateway/meters/reachability.py.
WAY = row(_KIND, uint(2), _TIME, _TIME, _TIME, uint(100), uint(255), uint(255), BOOL)
METER = row(text(32, 1), array_of(WAY, MAX_WAYS))
