"""`ami-dlms learn` of a meter nobody here wrote, and `--model` with what it wrote."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

pytest.importorskip("gurux_dlms")

from gurux_dlms.enums import Authentication, DataType
from gurux_dlms.objects import GXDLMSAssociationLogicalName, GXDLMSData
from gurux_dlms.ValueEventArgs import ValueEventArgs

from gateway.contract.model import Place
from gateway.dlms.data import obis
from tests.interop import gurux_objects
from tests.interop.gurux_meter import HDLC, WRAPPER, Cipher, GuruxMeter
from tests.interop.links import HOST, served
from tools.dlms.__main__ import main
from tools.package.model import file

EK, AK = bytes(range(16)), bytes(range(0xD0, 0xE0))
METER = b"GRX00001"
KEY = ["--ek", EK.hex(), "--ak", AK.hex()]


def run(folder: Path, receive: GuruxMeter, scheme: str, *arguments: str) -> int:
    """`ami-dlms` against the meter behind a port of its own."""

    async def talk() -> int:
        async with served(receive.receive) as port:
            url = "%s://%s:%d" % (scheme, HOST, port)
            counters = ["--counter-file", str(folder / "counters.json")]
            return await asyncio.to_thread(main, [url, *arguments, *counters])

    return asyncio.run(talk())


def data(name: str, value: bytes) -> GXDLMSData:
    made = GXDLMSData(name)
    made.setDataType(2, DataType.OCTET_STRING)
    made.value = bytearray(value)
    return made


def meter(interface: int, authentication: int, objects: list[object]) -> GuruxMeter:
    cipher = Cipher(METER, EK, AK) if authentication == Authentication.HIGH_GMAC else None
    return GuruxMeter(interface, objects, authentication, b"open sesame", cipher, max_pdu=1024)


def test_one_without_a_list_of_objects(tmp_path: Path) -> None:
    objects = [*gurux_objects.build(), data("0.0.96.1.0.255", b"00000007\0\0")]
    found = tmp_path / "gurux.yaml"
    peer = meter(WRAPPER, Authentication.HIGH_GMAC, objects)
    arguments = ["learn", *KEY, "--serial", "00000007", "-o", str(found)]
    assert run(tmp_path, peer, "tcp", *arguments) == 0
    model = file.find(str(found)).model
    assert model.serial == Place(1, obis.parse("0.0.96.1.0.255"), 2, 1)
    assert model.public_sap == 0  # it lets nobody in without keys
    assert model.counter is None
    assert (model.mechanism, model.form) == (5, 1)
    text = found.read_text()
    assert "no list of objects" in text
    assert "like:" not in text  # nothing tells which one it is like


def test_what_was_learned_is_enough_to_read_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = tmp_path / "gurux.yaml"
    peer = meter(HDLC, Authentication.LOW, gurux_objects.build())
    secret = ["--password", "open sesame"]
    assert run(tmp_path, peer, "hdlc+tcp", "learn", *secret, "-o", str(found)) == 0
    assert file.find(str(found)).model.mechanism == 1
    capsys.readouterr()
    peer = meter(HDLC, Authentication.LOW, gurux_objects.build())
    wanted = ["get", "data 0.0.42.0.0.255 value", *secret, "--model", str(found), "--json"]
    assert run(tmp_path, peer, "hdlc+tcp", *wanted) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["value"] == {"octet-string": gurux_objects.SERIAL.decode()}


def test_one_whose_own_algorithm_is_aes(tmp_path: Path) -> None:
    """HLS 2, as in India."""
    found = tmp_path / "gurux.yaml"
    objects = gurux_objects.build()
    peer = GuruxMeter(WRAPPER, objects, Authentication.HIGH, b"0123456789ABCDEF", max_pdu=1024)
    secret = ["--auth", "high", "--password", "0123456789ABCDEF"]
    assert run(tmp_path, peer, "tcp", "learn", *secret, "-o", str(found)) == 0
    assert file.find(str(found)).model.mechanism == 2


def test_one_that_lists_its_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # gurux's own list asks its server for this, which does not run in Python
    monkeypatch.setattr(ValueEventArgs, "isSkipMaxPduSize", True, raising=False)
    objects = gurux_objects.build()
    association = GXDLMSAssociationLogicalName("0.0.40.0.0.255")
    association.xDLMSContextInfo.cypheringInfo = b""
    association.securitySetupReference = "0.0.43.0.9.255"
    for each in objects:
        association.objectList.append(each)
    peer = meter(WRAPPER, Authentication.NONE, [*objects, association])
    found = tmp_path / "gurux.yaml"
    assert run(tmp_path, peer, "tcp", "learn", "-o", str(found)) == 0
    model = file.find(str(found)).model
    assert model.security_setup == obis.parse("0.0.43.0.9.255")
    assert model.image == obis.parse("0.0.44.0.0.255")
    assert ("load-profile", 7, obis.parse("1.0.99.1.0.255")) in model.objects
