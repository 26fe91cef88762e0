"""What a meter holds before a package is carried out, as far as it is known: what the package may
refer to without writing it. It comes from the model, and from what the author says under `meter:`:

    meter:
      scripts: {0.0.10.0.100.255: [1, 2]}     # script table: its scripts
      tariffs: {normal: 1, peak: 2}           # names for scripts of the tariff table
      days: [1, 2]                            # day profiles of the calendar
      weeks: [WORK]                           # its week profiles
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.dlms.data import axdr, obis
from tools.cosem import values
from tools.cosem.source import Item

TARIFF_SCRIPTS = obis.parse("0.0.10.0.100.255")


@dataclass
class Held:
    """`scripts` by script table. `most`: how many elements these meters take, by class and
    attribute; `periods`: the capture periods they take, none: any.
    """

    scripts: dict[bytes, set[int]] = field(default_factory=dict)
    tariffs: dict[str, int] = field(default_factory=dict)
    days: set[int] = field(default_factory=set)
    weeks: set[bytes] = field(default_factory=set)
    most: dict[tuple[int, int], int] = field(default_factory=dict)
    periods: tuple[int, ...] = ()


# scripts: 1, 2 tariffs; 3 raises, 4 clears the overvoltage alarm
_AMI_E450 = Held(
    scripts={TARIFF_SCRIPTS: {1, 2, 3, 4}},
    tariffs={"normal": 1, "peak": 2},
    most={
        (7, 3): 32, (9, 2): 64, (11, 2): 100, (20, 7): 12, (20, 8): 12, (20, 9): 32,
        (21, 2): 16, (21, 4): 16, (22, 4): 16, (40, 2): 32, (40, 4): 16,
    },
    periods=(0, 60, 300, 600, 900, 1800, 3600, 86400),
)  # fmt: skip
_KNOWN = {"AMI-E450": _AMI_E450}


def of_models(models: Iterable[str]) -> Held:
    """What all meters of these models hold and take."""
    known = [_KNOWN.get(model, Held()) for model in models]
    if not known:
        return Held()
    first, *others = known
    found = Held(
        {table: set(numbers) for table, numbers in first.scripts.items()},
        dict(first.tariffs),
        set(first.days),
        set(first.weeks),
        dict(first.most),
        first.periods,
    )
    for other in others:
        for table in found.scripts:
            found.scripts[table] &= other.scripts.get(table, set())
        found.tariffs = dict(found.tariffs.items() & other.tariffs.items())
        found.days &= other.days
        found.weeks &= other.weeks
        for key in other.most:
            found.most[key] = min(other.most[key], found.most.get(key, other.most[key]))
        found.periods = found.periods or other.periods
    return found


def add(held: Held, item: Item) -> None:
    """What the author says under `meter:`. Problem."""
    fields = item.fields("what the meter has", [], ["scripts", "tariffs", "days", "weeks"])
    scripts = fields.get("scripts")
    if scripts is not None:
        for key, listed in scripts.pairs("script tables, such as `0.0.10.0.100.255: [1, 2]`"):
            numbers = held.scripts.setdefault(values.logical_name(key), set())
            for each in listed.items("a list of scripts"):
                numbers.add(script_number(each))
    tariffs = fields.get("tariffs")
    if tariffs is not None:
        for key, number in tariffs.pairs("names of scripts, such as `peak: 2`"):
            held.tariffs[key.raw] = script_number(number)
            held.scripts.setdefault(TARIFF_SCRIPTS, set()).add(held.tariffs[key.raw])
    days = fields.get("days")
    if days is not None:
        for each in days.items("a list of day profiles"):
            held.days.add(values.integer(each, "a day profile", *values.INTEGERS[axdr.UNSIGNED]))
    weeks = fields.get("weeks")
    if weeks is not None:
        for each in weeks.items("a list of week profiles"):
            held.weeks.add(values.octet_string(each))


def script_number(item: Item) -> int:
    return values.integer(item, "a script", 1, 0xFFFF)
