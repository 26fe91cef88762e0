"""Make signed orders for a concentrator: jobs and cancels, checked here as the concentrator will
check them.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.jobs.job import CONFIGURE, MAX_METERS, READ, Job, JobError, PackageRef
from gateway.jobs.result import OK, VALUE
from gateway.uplink import envelope, messages
from gateway.uplink.orders import MAX_PACKAGE
from gateway.uplink.package import Package
from gateway.uplink.refused import Refused
from tools.hes.store import FINAL, NewJob, Store
from tools.package import names
from tools.package.keys import SigningKey

DAY = 86400
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": DAY}


class OrderProblem(Exception):
    """The order cannot be made; the text says what was expected."""


@dataclass(frozen=True)
class Terms:
    """How urgent (9 most), from when (unix seconds, 0: at once) to when, how often, how far apart
    (seconds).
    """

    priority: int
    not_before: int
    not_after: int
    tries: int
    backoff: int


def configure(
    store: Store, key: SigningKey, concentrator: str, meters: list[str], terms: Terms, raw: bytes
) -> bytes:
    """Keep the signed package `raw` and a job that brings it to the meters; gives the job's id."""
    try:
        _, payload, _ = envelope.split(raw)
        package = Package.from_payload(payload)
    except Refused as refused:
        raise OrderProblem("expected a package from `ami-package build`: %s" % refused) from None
    if len(raw) > MAX_PACKAGE:
        raise OrderProblem(
            "expected a package of at most %d bytes, got %d; split it" % (MAX_PACKAGE, len(raw))
        )
    digest = store.add_package(raw, package.name, package.version)
    reference = PackageRef(package.name, len(raw), digest)
    return _submit(store, key, concentrator, meters, terms, reference, [])


def read(
    store: Store,
    key: SigningKey,
    concentrator: str,
    meters: list[str],
    terms: Terms,
    attributes: list[names.Member],
) -> bytes:
    """Keep a job that reads the attributes from the meters; returns the job's id."""
    return _submit(store, key, concentrator, meters, terms, None, attributes)


def retry(store: Store, key: SigningKey, job_id: bytes, now: float) -> bytes:
    """Keep a job that orders the same again, for a day, of the meters that ended KO (use case 10,
    step 6.1).
    """
    job = store.job(job_id)
    if not store.finished(job_id):
        raise OrderProblem("the job is not over yet; wait for it, or cancel it first")
    meters = [row["serial"] for row in store.meters(job_id) if row["outcome"] not in (OK, VALUE)]
    if not meters:
        raise OrderProblem("no meter of the job ended KO; there is nothing to order again")
    package = None
    if job["package"] is not None:
        name, _ = store.package_name(job["package"])
        size, _ = store.package_piece(job["package"], 0, 1)
        package = PackageRef(name, size, bytes(job["package"]))
    attributes = [
        names.Member(names.ATTRIBUTE, class_id, bytes.fromhex(name), index)
        for class_id, name, index in json.loads(job["attributes"])
    ]
    terms = Terms(job["priority"], 0, int(now) + DAY, job["tries"], job["backoff"])
    return _submit(store, key, job["concentrator"], meters, terms, package, attributes)


def cancel(store: Store, key: SigningKey, job_id: bytes) -> None:
    """Keep a signed order to cancel the job."""
    job = store.job(job_id)
    if job["state"] in FINAL or store.finished(job_id):
        raise OrderProblem("the job is over (%s); there is nothing to cancel" % job["state"])
    order = messages.Cancel(job_id, job["concentrator"], int(time.time()))
    store.add_cancel(job_id, envelope.sign(order.encode(), key.kid, key.sign))


def _submit(
    store: Store,
    key: SigningKey,
    concentrator: str,
    meters: list[str],
    terms: Terms,
    package: PackageRef | None,
    attributes: list[names.Member],
) -> bytes:
    try:
        messages.topic(concentrator, "job")
    except ValueError as error:
        raise OrderProblem(str(error)) from None
    job = Job(
        uuid.uuid4().bytes,
        READ if package is None else CONFIGURE,
        concentrator,
        int(time.time()),
        terms.priority,
        terms.not_before,
        terms.not_after,
        terms.tries,
        terms.backoff,
        meters,
        package,
        [attribute.key for attribute in attributes],
    )
    payload = job.encode()
    try:
        Job.decode(payload)
    except JobError as error:
        raise OrderProblem(error.detail) from None
    store.add_job(
        NewJob(
            job.id,
            concentrator,
            "read" if package is None else "configure",
            terms.priority,
            terms.not_before,
            terms.not_after,
            terms.tries,
            terms.backoff,
            package.digest if package else None,
            job.objects,
            meters,
            envelope.sign(payload, key.kid, key.sign),
        )
    )
    return job.id


# ------------------------------------------------------------ what people type


def parse_meters(text: str) -> list[str]:
    """Serials separated by commas, or a file: one serial or one {"serial": ...} object a line, #
    comments.
    """
    path = Path(text)
    if not path.is_file():
        if "/" in text:
            raise OrderProblem("expected serials or a file for --meters, but %s is no file" % text)
        return [serial.strip() for serial in text.split(",") if serial.strip()]
    serials = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("{"):
            try:
                line = str(json.loads(line)["serial"])
            except (ValueError, KeyError):
                raise OrderProblem('%s:%d: expected {"serial": ...}' % (path, number)) from None
        serials.append(line)
    if not serials:
        raise OrderProblem("%s: expected at least one serial, found none" % path)
    if len(serials) > MAX_METERS:
        raise OrderProblem(
            "%s: expected at most %d meters for one job, got %d; split the list"
            % (path, MAX_METERS, len(serials))
        )
    return serials


def parse_attribute(text: str) -> names.Member:
    try:
        return names.parse(text, names.ATTRIBUTE)
    except names.NameProblem as problem:
        raise OrderProblem("--read '%s': %s" % (text, problem)) from None


def parse_duration(text: str) -> int:
    """Seconds of "90s", "30m", "6h", "2d" or plain seconds."""
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip())
    if match is None:
        raise OrderProblem("expected a duration such as 90s, 30m, 6h or 2d, got '%s'" % text)
    return int(match[1]) * _UNITS[match[2] or "s"]


def parse_moment(text: str) -> int:
    """Unix seconds of an ISO 8601 date and time; local time where it names no offset."""
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        raise OrderProblem("expected a time such as 2027-01-31T22:00, got '%s'" % text) from None


def window(start: str | None, end: str | None, duration: str | None, now: float) -> tuple[int, int]:
    """(not before, not after) from what was typed. Without a start 0, at once, whatever the
    concentrator's clock says; without an end, one day.
    """
    not_before = parse_moment(start) if start else 0
    if end and duration:
        raise OrderProblem("expected --to or --for, got both")
    length = parse_duration(duration or "1d")
    not_after = parse_moment(end) if end else (not_before or int(now)) + length
    if not_after <= max(not_before, now):
        raise OrderProblem(
            "expected a window that ends in the future and after it begins; it ends at %s"
            % datetime.fromtimestamp(not_after).isoformat(" ")
        )
    return not_before, not_after
