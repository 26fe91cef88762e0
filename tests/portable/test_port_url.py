"""hal.rt.port_url: what settings may say."""

from __future__ import annotations

from hal.ports import PortError
from hal.rt.port_url import parse
from tests.portable.support import raises


def test_good() -> None:
    assert parse("tcp://127.0.0.1:4059") == ("tcp", "127.0.0.1", 4059)
    assert parse("tcp://[::1]:65535") == ("tcp", "::1", 65535)
    assert parse("serial:/dev/ttyUSB0?baud=57600") == ("serial", "/dev/ttyUSB0", 57600)
    assert parse("serial:/dev/ttyS1") == ("serial", "/dev/ttyS1", 115200)


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
        "udp://host:1",
        "serial:",
        "serial:?baud=9600",
        "serial:/dev/ttyS1?baud=",
        "serial:/dev/ttyS1?baud=0",
        "serial:/dev/ttyS1?baud=9600.0",
        "serial:/dev/ttyS1?parity=even",
    ):
        assert "expected" in str(raises(PortError, parse, url)), url
