"""The pre-established client of a fleet (SAP 102 by convention): no AARQ, no authentication of its
own. It reads the meter's identity and brings images, each meter for itself under its unicast keys,
or all at once by unconfirmed ACTIONs, in clear or under the key the fleet shares.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.data import axdr
from gateway.dlms.errors import ProtocolError
from tools.meter.access import Access
from tools.meter.association import ASSOCIATED, AssociationLN, SecuritySetup
from tools.meter.model import FLEET, Meter
from tools.meter.protection import AUTHENTICATED, ENCRYPTED, KEY_SIZES, Damaged, Guard, gcm_open
from tools.meter.services import Services

CONFORMANCE = acse.GET | acse.ACTION | acse.MULTIPLE_REFERENCES | acse.BLOCK_GET
KEY_SET = 0x40  # security control: the broadcast key
IMAGE = 18
_GLO_ACTION, _ACTION = 0xCB, 0xC3
_REMEMBERED = 64


@dataclass(frozen=True)
class Fleet:
    """What all meters of a fleet know: the client's system title, and the keys of its broadcasts
    (TEST KEYS). `clear`: they take broadcasts in clear; `ciphered`: under these keys."""

    client_title: bytes
    broadcast_key: bytes
    broadcast_ak: bytes
    clear: bool = False
    ciphered: bool = True

    def __repr__(self) -> str:
        return "Fleet(%s)" % self.client_title.hex()


def derive_test_fleet(seed: int, client_title: bytes, clear: bool = False) -> Fleet:
    """TEST KEYS, derived from a public seed: for virtual meters only."""

    def derive(what: str) -> bytes:
        text = "ami-concentrator TEST FLEET KEY %d %s" % (seed, what)
        return hashlib.sha256(text.encode()).digest()[:16]

    return Fleet(client_title, derive("broadcast"), derive("authentication"), clear, not clear)


class FleetClient:
    """That client's association with one meter. `limit`: the longest APDU either way."""

    def __init__(self, meter: Meter, security: SecuritySetup, fleet: Fleet, limit: int) -> None:
        self._fleet = fleet
        self._faults = meter.faults
        self._guard = Guard(security, fleet.client_title)
        association = AssociationLN(meter, FLEET, acse.NONE, ciphered=True)
        association.status = ASSOCIATED
        association.conformance = CONFORMANCE
        association.max_receive = association.max_send = limit
        self._limit = limit
        self._services = Services(meter, association, limit, CONFORMANCE)
        self._access = Access(meter, association)
        self._counted = -1  # of broadcasts, accepted last
        self._suite = security.suite

    def broadcast(self, raw: bytes) -> bool:
        """Take an unconfirmed ACTION, if it is one; nothing is ever answered to it."""
        if raw[0] == _GLO_ACTION:
            opened = _opened(raw, self._fleet, self._suite) if self._fleet.ciphered else None
            if opened is None:
                return False
            counter, plain = opened
            if plain is None or counter <= self._counted:
                return True
            self._counted = counter
        elif raw[0] == _ACTION and self._fleet.clear:
            plain = raw
        else:
            return False
        request = _request(plain)
        if request is not None and request.class_id == IMAGE and not self._faults.no_broadcast:
            self._access.invoke(request.class_id, request.obis, request.method, request.data)
        return True

    def answer(self, raw: bytes) -> bytes:
        """A unicast request under the meter's own keys. Damaged, Stale."""
        plain = self._guard.open(raw)
        answer = self._services.handle(plain, self._limit - self._guard.room())
        if answer and answer[0] != apdu.EXCEPTION_RESPONSE:
            answer = self._guard.seal(answer)
        return answer


# A broadcast is the same for a thousand meters: what they would each work out for themselves is
# worked out once.
_plain: OrderedDict[tuple[bytes, bytes], tuple[int, bytes | None] | None] = OrderedDict()
_decoded: OrderedDict[bytes, apdu.ActionRequest | None] = OrderedDict()


def _opened(raw: bytes, fleet: Fleet, suite: int) -> tuple[int, bytes | None] | None:
    """(counter, plain APDU or None where it is forged); None when it is no broadcast."""
    key = (raw, fleet.broadcast_key)
    if key not in _plain:
        _plain[key] = _open(raw, fleet, suite)
        if len(_plain) > _REMEMBERED:
            _plain.popitem(last=False)
    return _plain[key]


def _open(raw: bytes, fleet: Fleet, suite: int) -> tuple[int, bytes | None] | None:
    try:
        size, start = axdr.length_at(raw, 1)
    except ProtocolError:
        return None
    if start + size != len(raw) or size < 6 or not raw[start] & KEY_SET:
        return None
    control = raw[start]
    head = raw[start + 1 : start + 5]
    counter = int.from_bytes(head, "big")
    if control != KEY_SET | AUTHENTICATED | ENCRYPTED | suite:
        return counter, None
    if len(fleet.broadcast_key) != KEY_SIZES[suite]:
        return counter, None
    nonce = fleet.client_title + head
    try:
        sealed = raw[start + 5 :]
        return counter, gcm_open(fleet.broadcast_key, nonce, control, fleet.broadcast_ak, sealed)
    except Damaged:
        return counter, None


def _request(plain: bytes) -> apdu.ActionRequest | None:
    if plain not in _decoded:
        try:
            request = apdu.decode(plain)
        except ProtocolError:
            request = None
        unconfirmed = isinstance(request, apdu.ActionRequest) and not request.invoke & 0x40
        _decoded[plain] = request if unconfirmed else None
        if len(_decoded) > _REMEMBERED:
            _decoded.popitem(last=False)
    return _decoded[plain]
