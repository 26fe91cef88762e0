"""Text in CBOR is UTF-8 by RFC 3629, at every bound of its ranges."""

from __future__ import annotations

from hal.rt import cbor
from hal.rt.cbor import CborError
from tests.portable.support import raises


def text(raw):
    return bytes([0x60 + len(raw)]) + raw


def test_the_first_and_last_of_each_length():
    for code in (0x00, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF):
        raw = chr(code).encode()
        assert cbor.decode(text(raw)) == chr(code), hex(code)
    for first in (0xC2, 0xDF):
        assert len(cbor.decode(text(bytes([first, 0x80])))) == 1
    for raw in (b"\xe0\xa0\x80", b"\xef\xbf\xbf", b"\xf0\x90\x80\x80", b"\xf4\x8f\xbf\xbf"):
        assert len(cbor.decode(text(raw))) == 1
    assert cbor.decode(text(b"a\xc2\x80b\xe0\xa0\x80c")) == "a\x80b\u0800c"


def test_what_is_no_text():
    for raw in (
        b"\x80",  # what only continues
        b"\xbf",
        b"\xc0\x80",  # overlong
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xed\xa0\x80",  # surrogates
        b"\xed\xbf\xbf",
        b"\xf4\x90\x80\x80",  # above U+10FFFF
        b"\xf5\x80\x80\x80",
        b"\xff",
        b"\xc2",  # cut off
        b"\xe0\xa0",
        b"\xf0\x90\x80",
        b"\xc2a",  # not continued
        b"\xc2\xc2",
        b"\xe0\xa0a",
        b"\xf0\x90\x80\x7f",
        b"ok\xc2",
    ):
        error = raises(CborError, cbor.decode, text(raw))
        assert str(error) == "CBOR: text at byte 0 is not UTF-8", raw
        raises(CborError, cbor.decode, b"\x82\x01" + text(raw))


def test_long_text_with_characters_of_each_length_anywhere():
    for character in ("\x80", "\u0800", "\U00010000"):
        raw = character.encode()
        for before in range(4090, 4100):
            whole = b"a" * before + raw * 5
            head = b"\x79" + len(whole).to_bytes(2, "big")
            assert len(cbor.decode(head + whole)) == before + 5
            for bad in (whole[:-1] + b"a", b"a" * before + raw[1:] + raw * 4 + b"a"):
                raises(CborError, cbor.decode, head + bad)
    raises(CborError, cbor.decode, b"\x79\x20\x00" + b"\x80" * 8192)
