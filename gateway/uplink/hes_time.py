"""The clock, set by the HES: a little by anybody on the line, further only by a signed time.

A plain Time corrects a clock that runs a little wrong (STG-DC TimeDev, TimeDevOver). Whoever holds
the broker could move the clock with it, and by that open and close windows; so all plain
corrections of one day together stay within FORCED_S, and none goes below the floor of the kept
clock. A plain Time that came sealed is of the HES. If it also answers the last hello (its nonce),
and soon, it is of now, for nobody can have held it back: it sets a clock that is unset, too. A
clock that is wrong by more takes a SignedTime, which answers a hello as well, once. It alone may
lower the floor.
"""

from __future__ import annotations

from gateway.contract import envelope
from gateway.contract.messages import SignedTime, Time
from gateway.contract.refused import Refused
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.jobs.ledger import Ledger
    from gateway.kept_clock import KeptClock
    from hal.ports import Crypto

DEVIATION_S = 30  # of the clock, before it is set (STG-DC TimeDev)
FORCED_S = 3600  # of all plain corrections in a day; further steps are signed (TimeDevOver)
DAY_MS = 86_400_000
ANSWER_MS = 120_000  # how long after the hello its answer counts
CARRIED_MS = 3_600_000  # the same, where a technician carries it to the local port
LINE, LOCAL = "line", "local"
_WHERE = "uplink"


class HesTime:
    """`signers`: who may set the clock, as in envelope.verify()."""

    def __init__(
        self,
        concentrator: str,
        signers: Sequence[tuple[bytes, bytes]],
        clock: KeptClock,
        crypto: Crypto,
        ledger: Ledger,
    ) -> None:
        self._concentrator = concentrator
        self._signers = signers
        self._clock = clock
        self._crypto = crypto
        self._ledger = ledger
        self._asked: dict[str, tuple[bytes, int]] = {}  # LINE, LOCAL: nonce, until which ticks
        self._answered = b""  # the nonce of the last answer taken
        self._moved = 0  # seconds, by plain corrections since `_day` began
        self._day = clock.ticks_ms()

    def nonce(self, where: str = LINE) -> bytes:
        """A new one, 16 octets: for the hello that is sent now, or for the technician who asks."""
        nonce = self._crypto.random(16)
        patience = ANSWER_MS if where == LINE else CARRIED_MS
        self._asked[where] = (nonce, self._clock.ticks_ms() + patience)
        return nonce

    def take(self, payload: bytes, sealed: bool = False) -> None:
        """`sealed`: it came inside a message of the HES's session. Refused: `unsigned-time`,
        `stale-time`, `wrong-concentrator`, and as the decoders and envelope.verify() do; then the
        clock is as it was."""
        if payload[:1] == envelope.TAG_SIGN1:
            content, _ = envelope.verify(payload, self._signers, self._crypto)
            self._take_signed(SignedTime.decode(content))
        else:
            message = Time.decode(payload)
            self.correct(message.time, sealed and self._is_open(message.nonce))

    def correct(
        self, date: int, vouched: bool, source: str = "the HES's", confirms: bool = True
    ) -> None:
        """By a date that is not signed. `vouched`: who says it has proven himself, and may set a
        clock that is unset. `source` is for the log. `confirms`: the floor may follow. Refused
        `unsigned-time`."""
        here, now = self._clock.unix_time(), self._clock.ticks_ms()
        if here == 0 and vouched and date >= self._clock.floor:
            self._set(date, source, confirms)
            self._ledger.note_if_possible("clock", [here, date])
            return
        deviation = abs(date - here)
        if deviation <= DEVIATION_S:
            if confirms:
                self._clock.confirm()
            return
        if now - self._day >= DAY_MS:
            self._day, self._moved = now, 0
        if here == 0 or date < self._clock.floor or self._moved + deviation > FORCED_S:
            raise Refused(
                "unsigned-time",
                "from %d to %d; plain times move it by %d s a day, not below %d"
                % (here, date, FORCED_S, self._clock.floor),
            )
        self._moved += deviation
        self._set(date, source, confirms)

    def _take_signed(self, message: SignedTime) -> None:
        if message.concentrator != self._concentrator:
            raise Refused(
                "wrong-concentrator",
                "expected %s, came %s" % (self._concentrator, message.concentrator),
            )
        if message.nonce == self._answered:
            return  # the line brought it twice
        if not self._is_open(message.nonce):
            raise Refused("stale-time", "it answers another hello, or comes too late")
        self._asked, self._answered = {}, message.nonce
        here = self._clock.unix_time()
        deviation = abs(message.time - here)
        if deviation <= DEVIATION_S:
            self._clock.confirm()
            return
        self._moved = 0
        self._clock.lower(message.time)
        self._set(message.time, "the HES's", True)
        self._ledger.note_if_possible("clock", [here, message.time])
        if here and deviation > FORCED_S:
            self._ledger.event("clock-set", "from %d to %d" % (here, message.time))

    def _is_open(self, nonce: bytes) -> bool:
        """Whether we have asked with it, and not long ago."""
        now = self._clock.ticks_ms()
        return nonce in [asked for asked, until in self._asked.values() if now <= until]

    def _set(self, date: int, source: str, confirms: bool) -> None:
        self._clock.set_unix_time(date)
        if confirms:
            self._clock.confirm()
        log.info(_WHERE, "clock set to %s" % source)
