"""What goes wrong, each in one line: step, object, what came, what to try."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gateway.dlms.errors import SecurityFailed
from tests.conftest import find_free_port
from tests.unit.dlms_tool.conftest import KEYS, Stand, Tool
from tools.dlms.failure import one_line

NAME = "data 0.0.42.0.0.255 value"
PERIOD = "profile_generic 1.0.99.1.0.255 capture_period"
QUICK = ["--timeout", "0.2", "--tries", "2"]


@pytest.mark.parametrize(
    "url",
    [
        "http://meter",
        "meter:4059",
        "tcp://",
        "tcp://meter:0",
        "tcp://meter:99999",
        "tcp://meter/path",
        "tcp://user@meter",
        "tcp://meter?baud=9600",
        "hdlc+tcp://meter",
        "hdlc+serial://dev/ttyUSB0",
        "hdlc+serial:",
        "hdlc+serial:/dev/ttyUSB0?baud=fast",
        "hdlc+serial:/dev/ttyUSB0?speed=9600",
        "hdlc+tcp://meter:1?bytes=3",
        "hdlc+tcp://meter:1?window=8",
        "tcp://[::1",
    ],
)
def test_wrong_urls(tool: Tool, url: str) -> None:
    ran = tool(url, "get", NAME)
    assert ran.status == 2
    assert "expected" in ran.err
    assert ran.err.count("\n") == 1


def test_nobody_listens(tool: Tool) -> None:
    url = "tcp://127.0.0.1:%d" % find_free_port()
    ran = tool(url, "get", NAME)
    assert ran.status == 1
    assert url in ran.err
    assert "refused" in ran.err
    assert ran.err.count("\n") == 1


def test_nobody_listens_to_datagrams(tool: Tool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        port = line.getsockname()[1]
    ran = tool("udp://127.0.0.1:%d" % port, "get", NAME, *QUICK)
    assert ran.status == 1
    assert "refused" in ran.err


def test_no_such_host(tool: Tool) -> None:
    ran = tool("tcp://no-such-host.invalid", "get", NAME)
    assert ran.status == 1
    assert "check the URL" in ran.err


def test_silent_meter(stand: Stand, tool: Tool) -> None:
    stand.meter.faults.dead = True
    ran = tool(stand.tcp, "get", NAME, *QUICK)
    assert ran.status == 1
    assert "association of client 16: no answer within 200 ms, tried 2 times" in ran.err
    ran = tool(stand.udp, "get", NAME, "--json", *QUICK)
    assert ran.json["kind"] == "NoAnswer"


def test_not_dlms_at_all(tool: Tool) -> None:
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                connection.recv(1000)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        ran = tool("tcp://127.0.0.1:%d" % listener.getsockname()[1], "get", NAME)
        thread.join(10)
    assert ran.status == 1
    assert "not a DLMS wrapper" in ran.err


def test_connection_closed_by_the_meter(tool: Tool) -> None:
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        ran = tool("tcp://127.0.0.1:%d" % listener.getsockname()[1], "get", NAME)
        thread.join(10)
    assert ran.status == 1
    assert "closed the connection" in ran.err


def test_wrong_keys(stand: Stand, tool: Tool) -> None:
    ran = tool(stand.tcp, "get", NAME, "--ek", "0" * 32, "--ak", "1" * 32)
    assert ran.status == 1
    assert "key" in ran.err or "--ek" in ran.err
    assert ran.err.count("\n") == 1


def test_keys_wanted_where_none_are_given(stand: Stand, tool: Tool) -> None:
    ran = tool(stand.tcp, "get", PERIOD, "--client", "1")
    assert ran.status == 1
    assert "--auth" in ran.err


def test_no_such_client(stand: Stand, tool: Tool) -> None:
    ran = tool(stand.tcp, "get", PERIOD, "--client", "33")
    assert ran.status == 1
    assert "client 33" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--ek", "00" * 16],
        ["--ek", "xyz", "--ak", "00" * 16],
        ["--ek", "00" * 15, "--ak", "00" * 16],
        ["--auth", "gmac"],
        ["--auth", "low"],
        ["--auth", "sesame"],
        ["--title", "4142"],
        ["--keys", "/nowhere/keys.jsonl", "--serial", "X"],
        ["--timeout", "0"],
        ["--tries", "-1"],
        ["--client", "70000"],
        ["--counter", "0"],
        ["--password", "0x1"],
        ["--read-counter", "1.2.3"],
    ],
)
def test_wrong_options(tool: Tool, arguments: list[str]) -> None:
    ran = tool("tcp://127.0.0.1:1", "get", NAME, *arguments)
    assert ran.status == 2
    assert ran.err.startswith("ami-dlms: ")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [[], ["get"], ["fetch", NAME], ["get", NAME, "--fast"], ["set", NAME]]
)
def test_wrong_commands(tool: Tool, arguments: list[str]) -> None:
    ran = tool("tcp://127.0.0.1:1", *arguments)
    assert ran.status == 2
    assert ran.err.startswith("ami-dlms: ")
    assert ran.err.count("\n") == 1
    assert "--help" in ran.err


def test_a_refusal_ends_the_association_properly(stand: Stand, tool: Tool) -> None:
    ran = tool(stand.tcp, "clock", "--set", "now", "--trace")
    assert ran.status == 1
    assert "rlrq" in ran.err


@pytest.mark.parametrize("command", ["get", "profile", "image", "notify"])
def test_help(tool: Tool, command: str) -> None:
    ran = tool("tcp://127.0.0.1:1", command, "--help")
    assert ran.status == 0
    assert ran.out.startswith("usage: ami-dlms URL %s" % command)


def test_keys_file_without_the_serial_or_damaged(tool: Tool, keys: list[str]) -> None:
    path = Path(keys[1])
    ran = tool("tcp://127.0.0.1:1", "get", NAME, "--keys", str(path), "--serial", "AMI1")
    assert ran.status == 2
    assert "no line for AMI1" in ran.err
    ran = tool("tcp://127.0.0.1:1", "get", NAME, "--keys", str(path))
    assert "--serial" in ran.err
    path.write_text('{"serial": "AMI1", "ek": "' + KEYS.ek.hex() + '"}\n')
    ran = tool("tcp://127.0.0.1:1", "get", NAME, "--keys", str(path), "--serial", "AMI1")
    assert ran.status == 2
    assert "%s:1" % path in ran.err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "the signature of an APDU does not verify; check the keys",
            "the signature of an APDU does not verify;"
            " check --peer-signing, the meter's public key",
        ),
        (
            "a signed APDU came, but there is no key to verify it with",
            "a signed APDU came, but there is no key to verify it with;"
            " check --peer-signing, the meter's public key",
        ),
        (
            "an APDU without the signature that is due",
            "an APDU without the signature that is due; leave out --signed if the meter does not"
            " sign",
        ),
        (
            "the tag of a ciphered APDU does not match; check the keys",
            "the tag of a ciphered APDU does not match; check --ek and --ak",
        ),
        (
            "HLS pass 4: the peer's HLS proof does not match; check secret and keys",
            "HLS pass 4: the peer's HLS proof does not match; check --ek, --ak and --password",
        ),
        (
            "an APDU that is for another system title than ours",
            "an APDU that is for another system title than ours; give it with --title",
        ),
        (
            "general-ciphering with a key wrapped where identified is due",
            "general-ciphering with a key wrapped where identified is due; check --key-source",
        ),
        ("invocation counter 4 came again (4 was the last)",) * 2,
    ],
)
def test_what_fails_of_security_blames_the_option(text: str, shown: str) -> None:
    assert one_line(SecurityFailed(text)) == shown
