"""HCI: the serial frame of IMST wireless M-Bus modules (iM871A, iM170A), 57600 8N1.

    A5 | control << 4 + endpoint | message | length | payload | [time 4] | [RSSI 1] | [CRC 2, LSB
    first]

Control: 2 time stamp, 4 RSSI, 8 CRC. The CRC is CRC-16/X-25 from the second byte on.
"""

from __future__ import annotations

from hal.modem.wmbus.resync import MORE, NO_FRAME, ResyncParser
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


class Parser(ResyncParser):
    """Gives Frames. Only those with CRC are checked; a module sends one where its configuration or
    our request says so."""

    def __init__(self) -> None:
        super().__init__(_SYNC, _STALLED_MS)

    def _parse(self, buffer: bytes, start: int) -> tuple[int, Frame | None]:
        if len(buffer) < start + 4:
            return MORE, None
        control = buffer[start + 1] >> 4
        endpoint = buffer[start + 1] & 0x0F
        if control & 1 or not 1 <= endpoint <= 4:
            return NO_FRAME, None
        tail = start + 4 + buffer[start + 3]
        rssi_at = tail + (4 if control & WITH_TIME else 0)
        crc_at = rssi_at + (1 if control & WITH_RSSI else 0)
        end = crc_at + (2 if control & WITH_CRC else 0)
        if len(buffer) < end:
            return MORE, None
        if control & WITH_CRC:
            received = buffer[crc_at] | buffer[crc_at + 1] << 8
            if crc16(buffer[start + 1 : crc_at]) != received:
                return end, None
        rssi = -100 + (buffer[rssi_at] - 45) // 2 if control & WITH_RSSI else None
        return end, Frame(endpoint, buffer[start + 2], buffer[start + 4 : tail], rssi)
