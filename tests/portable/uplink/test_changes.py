"""What the HES changes: each change once and in order, durable before it counts."""

from __future__ import annotations

from gateway.contract.change import Change
from gateway.contract.reports import Event
from gateway.contract.task import ALL, CLOCK, DAYS, MAX_TASKS, MONTHS, WEEKS, Every, Item, Task
from gateway.contract.task import TaskRemoved as Removed
from gateway.jobs import records
from hal.rt import cbor, log
from hal.sim.storage import SURVIVALS, MemoryStorage, PowerCut
from tests.portable.jobs.told import told
from tests.portable.support import run
from tests.portable.uplink.support import HERE, HOUR, NOW, World, signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

log.set_level("error")


def task(name: str = "nightly", at: int = 10, **changes: Any) -> Task:
    found = Task(
        name, 0, Every(DAYS, 1, at, 0), 3, [ALL, []], [Item(CLOCK)], 990, 30, 0, paused=False
    )
    for field in changes:
        setattr(found, field, changes[field])
    return found


def change(number: int, body: Any, **changes: Any) -> bytes:
    found = Change(HERE, NOW, NOW + HOUR, number, body)
    for field in changes:
        setattr(found, field, changes[field])
    return signed(found.encode())


def names(world: World) -> list[str]:
    return [entry.task.name for entry in world.book.entries()]


def test_a_change_is_taken_and_told() -> None:
    world = World()

    async def scene() -> None:
        await world.start()
        world.hes.tell("change", change(1, task()))
        await world.clock.run(2000)
        world.hes.tell("change", change(2, Removed("nightly")))
        await world.clock.run(2000)
        await world.stop()

    run(scene())
    assert [h[1].changes for h in world.hes.heard if h[0] == "hello"] == [0, 1, 2]
    events = [event for event in world.hes.bodies(Event) if event.name == "changed"]
    assert [event.detail.split(": ")[1] for event in events] == [
        "task nightly set",
        "task nightly removed",
    ]
    assert names(world) == []


def test_each_once_and_in_order() -> None:
    world = World()

    def reason(raw: bytes) -> str:
        before = len(world.refusals()), names(world), world.session._changes.number
        world.give("change", raw)
        assert (names(world), world.session._changes.number) == before[1:]
        return ",".join(world.refusals()[before[0] :])

    world.give("change", change(1, task("one")))
    assert names(world) == ["one"]
    assert reason(change(3, task("three"))) == "out-of-order"
    assert reason(change(1, task("another"))) == "replayed"
    assert reason(change(1, task("one"))) == "duplicate"
    world.boot()
    assert reason(change(1, task("four"))) == "replayed"  # after a restart too
    assert reason(change(2, task("x"), concentrator="c-0043")) == "wrong-concentrator"
    assert reason(change(2, task("x"), not_after=NOW - 1)) == "expired"
    assert reason(change(2, task("y"), issued=NOW + 2 * HOUR)) == "not-yet-valid"
    assert reason(change(2, task(every=Every(WEEKS, 1, 0, 0)))) == "malformed"
    assert reason(change(2, task(every=Every(MONTHS, 1, 0, 32)))) == "malformed"
    assert reason(b"\x00") == "malformed"
    world.give("change", change(2, task("two")))
    assert names(world) == ["one", "two"]


def test_no_more_tasks_than_fit() -> None:
    world = World()
    for number in range(1, MAX_TASKS + 1):
        world.give("change", change(number, task("t-%d" % number)))
    world.give("change", change(MAX_TASKS + 1, task("t-0")))
    assert world.refusals() == ["too-many-tasks"]
    world.give("change", change(MAX_TASKS + 1, task("t-1", 20)))  # one that is there can change
    assert world.session._changes.number == MAX_TASKS + 1
    world.boot()
    assert len(world.book.entries()) == MAX_TASKS
    assert world.book.entries()[0].task.every.at == 20


def test_while_the_clock_is_unset_it_waits() -> None:
    world = World(0)
    world.give("change", change(1, task()))
    assert names(world) == [] and world.refusals() == []


def test_a_damaged_copy_of_the_number_is_made_anew() -> None:
    world = World()
    world.give("change", change(1, task()))
    for name in ("changes.0", "changes.1"):
        good = world.storage.read(name)
        world.storage.replace(name, good[:-1] + b"x")
        world.boot()
        assert world.session._changes.number == 1
        assert world.storage.read(name) == good


def test_power_cuts_at_every_call() -> None:
    """After any of them either the number has been taken, and then the task is there, or the same
    message is taken once more."""
    steps = [change(1, task("one")), change(2, task("one", 99)), change(3, Removed("one"))]
    wanted = [[], [10], [99], []]

    def state(world: World) -> list[int]:
        return [entry.task.every.at for entry in world.book.entries()]

    whole = World()
    begin = whole.storage.operations
    for raw in steps:
        whole.give("change", raw)
    count = whole.storage.operations - begin
    assert count > 9
    for survival in SURVIVALS:
        for cut in range(count):
            world = World()
            world.storage.arm(cut, survival)
            try:
                for raw in steps:
                    world.give("change", raw)
                raise AssertionError()
            except PowerCut:
                pass
            world.storage = world.storage.after_cut()
            world.boot()
            number = world.session._changes.number
            # the effect may be there before its number
            assert state(world) in (wanted[number], wanted[min(number + 1, 3)]), (survival, cut)
            for raw in steps:
                world.give("change", raw)
            assert (world.session._changes.number, state(world)) == (3, []), (survival, cut)


def test_runs_of_tasks_are_kept_and_told() -> None:
    from gateway.contract.reports import TaskRun

    world = World()
    body = TaskRun("nightly", NOW, NOW + 5, NOW + 9, 3, 2, 192, [["no-answer", 1]])
    world.ledger.task_run(body)
    world.boot()
    (report,) = world.ledger.reports(0, 9)
    assert report.body == body
    assert told(world.ledger, 0, 9)[0].kind == "run"
    assert records.TASK_RUN in records.WITH_REPORT
    assert cbor.decode(cbor.encode(report.to_array()))[2][0] == 6
    assert isinstance(world.storage, MemoryStorage)
