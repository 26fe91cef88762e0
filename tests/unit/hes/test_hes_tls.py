"""What `ami-hes serve` says when TLS is what keeps it from the broker: each fault by its name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import find_free_port
from tests.mosquitto import Mosquitto
from tests.openssl_ca import FUTURE, PAST, OpensslCa
from tools.hes.line.broker import Broker
from tools.hes.line.service import Service
from tools.hes.line.tls_fault import tls_fault
from tools.hes.store.store import Store

Ports = dict[str, int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    authority = OpensslCa(folder)
    authority.issue("server", "localhost")
    authority.issue("past", "localhost", PAST)
    authority.issue("future", "localhost", FUTURE)
    authority.issue("client")
    authority.issue("past-client", dates=PAST)
    OpensslCa(folder / "another", "another").issue("client")
    return folder


@pytest.fixture(scope="module")
def ports(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    brokers = {"plain": Mosquitto(tmp_path_factory.mktemp("plain"))}
    for name in ("server", "past", "future"):
        brokers[name] = Mosquitto(
            tmp_path_factory.mktemp(name),
            "allow_anonymous true\n"
            f"cafile {folder}/ca.pem\ncertfile {folder}/{name}.pem\n"
            f"keyfile {folder}/{name}.key.pem\nrequire_certificate true\n",
        )
    try:
        for broker in brokers.values():
            broker.start()
        yield {name: broker.port for name, broker in brokers.items()}
    finally:
        for broker in brokers.values():
            broker.stop()


def broker(
    folder: Path, port: int, ca: str = "ca", own: str = "client", host: str = "localhost"
) -> Broker:
    client = (folder / (own + ".pem"), folder / (own + ".key.pem")) if own else (None, None)
    return Broker.parse("mqtts://%s:%d" % (host, port), folder / (ca + ".pem"), *client)


@pytest.mark.parametrize(
    ("server", "changes", "words"),
    [
        ("server", {}, ()),
        ("past", {}, ("has expired", '"past"', "2021-01-01", "needs a new one")),
        ("future", {}, ("not valid yet", '"future"', "2046-01-01")),
        ("server", {"ca": "another/ca"}, ("wrong authority", '"another"', "--ca")),
        ("server", {"host": "127.0.0.1"}, ("wrong host name", "127.0.0.1", "--broker")),
        ("server", {"own": ""}, ("refuses our certificate", "we show none", "--cert")),
        ("server", {"own": "past-client"}, ("refuses our certificate", "which has expired")),
        ("server", {"own": "another/client"}, ("refuses our certificate", 'by "another"')),
        ("plain", {}, ("speaks no TLS", "--broker")),
    ],
)
def test_each_fault_has_words_of_its_own(
    folder: Path, ports: Ports, server: str, changes: dict[str, str], words: tuple[str, ...]
) -> None:
    text = asyncio.run(tls_fault(broker(folder, ports[server], **changes)))
    assert bool(text) == bool(words), text
    for word in words:
        assert word in text, text
    assert "uplink." not in text


def test_a_broker_that_is_not_there_is_no_fault_of_tls(folder: Path) -> None:
    unused_port = find_free_port()
    assert asyncio.run(tls_fault(broker(folder, unused_port))) == ""
    assert asyncio.run(tls_fault(Broker.parse("mqtt://localhost:%d" % unused_port))) == ""


def test_serve_says_it(folder: Path, ports: Ports, tmp_path: Path) -> None:
    """And not that something timed out."""
    store = Store(str(tmp_path / "hes.sqlite"))

    async def body() -> None:
        service = Service(
            store.line, broker(folder, ports["server"], own="past-client"), plain=True
        )
        running = asyncio.create_task(service.run())
        deadline = time.monotonic() + 120
        try:
            while "TLS: " not in service._status:
                assert time.monotonic() < deadline, service._status
                await asyncio.sleep(0.05)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert "refuses our certificate" in service._status, service._status

    asyncio.run(body())
