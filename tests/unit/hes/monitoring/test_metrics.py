"""The figures for Prometheus, over HTTP as a collector gets them."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.contract.messages import State
from tests.conftest import ROOT, find_free_port
from tests.unit.hes.orders import CONCENTRATOR, METERS, configure
from tools.hes.cli.main import main
from tools.hes.monitoring.metrics import Collector, serve_metrics
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

EPOCH = 7


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "hes.sqlite", lambda: 1000.0)


@pytest.fixture
def counts() -> Counter[tuple[str, str]]:
    return Counter({("report", "taken"): 3, ("hello", "refused"): 1})


@pytest.fixture
def port(store: Store, counts: Counter[tuple[str, str]]) -> Iterator[int]:
    port = find_free_port()
    readings = Counter({(CONCENTRATOR, "rows"): 96, (CONCENTRATOR, "invalid"): 2})
    collector = Collector(store.reports, store.street, lambda: counts, lambda: readings)
    end = serve_metrics("127.0.0.1", port, collector)
    yield port
    end()


def told(port: int) -> dict[tuple[str, ...], float]:
    """By name and labels' values, in the order of the labels' names."""
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % port, timeout=60) as answer:
        text = answer.read().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[(sample.name, *sample.labels.values())] = sample.value
    return found


def test_of_an_empty_head_end(port: int) -> None:
    figures = told(port)
    assert figures[("ami_hes_info", "0.1.0")] == 1
    assert figures[("ami_hes_connected",)] == 0
    assert figures[("ami_hes_messages_total", "taken", "report")] == 3
    assert figures[("ami_concentrator_readings_total", CONCENTRATOR, "rows")] == 96
    assert figures[("ami_concentrator_readings_total", CONCENTRATOR, "invalid")] == 2
    assert figures[("ami_hes_messages_total", "refused", "hello")] == 1


def test_of_a_street(port: int, store: Store) -> None:
    key = SigningKey.generate()
    configure(store, key)
    modems = [["prime", True, 12, {}], ["wmbus", False, 0, {}]]
    birth = State(CONCENTRATOR, 1, True, EPOCH, 1, 1, 0, "1.0", "CPython", 2, 40, 38, modems)
    store.line.take_state(CONCENTRATOR, birth)
    store.line.beat("mqtt://localhost", "connected")
    figures = told(port)
    assert figures[("ami_hes_connected",)] == 1
    assert figures[("ami_hes_jobs", "submitted")] == 1
    assert figures[("ami_hes_meter_results", "open")] == len(METERS)
    assert figures[("ami_concentrator_online", CONCENTRATOR)] == 1
    assert figures[("ami_concentrator_seen", CONCENTRATOR)] == 1000
    assert figures[("ami_concentrator_meters_known", CONCENTRATOR)] == 40
    assert figures[("ami_concentrator_meters_reachable", CONCENTRATOR)] == 38
    assert figures[("ami_concentrator_modem_up", CONCENTRATOR, "prime", "0")] == 1
    assert figures[("ami_concentrator_modem_up", CONCENTRATOR, "wmbus", "1")] == 0
    assert figures[("ami_concentrator_modem_nodes", CONCENTRATOR, "prime", "0")] == 12


def test_of_a_service_that_runs(tmp_path: Path) -> None:
    """Its broker is away: that is told, and the command ends in order."""
    port = find_free_port()
    command = [sys.executable, "-m", "tools.hes", "--db", str(tmp_path / "hes.sqlite"), "serve"]
    command += ["--plain", "--broker", "mqtt://127.0.0.1:%d" % find_free_port()]
    process = subprocess.Popen(
        [*command, "--metrics", "127.0.0.1:%d" % port], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        while True:
            try:
                assert told(port)[("ami_hes_connected",)] == 0
                break
            except URLError:
                assert process.poll() is None
    finally:
        process.terminate()
        process.wait(60)
    assert Store(tmp_path / "hes.sqlite").security.newest(1)[0].name == "service-started"


@pytest.mark.parametrize("text", ["9464", "host:", "host:70000", ":1", "host:http"])
def test_an_address_that_is_none(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--broker", "mqtt://localhost", "--metrics", text])
    assert "expected HOST:PORT, such as 127.0.0.1:9464" in capsys.readouterr().err
