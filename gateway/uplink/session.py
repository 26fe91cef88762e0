"""The conversation with the HES: connects, says what there is, takes orders, sends reports, for
ever.

Nothing is lost with a connection: what matters is in the ledger and on the flash, and each
connection begins by telling the HES where things stand. While there is none, the gateway works on.

Where the line is not plain nothing but `state`, signed, and the handshake (line.py) is sent before
a session with the HES stands; then all is sealed, both ways, and what came otherwise is dropped.
"""

from __future__ import annotations

import asyncio

from gateway.contract import messages
from gateway.contract.limits import MAX_JOBS_IN_HELLO
from gateway.contract.messages import HANDSHAKE, Hello, State
from gateway.contract.refused import Refused
from gateway.contract.trust_change import LINE, ORDERS, PACKAGES
from gateway.uplink.changes import Changes
from gateway.uplink.counted import Counted
from gateway.uplink.files import Files
from gateway.uplink.inbox import OVERSIZED, Inbox
from gateway.uplink.outbox import Outbox
from gateway.uplink.progress_pace import ProgressPace
from gateway.uplink.provision import Provision
from gateway.uplink.trust import TrustStore
from hal.ports import Message, PortError
from hal.rt import log
from hal.rt.group import Group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from gateway.jobs.ledger import Ledger
    from gateway.jobs.queue import Queue
    from gateway.kept_clock import KeptClock
    from gateway.meters.inventory import Inventory
    from gateway.uplink.certificates import Certificates
    from gateway.uplink.changes import Takers
    from gateway.uplink.identity import Identity
    from gateway.uplink.line import Line
    from gateway.uplink.past import Past
    from gateway.uplink.readings import ReadingsStream
    from hal.ports import Crypto, Storage, Uplink

    class Status(Protocol):
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
FRESH_MS = 60_000  # a state that was signed so lately need not be told again with the hello
TOO_LARGE_MS = 3_600_000  # between two events of messages that there is no memory for
UNHEARD_MS = 10_000  # a hello that has no answer for so long was not taken
_WHERE = "uplink"


class Session:
    """`run()` it as one task; `files` serves the activities.

    `signers`, `hes_keys`: the settings', with which the trust store (trust.py) begins. `identity`:
    None for a plain line. `changes`: who takes what the HES changes (changes.py). `heartbeat` is
    called at each step: at least every few minutes, while connected or not.
    """

    def __init__(
        self,
        *,
        uplink: Uplink,
        clock: KeptClock,
        crypto: Crypto,
        storage: Storage,
        ledger: Ledger,
        queue: Queue,
        inventory: Inventory,
        status: Status,
        concentrator: str,
        signers: Sequence[tuple[bytes, bytes]],
        past: Past,
        hes_keys: Sequence[tuple[bytes, bytes]] = (),
        identity: Identity | None = None,
        changes: Takers = (),
        heartbeat: Callable[[], None] | None = None,
    ) -> None:
        self.online = False
        self.trust = TrustStore(storage, signers, hes_keys)
        self.files = Files(storage, crypto, self.trust.of(PACKAGES))
        self._uplink = uplink
        self._clock = clock
        self._crypto = crypto
        self._ledger = ledger
        self._queue = queue
        self._inventory = inventory
        self._concentrator = concentrator
        self._status = status
        self._outbox = Outbox(ledger)
        self._provision = Provision(ledger, queue, self.files)
        signers = self.trust.of(ORDERS)
        self._changes = Changes(concentrator, signers, clock, crypto, storage, ledger, changes)
        self.inbox = Inbox(
            concentrator=concentrator,
            clock=clock,
            crypto=crypto,
            ledger=ledger,
            trust=self.trust,
            inventory=inventory,
            outbox=self._outbox,
            provision=self._provision,
            knows=status.knows,
            forecast=queue.forecast,
            hello_soon=self._hello_soon,
            meters_asked=self._meters_asked,
            past=past,
            changes=self._changes,
        )
        self._past = past
        self._certificates: Certificates | None = None
        self._readings: ReadingsStream | None = None
        self._progress_pace = ProgressPace(queue, clock)
        self._session = 0
        self._identity = identity
        self._line: Line | None = None
        if identity is not None:
            from gateway.uplink.line import Line  # a plain line has no use for it

            self._line = Line(concentrator, identity, self.trust.of(LINE), crypto)
        self._agreed = 0  # sessions of the line so far
        self._told_state: int | None = None  # ticks, in this connection
        self._faults = Counted(clock, log.error)
        self._dropped = Counted(clock, log.warning)
        self._too_large_told = 0  # ticks, when it may be told again
        self._hello_due = 0
        self._hello_sent = 0  # ticks
        self._heard = 0  # ticks
        self._wake = asyncio.Event()
        self._heartbeat = heartbeat
        self._asked: str | None = None  # for the page of meters after this serial
        self._answered = 0  # ticks
        if self.trust.damaged:
            ledger.event("trust-damaged", "nobody is trusted until somebody has been here")
        self._provision.resume()

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
                await self._tell_state(False)
            except (OSError, PortError, asyncio.TimeoutError):
                pass
        await self._uplink.disconnect()

    # One connection.

    async def _connection(self) -> None:
        self._session = int.from_bytes(self._crypto.random(4), "big")
        will = Message(self._topic("state"), self._signed_state(False), True)
        topics = [self._topic(name) for name in messages.DOWN_TOPICS]
        if self._line is not None:
            topics.append(self._topic(HANDSHAKE))
        await self._connected(will, topics)
        waiting = self._ledger.last_number - self._ledger.acknowledged
        log.info(_WHERE, "connected, %d reports wait" % waiting)
        self.online = True
        self._told_state = None
        self._heard = self._clock.ticks_ms()
        self._begin()
        if self._line is not None:
            self._line.connected(self._session, self._heard)
        group = Group()
        group.start(self._receive())
        group.start(self._send())
        await group.wait()

    async def _connected(self, will: Message, topics: list[str]) -> None:
        certificates = self._certificates
        if certificates is not None:
            certificates.choose()
        try:
            await self._uplink.connect(will, topics, CONNECT_MS, self._clock.bounds())
        except (OSError, PortError, asyncio.TimeoutError):
            if certificates is not None:
                certificates.failed()
            raise
        if certificates is not None:
            certificates.connected()

    def watch(self, certificates: Certificates) -> None:
        """Show these to the broker, and tell of them."""
        self._certificates = certificates
        self.inbox.watch(certificates)

    def stream(self, readings: ReadingsStream) -> None:
        """Send these, too, from now on."""
        self._readings = readings
        self.inbox.stream(readings)
        self._past.also(readings.store.begin_epoch)
        self._hello_soon()

    async def _receive(self) -> None:
        while True:
            message = await self._uplink.receive()
            self._heard = self._clock.ticks_ms()
            self.take(message)
            self._wake.set()

    def _begin(self) -> None:
        """Of what was on its way, nothing counts as arrived."""
        self._outbox.connected()
        if self._readings is not None:
            self._readings.connected()
        self._progress_pace.connected()
        self.files.disconnected()
        self._hello_due = self._clock.ticks_ms()

    async def _send(self) -> None:
        while True:
            self._wake.clear()
            self._go_on()
            if self._certificates is not None and self._certificates.is_to_switch():
                log.info(_WHERE, "connecting anew, with the new certificate")
                await self._uplink.disconnect()
            if not await self._send_what_is_due():
                try:
                    await self._clock.wait_for_ms(self._wake.wait(), POLL_MS)
                except asyncio.TimeoutError:
                    pass

    async def _send_what_is_due(self) -> bool:
        now = self._clock.ticks_ms()
        if self._line is not None and not await self._protected(self._line, now):
            return False
        sent = False
        if now >= self._hello_due:
            self._hello_due, self._hello_sent = now + HELLO_MS, now
            self._provision.tidy()
            self._tell_dropped()
            if not self._state_is_fresh(now):
                await self._tell_state(True)
            sent |= await self._tell("hello", self._hello)
            if self._certificates is not None:
                sent |= await self._tell("certificates", self._certificates.status)
        if self._line is not None and not self._line.confirmed:
            return sent
        held = [job.package.digest for job in self._queue.held() if job.package is not None]
        for pull in self.files.pulls(now, held):
            sent |= await self._tell("pull", lambda one: one, pull)
        if await self._tell("report", self._outbox.batch, now):
            self._outbox.published(self._clock.ticks_ms())
            sent = True
        sent |= await self._tell("progress", self._progress_pace.message)
        if self._asked is not None and now - self._answered >= ASK_MS:
            after, self._asked, self._answered = self._asked, None, now
            if not after:
                await self._tell_state(True)
            sent |= await self._tell("meters", self._status.meters, after)
        if not sent and self._readings is not None:  # behind all else
            sent = await self._tell("readings", self._readings.batch, now)
            if sent:
                self._readings.published(self._clock.ticks_ms())
        return sent

    async def _protected(self, line: Line, now: int) -> bool:
        """Whether a session with the HES stands. What it takes to come to one is sent here."""
        if self._told_state is None:
            await self._tell_state(True)
        message = line.due(now)
        if message is not None:
            await self._publish(HANDSHAKE, message)
        if line.agreed != self._agreed:
            self._agreed = line.agreed
            self._begin()
        return line.ready

    def _go_on(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat()

    async def _tell(self, name: str, make: Callable[..., Any], *given: Any) -> bool:
        """Whether there was something to send: what `make` gives, None for nothing. What cannot be
        made is left out, and the rest goes on."""
        try:
            content = make(*given)
            if content is None:
                return False
            payload = content.encode()
            if self._line is not None:
                payload = self._line.seal(self._topic(name), payload)
        except OSError as error:
            log.error(_WHERE, "storage: cannot send %s: %s" % (name, error))
            return False
        except Exception as error:
            self._faults.note(_WHERE, "no %s sent: %s: %s" % (name, type(error).__name__, error))
            return False
        await self._publish(name, payload)
        return True

    async def _tell_state(self, online: bool) -> None:
        await self._publish("state", self._signed_state(online), True)
        self._told_state = self._clock.ticks_ms()

    def _state_is_fresh(self, now: int) -> bool:
        """Signing it takes time, and each one is some hundred octets more."""
        if self._line is None or self._told_state is None:
            return False
        return now - self._told_state < FRESH_MS

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

    # What the gateway tells of itself.

    def _signed_state(self, online: bool) -> bytes:
        payload = self._state(online).encode()
        return payload if self._identity is None else self._identity.signed(payload)

    def _state(self, online: bool) -> State:
        return State(
            self._concentrator,
            self._session,
            online,
            self._ledger.epoch,
            self._ledger.acknowledged + 1,
            self._ledger.last_number + 1,
            self._clock.unix_time(),
            self._status.firmware,
            self._status.runtime,
            len(self._ledger.open_jobs()),
            self._status.meters_known(),
            self._status.meters_reachable(),
            self._status.modems() if online else [],
        )

    def _hello(self) -> Hello:
        jobs = [entry.job.id for entry in self._ledger.open_jobs()]
        self._past.told(self._ledger.trail.records, self._ledger.trail.head)
        return Hello(
            self._session,
            self._clock.unix_time(),
            jobs[:MAX_JOBS_IN_HELLO],
            self.inbox.nonce(),
            self.trust.number,
            self.trust.keys_number,
            self._ledger.trail.records,
            self._ledger.trail.head,
            self._models_sent(),
            self._ledger.epoch,
            self._ledger.acknowledged + 1,
            self._ledger.last_number + 1,
            self._past.starts,
            self._past.used,
            self._changes.number,
            [0, 0, 0] if self._readings is None else self._readings.position(),
        )

    def _models_sent(self) -> list[tuple[str, int]]:
        try:
            return self._inventory.models_sent()
        except OSError as error:
            log.error(_WHERE, "storage: cannot read the models: %s" % error)
            return []

    # What comes from the HES.

    def take(self, message: Message) -> None:
        """Do what a message asks (inbox.py), if it is the HES's. Whatever is wrong with it ends
        this message, and nothing else."""
        try:
            if self._line is None:
                self.inbox.take(message)
            else:
                self._take_protected(self._line, message)
        except Exception as error:
            what = "%s: given up: %s: %s" % (message.topic, type(error).__name__, error)
            self._faults.note(_WHERE, what)

    def _take_protected(self, line: Line, message: Message) -> None:
        topic, payload = message.topic, message.payload
        if topic == self._topic(HANDSHAKE):
            line.take(payload, self._clock.ticks_ms())
            return
        if topic.startswith(OVERSIZED):
            self._too_large(topic[len(OVERSIZED) :])
            return
        confirmed = line.confirmed
        try:
            plain = line.open(topic, payload)
        except MemoryError:
            self._too_large(topic)
            return
        except Refused as refused:
            if refused.reason != "repeated":
                self._dropped.note(_WHERE, "%s: dropped: %s" % (topic, refused))
            return
        if line.confirmed and not confirmed:
            self._hello_unheard()
        message.payload = payload = b""  # twice is too much for a small board
        self.inbox.take(Message(topic, plain, False), True)

    def _too_large(self, topic: str) -> None:
        """Nothing proves whose it was, so it is no refusal, and told seldom. The HES sends it again
        after the next hello."""
        self._dropped.note(_WHERE, "%s: dropped: too large, or no memory for it" % topic)
        now = self._clock.ticks_ms()
        if now >= self._too_large_told:
            self._too_large_told = now + TOO_LARGE_MS
            self._ledger.event("message-too-large", "%s: no memory for it, or no such size" % topic)

    def _hello_unheard(self) -> None:
        """The HES has begun to use the session: it did not, as long as we were not enrolled."""
        if self._clock.ticks_ms() - self._hello_sent >= UNHEARD_MS:
            self._hello_soon()

    def _hello_soon(self) -> None:
        self._hello_due = self._clock.ticks_ms()

    def _meters_asked(self, after: str) -> None:
        self._asked = after

    def _tell_dropped(self) -> None:
        try:
            self._ledger.tell_dropped()
        except OSError as error:
            log.error(_WHERE, "storage: %s" % error)

    def _topic(self, name: str) -> str:
        return messages.topic(self._concentrator, name)
