"""The DLMS wrapper of TCP and UDP (IEC 62056-4-7, Green Book 7.3):

version 0001 (2) | source SAP (2) | destination SAP (2) | length (2) | APDU
"""

from __future__ import annotations

HEADER = 8
MAX_APDU = 65535


def wrap(source_sap: int, destination_sap: int, data: bytes | memoryview) -> bytes:
    """One wrapper PDU. ValueError when a field does not fit its 16 bits."""
    for field in (source_sap, destination_sap, len(data)):
        if not 0 <= field <= 0xFFFF:
            raise ValueError("wrapper: %d does not fit 16 bits" % field)
    frame = bytearray(b"\x00\x01")
    frame += source_sap.to_bytes(2, "big")
    frame += destination_sap.to_bytes(2, "big")
    frame += len(data).to_bytes(2, "big")
    frame += data
    return bytes(frame)


def unwrap(datagram: bytes) -> tuple[int, int, bytes]:
    """(source SAP, destination SAP, APDU) of one UDP datagram; ValueError when it is not exactly
    one wrapper PDU."""
    frames = Unwrapper().feed(datagram)
    if len(frames) != 1 or HEADER + len(frames[0][2]) != len(datagram):
        raise ValueError("wrapper: a datagram of %d bytes is not one APDU" % len(datagram))
    return frames[0]


class Unwrapper:
    """A TCP stream in, (source SAP, destination SAP, APDU) out. ValueError when the stream is not
    the wrapper's.
    """

    def __init__(self, mtu: int = MAX_APDU) -> None:
        self._mtu = mtu
        self._buffer = b""

    def coming(self) -> tuple[int, int] | None:
        """(source SAP, destination SAP) of an APDU of which a part is here."""
        if len(self._buffer) < HEADER:
            return None
        source = int.from_bytes(self._buffer[2:4], "big")
        return source, int.from_bytes(self._buffer[4:6], "big")

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        buffer = self._buffer + data
        frames = []
        start = 0
        while len(buffer) - start >= HEADER:
            if buffer[start : start + 2] != b"\x00\x01":
                raise ValueError(
                    "wrapper: expected version 0001, got %s" % buffer[start : start + 2].hex()
                )
            length = int.from_bytes(buffer[start + 6 : start + 8], "big")
            if length > self._mtu:
                raise ValueError("wrapper: %d bytes announced, at most %d" % (length, self._mtu))
            end = start + HEADER + length
            if len(buffer) < end:
                break
            source = int.from_bytes(buffer[start + 2 : start + 4], "big")
            destination = int.from_bytes(buffer[start + 4 : start + 6], "big")
            frames.append((source, destination, buffer[start + HEADER : end]))
            start = end
        self._buffer = buffer[start:]
        return frames
