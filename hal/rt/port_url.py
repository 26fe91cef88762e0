"""How settings spell a byte port:

    tcp://host:port                   a TCP connection, e.g. to a serial server or an emulator
    serial:/dev/ttyUSB0?baud=57600    a serial line of the system
    usb:0403:6001:SERIAL?baud=57600   a USB serial adapter by vendor, product and, where several are
                                      alike, serial number, whatever name the system gives it
    uart:plc?baud=57600               a UART of the board by the name that board/*.py gives it

Options of the last three, joined by &: `baud` (default 115200), `format` (data bits, parity N, E or
O, stop bits; default 8N1), `rs485=1` (the line driver is switched on while sending, by RTS).
"""

from __future__ import annotations

from hal.ports import PortError

TCP, SERIAL, USB, UART = "tcp", "serial", "usb", "uart"
DEFAULT_BAUD = 115200
DEFAULT_FORMAT = "8N1"

EXPECTED = "tcp://host:port, serial:/dev/name, usb:vendor:product or uart:name"


class PortUrl:
    """`kind` is one of the four. `place`: the host, the device, "vendor:product[:serial]" in lower
    case up to the serial, or the UART's name. `port` counts for TCP only, the others for lines."""

    __slots__ = ("baud", "format", "kind", "place", "port", "rs485")

    def __init__(self, kind: str, place: str, port: int = 0) -> None:
        self.kind = kind
        self.place = place
        self.port = port
        self.baud = DEFAULT_BAUD
        self.format = DEFAULT_FORMAT
        self.rs485 = False


def parse(url: str) -> PortUrl:
    """PortError says what is wrong with it."""
    text, _, options = url.partition("?")
    if text.startswith("tcp://"):
        host, colon, port = text[6:].rpartition(":")
        host = host.strip("[]")
        if not (colon and host and _is_number(port) and 0 < int(port) < 65536) or "?" in url:
            raise _wrong(url, "tcp://host:port")
        return PortUrl(TCP, host, int(port))
    if text.startswith("serial:") and len(text) > 7:
        found = PortUrl(SERIAL, text[7:])
    elif text.startswith("usb:"):
        found = PortUrl(USB, _usb(url, text[4:]))
    elif text.startswith("uart:") and len(text) > 5:
        found = PortUrl(UART, text[5:])
    else:
        raise _wrong(url, EXPECTED)
    if "?" in url:
        for option in options.split("&"):
            _take(url, found, option)
    return found


def _usb(url: str, place: str) -> str:
    parts = place.split(":", 2)
    hex_digits = "0123456789abcdefABCDEF"
    good = len(parts) >= 2 and parts[-1] != ""
    for number in parts[:2]:
        good = good and len(number) == 4 and all(c in hex_digits for c in number)
    if not good:
        raise _wrong(url, "usb:vendor:product, each 4 hex digits, e.g. usb:0403:6001")
    return ":".join([parts[0].lower(), parts[1].lower()] + parts[2:])


def _take(url: str, found: PortUrl, option: str) -> None:
    name, _, value = option.partition("=")
    if name == "baud" and _is_number(value) and int(value) > 0:
        found.baud = int(value)
    elif name == "format" and _is_format(value):
        found.format = value
    elif name == "rs485" and value in ("0", "1"):
        found.rs485 = value == "1"
    else:
        raise _wrong(url, "baud=number, format=8N1, 8E1, 7E1 or the like, or rs485=1 after the ?")


def _is_format(value: str) -> bool:
    return len(value) == 3 and value[0] in "78" and value[1] in "NEO" and value[2] in "12"


def _wrong(url: str, expected: str) -> PortError:
    return PortError("port %r: expected %s; correct the settings" % (url, expected))


def _is_number(text: str) -> bool:
    return 0 < len(text) < 9 and all("0" <= c <= "9" for c in text)
