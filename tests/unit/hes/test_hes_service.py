"""The service against a real Mosquitto and a scripted concentrator."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
import pytest

from gateway.contract import envelope, messages
from gateway.contract.job import Job
from gateway.contract.messages import Ack, Cancel, Hello, Readings, Resend, Time
from hal.cpython.crypto import SystemCrypto
from tests.mosquitto import Authority, Mosquitto
from tests.unit.hes import readings
from tests.unit.hes.concentrator import PATIENCE, Concentrator
from tests.unit.hes.orders import CONCENTRATOR, METERS, accepted, configure, ended, ok
from tools.hes.line.broker import Broker, BrokerProblem
from tools.hes.line.handshakes import LineKey
from tools.hes.line.service import Service
from tools.hes.line.sessions import Sessions
from tools.hes.orders import order
from tools.hes.store.store import Store

BOTH = True  # engines, see conftest.py


@asynccontextmanager
async def serving(
    store: Store, url: str, wait: bool = True, keys: Sequence[LineKey] = (), plain: bool = True
) -> AsyncIterator[Service]:
    """The service on a connection of its own to the database, as in real life."""
    own = Store(store.where)
    own.line.beat("", "starting")
    sessions = Sessions(own.enrolment, keys, plain)
    service = Service(own.line, Broker.parse(url), poll=0.02, sessions=sessions)
    task = asyncio.create_task(service.run())
    try:
        if wait:
            await until(lambda: status_of(store) == "connected")
        yield service
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        own.close()


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.02)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 120))


def test_a_whole_job(store, broker, key) -> None:
    async def scenario() -> None:
        job_id = configure(store, key)
        async with serving(store, broker.url), Concentrator(broker.port) as there:
            await there.birth()
            assert await there.acknowledged() == 0
            await there.hello()
            assert abs(Time.decode(await there.next("time")).time - time.time()) < 60
            payload, kid = envelope.verify(
                await there.next("job"), [(key.kid, key.public)], SystemCrypto()
            )
            job = Job.decode(payload)
            assert (kid, job.id, job.serials) == (key.kid, job_id, METERS)
            job.check(CONCENTRATOR, int(time.time()))
            await there.report(1, accepted(job_id))
            await there.acknowledged_up_to(1)

            raw = b""
            assert job.package is not None
            while len(raw) < job.package.size:
                chunk = await there.pull(job.package.digest, len(raw), 100)
                assert (chunk.offset, chunk.total) == (len(raw), job.package.size)
                raw += chunk.data
            assert raw == package_of(store, job.package.digest)
            assert hashlib.sha256(raw).digest() == job.package.digest

            await there.report(2, *(ok(job_id, serial) for serial in METERS), ended(job_id))
            await there.acknowledged_up_to(5)
            assert store.reports.finished(job_id)  # what is acknowledged is in the database
            assert store.reports.job(job_id).state == "succeeded"

    run(scenario())


def package_of(store: Store, digest: bytes) -> bytes:
    total, _ = store.reports.package_piece(digest, 0, 0)
    return store.reports.package_piece(digest, 0, total)[1]


def test_a_gap_is_asked_for_and_nothing_taken_before_it_is_closed(store, broker, key) -> None:
    async def scenario() -> None:
        job_id = configure(store, key)
        async with serving(store, broker.url), Concentrator(broker.port) as there:
            await there.birth()
            await there.report(1, accepted(job_id))
            await there.acknowledged_up_to(1)
            await there.report(3, ok(job_id, "AMI02"))
            await there.asked_again_from(2)
            assert await there.acknowledged() == 1
            assert [row.outcome for row in store.reports.meters(job_id)] == ["", "", ""]
            await there.report(2, ok(job_id, "AMI01"), ok(job_id, "AMI02"))
            await there.acknowledged_up_to(3)
            assert [row.outcome for row in store.reports.meters(job_id)] == ["OK", "OK", ""]

    run(scenario())


def test_readings_have_numbers_of_their_own(store, broker) -> None:
    of = readings.layout(readings.register(1))

    async def scenario() -> None:
        async with serving(store, broker.url) as service, Concentrator(broker.port) as there:

            async def send(first: int, *records: bytes) -> None:
                message = Readings(readings.EPOCH, first, list(records))
                await there.send("readings", message.encode())

            async def acknowledged() -> tuple[int, int]:
                ack = Ack.decode(await there.next("readings-ack"))
                return ack.epoch, ack.number

            await there.birth()
            await send(1, of, readings.rows(of, readings.load(readings.T0, 4)))
            assert await acknowledged() == (readings.EPOCH, 2)
            await send(4, readings.rows(of, readings.load(readings.T0 + 7200, 4)))
            resend = Resend.decode(await there.next("readings-resend"))
            assert (resend.epoch, resend.number) == (readings.EPOCH, 3)
            assert await acknowledged() == (readings.EPOCH, 2)
            # What it says it keeps, and we do not have, is asked for with the second hello.
            hello = Hello(1, 0, [], readings=[readings.EPOCH, 3, 5]).encode()
            for _ in range(2):
                await there.send("hello", hello)
                assert await acknowledged() == (readings.EPOCH, 2)
            await send(3, readings.rows(of, readings.load(readings.T0 + 3600, 8, 1200)))
            assert await acknowledged() == (readings.EPOCH, 3)
            assert len(readings.shown(store)) == 12
            counts = {what: number for (_, what), number in service.readings.items()}
            assert counts == {"records": 3, "rows": 12}

    run(scenario())


def test_a_chore_is_done_beside_all_else_and_its_faults_stop_nothing(store, broker) -> None:
    done: list[int] = []

    def chore() -> None:
        done.append(1)
        raise KeyError("a fault")

    async def scenario() -> None:
        sessions = Sessions(store.enrolment, (), True)
        there = Broker.parse(broker.url)
        service = Service(store.line, there, sessions=sessions, chore=(chore, 0.01))
        task = asyncio.create_task(service.run())
        await until(lambda: len(done) > 2 and status_of(store) == "connected")
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(scenario())


def test_the_service_may_be_stopped_at_any_moment(store, broker, key) -> None:
    async def scenario() -> None:
        async with Concentrator(broker.port) as there:
            async with serving(store, broker.url):
                job_id = configure(store, key)
                await there.birth()
                await there.next("job")
                await there.report(1, accepted(job_id), ok(job_id, "AMI01"))
                await there.acknowledged_up_to(2)
            second = configure(store, key)  # nobody serves now
            await there.report(3, ok(job_id, "AMI02"))
            assert there.inbox["ack"].empty()
            async with serving(store, broker.url):
                await there.acknowledged_up_to(2)  # by the retained birth
                await there.asked_again_from(3)
                await until(lambda: store.reports.job(second).state == "sent")
                await there.report(3, ok(job_id, "AMI02"))
                await there.acknowledged_up_to(3)

    run(scenario())


def test_the_broker_may_go_and_come_back(store, broker, key) -> None:
    async def scenario() -> None:
        job_id = configure(store, key)
        broker.stop()
        async with serving(store, broker.url, wait=False):
            await until(lambda: "not connected" in status_of(store))
            broker.start()
            await until(lambda: status_of(store) == "connected")
            async with Concentrator(broker.port) as there:
                await there.birth()
                await there.hello()
                await there.next("job")
            broker.stop()
            await until(lambda: "not connected" in status_of(store))
            broker.start()
            async with Concentrator(broker.port, session=2) as there:
                await until(lambda: status_of(store) == "connected")
                await there.next("job")  # never answered, so it comes again
                await there.report(1, accepted(job_id))
                await there.acknowledged_up_to(1)

    run(scenario())


def test_hello_is_answered_with_what_is_missing_there(store, broker, key) -> None:
    async def scenario() -> None:
        async with serving(store, broker.url), Concentrator(broker.port) as there:
            await there.birth()
            lost, kept = configure(store, key), configure(store, key)
            for _ in (lost, kept):
                await there.next("job")
            await there.report(1, accepted(lost), accepted(kept))
            await there.acknowledged_up_to(2)
            await there.hello([kept])
            payload = envelope.split(await there.next("job"))[1]
            assert Job.decode(payload).id == lost
            await there.hello([kept, lost])
            await there.next("time")
            await there.next("time")
            await there.report(3, ok(kept, "AMI01"))
            await there.acknowledged_up_to(3)
            assert there.inbox["job"].empty()

    run(scenario())


def test_cancel(store, broker, key) -> None:
    async def scenario() -> None:
        async with serving(store, broker.url), Concentrator(broker.port) as there:
            await there.birth()
            job_id = configure(store, key)
            await there.next("job")
            await there.report(1, accepted(job_id))
            await there.acknowledged_up_to(1)
            order.cancel(store.orders, key, job_id)
            trust = [(key.kid, key.public)]
            payload, _ = envelope.verify(await there.next("cancel"), trust, SystemCrypto())
            cancel = Cancel.decode(payload)
            assert (cancel.job_id, cancel.concentrator) == (job_id, CONCENTRATOR)

    run(scenario())


def test_a_package_nobody_has(store, broker) -> None:
    async def scenario() -> None:
        async with serving(store, broker.url), Concentrator(broker.port) as there:
            await there.birth()
            await there.acknowledged()
            chunk = await there.pull(bytes(32), 0, 4096)
            assert (chunk.total, chunk.data) == (0, b"")

    run(scenario())


def test_nonsense_is_noted_and_stops_nothing(store, broker, key) -> None:
    async def scenario() -> None:
        async with serving(store, broker.url), Concentrator(broker.port) as there:
            await there.birth()
            await there.acknowledged()
            for name in messages.UP_TOPICS:
                for payload in (b"\xff", b"\x80", b"not cbor", b"\x9b" + b"\xff" * 8):
                    await there.send(name, payload)
            async with Concentrator(broker.port, name="c-2") as other:
                state = messages.State("c-1", 9, True, 1, 1, 1, 0, "", "", 0, 0, 0)
                await other.send("state", state.encode())
            await there.pull(bytes(32), 0, 10)
            # and one for the pull, of a package that nobody ordered
            await until(lambda: len(store.reports.events()) == 4 * len(messages.UP_TOPICS) + 2)
            assert {event.name for event in store.reports.events()} == {
                "malformed",
                "package-not-ordered",
            }
            assert store.reports.concentrators()[0].session == 1

    run(scenario())


def test_broker_urls() -> None:
    broker = Broker.parse("mqtt://me:s%40cret@broker.example")
    assert (broker.host, broker.port, broker.username) == ("broker.example", 1883, "me")
    assert broker.password == "s@cret"
    assert "s@cret" not in repr(broker)
    assert broker.name == "mqtt://broker.example:1883"
    assert Broker.parse("mqtts://[::1]").port == 8883
    for wrong in ("", "broker.example", "http://x", "mqtt://", "mqtt://x:99999", "mqtt://x/path"):
        with pytest.raises(BrokerProblem, match="expected a broker such as"):
            Broker.parse(wrong)


def test_mutual_tls(tmp_path, store) -> None:
    for name in ("ca", "other-ca"):
        authority = Authority(tmp_path, name)
        authority.issue(name + "-hes")
        authority.issue(name + "-server", "localhost")
    mosquitto = Mosquitto(
        tmp_path,
        f"allow_anonymous true\ncafile {tmp_path}/ca.pem\ncertfile {tmp_path}/ca-server.pem\n"
        f"keyfile {tmp_path}/ca-server.key.pem\nrequire_certificate true\n",
    )
    mosquitto.start()
    url = "mqtts://localhost:%d" % mosquitto.port

    def broker(ca: str, name: str) -> Broker:
        own, secret = tmp_path / (name + ".pem"), tmp_path / (name + ".key.pem")
        return Broker.parse(url, tmp_path / (ca + ".pem"), own, secret)

    async def status(broker: Broker) -> str:
        own = Store(store.where)
        own.line.beat("", "starting")
        task = asyncio.create_task(Service(own.line, broker, plain=True).run())
        await until(lambda: status_of(own) != "starting" and status_of(own) != "connecting")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        found = status_of(own)
        own.close()
        return found

    async def scenario() -> None:
        assert await status(broker("ca", "ca-hes")) == "connected"
        assert "wrong authority" in await status(broker("other-ca", "ca-hes"))
        assert "refuses our certificate" in await status(broker("ca", "other-ca-hes"))

    try:
        run(scenario())
    finally:
        mosquitto.stop()


def status_of(store: Store) -> str:
    service = store.reports.service()
    return service.status if service else ""


def test_tls_files_are_checked_before_anything_is_sent(tmp_path) -> None:
    with pytest.raises(BrokerProblem, match="expected PEM files"):
        Broker.parse("mqtts://x", ca=tmp_path / "none.pem")
    with pytest.raises(BrokerProblem, match="certificates are for mqtts"):
        Broker.parse("mqtt://x", ca=tmp_path / "none.pem")


def test_pauses_grow_until_a_connection_has_held(store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before connecting again: longer each time, at most 30 s, short again after a good one."""
    lasts = [0.0] * 8 + [30.0, 30.5] + [0.0]
    clock, pauses = [1000.0], []

    class Enough(BaseException):
        pass

    class Impatient(Service):
        async def _session(self) -> None:
            if not lasts:
                raise Enough
            clock[0] += lasts.pop(0)
            raise aiomqtt.MqttError("gone")

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def scenario() -> None:
        service = Impatient(store.line, Broker.parse("mqtt://nowhere"), plain=True)
        with monkeypatch.context() as patched:
            patched.setattr("tools.hes.line.service.time.monotonic", lambda: clock[0])
            patched.setattr("tools.hes.line.service.random.uniform", lambda low, high: high)
            patched.setattr("tools.hes.line.service.asyncio.sleep", sleep)
            with pytest.raises(Enough):
                await service._stay_connected()
        await service._writer.close()

    run(scenario())
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 0.5, 1]


def test_the_time_is_told_every_quarter_of_an_hour(store, broker, key) -> None:
    """With the answer to reports; and a gap is asked for again after five seconds."""
    moment = [1_800_000_000.0]

    async def scenario() -> None:
        job_id = configure(store, key)
        own = Store(store.where)
        service = Service(
            own.line, Broker.parse(broker.url), lambda: moment[0], poll=0.02, plain=True
        )
        task = asyncio.create_task(service.run())
        async with Concentrator(broker.port) as there:
            await there.birth()
            await there.acknowledged_up_to(0)
            await there.asked_again_from(1)
            told = []
            number = 0
            for seconds in (0, 899, 1):
                moment[0] += seconds
                number += 1
                await there.report(number, accepted(job_id))
                await there.acknowledged_up_to(number)
                await there.pull(bytes(32), 0, 1)  # what was to be told is there
                told.append(there.inbox["time"].qsize())
            assert told == [1, 1, 2]
            asked = []
            for seconds in (0, 4.5, 0.5):
                moment[0] += seconds
                await there.report(number + 2, ok(job_id, "AMI01"))
                await there.acknowledged_up_to(number)
                await there.pull(bytes(32), 0, 1)
                asked.append(there.inbox["resend"].qsize())
            assert asked == [1, 1, 2]
            # Once closed, the next gap is asked for at once.
            await there.report(number + 1, ok(job_id, "AMI01"))
            await there.acknowledged_up_to(number + 1)
            await there.report(number + 3, ok(job_id, "AMI02"))
            await there.acknowledged_up_to(number + 1)
            await there.pull(bytes(32), 0, 1)
            assert there.inbox["resend"].qsize() == 3
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        own.close()

    run(scenario())
