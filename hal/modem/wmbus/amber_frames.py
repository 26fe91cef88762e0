"""The command mode of Amber Wireless, now Würth Elektronik, wireless M-Bus modules (AMB8426-M,
AMB8626-M "Metis-II" and kin), 9600 8N1 as delivered.

    FF | command | length | data | XOR of all bytes before

A confirm has the command of its request with bit 7 set. Source: the module's public manual (version
2.4), Würth's public driver and wmbusmeters' records; not seen on a wire but for the request for all
parameters, FF 0A 02 00 80 77.
"""

from __future__ import annotations

from hal.modem.wmbus.resync import MORE, ResyncParser

DATA = 0x00  # a link frame from the C-field on; the confirm has a status
DATA_INDICATION = 0x03  # the same, and the RSSI behind it where that is switched on
SET_MODE = 0x04  # the link mode until the next reset
RESET = 0x05
SET_CHANNEL = 0x06
SET = 0x09  # position, length, value
GET = 0x0A  # position, length; the confirm repeats them before the value
SERIAL_NUMBER = 0x0B
FIRMWARE = 0x0C
RSSI = 0x0D
FACTORY_RESET = 0x11

CONFIRM = 0x80

# Positions of parameters
UART_OUTPUT = 0x05  # 1: frames received come as DATA_INDICATION
RSSI_ENABLE = 0x45

MAX_DATA = 254
_START = b"\xff"
_STALLED_MS = 1000  # 258 bytes take 269 ms at 9600 baud


def frame(command: int, data: bytes = b"") -> bytes:
    if len(data) > MAX_DATA:
        raise ValueError("Amber: %d bytes of data, at most %d" % (len(data), MAX_DATA))
    body = _START + bytes((command, len(data))) + data
    return body + bytes((_xor(body),))


def dbm(level: int) -> int:
    """Of an RSSI byte, which is a signed number of half decibels."""
    return (level if level < 128 else level - 256) // 2 - 74


def _xor(data: bytes) -> int:
    xor = 0
    for byte in data:
        xor ^= byte
    return xor


class Parser(ResyncParser):
    """Frames are (command, data)."""

    def __init__(self) -> None:
        super().__init__(_START, _STALLED_MS)

    def _parse(self, buffer: bytes, start: int) -> tuple[int, tuple[int, bytes] | None]:
        if len(buffer) < start + 3:
            return MORE, None
        check_at = start + 3 + buffer[start + 2]
        if check_at >= len(buffer):
            return MORE, None
        if _xor(buffer[start:check_at]) != buffer[check_at]:
            return check_at + 1, None
        return check_at + 1, (buffer[start + 1], buffer[start + 3 : check_at])
