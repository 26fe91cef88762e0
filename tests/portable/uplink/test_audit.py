"""What the session puts into the audit trail, and what the HES hears of it."""

from __future__ import annotations

from gateway.audit import NAME, verify
from gateway.contract.messages import Cancel
from gateway.journal import Journal
from hal.rt import cbor, log
from tests.portable.support import run
from tests.portable.uplink.support import HERE, KID, NOW, World, read_job, signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

log.set_level("error")


def trail(world: World) -> list[list[Any]]:
    """[kind, details] of each record; the chain holds."""
    journal = Journal(world.storage, NAME)
    raw: list[bytes] = []
    journal.recover(lambda position, record: raw.append(record))
    verify(raw)
    return [cbor.decode(record)[3:] for record in raw]


def test_orders_are_on_record_and_refusals_are_not() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        job = read_job()
        raw = signed(job.encode())
        for _ in range(5):
            world.give("job", raw)  # a replay costs no record
        world.give("job", signed(read_job(2).encode(), b"nobody"))
        world.give("cancel", signed(Cancel(job.id, HERE, NOW).encode()))
        records = trail(world)
        assert [kind for kind, _ in records] == ["job", "cancel"]
        assert records[0][1][:2] == [job.id, KID] and records[0][1][4] == 2
        assert records[1][1] == [job.id, KID]
        await world.clock.run(301_000)
        hello = [heard[1] for heard in world.hes.heard if heard[0] == "hello"][-1]
        assert (hello.records, hello.head) == (2, world.audit.head)
        await world.stop()

    run(scenario())


def test_the_file_is_made_again_from_what_the_ledger_carries() -> None:
    world = World()
    world.give("job", signed(read_job().encode()))
    head = world.audit.head
    for name in world.storage.names():
        if name.startswith(NAME):
            world.storage.remove(name)
    world.boot()
    world.boot()
    assert (world.audit.records, world.audit.head) == (1, head)
    world.audit.sync()
    records = trail(world)
    assert [kind for kind, _ in records] == ["job"]
    assert records[0][1][:2] == [read_job().id, KID]


def test_a_file_that_refuses_does_not_stop_the_order() -> None:
    world = World()
    journal_append = world.audit._journal.append

    def refuse(record: bytes) -> int:
        raise OSError(5, "as the test ordered")

    world.audit._journal.append = refuse  # type: ignore[method-assign]
    world.give("job", signed(read_job().encode()))
    assert len(world.ledger.jobs()) == 1 and world.audit.records == 1 and trail(world) == []
    world.audit._journal.append = journal_append  # type: ignore[method-assign]
    world.ledger.compact()
    world.ledger.acknowledge(world.ledger.last_number)
    assert [kind for kind, _ in trail(world)] == ["job"]
    world.boot()
    assert [kind for kind, _ in trail(world)] == ["job"]
