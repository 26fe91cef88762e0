"""The kinds of frames that tell their length, and the names of damage.

A kind says of bytes what frame they begin with, whether it is whole and right, and, where it is
damaged, whether what is right of it is enough to tell that it is of this kind.
"""

from __future__ import annotations

from typing import Protocol

from gateway.dlms.data.axdr import length_at
from gateway.dlms.errors import ProtocolError
from gateway.dlms.hdlc import frames as hdlc_frames
from hal.modem import usi, wrapper
from hal.modem.wmbus import amber_frames, hci
from hal.rt.crc import x25
from tools.dlms import p1
from tools.sniff import mbus, radio
from tools.sniff.tags import is_apdu

NOISE, BAD_CRC, BAD_LENGTH, CUT_SHORT = "noise", "bad-crc", "bad-length", "cut-short"
BAD_ESCAPE, UNKNOWN_PROTOCOL, TOO_LONG = "bad-escape", "unknown-protocol", "too-long"
NOT_RECOGNISED = "not-recognised"


class Kind(Protocol):
    """sync: what a frame begins with. shared: bytes at its end that may begin the next one. fill:
    bytes between frames that mean nothing. stalled_ms: a frame that pauses so long has ended."""

    sync: bytes
    shared: int
    fill: bytes
    stalled_ms: int

    def size(self, data: bytes) -> int | tuple[str, str] | None:
        """Of the frame that `data` begins with; None: more bytes are needed to know, 0: it is none
        here, (kind, what is wrong): it is one, but damaged already."""

    def check(self, frame: bytes) -> tuple[str, str]:
        """(kind, what is wrong) of a frame as long as it says; ("", "")."""

    def known(self, frame: bytes) -> bool:
        """Whether a frame that is damaged, or ends early, is of this kind all the same."""


class Hci:
    sync = b"\xa5"
    shared = 0
    fill = b""
    stalled_ms = 500

    def size(self, data: bytes) -> int | tuple[str, str] | None:
        if len(data) < 4:
            return None
        control, endpoint = data[1] >> 4, data[1] & 0x0F
        if control & 1 or not 1 <= endpoint <= 4:
            return 0
        size = 4 + data[3]
        size += 4 if control & hci.WITH_TIME else 0
        size += 1 if control & hci.WITH_RSSI else 0
        return size + (2 if control & hci.WITH_CRC else 0)

    def check(self, frame: bytes) -> tuple[str, str]:
        if not frame[1] >> 4 & hci.WITH_CRC:
            return "", ""
        expected = hci.crc16(frame[1:-2]).to_bytes(2, "little")
        return compared("CRC", expected, frame[-2:])

    def known(self, frame: bytes) -> bool:
        return len(frame) > 4 and radio.is_hci_message(frame[1] & 0x0F, frame[2])


class Amber:
    sync = b"\xff"
    shared = 0
    fill = b""
    stalled_ms = 1000

    def size(self, data: bytes) -> int | tuple[str, str] | None:
        if len(data) < 3:
            return None
        return 4 + data[2] if data[2] <= amber_frames.MAX_DATA else 0

    def check(self, frame: bytes) -> tuple[str, str]:
        return compared("XOR", bytes((usi.crc8(frame[:-1]),)), frame[-1:])

    def known(self, frame: bytes) -> bool:
        return len(frame) > 3 and radio.is_amber_command(frame[1])


class Wrapper:
    sync = b"\x00\x01"
    shared = 0
    fill = b""
    stalled_ms = 60_000

    def size(self, data: bytes) -> int | tuple[str, str] | None:
        if len(data) < wrapper.HEADER:
            return None
        return wrapper.HEADER + int.from_bytes(data[6:8], "big")

    def check(self, frame: bytes) -> tuple[str, str]:
        if len(frame) == wrapper.HEADER:
            return BAD_LENGTH, "a wrapper without an APDU"
        return "", ""

    def known(self, frame: bytes) -> bool:
        return is_apdu(frame[wrapper.HEADER :])


class Hdlc:
    sync = b"\x7e"
    shared = 1
    fill = b"\x7e"
    stalled_ms = 2000

    def size(self, data: bytes) -> int | tuple[str, str] | None:
        if len(data) < 2:
            return None
        if data[1] & 0xF0 != 0xA0:
            return 0
        if len(data) < 3:
            return None
        length = (data[1] & 7) << 8 | data[2]
        if length < 7:
            return 0
        # the header is looked at first, so that a false beginning is not waited for
        control = hdlc_control_at(data, 1 + length)
        if control is None:
            return None if len(data) < 14 else 0
        if control == 0:
            return 0
        header = control + 1
        if header + 2 < 1 + length:
            if len(data) < header + 2:
                return None
            expected, came = x25(data[1:header]), data[header : header + 2]
            if came != expected:
                return compared("HCS", expected, came)
        return length + 2

    def check(self, frame: bytes) -> tuple[str, str]:
        if not frame.endswith(hdlc_frames.FLAG):
            return BAD_LENGTH, "expected the flag 7e after %d bytes, came %02x" % (
                len(frame) - 2,
                frame[-1],
            )
        return compared("FCS", x25(frame[1:-3]), frame[-3:-1])

    def known(self, frame: bytes) -> bool:
        """The check sequence of its header is right."""
        if len(frame) < 3:
            return False
        control = hdlc_control_at(frame, 1 + ((frame[1] & 7) << 8 | frame[2]))
        if not control or len(frame) < control + 3:
            return False
        header = control + 1
        return x25(frame[1:header]) == frame[header : header + 2]


def hdlc_control_at(data: bytes, end: int) -> int | None:
    """Where in a frame (from its flag on, `end` before the closing one) the control field is. None:
    more bytes are needed; 0: nowhere."""
    at = 3
    for _ in range(2):
        start = at
        while True:
            if at >= end - 2 or at - start >= 4:
                return 0
            if at >= len(data):
                return None
            at += 1
            if data[at - 1] & 1:
                break
        if at - start == 3:
            return 0
    if at >= end - 2:
        return 0
    return at if at < len(data) else None


class Mbus:
    """Long frames of the wired M-Bus (EN 13757-2)."""

    sync = b"\x68"
    shared = 0
    fill = b""
    stalled_ms = 2000

    def size(self, data: bytes) -> int | tuple[str, str] | None:
        if len(data) < 5:
            return None if data[1:2].startswith(data[2:3]) else 0
        return 6 + data[1] if mbus.begins(data) else 0

    def check(self, frame: bytes) -> tuple[str, str]:
        if frame[-1] != mbus.STOP:
            return BAD_LENGTH, "expected the stop %02x after %d bytes, came %02x" % (
                mbus.STOP,
                len(frame) - 1,
                frame[-1],
            )
        return compared("sum", bytes((sum(frame[4:-2]) & 0xFF,)), frame[-2:-1])

    def known(self, frame: bytes) -> bool:
        return len(frame) > 4 and mbus.begins(frame)


class P1:
    """Telegrams of a P1 port, which are text."""

    sync = b"/"
    shared = 0
    fill = b"\r\n\0"
    stalled_ms = 5000

    def size(self, data: bytes) -> int | tuple[str, str] | None:
        return p1.size(data)

    def check(self, frame: bytes) -> tuple[str, str]:
        both = p1.crc(frame)
        return ("", "") if both is None else compared_text("CRC", *both)

    def known(self, frame: bytes) -> bool:
        return p1.has_values(frame)


class CipheredP1:
    """general-glo-ciphering without any frame around it, as ciphered P1 ports send it: only its own
    length tells where it ends."""

    sync = b"\xdb\x08"
    shared = 0
    fill = b"\r\n\0"
    stalled_ms = 5000

    def size(self, data: bytes) -> int | tuple[str, str] | None:
        if len(data) < _TITLED + 4:
            return None
        try:
            size, at = length_at(data, _TITLED)
        except ProtocolError:
            return 0
        if size < _LEAST_SEALED or not self.known(data):
            return 0
        return at + size

    def check(self, frame: bytes) -> tuple[str, str]:
        return "", ""

    def known(self, frame: bytes) -> bool:
        """Its security control is one that there is: a suite, and no compression."""
        try:
            _, at = length_at(frame, _TITLED)
            return frame[at] & 0x0F <= 2 and frame[at] & 0xF0 in (0x10, 0x20, 0x30)
        except (ProtocolError, IndexError):
            return False


_TITLED = 10  # bytes of tag and system title
_LEAST_SEALED = 18  # security control, counter, an octet, tag


def compared(name: str, expected: bytes, came: bytes) -> tuple[str, str]:
    return compared_text(name, expected.hex().encode(), came.hex().encode())


def compared_text(name: str, expected: bytes, came: bytes) -> tuple[str, str]:
    """(kind, what is wrong); ("", "") where both are the same."""
    if expected == came:
        return "", ""
    return BAD_CRC, "%s: expected %s, came %s" % (name, expected.decode(), came.decode())
