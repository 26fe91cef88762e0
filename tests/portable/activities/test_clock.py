"""A meter's clock is measured, told, and put right as the policy says."""

from __future__ import annotations

import asyncio

from gateway.activities.clock import MOST_WAIT_S, clear_after
from gateway.activities.readings import Collector
from gateway.contract.clock_policy import ClockPolicy
from gateway.contract.task import CLOCK, Item
from gateway.dlms.data import axdr
from tests.portable.activities.profile_meter import NOON, Scene
from tests.portable.support import run

ITEM = Item(CLOCK)


def visited(
    off: int, later: int = 300, policy: ClockPolicy | None = None, **meter: object
) -> Scene:
    """A visit to a meter that is so far off, so many seconds after noon."""
    scene = Scene()
    scene.clock.set_unix_time(NOON + later)
    scene.collector = Collector(scene.clock, policy)
    scene.meter.off = off
    for name in meter:
        setattr(scene.meter, name, meter[name])

    async def visiting() -> None:
        scene.found = await scene.visit([ITEM])

    async def visit() -> None:
        task = asyncio.create_task(visiting())
        await scene.clock.run(2 * MOST_WAIT_S * 1000)
        await task

    run(visit())
    return scene


def told(scene: Scene) -> list[int]:
    """The deviations."""
    return [axdr.decode(values[0][3])[1] for _, _, _, values in scene.recorder.read]


def test_a_clock_that_is_right_is_told_and_left_alone() -> None:
    for off in (0, 9, -29):
        scene = visited(off)
        assert (told(scene), scene.meter.off) == ([off], off)
        assert (scene.found.rows, scene.found.gaps, scene.recorder.gaps) == (1, [], [])


def test_what_is_told_is_a_value_of_no_attribute_in_seconds() -> None:
    serial, task, read_at, values = visited(5).recorder.read[0]
    assert (serial, task, read_at) == ("M1", "night", NOON + 300)
    assert values[0][:3] == (8, b"\x00\x00\x01\x00\x00\xff", 0) and values[0][4:] == (0, 7)


def test_it_is_shifted_where_that_is_enough() -> None:
    for off in (30, -30, 240, -240):
        scene = visited(off)
        assert (told(scene), scene.meter.off) == ([off, 0], 0), off
        assert scene.meter.asked == ["shift"] and scene.found.gaps == []
        assert scene.recorder.gaps == []


def test_it_is_written_where_it_is_further_off_and_the_interval_is_named() -> None:
    for off in (901, -3600):
        scene = visited(off)
        assert (told(scene), scene.meter.asked) == ([off, 0], ["set"])
        start, end = sorted((NOON + 300, NOON + 300 + off))
        assert scene.recorder.gaps == [(start, end, "clock-set")]


def test_a_clock_without_methods_is_written() -> None:
    scene = visited(40, methods=False)
    assert (told(scene), scene.meter.asked) == ([40, 0], ["shift", "set"])
    scene = visited(40, methods=False, read_only=True)
    assert (told(scene), scene.found.gaps) == ([40], ["access-denied"])


def test_one_too_far_off_waits_for_an_order() -> None:
    for off in (3601, -86400):
        scene = visited(off)
        assert (told(scene), scene.meter.asked) == ([off], [])
        assert scene.found.gaps == ["clock-far-off"]
        assert "by an order" in scene.found.details[0]


def test_one_that_does_not_move_is_named() -> None:
    scene = visited(60, obeys=False)
    assert (told(scene), scene.found.gaps) == ([60, 60], ["action-refused"])


def test_while_ours_is_unset_nothing_is_told_and_nothing_moved() -> None:
    scene = Scene()
    scene.clock.set_unix_time(0)
    scene.meter.off = NOON
    found = run(scene.visit([ITEM]))
    assert found.gaps == ["clock-unset"] and scene.recorder.read == []


def test_a_correction_keeps_clear_of_the_end_of_a_capture_period() -> None:
    # 40 s ahead, it shows 12:00:20: it would be sent back to 11:59:40.
    scene = visited(40, later=-20)
    assert scene.recorder.gaps == [] and scene.meter.off == 0
    assert scene.meter.moved_at == NOON + 2
    # 40 s behind, it shows 11:59:45, and would have gone past noon without capturing in time.
    scene = visited(-40, later=25)
    assert scene.recorder.gaps == [] and scene.meter.off == 0
    assert scene.meter.moved_at == NOON + 42
    # Five minutes ahead are too long to wait: the interval is named.
    scene = visited(300, later=-100)
    assert scene.recorder.gaps == [(NOON - 100, NOON + 200, "clock-set")]


def test_when_it_is_clear() -> None:
    for off in list(range(-880, 881, 20)):
        for into in range(0, 900, 7):
            wait = clear_after(900 * 5 + into, off, 900)
            shown = into + wait
            moved = shown - off
            if wait <= MOST_WAIT_S:
                assert shown // 900 == moved // 900, (off, into)
    assert clear_after(0, 897, 900) > MOST_WAIT_S


def test_the_policy_is_a_setting() -> None:
    assert told(visited(20, policy=ClockPolicy(5, 15, 60))) == [20, 0]
    assert visited(61, policy=ClockPolicy(5, 15, 60)).found.gaps == ["clock-far-off"]
