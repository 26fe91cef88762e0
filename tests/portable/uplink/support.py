"""What the tests of the uplink share: a signer, every message, and a HES on a line that breaks."""

from __future__ import annotations

import asyncio
import hashlib
import sys

from gateway.audit import Audit
from gateway.contract import envelope, messages
from gateway.contract.change import Change
from gateway.contract.edhoc.frames import error_message
from gateway.contract.job import Job, PackageRef
from gateway.contract.key_change import KeyChange
from gateway.contract.kinds import CONFIGURE, READ
from gateway.contract.limits import MAX_MESSAGE
from gateway.contract.line_certificate import LineCertificate, LineStatus
from gateway.contract.messages import (
    Ack,
    Ask,
    Cancel,
    Chunk,
    Hello,
    Meters,
    Pause,
    Pull,
    Reports,
    Resend,
    SignedTime,
    State,
    Time,
)
from gateway.contract.meter_change import MeterEntry, MetersPut, MetersRemoved
from gateway.contract.meter_keys import Vault
from gateway.contract.package import Action, Check, Package, Set
from gateway.contract.reading_record import numbered
from gateway.contract.reports import (
    Dropped,
    Event,
    JobReport,
    MeterAlarm,
    MeterReport,
    Outage,
    Refusal,
    Report,
    TaskRun,
)
from gateway.contract.restart import Restart
from gateway.contract.task import (
    ALL,
    CLOCK,
    DAYS,
    LIST,
    PROFILE,
    WEEKS,
    Every,
    Item,
    Task,
    TaskRemoved,
)
from gateway.contract.trust_change import EVERYTHING, LINE, TrustChange, TrustKey
from gateway.folder import Folder
from gateway.jobs.ledger import Ledger
from gateway.jobs.queue import Queue as JobQueue
from gateway.kept_clock import KeptClock
from gateway.meters.counters import Counters
from gateway.meters.inventory import Inventory
from gateway.tasks.book import Book
from gateway.uplink.hes_time import FORCED_S
from gateway.uplink.identity import identity_of
from gateway.uplink.past import Past
from gateway.uplink.session import Session
from hal.ports import Message
from hal.rt.queue import Queue
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.jobs.told import told
from tests.portable.uplink.protected import Guard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.ports import Crypto, Shown, Storage

KID = b"hes-1"
# The public key of the private key 7, and the curve's order and the x of its base point.
PUBLIC = bytes.fromhex(
    "8e533b6fa0bf7b4625bb30667c01fb607ef9f8b8a80fef5b300628703187b2a3"
    "73eb1dbde03318366d069f83a6f5900053c73633cb041b21c55e1a86c1f400b4"
)
_PRIVATE = 7
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_GX = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
_OTHER = bytes.fromhex(
    "b889863b087621f890c0be2dfbe7d1fd5a1c932b63d016c848017618cc1d5bcb"
    "0940d20137428b3b7d0ea17f26bd1d6a9c5aa6c7e140834aa30c526a7f6fa3b7"
)
TRUST = [(KID, PUBLIC)]
OTHER_TRUST = [(KID, _OTHER)]

BOARD_KEY = bytes(range(100, 132))
HERE = "c-0042"
NOW = 1_800_000_000
HOUR = 3600
KNOWN = ["AMI0000000001", "AMI0000000002", "AMI0000000003"]


def crypto() -> Crypto:
    """The machine's own."""
    if sys.implementation.name == "micropython":
        from hal.micropython.crypto import SystemCrypto as Machine
    else:
        from hal.cpython.crypto import SystemCrypto as Machine
    machine: Crypto = Machine()
    return machine


def private_sign(structure: bytes) -> bytes:
    """A real ES256 signature, though one that gives the key away: the nonce is 1."""
    digest = int.from_bytes(hashlib.sha256(structure).digest(), "big")
    s = (digest + _GX * _PRIVATE) % _N
    return _GX.to_bytes(32, "big") + s.to_bytes(32, "big")


def signed(payload: bytes, kid: bytes = KID) -> bytes:
    return envelope.sign(payload, kid, private_sign)


def package(filler: int = 0) -> Package:
    """`filler` octets more than it needs."""
    octets = b"\x09\x82" + filler.to_bytes(2, "big") + bytes(filler)
    return Package(
        "interval-900",
        "3",
        "for tests",
        [("AMI-E450", ["V02."]), ("AMI-X", [])],
        [
            Set(7, bytes((1, 0, 99, 1, 0, 255)), 4, b"\x06\x00\x00\x03\x84"),
            Set(
                1,
                bytes((0, 0, 96, 1, 0, 255)),
                2,
                octets,
            ),
            Action(
                20,
                bytes((0, 0, 13, 0, 0, 255)),
                1,
                None,
                Check(20, bytes((0, 0, 13, 0, 0, 255)), 2, b"\x09\x00"),
            ),
        ],
        [Check(7, bytes((1, 0, 99, 1, 0, 255)), 4, b"\x06\x00\x00\x03\x84")],
    )


def every_report() -> list[Report]:
    job_id = bytes(range(16))
    bodies: list[Any] = [
        JobReport(job_id, "queued", "accepted", ""),
        MeterReport(job_id, "AMI1", "failed", "KO", "no-answer", "plc, rf", 3, "", 61000, None),
        MeterReport(
            job_id, "AMI2", "succeeded", "VALUE", "read", "", 1, "rf", 9, [b"\x12\x03\x84"]
        ),
        Refusal("job", bytes(32), None, "bad-signature", "the key did not sign this"),
        Refusal("cancel", bytes(32), job_id, "unknown-job", ""),
        Dropped(9),
        Event("clock-set", "from 1 to 2"),
        TaskRun("night", NOW, NOW, NOW + HOUR, 24, 22, 2300, [["no-answer", 2]]),
        MeterAlarm("AMI1", "alarm-descriptor-1", [0, 13], 0, "", b"\x06\x00\x00\x20\x01"),
        MeterAlarm("AMI2", "data-notification", [], NOW, "a push", b""),
        Outage(False, NOW, NOW + 60, 33, 33, ["AMI3"]),
    ]
    return [Report(3 + i, NOW * (i % 2), bodies[i]) for i in range(len(bodies))]


def a_meter() -> MeterEntry:
    return MeterEntry("A2", [("plc", "0080e1000001")], "idis", 1, 0xFFFF, bytes(8))


def every_task() -> list[Task]:
    clock = Item(CLOCK, "", [(8, bytes([0, 0, 1, 0, 0, 255]), 2)])
    return [
        Task(
            "night",
            0,
            Every(DAYS, 1, 10, 0),
            5,
            [ALL, []],
            [Item(PROFILE, "load-profile")],
            995,
            31,
            0,
        ),
        Task("noon", NOW, Every(WEEKS, 2, 720, 127), 8, [LIST, ["A1"]], [clock], 1000, 0, 2, True),
    ]


def every_message() -> list[Any]:
    """At least one of each kind (Cancel, SignedTime, TrustChange travel in an envelope)."""
    digest = bytes(range(32))
    return [
        State(HERE, 77, True, 5, 1, 9, NOW, "1.0", "cpython 3.11", 2, 24, 23),
        State(HERE, 0, False, 0xFFFFFFFF, 1, 1, 0, "", "", 0, 0, 0),
        State(HERE, 1, True, 1, 1, 1, 0, "", "", 0, 9, 9, [["plc", True, 9, {"a": 1 << 40}]]),
        Meters("", False, []),
        Meters("A1", True, [["A2", [["rf", 2, NOW, 0, NOW, 90, 31, 255, False]]], ["A3", []]]),
        messages.Progress(NOW, [[bytes(16), "", 0, 3, 0, 0, [], 0]]),
        messages.Progress(
            0, [[bytes(range(16)), "blocks", 431, 4, 290, 6, [["no-answer", 3]], NOW + 900]]
        ),
        Ask(""),
        Ask("A1"),
        Hello(77, NOW, [bytes(16), bytes(range(16))]),
        Hello(0, 0, []),
        Hello(1, NOW, [], bytes(range(16)), 3, 4, 1 << 40, bytes(range(32))),
        Hello(1, NOW, [], bytes(16), 0, 0, 0, bytes(32), [("idis", 2), ("x", 0xFFFFFFFF)]),
        Hello(1, NOW, [], epoch=5, first=3, next=9),
        Hello(1, NOW, [], models=[("idis", 2)], epoch=5, first=3, next=9, starts=2),
        Hello(1, NOW, [], epoch=5, first=1, next=1, starts=0xFFFFFFFF, used=1 << 40),
        Hello(1, NOW, [], changes=3),
        Hello(1, NOW, [], readings=[7, 1, 9]),
        Reports(5, every_report()),
        messages.Readings(7, 1, [b"\x00"]),
        messages.Readings(7, 1 << 40, [bytes(8192), b"\x01"]),
        Change(HERE, NOW, NOW + HOUR, 1, every_task()[0]),
        Change(HERE, NOW, NOW + HOUR, 2, every_task()[1]),
        Change(HERE, NOW, NOW + HOUR, 3, TaskRemoved("noon")),
        Change(HERE, NOW, NOW + HOUR, 4, MetersPut([MeterEntry("A1", []), a_meter()])),
        Change(HERE, NOW, NOW + HOUR, 5, MetersRemoved(["A1", "A2"])),
        Change(HERE, NOW, NOW + HOUR, 6, Restart("")),
        Change(HERE, NOW, NOW + HOUR, 7, Restart("w" * 64)),
        Pull(digest, 0, 4096),
        Cancel(bytes(16), HERE, NOW),
        Pause(bytes(16), HERE, NOW, True),
        Pause(bytes(16), HERE, NOW, False),
        Chunk(digest, 4096, 5000, bytes(904)),
        Chunk(digest, 0, 0, b""),
        Ack(5, 0),
        Ack(5, 1 << 63),
        Resend(5, 1),
        Time(NOW),
        Time(NOW, bytes(range(16))),
        SignedTime(HERE, bytes(range(16)), NOW),
        TrustChange(HERE, NOW, NOW + HOUR, 1, [TrustKey(KID, PUBLIC, EVERYTHING)], [b"gone"]),
        TrustChange(HERE, NOW, NOW + HOUR, 2, [TrustKey(b"line-1", PUBLIC, LINE)], []),
        TrustChange(HERE, NOW, NOW + HOUR, 0xFFFFFFFF, [], []),
        LineStatus(0, b"", 0, b""),
        LineStatus(NOW, digest, 0xFFFFFFFF, bytes(1024)),
        LineCertificate(HERE, NOW, NOW + HOUR, [b"\x30"]),
        LineCertificate(HERE, NOW, NOW + HOUR, [bytes(2048)] * 4),
        KeyChange(HERE, NOW, NOW + HOUR, 1, [("AMI1", bytes(48)), ("AMI2", bytes(range(48)))]),
        KeyChange(
            HERE,
            NOW,
            NOW + HOUR,
            2,
            [("A", bytes(80), 2500000000, b""), ("B", b"", 0, bytes(24)), ("C", bytes(48))],
        ),
    ]


class Hes:
    """As messages.py describes it, in RAM.

    packages: by digest. orders: (topic, envelope) not answered yet. lose: names of the topics whose
    messages vanish, either way. heard: (topic, message) of what came, in order. guard: its half of
    the line's protection; None: the line is plain.
    """

    def __init__(self, clock: ManualClock, guard: Guard | None = None) -> None:
        self.clock = clock
        self.guard = guard
        self.packages: dict[bytes, bytes] = {}
        self.orders: list[tuple[str, bytes]] = []
        self.lose: list[str] = []
        self.heard: list[tuple[str, Any]] = []
        self.state: State | None = None
        self.epoch = 0
        self.number = 0
        self.reports: list[Report] = []
        self.readings: list[tuple[int, Any]] = []
        self.line: Line | None = None
        self.acknowledging = True

    def tell(self, name: str, payload: bytes) -> None:
        if self.line is not None and name not in self.lose:
            topic = "ami/v1/%s/%s" % (HERE, name)
            whole: bytes | None = payload
            if self.guard is not None and name != messages.HANDSHAKE:
                whole = self.guard.sealed(topic, payload)
            if whole is not None:
                self.line.deliver(Message(topic, whole))

    def order(self, name: str, raw: bytes) -> None:
        self.orders.append((name, raw))
        self.tell(name, raw)

    def take(self, message: Message) -> None:
        name = message.topic.split("/")[3]
        if name in self.lose:
            return
        kinds: dict[str, Any] = {
            "state": State,
            "hello": Hello,
            "report": Reports,
            "pull": Pull,
            "meters": Meters,
            "progress": messages.Progress,
            "certificates": LineStatus,
            "readings": messages.Readings,
        }
        assert message.retain == (name == "state")
        payload = message.payload if self.guard is None else self._unguarded(name, message)
        if payload is None:
            return
        content = kinds[name].decode(payload)
        assert len(payload) <= MAX_MESSAGE
        self.heard.append((name, content))
        if name == "state":
            self.state = content
        elif name == "hello":
            self._tell_time(content)
            self._acknowledge()
            for order in self.orders:
                self.tell(order[0], order[1])
        elif name == "report":
            self._take_reports(content)
        elif name == "readings":
            self._take_readings(content)
        elif name == "pull":
            whole = self.packages.get(content.digest, b"")
            data = whole[content.offset : content.offset + content.size]
            self.tell("chunk", Chunk(content.digest, content.offset, len(whole), data).encode())

    def _unguarded(self, name: str, message: Message) -> bytes | None:
        """None: nothing more is to be done with it."""
        guard = self.guard
        assert guard is not None
        if name == messages.HANDSHAKE:
            answer = guard.handshake(message.payload)
            if answer is not None:
                self.tell(name, answer)
            return None
        if name == "state":
            return guard.state(message.payload)
        unknown = guard.unknown
        plain = guard.opened(message.topic, message.payload)
        if guard.unknown > unknown and not guard.away:
            self.tell(messages.HANDSHAKE, error_message())
        return plain

    def _tell_time(self, hello: Hello) -> None:
        time = Time(self.clock_time()).encode()
        if abs(self.clock_time() - hello.time) > FORCED_S:
            time = signed(SignedTime(HERE, hello.nonce, self.clock_time()).encode())
        self.tell("time", time)

    def clock_time(self) -> int:
        return NOW + self.clock.ticks_ms() // 1000

    def bodies(self, kind: type[Any]) -> list[Any]:
        return [report.body for report in self.reports if isinstance(report.body, kind)]

    def reasons(self) -> list[str]:
        return [refusal.reason for refusal in self.bodies(Refusal)]

    def count(self, name: str) -> int:
        return len([1 for heard in self.heard if heard[0] == name])

    def _take_reports(self, content: Reports) -> None:
        self.epoch = content.epoch
        for report in content.reports:
            if report.number > self.number + 1:
                self.tell("resend", Resend(self.epoch, self.number + 1).encode())
                break
            if report.number == self.number + 1:
                self.reports.append(report)
                self.number = report.number
                if isinstance(report.body, (JobReport, Refusal)):
                    self._answered(report.body)
        self._acknowledge()

    def _take_readings(self, content: messages.Readings) -> None:
        had = self.readings[-1][0] if self.readings else 0
        if content.first > had + 1:
            self.tell("readings-resend", Resend(content.epoch, had + 1).encode())
            return
        for number, reading in numbered(content.first, content.records):
            if number > had:
                self.readings.append((number, reading))
        self.tell("readings-ack", Ack(content.epoch, self.readings[-1][0]).encode())

    def _answered(self, body: JobReport | Refusal) -> None:
        if body.job_id is not None:
            self.orders = [o for o in self.orders if body.job_id not in o[1]]

    def _acknowledge(self) -> None:
        if self.epoch and self.acknowledging:
            self.tell("ack", Ack(self.epoch, self.number).encode())


class Line:
    """The Uplink port straight to a Hes.

    `cut()` breaks the connection. up False: there is none to be had. stuck: half-open, nothing
    passes and nobody notices. twice: each message comes twice. backwards: those to the gateway come
    in pairs, the second one first.
    """

    def __init__(self, hes: Hes, clock: ManualClock) -> None:
        self.hes = hes
        self.up = True
        self.stuck = False
        self.attempts: list[int] = []  # ticks
        self.topics: list[str] = []
        self.tls: Shown | None = None
        self.ends: list[tuple[str, int]] = []
        self._clock = clock
        self._inbox: Queue[Message | None] | None = None
        self._will: Message | None = None
        self.twice = False
        self.backwards = False
        self._kept: list[Message] = []
        hes.line = self

    async def connect(
        self,
        will: Message | None,
        topics: list[str],
        timeout_ms: int,
        bounds: tuple[int, int] = (0, 0xFFFFFFFF),
    ) -> None:
        self.attempts.append(self._clock.ticks_ms())
        self.cut()
        if not self.up:
            raise OSError(111, "nobody there")
        self.topics = topics
        self._will = will
        self._inbox = Queue(1000)

    async def publish(self, message: Message, timeout_ms: int) -> None:
        if self.stuck:
            await self._clock.sleep_ms(timeout_ms)
            raise asyncio.TimeoutError()
        if self._inbox is None:
            raise OSError(104, "gone")
        self.hes.take(message)
        if self.twice:
            self.hes.take(message)
        await asyncio.sleep(0)

    async def receive(self) -> Message:
        inbox = self._inbox
        message = None if inbox is None else await inbox.get()
        if message is None:
            raise OSError(104, "gone")
        return message

    async def disconnect(self) -> None:
        self._inbox = None

    def deliver(self, message: Message) -> None:
        """To the gateway."""
        if self._inbox is None or self.stuck or message.topic not in self.topics:
            return
        self._kept.append(message)
        if self.backwards and len(self._kept) < 2:
            return
        while self._kept:
            for _ in range(2 if self.twice else 1):
                self._inbox.put_nowait(self._kept[-1])
            self._kept.pop()

    def cut(self) -> None:
        inbox, self._inbox = self._inbox, None
        self._kept = []
        if inbox is not None:
            inbox.put_nowait(None)
            if self._will is not None:
                self.hes.take(self._will)


class Limits:
    jobs = 4
    ledger_bytes = 1 << 20
    free_bytes = 0


class Status:
    firmware = "1.0"
    runtime = "test"

    def meters_known(self) -> int:
        return len(KNOWN)

    def meters_reachable(self) -> int:
        return 2

    def modems(self) -> list[Any]:
        return [["plc", True, 3, {"sent": 7}]]

    def meters(self, after: str) -> Meters:
        return Meters(after, False, [[serial, []] for serial in KNOWN if serial > after])

    def knows(self, serial: str) -> bool:
        return serial in KNOWN


class World:
    """A gateway's uplink with its real ledger and queue, a line, and a HES.

    `start()`, let `clock.run()`, `stop()`; `boot()` in between is a restart. `known`: the serials
    in the inventory, KNOWN if None. `protected`: the line is not plain.
    """

    def __init__(
        self,
        unix: int = NOW,
        storage: Storage | None = None,
        known: list[str] | None = None,
        protected: bool = False,
    ) -> None:
        self.clock = ManualClock(unix, 1000)
        self.storage: Any = storage or MemoryStorage()
        self.status = Status()
        if known is not None:
            self.status.knows = lambda serial: serial in known  # type: ignore[method-assign]
        self.crypto = crypto()
        self.hes = Hes(self.clock, Guard(self.crypto) if protected else None)
        self.line = Line(self.hes, self.clock)
        self._task: asyncio.Task[None] | None = None
        self.boot()

    def boot(self) -> None:
        """What a start of the gateway makes from the storage."""
        self.kept = KeptClock(self.clock, self.storage)
        self.audit = Audit(self.storage, self.clock, 1 << 16)
        self.ledger = Ledger(self.storage, self.clock, self.crypto.random, Limits(), self.audit)
        self.queue = JobQueue(self.ledger, self.clock, self.crypto.random)
        self.inventory = Inventory(self.storage, Vault(self.crypto, BOARD_KEY))
        self.book = Book(self.storage, list)
        identity, hes_keys = None, []
        if self.hes.guard is not None:
            identity = identity_of(self.storage, self.crypto, BOARD_KEY)
            hes_keys = self.hes.guard.peers
        self.session = Session(
            uplink=self.line,
            clock=self.kept,
            crypto=self.crypto,
            storage=self.storage,
            ledger=self.ledger,
            queue=self.queue,
            inventory=self.inventory,
            status=self.status,
            concentrator=HERE,
            signers=TRUST,
            hes_keys=hes_keys,
            identity=identity,
            past=self.past(),
            changes=[(Task, self.book.set), (TaskRemoved, self.book.remove)],
        )

    def past(self) -> Past:
        folder = Folder(self.storage, Vault(self.crypto, BOARD_KEY), lambda: True)
        return Past(folder, Counters(self.storage, bytes), self.ledger)

    async def start(self) -> None:
        self._task = asyncio.create_task(self.session.run())
        await self.clock.run(1000)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            try:
                await self._task
            except asyncio.CancelledError:
                pass
            self._task = None
        self.line.cut()

    def agree(self) -> None:
        """A handshake at once, without a connection."""
        line, guard = self.session._line, self.hes.guard
        assert line is not None and guard is not None
        line.connected(1, 0)
        for _ in range(2):
            message = line.due(0)
            assert message is not None
            answer = guard.handshake(message)
            if answer is not None:
                line.take(answer, 0)
        guard.opened(HERE, line.seal(HERE, b""))

    def give(self, name: str, payload: bytes) -> None:
        """A message straight into the session; sealed where the line is not plain."""
        topic = "ami/v1/%s/%s" % (HERE, name)
        if self.hes.guard is not None:
            sealed = self.hes.guard.sealed(topic, payload)
            assert sealed is not None
            payload = sealed
        self.session.take(Message(topic, payload))

    def refusals(self) -> list[str]:
        """Reasons of the refusals in the outbox, oldest first."""
        return [report.reason for report in told(self.ledger, 0, 1000) if report.kind == "refusal"]


def read_job(number: int = 1, **changes: Any) -> Job:
    """A job of kind read for two meters, with some fields changed."""
    job = Job(
        bytes(15) + bytes([number]),
        READ,
        HERE,
        NOW,
        5,
        0,
        NOW + HOUR,
        3,
        10,
        KNOWN[:2],
        None,
        [(1, bytes((0, 0, 42, 0, 0, 255)), 2)],
    )
    for name in changes:
        setattr(job, name, changes[name])
    return job


def configure_job(raw: bytes, number: int = 1, **changes: Any) -> Job:
    """A job of kind configure with the package file `raw`."""
    ref = PackageRef("interval-900", len(raw), hashlib.sha256(raw).digest())
    job = read_job(number, kind=CONFIGURE, objects=[], package=ref)
    for name in changes:
        setattr(job, name, changes[name])
    return job
