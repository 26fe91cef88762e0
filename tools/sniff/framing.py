"""From a line's bytes to frames, damaged ones included: what a driver only counts is shown here.

Every framer has feed(bytes, time in ms or None) and end(), which give what is complete, and holds
no more than one frame of its kind. Nothing that comes makes it fail.
"""

from __future__ import annotations

from typing import Protocol

from hal.modem import usi
from tools.sniff import kinds
from tools.sniff.frame import Raw
from tools.sniff.kinds import (
    BAD_ESCAPE,
    BAD_LENGTH,
    CUT_SHORT,
    NOISE,
    TOO_LONG,
    UNKNOWN_PROTOCOL,
)

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
        if not left:
            return []
        known = self._offset > 0 and len(left) > 2 and usi.crc_size(left[1] & 0x3F) > 0
        why = _cut(len(left))
        return [Raw(left[:SHOWN], self._offset, CUT_SHORT, why, len(left), known)]

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
    damage, why = kinds.compared("CRC", usi_crc(protocol, raw[:-checked]), raw[-checked:])
    return Raw(raw, offset, damage, why, len(escaped), True)


# ---------------------------------------------------------------- frames that tell their length


class Scanner:
    """Looks for frames of a kind. Behind damage it looks on from the next byte, and is silent about
    what is damaged inside what is damaged."""

    def __init__(self, kind: kinds.Kind) -> None:
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
            known = self._kind.known(frame)
            found.append(Raw(frame[:SHOWN], offset, damage, why, len(frame), known))
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


def _cut(size: int) -> str:
    return "a frame begins, and ends after %d bytes" % size


USI, IMST, AMBER, WRAPPER, HDLC = "usi", "imst", "amber", "wrapper", "hdlc"
MBUS, P1, CIPHERED_P1 = "mbus", "p1", "p1-ciphered"
_KINDS: dict[str, kinds.Kind] = {
    IMST: kinds.Hci(),
    AMBER: kinds.Amber(),
    WRAPPER: kinds.Wrapper(),
    HDLC: kinds.Hdlc(),
    MBUS: kinds.Mbus(),
    P1: kinds.P1(),
    CIPHERED_P1: kinds.CipheredP1(),
}
FORMATS = (USI, *_KINDS)


def framer(name: str) -> Framer:
    """For one of FORMATS."""
    return UsiFramer() if name == USI else Scanner(_KINDS[name])


def sync(name: str) -> bytes:
    """What a frame of this format begins with."""
    return b"\x7e" if name == USI else _KINDS[name].sync
