"""Meters and More over USI, protocol 31: what stands in the frames. Multi-byte fields big-endian.

    0A send        datetime 8, LMON 8, largest answer 2, time slots 2, n, address 6 x n, service
                   class, attribute, DSAP, ECC, length 2, APDU
    14 confirm     destination 6, DSAP, ECC, status
    15 indication  datetime 8, LMON 8, source 6, attribute, DSAP, ECC, status, length 2, APDU
    16 event       id, length, value
    0B set         id 4, index 2, length, value            0C get         id 4, index 2
    17 set confirm result, id 4, index 2
    18 get confirm result, id 4, index 2, length, value
    00 status      error, command: the modem did not carry out a command (1: not ready yet)

n <= 9: up to eight repeaters, nearest first, then the destination. Source: Microchip's public
Meters and More stack (its serialisation of the application layer, and the concentrator example);
computed, not seen on a wire. Datetime and LMON belong to its own authentication (attributes from
100 on), which DLMS does not need: they stay 0, as does ECC (no encryption).
"""

from __future__ import annotations

DATA_REQUEST = 0x0A
SET_REQUEST = 0x0B
GET_REQUEST = 0x0C
DATA_CONFIRM = 0x14
DATA_INDICATION = 0x15
EVENT_INDICATION = 0x16
SET_CONFIRM = 0x17
GET_CONFIRM = 0x18
STATUS = 0x00

# Service classes: whether the modem waits for an answer, and for how many
SEND = 0  # S: none
REQUEST = 1  # RA: one
REQUEST_MANY = 3  # RC: many, in random time slots

DSAP_APPLICATION = 0
DSAP_MANAGEMENT = 2

DLMS = 18  # attribute

# Attributes of network management
ADDRESS_REQUEST = 90  # who can hear me?
ADDRESS_RESPONSE = 91
TCT_SET_REQUEST = 92  # answer ADDRESS_REQUEST only up to this threshold
LOOK_REQUEST = 94  # REQADDR: look around and tell whom you hear
LOOK_RESPONSE = 95
ACKNOWLEDGE = 247  # NACK.RESP: error code 0 is an acknowledgement

EVENT_ACA = 0x00  # a frame came to nothing on its way; the value is an address
EVENT_TIMEOUT = 0x20  # nobody answered

# Statuses of a confirm
TX_OK = 0
TX_BUSY = 1

NOT_READY = 1  # error of a STATUS

ACA_PARAMETER = 0x201  # the modem's own address

ADDRESS = 6
MAX_APDU = 127
SAPS = 2  # bytes of it, where DLMS is carried
MTU = MAX_APDU - SAPS
MAX_REPEATERS = 8
TO_ALL = b"\xff\xff\xff\xff\xff\x03"

_FOUND = 12  # an ADDRESS_RESPONSE: address 6 backwards, signal, SNR, transmitter, 3 spare
_INDICATION = 29  # bytes before the APDU


def data_request(
    path: list[bytes],
    service_class: int,
    attribute: int,
    dsap: int,
    apdu: bytes,
    largest_answer: int,
    slots: int = 0,
) -> bytes:
    """`path`: repeaters and destination, 6 bytes each. `largest_answer` in bytes; `slots` for the
    answers of REQUEST_MANY."""
    if not 1 <= len(path) <= MAX_REPEATERS + 1:
        raise ValueError("a path has 1..%d addresses, not %d" % (MAX_REPEATERS + 1, len(path)))
    if len(apdu) > MAX_APDU:
        raise ValueError("an APDU has at most %d bytes, not %d" % (MAX_APDU, len(apdu)))
    out = bytearray((DATA_REQUEST,))
    out += bytes(16)
    out += largest_answer.to_bytes(2, "big")
    out += slots.to_bytes(2, "big")
    out.append(len(path))
    for address in path:
        out += address
    out += bytes((service_class, attribute, dsap, 0))
    out += len(apdu).to_bytes(2, "big")
    out += apdu
    return bytes(out)


def get_request(parameter: int, index: int) -> bytes:
    return bytes((GET_REQUEST,)) + parameter.to_bytes(4, "big") + index.to_bytes(2, "big")


def set_request(parameter: int, index: int, value: bytes) -> bytes:
    """`value`: at most 255 bytes."""
    head = bytes((SET_REQUEST,)) + parameter.to_bytes(4, "big") + index.to_bytes(2, "big")
    return head + bytes((len(value),)) + value


class Indication:
    """What a node sent. status 0: received well. Addresses are those send() is given."""

    __slots__ = ("apdu", "attribute", "dsap", "source", "status")

    def __init__(
        self, source: bytes, attribute: int, dsap: int, apdu: bytes, status: int = 0
    ) -> None:
        self.source = source
        self.attribute = attribute
        self.dsap = dsap
        self.apdu = apdu
        self.status = status

    def encode(self) -> bytes:
        head = bytes((DATA_INDICATION,)) + bytes(16) + self.source
        fields = bytes((self.attribute, self.dsap, 0, self.status))
        return head + fields + len(self.apdu).to_bytes(2, "big") + self.apdu


def indication(data: bytes) -> Indication:
    """ValueError when it is not as long as it says."""
    if len(data) < _INDICATION or len(data) != _INDICATION + int.from_bytes(data[27:29], "big"):
        raise ValueError("Meters and More: an indication of %d bytes" % len(data))
    return Indication(data[17:23], data[23], data[24], data[29:], data[26])


def found(apdu: bytes) -> bytes:
    """The address in an ADDRESS_RESPONSE: it stands there backwards. ValueError if cut short."""
    if len(apdu) != _FOUND:
        raise ValueError("an ADDRESS.RESP has %d bytes, not %d" % (_FOUND, len(apdu)))
    return bytes(reversed(apdu[:ADDRESS]))


def all_found(apdu: bytes) -> list[bytes]:
    """The addresses in a LOOK_RESPONSE: how many a node hears (only the first four are told), and
    one record as in an ADDRESS_RESPONSE for each. ValueError if cut short."""
    if not apdu or (len(apdu) - 1) % _FOUND or apdu[0] * _FOUND < len(apdu) - 1:
        raise ValueError("a REQADDR.RESP of %d bytes" % len(apdu))
    return [found(apdu[at : at + _FOUND]) for at in range(1, len(apdu), _FOUND)]


def record(address: bytes) -> bytes:
    """As `found` reads it, with nothing known of the quality."""
    return bytes(reversed(address)) + b"\xff" * (_FOUND - ADDRESS)


def parse_request(data: bytes) -> tuple[list[bytes], int, int, int, int, int, bytes]:
    """A data request's (path, service class, attribute, DSAP, largest answer, slots, APDU).
    ValueError."""
    at = 22 + ADDRESS * (data[21] if len(data) > 21 else 0)
    if len(data) < at + 6 or len(data) != at + 6 + int.from_bytes(data[at + 4 : at + 6], "big"):
        raise ValueError("Meters and More: a data request of %d bytes" % len(data))
    path = [data[start : start + ADDRESS] for start in range(22, at, ADDRESS)]
    largest = int.from_bytes(data[17:19], "big")
    slots = int.from_bytes(data[19:21], "big")
    return path, data[at], data[at + 1], data[at + 2], largest, slots, data[at + 6 :]
