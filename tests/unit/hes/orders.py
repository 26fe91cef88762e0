"""Orders and reports that the tests share."""

from __future__ import annotations

import time
from pathlib import Path

from gateway.contract import envelope
from gateway.contract.job import State
from gateway.contract.reports import JobReport, MeterReport, Report
from tools.hes.orders import order, typed
from tools.hes.store.store import Store
from tools.package import image
from tools.package.compile import compile_file
from tools.package.keys import SigningKey

EXAMPLES = Path(__file__).parents[3] / "tools" / "package" / "examples"
CONCENTRATOR = "c-1"
METERS = ["AMI01", "AMI02", "AMI03"]


def terms() -> order.Terms:
    now = int(time.time())
    return order.Terms(5, now, now + 3600, 3, 30)


def package(key: SigningKey, name: str = "measurement-interval") -> bytes:
    payload = compile_file(EXAMPLES / (name + ".yaml")).to_payload()
    return envelope.sign(payload, key.kid, key.sign)


def image_file(key: SigningKey, content: bytes = bytes(1000)) -> bytes:
    described = image.describe(
        content, "firmware", "3.0", "", ["AMI-E450:V02."], "V03", "V03.00.00", "unicast"
    )
    return image.signed(described, content, key)


def configure(store: Store, key: SigningKey, meters: list[str] | None = None) -> bytes:
    return order.configure(store.orders, key, CONCENTRATOR, meters or METERS, terms(), package(key))


def read(store: Store, key: SigningKey, *texts: str) -> bytes:
    attributes = [typed.parse_attribute(text) for text in texts]
    return order.read(store.orders, key, CONCENTRATOR, METERS, terms(), attributes)


def numbered(first: int, *bodies: object) -> list[Report]:
    return [Report(first + at, 1700000000 + at, body) for at, body in enumerate(bodies)]


def accepted(job_id: bytes) -> JobReport:
    return JobReport(job_id, State.NAMES[State.QUEUED], "accepted", "")


def ended(job_id: bytes, state: int = State.SUCCEEDED) -> JobReport:
    return JobReport(job_id, State.NAMES[state], "ended", "")


def ok(job_id: bytes, serial: str, reason: str = "applied") -> MeterReport:
    state = State.NAMES[State.SUCCEEDED]
    return MeterReport(job_id, serial, state, "OK", reason, "", 1, "plc", 1500, None)


def ko(job_id: bytes, serial: str, reason: str, detail: str = "") -> MeterReport:
    state = State.NAMES[State.FAILED]
    return MeterReport(job_id, serial, state, "KO", reason, detail, 3, "rf", 9000, None)


def value(job_id: bytes, serial: str, *data: bytes) -> MeterReport:
    state = State.NAMES[State.SUCCEEDED]
    return MeterReport(job_id, serial, state, "VALUE", "read", "", 2, "ip", 40, list(data))
