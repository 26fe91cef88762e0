"""Every message between the HES and the concentrator, both ways. messages.cddl is the same in CDDL
(RFC 8610).

MQTT 3.1.1, QoS 1, topics `ami/v1/<concentrator>/<name>`; levels are [a-z0-9-]. Payloads are CBOR
arrays whose first element is the version, 1.

up     | message | purpose
-------|---------|---------------------------------------------------------------------------------
state  | State   | Retained. Birth at each connection (online); the will is the same, offline.
edhoc  | EDHOC   | message_1 and message_3 of the handshake (RFC 9528) that makes the keys of a
       |         | connection, each behind what A.2 there has it begin with.
hello  | Hello   | After each birth and every few minutes: the jobs the gateway has. The HES
       |         | answers with `time` and `ack`, and publishes again each `job`, `cancel`, `trust`,
       |         | `keys` and `model` of which it has no word yet: a lost one is lost only until
       |         | the next hello.
report | Reports | Numbered reports, oldest first; sent again until acknowledged.
pull   | Pull    | Asks for one piece of a package, by its SHA-256.
meters | Meters  | The page asked for: how the meters stand (status.py).
progress | Progress | While jobs are open, at most once a minute: how far they are, and when
       |         | each is likely to end. Not numbered: what is lost, the next one makes good.
readings | Readings | Numbered records of what was read, oldest first, behind the reports;
       |         | sent again until acknowledged, in a numbering of their own.
certificates | LineStatus | With a hello, where the line has TLS: when certificates end, and the
       |         | request for a new one (line_certificate.py).

down   | message | purpose
-------|---------|---------------------------------------------------------------------------------
edhoc  | EDHOC   | message_2 of the handshake, or an error of EDHOC.
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
memory | Memory  | The answer to hello: what the HES remembers of this data folder. Where that is
       |         | more than is here, the folder is an old copy.
model  | signed  | envelope.py over Model (model.py), by a key trusted for packages: it is for
       |         | any concentrator, and one takes it only with a higher number than it has.
change | signed  | envelope.py over Change (change.py), by a key trusted for orders: tasks, and
       |         | whatever else of the concentrator is the HES's to change.
readings-ack | Ack | As `ack`, for records of readings.
readings-resend | Resend | As `resend`, for records of readings.
certificate | signed | envelope.py over LineCertificate, by a key trusted for trust: answers the
       |         | request of a LineStatus.

Numbers of reports: each ledger draws an `epoch` at random when it is made, and numbers its reports
1, 2, 3 ... for good. The HES takes report n + 1 after n; one already seen it drops and acknowledges
again; at a gap it sends Resend(n + 1) and takes nothing further before that arrives. Reports that
flash damage took are named by a Dropped report (reports.py), so that every number is accounted for.
Below State.first nothing is kept any more: a HES that missed those goes on from there. A new epoch
starts again at 1.
"""

from __future__ import annotations

from gateway.contract.fields import Message, field, list_of, message, record_rule
from gateway.contract.limits import (
    MAX_CHUNK,
    MAX_JOBS_IN_HELLO,
    MAX_MODELS,
    MAX_READING,
    MOST_JOBS,
    MOST_REASONS,
    READINGS_SIZE,
    REPORTS_SIZE,
)
from gateway.contract.model_name import NAME
from gateway.contract.refused import Refused
from gateway.contract.reports import Report
from gateway.contract.rules import (
    BOOL,
    DIGEST,
    ID,
    TIME,
    UINT32,
    UINT64,
    array_of,
    either,
    octets,
    row,
    small,
    text,
    tuples,
    uint,
)
from gateway.contract.status import MAX_PAGE, METER, MODEMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HANDSHAKE = "edhoc"  # both ways
UP_TOPICS = ("state", "hello", "report", "pull", "meters", "progress", "certificates", "readings")
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
    "model",
    "memory",
    "certificate",
    "change",
    "readings-ack",
    "readings-resend",
)

_NONCE = octets(16, 16)
_CONCENTRATOR = text(64, 1)
_COUNT = uint(UINT32)
_WAITING = row(text(32, 1), _COUNT)
_HINDERED = row(text(32, 1), _COUNT, TIME)
_JOB_PROGRESS = row(
    ID,
    text(16),
    uint(1000),
    _COUNT,
    _COUNT,
    _COUNT,
    array_of(either(_WAITING, _HINDERED), MOST_REASONS),
    TIME,
)


def topic(concentrator: str, name: str) -> str:
    """`ami/v1/<concentrator>/<name>`; ValueError unless the id is [a-z0-9-]{1,64}."""
    if not 1 <= len(concentrator) <= 64 or not all(
        c in "abcdefghijklmnopqrstuvwxyz0123456789-" for c in concentrator
    ):
        raise ValueError("a concentrator's id is [a-z0-9-]{1,64}, not %r" % concentrator)
    return "ami/v1/%s/%s" % (concentrator, name)


@message("state")
class State(Message):
    """Up, retained. `session` is drawn at random at each connection: a will counts only against the
    birth of its own session. `firmware` and `runtime` are for people. `first` is the oldest
    unacknowledged report's number, `next` the number the next report will get (equal: none
    waits). Counts are those of the moment. `modems`: how each stands, see MODEM in status.py.
    """

    concentrator: str = field(_CONCENTRATOR)
    session: int = field(_COUNT)
    online: bool = field(BOOL)
    epoch: int = field(_COUNT)
    first: int = field(uint())
    next: int = field(uint())
    time: int = field(TIME)
    firmware: str = field(text(64))
    runtime: str = field(text(64))
    jobs_open: int = field(_COUNT)
    meters_known: int = field(_COUNT)
    meters_reachable: int = field(_COUNT)
    modems: list[list[Any]] = field(MODEMS, default=[])


@message("hello")
class Hello(Message):
    """Up. `time` is the gateway's date (0: unset); `jobs` the 16-octet ids of all jobs not yet
    finished here. `nonce`: 16 octets drawn for this hello, which a SignedTime repeats. `trust` and
    `keys`: the numbers of the last such messages taken. `records` and `head`: how many records the
    audit trail has ever had, and the hash of the last (gateway/audit.py). `models`: [name, number]
    of the models that were sent here (gateway/contract/model.py). `epoch`, `first` and `next` as in
    State, which is not as well protected; epoch 0: the firmware is older, and State alone tells.
    `starts`: how often a gateway was started on this data folder; `used`: how many invocation
    counters it has ever given out, of all meters together; 0: it does not count them. `changes`:
    the number of the last Change taken. `readings`: of the records of readings the epoch, the
    oldest number that is not acknowledged, and the one the next record will get; [0, 0, 0]: none.
    """

    session: int = field(_COUNT)
    time: int = field(TIME)
    jobs: list[bytes] = field(array_of(ID, MAX_JOBS_IN_HELLO))
    nonce: bytes = field(_NONCE, default=bytes(16))
    trust: int = field(_COUNT, default=0)
    keys: int = field(_COUNT, default=0)
    records: int = field(uint(), default=0)
    head: bytes = field(DIGEST, default=bytes(32))
    models: list[tuple[str, int]] = field(
        tuples(row(NAME, uint(UINT32, 1)), MAX_MODELS), default=[], late=True
    )
    epoch: int = field(_COUNT, default=0, late=True)
    first: int = field(uint(), default=0, late=True)
    next: int = field(uint(), default=0, late=True)
    starts: int = field(_COUNT, default=0, late=True)
    used: int = field(uint(), default=0, late=True)
    changes: int = field(_COUNT, default=0, late=True)
    readings: list[int] = field(row(_COUNT, uint(), uint()), default=[0, 0, 0], late=True)

    def agree(self) -> None:
        numbered = 1 <= self.first <= self.next if self.epoch else self.first == self.next == 0
        if not numbered:
            raise Refused(
                "malformed",
                "hello: expected 1 <= first <= next in an epoch, came %d, %d, epoch %d"
                % (self.first, self.next, self.epoch),
            )


@message("report")
class Reports(Message):
    """Up. Reports of `epoch` with consecutive numbers, oldest first; at least one."""

    epoch: int = field(_COUNT)
    # A single large one has few items, and of many each has its octets within REPORTS_SIZE.
    reports: list[Report] = field(
        small(REPORTS_SIZE, list_of(record_rule(Report), REPORTS_SIZE, 1))
    )


@message("readings")
class Readings(Message):
    """Up. Records of `epoch` (readings.py) with consecutive numbers from `first` on."""

    epoch: int = field(_COUNT)
    first: int = field(uint(UINT64, 1))
    records: list[bytes] = field(
        small(READINGS_SIZE, array_of(octets(MAX_READING, 1), READINGS_SIZE, 1))
    )


@message("pull")
class Pull(Message):
    """Up. Asks for at most `size` octets at `offset` of the package with this SHA-256."""

    digest: bytes = field(DIGEST)
    offset: int = field(_COUNT)
    size: int = field(uint(MAX_CHUNK, 1))


@message("meters")
class Meters(Message):
    """Up. The answer to Ask: meters in the order of their serials, each [serial, its paths], the
    ones after the serial `after`; `more` of them follow the last. A meter without a path is not
    commissioned.
    """

    after: str = field(text(32))
    more: bool = field(BOOL)
    meters: list[list[Any]] = field(array_of(METER, MAX_PAGE))


@message("progress")
class Progress(Message):
    """Up. How the open jobs are at `time`, as far as they have changed since the message before:
    each [id, phase, permille done, meters queued, in hand, done, [[reason, how many queued meters
    wait after it or for it to be over, unix time of that where it is known]], expected end], see
    gateway/jobs/progress.py. phase: of a transfer to many meters at once, else "". The end is unix
    time, 0 while it cannot be judged.
    """

    time: int = field(TIME)
    jobs: list[list[Any]] = field(array_of(_JOB_PROGRESS, MOST_JOBS, 1))


@message("cancel")
class Cancel(Message):
    """Down, signed: the payload inside the envelope. Cancels the job at each meter's next safe
    point. `issued` is seconds since 1970 UTC.
    """

    job_id: bytes = field(ID)
    concentrator: str = field(_CONCENTRATOR)
    issued: int = field(TIME)


@message("pause", "pause")
class Pause(Message):
    """Down, signed: the payload inside the envelope. `paused`: begin with no further meter of the
    job; False: go on. Of two such orders the one `issued` later counts; the HES never gives two
    with the same time.
    """

    job_id: bytes = field(ID)
    concentrator: str = field(_CONCENTRATOR)
    issued: int = field(TIME)
    paused: bool = field(BOOL)


@message("chunk")
class Chunk(Message):
    """Down. Octets of a package of `total` octets. `total` 0: the HES has no package with this
    digest (any more).
    """

    digest: bytes = field(DIGEST)
    offset: int = field(_COUNT)
    total: int = field(_COUNT)
    data: bytes = field(octets(MAX_CHUNK))


@message("ack")
class Ack(Message):
    """Down. All reports of `epoch` up to and with `number` are durable at the HES. 0: none yet."""

    epoch: int = field(_COUNT)
    number: int = field(uint())


@message("resend")
class Resend(Message):
    """Down. Send the reports of `epoch` from `number` on again."""

    epoch: int = field(_COUNT)
    number: int = field(uint(UINT64, 1))


@message("ask")
class Ask(Message):
    """Down. Asks for the meters whose serials come after this one; "": from the first."""

    after: str = field(text(32))


@message("time")
class Time(Message):
    """Down. Seconds since 1970 UTC at the HES. Not signed: it may only correct a clock a little. An
    unset one it sets where it came sealed, and answers the hello with this `nonce`.
    """

    time: int = field(uint(UINT32, 1))
    nonce: bytes = field(_NONCE, default=bytes(16), late=True)


@message("time", "time")
class SignedTime(Message):
    """Down, signed: the payload inside the envelope. Seconds since 1970 UTC at the HES when it
    heard the hello with this `nonce`; counts once, and only soon after that hello.
    """

    concentrator: str = field(_CONCENTRATOR)
    nonce: bytes = field(_NONCE)
    time: int = field(uint(UINT32, 1))


@message("memory")
class Memory(Message):
    """Down. What the HES remembers of the hellos before this one, not lowered by it: the most
    `starts` and `used`, and the last `records` with their `head`. 0: of none.
    """

    starts: int = field(_COUNT)
    used: int = field(uint())
    records: int = field(uint())
    head: bytes = field(DIGEST)
