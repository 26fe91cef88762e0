"""What the numbers of a model's meters mean, for people and for the systems behind the HES: event
codes by log, bits of alarm registers and of status words, each in English, in Spanish and as a CIM
EndDeviceEventType. It is signed beside the model (file.py) and never sent to a concentrator.

One number is one thing in one model only: 48 is a change of keys in IDIS, a cover in the Dutch
meters.
"""

from __future__ import annotations

from gateway.contract.fields import Record, field, list_of, message, record, record_rule
from gateway.contract.model import MAX_OBJECTS, NAME
from gateway.contract.rules import UINT32, array_of, octets, row, text, tuples, uint
from gateway.dlms.data import axdr
from hal.rt import cbor

ENGLISH, SPANISH = "en", "es"
MAX_MEANINGS = 512  # in one table
MAX_TABLES = 32

# how well a row is founded
IN_EVIDENCE = ""
NOT_IN_EVIDENCE = "NIE"  # looked for, and in no source
GENERAL_KNOWLEDGE = "GK"  # said everywhere, seen in no source at hand
OWN = "OWN"  # concluded by us
MARKS = (NOT_IN_EVIDENCE, GENERAL_KNOWLEDGE, OWN)

# What goes to other systems for an event without a CIM code, with the number beside it.
UNKNOWN_EVENT = "3.0.0.0"

# what is counted in `most`: class and attribute
MOST = {
    "columns": (7, 3),
    "scripts": (9, 2),
    "special-days": (11, 2),
    "seasons": (20, 7),
    "weeks": (20, 8),
    "days": (20, 9),
    "thresholds": (21, 2),
    "executions": (22, 4),
    "pushed-objects": (40, 2),
    "push-windows": (40, 4),
}

_WORD = text(32, 1)
_SCRIPT = uint(65535, 1)
_TEXT = text(128)


@record()
class Meaning(Record):
    """`number`: an event code, or a bit (0: the lowest of a number, the first of a bit-string).
    `cim`: "" where no code is in evidence. `mark`: one of MARKS, or "" where it is in evidence."""

    number: int = field(uint(UINT32))
    english: str = field(_TEXT)
    spanish: str = field(_TEXT)
    cim: str = field(text(32))
    mark: str = field(text(8))

    def word(self, language: str = ENGLISH) -> str:
        return self.spanish if language == SPANISH else self.english


@record()
class Table(Record):
    """`word`: of the object whose bits these are, or what logs call this table of events."""

    word: str = field(_WORD)
    meanings: list[Meaning] = field(list_of(record_rule(Meaning), MAX_MEANINGS))

    def find(self, number: int) -> Meaning | None:
        for meaning in self.meanings:
            if meaning.number == number:
                return meaning
        return None


_TABLES = list_of(record_rule(Table), MAX_TABLES)


@message("model tables", "model-tables")
class Tables(Record):
    """Of the model of this `name` and `number`.

    `objects`: (word, class, OBIS) as in the model. `logs`: (word of an object, word of its table in
    `events`). `alarms`, `status`: tables of bits, by the word of the object that has them.
    `sources`: (key, what it is). `unsure`: (place in the YAML file, mark, why).

    What its meters hold from the factory, and take, for who writes packages: `scripts`: (script
    table, numbers). `tariffs`: (word, script of the tariff table). `periods` of capture in seconds,
    none: any. `most`: (word of MOST, how many elements).
    """

    REASON = "bad-model"

    name: str = field(NAME)
    number: int = field(uint(UINT32, 1))
    objects: list[tuple[str, int, bytes]] = field(
        tuples(row(_WORD, uint(65535, 1), octets(6, 6)), MAX_OBJECTS)
    )
    logs: list[tuple[str, str]] = field(tuples(row(_WORD, _WORD), MAX_OBJECTS))
    events: list[Table] = field(_TABLES)
    alarms: list[Table] = field(_TABLES)
    status: list[Table] = field(_TABLES)
    sources: list[tuple[str, str]] = field(tuples(row(_WORD, text(256, 1)), 64))
    unsure: list[tuple[str, str, str]] = field(tuples(row(text(64, 1), text(8, 1), text(256)), 64))
    scripts: list[tuple[bytes, list[int]]] = field(
        tuples(row(octets(6, 6), array_of(_SCRIPT, 256)), 16), default=[], late=True
    )
    tariffs: list[tuple[str, int]] = field(tuples(row(_WORD, _SCRIPT), 64), default=[], late=True)
    periods: list[int] = field(array_of(uint(UINT32), 64), default=[], late=True)
    most: list[tuple[str, int]] = field(tuples(row(_WORD, uint(65535)), 32), default=[], late=True)

    @classmethod
    def from_payload(cls, payload: bytes) -> Tables:
        """Of the CBOR inside the envelope. Refused `bad-model`."""
        return cls.of_octets(payload)

    def to_payload(self) -> bytes:
        return cbor.encode(self.to_array())

    # ------------------------------------------------------------ looking up

    def word_of(self, name: bytes) -> str:
        """What the model calls the object of this OBIS; "" if it does not name it."""
        for word, _, obis in self.objects:
            if obis == name:
                return word
        return ""

    def log_of(self, name: bytes) -> Table | None:
        """The events of the log of this OBIS."""
        word = self.word_of(name)
        for log, table in self.logs:
            if log == word:
                return _find(self.events, table)
        return None

    def bits_of(self, name: bytes) -> Table | None:
        """The bits of the alarm register or status word of this OBIS."""
        word = self.word_of(name)
        return _find(self.alarms, word) or _find(self.status, word)


def _find(tables: list[Table], word: str) -> Table | None:
    for table in tables:
        if table.word == word:
            return table
    return None


def event_word(table: Table, code: int, language: str = ENGLISH) -> str:
    """`48: global keys changed`; a code that is not in the table stays as it is."""
    meaning = table.find(code)
    return "%d" % code if meaning is None else "%d: %s" % (code, meaning.word(language))


def bit_words(table: Table, typed: tuple[int, object], language: str = ENGLISH) -> list[str]:
    """The bits that are set in a number, a bit-string or an octet-string."""
    words = []
    for bit in set_bits(typed):
        meaning = table.find(bit)
        words.append("bit %d" % bit if meaning is None else meaning.word(language))
    return words


def set_bits(typed: tuple[int, object]) -> list[int]:
    """Counted from the lowest of a number (an octet-string is one, highest octet first), from the
    first of a bit-string. [] for what has no bits."""
    tag, value = typed
    if tag == axdr.BIT_STRING and isinstance(value, str):
        return [place for place, bit in enumerate(value) if bit == "1"]
    if tag == axdr.OCTET_STRING and isinstance(value, bytes | bytearray):
        value = int.from_bytes(value, "big")
    if type(value) is not int or value < 0:
        return []
    return [bit for bit in range(value.bit_length()) if value >> bit & 1]
