"""USI: the serial frame of Microchip (formerly Atmel) PLC modems.

    7E | len[9:2] | len[1:0] << 6 + protocol | data | CRC | 7E        7E -> 7D 5E, 7D -> 7D 5D

The length counts the data alone. Protocols 25, 26, 30 and 31 lend bit 7 of data[0] to it as bit 10.
The CRC covers header and data as they are on the wire before escaping. Source: Microchip's public
USI host software (addUsi.c) and a captured sniffer session (tests/portable/data).
"""

from __future__ import annotations

PRIME_GET_QUERY_ENHANCED = 0x06
PRIME_GET_RESPONSE_ENHANCED = 0x07
PRIME_SNIFFER = 0x13
PRIME_API = 0x30
METERS_AND_MORE = 0x31

LONG_PROTOCOLS = (0x25, 0x26, 0x30, 0x31)
CRC16_PROTOCOLS = (0x13, 0x1F, 0x22, 0x23, 0x24, 0x25, 0x26)
MAX_DATA = 0x7FF

_FLAG = b"\x7e"
_ESCAPE = b"\x7d"
_MAX_ESCAPED = 2 * (2 + MAX_DATA + 4)


def _table(polynomial: int, bits: int) -> list[int]:
    top = 1 << (bits - 1)
    mask = (1 << bits) - 1
    table = []
    for byte in range(256):
        crc = byte << (bits - 8)
        for _ in range(8):
            crc = ((crc << 1) ^ polynomial) & mask if crc & top else (crc << 1) & mask
        table.append(crc)
    return table


_T16 = _table(0x1021, 16)
_T32 = _table(0x04C11DB7, 32)


def crc8(data: bytes | memoryview) -> int:
    """Plain XOR of all bytes; what the modems call CRC8."""
    crc = 0
    for byte in data:
        crc ^= byte
    return crc


def crc16(data: bytes | memoryview) -> int:
    """The modems' own variant: the data byte goes in after the table, so "123456789" gives BEEF."""
    crc = 0
    for byte in data:
        crc = (_T16[crc >> 8] ^ (crc << 8) ^ byte) & 0xFFFF
    return crc


def crc32(data: bytes | memoryview) -> int:
    """Polynomial 04C11DB7, initial value 0, not reflected, no final XOR."""
    crc = 0
    for byte in data:
        crc = _T32[(crc >> 24) ^ byte] ^ ((crc << 8) & 0xFFFFFFFF)
    return crc


def crc_size(protocol: int) -> int:
    """Bytes of CRC behind a frame of this protocol; 0: not a protocol we know."""
    if protocol <= 0x07:
        return 4
    if protocol in CRC16_PROTOCOLS:
        return 2
    if protocol in (PRIME_API, METERS_AND_MORE):
        return 1
    return 0


def _crc(protocol: int, body: bytes) -> bytes:
    size = crc_size(protocol)
    if size == 4:
        return crc32(body).to_bytes(4, "big")
    if size == 2:
        return crc16(body).to_bytes(2, "big")
    return bytes([crc8(body)])


def frame(protocol: int, data: bytes) -> bytes:
    """One frame ready for the wire. ValueError for an unknown protocol or data that does not fit
    it.
    """
    if crc_size(protocol) == 0:
        raise ValueError("USI: unknown protocol %02x" % protocol)
    size = len(data)
    is_long = protocol in LONG_PROTOCOLS
    if size > (MAX_DATA if is_long else 0x3FF):
        raise ValueError("USI: %d bytes do not fit a frame of protocol %02x" % (size, protocol))
    body = bytearray(((size >> 2) & 0xFF, (size & 3) << 6 | protocol))
    body += data
    if is_long and size:
        if data[0] & 0x80:
            raise ValueError("USI: command %02x needs the bit that is the length's" % data[0])
        body[2] |= (size >> 10) << 7
    body += _crc(protocol, bytes(body))
    escaped = bytes(body).replace(_ESCAPE, b"\x7d\x5d").replace(_FLAG, b"\x7d\x5e")
    return _FLAG + escaped + _FLAG


class Frame:
    """A frame with a right CRC. `data` has its length bit taken out."""

    __slots__ = ("data", "protocol")

    def __init__(self, protocol: int, data: bytes) -> None:
        self.protocol = protocol
        self.data = data


class Parser:
    """Bytes in, frames out. Holds at most one frame's worth of bytes; damage is counted by kind.

    A flag both ends and begins a frame, so one lost flag costs one frame and no more.
    """

    def __init__(self) -> None:
        self._partial = bytearray()
        self._skipping = False
        self.frames = 0
        self.bad_escape = 0  # 7D before anything but 5D, 5E
        self.bad_length = 0  # shorter than a frame, or not as long as its header says
        self.bad_crc = 0
        self.unknown_protocol = 0
        self.too_long = 0  # no flag within the largest frame

    def damage(self) -> dict[str, int]:
        """The counters of damage, by the names that drivers give them."""
        return {
            "bad-crc": self.bad_crc,
            "bad-length": self.bad_length,
            "bad-escape": self.bad_escape,
            "too-long": self.too_long,
            "unknown-protocol": self.unknown_protocol,
        }

    def reset(self) -> None:
        """Forget a frame half received; the counters stay."""
        self._partial = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[Frame]:
        frames: list[Frame] = []
        start = 0
        while True:
            end = data.find(_FLAG, start)
            piece = data[start:] if end < 0 else data[start:end]
            if not self._skipping:
                if len(self._partial) + len(piece) > _MAX_ESCAPED:
                    self.too_long += 1
                    self._skipping = True
                    self._partial = bytearray()
                else:
                    self._partial += piece
            if end < 0:
                return frames
            if self._partial:
                parsed = self._parse(bytes(self._partial))
                if parsed is not None:
                    self.frames += 1
                    frames.append(parsed)
                self._partial = bytearray()
            self._skipping = False
            start = end + 1

    def _parse(self, escaped: bytes) -> Frame | None:
        raw = self._unescape(escaped)
        if raw is None:
            self.bad_escape += 1
            return None
        if len(raw) < 3:
            self.bad_length += 1
            return None
        protocol = raw[1] & 0x3F
        size = crc_size(protocol)
        if size == 0:
            self.unknown_protocol += 1
            return None
        length = raw[0] << 2 | raw[1] >> 6
        is_long = protocol in LONG_PROTOCOLS
        if is_long:
            length |= (raw[2] & 0x80) << 3
        if len(raw) != 2 + length + size:
            self.bad_length += 1
            return None
        if _crc(protocol, raw[: 2 + length]) != raw[2 + length :]:
            self.bad_crc += 1
            return None
        data = raw[2 : 2 + length]
        if is_long and length:
            data = bytes([data[0] & 0x7F]) + data[1:]
        return Frame(protocol, data)

    def _unescape(self, escaped: bytes) -> bytes | None:
        position = escaped.find(_ESCAPE)
        if position < 0:
            return escaped
        raw = bytearray()
        start = 0
        while position >= 0:
            code = escaped[position + 1 : position + 2]
            if code != b"\x5d" and code != b"\x5e":
                return None
            raw += escaped[start:position]
            raw.append(code[0] ^ 0x20)
            start = position + 2
            position = escaped.find(_ESCAPE, start)
        raw += escaped[start:]
        return bytes(raw)
