"""Small orders for the meters of a stage: packages that set the capture period, jobs that carry
them.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import Any

from gateway.contract import envelope
from gateway.contract.job import Job, PackageRef
from gateway.contract.kinds import CONFIGURE, READ
from gateway.contract.package import Check, Package, Set
from gateway.dlms.data import axdr, obis
from tools.demonstration.stage import CONCENTRATOR
from tools.meter.control import Control
from tools.meter.population import NORMAL
from tools.package.keys import SigningKey

PERIOD = (7, "1.0.99.1.0.255", 4)  # capture_period of the load profile, double-long-unsigned
CLOCK = (8, obis.parse("0.0.1.0.0.255"), 2)


def period_package(
    seconds: int, model: str = "AMI-E450", firmware: tuple[str, ...] = ("V02.",)
) -> Package:
    """Sets the capture period."""
    class_id, name, attribute = PERIOD
    member = (class_id, obis.parse(name), attribute)
    data = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, seconds))
    targets = [(model, list(firmware))]
    return Package("period", "1", "", targets, [Set(*member, data)], [Check(*member, data)])


def signed(package: Package, key: SigningKey) -> bytes:
    return sign(package.to_payload(), key)


def sign(payload: bytes, key: SigningKey) -> bytes:
    return envelope.sign(payload, key.kid, key.sign)


def configure_job(serials: list[str], package: bytes, **changes: Any) -> Job:
    """At once, within an hour, one try; `changes` are fields of Job."""
    reference = PackageRef("period", len(package), hashlib.sha256(package).digest())
    return _job(serials, CONFIGURE, reference, [], changes)


def read_job(serials: list[str], **changes: Any) -> Job:
    """Reads the meters' clocks."""
    return _job(serials, READ, None, [CLOCK], changes)


def _job(
    serials: list[str],
    kind: int,
    package: PackageRef | None,
    objects: list[tuple[int, bytes, int]],
    changes: dict[str, Any],
) -> Job:
    now = int(time.time())
    job = Job(
        os.urandom(16), kind, CONCENTRATOR, now, 5, 0, now + 3600, 1, 1, serials, package, objects
    )
    for name, value in changes.items():
        setattr(job, name, value)
    return job


def period_of(control: Control, serial: str) -> int:
    """The capture period inside the meter, in seconds."""
    value = control.read(serial, *PERIOD)[1]
    assert isinstance(value, int)
    return value


def normal_meters(control: Control) -> list[str]:
    return [meter["serial"] for meter in control.meters() if meter["role"] == NORMAL]
