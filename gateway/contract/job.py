"""A job: what the HES orders, for which meters, how urgently, until when, how often to try.

Its payload (inside the signed envelope) is one CBOR array:

    [1, id bstr16, kind 1 configure / 2 read / 3 image / 4 compare / 5 readings / 6 supply,
     concentrator tstr, issued time,
     priority 0..9, [not_before time, not_after time, [opens, closes, days]],
     [max_attempts, backoff_s], [+ serial tstr], [name tstr, size, sha256 bstr32] / null,
     [* [class, obis bstr6, attribute]], [canary, percent], retry_of bstr16 / bstr0,
     activation time, ? [name tstr, from time, to time]]

A time is seconds since 1970 UTC; in the window 0 leaves that side open, and the third element says
at which times of the day it is open (window.py; days 0: at any). Priority 9 is the most urgent. A
job of kind read names objects and no package, the others a package (of kind image an image file)
and no objects. `activation` is when an image is to become active, 0: as soon as it is verified.
Kind compare is the dry run of configure: it tells what each value is now, and writes nothing.
Kind readings asks for the rows of a profile or log from a time to a time, both included: the one
object that it names (class 7), or what each meter's model calls so. They go up as readings.
Kind supply names one object of class 70, with a command in place of the attribute: 1 disconnect,
2 reconnect, 3 arm (so that somebody can close the switch at the meter).
The first `canary` meters of the list (0: none) come first, and only if so many percent of them
succeed the others have their turn. `retry_of` is the job that this one orders again.
"""

from __future__ import annotations

from gateway.contract.fields import Message, Record, field, message, no_memory, record, record_rule
from gateway.contract.kinds import BY_NUMBER, KINDS, OBJECTS, SUPPLY
from gateway.contract.limits import (
    MAX_ATTEMPTS,
    MAX_BACKOFF_S,
    MAX_FILE,
    MAX_METERS,
    MAX_OBJECTS,
    MAX_TIME,
)
from gateway.contract.refused import Refused
from gateway.contract.rules import (
    DIGEST,
    ID,
    SERIAL,
    TIME,
    Rule,
    array_of,
    called,
    either,
    every,
    octets,
    or_null,
    otherwise,
    row,
    text,
    token,
    tuples,
    uint,
)
from gateway.contract.window import DAILY, Daily, opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.kinds import Kind

URGENT = 9
_PROFILE = 7  # class id
_SWITCH = 70  # class id
DISCONNECT, RECONNECT, ARM = 1, 2, 3
COMMANDS = ("disconnect", "reconnect", "arm")


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


@record()
class PackageRef(Record):
    """The package a job wants: size in bytes, digest its SHA-256 (32 bytes)."""

    name: str = field(token(64))
    size: int = field(uint(MAX_FILE, 1))
    digest: bytes = field(DIGEST)


@record()
class Canary(Record):
    """`meters` of a job come first; `percent` of them must succeed."""

    meters: int = field(uint(MAX_METERS))
    percent: int = field(uint(100))

    def wanted(self) -> int:
        """How many must succeed."""
        return (self.meters * self.percent + 99) // 100


@record()
class Span(Record):
    """The rows from `start` to `end`, unix times, both included, of what the model calls `name`;
    "": of the job's object.
    """

    name: str = field(text(32))
    start: int = field(TIME)
    end: int = field(uint(MAX_TIME, 1))


_KIND = every(
    uint(255),
    Rule(
        "one of " + ", ".join(["%d %s" % (kind.number, kind.name) for kind in KINDS]),
        lambda v: v in BY_NUMBER,
        reason="unknown-kind",
    ),
)
_SERIALS = every(
    array_of(SERIAL, MAX_METERS),
    Rule("1..%d serials" % MAX_METERS, lambda v: len(v) > 0, reason="no-meters"),
    Rule("each serial once", lambda v: len(set(v)) == len(v)),
)
_ATTEMPTS = called("1..%d" % MAX_ATTEMPTS, uint(MAX_ATTEMPTS, 1))
_BACKOFF = called("backoff_s 0..%d" % MAX_BACKOFF_S, uint(MAX_BACKOFF_S))
_OBJECT = row(uint(0xFFFF), octets(6, 6), uint(127, 1))


@message("job")
class Job(Message):
    """See the module's text for the fields. `objects`: (class id, logical name 6 bytes, attribute
    index). `retry_of`: the id of the job whose work this one takes up again.
    """

    # The people who wrote the order read this.
    WRONG = "%(field)s: expected %(rule)s, came %(came)s"

    id: bytes = field(ID)
    kind: int = field(_KIND)
    concentrator: str = field(token(64))
    issued: int = field(uint(MAX_TIME, 1))
    priority: int = field(uint(URGENT))
    not_before: int = field(TIME, within="window")
    not_after: int = field(TIME, within="window")
    max_attempts: int = field(_ATTEMPTS, within="retry")
    backoff_s: int = field(_BACKOFF, within="retry")
    serials: list[str] = field(_SERIALS)
    package: PackageRef | None = field(or_null(record_rule(PackageRef)), default=None)
    objects: list[tuple[int, bytes, int]] = field(tuples(_OBJECT, MAX_OBJECTS), default=[])
    daily: Daily | None = field(DAILY, default=None, within="window")
    canary: Canary | None = field(
        otherwise(record_rule(Canary), lambda v: v[0] == 0, [0, 0]), default=None
    )
    retry_of: bytes | None = field(
        otherwise(either(ID, octets(0)), lambda v: v == b"", b""), default=None
    )
    activation: int = field(TIME, default=0)
    span: Span | None = field(or_null(record_rule(Span)), default=None, late=True)

    @property
    def traits(self) -> Kind:
        """What is true of its kind."""
        return BY_NUMBER[self.kind]

    @classmethod
    def decode(cls, payload: bytes) -> Job:
        """Refused, with the job's id if that much could be read."""
        item = None
        try:
            item = cls.item(payload)
            return cls.of(item)
        except MemoryError:
            raise no_memory("job", payload)
        except Refused as refused:
            if isinstance(item, list) and len(item) > 1 and ID.fits(item[1]):
                refused.job_id = item[1]
            raise

    def agree(self) -> None:
        traits = self.traits
        if self.not_after and self.not_after <= self.not_before:
            raise Refused(
                "bad-window",
                "window: closes at %d, opens at %d" % (self.not_after, self.not_before),
            )
        if (self.package is None) != (traits.takes == OBJECTS):
            raise _malformed("package", "one where the kind takes one, else null")
        if (self.span is None) == traits.ranged:
            raise _malformed("span", "one where the kind is of a range of time, else none")
        if self.span is not None:
            self._agree_on_rows(self.span)
        elif bool(self.objects) != (traits.takes == OBJECTS):
            raise _malformed("objects", "some for a kind without package, else none")
        if self.kind == SUPPLY:
            self._agree_on_supply()
        if self.activation and not traits.activates:
            raise _malformed("activation", "a time where the kind may wait for one, else 0")
        if self.retry_of == self.id:
            raise _malformed("retry_of", "another job")
        if self.canary is not None and self.canary.meters >= len(self.serials):
            raise _malformed("canary", "fewer meters than the job has")
        if self.daily is not None and opening(self, 0) is None:
            raise Refused("bad-window", "window: no time of day lies within it")

    def _agree_on_supply(self) -> None:
        wrong = [o for o in self.objects if o[0] != _SWITCH or not DISCONNECT <= o[2] <= ARM]
        if len(self.objects) != 1 or wrong:
            raise _malformed("objects", "one of class 70 with a command 1..3")

    def _agree_on_rows(self, span: Span) -> None:
        if span.end < span.start:
            raise _malformed("span", "an end behind the start")
        if len(self.objects) != (0 if span.name else 1) or [
            each for each in self.objects if each[0] != _PROFILE
        ]:
            raise _malformed("objects", "one of class 7, or none and a name in the span")

    def check(self, concentrator: str, now: int, skew_s: int = 300) -> None:
        """Refused if the job is not for this concentrator or not for this time (`now` 0: the clock
        is unset, any time will do). `skew_s`: how far the clocks of HES and concentrator may
        differ.
        """
        if self.concentrator != concentrator:
            raise Refused(
                "wrong-concentrator",
                "expected %s, came %s" % (concentrator, self.concentrator),
                self.id,
            )
        if now == 0:
            return
        if self.issued > now + skew_s:
            raise Refused(
                "not-yet-valid", "issued at %d, here it is %d" % (self.issued, now), self.id
            )
        if opening(self, now) is None:
            raise Refused(
                "expired",
                "the window closed for good by %d, here it is %d" % (self.not_after, now),
                self.id,
            )


def _malformed(what: str, expected: str) -> Refused:
    return Refused("malformed", "%s: expected %s" % (what, expected))
