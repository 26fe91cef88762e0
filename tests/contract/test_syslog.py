"""Security events to a real rsyslog over TLS (RFC 5425): what comes, and what a killed server
costs.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import find_free_port
from tests.mosquitto import Authority
from tests.rsyslog import Rsyslog
from tools import programs
from tools.hes.monitoring import cef, ecs, rfc5424, syslog
from tools.hes.store.records import SecurityEvent

pytestmark = pytest.mark.skipif(
    programs.find("rsyslogd") is None, reason=programs.why_not("rsyslogd")
)


@pytest.fixture
def rsyslog(tmp_path: Path) -> Iterator[Rsyslog]:
    server = Rsyslog(tmp_path)
    server.start()
    yield server
    server.stop()


def client(rsyslog: Rsyslog) -> syslog.Server:
    folder = rsyslog.folder
    certificates = ("authority.pem", "client.pem", "client.key.pem")
    return syslog.Server(rsyslog.url, *[folder / name for name in certificates])


def event(sequence: int, detail: str = "") -> SecurityEvent:
    return SecurityEvent(sequence, 1796000000, "street-7", "refused", "bad-signature", detail)


def test_rsyslog_reads_every_part(rsyslog: Rsyslog) -> None:
    detail = 'contraseña "equivocada" ] \\ fin'
    client(rsyslog).deliver([rfc5424.rendered(event(41, detail), "hes-1")])
    [taken] = rsyslog.taken(1)
    assert taken["pri"] == str(rfc5424.AUTHPRIV * 8 + 2)
    assert taken["timestamp"] == "2026-11-30T00:53:20Z"
    assert (taken["host"], taken["app"], taken["msgid"]) == ("hes-1", "ami-hes", "refused")
    data = json.loads(taken["data"])
    assert data["meta"] == {"sequenceid": "41"}
    assert data["ami@32473"] == {
        "concentrator": "street-7",
        "reason": "bad-signature",
        "outcome": "failure",
    }
    assert taken["text"].endswith(detail)


@pytest.mark.parametrize("form", ["cef", "ecs"])
def test_other_forms_travel_as_the_text(rsyslog: Rsyslog, form: str) -> None:
    text = cef.rendered(event(1)) if form == "cef" else ecs.rendered(event(1), "hes-1")
    client(rsyslog).deliver([rfc5424.rendered(event(1), "hes-1", text)])
    [taken] = rsyslog.taken(1)
    assert taken["text"].lstrip("\ufeff") == text


def test_long_ones_and_many_are_kept_apart(rsyslog: Rsyslog) -> None:
    """By their length, not by their ends: a line feed is a part of a message."""
    texts = ["%d\n%s" % (n, "x" * (1 + n * 37 % 5000)) for n in range(500)]
    client(rsyslog).deliver(
        [rfc5424.rendered(event(n + 1, text), "h") for n, text in enumerate(texts)]
    )
    taken = rsyslog.taken(500)
    assert [json.loads(each["data"])["meta"]["sequenceid"] for each in taken] == [
        str(n + 1) for n in range(500)
    ]
    assert [each["text"].partition(". ")[2] for each in taken] == [
        text.replace("\n", "#012") for text in texts
    ], "as rsyslog writes a line feed"


def test_a_server_that_was_killed_is_connected_to_again(rsyslog: Rsyslog) -> None:
    server = client(rsyslog)
    server.deliver([rfc5424.rendered(event(1), "h")])
    rsyslog.taken(1)
    rsyslog.stop()
    with pytest.raises(syslog.SyslogProblem, match="tls://localhost"):
        server.deliver([rfc5424.rendered(event(2), "h")])
    rsyslog.start()
    server.deliver([rfc5424.rendered(event(2), "h")])
    assert len(rsyslog.taken(2)) == 2


def test_a_server_that_is_not_the_one_is_told_nothing(rsyslog: Rsyslog, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Authority(other, "authority")
    server = syslog.Server(rsyslog.url, other / "authority.pem")
    with pytest.raises(syslog.SyslogProblem, match="does not prove who it is"):
        server.deliver([rfc5424.rendered(event(1), "h")])
    assert not (rsyslog.folder / "taken").exists()


def test_what_the_peer_has_not_taken_is_not_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that reads nothing any more: its TCP takes what fits its buffer, and no more."""
    monkeypatch.setattr(syslog, "CONNECT_S", 1)
    monkeypatch.setattr(syslog, "DELIVERY_S", 1)
    authority = Authority(tmp_path, "authority")
    authority.issue("server", "localhost")
    with socket.create_server(("127.0.0.1", find_free_port())) as listener:
        connections = []

        def accept() -> None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key.pem")
            connections.append(context.wrap_socket(listener.accept()[0], server_side=True))

        thread = threading.Thread(target=accept)
        thread.start()
        url = "tls://localhost:%d" % listener.getsockname()[1]
        server = syslog.Server(url, tmp_path / "authority.pem")
        with pytest.raises(syslog.SyslogProblem):
            server.deliver([bytes(1 << 20)] * 32)
        thread.join()
        connections[0].close()


@pytest.mark.parametrize("url", ["udp://host", "tls://", "tls://host:port", "tls://host/path"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(syslog.SyslogProblem, match=r"tls://cert\.example:6514"):
        syslog.Server(url)
