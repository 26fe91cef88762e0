"""The gateway's settings: defaults, and an error for each way to get them wrong."""

from __future__ import annotations

import json

from gateway import settings as gateway_settings
from gateway.settings import MAX_TEXT, SettingsError
from hal.modem.drivers import DRIVERS
from hal.rt import port_url
from tests.portable.support import raises

MODEM = {"kind": "plc", "driver": "prime-usi", "url": "tcp://127.0.0.1:9001"}


def parse(text):
    return gateway_settings.parse(text, DRIVERS)


def minimal():
    return {
        "concentrator": "santiago-0042",
        "system_title": "414d490000000001",
        "uplink": {"host": "localhost"},
        "signers": [{"kid": "0102030405060708", "key": "ab" * 64}],
        "plain": True,
    }


def changed(**changes):
    content = minimal()
    content.update(changes)
    return json.dumps(content)


def refusal(text):
    return str(raises(SettingsError, parse, text))


def test_minimal_gets_sensible_defaults():
    settings = parse(json.dumps(minimal()))
    assert settings.concentrator == "santiago-0042"
    assert settings.system_title == b"AMI\x00\x00\x00\x00\x01"
    assert settings.signers == [(bytes(range(1, 9)), b"\xab" * 64)]
    assert (settings.uplink.host, settings.uplink.port) == ("localhost", 1883)
    assert settings.uplink.ca is None and settings.uplink.username is None
    assert settings.modems == []
    assert settings.paths["plc"].tries == 4 and settings.paths["ip"].timeout_ms == 10000
    assert settings.workers == 1 and settings.log_level == "info"
    assert settings.zone == "UTC0"
    assert settings.storage.jobs == 64


def test_everything_given():
    content = minimal()
    content["uplink"] = {
        "host": "ami.example",
        "username": "me",
        "password_file": "p",
        "ca": "ca.pem",
        "certificate": "c.pem",
        "key": "c.key",
        "keepalive_s": 30,
    }
    content["modems"] = [
        MODEM,
        {"driver": "imst", "url": "serial:/dev/ttyUSB0?baud=57600", "meters_at_once": 2},
        {"driver": "ip"},
    ]
    content["paths"] = {"rf": {"tries": 7}}
    content["storage"] = {"jobs": 3, "free_bytes": 0}
    content["workers"] = 2
    content["log_level"] = "debug"
    settings = parse(json.dumps(content).encode())
    assert settings.uplink.port == 8883 and settings.uplink.keepalive_s == 30
    assert [modem.kind for modem in settings.modems] == ["plc", "rf", "ip"]
    assert [modem.meters_at_once for modem in settings.modems] == [8, 2, 16]
    assert settings.workers == 2
    del content["workers"]
    assert parse(json.dumps(content).encode()).workers == 8 + 2 + 16 + 1
    assert settings.paths["rf"].tries == 7 and settings.paths["rf"].timeout_ms == 8000
    assert settings.storage.jobs == 3 and settings.storage.free_bytes == 0


def test_each_error_names_the_key_what_was_expected_and_what_came():
    assert refusal(changed(concentrator="Santiago 42")) == (
        "concentrator: expected 1 to 32 of a-z, 0-9 and -, came 'Santiago 42'"
    )
    assert refusal(changed(workers=0)) == "workers: expected an integer from 1 to 64, came 0"
    assert refusal(changed(workers=True)) == "workers: expected an integer from 1 to 64, came true"
    assert refusal(changed(system_title="00")) == (
        "system_title: expected 16 hex digits, came '00'"
    )
    assert refusal(changed(system_title="zz" * 8)).startswith("system_title: expected 16 hex")
    assert refusal(changed(uplink={"host": "h", "port": 70000})) == (
        "uplink.port: expected an integer from 1 to 65535, came 70000"
    )
    assert refusal(changed(uplink=[])) == "uplink: expected an object, came a list of 0"
    assert refusal(changed(uplink={})) == "uplink.host: missing"
    assert refusal(changed(signers=[])) == (
        "signers: expected a list of 1 to 16 objects, came a list of 0"
    )
    assert refusal(changed(signers=[1])) == "signers[0]: expected an object, came 1"
    assert refusal(changed(modems=[MODEM, {"driver": "other"}])) == (
        "modems[1].driver: expected %s, came 'other'" % " or ".join(sorted(DRIVERS))
    )
    assert refusal(changed(modems=[{"driver": "imst"}])) == (
        "modems[0].url: missing; expected %s" % port_url.EXPECTED
    )
    assert refusal(changed(modems=[{"driver": "imst", "url": "x"}])).startswith(
        "modems[0].url: port 'x': expected tcp://host:port, serial:/dev/name"
    )
    assert refusal(changed(paths={"plc": {"tries": "4"}})) == (
        "paths.plc.tries: expected an integer from 1 to 20, came '4'"
    )


def test_the_kind_must_be_what_the_driver_serves():
    text = changed(modems=[{"kind": "rf", "driver": "ip"}])
    assert refusal(text) == "modems[0].kind: expected ip, came 'rf'"


def test_an_unknown_key_is_an_error_and_names_the_known_ones():
    assert refusal(changed(worker=3)).startswith(
        "worker: no such setting; there are attempt_s, board_key, clocks, "
    )
    assert "retries: no such setting" in refusal(changed(paths={"plc": {"retries": 3}}))
    assert "lora: no such setting" in refusal(changed(paths={"lora": {}}))


def test_half_a_client_certificate_is_an_error():
    assert "certificate and key together" in refusal(
        changed(uplink={"host": "h", "ca": "a", "key": "k"})
    )
    assert "uplink.ca" in refusal(changed(uplink={"host": "h", "certificate": "c", "key": "k"}))
    assert "uplink.username" in refusal(changed(uplink={"host": "h", "password_file": "p"}))


def test_the_line_is_plain_or_has_a_key_of_the_hes():
    keys = [{"kid": "0a", "key": "cd" * 64}]
    settings = parse(changed(plain=False, hes_keys=keys))
    assert not settings.plain and settings.hes_keys == [(b"\n", b"\xcd" * 64)]
    assert parse(changed()).plain and parse(changed()).hes_keys == []
    assert refusal(changed(plain=False)) == (
        "hes_keys: expected the HES's key of the line, or plain: true, came nothing"
    )
    assert refusal(changed(plain=0)) == "plain: expected true or false, came 0"
    assert refusal(changed(hes_keys=[{"kid": "0a", "key": "cd"}])) == (
        "hes_keys[0].key: expected 128 hex digits, came 'cd'"
    )


def test_a_key_for_the_line_signs_nothing():
    signer = parse(changed()).signers[0]
    same, other = signer[1].hex(), "cd" * 64
    for kid, key in ((signer[0].hex(), other), ("0a", same)):
        assert refusal(changed(hes_keys=[{"kid": kid, "key": key}])) == (
            "hes_keys: expected a key for the line alone, made by `ami-package keygen` once more,"
            " came key %s, which is among the signers too" % kid
        )


def test_missing_keys():
    for key in minimal():
        if key == "plain":
            continue
        content = minimal()
        del content[key]
        expected = "uplink.host: missing" if key == "uplink" else key + ": missing"
        assert refusal(json.dumps(content)) == expected


def test_what_is_not_json_at_all():
    for text in ("", "[]", "null", "\x00", b"\xff\xfe{}", "[" * 5000, '"text"'):
        assert refusal(text).startswith("settings: expected ")
    # MicroPython's parser closes what was left open; then the keys are missing.
    assert refusal("{")
    assert "at most" in refusal(" " * (MAX_TEXT + 1))


def test_udp_says_which_kind_of_path_it_is():
    settings = parse(
        changed(
            modems=[
                {"driver": "udp", "kind": "plc", "group": "[ff03::1]:4059"},
                {"driver": "udp", "kind": "ip", "group": "239.1.2.3:4059"},
            ]
        )
    )
    assert [(one.kind, one.options["group"]) for one in settings.modems] == [
        ("plc", "[ff03::1]:4059"),
        ("ip", "239.1.2.3:4059"),
    ]
    assert refusal(changed(modems=[{"driver": "udp"}])) == "modems[0].kind: missing"
    assert refusal(
        changed(modems=[{"driver": "udp", "kind": "rf", "group": "[fd00::1]:4059"}])
    ) == ("modems[0].group: expected an address like [ff03::1]:4059, came '[fd00::1]:4059'")
    for group in ("x", "[ff03::1]", "[ff03::1]:0", "224.1.1.1:99999", ":4059", "10.0.0.1:1"):
        assert "group" in refusal(changed(modems=[{"driver": "udp", "kind": "rf", "group": group}]))
    assert "no such setting" in refusal(
        changed(modems=[{"driver": "udp", "kind": "rf", "url": ""}])
    )


def test_lines_are_checked_as_they_are_read():
    for url in ("uart:plc", "usb:0403:6001?baud=9600&format=8E1", "serial:/dev/ttyS1?rs485=1"):
        (modem,) = parse(changed(modems=[{"driver": "prime-usi", "url": url}])).modems
        assert modem.url == url
    text = refusal(changed(modems=[{"driver": "imst", "url": "serial:/dev/ttyS1?format=8X1"}]))
    assert text.startswith("modems[0].url: port 'serial:/dev/ttyS1?format=8X1': expected baud=")


def test_local_access():
    assert parse(changed()).local is None
    local = parse(changed(local={"url": "uart:optical"})).local
    assert local is not None
    assert (local.url, local.mode_e, local.baud, local.key) == (
        "uart:optical",
        True,
        9600,
        "local.key",
    )
    content = {"url": "serial:/dev/ttyS3", "mode_e": False, "key": "k"}
    local = parse(changed(local=content)).local
    assert local is not None and not local.mode_e and local.key == "k"
    assert refusal(changed(local={})).startswith("local.url: missing; expected tcp://host:port")
    assert refusal(changed(local={"url": "uart:optical", "baud": 9601})).startswith(
        "local.baud: expected one of (300,"
    )
    assert refusal(changed(local={"url": "uart:optical", "mode_e": 1})) == (
        "local.mode_e: expected true or false, came 1"
    )


def test_radio_modules_say_their_link_mode():
    url = "tcp://h:1"
    modems = [{"driver": "imst", "url": url}, {"driver": "amber", "url": url, "link_mode": "C2"}]
    settings = parse(changed(modems=modems))
    assert [(one.kind, one.options["link_mode"]) for one in settings.modems] == [
        ("rf", "N2"),
        ("rf", "C2"),
    ]
    assert (
        refusal(changed(modems=[{"driver": "amber", "url": url, "link_mode": "R2"}]))
        == "modems[0].link_mode: expected C2 or N2 or N2c or S2 or T2, came 'R2'"
    )
    modem = {"driver": "meters-and-more", "url": url, "link_mode": "S2"}
    assert "link_mode" in refusal(changed(modems=[modem]))
    (settled,) = parse(changed(modems=[{"driver": "meters-and-more", "url": url}])).modems
    assert (settled.kind, settled.options, settled.meters_at_once) == ("plc", {}, 4)


def test_what_is_done_about_clocks():
    assert parse(changed()).clocks == (10, 30, 3600, 900)
    assert parse(changed(clocks={"correct_s": 60})).clocks == (10, 60, 3600, 900)
    assert refusal(changed(clocks={"report_s": 31})) == (
        "clocks.correct_s: expected report_s <= correct_s <= refuse_s, came 31, 30, 3600"
    )
