"""Make signed orders for a concentrator: jobs and cancels, checked here as the concentrator will
check them.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.contract import envelope, messages
from gateway.contract.job import (
    COMPARE,
    CONFIGURE,
    IMAGE,
    KINDS,
    MAX_METERS,
    READ,
    Canary,
    Job,
    JobError,
    PackageRef,
)
from gateway.contract.package import Package
from gateway.contract.refused import Refused
from gateway.contract.result import OK, VALUE
from gateway.contract.window import EVERY_DAY, MAX_SHIFT_S, MAX_SHIFTS, Daily
from gateway.uplink.orders import MAX_PACKAGE
from tools.cosem import names
from tools.hes.store import FINAL, NewJob, Store
from tools.package import image
from tools.package.keys import SigningKey

DAY = 86400
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
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
    daily: Daily | None = None
    canary: Canary | None = None


def configure(
    store: Store,
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
    store: Store,
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
    store: Store,
    key: SigningKey,
    concentrator: str,
    meters: list[str],
    terms: Terms,
    attributes: list[names.Member],
) -> bytes:
    """Keep a job that reads the attributes from the meters; returns the job's id."""
    return _submit(store, key, concentrator, meters, terms, READ, None, attributes)


def retry(store: Store, key: SigningKey, job_id: bytes, now: float) -> bytes:
    """Keep a job that orders the same again, for a day and at any hour, of the meters that ended KO
    (use case 10, step 6.1). It names the old one, so that the report goes on with its history.
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
    canary = json.loads(job["canary"])
    terms = Terms(
        job["priority"],
        0,
        int(now) + DAY,
        job["tries"],
        job["backoff"],
        None,
        Canary(*canary) if canary and canary[0] < len(meters) else None,
    )
    kind = next(number for number, name in KINDS.items() if name == job["kind"])
    concentrator = job["concentrator"]
    return _submit(store, key, concentrator, meters, terms, kind, package, attributes, job_id)


def cancel(store: Store, key: SigningKey, job_id: bytes) -> None:
    """Keep a signed order to cancel the job."""
    job = store.job(job_id)
    if job["state"] in FINAL or store.finished(job_id):
        raise OrderProblem("the job is over (%s); there is nothing to cancel" % job["state"])
    order = messages.Cancel(job_id, job["concentrator"], int(store.now()))
    store.add_cancel(job_id, envelope.sign(order.encode(), key.kid, key.sign))


def pause(store: Store, key: SigningKey, job_id: bytes, paused: bool) -> None:
    """Keep a signed order to pause the job, or (False) to resume it."""
    job = store.job(job_id)
    if job["state"] in FINAL or store.finished(job_id):
        raise OrderProblem("the job is over (%s)" % job["state"])
    issued = store.next_pause(job_id)
    order = messages.Pause(job_id, job["concentrator"], issued, paused)
    store.add_pause(job_id, paused, issued, envelope.sign(order.encode(), key.kid, key.sign))


def _submit(
    store: Store,
    key: SigningKey,
    concentrator: str,
    meters: list[str],
    terms: Terms,
    kind: int,
    package: PackageRef | None,
    attributes: list[names.Member],
    retry_of: bytes | None = None,
    activation: int = 0,
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
    )
    payload = job.encode()
    try:
        Job.decode(payload)
    except JobError as error:
        raise OrderProblem(error.detail) from None
    daily, canary = terms.daily, terms.canary
    store.add_job(
        NewJob(
            job.id,
            concentrator,
            KINDS[kind],
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


def parse_daily(text: str, days: str | None, zone: str | None, now: float, until: int) -> Daily:
    """Such as "22:00-05:00", on "mon,wed-fri" (every day), in "UTC", "+02:00", "Europe/Madrid" or
    the local zone of this machine, for a job from `now` to `until`: when the zone's clocks are put
    forward or back meanwhile, the windows go along.
    """
    match = re.fullmatch(r"(\d\d?):(\d\d)-(\d\d?):(\d\d)", text.strip())
    if match is None or int(match[1]) > 23 or int(match[3]) > 24:
        raise OrderProblem("expected times of the day such as 22:00-05:00, got '%s'" % text)
    if int(match[2]) > 59 or int(match[4]) > 59:
        raise OrderProblem("expected times of the day such as 22:00-05:00, got '%s'" % text)
    offset = _offset(zone, now)
    opens = int(match[1]) * 3600 + int(match[2]) * 60 - offset
    closes = int(match[3]) * 3600 + int(match[4]) * 60 - offset
    shift = opens // DAY  # the day on which it opens in UTC is another one
    mask = 0
    for day in _days(days):
        mask |= 1 << (day + shift) % 7
    return Daily(opens % DAY, closes % DAY, mask, _shifts(zone, now, until))


def _shifts(zone: str | None, now: float, until: int) -> list[list[int]]:
    """For Daily: when the zone's distance from UTC changes, and what it is then against now's."""
    begins = _offset(zone, now)
    shifts: list[list[int]] = []
    at, east = int(now), begins
    while at < until + DAY:  # what opens before the end may close after it
        later = at + DAY
        if _offset(zone, later) != east:
            before = at
            while later - before > 1:
                middle = (before + later) // 2
                before, later = (
                    (middle, later) if _offset(zone, middle) == east else (before, middle)
                )
            east = _offset(zone, later)
            shifts.append([later, begins - east])
        at = later
        if len(shifts) > MAX_SHIFTS or abs(begins - east) > MAX_SHIFT_S:
            raise OrderProblem(
                "the clocks change too often until then for --daily: expected an end nearby, at"
                " most %d changes away" % MAX_SHIFTS
            )
    return shifts


def _offset(zone: str | None, now: float) -> int:
    """Seconds east of UTC."""
    if zone is None:
        here = datetime.fromtimestamp(now).astimezone().utcoffset()
    elif match := re.fullmatch(r"([+-])(\d\d):(\d\d)", zone):
        seconds = int(match[2]) * 3600 + int(match[3]) * 60
        return seconds if match[1] == "+" else -seconds
    else:
        try:
            here = datetime.fromtimestamp(now, ZoneInfo(zone)).utcoffset()
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise OrderProblem(
                "expected a zone such as UTC, +02:00 or Europe/Madrid, got '%s'" % zone
            ) from None
    return int(here.total_seconds()) if here is not None else 0


def _days(text: str | None) -> list[int]:
    """0 Monday .. 6 Sunday, of "mon,wed-fri"; all of them for None."""
    found: list[int] = []
    for part in (text or "mon-sun").lower().split(","):
        first, _, last = part.strip().partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise OrderProblem("expected days such as mon,wed-fri, got '%s'" % text)
        start = DAYS.index(first)
        length = (DAYS.index(last or first) - start) % 7
        found += [(start + at) % 7 for at in range(length + 1)]
    return found


def daily_text(daily: Daily) -> str:
    """For people: "22:00-05:00 UTC on mon, tue"."""
    moments = [
        "%02d:%02d" % (second // 3600, second % 3600 // 60)
        for second in (daily.opens, daily.closes)
    ]
    text = "%s-%s UTC" % (moments[0], moments[1])
    if daily.days == EVERY_DAY:
        text += " every day"
    else:
        text += " on " + ", ".join(DAYS[day] for day in range(7) if daily.days >> day & 1)
    for since, seconds in daily.shifts:
        text += ", from %s on %s" % (datetime.fromtimestamp(since, UTC).date(), _moved(seconds))
    return text


def _moved(seconds: int) -> str:
    if not seconds:
        return "as at first"
    minutes = abs(seconds) // 60
    length = "%d min" % minutes if minutes % 60 else "%d h" % (minutes // 60)
    return length + (" later" if seconds > 0 else " earlier")


def parse_canary(text: str) -> Canary:
    """Of "10:90": the first 10 meters, of which 90 percent must succeed."""
    match = re.fullmatch(r"(\d{1,4}):(\d{1,3})%?", text.strip())
    if match is None or not int(match[1]) or not 0 < int(match[2]) <= 100:
        raise OrderProblem(
            "expected a canary such as 10:90 (first 10 meters, 90 percent), got '%s'" % text
        )
    return Canary(int(match[1]), int(match[2]))


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
