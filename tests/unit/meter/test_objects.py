"""What each COSEM object of the virtual meter does, seen from its management client."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dlms import apdu
from gateway.dlms.data import axdr, obis
from gateway.dlms.data.axdr import (
    ARRAY,
    BOOLEAN,
    DOUBLE_LONG_UNSIGNED,
    ENUM,
    INTEGER,
    LONG,
    LONG_UNSIGNED,
    OCTET_STRING,
    STRUCTURE,
    UNSIGNED,
)
from tools.meter import device
from tools.meter.activity_calendar import ActivityCalendar
from tools.meter.clock import Clock, day_matches, in_year
from tools.meter.image import ImageTransfer, make_image
from tools.meter.kinds import Typed
from tools.meter.model import MANAGEMENT, PUBLIC, Meter, Refused
from tools.meter.profile import capture_object


def write(meter: Meter, class_id: int, name: str, index: int, typed: Typed) -> None:
    meter.find(class_id, name).write(index, typed, MANAGEMENT)


def invoke(meter: Meter, class_id: int, name: str, index: int, typed: Typed) -> Typed | None:
    return meter.find(class_id, name).invoke(index, typed, MANAGEMENT)


def refused(call: Any, *args: Any) -> str:
    with pytest.raises(Refused) as caught:
        call(*args)
    return caught.value.result


def octets(text: str) -> Typed:
    return (OCTET_STRING, bytes.fromhex(text))


def test_every_readable_attribute_encodes(meter: Meter) -> None:
    for each in meter.objects.values():
        for index, attribute in each.attributes.items():
            typed = each.value(index)
            assert axdr.decode(axdr.encode(typed)) == typed
            assert attribute.kind.accepts(typed), (each.name, index)


def test_rights_and_types(meter: Meter) -> None:
    alarm = (1, device.ALARM_FILTER, 2)
    write(meter, *alarm, (DOUBLE_LONG_UNSIGNED, 0xF0))
    assert meter.read(*alarm) == (DOUBLE_LONG_UNSIGNED, 0xF0)
    assert refused(write, meter, *alarm, (LONG_UNSIGNED, 1)) == "type-unmatched"
    name = (1, device.LOGICAL_DEVICE_NAME, 2)
    assert refused(write, meter, *name, octets("00")) == "read-write-denied"
    assert refused(write, meter, 1, device.CLOCK, 2, octets("00")) == "object-class-inconsistent"
    assert refused(write, meter, 1, "0.0.99.99.99.255", 2, octets("00")) == "object-undefined"
    assert refused(write, meter, 1, device.ALARM_FILTER, 9, octets("00")) == "object-undefined"
    assert meter.find(1, device.LOGICAL_DEVICE_NAME).read(2, PUBLIC)[1] == b"AMI0000000001"
    found = meter.find(1, device.ALARM_FILTER)
    assert refused(found.read, 2, PUBLIC) == "read-write-denied"
    assert refused(found.write, 2, (DOUBLE_LONG_UNSIGNED, 0), PUBLIC) == "read-write-denied"


def test_energy_grows_with_time(meter: Meter, time: Any) -> None:
    _, before = meter.read(3, device.ENERGY, 2)
    time.now += 3600
    _, after = meter.read(3, device.ENERGY, 2)
    assert 300 <= after - before <= 2400


def test_clock_shows_local_time_and_can_be_set(meter: Meter, time: Any) -> None:
    # 08:00 in UTC-4: the deviation is +240
    shown = meter.read(8, device.CLOCK, 2)
    assert shown == octets("07e9 06 02 01 08 00 00 00 00f0 00")
    write(meter, 8, device.CLOCK, 2, octets("07e9 06 02 ff 09 30 00 ff 8000 00"))
    time.now += 5
    assert meter.read(8, device.CLOCK, 2) == octets("07e9 06 02 01 09 30 05 00 00f0 00")
    bad = octets("07e9 0d 02 ff 09 30 00 ff 8000 00")
    assert refused(write, meter, 8, device.CLOCK, 2, bad) == "other-reason"
    assert refused(write, meter, 8, device.CLOCK, 2, octets("07e9")) == "type-unmatched"
    assert refused(write, meter, 8, device.CLOCK, 4, (UNSIGNED, 0)) == "read-write-denied"
    assert refused(write, meter, 8, device.CLOCK, 8, (UNSIGNED, 1)) == "type-unmatched"
    assert refused(write, meter, 8, device.CLOCK, 3, (LONG, 841)) == "other-reason"
    invoke(meter, 8, device.CLOCK, 6, (LONG, -5))
    assert meter.read(8, device.CLOCK, 2) == octets("07e9 06 02 01 09 30 00 00 00f0 00")


def test_daylight_saving(meter: Meter, time: Any) -> None:
    write(meter, 8, device.CLOCK, 8, (BOOLEAN, True))
    assert meter.read(8, device.CLOCK, 4) == (UNSIGNED, 0)  # June: Chilean winter
    clock = meter.find(8, device.CLOCK)
    assert isinstance(clock, Clock)
    assert not clock.summer(1757217599)  # one second before Sunday, 7 September 2025, 00:00 UTC-4
    assert clock.summer(1757217600)
    assert clock.summer(1775357999)  # one second before Sunday, 5 April 2026, 00:00 UTC-3
    assert not clock.summer(1775358000)
    time.now = 1767225600.0  # 1 January 2026, 00:00 UTC
    assert meter.read(8, device.CLOCK, 2) == octets("07e9 0c 1f 03 15 00 00 00 00b4 80")
    # last Sunday of October, at 2
    write(meter, 8, device.CLOCK, 5, octets("ffff 0a fe 07 02 00 00 00 8000 00"))
    found = in_year(meter.read(8, device.CLOCK, 5)[1], 2025)
    assert found is not None
    assert found.isoformat() == "2025-10-26T02:00:00"
    bad = octets("ffff 0e 01 07 00 00 00 00 8000 00")
    assert refused(write, meter, 8, device.CLOCK, 5, bad) == "other-reason"


def test_dates_with_wildcards() -> None:
    from datetime import date

    last = bytes.fromhex("ffff fffeff"[:9] + "ff")
    assert day_matches(last, date(2024, 2, 29))
    assert not day_matches(last, date(2024, 2, 28))
    christmas = bytes.fromhex("ffff0c19ff")
    assert day_matches(christmas, date(2030, 12, 25))
    assert not day_matches(christmas, date(2030, 12, 24))


def test_profile_captures_at_whole_periods(meter: Meter, time: Any) -> None:
    time.now += 4 * 3600 - 1
    meter.tick()
    assert meter.read(7, device.LOAD_PROFILE, 7) == (DOUBLE_LONG_UNSIGNED, 3)
    time.now += 1
    _, rows = meter.read(7, device.LOAD_PROFILE, 2)
    assert len(rows) == 4
    assert rows[0][1][0] == octets("07e9 06 02 01 09 00 00 00 00f0 00")
    write(meter, 7, device.LOAD_PROFILE, 4, (DOUBLE_LONG_UNSIGNED, 300))
    assert meter.read(7, device.LOAD_PROFILE, 7) == (DOUBLE_LONG_UNSIGNED, 0)
    time.now += 600
    assert meter.read(7, device.LOAD_PROFILE, 7) == (DOUBLE_LONG_UNSIGNED, 2)
    bad = (DOUBLE_LONG_UNSIGNED, 7)
    assert refused(write, meter, 7, device.LOAD_PROFILE, 4, bad) == "other-reason"
    invoke(meter, 7, device.LOAD_PROFILE, 2, (INTEGER, 0))
    assert meter.read(7, device.LOAD_PROFILE, 7) == (DOUBLE_LONG_UNSIGNED, 3)
    invoke(meter, 7, device.LOAD_PROFILE, 1, (INTEGER, 0))
    assert meter.read(7, device.LOAD_PROFILE, 7) == (DOUBLE_LONG_UNSIGNED, 0)


def test_profile_never_outgrows_its_entries(meter: Meter, time: Any) -> None:
    time.now += 5 * 365 * 86400
    assert meter.read(7, device.LOAD_PROFILE, 7) == (DOUBLE_LONG_UNSIGNED, 960)


def test_profile_by_range_and_entry(meter: Meter, time: Any) -> None:
    write(meter, 7, device.LOAD_PROFILE, 4, (DOUBLE_LONG_UNSIGNED, 900))
    time.now += 2 * 3600
    meter.tick()
    profile = meter.find(7, device.LOAD_PROFILE)
    clock = capture_object(8, device.CLOCK, 2)
    start, end = (
        octets("07e9 06 02 ff 08 1e 00 ff 8000 00"),
        octets("07e9 06 02 ff 09 00 00 ff 8000 00"),
    )
    chosen = profile.selected(1, (STRUCTURE, [clock, start, end, (ARRAY, [])]))  # type: ignore[attr-defined]
    assert len(chosen[1]) == 3
    numbers = [(DOUBLE_LONG_UNSIGNED, 2), (DOUBLE_LONG_UNSIGNED, 4)]
    columns = [(LONG_UNSIGNED, 2), (LONG_UNSIGNED, 3)]
    entries = profile.selected(2, (STRUCTURE, numbers + columns))  # type: ignore[attr-defined]
    assert [len(row[1]) for row in entries[1]] == [2, 2, 2]
    assert refused(profile.selected, 2, (STRUCTURE, numbers)) == "type-unmatched"  # type: ignore[attr-defined]


def test_scripts_really_act(meter: Meter) -> None:
    invoke(meter, 9, device.SCRIPTS, 1, (LONG_UNSIGNED, 2))
    assert meter.read(1, device.TARIFF, 2) == (UNSIGNED, 2)
    assert refused(invoke, meter, 9, device.SCRIPTS, 1, (LONG_UNSIGNED, 99)) == "object-undefined"
    wanted = device.script(
        7,
        device.write_action(1, device.ALARM_FILTER, 2, (DOUBLE_LONG_UNSIGNED, 5)),
        device.execute_action(9, device.SCRIPTS, 1, (LONG_UNSIGNED, 1)),
        device.write_action(1, device.LOGICAL_DEVICE_NAME, 2, octets("00")),
    )
    write(meter, 9, device.SCRIPTS, 2, (ARRAY, [*device.factory_scripts(), wanted]))
    call = (invoke, meter, 9, device.SCRIPTS, 1, (LONG_UNSIGNED, 7))
    assert refused(*call) == "read-write-denied"
    assert meter.read(1, device.ALARM_FILTER, 2) == (DOUBLE_LONG_UNSIGNED, 5)
    assert meter.read(1, device.TARIFF, 2) == (UNSIGNED, 1)
    endless = device.script(8, device.execute_action(9, device.SCRIPTS, 1, (LONG_UNSIGNED, 8)))
    write(meter, 9, device.SCRIPTS, 2, (ARRAY, [endless]))
    assert refused(invoke, meter, 9, device.SCRIPTS, 1, (LONG_UNSIGNED, 8)) == "other-reason"
    assert refused(write, meter, 9, device.SCRIPTS, 2, (ARRAY, [(ENUM, 1)])) == "type-unmatched"


def special_day(index: int, date: str, day: int) -> Typed:
    return (STRUCTURE, [(LONG_UNSIGNED, index), octets(date), (UNSIGNED, day)])


def test_special_days(meter: Meter) -> None:
    days = (11, device.SPECIAL_DAYS)
    write(meter, *days, 2, (ARRAY, [special_day(2, "ffff0912ff", 2)]))
    invoke(meter, *days, 1, special_day(1, "ffff0101ff", 2))
    assert [entry[1][0][1] for entry in meter.read(*days, 2)[1]] == [1, 2]
    invoke(meter, *days, 1, special_day(2, "ffff0913ff", 2))
    assert meter.read(*days, 2)[1][1] == special_day(2, "ffff0913ff", 2)
    invoke(meter, *days, 2, (LONG_UNSIGNED, 1))
    assert len(meter.read(*days, 2)[1]) == 1
    assert refused(invoke, meter, *days, 2, (LONG_UNSIGNED, 1)) == "object-undefined"
    twice = (ARRAY, [special_day(1, "ffff0101ff", 2), special_day(1, "ffff0102ff", 2)])
    assert refused(write, meter, *days, 2, twice) == "other-reason"


def new_calendar(week: str = "W1") -> list[Typed]:
    """Tariff 1 from 00:00, tariff 2 from 18:00; day 2 (special) is tariff 1 all day."""

    def action(hour: int, selector: int) -> Typed:
        start = (OCTET_STRING, bytes([hour, 0, 0, 0]))
        table = (OCTET_STRING, obis.parse(device.SCRIPTS))
        return (STRUCTURE, [start, table, (LONG_UNSIGNED, selector)])

    _, seasons, weeks, _ = device.flat_calendar()
    seasons[1][0][1][2] = device.octets(week)
    days = [
        (STRUCTURE, [(UNSIGNED, 1), (ARRAY, [action(0, 1), action(18, 2)])]),
        (STRUCTURE, [(UNSIGNED, 2), (ARRAY, [action(0, 1)])]),
    ]
    return [device.octets("2026"), seasons, weeks, (ARRAY, days)]


def put_passive(meter: Meter, calendar: list[Typed]) -> None:
    for offset, typed in enumerate(calendar):
        write(meter, 20, device.CALENDAR, 6 + offset, typed)


def test_calendar_is_activated_as_a_whole(meter: Meter) -> None:
    assert refused(write, meter, 20, device.CALENDAR, 2, device.octets("x")) == "read-write-denied"
    put_passive(meter, new_calendar())
    assert meter.read(20, device.CALENDAR, 2)[1] == b"FACTORY"
    invoke(meter, 20, device.CALENDAR, 1, (INTEGER, 0))
    for index in range(2, 6):
        assert meter.read(20, device.CALENDAR, index) == new_calendar()[index - 2]


def test_incomplete_calendar_is_not_activated(meter: Meter) -> None:
    put_passive(meter, new_calendar(week="W9"))
    assert refused(invoke, meter, 20, device.CALENDAR, 1, (INTEGER, 0)) == "other-reason"
    assert meter.read(20, device.CALENDAR, 2)[1] == b"FACTORY"


def test_tables_that_make_no_sense_are_refused(meter: Meter) -> None:
    def season(name: str, start: str) -> Typed:
        begins = octets("ffff%sff000000ff8000ff" % start)
        return (STRUCTURE, [(OCTET_STRING, name.encode()), begins, (OCTET_STRING, b"W1")])

    def day(number: int, *times: str) -> Typed:
        script = [octets("00000a0064ff"), (LONG_UNSIGNED, 1)]
        actions = [(STRUCTURE, [octets(time), *script]) for time in times]
        return (STRUCTURE, [(UNSIGNED, number), (ARRAY, actions)])

    week = (STRUCTURE, [(OCTET_STRING, b"W1"), *[(UNSIGNED, 1)] * 7])
    for index, rows in (
        (7, [season("A", "0a01"), season("B", "0401")]),  # not in order
        (7, [season("A", "0401"), season("B", "0401")]),
        (7, [season("A", "0401"), season("A", "0a01")]),
        (7, [season("A", "0d01")]),  # month 13
        (8, [week, week]),
        (9, [day(1, "00000000"), day(1, "00000000")]),
        (9, [day(1, "12000000", "06000000")]),
        (9, [day(1, "19000000")]),  # hour 25
        (9, [day(1, "31383030")]),  # "1800" as text
        (9, [day(1, "ff000000")]),
    ):
        calendar = (20, device.CALENDAR, index)
        assert refused(write, meter, *calendar, (ARRAY, rows)) == "other-reason", (index, rows)
    write(meter, 20, device.CALENDAR, 9, (ARRAY, [day(2, "00000000", "120000ff"), day(1)]))
    special = [(LONG_UNSIGNED, 1), octets("ffff0d01ff"), (UNSIGNED, 1)]
    table = (11, device.SPECIAL_DAYS, 2)
    assert refused(write, meter, *table, (ARRAY, [(STRUCTURE, special)])) == "other-reason"


@pytest.mark.parametrize(("table", "script"), [("00000a0064ff", 9), ("00000a0063ff", 1)])
def test_a_calendar_with_a_script_there_is_not_is_not_activated(
    meter: Meter, table: str, script: int
) -> None:
    action = [octets("00000000"), octets(table), (LONG_UNSIGNED, script)]
    day = (STRUCTURE, [(UNSIGNED, 1), (ARRAY, [(STRUCTURE, action)])])
    put_passive(meter, [*new_calendar()[:3], (ARRAY, [day])])
    assert refused(invoke, meter, 20, device.CALENDAR, 1, (INTEGER, 0)) == "other-reason"
    action[2] = (LONG_UNSIGNED, 0)  # no script
    write(meter, 20, device.CALENDAR, 9, (ARRAY, [day]))
    invoke(meter, 20, device.CALENDAR, 1, (INTEGER, 0))


def test_calendar_is_activated_at_its_time(meter: Meter, time: Any) -> None:
    put_passive(meter, new_calendar())
    write(meter, 20, device.CALENDAR, 10, octets("07e9 06 02 ff 09 00 00 ff 8000 00"))
    time.now += 3599
    assert meter.read(20, device.CALENDAR, 2)[1] == b"FACTORY"
    time.now += 1
    assert meter.read(20, device.CALENDAR, 2)[1] == b"2026"


@pytest.mark.parametrize("tail", ["800000", "8000ff", "00f000"])
def test_calendar_is_activated_at_once_by_a_time_without_any_field(meter: Meter, tail: str) -> None:
    put_passive(meter, new_calendar())
    write(meter, 20, device.CALENDAR, 10, octets("ff" * 9 + tail))
    assert meter.read(20, device.CALENDAR, 2)[1] == b"2026"
    assert meter.read(20, device.CALENDAR, 10)[1] == bytes(12)


def test_calendar_switches_tariffs_and_minds_special_days(meter: Meter, time: Any) -> None:
    put_passive(meter, new_calendar())
    invoke(meter, 20, device.CALENDAR, 1, (INTEGER, 0))
    write(meter, 11, device.SPECIAL_DAYS, 2, (ARRAY, [special_day(1, "07e90603ff", 2)]))
    time.now += 10 * 3600  # 18:00
    assert meter.read(1, device.TARIFF, 2) == (UNSIGNED, 2)
    time.now += 6 * 3600  # midnight
    assert meter.read(1, device.TARIFF, 2) == (UNSIGNED, 1)
    time.now += 18 * 3600  # 18:00 of the special day
    assert meter.read(1, device.TARIFF, 2) == (UNSIGNED, 1)
    calendar = meter.find(20, device.CALENDAR)
    assert isinstance(calendar, ActivityCalendar)


def test_monitor_executes_the_script_of_the_crossing(meter: Meter, time: Any) -> None:
    none = (STRUCTURE, [(OCTET_STRING, obis.parse(device.SCRIPTS)), (LONG_UNSIGNED, 4)])
    up = (STRUCTURE, [(OCTET_STRING, obis.parse(device.SCRIPTS)), (LONG_UNSIGNED, 3)])
    write(meter, 21, device.MONITOR, 2, (ARRAY, [(LONG_UNSIGNED, 2450)]))
    write(meter, 21, device.MONITOR, 4, (ARRAY, [(STRUCTURE, [up, none])]))
    for volts, alarm in ((2300, 0), (2451, 16), (2452, 16), (2450, 0)):
        meter.find(3, device.VOLTAGE).put(2, (LONG_UNSIGNED, volts))
        time.now += 1
        assert meter.read(1, device.ALARM_REGISTER, 2) == (DOUBLE_LONG_UNSIGNED, alarm)
    wrong = (ARRAY, [(DOUBLE_LONG_UNSIGNED, 2450)])
    assert refused(write, meter, 21, device.MONITOR, 2, wrong) == "type-unmatched"


def initiate(meter: Meter, image: bytes) -> None:
    size = (DOUBLE_LONG_UNSIGNED, len(image))
    invoke(meter, 18, device.IMAGE, 1, (STRUCTURE, [(OCTET_STRING, b"image"), size]))


def send_block(meter: Meter, image: bytes, number: int) -> None:
    block = (OCTET_STRING, image[number * 200 : number * 200 + 200])
    invoke(meter, 18, device.IMAGE, 2, (STRUCTURE, [(DOUBLE_LONG_UNSIGNED, number), block]))


def test_image_is_held_verified_and_activated(meter: Meter, time: Any) -> None:
    image = make_image("AMI-E450", "V03.00.00", bytes(range(250)) * 3)
    transfer = meter.find(18, device.IMAGE)
    assert isinstance(transfer, ImageTransfer)
    transfer.verify_s, transfer.activate_s = 10, 10
    initiate(meter, image)
    blocks = -(-len(image) // 200)
    for number in range(blocks):
        if number != 1:
            send_block(meter, image, number)
    assert meter.read(18, device.IMAGE, 4) == (DOUBLE_LONG_UNSIGNED, 1)
    assert meter.read(18, device.IMAGE, 3)[1] == "10" + "1" * (blocks - 2)
    assert refused(invoke, meter, 18, device.IMAGE, 3, (INTEGER, 0)) == "other-reason"
    send_block(meter, image, 1)
    assert refused(send_block, meter, image + bytes(200), blocks) == "data-block-unavailable"
    assert bytes(transfer.image) == image
    assert refused(invoke, meter, 18, device.IMAGE, 4, (INTEGER, 0)) == "other-reason"
    for method, busy, done in ((3, 2, 3), (4, 5, 6)):
        call = (invoke, meter, 18, device.IMAGE, method, (INTEGER, 0))
        assert refused(*call) == "temporary-failure"
        assert meter.read(18, device.IMAGE, 6) == (ENUM, busy)
        time.now += 10
        assert meter.read(18, device.IMAGE, 6) == (ENUM, done)
        invoke(*call[1:])
    assert meter.read(18, device.IMAGE, 7)[1][0][1][0] == (DOUBLE_LONG_UNSIGNED, len(image))
    assert meter.read(1, device.FIRMWARE, 2)[1] == b"V03.00.00"


@pytest.mark.parametrize("spoil", ["model", "body"])
def test_a_wrong_image_is_not_activated(meter: Meter, spoil: str) -> None:
    image = make_image("OTHER" if spoil == "model" else "AMI-E450", "V03.00.00", bytes(100))
    if spoil == "body":
        image = image[:-1] + b"\x01"
    initiate(meter, image)
    send_block(meter, image, 0)
    assert refused(invoke, meter, 18, device.IMAGE, 3, (INTEGER, 0)) == "other-reason"
    assert meter.read(18, device.IMAGE, 6) == (ENUM, 4)
    assert refused(invoke, meter, 18, device.IMAGE, 4, (INTEGER, 0)) == "other-reason"
    assert meter.read(1, device.FIRMWARE, 2)[1] == b"V02.10.01"


def test_keys_come_wrapped_with_the_master_key(meter: Meter) -> None:
    from cryptography.hazmat.primitives.keywrap import aes_key_wrap

    from tools.meter.association import SecuritySetup

    security = meter.find(64, device.SECURITY)
    assert isinstance(security, SecuritySetup)
    master = device.derive_test_keys(7, meter.serial).master
    wrapped = aes_key_wrap(master, b"\x42" * 16)

    def transfer(data: bytes) -> None:
        entry = (STRUCTURE, [(ENUM, 0), (OCTET_STRING, data)])
        invoke(meter, 64, device.SECURITY, 2, (ARRAY, [entry]))

    assert refused(transfer, wrapped[:-1] + b"\x00") == "other-reason"
    old = security.ek
    transfer(wrapped)
    assert security.ek == old
    security.apply_new_keys()
    assert security.ek == b"\x42" * 16


def test_object_list_tells_the_rights(meter: Meter) -> None:
    def rights(client: int) -> dict[tuple[int, bytes], dict[int, int]]:
        return {
            (row[1][0][1], row[1][2][1]): {
                right[1][0][1]: right[1][1][1] for right in row[1][3][1][0][1]
            }
            for row in meter.associations[client].value(2)[1]
        }

    management = rights(MANAGEMENT)
    assert management[7, obis.parse(device.LOAD_PROFILE)][4] == 3
    assert management[7, obis.parse(device.LOAD_PROFILE)][7] == 1
    assert management[15, obis.parse("0.0.40.0.0.255")][7] == 2
    public = rights(PUBLIC)
    assert public[8, obis.parse(device.CLOCK)][2] == 1
    assert (9, obis.parse(device.SCRIPTS)) not in public


# ---------------------------------------------------------------- classes 4, 5, 17, 22, 40, 70, 71


def pass_time(meter: Meter, time: Any, seconds: int) -> None:
    time.now += seconds
    meter.tick()


def test_an_open_switch_stops_the_energy(meter: Meter, time: Any) -> None:
    supply = (70, device.SUPPLY)
    pass_time(meter, time, 3600)
    before = meter.read(3, device.ENERGY, 2)[1]
    invoke(meter, *supply, 1, (INTEGER, 0))
    assert meter.read(*supply, 2) == (BOOLEAN, False) and meter.read(*supply, 3) == (ENUM, 0)
    pass_time(meter, time, 7200)
    assert meter.read(3, device.ENERGY, 2)[1] == before
    invoke(meter, *supply, 2, (INTEGER, 0))
    assert meter.read(*supply, 2) == (BOOLEAN, True)
    pass_time(meter, time, 3600)
    assert meter.read(3, device.ENERGY, 2)[1] > before
    # mode 1: a person has to close it; mode 0: it never opens
    write(meter, *supply, 4, (ENUM, 1))
    invoke(meter, *supply, 1, (INTEGER, 0))
    invoke(meter, *supply, 2, (INTEGER, 0))
    assert meter.read(*supply, 3) == (ENUM, 2) and meter.read(*supply, 2) == (BOOLEAN, False)
    meter.lose_state()
    write(meter, *supply, 4, (ENUM, 0))
    invoke(meter, *supply, 1, (INTEGER, 0))
    assert meter.read(*supply, 3) == (ENUM, 1)


def test_demand_and_its_maximum(meter: Meter, time: Any) -> None:
    demand, maximum = (5, device.DEMAND), (4, device.MAXIMUM_DEMAND)
    assert meter.read(*maximum, 2) == (DOUBLE_LONG_UNSIGNED, 0)
    pass_time(meter, time, 450)
    half = meter.read(*demand, 2)[1]
    pass_time(meter, time, 450)
    load = meter.read(*demand, 3)[1]
    assert load > 300 and half in (load // 2, load // 2 + 1)
    assert meter.read(*maximum, 2)[1] == load
    when = meter.read(*maximum, 5)
    invoke(meter, 70, device.SUPPLY, 1, (INTEGER, 0))
    pass_time(meter, time, 900)
    assert meter.read(*demand, 3)[1] == 0
    assert meter.read(*maximum, 2)[1] == load and meter.read(*maximum, 5) == when
    invoke(meter, *maximum, 1, (INTEGER, 0))
    invoke(meter, *demand, 1, (INTEGER, 0))
    assert meter.read(*maximum, 2)[1] == 0
    assert len(meter.read(*demand, 7)[1]) == 12


def test_the_limiter_executes_its_scripts(meter: Meter, time: Any) -> None:
    script = device.script(
        9, device.write_action(1, device.ALARM_FILTER, 2, (DOUBLE_LONG_UNSIGNED, 77))
    )
    write(meter, 9, device.SCRIPTS, 2, (ARRAY, [script]))
    limiter = (71, device.LIMITER)
    over = (STRUCTURE, [(OCTET_STRING, obis.parse(device.SCRIPTS)), (LONG_UNSIGNED, 9)])
    under = (STRUCTURE, [(OCTET_STRING, bytes(6)), (LONG_UNSIGNED, 0)])
    write(meter, *limiter, 11, (STRUCTURE, [over, under]))
    pass_time(meter, time, 1800)
    assert meter.read(1, device.ALARM_FILTER, 2)[1] == 0
    write(meter, *limiter, 4, (DOUBLE_LONG_UNSIGNED, 10))
    assert meter.read(*limiter, 3) == (DOUBLE_LONG_UNSIGNED, 10)
    pass_time(meter, time, 1)
    assert meter.read(1, device.ALARM_FILTER, 2)[1] == 0  # not long enough yet
    pass_time(meter, time, 60)
    assert meter.read(1, device.ALARM_FILTER, 2)[1] == 77


def test_a_single_action_is_executed_at_its_time(meter: Meter, time: Any) -> None:
    schedule = (22, device.SCHEDULE)
    script = device.script(
        1, device.write_action(1, device.ALARM_FILTER, 2, (DOUBLE_LONG_UNSIGNED, 5))
    )
    write(meter, 9, device.SCRIPTS, 2, (ARRAY, [script]))
    half_past_eight = (STRUCTURE, [octets("081e0000"), octets("ffff060fff")])
    write(meter, *schedule, 4, (ARRAY, [half_past_eight]))  # of every 15 June
    pass_time(meter, time, 3600)
    assert meter.read(1, device.ALARM_FILTER, 2)[1] == 0
    today = (STRUCTURE, [octets("091e0000"), octets("ffffff02ff")])
    write(meter, *schedule, 4, (ARRAY, [half_past_eight, today]))
    pass_time(meter, time, 3600)
    assert meter.read(1, device.ALARM_FILTER, 2)[1] == 5


def test_a_push_holds_its_objects(meter: Meter) -> None:
    setup = meter.find(40, device.PUSH)
    invoke(meter, 40, device.PUSH, 1, (INTEGER, 0))
    pushed = apdu.decode(setup.waiting[0])  # type: ignore[attr-defined]
    clock, energy = axdr.decode(pushed.data)[1]
    assert clock == meter.read(8, device.CLOCK, 2)
    assert energy == meter.read(3, device.ENERGY, 2)


def test_sap_assignment(meter: Meter) -> None:
    rows = meter.find(17, device.SAPS).read(2, PUBLIC)
    assert axdr.to_values(rows) == [[1, meter.serial.encode()]]


def test_slow_verification_is_a_fault(meter: Meter, time: Any) -> None:
    image = make_image(meter.model, "V09", bytes(100))
    transfer = (18, device.IMAGE)
    meter.faults.slow_verify_s = 30
    start = [(OCTET_STRING, b"V09"), (DOUBLE_LONG_UNSIGNED, len(image))]
    invoke(meter, *transfer, 1, (STRUCTURE, start))
    for number in range(-(-len(image) // 200)):
        block = image[number * 200 : number * 200 + 200]
        fields = [(DOUBLE_LONG_UNSIGNED, number), (OCTET_STRING, block)]
        invoke(meter, *transfer, 2, (STRUCTURE, fields))
    assert refused(invoke, meter, *transfer, 3, (INTEGER, 0)) == "temporary-failure"
    pass_time(meter, time, 29)
    assert refused(invoke, meter, *transfer, 3, (INTEGER, 0)) == "temporary-failure"
    pass_time(meter, time, 1)
    invoke(meter, *transfer, 3, (INTEGER, 0))
    assert meter.read(*transfer, 6) == (ENUM, 3)
