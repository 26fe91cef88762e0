"""What a meter holds before a package is carried out, as far as it is known: what the package may
refer to without writing it. It comes from the model (`holds:` in its file), and from what the
author says under `meter:`:

    meter:
      scripts: {0.0.10.0.100.255: [1, 2]}     # script table: its scripts
      tariffs: {normal: 1, peak: 2}           # names for scripts of the tariff table
      days: [1, 2]                            # day profiles of the calendar
      weeks: [WORK]                           # its week profiles
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.dlms.data import axdr, obis
from tools.cosem import values
from tools.cosem.source import Item
from tools.package.model.tables import MOST, Tables

TARIFF_SCRIPTS = obis.parse("0.0.10.0.100.255")


@dataclass
class Held:
    """`scripts` by script table. `most`: how many elements these meters take, by class and
    attribute; `periods`: the capture periods they take, none: any.
    """

    scripts: dict[bytes, set[int]] = field(default_factory=dict)
    tariffs: dict[str, int] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)  # tariffs whose names are the author's
    days: set[int] = field(default_factory=set)
    weeks: set[bytes] = field(default_factory=set)
    most: dict[tuple[int, int], int] = field(default_factory=dict)
    periods: tuple[int, ...] = ()


def of_tables(tables: Tables) -> Held:
    """What the model says of its meters."""
    return Held(
        {table: set(numbers) for table, numbers in tables.scripts},
        dict(tables.tariffs),
        most={MOST[word]: number for word, number in tables.most},
        periods=tuple(tables.periods),
    )


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
            held.told.add(key.raw)
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
