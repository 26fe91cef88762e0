"""The 8-byte wrapper of DLMS over TCP and UDP (Green Book 7.3): version 1, source and destination
port (SAP), length; two bytes each."""

from __future__ import annotations

from gateway.dlms.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.axdr import Bytes

HEADER = 8
VERSION = 1
MAX_APDU = 65535


def encode(source: int, destination: int, apdu: Bytes) -> bytes:
    """One wrapped APDU. ValueError when a port or the length does not fit 16 bits."""
    size = len(apdu)
    if not 0 <= source <= 0xFFFF or not 0 <= destination <= 0xFFFF or size > MAX_APDU:
        raise ValueError("ports are 0..65535 and an APDU is at most 65535 bytes")
    header = bytearray()
    for value in (VERSION, source, destination, size):
        header.append(value >> 8)
        header.append(value & 0xFF)
    return bytes(header) + bytes(apdu)


class Reader:
    """Cuts a TCP stream into wrapped APDUs. It holds at most one APDU of `max_apdu` bytes, its
    header, and what one feed() brought."""

    __slots__ = ("_buffer", "_max_apdu")

    def __init__(self, max_apdu: int = MAX_APDU) -> None:
        self._buffer = b""
        self._max_apdu = max_apdu

    def feed(self, data: Bytes) -> list[tuple[int, int, bytes]]:
        """The (source, destination, apdu) that are complete now. ProtocolError when the stream is
        not wrapped: nothing can find the next header then, so close the connection."""
        self._buffer += bytes(data)
        found = []
        pos = 0
        while len(self._buffer) - pos >= HEADER:
            version, source, destination, size = [
                self._buffer[at] << 8 | self._buffer[at + 1] for at in range(pos, pos + HEADER, 2)
            ]
            if version != VERSION:
                raise ProtocolError("wrapper version %d where 1 is due; close it" % version)
            if size > self._max_apdu:
                raise ProtocolError("an APDU of %d bytes; %d are allowed" % (size, self._max_apdu))
            stop = pos + HEADER + size
            if len(self._buffer) < stop:
                break
            found.append((source, destination, self._buffer[pos + HEADER : stop]))
            pos = stop
        self._buffer = self._buffer[pos:]
        return found
