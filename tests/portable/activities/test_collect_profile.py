"""Collecting profiles: every row of the meter once, whatever happened to its clock, its buffer, its
period and the path; what is missing is named."""

from __future__ import annotations

from gateway.contract import quality
from gateway.contract.task import LOG, Item
from gateway.dlms.data import axdr
from gateway.dlms.errors import NoAnswer, ProtocolError
from tests.portable.activities.profile_meter import (
    ENERGY,
    ITEM,
    NAME,
    NOON,
    VOLTAGE,
    Scene,
)
from tests.portable.support import raises, run

MIDNIGHT = NOON - 43200
NULL = (axdr.NULL, None)


def filled(period=900):
    scene = Scene(period)
    scene.meter.capture_each(MIDNIGHT, NOON)
    return scene


def test_first_all_rows_then_the_new_ones():
    scene = filled()
    found = run(scene.visit())
    assert (found.rows, found.gaps) == (49, [])
    assert scene.recorder.times() == list(range(MIDNIGHT, NOON + 1, 900))
    assert scene.recorder.kept[0] == [MIDNIGHT, 0, 1000, 2300, 0]
    class_id, obis, period, columns = scene.recorder.layouts[0]
    assert (class_id, obis, period) == (7, NAME, 900)
    assert columns[2] == (3, ENERGY, 2, 0, axdr.DOUBLE_LONG_UNSIGNED, -1, 35)
    assert columns[3] == (3, VOLTAGE, 2, 0, axdr.LONG_UNSIGNED, -1, 35)
    scene.later(3600)
    scene.meter.asked = []
    assert run(scene.visit()).rows == 4
    assert scene.meter.asked == ["range"]  # the columns are known
    assert scene.recorder.times() == list(range(MIDNIGHT, NOON + 3601, 900))
    assert run(scene.visit()).rows == 0
    assert scene.recorder.gaps == []


def test_after_a_restart_nothing_comes_twice():
    scene = filled()
    run(scene.visit())
    scene.restart()
    scene.later(1800)
    assert run(scene.visit()).rows == 2
    assert len(scene.recorder.kept) == 51


def test_no_more_than_what_is_to_be_kept_of_what_is_old():
    scene = Scene()
    scene.meter.capture_each(NOON - 5 * 86400, NOON)
    assert run(scene.visit()).rows == 97


def test_a_path_that_breaks_costs_no_row():
    scene = Scene()
    scene.meter.capture_each(NOON - 86400, NOON)
    scene.meter.breaks_after = 70
    raises(NoAnswer, run, scene.visit())
    assert len(scene.recorder.kept) == 70 and scene.recorder.commits == 1
    scene.meter.breaks_after = -1
    assert run(scene.visit()).rows == 27
    assert scene.recorder.times() == list(range(NOON - 86400, NOON + 1, 900))


def ways(change):
    """The same in each way of asking: new rows once, in order."""
    scene = filled()
    change(scene.meter)
    assert run(scene.visit()).rows == 49
    assert scene.recorder.times() == list(range(MIDNIGHT, NOON + 1, 900))
    scene.later(7200)
    assert run(scene.visit()).rows == 8
    scene.later(86400 + 900)
    assert run(scene.visit()).rows == 97
    assert scene.recorder.times() == list(range(MIDNIGHT, NOON + 7200 + 86400 + 901, 900))
    assert scene.recorder.gaps == [] and not [row for row in scene.recorder.kept if row[-1]]
    return scene


def test_ranges_refused_entries_taken():
    def change(meter):
        meter.ranges = False

    scene = ways(change)
    assert scene.meter.asked.count("range") == 1  # it is known for good
    assert "whole" not in scene.meter.asked


def test_nothing_but_the_whole_buffer():
    def change(meter):
        meter.ranges, meter.no_entries = False, True

    assert ways(change).meter.asked.count("whole") == 3


def test_no_selective_access_at_all():
    def change(meter):
        meter.selective = False

    assert ways(change).meter.asked.count("whole") == 3


def test_the_newest_row_first():
    def change(meter):
        meter.sort = 2

    ways(change)


def test_the_newest_row_first_by_entries():
    def change(meter):
        meter.sort = 2
        meter.ranges = False

    ways(change)


def test_many_rows_the_newest_first_are_asked_for_in_parts():
    scene = Scene(60)
    scene.meter.sort = 2
    scene.meter.capture_each(NOON - 86400 + 60, NOON)
    assert run(scene.visit()).rows == 1440
    assert scene.recorder.times() == list(range(NOON - 86400 + 60, NOON + 1, 60))


def test_ranges_that_find_nothing_though_there_are_rows():
    scene = filled()
    scene.meter.wire = lambda rows: [] if scene.meter.asked[-1] == "range" else rows
    assert run(scene.visit()).rows == 49
    scene.later(900)
    assert run(scene.visit()).rows == 1
    assert scene.meter.asked.count("range") == 1


def test_a_range_that_is_answered_with_the_whole_buffer():
    scene = Scene()
    scene.meter.capture_each(NOON - 5 * 86400, NOON)
    run(scene.visit())
    scene.later(3600)
    answer = scene.meter.rows
    scene.meter.wire = lambda rows: [[stamp] + values for stamp, _, values in answer]
    assert run(scene.visit()).rows == 4
    assert scene.recorder.gaps == []


def test_null_data_is_what_it_was_before():
    scene = filled()

    def shortened(rows):
        for number, row in enumerate(rows):
            if number:
                row[0] = NULL
                row[1] = NULL
        return rows

    scene.meter.wire = shortened
    run(scene.visit())
    assert scene.recorder.times() == list(range(MIDNIGHT, NOON + 1, 900))
    assert [row[1] for row in scene.recorder.kept] == [0] * 49
    assert [row[-1] for row in scene.recorder.kept] == [0] + [quality.TIME_REPAIRED] * 48
    scene.later(900)
    assert run(scene.visit()).rows == 1


def test_null_data_where_the_newest_comes_first():
    scene = filled()
    scene.meter.sort = 2

    def shortened(rows):
        for number, row in enumerate(rows):
            if number:
                row[0] = NULL
        return rows

    scene.meter.wire = shortened
    run(scene.visit())
    assert scene.recorder.times() == list(range(MIDNIGHT, NOON + 1, 900))


def test_differences_instead_of_values():
    scene = filled()

    def shortened(rows):
        before = 0
        for number, row in enumerate(rows):
            now = row[2][1]
            if number:
                row[2] = (axdr.DELTA_UNSIGNED, now - before)
            before = now
        return rows

    scene.meter.wire = shortened
    run(scene.visit())
    assert [row[2] for row in scene.recorder.kept] == [1000 + 7 * i for i in range(49)]
    assert scene.recorder.layouts[0][3][2][4] == axdr.DOUBLE_LONG_UNSIGNED


def test_a_buffer_that_has_gone_over_rows_is_named():
    scene = filled()
    run(scene.visit())
    scene.meter.entries = 10
    scene.restart()
    scene.later(14400)  # 16 rows
    assert run(scene.visit()).rows == 10
    assert scene.recorder.kept[49][-1] == quality.AFTER_GAP
    first = NOON + 14400 - 9 * 900
    assert scene.recorder.gaps == [(NOON + 900, first - 900, quality.OVERWRITTEN)]
    run(scene.visit())
    assert len(scene.recorder.gaps) == 1  # once


def test_hours_without_power_are_named():
    scene = filled()
    run(scene.visit())
    scene.clock.set_unix_time(NOON + 7200)
    scene.later(1800)
    assert run(scene.visit()).rows == 2
    assert scene.recorder.gaps == [(NOON + 900, NOON + 7200, quality.NOT_CAPTURED)]
    assert [row[-1] for row in scene.recorder.kept[49:]] == [quality.AFTER_GAP, 0]


def test_another_period():
    scene = filled()
    run(scene.visit())
    scene.meter.rows = []
    scene.meter.period = 3600
    scene.later(10800)
    assert run(scene.visit()).rows == 3
    assert scene.recorder.times()[49:] == [NOON + 3600, NOON + 7200, NOON + 10800]
    flags = [row[-1] for row in scene.recorder.kept[49:]]
    assert flags[0] & quality.PERIOD_CHANGED and flags[1:] == [0, 0]
    assert [layout[2] for layout in scene.recorder.layouts] == [900, 3600]
    assert [each[2] for each in scene.recorder.gaps] in ([], [quality.CHANGED])
    scene.later(3600)
    assert run(scene.visit()).rows == 1


def test_other_columns():
    scene = filled()
    run(scene.visit())
    scene.meter.rows = []
    scene.meter.columns = scene.meter.columns[:3]
    scene.later(1800)
    scene.meter.wire = lambda rows: [row[:3] for row in rows]
    assert run(scene.visit()).rows == 2
    assert [len(layout[3]) for layout in scene.recorder.layouts] == [4, 3]
    assert scene.recorder.kept[-1][0] == NOON + 1800


def test_other_columns_amid_an_answer():
    scene = filled()

    def cut(rows):
        if len(scene.meter.columns) == 4:
            scene.meter.columns = scene.meter.columns[:3]
            scene.meter.rows = scene.meter.rows[20:]  # the buffer has begun anew
            return rows[:20] + [row[:3] for row in rows[20:]]
        return [row[:3] for row in rows]

    scene.meter.wire = cut
    assert run(scene.visit()).rows == 49
    assert scene.recorder.times() == list(range(MIDNIGHT, NOON + 1, 900))
    assert len(scene.recorder.layouts) == 2


def test_a_clock_that_was_set_back():
    scene = filled()
    run(scene.visit())
    scene.meter.off = -1805
    scene.later(3605)
    expected = [row[1] for row in scene.meter.rows]
    assert expected[49:] == list(range(NOON - 1800, NOON + 1801, 900))
    assert run(scene.visit()).rows == 5
    assert scene.recorder.times() == expected
    flags = [row[-1] & ~quality.CLOCK_OFF for row in scene.recorder.kept[49:]]
    assert flags == [quality.JUMPED_BACK, 0, 0, 0, 0]
    assert scene.recorder.kept[-1][-1] & quality.CLOCK_OFF
    scene.later(900)
    assert run(scene.visit()).rows == 1


def test_a_clock_that_was_set_back_while_nobody_looked():
    scene = filled()
    run(scene.visit())
    scene.restart()
    scene.meter.off = -1805
    scene.later(3605)
    assert run(scene.visit()).rows == 5
    assert scene.recorder.times() == [row[1] for row in scene.meter.rows]


def test_a_clock_that_was_set_forward():
    scene = filled()
    run(scene.visit())
    scene.meter.off = 3600
    scene.later(1800)
    assert run(scene.visit()).rows == 2
    assert [each[2] for each in scene.recorder.gaps] == [quality.NOT_CAPTURED]


def test_a_clock_of_years_ahead_and_back_again():
    scene = Scene()
    scene.meter.off = 10 * 31536000
    scene.later(3600)
    assert run(scene.visit()).rows == 4
    scene.meter.off = 0
    scene.later(3600)
    assert run(scene.visit()).rows == 4
    assert len(scene.recorder.kept) == 8
    assert scene.recorder.kept[4][-1] & quality.JUMPED_BACK


def test_the_same_time_and_other_values():
    scene = filled()
    scene.meter.capture(NOON)
    assert run(scene.visit()).rows == 50
    assert scene.recorder.kept[-1][-1] == quality.OTHER_VALUES
    scene.later(900)
    assert run(scene.visit()).rows == 1


def test_events_of_one_second_are_kept_apart():
    scene = Scene(0)
    scene.meter.columns = scene.meter.columns[:2]
    scene.meter.wire = lambda rows: [row[:2] for row in rows]
    item = Item(LOG, objects=[(7, NAME, 2)])
    for status in (1, 2, 2, 2):
        scene.meter.capture(NOON - 60, status)
    assert run(scene.visit([item])).rows == 4
    scene.meter.capture(NOON - 60, 2)
    scene.meter.capture(NOON - 60, 3)
    scene.meter.capture(NOON - 30, 1)
    assert run(scene.visit([item])).rows == 3
    assert [row[1] for row in scene.recorder.kept] == [1, 2, 2, 2, 2, 3, 1]
    assert not [row for row in scene.recorder.kept if row[-1]]
    assert run(scene.visit([item])).rows == 0


def test_the_hour_that_comes_twice():
    for told in (True, False):
        scene = Scene()
        meter = scene.meter
        meter.told = told
        meter.deviation = -60  # the clock's zone, and now: winter
        change = NOON - 6 * 3600

        def stamp(unix, meter=meter, change=change):
            meter.deviation = -120 if unix < change else -60
            raw = bytearray(type(meter).stamp(meter, unix)[1])
            raw[11] = 0x80 if unix < change else 0
            meter.deviation = -60
            return (axdr.OCTET_STRING, bytes(raw))

        meter.stamped = stamp
        meter.capture_each(MIDNIGHT, NOON)
        meter.ranges = told
        run(scene.visit())
        assert scene.recorder.times() == list(range(MIDNIGHT, NOON + 1, 900))
        second = [row[0] for row in scene.recorder.kept if row[-1] & quality.SECOND_PASS]
        assert second == list(range(change, change + 3600, 900))
        assert scene.recorder.gaps == []


def test_rows_of_a_wrong_shape_are_named_and_the_next_item_read():
    scene = filled()
    scene.meter.wire = lambda rows: rows[:30] + [row + row for row in rows[30:]]
    found = run(scene.visit([ITEM, Item(0, objects=[(3, ENERGY, 2)])]))
    assert found.gaps == ["meter-protocol-error"]
    assert "expected rows of 4 columns, came one of 8" in found.details[0]
    assert scene.recorder.times() == list(range(MIDNIGHT, MIDNIGHT + 30 * 900, 900))
    assert scene.meter.associations == 1
    assert scene.recorder.read[0][3] == [
        (3, ENERGY, 2, axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 4711)), -1, 35)
    ]


def test_endless_rows_are_named():
    for sort in (1, 2):
        scene = filled()
        scene.meter.sort = sort
        row = scene.meter.rows[0]

        class Endless:
            def __iter__(self):
                return self

            def __next__(self, row=row):
                return [row[0]] + row[2]

        scene.meter.wire = lambda rows: Endless()
        found = run(scene.visit())
        assert found.gaps == ["meter-protocol-error"], found.gaps
        assert len(scene.recorder.kept) <= 5000 + 128


def test_times_that_are_none():
    scene = filled()
    nowhere = bytes([0x27, 0x0F, 1, 1, 0xFF, 0, 0, 0, 0, 0, 0, 0])  # the year 9999

    def spoilt(rows):
        for row in rows[5:15]:
            row[0] = (axdr.OCTET_STRING, nowhere)
        return rows

    scene.meter.wire = spoilt
    assert run(scene.visit()).rows == 49
    assert scene.recorder.times() == list(range(MIDNIGHT, NOON + 1, 900))
    assert [row[-1] for row in scene.recorder.kept[5:15]] == [quality.TIME_REPAIRED] * 10
    scene = Scene()
    scene.meter.capture_each(NOON - 86400, NOON)

    def all_spoilt(rows):
        for row in rows:
            row[0] = (axdr.OCTET_STRING, nowhere)
        return rows

    scene.meter.wire = all_spoilt
    assert run(scene.visit()).gaps == ["meter-protocol-error"]
    assert len(scene.recorder.kept) <= 64


def test_columns_that_are_none():
    scene = filled()
    for columns in ([], scene.meter.columns * 50, [(8, b"\x00", 2, 0)]):
        scene.meter.columns = columns
        found = run(scene.visit())
        assert found.gaps == ["meter-protocol-error"] and not scene.recorder.kept


def test_a_profile_that_is_refused_or_unknown():
    scene = filled()
    items = [Item(1, objects=[(7, b"\x01\x00\x63\x02\x00\xff", 2)]), Item(1, name="no-such"), ITEM]
    found = run(scene.visit(items))
    assert found.gaps == ["object-mismatch", "model-unfit"]
    assert found.rows == 49


def test_a_range_on_demand():
    scene = filled()
    run(scene.visit())
    scene.later(7200)
    between = (MIDNIGHT + 3600, MIDNIGHT + 7200)
    assert run(scene.visit(between=between)).rows == 5
    assert scene.recorder.times()[49:] == list(range(between[0], between[1] + 1, 900))
    assert scene.recorder.gaps == []


def test_a_malformed_answer_costs_what_follows_only():
    scene = filled()
    scene.meter.wire = lambda rows: rows[:10] + [ProtocolError("garbage")]
    assert run(scene.visit()).gaps == ["meter-protocol-error"]
    assert len(scene.recorder.kept) == 10
    scene.meter.wire = lambda rows: rows
    assert run(scene.visit()).rows == 39
    assert scene.recorder.times() == list(range(MIDNIGHT, NOON + 1, 900))
