"""What the HES changes on the concentrator: signed, numbered, each taken once and in order.

What a change says is done first, durably, and then its number counts. If the power fails between
the two, the same message comes again and finds it done: whoever takes a change must not mind.

Flash: the same content in `changes.0` and `changes.1`, so that one may be damaged:

    SHA-256 of what follows (32) || CBOR [1, number, digest of the last message]
"""

from __future__ import annotations

import hashlib

from gateway.contract import envelope
from gateway.contract.change import Change
from gateway.contract.refused import Refused
from gateway.uplink.trust import check_address, check_number
from hal.rt import cbor, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from gateway.jobs.ledger import Ledger
    from hal.ports import Clock, Crypto, Storage

    # each does what a body says, durably, and returns that in words for people; Refused, OSError
    Takers = Sequence[tuple[type, Callable[[Any], str]]]

WHERE = "changes"
_FILES = ("changes.0", "changes.1")


class Changes:
    """`signers`: (kid, public key) of those trusted for orders; `takers`: for each class of body.
    `number`: of the last change taken. OSError of the storage."""

    def __init__(
        self,
        concentrator: str,
        signers: Sequence[tuple[bytes, bytes]],
        clock: Clock,
        crypto: Crypto,
        storage: Storage,
        ledger: Ledger,
        takers: Takers,
    ) -> None:
        self._concentrator = concentrator
        self._signers = signers
        self._clock = clock
        self._crypto = crypto
        self._storage = storage
        self._ledger = ledger
        self._takers = takers
        self.number, self._last = 0, b""
        self._load()

    def take(self, payload: bytes) -> None:
        """Refused: as envelope.verify(), `malformed`, and by name whatever else keeps it from being
        taken; then nothing has changed."""
        content, kid = envelope.verify(payload, self._signers, self._crypto)
        change = Change.decode(content)
        digest = hashlib.sha256(content).digest()
        check_address(change, self._concentrator, self._clock.unix_time())
        check_number(change.number, self.number, digest == self._last)
        done = self._taker(change.body)(change.body)
        self._save(change.number, digest)
        what = "number %d by %s: %s" % (change.number, kid.hex(), done)
        log.info(WHERE, what)
        self._ledger.note_if_possible("change", [change.number, what])
        self._ledger.event("changed", what)

    def _taker(self, body: Any) -> Callable[[Any], str]:
        for kind, taker in self._takers:
            if isinstance(body, kind):
                return taker
        raise Refused("malformed", "change: nothing here takes a %s" % type(body).__name__)

    def _save(self, number: int, digest: bytes) -> None:
        body = cbor.encode([1, number, digest])
        for name in _FILES:
            self._storage.replace(name, hashlib.sha256(body).digest() + body)
        self.number, self._last = number, digest

    def _load(self) -> None:
        copies = [self._storage.read(name) for name in _FILES if self._storage.size(name) >= 0]
        for copy in copies:
            number, digest = _content(copy)
            if number > self.number:
                self.number, self._last = number, digest
        if self.number and (len(copies) < len(_FILES) or copies[0] != copies[1]):
            self._save(self.number, self._last)
            log.warning(WHERE, "one of the two copies was old or damaged; made anew")
        elif copies and not self.number:
            log.error(WHERE, "what is on the flash is damaged: changes begin again with number 1")


def _content(raw: bytes) -> tuple[int, bytes]:
    """Number 0: it is damaged."""
    body = raw[32:]
    if hashlib.sha256(body).digest() != raw[:32]:
        return 0, b""
    try:
        _, number, digest = cbor.decode(body)
        return number, digest
    except (ValueError, TypeError):
        return 0, b""
