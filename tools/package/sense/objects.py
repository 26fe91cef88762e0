"""The other classes: profiles, clocks, monitors, schedules, push setups, limiters."""

from __future__ import annotations

from gateway.dlms.data import axdr, datetime
from tools.cosem import names, render, shapes
from tools.package.entry import WRITE, Entry
from tools.package.sense.whole import Found, Whole, known_member, listed, rows_of

PROFILE, CLOCK, MONITOR, SCHEDULE, LIMITER = 7, 8, 21, 22, 71
_SAME_TIME, _NO_WILDCARDS = (2, 3), (2, 4)  # types of single action schedules


def columns(whole: Whole, entry: Entry) -> Found:
    yield from _objects(entry, "column")
    for at, (class_id, name, index, _) in enumerate(rows_of(entry)):
        if (class_id, name) == (PROFILE, entry.obis) and index == 2:
            yield (at,), "expected a column that is not the profile's own buffer"


def pushed(whole: Whole, entry: Entry) -> Found:
    yield from _objects(entry, "object")


def period(whole: Whole, entry: Entry) -> Found:
    assert entry.typed is not None
    periods = whole.held.periods
    if periods and entry.typed[1] not in periods:
        yield (), "expected one of the periods %s, got %d" % (listed(periods), entry.typed[1])


def clock_time(whole: Whole, entry: Entry) -> Found:
    yield (), "expected no write of a clock's time: it runs on, and is old when it is written"


def value_definition(whole: Whole, entry: Entry) -> Found:
    assert entry.typed is not None
    (_, class_id), _, (_, index) = entry.typed[1]
    yield from known_member((2,), names.ATTRIBUTE, class_id, index)
    shape = shapes.attribute(class_id, index)
    number = isinstance(shape, shapes.Scalar) and set(shape.tags) <= set(shapes.NUMBER.tags)
    if shape != shapes.ANY and not number:
        name = names.member_name(names.ATTRIBUTE, class_id, index)
        yield (2,), "expected a number to watch, got %s, which is %s" % (name, shapes.text(shape))


def thresholds(whole: Whole, entry: Entry) -> Found:
    assert entry.typed is not None
    values = entry.typed[1]
    for at in range(1, len(values)):
        if values[at][0] != values[0][0]:
            yield (
                (at,),
                "expected %s as the first threshold, got %s"
                % (axdr.TAGS[values[0][0]], render.text(values[at])),
            )


def windows(whole: Whole, entry: Entry) -> Found:
    for at, (start, end) in enumerate(rows_of(entry)):
        if datetime.ANY not in start[:4] + start[5:8] + end[:4] + end[5:8] and (
            end[:4] + end[5:8] <= start[:4] + start[5:8]
        ):
            yield (
                (at, 1),
                "expected an end after the start %s, got %s"
                % (render.moment(start), render.moment(end)),
            )


def groups(whole: Whole, entry: Entry) -> Found:
    assert entry.typed is not None
    numbers = [typed[1] for typed in entry.typed[1]]
    for at, number in enumerate(numbers):
        if number in numbers[:at]:
            yield (at,), "expected each group once, got %d a second time" % number


def monitor(whole: Whole, name: bytes) -> None:
    thresholds = whole.last(MONITOR, name, 2, WRITE)
    actions = whole.last(MONITOR, name, 4, WRITE)
    if thresholds is None or actions is None:
        return
    count = len(rows_of(actions))
    assert thresholds.typed is not None
    if count and len(thresholds.typed[1]) != count:  # none at all: it only watches
        whole.say(
            actions,
            (),
            "expected an action set for each of the %d thresholds, got %d"
            % (len(thresholds.typed[1]), count),
        )


def limiter(whole: Whole, name: bytes) -> None:
    tags = [
        (entry, entry.typed[0])
        for index in (4, 5)
        if (entry := whole.last(LIMITER, name, index)) is not None and entry.typed is not None
    ]
    if len(tags) == 2 and tags[0][1] != tags[1][1]:
        whole.say(
            tags[1][0],
            (),
            "expected %s as threshold_normal, got %s"
            % (axdr.TAGS[tags[0][1]], axdr.TAGS[tags[1][1]]),
        )


def schedule(whole: Whole, name: bytes) -> None:
    """Blue Book, class 22: what each type says of execution_time."""
    kind, times = whole.last(SCHEDULE, name, 3), whole.last(SCHEDULE, name, 4)
    if kind is None or times is None or kind.typed is None:
        return
    rows = rows_of(times)
    number = kind.typed[1]
    if number == 1 and len(rows) > 1:
        whole.say(times, (), "expected one execution for type 1, got %d" % len(rows))
    for at, (time, date) in enumerate(rows):
        if number in _SAME_TIME and time != rows[0][0]:
            whole.say(
                times,
                (at, 0),
                "expected %s as the first for type %d, got %s"
                % (render.moment(rows[0][0]), number, render.moment(time)),
            )
        if number in _NO_WILDCARDS and datetime.ANY in date[:4]:
            whole.say(
                times,
                (at, 1),
                "expected a date without wildcards for type %d, got %s"
                % (number, render.moment(date)),
            )


def clock(whole: Whole, name: bytes) -> None:
    begin, end = whole.last(CLOCK, name, 5), whole.last(CLOCK, name, 6)
    enabled = whole.last(CLOCK, name, 8)
    if enabled is None or not enabled.typed or not enabled.typed[1]:
        return
    for each in (begin, end):
        if each is not None and each.typed and datetime.ANY in each.typed[1][2:4]:
            whole.say(
                each,
                (),
                "expected a month and a day on which summer time changes, got %s"
                % render.moment(each.typed[1]),
            )
    if begin is not None and end is not None and begin.typed == end.typed:
        whole.say(end, (), "expected summer time to end at another moment than it begins")


def _objects(entry: Entry, what: str) -> Found:
    rows = rows_of(entry)
    for at, row in enumerate(rows):
        yield from known_member((at, 2), names.ATTRIBUTE, row[0], row[2])
        if row in rows[:at]:
            yield (at,), "expected each %s once, got it a second time" % what
