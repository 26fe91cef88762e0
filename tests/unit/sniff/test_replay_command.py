"""ami-replay on what it is given: differences told, files checked, help that helps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hal.modem import usi
from tests.unit.sniff.conftest import Tool
from tools.replay.player import Player, make_driver

LIST = usi.frame(0x06, b"\x0e\x82\x50\x1e\x00\x00").hex()
NODE = "0080e1000001"
PAGE = usi.frame(0x07, bytes.fromhex("0f8250011900010001" + "00" * 17 + NODE)).hex()


def request(data: bytes) -> str:
    return usi.frame(0x30, b"\x37\x01\x10\x00\x01\x00" + bytes((len(data),)) + data + b"\x00").hex()


HEAD = {"recording": 1, "about": "made up"}
BEGINNING = [{"at": 0, "line": "open"}, {"at": 1, "write": LIST}, {"at": 20, "read": PAGE}]


def put(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_frame_the_driver_would_not_write_and_one_it_would(tmp_path: Path, replay: Tool) -> None:
    unknown = usi.frame(0x30, b"\x37\x01\x10\x00\x09\x00\x01\xc0\x00").hex()
    path = put(tmp_path / "a.jsonl", HEAD, *BEGINNING[:1], {"at": 50, "write": unknown})
    ran = replay("--driver", "prime-usi", path)
    assert ran.status == 1
    assert (
        "the trace has, and the driver does not write: 30 PRIME API | data.request node 9"
        in ran.out
    )
    assert "the driver writes, and the trace has not: 06 management | list.query" in ran.out


def test_calls_of_every_kind_are_found_out(tmp_path: Path, replay: Tool) -> None:
    commands = ["3100240103", "2d0011", "2b", "350001"]
    written = [usi.frame(0x30, bytes.fromhex(each)).hex() for each in commands]
    rows = [{"at": 100 + 10 * at, "write": each} for at, each in enumerate(written)]
    path = put(
        tmp_path / "a.jsonl", HEAD, *BEGINNING, {"at": 90, "write": request(b"\xc0\x01")}, *rows
    )
    test = tmp_path / "test.jsonl"
    ran = replay("--driver", "prime-usi", "--update", "-o", test, path)
    assert ran.status == 0, ran.out
    found = [json.loads(line) for line in test.read_text().splitlines()]
    calls = [row["call"] for row in found if "call" in row]
    assert calls == [
        ["send", NODE, 16, 1, "c001"],
        ["set", "0024", "03"],
        ["get", "0011"],
        ["reset"],
        ["kick", NODE],
    ]
    assert found[0] == {**HEAD, "driver": "prime-usi"}
    assert [row["event"] for row in found if "event" in row] == [["joined", NODE]]


@pytest.mark.parametrize("early", [0, 3, 40])
def test_what_the_driver_does_by_itself_is_no_order(
    early: int, tmp_path: Path, replay: Tool
) -> None:
    """Its sign of life after a silence, which the trace has a little earlier than the replay."""
    alone = Player(make_driver({"driver": "prime-usi"}))
    for row in BEGINNING:
        for kind in ("line", "read"):
            if kind in row:
                alone.put(row["at"], kind, row[kind])
    done = len(alone.outcome)
    alone.advance(10_000_000)
    at, _, probe = alone.outcome[done]
    path = put(tmp_path / "a.jsonl", HEAD, *BEGINNING, {"at": at - early, "write": probe})
    test = tmp_path / "test.jsonl"
    ran = replay("--driver", "prime-usi", "--update", "-o", test, path)
    assert ran.status == 0, ran.out
    assert not any("call" in json.loads(line) for line in test.read_text().splitlines())


def test_a_trace_without_its_beginning_is_played_as_far_as_it_goes(
    tmp_path: Path, replay: Tool
) -> None:
    path = put(tmp_path / "a.jsonl", HEAD, {"at": 5, "write": request(b"\xc0")})
    ran = replay("--driver", "prime-usi", path)
    assert ran.status == 1 and "data.request node 1" in ran.out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the file is empty"),
        ("hello\n", "a.jsonl:1: "),
        ('{"recording": 2}\n', 'expected {"recording": 1'),
        ('{"recording": 1}\n', "give --driver"),
        ('{"recording": 1, "driver": "x"}\n', "expected a driver of prime-usi"),
        ('{"recording": 1, "driver": "imst", "link_mode": "x"}\n', "link_mode: expected one of"),
        ('{"recording": 1, "driver": "imst"}\n{"at": 5}\n{"at": 4}\n', "a.jsonl:3: "),
        ('{"recording": 1, "driver": "imst"}\n{"at": 5, "read": "x"}\n', "a.jsonl:2: "),
        ('{"recording": 1, "driver": "imst"}\n{"at": 5, "call": ["send"]}\n', "a.jsonl: "),
        ('{"recording": 1, "driver": "imst"}\n{"at": 5, "call": [7]}\n', "a.jsonl: "),
    ],
)
def test_files_that_are_no_recordings(
    text: str, expected: str, tmp_path: Path, replay: Tool
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    ran = replay(path)
    assert ran.status == 2 and expected in ran.err, (ran.out, ran.err)


def test_wrong_calls(tmp_path: Path, replay: Tool) -> None:
    assert replay(tmp_path / "none").status == 2
    assert replay("--driver", "x", "a").status == 2
    assert replay("-o", "x", "a").status == 2
    ran = replay("--help")
    assert ran.status == 0 and "From a trace of the field to a test" in ran.out


def test_the_recordings_that_are_kept(replay: Tool) -> None:
    kept = sorted(Path("tests/data/recordings").glob("*.jsonl"))
    ran = replay(*kept)
    assert ran.status == 0 and ran.out.count("the same") == len(kept) >= 3
