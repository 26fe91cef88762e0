"""The ledger's records and the reports they become, held by bytes: those that this version writes
(ledger-2.json in tests/data/golden), and those of an earlier one (ledger.json). A gateway whose
firmware is renewed goes on with what lies on its flash.
"""

from __future__ import annotations

import json

from gateway.audit import Audit
from gateway.contract.job import Canary, Job, PackageRef, State
from gateway.contract.kinds import CONFIGURE, READ
from gateway.contract.result import KO, OK, VALUE, Result
from gateway.jobs.ledger import Ledger
from gateway.journal import Journal
from gateway.uplink.outbox import Outbox
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.support import random_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILE = "tests/data/golden/ledger-2.json"
EARLIER = "tests/data/golden/ledger.json"
NOW = 1_700_000_000


class Limits:
    jobs = 8
    ledger_bytes = 1 << 20
    free_bytes = 1000


def golden(name: str) -> Any:
    with open(name) as file:
        return json.load(file)


def opened(storage: MemoryStorage, now: int) -> Ledger:
    clock = ManualClock(now)
    trail = Audit(storage, clock, 16384)
    return Ledger(storage, clock, lambda n: random_bytes(1, n), Limits(), trail)


def job(number: int, meters: int, package: bool, canary: Canary | None = None) -> Job:
    return Job(
        bytes([number] * 16),
        CONFIGURE if package else READ,
        "c-0042",
        NOW,
        5,
        0,
        0,
        3,
        30,
        ["M%d%02d" % (number, i) for i in range(meters)],
        PackageRef("tariff", 10, bytes(32)) if package else None,
        [] if package else [(8, b"\x00\x00\x01\x00\x00\xff", 2)],
        None,
        canary,
    )


def life() -> tuple[list[bytes], list[bytes]]:
    """(every record, every message of reports) of a ledger to which each thing happens once."""
    storage = MemoryStorage(1 << 24, False)
    ledger = opened(storage, NOW)
    ledger.event("clock-set", "from 1 to 2")
    ledger.refused("job", bytes(range(32)), None, "bad-signature", "the key did not sign this")
    first = job(1, 4, True, Canary(2, 50))
    ledger.accept(first, first.encode(), "window-short", "needs 2 h", b"hes-1")
    ledger.accept(first, first.encode())
    ledger.started(1, 0)
    ledger.again(1, 0, "no-answer", 30_000)
    ledger.started(1, 1)
    ledger.finished(1, 1, State.SUCCEEDED, Result(OK, "applied"), "plc", 4711)
    second = job(2, 3, False)
    ledger.accept(second, second.encode())
    ledger.started(2, 0)
    ledger.finished(2, 0, State.SUCCEEDED, Result(VALUE, "read", "", [b"\x12\x03\x84", b""]), "rf")
    ledger.started(2, 1)
    ledger.pause(second.id, True, NOW + 1, b"hes-1")
    ledger.pause(second.id, False, NOW + 2)
    ledger.cancel(second.id, b"hes-1")
    ledger.finished(2, 1, State.FAILED, Result(KO, "link-lost", "half way"), "ip", 9)
    third = job(3, 2, True, Canary(1, 100))
    ledger.accept(third, third.encode())
    ledger.started(3, 0)
    ledger.finished(3, 0, State.REJECTED, Result(KO, "wrong-model"), "plc", 1)
    fourth = job(4, 1, False)
    ledger.accept(fourth, fourth.encode())
    ledger.finished(4, 0, State.TIMED_OUT, Result(KO, "not-tried"))
    fifth = job(5, 1, False)
    ledger.accept(fifth, fifth.encode())
    ledger.started(5, 0)
    ledger.finished(5, 0, State.SUCCEEDED, Result(VALUE, "read", "", []), "ip", 7)
    ledger.pause(job(6, 1, False).id, True, NOW + 3, b"hes-1")
    ledger.cancel(job(7, 1, False).id, b"hes-1", NOW + 4)
    ledger.pause(job(8, 1, False).id, False, NOW + 5)
    for number in (6, 7):
        late = job(number, 2, False)
        ledger.accept(late, late.encode())
    messages = outgoing(ledger)
    ledger.compact()
    ledger.acknowledge(12)
    ledger.compact()
    messages += outgoing(ledger)
    ledger.acknowledge(99)
    ledger.compact()
    records = [payload for _, payload in ledger._store.journal.records()]
    return records, messages


def outgoing(ledger: Ledger) -> list[bytes]:
    """All reports that wait, as they are sent: as many to a message as it holds."""
    outbox = Outbox(ledger)
    sent = []
    message = outbox.batch(0)
    while message is not None:
        sent.append(message.encode())
        outbox.published(0)
        message = outbox.batch(0)
    return sent


def test_the_same_life_leaves_the_same_bytes() -> None:
    records, messages = life()
    held = golden(FILE)
    assert [record.hex() for record in records] == held["records"]
    assert [message.hex() for message in messages] == held["messages"]


def with_records(records: list[str]) -> Ledger:
    storage = MemoryStorage(1 << 24, False)
    journal = Journal(storage, "ledger")
    journal.recover(lambda position, payload: None)
    for record in records:
        journal.append(bytes.fromhex(record))
    journal.commit()
    return opened(storage, NOW + 60)


def test_what_this_version_wrote_is_understood() -> None:
    """And a job that was canceled before it came runs nothing, however often it comes."""
    ledger = with_records(golden(FILE)["records"])
    assert ledger.recovery.notes == [] and not ledger.recovery.damaged
    assert [entry.job.id[0] for entry in ledger.jobs()] == [1, 6]
    assert ledger.jobs()[1].paused and ledger.ordered_early(job(8, 1, False).id)
    late = job(7, 2, False)
    assert ledger.accept(late, late.encode()) == "already-ended"
    assert ledger.cancel(late.id) and ledger.cancel(job(2, 3, False).id)


def test_a_checkpoint_of_an_earlier_version_is_understood() -> None:
    ledger = with_records(golden(EARLIER)["records"])
    assert ledger.recovery.notes == [] and not ledger.recovery.damaged
    second = ledger.jobs()[1]
    assert second.job.id == job(2, 3, False).id and second.canceled and not second.paused
    assert ledger.pause(second.job.id, False, NOW + 2) == "duplicate"


def test_what_an_earlier_version_wrote_is_understood() -> None:
    held = golden(EARLIER)
    ledger = with_records(held["records"][: held["before"]])
    assert ledger.recovery.notes == [] and not ledger.recovery.damaged
    assert ledger.jobs()[0].job.serials == ["M100", "M101", "M102", "M103"]
    counts = [entry.summary() for entry in ledger.jobs()]
    assert counts == held["summaries"]
    assert [message.hex() for message in outgoing(ledger)] == held["messages"][:1]
