"""Configuring a virtual meter, for real: written in few exchanges, and rolled back or completed
whatever breaks off in the middle. The meter is asked itself."""

from __future__ import annotations

import pytest

from gateway.contract.kinds import COMPARE, CONFIGURE
from gateway.contract.package import Action, Check, Package, Set
from gateway.dlms.apdu import acse
from gateway.dlms.data import axdr, obis
from tests.unit.activities.scene import Scene
from tools.meter.device import ALARM_FILTER, CALENDAR, LIMITER, LOAD_PROFILE, SUPPLY
from tools.meter.server import CONFORMANCE

CAL, PROFILE, FILTER = obis.parse(CALENDAR), obis.parse(LOAD_PROFILE), obis.parse(ALARM_FILTER)
NOTHING = axdr.encode((axdr.INTEGER, 0))
SUMMER = axdr.encode((axdr.OCTET_STRING, b"SUMMER"))
ALARMS = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 0x10))
HALF_HOUR = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 1800))
WHAT = ((20, CALENDAR, 2), (20, CALENDAR, 6), (7, LOAD_PROFILE, 4), (1, ALARM_FILTER, 2))


def seasons(name: bytes) -> bytes:
    start = bytes.fromhex("ffff 01 01 ff 00 00 00 00 8000 00")
    fields = [(axdr.OCTET_STRING, value) for value in (name, start, b"W1")]
    return axdr.encode((axdr.ARRAY, [(axdr.STRUCTURE, fields)]))


def package(*more: Set) -> Package:
    """A calendar by its passive half, an interval, and alarms."""
    active = Check(20, CAL, 2, SUMMER)
    steps = [
        Set(20, CAL, 6, SUMMER),
        Set(20, CAL, 7, seasons(b"S9")),
        Action(20, CAL, 1, NOTHING, active),
        Set(7, PROFILE, 4, HALF_HOUR),
        Set(1, FILTER, 2, ALARMS),
        *more,
    ]
    checks = [active, Check(20, CAL, 3, seasons(b"S9")), Check(7, PROFILE, 4, HALF_HOUR)]
    return Package(
        "all", "1", "", [("AMI-E450", [])], steps, [*checks, Check(1, FILTER, 2, ALARMS)]
    )


def held(scene: Scene) -> dict[tuple[int, str, int], object]:
    return {what: scene.meter.read(*what) for what in WHAT}


def test_all_of_it_in_few_exchanges() -> None:
    scene = Scene()
    result, _ = scene.once(CONFIGURE, package())
    assert (result.outcome, result.reason) == ("OK", "applied")
    assert held(scene) == {
        (20, CALENDAR, 2): (axdr.OCTET_STRING, b"SUMMER"),
        (20, CALENDAR, 6): (axdr.OCTET_STRING, b"SUMMER"),
        (7, LOAD_PROFILE, 4): (axdr.DOUBLE_LONG_UNSIGNED, 1800),
        (1, ALARM_FILTER, 2): (axdr.DOUBLE_LONG_UNSIGNED, 0x10),
    }
    # association 2, release 1; reading, two sets, the action and its check, what it may have
    # changed, two sets, reading back; a block more where an answer is long
    assert scene.plc.frames <= 12


def test_without_lists_one_by_one() -> None:
    for missing in (acse.MULTIPLE_REFERENCES, acse.GENERAL_BLOCK_TRANSFER, acse.ACCESS):
        scene = Scene(mtu=200)
        scene.server.conformance = CONFORMANCE & ~missing
        result, _ = scene.once(CONFIGURE, package())
        assert result.reason == "applied", (missing, result)


@pytest.mark.parametrize(
    "refused", [(20, CALENDAR, 6), (20, CALENDAR, 7), (7, LOAD_PROFILE, 4), (1, ALARM_FILTER, 2)]
)
def test_a_refused_write_is_rolled_back(refused: tuple[int, str, int]) -> None:
    scene = Scene()
    before = held(scene)
    scene.meter.faults.refuse_write = refused
    result, _ = scene.once(CONFIGURE, package())
    assert (result.outcome, result.reason) == ("KO", "access-denied")
    after = held(scene)
    invoked = scene.meter.log.count("action", 20, CALENDAR, 1)
    if refused[0] == 20:
        assert after == before and not invoked
        assert "restored" in result.detail
    else:
        # The calendar is active: that cannot be taken back, and is said; the rest is as before.
        assert invoked == 1 and after[20, CALENDAR, 2] == (axdr.OCTET_STRING, b"SUMMER")
        assert "activate_passive_calendar of 0.0.13.0.0.255 has been done" in result.detail
        assert [after[what] for what in WHAT[1:]] == [before[what] for what in WHAT[1:]]


@pytest.mark.parametrize("frames", range(3, 12))
def test_what_breaks_off_in_the_middle_is_completed(frames: int) -> None:
    """The gateway, or the line, goes after so many frames; the next attempt, of a gateway that
    knows nothing any more, goes on."""
    scene = Scene()
    scene.plc.lose = lambda direction, number: number > frames
    first, _ = scene.once(CONFIGURE, package())
    scene.plc.lose = lambda direction, number: False
    result, _ = scene.once(CONFIGURE, package())
    assert result.reason in ("applied", "already-as-wanted"), (first, result)
    assert held(scene)[1, ALARM_FILTER, 2] == (axdr.DOUBLE_LONG_UNSIGNED, 0x10)
    assert scene.meter.log.count("action", 20, CALENDAR, 1) == 1
    for class_id, name, index in ((20, CALENDAR, 6), (7, LOAD_PROFILE, 4), (1, ALARM_FILTER, 2)):
        assert scene.meter.log.count("set", class_id, name, index) == 1


def test_lost_answers_in_the_middle_write_nothing_twice() -> None:
    for frames in range(3, 11):
        scene = Scene()
        scene.plc.lose = lambda direction, number, at=frames: (direction, number) == ("answer", at)
        result, _ = scene.once(CONFIGURE, package())
        assert result.reason == "applied"
        assert scene.meter.log.count("action", 20, CALENDAR, 1) == 1


def test_a_dry_run_writes_nothing() -> None:
    scene = Scene()
    before = held(scene)
    result, _ = scene.once(COMPARE, package())
    assert (result.reason, result.detail) == ("compared", "4 of 4 values differ")
    assert held(scene) == before and not scene.meter.log.counts


def test_the_switch_is_left_alone_without_a_word() -> None:
    supply = obis.parse(SUPPLY)
    off = Action(70, supply, 1, NOTHING, Check(70, supply, 2, axdr.encode((axdr.BOOLEAN, False))))
    limiter = Set(71, obis.parse(LIMITER), 4, axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 1)))
    for step in (off, limiter):
        scene = Scene()
        order = package()
        order.steps.append(step)
        result, _ = scene.once(CONFIGURE, order)
        assert (result.outcome, result.reason) == ("KO", "not-permitted")
        assert not scene.meter.log.counts
        order.permits = ["switch"]
        assert scene.once(CONFIGURE, order)[0].reason == "applied"


def test_a_meter_that_breaks_the_protocol_half_way_is_put_back_as_far_as_it_goes() -> None:
    scene = Scene()
    answer = scene.server.handle
    spoilt: list[int] = []

    def handle(client: int, server: int, apdu: bytes) -> bytes | None:
        came = answer(client, server, apdu)
        if scene.meter.log.count("set", 20, CALENDAR, 6) and not spoilt:
            spoilt.append(1)
            return came
        if len(spoilt) == 1:
            spoilt.append(2)
            return b"\xd8\x01\x02"  # exception: service-not-supported
        return came

    scene.server.handle = handle  # type: ignore[method-assign]
    result, _ = scene.once(CONFIGURE, package())
    assert (result.outcome, result.reason) == ("KO", "service-refused")
    assert "restored" in result.detail or "not all is as before" in result.detail
    assert len(spoilt) == 2
