"""A task: work that the concentrator does by itself, again and again, until told otherwise."""

from __future__ import annotations

from gateway.contract.fields import Record, field, list_of, record, record_rule
from gateway.contract.limits import MAX_METERS, MAX_OBJECTS
from gateway.contract.model_name import NAME
from gateway.contract.refused import Refused
from gateway.contract.rules import (
    BOOL,
    SERIAL,
    TIME,
    array_of,
    octets,
    row,
    text,
    tuples,
    uint,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# what of a meter
VALUES = 0  # attributes as they are now
PROFILE = 1  # the rows of a profile since the last one that is here
LOG = 2  # likewise, of an event log
CLOCK = 3  # measure the clock, and correct it by the policy
ALARMS = 4  # alarm registers and descriptors: read, tell, and clear as the model says
WHATS = ("values", "profile", "log", "clock", "alarms")

# units of the period
MINUTES = 0
DAYS = 1
WEEKS = 2
MONTHS = 3
UNITS = ("minutes", "days", "weeks", "months")

# which meters
ALL = 0
MODEL = 1
LIST = 2
PATH = 3

# when what was read goes to the HES
AT_ONCE = 0
WITH_WINDOW = 1
ON_DEMAND = 2
SENDS = ("at-once", "with-window", "on-demand")

MAX_TASKS = 32
MAX_ITEMS = 16
MOST_URGENT = 8  # tasks yield to urgent jobs, which have 9


@record()
class Item(Record):
    """`what` as above. `name`: what the meter's model calls the object ("load-profile"); "": the
    `objects` say it, (class id, OBIS, attribute): those that are read, or the profile or log.
    """

    what: int = field(uint(len(WHATS) - 1))
    name: str = field(text(32), default="")
    objects: list[tuple[int, bytes, int]] = field(
        tuples(row(uint(0xFFFF), octets(6, 6), uint(127, 1)), MAX_OBJECTS), default=[]
    )

    def agree(self) -> None:
        if self.what in (PROFILE, LOG) and bool(self.name) == bool(self.objects):
            raise Refused("malformed", "item: expected either a name or an object")


_SELECTION = row(uint(PATH), array_of(SERIAL, MAX_METERS))


@record()
class Every(Record):
    """Every `count` `unit`s: of minutes from local midnight on, else at `at` minutes after it; with
    weeks on the days of `day` (bit 0 Monday), with months on the day of the month `day` (beyond the
    last: on the last).
    """

    unit: int = field(uint(MONTHS))
    count: int = field(uint(1440, 1))
    at: int = field(uint(1439))
    day: int = field(uint(127))

    def agree(self) -> None:
        if (self.unit == WEEKS and not self.day) or (
            self.unit == MONTHS and not 1 <= self.day <= 31
        ):
            raise Refused("malformed", "every: expected a day, came %d" % self.day)


@record(1)
class Task(Record):
    """`name` tells it from the others. Due first at or after the unix time `start`. `meters`
    [ALL, []], [MODEL, names], [LIST, serials] or [PATH, kinds]. `completeness`, in permille, is
    wanted; until it is reached or the task is due again, meters that failed are tried again. What
    was read stays on the flash for `keep` days, if there is room.
    """

    name: str = field(NAME)
    start: int = field(TIME)
    every: Every = field(record_rule(Every))
    priority: int = field(uint(MOST_URGENT))
    meters: list[Any] = field(_SELECTION)
    items: list[Item] = field(list_of(record_rule(Item), MAX_ITEMS, 1))
    completeness: int = field(uint(1000))
    keep: int = field(uint(400))
    send: int = field(uint(ON_DEMAND))
    paused: bool = field(BOOL, default=False)

    def agree(self) -> None:
        if (self.meters[0] == ALL) != (self.meters[1] == []):
            raise Refused(
                "malformed", "meters: expected names of what is selected, and none for all"
            )
        self.every.agree()
        for item in self.items:
            item.agree()


@record(2)
class TaskRemoved(Record):
    """There is no task of this name any more; one of a model's defaults comes back with Task."""

    name: str = field(NAME)
