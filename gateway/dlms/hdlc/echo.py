"""Frames of our own that come back: some probes and converters send back what is sent.

The addresses tell them from the meter's. Where both ends have the same one, such a line shows by
the first command that comes back, for no meter sends any.
"""

from __future__ import annotations

from gateway.dlms.hdlc import frames
from gateway.dlms.hdlc.numbered import LLC_COMMAND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.hdlc.frames import Frame

_MOST = 16  # frames still to come back: two windows, and what is sent again


class Echo:
    """Of a client whose own address is the meter's too."""

    def __init__(self) -> None:
        self._there = False  # the line has one
        self._due: list[tuple[int, bytes]] = []  # control and information of what was sent

    def sent(self, control: int, information: bytes | memoryview) -> None:
        self._due = self._due[1 - _MOST :] + [(control, bytes(information))]

    def forget(self) -> None:
        """A new connection: nothing is due any more."""
        self._due = []

    def is_one(self, frame: Frame, amid_apdu: bool) -> bool:
        """`amid_apdu`: an APDU of the meter has begun, whose bytes may look like an LLC header."""
        kind = frame.kind
        ours = kind in (frames.SNRM, frames.DISC)
        if kind in (frames.INFORMATION, frames.UI) and not amid_apdu:
            ours = frame.information[:3] == LLC_COMMAND
        known = (frame.control, frame.information)
        # an RR of the meter may look like ours, what has information may not
        if known in self._due and (self._there or frame.information):
            self._due.remove(known)
            ours = True
        self._there = self._there or ours
        return ours
