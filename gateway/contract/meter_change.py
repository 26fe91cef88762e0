"""Meters that come to a concentrator, or go: bodies of a Change (change.py).

Keys do not travel here: they come wrapped, in a KeyChange, once the meter is known.
"""

from __future__ import annotations

from gateway.contract.fields import Record, field, list_of, record, record_rule
from gateway.contract.limits import MAX_METERS
from gateway.contract.model_name import NAME, OWN
from gateway.contract.rules import SERIAL, array_of, either, octets, row, text, token, tuples, uint

MAX_PUT = 500  # meters in one message: it stays below 128 KiB
MAX_PATHS = 4

_TITLE = either(octets(8, 8), octets(0))


@record()
class MeterEntry(Record):
    """As a line of meters.jsonl (gateway/meters/inventory.py) has it. `client`, `server` 0 and an
    empty `title`: none is given.
    """

    serial: str = field(SERIAL)
    paths: list[tuple[str, str]] = field(tuples(row(token(16), text(80, 1)), MAX_PATHS))
    model: str = field(NAME, default=OWN)
    client: int = field(uint(0xFFFF), default=0)
    server: int = field(uint(0xFFFF), default=0)
    title: bytes = field(_TITLE, default=b"")


@record(3)
class MetersPut(Record):
    """These meters are here, as they stand now; what was known of the same serials is replaced."""

    meters: list[MeterEntry] = field(list_of(record_rule(MeterEntry), MAX_PUT, 1))


@record(4)
class MetersRemoved(Record):
    """These meters are here no longer, nor are their keys. One that is not known is none."""

    serials: list[str] = field(array_of(SERIAL, MAX_METERS, 1))
