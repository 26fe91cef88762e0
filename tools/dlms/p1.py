"""The text of a P1 port (Dutch Smart Meter Requirements, DSMR; others' meters send it too, some
ciphered inside DLMS): an identification, lines of OBIS codes with values, and a CRC-16.

    /ISK5\\2M550T-1012
    1-0:1.8.1(000051.775*kWh)
    !A5F3
"""

from __future__ import annotations

import re

_HEADER = re.compile(rb"/[A-Za-z]{3}[0-9A-Za-z]")
_FIRST = 5  # bytes of it that must be right
_END = re.compile(rb"\n!([0-9A-Fa-f]{4})?\r?\n")
_VALUE = re.compile(rb"\d+-\d+:\d+\.\d+\.\d+(?:\.\d+)?\(")
_MOMENT = re.compile(r"\((\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)([SW]?)\)")
_SEASONS = {"S": " summer time", "W": " winter time", "": ""}
LONGEST = 8192  # bytes of a telegram
_LONGEST_FIRST = 80  # and of its identification


def begins(data: bytes) -> bool:
    """Whether `data` begins as a telegram does, as far as it goes."""
    if len(data) < _FIRST:
        return b"/AAA0".startswith(re.sub(rb"[A-Za-z]", b"A", data))
    return _HEADER.match(data) is not None


def has_values(data: bytes) -> bool:
    """Whether a line with an OBIS code and a value is in it."""
    return begins(data) and _VALUE.search(data) is not None


def size(data: bytes) -> int | None:
    """Bytes of the telegram that `data` begins with. 0: it is none; None: it goes on."""
    if not begins(data):
        return 0
    first = data.find(b"\n", 0, _LONGEST_FIRST)
    if first < 0:
        return None if len(data) < _LONGEST_FIRST else 0
    if not data[first + 1 : first + 3].startswith((b"\n", b"\r")):
        return None if len(data) == first + 1 else 0  # an empty line follows the identification
    another = data.find(b"\n/", first, LONGEST)  # telegrams: this one never ended
    end = _END.search(data, 0, LONGEST if another < 0 else another + 1)
    if end is None and another >= 0:
        return 0
    if end is not None:
        return end.end()
    text = data[:LONGEST]
    if any(byte > 0x7E or (byte < 0x20 and byte not in b"\t\r\n") for byte in text):
        return 0
    return None if len(data) <= LONGEST else 0


def crc(telegram: bytes) -> tuple[bytes, bytes] | None:
    """The CRC that is due from the slash to the exclamation mark, and the one that came, in hex as
    it is sent; None where there is none (older meters)."""
    end = _END.search(telegram)
    if end is None or not end[1]:
        return None
    due = 0
    for byte in telegram[: end.start() + 2]:
        due ^= byte
        for _ in range(8):
            due = due >> 1 ^ 0xA001 if due & 1 else due >> 1
    return b"%04X" % due, end[1].upper()


def is_text(plain: bytes) -> bool:
    """Whether what came out of an APDU is a telegram."""
    return size(plain) == len(plain)


def lines(telegram: bytes) -> list[str]:
    """Identification and values, with what a moment means; without slash, empty lines and CRC."""
    found = []
    for line in telegram.decode("ascii", "replace").splitlines():
        if line.startswith("!") or not line:
            continue
        found.append(line.removeprefix("/") + _meaning(line))
    return found


def _meaning(line: str) -> str:
    """Of line 0-0:1.0.0, the moment of the telegram (yymmddhhmmss, and S or W)."""
    moment = _MOMENT.search(line)
    if moment is None:
        return ""
    year, month, day, hour, minute, second, season = moment.groups()
    return " = 20%s-%s-%s %s:%s:%s%s" % (
        year, month, day, hour, minute, second, _SEASONS[season])  # fmt: skip
