"""A row of a profile or an event log as the head-end holds it, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hal.rt import cbor

# Why a reading is not simply valid: bits, and what people read.
WENT_BACK = 1
AFTER_GAP = 2
SPIKE = 4
FUTURE = 8
DUPLICATE = 16
FLAGGED = 32
STATUS = 64
ROLLED_OVER = 128
NO_VALUE = 256
OFF_PERIOD = 512
OWN_RULE = 1024
REASONS = {
    WENT_BACK: "a register that only counts up is lower than before",
    AFTER_GAP: "rows are missing before it",
    SPIKE: "far more than at any other time",
    FUTURE: "later than it was read",
    DUPLICATE: "another row has the same time and other values",
    FLAGGED: "the concentrator had to repair or doubt its time",
    STATUS: "the meter says that it is not valid",
    ROLLED_OVER: "a register began again at 0",
    NO_VALUE: "a value is missing",
    OFF_PERIOD: "its time is not one of the profile's period",
    OWN_RULE: "a rule of the utility",
}
_INVALID = WENT_BACK | FUTURE | DUPLICATE | STATUS | OWN_RULE

VALID, DOUBTFUL, INVALID = "valid", "doubtful", "invalid"


@dataclass(frozen=True)
class Column:
    """Of a profile: what it captures, the A-XDR tag of its type, scaler and unit where known."""

    class_id: int
    obis: bytes
    attribute: int
    index: int
    tag: int
    scaler: int | None
    unit: int | None


@dataclass(frozen=True)
class Shape:
    """What the rows of a profile or log look like. `columns` without the time's. `period` in
    seconds, 0: rows come as things happen.
    """

    class_id: int
    obis: bytes
    period: int
    columns: tuple[Column, ...]


@dataclass
class Row:
    """`time` and `read_at` in unix seconds. `flags` are those of gateway/contract/quality.py,
    `reasons` the bits above, `words` what a rule of the utility says.
    """

    time: int
    values: list[Any] = field(default_factory=list)
    flags: int = 0
    read_at: int = 0
    reasons: int = 0
    words: str = ""

    @property
    def validity(self) -> str:
        return validity_of(self.reasons)

    def key(self) -> bytes:
        """The same for the same reading, read once more: its time, and its values with their types
        (true is not 1, and 1.0 is not either)."""
        return cbor.encode([self.time, self.values])


def validity_of(reasons: int) -> str:
    if reasons & _INVALID:
        return INVALID
    return DOUBTFUL if reasons else VALID


def reasons_text(row: Row) -> str:
    """All of them, for people; "" where there is none."""
    said = [text for bit, text in REASONS.items() if row.reasons & bit and bit != OWN_RULE]
    if row.reasons & OWN_RULE:
        said.append(row.words or REASONS[OWN_RULE])
    return "; ".join(said)
