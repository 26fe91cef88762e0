"""Where a value stands in a meter, and how it is read there."""

from __future__ import annotations

from gateway.contract.fields import Record, field, record
from gateway.contract.rules import octets, uint

# how the value at a Place becomes a text
TEXT = 0  # printable ASCII, all of it
UP_TO_NUL = 1  # printable ASCII up to the first NUL, without blanks at its end
HEX = 2  # the octets as hex digits, lower case
NUMBER = 3  # an integer as decimal digits
READINGS = ("text", "up-to-nul", "hex", "number")


@record()
class Place(Record):
    """An attribute, and which of the readings above makes a text of it."""

    class_id: int = field(uint(65535, 1))
    obis: bytes = field(octets(6, 6))
    attribute: int = field(uint(127, 1))
    reading: int = field(uint(NUMBER), default=TEXT)
