"""What an author may write, and what is said about anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.contract.package import Action, Package, Set
from gateway.dlms.data import axdr, obis
from tools.cosem import names, render
from tools.cosem.source import Problems
from tools.package.compile import compile_file

EXAMPLES = Path(__file__).parents[3] / "tools" / "package" / "examples"
HEAD = """\
name: test
version: "1"
for:
  - model: AMI-E450
steps:
"""
PERIOD = "profile_generic 1.0.99.1.0.255 capture_period"


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "test.yaml"
        path.write_text(text)
        return path

    return write


def problems_of(path: Path) -> list[str]:
    with pytest.raises(Problems) as caught:
        compile_file(path)
    return [str(problem).replace(str(path), "test.yaml") for problem in caught.value.problems]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_example_survives_the_gateways_decoder(path: Path) -> None:
    package = compile_file(path)
    decoded = Package.from_payload(package.to_payload())
    assert decoded.to_payload() == package.to_payload()
    assert decoded.targets == [("AMI-E450", ["V02."])]
    assert decoded.steps and decoded.checks
    for check in decoded.checks:
        axdr.decode(check.data)


def test_there_is_an_example_for_each_kind_of_the_use_case() -> None:
    found = {path.stem for path in EXAMPLES.glob("*.yaml")}
    kinds = {"measurement-interval", "alarms", "tariff-calendar", "script"}
    assert found == kinds | {"tariff", "monitoring"}  # these two are forms


def test_measurement_interval_is_what_the_standard_says() -> None:
    package = compile_file(EXAMPLES / "measurement-interval.yaml")
    (step,), (check,) = package.steps, package.checks
    assert isinstance(step, Set)
    assert (step.class_id, step.obis, step.attribute) == (7, bytes((1, 0, 99, 1, 0, 255)), 4)
    assert step.data == check.data == bytes.fromhex("0600000384")


def test_passive_calendar_is_not_checked_but_the_active_one_is() -> None:
    package = compile_file(EXAMPLES / "tariff-calendar.yaml")
    checked = {check.attribute for check in package.checks if check.class_id == 20}
    assert checked == {2, 3, 4, 5}
    written = {s.attribute for s in package.steps if isinstance(s, Set) and s.class_id == 20}
    assert written == {6, 7, 8, 9}
    action = package.steps[-1]
    assert isinstance(action, Action)
    assert action.data == bytes.fromhex("0f00")
    assert action.check.data == b"\x09\x0cCHILE-2027.1"


@pytest.mark.parametrize(
    ("written", "encoded"),
    [
        ("{boolean: true}", "0301"),
        ("{null-data: }", "00"),
        ("{bit-string: 0101}", "040450"),
        ("{integer: -1}", "0fff"),
        ("{long: -32768}", "108000"),
        ("{unsigned: 0xff}", "11ff"),
        ("{double-long-unsigned: 0b101}", "0600000005"),
        ("{enum: 3}", "1603"),
        ("{float32: 1.5}", "173fc00000"),
        ("{octet-string: WINTER}", "090657494e544552"),
        ("{octet-string: 0x00ff10}", "090300ff10"),
        ('{octet-string: ""}', "0900"),
        ("{octet-string: {obis: 1.0.32.7.0.255}}", "09060100200700ff"),
        ('{octet-string: {date: "*-12-25"}}', "0905ffff0c19ff"),
        ('{octet-string: {time: "18:00"}}', "090412000000"),
        ('{date-time: "2027-01-31 00:00:00 Z ok"}', "1907eb011fff00000000000000"),
        ("{visible-string: abc}", "0a03616263"),
        ("{utf8-string: é}", "0c02c3a9"),
        ("{array: [{unsigned: 1}, {unsigned: 2}]}", "010211011102"),
        ("{structure: [{unsigned: 1}, {array: []}]}", "020211010100"),
    ],
)
def test_value(write, written: str, encoded: str) -> None:
    text = HEAD + "  - write: data 0.0.96.1.0.255 value\n    value: %s\n" % written
    assert compile_file(write(text)).steps[0].data.hex() == encoded


def test_what_is_rendered_reads_like_what_was_written() -> None:
    data = bytes.fromhex("0203 0905ffff0c19ff 0906000060010aff 0902ff01".replace(" ", ""))
    assert (
        render.data(data)
        == "structure {octet-string *-12-25, octet-string 0.0.96.1.10.255, octet-string 0xff01}"
    )
    assert render.data(b"\x12\x01").startswith("0x1201 (not A-XDR")


def test_numbers_do_for_names_and_capitals_do_not_matter(write) -> None:
    for line in ("7 1.0.99.1.0.255 4", "Profile-Generic 1-0:99.1.0*255 Capture-Period"):
        text = HEAD + "  - write: %s\n    value: {double-long-unsigned: 60}\n" % line
        step = compile_file(write(text)).steps[0]
        assert (step.class_id, obis.text(step.obis), step.attribute) == (7, "1.0.99.1.0.255", 4)


def test_a_later_write_of_an_attribute_is_the_one_that_is_checked(write) -> None:
    text = HEAD
    for seconds in (900, 1800):
        text += "  - write: %s\n    value: {double-long-unsigned: %d}\n" % (PERIOD, seconds)
    package = compile_file(write(text))
    assert [check.data.hex() for check in package.checks] == ["0600000708"]


STEP = "  - write: %s\n    value: {double-long-unsigned: 900}\n" % PERIOD

WRONG = [
    ("", "test.yaml:1:1: expected a configuration, got an empty file"),
    ("name: [", "test.yaml:1:8: expected YAML"),
    ("steps: " + "[" * 3000 + "]" * 3000, "test.yaml:1:1: expected at most 24 levels of nesting"),
    (
        "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\n-----END PRIVATE KEY-----\n",
        "test.yaml:1:1: expected a configuration, got a text of 66 characters",
    ),
    (
        "0001020304050607" * 2,
        "test.yaml:1:1: expected a configuration, got a text of 32 characters",
    ),
    ("- a\n", "test.yaml:1:1: expected a configuration, got a list"),
    ("name: \x00", "test.yaml:1:1: expected YAML"),
    (HEAD + STEP + "verfy: []\n", "test.yaml:8:1: expected one of name, version, for, steps"),
    (HEAD + STEP + "verfy: []\n", "got 'verfy'; did you mean 'verify'?"),
    (HEAD.replace('version: "1"\n', "") + STEP, "test.yaml:1:1: expected 'version:' in"),
    ("name: again\n" + HEAD + STEP, "test.yaml:2:1: 'name' stands here a second time"),
    (HEAD.replace("name: test", "name: a b") + STEP, "test.yaml:1:7: expected a name of ASCII"),
    (HEAD.replace("model", "modell") + STEP, "test.yaml:4:5: expected one of model, firmware"),
    (HEAD.replace("name: test", "name: " + 65 * "n") + STEP, "test.yaml:1:7: expected a name of"),
    (HEAD + "  []\n", "test.yaml:6:3: expected a list of steps, 1 to 256, got 0"),
    (HEAD + "  - wirte: x\n", "test.yaml:6:5: expected a step with `write:` or `call:`, got wirte"),
    (HEAD + "  - write: x\n", "test.yaml:6:5: expected 'value:' in a write step, but it is"),
    (
        HEAD + STEP.replace("profile_generic", "profile_generik"),
        "test.yaml:6:12: expected a COSEM class",
    ),
    (HEAD + STEP.replace("profile_generic", "profile_generik"), "mean 'profile_generic'?"),
    (HEAD + STEP.replace("1.0.99.1.0.255", "1.0.99.1.0"), "test.yaml:6:28: expected an OBIS code"),
    (HEAD + STEP.replace("capture_period", "capture_perod"), "mean 'capture_period'?"),
    (HEAD + STEP.replace("capture_period", "9"), "test.yaml:6:43: expected an attribute of"),
    (HEAD + STEP.replace("capture_period", "999"), "expected attribute number 1..127, got '999'"),
    (HEAD + STEP.replace(PERIOD, "data 1"), "test.yaml:6:12: expected a class, an OBIS code and"),
    (
        HEAD + STEP.replace("profile_generic", "999"),
        "test.yaml:6:31: expected the attribute as a number",
    ),
    (
        HEAD + STEP.replace("double-long-unsigned", "long-unsigned"),
        "test.yaml:7:12: expected double",
    ),
    (HEAD + STEP.replace("double-long-unsigned", "dubble-long"), "did you mean 'double-long'?"),
    (HEAD + STEP.replace("900", "-1"), "test.yaml:7:35: expected double-long-unsigned (a whole"),
    (HEAD + STEP.replace("900", "soon"), "number 0..4294967295), got 'soon'"),
    (HEAD + STEP.replace("{double-long-unsigned: 900}", "900"), "test.yaml:7:12: expected a typed"),
    (
        HEAD + "  - write: data 0.0.96.1.0.255 value\n    value: {octet-string: 0x1}\n",
        "test.yaml:7:27: expected pairs of hexadecimal digits after 0x, got '0x1'",
    ),
    (
        HEAD + '  - write: data 0.0.96.1.0.255 value\n    value: {date: "2027-02-30"}\n',
        "test.yaml:7:20: month 2 has no day 30",
    ),
    (
        HEAD + "  - write: data 0.0.96.1.0.255 value\n    value: {octet-string: {dat: 1}}\n",
        "did you mean 'date'?",
    ),
    (HEAD + STEP + "    check: maybe\n", "test.yaml:8:12: expected true or false, got 'maybe'"),
    (HEAD + STEP + "    check: false\n", "nothing proves that the configuration arrived"),
    (
        HEAD + "  - call: script_table 0.0.10.0.100.255 execute\n",
        "test.yaml:6:5: expected 'until:' in a call step",
    ),
    (
        HEAD + "  - call: script_table 0.0.10.0.100.255 exekute\n    until: {}\n",
        "expected a method of script_table (1 execute), got 'exekute'; did you mean 'execute'?",
    ),
    (
        HEAD + STEP + "verify:\n  - read: %s\n    equals: {double-long-unsigned: 60}\n" % PERIOD,
        "test.yaml:9:5: expected the value that a step",
    ),
    (HEAD + "  - &a [*a]\n", "test.yaml:6:"),
    (HEAD + "  - write: data 0.0.1.0.0.255 2\n    value: &v {array: [*v]}\n", "levels of nesting"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_problem_points_at_the_place(write, text: str, said: str) -> None:
    found = problems_of(write(text))
    assert any(said in line for line in found), found


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "test.yaml"
    path.write_bytes(b"name: x\nversion: \xff\n")
    assert problems_of(path) == ["test.yaml:2:10: expected UTF-8 text, got byte 0xff"]


def test_all_problems_of_a_file_are_told_at_once(write) -> None:
    text = HEAD + STEP.replace("900", "x") + STEP.replace("capture", "capptur") + STEP
    assert [line.split(": ")[0] for line in problems_of(write(text))] == [
        "test.yaml:7:35",
        "test.yaml:8:43",
    ]


def test_aliases_cannot_blow_a_value_up(write) -> None:
    bomb = "{unsigned: 1}"
    text = (
        HEAD + "  - write: data 0.0.96.1.0.255 value\n    check: true\n    value:\n      array:\n"
    )
    text += "        - &a0 %s\n" % bomb
    for level in range(1, 9):
        same = ", ".join(["*a%d" % (level - 1)] * 10)
        text += "        - &a%d {array: [%s]}\n" % (level, same)
    assert any("at most 4096 elements" in line for line in problems_of(write(text)))


def test_names_read_back_as_they_were_written() -> None:
    member = names.parse("clock 0.0.1.0.0.255 time", names.ATTRIBUTE)
    assert str(member) == "clock 0.0.1.0.0.255 time"
    assert (
        str(names.parse("999 0.0.1.0.0.255 7", names.ATTRIBUTE))
        == "class 999 0.0.1.0.0.255 attribute 7"
    )


def test_the_switch_is_touched_only_where_the_package_says_so(write) -> None:
    call = (
        "  - call: disconnect_control 0.0.96.3.10.255 remote_disconnect\n"
        "    parameter: {integer: 0}\n"
        "    until: {read: %s, equals: {double-long-unsigned: 900}}\n" % PERIOD
    )
    (problem,) = problems_of(write(HEAD + call))
    assert problem.startswith("test.yaml:6:11: this touches the meter's switch")
    package = compile_file(write(HEAD + call + "permits: [switch]\n"))
    assert package.permits == ["switch"]
    assert Package.from_payload(package.to_payload()).permits == ["switch"]
    (problem,) = problems_of(write(HEAD + call + "permits: [switch, everything]\n"))
    assert problem.endswith("expected switch or billing, got 'everything' (at permits[1])")
