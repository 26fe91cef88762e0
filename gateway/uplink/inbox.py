"""What comes from the HES: each message to whom it is for. Bad ones are refused, which is reported
and on record, and change nothing.

While the clock is unset nothing is taken but the time, what the HES remembers of us (no meter may
be spoken to with counters that it knows to be used), and orders to cancel or pause a job. Setting
it brings a hello, and that brings the other messages again.
"""

from __future__ import annotations

from hashlib import sha256

from gateway.contract import envelope, messages
from gateway.contract.envelope import digest_of
from gateway.contract.limits import MAX_MESSAGE
from gateway.contract.messages import Ack, Ask, Chunk, Resend
from gateway.contract.refused import Refused
from gateway.contract.signed_model import proven
from gateway.contract.trust_change import KEYS, ORDERS, PACKAGES, SWITCH
from gateway.meters.line_fields import InventoryError
from gateway.uplink.answered import Answered
from gateway.uplink.hes_time import LOCAL, HesTime
from gateway.uplink.orders import Orders
from gateway.uplink.trust import check_address
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.contract.job import Job
    from gateway.jobs.ledger import Ledger
    from gateway.kept_clock import KeptClock
    from gateway.meters.inventory import Inventory
    from gateway.uplink.certificates import Certificates
    from gateway.uplink.changes import Changes
    from gateway.uplink.outbox import Outbox
    from gateway.uplink.past import Past
    from gateway.uplink.provision import Provision
    from gateway.uplink.readings import ReadingsStream
    from gateway.uplink.trust import TrustStore
    from hal.ports import Crypto, Message

_WHERE = "uplink"
_TIMELESS = ("time", "memory", "cancel", "pause")  # taken while the clock is unset
HELLO_AGAIN_MS = 10_000  # between two hellos for reports that are not kept any more
OVERSIZED = "oversized/"  # before the topic of what the line did not take in for its size


class Inbox:
    """`knows(serial)`: whether the inventory has this meter; `forecast(job)` as Queue.forecast().
    `hello_soon()` is called when the HES should have a hello, `meters_asked(after)` when it asks
    for the page of meters after a serial."""

    def __init__(
        self,
        concentrator: str,
        clock: KeptClock,
        crypto: Crypto,
        ledger: Ledger,
        trust: TrustStore,
        inventory: Inventory,
        outbox: Outbox,
        provision: Provision,
        knows: Callable[[str], bool],
        forecast: Callable[[Job], tuple[str, str]],
        hello_soon: Callable[[], None],
        meters_asked: Callable[[str], None],
        changes: Changes,
        past: Past,
    ) -> None:
        self._concentrator = concentrator
        self._prefix = messages.topic(concentrator, "")
        self._clock = clock
        self._crypto = crypto
        self._ledger = ledger
        self._trust = trust
        self._inventory = inventory
        self._outbox = outbox
        self._provision = provision
        self._changes = changes
        self._hello_soon = hello_soon
        self._meters_asked = meters_asked
        self._hello_again = 0  # ticks
        signers = trust.of(ORDERS)
        self._answered = Answered(clock)
        self._orders = Orders(
            concentrator, signers, clock, crypto, ledger, knows, forecast, trust.of(SWITCH)
        )
        self.time = HesTime(concentrator, signers, clock, crypto, ledger)
        self._sealed = False  # of the message in hand
        self._certificates: Certificates | None = None
        self._readings: ReadingsStream | None = None
        self._takers: dict[str, Callable[[bytes], None]] = {
            "job": self._job,
            "cancel": self._orders.cancel,
            "pause": self._orders.pause,
            "chunk": self._chunk,
            "ack": self._ack,
            "resend": self._resend,
            "time": self.take_time,
            "ask": self._ask,
            "trust": self._take_trust,
            "keys": self._take_keys,
            "model": self._take_model,
            "certificate": self._take_certificate,
            "readings-ack": self._readings_ack,
            "readings-resend": self._readings_resend,
            "change": self._take_change,
            "memory": self._take_memory,
        }
        self._past = past

    def watch(self, certificates: Certificates) -> None:
        """These are ours; without them messages for them are refused."""
        self._certificates = certificates

    def stream(self, readings: ReadingsStream) -> None:
        """Whose answers come down; without them those are dropped."""
        self._readings = readings

    def nonce(self) -> bytes:
        """For the hello that is sent now: a signed time answers it."""
        return self.time.nonce()

    def take(self, message: Message, sealed: bool = False) -> None:
        """Do what a message asks. `sealed`: it came inside the HES's session. Nothing raises but
        faults of ours."""
        topic = message.topic
        oversized = topic.startswith(OVERSIZED)
        if oversized:
            topic = topic[len(OVERSIZED) :]
        name = topic[len(self._prefix) :]
        self._sealed = sealed
        if not topic.startswith(self._prefix) or name not in self._takers:
            return
        try:
            try:
                if oversized or len(message.payload) > MAX_MESSAGE:
                    raise Refused("oversized", "at most %d octets" % MAX_MESSAGE)
                if name in _TIMELESS or not self._dateless(name):
                    self._takers[name](message.payload)
            except Refused as refused:
                self._refused(name, message.payload, refused)
        except OSError as error:
            log.error(_WHERE, "%s: storage: %s" % (name, error))

    def _refused(self, name: str, payload: bytes, refused: Refused) -> None:
        # Anybody can put another signature around a good content: that is another message.
        unproven = refused.reason in ("bad-signature", "unknown-signer")
        digest = sha256(payload).digest() if unproven else digest_of(payload)
        if self._answered.is_known(name, digest, refused.reason):
            return
        recorded = self._ledger.refused(
            name, digest, refused.job_id, refused.reason, refused.detail
        )
        if recorded:
            self._answered.note(digest, refused.reason)
            log.warning(_WHERE, "%s refused: %s" % (name, refused))

    def _dateless(self, name: str) -> bool:
        """Whether it has to wait, for want of a date."""
        if self._clock.unix_time():
            return False
        log.info(_WHERE, "%s: not taken until the clock is set" % name)
        return True

    def _job(self, payload: bytes) -> None:
        entry = self._orders.job(payload)
        if entry is not None:
            log.info(_WHERE, "job %s: %d meters" % (entry.job.id.hex(), len(entry.job.serials)))
            self._provision.provide(entry)

    def _chunk(self, payload: bytes) -> None:
        self._provision.take(Chunk.decode(payload), self._clock.ticks_ms())

    def _ack(self, payload: bytes) -> None:
        self._outbox.acknowledged(Ack.decode(payload), self._clock.ticks_ms())

    def _resend(self, payload: bytes) -> None:
        resend = Resend.decode(payload)
        if resend.epoch == self._ledger.epoch and resend.number <= self._ledger.acknowledged:
            # Acknowledged before, and nowhere any more: a hello tells what there still is.
            now = self._clock.ticks_ms()
            if now >= self._hello_again:
                self._hello_again = now + HELLO_AGAIN_MS
                self._hello_soon()
        self._outbox.resend(resend)

    def _readings_ack(self, payload: bytes) -> None:
        ack = Ack.decode(payload)
        if self._readings is not None:
            self._readings.acknowledged(ack, self._clock.ticks_ms())

    def _readings_resend(self, payload: bytes) -> None:
        resend = Resend.decode(payload)
        if self._readings is not None:
            self._readings.resend(resend)

    def _ask(self, payload: bytes) -> None:
        self._meters_asked(Ask.decode(payload).after)

    def correct_clock(self, date: int, vouched: bool, source: str, confirms: bool) -> None:
        """By somebody else than the HES; as HesTime.correct()."""
        unset = self._clock.unix_time() == 0
        self.time.correct(date, vouched, source, confirms)
        if unset:
            self._hello_soon()

    def times(self) -> LocalTimes:
        """What the local port may do to the clock."""
        return LocalTimes(self)

    def take_time(self, payload: bytes) -> None:
        """As HesTime.take()."""
        unset = self._clock.unix_time() == 0
        self.time.take(payload, self._sealed)
        if unset and self._clock.unix_time():
            self._hello_soon()

    def _take_memory(self, payload: bytes) -> None:
        epoch = self._ledger.epoch
        self._past.take(payload, self._sealed)
        if self._ledger.epoch != epoch:
            self._outbox.connected()
            if self._readings is not None:
                self._readings.connected()
            self._hello_soon()

    def _take_trust(self, payload: bytes) -> None:
        what = self._trust.change(payload, self._concentrator, self._clock, self._crypto)
        self._provision.prove_anew()
        log.warning(_WHERE, "trust store: " + what)
        self._ledger.note_if_possible("trust", [self._trust.number, what])
        self._ledger.event("trust-changed", what)
        self._hello_soon()  # with the new number

    def _take_keys(self, payload: bytes) -> None:
        content, kid = envelope.verify(payload, self._trust.of(KEYS), self._crypto)
        from gateway.contract.key_change import KeyChange  # seldom

        change = KeyChange.decode(content)
        check_address(change, self._concentrator, self._clock.unix_time())
        self._trust.check_keys(change.number, content)
        try:
            self._inventory.replace_keys(change.keys)
        except InventoryError as error:
            raise Refused("unwrap-failed", str(error))
        # If the power fails before this, the same message comes again.
        self._trust.took_keys(change.number, content)
        what = "number %d by %s: %d meters" % (change.number, kid.hex(), len(change.keys))
        log.info(_WHERE, "meters' keys: " + what)
        self._ledger.note_if_possible("keys", [change.number, what])
        self._ledger.event("keys-changed", what)
        self._hello_soon()

    def _take_change(self, payload: bytes) -> None:
        self._changes.take(payload)
        self._hello_soon()  # with the new number

    def _take_certificate(self, payload: bytes) -> None:
        if self._certificates is None:
            envelope.split(payload)  # what is none is refused as such
            raise Refused("unknown-key", "the line has no TLS: no certificate was asked for")
        self._certificates.take(payload)
        self._hello_soon()

    def _take_model(self, payload: bytes) -> None:
        content = proven(payload, self._trust.of(PACKAGES), self._crypto)
        model = self._inventory.models().take(content)
        what = "%s number %d by %s" % (model.name, model.number, envelope.split(payload)[0].hex())
        log.info(_WHERE, "model " + what)
        self._ledger.note_if_possible("model", [model.name, model.number, what])
        self._ledger.event("model-taken", what)
        self._provision.model_taken()
        self._hello_soon()


class LocalTimes:
    """The clock for a technician, who has proven himself: as gateway/local/objects.py needs it."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def nonce(self) -> bytes:
        return self._inbox.time.nonce(LOCAL)

    def date(self, seconds: int) -> None:
        self._inbox.correct_clock(seconds, True, "a technician's", True)

    def signed(self, payload: bytes) -> None:
        self._inbox.take_time(payload)
