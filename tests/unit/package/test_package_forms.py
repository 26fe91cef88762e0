"""Forms: what people write becomes the COSEM they mean, and is shown as they wrote it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given

from gateway.contract.model import OWN
from gateway.contract.package import Action, Package, Set
from gateway.dlms.data import obis
from tests.unit.package.test_package_calendars import FEW, sensible
from tests.unit.package.test_package_on_meter import carry_out, holds, new_meter
from tools.cosem.source import Problems
from tools.package import held
from tools.package.__main__ import EXAMPLES, main
from tools.package.calendar import Calendar
from tools.package.compile import compile_file
from tools.package.forms import hours, tariff
from tools.package.forms.all import FORMS
from tools.package.forms.words import Words
from tools.package.model import file
from tools.package.opened import values_of
from tools.package.plan import Plan

HEAD = 'name: test\nversion: "1"\nfor: [{model: AMI-E450}]\n'
TARIFF = """\
tariff:
  name: CHILE-2027.1
  seasons:
    WINTER: {from: 04-01, week: PEAK}
    SUMMER: {from: 10-01, week: FLAT}
  weeks:
    PEAK: {mon-fri: working, sat-sun: quiet}
    FLAT: {every: quiet}
  days:
    working: {00:00: normal, 18:00: peak, 22:00: normal}
    quiet: {00:00: normal}
  holidays: {01-01: quiet, 05-01: quiet, 09-18: quiet, 09-19: quiet, 12-25: quiet}
"""
CLOCK = """\
clock:
  summer: {begin: "*-09-02-sun 00:00", end: "*-04-02-sun 00:00", shift: 60 min}
"""
ALARMS = """\
alarms: [undervoltage, Cover Opened]
limits:
  monitor:
    watch: register 1.0.32.7.0.255 value
    table: 0.0.10.0.100.255
    thresholds: [{at: 2420, up: 3, down: 4}]
"""
LIMITER = """\
permits: [switch]
limits:
  limiter:
    normal: 9200
    emergency: 3000
    over: 1 min
    under: 5 min
    scripts: {table: 0.0.10.0.100.255, over: 1, under: none}
"""


def compiled(tmp_path: Path, text: str) -> Package:
    path = tmp_path / "test.yaml"
    path.write_text(text)
    return compile_file(path)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(Problems) as caught:
        compiled(tmp_path, text)
    return [str(problem).partition("test.yaml:")[2] for problem in caught.value.problems]


def words() -> Words:
    plan = Plan()
    tables = file.find(OWN).tables
    plan.held = held.of_tables(tables)
    return Words(plan, tables)


def effects(package: Package) -> tuple[set, list, set]:
    """What it does, whatever the order of its writes."""
    sets = {tuple(step.to_array()) for step in package.steps if isinstance(step, Set)}
    calls = [step.to_array() for step in package.steps if isinstance(step, Action)]
    return sets, calls, {tuple(check.to_array()) for check in package.checks}


def test_a_tariff_is_the_same_as_the_raw_example(tmp_path: Path) -> None:
    package = compiled(tmp_path, HEAD + CLOCK + TARIFF)
    assert effects(package) == effects(compile_file(EXAMPLES / "tariff-calendar.yaml"))


def test_alarms_are_the_same_as_the_raw_example_but_for_the_names(tmp_path: Path) -> None:
    package = compiled(tmp_path, HEAD + ALARMS)
    raw = compile_file(EXAMPLES / "alarms.yaml")
    sets, _, checks = effects(raw)
    alarms = (1, obis.parse("0.0.97.98.10.255"), 2, bytes.fromhex("0600000820"))
    assert effects(package)[0] - sets == {(1, *alarms)}
    assert effects(package)[2] - checks == {alarms}


@pytest.mark.parametrize("form", [CLOCK, TARIFF, ALARMS, LIMITER])
def test_a_form_does_to_a_meter_what_it_says(tmp_path: Path, form: str) -> None:
    package = compiled(tmp_path, HEAD + form)
    assert package.steps and package.checks
    meter = new_meter()
    carry_out(meter, package)
    assert all(holds(meter, check) for check in package.checks)


def test_a_profile(tmp_path: Path) -> None:
    package = compiled(
        tmp_path,
        HEAD + "profile:\n  load-profile:\n    period: 15 min\n    columns:\n"
        "      - clock 0.0.1.0.0.255 time\n      - register 1.0.1.8.0.255 value[3]\n"
        "  1.0.99.2.0.255: {period: 1 day, entries: 90}\n",
    )
    assert [(step.obis[3], step.attribute, step.data.hex()) for step in package.steps] == [
        (1, 3, "0102" "0204120008090600000100 00ff0f02120000".replace(" ", "")
         + "0204120003090601000108 00ff0f02120003".replace(" ", "")),
        (1, 4, "0600000384"),
        (2, 4, "0600015180"),
        (2, 8, "060000005a"),
    ]  # fmt: skip


def test_a_zone_has_the_sign_of_the_standard(tmp_path: Path) -> None:
    for zone, encoded in (("-04:00", "1000f0"), ("+05:30", "10feb6"), ("Z", "100000")):
        text = HEAD + 'clock: {zone: "%s", summer: none}\n' % zone
        assert [step.data.hex() for step in compiled(tmp_path, text).steps] == [encoded, "0300"]


def test_a_tariff_for_later_is_proven_by_the_passive_half(tmp_path: Path) -> None:
    package = compiled(tmp_path, HEAD + TARIFF + '  activate: "2027-01-01 00:00"\n')
    assert {check.attribute for check in package.checks if check.class_id == 20} == {6, 7, 8, 9, 10}
    assert not [step for step in package.steps if isinstance(step, Action)]


def test_a_tariff_with_its_scripts(tmp_path: Path) -> None:
    scripts = (
        "  scripts:\n"
        "    low: {number: 7, do: [{write: data 0.0.96.14.0.255 value, value: {unsigned: 1}}]}\n"
        "    high:\n      number: 8\n      do:\n"
        "        - {write: data 0.0.96.14.0.255 value, value: {unsigned: 2}}\n"
        "        - {call: clock 0.0.1.0.0.255 adjust_to_minute, parameter: {integer: 0}}\n"
    )
    text = HEAD + TARIFF.replace("normal", "low").replace("peak", "high") + scripts
    package = compiled(tmp_path, text)
    meter = new_meter()
    carry_out(meter, package)
    assert all(holds(meter, check) for check in package.checks)
    assert [script[1][0][1] for script in meter.read(9, "0.0.10.0.100.255", 2)[1]] == [7, 8]
    (problem,) = problems(tmp_path, text.replace("22:00: low", "22:00: script 1"))
    assert "expected one of the scripts 7, 8, got 1 (at tariff.days.working.22:00)" in problem


WRONG = [
    (
        TARIFF.replace("18:00: peak", "18:00: peek"),
        "expected one of the tariffs (normal, peak), got 'peek'; did you mean 'peak'? (at"
        " tariff.days.working.18:00)",
    ),
    (TARIFF.replace("mon-fri: working", "mon-fri: workin"), "did you mean 'working'?"),
    (
        TARIFF.replace("week: PEAK", "week: PEEK"),
        "expected one of the weeks PEAK, FLAT, got 'PEEK'; did you mean 'PEAK'? (at"
        " tariff.seasons.WINTER.week)",
    ),
    (TARIFF.replace("12-25: quiet", "12-25: silent"), "got 'silent'"),
    (TARIFF.replace("12-25: quiet", "12-32: quiet"), "'32' in '*-12-32' is not 1..31"),
    (TARIFF.replace("12-25: quiet", "1-1: quiet"), "expected each date once, got *-01-01"),
    (TARIFF.replace("mon-fri", "mon-thu"), "expected all days of the week, fri is missing"),
    (TARIFF.replace("mon-fri", "mon-sat"), "expected each day of the week once, got sat a second"),
    (TARIFF.replace("mon-fri", "mon-fry"), "expected days of the week"),
    (TARIFF.replace("mon-fri", "fri-mon"), "expected a span from mon to sun"),
    (
        TARIFF.replace("18:00: peak, 22:00: normal", "22:00: peak, 18:00: normal"),
        "got 18:00:00 after 22:00:00 (at tariff.days.working)",
    ),
    (TARIFF.replace("{00:00: normal}", "{06:00: normal}"), "expected 00:00 first, got '06:00'"),
    (TARIFF.replace("{00:00: normal}", "{}"), "expected at least `00:00:` and the tariff"),
    (TARIFF.replace("{00:00: normal}", "{24:00: normal}"), "hour '24' in '24:00' is not 0..23"),
    (TARIFF.replace("from: 04-01", "from: 11-01"), "expected seasons in the order of their starts"),
    (TARIFF.replace("from: 04-01", "from: 02-29"), "expected a day that every year has"),
    (TARIFF.replace("from: 04-01", "from: spring"), "a date is YEAR-MONTH-DAY"),
    (
        TARIFF.replace("22:00: normal", "22:00: script 9"),
        "expected one of the scripts 1, 2, 3, 4, got 9",
    ),
    (TARIFF + "  activate: soon\n", "expected now, or a moment"),
    (TARIFF + '  activate: "*-01-01 00:00"\n', "expected a moment without wildcards"),
    (TARIFF + "  tariffs: {cheap: 99}\n", "expected one of the scripts 1, 2, 3, 4, got 99"),
    (TARIFF + "  holiday: {}\n", "did you mean 'holidays'?"),
    (
        TARIFF + "steps:\n  - write: activity_calendar 0.0.13.0.0.255 calendar_name_passive\n"
        "    value: {octet-string: X}\n",
        "to be written once, got it a second time; the first is at tariff.name",
    ),
    ("profile: {load-profil: {period: 15 min}}\n", "did you mean 'load-profile'?"),
    ("profile: {load-profile: {period: 15 minutes}}\n", "expected a time such as 15 min"),
    ("profile: {load-profile: {period: 7 min}}\n", "expected one of the periods 0, 60"),
    ("profile: {load-profile: {}}\n", "expected `period:`, `columns:` or `entries:`"),
    (
        "profile: {load-profile: {columns: [register 1.0.1.8.0.255 valu]}}\n",
        "did you mean 'value'?",
    ),
    ("alarms: [overvoltag]\n", "got 'overvoltag'; did you mean 'overvoltage'? (at alarms[0])"),
    ("alarms: {alarm-filter-9: []}\n", "expected an alarm filter of ami"),
    ("clock: {zone: Santiago}\n", "expected an offset from UTC such as -04:00, got 'Santiago'"),
    ('clock: {zone: "-04:00 dst"}\n', "expected an offset from UTC"),
    ("clock: {}\n", "expected `zone:` or `summer:`"),
    (CLOCK.replace("60 min", "60"), "expected a number with its unit, such as 60 min, got '60'"),
    (CLOCK.replace("60 min", "90 s"), "expected 1 min to 120 min, or `summer: none`, got '90 s'"),
    (CLOCK.replace("60 min", "0 min"), "expected 1 min to 120 min, or `summer: none`"),
    (CLOCK.replace("*-04-02-sun 00:00", "*-04-02-sun 00:00 Z"), "expected local time without an"),
    (CLOCK.replace("*-09-02-sun", "*-13-02-sun"), "month '13'"),
    (CLOCK.replace("*-09-02-sun", "*-04-02-sun"), "expected summer time to end at another moment"),
    (LIMITER.replace("permits: [switch]\n", ""), "this touches the meter's switch"),
    (LIMITER.replace("over: 1,", "over: 9,"), "expected one of the scripts 1, 2, 3, 4 of"),
    (LIMITER.replace("9200", "-1"), "expected double-long-unsigned"),
    (ALARMS.replace("    table: 0.0.10.0.100.255\n", ""), "expected `table:` in the monitor"),
    (ALARMS.replace("2420", "70000"), "expected long-unsigned"),
    (
        "model: nobody\nalarms: []\n",
        "expected a model: nobody: expected a file, or one of the models",
    ),
    ("", "expected `steps:`, or a form (clock, tariff, profile, alarms, limits), got neither"),
]


@pytest.mark.parametrize(("form", "said"), WRONG)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, form: str, said: str) -> None:
    found = problems(tmp_path, HEAD + form)
    assert any(said in line for line in found), found


def test_more_days_than_there_are_numbers(tmp_path: Path) -> None:
    days = ", ".join("d%d: {00:00: normal}" % number for number in range(256))
    form = re.sub(r"  days:\n(    .*\n)+", "  days: {%s}\n" % days, TARIFF)
    found = problems(tmp_path, HEAD + form)
    assert [line.partition(": ")[2] for line in found] == [
        "expected at most 255 days, got 256 (at tariff.days)"
    ]


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("sat-sun", "sat", "expected all days of the week, sun is missing"),
        ("quiet: {00:00", "working: {00:00", "'working' stands here a second time"),
    ],
)
def test_who_refers_to_what_could_not_be_read_is_not_blamed(
    tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    assert right in TARIFF
    found = problems(tmp_path, HEAD + TARIFF.replace(right, wrong, 1))
    assert len(found) == 1
    assert said in found[0]


def test_a_package_with_words_of_a_model_is_for_its_meters_only(tmp_path: Path) -> None:
    for text, model in (
        (CLOCK, ""),
        (TARIFF, "ami"),
        (TARIFF.replace("normal", "script 1").replace("peak", "script 2"), ""),
        (TARIFF + "  tariffs: {normal: 1, peak: 2}\n", ""),
        (TARIFF + "meter: {tariffs: {normal: 1, peak: 2}}\n", ""),
        ("profile: {1.0.99.1.0.255: {period: 1 h}}\n", ""),
        ("profile: {load-profile: {period: 1 h}}\n", "ami"),
        (ALARMS, "ami"),
        ("model: smr\n" + CLOCK, "smr"),
        ("model: idis\nalarms: []\n", "idis"),
    ):
        package = compiled(tmp_path, HEAD + text)
        assert package.model == model, text
        assert Package.from_payload(package.to_payload()).model == model


def test_a_package_of_an_unknown_model_is_shown_without_its_words(tmp_path: Path, capsys) -> None:
    model = tmp_path / "own.yaml"
    model.write_text("name: own\nnumber: 1\nlike: smr\n")
    path = tmp_path / "test.yaml"
    path.write_text(HEAD + "model: %s\nalarms: [last gasp]\n" % model)
    assert main(["show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "Model      own" in shown and "last gasp" not in shown
    assert main(["show", str(path), "--model", str(model)]) == 0
    assert "alarm-filter-3: [last gasp]" in capsys.readouterr().out


def test_a_model_of_ones_own_has_its_tariffs(tmp_path: Path) -> None:
    model = tmp_path / "own.yaml"
    model.write_text(
        "name: own\nnumber: 1\nlike: idis\nholds:\n  scripts: {0.0.10.0.100.255: [1, 2, 3]}\n"
        "  tariffs: {cheap: 1, dear: 3}\n  most: {days: 2}\n  periods: [900]\n"
    )
    text = HEAD + "model: %s\n" % model + TARIFF.replace("normal", "cheap").replace("peak", "dear")
    package = compiled(tmp_path, text)
    days = next(step for step in package.steps if step.attribute == 9)
    assert b"\x12\x00\x03" in days.data and package.model == "own"
    third = text.replace("  holidays", "    third: {00:00: cheap}\n  holidays")
    (problem,) = problems(tmp_path, third)
    assert "expected at most 2 elements, got 3 (at tariff.days)" in problem
    (problem,) = problems(tmp_path, text + "profile: {load-profile: {period: 1 h}}\n")
    assert "expected one of the periods 900, got 3600" in problem
    model.write_text("name: own\nnumber: 1\nholds: {tariffs: {cheap: 0}, most: {dais: 2}}\n")
    problem = problems(tmp_path, text)[0]
    assert "expected a script (a whole number 1..65535), got '0'" in problem
    assert "did you mean 'days'?" in problem


def test_tariffs_that_are_named_are_scripts_the_meter_has(tmp_path: Path) -> None:
    named = HEAD + "model: idis\n" + TARIFF + "  tariffs: {normal: 1, peak: 2}\n"
    assert compiled(tmp_path, named).model == "idis"
    table = named + "  table: 0.0.10.0.101.255\n"
    days = next(step for step in compiled(tmp_path, table).steps if step.attribute == 9)
    assert days.data.count(obis.parse("0.0.10.0.101.255")) == 4
    (problem,) = problems(tmp_path, named.replace("22:00: normal", "22:00: script 3"))
    assert "expected one of the scripts 1, 2 of 0.0.10.0.100.255, got 3 (at tariff.days)" in problem
    found = problems(tmp_path, HEAD + "model: idis\n" + TARIFF)
    assert "none is known: name them under `tariffs:`" in found[0]


def test_other_models_have_other_words(tmp_path: Path) -> None:
    text = HEAD + "model: smr\nalarms: [clock invalid, last gasp]\n"
    assert [(step.obis[4], step.data.hex()) for step in compiled(tmp_path, text).steps] == [
        (10, "0600000001"),
        (11, "0600000000"),
        (12, "0600000001"),
    ]
    assert len(problems(tmp_path, text.replace("model: smr\n", ""))) == 2


@FEW
@given(sensible())
def test_any_tariff_is_written_back_as_the_form_it_could_have_been(
    tmp_path: Path, made: Calendar
) -> None:
    """lines() and compile() are each other's reverse, where there is a form for it at all."""
    assert made.days
    for number, actions in made.days:
        whole = [action for action in actions if action[0][:2] != bytes(2)]
        whole = [(start[:2] + bytes(2), table, script) for start, table, script in whole]
        actions[:] = [(bytes(4), obis.parse("0.0.10.0.100.255"), number % 5), *whole]
    values = {(20, made.obis, index): typed for index, typed in made.tables().items()}
    values[11, obis.parse("0.0.11.0.0.255"), 2] = made.special_days()
    text = tariff.lines(values, words())
    package = compiled(tmp_path, HEAD + "\n".join(text) + "\n")
    assert values_of(package).items() >= values.items()


@pytest.mark.parametrize("form", [CLOCK, TARIFF, ALARMS, LIMITER])
def test_what_was_written_is_written_back(tmp_path: Path, form: str) -> None:
    package = compiled(tmp_path, HEAD + form)
    text = [line for each in FORMS.values() for line in each.lines(values_of(package), words())]
    permits = "permits: [switch]\n" if "switch" in form else ""
    again = compiled(tmp_path, HEAD + permits + "\n".join(text) + "\n")
    assert effects(again) == effects(package)


def test_a_tariff_is_shown_as_a_table_of_hours(tmp_path: Path, capsys) -> None:
    path = tmp_path / "test.yaml"
    path.write_text(HEAD + TARIFF)
    for file_shown in (path, EXAMPLES / "tariff-calendar.yaml"):
        assert main(["show", str(file_shown)]) == 0
        shown = capsys.readouterr().out
        lines = [line.rstrip() for line in shown.splitlines()]
        ruler = next(line for line in lines if line.startswith("  day   0     3"))
        bar = next(line for line in lines if line.startswith("  1     AAA"))
        assert bar[ruler.index("18") : ruler.index("18") + 8] == "B" * 8  # from 18 to 22 hours
        assert bar.count("A") == 40 and bar.count("B") == 8
        for words_shown in (
            'Tariff "CHILE-2027.1"',
            "A normal (script 1)  B peak (script 2)",
            "00:00 A  18:00 B  22:00 A",
            "mon     tue",
        ):
            assert words_shown in shown


def test_hours_before_the_first_switching_are_those_of_the_day_before() -> None:
    table = obis.parse("0.0.10.0.100.255")
    actions = [(bytes((6, 15, 0, 0)), table, 1), (bytes((12, 30, 0, 0)), table, 2)]
    made = hours.bar(actions, {(table, 1): "A", (table, 2): "B"})
    assert made == "." * 12 + "A" * 13 + "B" * 23
    assert len(hours.ruler()) == len(made) == 48


def test_the_configurations_in_the_readme_pass(tmp_path: Path) -> None:
    readme = (EXAMPLES.parents[1] / "README.md").read_text()
    section = readme.split("\n## ami-package\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 2
    for text in blocks:
        assert compiled(tmp_path, text if "steps:" in text else HEAD + text).checks
