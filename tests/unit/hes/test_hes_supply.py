"""`ami-hes command`: what is ordered of a switch, and what is asked back first."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.contract import envelope
from gateway.contract.job import Job
from gateway.contract.kinds import SUPPLY
from tools.hes import report
from tools.hes.__main__ import main
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

SWITCH = bytes((0, 0, 96, 3, 10, 255))


def command(store: Store, key: SigningKey, folder: Path, *arguments: str) -> int:
    pem = folder / "switch.pem"
    if not pem.exists():
        key.save(pem)
    words = ["--concentrator", "street-1", "--key", str(pem)]
    return main(["--db", store.where, "command", *arguments, *words])


@pytest.mark.parametrize(("word", "number"), [("disconnect", 1), ("reconnect", 2), ("arm", 3)])
def test_one_meter(store: Store, key: SigningKey, tmp_path: Path, word: str, number: int) -> None:
    assert command(store, key, tmp_path, "A1", word) == 0
    (job_id,) = [job.id for job in store.reports.jobs()]
    job = Job.decode(envelope.split(store.orders.order_of(job_id))[1])
    assert (job.kind, job.serials, job.priority) == (SUPPLY, ["A1"], 9)
    assert job.objects == [(70, SWITCH, number)]
    assert job.not_after - job.issued <= 3600  # nobody is cut off days later
    made = report.build(store.reports, job_id)
    assert (made["command"], made["read"]) == (word + ", switch 0.0.96.3.10.255", [])


def test_many_meters_take_a_second_word(
    store: Store, key: SigningKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(store, key, tmp_path, "A1,A2,A3", "disconnect") != 0
    assert "this would disconnect 3 meters; repeat it with --confirm 3" in capsys.readouterr().err
    assert store.reports.jobs() == []
    assert command(store, key, tmp_path, "A1,A2,A3", "disconnect", "--confirm", "3") == 0


def test_a_switch_that_is_none(
    store: Store, key: SigningKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(store, key, tmp_path, "A1", "arm", "--switch", "somewhere") != 0
    assert "--switch 'somewhere'" in capsys.readouterr().err
