"""What nobody should send: the fault of one message is no fault of the others."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import aiomqtt
import cbor2
import pytest

from gateway.contract import messages
from gateway.contract.limits import MAX_MESSAGE, MAX_METERS
from gateway.contract.messages import Meters, Progress, Pull, Reports
from tests.portable.uplink.support import every_message
from tests.unit.hes.concentrator import EPOCH, Concentrator
from tests.unit.hes.orders import accepted, configure, numbered
from tests.unit.hes.test_hes_service import run, serving, until
from tools.hes.line import backlog, inbox, writer
from tools.hes.line.backlog import Backlog
from tools.hes.line.inbox import Inbox
from tools.hes.store.line import Line
from tools.hes.store.problems import DatabaseTrouble
from tools.hes.store.store import Store

FAULTS: list[Exception] = [
    RecursionError("too deep"),
    OverflowError("Python int too large to convert to SQLite INTEGER"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    MemoryError(),
    KeyError("x"),
    OSError(5, "of the store"),
]
BAD = Progress(0, [[bytes(16), "", 0, 0, 0, 0, [], 0]]).encode()


def names(store: Store, concentrator: str = "c-bad") -> list[str]:
    return [each.name for each in store.reports.events() if each.concentrator == concentrator]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("place", ["decode", "store", "answer"])
def test_whatever_goes_wrong_with_a_message_is_that_messages(
    store: Store, broker: Any, key: Any, monkeypatch: pytest.MonkeyPatch, place: str, fault: Any
) -> None:
    def fails(*_: Any) -> Any:
        raise fault

    async def fails_later(*_: Any) -> None:
        raise fault

    name, payload = "progress", BAD
    if place == "decode":
        monkeypatch.setattr(Progress, "decode", fails)
    elif place == "store":
        monkeypatch.setattr(Line, "take_progress", fails)
    elif isinstance(fault, OSError):
        pytest.skip("the answer's OSError is the connection's")
    else:
        name, payload = "pull", Pull(bytes(32), 0, 1).encode()
        monkeypatch.setattr(Inbox, "_answer_pull", fails_later)

    async def scenario() -> None:
        job_id = configure(store, key)
        async with serving(store, broker.url), Concentrator(broker.port) as there:
            async with Concentrator(broker.port, name="c-bad") as bad:
                await bad.send(name, payload)
                await there.birth()
                await there.report(1, accepted(job_id))
                await there.acknowledged_up_to(1)
                told = {"message-failed", "malformed"}
                await until(lambda: bool(told & set(names(store))))

    run(scenario())


def test_a_message_that_the_database_cannot_take_is_given_up(
    store: Store, broker: Any, key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PAUSE", (0.01, 0.02))
    tries: list[str] = []

    def never(self: Line, concentrator: str, _: Progress) -> None:
        tries.append(concentrator)
        raise DatabaseTrouble("hes.sqlite: too many terms in compound SELECT")

    monkeypatch.setattr(Line, "take_progress", never)

    async def scenario() -> None:
        job_id = configure(store, key)
        async with serving(store, broker.url), Concentrator(broker.port) as there:
            async with Concentrator(broker.port, name="c-bad") as bad:
                await bad.send("progress", BAD)
                await bad.hello()
                await there.birth()
                await there.report(1, accepted(job_id))
                await there.acknowledged_up_to(1)
                await until(lambda: names(store) == ["message-failed"])
                assert len(tries) <= writer.TRIES + 1

    run(scenario())


def incoming(topic: str, payload: bytes = b"x") -> aiomqtt.Message:
    return aiomqtt.Message(topic, payload, 1, False, 1, None)


def test_the_backlog_has_room_for_each() -> None:
    waiting = Backlog()
    for _ in range(backlog.MOST_OF_ONE + 7):
        waiting.put_nowait(incoming("ami/v1/flood/hello"))
    waiting.put_nowait(incoming("ami/v1/c-1/hello"))
    waiting.put_nowait(incoming("ami/v1/c-2/hello", bytes(backlog.LARGEST + 1)))
    assert waiting.taken_dropped() == {"flood": 7, "c-2": 1}
    assert waiting.taken_dropped() == {}
    taken = [str(waiting.get_nowait().topic) for _ in range(waiting.qsize())]
    assert taken.count("ami/v1/flood/hello") == backlog.MOST_OF_ONE
    assert taken[-1] == "ami/v1/c-1/hello"
    waiting.put_nowait(incoming("ami/v1/flood/hello"))  # there is room again
    assert waiting.qsize() == 1 and waiting.taken_dropped() == {}


def test_the_backlog_is_bounded_in_octets_and_names() -> None:
    waiting = Backlog()
    names = ["c-%d" % at for at in range(backlog.MOST_OCTETS // MAX_MESSAGE + 10)]
    for name in names:
        waiting.put_nowait(incoming("ami/v1/%s/report" % name, bytes(MAX_MESSAGE)))
    assert waiting.qsize() == backlog.MOST_OCTETS // MAX_MESSAGE
    for number in range(backlog.MOST_NAMES + 10):
        waiting.put_nowait(incoming("ami/v1/x-%d/report" % number, bytes(MAX_MESSAGE + 65)))
    dropped = waiting.taken_dropped()
    assert len(dropped) == backlog.MOST_NAMES + 1 and dropped[""] > 0


INTEGERS = [0, 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, -1]
TEXTS = ["", "\0", "\x1b[2J", "\u202e", "a" * 1024, "nul\0inside", "\U0010ffff"]


def changed(rng: random.Random, item: Any) -> Any:
    """The same with one thing in it otherwise."""
    if isinstance(item, list):
        item, what = list(item), rng.random()
        at = rng.randrange(len(item)) if item else 0
        if item and what < 0.8:
            item[at] = changed(rng, item[at])
        elif item and what < 0.9:
            item.append(item[at])
        elif item:
            item.pop(at)
        return item
    if isinstance(item, bool):
        return not item
    if isinstance(item, int):
        return rng.choice(INTEGERS)
    if isinstance(item, str):
        return rng.choice(TEXTS)
    if isinstance(item, bytes):
        return rng.randbytes(len(item))
    return {"a": rng.choice(INTEGERS)} if isinstance(item, dict) else rng.choice([None, 0, 1.5, []])


def hostile(rng: random.Random, valid: bytes) -> bytes:
    """A message changed in what it says, or in its octets."""
    item = cbor2.loads(valid)
    for _ in range(rng.randint(1, 4)):
        item = changed(rng, item)
    raw = bytearray(cbor2.dumps(item))
    if rng.random() < 0.2:
        raw[rng.randrange(len(raw))] = rng.randrange(256)
    return bytes(raw)


UP: dict[str, str] = {
    "State": "state",
    "Hello": "hello",
    "Reports": "report",
    "Pull": "pull",
    "Meters": "meters",
    "Progress": "progress",
}
MONSTERS: list[Callable[[], bytes]] = [
    lambda: b"",
    lambda: b"\x81" * (MAX_MESSAGE - 1) + b"\x00",
    lambda: b"\x9b" + b"\xff" * 8,
    lambda: bytes(MAX_MESSAGE + 1),
    lambda: bytes(MAX_MESSAGE + 100),
    lambda: b"\xbb" + (1 << 62).to_bytes(8, "big"),
]


@pytest.mark.parametrize("seed", range(3))
def test_the_service_outlives_whatever_comes(
    store: Store, broker: Any, key: Any, seed: int
) -> None:
    rng = random.Random(seed)
    valid = [
        (UP[type(each).__name__], each.encode())
        for each in every_message()
        if type(each).__name__ in UP
    ]

    async def scenario() -> None:
        job_id = configure(store, key)
        async with serving(store, broker.url), Concentrator(broker.port) as there:
            async with Concentrator(broker.port, name="gw-1") as bad:
                for _ in range(400):
                    name, payload = rng.choice(valid)
                    await bad.send(name, hostile(rng, payload), retain=name == "state")
                for name in messages.UP_TOPICS:
                    for monster in MONSTERS:
                        await bad.send(name, monster())
                await bad.send(
                    "report", Reports(EPOCH, numbered(1 << 62, accepted(job_id))).encode()
                )
                await there.birth()
                await there.report(1, accepted(job_id))
                await there.acknowledged_up_to(1)
        async with serving(store, broker.url), Concentrator(broker.port) as there:
            await there.hello()  # with what was retained
            await there.next("time")
        assert store.reports.job(job_id).state == "queued"
        assert "message-failed" not in [each.name for each in store.reports.events(10000)]

    run(scenario())


def test_made_up_names_are_bounded_and_the_known_ones_heard(
    store: Store, broker: Any, key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MOST_NAMES", 5)

    async def scenario() -> None:
        job_id = configure(store, key)
        async with serving(store, broker.url), Concentrator(broker.port) as there:
            for number in range(20):
                async with Concentrator(broker.port, name="x-%d" % number) as other:
                    await other.birth()
            await there.birth()
            await there.report(1, accepted(job_id))
            await there.acknowledged_up_to(1)
            await until(lambda: "too-many-names" in names(store, ""))
        assert len(store.reports.concentrators()) <= 5

    run(scenario())


def test_a_concentrator_has_no_more_meters_than_it_can(store: Store) -> None:
    path = ["rf", 2, 1_800_000_000, 0, 1_800_000_000, 90, 31, 255, False]
    for page in range(120):
        serials = ["P%03d-%02d" % (page, at) for at in range(50)]
        told = Meters(serials[0][:4], True, [[serial, [path]] for serial in serials])
        store.line.take_meters("c-bad", told)
    assert len(store.street.ways("c-bad")) == MAX_METERS
    assert set(names(store)) == {"claim-beyond-bounds"}
