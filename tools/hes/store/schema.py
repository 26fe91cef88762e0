"""The tables of the HES's database, in SQLAlchemy's words, for SQLite and PostgreSQL alike.

They are made and changed by the numbered migrations in `migrations/`, and a test holds that those
lead to what stands here. Times are unix seconds of this machine's clock, save where a report's own
time is kept.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

from hal.rt import log

MAX_NUMBER = (1 << 63) - 1  # as both engines count


class Count(TypeDecorator[int]):
    """A whole number. What a concentrator tells may be larger than any engine holds."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Any) -> int | None:
        return None if value is None else max(-MAX_NUMBER, min(value, MAX_NUMBER))


class Words(TypeDecorator[str]):
    """A text. PostgreSQL holds no character of number 0. Much of it was written by others, so it
    comes out as people may see it: screens, pages, logs and files get what can do nothing there.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else value.replace("\0", "\ufffd")

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else log.printable(value)


class Listed(TypeDecorator[Any]):
    """Lists, numbers and texts, as JSON."""

    impl = JSON
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return _printable(value)


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return log.printable(value)
    if isinstance(value, list):
        return [_printable(each) for each in value]
    if isinstance(value, dict):
        return {log.printable(name): _printable(each) for name, each in value.items()}
    return value


def words(name: str, default: str | None = None, **more: Any) -> Column[str]:
    return Column(name, Words, nullable=False, server_default=default, **more)


def count(name: str, default: str | None = None, **more: Any) -> Column[int]:
    return Column(name, Count, nullable=False, server_default=default, **more)


def octets(name: str, **more: Any) -> Column[bytes]:
    return Column(name, LargeBinary, **{"nullable": False, **more})


def flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def listed(name: str, none_as_null: bool = False) -> Column[Any]:
    return Column(name, Listed(none_as_null=none_as_null), nullable=none_as_null)


def numbers_itself(name: str) -> Column[int]:
    """A key that the engine counts up."""
    return Column(name, BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def of_job(**more: Any) -> Column[bytes]:
    return Column("job", LargeBinary, ForeignKey("jobs.id"), nullable=False, **more)


def key(make: Any, name: str) -> Any:
    return make(name, primary_key=True)


metadata = MetaData()

packages = Table(
    "packages",
    metadata,
    key(octets, "digest"),
    words("name"),
    words("version"),
    octets("content"),
)

# `number` is the order in which jobs were submitted.
jobs = Table(
    "jobs",
    metadata,
    numbers_itself("number"),
    octets("id", unique=True),
    words("concentrator"),
    words("kind"),
    count("submitted"),
    count("priority"),
    count("not_before"),
    count("not_after"),
    count("tries"),
    count("backoff"),
    Column("package", LargeBinary, ForeignKey("packages.digest")),
    listed("attributes"),
    octets("envelope"),
    octets("digest"),
    words("state"),
    words("reason", ""),
    words("detail", ""),
    count("updated"),
    octets("cancel", nullable=True),
    octets("cancel_digest", nullable=True),
    words("cancel_state", ""),
    words("cancel_reason", ""),
    listed("daily"),
    listed("canary"),
    Column("retry_of", LargeBinary, ForeignKey("jobs.id")),
    flag("paused"),
    Index("jobs_by_concentrator", "concentrator", "submitted"),
    Index("jobs_by_state", "state"),
    Index("jobs_by_cancel_state", "cancel_state"),
    Index("jobs_by_digest", "digest"),
)

meters = Table(
    "meters",
    metadata,
    of_job(primary_key=True),
    count("position"),
    key(words, "serial"),
    words("state"),
    words("outcome", ""),
    words("reason", ""),
    words("detail", ""),
    count("attempts", "0"),
    words("path", ""),
    count("duration_ms", "0"),
    listed("value", none_as_null=True),
    count("updated", "0"),
    sqlite_with_rowid=False,
)

pauses = Table(
    "pauses",
    metadata,
    of_job(primary_key=True),
    flag("paused"),
    count("issued"),
    octets("envelope"),
    octets("digest"),
    words("state"),
    words("reason", ""),
    sqlite_with_rowid=False,
)

progress = Table(
    "progress",
    metadata,
    of_job(primary_key=True),
    count("time"),
    words("phase"),
    count("permille"),
    count("queued"),
    count("in_hand"),
    count("done"),
    listed("waiting"),
    count("ends"),
    sqlite_with_rowid=False,
)

# All reports of an epoch up to this number are here; `moved`: when it was reached.
positions = Table(
    "positions",
    metadata,
    key(words, "concentrator"),
    count("epoch", primary_key=True, autoincrement=False),
    count("number"),
    count("moved", "0"),
    sqlite_with_rowid=False,
)

# The last sessions of each concentrator, in the order in which it was heard in them.
sightings = Table(
    "sightings",
    metadata,
    key(words, "concentrator"),
    count("session", primary_key=True, autoincrement=False),
    count("epoch"),
    count("turn"),
    count("time"),
    sqlite_with_rowid=False,
)

concentrators = Table(
    "concentrators",
    metadata,
    key(words, "id"),
    flag("online"),
    count("session"),
    count("epoch"),
    words("firmware"),
    words("runtime"),
    count("jobs_open"),
    count("meters_known"),
    count("meters_reachable"),
    count("seen"),
)

events = Table(
    "events",
    metadata,
    numbers_itself("id"),
    words("concentrator"),
    count("time"),
    words("name"),
    words("detail"),
    Index("events_by_concentrator", "concentrator", "id"),
)

# How many events of a name a concentrator had since then: kept, and only counted.
event_counts = Table(
    "event_counts",
    metadata,
    key(words, "concentrator"),
    key(words, "name"),
    count("since"),
    count("kept"),
    count("more"),
    sqlite_with_rowid=False,
)

# What whoever watches over security is told; `sequence` has no gaps.
security_events = Table(
    "security_events",
    metadata,
    count("sequence", primary_key=True, autoincrement=False),
    count("time"),
    words("concentrator"),
    words("name"),
    words("reason"),
    words("detail"),
)

# How far each receiver of them has been told, by its address.
told_security = Table(
    "told_security",
    metadata,
    key(words, "receiver"),
    count("sequence"),
    sqlite_with_rowid=False,
)

# What the last hello said of numbers taken, of the audit trail, of its reports (epoch 0: nothing),
# and of the models that were sent there: [[name, number]]. `changes`: of the last Change taken.
# `readings_...`: as epoch, first and next, of the stream of readings.
standing = Table(
    "standing",
    metadata,
    key(words, "concentrator"),
    count("trust"),
    count("keys"),
    count("records"),
    octets("head"),
    count("epoch", "0"),
    count("first", "0"),
    count("next", "0"),
    Column("models", Listed, nullable=False, server_default="[]"),
    count("changes", "0"),
    count("readings_epoch", "0"),
    count("readings_first", "0"),
    count("readings_next", "0"),
)

# Of its data folder, as it said at most: how often it was started, how many counters were used.
memories = Table(
    "memories",
    metadata,
    key(words, "concentrator"),
    count("starts"),
    count("used"),
    sqlite_with_rowid=False,
)

# What runs of a concentrator's own tasks came to (reports.TaskRun): times are the concentrator's,
# but `told`. `gaps` is [[reason, meters]].
task_runs = Table(
    "task_runs",
    metadata,
    numbers_itself("id"),
    words("concentrator"),
    words("name"),
    count("due"),
    count("began"),
    count("ended"),
    count("meters"),
    count("complete"),
    count("rows"),
    listed("gaps"),
    count("told"),
    Index("task_runs_by_concentrator", "concentrator", "id"),
)

# Alarms of meters (reports.MeterAlarm): `happened` by the meter's clock, `noticed` by the
# concentrator's, `acknowledged` when somebody said that he attends to it (0: nobody has).
alarms = Table(
    "alarms",
    metadata,
    numbers_itself("id"),
    words("concentrator"),
    words("serial"),
    words("source"),
    listed("bits"),
    count("happened"),
    count("noticed"),
    count("told"),
    words("detail"),
    octets("data"),
    count("acknowledged"),
    Index("alarms_by_concentrator", "concentrator", "id"),
    Index("alarms_open", "acknowledged", "id"),
)

# reports.Outage
outages = Table(
    "outages",
    metadata,
    numbers_itself("id"),
    words("concentrator"),
    flag("over"),
    count("began"),
    count("ended"),
    count("meters"),
    count("first"),
    listed("serials"),
    count("told"),
    Index("outages_by_concentrator", "concentrator", "id"),
)

# As positions, of the stream of readings.
reading_positions = Table(
    "reading_positions",
    metadata,
    key(words, "concentrator"),
    count("epoch", primary_key=True, autoincrement=False),
    count("number"),
    count("moved", "0"),
    sqlite_with_rowid=False,
)

# What the columns of profiles and logs are: Layout of gateway/contract/reading_record.py as it
# came, by the first 8 octets of its SHA-256.
layouts = Table(
    "layouts",
    metadata,
    key(octets, "id"),
    octets("content"),
)

# A profile or log of a meter, as one concentrator reads it; `layout` of its newest rows, `last` the
# time of its last row.
series = Table(
    "series",
    metadata,
    numbers_itself("id"),
    words("concentrator"),
    words("serial"),
    count("class_id"),
    octets("obis"),
    octets("layout"),
    count("last"),
    count("read"),
    Index("series_by_concentrator", "concentrator", "serial", "class_id", "obis", unique=True),
    Index("series_by_serial", "serial"),
)

# The rows of a series of one day (unix time / 86400), packed as days.py says. `times` are those of
# its rows, each counted once.
reading_days = Table(
    "reading_days",
    metadata,
    Column("series", BigInteger, ForeignKey("series.id"), primary_key=True, autoincrement=False),
    count("day", primary_key=True, autoincrement=False),
    key(octets, "layout"),
    count("rows"),
    count("times"),
    count("doubtful"),
    count("invalid"),
    octets("content"),
    Index("reading_days_by_day", "day"),
    sqlite_with_rowid=False,
)

# Attributes as they were at `time`: A-XDR, scaler and unit where known; `reasons` why not simply
# valid, as validation/row.py has them.
reading_values = Table(
    "reading_values",
    metadata,
    numbers_itself("id"),
    words("concentrator"),
    words("serial"),
    words("task"),
    count("time"),
    count("class_id"),
    octets("obis"),
    count("attribute"),
    octets("data"),
    Column("scaler", Integer, nullable=True),
    Column("unit", Integer, nullable=True),
    count("reasons", "0"),
    Index("reading_values_by_serial", "serial", "time"),
    Index("reading_values_by_concentrator", "concentrator", "time"),
)

# Where the meter itself has no rows any more, and why, as its concentrator says: [start, end].
reading_gaps = Table(
    "reading_gaps",
    metadata,
    key(words, "concentrator"),
    key(words, "serial"),
    count("class_id", primary_key=True, autoincrement=False),
    key(octets, "obis"),
    count("start", primary_key=True, autoincrement=False),
    count("end"),
    words("reason"),
    count("told"),
    sqlite_with_rowid=False,
)

# Records of readings that could not be taken, as they came, and why; those of a `layout` that is
# not known yet are taken when it has come.
unread = Table(
    "unread",
    metadata,
    numbers_itself("id"),
    words("concentrator"),
    octets("layout", nullable=True),
    words("why"),
    octets("record"),
    count("told"),
    Index("unread_by_concentrator", "concentrator", "layout"),
)

# When rows that are missing were ordered to be read again: how often, last when, by which job.
rereads = Table(
    "rereads",
    metadata,
    Column("series", BigInteger, ForeignKey("series.id"), primary_key=True, autoincrement=False),
    count("start", primary_key=True, autoincrement=False),
    count("times"),
    count("ordered"),
    octets("job"),
    sqlite_with_rowid=False,
)

# What a concentrator says of the certificates of its line, and when it said so: when its own and
# the broker's end, which its own is (SHA-256), its request for a new one (PKCS#10; empty: none).
line_certificates = Table(
    "line_certificates",
    metadata,
    key(words, "concentrator"),
    count("told"),
    count("until"),
    octets("digest"),
    count("broker"),
    octets("request"),
    sqlite_with_rowid=False,
)

# Signed messages of the topics trust, keys, model, certificate and change; `id` is the order in
# which they were made.
numbered = Table(
    "numbered",
    metadata,
    numbers_itself("id"),
    words("topic"),
    words("concentrator"),
    count("number"),
    words("what"),
    octets("envelope"),
    octets("digest"),
    words("state"),
    words("reason", ""),
    words("detail", ""),
    count("submitted"),
    count("updated"),
    Index("numbered_by_state", "state"),
)

staged_trust = Table(
    "staged_trust",
    metadata,
    key(words, "concentrator"),
    key(octets, "kid"),
    octets("public", nullable=True),
    count("purposes"),
    sqlite_with_rowid=False,
)

modems = Table(
    "modems",
    metadata,
    key(words, "concentrator"),
    count("place", primary_key=True, autoincrement=False),
    words("kind"),
    flag("up"),
    count("nodes"),
    listed("counters"),
    count("told"),
    sqlite_with_rowid=False,
)

# Each path of each meter, as it was told last.
ways = Table(
    "ways",
    metadata,
    key(words, "concentrator"),
    key(words, "serial"),
    count("place", primary_key=True, autoincrement=False),
    words("kind"),
    count("state"),
    count("since"),
    count("heard"),
    count("delivery"),
    count("silent"),
    count("changes"),
    flag("registered"),
    count("told"),
    sqlite_with_rowid=False,
)

way_changes = Table(
    "way_changes",
    metadata,
    key(words, "concentrator"),
    key(words, "serial"),
    key(words, "kind"),
    count("since", primary_key=True, autoincrement=False),
    count("state"),
    sqlite_with_rowid=False,
)

# Concentrators that are being asked for their meters: after which serial, and when last.
asks = Table(
    "asks",
    metadata,
    key(words, "concentrator"),
    words("after"),
    count("sent"),
    sqlite_with_rowid=False,
)

# Which board each concentrator is: the fingerprint of its identity, its key for signatures x||y
# and which of our line keys its last session is by (none before the first), when it was enrolled,
# and when it last agreed on a session (0: never).
enrolled = Table(
    "enrolled",
    metadata,
    key(words, "concentrator"),
    octets("fingerprint", unique=True),
    octets("sign", nullable=True),
    octets("line_key", nullable=True),
    count("since"),
    count("agreed"),
)

# Who was not let in: the latest of each name, and how often that one came.
knocks = Table(
    "knocks",
    metadata,
    key(words, "concentrator"),
    octets("fingerprint"),
    count("first"),
    count("last"),
    count("times"),
    sqlite_with_rowid=False,
)

# The sign of life of `ami-hes serve`.
service = Table(
    "service",
    metadata,
    Column("one", Integer, CheckConstraint("one = 1", name="service_is_one"), primary_key=True),
    words("broker"),
    words("status"),
    Column("beat", Float, nullable=False),
)
