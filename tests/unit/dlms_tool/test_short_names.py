"""--sn: every command against a meter with short names only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.dlms_tool.conftest import KEYS, PASSWORD, SECRETS, SERIAL, Stand, Tool, World
from tests.unit.dlms_tool.test_security import asymmetric
from tools.meter import device
from tools.meter.device import build_meter, derive_test_keys
from tools.meter.image import make_image


@pytest.fixture
def short(world: World) -> Stand:
    return Stand(world, build_meter(SERIAL, keys=KEYS, short_names={device.CLOCK: 0x2BC0}))


def test_read_written_and_invoked(short: Stand, tool: Tool, keys: list[str]) -> None:
    ran = tool(short.tcp, "get", "data 0.0.42.0.0.255 value", "clock 0.0.1.0.0.255 time_zone",
               "--sn", *keys)  # fmt: skip
    assert ran.status == 0, ran.err
    assert SERIAL in ran.out
    capture = "profile_generic 1.0.99.1.0.255 capture"
    ran = tool(short.tcp, "set", capture + "_period", "double-long-unsigned: 900", "--sn", *keys)
    assert ran.status == 0, ran.err
    ran = tool(short.tcp, "action", capture, "integer: 0", "--sn", *keys)
    assert ran.status == 0, ran.err
    assert short.meter.log.count("action", 7, device.LOAD_PROFILE, 2) == 1
    ran = tool(short.tcp, "profile", device.LOAD_PROFILE, "--last", "1", "--json", "--sn", *keys)
    assert ran.status == 0, ran.err
    ran = tool(short.tcp, "clock", "--set", "now", "--sn", *keys)
    assert ran.status == 0, ran.err


def test_objects_and_identify(short: Stand, tool: Tool, keys: list[str]) -> None:
    ran = tool(short.hdlc, "objects", "--sn", *keys)
    assert ran.status == 0, ran.err
    assert "0x2BC0" in ran.out and "association_sn (12)" in ran.out
    ran = tool(short.tcp, "objects", "--sn", "--json", "--class", "clock", *keys)
    assert ran.json == [
        {
            "class": "clock",
            "class_id": 8,
            "version": 0,
            "obis": "0.0.1.0.0.255",
            "base_name": 0x2BC0,
        }
    ]
    ran = tool(short.tcp, "identify", "--sn")
    assert ran.status == 0, ran.err
    for word in (SERIAL, "AMI-E450", "parameterized-access", "client 16"):
        assert word in ran.out


def test_the_counter_is_read_with_short_names_too(short: Stand, tool: Tool) -> None:
    keys = ["--ek", KEYS.ek.hex(), "--ak", KEYS.ak.hex(), "--read-counter"]
    ran = tool(short.tcp, "get", "data 0.0.42.0.0.255 value", "--sn", *keys)
    assert ran.status == 0, ran.err


def test_the_trace_has_short_names_and_no_secrets(
    short: Stand, tool: Tool, keys: list[str]
) -> None:
    ran = tool(short.tcp, "get", "data 0.0.42.0.0.255 value", "--sn", "--trace", *keys)
    assert ran.status == 0, ran.err
    assert "read-request 0xFA58" in ran.err, ran.err
    assert "glo-read-response" in ran.err
    assert not any(secret in ran.err for secret in SECRETS)


def test_without_it_the_meter_says_what_it_wants(world: World, tool: Tool) -> None:
    meter = build_meter(SERIAL, password=PASSWORD.encode(), short_names={})
    stand = Stand(world, meter)
    ran = tool(stand.tcp, "identify")
    assert ran.status == 1
    assert ran.err.rstrip().endswith(
        "the meter wants short names (SN) without ciphering; give --sn"
    )
    ran = tool(stand.tcp, "get", "data 0.0.42.0.0.255 value", "--password", PASSWORD, "--sn")
    assert ran.status == 0, ran.err


PERIOD = "profile_generic 1.0.99.1.0.255 capture_period"


def test_new_keys_by_transfer(short: Stand, tool: Tool, keys: list[str]) -> None:
    ran = tool(short.tcp, "rekey", "--master", KEYS.master.hex(), "--sn", "--trace", *keys)
    assert ran.status == 0, ran.err
    assert not any(secret in ran.err + ran.out for secret in SECRETS)
    assert tool(short.tcp, "get", PERIOD, "--sn", *keys).status == 0
    old = ["--ek", KEYS.ek.hex(), "--ak", KEYS.ak.hex(), "--sn"]
    assert tool(short.tcp, "get", PERIOD, *old).status == 1


def test_new_keys_by_agreement(world: World, tool: Tool, tmp_path: Path) -> None:
    own = derive_test_keys(7, SERIAL, 1)
    stand = Stand(world, build_meter(SERIAL, keys=own, short_names={}))
    path = tmp_path / "agreed.jsonl"
    path.write_text(json.dumps({"serial": SERIAL, "ek": own.ek.hex(), "ak": own.ak.hex()}) + "\n")
    options = ["--keys", str(path), "--serial", SERIAL, "--suite", "1", "--sn"]
    options += asymmetric(own, tmp_path)
    ran = tool(stand.tcp, "rekey", "--agree", *options)
    assert ran.status == 0, ran.err
    assert own.ek.hex() not in path.read_text()
    assert tool(stand.tcp, "get", PERIOD, *options).status == 0


def test_an_image(short: Stand, tool: Tool, keys: list[str], tmp_path: Path) -> None:
    file = tmp_path / "firmware.img"
    file.write_bytes(make_image("AMI-E450", "V03.00.00", bytes(range(256)) * 8))
    options = ["--identifier", "V03", "--poll", "0.1", "--sn"]
    ran = tool(short.tcp, "image", str(file), *options, *keys)
    assert ran.status == 0, ran.err
    assert short.meter.firmware == "V03.00.00"
