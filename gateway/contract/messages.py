"""Every message between the HES and the concentrator, both ways. messages.cddl is the same in CDDL
(RFC 8610).

MQTT 3.1.1, QoS 1, topics `ami/v1/<concentrator>/<name>`; levels are [a-z0-9-]. Payloads are CBOR
arrays whose first element is the version, 1.

up     | message | purpose
-------|---------|---------------------------------------------------------------------------------
state  | State   | Retained. Birth at each connection (online); the will is the same, offline.
hello  | Hello   | After each birth and every few minutes: the jobs the gateway has. The HES
       |         | answers with `time` and `ack`, and publishes again each `job`, `cancel`, `trust`
       |         | and `keys` of which it has no word yet: a lost one is lost only until the next
       |         | hello.
report | Reports | Numbered reports, oldest first; sent again until acknowledged.
pull   | Pull    | Asks for one piece of a package, by its SHA-256.
meters | Meters  | The page asked for: how the meters stand (status.py).
progress | Progress | While jobs are open, at most once a minute: how far they are, and when
       |         | each is likely to end. Not numbered: what is lost, the next one makes good.

down   | message | purpose
-------|---------|---------------------------------------------------------------------------------
job    | signed  | envelope.py over the payload of gateway/contract/job.py. Answered by a JobReport,
       |         | or by a Refusal.
cancel | signed  | envelope.py over Cancel. Answered likewise.
pause  | signed  | envelope.py over Pause: pauses a job, or resumes it. Answered likewise.
chunk  | Chunk   | The piece asked for.
ack    | Ack     | The HES has all reports of the epoch up to `number`; the gateway forgets them.
resend | Resend  | The HES misses the reports from `number` on.
ask    | Ask     | Asks for one page of Meters. At most one a second is answered.
time   | Time    | The date at the HES. It moves a clock that is set by up to an hour a day.
time   | signed  | envelope.py over SignedTime, by a key trusted for orders: the answer to one
       |         | hello, for a clock that is unset or further off.
trust  | signed  | envelope.py over TrustChange (trust.py), by a key trusted for trust.
keys   | signed  | envelope.py over KeyChange (key_change.py), by a key trusted for keys.

Numbers of reports: each ledger draws an `epoch` at random when it is made, and numbers its reports
1, 2, 3 ... for good. The HES takes report n + 1 after n; one already seen it drops and acknowledges
again; at a gap it sends Resend(n + 1) and takes nothing further before that arrives. Reports that
flash damage took are named by a Dropped report (reports.py), so that every number is accounted for.
Below State.first nothing is kept any more: a HES that missed those goes on from there. A new epoch
starts again at 1.
"""

from __future__ import annotations

from gateway.contract.limits import MOST_JOBS, MOST_REASONS
from gateway.contract.refused import Refused
from gateway.contract.reports import REPORT, Report
from gateway.contract.shape import (
    BOOL,
    UINT32,
    UINT64,
    VERSION,
    Rule,
    array_of,
    decoded,
    octets,
    require,
    row,
    text,
    uint,
)
from gateway.contract.status import MAX_PAGE, METER, MODEMS
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_MESSAGE = 128 * 1024 - 1  # AWS IoT's limit is 128 KiB a message
MAX_CHUNK = 16384  # octets of package in one Chunk
REPORTS_SIZE = 16384  # octets of reports in one message, unless a single one is larger
MAX_JOBS_IN_HELLO = 4096

UP_TOPICS = ("state", "hello", "report", "pull", "meters", "progress")
DOWN_TOPICS = (
    "job",
    "cancel",
    "pause",
    "chunk",
    "ack",
    "resend",
    "time",
    "trust",
    "keys",
    "ask",
)

_ID = octets(16, 16)
_DIGEST = octets(32, 32)
_NONCE = octets(16, 16)
_CONCENTRATOR = text(64, 1)
_TIME = uint(UINT32)


def topic(concentrator: str, name: str) -> str:
    """`ami/v1/<concentrator>/<name>`; ValueError unless the id is [a-z0-9-]{1,64}."""
    if not 1 <= len(concentrator) <= 64 or not all(
        c in "abcdefghijklmnopqrstuvwxyz0123456789-" for c in concentrator
    ):
        raise ValueError("a concentrator's id is [a-z0-9-]{1,64}, not %r" % concentrator)
    return "ami/v1/%s/%s" % (concentrator, name)


class State:
    """Up, retained. `session` is drawn at random at each connection: a will counts only against the
    birth of its own session. `firmware` and `runtime` are for people. `first` is the oldest
    unacknowledged report's number, `next` the number the next report will get (equal: none
    waits). Counts are those of the moment. `modems`: how each stands, see MODEM in status.py.
    """

    __slots__ = (
        "concentrator",
        "epoch",
        "firmware",
        "first",
        "jobs_open",
        "meters_known",
        "meters_reachable",
        "modems",
        "next",
        "online",
        "runtime",
        "session",
        "time",
    )

    def __init__(
        self,
        concentrator: str,
        session: int,
        online: bool,
        epoch: int,
        first: int,
        next: int,
        time: int,
        firmware: str,
        runtime: str,
        jobs_open: int,
        meters_known: int,
        meters_reachable: int,
        modems: list[list[Any]] | None = None,
    ) -> None:
        self.concentrator = concentrator
        self.session = session
        self.online = online
        self.epoch = epoch
        self.first = first
        self.next = next
        self.time = time
        self.firmware = firmware
        self.runtime = runtime
        self.jobs_open = jobs_open
        self.meters_known = meters_known
        self.meters_reachable = meters_reachable
        self.modems = modems or []

    NAMES = (
        "version concentrator session online epoch first next time firmware runtime "
        "jobs-open meters-known meters-reachable modems"
    )
    RULES = [
        VERSION,
        _CONCENTRATOR,
        uint(UINT32),
        BOOL,
        uint(UINT32),
        uint(),
        uint(),
        _TIME,
        text(64),
        text(64),
        uint(UINT32),
        uint(UINT32),
        uint(UINT32),
        MODEMS,
    ]

    def encode(self) -> bytes:
        return cbor.encode(
            [
                1,
                self.concentrator,
                self.session,
                self.online,
                self.epoch,
                self.first,
                self.next,
                self.time,
                self.firmware,
                self.runtime,
                self.jobs_open,
                self.meters_known,
                self.meters_reachable,
                self.modems,
            ]
        )

    @classmethod
    def decode(cls, payload: bytes) -> State:
        """Refused `malformed`; so do all the decode() below."""
        return cls(*_fields(payload, "state", cls.NAMES, cls.RULES))


class Hello:
    """Up. `time` is the gateway's date (0: unset); `jobs` the 16-octet ids of all jobs not yet
    finished here. `nonce`: 16 octets drawn for this hello, which a SignedTime repeats. `trust` and
    `keys`: the numbers of the last such messages taken. `records` and `head`: how many records the
    audit trail has ever had, and the hash of the last (gateway/audit.py).
    """

    __slots__ = ("head", "jobs", "keys", "nonce", "records", "session", "time", "trust")

    def __init__(
        self,
        session: int,
        time: int,
        jobs: list[bytes],
        nonce: bytes = bytes(16),
        trust: int = 0,
        keys: int = 0,
        records: int = 0,
        head: bytes = bytes(32),
    ) -> None:
        self.session = session
        self.time = time
        self.jobs = jobs
        self.nonce = nonce
        self.trust = trust
        self.keys = keys
        self.records = records
        self.head = head

    NAMES = "version session time jobs nonce trust keys records head"
    RULES = [
        VERSION,
        uint(UINT32),
        _TIME,
        array_of(_ID, MAX_JOBS_IN_HELLO),
        _NONCE,
        uint(UINT32),
        uint(UINT32),
        uint(),
        _DIGEST,
    ]

    def encode(self) -> bytes:
        return cbor.encode(
            [
                1,
                self.session,
                self.time,
                self.jobs,
                self.nonce,
                self.trust,
                self.keys,
                self.records,
                self.head,
            ]
        )

    @classmethod
    def decode(cls, payload: bytes) -> Hello:
        return cls(*_fields(payload, "hello", cls.NAMES, cls.RULES))


class Reports:
    """Up. Reports of `epoch` with consecutive numbers, oldest first; at least one."""

    __slots__ = ("epoch", "reports")

    def __init__(self, epoch: int, reports: list[Report]) -> None:
        self.epoch = epoch
        self.reports = reports

    NAMES = "version epoch reports"
    RULES = [VERSION, uint(UINT32), array_of(REPORT, REPORTS_SIZE, 1)]

    def encode(self) -> bytes:
        return cbor.encode([1, self.epoch, [report.to_array() for report in self.reports]])

    @classmethod
    def decode(cls, payload: bytes) -> Reports:
        epoch, reports = _fields(payload, "report", cls.NAMES, cls.RULES)
        return cls(epoch, [Report.from_array(report) for report in reports])


class Pull:
    """Up. Asks for at most `size` octets at `offset` of the package with this SHA-256."""

    __slots__ = ("digest", "offset", "size")

    def __init__(self, digest: bytes, offset: int, size: int) -> None:
        self.digest = digest
        self.offset = offset
        self.size = size

    NAMES = "version digest offset size"
    RULES = [VERSION, _DIGEST, uint(UINT32), uint(MAX_CHUNK, 1)]

    def encode(self) -> bytes:
        return cbor.encode([1, self.digest, self.offset, self.size])

    @classmethod
    def decode(cls, payload: bytes) -> Pull:
        return cls(*_fields(payload, "pull", cls.NAMES, cls.RULES))


class Meters:
    """Up. The answer to Ask: meters in the order of their serials, each [serial, its paths], the
    ones after the serial `after`; `more` of them follow the last. A meter without a path is not
    commissioned.
    """

    __slots__ = ("after", "meters", "more")

    def __init__(self, after: str, more: bool, meters: list[list[Any]]) -> None:
        self.after = after
        self.more = more
        self.meters = meters

    NAMES = "version after more meters"
    RULES = [VERSION, text(32), BOOL, array_of(METER, MAX_PAGE)]

    def encode(self) -> bytes:
        return cbor.encode([1, self.after, self.more, self.meters])

    @classmethod
    def decode(cls, payload: bytes) -> Meters:
        return cls(*_fields(payload, "meters", cls.NAMES, cls.RULES))


class Progress:
    """Up. How the open jobs are at `time`, as far as they have changed since the message before:
    each [id, phase, permille done, meters queued, in hand, done, [[reason, how many queued meters
    wait after it]], expected end], see gateway/jobs/progress.py. phase: of a transfer to many
    meters at once, else "". The end is unix time, 0 while it cannot be judged.
    """

    __slots__ = ("jobs", "time")

    def __init__(self, time: int, jobs: list[list[Any]]) -> None:
        self.time = time
        self.jobs = jobs

    JOB = row(
        _ID,
        text(16),
        uint(1000),
        uint(UINT32),
        uint(UINT32),
        uint(UINT32),
        array_of(row(text(32, 1), uint(UINT32)), MOST_REASONS),
        _TIME,
    )
    NAMES = "version time jobs"
    RULES = [VERSION, _TIME, array_of(JOB, MOST_JOBS, 1)]

    def encode(self) -> bytes:
        return cbor.encode([1, self.time, self.jobs])

    @classmethod
    def decode(cls, payload: bytes) -> Progress:
        return cls(*_fields(payload, "progress", cls.NAMES, cls.RULES))


class Cancel:
    """Down, signed: the payload inside the envelope. Cancels the job at each meter's next safe
    point. `issued` is seconds since 1970 UTC.
    """

    __slots__ = ("concentrator", "issued", "job_id")

    def __init__(self, job_id: bytes, concentrator: str, issued: int) -> None:
        self.job_id = job_id
        self.concentrator = concentrator
        self.issued = issued

    NAMES = "version job-id concentrator issued"
    RULES = [VERSION, _ID, _CONCENTRATOR, _TIME]

    def encode(self) -> bytes:
        return cbor.encode([1, self.job_id, self.concentrator, self.issued])

    @classmethod
    def decode(cls, payload: bytes) -> Cancel:
        return cls(*_fields(payload, "cancel", cls.NAMES, cls.RULES))


class Pause:
    """Down, signed: the payload inside the envelope. `paused`: begin with no further meter of the
    job; False: go on. Of two such orders the one `issued` later counts; the HES never gives two
    with the same time.
    """

    __slots__ = ("concentrator", "issued", "job_id", "paused")

    def __init__(self, job_id: bytes, concentrator: str, issued: int, paused: bool) -> None:
        self.job_id = job_id
        self.concentrator = concentrator
        self.issued = issued
        self.paused = paused

    NAMES = "version kind job-id concentrator issued paused"
    RULES = [VERSION, Rule('"pause"', lambda v: v == "pause"), _ID, _CONCENTRATOR, _TIME, BOOL]

    def encode(self) -> bytes:
        return cbor.encode([1, "pause", self.job_id, self.concentrator, self.issued, self.paused])

    @classmethod
    def decode(cls, payload: bytes) -> Pause:
        return cls(*_fields(payload, "pause", cls.NAMES, cls.RULES)[1:])


class Chunk:
    """Down. Octets of a package of `total` octets. `total` 0: the HES has no package with this
    digest (any more).
    """

    __slots__ = ("data", "digest", "offset", "total")

    def __init__(self, digest: bytes, offset: int, total: int, data: bytes) -> None:
        self.digest = digest
        self.offset = offset
        self.total = total
        self.data = data

    NAMES = "version digest offset total data"
    RULES = [VERSION, _DIGEST, uint(UINT32), uint(UINT32), octets(MAX_CHUNK)]

    def encode(self) -> bytes:
        return cbor.encode([1, self.digest, self.offset, self.total, self.data])

    @classmethod
    def decode(cls, payload: bytes) -> Chunk:
        return cls(*_fields(payload, "chunk", cls.NAMES, cls.RULES))


class Ack:
    """Down. All reports of `epoch` up to and with `number` are durable at the HES. 0: none yet."""

    __slots__ = ("epoch", "number")

    def __init__(self, epoch: int, number: int) -> None:
        self.epoch = epoch
        self.number = number

    NAMES = "version epoch number"
    RULES = [VERSION, uint(UINT32), uint()]

    def encode(self) -> bytes:
        return cbor.encode([1, self.epoch, self.number])

    @classmethod
    def decode(cls, payload: bytes) -> Ack:
        return cls(*_fields(payload, "ack", cls.NAMES, cls.RULES))


class Resend:
    """Down. Send the reports of `epoch` from `number` on again."""

    __slots__ = ("epoch", "number")

    def __init__(self, epoch: int, number: int) -> None:
        self.epoch = epoch
        self.number = number

    NAMES = "version epoch number"
    RULES = [VERSION, uint(UINT32), uint(UINT64, 1)]

    def encode(self) -> bytes:
        return cbor.encode([1, self.epoch, self.number])

    @classmethod
    def decode(cls, payload: bytes) -> Resend:
        return cls(*_fields(payload, "resend", cls.NAMES, cls.RULES))


class Ask:
    """Down. Asks for the meters whose serials come after this one; "": from the first."""

    __slots__ = ("after",)

    def __init__(self, after: str) -> None:
        self.after = after

    NAMES = "version after"
    RULES = [VERSION, text(32)]

    def encode(self) -> bytes:
        return cbor.encode([1, self.after])

    @classmethod
    def decode(cls, payload: bytes) -> Ask:
        return cls(*_fields(payload, "ask", cls.NAMES, cls.RULES))


class Time:
    """Down. Seconds since 1970 UTC at the HES. Not signed: it may only correct a clock a little."""

    __slots__ = ("time",)

    def __init__(self, time: int) -> None:
        self.time = time

    NAMES = "version time"
    RULES = [VERSION, uint(UINT32, 1)]

    def encode(self) -> bytes:
        return cbor.encode([1, self.time])

    @classmethod
    def decode(cls, payload: bytes) -> Time:
        return cls(*_fields(payload, "time", cls.NAMES, cls.RULES))


class SignedTime:
    """Down, signed: the payload inside the envelope. Seconds since 1970 UTC at the HES when it
    heard the hello with this `nonce`; counts once, and only soon after that hello.
    """

    __slots__ = ("concentrator", "nonce", "time")

    def __init__(self, concentrator: str, nonce: bytes, time: int) -> None:
        self.concentrator = concentrator
        self.nonce = nonce
        self.time = time

    NAMES = "version kind concentrator nonce time"
    RULES = [
        VERSION,
        Rule('"time"', lambda v: v == "time"),
        _CONCENTRATOR,
        _NONCE,
        uint(UINT32, 1),
    ]

    def encode(self) -> bytes:
        return cbor.encode([1, "time", self.concentrator, self.nonce, self.time])

    @classmethod
    def decode(cls, payload: bytes) -> SignedTime:
        return cls(*_fields(payload, "time", cls.NAMES, cls.RULES)[1:])


def _fields(payload: bytes, what: str, names: str, rules: list[Rule]) -> list[Any]:
    """The elements after the version."""
    if len(payload) > MAX_MESSAGE:
        raise Refused("oversized", "%s: more than %d octets" % (what, MAX_MESSAGE))
    return require(decoded(payload, what), what, names, rules)[1:]
