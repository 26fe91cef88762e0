"""What a meter holds becomes a configuration that gives it back; two configurations compared."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.dlms.data import axdr
from tests.unit.dlms_tool.conftest import KEYS, SERIAL, Stand, World, keys, world
from tests.unit.package.test_package_on_meter import carry_out, holds, new_meter
from tools.meter.device import build_meter
from tools.meter.model import Meter
from tools.package.__main__ import EXAMPLES, main
from tools.package.compile import compile_file

__all__ = ["keys", "world"]  # fixtures


@pytest.fixture
def stand(world: World) -> Stand:
    return Stand(world, build_meter(SERIAL, keys=KEYS))


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def settings_of(meter: Meter) -> dict[tuple[int, str, int], bytes]:
    """What can be written, and the active calendar."""
    return {
        (each.class_id, each.name, index): axdr.encode(each.value(index))
        for each in meter.objects.values()
        for index, attribute in each.attributes.items()
        if (attribute.writable and each.class_id not in (1, 5, 8, 22, 40, 64))
        or (each.class_id, each.name) == (1, "0.0.97.98.10.255")
        or (each.class_id == 8 and index in (3, 5, 6, 7, 8))
        or (each.class_id == 20 and 2 <= index <= 5)
    }


def take(stand: Stand, path: Path, keys: list[str], *more: str) -> int:
    return main(["from-meter", stand.tcp, "-o", str(path), *keys, *more])


@pytest.mark.parametrize("name", ["none", *sorted(path.stem for path in EXAMPLES.glob("*.yaml"))])
def test_what_a_meter_holds_makes_another_one_the_same(
    stand: Stand, keys: list[str], tmp_path: Path, name: str
) -> None:
    if name != "none":
        carry_out(stand.meter, compile_file(EXAMPLES / (name + ".yaml")))
    held = tmp_path / "held.yaml"
    assert take(stand, held, keys) == 0
    package = compile_file(held)
    assert all(holds(stand.meter, check) for check in package.checks)
    other = new_meter()
    carry_out(other, compile_file(EXAMPLES / "script.yaml"))
    carry_out(other, compile_file(EXAMPLES / "tariff.yaml"))
    carry_out(other, package)
    assert all(holds(other, check) for check in package.checks)
    wanted = settings_of(stand.meter)
    passive = [(20, "0.0.13.0.0.255", index) for index in range(6, 10)]
    for key, data in settings_of(other).items():
        if key not in passive and key[0] != 70:
            assert data == wanted[key], key


def test_it_is_written_as_forms(
    stand: Stand, keys: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    carry_out(stand.meter, compile_file(EXAMPLES / "tariff.yaml"))
    carry_out(stand.meter, compile_file(EXAMPLES / "monitoring.yaml"))
    held = tmp_path / "held.yaml"
    assert take(stand, held, keys) == 0
    text = held.read_text()
    assert "steps:" not in text
    for line in (
        '  name: "CHILE-2027.1"',
        '    "PEAK": {mon-fri: 1, sat-sun: 2}',
        '    1: {"00:00": normal, "18:00": peak, "22:00": normal}',
        '    "*-12-25": 2',
        '  alarm-filter-1: ["overvoltage", "undervoltage"]',
        "    period: 30 min",
        "      - {at: 2420, up: 3, down: 4}",
        '  - model: "AMI-E450"',
        "permits: [switch]",
        "# What the meter AMI0000000001 holds, as `ami-package from-meter` read it.",
    ):
        assert line in text.splitlines(), line
    assert list(tmp_path.glob("*.part*")) == []
    assert not any(secret in text for secret in (KEYS.ek.hex(), KEYS.ak.hex()))
    assert take(stand, held, keys, "--only", "tariff,clock", "--name", "rollback") == 0
    text = held.read_text()
    assert 'name: "rollback"' in text and "profile:" not in text and "permits" not in text
    capsys.readouterr()
    assert main(["diff", str(held), str(EXAMPLES / "tariff.yaml")]) == 1
    shown = capsys.readouterr().out
    assert "time_zone: long 240 -> nothing" in shown
    assert "activity_calendar" not in shown, "both halves are the same"


def test_what_cannot_be_read_is_told(
    stand: Stand, keys: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    del stand.meter.objects[71, "0.0.17.0.0.255"]
    stand.meter.find(8, "0.0.1.0.0.255").put(3, (axdr.LONG, 5000))
    held = tmp_path / "held.yaml"
    assert take(stand, held, keys) == 0
    assert "not read: limiter 0.0.17.0.0.255 threshold_normal: " in capfd.readouterr().err
    text = held.read_text()
    assert "# Not read: clock 0.0.1.0.0.255 time_zone: expected minutes to UTC" in text
    assert "limiter:" not in text and "permits" not in text
    assert take(stand, held, [], "--only", "clock") == 1  # no keys: it may not read that
    assert main(["from-meter", "tcp://127.0.0.1:1", "-o", str(held), *keys]) == 1
    assert "the meter was not read" in capfd.readouterr().err
    assert main(["from-meter", stand.tcp, "-o", str(held), *keys, "--only", "all"]) == 2
    assert "--only: expected some of clock, scripts, tariff" in capfd.readouterr().err


def test_only_from_meter_has_options_of_other_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["check", "x.yaml", "--serial", "1"])
    assert end.value.code == 2
    assert "unrecognized arguments: --serial 1" in capsys.readouterr().err


def test_of_another_model(stand: Stand, keys: list[str], tmp_path: Path) -> None:
    del stand.meter.objects[7, "1.0.99.2.0.255"]
    held = tmp_path / "held.yaml"
    assert take(stand, held, keys, "--model", "idis", "--only", "clock,profile") == 0
    text = held.read_text()
    assert '  - model: "idis"' in text and 'model: "idis"' in text  # it is not asked for its own
    assert "# Not read: profile_generic 1.0.99.2.0.255 capture_period: " in text
    assert compile_file(held).model == "idis"


# ---------------------------------------------------------------- diff


def test_two_ways_of_writing_are_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key.pem"
    assert main(["keygen", str(key)]) == 0
    raw = EXAMPLES / "tariff-calendar.yaml"
    built = tmp_path / "raw.pkg"
    assert main(["build", str(raw), "-o", str(built), "--key", str(key)]) == 0
    capsys.readouterr()
    assert main(["diff", str(EXAMPLES / "tariff.yaml"), str(built)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("raw.pkg: the same for a meter")
    assert lines[1:] == ["  name: tariff -> tariff-calendar", "  model: ami -> none"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("18:00: peak", "18:30: peak",
         "activity_calendar 0.0.13.0.0.255 day_profile_table_active: day 1, day_schedule, action 2,"
         " start_time: octet-string 18:00:00 -> octet-string 18:30:00"),
        ("12-25: quiet", "12-24: quiet",
         "special_days_table 0.0.11.0.0.255 entries: special day 5, specialday_date: octet-string"
         " *-12-25 -> octet-string *-12-24"),
        (", 22:00: normal", "", "action 3: structure {octet-string 22:00:00, octet-string "
         "0.0.10.0.100.255, long-unsigned 1} -> nothing"),
        ("shift: 60 min", "shift: 30 min", "daylight_savings_deviation: integer 60 -> integer 30"),
    ],
)  # fmt: skip
def test_what_differs_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    changed = tmp_path / "changed.yaml"
    changed.write_text((EXAMPLES / "tariff.yaml").read_text().replace(old, new))
    assert main(["diff", str(EXAMPLES / "tariff.yaml"), str(changed)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("changed.yaml: 1 difference (the first -> the second)")
    assert len(lines) == 2 and lines[1].endswith(said)


def test_other_calls_and_whole_attributes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = EXAMPLES / "script.yaml", tmp_path / "other.yaml"
    text = one.read_text()
    start, end = text.index("  - call:"), text.index("verify:")
    other.write_text(text[:start] + text[end:])
    assert main(["diff", str(one), str(other)]) == 1
    shown = capsys.readouterr().out
    assert "call 1: script_table 0.0.10.0.100.255 execute (long-unsigned 10) until data" in shown
    assert "data 0.0.97.98.10.255 value: double-long-unsigned 48 -> nothing" in shown
    image = tmp_path / "firmware.bin"
    image.write_bytes(bytes(100))
    assert main(["keygen", str(tmp_path / "key.pem")]) == 0
    words = ["--version", "1", "--for", "M", "--identifier", "x", "--firmware", "f"]
    assert main(["image", str(image), *words, "--key", str(tmp_path / "key.pem")]) == 0
    shutil.copy(image.with_suffix(".pkg"), tmp_path / "image.pkg")
    assert main(["diff", str(one), str(tmp_path / "image.pkg")]) == 1
    assert "is an image, not a configuration" in capsys.readouterr().err


def test_stopped_by_hand(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", interrupted)
    held = tmp_path / "held.yaml"
    assert main(["from-meter", "tcp://127.0.0.1:1", "-o", str(held)]) == 1
    assert (capsys.readouterr().err, held.exists()) == ("ami-package: stopped\n", False)
