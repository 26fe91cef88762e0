"""The concentrator begins anew: a body of a Change (change.py)."""

from __future__ import annotations

from gateway.contract.fields import Record, field, record
from gateway.contract.rules import text


@record(5)
class Restart(Record):
    """Soon after it was taken, and once. `why` is for people, who find it in its log."""

    why: str = field(text(64))
