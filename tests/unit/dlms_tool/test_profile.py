"""profile: rows by last, by time, all; where the meter does not select; null-data."""

from __future__ import annotations

import pytest

from gateway.dlms.apdu import acse
from gateway.dlms.data import axdr, obis
from tests.unit.dlms_tool.conftest import KEYS, SERIAL, Stand, Tool, World
from tools.dlms.profile import filled, rows_of
from tools.dlms.shown import CaptureObject
from tools.meter import server
from tools.meter.clock import date_time
from tools.meter.device import build_meter

OBIS = "1.0.99.1.0.255"
START = 1748865600  # 2025-06-02 12:00:00 UTC, 08:00 in Chile


class Time:
    def __init__(self) -> None:
        self.now = float(START)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def full(world: World) -> Stand:
    """A meter with five hourly rows, 09:00 to 13:00 local time."""
    time = Time()
    meter = build_meter(SERIAL, keys=KEYS, source=time)
    time.now += 5 * 3600
    meter.tick()
    return Stand(world, meter)


def stamps(document: dict[str, list[list[dict[str, dict[str, str]]]]]) -> list[str]:
    return [row[0]["octet-string"]["date-time"][15:20] for row in document["rows"]]


def test_table(full: Stand, tool: Tool, keys: list[str]) -> None:
    ran = tool(full.tcp, "profile", OBIS, "--last", "2", *keys)
    assert ran.status == 0, ran.err
    assert "profile_generic 1.0.99.1.0.255, 2 rows" in ran.out
    assert "register 1.0.1.8.0.255 value" in ran.out
    assert "[Wh]" in ran.out
    assert "[V]" in ran.out
    assert "2025-06-02-mon 12:00:00 -04:00" in ran.out
    assert "2025-06-02-mon 13:00:00 -04:00" in ran.out
    assert "11:00:00" not in ran.out


@pytest.mark.parametrize("selects", [True, False])
@pytest.mark.parametrize(
    ("arguments", "hours"),
    [
        ([], "9 10 11 12 13"),
        (["--last", "1"], "13"),
        (["--last", "99"], "9 10 11 12 13"),
        (["--from", "2025-06-02 10:00", "--to", "2025-06-02T11:30:00-04:00"], "10 11"),
        (["--from", "2025-06-02T16:00:00Z"], "12 13"),
        (["--to", "2025-06-02 09:00"], "9"),
        (["--from", "2025-06-03"], ""),
    ],
)
def test_rows(
    full: Stand,
    tool: Tool,
    keys: list[str],
    arguments: list[str],
    hours: str,
    selects: bool,
) -> None:
    if not selects:
        without = server.CONFORMANCE & ~acse.SELECTIVE_ACCESS
        full = Stand(full.world, full.meter, conformance=without)
    ran = tool(full.tcp, "profile", OBIS, "--json", *arguments, *keys)
    assert ran.status == 0, ran.err
    assert stamps(ran.json) == ["%02d:00" % int(hour) for hour in hours.split()]
    assert ("whole buffer" in ran.err) == (not selects and bool(arguments))


def test_json_tells_columns(full: Stand, tool: Tool, keys: list[str]) -> None:
    ran = tool(full.tcp, "profile", OBIS, "--last", "1", "--json", *keys)
    assert ran.json["columns"] == [
        {"attribute": "clock 0.0.1.0.0.255 time"},
        {"attribute": "register 1.0.1.8.0.255 value", "scaler": 0, "unit": "Wh"},
        {"attribute": "register 1.0.32.7.0.255 value", "scaler": -1, "unit": "V"},
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["1.0.99.1.0"],
        [OBIS, "--last", "0"],
        [OBIS, "--last", "2", "--from", "2025-06-02"],
        [OBIS, "--from", "yesterday"],
        [OBIS, "--from", "2025-*-02 00:00"],
        [OBIS, "--from", "2025-06-03", "--to", "2025-06-02"],
    ],
)
def test_wrong_calls(full: Stand, tool: Tool, keys: list[str], arguments: list[str]) -> None:
    assert tool(full.tcp, "profile", *arguments, *keys).status == 2


def test_no_such_profile(full: Stand, tool: Tool, keys: list[str]) -> None:
    ran = tool(full.tcp, "profile", "1.0.98.1.0.255", *keys)
    assert ran.status == 1
    assert "GET profile_generic.capture_objects of 1.0.98.1.0.255: object-undefined" in ran.err


def test_null_data_is_what_was_there_before() -> None:
    columns = [
        CaptureObject(8, obis.parse("0.0.1.0.0.255"), 2, 0),
        CaptureObject(3, obis.parse("1.0.1.8.0.255"), 2, 0),
    ]
    null = (axdr.NULL, None)
    first = [(axdr.OCTET_STRING, date_time(START, 240)), (axdr.LONG, 5)]
    raw = axdr.encode(
        (
            axdr.ARRAY,
            [
                (axdr.STRUCTURE, [null, null]),
                (axdr.STRUCTURE, first),
                (axdr.STRUCTURE, [null, null]),
                (axdr.STRUCTURE, [null, (axdr.LONG, 6)]),
            ],
        )
    )
    rows = filled(rows_of(raw, 2), columns, 900)
    assert rows == [
        [null, null],
        first,
        [(axdr.OCTET_STRING, date_time(START + 900, 240)), (axdr.LONG, 5)],
        [(axdr.OCTET_STRING, date_time(START + 1800, 240)), (axdr.LONG, 6)],
    ]
