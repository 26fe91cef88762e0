"""Meters that a concentrator gets and loses: from what people type to numbered changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import envelope
from gateway.contract.change import Change
from gateway.contract.meter_change import MAX_PUT, MeterEntry, MetersPut, MetersRemoved
from tests.unit.hes.orders import CONCENTRATOR
from tools.hes.__main__ import main
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

PLC = ("plc", "0080e1000001")


@pytest.fixture
def hes(store: Store, key: SigningKey, tmp_path: Path) -> Any:
    pem = tmp_path / "k.pem"
    key.save(pem)

    def run(action: str, *arguments: str) -> int:
        more = [] if action == "list" else ["--key", str(pem)]
        words = ["--db", store.where, "inventory", action, CONCENTRATOR]
        return main([*words, *arguments, *more])

    return run


def sent(store: Store) -> list[Any]:
    found = []
    for number, each in enumerate(store.line.numbered(CONCENTRATOR, ("submitted",)), 1):
        _, payload, _ = envelope.split(each.envelope)
        change = Change.decode(payload)
        assert (change.number, change.concentrator) == (number, CONCENTRATOR)
        found.append(change.body)
    return found


def test_a_file_of_thousands_goes_in_parts(hes: Any, store: Store, tmp_path: Path) -> None:
    file = tmp_path / "meters.jsonl"
    rows = [{"serial": "M%04d" % number, "paths": [["ip", "h:1"]]} for number in range(1201)]
    rows[7] |= {"model": "idis", "client": 2, "title": "41494d0000000001"}
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + "\n")
    assert hes("put", str(file)) == 0
    parts = sent(store)
    assert [len(part.meters) for part in parts] == [MAX_PUT, MAX_PUT, 201]
    assert [entry.serial for part in parts for entry in part.meters] == [r["serial"] for r in rows]
    title = bytes.fromhex("41494d0000000001")
    assert parts[0].meters[7] == MeterEntry("M0007", [("ip", "h:1")], "idis", 2, 0, title)


def test_one_meter_a_stranger_and_their_end(
    hes: Any, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hes("add", "A1", "--path", "plc=0080E1000001", "--model", "idis") == 0
    assert hes("adopt", "A2", "--path", "ip=192.0.2.7:4059") == 0
    assert hes("remove", "A1,A2") == 0
    put, adopted, removed = sent(store)
    assert put == MetersPut([MeterEntry("A1", [PLC], "idis")])
    assert adopted == MetersPut([MeterEntry("A2", [("ip", "192.0.2.7:4059")])])
    assert removed == MetersRemoved(["A1", "A2"])
    capsys.readouterr()
    assert hes("list") == 0
    listed = capsys.readouterr().out
    assert "meter A1 put" in listed and "2 meters removed" in listed and "submitted" in listed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"serial": "A1", "paths": []}\n{"serial": "A2"}\n', "line 2: A2: paths: expected a list"),
        ('{"serial": "A1", "paths": []}\n' * 2, "line 2: expected each serial once, but A1"),
        ('{"serial": "A1", "paths": [["plc", "12"]]}', "expected 12 hex digits"),
        ("\n", "expected 1..2000 meters, got 0"),
        ("\udcff", "cannot read"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(
    hes: Any, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    file = tmp_path / "meters.jsonl"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert hes("put", str(file)) != 0
    assert said in capsys.readouterr().err
    assert sent(store) == []


def test_what_is_wrong_with_a_path_is_named(
    hes: Any, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, said in (("plc", "expected --path KIND=ADDRESS"), ("dial=5", "expected plc, rf or")):
        assert hes("add", "A1", "--path", path) != 0
        assert said in capsys.readouterr().err
    assert sent(store) == []
