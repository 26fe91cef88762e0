"""Meters' keys and the board's key are nowhere but where they belong, whatever the gateway does."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.contract import envelope
from tests.mosquitto import Broker
from tools import programs
from tools.demonstration.stage import CONCENTRATOR, RUNTIMES, Stage
from tools.hes.orders import order, security
from tools.package.__main__ import EXAMPLES
from tools.package.compile import compile_file

METERS = 6


@contextmanager
def overhearing(broker: Broker, file: Path) -> Iterator[None]:
    """Everything that passes the broker, in hexadecimal, a line each."""
    with file.open("wb") as out:
        process = subprocess.Popen(
            [programs.need("mosquitto_sub"), "-p", str(broker.port)]
            + ["-u", "board", "-P", "open sesame", "-t", "#", "-q", "1", "-F", "%t %x"],
            stdout=out,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_secrets_stay_where_they_belong(
    stage: Stage, broker: Broker, tmp_path: Path, runtime: str
) -> None:
    traffic = tmp_path / "traffic"
    stage.start_meters(METERS, seed=5, loss=0.0, speed=200.0)
    plain = stage.data / "keys.jsonl"
    lines = [json.loads(line) for line in plain.read_text().splitlines()]
    keys = [bytes.fromhex(line[name]) for line in lines for name in ("ek", "ak")]
    (tmp_path / "commissioning.jsonl").write_bytes(plain.read_bytes())
    with overhearing(broker, traffic):
        stage.start_hes()
        stage.start_gateway(runtime)
        board_key = stage.folder / "board.key"
        stage.wait_for("the board's key", 300, board_key.exists)
        stage.wait_for("wrapped keys", 300, lambda: b'"ek"' not in plain.read_bytes())
        secret = security.load_board_key(board_key)
        assert stat.S_IMODE(os.stat(board_key).st_mode) == 0o600
        store = stage.store()
        # The same keys once more, over the line.
        meters = security.load_meter_keys(tmp_path / "commissioning.jsonl")
        now = int(time.time())
        security.send_keys(store.trust, stage.key, CONCENTRATOR, secret, meters, now)
        package = compile_file(EXAMPLES / "measurement-interval.yaml")
        raw = envelope.sign(package.to_payload(), stage.key.kid, stage.key.sign)
        terms = order.Terms(5, 0, now + 3600, tries=2, backoff=1)
        serials = [line["serial"] for line in lines]
        job = order.configure(store.orders, stage.key, CONCENTRATOR, serials, terms, raw)
        stage.wait_for("the job's end", 300, lambda: store.reports.finished(job))
        stage.wait_for("the keys", 300, lambda: store.trust.numbered(CONCENTRATOR, ("taken",)))
        stage.kill("gateway")
        stage.start_gateway(runtime)
        stage.wait_for("a second start", 300, lambda: _starts(stage) > 1)
    assert [meter.outcome for meter in store.reports.meters(job)].count("OK") >= 3
    heard = traffic.read_bytes().lower()
    assert b"/keys " in heard and b"/report " in heard
    written = [path for path in stage.data.rglob("*") if path.is_file()]
    written += [stage.folder / "gateway.log", stage.folder / "hes.log", traffic]
    written += list(stage.folder.glob("*sqlite*"))
    for path in written:
        content = path.read_bytes()
        for key in [*keys, secret]:
            assert key not in content, path
            assert key.hex().encode() not in content.lower(), path


def _starts(stage: Stage) -> int:
    return (stage.folder / "gateway.log").read_text(errors="replace").count("meters, ")
