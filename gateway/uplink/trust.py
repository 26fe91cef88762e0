"""Whose signatures count, and for what: the trust store on the flash.

It begins as the settings' signers, each trusted for everything. From then on only a signed message
changes it (topic `trust`, contract/trust_change.py, by a key trusted for TRUST). Once the first is
taken, the settings' signers no longer count: what was removed stays removed. The settings' keys of
the HES, with whom the handshake of the line is made, count until a message brings the first one for
LINE; from then on there is always one. The numbers of the messages with meters' keys
(contract/key_change.py) are kept here, too.

Flash: the same content in `trust.0` and `trust.1`, so that one may be damaged:

    SHA-256 of what follows (32) || CBOR [1, number, digest, [+ key], keys-number, keys-digest]
    key = [kid, x||y, purposes]; a digest is that of the last message, empty before the first
"""

from __future__ import annotations

import hashlib

from gateway.contract import envelope
from gateway.contract.limits import MAX_TRUST_KEYS
from gateway.contract.refused import Refused
from gateway.contract.trust_change import (
    EVERYTHING,
    LINE,
    NAMES,
    TRUST,
    TrustChange,
    TrustKey,
    purposes_text,
)
from hal.ports import CryptoError
from hal.rt import cbor, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from gateway.contract.change import Change
    from gateway.contract.key_change import KeyChange
    from gateway.contract.line_certificate import LineCertificate
    from hal.ports import Clock, Crypto, Storage

    # number, digest, keys; number and digest of the last message with meters' keys
    Content: TypeAlias = "tuple[int, bytes, list[TrustKey], int, bytes]"

SKEW_S = 3600  # how far in the future a message may claim to be issued
_FILES = ("trust.0", "trust.1")
_WHERE = "trust"


class TrustStore:
    """`signers`, `hes_keys`: the settings' (kid, public key x||y 64 octets). OSError of the
    storage."""

    def __init__(
        self,
        storage: Storage,
        signers: Sequence[tuple[bytes, bytes]],
        hes_keys: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        self._storage = storage
        self._hes_keys = hes_keys
        self.number = 0  # of the last message taken
        self.damaged = False
        self._last = b""  # its digest
        self.keys_number = 0  # of the last message with meters' keys
        self._keys_last = b""
        self._keys = [TrustKey(kid, key, EVERYTHING) for kid, key in signers]
        self._lists: dict[int, list[tuple[bytes, bytes]]] = {bit: [] for bit in NAMES}
        self._load()
        self._sort()

    def of(self, purpose: int) -> Sequence[tuple[bytes, bytes]]:
        """(kid, public key) of those trusted for it, for envelope.verify(). Stays up to date."""
        return self._lists[purpose]

    def trusted(self) -> list[TrustKey]:
        return list(self._keys)

    def change(self, raw: bytes, concentrator: str, clock: Clock, crypto: Crypto) -> str:
        """Take a signed TrustChange; durable when it returns what changed, for people.

        Refused: as envelope.verify(), `malformed`, and by name whatever else keeps it from being
        taken; then nothing has changed.
        """
        payload, kid = envelope.verify(raw, self.of(TRUST), crypto)
        change = TrustChange.decode(payload)
        digest = hashlib.sha256(payload).digest()
        check_address(change, concentrator, clock.unix_time())
        check_number(change.number, self.number, digest == self._last)
        keys = _changed(self._keys, change)
        _check_line(self._keys, keys, self._hes_keys)
        for key in change.add:
            _check_point(key, crypto)
        self._save((change.number, digest, keys, self.keys_number, self._keys_last))
        self._sort()
        told = ["+%s for %s" % (key.kid.hex(), purposes_text(key.purposes)) for key in change.add]
        told.extend(["-%s" % gone.hex() for gone in change.remove])
        return "number %d by %s: %s" % (change.number, kid.hex(), ", ".join(told))

    def check_keys(self, number: int, payload: bytes) -> None:
        """Refused unless the message with meters' keys is the next one."""
        same = hashlib.sha256(payload).digest() == self._keys_last
        check_number(number, self.keys_number, same)

    def took_keys(self, number: int, payload: bytes) -> None:
        """The message with this number has been taken, durably."""
        digest = hashlib.sha256(payload).digest()
        self._save((self.number, self._last, self._keys, number, digest))

    def _sort(self) -> None:
        for bit in self._lists:
            # In place: others hold these lists.
            self._lists[bit][:] = [(k.kid, k.public) for k in self._keys if k.purposes & bit]
        if not self._lists[LINE] and not self.damaged:
            self._lists[LINE][:] = self._hes_keys

    def _load(self) -> None:
        best: Content | None = None
        copies = [self._storage.read(name) for name in _FILES if self._storage.size(name) >= 0]
        for copy in copies:
            content = _content(copy)
            if content is not None and (best is None or _steps(content) > _steps(best)):
                best = content
        if best is not None:
            self._hold(best)
            if len(copies) < len(_FILES) or copies[0] != copies[1]:
                self._save(best)
                log.warning(_WHERE, "one of the two copies was old or damaged; made anew")
        elif copies:
            # To go back to the settings would be to trust again whom somebody has removed.
            self._keys = []
            self.damaged = True
            log.error(
                _WHERE,
                "what is on the flash is damaged: nobody is trusted. To begin again with the"
                " signers of the settings, remove %s, %s and folder from the data folder" % _FILES,
            )

    def _hold(self, content: Content) -> None:
        self.number, self._last, self._keys, self.keys_number, self._keys_last = content

    def _save(self, content: Content) -> None:
        number, digest, keys, keys_number, keys_digest = content
        body = cbor.encode(
            [1, number, digest, [key.to_array() for key in keys], keys_number, keys_digest]
        )
        for name in _FILES:
            self._storage.replace(name, hashlib.sha256(body).digest() + body)
        self._hold(content)


def mark_lost(storage: Storage) -> None:
    """There was a trust store, and its files are gone: that is damage, and no beginning."""
    storage.replace(_FILES[0], b"")


def check_address(
    change: TrustChange | KeyChange | LineCertificate | Change, concentrator: str, now: int
) -> None:
    """Refused unless `change` (concentrator, issued, not_after) is for us and of now."""
    if change.concentrator != concentrator:
        raise Refused(
            "wrong-concentrator", "expected %s, came %s" % (concentrator, change.concentrator)
        )
    if change.issued > now + SKEW_S:
        raise Refused("not-yet-valid", "issued at %d, here it is %d" % (change.issued, now))
    if change.not_after < now:
        raise Refused("expired", "valid until %d, here it is %d" % (change.not_after, now))


def check_number(number: int, last: int, same: bool) -> None:
    """Refused unless `number` follows the `last` one taken; `same`: it is the last one again."""
    if number == last and same:
        raise Refused("duplicate", "number %d was taken before" % number)
    if number <= last:
        raise Refused("replayed", "number %d, the last one taken is %d" % (number, last))
    if number != last + 1:
        raise Refused("out-of-order", "number %d, expected %d" % (number, last + 1))


def _changed(keys: list[TrustKey], change: TrustChange) -> list[TrustKey]:
    added = [key.kid for key in change.add]
    if not added and not change.remove:
        raise Refused("malformed", "trust: expected a key to add or to remove, came neither")
    if len(set(added)) != len(added) or [kid for kid in change.remove if kid in added]:
        raise Refused("malformed", "trust: the same key id twice")
    known = [key.kid for key in keys]
    for kid in change.remove:
        if kid not in known:
            raise Refused("unknown-key", "%s is not in the trust store" % kid.hex())
    left = [key for key in keys if key.kid not in added and key.kid not in change.remove]
    left.extend(change.add)
    if len(left) > MAX_TRUST_KEYS:
        raise Refused("malformed", "trust: %d keys, at most %d" % (len(left), MAX_TRUST_KEYS))
    if not [key for key in left if key.purposes & TRUST]:
        raise Refused("last-trust-key", "nobody would be left who may change the trust store")
    return left


def _check_line(
    keys: list[TrustKey], left: list[TrustKey], settings: Sequence[tuple[bytes, bytes]]
) -> None:
    """One use for a key: what makes the handshake signs nothing. And no way back to the settings'
    keys, of which one may have been removed because it is known to others."""
    line = [key.public for key in left if key.purposes == LINE]
    if not line and [key for key in keys if key.purposes == LINE]:
        raise Refused("last-line-key", "no key for the handshake with the HES would be left")
    line += [public for _, public in settings]
    if [key for key in left if key.purposes != LINE and key.public in line]:
        raise Refused("malformed", "trust: a key for the line is for nothing else")


def _check_point(key: TrustKey, crypto: Crypto) -> None:
    try:
        crypto.ecdsa_verify("P-256", key.public, b"", bytes(63) + b"\x01")
    except CryptoError:
        raise Refused("malformed", "trust: key %s is no point of P-256" % key.kid.hex())


def _steps(content: Content) -> int:
    """How many messages were taken: either number only grows."""
    return content[0] + content[3]


def _content(raw: bytes) -> Content | None:
    body = raw[32:]
    if hashlib.sha256(body).digest() != raw[:32]:
        return None
    try:
        _, number, digest, keys, keys_number, keys_digest = cbor.decode(body)
        return number, digest, [TrustKey(*key) for key in keys], keys_number, keys_digest
    except (cbor.CborError, ValueError, TypeError):
        return None
