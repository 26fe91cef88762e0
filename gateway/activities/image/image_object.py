"""Class 18, image transfer (Blue Book 4.4.6; Green Book 10.8): its members, parameters and states.

1 block size  2 initiate  3 blocks  4 completeness  5 verify  6 what would be activated  7 activate
"""

from __future__ import annotations

from gateway.activities.image.block_planning import Bitmap
from gateway.dlms import apdu
from gateway.dlms.data import axdr
from gateway.dlms.data.axdr import put_length
from gateway.dlms.errors import ProtocolError
from hal.rt.hexed import hexed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLASS = 18
NAME = b"\x00\x00\x2c\x00\x00\xff"  # 0.0.44.0.0.255

BLOCK_SIZE = (CLASS, NAME, 2)
BLOCKS = (CLASS, NAME, 3)  # image_transferred_blocks_status
ENABLED = (CLASS, NAME, 5)
STATUS = (CLASS, NAME, 6)
TO_ACTIVATE = (CLASS, NAME, 7)

INITIATE, TRANSFER, VERIFY, ACTIVATE = 1, 2, 3, 4  # methods

NOT_INITIATED, INITIATED, VERIFYING, VERIFIED, VERIFY_FAILED = 0, 1, 2, 3, 4
ACTIVATING, ACTIVATED, ACTIVATION_FAILED = 5, 6, 7
_STATES = (
    "not initiated",
    "initiated",
    "verification initiated",
    "verification successful",
    "verification failed",
    "activation initiated",
    "activation successful",
    "activation failed",
)

NOTHING = b"\x0f\x00"  # integer 0, what verify and activate take
TRUE = b"\x03\x01"
BLOCK_OVERHEAD = 30  # of an ACTION that carries a block: descriptor, number, lengths


def initiate(identifier: bytes, size: int) -> bytes:
    """The parameter of image_transfer_initiate."""
    return axdr.encode(
        (
            axdr.STRUCTURE,
            [(axdr.OCTET_STRING, identifier), (axdr.DOUBLE_LONG_UNSIGNED, size)],
        )
    )


def transfer(number: int, block: bytes) -> bytes:
    """The parameter of image_block_transfer."""
    out = bytearray((axdr.STRUCTURE, 2, axdr.DOUBLE_LONG_UNSIGNED))
    out.extend(number.to_bytes(4, "big"))
    out.append(axdr.OCTET_STRING)
    put_length(out, len(block))
    out.extend(block)
    return bytes(out)


def bitmap(data: bytes, count: int) -> Bitmap:
    """Of image_transferred_blocks_status: a bit-string with a bit for each block. Meters pad it to
    whole bytes, or leave it short until blocks come: what is over says nothing, and what is missing
    is a block that is missing. ProtocolError when it is no bit-string."""
    bits, raw = _bit_string(data)
    size = (count + 7) // 8
    held = bytearray(raw[:size]) + bytes(max(size - len(raw), 0))
    if bits < count and bits & 7:
        held[bits >> 3] &= 0xFF00 >> (bits & 7) & 0xFF  # what the last byte is filled up with
    return Bitmap(count, bytes(held))


def any_block(data: bytes, start: int = 0) -> bool:
    """Whether image_transferred_blocks_status tells of a block that has come, of number `start` or
    a later one."""
    bits, raw = _bit_string(data)
    return any(raw[number >> 3] & 0x80 >> (number & 7) for number in range(start, bits))


def _bit_string(data: bytes) -> tuple[int, bytes]:
    """How many bits, and the bytes with them."""
    if len(data) < 2 or data[0] != axdr.BIT_STRING:
        raise ProtocolError("image_transferred_blocks_status: expected a bit-string")
    bits, pos = axdr.length_at(data, 1)
    if len(data) - pos != (bits + 7) // 8:
        raise ProtocolError(
            "image_transferred_blocks_status: expected %d bits, came %d bytes"
            % (bits, len(data) - pos)
        )
    return bits, bytes(data[pos:])


def number(data: bytes, what: str) -> int:
    """An enum, boolean or unsigned number."""
    tag, value = axdr.decode(data)
    known = (axdr.ENUM, axdr.BOOLEAN, axdr.DOUBLE_LONG_UNSIGNED, axdr.LONG_UNSIGNED, axdr.UNSIGNED)
    if tag not in known:
        raise ProtocolError("%s: expected a number, came %s" % (what, axdr.TAGS.get(tag, tag)))
    return int(value)


def status(data: bytes) -> int:
    """image_transfer_status. ProtocolError for one that there is none of."""
    value = number(data, "image_transfer_status")
    if not 0 <= value < len(_STATES):
        last = len(_STATES) - 1
        raise ProtocolError("image_transfer_status: expected 0..%d, came %d" % (last, value))
    return value


def would_activate(data: bytes, identifier: bytes, size: int) -> str:
    """ "" when image_to_activate_info tells of the image with this identifier and size, else what
    it tells instead. ProtocolError when it is not as the Blue Book has it."""
    tag, infos = axdr.decode(data)
    if tag != axdr.ARRAY:
        raise ProtocolError("image_to_activate_info: expected an array")
    told = []
    for info in infos:
        found = _info(info)
        if found == (size, identifier):
            return ""
        told.append("%s of %d bytes" % (hexed(found[1]), found[0]))
    return " and ".join(told) or "nothing"


def _info(info: Any) -> tuple[int, bytes]:
    tag, fields = info
    if tag == axdr.STRUCTURE and len(fields) == 3:
        (size_tag, size), (name_tag, name), _ = fields
        if size_tag == axdr.DOUBLE_LONG_UNSIGNED and name_tag == axdr.OCTET_STRING:
            return size, bytes(name)
    raise ProtocolError("image_to_activate_info: expected [size, identification, signature]")


def result_name(result: int) -> str:
    """An action-result by its standard name; "" for success."""
    return "" if result == apdu.SUCCESS else apdu.action_result_name(result)


def state_name(status: int) -> str:
    return _STATES[status]
