"""A real rsyslog that takes syslog over TLS on loopback, and writes each message as JSON of its
parts.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.conftest import find_free_port
from tests.mosquitto import Authority
from tools import programs

_CONFIGURATION = """\
module(load="imtcp"
       StreamDriver.Name="ossl" StreamDriver.Mode="1"
       StreamDriver.AuthMode="x509/certvalid")
module(load="mmpstrucdata")
global(workDirectory="{folder}"
       maxMessageSize="64k"
       DefaultNetstreamDriverCAFile="{folder}/authority.pem"
       DefaultNetstreamDriverCertFile="{folder}/server.pem"
       DefaultNetstreamDriverKeyFile="{folder}/server.key.pem")
template(name="parts" type="list" option.jsonf="on") {{
  property(outname="pri" name="pri" format="jsonf")
  property(outname="timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="msgid" name="msgid" format="jsonf")
  property(outname="data" name="$!rfc5424-sd" format="jsonf")
  property(outname="text" name="msg" format="jsonf")
}}
input(type="imtcp" port="{port}" address="127.0.0.1" ruleset="taken")
ruleset(name="taken") {{
  action(type="mmpstrucdata")
  action(type="omfile" file="{folder}/taken" template="parts")
}}
"""


class Rsyslog:
    """Its clients have to show a certificate of the same authority."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder, "authority")
        authority.issue("server", "localhost")
        authority.issue("client")
        self.folder = folder
        self.port = find_free_port()
        self.url = "tls://localhost:%d" % self.port
        self._conf = folder / "rsyslog.conf"
        self._conf.write_text(_CONFIGURATION.format(folder=folder, port=self.port))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [programs.need("rsyslogd"), "-n", "-f", str(self._conf)]
        command += ["-i", str(self.folder / "rsyslog.pid")]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=(self.folder / "errors").open("ab")
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self._process.poll() is None, (self.folder / "errors").read_text()
                assert time.monotonic() < deadline, "rsyslog does not listen"
                time.sleep(0.01)

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def taken(self, at_least: int) -> list[dict[str, Any]]:
        """What it has written, once there are so many."""
        deadline = time.monotonic() + 60
        while True:
            path = self.folder / "taken"
            lines = path.read_text().splitlines() if path.exists() else []
            if len(lines) >= at_least:
                return [json.loads(line) for line in lines]
            assert time.monotonic() < deadline, "%d messages came" % len(lines)
            time.sleep(0.02)
