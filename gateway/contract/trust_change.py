"""A change of the trust store (gateway/uplink/trust.py): keys come with their purposes, keys go.

The messages to one concentrator are numbered 1, 2, 3 ...; each number is taken once and in order,
so neither a replay nor a rollback gets anywhere.
"""

from __future__ import annotations

from gateway.contract.fields import Message, Record, field, list_of, message, record, record_rule
from gateway.contract.limits import MAX_TRUST_KEYS
from gateway.contract.purposes import (
    EVERYTHING,
    KEYS,
    LINE,
    NAMES,
    ORDERS,
    PACKAGES,
    SWITCH,
    TRUST,
    purposes_text,
)
from gateway.contract.rules import TIME, UINT32, Rule, array_of, every, octets, text, uint

__all__ = (
    "EVERYTHING",
    "KEYS",
    "LINE",
    "NAMES",
    "ORDERS",
    "PACKAGES",
    "SWITCH",
    "TRUST",
    "TrustChange",
    "TrustKey",
    "purposes_text",
)

_KID = octets(32, 1)
_PURPOSES = every(
    uint(EVERYTHING | LINE | SWITCH, 1),
    Rule("the line alone, or others", lambda v: v == LINE or not v & LINE),
)


@record()
class TrustKey(Record):
    """`public` x||y, 64 octets; `purposes` the bits of purposes.py, or LINE alone."""

    kid: bytes = field(_KID)
    public: bytes = field(octets(64, 64))
    purposes: int = field(_PURPOSES)


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
