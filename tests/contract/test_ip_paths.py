"""UDP and TCP over IPv6 to a meter in another network namespace, on both runtimes; over IPv4 on
the loopback interface."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, micropython_environment
from tests.contract.conftest import RunCase, cases
from tests.contract.namespaces import FAR, Namespace, NotHere, joined

GROUP = "ff03::1"
LISTENER = """
import socket, struct, sys
line = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
line.bind(("::", 4059))
group = socket.inet_pton(socket.AF_INET6, sys.argv[1])
group += struct.pack("@I", socket.if_nametoindex("ami"))
line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
print("ready", flush=True)
while True:
    data = line.recv(65535)
    open(sys.argv[2], "wb").write(data)
"""


def start_meter(host: str, *before: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """A virtual meter on this address, and what the portable suite wants to know."""
    command = [sys.executable, "-m", "tools.meter", "serve", "--host", host]
    process = subprocess.Popen(
        [*before, *command, "--port", "0", "--udp", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    form = "[%s]:%d" if ":" in host else "%s:%d"
    return process, {
        "IP_UDP": form % (host, ready["udp"]),
        "IP_TCP": form % (host, ready["port"]),
        "IP_SERIAL": ready["serial"],
    }


@pytest.fixture(scope="module", params=["veth", "tun"])
def street(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Namespace, Namespace, dict[str, str]]]:
    heard = tmp_path_factory.mktemp("street") / "heard"
    heard.write_bytes(b"")
    processes = []
    try:
        with joined(request.param) as (near, far):
            meter, values = start_meter(FAR, *far.command())
            processes.append(meter)
            listener = subprocess.Popen(
                far.command(sys.executable, "-c", LISTENER, GROUP, str(heard)),
                stdout=subprocess.PIPE,
                text=True,
            )
            processes.append(listener)
            assert listener.stdout is not None and listener.stdout.readline() == "ready\n"
            values["IP_GROUP"] = "[%s]:4059" % GROUP
            values["IP_HEARD"] = str(heard)
            yield near, far, values
    except NotHere as reason:
        pytest.skip("two network namespaces joined by %s: %s" % (request.param, reason))
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("case", cases("portable_ip_paths"))
def test_across_namespaces(
    runtime: str,
    case: str,
    micropython: str,
    street: tuple[Namespace, Namespace, dict[str, str]],
) -> None:
    near, far, values = street
    Path(values["IP_HEARD"]).write_bytes(b"")
    before = near.fragments() + far.fragments()
    interpreter = sys.executable if runtime == "cpython" else micropython
    done = subprocess.run(
        near.command(interpreter, "tests/contract/run_case.py", "portable_ip_paths", case),
        cwd=ROOT,
        env={**micropython_environment(), **values},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
    )
    text = done.stdout.decode(errors="replace")
    assert done.returncode == 0 and text.endswith("passed\n"), text
    assert near.fragments() + far.fragments() == before


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_a_closed_port_over_ipv4(
    runtime: str, run_case: RunCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("IP_CLOSED", "127.0.0.1:%d" % taken.getsockname()[1])
        run_case(runtime, "portable_ip_paths", "test_a_closed_port_says_so")


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_udp_over_ipv4(runtime: str, run_case: RunCase, monkeypatch: pytest.MonkeyPatch) -> None:
    meter, values = start_meter("127.0.0.1")
    try:
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        run_case(runtime, "portable_ip_paths", "test_dlms_over_udp")
    finally:
        meter.kill()
        meter.wait()
