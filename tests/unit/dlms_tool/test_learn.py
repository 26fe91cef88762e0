"""learn: a first model of a meter that nobody knows, and what of it is a guess."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.contract.model import Model, Place
from gateway.dlms.data import axdr, obis
from tests.unit.dlms_tool.conftest import KEYS, PASSWORD, SERIAL, Stand, Tool, World
from tools.dlms.learned import readable
from tools.meter.data import Data
from tools.meter.device import build_meter
from tools.meter.profile import ProfileGeneric, capture_object
from tools.package.model import file

KEY = ["--ek", KEYS.ek.hex(), "--ak", KEYS.ak.hex()]
LOGS = ("0.0.99.98.0.255", "0.0.99.98.1.255", "0.0.99.98.3.255", "0.0.99.98.4.255")
PROFILES = ("1.0.99.2.0.255", "0.0.98.1.0.255")


def learned(text: str, folder: Path) -> Model:
    path = folder / "learned.yaml"
    path.write_text(text)
    return file.find(str(path)).model


def like_idis(world: World) -> Stand:
    """A meter with the logs and profiles that IDIS has, its number in another object."""
    meter = build_meter(SERIAL, keys=KEYS)
    captured = [capture_object(8, "0.0.1.0.0.255", 2)]
    del meter.objects[7, "0.0.99.98.2.255"], meter.objects[1, "0.0.97.98.20.255"]
    for name in (*LOGS, *PROFILES):
        meter.add(ProfileGeneric(meter, name, captured, capture_period=0))
    number = (axdr.OCTET_STRING, b"00000042\0\0\0\0")
    meter.add(Data(meter, "0.0.96.1.0.255", number))
    return Stand(world, meter)


def test_our_own_meter_is_learned_as_it_is(stand: Stand, tool: Tool, tmp_path: Path) -> None:
    ran = tool(stand.tcp, "learn", *KEY, "--serial", SERIAL, "--name", "own-2")
    assert ran.status == 0, ran.err
    model = learned(ran.out, tmp_path)
    own = file.find("ami").model
    for field in Model.SHAPE.fields:
        if field not in ("name", "description", "broadcast", "objects"):
            assert getattr(model, field) == getattr(own, field), field
    assert model.name == "own-2"
    assert sorted(model.objects) == sorted(own.objects)
    assert "like: ami" in ran.out


def test_nothing_is_written_and_no_method_but_hls_invoked(stand: Stand, tool: Tool) -> None:
    ran = tool(stand.tcp, "learn", *KEY, "--trace")
    assert ran.status == 0, ran.err
    assert stand.meter.log.as_json() == []
    assert "set-request" not in ran.err
    assert ran.err.count("action-request") == 2  # of HLS: ciphered, and what is in it


def test_what_was_seen_and_what_is_a_guess(stand: Stand, tool: Tool) -> None:
    ran = tool(stand.tcp, "learn", *KEY, "--serial", SERIAL, "--json")
    told = {each["path"]: each for each in ran.json["values"]}
    assert told["identity.serial"]["seen"] is True
    assert told["identity.serial"]["why"] == "it is " + SERIAL
    assert told["identity.model"]["seen"] is False
    assert told["access.mechanism"] == {
        "path": "access.mechanism",
        "value": "gmac",
        "seen": True,
        "why": "let in",
    }
    assert told["counter.read"]["why"] == "it counted our requests"
    assert told["image.object"]["why"] == "1 of class 18; blocks of 200 octets"
    assert told["image.broadcast"]["seen"] is False


def test_the_public_client_alone_teaches_less(stand: Stand, tool: Tool, tmp_path: Path) -> None:
    ran = tool(stand.tcp, "learn")
    assert ran.status == 0, ran.err
    learned(ran.out, tmp_path)
    assert "as the work's own client: no keys and no password were given" in ran.out
    assert "mechanism: gmac                            # guess: not tried" in ran.out
    assert "serial: data 0.0.42.0.0.255 value" in ran.out
    assert "is it on the housing?" in ran.out


def test_wrong_keys_are_told_and_the_rest_is_learned(
    stand: Stand, tool: Tool, tmp_path: Path
) -> None:
    ran = tool(stand.tcp, "learn", "--ek", "00" * 16, "--ak", "11" * 16)
    assert ran.status == 0, ran.err
    learned(ran.out, tmp_path)
    assert "as the work's own client: client 1: " in ran.out
    assert "guess: not tried" in ran.out


def test_the_nearest_model_lends_its_tables(world: World, tool: Tool, tmp_path: Path) -> None:
    tcp = like_idis(world).tcp
    ran = tool(tcp, "learn", *KEY, "--serial", "00000042", "--name", "acme-e9")
    assert ran.status == 0, ran.err
    assert "nearest of the shipped models: idis (9 of 13 objects)" in ran.out
    model = learned(ran.out, tmp_path)
    assert model.serial == Place(1, obis.parse("0.0.96.1.0.255"), 2, 1)
    words = [word for word, _, _ in model.objects]
    assert "fraud-log" in words
    assert "disconnect-log" not in words  # the meter does not list it
    tables = file.find(str(tmp_path / "learned.yaml")).tables
    log = tables.log_of(obis.parse("0.0.99.98.0.255"))
    assert log is not None
    assert log.find(48) is not None
    assert tables.log_of(obis.parse("0.0.99.98.2.255")) is None


def test_a_meter_with_a_password_is_learned_too(
    lls_stand: Stand, tool: Tool, tmp_path: Path
) -> None:
    ran = tool(lls_stand.tcp, "learn", "--password", PASSWORD)
    assert ran.status == 0, ran.err
    model = learned(ran.out, tmp_path)
    assert (model.mechanism, model.form) == (1, 0)


def test_a_meter_with_short_names_only_is_found_out(
    world: World, tool: Tool, tmp_path: Path
) -> None:
    tcp = Stand(world, build_meter(SERIAL, keys=KEYS, short_names={})).tcp
    ran = tool(tcp, "learn", *KEY, "--serial", SERIAL)
    assert ran.status == 0, ran.err
    model = learned(ran.out, tmp_path)
    assert (model.referencing, model.mechanism, model.form) == (1, 5, 1)
    assert model.serial == file.find("ami").model.serial
    assert ("load-profile", 7, obis.parse("1.0.99.1.0.255")) in model.objects
    assert "seen: short names were taken" in ran.out
    get = ["get", "register 1.0.1.8.0.255 value", *KEY]
    assert tool(tcp, *get, "--model", str(tmp_path / "learned.yaml")).status == 0


def test_a_file_is_written_once(stand: Stand, tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    ran = tool(stand.tcp, "learn", *KEY, "-o", str(path))
    assert ran.status == 0, ran.err
    assert ran.out == ""
    assert "a first model; 5 of its values are guesses:" in ran.err
    assert "ami-package model check %s" % path in ran.err
    assert file.find(str(path)).model.name == "unnamed"
    again = tool(stand.tcp, "learn", *KEY, "-o", str(path))
    assert again.status == 2
    assert "is there; name another file" in again.err


def test_nobody_there_is_one_line(tool: Tool) -> None:
    ran = tool("tcp://127.0.0.1:1", "learn", "--timeout", "1", "--tries", "1")
    assert ran.status == 1
    assert len(ran.err.splitlines()) == 1


def test_a_name_that_no_model_can_have(stand: Stand, tool: Tool) -> None:
    ran = tool(stand.tcp, "learn", "--name", "ACME E9")
    assert ran.status == 2
    assert "expected 1..32 of a-z, 0-9 and -" in ran.err


def test_what_a_meter_says_stays_what_it_says(world: World, tool: Tool, tmp_path: Path) -> None:
    """Texts that mean something in YAML, or to a terminal."""
    meter = build_meter(SERIAL, keys=KEYS)
    evil = b'"]: #{x}\\'
    meter.add(Data(meter, "0.0.96.1.0.255", (axdr.OCTET_STRING, evil), public=True))
    meter.add(Data(meter, "0.0.96.1.2.255", (axdr.OCTET_STRING, b"\x1b[2J\n- a"), public=True))
    meter.add(Data(meter, "0.0.96.1.3.255", (axdr.VISIBLE_STRING, "a\nname: evil"), public=True))
    ran = tool(Stand(world, meter).tcp, "learn", *KEY)
    assert ran.status == 0, ran.err
    assert "\x1b" not in ran.out
    assert learned(ran.out, tmp_path).name == "unnamed"


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ((axdr.OCTET_STRING, b"AMI0001"), (0, "AMI0001")),
        ((axdr.VISIBLE_STRING, "AMI0001"), (0, "AMI0001")),
        ((axdr.OCTET_STRING, b"AMI0001\0\0"), (1, "AMI0001")),
        ((axdr.OCTET_STRING, b"AMI0001  "), (1, "AMI0001")),
        ((axdr.OCTET_STRING, b"AMI\0x"), (2, "414d490078")),
        ((axdr.OCTET_STRING, b"\x01\x02"), (2, "0102")),
        ((axdr.DOUBLE_LONG_UNSIGNED, 4711), (3, "4711")),
        ((axdr.OCTET_STRING, b""), None),
        ((axdr.BOOLEAN, True), None),
        ((axdr.NULL, None), None),
        (None, None),
    ],
)
def test_how_a_value_reads(typed: tuple[int, object] | None, read: tuple[int, str] | None) -> None:
    assert readable(typed) == read
