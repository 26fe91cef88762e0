"""Other people's brokers, each of our own on loopback: RabbitMQ with its MQTT plugin, NATS with
JetStream. As tests/mosquitto.py: a user "board" only; stopped without a goodbye, started again.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from tests.conftest import find_free_port
from tests.mosquitto import Broker as Mosquitto
from tools import programs

USER = "board"
PASSWORD = "open sesame"
READY = 90  # seconds; RabbitMQ takes 9 on an idle machine


class Broker(Protocol):
    @property
    def url(self) -> str:
        """With user and password."""
        ...

    @property
    def port(self) -> int: ...

    def start(self) -> None:
        """Returns when it listens."""
        ...

    def stop(self) -> None:
        """By SIGKILL. What it had on disk is there at the next start."""
        ...


class _Process:
    """A broker that stays in the foreground."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.port = find_free_port()
        self.url = "mqtt://board:open%%20sesame@127.0.0.1:%d" % self.port
        self._command = command
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                alive = self._process.poll() is None and time.monotonic() < deadline
                assert alive, "%s does not listen:\n%s" % (self._command[0], self._log.read_text())
                time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class RabbitMq(_Process):
    def __init__(self, folder: Path) -> None:
        self._names = str(find_free_port())  # of Erlang's port mapper: not the machine's
        configuration, plugins = folder / "rabbitmq.conf", folder / "enabled_plugins"
        environment = {
            **programs.surroundings("rabbitmq-server"),
            "HOME": str(folder),  # Erlang keeps its cookie there
            "ERL_EPMD_PORT": self._names,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_RELAXED_COMMAND_CHECK": "1",  # it may be stopped right after its node
            "RABBITMQ_NODENAME": "ami-test@localhost",
            "RABBITMQ_DIST_PORT": str(find_free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            # Few threads, none of which waits busily.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }
        super().__init__([programs.need("rabbitmq-server")], environment, folder / "rabbitmq.log")
        plugins.write_text("[rabbitmq_mqtt].\n")
        configuration.write_text(
            "listeners.tcp = none\n"
            f"mqtt.listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            "mqtt.allow_anonymous = false\n"
            f"default_user = {USER}\n"
            f"default_pass = {PASSWORD}\n"
        )

    def stop(self) -> None:
        super().stop()
        # It makes a session of its own, and outlives the node.
        environment = {**os.environ, "ERL_EPMD_PORT": self._names}
        command = [programs.need("epmd"), "-kill"]
        subprocess.run(command, env=environment, capture_output=True, check=False)


class Nats(_Process):
    def __init__(self, folder: Path) -> None:
        configuration = folder / "nats.conf"
        command = [programs.need("nats-server"), "-c", str(configuration)]
        super().__init__(command, {}, folder / "nats.log")
        configuration.write_text(
            "server_name: ami-test\n"
            f'listen: "127.0.0.1:{find_free_port()}"\n'
            f'jetstream {{ store_dir: "{folder}/jetstream" }}\n'
            f'mqtt {{ listen: "127.0.0.1:{self.port}" }}\n'
            f'authorization {{ users: [{{ user: "{USER}", password: "{PASSWORD}" }}] }}\n'
        )


Make = Callable[[Path, Path], Broker]
# How each is made, of a folder of its own and one with certificates.
BROKERS: dict[str, Make] = {
    "mosquitto": Mosquitto,
    "rabbitmq": lambda folder, _: RabbitMq(folder),
    "nats": lambda folder, _: Nats(folder),
}
SERVERS = {"mosquitto": "mosquitto", "rabbitmq": "rabbitmq-server", "nats": "nats-server"}


def running(name: str, folder: Path, certificates: Path) -> Iterator[Broker]:
    """For a fixture: the broker of this name. The test is skipped where it is not installed."""
    server = programs.BY_NAME[SERVERS[name]]
    if server.skipped and not programs.find(server.name):
        pytest.skip(programs.why_not(server.name))
    broker = BROKERS[name](folder, certificates)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
