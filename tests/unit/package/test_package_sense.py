"""Packages that are well written and mean nothing: what is said of each, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.cosem.source import Problems
from tools.package.__main__ import EXAMPLES
from tools.package.compile import compile_file

HEAD = """\
name: test
version: "1"
for: [{model: AMI-E450}]
permits: [switch, billing]
meter: {}
steps:
"""
SCRIPT = "{octet-string: {obis: 0.0.10.0.100.255}}, {long-unsigned: %d}"


def problems(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "test.yaml"
    path.write_text(text)
    try:
        compile_file(path)
    except Problems as found:
        return [str(problem).replace(str(path), "test.yaml") for problem in found.problems]
    return []


def write(member: str, value: str) -> str:
    return "  - write: %s\n    value: %s\n" % (member, value)


def changed(name: str, *changes: tuple[str, str]) -> str:
    text = (EXAMPLES / (name + ".yaml")).read_text()
    for old, new in changes:
        assert text.count(old), old
        text = text.replace(old, new, 1)
    return text


# ---------------------------------------------------------------- the calendar of the examples

CALENDARS = [
    (
        [
            (
                "            - octet-string: PEAK\n            - unsigned: 1",
                "            - octet-string: PEAK\n            - unsigned: 7",
            )
        ],
        "expected one of the days 1, 2, got 7 (at steps[6].value.array[0].structure[1])",
    ),
    (
        [
            (
                '{date-time: "*-04-01 00:00:00"}\n            - octet-string: PEAK',
                '{date-time: "*-04-01 00:00:00"}\n            - octet-string: PEEK',
            )
        ],
        'expected one of the weeks "PEAK", "FLAT", got "PEEK"'
        " (at steps[7].value.array[0].structure[2])",
    ),
    (
        [("- long-unsigned: 2\n", "- long-unsigned: 9\n")],
        "expected one of the scripts 1, 2, 3, 4 of 0.0.10.0.100.255, got 9"
        " (at steps[5].value.array[0].structure[1].array[1].structure[2])",
    ),
    (
        [('{time: "22:00"}', '{time: "06:00"}')],
        "expected the times of a day in their order, got 06:00:00 after 18:00:00"
        " (at steps[5].value.array[0].structure[1].array[2].structure[0])",
    ),
    (
        [('{time: "22:00"}', '{time: "18:00"}')],
        "got 18:00:00 after 18:00:00",
    ),
    (
        [
            (
                '"*-04-01 00:00:00"}\n            - octet-string: PEAK',
                '"*-10-02 00:00:00"}\n            - octet-string: PEAK',
            )
        ],
        "expected seasons in the order of their starts, got *-10-01 00:00:00 after *-10-02",
    ),
    (
        [
            (
                '"*-04-01 00:00:00"}\n            - octet-string: PEAK',
                '"2027-04-01 00:00:00"}\n            - octet-string: PEAK',
            )
        ],
        "expected all seasons with a year or none",
    ),
    (
        [
            (
                '"*-04-01 00:00:00"}\n            - octet-string: PEAK',
                '"*-*-01 00:00:00"}\n            - octet-string: PEAK',
            )
        ],
        "expected a month and a day for the start of one season among several",
    ),
    (
        [
            (
                "            - unsigned: 2\n            - array:",
                "            - unsigned: 1\n            - array:",
            )
        ],
        "expected each day once, got 1 a second time",
    ),
    ([("- octet-string: FLAT\n", "- octet-string: PEAK\n")], "expected each week once"),
    ([("- octet-string: SUMMER\n", "- octet-string: WINTER\n")], "expected each season once"),
    (
        [('{octet-string: {time: "18:00"}}'[1:-1], 'octet-string: "18:00"')],
        'expected a time ({time: "18:00"}), got octet-string "18:00": it has 5 octets, not 4',
    ),
    (
        [('octet-string: {time: "18:00"}', 'octet-string: "1800"')],
        "hour 49 in a date or time",
    ),
    ([('octet-string: {time: "18:00"}', "octet-string: 0xff000000")], "have to be given"),
    (
        [
            (
                "            - octet-string: FLAT\n            - unsigned: 2\n",
                "            - octet-string: FLAT\n",
            )
        ],
        "expected structure {week_profile_name, monday, tuesday",
    ),
    (
        [
            (
                '{octet-string: {date: "*-12-25"}}, {unsigned: 2}',
                '{octet-string: {date: "*-12-25"}}, {unsigned: 5}',
            )
        ],
        "expected one of the day profiles 1, 2, got 5",
    ),
    (
        [("{long-unsigned: 5}, {oct", "{long-unsigned: 4}, {oct")],
        "expected numbers that rise, got 4",
    ),
    ([('{date: "*-12-25"}', '{date: "*-09-19"}')], "expected each date once"),
    ([('{date: "*-12-25"}', '{date: "*-*-*"}')], "expected a month or a day, got *-*-*: every day"),
    (
        [
            (
                "  - read: activity_calendar 0.0.13.0.0.255 week_profile_table_active\n"
                "    equals: *weeks\n",
                "",
            )
        ],
        "expected week_profile_table_active in `verify:` with this value: a meter with a calendar"
        " of this name would not activate it, and keep the old one",
    ),
    (
        [("    equals: *weeks\n", "    equals: {array: []}\n")],
        "expected the value written to week_profile_table_passive, got another one",
    ),
    (
        [('"*-09-02-sun 00:00:00"', '"*-04-02-sun 00:00:00"')],
        "expected summer time to end at another",
    ),
    ([('"*-09-02-sun 00:00:00"', '"*-*-02-sun 00:00:00"')], "expected a month and a day on which"),
    (
        [("{integer: 60}", "{integer: 125}")],
        "expected minutes (integer -120..120), got integer 125",
    ),
]


@pytest.mark.parametrize(("changes", "said"), CALENDARS)
def test_nonsense_in_the_calendar(tmp_path: Path, changes, said: str) -> None:
    found = problems(tmp_path, changed("tariff-calendar", *changes))
    assert any(said in line for line in found), found


def test_a_calendar_is_written_before_it_is_activated(tmp_path: Path) -> None:
    text = changed("tariff-calendar")
    start, end = text.index("  - call:"), text.index("\nverify:")
    call = text[start:end].replace("*calendar", "{octet-string: CHILE-2027.1}")
    before = text.index("  # seasons")
    text = text[:before] + call + "\n" + text[before:start] + text[end:]
    found = problems(tmp_path, text)
    assert any(
        "expected season_profile_passive before activate_passive_calendar" in f for f in found
    )


# ---------------------------------------------------------------- other classes


def action(service: str = "1", class_id: str = "1", index: str = "2", parameter: str = "") -> str:
    return (
        "{structure: [{enum: %s}, {long-unsigned: %s}, {octet-string: {obis: 0.0.96.14.0.255}}, "
        "{integer: %s}, %s]}" % (service, class_id, index, parameter or "{unsigned: 1}")
    )


def script(number: int, *actions: str) -> str:
    return "{structure: [{long-unsigned: %d}, {array: [%s]}]}" % (number, ", ".join(actions))


def execute(number: int, table: str = "0.0.10.0.100.255") -> str:
    return (
        "{structure: [{enum: 2}, {long-unsigned: 9}, {octet-string: {obis: %s}}, {integer: 1},"
        " {long-unsigned: %d}]}" % (table, number)
    )


SCRIPTS = "script_table 0.0.10.0.100.255 scripts"
MONITOR = "register_monitor 0.0.16.1.0.255 "
SCHEDULE = "single_action_schedule 0.0.15.0.1.255 "
PUSH = "push_setup 0.0.25.9.0.255 "
LIMITER = "limiter 0.0.17.0.0.255 "
PAIR = "{structure: [{structure: [" + SCRIPT % 3 + "]}, {structure: [" + SCRIPT + "]}]}"
COLUMN = (
    "{structure: [{long-unsigned: %d}, {octet-string: {obis: %s}}, {integer: %d},"
    " {long-unsigned: 0}]}"
)
PROFILE = "profile_generic 1.0.99.1.0.255 "
TIME = '{structure: [{octet-string: {time: "%s"}}, {octet-string: {date: "%s"}}]}'
MOMENT = '{octet-string: {date-time: "%s 00:00"}}'
WINDOW = "{structure: [%s, %s]}" % (MOMENT, MOMENT)

OTHERS = [
    # script tables
    (
        write(SCRIPTS, "{array: [%s, %s]}" % (script(1), script(1))),
        "expected each script once, got 1",
    ),
    (write(SCRIPTS, "{array: [%s]}" % script(0)), "expected a script from 1 on (0 means none)"),
    (
        write(SCRIPTS, "{array: [%s]}" % script(1, action("3"))),
        "expected enum (1 write attribute, 2",
    ),
    (
        write(SCRIPTS, "{array: [%s]}" % script(1, action(index="7"))),
        "expected attribute 1..2 of data",
    ),
    (
        write(SCRIPTS, "{array: [%s]}" % script(1, action("2", "20", "2", "{integer: 0}"))),
        "expected method 1..1 of activity_calendar, got 2",
    ),
    (
        write(SCRIPTS, "{array: [%s]}" % script(1, action("1", "8", "3", "{unsigned: 1}"))),
        "expected minutes to UTC (long -720..840), got unsigned 1 (at steps[0].value.array[0]"
        ".structure[1].array[0].structure[4])",
    ),
    (write(SCRIPTS, "{array: [%s]}" % script(1, execute(2))), "expected one of the scripts 1 of"),
    (write(SCRIPTS, "{array: [%s]}" % script(1, execute(1))), "got 1, which executes itself"),
    (
        write(
            SCRIPTS,
            "{array: [%s]}" % script(1, execute(1).replace("{long-unsigned: 1}]", "{array: []}]")),
        ),
        "expected long-unsigned, got array []",
    ),
    (
        write(SCRIPTS, "{array: [%s, %s]}" % (script(1, execute(2)), script(2, execute(1)))),
        "got 2, which executes itself",
    ),
    (
        write(SCRIPTS, "{array: [%s]}" % script(1, execute(1, "0.0.10.0.108.255"))),
        "so say `meter: {scripts: {0.0.10.0.108.255: [1]}}` if the meter has it",
    ),
    (
        "  - call: script_table 0.0.10.0.100.255 execute\n    parameter: {long-unsigned: 8}\n"
        "    until: {read: data 0.0.96.14.0.255 value, equals: {unsigned: 1}}\n",
        "expected one of the scripts 1, 2, 3, 4 of 0.0.10.0.100.255, got 8 (at steps[0].parameter)",
    ),
    (
        "  - call: script_table 0.0.10.0.100.255 execute\n    parameter: {unsigned: 1}\n"
        "    until: {read: data 0.0.96.14.0.255 value, equals: {unsigned: 1}}\n",
        "expected long-unsigned, got unsigned 1 (at steps[0].parameter)",
    ),
    # register monitors
    (
        write(MONITOR + "thresholds", "{array: [{long-unsigned: 2420}, {long-unsigned: 2530}]}")
        + write(MONITOR + "actions", "{array: [%s]}" % (PAIR % 0)),
        "expected an action set for each of the 2 thresholds, got 1",
    ),
    (
        write(MONITOR + "thresholds", "{array: [{long-unsigned: 2420}, {long: 5}]}"),
        "expected long-unsigned as the first threshold, got long 5",
    ),
    (
        write(MONITOR + "thresholds", "{array: [{octet-string: 242 V}]}"),
        "expected a number, got octet",
    ),
    (
        write(MONITOR + "actions", "{array: [%s]}" % (PAIR % 12)),
        "got 12 (at steps[0].value.array[0].structure[1].structure[1])",
    ),
    (
        write(
            MONITOR + "monitored_value",
            "{structure: [{long-unsigned: 3}, {octet-string: {obis: "
            "1.0.32.7.0.255}}, {integer: 9}]}",
        ),
        "expected attribute 1..3 of register, got 9",
    ),
    (
        write(
            MONITOR + "monitored_value",
            '{structure: [{long-unsigned: 3}, {octet-string: "1.0.32.7.0.255"}, {integer: 2}]}',
        ),
        "expected a logical name",
    ),
    (
        write(
            MONITOR + "monitored_value",
            "{structure: [{long-unsigned: 8}, {octet-string: {obis: 0.0.1.0.0.255}}, "
            "{integer: 2}]}",
        ),
        "expected a number to watch, got time, which is a date-time",
    ),
    # single action schedules
    (
        write(SCHEDULE + "executed_script", "{structure: [%s]}" % (SCRIPT % 77)),
        "expected one of the scripts 1, 2, 3, 4 of 0.0.10.0.100.255, got 77",
    ),
    (write(SCHEDULE + "type", "{enum: 6}"), "expected enum (1 once"),
    (
        write(SCHEDULE + "type", "{enum: 1}")
        + write(
            SCHEDULE + "execution_time",
            "{array: [%s, %s]}" % (TIME % ("00:00", "*-*-01"), TIME % ("00:00", "*-*-02")),
        ),
        "expected one execution for type 1, got 2",
    ),
    (
        write(SCHEDULE + "type", "{enum: 3}")
        + write(
            SCHEDULE + "execution_time",
            "{array: [%s, %s]}" % (TIME % ("00:00", "*-*-01"), TIME % ("01:00", "*-*-02")),
        ),
        "expected 00:00:00 as the first for type 3, got 01:00:00",
    ),
    (
        write(SCHEDULE + "type", "{enum: 4}")
        + write(SCHEDULE + "execution_time", "{array: [%s]}" % (TIME % ("00:00", "*-*-01"))),
        "expected a date without wildcards for type 4, got *-*-01",
    ),
    (
        write(
            SCHEDULE + "execution_time",
            "{array: [{structure: [{octet-string: {date: "
            '"*-*-01"}}, {octet-string: {time: "00:00"}}]}]}',
        ),
        "expected a time",
    ),
    # push setups
    (
        write(PUSH + "push_object_list", "{array: [%s]}" % (COLUMN % (8, "0.0.1.0.0.255", 12))),
        "expected attribute 1..9 of clock, got 12",
    ),
    (
        write(
            PUSH + "communication_window", "{array: [%s]}" % (WINDOW % ("2027-02-01", "2027-01-01"))
        ),
        "expected an end after the start 2027-02-01 00:00:00, got 2027-01-01 00:00:00",
    ),
    (
        write(
            PUSH + "communication_window",
            '{array: [{structure: [{octet-string: "22:00"}, {octet-string: "04:00"}]}]}',
        ),
        "expected a date-time",
    ),
    (
        write(PUSH + "send_destination_and_method", "{structure: [{octet-string: a}, {enum: 0}]}"),
        "expected structure {transport_service, destination, message}",
    ),
    (write(PUSH + "repetition_delay", "{unsigned: 1}"), "expected long-unsigned"),
    # limiter, disconnect control
    (
        write(LIMITER + "threshold_normal", "{double-long-unsigned: 9200}")
        + write(LIMITER + "threshold_emergency", "{long-unsigned: 3000}"),
        "expected double-long-unsigned as threshold_normal, got long-unsigned",
    ),
    (write(LIMITER + "threshold_normal", "{visible-string: much}"), "expected a number"),
    (write(LIMITER + "actions", PAIR % 9), "got 9 (at steps[0].value.structure[1].structure[1])"),
    (
        write(
            LIMITER + "emergency_profile",
            "{structure: [{long-unsigned: 1}, {octet-string: soon}, {double-long-unsigned: 60}]}",
        ),
        "expected a date-time",
    ),
    (
        write(
            LIMITER + "emergency_profile_group_id_list",
            "{array: [{long-unsigned: 1}, {long-unsigned: 1}]}",
        ),
        "expected each group once",
    ),
    (
        write("disconnect_control 0.0.96.3.10.255 control_mode", "{enum: 9}"),
        "a control mode (enum 0..6)",
    ),
    # profiles
    (
        write(PROFILE + "capture_objects", "{array: [%s]}" % (COLUMN % (3, "1.0.1.8.0.255", 8))),
        "expected attribute 1..3 of register, got 8",
    ),
    (
        write(
            PROFILE + "capture_objects",
            "{array: [%s, %s]}" % ((COLUMN % (3, "1.0.1.8.0.255", 2),) * 2),
        ),
        "expected each column once",
    ),
    (
        write(PROFILE + "capture_objects", "{array: [%s]}" % (COLUMN % (7, "1.0.99.1.0.255", 2))),
        "expected a column that is not the profile's own buffer",
    ),
    (
        write(PROFILE + "capture_period", "{double-long-unsigned: 7}"),
        "expected one of the periods 0, 60",
    ),
    (write(PROFILE + "sort_method", "{enum: 0}"), "expected enum (1 fifo"),
    (write(PROFILE + "profile_entries", "{double-long-unsigned: 0}"), "at least 1"),
    # clocks, special days
    (
        write("clock 0.0.1.0.0.255 time", '{octet-string: {date-time: "2027-01-01 00:00"}}'),
        "expected no write of a clock's time",
    ),
    (write("clock 0.0.1.0.0.255 time_zone", "{long: 2000}"), "expected minutes to UTC"),
    (
        "  - call: clock 0.0.1.0.0.255 shift_time\n    parameter: {long: 3600}\n"
        "    until: {read: clock 0.0.1.0.0.255 status, equals: {unsigned: 0}}\n",
        "expected seconds (long -900..900), got long 3600 (at steps[0].parameter)",
    ),
    (
        "  - call: special_days_table 0.0.11.0.0.255 insert\n    parameter: {structure: "
        '[{long-unsigned: 1}, {octet-string: {date: "*-12-25"}}, {unsigned: 2}]}\n'
        "    until: {read: special_days_table 0.0.11.0.0.255 entries, equals: {array: []}}\n",
        "so say `meter: {days: [2]}` if the meter has it (at steps[0].parameter.structure[2])",
    ),
    (
        write(
            "activity_calendar 0.0.13.0.0.255 activate_passive_calendar_time",
            '{octet-string: {date-time: "2027-*-01 00:00"}}',
        ),
        "expected a moment without wildcards",
    ),
    (
        write(
            "activity_calendar 0.0.13.0.0.255 season_profile_passive",
            "{array: [{structure: [{octet-string: S}, %s, {octet-string: W}]}]}"
            % (MOMENT % "*-01-01"),
        ),
        'so say `meter: {weeks: ["W"]}` if the meter has it',
    ),
    (
        "  - call: activity_calendar 0.0.13.0.0.255 activate_passive_calendar\n"
        "    parameter: {unsigned: 1}\n"
        "    until: {read: data 0.0.96.14.0.255 value, equals: {unsigned: 1}}\n",
        "expected integer 0 or null-data, got unsigned 1",
    ),
    (
        write(SCRIPTS, "{array: [%s]}" % ", ".join(script(n) for n in range(1, 66))),
        "expected at most 64 elements, got 65",
    ),
]


@pytest.mark.parametrize(("steps", "said"), OTHERS)
def test_nonsense_in_other_classes(tmp_path: Path, steps: str, said: str) -> None:
    found = problems(tmp_path, HEAD + steps)
    assert any(said in line for line in found), found


RIGHT = [
    write(MONITOR + "actions", "{array: [%s]}" % (PAIR % 0)),  # 0: no script
    write(SCHEDULE + "type", "{enum: 5}")
    + write(SCHEDULE + "execution_time", "{array: [%s]}" % (TIME % ("00:00", "*-*-01"))),
    write(PUSH + "push_object_list", "{array: [%s]}" % (COLUMN % (40, "0.0.25.9.0.255", 1))),
    write(PUSH + "communication_window", "{array: [%s]}" % (WINDOW % ("*-*-*", "*-*-*"))),
    write("class 99 0.0.1.0.0.255 2".replace("class ", ""), "{array: [{unsigned: 1}]}"),
    write(
        LIMITER + "emergency_profile",
        "{structure: [{long-unsigned: 0}, {octet-string: 0x"
        + "00" * 12
        + "}, {double-long-unsigned: 0}]}",
    ),
]


@pytest.mark.parametrize("steps", RIGHT)
def test_what_means_something_passes(tmp_path: Path, steps: str) -> None:
    assert problems(tmp_path, HEAD + steps) == []


def test_what_the_meter_has_is_told(tmp_path: Path) -> None:
    special = write(
        "special_days_table 0.0.11.0.0.255 entries",
        '{array: [{structure: [{long-unsigned: 1}, {octet-string: {date: "*-12-25"}}, '
        "{unsigned: 2}]}]}",
    )
    execute = (
        "  - call: script_table 0.0.10.0.108.255 execute\n    parameter: {long-unsigned: 1}\n"
        "    until: {read: data 0.0.96.14.0.255 value, equals: {unsigned: 1}}\n"
    )
    assert len(problems(tmp_path, HEAD + special + execute)) == 2
    told = "meter: {days: [1, 2], scripts: {0.0.10.0.108.255: [1]}, tariffs: {a: 1}, weeks: [W]}"
    assert problems(tmp_path, HEAD.replace("meter: {}", told) + special + execute) == []
    (problem,) = problems(tmp_path, HEAD.replace("meter: {}", "meter: {days: [300]}") + special)
    assert "expected a day profile (a whole number 0..255), got '300' (at meter.days[0])" in problem


def test_a_model_that_tells_of_no_scripts_has_none(tmp_path: Path) -> None:
    text = HEAD.replace("steps:", "model: idis\nsteps:") + write(
        SCHEDULE + "executed_script", "{structure: [%s]}" % (SCRIPT % 1)
    )
    (problem,) = problems(tmp_path, text)
    assert "so say `meter: {scripts: {0.0.10.0.100.255: [1]}}`" in problem
