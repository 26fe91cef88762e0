"""A database in trouble: only what is safe is acknowledged, nothing is lost, `serve` goes on."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from gateway.contract.messages import Reports
from tests.postgresql import Cluster
from tests.unit.hes import failing
from tests.unit.hes.concentrator import Concentrator
from tests.unit.hes.failing import Trouble
from tests.unit.hes.orders import CONCENTRATOR, METERS, accepted, configure, ended, numbered, ok
from tests.unit.hes.test_hes_service import run, status_of, until
from tools.hes.line import writer as writing
from tools.hes.line.broker import Broker
from tools.hes.line.service import Service
from tools.hes.line.writer import Writer
from tools.hes.store.problems import DatabaseTrouble, StoreProblem
from tools.hes.store.store import Store

ERRORS = [failing.LOCKED, failing.FULL, failing.IO_ERROR, failing.DAMAGED]
EPOCH = 0xABCD


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PAUSE", (0.01, 0.02))


def safe(path: Path) -> int:
    """As another process sees it."""
    db = failing.real_connect(path)
    row = db.execute("SELECT number FROM positions WHERE epoch = %d" % EPOCH).fetchone()
    db.close()
    return int(row[0]) if row else 0


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_every_call_fails_once(
    tmp_path: Path, key: Any, monkeypatch: pytest.MonkeyPatch, error: sqlite3.Error
) -> None:
    """Whichever call to SQLite fails, the outcome is the same, and what is answered is safe."""
    template = tmp_path / "template.sqlite"
    made = Store(template)
    job_id = configure(made, key)
    made.close()

    async def play(path: Path, trouble: Trouble, store: Store) -> list[Any]:
        writer = Writer(store.line.together)
        batches = [
            [accepted(job_id), ok(job_id, "AMI01")],
            [ok(job_id, "AMI02")],
            [ok(job_id, "AMI03"), ended(job_id)],
        ]
        trouble.calls, answers, first = 0, [], 1
        for bodies in batches:
            message = Reports(EPOCH, numbered(first, *bodies))
            first += len(bodies)
            taken = await writer.do(store.line.take_reports, CONCENTRATOR, message)
            assert safe(path) == taken.number
            answers.append((taken.number, taken.gap))
        await writer.close()
        return answers

    def outcome(at: int) -> tuple[Any, int, int]:
        path = tmp_path / "a.sqlite"
        path.write_bytes(template.read_bytes())
        with failing.failing(monkeypatch) as trouble:
            store = Store(path)
            trouble.error, trouble.at = error, {at}
            answers = asyncio.run(asyncio.wait_for(play(path, trouble, store), 60))
            calls, raised = trouble.calls, trouble.raised
            trouble.at = set()
            found = [store.reports.job(job_id), store.reports.meters(job_id), answers]
            assert store.reports.events() == []
            store.close()
        for each in tmp_path.glob("a.sqlite*"):
            each.unlink()
        return found, calls, raised

    expected, calls, _ = outcome(0)
    assert expected[2] == [(2, False), (3, False), (5, False)]
    assert calls > 15
    for at in range(1, calls + 1):
        found, _, raised = outcome(at)
        assert found == expected and raised == 1, "call %d" % at


def test_what_people_order_is_not_kept_and_they_are_told(
    tmp_path: Path, key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with failing.failing(monkeypatch) as trouble:
        store = Store(tmp_path / "a.sqlite")
        trouble.always = True
        with pytest.raises(DatabaseTrouble, match=r"a\.sqlite: database is locked"):
            configure(store, key)
        trouble.always = False
        assert store.reports.jobs() == []
        store.close()


def test_those_that_wait_are_committed_together(store: Store, key: Any) -> None:
    commits: list[str] = []
    line = store.line

    async def scenario() -> None:
        writer = Writer(line.together)
        gate = threading.Event()
        held = writer.do(gate.wait)
        await asyncio.sleep(0.05)  # the thread has taken it
        job_id = configure(store, key)
        database = line._db
        event.listen(database._engine, "commit", lambda _: commits.append("commit"))
        messages = [Reports(EPOCH, numbered(at, ok(job_id, METERS[at - 1]))) for at in (1, 2, 3)]
        waiting = [writer.do(line.take_reports, CONCENTRATOR, each) for each in messages]
        wrong = writer.do(line.package_name, bytes(32))
        other = Reports(EPOCH, numbered(1, accepted(job_id)))
        waiting.append(writer.do(line.take_reports, "c-2", other))
        assert not any(each.done() for each in waiting)
        gate.set()
        await held
        taken = await asyncio.gather(*waiting)
        assert [each.number for each in taken] == [1, 2, 3, 1]
        with pytest.raises(StoreProblem, match="holds no package"):
            await wrong
        assert commits == ["commit"]
        assert [row.outcome for row in store.reports.meters(job_id)] == ["OK", "OK", "OK"]
        await writer.close()

    run(scenario())


def test_one_that_fails_alone_takes_back_its_own(store: Store) -> None:
    line = store.line

    def fails_in_its_transaction() -> None:
        with line._db.writing():
            line.add_event("c-1", "inside", "")
            raise RuntimeError("taken back")

    async def scenario() -> None:
        writer = Writer(line.together)
        done = [
            writer.do(line.add_event, "c-1", "before", ""),
            writer.do(fails_in_its_transaction),
            writer.do(line.add_event, "c-1", "after", ""),
        ]
        await asyncio.gather(*done, return_exceptions=True)
        assert str(done[1].exception()) == "taken back"
        assert [each.name for each in store.reports.events()] == ["after", "before"]
        await writer.close()

    run(scenario())


def test_the_calls_are_made_in_order_and_off_the_loop(store: Store) -> None:
    async def scenario() -> None:
        writer = Writer(store.line.together)
        seen: list[tuple[int, int]] = []
        for number in range(200):
            writer.post(lambda number=number: seen.append((number, threading.get_ident())))
        await writer.do(lambda: None)
        assert [number for number, _ in seen] == list(range(200))
        assert {thread for _, thread in seen}.isdisjoint({threading.get_ident()})
        assert len({thread for _, thread in seen}) == 1
        await writer.close()

    run(scenario())


def test_serve_outlives_a_database_in_trouble(
    tmp_path: Path, broker: Any, key: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    store = Store(tmp_path / "hes.sqlite")
    job_id = configure(store, key)

    async def scenario() -> None:
        with failing.failing(monkeypatch) as trouble:
            own = Store(store.where)
            trouble.error = failing.FULL
            service = Service(own.line, Broker.parse(broker.url), poll=0.02, plain=True)
            task = asyncio.create_task(service.run())
            async with Concentrator(broker.port) as there:
                await there.birth()
                await there.acknowledged_up_to(0)
                trouble.always = True
                await there.report(1, accepted(job_id), ok(job_id, "AMI01"))
                await until(lambda: trouble.raised > 5)
                assert there.inbox["ack"].empty() and not task.done()
                assert [row.outcome for row in store.reports.meters(job_id)] == ["", "", ""]
                trouble.always = False
                await there.acknowledged_up_to(2)
                assert [row.outcome for row in store.reports.meters(job_id)] == ["OK", "", ""]
                # Stopped in the middle of trouble, it stops, and has answered nothing.
                trouble.always = True
                await there.report(3, ok(job_id, "AMI02"))
                raised = trouble.raised
                await until(lambda: trouble.raised > raised + 2)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                trouble.always = False
                assert there.inbox["ack"].empty()
                own.close()
        assert [row.outcome for row in store.reports.meters(job_id)] == ["OK", "", ""]

    run(scenario())
    store.close()
    said = capsys.readouterr().err
    assert "hes.sqlite: database or disk is full; nothing is acknowledged" in said
    assert "database: works again" in said


def test_serve_outlives_a_postgresql_that_goes_and_comes_back(
    broker: Any, key: Any, cluster: Cluster, capsys: Any
) -> None:
    store = Store(cluster.url(cluster.new()))
    job_id = configure(store, key)

    async def scenario() -> None:
        own = Store(store.where)
        service = Service(own.line, Broker.parse(broker.url), poll=0.02, plain=True)
        task = asyncio.create_task(service.run())
        async with Concentrator(broker.port) as there:
            await there.birth()
            await there.acknowledged_up_to(0)
            cluster.stop()
            try:
                await there.report(1, accepted(job_id), ok(job_id, "AMI01"))
                await until(lambda: "nothing is acknowledged" in capsys.readouterr().err)
                assert there.inbox["ack"].empty() and not task.done()
            finally:
                await asyncio.to_thread(cluster.start)
            await there.acknowledged_up_to(2)
            assert [row.outcome for row in store.reports.meters(job_id)] == ["OK", "", ""]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        own.close()

    run(scenario())
    store.close()


class Refusing:
    """A broker that lets everybody in, and answers a subscription with `code(topic)`."""

    def __init__(self, code: Callable[[str], int]) -> None:
        self._code = code
        self.subscriptions = 0

    async def __aenter__(self) -> Refusing:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = "mqtt://127.0.0.1:%d" % self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                kind = (await reader.readexactly(1))[0] >> 4
                length = shift = 0
                while True:
                    octet = (await reader.readexactly(1))[0]
                    length, shift = length | (octet & 0x7F) << shift, shift + 7
                    if octet < 0x80:
                        break
                body = await reader.readexactly(length)
                if kind == 1:
                    writer.write(b"\x20\x02\x00\x00")
                elif kind == 8:
                    self.subscriptions += 1
                    codes, at = b"", 2
                    while at < length:
                        size = int.from_bytes(body[at : at + 2], "big")
                        codes += bytes([self._code(body[at + 2 : at + 2 + size].decode())])
                        at += 3 + size
                    writer.write(bytes([0x90, 2 + len(codes)]) + body[:2] + codes)
                elif kind == 12:
                    writer.write(b"\xd0\x00")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.mark.parametrize("refused", ["report", "progress"])
def test_a_broker_that_refuses_a_subscription_is_said_loudly(
    store: Store, capsys: Any, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    monkeypatch.setattr("tools.hes.line.service.BACKOFF", (0.01, 0.02))

    async def scenario() -> None:
        async with Refusing(lambda topic: 0x80 if topic.endswith(refused) else 1) as broker:
            own = Store(store.where)
            task = asyncio.create_task(
                Service(own.line, Broker.parse(broker.url), plain=True).run()
            )
            await until(lambda: "refuses" in status_of(store))
            seen = broker.subscriptions
            await until(lambda: broker.subscriptions >= seen + 2)  # it goes on trying
            assert status_of(store) == (
                "not connected (nothing is heard: the broker refuses the subscription to"
                " ami/v1/+/%s; check its access rules)" % refused
            )
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            own.close()

    run(scenario())
    said = [line for line in capsys.readouterr().err.splitlines() if "refuses" in line]
    assert said and all(" error " in line for line in said)


def test_a_broker_that_refuses_a_state_by_name(
    store: Store, key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.hes.line.service.STATES_EVERY", 0.01)
    configure(store, key)

    async def scenario() -> None:
        async with Refusing(lambda topic: 1 if "+" in topic else 0x80) as broker:
            own = Store(store.where)
            task = asyncio.create_task(
                Service(own.line, Broker.parse(broker.url), plain=True).run()
            )
            await until(lambda: "subscription to ami/v1/c-1/state" in status_of(store))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            own.close()

    run(scenario())
