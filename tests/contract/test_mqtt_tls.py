"""TLS without a clock that the machine would know, on both runtimes, against real brokers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.conftest import RunCase, cases
from tests.mosquitto import Mosquitto
from tests.openssl_ca import FUTURE, PAST, OpensslCa

_SERVERS = {"server": "TLS_NOW", "past": "TLS_PAST", "future": "TLS_FUTURE"}


@pytest.fixture(scope="module")
def tls_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    authority = OpensslCa(folder)
    authority.issue("server", "localhost")
    authority.issue("past", "localhost", PAST)
    authority.issue("future", "localhost", FUTURE)
    authority.issue("client")
    authority.issue("past-client", dates=PAST)
    another = OpensslCa(folder / "another", "another")
    another.issue("other-client")
    for name in ("other-client.pem", "other-client.key.pem"):
        (another.folder / name).rename(folder / name)
    (folder / "another.pem").write_bytes((another.folder / "ca.pem").read_bytes())
    (folder / "not-a.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
    (folder / "not-a.key.pem").write_text("")
    return folder


@pytest.fixture(scope="module")
def tls_brokers(
    tls_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    brokers = {"TLS_PLAIN": Mosquitto(tmp_path_factory.mktemp("plain"))}
    for name, variable in _SERVERS.items():
        brokers[variable] = Mosquitto(
            tmp_path_factory.mktemp(name),
            "allow_anonymous true\n"
            f"cafile {tls_folder}/ca.pem\n"
            f"certfile {tls_folder}/{name}.pem\n"
            f"keyfile {tls_folder}/{name}.key.pem\n"
            "require_certificate true\n",
        )
    try:
        for broker in brokers.values():
            broker.start()
        yield {variable: str(broker.port) for variable, broker in brokers.items()}
    finally:
        for broker in brokers.values():
            broker.stop()


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("case", cases("portable_mqtt_tls"))
def test_mqtt_tls(
    runtime: str,
    case: str,
    run_case: RunCase,
    tls_folder: Path,
    tls_brokers: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere = tls_folder / "another"
    values = {
        **tls_brokers,
        "TLS_FOLDER": str(tls_folder),
        "TLS_SIGN": _sign_command(tls_folder),
        "TLS_ELSEWHERE": str(elsewhere),
        "TLS_SIGN_ELSEWHERE": _sign_command(elsewhere),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    run_case(runtime, "portable_mqtt_tls", case)


def _sign_command(folder: Path) -> str:
    authority = OpensslCa.__new__(OpensslCa)  # that which is there
    authority.folder = folder
    return authority.sign_command("board")
