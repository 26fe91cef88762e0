"""DLMS over wireless M-Bus (EN 13757-1, -3, -4; IEC 62056-7-3).

Link layer, as the modules give it (L-field and CRCs are theirs), then transport header, SAPs, APDU:

    C | M 2 | ident 4 | version | type | CI | header | STSAP | DTSAP | APDU

The link address is the sender's. Towards the meter CI 60 (long header: the meter's ident 4, M 2,
version, type; then access number, status, configuration 2) names the meter; CI 61 (short header:
access number, status, configuration) is for a meter that listens to its own link address. From the
meter CI 7C (long) or 7D (short). Configuration 0000: no M-Bus encryption, DLMS has its own.

In evidence: link layer, CI codes, both headers (EN 13757-3, -4 as public OMS software has them).
Not in evidence: that the two SAPs, one byte each, stand behind the header in this order. It is the
order of the wired profile (CI 00..1F), which public captures show.
"""

from __future__ import annotations

SND_UD2 = 0x43  # command that expects a response
RSP_UD = 0x08

CI_TO_METER_LONG = 0x60
CI_TO_METER_SHORT = 0x61
CI_FROM_METER_LONG = 0x7C
CI_FROM_METER_SHORT = 0x7D

LINK = 9  # C, M, ident, version, type
LONG_HEADER = 12
SHORT_HEADER = 4
SAPS = 2
TO_METER_OVERHEAD = LINK + 1 + LONG_HEADER + SAPS


# How a concentrator sends, by link mode (EN 13757-4): bit/s, and permille of an hour in its band
# (169.400 to 169.475 MHz; 868.0 to 868.6 MHz; 869.40 to 869.65 MHz; ERC/REC 70-03 annexes 1 and 2).
MODES = {
    "N2": (4800, 100),  # channels a, b, e, f
    "N2c": (2400, 100),  # channels c, d
    "S2": (16384, 10),
    "T2": (16384, 10),  # as S2: only the meter's own direction is faster
    "C2": (50000, 100),
}


class Telegram:
    """One DLMS telegram. `address` is the meter's: M, ident, version, type, 8 bytes as on air."""

    __slots__ = ("access", "address", "apdu", "destination_sap", "source_sap")

    def __init__(
        self, address: bytes, access: int, source_sap: int, destination_sap: int, apdu: bytes
    ) -> None:
        self.address = address
        self.access = access
        self.source_sap = source_sap
        self.destination_sap = destination_sap
        self.apdu = apdu


def to_meter(own: bytes, telegram: Telegram) -> bytes:
    """Link frame with CI 60 from the address `own` (8 bytes) to the telegram's meter."""
    meter = telegram.address
    header = meter[2:6] + meter[0:2] + meter[6:8] + bytes([telegram.access, 0, 0, 0])
    saps = bytes([telegram.source_sap, telegram.destination_sap])
    return bytes([SND_UD2]) + own + bytes([CI_TO_METER_LONG]) + header + saps + telegram.apdu


def from_meter(telegram: Telegram) -> bytes:
    """Link frame with CI 7D, from the telegram's meter."""
    header = bytes([CI_FROM_METER_SHORT, telegram.access, 0, 0, 0])
    saps = bytes([telegram.source_sap, telegram.destination_sap])
    return bytes([RSP_UD]) + telegram.address + header + saps + telegram.apdu


def parse(frame: bytes, long_ci: int, short_ci: int) -> Telegram | None:
    """The DLMS telegram in a link frame, or None if it is another kind (another CI). ValueError
    when it is cut short.

    The CI pair says which direction is expected."""
    if len(frame) < LINK + 1:
        raise ValueError("wM-Bus: %d bytes are less than a link header" % len(frame))
    ci = frame[LINK]
    if ci == long_ci:
        size = LONG_HEADER
    elif ci == short_ci:
        size = SHORT_HEADER
    else:
        return None
    start = LINK + 1 + size
    if len(frame) < start + SAPS:
        raise ValueError("wM-Bus: CI %02x with %d bytes is cut short" % (ci, len(frame)))
    header = frame[LINK + 1 : start]
    address = frame[1:LINK]
    if ci == long_ci:
        address = header[4:6] + header[0:4] + header[6:8]
    return Telegram(
        address, header[size - 4], frame[start], frame[start + 1], frame[start + SAPS :]
    )


def airtime_ms(size: int, bit_rate: int) -> int:
    """Time on air of a link frame of `size` bytes in format A: L-field, a CRC of 2 bytes behind the
    first block (10 bytes with L) and behind each 16 after it, and 8 bytes for preamble and sync."""
    blocks = 1 + (max(0, size - LINK) + 15) // 16
    return (8 + 1 + size + 2 * blocks) * 8 * 1000 // bit_rate + 1
