"""objects and identify: what is there, by name."""

from __future__ import annotations

from gateway.dlms.data import obis
from tests.unit.dlms_tool.conftest import SERIAL, Stand, Tool
from tools.dlms.objects import Entry, rights


def test_objects_of_the_management_client(stand: Stand, tool: Tool, keys: list[str]) -> None:
    ran = tool(stand.tcp, "objects", "--json", *keys)
    assert ran.status == 0, ran.err
    found = {(each["class"], each["obis"]): each for each in ran.json}
    assert len(found) == len(stand.meter.objects) + 1  # and the association itself
    profile = found["profile_generic", "1.0.99.1.0.255"]
    assert profile["version"] == 1
    assert profile["attributes"][1] == {
        "index": 2,
        "name": "buffer",
        "access": "r",
        "selectors": ["range", "entry"],
    }
    assert {"index": 4, "name": "capture_period", "access": "rw", "selectors": []} in profile[
        "attributes"
    ]
    assert profile["methods"] == [
        {"index": 1, "name": "reset", "access": "x"},
        {"index": 2, "name": "capture", "access": "x"},
    ]


def test_objects_as_a_table(stand: Stand, tool: Tool, keys: list[str]) -> None:
    ran = tool(stand.tcp, "objects", "--class", "special-days-table", *keys)
    assert ran.status == 0, ran.err
    assert "1 object" in ran.out
    assert "special_days_table (11)" in ran.out
    assert "2 entries: rw" in ran.out
    assert "1 insert: x" in ran.out
    ran = tool(stand.tcp, "objects")
    assert "clock (8)" in ran.out
    assert "daylight_savings_begin: -" in ran.out


def test_rights_of_both_spellings() -> None:
    assert [rights(mode, 2) for mode in range(8)] == [
        "-", "r", "w", "rw", "r auth", "w auth", "rw auth", "mode 7",
    ]  # fmt: skip
    assert [rights(mode, 1, True) for mode in range(3)] == ["-", "x", "x auth"]
    assert rights(0b01000011, 3) == "rw enc resp"
    assert rights(0b00001101, 3, True) == "x auth req enc req"
    assert rights(0, 3) == "-"


def test_identify(stand: Stand, tool: Tool, keys: list[str]) -> None:
    ran = tool(stand.udp, "identify")
    assert ran.status == 0, ran.err
    for word in (SERIAL, "AMI-E450", "V02.10.01", "suite 0, AES-GCM-128", "get", "client 16"):
        assert word in ran.out
    ran = tool(stand.tcp, "identify", "--json", *keys)
    assert ran.json["logical_device_name"] == {"octet-string": SERIAL}
    assert "selective-access" in ran.json["services"]
    assert ran.json["serial_number"]["result"] == "object-undefined"


def test_names_follow_the_version() -> None:
    name = obis.parse("0.0.43.0.0.255")
    assert Entry(64, 0, name).method_name(2) == "global_key_transfer"
    assert Entry(64, 1, name).method_name(2) == "key_transfer"
    assert Entry(9999, 0, name).attribute_name(3) == "attribute 3"
