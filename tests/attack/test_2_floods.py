"""Section 2: a flood costs time in proportion, and neither memory nor flash nor the connection; an
ordinary job is done in the midst of it. What it costs is a table for people."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from gateway.contract.edhoc.frames import framed_1
from gateway.contract.messages import Ack, Chunk
from tests.attack.cell import Cell
from tests.unit.hes.secured import Identity
from tools.demonstration.stage import CONCENTRATOR

MESSAGES = 10_000
AT_ONCE = 500
MEMORY = 24 << 20  # octets that a process may grow by: freed, but not given back
FLASH = 256 << 10
HEAD = ("flood", "HES s", "gw s", "HES KiB", "gw KiB", "flash B", "job s")
SEALED_FOR_NOBODY = b"\xd0\x83\x50\xa3\x01\x01\x04\x44" + bytes(80)


def floods() -> dict[str, list[tuple[str, bytes]]]:
    begun = framed_1(Identity().initiator(CONCENTRATOR, bytes(4)).message_1())
    chunk = Chunk(bytes(32), 0, 100, b"x" * 100)
    return {
        "nonsense": [(name, os.urandom(300)) for name in ("job", "hello", "state", "report")],
        "pieces": [("chunk", chunk.encode()), ("ack", Ack(1, 1 << 40).encode())],
        "sealed": [("ask", SEALED_FOR_NOBODY), ("hello", SEALED_FOR_NOBODY)],
        "handshakes": [("edhoc", begun), ("edhoc", b"\xf5\x03\x02" + bytes(40))],
        "127 KB": [(name, bytes(127 * 1024)) for name in ("job", "chunk", "time", "edhoc")],
    }


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_floods(cell: Cell, capsys: pytest.CaptureFixture[str]) -> None:
    usual = cell.legal_job()
    rows: list[tuple[Any, ...]] = []
    for name, said in floods().items():
        count = MESSAGES // 100 if name == "127 KB" else MESSAGES
        rows.append((name, *endured(cell, lambda n=count, s=said: flood(cell, s, n))))
    with capsys.disabled():
        print("\n%s, %d messages each; a job takes %.1f s" % (cell.runtime, MESSAGES, usual))
        print(" ".join(["%10s" % name for name in HEAD]))
        for row in rows:
            print("%10s %10.2f %10.2f %10d %10d %10d %10.1f" % row)


def flood(cell: Cell, said: list[tuple[str, bytes]], count: int) -> None:
    for _ in range(max(1, count // AT_ONCE)):
        cell.attacker.say_all((said * AT_ONCE)[: min(count, AT_ONCE)])


def endured(cell: Cell, attack: Callable[[], None]) -> tuple[Any, ...]:
    """What it has cost, HES and concentrator: seconds of CPU, KiB; octets of the flash; and how
    long a job took that was ordered in the midst of it."""
    pids, births = cell.pids(), len(cell.sessions())
    before, memory, kept = spent(cell), resident(cell), flash(cell)
    storm = threading.Thread(target=attack)
    storm.start()
    took = cell.legal_job()
    storm.join()
    cell.legal_job()  # whoever speaks has been heard out
    grown = [now - was for now, was in zip(resident(cell), memory, strict=True)]
    written = flash(cell) - kept
    assert cell.pids() == pids and len(cell.sessions()) == births
    assert max(grown) < MEMORY and written < FLASH
    cost = [now - was for now, was in zip(spent(cell), before, strict=True)]
    return (*cost, *[each // 1024 for each in grown], written, took)


def spent(cell: Cell) -> list[float]:
    """Seconds of CPU of HES and concentrator."""
    return [cpu_s(pid) for pid in cell.pids()]


def cpu_s(pid: int) -> float:
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(cell: Cell) -> list[int]:
    return [cell.resident(name) for name in ("hes", "gateway")]


def flash(cell: Cell) -> int:
    return sum(file.stat().st_size for file in cell.data.iterdir())
