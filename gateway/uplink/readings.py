"""Sends the readings to the HES until it acknowledges them: one message at a time, a few where the
answers come quickly, and again when it stays silent.

Sans-IO, as outbox.py. The session asks for a message only when it has nothing else to send: what
happened goes ahead of what was read, and on a slow line waits for one of these messages at most.
"""

from __future__ import annotations

from gateway.contract.limits import READINGS_SIZE
from gateway.contract.messages import Readings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.messages import Ack, Resend
    from gateway.readings.store import Store
    from hal.ports import Clock

WINDOW = 4  # messages on their way at most
QUICK_MS = 2_000  # an answer so soon lets one more be on its way
PATIENCE_MS = 60_000  # without progress, before sending again; doubles up to MAX_PATIENCE_MS
MAX_PATIENCE_MS = 960_000
_AROUND = 120  # octets around the records of a message: its own, the sealing, MQTT
_KB = 1000
_DAY = 86400


class ReadingsStream:
    """`kb_day`: so many kB of readings go over the line in a day (UTC) and life, 0: as many as
    there are."""

    def __init__(self, store: Store, clock: Clock, kb_day: int = 0) -> None:
        self.store = store
        self._clock = clock
        self._most = kb_day * _KB
        self._used = self._day = 0
        self._patience_ms = PATIENCE_MS
        self.connected()

    def connected(self) -> None:
        """A new connection: whatever is not acknowledged is sent anew."""
        self._on_their_way: list[tuple[int, int]] = []  # last number, when sent
        self._window = 1
        self._sent = self._furthest = self.store.acknowledged
        self._deadline_ms = 0

    def position(self) -> list[int]:
        """For the hello: epoch, oldest number not acknowledged, next number."""
        store = self.store
        return [store.epoch, store.first, store.next] if store.epoch else [0, 0, 0]

    def batch(self, now_ms: int) -> Readings | None:
        """The next message, which then counts as sent; None if there is nothing to send at this
        tick. OSError of the storage."""
        store = self.store
        if self._on_their_way and now_ms >= self._deadline_ms:
            self._on_their_way, self._window = [], 1
            self._sent = store.acknowledged
            self._patience_ms = min(2 * self._patience_ms, MAX_PATIENCE_MS)
        if len(self._on_their_way) >= self._window or self._sent >= store.released:
            return None
        if self._is_used_up():
            return None
        records, last = store.records(self._sent, READINGS_SIZE)
        if not records:
            return None
        first = self._sent + 1
        self._sent = last
        self._furthest = max(self._furthest, last)
        self._on_their_way.append((last, now_ms))
        self._used += sum([len(one) for one in records]) + _AROUND
        return Readings(store.epoch, first, records)

    def published(self, now_ms: int) -> None:
        """The message is on its way: from here the HES is waited for."""
        self._deadline_ms = now_ms + self._patience_ms

    def acknowledged(self, ack: Ack, now_ms: int) -> None:
        """Counts up to what was sent over this connection, as Outbox.acknowledged()."""
        store = self.store
        if ack.epoch != store.epoch or ack.number > store.last_number:
            return
        number = min(ack.number, self._furthest)
        if number > store.acknowledged:
            store.acknowledge(number)
            self._patience_ms = PATIENCE_MS
            self._deadline_ms = now_ms + self._patience_ms
        done = [sent for last, sent in self._on_their_way if last <= number]
        if done:
            quick = now_ms - done[-1] <= QUICK_MS
            self._window = min(self._window + 1, WINDOW) if quick else 1
        self._on_their_way = [one for one in self._on_their_way if one[0] > number]
        self._sent = max(self._sent, number)

    def resend(self, resend: Resend) -> None:
        """From that number on, but no further back than the first that is not acknowledged."""
        if resend.epoch == self.store.epoch and resend.number <= self._sent:
            self._on_their_way = []
            self._sent = max(resend.number - 1, self.store.acknowledged)

    def _is_used_up(self) -> bool:
        day = self._clock.unix_time() // _DAY
        if day != self._day:
            self._day, self._used = day, 0
        return bool(self._most) and self._used >= self._most
