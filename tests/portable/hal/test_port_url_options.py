"""What a port's URL says, option by option: what is assumed, and what is refused in which words."""

from __future__ import annotations

from hal.ports import PortError
from hal.rt.port_url import EXPECTED, parse
from tests.portable.support import raises


def said(url):
    found = parse(url)
    return found.kind, found.place, found.port, found.baud, found.format, found.rs485


def test_every_kind_with_what_is_assumed():
    assert said("tcp://h:1") == ("tcp", "h", 1, 115200, "8N1", False)
    assert said("tcp://[fd00::7]:65535") == ("tcp", "fd00::7", 65535, 115200, "8N1", False)
    assert said("serial:x") == ("serial", "x", 0, 115200, "8N1", False)
    assert said("usb:04D8:00DD") == ("usb", "04d8:00dd", 0, 115200, "8N1", False)
    assert said("usb:04D8:00DD:A:b") == ("usb", "04d8:00dd:A:b", 0, 115200, "8N1", False)
    assert said("uart:x") == ("uart", "x", 0, 115200, "8N1", False)


def test_options_one_by_one():
    for option, baud, framing, rs485 in (
        ("baud=1", 1, "8N1", False),
        ("baud=99999999", 99999999, "8N1", False),
        ("format=7E2", 115200, "7E2", False),
        ("format=8O1", 115200, "8O1", False),
        ("rs485=1", 115200, "8N1", True),
        ("rs485=0", 115200, "8N1", False),
        ("rs485=1&rs485=0&baud=2", 2, "8N1", False),
    ):
        assert said("uart:x?" + option)[3:] == (baud, framing, rs485), option


def test_refused_in_these_words():
    options = "baud=number, format=8N1, 8E1, 7E1 or the like, or rs485=1 after the ?"
    usb = "usb:vendor:product, each 4 hex digits, e.g. usb:0403:6001"
    for url, expected in (
        ("", EXPECTED),
        ("serial:", EXPECTED),
        ("uart:", EXPECTED),
        ("udp://h:1", EXPECTED),
        ("tcp://h:0", "tcp://host:port"),
        ("tcp://h:65536", "tcp://host:port"),
        ("tcp://h", "tcp://host:port"),
        ("tcp://h:1?baud=1", "tcp://host:port"),
        ("tcp://h:1?", "tcp://host:port"),
        ("usb:", usb),
        ("usb:0403", usb),
        ("usb:0403:600", usb),
        ("usb:0403:60011", usb),
        ("usb:040g:6001", usb),
        ("usb:0403:6001:", usb),
        ("uart:x?", options),
        ("uart:x?baud", options),
        ("uart:x?baud=0", options),
        ("uart:x?baud=", options),
        ("uart:x?baud=-1", options),
        ("uart:x?baud=100000000", options),
        ("uart:x?baud=1a", options),
        ("uart:x?format=9N1", options),
        ("uart:x?format=8X1", options),
        ("uart:x?format=8N3", options),
        ("uart:x?format=8N", options),
        ("uart:x?format=8N11", options),
        ("uart:x?rs485=2", options),
        ("uart:x?rs485=", options),
        ("uart:x?speed=1", options),
        ("uart:x?baud=1&", options),
    ):
        error = raises(PortError, parse, url)
        assert str(error) == "port %r: expected %s; correct the settings" % (url, expected)
