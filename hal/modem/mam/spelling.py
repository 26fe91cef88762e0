"""How Meters and More addresses, routes and parameters are spelt outside of frames."""

from __future__ import annotations

from hal.modem.mam import frames
from hal.ports import NoRoute, PortError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.modem.mam.routes import Via


def aca(text: str) -> bytes:
    """12 hex digits to the 6 bytes in frames. NoRoute when it is not that."""
    try:
        address = bytes.fromhex(text)
    except ValueError:
        address = b""
    if len(address) != frames.ADDRESS or len(text) != 2 * frames.ADDRESS:
        raise NoRoute("a Meters and More path is an ACA in 12 hex digits, not %r" % text)
    return address


def via(route: list[str]) -> Via:
    """Repeaters as send() is given them. NoRoute."""
    if len(route) > frames.MAX_REPEATERS:
        raise NoRoute("%d repeaters, at most %d" % (len(route), frames.MAX_REPEATERS))
    return tuple([aca(text) for text in route])


def parameter(text: str) -> tuple[int, int]:
    """Number and index of "201" or "5.1", the number in hex. PortError."""
    number, _, index = text.partition(".")
    try:
        parsed = int(number, 16), int(index or "0")
    except ValueError:
        parsed = -1, 0
    if not (0 <= parsed[0] <= 0xFFFFFFFF and 0 <= parsed[1] <= 0xFFFF):
        raise PortError('a parameter is a number in hex as "201", or "201.1", not %r' % text)
    return parsed
