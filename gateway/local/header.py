"""The header of the gateway protocol (Green Book, 10.10): an APDU for a device behind this one.

E6 (to the device) or E7 (from it) | network id | length of the address | address | APDU

The address is the meter's serial in ASCII, which is what its label says; network id 0 is whichever
network reaches it, the only one served here. That the standard leaves the spelling of the address
to the network is how we read it; it is not in evidence in any capture.
"""

from __future__ import annotations

from gateway.dlms.errors import ProtocolError

TO_DEVICE = 0xE6
FROM_DEVICE = 0xE7
ANY_NETWORK = 0
MAX_ADDRESS = 32


def encode(tag: int, serial: str, apdu: bytes | memoryview) -> bytes:
    """With TO_DEVICE or FROM_DEVICE. ValueError for a serial that is no address."""
    address = serial.encode()
    if not 1 <= len(address) <= MAX_ADDRESS:
        raise ValueError("gateway protocol: an address has 1..%d bytes" % MAX_ADDRESS)
    return bytes((tag, ANY_NETWORK, len(address))) + address + apdu


def decode(data: bytes) -> tuple[int, str, bytes]:
    """(tag, serial, APDU). ProtocolError when it is not that, or the network is another."""
    if len(data) < 3 or data[0] not in (TO_DEVICE, FROM_DEVICE):
        raise ProtocolError("gateway protocol: no header E6 or E7")
    end = 3 + data[2]
    if not 1 <= data[2] <= MAX_ADDRESS or len(data) <= end:
        raise ProtocolError("gateway protocol: an address of %d bytes, or no APDU" % data[2])
    if data[1] != ANY_NETWORK:
        raise ProtocolError("gateway protocol: network %d, only 0 is served" % data[1])
    address = data[3:end]
    if not all(0x21 <= byte <= 0x7E for byte in address):
        raise ProtocolError("gateway protocol: the address is no serial in ASCII")
    return data[0], address.decode(), data[end:]
