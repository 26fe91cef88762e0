"""A job: what the HES orders, for which meters, how urgently, until when, how often to try.

Its payload (inside the signed envelope) is one CBOR array:

    [1, id bstr16, kind 1 configure / 2 read / 3 image / 4 compare, concentrator tstr, issued time,
     priority 0..9, [not_before time, not_after time, [opens, closes, days]],
     [max_attempts, backoff_s], [+ serial tstr], [name tstr, size, sha256 bstr32] / null,
     [* [class, obis bstr6, attribute]], [canary, percent], retry_of bstr16 / bstr0,
     activation time]

A time is seconds since 1970 UTC; in the window 0 leaves that side open, and the third element says
at which times of the day it is open (window.py; days 0: at any). Priority 9 is the most urgent. A
job of kind read names objects and no package, the others a package (of kind image an image file)
and no objects. `activation` is when an image is to become active, 0: as soon as it is verified.
Kind compare is the dry run of configure: it tells what each value is now, and writes nothing.
The first `canary` meters of the list (0: none) come first, and only if so many percent of them
succeed the others have their turn. `retry_of` is the job that this one orders again.
"""

from __future__ import annotations

from gateway.contract.kinds import BY_NUMBER, KINDS, OBJECTS
from gateway.contract.limits import (
    MAX_ATTEMPTS,
    MAX_BACKOFF_S,
    MAX_FILE,
    MAX_METERS,
    MAX_OBJECTS,
    MAX_SERIAL,
    MAX_TIME,
)
from gateway.contract.window import DAY_S, EVERY_DAY, MAX_SHIFT_S, MAX_SHIFTS, Daily, opening
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.contract.kinds import Kind

URGENT = 9


class State:
    """Of an execution, as in AWS IoT Jobs. QUEUED also between two attempts; from SUCCEEDED on it
    is final.
    """

    QUEUED = 0
    IN_PROGRESS = 1
    SUCCEEDED = 2  # outcome OK or VALUE
    FAILED = 3  # tried, and given up
    TIMED_OUT = 4  # the window closed
    REJECTED = 5  # cannot be done as ordered; nothing was written
    CANCELED = 6
    NAMES = ("queued", "in-progress", "succeeded", "failed", "timed-out", "rejected", "canceled")


class JobError(ValueError):
    """The job cannot be taken. `reason` is a key of REASONS, `job_id` the job's id if that much
    could be read.
    """

    def __init__(self, reason: str, detail: str, job_id: bytes | None = None) -> None:
        super().__init__("%s: %s" % (reason, detail))
        self.reason = reason
        self.detail = detail
        self.job_id = job_id


class PackageRef:
    """The package a job wants: size in bytes, digest its SHA-256 (32 bytes)."""

    __slots__ = ("digest", "name", "size")

    def __init__(self, name: str, size: int, digest: bytes) -> None:
        self.name = name
        self.size = size
        self.digest = digest


class Canary:
    """`meters` of a job come first; `percent` of them must succeed."""

    __slots__ = ("meters", "percent")

    def __init__(self, meters: int, percent: int) -> None:
        self.meters = meters
        self.percent = percent

    def wanted(self) -> int:
        """How many must succeed."""
        return (self.meters * self.percent + 99) // 100


class Job:
    """See the module's text for the fields. `objects`: (class id, logical name 6 bytes, attribute
    index). `retry_of`: the id of the job whose work this one takes up again.
    """

    __slots__ = (
        "activation",
        "backoff_s",
        "canary",
        "concentrator",
        "daily",
        "id",
        "issued",
        "kind",
        "max_attempts",
        "not_after",
        "not_before",
        "objects",
        "package",
        "priority",
        "retry_of",
        "serials",
    )

    def __init__(
        self,
        id: bytes,
        kind: int,
        concentrator: str,
        issued: int,
        priority: int,
        not_before: int,
        not_after: int,
        max_attempts: int,
        backoff_s: int,
        serials: list[str],
        package: PackageRef | None = None,
        objects: list[tuple[int, bytes, int]] | None = None,
        daily: Daily | None = None,
        canary: Canary | None = None,
        retry_of: bytes | None = None,
        activation: int = 0,
    ) -> None:
        self.id = id
        self.kind = kind
        self.concentrator = concentrator
        self.issued = issued
        self.priority = priority
        self.not_before = not_before
        self.not_after = not_after
        self.max_attempts = max_attempts
        self.backoff_s = backoff_s
        self.serials = serials
        self.package = package
        self.objects = objects or []
        self.daily = daily
        self.canary = canary
        self.retry_of = retry_of
        self.activation = activation

    @property
    def traits(self) -> Kind:
        """What is true of its kind."""
        return BY_NUMBER[self.kind]

    def encode(self) -> bytes:
        package, daily, canary = self.package, self.daily, self.canary
        return cbor.encode(
            [
                1,
                self.id,
                self.kind,
                self.concentrator,
                self.issued,
                self.priority,
                [
                    self.not_before,
                    self.not_after,
                    [0, 0, 0] if daily is None else _daily_fields(daily),
                ],
                [self.max_attempts, self.backoff_s],
                self.serials,
                None if package is None else [package.name, package.size, package.digest],
                [list(entry) for entry in self.objects],
                [0, 0] if canary is None else [canary.meters, canary.percent],
                self.retry_of or b"",
                self.activation,
            ]
        )

    @classmethod
    def decode(cls, raw: bytes) -> Job:
        """From outside: JobError with its reason, and never anything else."""
        try:
            fields = cbor.decode(raw)
        except cbor.CborError as error:
            raise JobError("malformed", "job: %s" % error)
        job_id = None
        if isinstance(fields, list) and len(fields) > 1 and _octets(fields[1], 16):
            job_id = fields[1]
        try:
            return _job(fields)
        except JobError as error:
            error.job_id = job_id
            raise

    def check(self, concentrator: str, now: int, skew_s: int = 300) -> None:
        """JobError if the job is not for this concentrator or not for this time (`now` 0: the clock
        is unset, any time will do). `skew_s`: how far the clocks of HES and concentrator may
        differ.
        """
        if self.concentrator != concentrator:
            raise JobError(
                "wrong-concentrator",
                "expected %s, came %s" % (concentrator, self.concentrator),
                self.id,
            )
        if now == 0:
            return
        if self.issued > now + skew_s:
            raise JobError(
                "not-yet-valid", "issued at %d, here it is %d" % (self.issued, now), self.id
            )
        if opening(self, now) is None:
            raise JobError(
                "expired",
                "the window closed for good by %d, here it is %d" % (self.not_after, now),
                self.id,
            )


_FIELDS = 14


def _job(fields: Any) -> Job:
    if not isinstance(fields, list) or len(fields) != _FIELDS:
        raise _malformed("job", "an array of %d elements" % _FIELDS)
    version, job_id, kind, concentrator, issued, priority = fields[:6]
    window, retry, serials, package, objects, canary, retry_of, activation = fields[6:]
    _need(_uint(version, 1, 1), "version", "1")
    _need(_octets(job_id, 16), "id", "16 octets")
    _need(_uint(kind, 0, 255), "kind", "an integer 0..255")
    if kind not in BY_NUMBER:
        known = ", ".join(["%d %s" % (each.number, each.name) for each in KINDS])
        raise JobError("unknown-kind", "kind: expected one of %s, came %d" % (known, kind))
    traits = BY_NUMBER[kind]
    _need(_token(concentrator, 64), "concentrator", "1..64 printable ASCII characters")
    _need(_uint(issued, 1, MAX_TIME), "issued", "a time")
    _need(_uint(priority, 0, 9), "priority", "0..9")
    _need(
        isinstance(window, list) and len(window) == 3 and _uints(window[:2], 2, 0, MAX_TIME),
        "window",
        "[not_before, not_after, daily]",
    )
    not_before, not_after = window[:2]
    daily = _daily(window[2])
    if not_after and not_after <= not_before:
        raise JobError("bad-window", "window: closes at %d, opens at %d" % (not_after, not_before))
    _need(_uints(retry, 2, 0, MAX_BACKOFF_S), "retry", "[max_attempts, backoff_s 0..86400]")
    _need(_uint(retry[0], 1, MAX_ATTEMPTS), "max_attempts", "1..%d" % MAX_ATTEMPTS)
    _check_serials(serials)
    if package is not None:
        package = _package(package)
    if (package is None) != (traits.takes == OBJECTS):
        raise _malformed("package", "one where the kind takes one, else null")
    objects = _objects(objects)
    if bool(objects) != (traits.takes == OBJECTS):
        raise _malformed("objects", "some for a kind without package, else none")
    _need(
        _uint(activation, 0, MAX_TIME if traits.activates else 0),
        "activation",
        "a time where the kind may wait for one, else 0",
    )
    _need(_octets(retry_of, 16) or _octets(retry_of, 0), "retry_of", "16 octets or none")
    _need(retry_of != job_id, "retry_of", "another job")
    job = Job(
        job_id,
        kind,
        concentrator,
        issued,
        priority,
        not_before,
        not_after,
        retry[0],
        retry[1],
        serials,
        package,
        objects,
        daily,
        _canary(canary, len(serials)),
        retry_of or None,
        activation,
    )
    if daily is not None and opening(job, 0) is None:
        raise JobError("bad-window", "window: no time of day lies within it")
    return job


def _daily(daily: Any) -> Daily | None:
    shifts = []
    if isinstance(daily, list) and len(daily) == 4:
        shifts = daily[3]
        daily = daily[:3]
        _need(_are_shifts(shifts), "window", "1..%d rising shifts of daily" % MAX_SHIFTS)
    _need(
        _uints(daily, 3, 0, DAY_S - 1) and daily[2] <= EVERY_DAY,
        "window",
        "daily as [opens 0..86399, closes 0..86399, days 0..127]",
    )
    _need(bool(daily[2]) or not shifts, "window", "days where daily has shifts")
    return Daily(daily[0], daily[1], daily[2], shifts) if daily[2] else None


def _are_shifts(shifts: Any) -> bool:
    """[[unix time, seconds]], the times rising."""
    if not isinstance(shifts, list) or not 1 <= len(shifts) <= MAX_SHIFTS:
        return False
    last = 0
    for shift in shifts:
        if not isinstance(shift, list) or len(shift) != 2 or not _uint(shift[0], last, MAX_TIME):
            return False
        if type(shift[1]) is not int or not -MAX_SHIFT_S <= shift[1] <= MAX_SHIFT_S:
            return False
        last = shift[0] + 1
    return True


def _daily_fields(daily: Daily) -> list[Any]:
    fields: list[Any] = [daily.opens, daily.closes, daily.days]
    if daily.shifts:
        fields.append([list(shift) for shift in daily.shifts])
    return fields


def _canary(canary: Any, meters: int) -> Canary | None:
    _need(
        _uints(canary, 2, 0, MAX_METERS) and canary[0] < meters and canary[1] <= 100,
        "canary",
        "[fewer meters than the job has, percent 0..100]",
    )
    return Canary(canary[0], canary[1]) if canary[0] else None


def _check_serials(serials: Any) -> None:
    _need(isinstance(serials, list), "meters", "an array of serials")
    if not serials:
        raise JobError("no-meters", "meters: expected 1..%d serials, came none" % MAX_METERS)
    _need(len(serials) <= MAX_METERS, "meters", "at most %d serials" % MAX_METERS)
    for serial in serials:
        _need(
            _token(serial, MAX_SERIAL),
            "meters",
            "serials of 1..%d printable ASCII characters" % MAX_SERIAL,
        )
    _need(len(set(serials)) == len(serials), "meters", "each serial once")


def _package(package: Any) -> PackageRef:
    _need(isinstance(package, list) and len(package) == 3, "package", "[name, size, sha256]")
    name, size, digest = package
    _need(_token(name, 64), "package", "a name of 1..64 printable ASCII characters")
    _need(_uint(size, 1, MAX_FILE), "package", "a size of 1..%d octets" % MAX_FILE)
    _need(_octets(digest, 32), "package", "a SHA-256 of 32 octets")
    return PackageRef(name, size, digest)


def _objects(objects: Any) -> list[tuple[int, bytes, int]]:
    _need(
        isinstance(objects, list) and len(objects) <= MAX_OBJECTS,
        "objects",
        "an array of at most %d" % MAX_OBJECTS,
    )
    for entry in objects:
        _need(
            isinstance(entry, list)
            and len(entry) == 3
            and _uint(entry[0], 0, 0xFFFF)
            and _octets(entry[1], 6)
            and _uint(entry[2], 1, 127),
            "objects",
            "[class 0..65535, obis 6 octets, attribute 1..127]",
        )
    return [(entry[0], entry[1], entry[2]) for entry in objects]


def _uint(value: Any, least: int, most: int) -> bool:
    # type() and not isinstance(): true is an integer on CPython.
    return type(value) is int and least <= value <= most


def _uints(value: Any, count: int, least: int, most: int) -> bool:
    if not isinstance(value, list) or len(value) != count:
        return False
    return all(_uint(element, least, most) for element in value)


def _octets(value: Any, size: int) -> bool:
    return isinstance(value, bytes) and len(value) == size


def _token(value: Any, most: int) -> bool:
    if not isinstance(value, str) or not 1 <= len(value) <= most:
        return False
    return all(32 < ord(character) < 127 for character in value)


def _need(holds: bool, field: str, expected: str) -> None:
    if not holds:
        raise _malformed(field, expected)


def _malformed(field: str, expected: str) -> JobError:
    return JobError("malformed", "%s: expected %s" % (field, expected))
