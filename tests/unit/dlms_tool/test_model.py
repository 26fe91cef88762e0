"""--model: what it says is the default of every option, and its events and alarms are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.dlms.apdu import acse
from gateway.dlms.data import axdr, obis
from tests.unit.dlms_tool.conftest import KEYS, PASSWORD, SERIAL, Stand, Tool, World
from tools.dlms.shown import CaptureObject
from tools.dlms.words import Words, code_column
from tools.meter.data import Data
from tools.meter.device import ALARM_REGISTER, build_meter, derive_test_keys
from tools.meter.model import Meter
from tools.meter.profile import ProfileGeneric, capture_object
from tools.meter.protection import Demand
from tools.package.model import file

LOG = "0.0.99.98.0.255"
CODE = "0.0.96.11.0.255"
KEY = ["--ek", KEYS.ek.hex(), "--ak", KEYS.ak.hex()]
CODES = (17, 48, 200)


def yaml(folder: Path, text: str) -> str:
    path = folder / "acme.yaml"
    path.write_text("name: acme\nnumber: 1\n" + text)
    return str(path)


@pytest.fixture
def log(world: World) -> Stand:
    """A meter with an event log of three events, and a status word."""
    meter = build_meter(SERIAL, keys=KEYS)
    captured = [capture_object(8, "0.0.1.0.0.255", 2), capture_object(1, CODE, 2)]
    profile = ProfileGeneric(meter, LOG, captured, capture_period=0)
    stamp = meter.read(8, "0.0.1.0.0.255", 2)
    for number in CODES:
        cells = [stamp, (axdr.UNSIGNED, number)]
        profile.append(0, (axdr.STRUCTURE, cells))
    meter.add(profile, Data(meter, CODE, (axdr.UNSIGNED, 0)))
    return Stand(world, meter)


# ---------------------------------------------------------------- access


def test_a_shipped_model_is_as_good_as_no_option(stand: Stand, tool: Tool) -> None:
    ran = tool(stand.tcp, "get", "register 1.0.1.8.0.255 value", "--model", "idis", *KEY)
    assert ran.status == 0, ran.err
    public = tool(stand.tcp, "get", "data 0.0.42.0.0.255 value", "--model", "idis")
    assert public.status == 0, public.err
    assert "client 16" in tool(stand.tcp, "identify", "--model", "idis").out


def test_mechanism_and_protection_come_from_it(world: World, tool: Tool, tmp_path: Path) -> None:
    meter = build_meter(SERIAL, keys=KEYS, demand=Demand(form="general-glo"))
    tcp = Stand(world, meter).tcp
    period = "profile_generic 1.0.99.1.0.255 capture_period"
    assert tool(tcp, "get", period, *KEY, "--timeout", "1").status == 1
    model = yaml(tmp_path, "like: idis\naccess: {protection: general-glo}\n")
    ran = tool(tcp, "get", period, *KEY, "--model", model)
    assert ran.status == 0, ran.err


def test_a_password_goes_by_the_models_mechanism(world: World, tool: Tool, tmp_path: Path) -> None:
    meter = build_meter(SERIAL, password=PASSWORD.encode(), mechanism=acse.HIGH_SHA1)
    tcp = Stand(world, meter).tcp
    wanted = ["get", "register 1.0.1.8.0.255 value", "--password", PASSWORD]
    assert tool(tcp, *wanted).status == 1  # as a plain password
    model = yaml(tmp_path, "access: {mechanism: sha1, protection: plain}\n")
    ran = tool(tcp, *wanted, "--model", model)
    assert ran.status == 0, ran.err


def test_an_indian_meter_proves_by_aes_and_ciphers(
    world: World, tool: Tool, tmp_path: Path
) -> None:
    secret = b"utility setting!"
    meter = build_meter(SERIAL, keys=KEYS, password=secret, mechanism=acse.HIGH)
    tcp = Stand(world, meter).tcp
    held = line(tmp_path, ek=KEYS.ek.hex(), ak=KEYS.ak.hex(), lls=secret.hex())
    wanted = ["get", "register 1.0.1.8.0.255 value", *held, "--model", "india", "--client", "1"]
    assert tool(tcp, *wanted).status == 0
    wrong = tool(tcp, *wanted, "--password", "utility setting?", "--timeout", "1")
    assert wrong.status == 1
    long = tool(tcp, *wanted, "--password", "x" * 33)
    assert long.status == 2
    assert "at most 32 bytes" in long.err


def test_what_is_said_on_the_command_line_wins(stand: Stand, tool: Tool, tmp_path: Path) -> None:
    model = yaml(tmp_path, "access: {client: 9, protection: general-glo}\n")
    wanted = ["get", "register 1.0.1.8.0.255 value", *KEY, "--model", model]
    assert tool(stand.tcp, *wanted).status == 1
    ran = tool(stand.tcp, *wanted, "--client", "1", "--protection", "glo")
    assert ran.status == 0, ran.err


def test_the_dialect_is_the_models(world: World, tool: Tool, tmp_path: Path) -> None:
    tcp = Stand(world, build_meter(SERIAL, keys=KEYS)).tcp
    wanted = ["get", "register 1.0.1.8.0.255 value", *KEY, "--model"]
    access = "access: {protection: general-ciphering%s}\n"
    assert tool(tcp, *wanted, yaml(tmp_path, access % "")).status == 0
    other = tool(tcp, *wanted, yaml(tmp_path, access % ", dialect: other"), "--timeout", "1")
    assert other.status == 1  # the virtual meter has the Green Book's


def test_identify_asks_where_the_model_says(world: World, tool: Tool, tmp_path: Path) -> None:
    meter = build_meter(SERIAL, keys=KEYS)
    meter.add(
        Data(meter, "0.0.96.1.0.255", (axdr.OCTET_STRING, b"00000042\0\0"), public=True),
        Data(meter, "0.0.96.1.7.255", (axdr.UNSIGNED, 7), public=True),
    )
    tcp = Stand(world, meter).tcp
    model = yaml(
        tmp_path,
        "identity:\n"
        "  serial: {read: data 0.0.96.1.0.255 value, as: up-to-nul}\n"
        "  model: {read: data 0.0.96.1.7.255 value, as: number}\n"
        "  firmware: none\n",
    )
    ran = tool(tcp, "identify", "--model", model)
    assert ran.status == 0, ran.err
    assert '"00000042"' in ran.out
    assert "V02.10.01" not in ran.out
    rows = [line for line in ran.out.splitlines() if "0.0.96.1.7.255" in line]
    assert len(rows) == 1 and " 7 " in rows[0]
    assert "00000042" not in tool(tcp, "identify").out.replace("0x3030303030303432", "")


def test_an_image_goes_to_the_models_object(stand: Stand, tool: Tool, tmp_path: Path) -> None:
    content = tmp_path / "image"
    content.write_bytes(bytes(1000))
    model = yaml(tmp_path, "image: {object: 0.0.44.0.1.255}\nidentity: {firmware: none}\n")
    ran = tool(stand.tcp, "image", str(content), "--identifier", "V03", *KEY, "--model", model)
    assert ran.status == 1
    assert "0.0.44.0.1.255" in ran.err


def test_only_its_services_are_proposed(stand: Stand, tool: Tool, tmp_path: Path) -> None:
    model = yaml(tmp_path, "habits: {services: [get, set, action], max-pdu: 300}\n")
    ran = tool(stand.tcp, "identify", "--model", model, "--json")
    assert ran.json["services"] == ["get", "set", "action"]


def test_without_a_public_client_there_must_be_keys(
    stand: Stand, tool: Tool, tmp_path: Path
) -> None:
    model = yaml(tmp_path, "access: {public: none}\n")
    ran = tool(stand.tcp, "identify", "--model", model)
    assert ran.status == 2
    assert "meters of model acme have no public client: give keys, or --client" in ran.err


def test_its_counter_object_is_read_first(stand: Stand, tool: Tool, tmp_path: Path) -> None:
    wanted = ["get", "register 1.0.1.8.0.255 value", *KEY, "--read-counter"]
    assert tool(stand.tcp, *wanted, "--model", "smr").status == 0
    elsewhere = tool(stand.tcp, *wanted, "--model", "india", "--auth", "gmac", "--client", "1")
    assert elsewhere.status == 1
    assert "0.0.43.1.3.255" in elsewhere.err
    model = yaml(tmp_path, "counter: {read: none}\n")
    ran = tool(stand.tcp, *wanted, "--model", model)
    assert ran.status == 2
    assert "do not tell their invocation counter: give --counter" in ran.err


def test_a_new_meter_begins_with_the_counter_of_its_model(
    stand: Stand, tool: Tool, tmp_path: Path
) -> None:
    model = yaml(tmp_path, "counter: {start: 2500000000}\n")
    assert tool(stand.tcp, "get", "clock 0.0.1.0.0.255 time", *KEY, "--model", model).status == 0
    counter = stand.meter.read(1, "0.0.43.1.0.255", 2)[1]
    assert 2500000000 <= counter < 2500000064


# ---------------------------------------------------------------- the line in keys.jsonl


def line(folder: Path, **fields: object) -> list[str]:
    path = folder / "keys.jsonl"
    path.write_text(json.dumps({"serial": SERIAL, **fields}) + "\n")
    return ["--keys", str(path), "--serial", SERIAL]


def test_its_password_is_for_a_model_that_needs_one(
    lls_stand: Stand, tool: Tool, tmp_path: Path
) -> None:
    held = line(tmp_path, lls=PASSWORD.encode().hex())
    ran = tool(lls_stand.tcp, "get", "register 1.0.1.8.0.255 value", *held, "--model", "spain")
    assert ran.status == 0, ran.err


def test_its_suite_is_the_suite(world: World, tool: Tool, tmp_path: Path) -> None:
    keys = derive_test_keys(7, SERIAL, 2)
    stand = Stand(world, build_meter(SERIAL, keys=keys))
    held = line(tmp_path, suite=2, ek=keys.ek.hex(), ak=keys.ak.hex())
    ran = tool(stand.tcp, "get", "register 1.0.1.8.0.255 value", *held)
    assert ran.status == 0, ran.err


def test_its_counter_is_where_to_begin(stand: Stand, tool: Tool, tmp_path: Path) -> None:
    held = line(tmp_path, ek=KEYS.ek.hex(), ak=KEYS.ak.hex(), counter=2500000000)
    assert tool(stand.tcp, "get", "clock 0.0.1.0.0.255 time", *held).status == 0
    assert 2500000000 <= stand.meter.read(1, "0.0.43.1.0.255", 2)[1] < 2500000064


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "keys.jsonl:1: ek: expected 32 hex digits"),
        ({"suite": 3, "ek": "", "ak": ""}, "suite: expected 0, 1 or 2"),
        ({"wrapped": "00" * 48}, "its keys are wrapped for a concentrator"),
    ],
)
def test_a_line_that_does_not_do(
    tool: Tool, tmp_path: Path, fields: dict[str, object], said: str
) -> None:
    ran = tool("tcp://127.0.0.1:1", "identify", *line(tmp_path, **fields))
    assert ran.status == 2
    assert said in ran.err


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("ids", "--model: ids: expected a file, or one of the models shipped: ami, ami-sn, idis"),
        ("wrong.yaml", "expected a SAP (a whole number 1..65535), got '0'"),
        ("noise.model", "--model: "),
        (".", "--model: .: "),
    ],
)
def test_what_is_no_model_is_told(
    tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.yaml").write_text("name: acme\nnumber: 1\naccess: {client: 0}\n")
    (tmp_path / "noise.model").write_bytes(b"\x82\x41\x00\x41\x00")
    ran = tool("tcp://127.0.0.1:1", "identify", "--model", named)
    assert ran.status == 2
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


# ---------------------------------------------------------------- words


def test_events_of_a_log_are_named(log: Stand, tool: Tool) -> None:
    plain = tool(log.tcp, "profile", LOG, *KEY)
    assert "firmware" not in plain.out
    ran = tool(log.tcp, "profile", LOG, *KEY, "--model", "idis")
    assert ran.status == 0, ran.err
    assert "17: firmware ready for activation" in ran.out
    assert "48: global keys changed" in ran.out
    spanish = tool(log.tcp, "profile", LOG, *KEY, "--model", "idis", "--language", "es")
    assert "48: claves globales cambiadas" in spanish.out
    dutch = tool(log.tcp, "profile", LOG, *KEY, "--model", "smr")
    assert "48: module cover opened (SMR)" in dutch.out


def test_events_in_json_have_both_languages_and_the_cim_code(log: Stand, tool: Tool) -> None:
    ran = tool(log.tcp, "profile", LOG, *KEY, "--model", "idis", "--json")
    assert ran.json["events"][1] == {
        "code": 48,
        "en": "global keys changed",
        "es": "claves globales cambiadas",
        "cim": "3.0.0.0",
    }
    assert ran.json["events"][2] == {"code": 200, "cim": "3.0.0.0"}
    assert "events" not in tool(log.tcp, "profile", LOG, *KEY, "--json").json


def test_alarm_bits_are_named(stand: Stand, tool: Tool) -> None:
    def raise_alarms(meter: Meter) -> None:
        meter.find(1, ALARM_REGISTER).put(2, (axdr.DOUBLE_LONG_UNSIGNED, 1 << 13 | 1))

    raise_alarms(stand.meter)
    wanted = "data %s value" % ALARM_REGISTER
    ran = tool(stand.tcp, "get", wanted, *KEY, "--model", "smr")
    assert "clock invalid, fraud attempt" in ran.out
    spanish = tool(stand.tcp, "get", wanted, *KEY, "--model", "smr", "--language", "es", "--json")
    assert spanish.json[0]["meaning"] == "reloj no válido, intento de fraude"
    assert "fraud" not in tool(stand.tcp, "get", wanted, *KEY).out


def test_the_column_of_the_code() -> None:
    clock = CaptureObject(8, obis.parse("0.0.1.0.0.255"), 2, 0)
    code = CaptureObject(1, obis.parse("0.0.96.11.2.255"), 2, 0)
    other = CaptureObject(1, obis.parse("0.0.96.15.2.255"), 2, 0)
    assert code_column([clock, other, code]) == 2
    assert code_column([clock, other]) == 1
    assert code_column([clock]) is None
    words = Words(file.find("idis").tables, "en")
    assert words.log(obis.parse(LOG), [clock]) is None
    found = words.log(obis.parse(LOG), [clock, code])
    assert found is not None
    assert found.word([(axdr.NULL, None), (axdr.NULL, None)]) == ""
    assert found.as_json([(axdr.NULL, None), (axdr.NULL, None)]) is None


def test_india_has_a_secret_under_aes(world: World, tool: Tool) -> None:
    meter = build_meter(SERIAL, keys=KEYS, password=PASSWORD.encode(), mechanism=acse.HIGH)
    stand = Stand(world, meter)
    wanted = ("get", "clock 0.0.1.0.0.255 time", "--model", "india", "--client", "1")
    assert "give --password" in tool(stand.tcp, *wanted, *KEY).err
    ran = tool(stand.tcp, *wanted, "--password", PASSWORD, *KEY)
    assert ran.status == 0, ran.err
    assert "at most 32 bytes" in tool(stand.tcp, *wanted, "--password", "x" * 33, *KEY).err


@pytest.mark.parametrize("name", file.names())
def test_every_shipped_model_is_good_for_a_command_line(
    name: str, stand: Stand, tool: Tool
) -> None:
    given = [*KEY, "--password", PASSWORD]
    assert "Traceback" not in tool(stand.tcp, "identify", "--model", name, *given).err


def test_a_file_that_is_no_model_is_told_as_such(stand: Stand, tool: Tool, tmp_path: Path) -> None:
    for content in (b"", b"-----BEGIN PRIVATE KEY-----\nMIGH\n", b"\xd2\x84"):
        (tmp_path / "wrong").write_bytes(content)
        ran = tool(stand.tcp, "identify", "--model", str(tmp_path / "wrong"))
        assert (ran.status, "no model file; `ami-package model compile`" in ran.err) == (2, True)
