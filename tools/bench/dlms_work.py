"""The work of `ami-bench dlms`, the same for everybody: what goes in, what must come out.

Written down without any of the codecs measured. Runs on CPython and MicroPython.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Row:
    """One row of the table. `expected` is what an implementation's first run must give, `again`
    (the same unless told) its second."""

    def __init__(
        self, key: str, title: str, aim: int, note: str, expected: Any, again: Any = None
    ) -> None:
        self.key = key
        self.title = title
        self.aim = aim  # times the best peer
        self.note = note
        self.expected = expected
        self.again = again or expected


# invoke-id 1, confirmed, high priority
INVOKE = 0xC1

PROFILE_CLASS = 7
PROFILE_NAME = bytes((1, 0, 99, 1, 0, 255))
BUFFER = 2
GET_REQUEST = bytes.fromhex("c001c100070100630100ff0200")

OCTETS = bytes(range(16))
GET_RESPONSE = bytes.fromhex("c401c1000910") + OCTETS

COLUMNS = 6
PROFILE_ROWS = [
    [
        bytes((0x07, 0xEA, 11, 23, 1, at // 4, at % 4 * 15, 0, 255, 0x80, 0, 0)),
        at % 7,
        1000000 + 17 * at,
        2000 + at,
        5000 + at * at,
        -at,
    ]
    for at in range(96)
]
PROFILE = b"\x01\x60" + b"".join(
    [
        b"\x02\x06\x09\x0c" + struct.pack(">12sBBBIBIBHBh", a, 17, b, 6, c, 6, d, 18, e, 16, f)
        for a, b, c, d, e, f in PROFILE_ROWS
    ]
)

IMAGE_CLASS = 18
IMAGE_NAME = bytes((0, 0, 44, 0, 0, 255))
BLOCK_TRANSFER = 2
BLOCK_NUMBER = 1234
BLOCK = bytes([7 * at & 0xFF for at in range(200)])
IMAGE_BLOCK = bytes.fromhex("c301c1001200002c0000ff0201020206000004d20981c8") + BLOCK

# keys, title and counter of the Green Book's examples
METER_TITLE = bytes.fromhex("4d4d4d0000bc614e")
CLIENT_TITLE = bytes.fromhex("4d4d4d0000000001")
EK = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
AK = bytes.fromhex("d0d1d2d3d4d5d6d7d8d9dadbdcdddedf")
COUNTER = 0x01234567
PLAIN = b"\xc4" + bytes([11 * at & 0xFF for at in range(1023)])  # a GET response, to look at
# glo-get-response, length, security control, counter; then ciphertext and 12 bytes of tag
CIPHERED_HEAD = bytes.fromhex("cc8204113001234567")
CIPHERED_SHA256 = "ccbea1647b94e31ec553ebb497c7db39facee5496e94260db4778ce06b0cbf4b"
# the same under the next counter
NEXT_HEAD = CIPHERED_HEAD[:-1] + b"\x68"
NEXT_SHA256 = "93805a032debd9ffb87f0fdf5cc55eda962d8d39a6ccd4ea6bb59fe150ec3307"

CLIENT_SAP = 16
SERVER_SAP = 1
CONTROL = 0x30  # I frame N(S) 0, N(R) 1, final: the answer to the first one
INFORMATION = b"\xe6\xe7\x00" + bytes([3 * at & 0xFF for at in range(125)])  # LLC, then an APDU
# of server 1 to client 16: format, addresses, control, HCS; FCS
FRAME = bytes.fromhex("7ea089210330b2b3") + INFORMATION + bytes.fromhex("03407e")

ROWS = [
    Row(
        "get-request",
        "GET request, encode",
        2,
        "GET.request normal of attribute 2 of a profile, without selection: from invoke byte, "
        "class, logical name and attribute to the 13 bytes of the APDU",
        GET_REQUEST,
    ),
    Row(
        "get-response",
        "GET response, decode",
        2,
        "GET.response normal with an octet-string of 16: from the 22 bytes of the APDU to the "
        "octets",
        OCTETS,
    ),
    Row(
        "profile",
        "profile 96 x 6, decode",
        10,
        "buffer of a profile generic, 96 rows of octet-string(12), unsigned, 2 double-long-"
        "unsigned, long-unsigned, long: from %d bytes to native values in lists of lists"
        % len(PROFILE),
        PROFILE_ROWS,
    ),
    Row(
        "ciphering",
        "glo 1 KiB, both ways",
        3,
        "a GET.response of 1024 bytes to its glo-ciphered APDU (suite 0, authenticated and "
        "encrypted, tag of 12, a new invocation counter each time) and back, tag checked",
        (CIPHERED_HEAD, CIPHERED_SHA256, PLAIN),
        (NEXT_HEAD, NEXT_SHA256, PLAIN),
    ),
    Row(
        "hdlc",
        "HDLC 128 B, both ways",
        10,
        "128 bytes of information between addresses of a byte to the frame of 139 bytes with HCS "
        "and FCS, and back, both check sequences checked",
        (FRAME, INFORMATION),
    ),
    Row(
        "image-block",
        "image block, encode",
        2,
        "ACTION.request normal of image_block_transfer: from block number and 200 octets to the "
        "%d bytes of the APDU" % len(IMAGE_BLOCK),
        IMAGE_BLOCK,
    ),
]
