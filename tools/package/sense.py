"""Whether a package means something: references lead somewhere, what has an order is in it, and
what belongs together fits (Blue Book 4.3 to 4.5). Shapes are checked before, by
tools/cosem/shapes.py: here every value has the shape of its attribute.

What a package does not write itself is known from held.py; a reference to what is not known at all
has to be told there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gateway.dlms.data import axdr, cosem, datetime, obis
from tools.cosem import names, render, shapes
from tools.cosem.shapes import Path
from tools.cosem.values import Typed
from tools.package.entry import CALL, READ, WRITE, Entry
from tools.package.held import Held

PROFILE, CLOCK, SCRIPTS, SPECIAL_DAYS, CALENDAR = 7, 8, 9, 11, 20
MONITOR, SCHEDULE, PUSH, LIMITER = 21, 22, 40, 71
NAME, SEASONS, WEEKS, DAYS = 2, 3, 4, 5  # of the active half of a calendar
PASSIVE = 4  # what the number of a passive attribute is higher
ACTIVATION_TIME, ACTIVATE = 10, 1
_WRITE_ATTRIBUTE, _EXECUTE_METHOD = 1, 2  # service_id of a script's action
_SAME_TIME, _NO_WILDCARDS = (2, 3), (2, 4)  # types of single action schedules
_NO_SCRIPT = 0

Fault = tuple[Entry, Path, str]


def faults(entries: Sequence[Entry], held: Held) -> list[Fault]:
    """All that makes no sense, each at an entry and a path in its value."""
    sense = _Sense(entries, held)
    for entry in entries:
        if entry.typed is not None:
            for path, text in sense.within(entry):
                sense.say(entry, path, text)
    for class_id, name in dict.fromkeys((entry.class_id, entry.obis) for entry in entries):
        if class_id == CALENDAR:
            sense.calendar(name)
        elif class_id == MONITOR:
            sense.monitor(name)
        elif class_id == LIMITER:
            sense.limiter(name)
        elif class_id == SCHEDULE:
            sense.schedule(name)
        elif class_id == CLOCK:
            sense.clock(name)
    return sense.found


class _Sense:
    def __init__(self, entries: Sequence[Entry], held: Held) -> None:
        self._entries = entries
        self._held = held
        self.found: list[Fault] = []

    def say(self, entry: Entry, path: Path, text: str) -> None:
        """Once for one value, however often it is used."""
        for known, at, told in self.found:
            if at == path and told == text and known.typed == entry.typed:
                return
        self.found.append((entry, path, text))

    def _last(self, class_id: int, name: bytes, index: int, *kinds: str) -> Entry | None:
        """The last entry for this attribute: the one that counts."""
        kinds = kinds or (WRITE, READ)
        for entry in reversed(self._entries):
            if entry.key == (class_id, name, index) and entry.kind in kinds:
                return entry
        return None

    # ------------------------------------------------------------ one value

    def within(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        """What one value tells by itself, or by what it refers to."""
        check = _WITHIN.get((entry.kind == CALL, entry.class_id, entry.index))
        if check is not None:
            yield from check(self, entry)
        most = self._held.most.get((entry.class_id, entry.index))
        if most is not None and entry.typed is not None and len(entry.typed[1]) > most:
            yield (), "expected at most %d elements, got %d" % (most, len(entry.typed[1]))

    def seasons(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        rows = _rows(entry)
        yield from _unique([row[0] for row in rows], 0, "season")
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

    def weeks(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        yield from _unique([row[0] for row in _rows(entry)], 0, "week")

    def days(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        rows = _rows(entry)
        yield from _unique([row[0] for row in rows], 0, "day")
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
                yield from self._reference((at, 1, number), table, selector)

    def special_days(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        rows = _rows(entry)
        numbers = [row[0] for row in rows]
        for at in range(1, len(rows)):
            if numbers[at] <= numbers[at - 1]:
                yield (
                    (at, 0),
                    "expected numbers that rise, got %d after %d" % (numbers[at], numbers[at - 1]),
                )
        dates = [row[1] for row in rows]
        for at, date in enumerate(dates):
            if date in dates[:at]:
                yield (
                    (at, 1),
                    "expected each date once, got %s a second time" % render.moment(date),
                )
        for at, row in enumerate(rows):
            yield from self._special_day((at, 2), row[2])

    def special_day(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        assert entry.typed is not None
        yield from self._special_day((2,), entry.typed[1][2][1])

    def _special_day(self, path: Path, day: int) -> Iterator[tuple[Path, str]]:
        known = self._days()
        if known is None:
            yield (
                path,
                "expected a day profile that is known; this package writes none, "
                "so say `meter: {days: [%d]}` if the meter has it" % day,
            )
        elif day not in known:
            yield (
                path,
                "expected one of the day profiles %s, got %d" % (_listed(known), day),
            )

    def _days(self) -> list[int] | None:
        for index in (DAYS + PASSIVE, DAYS):
            for each in self._entries:
                if (each.class_id, each.index, each.kind) == (CALENDAR, index, WRITE):
                    written = self._last(CALENDAR, each.obis, index, WRITE)
                    assert written is not None
                    return [row[0] for row in _rows(written)]
        return sorted(self._held.days) or None

    def scripts(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        rows = _rows(entry)
        yield from _unique([row[0] for row in rows], 0, "script")
        calls: dict[int, set[int]] = {}
        for at, (number, actions) in enumerate(rows):
            if number == _NO_SCRIPT:
                yield (at, 0), "expected a script from 1 on (0 means none), got 0"
            for place, (_, fields) in enumerate(actions):
                yield from self._action((at, 1, place), fields)
                (_, service), (_, class_id), (_, name), (_, index), parameter = fields
                if (service, class_id, name, index) == (2, SCRIPTS, entry.obis, 1):
                    calls.setdefault(number, set()).add(parameter[1])
        for at, (number, _) in enumerate(rows):
            if _reaches(calls, number, number):
                yield (
                    (at,),
                    "expected a script that comes to an end, got %d, which executes itself"
                    % (number),
                )

    def _action(self, path: Path, fields: list[Typed]) -> Iterator[tuple[Path, str]]:
        """One action of a script: it names what there is, with a value that fits."""
        (_, service), (_, class_id), (_, name), (_, index), parameter = fields
        if service == _WRITE_ATTRIBUTE:
            yield from _known((*path, 3), names.ATTRIBUTE, class_id, index)
            shape = shapes.attribute(class_id, index)
        else:
            yield from _known((*path, 3), names.METHOD, class_id, index)
            shape = shapes.parameter(class_id, index)
        wrong = list(shapes.faults(shape, parameter, (*path, 4)))
        yield from wrong
        if not wrong and service == _EXECUTE_METHOD and (class_id, index) == (SCRIPTS, 1):
            yield from self._reference((*path, 4), name, parameter[1], whole=True)

    def execute(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        assert entry.typed is not None
        yield from self._reference((), entry.obis, entry.typed[1], whole=True)

    def script_reference(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        assert entry.typed is not None
        (_, table), (_, selector) = entry.typed[1]
        yield from self._reference((), table, selector, first=0)

    def action_sets(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        for at, pair in enumerate(_rows(entry)):
            yield from self._pair((at,), pair)

    def action_set(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        assert entry.typed is not None
        yield from self._pair((), [fields for _, fields in entry.typed[1]])

    def _pair(self, path: Path, pair: list[Any]) -> Iterator[tuple[Path, str]]:
        for side, fields in enumerate(pair):
            (_, table), (_, selector) = fields
            yield from self._reference((*path, side), table, selector, first=0)

    def _reference(
        self, path: Path, table: bytes, selector: int, first: int = 1, whole: bool = False
    ) -> Iterator[tuple[Path, str]]:
        """A script there is. The path leads to the structure whose elements from `first` on are
        table and selector; `whole`: to the selector itself. Script 0 is none.
        """
        if selector == _NO_SCRIPT:
            return
        place = path if whole else (*path, first + 1)
        written = self._last(SCRIPTS, table, 2, WRITE)
        if written is not None:
            known = [row[0] for row in _rows(written)]
        else:
            known = sorted(self._held.scripts.get(table, ()))
        if not known:
            yield (
                place,
                "expected a script that is known; this package does not write the table %s, "
                "so say `meter: {scripts: {%s: [%d]}}` if the meter has it"
                % (obis.text(table), obis.text(table), selector),
            )
        elif selector not in known:
            yield (
                place,
                "expected one of the scripts %s of %s, got %d"
                % (_listed(known), obis.text(table), selector),
            )

    def columns(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        yield from _objects(entry, "column")
        for at, (class_id, name, index, _) in enumerate(_rows(entry)):
            if (class_id, name) == (PROFILE, entry.obis) and index == 2:
                yield (at,), "expected a column that is not the profile's own buffer"

    def pushed(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        yield from _objects(entry, "object")

    def value_definition(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        assert entry.typed is not None
        (_, class_id), _, (_, index) = entry.typed[1]
        yield from _known((2,), names.ATTRIBUTE, class_id, index)

    def thresholds(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        assert entry.typed is not None
        values = entry.typed[1]
        for at in range(1, len(values)):
            if values[at][0] != values[0][0]:
                yield (
                    (at,),
                    "expected %s as the first threshold, got %s"
                    % (axdr.TAGS[values[0][0]], render.text(values[at])),
                )

    def windows(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        for at, (start, end) in enumerate(_rows(entry)):
            if datetime.ANY not in start[:4] + start[5:8] + end[:4] + end[5:8] and (
                end[:4] + end[5:8] <= start[:4] + start[5:8]
            ):
                yield (
                    (at, 1),
                    "expected an end after the start %s, got %s"
                    % (render.moment(start), render.moment(end)),
                )

    def period(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        assert entry.typed is not None
        periods = self._held.periods
        if periods and entry.typed[1] not in periods:
            yield (), "expected one of the periods %s, got %d" % (_listed(periods), entry.typed[1])

    def groups(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        assert entry.typed is not None
        numbers = [typed[1] for typed in entry.typed[1]]
        for at, number in enumerate(numbers):
            if number in numbers[:at]:
                yield (at,), "expected each group once, got %d a second time" % number

    def activation_time(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        assert entry.typed is not None
        octets = entry.typed[1]
        given = octets[:4] + octets[5:8]
        whole = datetime.ANY not in given and octets[2] <= 12 and octets[3] <= 31
        if octets != shapes.NEVER and not whole and set(octets[:8]) != {datetime.ANY}:
            yield (), "expected a moment without wildcards, got %s" % render.moment(octets)

    def clock_time(self, entry: Entry) -> Iterator[tuple[Path, str]]:
        yield (), "expected no write of a clock's time: it runs on, and is old when it is written"

    # ------------------------------------------------------------ what belongs together

    def calendar(self, name: bytes) -> None:
        """References within each half; what is activated is written before, and proven after."""
        self._half(name, PASSIVE, (WRITE,))
        self._half(name, 0, (WRITE, READ))
        activates = [
            (at, entry)
            for at, entry in enumerate(self._entries)
            if (entry.kind, entry.key) == (CALL, (CALENDAR, name, ACTIVATE))
        ]
        if not activates:
            return
        last = activates[-1][0]
        for at, entry in enumerate(self._entries):
            if entry.kind != WRITE or (entry.class_id, entry.obis) != (CALENDAR, name):
                continue
            if not NAME <= entry.index - PASSIVE <= DAYS:
                continue
            written = names.member_name(names.ATTRIBUTE, CALENDAR, entry.index)
            if at > last:
                self.say(entry, (), "expected %s before activate_passive_calendar" % written)
                continue
            proof = self._last(CALENDAR, name, entry.index - PASSIVE, READ)
            if self._last(CALENDAR, name, entry.index, WRITE) is not entry:
                continue
            active = names.member_name(names.ATTRIBUTE, CALENDAR, entry.index - PASSIVE)
            if proof is None or not proof.checked:
                self.say(
                    entry,
                    (),
                    "expected %s in `verify:` with this value: a meter with a calendar of this "
                    "name would not activate it, and keep the old one" % active,
                )
            elif proof.typed != entry.typed:
                self.say(proof, (), "expected the value written to %s, got another one" % written)

    def _half(self, name: bytes, offset: int, kinds: tuple[str, ...]) -> None:
        seasons = self._last(CALENDAR, name, SEASONS + offset, *kinds)
        weeks = self._last(CALENDAR, name, WEEKS + offset, *kinds)
        days = self._last(CALENDAR, name, DAYS + offset, *kinds)
        if seasons is not None:
            known = [row[0] for row in _rows(weeks)] if weeks else sorted(self._held.weeks)
            for at, row in enumerate(_rows(seasons)):
                if row[2] not in known:
                    self.say(seasons, (at, 2), _unknown("week", row[2], known, weeks is not None))
        if weeks is not None:
            ids = [row[0] for row in _rows(days)] if days else sorted(self._held.days)
            for at, row in enumerate(_rows(weeks)):
                for place, day in enumerate(row[1:], 1):
                    if day not in ids:
                        self.say(weeks, (at, place), _unknown("day", day, ids, days is not None))

    def monitor(self, name: bytes) -> None:
        thresholds = self._last(MONITOR, name, 2, WRITE)
        actions = self._last(MONITOR, name, 4, WRITE)
        if thresholds is None or actions is None:
            return
        count = len(_rows(actions))
        assert thresholds.typed is not None
        if count and len(thresholds.typed[1]) != count:  # none at all: it only watches
            self.say(
                actions,
                (),
                "expected an action set for each of the %d thresholds, got %d"
                % (len(thresholds.typed[1]), count),
            )

    def limiter(self, name: bytes) -> None:
        tags = [
            (entry, entry.typed[0])
            for index in (4, 5)
            if (entry := self._last(LIMITER, name, index)) is not None and entry.typed is not None
        ]
        if len(tags) == 2 and tags[0][1] != tags[1][1]:
            self.say(
                tags[1][0],
                (),
                "expected %s as threshold_normal, got %s"
                % (axdr.TAGS[tags[0][1]], axdr.TAGS[tags[1][1]]),
            )

    def schedule(self, name: bytes) -> None:
        """Blue Book, class 22: what each type says of execution_time."""
        kind, times = self._last(SCHEDULE, name, 3), self._last(SCHEDULE, name, 4)
        if kind is None or times is None or kind.typed is None:
            return
        rows = _rows(times)
        number = kind.typed[1]
        if number == 1 and len(rows) > 1:
            self.say(times, (), "expected one execution for type 1, got %d" % len(rows))
        for at, (time, date) in enumerate(rows):
            if number in _SAME_TIME and time != rows[0][0]:
                self.say(
                    times,
                    (at, 0),
                    "expected %s as the first for type %d, got %s"
                    % (render.moment(rows[0][0]), number, render.moment(time)),
                )
            if number in _NO_WILDCARDS and datetime.ANY in date[:4]:
                self.say(
                    times,
                    (at, 1),
                    "expected a date without wildcards for type %d, got %s"
                    % (number, render.moment(date)),
                )

    def clock(self, name: bytes) -> None:
        begin, end = self._last(CLOCK, name, 5), self._last(CLOCK, name, 6)
        enabled = self._last(CLOCK, name, 8)
        if enabled is None or not enabled.typed or not enabled.typed[1]:
            return
        for each in (begin, end):
            if each is not None and each.typed and datetime.ANY in each.typed[1][2:4]:
                self.say(
                    each,
                    (),
                    "expected a month and a day on which summer time changes, got %s"
                    % render.moment(each.typed[1]),
                )
        if begin is not None and end is not None and begin.typed == end.typed:
            self.say(end, (), "expected summer time to end at another moment than it begins")


Check = Callable[[_Sense, Entry], Iterator[tuple[Path, str]]]
_WITHIN: dict[tuple[bool, int, int], Check] = {
    (False, PROFILE, 3): _Sense.columns,
    (False, PROFILE, 4): _Sense.period,
    (False, CLOCK, 2): _Sense.clock_time,
    (False, SCRIPTS, 2): _Sense.scripts,
    (True, SCRIPTS, 1): _Sense.execute,
    (False, SPECIAL_DAYS, 2): _Sense.special_days,
    (True, SPECIAL_DAYS, 1): _Sense.special_day,
    (False, CALENDAR, ACTIVATION_TIME): _Sense.activation_time,
    (False, MONITOR, 2): _Sense.thresholds,
    (False, MONITOR, 3): _Sense.value_definition,
    (False, MONITOR, 4): _Sense.action_sets,
    (False, SCHEDULE, 2): _Sense.script_reference,
    (False, PUSH, 2): _Sense.pushed,
    (False, PUSH, 4): _Sense.windows,
    (False, LIMITER, 2): _Sense.value_definition,
    (False, LIMITER, 9): _Sense.groups,
    (False, LIMITER, 11): _Sense.action_set,
}
for _offset in (0, PASSIVE):
    _WITHIN[False, CALENDAR, SEASONS + _offset] = _Sense.seasons
    _WITHIN[False, CALENDAR, WEEKS + _offset] = _Sense.weeks
    _WITHIN[False, CALENDAR, DAYS + _offset] = _Sense.days


def _rows(entry: Entry | None) -> list[list[Any]]:
    """The values in each structure of an array, without their tags."""
    if entry is None or entry.typed is None:
        return []
    return [[value for _, value in fields] for _, fields in entry.typed[1]]


def _unique(keys: list[Any], at: int, what: str) -> Iterator[tuple[Path, str]]:
    for number, key in enumerate(keys):
        if key in keys[:number]:
            yield (number, at), "expected each %s once, got %s a second time" % (what, _word(key))


def _objects(entry: Entry, what: str) -> Iterator[tuple[Path, str]]:
    rows = _rows(entry)
    for at, row in enumerate(rows):
        yield from _known((at, 2), names.ATTRIBUTE, row[0], row[2])
        if row in rows[:at]:
            yield (at,), "expected each %s once, got it a second time" % what


def _known(path: Path, kind: str, class_id: int, index: int) -> Iterator[tuple[Path, str]]:
    """An attribute or method that the class has; 0 stands for all attributes, and those below for
    groups of them. Of a class that is not known here nothing is said.
    """
    known = cosem.find(class_id)
    if known is None:
        return
    members = len(known.attributes) if kind == names.ATTRIBUTE else len(known.methods)
    if class_id == PUSH and kind == names.ATTRIBUTE:
        members = len(cosem.VERSIONS[PUSH, 2].attributes)
    if index > members or (index < 1 and kind == names.METHOD):
        yield path, "expected %s 1..%d of %s, got %d" % (kind, members, known.name, index)


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


def _reaches(calls: dict[int, set[int]], start: int, wanted: int) -> bool:
    seen: set[int] = set()
    waiting = list(calls.get(start, ()))
    while waiting:
        number = waiting.pop()
        if number == wanted:
            return True
        if number not in seen:
            seen.add(number)
            waiting += calls.get(number, ())
    return False


def _unknown(what: str, name: Any, known: Sequence[Any], written: bool) -> str:
    word = _word(name)
    if known:
        return "expected one of the %ss %s, got %s" % (what, _listed(known), word)
    if written:
        return "expected a %s that the calendar has, got %s; it has none" % (what, word)
    return (
        "expected a %s that is known; this package writes none, "
        "so say `meter: {%ss: [%s]}` if the meter has it" % (what, what, word)
    )


def _word(name: Any) -> str:
    return render.octets(name) if isinstance(name, bytes) else str(name)


def _listed(known: Sequence[Any]) -> str:
    return ", ".join(map(_word, known))
