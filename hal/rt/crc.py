"""CRC-16/X-25 (the check sequences of HDLC: ISO/IEC 13239; RFC 1662 C.2), the quickest way each
runtime knows.

The bits run the other way round than those of `binascii.crc_hqx`, so CPython reverses the bits of
every byte first and calls that: both steps are C. MicroPython has neither `crc_hqx` nor
`bytes.translate`, and walks a table.
"""

from __future__ import annotations

import binascii

TYPE_CHECKING = False

if TYPE_CHECKING or hasattr(binascii, "crc_hqx"):
    _REVERSED = bytes([int("{:08b}".format(byte)[::-1], 2) for byte in range(256)])  # noqa: UP032
    _GOOD = 0x1D0F  # what is left over a message and its right check sequence

    def x25(data: bytes | memoryview) -> bytes:
        """The check sequence as it follows `data` on the line: two bytes, low one first."""
        rest = binascii.crc_hqx(bytes(data).translate(_REVERSED), 0xFFFF) ^ 0xFFFF
        return rest.to_bytes(2, "big").translate(_REVERSED)

    def x25_good(data: bytes | memoryview) -> bool:
        """Whether `data` ends with the right check sequence over what stands before it."""
        return binascii.crc_hqx(bytes(data).translate(_REVERSED), 0xFFFF) == _GOOD

else:
    from array import array

    def _entry(byte: int) -> int:
        for _ in range(8):
            byte = byte >> 1 ^ 0x8408 if byte & 1 else byte >> 1
        return byte

    _TABLE = array("H", [_entry(byte) for byte in range(256)])
    _GOOD = 0xF0B8

    def _rest(data: bytes | memoryview) -> int:
        table = _TABLE
        crc = 0xFFFF
        for byte in data:
            crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
        return crc

    def x25(data: bytes | memoryview) -> bytes:
        return (_rest(data) ^ 0xFFFF).to_bytes(2, "little")

    def x25_good(data: bytes | memoryview) -> bool:
        return _rest(data) == _GOOD
