"""Both ends of the line as they are: the service and the gateway's session, over Mosquitto."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.audit import Audit
from gateway.contract import messages
from gateway.contract.limits import MAX_MESSAGE
from gateway.contract.meter_keys import Vault
from gateway.contract.refused import Refused
from gateway.contract.result import KO, OK, VALUE, Result
from gateway.contract.task import ALL, DAYS, PROFILE, Every, Item, Task
from gateway.folder import Folder
from gateway.jobs.ledger import Ledger
from gateway.jobs.queue import Queue
from gateway.kept_clock import KeptClock
from gateway.meters.counters import Counters
from gateway.meters.inventory import Inventory
from gateway.readings.recorder import Recorder
from gateway.readings.store import Store as ReadingsOnFlash
from gateway.uplink.past import Past
from gateway.uplink.readings import ReadingsStream
from gateway.uplink.session import Session
from hal.cpython.clock import SystemClock
from hal.cpython.crypto import SystemCrypto
from hal.cpython.mqtt import MqttUplink
from hal.cpython.storage import FolderStorage
from tests.unit.hes.orders import CONCENTRATOR, METERS, configure, read
from tests.unit.hes.test_hes_service import run, serving, until
from tools.hes import report
from tools.hes.orders import order
from tools.hes.orders import task as tasks
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

BOARD_KEY = bytes(range(100, 132))
CAPTURE_PERIOD = bytes.fromhex("0600000384")


class Limits:
    jobs = 16
    ledger_bytes = 1 << 20
    readings_bytes = 1 << 20
    free_bytes = 0


class Status:
    firmware = "0.1"
    runtime = "test"

    def meters_known(self) -> int:
        return len(METERS)

    def meters_reachable(self) -> int:
        return 2

    def modems(self) -> list[Any]:
        return []

    def meters(self, after: str) -> messages.Meters:
        return messages.Meters(after, False, [])

    def knows(self, serial: str) -> bool:
        return serial in METERS


class Gateway:
    """The gateway's jobs and uplink; `work` stands in for what it would do on a meter."""

    def __init__(
        self, folder: Path, port: int, trust: list[tuple[bytes, bytes]], takers: Any = ()
    ) -> None:
        folder.mkdir(exist_ok=True)
        clock, crypto, storage = SystemClock(), SystemCrypto(), FolderStorage(str(folder))
        uplink = MqttUplink("127.0.0.1", port, CONCENTRATOR, None, None, None, MAX_MESSAGE)
        trail = Audit(storage, clock, 1 << 16)
        self.ledger = Ledger(storage, clock, crypto.random, Limits(), trail)
        self.queue = Queue(self.ledger, clock, crypto.random)
        self.inventory = Inventory(storage, Vault(crypto, BOARD_KEY))
        self.session = Session(
            uplink=uplink,
            clock=KeptClock(clock, storage),
            crypto=crypto,
            storage=storage,
            ledger=self.ledger,
            queue=self.queue,
            inventory=self.inventory,
            status=Status(),
            concentrator=CONCENTRATOR,
            signers=trust,
            past=Past(
                Folder(storage, Vault(crypto, BOARD_KEY), lambda: True),
                Counters(storage, crypto.random),
                self.ledger,
            ),
            changes=takers,
        )

    async def work(self, on_meter: Callable[[str, bytes | None], Result]) -> None:
        while True:
            execution = self.queue.take(lambda serial, job: True)
            if execution is None:
                await asyncio.sleep(0.02)
                continue
            package = execution.job.package
            raw = (
                None
                if package is None
                else self.session.files.package(package.digest).steps[0].data
            )
            await self.queue.finish(execution, on_meter(execution.serial, raw), "plc", 1200)


@asynccontextmanager
async def running(
    folder: Path,
    port: int,
    key: SigningKey,
    on_meter: Callable[[str, bytes | None], Result] | None = None,
    takers: Any = (),
) -> AsyncIterator[Gateway]:
    gateway = Gateway(folder, port, [(key.kid, key.public)], takers)
    tasks = [asyncio.create_task(gateway.session.run())]
    if on_meter is not None:
        tasks.append(asyncio.create_task(gateway.work(on_meter)))
    try:
        yield gateway
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await gateway.session.farewell()


def results(store: Store, job_id: bytes) -> dict[str, str]:
    return {m["serial"]: m["reason"] for m in report.build(store.reports, job_id)["meters"]}


def test_configure_and_read(tmp_path, store, broker, key) -> None:
    written: list[tuple[str, bytes | None]] = []

    def on_meter(serial: str, data: bytes | None) -> Result:
        written.append((serial, data))
        if data is None:
            return Result(VALUE, "read", "", [CAPTURE_PERIOD])
        if serial == "AMI02":
            return Result(KO, "write-refused", "read-write-denied")
        return Result(OK, "applied")

    async def scenario() -> None:
        job_id = configure(store, key, [*METERS, "AMI99"])
        async with (
            serving(store, broker.url),
            running(tmp_path / "board", broker.port, key, on_meter) as gateway,
        ):
            await until(
                lambda: (
                    store.reports.finished(job_id) and store.reports.job(job_id).reason == "ended"
                )
            )
            assert results(store, job_id) == {
                "AMI01": "applied",
                "AMI02": "write-refused",
                "AMI03": "applied",
                "AMI99": "unknown-meter",
            }
            assert sorted(written) == [(serial, CAPTURE_PERIOD) for serial in METERS]
            reading = read(store, key, "profile_generic 1.0.99.1.0.255 capture_period")
            await until(lambda: store.reports.finished(reading))
            meter = report.build(store.reports, reading)["meters"][0]
            assert meter["values"][0]["value"] == 900
            assert (meter["path"], meter["duration_ms"], meter["attempts"]) == ("plc", 1200, 1)
            await until(lambda: gateway.ledger.acknowledged == gateway.ledger.last_number)
        assert [event.name for event in store.reports.events()] == []
        assert not store.reports.concentrators()[0].online

    run(scenario())


def test_cancel_reaches_every_meter_that_waits(tmp_path, store, broker, key) -> None:
    async def scenario() -> None:
        async with serving(store, broker.url), running(tmp_path / "board", broker.port, key):
            job_id = configure(store, key)
            await until(lambda: store.reports.job(job_id).state == "queued")
            order.cancel(store.orders, key, job_id)
            await until(lambda: store.reports.job(job_id).state == "canceled")
            assert set(results(store, job_id).values()) == {"canceled"}
            assert store.line.orders(CONCENTRATOR) == []

    run(scenario())


def test_a_job_waits_while_it_is_paused(tmp_path, store, broker, key) -> None:
    async def scenario() -> None:
        held = tmp_path / "board"
        async with serving(store, broker.url):
            async with running(held, broker.port, key):
                job_id = read(store, key, "clock 0.0.1.0.0.255 time")
                await until(lambda: store.reports.job(job_id).state == "queued")
                order.pause(store.orders, key, job_id, True)
                await until(lambda: store.reports.job(job_id).paused)
            value = Result(VALUE, "read", "", [CAPTURE_PERIOD])
            async with running(held, broker.port, key, lambda *_: value) as gateway:
                await until(lambda: gateway.session.online)
                assert report.build(store.reports, job_id)["paused"]
                assert set(results(store, job_id).values()) == {""}
                order.pause(store.orders, key, job_id, False)
                await until(lambda: store.reports.finished(job_id))
            assert not store.reports.job(job_id).paused
            assert store.line.orders(CONCENTRATOR) == []

    run(scenario())


def test_a_key_the_concentrator_does_not_know(tmp_path, store, broker, key) -> None:
    async def scenario() -> None:
        async with serving(store, broker.url), running(tmp_path / "board", broker.port, key):
            job_id = configure(store, SigningKey.generate())
            await until(lambda: store.reports.finished(job_id))
            assert store.reports.job(job_id).reason == "unknown-signer"

    run(scenario())


def test_reports_made_while_the_hes_is_away_arrive_when_it_is_back(
    tmp_path, store, broker, key
) -> None:
    async def scenario() -> None:
        async with serving(store, broker.url), running(tmp_path / "board", broker.port, key):
            job_id = read(store, key, "clock 0.0.1.0.0.255 time")
            await until(lambda: store.reports.job(job_id).state == "queued")
        value = Result(VALUE, "read", "", [CAPTURE_PERIOD])
        async with running(tmp_path / "board", broker.port, key, lambda *_: value) as gateway:
            # One more than these five if the order came twice and was refused as a duplicate.
            await until(lambda: gateway.session.online and gateway.ledger.last_number >= 5)
            await until(lambda: not any(entry.open() for entry in gateway.ledger.jobs()))
            assert set(results(store, job_id).values()) == {""}
            async with serving(store, broker.url):
                await until(lambda: store.reports.finished(job_id))
                await until(lambda: gateway.ledger.acknowledged == gateway.ledger.last_number)
        assert set(results(store, job_id).values()) == {"read"}

    run(scenario())


def test_tasks_go_down_and_readings_come_up(tmp_path, store, broker, key) -> None:
    """The board takes a task, records rows, is killed and started anew; the HES has each row once,
    and a task that cannot be taken by name."""
    taken: list[Task] = []

    def take(body: Task) -> str:
        if body.name == "too-many":
            raise Refused("too-many-tasks", "at most 32 are kept")
        taken.append(body)
        return "task " + body.name

    def give(name: str) -> None:
        items = [Item(PROFILE, "load-profile")]
        task = Task(name, 1, Every(DAYS, 1, 10, 0), 4, [ALL, []], items, 1000, 40, 0)
        tasks.send(store.trust, key, [CONCENTRATOR], task, int(time.time()))

    def states() -> list[str]:
        every = ("submitted", "sent", "taken", "rejected")
        return [each.state for each in store.trust.numbered(CONCENTRATOR, every)]

    def rows_here() -> int:
        some = store.readings.series(serial="AMI01")
        return sum(len(list(store.readings.rows(each.id, 0, 1 << 32))) for each in some)

    async def record(gateway: Gateway, first: int) -> None:
        readings = ReadingsOnFlash(
            gateway.session.files._storage, SystemClock(), SystemCrypto().random, Limits(), print
        )
        gateway.session.stream(ReadingsStream(readings, SystemClock()))
        recorder = Recorder(readings)
        column = (3, bytes((1, 0, 1, 8, 0, 255)), 2, 0, 6, 0, 30)
        clock = (8, bytes((0, 0, 1, 0, 0, 255)), 2, 0, 25, None, None)
        profile = bytes((1, 0, 99, 1, 0, 255))
        layout = recorder.layout("AMI01", 7, profile, 900, [clock, column])
        some = [[first + 900 * at, 1000 + at, 0] for at in range(96)]
        recorder.rows(layout, "AMI01", "night", first + 96 * 900, some)
        recorder.values("AMI01", "night", first, [(*column[:3], b"\x06\x00\x00\x00\x07", 0, 30)])
        await recorder.commit()

    midnight = 1_790_035_200

    async def scenario() -> None:
        board = tmp_path / "board"
        takers = ((Task, take),)
        async with serving(store, broker.url):
            async with running(board, broker.port, key, takers=takers) as gateway:
                give("night")
                await until(lambda: states() == ["taken"])
                assert [body.name for body in taken] == ["night"]
                give("too-many")
                await until(lambda: states() == ["taken", "rejected"])
                await record(gateway, midnight)
                await until(lambda: rows_here() == 96)
            async with running(board, broker.port, key, takers=takers) as gateway:
                await record(gateway, midnight + 86400)
                await until(lambda: rows_here() == 192)
                await until(lambda: len(store.readings.values(None, "AMI01", 0, 1 << 32)) == 2)
                give("evening")
                await until(lambda: states() == ["taken", "rejected", "taken"])

    run(scenario())
    (refused,) = store.trust.numbered(CONCENTRATOR, ("rejected",))
    assert (refused.reason, refused.detail) == ("too-many-tasks", "at most 32 are kept")
    assert refused.number == 2 and [each.name for each in taken] == ["night", "evening"]
