"""What is known of a row of a profile beside its values, and why rows are missing.

Each row has the flags of this module in its last column: they are ours. What the meter says itself
stands in its own status column, and stays as it came.
"""

from __future__ import annotations

TIME_REPAIRED = 1  # the meter gave no time that can be read: it follows from the row before
SECOND_PASS = 2  # of an hour that daylight saving made the meter's clock pass through twice
CLOCK_OFF = 4  # the meter's clock was further off than the limit when it was read
JUMPED_BACK = 8  # older than the row before it: the meter's clock was set back
PERIOD_CHANGED = 16  # the first row of another capture period or of other columns
OTHER_VALUES = (
    32  # the time of the row before it, and other values (profiles; events may share one)
)
AFTER_GAP = 64  # rows before it are missing
FLAGS = {
    TIME_REPAIRED: "time-repaired",
    SECOND_PASS: "second-pass",
    CLOCK_OFF: "clock-off",
    JUMPED_BACK: "jumped-back",
    PERIOD_CHANGED: "period-changed",
    OTHER_VALUES: "other-values",
    AFTER_GAP: "after-gap",
}

# of a gap: why the meter has no rows there
OVERWRITTEN = "overwritten"  # its buffer has gone over them
NOT_CAPTURED = "not-captured"  # there never were any: it had no power, or its clock was set forward
CHANGED = "period-changed"  # its buffer began anew with another period or other columns
MALFORMED = "rows-malformed"  # they are none that the standard describes
CLOCK_SET = "clock-set"  # of the clock, not of a profile: it was moved over the end of a period
GAPS = (OVERWRITTEN, NOT_CAPTURED, CHANGED, MALFORMED, CLOCK_SET)
