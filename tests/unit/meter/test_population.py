"""Populations: who is in them, what the gateway gets to read, and the back door while they run."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.data import axdr, obis
from gateway.dlms.data.axdr import DOUBLE_LONG_UNSIGNED, LONG_UNSIGNED
from gateway.meters.inventory import Inventory
from hal.cpython.storage import FolderStorage
from hal.modem.wrapper import Unwrapper, wrap
from tests.unit.meter.links import MemoryLink, client, management
from tools.cosem.source import Problem
from tools.meter import device
from tools.meter.__main__ import main
from tools.meter.control import Control, ControlError
from tools.meter.model import MANAGEMENT, PUBLIC
from tools.meter.population import (
    DEAD,
    NORMAL,
    OTHER_FIRMWARE,
    REFUSES_WRITE,
    Mix,
    build_population,
    write_inventory,
)
from tools.meter.scenario import read_scenario
from tools.meter.short_names import AssociationSN

SERIAL = "AMI0000000001"
PERIOD = (7, device.LOAD_PROFILE, 4)


def test_some_know_short_names_only(tmp_path: Path) -> None:
    file = tmp_path / "street.yaml"
    file.write_text(
        "population:\n  meters: 6\n  short-names: {meters: 2, bases: {0.0.1.0.0.255: 0x2BC0}}\n"
    )
    scenario = read_scenario(file)
    members = build_population(scenario.meters, 5, scenario.mix)
    short = [member for member in members if member.model]
    assert [member.model for member in short] == ["ami-sn"] * 2
    for member in members:
        association = member.server.meter.associations[MANAGEMENT]
        assert (association.class_id == 12) is bool(member.model)
        if isinstance(association, AssociationSN):
            assert association.names.bases[8, device.CLOCK] == 0x2BC0
    write_inventory(tmp_path, members)
    inventory = Inventory(FolderStorage(str(tmp_path)))
    assert not inventory.problems
    found = [inventory.meter(member.serial) for member in short]
    assert [each and each.model for each in found] == ["ami-sn"] * 2
    for wrong, said in (
        ("{meters: 7}", "7 meters with short names among 6"),
        ("{meters: 1, bases: {0.0.1: 1}}", "expected an OBIS code"),
        ("{meters: 1, bases: {0.0.1.0.0.255: 0x10000}}", "expected a base name"),
        ("{meters: 1, bases: {0.0.1.0.0.255: -8}}", "expected a base name"),
    ):
        file.write_text("population:\n  meters: 6\n  short-names: %s\n" % wrong)
        with pytest.raises((Problem, ValueError), match=said):
            scenario = read_scenario(file)
            build_population(scenario.meters, 5, scenario.mix)


def test_the_same_seed_makes_the_same_population() -> None:
    first, again, other = (build_population(24, seed, Mix()) for seed in (5, 5, 6))
    assert [(m.serial, m.role, m.paths, m.keys.ek) for m in first] == [
        (m.serial, m.role, m.paths, m.keys.ek) for m in again
    ]
    assert [m.role for m in first] != [m.role for m in other]
    assert not {m.keys.ek for m in first} & {m.keys.ek for m in other}
    assert len({m.keys.title for m in first}) == 24


def test_the_mix() -> None:
    members = build_population(24, 1, Mix(ip=2, dead=2))
    assert Counter(m.role for m in members) == {
        NORMAL: 20,
        DEAD: 2,
        REFUSES_WRITE: 1,
        OTHER_FIRMWARE: 1,
    }
    kinds = Counter("+".join(kind for kind, _ in m.paths) for m in members)
    assert kinds == {"plc": 8, "rf": 4, "plc+rf": 4, "": 8}
    assert sum(m.on_ip for m in members) == 8
    for member in members:
        meter = member.server.meter
        assert meter.faults.dead == (member.role == DEAD)
        assert (meter.firmware == "V01.08.00") == (member.role == OTHER_FIRMWARE)
        assert (meter.faults.refuse_write == PERIOD) == (member.role == REFUSES_WRITE)
    with pytest.raises(ValueError, match="only 2"):
        build_population(2, 1, Mix())
    with pytest.raises(ValueError, match="above 0"):
        build_population(4, 1, Mix(plc=0, rf=0, both=0))
    with pytest.raises(ValueError, match=r"1\.\.2000"):
        build_population(2001, 1, Mix())


def test_the_gateway_reads_the_inventory(tmp_path: Path) -> None:
    members = build_population(12, 1, Mix())
    write_inventory(tmp_path, members)
    write_inventory(tmp_path, members)
    assert stat.S_IMODE((tmp_path / "keys.jsonl").stat().st_mode) == 0o600
    inventory = Inventory(FolderStorage(str(tmp_path)))
    assert inventory.problems == []
    assert inventory.serials() == [m.serial for m in members]
    for member in members:
        found = inventory.meter(member.serial)
        assert found is not None
        assert found.paths == member.paths
        keys = inventory.keys(member.serial)
        assert (keys.ek, keys.ak) == (member.keys.ek, member.keys.ak)


def test_every_meter_answers_to_its_own_keys_only() -> None:
    one, two = build_population(2, 1, Mix(dead=0, refuses_write=0, other_firmware=0))

    async def story() -> None:
        await client(MemoryLink(one.server, MANAGEMENT), management(1, one.serial)).associate()
        with pytest.raises(Exception, match="authentication-failure"):
            await client(MemoryLink(two.server, MANAGEMENT), management(1, one.serial)).associate()

    asyncio.run(story())


class Program:
    """ami-meter as a process; `ready` is the line it prints when all is up."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tools.meter", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self.process.stdout.readline())

    def end(self) -> int:
        return self.process.wait(timeout=120)


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Program]:
    program = Program(
        *("population", "--meters", "8", "--ip", "1", "--control", "0"),
        *("--inventory", str(tmp_path / "out")),
    )
    yield program
    program.process.kill()
    program.end()
    assert program.process.stdout is not None
    program.process.stdout.close()


def ask_tcp(port: int, *requests: bytes) -> list[bytes]:
    """The public client's answers to plain requests after an association."""
    initiate = acse.InitiateRequest(0xFFFFFF, 500).encode()
    cutter = Unwrapper()
    answers: list[bytes] = []
    with socket.create_connection(("127.0.0.1", port), 10) as line:
        for request in (acse.Aarq(acse.LN, initiate).encode(), *requests):
            line.sendall(wrap(PUBLIC, 1, request))
        while len(answers) < 1 + len(requests):
            answers += [answer for _, _, answer in cutter.feed(line.recv(4096))]
    return answers[1:]


def test_a_running_population(street: Program, tmp_path: Path) -> None:
    assert street.ready["meters"] == 8
    for kind in ("plc", "rf"):
        socket.create_connection(("127.0.0.1", street.ready[kind]), 10).close()
    inventory = Inventory(FolderStorage(str(tmp_path / "out")))
    assert len(inventory) == 8
    with Control(street.ready["control"]) as control:
        meters = {meter["serial"]: meter for meter in control.meters()}
        assert len(meters) == 8
        by_ip = next(m for m in meters.values() if m["paths"][0][0] == "ip")
        found = inventory.meter(by_ip["serial"])
        assert found is not None
        port = int(found.paths[0][1].split(":")[1])
        control.fault(by_ip["serial"], "dead", False)
        get = apdu.GetRequest(1, 1, obis.parse(device.LOGICAL_DEVICE_NAME), 2).encode()
        answer = apdu.decode(ask_tcp(port, get)[0])
        assert axdr.decode(answer.data)[1] == by_ip["serial"].encode()

        assert control.read(SERIAL, *PERIOD) == (DOUBLE_LONG_UNSIGNED, 3600)
        control.put(SERIAL, *PERIOD, (DOUBLE_LONG_UNSIGNED, 900))
        assert control.read(SERIAL, *PERIOD) == (DOUBLE_LONG_UNSIGNED, 900)
        assert control.log(SERIAL) == []
        control.lose_state(SERIAL)
        assert control.read(SERIAL, *PERIOD) == (DOUBLE_LONG_UNSIGNED, 3600)
        control.put(SERIAL, 3, device.VOLTAGE, 2, (LONG_UNSIGNED, 1))
        assert control.read(SERIAL, 3, device.VOLTAGE, 2) == (LONG_UNSIGNED, 1)
        control.fault(SERIAL, "refuse_write", [1, device.ALARM_FILTER, 2])
        control.set_firmware(SERIAL, "V01.08.00")
        changed = control.meters()[0]
        assert changed["faults"]["refuse_write"] == [1, device.ALARM_FILTER, 2]
        assert changed["firmware"] == "V01.08.00"
        control.shutdown()
    assert street.end() == 0


NOWHERE = {"serial": SERIAL, "class": 1, "obis": "0.0.1.2.3.4", "attribute": 2}


@pytest.mark.parametrize(
    ("op", "fields", "complaint"),
    [
        ("read", {"serial": "nobody"}, "nobody"),
        ("read", {"serial": SERIAL}, "class"),
        (
            "read",
            {"serial": SERIAL, "class": 1, "obis": "0.0.1.2.3.4", "attribute": 2},
            "undefined",
        ),
        (
            "put",
            {"serial": SERIAL, "class": 1, "obis": "?", "attribute": 2, "data": "0"},
            "undefined",
        ),
        ("fault", {"serial": SERIAL, "name": "sleepy", "value": True}, "sleepy"),
        ("fault", {"serial": SERIAL, "name": "dead", "value": 1}, "takes a bool"),
        ("explode", {"serial": SERIAL}, "explode"),
        ("hang", {"modem": "fax", "value": True}, "no fax modem"),
        ("unplug", {"modem": "plc"}, "expected a modem on a pseudo-terminal"),
    ],
)
def test_the_back_door_says_what_is_wrong(
    street: Program, op: str, fields: dict[str, Any], complaint: str
) -> None:
    with Control(street.ready["control"]) as control:
        with pytest.raises(ControlError, match=complaint):
            control.ask(op, **fields)
        assert len(control.meters()) == 8
    with socket.create_connection(("127.0.0.1", street.ready["control"]), 10) as line:
        line.sendall(b"no JSON\n[]\n")
        answers = [json.loads(row) for row in line.makefile().readlines(60)]
    assert answers[0]["ok"] is False


def test_serve() -> None:
    program = Program("serve", "--port", "0", "--serial", "AMI7", "--firmware", "V09")
    try:
        get = apdu.GetRequest(1, 1, obis.parse(device.FIRMWARE), 2).encode()
        answer = apdu.decode(ask_tcp(program.ready["port"], get)[0])
        assert axdr.decode(answer.data)[1] == b"V09"
        program.process.send_signal(signal.SIGTERM)
        assert program.end() == 0
    finally:
        program.process.kill()
        assert program.process.stdout is not None
        program.process.stdout.close()


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--serial", "AMI7", "--password", "12345678"]) == 0
    text = capsys.readouterr().out
    assert "capture_period" in text
    assert "12345678" not in text
    keys = device.derive_test_keys(1, "AMI7")
    assert keys.ek.hex() not in text
    assert keys.ek.hex() not in repr(keys)


def test_wrong_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "keys.jsonl").write_text('{"serial": "other"}\n')
    assert main(["serve", "--port", "0", "--keys", str(tmp_path / "keys.jsonl")]) == 2
    assert "no line for AMI0000000001" in capsys.readouterr().err
    assert main(["population", "--meters", "0"]) == 2
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--port", "99999"])
    assert ended.value.code == 2
