"""New keys for meters, wrapped under the board's key (meter_keys.py), in a signed message.

Numbered like the changes of the trust store, and for the same reason: old keys cannot be put back
by whoever recorded the message that once brought them.
"""

from __future__ import annotations

from gateway.contract.fields import Message, field, message
from gateway.contract.limits import MAX_KEYED
from gateway.contract.meter_keys import WRAPPED_SECRET, WRAPPED_SIZES
from gateway.contract.rules import (
    HEAD,
    SERIAL,
    TIME,
    UINT32,
    Rule,
    called,
    either,
    octets,
    row,
    text,
    tuples,
    uint,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NO_KEYS = called("0 octets", octets(0))
_WRAPPED = Rule(
    "wrapped keys of %d or %d octets" % WRAPPED_SIZES,
    lambda v: isinstance(v, bytes) and len(v) in WRAPPED_SIZES,
    size=(HEAD + WRAPPED_SIZES[1], 1, 0),
)
_SECRET = Rule(
    "a wrapped secret of %d..%d octets" % WRAPPED_SECRET,
    lambda v: isinstance(v, bytes) and WRAPPED_SECRET[0] <= len(v) <= WRAPPED_SECRET[1],
    size=(HEAD + WRAPPED_SECRET[1], 1, 0),
)
_KEYS = row(SERIAL, _WRAPPED)
_MORE = row(SERIAL, either(_WRAPPED, _NO_KEYS), uint(UINT32), either(_SECRET, _NO_KEYS))


@message("keys", "keys")
class KeyChange(Message):
    """Down, signed: the payload inside the envelope. `keys`: (serial, wrapped keys, 48 octets, in
    security suite 2 80), or (serial, these or none, the invocation counter to begin with or 0, the
    wrapped secret or none). `issued` and `not_after` in seconds since 1970 UTC.
    """

    concentrator: str = field(text(64, 1))
    issued: int = field(TIME)
    not_after: int = field(TIME)
    number: int = field(uint(UINT32, 1))
    keys: list[tuple[Any, ...]] = field(tuples(either(_KEYS, _MORE), MAX_KEYED, 1))
