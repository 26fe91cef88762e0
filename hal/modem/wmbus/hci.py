"""HCI: the serial frame of IMST wireless M-Bus modules (iM871A, iM170A), 57600 8N1.

    A5 | control << 4 + endpoint | message | length | payload | [time 4] | [RSSI 1] | [CRC 2, LSB
    first]

Control: 2 time stamp, 4 RSSI, 8 CRC. The CRC is CRC-16/X-25 from the second byte on.
"""

from __future__ import annotations

from hal.rt.crc import x25

DEVICE = 1
RADIO = 2

PING_REQUEST = 0x01  # each response is one above its request
PING_RESPONSE = 0x02
SET_CONFIG_REQUEST = 0x03
SET_CONFIG_RESPONSE = 0x04
GET_CONFIG_REQUEST = 0x05
GET_CONFIG_RESPONSE = 0x06
RESET_REQUEST = 0x07
RESET_RESPONSE = 0x08
DEVICE_INFO_REQUEST = 0x0F
DEVICE_INFO_RESPONSE = 0x10
SEND_REQUEST = 0x01  # payload begins with the C-field, without L-field and CRCs
SEND_RESPONSE = 0x02
INDICATION = 0x03  # payload begins with the C-field, too

WITH_TIME = 2
WITH_RSSI = 4
WITH_CRC = 8

MAX_PAYLOAD = 250
_SYNC = b"\xa5"
_STALLED_MS = 500  # 255 bytes take 45 ms at 57600 baud


def crc16(data: bytes | memoryview) -> int:
    """CRC-16/X-25."""
    return int.from_bytes(x25(data), "little")


def frame(
    endpoint: int, message: int, payload: bytes = b"", time: int | None = None, rssi: int = -1
) -> bytes:
    """One frame with CRC; with a time stamp and an RSSI byte where given."""
    if len(payload) > MAX_PAYLOAD:
        raise ValueError("HCI: %d bytes of payload, at most %d" % (len(payload), MAX_PAYLOAD))
    control = WITH_CRC
    tail = b""
    if time is not None:
        control |= WITH_TIME
        tail += (time & 0xFFFFFFFF).to_bytes(4, "little")
    if rssi >= 0:
        control |= WITH_RSSI
        tail += bytes([rssi])
    body = bytes([control << 4 | endpoint, message, len(payload)]) + payload + tail
    return _SYNC + body + crc16(body).to_bytes(2, "little")


class Frame:
    """rssi is in dBm, or None where the module was not told to add it."""

    __slots__ = ("endpoint", "message", "payload", "rssi")

    def __init__(self, endpoint: int, message: int, payload: bytes, rssi: int | None) -> None:
        self.endpoint = endpoint
        self.message = message
        self.payload = payload
        self.rssi = rssi


class Parser:
    """Bytes in, frames out; holds at most one frame. After damage it looks for the next A5.

    Only frames with CRC are checked; a module sends one where its configuration or our request says
    so."""

    def __init__(self) -> None:
        self._buffer = b""
        self._last = 0
        self.frames = 0
        self.noise = 0  # bytes outside frames
        self.bad_crc = 0
        self.stalled = 0  # frames that never ended

    def reset(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes, now_ms: int) -> list[Frame]:
        frames: list[Frame] = []
        if self._buffer and now_ms >= self._last + _STALLED_MS:
            self.stalled += 1
            self._scan(self._buffer[1:], frames)
        if data:
            self._last = now_ms
            self._scan(self._buffer + data, frames)
        return frames

    def due_ms(self) -> int | None:
        """When feed(b"", now) would give up a frame that does not end; None while there is none."""
        return self._last + _STALLED_MS if self._buffer else None

    def _scan(self, buffer: bytes, frames: list[Frame]) -> None:
        position = 0
        while True:
            start = buffer.find(_SYNC, position)
            if start < 0:
                self.noise += len(buffer) - position
                self._buffer = b""
                return
            self.noise += start - position
            if len(buffer) < start + 4:
                self._buffer = buffer[start:]
                return
            control = buffer[start + 1] >> 4
            endpoint = buffer[start + 1] & 0x0F
            if control & 1 or not 1 <= endpoint <= 4:
                self.noise += 1
                position = start + 1
                continue
            length = buffer[start + 3]
            tail = start + 4 + length
            end = tail + (4 if control & WITH_TIME else 0)
            rssi_at = end
            end += 1 if control & WITH_RSSI else 0
            crc_at = end
            end += 2 if control & WITH_CRC else 0
            if len(buffer) < end:
                self._buffer = buffer[start:]
                return
            if control & WITH_CRC:
                received = buffer[crc_at] | buffer[crc_at + 1] << 8
                if crc16(buffer[start + 1 : crc_at]) != received:
                    self.bad_crc += 1
                    position = start + 1
                    continue
            rssi = None
            if control & WITH_RSSI:
                rssi = -100 + (buffer[rssi_at] - 45) // 2
            self.frames += 1
            frames.append(Frame(endpoint, buffer[start + 2], buffer[start + 4 : tail], rssi))
            position = end
