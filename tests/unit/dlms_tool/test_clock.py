"""clock: shown, compared with this computer, set."""

from __future__ import annotations

import pytest

from tests.unit.dlms_tool.conftest import Stand, Tool
from tools.dlms.moment import from_unix, shifted, to_unix, with_seconds


def test_shown(stand: Stand, tool: Tool, keys: list[str]) -> None:
    stand.meter.clock_offset = -75
    ran = tool(stand.tcp, "clock", *keys)
    assert ran.status == 0, ran.err
    assert "75 s behind of this computer" in ran.out or "76 s behind" in ran.out
    assert "valid" in ran.out
    assert "daylight_savings_deviation" in ran.out


def test_set_to_now(stand: Stand, tool: Tool, keys: list[str]) -> None:
    stand.meter.clock_offset = 4000
    ran = tool(stand.tcp, "clock", "--set", "now", "--json", *keys)
    assert ran.status == 0, ran.err
    assert ran.json["set"] is True
    assert abs(ran.json["off_s"]) <= 1
    assert abs(stand.meter.clock_offset) <= 1


def test_set_to_a_moment(stand: Stand, tool: Tool, keys: list[str]) -> None:
    ran = tool(stand.tcp, "clock", "--set", "2027-03-01T12:00:00+00:00", "--json", *keys)
    assert ran.status == 0, ran.err
    assert ran.json["time"].startswith("2027-03-01-mon ")
    assert abs(stand.meter.now() - 1803902400) < 30


def test_set_refused(stand: Stand, tool: Tool) -> None:
    ran = tool(stand.tcp, "clock", "--set", "now")
    assert ran.status == 1
    assert "SET clock.time of 0.0.1.0.0.255: read-write-denied" in ran.err


@pytest.mark.parametrize("text", ["soon", "2027-02-30 00:00", "*-*-* 00:00"])
def test_wrong_moments(stand: Stand, tool: Tool, keys: list[str], text: str) -> None:
    ran = tool(stand.tcp, "clock", "--set", text, *keys)
    assert ran.status == 2
    assert "--set takes now" in ran.err


def test_moments() -> None:
    stamp = from_unix(1803902400, -60, 0)
    assert stamp.hex() == "07eb0301010d000000ffc400"  # 13:00 where UTC is an hour behind
    assert to_unix(stamp, 0) == 1803902400
    assert to_unix(shifted(stamp, 86400 * 31), 0) == 1803902400 + 86400 * 31
    unspecified = from_unix(1803902400, -0x8000, 0xFF)
    assert to_unix(unspecified, 0) == 1803902400
    assert to_unix(unspecified, 240) == 1803902400 + 240 * 60
    with pytest.raises(ValueError, match="12 bytes"):
        to_unix(b"", 0)
    with pytest.raises(ValueError):
        to_unix(b"\xff" * 12, 0)
    with pytest.raises(ValueError, match="after the year 9999"):
        to_unix(bytes.fromhex("270f0c1fff17000000003c00"), 0)
    assert with_seconds("2027-01-01T10:00:00+01:00") == "2027-01-01 10:00:00 +01:00"
    assert with_seconds("2027-01-01T10:00Z") == "2027-01-01 10:00 Z"
    assert with_seconds("2027-01-01") == "2027-01-01 00:00"
