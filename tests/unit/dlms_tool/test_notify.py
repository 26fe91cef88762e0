"""notify: pushes over UDP and TCP, plain and ciphered; events over an open association."""

from __future__ import annotations

import json
import socket
import threading
import time
from itertools import count

import pytest

from gateway.dlms import apdu
from gateway.dlms.data import axdr, obis
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.policy import GENERAL_GLO, Protection
from gateway.dlms.protection.security import Ciphering
from hal.cpython.crypto import SystemCrypto
from hal.modem.wrapper import wrap
from tests.conftest import find_free_port
from tests.unit.dlms_tool.conftest import KEYS, Stand, Tool
from tools.meter import tcp as meter_tcp
from tools.meter.clock import date_time

STAMP = date_time(1748865600, 240)
VALUE = axdr.encode((axdr.STRUCTURE, [(axdr.LONG_UNSIGNED, 2301), (axdr.OCTET_STRING, b"ok")]))
PUSH = apdu.DataNotification(7, STAMP, VALUE).encode()
EVENT = apdu.EventNotification(
    STAMP, 1, obis.parse("0.0.97.98.0.255"), 2, axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 16))
).encode()
REPORT = apdu.InformationReport("20250602120000Z", [0xFA00], [VALUE]).encode()


def ciphered(plain: bytes) -> bytes:
    counter = count(1)
    keys = Keys(KEYS.title, KEYS.ek, KEYS.ak)
    return Ciphering(
        SystemCrypto(), keys, lambda: next(counter), protection=Protection(GENERAL_GLO)
    ).protect(plain)


class Pusher:
    """A meter that pushes, again and again, until it is stopped: nobody tells it who listens."""

    def __init__(self, scheme: str, port: int, apdus: list[bytes]) -> None:
        self._scheme = scheme
        self._port = port
        self._data = [wrap(1, 1, each) for each in apdus]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._push()
            except OSError:
                pass  # not listening yet
            time.sleep(0.05)

    def _push(self) -> None:
        address = ("127.0.0.1", self._port)
        if self._scheme == "tcp":
            with socket.create_connection(address, 1) as line:
                line.sendall(b"".join(self._data))
            return
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.sendto(b"noise", address)
            for data in self._data:
                line.sendto(data, address)


@pytest.mark.parametrize("scheme", ["tcp", "udp"])
def test_pushes_are_shown(tool: Tool, scheme: str) -> None:
    port = find_free_port()
    url = "%s://127.0.0.1:%d" % (scheme, port)
    with Pusher(scheme, port, [PUSH, EVENT, REPORT]):
        ran = tool(url, "notify", "--listen", "--count", "3", "--seconds", "20")
    assert ran.status == 0, ran.err
    assert "data-notification from 127.0.0.1, 2025-06-02-mon 08:00:00 -04:00 ok" in ran.out
    assert 'structure {long-unsigned 2301, octet-string "ok"}' in ran.out
    assert "data 0.0.97.98.0.255 value" in ran.out
    assert "0xfa00: structure" in ran.out


def test_json_is_one_document_a_line(tool: Tool) -> None:
    port = find_free_port()
    url = "udp://127.0.0.1:%d" % port
    with Pusher("udp", port, [PUSH, EVENT, REPORT]):
        ran = tool(url, "notify", "--listen", "--count", "3", "--seconds", "20", "--json")
    kinds = {json.loads(line)["kind"] for line in ran.out.splitlines()}
    assert kinds == {"data-notification", "event-notification", "information-report"}


def test_ciphered_pushes(tool: Tool, keys: list[str]) -> None:
    port = find_free_port()
    url = "udp://127.0.0.1:%d" % port
    with Pusher("udp", port, [ciphered(PUSH)]):
        ran = tool(url, "notify", "--listen", "--count", "1", "--seconds", "20", *keys)
    assert ran.status == 0, ran.err
    assert "long-unsigned 2301" in ran.out


@pytest.mark.parametrize(
    ("push", "words"),
    [
        (ciphered(PUSH)[:-1] + b"?", "tag"),
        (apdu.GetResponse(1, 0, VALUE).encode(), "GetResponse is no notification"),
        (PUSH[:9], "127.0.0.1"),
        (b"", "127.0.0.1"),
    ],
)
def test_what_is_no_push_is_told(tool: Tool, keys: list[str], push: bytes, words: str) -> None:
    port = find_free_port()
    with Pusher("udp", port, [push]):
        url = "udp://127.0.0.1:%d" % port
        ran = tool(url, "notify", "--listen", "--seconds", "0.5", *keys)
    assert ran.status == 1
    assert words in ran.err
    assert "nothing came" in ran.err
    assert ran.out == ""


def test_a_push_again_is_a_replay(tool: Tool, keys: list[str]) -> None:
    port = find_free_port()
    url = "udp://127.0.0.1:%d" % port
    with Pusher("udp", port, [ciphered(PUSH)]):
        ran = tool(url, "notify", "--listen", "--seconds", "1", "--json", *keys)
    assert len(ran.out.splitlines()) == 1
    assert "came again" in ran.err


def test_ciphered_push_without_keys(tool: Tool) -> None:
    port = find_free_port()
    with Pusher("udp", port, [ciphered(PUSH)]):
        ran = tool("udp://127.0.0.1:%d" % port, "notify", "--listen", "--seconds", "0.5")
    assert "--ek" in ran.err


def test_over_an_open_association(
    stand: Stand, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The meter sends an event after it has answered the AARQ."""
    right = meter_tcp.wrap

    def with_event(source: int, destination: int, data: bytes) -> bytes:
        more = right(source, destination, EVENT) if data[0] == 0x61 else b""
        return right(source, destination, data) + more

    monkeypatch.setattr(meter_tcp, "wrap", with_event)
    ran = tool(stand.tcp, "notify", "--count", "1", "--seconds", "20")
    assert ran.status == 0, ran.err
    assert "event-notification from tcp://127.0.0.1" in ran.out
    assert "double-long-unsigned 16" in ran.out


def test_nothing_comes(stand: Stand, tool: Tool) -> None:
    ran = tool(stand.tcp, "notify", "--seconds", "0.2")
    assert ran.status == 1
    assert "nothing came within 0.2 s" in ran.err


def test_a_customer_port_that_is_not_there(tool: Tool) -> None:
    ran = tool("hdlc+tcp://127.0.0.1:1", "notify", "--listen")
    assert ran.status == 1 and "refused" in ran.err


def test_address_taken(tool: Tool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = "tcp://127.0.0.1:%d" % listener.getsockname()[1]
        ran = tool(url, "notify", "--listen", "--seconds", "1")
    assert ran.status == 1
    assert "in use" in ran.err
