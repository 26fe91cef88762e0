"""What numbers of a meter mean by its model (--model): events of logs, bits of alarm registers and
status words.
"""

from __future__ import annotations

from typing import Any

from tools.dlms.shown import CaptureObject
from tools.package.model.tables import UNKNOWN_EVENT, Table, Tables, bit_words, event_word, set_bits

Typed = tuple[int, Any]

DATA, VALUE = 1, 2  # class and attribute of what a log has its codes from
_LAST_EVENT = b"\x60\x0b"  # C, D of 0.b.96.11.e.255, the event code of a log


class Words:
    """Of the model's tables, in one of their languages; nothing is known without a model."""

    def __init__(self, tables: Tables | None, language: str) -> None:
        self._tables = tables
        self._language = language

    def bits(self, name: bytes, typed: Typed) -> str:
        """What is set in the value of the object `name`; "" where it has no such bits."""
        table = None if self._tables is None else self._tables.bits_of(name)
        if table is None or not set_bits(typed):
            return ""
        return ", ".join(bit_words(table, typed, self._language))

    def log(self, name: bytes, columns: list[CaptureObject]) -> Log | None:
        """How the rows of the profile `name` are read; None if it is no log of the model."""
        table = None if self._tables is None else self._tables.log_of(name)
        place = code_column(columns)
        return None if table is None or place is None else Log(table, place, self._language)


class Log:
    """`place`: the column that has the code."""

    def __init__(self, table: Table, place: int, language: str) -> None:
        self._table = table
        self._language = language
        self.place = place

    def word(self, cells: list[Typed]) -> str:
        code = cells[self.place][1]
        return event_word(self._table, code, self._language) if type(code) is int else ""

    def as_json(self, cells: list[Typed]) -> dict[str, Any] | None:
        """{"code", "en", "es", "cim"}; a code of no table goes by the CIM's unknown event."""
        code = cells[self.place][1]
        if type(code) is not int:
            return None
        meaning = self._table.find(code)
        if meaning is None:
            return {"code": code, "cim": UNKNOWN_EVENT}
        return {
            "code": code,
            "en": meaning.english,
            "es": meaning.spanish,
            "cim": meaning.cim or UNKNOWN_EVENT,
        }


def code_column(columns: list[CaptureObject]) -> int | None:
    """0.b.96.11.e.255, or else the first column that is a plain value."""
    values = [
        place
        for place, column in enumerate(columns)
        if (column.class_id, column.index) == (DATA, VALUE)
    ]
    for place in values:
        if columns[place].obis[2:4] == _LAST_EVENT:
            return place
    return values[0] if values else None
