"""Own invocation counters: never twice, whoever runs at once, whatever breaks."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from tests.unit.dlms_tool.conftest import KEYS, Stand, Tool
from tools.dlms.counter_file import (
    BLOCK,
    DAY_S,
    LAST,
    MAX_JUMP,
    CounterFile,
    CounterProblem,
    own_title,
)

PERIOD = "profile_generic 1.0.99.1.0.255 capture_period"
TITLE = b"TOOL0001"


def many(path: Path, results: multiprocessing.SimpleQueue[list[int]]) -> None:
    counters = CounterFile(path, TITLE, KEYS.ek)
    results.put([counters.next() for _ in range(500)])


def test_two_programs_at_once_never_share_a_number(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "counters.json"
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.SimpleQueue[list[int]] = context.SimpleQueue()
    runs = [context.Process(target=many, args=(path, results)) for _ in range(2)]
    for run in runs:
        run.start()
    numbers = results.get() + results.get()
    for run in runs:
        run.join(60)
    assert len(set(numbers)) == 1000
    assert CounterFile(path, TITLE, KEYS.ek).next() > max(numbers)


def test_kept_between_runs_and_apart_by_key(tmp_path: Path) -> None:
    path = tmp_path / "counters"
    first = [CounterFile(path, TITLE, KEYS.ek).next() for _ in range(3)]
    assert first == sorted(set(first))
    assert CounterFile(path, TITLE, KEYS.ak).next() == 1
    assert CounterFile(path, b"TOOL0002", KEYS.ek).next() == 1
    assert path.stat().st_mode & 0o077 == 0
    assert KEYS.ek.hex() not in path.read_text()


def test_forged_demands_cost_one_jump_a_day_however_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "counters"
    for day in range(3):
        monkeypatch.setattr("time.time", lambda day=day: 1_700_000_000 + day * DAY_S)
        believed = 0
        for _ in range(256):
            counters = CounterFile(path, TITLE, KEYS.ek)
            try:
                counters.raise_to(counters.next() + MAX_JUMP // 2 - 100)
            except CounterProblem:
                continue
            believed += 1
        assert believed == 2
        assert CounterFile(path, TITLE, KEYS.ak).next() < 4 * BLOCK


def test_raised_only_so_far(tmp_path: Path) -> None:
    counters = CounterFile(tmp_path / "counters", TITLE, KEYS.ek)
    counters.raise_to(5000)
    assert counters.next() == 5000
    counters.raise_to(10)
    assert counters.next() == 5001
    with pytest.raises(CounterProblem, match=r"not believed.* give --counter 4294967295"):
        counters.raise_to(LAST)
    counters.start_at(LAST)
    assert counters.next() == LAST
    with pytest.raises(CounterProblem, match="used up"):
        counters.next()


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b'{"title": "00", "counters": {}}', b'{"title": "4142434445464748"}',
     b'{"title": "4142434445464748", "counters": {"a": -1}}', b"\xff",
     b'{"title": "4142434445464748", "counters": {}, "raised": {"a": [1]}}'],
)  # fmt: skip
def test_a_damaged_file_is_not_started_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "counters"
    path.write_bytes(content)
    with pytest.raises(CounterProblem, match="damaged"):
        CounterFile(path, TITLE, KEYS.ek).next()
    assert path.read_bytes() == content


def test_own_title_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "counters"
    title = own_title(path)
    assert len(title) == 8
    assert title.startswith(b"AMI")
    assert own_title(path) == title
    assert own_title(tmp_path / "other") != title


def test_meter_never_sees_a_counter_twice(
    stand: Stand, tool: Tool, keys: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "counters"
    options = ["--counter-file", str(path), "--title", TITLE.hex(), *keys]
    seen = []
    for _ in range(3):
        assert tool(stand.tcp, "get", PERIOD, *options).status == 0
        seen.append(stand.meter.find(64, "0.0.43.0.0.255").last_counter)  # type: ignore[attr-defined]
    assert seen[0] < seen[1] < seen[2]
    assert max(json.loads(path.read_text())["counters"].values()) > seen[2]


def test_a_meter_that_demands_more_gets_it(stand: Stand, tool: Tool, keys: list[str]) -> None:
    security = stand.meter.find(64, "0.0.43.0.0.255")
    security.last_counter = 100_000  # type: ignore[attr-defined]
    ran = tool(stand.tcp, "get", PERIOD, *keys)
    assert ran.status == 0, ran.err
    assert security.last_counter > 100_000  # type: ignore[attr-defined]
    security.last_counter = 1 << 30  # type: ignore[attr-defined]
    ran = tool(stand.tcp, "get", PERIOD, *keys)
    assert ran.status == 1
    assert "not believed" in ran.err
    assert tool(stand.tcp, "get", PERIOD, "--counter", str(1 << 31), *keys).status == 0


def test_counter_read_from_the_meter_first(stand: Stand, tool: Tool, keys: list[str]) -> None:
    security = stand.meter.find(64, "0.0.43.0.0.255")
    security.last_counter = 5_000  # type: ignore[attr-defined]
    ran = tool(stand.tcp, "get", PERIOD, "--read-counter", "--trace", *keys)
    assert ran.status == 0, ran.err
    assert "invocation-counter" not in ran.err
    assert security.last_counter > 5_000  # type: ignore[attr-defined]


def test_a_folder_that_cannot_be_written(
    stand: Stand, tool: Tool, keys: list[str], tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    options = ["--counter-file", os.path.join(blocked, "counters"), *keys]
    ran = tool(stand.tcp, "get", PERIOD, *options)
    assert ran.status == 1
    assert "--counter-file" in ran.err
