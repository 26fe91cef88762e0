"""get, set, action over real TCP and UDP."""

from __future__ import annotations

import pytest

from gateway.dlms.data import axdr
from tests.unit.dlms_tool.conftest import KEYS, PASSWORD, SERIAL, Stand, Tool

NAME = "data 0.0.42.0.0.255 value"
PERIOD = "profile_generic 1.0.99.1.0.255 capture_period"


@pytest.mark.parametrize("line", ["tcp", "udp", "hdlc", "pty", "mode_e"])
def test_get_over_each_line(stand: Stand, tool: Tool, keys: list[str], line: str) -> None:
    ran = tool(getattr(stand, line), "get", NAME, PERIOD, *keys)
    assert ran.status == 0, ran.err
    assert '"%s"' % SERIAL in ran.out
    assert "double-long-unsigned 3600" in ran.out
    assert PERIOD in ran.out


def test_public_client_needs_nothing(stand: Stand, tool: Tool) -> None:
    ran = tool(stand.tcp, "get", NAME)
    assert ran.status == 0
    assert SERIAL in ran.out


def test_numbers_in_place_of_names(stand: Stand, tool: Tool) -> None:
    ran = tool(stand.tcp, "get", "1 0-0:42.0.0*255 2", "--json")
    assert ran.json == [{"attribute": NAME, "value": {"octet-string": SERIAL}}]


def test_registers_come_with_their_unit(stand: Stand, tool: Tool, keys: list[str]) -> None:
    ran = tool(stand.tcp, "get", "register 1.0.32.7.0.255 value", "--json", *keys)
    (found,) = ran.json
    number = found["value"]["long-unsigned"]
    assert found["meaning"] == "%d.%d V" % divmod(number, 10)


def test_some_refused(stand: Stand, tool: Tool) -> None:
    ran = tool(stand.tcp, "get", NAME, PERIOD, "data 0.0.99.99.99.255 value")
    assert ran.status == 1
    assert SERIAL in ran.out
    assert "read-write-denied" in ran.out
    assert "object-undefined" in ran.out
    ran = tool(stand.tcp, "get", NAME, PERIOD, "--json")
    assert ran.status == 1
    assert ran.json[0]["value"] == {"octet-string": SERIAL}
    assert ran.json[1]["result"] == "read-write-denied"


def test_one_by_one_where_the_meter_has_no_lists(stand: Stand, tool: Tool, keys: list[str]) -> None:
    from gateway.dlms.apdu import acse

    plain = Stand(stand.world, stand.meter, conformance=acse.GET | acse.ACTION)
    ran = tool(plain.tcp, "get", NAME, PERIOD, "--json", "--trace", *keys)
    assert ran.status == 0
    assert [found["value"] for found in ran.json] == [
        {"octet-string": SERIAL},
        {"double-long-unsigned": 3600},
    ]
    assert "get-list-request" not in ran.err


def test_set_reads_back(stand: Stand, tool: Tool, keys: list[str]) -> None:
    ran = tool(stand.tcp, "set", PERIOD, "double-long-unsigned: 900", *keys)
    assert ran.status == 0, ran.err
    assert "read back the same: double-long-unsigned 900" in ran.out
    assert stand.meter.read(7, "1.0.99.1.0.255", 4) == (axdr.DOUBLE_LONG_UNSIGNED, 900)


def test_what_was_got_can_be_set(stand: Stand, tool: Tool, keys: list[str]) -> None:
    import json

    calendar = "activity_calendar 0.0.13.0.0.255 "
    ran = tool(stand.tcp, "get", calendar + "season_profile_active", "--json", *keys)
    value = ran.json[0]["value"]
    passive = calendar + "season_profile_passive"
    ran = tool(stand.tcp, "set", passive, json.dumps(value), "--json", *keys)
    assert ran.status == 0, ran.err
    assert ran.json == {"attribute": passive, "set": True, "same": True, "value": value}


def test_set_refused(stand: Stand, tool: Tool, keys: list[str]) -> None:
    ran = tool(stand.tcp, "set", PERIOD, "long-unsigned: 900", *keys)
    assert ran.status == 1
    assert ran.err.startswith("ami-dlms: SET profile_generic.capture_period of 1.0.99.1.0.255:")
    assert "type-unmatched" in ran.err
    assert ran.err.count("\n") == 1
    stand.meter.faults.refuse_write = (7, "1.0.99.1.0.255", 4)
    ran = tool(stand.tcp, "set", PERIOD, "double-long-unsigned: 900", "--json", *keys)
    assert ran.status == 1
    assert ran.json["result"] == "read-write-denied"


def test_action(stand: Stand, tool: Tool, keys: list[str]) -> None:
    execute = "script_table 0.0.10.0.100.255 execute"
    ran = tool(stand.tcp, "action", execute, "long-unsigned: 2", *keys)
    assert (ran.status, ran.out) == (0, execute + ": done\n")
    assert stand.meter.read(1, "0.0.96.14.0.255", 2) == (axdr.UNSIGNED, 2)
    ran = tool(stand.tcp, "action", execute, "long-unsigned: 77", "--json", *keys)
    assert ran.status == 1
    assert "ACTION script_table.execute of 0.0.10.0.100.255" in ran.err
    assert ran.json["result"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["get", "clock 0.0.1.0.0.255 tme"], "did you mean 'time'"),
        (["get", "clock 0.0.1.0.0 time"], "OBIS"),
        (["get", "clok 0.0.1.0.0.255 time"], "did you mean 'clock'"),
        (["set", PERIOD, "double-long-unsigned: 99999999999"], "double-long-unsigned"),
        (["set", PERIOD, "double-long: [1"], "YAML"),
        (["set", PERIOD, "900"], "a typed value"),
        (["action", "clock 0.0.1.0.0.255 execute"], "a method of clock"),
    ],
)
def test_wrong_words_are_named(
    stand: Stand, tool: Tool, arguments: list[str], expected: str
) -> None:
    ran = tool(stand.tcp, *arguments)
    assert ran.status == 2
    assert expected in ran.err
    assert ran.err.count("\n") == 1


def test_options_before_and_after_the_command(stand: Stand, tool: Tool) -> None:
    ran = tool(stand.tcp, "--json", "--tries", "1", "get", NAME, "--timeout", "3")
    assert ran.json[0]["value"] == {"octet-string": SERIAL}


def test_password(lls_stand: Stand, tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tool(lls_stand.tcp, "get", PERIOD, "--password", PASSWORD, "--trace")
    assert ran.status == 0, ran.err
    assert "double-long-unsigned 3600" in ran.out
    monkeypatch.setenv("AMI_DLMS_PASSWORD", PASSWORD)
    assert tool(lls_stand.tcp, "get", PERIOD).status == 0
    monkeypatch.setenv("AMI_DLMS_PASSWORD", "wrong password")
    ran = tool(lls_stand.tcp, "get", PERIOD)
    assert ran.status == 1
    assert "authentication-failure" in ran.err
    assert "--password" in ran.err


def test_password_file(lls_stand: Stand, tool: Tool, tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "password"
    path.write_text("0x" + PASSWORD.encode().hex() + "\n")
    assert tool(lls_stand.tcp, "get", PERIOD, "--password-file", str(path)).status == 0
    ran = tool(lls_stand.tcp, "get", PERIOD, "--password-file", str(path) + "x")
    assert ran.status == 2


def test_keys_from_the_environment(
    stand: Stand, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMI_DLMS_EK", KEYS.ek.hex())
    monkeypatch.setenv("AMI_DLMS_AK", KEYS.ak.hex())
    ran = tool(stand.tcp, "get", PERIOD, "--json")
    assert ran.json[0]["value"] == {"double-long-unsigned": 3600}


def test_trace_names_everything_and_no_secret(stand: Stand, tool: Tool, keys: list[str]) -> None:
    ran = tool(stand.tcp, "set", PERIOD, "double-long-unsigned: 900", "--trace", *keys)
    assert ran.status == 0
    lines = ran.err.splitlines()
    assert lines[1].startswith("> aarq LN ciphered, authentication HLS GMAC, title ")
    assert any(line.startswith("> glo-set-request, ") for line in lines)
    inside = [line for line in lines if line.startswith("  inside: set-request")]
    assert PERIOD in inside[0]
    assert "double-long-unsigned 900" in inside[0]
    assert any("reply_to_hls_authentication" in line for line in lines)
    assert not any("reply_to_hls" in line and "octet-string" in line for line in lines)
