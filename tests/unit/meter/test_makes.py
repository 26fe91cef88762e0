"""What happens to a meter stands in its logs, alarms, closures and rows, as its model says."""

from __future__ import annotations

import pytest

from gateway.contract.own_model import OWN_MODEL
from gateway.dlms.data import axdr, moment, obis
from tools.meter import device, makes
from tools.meter.device import build_meter, derive_test_keys
from tools.meter.makes import MAKES, Make
from tools.meter.model import MANAGEMENT, Meter
from tools.meter.profile import RANGE, Closure, ProfileGeneric
from tools.package.model.file import find

EVERY = pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
NOON = 1_800_014_400  # 2027-01-15 12:00:00 UTC, 08:00 on the meters' clocks


class Time:
    def __init__(self) -> None:
        self.now = float(NOON)

    def __call__(self) -> float:
        return self.now


def meter_of(make: Make) -> tuple[Meter, Time]:
    time = Time()
    keys = derive_test_keys(1, "M1")
    return build_meter("M1", keys=keys, source=time, make=make), time


def events(meter: Meter, name: str) -> list[tuple[int, int]]:
    log = meter.objects[7, name]
    assert isinstance(log, ProfileGeneric)
    return [(at - NOON, row[1][1][1]) for at, row in log.rows]


@EVERY
def test_objects_and_codes_are_those_of_the_model(make: Make) -> None:
    compiled = find(make.name)
    objects = {word: obis.text(name) for word, _, name in compiled.model.objects}
    if make is makes.AMI:
        assert [tuple(each) for each in compiled.model.objects] == list(OWN_MODEL.objects)
    logs = {word: log for word, log in objects.items() if word.endswith("-log")}
    assert {word: log for word, (log, _) in make.logs.items()} == logs
    assert objects["load-profile"] == device.LOAD_PROFILE
    assert objects["daily-profile"] == make.daily
    assert objects.get("billing-profile", objects.get("monthly-profile")) == make.monthly
    if make.descriptor:
        assert objects["alarm-descriptor-1"] == make.descriptor
    for word, code in make.events.values():
        table = compiled.tables.log_of(obis.parse(make.logs[word][0]))
        assert table is not None and table.find(code) is not None, (word, code)
    for bit in make.alarms.values():
        table = compiled.tables.bits_of(obis.parse(device.ALARM_REGISTER))
        assert table is not None and table.find(bit) is not None, bit


@EVERY
def test_all_that_happens(make: Make) -> None:
    meter, time = meter_of(make)
    for what, (word, code) in make.events.items():
        time.now += 60
        meter.tick()
        meter.happen(what)
        log, last = make.logs[word]
        assert events(meter, log)[-1] == (int(time.now) - NOON, code)
        assert meter.read(1, last, 2)[1] == code
    meter.happen("nothing that it knows")


def test_an_outage() -> None:
    meter, time = meter_of(makes.IDIS)
    profile = meter.objects[7, device.LOAD_PROFILE]
    assert isinstance(profile, ProfileGeneric)
    time.now += 1000
    meter.tick()
    before = meter.read(3, device.ENERGY, 2)
    meter.lose_power()
    time.now += 3600
    meter.get_power()
    assert meter.read(3, device.ENERGY, 2) == before
    time.now += 900
    meter.tick()
    assert events(meter, "0.0.99.98.0.255") == [(1000, 1), (4600, 2)]
    assert [(at - NOON, row[1][1][1]) for at, row in profile.rows] == [(900, 0), (5400, 0x80)]


def test_a_clock_that_is_set() -> None:
    meter, time = meter_of(makes.IDIS)
    clock = meter.find(8, device.CLOCK)
    clock.invoke(6, (axdr.LONG, -300), MANAGEMENT)
    assert events(meter, "0.0.99.98.0.255") == [(0, 4), (-300, 5)]
    time.now += 1200
    meter.tick()
    profile = meter.objects[7, device.LOAD_PROFILE]
    assert isinstance(profile, ProfileGeneric)
    assert [row[1][1][1] for _, row in profile.rows] == [0x20, 0][: len(profile.rows)]


def test_a_clock_that_drifts() -> None:
    meter, time = meter_of(makes.AMI)
    meter.drift_by(300.0)
    time.now += 43200
    assert meter.now() - int(time.now) == 150
    meter.find(8, device.CLOCK).invoke(6, (axdr.LONG, -150), MANAGEMENT)
    assert meter.now() == int(time.now)
    time.now += 86400
    assert meter.now() - int(time.now) == 300
    meter.drift_by(-60)
    time.now += 86400
    assert meter.now() - int(time.now) == 240


@EVERY
def test_days_and_months_are_closed_at_local_midnight(make: Make) -> None:
    meter, time = meter_of(make)
    for _ in range(18):  # once a day somebody looks
        time.now += 86400
        meter.tick()
    days, months = meter.objects[7, make.daily], meter.objects[7, make.monthly]
    assert isinstance(days, Closure) and isinstance(months, Closure)
    midnight = NOON + 16 * 3600  # four hours behind UTC
    assert [at for at, _ in days.rows] == [midnight + 86400 * day for day in range(18)]
    assert [at for at, _ in months.rows] == [midnight + 86400 * 16]
    energies = [row[1][1][1] for _, row in days.rows]
    assert energies == sorted(energies) and energies[0] < energies[-1]


def test_rows_are_what_registers_were_then() -> None:
    meter, time = meter_of(makes.SPAIN)
    at_once, _ = meter_of(makes.SPAIN)
    at_once_time = at_once.source
    assert isinstance(at_once_time, Time)
    for _ in range(24):
        time.now += 3600
        meter.tick()
    at_once_time.now = time.now
    at_once.tick()
    profiles = [each.objects[7, device.LOAD_PROFILE] for each in (meter, at_once)]
    rows = [each.rows for each in profiles if isinstance(each, ProfileGeneric)]
    assert len(rows[0]) == 24 and rows[0] == rows[1]


def test_compressed_rows() -> None:
    meter, time = meter_of(makes.SMR)
    time.now += 3600
    meter.tick()
    profile = meter.find(7, device.LOAD_PROFILE)
    assert isinstance(profile, ProfileGeneric)
    rows = [row[1] for row in profile.value(2)[1]]
    assert rows[0][0][0] == axdr.OCTET_STRING and rows[0][1] == (axdr.UNSIGNED, 0)
    for row in rows[1:]:
        assert row[0] == row[1] == (axdr.NULL, None)
    profile.newest_first = True
    assert profile.value(2)[1][0][1][0] == (axdr.OCTET_STRING, stamp(meter, NOON + 3600))


def stamp(meter: Meter, unix: int) -> bytes:
    raw = meter.find(8, device.CLOCK).captured(2, unix, 0, 0)[1]
    made = bytearray(moment.date_time(unix, 240))
    made[4], made[11] = raw[4], 0
    return bytes(made)


def test_a_buffer_is_bounded_and_begins_anew_with_another_period() -> None:
    meter, time = meter_of(makes.INDIA)
    time.now += 40 * 86400
    meter.tick()
    profile = meter.find(7, device.LOAD_PROFILE)
    assert profile.value(7)[1] == profile.value(8)[1] == makes.INDIA.entries
    profile.write(4, (axdr.DOUBLE_LONG_UNSIGNED, 900), MANAGEMENT)
    assert profile.value(7)[1] == 0


def test_alarms() -> None:
    meter, _ = meter_of(makes.IDIS)
    meter.happen(makes.COVER_OPENED)
    register = meter.find(1, device.ALARM_REGISTER)
    descriptor = meter.find(1, makes.IDIS.descriptor)
    assert register.value(2)[1] == 1 << 13 and descriptor.value(2)[1] == 0
    meter.find(1, device.ALARM_FILTER).put(2, (axdr.DOUBLE_LONG_UNSIGNED, 1 << 13))
    meter.happen(makes.COVER_OPENED)
    assert descriptor.value(2)[1] == 1 << 13


@pytest.mark.parametrize("what", ["shape", "times", "columns", "endless"])
def test_hostile_rows_and_refused_selectors(what: str) -> None:
    meter, time = meter_of(makes.IDIS)
    time.now += 3600
    meter.tick()
    profile = meter.find(7, device.LOAD_PROFILE)
    assert isinstance(profile, ProfileGeneric)
    good = profile.value(2)
    meter.faults.hostile_rows = what
    assert profile.value(2) != good
    meter.faults.refuse_selectors = "ranges"
    with pytest.raises(Exception, match="scope-of-access-violated"):
        profile.selected(RANGE, (axdr.NULL, None))
