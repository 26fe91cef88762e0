"""The tasks that a concentrator has without being told, for each model of its meters:

    daily-<model>   each day at 00:10: the day's closure, the load profile, and the event logs, all
                    in one conversation; where the model names such objects
    clock-<model>   the clock, early on Sundays

The HES replaces one by a task of its name, or removes it. Each concentrator begins a little later
than the next, by its id, so that not all of them come to the HES at the same second.
"""

from __future__ import annotations

from binascii import crc32

from gateway.contract.task import (
    AT_ONCE,
    CLOCK,
    DAYS,
    LOG,
    MAX_ITEMS,
    MODEL,
    PROFILE,
    WEEKS,
    Every,
    Item,
    Task,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DAILY, WEEKLY = "daily-", "clock-"
_PROFILES = ("daily-profile", "load-profile")  # in this order: closures are wanted first
_LOG = "-log"
_AT = 10  # minutes after midnight, when the day before is closed
_CLOCKS_AT = 190
_SUNDAY = 0b1000000
_PRIORITY = 3
_COMPLETENESS = 999
_KEEP = 30  # days
_SPREAD_S = 960


def is_default(name: str) -> bool:
    """Whether a default may have this name."""
    return name.startswith((DAILY, WEEKLY))


def delay_of(concentrator: str) -> int:
    """By how many seconds its defaults begin later than they are due."""
    return crc32(concentrator.encode()) % _SPREAD_S


def of_model(model: Any) -> list[Task]:
    words = [word for word, _, _ in model.objects]
    items = [Item(PROFILE, word) for word in _PROFILES if word in words]
    items.extend([Item(LOG, word) for word in words if word.endswith(_LOG)])
    name = model.name[: 32 - len(DAILY)]
    clocks = _task(WEEKLY + name, model, Every(WEEKS, 1, _CLOCKS_AT, _SUNDAY), [Item(CLOCK)])
    if not items:
        return [clocks]
    return [_task(DAILY + name, model, Every(DAYS, 1, _AT, 0), items[:MAX_ITEMS]), clocks]


def _task(name: str, model: Any, every: Every, items: list[Item]) -> Task:
    meters = [MODEL, [model.name]]
    return Task(name, 0, every, _PRIORITY, meters, items, _COMPLETENESS, _KEEP, AT_ONCE)
