"""The stream of readings: each record once, in order, judged and kept; on both engines."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from gateway.contract import block, quality
from gateway.contract.messages import Hello
from gateway.contract.reading_record import Rows, encode, layout_id
from tests.unit.hes.orders import CONCENTRATOR
from tests.unit.hes.readings import (
    DAY,
    EPOCH,
    EVENT,
    LOG,
    METER,
    NOW,
    T0,
    Stream,
    gap,
    kept,
    layout,
    load,
    lost,
    register,
    rows,
    shown,
    values,
)
from tools.hes.store import claims, days, intake
from tools.hes.store.problems import DatabaseTrouble
from tools.hes.store.schema import layouts, reading_days, series, unread
from tools.hes.store.store import Store
from tools.hes.validation.own_rules import OwnRules
from tools.hes.validation.row import FUTURE, NO_VALUE, ROLLED_OVER, WENT_BACK

BOTH = True

LAYOUT = layout(register(1))


@pytest.fixture
def now() -> list[float]:
    return [float(NOW)]


@pytest.fixture
def stream(clocked: Store) -> Stream:
    return Stream(clocked)


def test_rows_are_here_once(clocked: Store, stream: Stream) -> None:
    records = [LAYOUT, rows(LAYOUT, load(T0, 96)), rows(LAYOUT, load(T0 + DAY, 96, 5800))]
    taken = stream.send(*records)
    assert (taken.number, taken.gap) == (3, False)
    assert taken.counts == {"records": 3, "rows": 192}
    there = shown(clocked)
    assert there == [(T0 + 900 * at, [1000 + 50 * at], "valid") for at in range(192)]
    # All of it again, and a part with the next one.
    again = stream.at(1, *records)
    assert (again.number, again.gap, again.counts) == (3, False, {})
    more = stream.at(3, records[2], rows(LAYOUT, load(T0 + 2 * DAY, 1, 10600)))
    assert (more.number, more.counts["rows"]) == (4, 1)
    assert len(shown(clocked)) == 193
    assert clocked.line.reading_position(CONCENTRATOR, EPOCH) == 4
    assert clocked.line.position(CONCENTRATOR, EPOCH) == 0  # reports are another stream


def test_a_gap_in_the_numbers_is_waited_for(clocked: Store, stream: Stream) -> None:
    stream.send(LAYOUT)
    taken = stream.at(3, rows(LAYOUT, load(T0, 4)))
    assert (taken.number, taken.gap, taken.counts) == (1, True, {})
    assert shown(clocked) == []


def test_a_message_is_taken_whole_or_not_at_all(
    clocked: Store, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acknowledged is only what is durable."""
    with monkeypatch.context() as patch:
        patch.setattr(claims, "move", lambda *_: (_ for _ in ()).throw(DatabaseTrouble("full")))
        with pytest.raises(DatabaseTrouble):
            stream.at(1, LAYOUT, rows(LAYOUT, load(T0, 4)))
    assert shown(clocked) == [] and clocked.readings.series() == []
    assert clocked.line.reading_position(CONCENTRATOR, EPOCH) == 0
    assert stream.send(LAYOUT, rows(LAYOUT, load(T0, 4))).number == 2


def test_the_same_row_read_again_is_one_and_another_at_its_time_is_two(
    clocked: Store, stream: Stream
) -> None:
    stream.send(LAYOUT, rows(LAYOUT, load(T0, 4)), rows(LAYOUT, load(T0 + 900, 4, 1050)))
    assert len(shown(clocked)) == 5
    stream.send(rows(LAYOUT, [[T0, 999, quality.OTHER_VALUES]]))
    found = shown(clocked)
    assert [each for each in found if each[0] == T0] == [
        (T0, [1000], "invalid"),
        (T0, [999], "invalid"),
    ]
    (day,) = clocked.readings.days(clocked.readings.series()[0].id, 0, NOW)
    assert (day.rows, day.times, day.invalid) == (6, 5, 2)


def test_a_concentrator_writes_series_of_its_own_only(clocked: Store, stream: Stream) -> None:
    stream.send(LAYOUT, rows(LAYOUT, load(T0, 4)))
    Stream(clocked, "c-2").send(LAYOUT, rows(LAYOUT, [[T0, 5, 0]]))
    one, other = sorted(clocked.readings.series(serial=METER), key=lambda each: each.concentrator)
    assert len(list(clocked.readings.rows(one.id, 0, NOW))) == 4
    assert len(list(clocked.readings.rows(other.id, 0, NOW))) == 1


def test_rows_wait_for_their_layout(clocked: Store, stream: Stream) -> None:
    """Which the concentrator gave to a database that is gone."""
    taken = stream.at(1, rows(LAYOUT, load(T0, 4)), rows(LAYOUT, load(T0 + 3600, 4, 1200)))
    assert taken.number == 2 and taken.counts == {"records": 2, "unread": 2}
    assert shown(clocked) == [] and clocked.reports.events() == []
    assert stream.at(3, LAYOUT).counts == {"records": 1, "rows": 8}
    assert len(shown(clocked)) == 8
    assert clocked.readings.unread() == []


def test_a_layout_of_another_concentrator_serves_too(clocked: Store, stream: Stream) -> None:
    stream.at(1, rows(LAYOUT, load(T0, 4)))
    Stream(clocked, "c-2").send(LAYOUT)
    assert len(shown(clocked)) == 4 and clocked.readings.unread() == []
    assert clocked.readings.series()[0].concentrator == CONCENTRATOR


def test_what_cannot_be_read_is_kept_and_named_and_stops_nothing(
    clocked: Store, stream: Stream
) -> None:
    unknown = b"\x82\x18\x63\x00"  # [99, 0]: of a later firmware
    name = layout_id(LAYOUT)
    narrow = encode(Rows(name, METER, "", NOW, block.encode([[T0, 0]])))
    timeless = encode(Rows(name, METER, "", NOW, block.encode([[b"x", 1, 0]])))
    broken = encode(Rows(name, METER, "", NOW, b"\x01\x03\x07"))
    good = rows(LAYOUT, load(T0, 1))
    taken = stream.send(LAYOUT, unknown, narrow, timeless, broken, good)
    assert (taken.number, taken.counts["unread"], taken.counts["rows"]) == (6, 4, 1)
    assert [each.record for each in clocked.readings.unread()] == [
        broken,
        timeless,
        narrow,
        unknown,
    ]
    assert {each.name for each in clocked.reports.events()} == {"reading-unread"}
    assert stream.at(2, unknown).counts == {}


def test_what_is_kept_unread_is_bounded(
    clocked: Store, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST_UNREAD", 3)
    other = Stream(clocked, "c-2")
    other.send(b"\x01")
    stream.send(*[bytes([0x18, 24 + at]) for at in range(9)])
    assert [each.record[1] for each in clocked.readings.unread(CONCENTRATOR)] == [32, 31, 30]
    assert len(clocked.readings.unread("c-2")) == 1


def test_nobody_fills_the_tables(
    clocked: Store, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST_SERIES", 2)
    monkeypatch.setattr(days, "MOST_ROWS", 100)
    stream.send(LAYOUT, *[rows(LAYOUT, load(T0, 1), serial="M%d" % at) for at in range(4)])
    assert len(clocked.readings.series()) == 2 and len(clocked.readings.unread()) == 2
    stream.send(rows(LAYOUT, load(T0, 90, period=1), serial="M0"))
    stream.send(rows(LAYOUT, load(T0 + 100, 90, period=1), serial="M0"))
    assert len(shown(clocked, "M0")) == 90
    assert "more than 100 rows in a day" in clocked.readings.unread()[0].why


def test_lost_and_kept_ones_are_accounted_for(clocked: Store, stream: Stream) -> None:
    assert stream.send(LAYOUT, lost(7)).number == 7
    assert stream.send(kept(20), rows(LAYOUT, load(T0, 1))).number == 21
    (event,) = clocked.reports.events()
    assert event.name == "readings-dropped"
    assert event.detail == (
        "readings: records 2..7 of epoch 00005eed are lost at the concentrator: no-room"
    )
    assert stream.at(2, lost(7)).number == 21
    assert len(clocked.reports.events()) == 1


@pytest.mark.parametrize("record", [lost, kept])
def test_one_that_stands_for_more_than_there_can_be_changes_nothing(
    clocked: Store, stream: Stream, record: Any
) -> None:
    stream.send(LAYOUT)
    for last in (1, 2 + claims.READINGS.most, 1 << 63):
        taken = stream.at(2, record(last))
        assert (taken.number, taken.gap) == (1, True)
    assert {each.name for each in clocked.reports.events()} == {"claim-beyond-bounds"}
    assert stream.at(2, record(1 + claims.READINGS.most)).number == 1 + claims.READINGS.most


def test_where_a_hello_says_that_it_begins(clocked: Store, stream: Stream) -> None:
    stream.send(LAYOUT, rows(LAYOUT, load(T0, 1)))

    def hello(first: int, following: int) -> int:
        clocked.line.take_hello(CONCENTRATOR, Hello(1, 0, [], readings=[EPOCH, first, following]))
        return clocked.line.reading_position(CONCENTRATOR, EPOCH)

    assert hello(3, 5) == 2
    assert clocked.reports.events() == []
    assert hello(6, 9) == 5
    (event,) = clocked.reports.events()
    assert event.name == "readings-missing" and "readings 3..5 of epoch 00005eed" in event.detail
    assert hello(7 + claims.READINGS.most, 1 << 40) == 5
    assert clocked.reports.events()[0].name == "claim-beyond-bounds"
    clocked.trust.believe(CONCENTRATOR)  # of one that tells no epoch of reports
    assert clocked.line.reading_position(CONCENTRATOR, EPOCH) == 5
    beyond = Hello(
        1, 0, [], epoch=7, first=1, next=1, readings=[EPOCH, 7 + claims.READINGS.most, 1 << 40]
    )
    clocked.line.take_hello(CONCENTRATOR, beyond)
    clocked.trust.believe(CONCENTRATOR)
    assert clocked.line.reading_position(CONCENTRATOR, EPOCH) == 6 + claims.READINGS.most


def test_values_and_gaps(clocked: Store, stream: Stream) -> None:
    total = [3, bytes((1, 0, 1, 8, 0, 255)), 2, b"\x06\x00\x00\x03\xe8", 0, 30]
    clock = [8, bytes((0, 0, 1, 0, 0, 255)), -2, b"\x00", None, None]
    taken = stream.send(values(total, clock), gap(T0, T0 + 3600), gap(T0, T0 + 7200))
    assert taken.counts == {"records": 3, "values": 2, "gaps": 2}
    one, two = clocked.readings.values(None, METER, 0, NOW)
    assert (one.time, one.obis, one.data, one.scaler, one.unit) == (
        NOW - 100,
        total[1],
        total[3],
        0,
        30,
    )
    assert (two.attribute, two.scaler, two.task) == (-2, None, "totals")
    assert (one.reasons, two.reasons) == (0, NO_VALUE)
    (found,) = clocked.readings.gaps(CONCENTRATOR)
    assert (found.start, found.end, found.reason) == (T0, T0 + 7200, "overwritten")


def test_single_values_are_judged_too(clocked: Store, stream: Stream) -> None:
    def total(value: int, at: int) -> bytes:
        data = b"\x06" + value.to_bytes(4, "big")
        return values([3, bytes((1, 0, 1, 8, 0, 255)), 2, data, 0, 30], at=at)

    at = NOW - 1000
    sent = [1000, 1000, 900, (1 << 32) - 9, 7]
    stream.send(*[total(value, at + place) for place, value in enumerate(sent)])
    stream.send(total(50, NOW + 301), total(60, at - 10))
    found = clocked.readings.values(CONCENTRATOR, METER, 0, NOW + DAY)
    judged = [each.reasons for each in found]
    assert judged == [0, 0, 0, WENT_BACK, 0, ROLLED_OVER, FUTURE]


def test_events_of_one_second_are_told_apart_by_content(clocked: Store, stream: Stream) -> None:
    log = layout(EVENT, period=0, obis=LOG)
    stream.send(log, rows(log, [[T0 + 5, 1, 0], [T0 + 5, 2, 0], [T0 + 9, 1, 0]]))
    stream.send(rows(log, [[T0 + 5, 2, 0], [T0 + 5, 3, 0]]))
    found = shown(clocked, obis=LOG)
    assert [each[:2] for each in found] == [
        (T0 + 5, [1]),
        (T0 + 5, [2]),
        (T0 + 5, [3]),
        (T0 + 9, [1]),
    ]
    assert {each[2] for each in found} == {"valid"}


def test_a_flood_of_events_of_one_second_costs_no_more_than_others(
    clocked: Store, stream: Stream
) -> None:
    log = layout(EVENT, period=0, obis=LOG)
    stream.send(log)
    for first in range(0, 8192, 1024):
        stream.send(rows(log, [[T0, code, 0] for code in range(first, first + 1024)]))
        assert stream.send(rows(log, [[T0, first, 0]])).counts == {"records": 1}
    assert len(shown(clocked, obis=LOG)) == 8192


def test_all_sorts_of_values_come_back_as_they_came(clocked: Store, stream: Stream) -> None:
    sorts: list[Any] = [None, True, 1, -(1 << 63), (1 << 64) - 1, 1.5, b"\x00", "text", [1, [b"x"]]]
    of = layout(*[register(99, 7) for _ in sorts])
    stream.send(of, rows(of, [[T0, *sorts, 0], [T0 + 900, *sorts, 0]]))
    for _, found, _ in shown(clocked):
        assert found == sorts and [type(each) for each in found] == [type(each) for each in sorts]


def test_other_columns_are_a_layout_of_their_own(clocked: Store, stream: Stream) -> None:
    wider = layout(register(1), register(2), period=1800)
    stream.send(LAYOUT, rows(LAYOUT, load(T0, 4)), wider)
    stream.send(rows(wider, [[T0 + 3600 + at * 1800, 1200 + at, 0, 0] for at in range(3)]))
    (each,) = clocked.readings.series()
    assert each.layout == layout_id(wider).to_bytes(8, "big") and each.last == T0 + 7200
    found = list(clocked.readings.rows(each.id, 0, NOW))
    assert [len(row.values) for _, row in found] == [1] * 4 + [2] * 3
    assert [shape.period for shape, _ in found] == [900] * 4 + [1800] * 3
    assert {row.validity for _, row in found} == {"valid"}


def test_what_comes_late_is_judged_with_what_stands_around_it(
    clocked: Store, stream: Stream
) -> None:
    """A day that a gap was found before is whole once the gap is filled."""
    stream.send(LAYOUT, rows(LAYOUT, load(T0, 96)))
    stream.send(rows(LAYOUT, load(T0 + 2 * DAY, 96, 10600)))
    assert [each[2] for each in shown(clocked)].count("doubtful") == 1
    stream.send(rows(LAYOUT, load(T0 + DAY, 96, 5800)))
    found = shown(clocked)
    assert len(found) == 288 and {each[2] for each in found} == {"valid"}


def test_a_day_of_many_rows_is_in_blocks(clocked: Store, stream: Stream) -> None:
    of = layout(register(1), period=10)
    level = 1000
    for first in range(0, 8640, 864):
        stream.send(of, rows(of, load(T0 + 10 * first, 864, level, 1, 10)))
        level += 864
    found = shown(clocked)
    assert [each[0] for each in found] == [T0 + 10 * at for at in range(8640)]
    assert {each[2] for each in found} == {"valid"}


def test_own_rules_judge_and_their_faults_stop_nothing(clocked: Store, stream: Stream) -> None:
    asked: list[Any] = []

    def check(meter: str, profile: str, columns: list[str], some: list[Any]) -> dict[int, str]:
        asked.append((meter, profile, columns))
        if some[0][0] >= T0 + DAY:
            raise KeyError("no such tariff")
        some[0][1][0] = 0  # a copy
        return {1: "too much for \x1b[2J this tariff"}

    clocked.line.own_rules = OwnRules(check)
    stream.send(LAYOUT, rows(LAYOUT, load(T0, 3)), rows(LAYOUT, load(T0 + DAY, 2, 5800)))
    assert asked[0] == (METER, "1.0.99.1.0.255", ["1.0.1.8.0.255"])
    (each,) = clocked.readings.series()
    found = [row for _, row in clocked.readings.rows(each.id, 0, NOW)]
    assert [row.validity for row in found] == ["valid", "invalid", "valid", "doubtful", "valid"]
    assert found[1].words == "too much for \\x1b[2J this tariff"
    assert found[0].values == [1000]
    (event,) = clocked.reports.events()
    assert event.name == "rules-failed" and "KeyError: 'no such tariff'" in event.detail
    for wrong in (lambda *_: 7, lambda *_: {9: "x"}, lambda *_: {"a": 1}):
        clocked.line.own_rules = OwnRules(wrong)  # type: ignore[arg-type]
        assert stream.send(rows(LAYOUT, [[T0 + 10 * stream.next, 1, 0]])).counts["rows"] == 1


def test_a_month_of_a_street_is_small(clocked: Store, stream: Stream) -> None:
    """20 meters here; the figure of a thousand is in the README."""
    of = layout(*[register(c) for c in (1, 2, 3, 4)])
    stream.send(of)
    total = 0
    for day in range(5):
        for meter in range(20):
            some = []
            for at in range(96):
                level = 1_000_000 + meter * 999 + day * 9600 + at * 100 + (at * at * 37) % 61
                some.append([T0 + day * DAY + at * 900, level, 7, level // 3, 3, 0])
                total += 1
            stream.send(rows(of, some, serial="M%d" % meter, read_at=T0 + (day + 1) * DAY))
    with clocked.line._db.reading() as connection:
        octets = connection.execute(select(func.sum(func.length(reading_days.c.content)))).scalar()
        assert connection.execute(select(func.sum(reading_days.c.rows))).scalar() == total
        for table in (layouts, series, unread):
            count = connection.execute(select(func.count()).select_from(table)).scalar()
            assert count in (0, 1, 20)
    assert octets is not None and octets / total < 6
