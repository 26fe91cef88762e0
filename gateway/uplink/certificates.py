"""The concentrator's own certificates for TLS: asked for, taken, tried, and fallen back from; and
word of those that will end soon.

Its key is made here and stays here, wrapped under the board's key. A new certificate is tried at
once. If it does not connect in three attempts, the one before is tried; if that does, the new one
has one more turn, and is dropped then; another key is made after a day. While neither connects
nothing is known, and both are kept. One that has connected takes the place of the one before. So no
certificate, however wrong, cuts the concentrator off.

The file `line.certificate`, replaced as a whole:

    SHA-256 of what follows (32) || CBOR [1, in use, new, [wrapped key, request]]
    in use, new = [wrapped key, [+ certificate in DER]], or null; so is the last one

Where none is in use the settings' files count, as they do when the file is damaged.
"""

from __future__ import annotations

import hashlib

from gateway.contract import envelope
from gateway.contract.line_certificate import LineCertificate, LineStatus
from gateway.contract.refused import Refused
from gateway.contract.rules import UINT32
from gateway.uplink.trust import check_address
from hal.ports import CryptoError
from hal.rt import cbor, log
from hal.rt.calendar import day_text
from hal.rt.certificate import Certificate, pem, pem_blocks
from hal.rt.der import DerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from gateway.contract.meter_keys import Vault
    from gateway.kept_clock import KeptClock
    from hal.ports import Crypto, Storage, Uplink

FILE = "line.certificate"
KEY_NAME = " line"  # under which the vault wraps, no meter's serial
DAY_S = 86_400
RENEW_S = 60 * DAY_S  # before the end, or a third of its life if that is less
WARN_DAYS = (30, 7, 1, 0)
TRIES = 3  # with a new certificate, before the one before is tried
ROUNDS = 2  # of that; the line may have come back just as it was the turn of the one before
ROUND_MS = 600_000  # between them
AGAIN_MS = DAY_S * 1000  # after one that did not connect, before another is asked for
_WHERE = "certificates"


def kept(raw: bytes) -> list[Any] | None:
    """What such a file holds: in use, new, asked for; None if it is damaged."""
    try:
        if hashlib.sha256(raw[32:]).digest() != raw[:32]:
            return None
        _, used, new, asked = cbor.decode(raw[32:])
    except (cbor.CborError, ValueError, TypeError):
        return None
    return [used, new, asked]


class Certificates:
    """`signers`: who may send one, as in envelope.verify(). `enrols`: ask for certificates; else
    only their ends are watched. tell(name, detail) reports an event. OSError of the storage."""

    def __init__(
        self,
        uplink: Uplink,
        concentrator: str,
        signers: Sequence[tuple[bytes, bytes]],
        enrols: bool,
        clock: KeptClock,
        crypto: Crypto,
        storage: Storage,
        vault: Vault,
        tell: Callable[[str, str], None],
    ) -> None:
        self._uplink = uplink
        self._concentrator = concentrator
        self._signers = signers
        self._enrols = enrols
        self._clock = clock
        self._crypto = crypto
        self._storage = storage
        self._vault = vault
        self._tell = tell
        self._used: Any = None
        self._new: Any = None
        self._asked: Any = None
        self._failures = 0  # in a row, with the new one
        self._trying_old = False
        self._rounds = 0
        self._switch_at = 0  # ticks
        self._not_before = 0  # ticks, for another request
        self._warned: dict[str, int] = {}  # whose: the days at which it was told last
        self._load()

    # What the session does.

    def choose(self) -> None:
        """Before a connection: which certificate to show."""
        self._trying_old = self._new is not None and self._failures >= TRIES
        self._show(self._used if self._trying_old or self._new is None else self._new)

    def connected(self) -> None:
        """The one chosen connects."""
        if self._new is None:
            return
        if self._trying_old:
            self._rounds += 1
            if self._rounds >= ROUNDS:
                self._drop_new("it did not connect, and the one before does")
            self._failures = 0
            self._switch_at = self._clock.ticks_ms() + ROUND_MS
            return
        self._used, self._new, self._failures = self._new, None, 0
        self._save()
        own = self._own()
        until = "" if own is None else " until " + day_text(own.not_after)
        self._tell("certificate-changed", "the new certificate connects; it is valid" + until)

    def failed(self) -> None:
        """It does not."""
        if self._new is not None:
            self._failures = 0 if self._trying_old else self._failures + 1

    def is_to_switch(self) -> bool:
        """A new one is here, and the connection that stands is with the one before."""
        return self._new is not None and self._clock.ticks_ms() >= self._switch_at

    def status(self) -> LineStatus:
        """What is told with a hello. Warns of what ends soon, and makes a request if one is due."""
        own, raw = self._own(), self._own_der()
        broker = min([until for _, until in self._uplink.ends], default=0)
        self._warn("ours", 0 if own is None else own.not_after)
        self._warn("the broker's", broker)
        return LineStatus(
            0 if own is None else min(own.not_after, UINT32),
            b"" if own is None else hashlib.sha256(raw).digest(),
            min(broker, UINT32),
            self._request(own),
        )

    def take(self, payload: bytes) -> None:
        """A signed LineCertificate. Refused: as envelope.verify(), `wrong-concentrator`, `expired`,
        `not-yet-valid`, `unknown-key` for a key that is not the one asked for, `malformed`."""
        content, kid = envelope.verify(payload, self._signers, self._crypto)
        message = LineCertificate.decode(content)
        check_address(message, self._concentrator, self._clock.unix_time())
        try:
            chain = [Certificate(raw) for raw in message.chain]
        except DerError as error:
            raise Refused("malformed", str(error))
        own = chain[0]
        if [one for one in (self._new, self._used) if one and one[1] == message.chain]:
            return  # the line brought it twice, or the HES has no word of it yet
        if self._asked is None or own.public != self._public():
            raise Refused("unknown-key", "the certificate is for a key that was not asked for")
        now = self._clock.unix_time()
        if own.not_after < now:
            raise Refused("expired", "it ended on %s" % day_text(own.not_after))
        if own.not_before > now:
            raise Refused("not-yet-valid", "it begins on %s" % day_text(own.not_before))
        self._new, self._asked = [self._asked[0], message.chain], None
        self._failures = self._rounds = self._switch_at = 0
        self._trying_old = False
        self._save()
        what = '"%s" by "%s" until %s' % (own.subject, own.issuer, day_text(own.not_after))
        self._tell("certificate-taken", "%s, sent by %s" % (what, kid.hex()))

    # Inside.

    def _request(self, own: Certificate | None) -> bytes:
        if not self._enrols or self._new is not None:
            return b""
        if self._asked is None and self._is_due(own):
            from gateway.uplink.certificate_request import request  # seldom

            private, public = self._crypto.ec_generate("P-256")
            asked = request(self._concentrator, private, public, self._crypto)
            self._asked = [self._vault.wrap_secret(KEY_NAME, private), asked]
            self._save()
            log.info(_WHERE, "a new key is made, and a certificate asked for")
        return b"" if self._asked is None else bytes(self._asked[1])

    def _is_due(self, own: Certificate | None) -> bool:
        if self._clock.ticks_ms() < self._not_before:
            return False
        if self._used is None or own is None:
            return True  # what the settings name was not made here
        now = self._clock.unix_time()
        early = min(RENEW_S, (own.not_after - own.not_before) // 3)
        return now != 0 and own.not_after - now < early

    def _drop_new(self, why: str) -> None:
        self._new, self._failures, self._trying_old = None, 0, False
        self._show(self._used)
        self._not_before = self._clock.ticks_ms() + AGAIN_MS
        self._save()
        self._tell("certificate-refused", "the new certificate is dropped: " + why)

    def _show(self, one: Any) -> None:
        files = self._uplink.tls
        if files is None:
            return
        files.pair = None
        if one is None:
            return
        from gateway.uplink.certificate_request import key_pem  # not where the settings' serve

        private = self._private(one[0])
        public = self._crypto.ec_public("P-256", private)
        files.pair = (b"".join([pem(raw) for raw in one[1]]), key_pem(private, public))

    def _public(self) -> bytes:
        """Of the key that was asked for."""
        return self._crypto.ec_public("P-256", self._private(self._asked[0]))

    def _private(self, wrapped: bytes) -> bytes:
        """b"" if it is not ours."""
        try:
            return self._vault.unwrap_secret(KEY_NAME, wrapped)
        except CryptoError:
            return b""

    def _own(self) -> Certificate | None:
        """That which is shown."""
        raw = self._own_der()
        try:
            return Certificate(raw) if raw else None
        except DerError:
            return None

    def _own_der(self) -> bytes:
        files = self._uplink.tls
        if files is None:
            return b""
        try:
            return (pem_blocks(files.chain()) or [b""])[0]
        except (OSError, DerError):
            return b""

    def _warn(self, whose: str, until: int) -> None:
        now = self._clock.unix_time()
        if not now or not until:
            return
        left = (until - now) // DAY_S
        reached = [days for days in WARN_DAYS if left < days]
        if not reached:
            self._warned.pop(whose, None)
            return
        if self._warned.get(whose, WARN_DAYS[0] + 1) > reached[-1]:
            self._warned[whose] = reached[-1]
            text = "has ended" if left < 0 else "ends in %d days" % left
            self._tell("certificate-ends", "%s %s, on %s" % (whose, text, day_text(until)))

    def _load(self) -> None:
        if self._storage.size(FILE) < 0:
            return
        found = kept(self._storage.read(FILE))
        if found is None:
            self._damaged("%s is damaged" % FILE)
            return
        self._used, self._new, self._asked = found
        for one in (self._used, self._new, self._asked):
            if one and not self._private(one[0]):
                self._used = self._new = self._asked = None
                self._damaged("its key is wrapped under another board key")
                return

    def _damaged(self, why: str) -> None:
        text = "%s: what the settings name counts; a new one is needed" % why
        log.error(_WHERE, text)
        self._tell("certificate-damaged", text)

    def _save(self) -> None:
        body = cbor.encode([1, self._used, self._new, self._asked])
        try:
            self._storage.replace(FILE, hashlib.sha256(body).digest() + body)
        except OSError as error:
            log.error(_WHERE, "storage: %s" % error)
            raise
