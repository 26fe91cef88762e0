"""What the HES remembers of a data folder never goes back, is told with each hello before anything
else, and a folder that went back is named."""

from __future__ import annotations

from gateway.contract.messages import Hello, Memory
from tests.mosquitto import Mosquitto
from tests.unit.hes.concentrator import Concentrator
from tests.unit.hes.orders import CONCENTRATOR
from tests.unit.hes.test_hes_service import run, serving
from tools.hes.store.store import Store

BOTH = True
HEADS = [bytes([number]) * 32 for number in range(6)]


def hello(starts: int, used: int, records: int) -> Hello:
    head = HEADS[records % 6]
    return Hello(1, 0, [], bytes(16), 0, 0, records, head, [], 0, 0, 0, starts, used)


def greeted(store: Store, *told: int) -> Memory | None:
    memory = store.line.remember(CONCENTRATOR, hello(*told))
    store.line.take_hello(CONCENTRATOR, hello(*told))
    return memory


def told(memory: Memory | None) -> tuple[int, int, int, bytes]:
    assert memory is not None
    return memory.starts, memory.used, memory.records, memory.head


def events(store: Store) -> list[str]:
    return [each.name for each in store.reports.events() if each.name == "folder-rolled-back"]


def test_it_is_what_was_known_before_and_never_goes_back(store: Store) -> None:
    assert told(greeted(store, 3, 500, 2)) == (0, 0, 0, bytes(32))
    assert told(greeted(store, 4, 900, 4)) == (3, 500, 2, HEADS[2])
    assert events(store) == []
    assert told(greeted(store, 4, 600, 3)) == (4, 900, 4, HEADS[4])  # an old copy
    assert events(store) == ["folder-rolled-back"]
    assert told(greeted(store, 5, 66000, 5)) == (4, 900, 3, HEADS[3])
    assert told(greeted(store, 1, 70000, 5)) == (5, 66000, 5, HEADS[5])
    assert events(store) == ["folder-rolled-back"] * 2


def test_what_no_database_can_count(store: Store) -> None:
    greeted(store, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 2)
    assert told(greeted(store, 1, 1, 2))[:2] == (0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF)


def test_an_old_firmware_is_told_nothing(store: Store) -> None:
    assert greeted(store, 0, 0, 2) is None
    assert events(store) == []


def test_it_is_told_with_each_hello(store: Store, broker: Mosquitto) -> None:
    async def scenario() -> None:
        async with serving(store, broker.url), Concentrator(broker.port) as there:
            await there.birth()
            for used in (5, 6):
                await there.send("hello", hello(1, used, 2).encode())
                memory = Memory.decode(await there.next("memory"))
                assert told(memory)[:2] == ((0, 0) if used == 5 else (1, 5))

    run(scenario())
