"""Section 3: orders mean what they say. In plain, where the attacker has the signed orders, and may
play them again, hold them back, and change their order."""

from __future__ import annotations

from tests.attack.cell import PATIENCE, Cell
from tools.demonstration.stage import CONCENTRATOR
from tools.hes import report
from tools.hes.orders import order


def envelopes(cell: Cell) -> list[tuple[str, bytes]]:
    """The orders that have no answer yet."""
    return [(each.kind, each.envelope) for each in cell.hes_store.line.orders(CONCENTRATOR)]


def test_a_cancel_that_is_brought_first_counts(plain_cell: Cell) -> None:
    """The HES is away while the orders are brought by somebody else, the cancel first."""
    cell = plain_cell
    before = cell.written()
    cell.kill("hes")
    job = cell.configure()
    order.cancel(cell.hes_store.orders, cell.key, job)
    said = sorted(envelopes(cell))
    assert [name for name, _ in said] == ["cancel", "job"]
    for name, envelope in said:
        cell.attacker.say(name, envelope)
    cell.attacker.play_again(said * 5)
    cell.start_hes()
    cell.wait_for("the job's end", PATIENCE, lambda: cell.finished(job))
    assert report.build(cell.hes_store.reports, job)["state"] == "canceled"
    assert cell.written() == before
    cell.legal_job()


def test_a_job_runs_once_whatever_is_played_again(plain_cell: Cell) -> None:
    """Also after the power has failed."""
    cell = plain_cell
    cell.legal_job()
    cell.legal_job()
    jobs = cell.attacker.heard("job")
    assert len(jobs) >= 2
    cell.attacker.play_again(jobs * 3)
    cell.restart_gateway()
    cell.attacker.play_again(jobs * 3)
    cell.legal_job()  # that each meter was written exactly once for it is part of the judgement


def test_pauses_that_are_played_again_change_nothing(plain_cell: Cell) -> None:
    cell, silent = plain_cell, plain_cell.serials[-1]
    cell.meters.fault(silent, "dead", True)
    try:
        job = cell.configure()
        cell.wait_for("another", PATIENCE, lambda: "OK" in cell.results(job).values())
        for paused in (True, False):
            order.pause(cell.hes_store.orders, cell.key, job, paused)
            cell.wait_for("its answer", PATIENCE, lambda: not envelopes(cell))
        epoch = cell.hes_store.line.epoch(CONCENTRATOR)
        assert epoch is not None
        reports = cell.hes_store.line.position(CONCENTRATOR, epoch)
        cell.attacker.play_again(cell.attacker.heard("pause") * 100)
    finally:
        cell.meters.fault(silent, "dead", False)
    cell.judge(job)
    # This job's last two reports, and none for a pause.
    assert cell.hes_store.line.position(CONCENTRATOR, epoch) <= reports + 2
