"""Calendars and special days (classes 20 and 11): each week, day and script there is, everything in
its order, and what is activated is written before and proven after.
"""

from __future__ import annotations

from gateway.dlms.data import datetime
from tools.cosem import names, render, shapes
from tools.cosem.shapes import Path
from tools.package.calendar import ACTIVATE, CALENDAR, DAYS, NAME, PASSIVE, SEASONS, WEEKS
from tools.package.entry import CALL, READ, WRITE, Entry
from tools.package.sense.scripts import reference
from tools.package.sense.whole import Found, Whole, listed, rows_of, unique, unknown


def calendar(whole: Whole, name: bytes) -> None:
    """References within each half; what is activated is written before, and proven after."""
    _half(whole, name, PASSIVE, (WRITE,))
    _half(whole, name, 0, (WRITE, READ))
    activates = [
        (at, entry)
        for at, entry in enumerate(whole.entries)
        if (entry.kind, entry.key) == (CALL, (CALENDAR, name, ACTIVATE))
    ]
    if not activates:
        return
    last = activates[-1][0]
    for at, entry in enumerate(whole.entries):
        if entry.kind != WRITE or (entry.class_id, entry.obis) != (CALENDAR, name):
            continue
        if not NAME <= entry.index - PASSIVE <= DAYS:
            continue
        written = names.member_name(names.ATTRIBUTE, CALENDAR, entry.index)
        if at > last:
            whole.say(entry, (), "expected %s before activate_passive_calendar" % written)
            continue
        proof = whole.last(CALENDAR, name, entry.index - PASSIVE, READ)
        if whole.last(CALENDAR, name, entry.index, WRITE) is not entry:
            continue
        active = names.member_name(names.ATTRIBUTE, CALENDAR, entry.index - PASSIVE)
        if proof is None or not proof.checked:
            whole.say(
                entry,
                (),
                "expected %s in `verify:` with this value: a meter with a calendar of this "
                "name would not activate it, and keep the old one" % active,
            )
        elif proof.typed != entry.typed:
            whole.say(proof, (), "expected the value written to %s, got another one" % written)


def _half(whole: Whole, name: bytes, offset: int, kinds: tuple[str, ...]) -> None:
    seasons = whole.last(CALENDAR, name, SEASONS + offset, *kinds)
    weeks = whole.last(CALENDAR, name, WEEKS + offset, *kinds)
    days = whole.last(CALENDAR, name, DAYS + offset, *kinds)
    if seasons is not None:
        known = [row[0] for row in rows_of(weeks)] if weeks else sorted(whole.held.weeks)
        for at, row in enumerate(rows_of(seasons)):
            if row[2] not in known:
                whole.say(seasons, (at, 2), unknown("week", row[2], known, weeks is not None))
    if weeks is not None:
        ids = [row[0] for row in rows_of(days)] if days else sorted(whole.held.days)
        for at, row in enumerate(rows_of(weeks)):
            for place, day in enumerate(row[1:], 1):
                if day not in ids:
                    whole.say(weeks, (at, place), unknown("day", day, ids, days is not None))


def seasons(whole: Whole, entry: Entry) -> Found:
    rows = rows_of(entry)
    yield from unique([row[0] for row in rows], 0, "season")
    starts = [_start_of(row[1]) for row in rows]
    for at, start in enumerate(starts):
        if len(rows) > 1 and start is None:
            yield (
                (at, 1),
                "expected a month and a day for the start of one season among several, got %s"
                % render.moment(rows[at][1]),
            )
        before = starts[at - 1] if at else None
        if start is None or before is None:
            continue
        if (start[0] == 0xFFFF) != (before[0] == 0xFFFF):
            yield (
                (at, 1),
                "expected all seasons with a year or none, got %s after %s"
                % (render.moment(rows[at][1]), render.moment(rows[at - 1][1])),
            )
        elif start <= before:
            yield (
                (at, 1),
                "expected seasons in the order of their starts, got %s after %s"
                % (render.moment(rows[at][1]), render.moment(rows[at - 1][1])),
            )


def weeks(whole: Whole, entry: Entry) -> Found:
    yield from unique([row[0] for row in rows_of(entry)], 0, "week")


def days(whole: Whole, entry: Entry) -> Found:
    rows = rows_of(entry)
    yield from unique([row[0] for row in rows], 0, "day")
    for at, (_, actions) in enumerate(rows):
        before = b""
        for number, (_, fields) in enumerate(actions):
            (_, time), (_, table), (_, selector) = fields
            start = bytes(0 if octet == datetime.ANY else octet for octet in time)
            if before and start <= before:
                yield (
                    (at, 1, number, 0),
                    "expected the times of a day in their order, got %s after %s"
                    % (render.moment(time), render.moment(before)),
                )
            before = start
            yield from reference(whole, (at, 1, number), table, selector)


def special_days(whole: Whole, entry: Entry) -> Found:
    rows = rows_of(entry)
    numbers = [row[0] for row in rows]
    for at in range(1, len(rows)):
        if numbers[at] <= numbers[at - 1]:
            yield (
                (at, 0),
                "expected numbers that rise, got %d after %d" % (numbers[at], numbers[at - 1]),
            )
    dates = [row[1] for row in rows]
    for at, date in enumerate(dates):
        if set(date[2:]) == {datetime.ANY}:
            yield (at, 1), "expected a month or a day, got %s: every day" % render.moment(date)
        if date in dates[:at]:
            yield (
                (at, 1),
                "expected each date once, got %s a second time" % render.moment(date),
            )
    for at, row in enumerate(rows):
        yield from _special_day(whole, (at, 2), row[2])


def special_day(whole: Whole, entry: Entry) -> Found:
    assert entry.typed is not None
    yield from _special_day(whole, (2,), entry.typed[1][2][1])


def _special_day(whole: Whole, path: Path, day: int) -> Found:
    known = known_days(whole)
    if known is None:
        yield (
            path,
            "expected a day profile that is known; this package writes none, "
            "so say `meter: {days: [%d]}` if the meter has it" % day,
        )
    elif day not in known:
        yield (
            path,
            "expected one of the day profiles %s, got %d" % (listed(known), day),
        )


def known_days(whole: Whole) -> list[int] | None:
    for index in (DAYS + PASSIVE, DAYS):
        for each in whole.entries:
            if (each.class_id, each.index, each.kind) == (CALENDAR, index, WRITE):
                written = whole.last(CALENDAR, each.obis, index, WRITE)
                assert written is not None
                return [row[0] for row in rows_of(written)]
    return sorted(whole.held.days) or None


def activation_time(whole: Whole, entry: Entry) -> Found:
    assert entry.typed is not None
    octets = entry.typed[1]
    given = octets[:4] + octets[5:8]
    complete = datetime.ANY not in given and octets[2] <= 12 and octets[3] <= 31
    if octets != shapes.NEVER and not complete and set(octets[:8]) != {datetime.ANY}:
        yield (), "expected a moment without wildcards, got %s" % render.moment(octets)


def _start_of(octets: bytes) -> tuple[int, ...] | None:
    """What seasons are in the order of; None where month or day are not given. A last day counts
    as later than any number.
    """
    month, day = octets[2], octets[3]
    if month > 12 or day == datetime.ANY:
        return None
    late = {0xFE: 33, 0xFD: 32}.get(day, day)
    time = [0 if octet == datetime.ANY else octet for octet in octets[5:9]]
    return (octets[0] << 8 | octets[1], month, late, *time)
