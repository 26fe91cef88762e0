"""hal.rt.port_url: what settings may say."""

from __future__ import annotations

from hal.ports import PortError
from hal.rt.port_url import parse
from tests.portable.support import raises


def test_tcp() -> None:
    for url, place, port in (
        ("tcp://127.0.0.1:4059", "127.0.0.1", 4059),
        ("tcp://[::1]:65535", "::1", 65535),
    ):
        found = parse(url)
        assert (found.kind, found.place, found.port) == ("tcp", place, port)


def test_lines() -> None:
    for url, kind, place in (
        ("serial:/dev/ttyUSB0?baud=57600", "serial", "/dev/ttyUSB0"),
        ("uart:plc?baud=57600", "uart", "plc"),
        ("usb:04D8:00DD?baud=57600", "usb", "04d8:00dd"),
        ("usb:0403:6001:A5X:Y?baud=57600", "usb", "0403:6001:A5X:Y"),
    ):
        found = parse(url)
        assert (found.kind, found.place, found.baud) == (kind, place, 57600)
        assert (found.format, found.rs485) == ("8N1", False)


def test_options_of_a_line() -> None:
    found = parse("serial:/dev/ttyS1")
    assert (found.baud, found.format, found.rs485) == (115200, "8N1", False)
    found = parse("uart:rf?format=8E1&rs485=1&baud=9600")
    assert (found.baud, found.format, found.rs485) == (9600, "8E1", True)
    assert parse("uart:rf?format=7O2&rs485=0").format == "7O2"


def test_bad() -> None:
    for url in (
        "",
        "tcp://",
        "tcp://host",
        "tcp://:1",
        "tcp://host:0",
        "tcp://host:65536",
        "tcp://host:-1",
        "tcp://host:1x",
        "tcp://host:1?baud=9600",
        "udp://host:1",
        "serial:",
        "serial:?baud=9600",
        "serial:/dev/ttyS1?baud=",
        "serial:/dev/ttyS1?baud=0",
        "serial:/dev/ttyS1?baud=9600.0",
        "serial:/dev/ttyS1?parity=even",
        "serial:/dev/ttyS1?",
        "serial:/dev/ttyS1?baud=9600&",
        "serial:/dev/ttyS1?format=8E",
        "serial:/dev/ttyS1?format=9N1",
        "serial:/dev/ttyS1?format=8n1",
        "serial:/dev/ttyS1?rs485=yes",
        "uart:",
        "usb:",
        "usb:0403",
        "usb:403:6001",
        "usb:0403:600g",
        "usb:0403:6001:",
    ):
        assert "expected" in str(raises(PortError, parse, url)), url
