"""Hex digits, the same on both runtimes, and where no octets may come."""

from __future__ import annotations

from gateway.activities import readable
from gateway.dlms.errors import ProtocolError
from gateway.dlms.hdlc import frames, numbered
from gateway.dlms.hdlc.mode_e import Identification
from hal.rt.hexed import hexed
from tests.portable.support import raises


def test_it_is_always_a_text():
    for octets, text in ((b"", ""), (b"\x00", "00"), (b"\xab\x0f", "ab0f")):
        for kind in (bytes, bytearray, memoryview):
            assert hexed(kind(octets)) == text and isinstance(hexed(kind(octets)), str)


def test_a_message_about_nothing_shows_nothing():
    assert readable.shown(b"") == "malformed data "
    for call, arguments, text in (
        (frames.decode, (b"",), "HDLC: not one whole undamaged frame: "),
        (
            numbered.without_llc,
            (b"", numbered.LLC_RESPONSE),
            "HDLC: LLC header e6e700 expected,  came",
        ),
        (Identification.decode, (b"",), "mode E: no identification message: "),
    ):
        assert str(raises(ProtocolError, call, *arguments)) == text
