"""The HES's end of the line, by hand: publishes any octets at all, serves packages, and keeps and
acknowledges the numbered reports.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway.contract import messages
from gateway.contract.job import State as JobState
from gateway.contract.messages import Ack, Chunk, Pull, Reports, Resend, State
from gateway.contract.reports import JobReport, MeterReport, Refusal, Report
from tools.package.keys import SigningKey

PATIENCE = 300  # seconds for an answer; only a defect takes so long
FINAL = JobState.NAMES[JobState.SUCCEEDED :]


class ScriptedHes:
    """Use as a context manager. `packages` holds what it serves, by the digest asked for; put
    other octets there to cheat.
    """

    def __init__(self, port: int, concentrator: str, key: SigningKey) -> None:
        self.key = key
        self.packages: dict[bytes, bytes] = {}
        self._concentrator = concentrator
        self._port = port
        self._orders: dict[bytes, bytes] = {}  # without an answer
        self._reports: list[Report] = []
        self._epoch = 0
        self._problem = ""
        self._sessions: set[int] = set()
        self._changed = threading.Condition()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self._client.username_pw_set("board", "open sesame")
        self._client.on_connect = self._subscribe
        self._client.on_message = self._take

    def __enter__(self) -> ScriptedHes:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def serve(self, package: bytes) -> bytes:
        """Have the package for whoever pulls it; its digest."""
        digest = hashlib.sha256(package).digest()
        self.packages[digest] = package
        return digest

    def send(self, name: str, payload: bytes) -> None:
        """Publish to the concentrator; returns when the broker has it."""
        topic = messages.topic(self._concentrator, name)
        self._client.publish(topic, payload, qos=1).wait_for_publish(PATIENCE)

    def order(self, job_id: bytes, raw: bytes) -> None:
        """Send a job, and again at each hello until there is word of it, as the HES must."""
        with self._changed:
            self._orders[job_id] = raw
        self.send("job", raw)

    # What came up.

    def births(self) -> int:
        with self._changed:
            return len(self._sessions)

    def wait_birth(self, count: int = 1) -> None:
        """Until so many connections of the gateway have begun."""
        self._wait("birth %d of the gateway" % count, lambda: len(self._sessions) >= count)

    def mark(self) -> int:
        """The number of the newest report: those after it are what came since."""
        with self._changed:
            return self._reports[-1].number if self._reports else 0

    def refusal(self, after: int) -> Refusal:
        """The first refusal among the reports after `after`."""
        return self._first(after, "a refusal", lambda body: isinstance(body, Refusal))

    def job(self, after: int, job_id: bytes, states: tuple[str, ...] = FINAL) -> JobReport:
        """The first report that the job is in one of the states."""

        def wanted(body: Any) -> bool:
            return isinstance(body, JobReport) and body.job_id == job_id and body.state in states

        return self._first(after, "the job to be %s" % " or ".join(states), wanted)

    def meters(self, job_id: bytes) -> list[MeterReport]:
        """Those of the job so far, in the order of their numbers."""
        with self._changed:
            bodies = [report.body for report in self._reports]
        return [b for b in bodies if isinstance(b, MeterReport) and b.job_id == job_id]

    def number_of(self, body: object) -> int:
        with self._changed:
            return next(report.number for report in self._reports if report.body is body)

    def since(self, after: int) -> list[Report]:
        with self._changed:
            return [report for report in self._reports if report.number > after]

    def _first(self, after: int, what: str, wanted: Callable[[Any], bool]) -> Any:
        def found() -> list[Any]:
            return [r.body for r in self._reports if r.number > after and wanted(r.body)]

        self._wait(what, found)
        return found()[0]

    def _wait(self, what: str, holds: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while not holds():
                assert not self._problem, self._problem
                left = deadline - time.monotonic()
                came = [report.body.to_array() for report in self._reports[-5:]]
                assert left > 0, "waited for %s; the last reports are %s" % (what, came)
                self._changed.wait(left)

    # paho's thread.

    def _subscribe(self, *_: object) -> None:
        for name in messages.UP_TOPICS:
            self._client.subscribe(messages.topic(self._concentrator, name), 1)

    def _take(self, client: object, data: object, message: paho.MQTTMessage) -> None:
        name = message.topic.rsplit("/", 1)[1]
        with self._changed:
            try:
                if name == "state":
                    state = State.decode(message.payload)
                    if state.online:
                        self._sessions.add(state.session)
                elif name == "hello":
                    for raw in self._orders.values():
                        self._say("job", raw)
                elif name == "report":
                    self._take_reports(Reports.decode(message.payload))
                elif name == "pull":
                    self._answer(Pull.decode(bytes(message.payload)))
            except Exception as error:  # would end paho's thread without a word
                self._problem = "%s: %s: %r" % (name, type(error).__name__, error)
            self._changed.notify_all()

    def _take_reports(self, batch: Reports) -> None:
        if batch.epoch != self._epoch:
            assert not self._epoch, "the gateway began its numbers anew"
            self._epoch = batch.epoch
        for report in batch.reports:
            last = self._reports[-1].number if self._reports else 0
            if report.number == last + 1:
                self._reports.append(report)
                if isinstance(report.body, JobReport):
                    self._orders.pop(report.body.job_id, None)
            elif report.number > last:
                self._say("resend", Resend(self._epoch, last + 1).encode())
                return
        self._say("ack", Ack(self._epoch, self._reports[-1].number).encode())

    def _answer(self, pull: Pull) -> None:
        package = self.packages.get(pull.digest, b"")
        data = package[pull.offset : pull.offset + pull.size]
        self._say("chunk", Chunk(pull.digest, pull.offset, len(package), data).encode())

    def _say(self, name: str, payload: bytes) -> None:
        self._client.publish(messages.topic(self._concentrator, name), payload, qos=1)
