"""rekey: new keys in the meter and in the file, never lost, never shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.dlms_tool.conftest import KEYS, SERIAL, Stand, Tool, World
from tests.unit.dlms_tool.test_security import asymmetric
from tools.meter.device import build_meter, derive_test_keys

PERIOD = "profile_generic 1.0.99.1.0.255 capture_period"
QUICK = ["--timeout", "0.3", "--tries", "1"]


def rows(keys: list[str]) -> dict[str, dict[str, str]]:
    lines = Path(keys[1]).read_text().splitlines()
    return {row["serial"]: row for row in map(json.loads, lines)}


def test_transfer(stand: Stand, tool: Tool, keys: list[str]) -> None:
    before = rows(keys)
    ran = tool(stand.tcp, "rekey", "--master", KEYS.master.hex(), "--trace", *keys)
    assert ran.status == 0, ran.err
    after = rows(keys)
    assert after["AMI0000000009"] == before["AMI0000000009"]
    for name in ("ek", "ak"):
        assert after[SERIAL][name] != before[SERIAL][name]
        assert after[SERIAL][name] not in ran.out + ran.err
    assert Path(keys[1]).stat().st_mode & 0o077 == 0
    assert tool(stand.tcp, "get", PERIOD, *keys).status == 0
    old = ["--ek", KEYS.ek.hex(), "--ak", KEYS.ak.hex()]
    assert tool(stand.tcp, "get", PERIOD, *old).status == 1


@pytest.mark.parametrize("suite", [1, 2])
def test_agreement(world: World, tool: Tool, tmp_path: Path, suite: int) -> None:
    own = derive_test_keys(7, SERIAL, suite)
    stand = Stand(world, build_meter(SERIAL, keys=own))
    path = tmp_path / "agreed.jsonl"
    path.write_text(json.dumps({"serial": SERIAL, "ek": own.ek.hex(), "ak": own.ak.hex()}) + "\n")
    options = ["--keys", str(path), "--serial", SERIAL, "--suite", str(suite)]
    options += asymmetric(own, tmp_path)
    ran = tool(stand.tcp, "rekey", "--agree", "--trace", *options)
    assert ran.status == 0, ran.err
    assert own.ek.hex() not in path.read_text()
    assert tool(stand.tcp, "get", PERIOD, *options).status == 0


def test_refused_keeps_the_old(stand: Stand, tool: Tool, keys: list[str]) -> None:
    before = Path(keys[1]).read_text()
    ran = tool(stand.tcp, "rekey", "--master", "00" * 16, *keys)
    assert ran.status == 1
    assert "ACTION security_setup.key_transfer" in ran.err
    assert Path(keys[1]).read_text() == before
    assert list(Path(keys[1]).parent.glob("*.new")) == []
    assert tool(stand.tcp, "get", PERIOD, *keys).status == 0


def test_an_answer_that_is_lost(stand: Stand, tool: Tool, keys: list[str]) -> None:
    """The new keys are in a file: the meter has them, and now somebody must say so."""
    security = stand.meter.find(64, "0.0.43.0.0.255")
    right = security.methods[2].run

    def lose(typed: object) -> object:
        stand.meter.faults.lose_answers = 1
        return right(typed)  # type: ignore[arg-type]

    security.methods[2].run = lose  # type: ignore[assignment]
    master = ["--master", KEYS.master.hex()]
    ran = tool(stand.tcp, "rekey", *master, *QUICK, *keys)
    assert ran.status == 1
    (pending,) = Path(keys[1]).parent.glob("*.new")
    assert str(pending) in ran.err
    assert tool(stand.tcp, "rekey", *master, *keys).status == 2
    fresh = ["--keys", str(pending), "--serial", SERIAL]
    assert tool(stand.tcp, "get", PERIOD, *fresh).status == 0


@pytest.mark.parametrize("more", [[], ["--agree"], ["--agree", "--suite", "0"]])
def test_what_is_missing_is_named(tool: Tool, keys: list[str], more: list[str]) -> None:
    ran = tool("tcp://127.0.0.1:1", "rekey", *more, *keys)
    assert ran.status == 2
    assert "needs --" in ran.err
    ran = tool("tcp://127.0.0.1:1", "rekey", "--ek", "00" * 16, "--ak", "00" * 16)
    assert "give --keys" in ran.err
