"""What the HES orders, signed: proven, checked, and put into the ledger before anyone answers.

Every order that is not taken raises Refused and has changed nothing.
"""

from __future__ import annotations

from gateway.contract import envelope
from gateway.contract.job import Job, State
from gateway.contract.kinds import MOST_OCTETS
from gateway.contract.messages import Cancel, Pause
from gateway.contract.purposes import NAMES, SWITCH
from gateway.contract.refused import Refused
from gateway.contract.result import KO, Result
from gateway.jobs.ledger import ACCEPTING
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.jobs.entry import Entry
    from gateway.jobs.ledger import Ledger
    from hal.ports import Clock, Crypto

SKEW_S = 3600  # how far in the future an order may claim to be issued
REPEATED = ("duplicate", "already-ended")  # what is there already, sent once more
_OVER = "it has ended, or ends already"


class Orders:
    """`trust` as in envelope.verify(), of keys for orders, `switch` of those for people's supply;
    `known(serial)` tells whether the inventory has a meter; `forecast(job)` as Queue.forecast().
    """

    def __init__(
        self,
        concentrator: str,
        trust: Sequence[tuple[bytes, bytes]],
        clock: Clock,
        crypto: Crypto,
        ledger: Ledger,
        known: Callable[[str], bool],
        forecast: Callable[[Job], tuple[str, str]],
        switch: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        self._concentrator = concentrator
        self._trust = trust
        self._clock = clock
        self._crypto = crypto
        self._ledger = ledger
        self._known = known
        self._forecast = forecast
        self._switch = switch

    def job(self, raw: bytes) -> Entry | None:
        """Take a job. The ledger's entry if it is now there for the first time; None if the ledger
        itself refused it, and said so in its outbox (duplicate, no room).
        """
        payload, kid = envelope.verify(raw, list(self._trust) + list(self._switch), self._crypto)
        job = Job.decode(payload)
        self._check_purpose(job, kid)
        # Of a job that is known the ledger says what became of it, however late it comes: so any
        # other refusal tells the HES that it is not here. Where an order about it came first, it is
        # taken and ends in the ledger: a refusal would not fit the answer to that order any more.
        known = self._ledger.knows(job.id)
        job.check(self._concentrator, 0 if known else self._clock.unix_time(), SKEW_S)
        most = MOST_OCTETS[job.traits.takes]
        if job.package is not None and job.package.size > most:
            raise Refused(
                "oversized",
                "package: expected at most %d octets, came %d" % (most, job.package.size),
                job.id,
            )
        if not known and not [serial for serial in job.serials if self._known(serial)]:
            raise Refused(
                "unknown-meter",
                "none of the %d meters is in the inventory" % len(job.serials),
                job.id,
            )
        warning, detail = self._forecast(job)
        with self._ledger.batch():
            answer = self._ledger.accept(job, payload, warning, detail, kid)
            if answer not in ACCEPTING:
                if answer not in REPEATED:
                    log.warning("uplink", "job %s refused: %s" % (job.id.hex(), answer))
                return None
            entry = self._ledger.entry(job.id)
            if entry is not None and not entry.final_number:
                self._reject_unknown(entry)
        return entry

    def _check_purpose(self, job: Job, kid: bytes) -> None:
        wanted = job.traits.purpose
        trusted = self._switch if wanted == SWITCH else self._trust
        if kid not in [key[0] for key in trusted]:
            text = "a job of kind %s takes a key that is trusted for %s; %s is not"
            text = text % (job.traits.name, NAMES[wanted], kid.hex())
            raise Refused("not-permitted", text, job.id)

    def cancel(self, raw: bytes) -> None:
        """Take a cancel."""
        payload, kid = envelope.verify(raw, self._trust, self._crypto)
        cancel = Cancel.decode(payload)
        self._check(cancel)
        if not self._ledger.cancel(cancel.job_id, kid, cancel.issued):
            raise Refused("unknown-job", _OVER, cancel.job_id)

    def pause(self, raw: bytes) -> None:
        """Take an order to pause or resume a job."""
        payload, kid = envelope.verify(raw, self._trust, self._crypto)
        order = Pause.decode(payload)
        self._check(order)
        refused = self._ledger.pause(order.job_id, order.paused, order.issued, kid)
        if refused == "unknown-job":
            raise Refused(refused, _OVER, order.job_id)
        if refused == "outdated":
            raise Refused(refused, "issued at %d" % order.issued, order.job_id)
        # A duplicate has been answered: that report is on its way.

    def _check(self, order: Cancel | Pause) -> None:
        """That it is for this concentrator and this time."""
        if order.concentrator != self._concentrator:
            raise Refused(
                "wrong-concentrator",
                "expected %s, came %s" % (self._concentrator, order.concentrator),
                order.job_id,
            )
        now = self._clock.unix_time()
        if now and order.issued > now + SKEW_S:
            raise Refused(
                "not-yet-valid",
                "issued at %d, here it is %d" % (order.issued, now),
                order.job_id,
            )

    def _reject_unknown(self, entry: Entry) -> None:
        """The meters that are not in the inventory have their answer at once; the others go on."""
        for index, serial in enumerate(entry.job.serials):
            if not self._known(serial):
                self._ledger.finished(entry.seq, index, State.REJECTED, Result(KO, "unknown-meter"))
