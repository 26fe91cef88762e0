"""How a board's settings spell a byte port: "tcp://host:port" or
"serial:/dev/ttyUSB0?baud=57600"."""

from __future__ import annotations

from hal.ports import PortError

DEFAULT_BAUD = 115200


def parse(url: str) -> tuple[str, str, int]:
    """("tcp", host, port) or ("serial", device, baud); PortError when it is neither."""
    if url.startswith("tcp://"):
        host, colon, port = url[6:].rpartition(":")
        host = host.strip("[]")
        if colon and host and _is_number(port) and 0 < int(port) < 65536:
            return "tcp", host, int(port)
    elif url.startswith("serial:"):
        device, question, option = url[7:].partition("?")
        baud = option[5:] if option.startswith("baud=") else ""
        if device and not question:
            return "serial", device, DEFAULT_BAUD
        if device and _is_number(baud) and int(baud) > 0:
            return "serial", device, int(baud)
    raise PortError(
        "port %r: expected tcp://host:port or serial:/dev/ttyX?baud=57600; correct the settings"
        % url
    )


def _is_number(text: str) -> bool:
    return 0 < len(text) < 9 and all("0" <= c <= "9" for c in text)
