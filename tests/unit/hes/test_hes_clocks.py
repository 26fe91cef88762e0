"""`ami-hes clocks`: what visits found, what they left, and how a street's clocks are spread."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from gateway.activities.clock import AHEAD, CLASS, SECONDS
from gateway.dlms.data import axdr
from gateway.dlms.data.selection import CLOCK
from tests.unit.hes.readings import NOW, Stream, values
from tools.hes.__main__ import main
from tools.hes.readings.quantities import is_clock_ahead
from tools.hes.store.store import Store


def found(*seconds: int) -> list[list[Any]]:
    """As a visit records them."""
    data = [axdr.encode((axdr.DOUBLE_LONG, each)) for each in seconds]
    return [[CLASS, CLOCK, AHEAD, each, 0, SECONDS] for each in data]


@pytest.fixture
def clocks(store: Store, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COLUMNS", "120")
    stream = Stream(store)
    stream.send(values(*found(4), serial="A1", at=NOW - 90_000))
    stream.send(values(*found(-47, 0), serial="A1", at=NOW - 100))
    stream.send(values(*found(2), serial="A2"), values(*found(5000), serial="A3"))
    stream.send(values([3, bytes(6), 2, axdr.encode((axdr.UNSIGNED, 1)), 0, 30], serial="A2"))

    def run(*words: str) -> int:
        return main(["--db", store.where, "clocks", *words, "--from", "2020-01-01T00:00"])

    return run


def test_one_meters_history(clocks: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert clocks("A1", "--json") == 0
    first, last = json.loads(capsys.readouterr().out)
    assert (first["ahead"], first["left"], first["serial"]) == (4, 4, "A1")
    assert (last["ahead"], last["left"], last["time"]) == (-47, 0, NOW - 100)
    assert clocks("A1") == 0
    lines = capsys.readouterr().out.splitlines()
    (put_right,) = [line for line in lines if "-47 s" in line]
    assert put_right.split()[-2:] == ["0", "s"]


def test_a_streets_clocks_are_spread_and_the_worst_come_first(
    clocks: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clocks() == 0
    out = capsys.readouterr().out
    assert "Clocks of 3 meters, as found last" in out
    for line, count in (("below 10 s", 1), ("30 s to 900 s", 1), ("3600 s and more", 1)):
        assert re.search("%s +%d " % (line, count), out), out
    assert re.search("10 s to 30 s +0 ", out)
    assert out.index("+5000 s") < out.index("-47 s") < out.index("+2 s")


def test_nothing_known(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--db", store.where, "clocks"]) == 1
    assert "a task with --clock does it" in capsys.readouterr().out


def test_the_mark_is_the_concentrators() -> None:
    assert is_clock_ahead(CLASS, AHEAD)
