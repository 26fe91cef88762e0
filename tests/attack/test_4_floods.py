"""Ten thousand messages on a topic, and what they cost: a table for people. An ordinary job has to
get through in the middle of each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.edhoc.frames import framed_1
from tests.attack.cell import Cell
from tests.unit.hes.secured import Identity
from tools.demonstration.stage import CONCENTRATOR

MESSAGES = 10_000
KINDS = ("job", "ack", "report", "hello", "state", "edhoc")


def cpu_s(pid: int) -> float:
    fields = Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def flash(cell: Cell) -> int:
    return sum(file.stat().st_size for file in cell.data.iterdir())


@pytest.mark.long
def test_floods(cell: Cell, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[tuple[Any, ...]] = []
    usual = cell.legal_job()
    begun = Identity().initiator(CONCENTRATOR, bytes(4))
    for kind in KINDS:
        payload = framed_1(begun.message_1()) if kind == "edhoc" else os.urandom(300)
        pids = cell.pids()
        before = [cpu_s(pid) for pid in pids] + [flash(cell)]
        memory = [cell.resident(name) for name in ("hes", "gateway")]

        def attack(kind: str = kind, payload: bytes = payload) -> None:
            cell.attacker.say_all([(kind, payload)] * MESSAGES)

        took = cell.legal_job(attack)
        assert cell.pids() == pids
        cost = [cpu_s(pid) - was for pid, was in zip(pids, before, strict=False)]
        grown = [
            (cell.resident(name) - was) // 1024
            for name, was in zip(("hes", "gateway"), memory, strict=True)
        ]
        rows.append((kind, *cost, *grown, flash(cell) - int(before[2]), took - usual))
    with capsys.disabled():
        print("\n%s, %d messages each; a job takes %.1f s" % (cell.runtime, MESSAGES, usual))
        head = ("topic", "HES s", "gw s", "HES KiB", "gw KiB", "flash B", "later s")
        print(" ".join(["%9s" % name for name in head]))
        for row in rows:
            print("%9s %9.2f %9.2f %9d %9d %9d %9.1f" % row)
