"""rekey: new keys in the meter and in the file, never lost, never shown."""

from __future__ import annotations

import json
from collections.abc import Callable
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
    assert json.loads(path.read_text())["suite"] == suite
    assert tool(stand.tcp, "get", PERIOD, *options).status == 0


def test_refused_keeps_the_old(stand: Stand, tool: Tool, keys: list[str]) -> None:
    before = Path(keys[1]).read_text()
    ran = tool(stand.tcp, "rekey", "--master", "00" * 16, *keys)
    assert ran.status == 1
    assert "ACTION security_setup.key_transfer" in ran.err
    assert Path(keys[1]).read_text() == before
    assert list(Path(keys[1]).parent.glob("*.new")) == []
    assert tool(stand.tcp, "get", PERIOD, *keys).status == 0


def meddle(stand: Stand, method: int, before: Callable[[], None], runs: bool = True) -> None:
    """before() is called when the method comes, which then runs, or is lost on the way."""
    security = stand.meter.find(64, "0.0.43.0.0.255")
    right = security.methods[method].run

    def run(typed: object) -> object:
        before()
        if not runs:
            stand.meter.faults.lose_answers = 1
            return None
        return right(typed)  # type: ignore[arg-type]

    security.methods[method].run = run  # type: ignore[assignment]


def pending(keys: list[str]) -> list[Path]:
    return list(Path(keys[1]).parent.glob("*.new"))


def test_an_answer_that_is_lost(stand: Stand, tool: Tool, keys: list[str]) -> None:
    """A new association shows that the meter has the new keys."""

    def lose() -> None:
        stand.meter.faults.lose_answers = 1

    meddle(stand, 2, lose)
    ran = tool(stand.tcp, "rekey", "--master", KEYS.master.hex(), *QUICK, *keys)
    assert ran.status == 0, ran.err
    assert "the answer to the change is lost" in ran.out
    assert "new keys, proven in a new association" in ran.out
    assert pending(keys) == []
    assert tool(stand.tcp, "get", PERIOD, *keys).status == 0


def test_a_change_that_is_lost(stand: Stand, tool: Tool, keys: list[str]) -> None:
    before = Path(keys[1]).read_text()
    meddle(stand, 2, lambda: None, runs=False)
    ran = tool(stand.tcp, "rekey", "--master", KEYS.master.hex(), *QUICK, *keys)
    assert ran.status == 1
    assert "the meter takes its old keys in a new association" in ran.err
    assert (Path(keys[1]).read_text(), pending(keys)) == (before, [])
    assert tool(stand.tcp, "get", PERIOD, *keys).status == 0


def test_a_meter_that_falls_silent(stand: Stand, tool: Tool, keys: list[str]) -> None:
    """Nobody knows then which keys it holds: the new ones wait in their file."""

    def die() -> None:
        stand.meter.faults.dead = True

    meddle(stand, 2, die)
    master = ["--master", KEYS.master.hex()]
    ran = tool(stand.tcp, "rekey", *master, *QUICK, *keys)
    assert ran.status == 1
    (kept,) = pending(keys)
    assert "neither the new nor the old keys; it may only not have answered" in ran.err
    assert str(kept) in ran.err
    assert tool(stand.tcp, "rekey", *master, *keys).status == 2
    stand.meter.faults.dead = False
    fresh = ["--keys", str(kept), "--serial", SERIAL]
    assert tool(stand.tcp, "get", PERIOD, *fresh).status == 0


@pytest.mark.parametrize("taken", [True, False])
def test_an_agreement_whose_answer_is_lost(
    world: World, tool: Tool, tmp_path: Path, taken: bool
) -> None:
    """If the meter has taken the keys, nobody knows them: that is told as what it is."""
    own = derive_test_keys(7, SERIAL, 1)
    stand = Stand(world, build_meter(SERIAL, keys=own))
    path = tmp_path / "agreed.jsonl"
    row = {"serial": SERIAL, "suite": 1, "ek": own.ek.hex(), "ak": own.ak.hex()}
    path.write_text(json.dumps(row) + "\n")
    options = ["--keys", str(path), "--serial", SERIAL, *asymmetric(own, tmp_path)]

    def lose() -> None:
        stand.meter.faults.lose_answers = 1

    meddle(stand, 3, lose, runs=taken)
    ran = tool(stand.tcp, "rekey", "--agree", *QUICK, *options)
    assert ran.status == 1
    told = "locked out" if taken else "the meter takes its old keys in a new association"
    assert told in ran.err
    assert json.loads(path.read_text()) == row
    assert list(tmp_path.glob("*.new")) == []


@pytest.mark.parametrize("more", [[], ["--agree"], ["--agree", "--suite", "0"]])
def test_what_is_missing_is_named(tool: Tool, keys: list[str], more: list[str]) -> None:
    ran = tool("tcp://127.0.0.1:1", "rekey", *more, *keys)
    assert ran.status == 2
    assert "needs --" in ran.err
    ran = tool("tcp://127.0.0.1:1", "rekey", "--ek", "00" * 16, "--ak", "00" * 16)
    assert "give --keys" in ran.err
