"""From a line's bytes to frames, damaged ones included: what a driver only counts is shown here.

Every framer has feed(bytes, time in ms or None) and end(), which give what is complete, and holds
no more than one frame of its kind. Nothing that comes makes it fail.
"""

from __future__ import annotations

from typing import Protocol

from gateway.dlms.hdlc import frames as hdlc_frames
from hal.modem import usi, wrapper
from hal.modem.wmbus import amber_frames, hci
from hal.rt.crc import x25
from tools.sniff.frame import Raw

NOISE, BAD_CRC, BAD_LENGTH, CUT_SHORT = "noise", "bad-crc", "bad-length", "cut-short"
BAD_ESCAPE, UNKNOWN_PROTOCOL, TOO_LONG = "bad-escape", "unknown-protocol", "too-long"
SHOWN = 24  # bytes of something damaged


class Framer(Protocol):
    def feed(self, data: bytes, at_ms: int | None) -> list[Raw]: ...
    def end(self) -> list[Raw]: ...


# ---------------------------------------------------------------- USI

_MAX_ESCAPED = 2 * (2 + usi.MAX_DATA + 4)


def usi_crc(protocol: int, body: bytes) -> bytes:
    """The CRC that belongs behind header and data of a frame of a known protocol."""
    size = usi.crc_size(protocol)
    crc = usi.crc32 if size == 4 else usi.crc16 if size == 2 else usi.crc8
    return crc(body).to_bytes(size, "big")


class UsiFramer:
    """Raw.data of a good frame: header, data, CRC."""

    def __init__(self) -> None:
        self._partial = bytearray()
        self._skipping = False
        self._offset = 0  # of the bytes in _partial

    def feed(self, data: bytes, at_ms: int | None) -> list[Raw]:
        found: list[Raw] = []
        *whole, last = data.split(b"\x7e")
        for piece in whole:
            self._gather(piece, found)
            if self._partial and not self._skipping:
                found.append(_usi_frame(bytes(self._partial), max(0, self._offset - 1)))
            self._offset += len(self._partial) + 1
            self._partial = bytearray()
            self._skipping = False
        self._gather(last, found)
        return found

    def end(self) -> list[Raw]:
        left = bytes(self._partial)
        self._partial = bytearray()
        return [Raw(left[:SHOWN], self._offset, CUT_SHORT, _cut(len(left)))] if left else []

    def _gather(self, piece: bytes, found: list[Raw]) -> None:
        if self._skipping:
            self._offset += len(piece)
            return
        self._partial += piece
        if len(self._partial) > _MAX_ESCAPED:
            why = "expected a flag 7e within %d bytes, none came" % _MAX_ESCAPED
            found.append(Raw(bytes(self._partial[:SHOWN]), self._offset, TOO_LONG, why))
            self._offset += len(self._partial)
            self._partial = bytearray()
            self._skipping = True


def _usi_frame(escaped: bytes, offset: int) -> Raw:
    body = bytearray()
    codes = iter(escaped)
    for byte in codes:
        if byte != 0x7D:
            body.append(byte)
            continue
        code = next(codes, None)
        if code not in (0x5D, 0x5E):
            came = "nothing" if code is None else "%02x" % code
            why = "expected 5d or 5e after 7d, came %s" % came
            return Raw(escaped[:SHOWN], offset, BAD_ESCAPE, why)
        body.append(code ^ 0x20)
    raw = bytes(body)
    if len(raw) < 3:
        return Raw(
            raw,
            offset,
            BAD_LENGTH,
            "expected at least 3 bytes between flags, came %s" % raw.hex(" "),
        )
    protocol = raw[1] & 0x3F
    checked = usi.crc_size(protocol)
    if not checked:
        return Raw(raw[:SHOWN], offset, UNKNOWN_PROTOCOL, "protocol %02x is not known" % protocol)
    length = raw[0] << 2 | raw[1] >> 6
    if protocol in usi.LONG_PROTOCOLS:
        length |= (raw[2] & 0x80) << 3
    if len(raw) != 2 + length + checked:
        why = "protocol %02x: expected %d bytes of data, came %d" % (
            protocol, length, max(0, len(raw) - 2 - checked))  # fmt: skip
        return Raw(raw[:SHOWN], offset, BAD_LENGTH, why)
    return Raw(raw, offset, *_compared("CRC", usi_crc(protocol, raw[:-checked]), raw[-checked:]))


# ---------------------------------------------------------------- frames that tell their length


class _Kind(Protocol):
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


class Scanner:
    """Looks for frames of a kind. Behind damage it looks on from the next byte, and is silent about
    what is damaged inside what is damaged."""

    def __init__(self, kind: _Kind) -> None:
        self._kind = kind
        self._buffer = b""
        self._offset = 0  # of the buffer
        self._silent_until = 0
        self._noise = b""
        self._noise_size = 0
        self._noise_offset = 0
        self._last_ms: int | None = None

    def feed(self, data: bytes, at_ms: int | None) -> list[Raw]:
        found: list[Raw] = []
        late = (
            at_ms is not None
            and self._last_ms is not None
            and at_ms - self._last_ms >= self._kind.stalled_ms
        )
        if late and self._buffer:
            self._give_up(found)
        if data or late:
            self._last_ms = at_ms
        self._buffer += data
        self._scan(found)
        if not self._buffer:
            self._end_noise(found)
        return found

    def end(self) -> list[Raw]:
        found: list[Raw] = []
        while self._buffer:
            self._give_up(found)
        self._end_noise(found)
        return found

    def _give_up(self, found: list[Raw]) -> None:
        """The frame begun will not go on."""
        buffer = self._buffer
        fill = self._kind.fill
        if len(buffer.strip(fill) if fill else buffer) > len(self._kind.sync):
            self._damaged(found, buffer, len(buffer), CUT_SHORT, _cut(len(buffer)))
        else:
            self._add_noise(buffer[:1], self._offset)
        self._buffer = buffer[1:]
        self._offset += 1
        self._scan(found)

    def _scan(self, found: list[Raw]) -> None:
        kind, buffer, at = self._kind, self._buffer, 0
        while True:
            start = buffer.find(kind.sync, at)
            if start < 0:
                # the beginning of a sync may stand at the very end
                keep = len(kind.sync) - 1
                start = len(buffer)
                if keep and buffer[at:].endswith(kind.sync[:keep]):
                    start -= keep
                self._add_noise(buffer[at:start], self._offset + at)
                break
            self._add_noise(buffer[at:start], self._offset + at)
            size = kind.size(buffer[start:])
            if size == 0:
                self._add_noise(buffer[start : start + 1], self._offset + start)
                at = start + 1
                continue
            if size is None or (isinstance(size, int) and start + size > len(buffer)):
                break
            if isinstance(size, int):
                frame = buffer[start : start + size]
                damage, why = kind.check(frame)
                if not damage:
                    self._end_noise(found)
                    found.append(Raw(frame, self._offset + start))
                    at = start + size - kind.shared
                    continue
                span = size - kind.shared
            else:
                frame, (damage, why), span = buffer[start:], size, 1
            self._damaged(found, frame, span, damage, why, start)
            at = start + 1
        self._buffer = buffer[start:]
        self._offset += start

    def _damaged(
        self, found: list[Raw], frame: bytes, span: int, damage: str, why: str, start: int = 0
    ) -> None:
        offset = self._offset + start
        self._end_noise(found)
        if offset >= self._silent_until:
            found.append(Raw(frame[:SHOWN], offset, damage, why))
            self._silent_until = offset + span

    def _add_noise(self, data: bytes, offset: int) -> None:
        data = data[max(0, self._silent_until - offset) :]
        data = data.strip(self._kind.fill) if self._kind.fill else data
        if not self._noise_size:
            self._noise_offset = offset
        self._noise_size += len(data)
        self._noise = (self._noise + data)[:SHOWN]

    def _end_noise(self, found: list[Raw]) -> None:
        if self._noise_size:
            why = "%d bytes outside frames" % self._noise_size
            found.append(Raw(self._noise, self._noise_offset, NOISE, why))
        self._noise = b""
        self._noise_size = 0


class _Hci:
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
        return _compared("CRC", expected, frame[-2:])


class _Amber:
    sync = b"\xff"
    shared = 0
    fill = b""
    stalled_ms = 1000

    def size(self, data: bytes) -> int | tuple[str, str] | None:
        if len(data) < 3:
            return None
        return 4 + data[2] if data[2] <= amber_frames.MAX_DATA else 0

    def check(self, frame: bytes) -> tuple[str, str]:
        return _compared("XOR", bytes((usi.crc8(frame[:-1]),)), frame[-1:])


class _Wrapper:
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


class _Hdlc:
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
                return _compared("HCS", expected, came)
        return length + 2

    def check(self, frame: bytes) -> tuple[str, str]:
        if not frame.endswith(hdlc_frames.FLAG):
            return BAD_LENGTH, "expected the flag 7e after %d bytes, came %02x" % (
                len(frame) - 2,
                frame[-1],
            )
        return _compared("FCS", x25(frame[1:-3]), frame[-3:-1])


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


def _compared(name: str, expected: bytes, came: bytes) -> tuple[str, str]:
    if expected == came:
        return "", ""
    return BAD_CRC, "%s: expected %s, came %s" % (name, expected.hex(), came.hex())


def _cut(size: int) -> str:
    return "a frame begins, and ends after %d bytes" % size


USI, IMST, AMBER, WRAPPER, HDLC = "usi", "imst", "amber", "wrapper", "hdlc"
FORMATS = (USI, IMST, AMBER, WRAPPER, HDLC)


def framer(name: str) -> Framer:
    """For one of FORMATS."""
    if name == USI:
        return UsiFramer()
    kinds: dict[str, _Kind] = {
        IMST: _Hci(),
        AMBER: _Amber(),
        WRAPPER: _Wrapper(),
        HDLC: _Hdlc(),
    }
    return Scanner(kinds[name])
