"""A change of the trust store (gateway/uplink/trust.py): keys come with their purposes, keys go.

The messages to one concentrator are numbered 1, 2, 3 ...; each number is taken once and in order,
so neither a replay nor a rollback gets anywhere. Purposes are bits: ORDERS jobs, cancels, commands
and the time; PACKAGES; TRUST the trust store; KEYS the meters' keys; LINE the handshake with the
HES. What a key for LINE does is no signature, so it serves nothing else, and EVERYTHING is without
it.
"""

from __future__ import annotations

from gateway.contract.fields import Message, Record, field, list_of, message, record, record_rule
from gateway.contract.limits import MAX_TRUST_KEYS
from gateway.contract.rules import TIME, UINT32, array_of, octets, text, uint

ORDERS = 1
PACKAGES = 2
TRUST = 4
KEYS = 8
EVERYTHING = ORDERS | PACKAGES | TRUST | KEYS
LINE = 16
NAMES = {ORDERS: "orders", PACKAGES: "packages", TRUST: "trust", KEYS: "keys", LINE: "line"}

_KID = octets(32, 1)


@record()
class TrustKey(Record):
    """`public` x||y, 64 octets; `purposes` the bits above, or LINE alone."""

    kid: bytes = field(_KID)
    public: bytes = field(octets(64, 64))
    purposes: int = field(uint(LINE, 1))


@message("trust", "trust")
class TrustChange(Message):
    """Down, signed: the payload inside the envelope. `add` first, of known kids too (then the
    purposes are the new ones), `remove` kids then. `issued` and `not_after` in seconds since 1970
    UTC.
    """

    concentrator: str = field(text(64, 1))
    issued: int = field(TIME)
    not_after: int = field(TIME)
    number: int = field(uint(UINT32, 1))
    add: list[TrustKey] = field(list_of(record_rule(TrustKey), MAX_TRUST_KEYS))
    remove: list[bytes] = field(array_of(_KID, MAX_TRUST_KEYS))


def purposes_text(purposes: int) -> str:
    return "+".join([NAMES[bit] for bit in sorted(NAMES) if purposes & bit])
