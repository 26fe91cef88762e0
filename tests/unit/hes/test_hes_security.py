"""Trust and time, by the service and the gateway's session over Mosquitto."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from gateway.contract import envelope
from gateway.contract.messages import Hello, SignedTime, Time
from hal.cpython.crypto import SystemCrypto
from tests.unit.hes.concentrator import Concentrator
from tests.unit.hes.orders import CONCENTRATOR, METERS, configure
from tests.unit.hes.test_hes_service import run, serving, status_of, until
from tests.unit.hes.test_hes_with_gateway import BOARD_KEY, running
from tools.hes.__main__ import main
from tools.hes.line.broker import Broker
from tools.hes.line.service import Service
from tools.hes.store.store import Store
from tools.package.keys import SigningKey


def hes(tmp_path, *arguments: str) -> int:
    return main(["--db", str(tmp_path / "hes.sqlite"), *arguments])


def trust(tmp_path, action: str, *arguments: str) -> int:
    return hes(tmp_path, "trust", action, "--concentrator", CONCENTRATOR, *arguments)


def test_a_key_is_added_and_the_old_one_removed(tmp_path, store, broker, key, capsys) -> None:
    key.save(tmp_path / "old.pem")
    new = SigningKey.generate()
    new.save(tmp_path / "new.pem")
    everything = "orders,packages,trust,keys"

    async def scenario() -> None:
        async with (
            serving(store, broker.url),
            running(tmp_path / "board", broker.port, key) as gateway,
        ):
            assert trust(tmp_path, "add", str(tmp_path / "new.json"), "--for", everything) == 0
            assert trust(tmp_path, "send", "--key", str(tmp_path / "old.pem")) == 0
            assert trust(tmp_path, "remove", key.kid.hex()) == 0
            # Signed by the key that the message before brings.
            assert trust(tmp_path, "send", "--key", str(tmp_path / "new.pem")) == 0
            job_id = configure(store, new)
            await until(lambda: store.reports.job(job_id).state == "queued")
            assert gateway.session.trust.number == 2
            assert [k.kid for k in gateway.session.trust.trusted()] == [new.kid]
            await until(lambda: store.trust.numbered(CONCENTRATOR, ("submitted", "sent")) == [])
            refused = configure(store, key)
            await until(lambda: store.reports.finished(refused))
            assert store.reports.job(refused).reason == "unknown-signer"
            # By a key that is not trusted any more.
            assert trust(tmp_path, "remove", new.kid.hex()) == 0
            assert trust(tmp_path, "send", "--key", str(tmp_path / "old.pem")) == 0
            await until(lambda: len(store.trust.numbered(CONCENTRATOR, ("rejected",))) == 1)
        # Numbers go on after what was taken.
        assert store.trust.next_number("trust", CONCENTRATOR) == 3

    run(scenario())
    capsys.readouterr()
    assert trust(tmp_path, "show") == 0
    shown = capsys.readouterr().out
    assert "has taken 2 trust and 0 key messages" in shown
    assert "unknown-signer" in shown and "taken" in shown
    header = next(line.split() for line in shown.splitlines() if "Topic" in line)
    assert header == ["Topic", "Number", "Kept", "State", "What"]


def test_what_is_wrong_on_the_command_line(tmp_path, store, key, capsys) -> None:
    key.save(tmp_path / "a.pem")
    assert trust(tmp_path, "send", "--key", str(tmp_path / "a.pem")) == 1
    assert "nothing is staged" in capsys.readouterr().err
    assert trust(tmp_path, "add", str(tmp_path / "a.json"), "--for", "orders,cooking") == 1
    assert "cooking" in capsys.readouterr().err
    assert trust(tmp_path, "remove", "xyz") == 1
    assert "hexadecimal" in capsys.readouterr().err
    assert hes(tmp_path, "trust", "remove", "--concentrator", "NO SUCH", "00") == 1
    trust(tmp_path, "remove", "00")
    trust(tmp_path, "drop")
    assert store.trust.staged(CONCENTRATOR) == []


@pytest.mark.parametrize("suite", [0, 1, 2])
def test_keys_reach_the_inventory_wrapped(tmp_path, store, broker, key, capsys, suite) -> None:
    key.save(tmp_path / "k.pem")
    (tmp_path / "board.key").write_text(BOARD_KEY.hex() + "\n")
    size = (16, 16, 32)[suite]
    ek, ak = bytes(range(size)), bytes(range(200, 200 + size))
    row: dict[str, object] = {"serial": METERS[0], "ek": ek.hex(), "ak": ak.hex()}
    if suite:
        row["suite"] = suite
    line = json.dumps(row)
    (tmp_path / "keys.jsonl").write_text(line + "\n")
    board = tmp_path / "board"
    board.mkdir()
    (board / "meters.jsonl").write_text('{"serial": "%s", "paths": []}\n' % METERS[0])
    command = ["keys", "--concentrator", CONCENTRATOR, "--key", str(tmp_path / "k.pem")]
    command += ["--meter-keys", str(tmp_path / "keys.jsonl")]
    command += ["--board-key", str(tmp_path / "board.key")]

    async def scenario() -> None:
        async with serving(store, broker.url), running(board, broker.port, key) as gateway:
            assert hes(tmp_path, *command) == 0
            await until(lambda: gateway.session.trust.keys_number == 1)
            found = gateway.inventory.keys(METERS[0])
            assert (found.suite, found.ek, found.ak) == (suite, ek, ak)
            await until(lambda: store.trust.numbered(CONCENTRATOR, ("submitted", "sent")) == [])

    run(scenario())
    written = [*board.iterdir(), *tmp_path.glob("hes.sqlite*")]
    for path in written:
        content = path.read_bytes()
        for secret in (ek, ak, BOARD_KEY):
            assert secret not in content and secret.hex().encode() not in content, path
    wrong = [line[:-3], json.dumps({**row, "suite": 1 if suite == 2 else 2})]
    for text in (*wrong, json.dumps({**row, "suite": "0"}), json.dumps({**row, "suite": True})):
        (tmp_path / "keys.jsonl").write_text(text + "\n")
        assert hes(tmp_path, *command) == 1
        said = capsys.readouterr().err
        assert "keys.jsonl:1" in said and ek.hex() not in said and ak.hex()[:8] not in said


def test_the_time_is_signed_for_who_needs_it(store, broker, key) -> None:
    async def scenario() -> None:
        own = Store(store.where)
        service = Service(own.line, Broker.parse(broker.url), poll=0.02, time_key=key, plain=True)
        task = asyncio.create_task(service.run())
        try:
            await until(lambda: status_of(store) == "connected")
            async with Concentrator(broker.port) as there:
                nonce = bytes(range(16))
                await there.send("hello", Hello(1, 0, [], nonce).encode())
                payload, _ = envelope.verify(
                    await there.next("time"), [(key.kid, key.public)], SystemCrypto()
                )
                told = SignedTime.decode(payload)
                assert (told.concentrator, told.nonce) == (CONCENTRATOR, nonce)
                assert abs(told.time - time.time()) < 60
                await there.send("hello", Hello(1, int(time.time()), [], nonce).encode())
                assert abs(Time.decode(await there.next("time")).time - time.time()) < 60
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            own.close()

    run(scenario())


def test_a_shorter_audit_trail_is_noticed(store) -> None:
    store.line.take_hello(CONCENTRATOR, Hello(1, 5, [], records=7, head=b"a" * 32))
    store.line.take_hello(CONCENTRATOR, Hello(1, 5, [], records=9, head=b"b" * 32))
    store.line.take_hello(CONCENTRATOR, Hello(1, 5, [], records=9, head=b"b" * 32))
    assert store.reports.events() == []
    store.line.take_hello(CONCENTRATOR, Hello(1, 5, [], records=8, head=b"c" * 32))
    store.line.take_hello(CONCENTRATOR, Hello(1, 5, [], records=8, head=b"d" * 32))
    assert [event.name for event in store.reports.events()] == ["audit-trail-cut"] * 2


def test_without_a_key_for_the_time_it_is_told_and_said(store, broker, capsys) -> None:
    async def scenario() -> None:
        async with serving(store, broker.url), Concentrator(broker.port) as there:
            now = int(time.time())
            for off, warned in ((3600 - 60, False), (3600 + 60, True)):
                await there.send("hello", Hello(1, now - off, [], bytes(16)).encode())
                assert abs(Time.decode(await there.next("time")).time - time.time()) < 60
                said = capsys.readouterr().err
                assert ("--time-key KEY.pem" in said) == warned
                there_it_is = time.strftime("there it is %Y-%m-%d %H:%M", time.gmtime(now - off))
                assert (there_it_is in said) == warned  # which of the two is wrong, people judge

    run(scenario())
