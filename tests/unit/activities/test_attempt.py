"""Attempts on virtual meters: every way one can end, and what the meter holds afterwards."""

from __future__ import annotations

import pytest

from gateway.contract.kinds import CONFIGURE, READ
from gateway.contract.package import Action, Check, Package, Set
from gateway.dlms.data import axdr, obis
from hal.sim.storage import MemoryStorage
from tests.unit.activities.scene import PLC, RF, SERIAL, TRIES, Scene, losing
from tools.meter.device import CALENDAR, LOAD_PROFILE

PROFILE = obis.parse(LOAD_PROFILE)
CAL = obis.parse(CALENDAR)
PERIOD_900 = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 900))
PERIOD_1800 = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 1800))
NAME = axdr.encode((axdr.OCTET_STRING, b"SUMMER"))
NOTHING = axdr.encode((axdr.INTEGER, 0))
SERIAL_ATTRIBUTE = (1, obis.parse("0.0.42.0.0.255"), 2)


def interval(period: bytes, targets=(("AMI-E450", ["V02."]),)) -> Package:
    return Package(
        "interval",
        "1",
        "",
        list(targets),
        [Set(7, PROFILE, 4, period)],
        [Check(7, PROFILE, 4, period)],
    )


def calendar() -> Package:
    active = Check(20, CAL, 2, NAME)
    return Package(
        "calendar",
        "1",
        "",
        [("AMI-E450", [])],
        [Set(20, CAL, 6, NAME), Action(20, CAL, 1, NOTHING, active)],
        [active],
    )


def period(scene: Scene) -> int:
    return int(scene.meter.find(7, LOAD_PROFILE).read(4, 1)[1])


def other_period(scene: Scene) -> tuple[int, bytes]:
    """A period the meter does not have yet."""
    return (1800, PERIOD_1800) if period(scene) == 900 else (900, PERIOD_900)


@pytest.mark.parametrize("suite", [0, 1, 2])
def test_the_security_suite_of_the_keys(suite):
    scene = Scene(suite=suite)
    result, _ = scene.once(READ, [SERIAL_ATTRIBUTE])
    assert result.value == [axdr.encode((axdr.OCTET_STRING, SERIAL.encode()))]
    wanted, data = other_period(scene)
    assert scene.once(CONFIGURE, interval(data))[0].reason == "applied"
    assert period(scene) == wanted


def test_read():
    result, path = Scene().once(READ, [SERIAL_ATTRIBUTE, (7, PROFILE, 4)])
    assert (result.outcome, result.reason, path) == ("VALUE", "read", "plc")
    assert result.value is not None
    assert axdr.decode(result.value[0]) == (axdr.OCTET_STRING, SERIAL.encode())
    assert axdr.decode(result.value[1])[0] == axdr.DOUBLE_LONG_UNSIGNED


def test_read_of_what_there_is_not_names_it():
    result, _ = Scene().once(READ, [(3, obis.parse("1.0.99.99.0.255"), 2)])
    assert (result.outcome, result.reason) == ("KO", "object-mismatch")
    assert "register.value of 1.0.99.99.0.255" in result.detail
    assert "object-undefined" in result.detail


def test_configure_writes_once_then_finds_it_done():
    scene = Scene()
    seconds, data = other_period(scene)
    outcomes = scene.run(CONFIGURE, interval(data), times=2)
    assert [result.reason for result, _ in outcomes] == ["applied", "already-as-wanted"]
    assert period(scene) == seconds
    assert scene.meter.log.count("set", 7, LOAD_PROFILE, 4) == 1


def test_an_action_is_invoked_once_and_only_if_needed():
    scene = Scene()
    outcomes = scene.run(CONFIGURE, calendar(), times=2)
    assert [result.reason for result, _ in outcomes] == ["applied", "already-as-wanted"]
    assert scene.meter.log.count("action", 20, CALENDAR, 1) == 1


def test_a_lost_answer_to_an_action_does_not_make_a_second_one():
    scene = Scene()
    lost: list[int] = []

    def lose(direction: str, number: int) -> bool:
        """The first answer after the method took effect."""
        invoked = scene.meter.log.count("action", 20, CALENDAR, 1) == 1
        if direction == "answer" and invoked and not lost:
            lost.append(number)
            return True
        return False

    scene.plc.lose = lose
    result, _ = scene.once(CONFIGURE, calendar())
    assert (result.outcome, result.reason) == ("OK", "applied")
    assert len(lost) == 1
    assert scene.meter.log.count("action", 20, CALENDAR, 1) == 1


@pytest.mark.parametrize("tells", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_twenty_percent_loss(seed: int, tells: bool):
    scene = Scene()
    scene.plc.lose = losing(seed, 0.2)
    scene.plc.tells = tells
    outcomes = scene.run(CONFIGURE, calendar(), times=4)
    reasons = [result.reason for result, _ in outcomes]
    assert set(reasons) <= {"applied", "already-as-wanted", "no-answer", "link-lost"}, outcomes
    assert {"applied", "already-as-wanted"} & set(reasons)
    assert scene.meter.log.count("action", 20, CALENDAR, 1) == 1
    assert scene.meter.log.count("set", 20, CALENDAR, 6) == 1


def test_values_in_blocks_over_a_short_frame():
    scene = Scene(mtu=120)
    profile = scene.once(READ, [(7, PROFILE, 3), (20, CAL, 5)])[0]
    assert profile.reason == "read", profile


def test_a_dead_meter():
    scene = Scene((PLC, RF))
    scene.meter.faults.dead = True
    result, path = scene.once(READ, [SERIAL_ATTRIBUTE])
    assert (result.outcome, result.reason, path) == ("KO", "no-answer", "")
    assert "plc: " in result.detail and "rf: " in result.detail


def test_the_next_path_when_the_first_is_silent():
    scene = Scene((PLC, RF))
    scene.plc.lose = lambda direction, number: True
    result, path = scene.once(READ, [SERIAL_ATTRIBUTE])
    assert (result.reason, path) == ("read", "rf")


def test_the_next_path_when_the_first_falls_silent_half_way():
    scene = Scene((PLC, RF))
    scene.plc.lose = lambda direction, number: number > 3
    _, data = other_period(scene)
    result, path = scene.once(CONFIGURE, interval(data))
    assert (result.reason, path) == ("applied", "rf")


def test_silence_half_way_on_the_only_path():
    scene = Scene()
    scene.plc.lose = lambda direction, number: number > 2  # associated, and then nothing
    result, path = scene.once(READ, [SERIAL_ATTRIBUTE])
    assert (result.reason, path) == ("link-lost", "plc")


def test_learned_to_go_over_rf():
    scene = Scene((PLC, RF))
    scene.plc.lose = lambda direction, number: True
    outcomes = scene.run(READ, [SERIAL_ATTRIBUTE], times=3)
    assert [path for _, path in outcomes] == ["rf", "rf", "rf"]
    assert scene.plc.frames == TRIES  # only the first attempt asked over PLC


def test_the_modem_is_gone():
    scene = Scene()
    scene.plc.gone = True
    result, path = scene.once(READ, [SERIAL_ATTRIBUTE])
    assert (result.reason, path) == ("modem-gone", "")


def test_no_modem_for_its_path():
    result, _ = Scene((("ip", "127.0.0.1:4059"),)).once(READ, [SERIAL_ATTRIBUTE])
    assert result.reason == "modem-gone" and "no modem" in result.detail


def test_not_commissioned_and_unknown():
    assert Scene(()).once(READ, [])[0].reason == "not-commissioned"
    assert Scene().once(READ, [], "NOBODY")[0].reason == "unknown-meter"
    assert Scene().once(77, [])[0].reason == "unknown-kind"


def test_wrong_keys():
    result, _ = Scene(wrong_keys=True).once(READ, [SERIAL_ATTRIBUTE])
    assert result.outcome == "KO"
    assert result.reason in ("association-refused", "security-failed")


def test_no_keys():
    scene = Scene()
    scene.storage.replace("keys.jsonl", b"")
    result, _ = scene.once(READ, [SERIAL_ATTRIBUTE])
    assert result.reason == "no-keys" and "keys.jsonl" in result.detail


def test_wrong_meter_is_not_written():
    scene = Scene(real_serial="AMI0000000099")
    _, data = other_period(scene)
    result, _ = scene.once(CONFIGURE, interval(data))
    assert result.reason == "wrong-meter"
    assert SERIAL in result.detail and "AMI0000000099" in result.detail
    assert not scene.meter.log.counts


def test_wrong_model_and_firmware_are_not_written():
    for scene, reason in (
        (Scene(model="AMI-X"), "wrong-model"),
        (Scene(firmware="V01.08.00"), "wrong-firmware"),
    ):
        result, _ = scene.once(CONFIGURE, interval(other_period(scene)[1]))
        assert result.reason == reason
        assert ("AMI-X" if reason == "wrong-model" else "V01.08.00") in result.detail
        assert not scene.meter.log.counts


def test_a_refused_write():
    scene = Scene()
    scene.meter.faults.refuse_write = (7, LOAD_PROFILE, 4)
    before = period(scene)
    result, _ = scene.once(CONFIGURE, interval(other_period(scene)[1]))
    assert (result.outcome, result.reason) == ("KO", "access-denied")
    assert "profile_generic.capture_period of 1.0.99.1.0.255" in result.detail
    assert period(scene) == before


def test_a_check_the_steps_do_not_bring_about():
    scene = Scene()
    _, data = other_period(scene)
    package = interval(data)
    package.checks.append(Check(20, CAL, 2, NAME))
    result, _ = scene.once(CONFIGURE, package)
    assert result.reason == "read-back-differs"
    assert "activity_calendar.calendar_name_active" in result.detail
    assert '"SUMMER"' in result.detail


def test_a_package_with_malformed_data_blames_the_package():
    scene = Scene()
    result, _ = scene.once(CONFIGURE, interval(b"\x06\x00"))
    assert result.reason == "bad-package"
    assert not scene.meter.log.counts


def test_a_forgetful_gateway_learns_the_invocation_counter():
    scene = Scene()
    scene.run(READ, [SERIAL_ATTRIBUTE], times=3)
    files = {name: scene.storage.read(name) for name in ("meters.jsonl", "keys.jsonl")}
    scene.storage = MemoryStorage()
    for name, content in files.items():
        scene.storage.replace(name, content)
    result, _ = scene.once(READ, [SERIAL_ATTRIBUTE])
    assert result.reason == "read"


def test_a_restarted_gateway_goes_on_with_its_counters():
    scene = Scene()
    for _ in range(3):
        assert scene.once(READ, [SERIAL_ATTRIBUTE])[0].reason == "read"


def test_answers_with_stale_counters():
    scene = Scene()
    scene.meter.faults.wrong_counter = True
    result, _ = scene.once(READ, [SERIAL_ATTRIBUTE])
    assert result.outcome == "KO"
    assert result.reason in ("security-failed", "no-answer", "link-lost")


def test_a_fault_of_ours_costs_one_attempt_only():
    scene = Scene()
    result, _ = scene.once(READ, 7)
    assert (result.outcome, result.reason, result.detail) == ("KO", "gateway-error", "TypeError")
    assert scene.once(READ, [SERIAL_ATTRIBUTE])[0].reason == "read"


def test_details_never_hold_keys():
    scene = Scene()
    keys = scene.storage.read("keys.jsonl").decode()
    for order in ([SERIAL_ATTRIBUTE], 7):
        result, _ = scene.once(READ, order)
        assert keys[30:50] not in result.detail
