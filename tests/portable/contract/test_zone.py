"""Local time, on days when it jumps; tests/unit/contract/test_zone.py holds it against zoneinfo."""

from __future__ import annotations

from gateway.contract.zone import Zone
from hal.rt.calendar import date_of, day_text, days_to
from tests.portable.support import raises

CHILE = "<-04>4<-03>,M9.1.6/24,M4.1.6/24"
SPAIN = "CET-1CEST,M3.5.0,M10.5.0/3"


def at(year, month, day, hour=0, minute=0):
    return days_to(year, month, day) * 86400 + hour * 3600 + minute * 60


def test_a_local_time_that_is_skipped_is_when_the_clock_jumps():
    zone = Zone(SPAIN)
    jump = at(2026, 3, 29, 1)  # UTC
    assert (zone.offset(jump - 1), zone.offset(jump)) == (3600, 7200)
    for minute in (0, 1, 30, 59):
        assert zone.moment(at(2026, 3, 29, 2, minute)) == jump
    assert zone.moment(at(2026, 3, 29, 1, 59)) == jump - 60
    assert zone.moment(at(2026, 3, 29, 3)) == jump
    assert zone.moment(at(2026, 3, 29, 3, 1)) == jump + 60


def test_a_local_time_that_comes_twice_is_the_first():
    zone = Zone(SPAIN)
    change = at(2026, 10, 25, 1)  # UTC, from 3 back to 2
    assert (zone.offset(change - 1), zone.offset(change)) == (7200, 3600)
    assert zone.moment(at(2026, 10, 25, 2, 30)) == change - 1800
    assert zone.moment(at(2026, 10, 25, 3)) == change + 3600
    assert zone.local(change) == at(2026, 10, 25, 2)


def test_rules_over_midnight():
    """Chile: summer time begins at the end of a Saturday, so that Sunday begins at one."""
    zone = Zone(CHILE)
    jump = at(2026, 9, 6, 4)
    assert (zone.offset(jump - 1), zone.offset(jump)) == (-14400, -10800)
    assert zone.moment(at(2026, 9, 6, 0, 10)) == jump
    assert zone.local(jump) == at(2026, 9, 6, 1)
    back = at(2026, 4, 5, 3)
    assert (zone.offset(back - 1), zone.offset(back)) == (-10800, -14400)
    assert zone.moment(at(2026, 4, 4, 23, 30)) == back - 1800  # and once more an hour later
    assert zone.change_after(back - 1) == back
    assert zone.change_after(back) == jump
    assert zone.change_after(jump) == at(2027, 4, 4, 3)


def test_without_summer_time():
    for text, offset in (("UTC0", 0), ("<+0330>-3:30", 12600), ("BRT3", -10800)):
        zone = Zone(text)
        assert zone.offset(at(2026, 7, 1)) == offset
        assert zone.moment(zone.local(at(2026, 7, 1))) == at(2026, 7, 1)
        assert zone.change_after(0) == 0


def test_days_counted_from_the_beginning_of_the_year():
    assert Zone("XXX0YYY,J60,J300").change_after(at(2028, 1, 1)) == at(2028, 3, 1, 2)
    assert Zone("XXX0YYY,59/0,299").change_after(at(2028, 1, 1)) == at(2028, 2, 29)
    assert Zone("XXX0YYY,J59/-1,J300").change_after(at(2028, 1, 1)) == at(2028, 2, 27, 23)


def test_what_is_no_such_text_is_named():
    bad = (
        "",
        "UT",
        "UTC",
        "UTC25",
        "UTC0 ",
        "Europe/Madrid",
        "CET-1CEST",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.0.0,M10.5.0",
        "CET-1CEST,M3.5.0,M10.5.0/168",
        "CET-1CEST,M3.5.0,M10.5.0/3x",
        "CET-1CEST-1,M3.5.0,M10.5.0",
        "<CET1",
        "<>1",
        "C\u0661T0",
        "CET-\u0661",
        "A" * 64 + "0",
        5,
        None,
    )
    for text in bad:
        assert "POSIX TZ text" in str(raises(ValueError, Zone, text))


def test_dates():
    assert date_of(0) == (1970, 1, 1)
    for day in range(0, 60000, 17):
        assert days_to(*date_of(day)) == day
    assert day_text(at(2026, 11, 30)) == "2026-11-30"
