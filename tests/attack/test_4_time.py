"""Section 4: a board whose clock has no battery takes the time from the HES and nobody else."""

from __future__ import annotations

import time

from gateway.contract.messages import Time
from tests.attack.cell import Cell
from tools.hes import report

BOARD = "tests.attack.board_without_clock"


def test_an_unset_clock_is_set_by_the_hes_alone(cell: Cell) -> None:
    """Others are quicker: with times of their own, old ones of the HES, and old jobs."""
    attacker, now = cell.attacker, int(time.time())
    said = [("time", Time(each).encode()) for each in (1, 978307200, now + 10**8, 2**32 - 1)]
    heard = attacker.heard("time", "job", "edhoc")[-60:]
    cell.kill("gateway")
    cell.freeze("hes", True)
    try:
        cell.resume_gateway(BOARD)
        cell.wait_for_birth()
        attacker.say_all(said * 5)
        attacker.play_again(heard)
    finally:
        cell.freeze("hes", False)
    try:
        job = cell.configure()
        cell.judge(job)
        rows = report.build(cell.hes_store.reports, job)["meters"]
        assert all(abs(row["updated"] - time.time()) < 600 for row in rows), rows
    finally:
        cell.restart_gateway()
        cell.wait_for_birth()
