"""Make signed orders for a concentrator: jobs and cancels, checked here as the concentrator will
check them.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from gateway.contract import envelope, messages
from gateway.contract.job import COMMANDS, Canary, Job, PackageRef, Span
from gateway.contract.kinds import (
    BY_NAME,
    BY_NUMBER,
    COMPARE,
    CONFIGURE,
    IMAGE,
    READ,
    READINGS,
    SUPPLY,
)
from gateway.contract.limits import MAX_PACKAGE
from gateway.contract.package import Package
from gateway.contract.refused import Refused
from gateway.contract.result import OK, VALUE
from gateway.contract.window import Daily
from tools.cosem import names
from tools.hes.orders.typed import DAY, OrderProblem
from tools.hes.store.ordering import Orders
from tools.hes.store.records import NewJob
from tools.hes.store.states import FINAL
from tools.package import image
from tools.package.keys import SigningKey

SWITCH = "0.0.96.3.10.255"  # the disconnect control of most meters


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
    daily: Daily | None = None
    canary: Canary | None = None


def configure(
    store: Orders,
    key: SigningKey,
    concentrator: str,
    meters: list[str],
    terms: Terms,
    raw: bytes,
    dry_run: bool = False,
) -> bytes:
    """Keep the signed package `raw` and a job that brings it to the meters, or (`dry_run`) only
    compares it with what they have; gives the job's id."""
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
    kind = COMPARE if dry_run else CONFIGURE
    return _submit(store, key, concentrator, meters, terms, kind, reference, [])


def transfer_image(
    store: Orders,
    key: SigningKey,
    concentrator: str,
    meters: list[str],
    terms: Terms,
    raw: bytes,
    activation: int = 0,
) -> bytes:
    """Keep the image file `raw` and a job that brings it to the meters, and makes it active at
    `activation` (unix seconds; 0: as soon as it is verified); gives the job's id."""
    try:
        _, described = image.opened(raw)
    except Refused as refused:
        raise OrderProblem("expected an image from `ami-package image`: %s" % refused) from None
    if activation and activation >= terms.not_after:
        raise OrderProblem("expected --activate within the job's window; see --to and --for")
    digest = store.add_package(raw, described.name, described.version)
    reference = PackageRef(described.name, len(raw), digest)
    return _submit(
        store,
        key,
        concentrator,
        meters,
        terms,
        IMAGE,
        reference,
        [],
        activation=activation,
    )


def read(
    store: Orders,
    key: SigningKey,
    concentrator: str,
    meters: list[str],
    terms: Terms,
    attributes: list[names.Member],
) -> bytes:
    """Keep a job that reads the attributes from the meters; returns the job's id."""
    return _submit(store, key, concentrator, meters, terms, READ, None, attributes)


def readings(
    store: Orders,
    key: SigningKey,
    concentrator: str,
    meters: list[str],
    terms: Terms,
    profile: str,
    start: int,
    end: int,
) -> bytes:
    """Keep a job that asks for the rows of a profile or log from `start` to `end` (unix seconds,
    both included): what the models of the meters call `profile`, or "profile_generic" and an OBIS
    code; returns the job's id."""
    attributes = []
    if " " in profile:
        try:
            attributes = [names.parse(profile + " buffer", names.ATTRIBUTE)]
        except names.NameProblem as problem:
            raise OrderProblem("--readings '%s': %s" % (profile, problem)) from None
    span = Span("" if attributes else profile, start, end)
    return _submit(store, key, concentrator, meters, terms, READINGS, None, attributes, span=span)


def supply(
    store: Orders,
    key: SigningKey,
    concentrator: str,
    meters: list[str],
    terms: Terms,
    command: str,
    switch: str = SWITCH,
) -> bytes:
    """Keep a job that opens, closes or makes ready the switch in the meters' supply; `command` one
    of COMMANDS, `switch` the OBIS code of the disconnect control. Gives the job's id."""
    try:
        control = names.parse("disconnect_control %s control_state" % switch, names.ATTRIBUTE)
    except names.NameProblem as problem:
        raise OrderProblem("--switch '%s': %s" % (switch, problem)) from None
    order = replace(control, index=COMMANDS.index(command) + 1)
    return _submit(store, key, concentrator, meters, terms, SUPPLY, None, [order])


def retry(store: Orders, key: SigningKey, job_id: bytes, now: float) -> bytes:
    """Keep a job that orders the same again, for a day and at any hour, of the meters that ended KO
    (use case 10, step 6.1). It names the old one, so that the report goes on with its history.
    """
    job = store.job(job_id)
    if not store.finished(job_id):
        raise OrderProblem("the job is not over yet; wait for it, or cancel it first")
    meters = [row.serial for row in store.meters(job_id) if row.outcome not in (OK, VALUE)]
    if not meters:
        raise OrderProblem("no meter of the job ended KO; there is nothing to order again")
    package = None
    if job.package is not None:
        name, _ = store.package_name(job.package)
        size, _ = store.package_piece(job.package, 0, 1)
        package = PackageRef(name, size, job.package)
    attributes = [
        names.Member(names.ATTRIBUTE, class_id, obis, index)
        for class_id, obis, index in job.attributes
    ]
    canary = job.canary
    terms = Terms(
        job.priority,
        0,
        int(now) + DAY,
        job.tries,
        job.backoff,
        None,
        Canary(*canary) if canary and canary[0] < len(meters) else None,
    )
    kind = BY_NAME[job.kind].number
    concentrator = job.concentrator
    span = None
    if kind == READINGS:  # jobs of other kinds may be of a time when they had other fields
        span = Job.decode(envelope.split(store.order_of(job_id))[1]).span
    return _submit(
        store, key, concentrator, meters, terms, kind, package, attributes, job_id, span=span
    )


def cancel(store: Orders, key: SigningKey, job_id: bytes) -> None:
    """Keep a signed order to cancel the job."""
    job = store.job(job_id)
    if job.state in FINAL or store.finished(job_id):
        raise OrderProblem("the job is over (%s); there is nothing to cancel" % job.state)
    order = messages.Cancel(job_id, job.concentrator, int(store.now()))
    store.add_cancel(job_id, envelope.sign(order.encode(), key.kid, key.sign))


def pause(store: Orders, key: SigningKey, job_id: bytes, paused: bool) -> None:
    """Keep a signed order to pause the job, or (False) to resume it."""
    job = store.job(job_id)
    if job.state in FINAL or store.finished(job_id):
        raise OrderProblem("the job is over (%s)" % job.state)
    issued = store.next_pause(job_id)
    order = messages.Pause(job_id, job.concentrator, issued, paused)
    store.add_pause(job_id, paused, issued, envelope.sign(order.encode(), key.kid, key.sign))


def _submit(
    store: Orders,
    key: SigningKey,
    concentrator: str,
    meters: list[str],
    terms: Terms,
    kind: int,
    package: PackageRef | None,
    attributes: list[names.Member],
    retry_of: bytes | None = None,
    activation: int = 0,
    span: Span | None = None,
) -> bytes:
    try:
        messages.topic(concentrator, "job")
    except ValueError as error:
        raise OrderProblem(str(error)) from None
    job = Job(
        uuid.uuid4().bytes,
        kind,
        concentrator,
        int(store.now()),
        terms.priority,
        terms.not_before,
        terms.not_after,
        terms.tries,
        terms.backoff,
        meters,
        package,
        [attribute.key for attribute in attributes],
        terms.daily,
        terms.canary,
        retry_of,
        activation,
        span,
    )
    payload = job.encode()
    try:
        Job.decode(payload)
    except Refused as refused:
        raise OrderProblem(refused.detail) from None
    daily, canary = terms.daily, terms.canary
    store.add_job(
        NewJob(
            job.id,
            concentrator,
            BY_NUMBER[kind].name,
            terms.priority,
            terms.not_before,
            terms.not_after,
            terms.tries,
            terms.backoff,
            package.digest if package else None,
            job.objects,
            meters,
            envelope.sign(payload, key.kid, key.sign),
            [daily.opens, daily.closes, daily.days, list(daily.shifts)] if daily else None,
            (canary.meters, canary.percent) if canary else None,
            retry_of,
        )
    )
    return job.id
