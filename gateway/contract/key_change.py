"""New keys for meters, wrapped under the board's key (meter_keys.py), in a signed message.

Numbered like the changes of the trust store, and for the same reason: old keys cannot be put back
by whoever recorded the message that once brought them.
"""

from __future__ import annotations

from gateway.contract.limits import MAX_KEYED
from gateway.contract.meter_keys import WRAPPED_SIZES
from gateway.contract.shape import (
    UINT32,
    VERSION,
    Rule,
    array_of,
    decoded,
    require,
    row,
    text,
    uint,
)
from hal.rt import cbor

SERIAL = Rule(
    "a serial of 1..32 printable ASCII characters",
    lambda v: isinstance(v, str) and 1 <= len(v) <= 32 and all("!" <= c <= "~" for c in v),
)


_WRAPPED = Rule(
    "wrapped keys of %d or %d octets" % WRAPPED_SIZES,
    lambda v: isinstance(v, bytes) and len(v) in WRAPPED_SIZES,
)


class KeyChange:
    """Down, signed: the payload inside the envelope. `keys`: (serial, wrapped keys, 48 octets, in
    security suite 2 80).
    `issued` and `not_after` in seconds since 1970 UTC.
    """

    __slots__ = ("concentrator", "issued", "keys", "not_after", "number")

    def __init__(
        self,
        concentrator: str,
        issued: int,
        not_after: int,
        number: int,
        keys: list[tuple[str, bytes]],
    ) -> None:
        self.concentrator = concentrator
        self.issued = issued
        self.not_after = not_after
        self.number = number
        self.keys = keys

    NAMES = "version kind concentrator issued not-after number keys"
    RULES = [
        VERSION,
        Rule('"keys"', lambda v: v == "keys"),
        text(64, 1),
        uint(UINT32),
        uint(UINT32),
        uint(UINT32, 1),
        array_of(row(SERIAL, _WRAPPED), MAX_KEYED, 1),
    ]

    def encode(self) -> bytes:
        return cbor.encode(
            [
                1,
                "keys",
                self.concentrator,
                self.issued,
                self.not_after,
                self.number,
                [list(entry) for entry in self.keys],
            ]
        )

    @classmethod
    def decode(cls, payload: bytes) -> KeyChange:
        """Refused `malformed`."""
        fields = require(decoded(payload, "keys"), "keys", cls.NAMES, cls.RULES)
        entries = [(serial, wrapped) for serial, wrapped in fields[6]]
        return cls(fields[2], fields[3], fields[4], fields[5], entries)
