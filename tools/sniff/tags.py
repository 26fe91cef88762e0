"""What the first byte of an APDU tells: that it is one, and which way it goes."""

from __future__ import annotations

from gateway.dlms.apdu.acse import AARE, AARQ, RLRE, RLRQ
from gateway.dlms.apdu.gbt import GENERAL_BLOCK_TRANSFER
from gateway.dlms.apdu.notify import DATA_NOTIFICATION
from gateway.dlms.protection.tags import PROTECTED

# What only a client says, and only a server (IEC 62056-5-3, COSEMpdu)
_TO_METER = (
    AARQ, RLRQ, 0x01, 0x05, 0x06, 0x16, 0xC0, 0xC1, 0xC3, 0xD9,
    0x21, 0x25, 0x26, 0x36, 0xC8, 0xC9, 0xCB,  # under the global key
    0x41, 0x45, 0x46, 0x56, 0xD0, 0xD1, 0xD3,  # under the dedicated key
)  # fmt: skip
_FROM_METER = (
    AARE, RLRE, 0x08, 0x0C, 0x0D, 0x0E, DATA_NOTIFICATION, 0x18, 0xC2, 0xC4, 0xC5, 0xC7, 0xD8, 0xDA,
    0x28, 0x2C, 0x2D, 0x38, 0xCA, 0xCC, 0xCD, 0xCF,
    0x48, 0x4C, 0x4D, 0x58, 0xD2, 0xD4, 0xD5, 0xD7,
)  # fmt: skip


def direction(apdu: bytes) -> bool | None:
    """Whether an APDU goes to a meter, as far as its tag says so."""
    if apdu[:1] and apdu[0] in _TO_METER:
        return True
    return False if apdu[:1] and apdu[0] in _FROM_METER else None


def is_apdu(data: bytes) -> bool:
    """Whether its first byte is a tag that is known."""
    if not data:
        return False
    return direction(data) is not None or data[0] in PROTECTED or data[0] == GENERAL_BLOCK_TRANSFER
