"""A gateway at work over every modem with ami-sniff in the middle: the trace decodes whole, and
ami-replay finds out what the driver was told, and makes a test of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.sniff.conftest import Tool
from tests.unit.sniff.field import FIELDS, inventory, trace
from tools.meter.device import derive_test_keys
from tools.sniff.recording import rows


@pytest.fixture
def keys(tmp_path: Path) -> list[object]:
    return ["--keys", tmp_path / "keys.jsonl", "--meters", tmp_path / "meters.jsonl"]


@pytest.mark.parametrize("name", FIELDS)
def test_from_the_field_to_a_test(
    name: str, tmp_path: Path, keys: list[object], sniff: Tool, replay: Tool
) -> None:
    _, kind, addresses, _ = FIELDS[name]
    meters, secret = inventory(addresses, kind)
    (tmp_path / "meters.jsonl").write_text(meters)
    (tmp_path / "keys.jsonl").write_text(secret)
    recorded, test = tmp_path / "trace.jsonl", tmp_path / "test.jsonl"
    outcomes, told = trace(name, recorded)
    assert set(outcomes.values()) == {"applied"}

    # what passed, by name
    ran = sniff("--json", "-v", *keys, recorded)
    assert ran.status == 0 and ran.summary["damaged"] == {}
    assert ran.summary["ciphered"] == ran.summary["deciphered"] >= 16 * len(addresses)
    assert "activity_calendar 0.0.13.0.0.255 activate_passive_calendar" in ran.out
    assert all("[AMI%010d]" % (place + 1) in ran.out for place in range(len(addresses)))
    assert {frame["outward"] for frame in ran.frames} == {True, False}
    times = [frame["at_ms"] for frame in ran.frames]
    assert times == sorted(times)
    lines = sniff("-v", *keys, recorded)
    for serial in outcomes:
        own = derive_test_keys(1, serial)
        for each in (own.ek, own.ak, own.master):
            assert each.hex() not in ran.out + lines.out.replace(" ", "")

    # the driver of today does the same
    ran = replay("--driver", name, recorded)
    assert ran.status == 0 and "the same" in ran.out, ran.out
    ran = replay("--driver", name, "--update", "-o", test, recorded)
    assert ran.status == 0 and "written down" in ran.out
    calls = [row["call"] for row in rows(test) if "call" in row]
    sends = ["%s %d %d %s" % tuple(call[1:]) for call in calls if call[0] == "send"]
    assert sends == told
    assert [call[0] for call in calls if call[0] != "send"] == []
    ran = replay(test)
    assert ran.status == 0 and "the same" in ran.out

    # and another driver would not
    changed = [json.loads(line) for line in test.read_text().splitlines()]
    place = next(i for i in range(len(changed) - 1, 0, -1) if "write" in changed[i])
    del changed[place]
    test.write_text("\n".join(json.dumps(row) for row in changed) + "\n")
    ran = replay(test)
    assert ran.status == 1 and "came write" in ran.out
    assert replay("--update", test).status == 0
    assert replay(test).status == 0
