"""The systemd unit: only what the settings need, and what systemd itself says of it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from board import linux
from tools import programs

SETTINGS = {
    "concentrator": "street-1",
    "system_title": "414d490000000001",
    "uplink": {"host": "127.0.0.1"},
    "signers": [{"kid": "01", "key": "ab" * 64}],
    "plain": True,
}
ANALYZE = programs.find("systemd-analyze")


def made(tmp_path: Path, capsys: pytest.CaptureFixture[str], **more: object) -> str:
    path = tmp_path / "gateway.json"
    path.write_text(json.dumps({**SETTINGS, **more}))
    assert linux.main(["--settings", str(path), "--unit"]) == 0
    return capsys.readouterr().out


def options(text: str) -> dict[str, list[str]]:
    """Every key with its values, in order."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and line[0] not in "#[":
            key, equals, value = line.partition("=")
            assert equals, line
            found.setdefault(key, []).append(value)
    return found


def test_only_the_lines_of_the_settings_may_be_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    modems = [
        {"driver": "prime-usi", "url": "uart:plc"},
        {"driver": "imst", "url": "serial:/dev/ttyAMA4?baud=57600"},
        {"driver": "imst", "url": "tcp://127.0.0.1:7001"},
        {"driver": "ip"},
    ]
    unit = options(made(tmp_path, capsys, modems=modems, local={"url": "uart:optical"}))
    assert unit["DeviceAllow"] == ["/dev/ttyAMA4 rw", "/dev/ttyS1 rw", "/dev/ttyS3 rw"]
    assert unit["DevicePolicy"] == ["closed"] and unit["SupplementaryGroups"] == ["dialout"]
    for url in ("usb:0403:6001", "serial:/dev/ttyUSB0?baud=9600", "serial:/dev/serial/by-id/x"):
        unit = options(made(tmp_path, capsys, modems=[{"driver": "imst", "url": url}]))
        assert unit["DeviceAllow"] == ["char-ttyACM rw", "char-ttyUSB rw"]
    unit = options(made(tmp_path, capsys, modems=[{"driver": "ip"}]))
    assert "DeviceAllow" not in unit and unit["PrivateUsers"] == ["yes"]


def test_it_is_started_again_watched_and_fenced_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = options(made(tmp_path, capsys))
    for key, value in (
        ("Type", "notify"),
        ("Restart", "always"),
        ("StartLimitIntervalSec", "0"),
        ("WatchdogSec", "60"),
        ("DynamicUser", "yes"),
        ("StateDirectory", "ami-gateway"),
        ("ProtectSystem", "strict"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("MemoryDenyWriteExecute", "yes"),
    ):
        assert unit[key] == [value], key
    assert unit["ExecStart"][0].endswith(" --settings %S/ami-gateway/gateway.json")
    assert unit["ExecStart"][0].startswith("/")


@pytest.mark.skipif(ANALYZE is None, reason=programs.why_not("systemd-analyze"))
def test_systemd_takes_it_and_finds_little_exposed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ANALYZE is not None
    modems = [{"driver": "prime-usi", "url": "uart:plc"}, {"driver": "imst", "url": "uart:rf"}]
    path = tmp_path / "ami-gateway.service"
    path.write_text(made(tmp_path, capsys, modems=modems, local={"url": "uart:optical"}))
    # Without looking for systemd's own manual pages, which small machines leave out.
    verify = [ANALYZE, "verify", "--man=no", str(path)]
    verified = subprocess.run(verify, capture_output=True, text=True)
    assert verified.returncode == 0 and verified.stderr == "", verified.stderr
    judged = subprocess.run(
        [ANALYZE, "security", "--offline=true", str(path)], capture_output=True, text=True
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", judged.stdout)
    assert found, judged.stdout + judged.stderr
    assert float(found[1]) <= 2.0, judged.stdout


def test_settings_that_name_a_uart_the_board_has_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gateway.json"
    modems = [{"driver": "ip"}, {"driver": "imst", "url": "uart:lora"}]
    path.write_text(json.dumps({**SETTINGS, "modems": modems}))
    assert linux.main(["--settings", str(path), "--unit"]) == 2
    assert capsys.readouterr().err == (
        "ami-gateway: %s: modems[1].url: expected a UART of this board (optical, plc, rf), came"
        " 'lora'\n" % path
    )
