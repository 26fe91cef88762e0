"""Calendars whatever they are: one that passes the check is taken by the meter and comes back the
same; one with a reference that leads nowhere does not pass.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.dlms.data import axdr, obis
from tests.unit.package.configured import configured
from tests.unit.package.test_package_on_meter import new_meter
from tools.cosem.source import Problems
from tools.cosem.values import Typed
from tools.dlms.shown import as_json
from tools.package.calendar import DAYS, NAME, PASSIVE, SEASONS, WEEKS, Calendar, calendars
from tools.package.compile import compile_file

TABLE = obis.parse("0.0.10.0.100.255")
CALENDAR = "activity_calendar 0.0.13.0.0.255 "
MEMBERS = {
    NAME: "calendar_name",
    SEASONS: "season_profile",
    WEEKS: "week_profile_table",
    DAYS: "day_profile_table",
}
FEW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

names = st.binary(min_size=1, max_size=8)
times = st.tuples(st.integers(0, 23), st.integers(0, 59), st.sampled_from([0, 30, 255]))
dates = st.tuples(st.integers(1, 12), st.integers(1, 28))


@st.composite
def sensible(draw) -> Calendar:
    """Every reference leads somewhere, everything is in its order."""
    ids = draw(st.lists(st.integers(0, 255), min_size=1, max_size=5, unique=True))
    days = []
    for number in ids:
        starts = sorted(draw(st.lists(times, max_size=6, unique_by=lambda t: t[:2])))
        scripts = [draw(st.integers(0, 4)) for _ in starts]
        days.append(
            (number, [(bytes((*t, 0)), TABLE, s) for t, s in zip(starts, scripts, strict=True)])
        )
    weeks = [
        (name, draw(st.lists(st.sampled_from(ids), min_size=7, max_size=7)))
        for name in draw(st.lists(names, min_size=1, max_size=4, unique=True))
    ]
    starts = sorted(draw(st.lists(dates, min_size=1, max_size=4, unique=True)))
    called = draw(st.lists(names, min_size=len(starts), max_size=len(starts), unique=True))
    seasons = []
    for name, (month, day) in zip(called, starts, strict=True):
        start = bytes((0xFF, 0xFF, month, day, 0xFF, 0, 0, 0, 0, 0x80, 0, 0xFF))
        seasons.append((name, start, draw(st.sampled_from(weeks))[0]))
    special = [
        (number, bytes((0xFF, 0xFF, month, day, 0xFF)), draw(st.sampled_from(ids)))
        for number, (month, day) in enumerate(draw(st.lists(dates, max_size=4, unique=True)), 1)
    ]
    return Calendar(draw(names), seasons, weeks, days, special)


def yaml(calendar: Calendar) -> str:
    """Raw: typed values, the passive half written, activated, the active half proven."""
    text = 'name: test\nversion: "1"\nfor: [{model: AMI-E450}]\nsteps:\n'

    def value(typed: Typed) -> str:
        return json.dumps(as_json(typed))

    text += "  - write: special_days_table 0.0.11.0.0.255 entries\n    value: %s\n" % value(
        calendar.special_days()
    )
    tables = calendar.tables()
    for index, member in MEMBERS.items():
        text += "  - write: %s%s_passive\n    check: false\n    value: %s\n" % (
            CALENDAR,
            member,
            value(tables[index]),
        )
    text += (
        "  - call: %sactivate_passive_calendar\n    parameter: {integer: 0}\n"
        "    until: {read: %scalendar_name_active, equals: %s}\nverify:\n"
        % (CALENDAR, CALENDAR, value(tables[NAME]))
    )
    for index in (SEASONS, WEEKS, DAYS):
        text += "  - read: %s%s_active\n    equals: %s\n" % (
            CALENDAR,
            MEMBERS[index],
            value(tables[index]),
        )
    return text


def passes(tmp_path: Path, calendar: Calendar) -> bool:
    path = tmp_path / "test.yaml"
    path.write_text(yaml(calendar))
    try:
        package = compile_file(path)
    except Problems:
        return False
    meter = new_meter()
    done = configured(meter, package)
    assert done.outcome == "OK", done.detail
    again = configured(meter, package)
    assert again.reason == "already-as-wanted", again.detail
    for index, typed in calendar.tables().items():
        assert axdr.encode(meter.read(20, "0.0.13.0.0.255", index)) == axdr.encode(typed)
        assert meter.read(20, "0.0.13.0.0.255", index + PASSIVE) == typed
    assert meter.read(11, "0.0.11.0.0.255", 2) == calendar.special_days()
    return True


@FEW
@given(sensible())
def test_a_sensible_calendar_passes_and_comes_back_the_same(tmp_path: Path, made: Calendar) -> None:
    assert passes(tmp_path, made)
    values = {(20, made.obis, index): typed for index, typed in made.tables().items()}
    values[11, obis.parse("0.0.11.0.0.255"), 2] = made.special_days()
    assert calendars(values) == [made]


@FEW
@given(sensible(), sensible())
def test_a_corrected_calendar_under_the_same_name_is_activated(
    tmp_path: Path, first: Calendar, second: Calendar
) -> None:
    second.name = first.name
    path = tmp_path / "test.yaml"
    meter = new_meter()
    for made in (first, second):
        path.write_text(yaml(made))
        assert configured(meter, compile_file(path)).outcome == "OK"
        for index, typed in made.tables().items():
            assert meter.read(20, "0.0.13.0.0.255", index) == typed


@FEW
@given(sensible(), st.data())
def test_whatever_passes_is_taken(tmp_path: Path, made: Calendar, data: st.DataObject) -> None:
    """Also one that is shuffled, doubled, and holds any octets for times and dates."""
    changed = copy.deepcopy(made)
    assert changed.seasons and changed.weeks and changed.days and changed.special is not None
    what = data.draw(st.sampled_from(["seasons", "weeks", "days", "special", "times", "dates"]))
    if what == "times":
        _, actions = data.draw(st.sampled_from(changed.days))
        octets = st.lists(st.integers(0, 26) | st.just(255), min_size=4, max_size=4).map(bytes)
        actions.append((data.draw(octets), TABLE, 1))
    elif what == "dates":
        octets = st.lists(st.integers(0, 32) | st.just(255), min_size=12, max_size=12).map(bytes)
        changed.seasons.append((b"other", data.draw(octets), changed.weeks[0][0]))
    else:
        rows = getattr(changed, what)
        rows += data.draw(st.lists(st.sampled_from(rows), max_size=1)) if rows else []
        setattr(changed, what, data.draw(st.permutations(rows)))
    passes(tmp_path, changed)


@FEW
@given(sensible(), st.data())
def test_a_reference_that_leads_nowhere_never_passes(
    tmp_path: Path, made: Calendar, data: st.DataObject
) -> None:
    changed = copy.deepcopy(made)
    assert changed.seasons and changed.weeks and changed.days and changed.special is not None
    ids = [number for number, _ in changed.days]
    other_day = data.draw(st.integers(0, 255).filter(lambda number: number not in ids))
    weeks = [name for name, _ in changed.weeks]
    kinds = ["week", "day", "unnamed"]
    kinds += ["script"] if any(actions for _, actions in changed.days) else []
    kinds += ["special"] if changed.special else []
    kind = data.draw(st.sampled_from(kinds))
    if kind == "week":
        at = data.draw(st.integers(0, len(changed.seasons) - 1))
        name, start, _ = changed.seasons[at]
        week = data.draw(names.filter(lambda each: each not in weeks))
        changed.seasons[at] = (name, start, week)
    elif kind == "day":
        _, days = data.draw(st.sampled_from(changed.weeks))
        days[data.draw(st.integers(0, 6))] = other_day
    elif kind == "unnamed":  # the day that a week needs has another number
        used = changed.weeks[0][1][0]
        changed.days = [
            (other_day if number == used else number, actions) for number, actions in changed.days
        ]
    elif kind == "script":
        actions = data.draw(st.sampled_from([each for _, each in changed.days if each]))
        at = data.draw(st.integers(0, len(actions) - 1))
        script = data.draw(st.integers(5, 0xFFFF))
        table = data.draw(st.sampled_from([TABLE, obis.parse("0.0.10.0.101.255")]))
        actions[at] = (actions[at][0], table, script)
    else:
        at = data.draw(st.integers(0, len(changed.special) - 1))
        number, date, _ = changed.special[at]
        changed.special[at] = (number, date, other_day)
    assert not passes(tmp_path, changed), kind
