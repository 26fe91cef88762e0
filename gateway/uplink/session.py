"""The conversation with the HES: connects, says what there is, takes orders, sends reports, for
ever.

Nothing is lost with a connection: what matters is in the ledger and on the flash, and each
connection begins by telling the HES where things stand. While there is none, the gateway works on.
"""

from __future__ import annotations

import asyncio

from gateway.contract import envelope, messages
from gateway.contract.job import IMAGE
from gateway.contract.key_change import KeyChange
from gateway.contract.messages import Ack, Ask, Chunk, Hello, Resend, State
from gateway.contract.refused import Refused
from gateway.meters.inventory import InventoryError
from gateway.uplink.files import BAD_DIGEST, COMPLETE, Files
from gateway.uplink.hes_time import HesTime
from gateway.uplink.orders import Orders, digest_of
from gateway.uplink.outbox import Outbox
from gateway.uplink.progress_pace import Telling
from gateway.uplink.trust import KEYS, ORDERS, PACKAGES, TrustStore, check_address
from hal.ports import Message, PortError
from hal.rt import log
from hal.rt.group import Group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from gateway.audit import Audit
    from gateway.jobs.contents import Entry
    from gateway.jobs.ledger import Ledger
    from gateway.jobs.queue import Queue
    from gateway.meters.inventory import Inventory
    from hal.ports import Clock, Crypto, Storage, Uplink

    class About(Protocol):
        """What the birth message tells: texts of at most 64 bytes, counts of this moment."""

        firmware: str
        runtime: str

        def meters_known(self) -> int: ...

        def meters_reachable(self) -> int: ...

        def modems(self) -> list[list[Any]]:
            """Each as MODEM in gateway/contract/status.py."""
            ...

        def meters(self, after: str) -> messages.Meters:
            """The page of meters after this serial."""
            ...

        def knows(self, serial: str) -> bool:
            """Whether the inventory has this meter."""
            ...


CONNECT_MS = 60_000  # certificates take their time at 2 kbit/s
PUBLISH_MS = 60_000  # for a confirmation; with nothing heard for so long the line is dead
PUBLISH_OCTET_MS = 5  # more for each octet of payload: lines go down to 2 kbit/s
FIRST_PAUSE_MS = 1_000
LAST_PAUSE_MS = 60_000
HELLO_MS = 300_000
POLL_MS = 250  # how soon a new report is seen
ASK_MS = 1_000  # between two pages of meters
_WHERE = "uplink"


class Session:
    """`run()` it as one task; `files` serves the activities.

    `signers`: the settings', whom the trust store (trust.py) begins with. `progress` is called at
    each step: at least every few minutes, while connected or not.
    """

    def __init__(
        self,
        uplink: Uplink,
        clock: Clock,
        crypto: Crypto,
        storage: Storage,
        ledger: Ledger,
        queue: Queue,
        concentrator: str,
        signers: Sequence[tuple[bytes, bytes]],
        about: About,
        inventory: Inventory,
        audit: Audit,
        progress: Callable[[], None] | None = None,
    ) -> None:
        self.online = False
        self.trust = TrustStore(storage, signers)
        self.files = Files(storage, crypto, self.trust.of(PACKAGES))
        self._uplink = uplink
        self._clock = clock
        self._crypto = crypto
        self._ledger = ledger
        self._queue = queue
        self._concentrator = concentrator
        self._about = about
        self._inventory = inventory
        self._audit = audit
        orders = self.trust.of(ORDERS)
        self._orders = Orders(
            concentrator, orders, clock, crypto, ledger, about.knows, queue.forecast
        )
        self._time = HesTime(concentrator, orders, clock, crypto, ledger)
        self._outbox = Outbox(ledger)
        self._telling = Telling(queue, clock)
        self._session = 0
        self._hello_due = 0
        self._heard = 0  # ticks
        self._wake = asyncio.Event()
        self._progress = progress
        self._asked: str | None = None  # for the page of meters after this serial
        self._answered = 0  # ticks
        if self.trust.damaged:
            ledger.event("trust-damaged", "nobody is trusted until somebody has been here")
        self._resume()

    async def run(self) -> None:
        """Until cancelled. A connection that cannot be made or breaks is tried again, with pauses
        that double up to a minute, with jitter."""
        pause = FIRST_PAUSE_MS
        while True:
            began = self._clock.ticks_ms()
            self._go_on()
            try:
                await self._connection()
            except (OSError, PortError, asyncio.TimeoutError) as error:
                log.warning(_WHERE, "no connection: %s" % (str(error) or "no answer in time"))
            except Exception as error:  # a fault of ours must not silence the concentrator
                log.error(_WHERE, "fault: %s: %s" % (type(error).__name__, error))
            self.online = False
            if self._clock.ticks_ms() - began > 2 * LAST_PAUSE_MS:
                pause = FIRST_PAUSE_MS
            share = 128 + self._crypto.random(1)[0] // 2  # of 256
            await self._clock.sleep_ms(pause * share // 256)
            pause = min(2 * pause, LAST_PAUSE_MS)

    async def farewell(self) -> None:
        """For an orderly end, after run() was cancelled: tell that we go (a will would not be
        sent).
        """
        if self.online:
            self.online = False
            try:
                await self._publish("state", self._state(False).encode(), True)
            except (OSError, PortError, asyncio.TimeoutError):
                pass
        await self._uplink.disconnect()

    # One connection.

    async def _connection(self) -> None:
        self._session = int.from_bytes(self._crypto.random(4), "big")
        will = Message(self._topic("state"), self._state(False).encode(), True)
        topics = [self._topic(name) for name in messages.DOWN_TOPICS]
        await self._uplink.connect(will, topics, CONNECT_MS)
        waiting = self._ledger.last_number - self._ledger.acknowledged
        log.info(_WHERE, "connected, %d reports wait" % waiting)
        self.online = True
        self._outbox.connected()
        self._telling.connected()
        self.files.disconnected()
        self._hello_due = self._heard = self._clock.ticks_ms()
        group = Group()
        group.start(self._receive())
        group.start(self._send())
        await group.wait()

    async def _receive(self) -> None:
        while True:
            message = await self._uplink.receive()
            self._heard = self._clock.ticks_ms()
            self.take(message)
            self._wake.set()

    async def _send(self) -> None:
        while True:
            self._wake.clear()
            self._go_on()
            if not await self._send_what_is_due():
                try:
                    await self._clock.wait_for_ms(self._wake.wait(), POLL_MS)
                except asyncio.TimeoutError:
                    pass

    async def _send_what_is_due(self) -> bool:
        now = self._clock.ticks_ms()
        sent = False
        if now >= self._hello_due:
            self._hello_due = now + HELLO_MS
            self._tidy()
            self._tell_dropped()
            await self._publish("state", self._state(True).encode(), True)
            await self._publish("hello", self._hello().encode())
            sent = True
        held = [job.package.digest for job in self._queue.held() if job.package is not None]
        for pull in self.files.pulls(now, held):
            await self._publish("pull", pull.encode())
            sent = True
        batch = self._next_batch(now)
        if batch is not None:
            await self._publish("report", batch.encode())
            self._outbox.published(self._clock.ticks_ms())
            sent = True
        told = self._telling.message()
        if told is not None:
            await self._publish("progress", told.encode())
            sent = True
        if self._asked is not None and now - self._answered >= ASK_MS:
            after, self._asked, self._answered = self._asked, None, now
            if not after:
                await self._publish("state", self._state(True).encode(), True)
            await self._publish("meters", self._about.meters(after).encode())
            sent = True
        return sent

    def _go_on(self) -> None:
        if self._progress is not None:
            self._progress()

    async def _publish(self, name: str, payload: bytes, retain: bool = False) -> None:
        """Returns when the broker has it. asyncio.TimeoutError only if meanwhile nothing at all was
        heard; while something is, the line lives, and what is lost is sent again later."""
        began = self._clock.ticks_ms()
        message = Message(self._topic(name), payload, retain)
        try:
            await self._uplink.publish(message, PUBLISH_MS + PUBLISH_OCTET_MS * len(payload))
        except asyncio.TimeoutError:
            if self._heard <= began:
                raise
            log.warning(_WHERE, "%s: no confirmation by the broker" % name)

    def _next_batch(self, now: int) -> messages.Reports | None:
        try:
            return self._outbox.batch(now)
        except OSError as error:
            log.error(_WHERE, "storage: cannot read the reports: %s" % error)
            return None

    # What the gateway tells of itself.

    def _state(self, online: bool) -> State:
        return State(
            self._concentrator,
            self._session,
            online,
            self._ledger.epoch,
            self._ledger.acknowledged + 1,
            self._ledger.last_number + 1,
            self._clock.unix_time(),
            self._about.firmware,
            self._about.runtime,
            len(self._open()),
            self._about.meters_known(),
            self._about.meters_reachable(),
            self._about.modems() if online else [],
        )

    def _hello(self) -> Hello:
        jobs = [entry.job.id for entry in self._open()]
        return Hello(
            self._session,
            self._clock.unix_time(),
            jobs[: messages.MAX_JOBS_IN_HELLO],
            self._time.nonce(),
            self.trust.number,
            self.trust.keys_number,
            self._audit.records,
            self._audit.head,
        )

    def _open(self) -> list[Entry]:
        return [entry for entry in self._ledger.jobs() if not entry.final_number]

    # What comes from the HES.

    def take(self, message: Message) -> None:
        """Do what a message asks. Bad ones are refused and reported; nothing raises but faults of
        ours."""
        prefix = self._topic("")
        topic = message.topic
        oversized = topic.startswith("oversized/")
        if oversized:
            topic = topic[len("oversized/") :]
        name = topic[len(prefix) :]
        if not topic.startswith(prefix) or name not in messages.DOWN_TOPICS:
            return
        try:
            try:
                if oversized:
                    raise Refused("oversized", "at most %d octets" % messages.MAX_MESSAGE)
                self._take(name, message.payload)
            except Refused as refused:
                recorded = self._ledger.refused(
                    name,
                    digest_of(message.payload),
                    refused.job_id,
                    refused.reason,
                    refused.detail,
                )
                if recorded:
                    log.warning(_WHERE, "%s refused: %s" % (name, refused))
        except OSError as error:
            log.error(_WHERE, "%s: storage: %s" % (name, error))

    def _take(self, name: str, payload: bytes) -> None:
        now = self._clock.ticks_ms()
        if len(payload) > messages.MAX_MESSAGE:
            raise Refused("oversized", "at most %d octets" % messages.MAX_MESSAGE)
        if name == "job":
            self._take_job(payload)
        elif name == "cancel":
            self._orders.cancel(payload)
        elif name == "pause":
            self._orders.pause(payload)
        elif name == "chunk":
            self._take_chunk(Chunk.decode(payload), now)
        elif name == "ack":
            self._outbox.acknowledged(Ack.decode(payload), now)
        elif name == "resend":
            self._outbox.resend(Resend.decode(payload))
        elif name == "time":
            self._take_time(payload)
        elif name == "ask":
            self._asked = Ask.decode(payload).after
        elif name == "trust":
            self._take_trust(payload)
        elif name == "keys":
            self._take_keys(payload)

    def _take_job(self, payload: bytes) -> None:
        if self._clock.unix_time() == 0:
            # Its window cannot be judged. Setting the clock brings a hello, and that the job again.
            log.info(_WHERE, "a job has to wait until the clock is set")
            return
        entry = self._orders.job(payload)
        if entry is not None:
            log.info(_WHERE, "job %s: %d meters" % (entry.job.id.hex(), len(entry.job.serials)))
            self._provide(entry)

    def _take_time(self, payload: bytes) -> None:
        unset = self._clock.unix_time() == 0
        self._time.take(payload)
        if unset and self._clock.unix_time():
            self._hello_due = self._clock.ticks_ms()

    def _take_trust(self, payload: bytes) -> None:
        if self._clock.unix_time() == 0:
            log.info(_WHERE, "a change of the trust store has to wait until the clock is set")
            return
        what = self.trust.change(payload, self._concentrator, self._clock, self._crypto)
        self.files.forget_proven()
        log.warning(_WHERE, "trust store: " + what)
        self._ledger.note_if_possible("trust", [self.trust.number, what])
        self._ledger.event("trust-changed", what)
        self._hello_due = self._clock.ticks_ms()  # with the new number

    def _take_keys(self, payload: bytes) -> None:
        if self._clock.unix_time() == 0:
            log.info(_WHERE, "meters' keys have to wait until the clock is set")
            return
        content, kid = envelope.verify(payload, self.trust.of(KEYS), self._crypto)
        change = KeyChange.decode(content)
        check_address(change, self._concentrator, self._clock.unix_time())
        self.trust.check_keys(change.number, content)
        try:
            self._inventory.replace_keys(change.keys)
        except InventoryError as error:
            raise Refused("unwrap-failed", str(error))
        # If the power fails before this, the same message comes again.
        self.trust.took_keys(change.number, content)
        what = "number %d by %s: %d meters" % (change.number, kid.hex(), len(change.keys))
        log.info(_WHERE, "meters' keys: " + what)
        self._ledger.note_if_possible("keys", [change.number, what])
        self._ledger.event("keys-changed", what)
        self._hello_due = self._clock.ticks_ms()

    # Packages.

    def _take_chunk(self, chunk: Chunk, now: int) -> None:
        outcome = self.files.take(chunk, now)
        if outcome is None:
            return
        log.info(_WHERE, "package %s: %s" % (chunk.digest.hex()[:16], outcome))
        for entry in self._open():
            ref = entry.job.package
            if ref is not None and ref.digest == chunk.digest:
                if outcome == COMPLETE:
                    self._provide(entry)
                else:
                    self._queue.fail_job(entry.job.id, BAD_DIGEST)

    def _provide(self, entry: Entry) -> None:
        """Let the job begin if its package is here and good; have it pulled if not here."""
        ref = entry.job.package
        if ref is None or entry.final_number:
            return
        if not self.files.has(ref.digest):
            self.files.want(ref.digest, ref.size)
            return
        try:
            if entry.job.kind == IMAGE:
                self.files.image(ref.digest)
            else:
                self.files.package(ref.digest)
        except Refused as refused:
            self._queue.fail_job(entry.job.id, refused.reason, refused.detail)
        else:
            self._queue.release(entry.job.id)

    def _resume(self) -> None:
        """After a restart: pull on what open jobs still miss."""
        self._tidy()
        for entry in self._open():
            try:
                self._provide(entry)
            except OSError as error:
                log.error(_WHERE, "job %s: storage: %s" % (entry.job.id.hex(), error))

    def _tidy(self) -> None:
        """Packages that no open job needs leave the flash."""
        digests = []
        for entry in self._open():
            if entry.job.package is not None:
                digests.append(entry.job.package.digest)
        try:
            self.files.keep_only(digests)
        except OSError as error:
            log.error(_WHERE, "storage: %s" % error)

    def _tell_dropped(self) -> None:
        try:
            self._ledger.tell_dropped()
        except OSError as error:
            log.error(_WHERE, "storage: %s" % error)

    def _topic(self, name: str) -> str:
        return messages.topic(self._concentrator, name)
