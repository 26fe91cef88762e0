"""How the meter's clock tells local time (class 8).

clock:
  zone: "-04:00"                      # local standard time minus UTC
  summer:                             # or `summer: none`
    begin: "*-09-02-sun 00:00"        # first Sunday on or after 2 September
    end: "*-04-02-sun 00:00"
    shift: 60 min
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from gateway.dlms.data import axdr, datetime, obis
from tools.cosem import render
from tools.cosem.source import Item
from tools.cosem.values import Typed
from tools.package.calendar import Key
from tools.package.forms import words
from tools.package.forms.words import Words

CLOCK = 8
ZONE, BEGIN, END, SHIFT, ENABLED = 3, 5, 6, 7, 8
USUAL = obis.parse("0.0.1.0.0.255")
_NO_DATE = "2000-01-01 00:00 "  # only what follows it is looked at


def compile(item: Item, known: Words) -> None:
    fields = item.fields("a clock", [], ["object", "zone", "summer"])
    name = words.logical_name(fields.get("object"), USUAL)
    zone, summer = fields.get("zone"), fields.get("summer")
    if zone is None and summer is None:
        raise item.problem("expected `zone:` or `summer:` in a clock, got neither")
    found: list[tuple[int, Typed, Item]] = []
    if zone is not None:
        found.append((ZONE, (axdr.LONG, _zone(zone)), zone))
    if summer is not None and summer.raw == "none":
        found.append((ENABLED, (axdr.BOOLEAN, False), summer))
    elif summer is not None:
        parts = summer.fields("summer time (or none)", ["begin", "end", "shift"], [])
        shift = words.seconds(parts["shift"])
        if parts["shift"].raw.isdigit():  # of seconds, and hardly meant
            raise parts["shift"].expected("a number with its unit, such as 60 min")
        if shift % 60 or not 0 < shift <= 120 * 60:
            raise parts["shift"].expected("1 min to 120 min, or `summer: none`")
        found += [
            (BEGIN, (axdr.OCTET_STRING, _change(parts["begin"])), parts["begin"]),
            (END, (axdr.OCTET_STRING, _change(parts["end"])), parts["end"]),
            (SHIFT, (axdr.INTEGER, shift // 60), parts["shift"]),
            (ENABLED, (axdr.BOOLEAN, True), summer),
        ]
    for index, typed, where in found:
        known.plan.write(words.attribute(CLOCK, name, index), typed, where, where)


def _zone(item: Item) -> int:
    """Minutes from local time to UTC: the standard's sign is the other one."""
    what = "an offset from UTC such as -04:00"
    try:
        octets = datetime.parse_date_time(_NO_DATE + item.text(what))
    except ValueError:
        raise item.expected(what)
    deviation = int.from_bytes(octets[9:11], "big", signed=True)
    if octets[9:11] == bytes((0x80, 0)) or octets[11] != datetime.ANY:
        raise item.expected(what)
    return deviation


def _change(item: Item) -> bytes:
    text = item.text('a date and time such as "*-09-02-sun 00:00"')
    try:
        octets = datetime.parse_date_time(text)
    except ValueError as error:
        raise item.problem(str(error))
    if octets[9:11] != bytes((0x80, 0)):
        raise item.expected('local time without an offset, such as "*-09-02-sun 00:00"')
    return octets


def lines(values: Mapping[Key, Typed], known: Words) -> list[str]:
    """The form for the clock in these values, [] for none."""
    own = {index: typed for (class_id, name, index), typed in values.items()
           if (class_id, name) == (CLOCK, USUAL)}  # fmt: skip
    made = ["clock:"]
    if ZONE in own:
        made.append("  zone: %s" % words.quoted(_offset(own[ZONE][1])))
    if ENABLED in own and not own[ENABLED][1]:
        made.append("  summer: none")
    elif all(index in own for index in (BEGIN, END, SHIFT, ENABLED)):
        made += [
            "  summer:",
            "    begin: %s" % words.quoted(render.moment(own[BEGIN][1])),
            "    end: %s" % words.quoted(render.moment(own[END][1])),
            "    shift: %d min" % own[SHIFT][1],
        ]
    return made if len(made) > 1 else []


def shown(values: Mapping[Key, Typed], known: Words) -> Text | None:
    made = lines(values, known)
    return Text("\n".join(made).replace('"', "")) if made else None


def _offset(deviation: int) -> str:
    minutes = -deviation
    sign = "-" if minutes < 0 else "+"
    return "%s%02d:%02d" % (sign, *divmod(abs(minutes), 60))
