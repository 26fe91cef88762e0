"""What a meter's own status words say of its rows, by the models that are shipped with this project
(tools/package/models): the bits that make a row void.
"""

from __future__ import annotations

from functools import cache

from tools.package.model.compile import shipped
from tools.package.model.file import names

# as the models' tables call them
VOID = ("critical error", "clock invalid", "data not valid")
STATUS_WORDS = (0, 96, 10)  # value groups A, C and D of status words of profiles


def void_bits(obis: bytes) -> int:
    """Of the status word of this OBIS code; 0 where it is none, or nobody knows its bits."""
    if (obis[0], obis[2], obis[3]) != STATUS_WORDS:
        return 0
    return _known().get(obis, 0)


@cache
def _known() -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for name in names():
        tables = shipped(name).tables
        for word, _, obis in tables.objects:
            for table in tables.status:
                if table.word == word:
                    for meaning in table.meanings:
                        if meaning.english in VOID:
                            found[obis] = found.get(obis, 0) | 1 << meaning.number
    return found


def number(value: object) -> int:
    """A status word as a number, the lowest bit first; 0 for what has no bits."""
    if type(value) is int and value > 0:
        return value
    if isinstance(value, bytes):
        return int.from_bytes(value, "big")
    if isinstance(value, str) and value and set(value) <= {"0", "1"}:  # a bit-string
        return int(value[::-1], 2)
    return 0
