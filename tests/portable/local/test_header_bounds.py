"""The gateway protocol's header at its bounds, with the exact refusal."""

from __future__ import annotations

from gateway.dlms.errors import ProtocolError
from gateway.local import header
from tests.portable.support import raises


def test_addresses_of_one_to_32_octets():
    for serial in ("!", "~", "x" * 32):
        raw = header.encode(header.FROM_DEVICE, serial, b"\xc4")
        assert raw == bytes([0xE7, 0, len(serial)]) + serial.encode() + b"\xc4"
        assert header.decode(raw) == (0xE7, serial, b"\xc4")
    for serial in ("", "x" * 33):
        error = raises(ValueError, header.encode, header.TO_DEVICE, serial, b"\xc0")
        assert str(error) == "gateway protocol: an address has 1..32 bytes"


def test_refused_in_these_words():
    none = "no header E6 or E7"
    for raw, text in (
        ("", none),
        ("e600", none),
        ("e50001" + "41c0", none),
        ("e80001" + "41c0", none),
        ("e60000" + "c0", "an address of 0 bytes, or no APDU"),
        ("e60021" + "41" * 33 + "c0", "an address of 33 bytes, or no APDU"),
        ("e60002" + "4141", "an address of 2 bytes, or no APDU"),
        ("e60002" + "41", "an address of 2 bytes, or no APDU"),
        ("e60101" + "41c0", "network 1, only 0 is served"),
        ("e6ff01" + "41c0", "network 255, only 0 is served"),
        ("e60001" + "20c0", "the address is no serial in ASCII"),
        ("e60001" + "7fc0", "the address is no serial in ASCII"),
    ):
        error = raises(ProtocolError, header.decode, bytes.fromhex(raw))
        assert str(error) == "gateway protocol: " + text, raw
