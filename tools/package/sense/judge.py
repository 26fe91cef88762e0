"""Whether a package means something: references lead somewhere, what has an order is in it, and
what belongs together fits (Blue Book 4.3 to 4.5). Shapes are checked before, by
tools/cosem/shapes.py: here every value has the shape of its attribute.

What a package does not write itself is known from held.py; a reference to what is not known at all
has to be told there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tools.package.calendar import (
    ACTIVATION_TIME,
    CALENDAR,
    DAYS,
    PASSIVE,
    SEASONS,
    SPECIAL_DAYS,
    WEEKS,
)
from tools.package.entry import CALL, Entry
from tools.package.held import Held
from tools.package.sense import calendars, objects, scripts
from tools.package.sense.objects import CLOCK, LIMITER, MONITOR, PROFILE, SCHEDULE
from tools.package.sense.scripts import SCRIPTS
from tools.package.sense.whole import PUSH, Fault, Found, Whole


def faults(entries: Sequence[Entry], held: Held) -> list[Fault]:
    """All that makes no sense, each at an entry and a path in its value."""
    whole = Whole(entries, held)
    for entry in entries:
        if entry.typed is not None:
            for path, text in _within(whole, entry):
                whole.say(entry, path, text)
    for class_id, name in dict.fromkeys((entry.class_id, entry.obis) for entry in entries):
        together = _TOGETHER.get(class_id)
        if together is not None:
            together(whole, name)
    return whole.found


def _within(whole: Whole, entry: Entry) -> Found:
    """What one value tells by itself, or by what it refers to."""
    check = _WITHIN.get((entry.kind == CALL, entry.class_id, entry.index))
    if check is not None:
        yield from check(whole, entry)
    most = whole.held.most.get((entry.class_id, entry.index))
    if most is not None and entry.typed is not None and len(entry.typed[1]) > most:
        yield (), "expected at most %d elements, got %d" % (most, len(entry.typed[1]))


Check = Callable[[Whole, Entry], Found]
_WITHIN: dict[tuple[bool, int, int], Check] = {
    (False, PROFILE, 3): objects.columns,
    (False, PROFILE, 4): objects.period,
    (False, CLOCK, 2): objects.clock_time,
    (False, SCRIPTS, 2): scripts.scripts,
    (True, SCRIPTS, 1): scripts.execute,
    (False, SPECIAL_DAYS, 2): calendars.special_days,
    (True, SPECIAL_DAYS, 1): calendars.special_day,
    (False, CALENDAR, ACTIVATION_TIME): calendars.activation_time,
    (False, MONITOR, 2): objects.thresholds,
    (False, MONITOR, 3): objects.value_definition,
    (False, MONITOR, 4): scripts.action_sets,
    (False, SCHEDULE, 2): scripts.script_reference,
    (False, PUSH, 2): objects.pushed,
    (False, PUSH, 4): objects.windows,
    (False, LIMITER, 2): objects.value_definition,
    (False, LIMITER, 9): objects.groups,
    (False, LIMITER, 11): scripts.action_set,
}
for _offset in (0, PASSIVE):
    _WITHIN[False, CALENDAR, SEASONS + _offset] = calendars.seasons
    _WITHIN[False, CALENDAR, WEEKS + _offset] = calendars.weeks
    _WITHIN[False, CALENDAR, DAYS + _offset] = calendars.days
_TOGETHER: dict[int, Callable[[Whole, bytes], None]] = {
    CALENDAR: calendars.calendar,
    MONITOR: objects.monitor,
    LIMITER: objects.limiter,
    SCHEDULE: objects.schedule,
    CLOCK: objects.clock,
}
