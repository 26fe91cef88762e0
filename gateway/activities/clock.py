"""A meter's clock: measured, told, and put right as the policy says.

What was found goes to the HES as values of the clock's attribute 0, which no clock has: seconds
that it is ahead of ours (below 0: behind), once as found and once more as corrected.

The meter is moved by shift_time where it is near enough (the method takes 900 s at most, Blue Book
4.5.1), since a delay on the way does not matter then; else, and where it has no such method, its
time is written. A correction that would take it across the end of a capture period waits until the
meter is past that, for as long as this is a matter of a minute; else the interval is named as one
in which the clock was set.
"""

from __future__ import annotations

from gateway.activities import meter_clock
from gateway.activities.verdict import explained
from gateway.contract.quality import CLOCK_SET
from gateway.dlms.data import axdr, moment
from gateway.dlms.data.selection import CLOCK
from gateway.dlms.errors import AccessRefused, NotSupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.activities.meter_clock import MeterClock
    from gateway.activities.readings import Visit
    from gateway.contract.task import Item

CLASS = 8
AHEAD = 0  # in place of an attribute
SECONDS = 7  # the unit (Blue Book 4.3.2)
_TIME = 2
_SHIFT_TIME = 6
MOST_SHIFT_S = 900
MOST_WAIT_S = 60
_MARGIN_S = 2  # between a correction and the end of a capture period


async def collect(visit: Visit, _: Item) -> None:
    """A clock too far off, or one that will not be moved, is named among what could not be had."""
    found = await visit.meter_clock()
    off, policy = found.off, visit.clocks
    if off is None:
        what = "this concentrator's own clock is unset" if found.now else "the meter tells no time"
        visit.collected.missed("clock-unset" if found.now else "read-refused", what)
        return
    _tell(visit, off)
    if abs(off) < max(policy.correct, 1):
        return
    if abs(off) > policy.refuse:
        text = "its clock is %+d s off, more than %d s: to be set by an order" % (
            off,
            policy.refuse,
        )
        visit.collected.missed("clock-far-off", text)
        return
    corrected = await _corrected(visit, found, off)
    if corrected is None:
        return
    _tell(visit, corrected)
    if abs(corrected) >= max(policy.correct, 1):
        text = "its clock was %+d s off, and is %+d s off after it was put right"
        visit.collected.missed("action-refused", text % (off, corrected))


def _tell(visit: Visit, off: int) -> None:
    value = axdr.encode((axdr.DOUBLE_LONG, off))
    visit.recorder.values(
        visit.serial, visit.task, visit.read_at, [(CLASS, CLOCK, AHEAD, value, 0, SECONDS)]
    )
    visit.collected.rows += 1


async def _corrected(visit: Visit, found: MeterClock, off: int) -> int | None:
    """How far it is off then; None where the meter refused, which is named."""
    clear = await _clear(visit, found, off)
    before = visit.clock.unix_time() + off
    try:
        await _move(visit, found, off)
    except (AccessRefused, NotSupported) as error:
        refused = explained(error, True)
        visit.collected.missed(refused.reason, refused.detail)
        return None
    if not clear:
        start, end = sorted((before, before - off))
        visit.recorder.gap(visit.serial, CLASS, CLOCK, start, end, CLOCK_SET)
    visit.forget_meter_clock()
    after = await meter_clock.measured(visit.client, visit.clock)
    return after.off


async def _move(visit: Visit, found: MeterClock, off: int) -> None:
    if abs(off) <= MOST_SHIFT_S:
        try:
            shift = axdr.encode((axdr.LONG, -off))
            await visit.client.action(CLASS, CLOCK, _SHIFT_TIME, shift)
            return
        except (AccessRefused, NotSupported):
            pass  # there are clocks without methods
    now = moment.date_time(visit.clock.unix_time(), found.deviation, found.told)
    await visit.client.set(CLASS, CLOCK, _TIME, axdr.encode((axdr.OCTET_STRING, now)))


async def _clear(visit: Visit, found: MeterClock, off: int) -> bool:
    """Whether the correction stays within a capture period; waited for where that is soon."""
    wait_s = clear_after(visit.clock.unix_time() + off, off, visit.clocks.period)
    if wait_s > MOST_WAIT_S:
        return False
    if wait_s:
        await visit.clock.sleep_ms(wait_s * 1000)
    return True


def clear_after(shown: int, off: int, period: int) -> int:
    """In how many seconds the clock, which shows `shown` now and is `off` seconds ahead, can be put
    right with no end of a capture period in between."""
    if abs(off) + 2 * _MARGIN_S >= period:
        return MOST_WAIT_S + 1  # never
    into = shown % period
    if off > 0:  # it goes back: not before it is further into the period than that
        return max(off + _MARGIN_S - into, 0)
    left = period - into
    return left + _MARGIN_S if left <= _MARGIN_S - off else 0
