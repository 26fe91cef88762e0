"""What all drivers without I/O of their own have in common (hal/modem/attached.py runs them)."""

from __future__ import annotations

from hal.ports import TooLong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.modem.answer import Answer
    from hal.ports import Joined, Left, ModemReset, Rx, TxDone

    Event = TxDone | Rx | Joined | Left | ModemReset | Answer


class SansIo:
    """What is to be told and what is to be sent wait in `_events` and `_outgoing` until the runner
    takes them."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._outgoing = bytearray()

    def events(self) -> list[Event]:
        """What happened since the last call."""
        events = self._events
        self._events = []
        return events

    def outgoing(self) -> bytes:
        """Bytes for the line since the last call."""
        data = bytes(self._outgoing)
        self._outgoing = bytearray()
        return data


def check_size(medium: str, size: int, mtu: int) -> None:
    """TooLong when a frame of `size` bytes is more than the medium takes."""
    if size > mtu:
        raise TooLong("%s takes %d bytes a frame, not %d" % (medium, mtu, size))


def check_saps(medium: str, source_sap: int, destination_sap: int) -> None:
    """ValueError when they do not fit the byte that each has on this medium."""
    if not (0 <= source_sap <= 0xFF and 0 <= destination_sap <= 0xFF):
        raise ValueError("%s: SAPs are 0..255, not %d, %d" % (medium, source_sap, destination_sap))
