"""New keys for meters, wrapped under the board's key (meter_keys.py), in a signed message.

Numbered like the changes of the trust store, and for the same reason: old keys cannot be put back
by whoever recorded the message that once brought them.
"""

from __future__ import annotations

from gateway.contract.fields import Message, field, message
from gateway.contract.limits import MAX_KEYED
from gateway.contract.meter_keys import WRAPPED_SIZES
from gateway.contract.rules import SERIAL, TIME, UINT32, Rule, row, text, tuples, uint

_WRAPPED = Rule(
    "wrapped keys of %d or %d octets" % WRAPPED_SIZES,
    lambda v: isinstance(v, bytes) and len(v) in WRAPPED_SIZES,
)


@message("keys", "keys")
class KeyChange(Message):
    """Down, signed: the payload inside the envelope. `keys`: (serial, wrapped keys, 48 octets, in
    security suite 2 80).
    `issued` and `not_after` in seconds since 1970 UTC.
    """

    concentrator: str = field(text(64, 1))
    issued: int = field(TIME)
    not_after: int = field(TIME)
    number: int = field(uint(UINT32, 1))
    keys: list[tuple[str, bytes]] = field(tuples(row(SERIAL, _WRAPPED), MAX_KEYED, 1))
