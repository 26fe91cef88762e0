"""The session and the HES's service with a real Mosquitto between them, broken on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.audit import Audit
from gateway.contract import messages
from gateway.contract.limits import MAX_MESSAGE
from gateway.contract.meter_keys import Vault
from gateway.contract.result import OK, Result
from gateway.folder import Folder
from gateway.jobs.ledger import Ledger
from gateway.jobs.queue import Queue
from gateway.kept_clock import KeptClock
from gateway.meters.counters import Counters
from gateway.meters.inventory import Inventory
from gateway.uplink.past import Past
from gateway.uplink.session import Session
from hal.cpython.clock import SystemClock
from hal.cpython.crypto import SystemCrypto
from hal.cpython.mqtt import MqttUplink
from hal.cpython.storage import FolderStorage
from tests.mosquitto import Mosquitto
from tests.portable.jobs.support import done
from tests.portable.uplink.support import Limits
from tests.unit.hes.conftest import broker, engine, key, store, where
from tests.unit.hes.orders import CONCENTRATOR, METERS, configure, read
from tools.hes.line.broker import Broker
from tools.hes.line.service import Service
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

__all__ = ("broker", "engine", "key", "store", "where")  # fixtures

PATIENCE = 200  # seconds; only a failure takes so long


class Status:
    firmware = "1.0"
    runtime = "test"

    def meters_known(self) -> int:
        return 2

    def meters_reachable(self) -> int:
        return 2

    def modems(self) -> list[Any]:
        return []

    def meters(self, after: str) -> messages.Meters:
        return messages.Meters(after, False, [])

    def knows(self, serial: str) -> bool:
        return serial != METERS[2]


class Gateway:
    """All of a gateway but its meters, on flash in `folder`."""

    def __init__(self, folder: Path, port: int, key: SigningKey) -> None:
        clock, crypto, storage = SystemClock(), SystemCrypto(), FolderStorage(str(folder))
        uplink = MqttUplink("127.0.0.1", port, CONCENTRATOR, None, None, None, MAX_MESSAGE, 5)
        trail = Audit(storage, clock, 1 << 16)
        self.ledger = Ledger(storage, clock, crypto.random, Limits(), trail)
        self.queue = Queue(self.ledger, clock, crypto.random)
        trust = [(key.kid, key.public)]
        self.session = Session(
            uplink=uplink,
            clock=KeptClock(clock, storage),
            crypto=crypto,
            storage=storage,
            ledger=self.ledger,
            queue=self.queue,
            inventory=Inventory(storage),
            status=Status(),
            concentrator=CONCENTRATOR,
            signers=trust,
            past=Past(
                Folder(storage, Vault(crypto, bytes(32)), lambda: True),
                Counters(storage, crypto.random),
                self.ledger,
            ),
        )

    def work(self, result: Result) -> list[str]:
        serials = []
        while (execution := self.queue.take(lambda serial, job: True)) is not None:
            done(self.queue, execution, result, "plc", 5)
            serials.append(execution.serial)
        return serials


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.02)


def test_jobs_over_a_broker_that_restarts_and_a_gateway_that_does(
    tmp_path: Path, store: Store, broker: Mosquitto, key: SigningKey
) -> None:
    folder = tmp_path / "flash"
    folder.mkdir()

    async def scenario() -> None:
        own = Store(store.where)
        service = asyncio.create_task(
            Service(own.line, Broker.parse(broker.url), poll=0.02, plain=True).run()
        )
        gateway = Gateway(folder, broker.port, key)
        session = asyncio.create_task(gateway.session.run())
        applied = Result(OK, "applied")

        # A package is pulled, two meters are done, the third is not in the inventory.
        first = configure(store, key)
        await until(lambda: gateway.work(applied) == METERS[:2])
        await until(lambda: store.reports.finished(first))
        assert [row.reason for row in store.reports.meters(first)] == [
            "applied",
            "applied",
            "unknown-meter",
        ]

        # The broker goes while the meters are worked; the results come after its return.
        second = read(store, key, "clock 0.0.1.0.0.255 time")
        await until(lambda: gateway.ledger.entry(second) is not None)
        broker.stop()
        await until(lambda: not gateway.session.online)
        assert gateway.work(Result("VALUE", "read", "", [b"\x00"])) == METERS[:2]
        await asyncio.sleep(0.1)
        assert not store.reports.finished(second)
        broker.start()
        await until(lambda: store.reports.finished(second))
        assert [row.outcome for row in store.reports.meters(second)] == ["VALUE", "VALUE", "KO"]

        # The gateway goes with a job in the ledger, and starts again.
        third = read(store, key, "clock 0.0.1.0.0.255 time")
        await until(lambda: gateway.ledger.entry(third) is not None)
        session.cancel()
        await asyncio.gather(session, return_exceptions=True)
        await gateway.session.farewell()
        again = Gateway(folder, broker.port, key)
        session = asyncio.create_task(again.session.run())
        assert again.work(Result("VALUE", "read", "", [b"\x00"])) == METERS[:2]
        await until(lambda: store.reports.finished(third))
        await until(lambda: again.ledger.acknowledged == again.ledger.last_number)

        for task in (session, service):
            task.cancel()
        await asyncio.gather(session, service, return_exceptions=True)
        await again.session.farewell()
        own.close()

    asyncio.run(asyncio.wait_for(scenario(), 120))
