"""Two network namespaces joined by one IPv6 link: the concentrator's side and the meters'.

`veth` is an Ethernet cable. `tun` is what the host of a G3-PLC or Wi-SUN coordinator sees: a TUN
interface on each side, and a process that carries the packets between them. Needs no root where
users may make namespaces."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NEAR, FAR = "fd00::1", "fd00::2"
MTU = 1280  # of 6LoWPAN meshes, and the least IPv6 allows
CARRIER = Path(__file__).with_name("tun_end.py")


class NotHere(Exception):
    """This machine does not allow it; the text says what failed."""


class Namespace:
    def __init__(self, pid: int) -> None:
        self.pid = pid

    def command(self, *command: str) -> list[str]:
        """As it has to be started to run inside."""
        enter = ["nsenter", "-t", str(self.pid), "-U", "-n", "--preserve-credentials", "--"]
        return [*enter, *command]

    def run(self, *command: str) -> str:
        done = subprocess.run(self.command(*command), capture_output=True, text=True)
        if done.returncode != 0:
            raise NotHere("%s: %s" % (" ".join(command), done.stderr.strip()))
        return done.stdout

    def fragments(self) -> int:
        """IPv6 fragments made or put together here so far."""
        text = self.run("cat", "/proc/self/net/snmp6")
        counts = dict(line.split() for line in text.splitlines())
        return int(counts["Ip6FragCreates"]) + int(counts["Ip6ReasmReqds"])


@contextmanager
def joined(kind: str) -> Iterator[tuple[Namespace, Namespace]]:
    """(near, far); `kind` is "veth" or "tun"."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        near = _made(processes, ["unshare", "--user", "--map-root-user", "--net"])
        far = _made(processes, near.command("unshare", "--net"))
        if kind == "veth":
            near.run(
                "ip", "link", "add", "ami", "type", "veth", "peer", "ami", "netns", str(far.pid)
            )
        else:
            processes += _carriers(near, far)
        for namespace, address in ((near, NEAR), (far, FAR)):
            _wait_for(namespace, "ami")
            namespace.run("ip", "link", "set", "ami", "mtu", str(MTU), "up")
            namespace.run("ip", "link", "set", "lo", "up")
            namespace.run("ip", "-6", "address", "add", address + "/64", "dev", "ami", "nodad")
        yield near, far
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def _made(processes: list[subprocess.Popen[bytes]], command: list[str]) -> Namespace:
    """A namespace that lives as long as its process."""
    try:
        process = subprocess.Popen(
            [*command, "sh", "-c", "echo made; exec sleep 600"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError as error:
        raise NotHere("no command %s" % error.filename) from None
    processes.append(process)
    assert process.stdout is not None and process.stderr is not None
    if process.stdout.readline() != b"made\n":
        raise NotHere(process.stderr.read().decode(errors="replace").strip())
    return Namespace(process.pid)


def _carriers(near: Namespace, far: Namespace) -> list[subprocess.Popen[bytes]]:
    if not os.path.exists("/dev/net/tun"):
        raise NotHere("no /dev/net/tun")
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    carriers = []
    for namespace, end in zip((near, far), ends, strict=True):
        command = namespace.command(sys.executable, str(CARRIER), "ami", str(end.fileno()))
        carriers.append(subprocess.Popen(command, pass_fds=[end.fileno()]))
        end.close()
    return carriers


def _wait_for(namespace: Namespace, interface: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            namespace.run("ip", "link", "show", interface)
            return
        except NotHere:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
