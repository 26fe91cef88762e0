"""A hundred thousand reports wait for a HES: no job is taken beyond that, and when the line is back
all arrive, in order, from a flash that is then empty again. In simulated time.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.contract.job import State
from gateway.contract.reports import MeterReport
from gateway.contract.result import VALUE, Result
from gateway.jobs.ledger import OUTBOX_SIZE
from hal.cpython.storage import FolderStorage
from tests.portable.memory import Measured
from tests.portable.support import run
from tests.portable.uplink import support as uplink_support
from tests.portable.uplink.support import NOW, World, read_job, signed

METERS = 2000
SERIALS = ["AMI%010d" % number for number in range(METERS)]
JOBS = OUTBOX_SIZE // METERS - 1  # beside each job's meters there are a few reports of its own
WEEK = 7 * 86400
# What may be in RAM of an execution whose report waits: its state and serial in the job.
EXECUTION_OCTETS = 128


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_hundred_thousand_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink_support.Limits, "jobs", JOBS + 2)
    monkeypatch.setattr(uplink_support.Limits, "ledger_bytes", 1 << 26)

    async def scenario(memory: Measured) -> None:
        world = World(storage=FolderStorage(str(tmp_path)), known=SERIALS)
        ledger, empty = world.ledger, memory.used()
        for number in range(JOBS):
            job = read_job(number, serials=SERIALS, not_after=NOW + WEEK)
            world.give("job", signed(job.encode()))
        for entry in ledger.jobs():
            with ledger.batch():
                for index in range(METERS):
                    ledger.started(entry.seq, index)
                    result = Result(VALUE, "read", "", [b"\x00"])
                    ledger.finished(entry.seq, index, State.SUCCEEDED, result, "plc", 5)
        assert ledger.last_number == JOBS * (METERS + 2)
        world.give("job", signed(read_job(200, serials=SERIALS).encode()))
        assert [entry.job.id[-1] for entry in ledger.jobs()] == list(range(JOBS))
        grown = memory.used() - empty
        waiting = ledger.last_number
        assert grown < JOBS * METERS * EXECUTION_OCTETS, grown

        began = time.monotonic()
        await world.start()
        while world.ledger.acknowledged < waiting:
            before = world.ledger.acknowledged
            await world.clock.run(60_000)
            assert world.ledger.acknowledged > before
        reports = world.hes.reports
        assert [r.number for r in reports[:waiting]] == list(range(1, waiting + 1))
        told = [body.serial for body in world.hes.bodies(MeterReport)]
        assert told == SERIALS * JOBS
        assert world.hes.reasons() == ["storage-full"]
        assert ledger.jobs() == [] and ledger.size() < 1 << 22
        print(
            "%d reports, %d octets of RAM each while they wait, delivered in %.1f s"
            % (waiting, grown // waiting, time.monotonic() - began)
        )
        await world.stop()

    with Measured() as memory:
        run(scenario(memory))
