"""The envelope around a model of meter, apart from model.py: what nobody has signed is refused
before anything is loaded that reads a model."""

from __future__ import annotations

from gateway.contract import envelope
from gateway.contract.refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from hal.ports import Crypto

MAX_SIGNED = 4096  # octets of a signed model


def proven(raw: bytes, trust: Sequence[tuple[bytes, bytes]], crypto: Crypto) -> bytes:
    """What a key of `trust` signed. Refused `bad-model`, `unknown-signer`, `bad-signature`."""
    if len(raw) > MAX_SIGNED:
        raise Refused("bad-model", "a model of %d octets, at most %d" % (len(raw), MAX_SIGNED))
    try:
        payload, _ = envelope.verify(raw, trust, crypto)
    except Refused as refused:
        if refused.reason != "malformed":
            raise
        raise Refused("bad-model", refused.detail)
    return payload
