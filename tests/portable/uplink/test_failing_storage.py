"""A flash that refuses any one call while the HES's messages come: nothing raises, and a message
that the HES sends again does what it would have done."""

from __future__ import annotations

from gateway.contract.messages import Cancel, Chunk, Pause
from gateway.uplink.identity import identity_of
from hal.rt import log
from hal.sim.storage import EACCES, EIO, ENOSPC, MemoryStorage
from tests.portable.uplink.support import (
    BOARD_KEY,
    HERE,
    KNOWN,
    NOW,
    World,
    configure_job,
    crypto,
    package,
    read_job,
    signed,
)
from tests.portable.uplink.test_trust import METER, change, keys_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

log.set_level("error")

RAW = signed(package(6000).to_payload())
CONFIGURE_IT = configure_job(RAW, 2)
READ_IT = read_job(1)
DIGEST = CONFIGURE_IT.package.digest
# as the HES sends them, signed once
TRUST = signed(change())
KEYS = signed(keys_for())
ORDERS = [signed(job.encode()) for job in (READ_IT, CONFIGURE_IT)]
PAUSE = signed(Pause(READ_IT.id, HERE, NOW, True).encode())
RESUME = signed(Pause(READ_IT.id, HERE, NOW + 1, False).encode())
CANCEL = signed(Cancel(READ_IT.id, HERE, NOW).encode())


def entry(world: World, number: int):
    return world.ledger.entry((READ_IT, CONFIGURE_IT)[number].id)


def pulled(world: World) -> bool:
    """One round of asking for what the package lacks, and of the HES's answers."""
    for pull in world.session.files.pulls(world.clock.ticks_ms(), [DIGEST]):
        piece = RAW[pull.offset : pull.offset + pull.size]
        world.give("chunk", Chunk(DIGEST, pull.offset, len(RAW), piece).encode())
    world.clock.advance(600_000)  # what came to nothing is asked for again
    return world.session.files.has(DIGEST)


# (topic, what comes down it, whether it has had its effect)
STEPS: list[tuple[str, bytes, Callable[[World], object]]] = [
    ("trust", TRUST, lambda world: world.session.trust.number == 1),
    ("keys", KEYS, lambda world: world.session.trust.keys_number == 1),
    ("job", ORDERS[0], lambda world: entry(world, 0)),
    ("job", ORDERS[1], lambda world: entry(world, 1)),
    ("pause", PAUSE, lambda world: entry(world, 0).paused),
    ("pause", RESUME, lambda world: not entry(world, 0).paused),
    ("chunk", b"", pulled),
    ("cancel", CANCEL, lambda world: entry(world, 0).final_number),
]


def live(storage: MemoryStorage, protected: bool) -> World:
    world = World(storage=storage, protected=protected)
    if protected:
        world.agree()
    for topic, payload, done in STEPS:
        for _ in range(3):
            if topic != "chunk":
                world.give(topic, payload)
            if done(world):
                break
        else:
            raise AssertionError("%s has no effect any more" % topic)
    return world


def flash() -> MemoryStorage:
    storage = MemoryStorage()
    storage.replace("meters.jsonl", METER.encode())
    identity_of(storage, crypto(), BOARD_KEY)
    return storage


def check(world: World) -> None:
    trust = world.session.trust
    assert (trust.number, trust.keys_number, len(trust.trusted())) == (1, 1, 2)
    assert world.inventory.keys(KNOWN[0]).ek == bytes(range(16))
    assert world.session.files.package(DIGEST).name == "interval-900"
    read, configure = world.ledger.jobs()
    assert (read.stopped(), read.paused, read.open()) == ("canceled", False, 0)
    assert configure.open() == 2
    # Its package is here, so it may begin.
    assert world.queue.take(lambda serial, job: True).job.id == CONFIGURE_IT.id


def test_every_message_has_its_effect_whatever_call_fails() -> None:
    whatever_call_fails(False, 1)


def test_the_same_over_a_protected_line() -> None:
    whatever_call_fails(True, 7)


def whatever_call_fails(protected: bool, each: int) -> None:
    """`each` so-manieth call."""
    storage = flash()
    before = storage.operations
    live(storage, protected)
    count = storage.operations - before
    assert count > 30
    for which, errno in enumerate((EIO, EACCES, ENOSPC)):
        for at in range(which, count, 3 * each):
            failing = flash()
            failing.fail_at(at, errno)
            world = live(failing, protected)
            assert failing.failed(), "call %d was not made" % at
            check(world)
            world.storage = failing.after_cut()
            world.boot()
            check(world)
