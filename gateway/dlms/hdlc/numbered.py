"""What both ends of an HDLC connection do alike (IEC 62056-46, 6.4): negotiate sizes and windows,
cut APDUs into numbered I frames and keep them until acknowledged, put received ones together.

Sequence numbers count modulo 8. A frame out of sequence is dropped, and all from it on are sent
again (go back N); the N(R) in every frame says how far the other end is.
"""

from __future__ import annotations

from gateway.dlms.errors import ProtocolError
from gateway.dlms.hdlc.frames import MAX_INFORMATION
from hal.rt.hexed import hexed

LLC_COMMAND = b"\xe6\xe6\x00"  # before an APDU of the client
LLC_RESPONSE = b"\xe6\xe7\x00"  # before one of the server
DEFAULT_INFORMATION = 128
DEFAULT_WINDOW = 1
_FORMAT = b"\x81\x80"  # of the parameters in SNRM and UA
_IDENTIFIERS = (5, 6, 7, 8)
_GENERAL_BLOCK = b"\xe0"  # tag of general-block-transfer


class Parameters:
    """Largest information field in bytes (32..2030) and window (1..7), sending and receiving, as
    the sender of the SNRM or UA sees them."""

    __slots__ = ("receive_size", "receive_window", "send_size", "send_window")

    def __init__(
        self,
        send_size: int = DEFAULT_INFORMATION,
        receive_size: int = DEFAULT_INFORMATION,
        send_window: int = DEFAULT_WINDOW,
        receive_window: int = DEFAULT_WINDOW,
    ) -> None:
        for size in (send_size, receive_size):
            if not 8 <= size <= MAX_INFORMATION:
                raise ValueError(
                    "HDLC: an information field has 8..%d bytes, not %d" % (MAX_INFORMATION, size)
                )
        for window in (send_window, receive_window):
            if not 1 <= window <= 7:
                raise ValueError("HDLC: a window is 1..7, not %d" % window)
        self.send_size = send_size
        self.receive_size = receive_size
        self.send_window = send_window
        self.receive_window = receive_window

    def encode(self) -> bytes:
        """The information field of an SNRM or UA."""
        group = bytearray()
        for identifier, size in ((5, self.send_size), (6, self.receive_size)):
            group += bytes((identifier, 2)) + size.to_bytes(2, "big")
        for identifier, window in ((7, self.send_window), (8, self.receive_window)):
            group += bytes((identifier, 4)) + window.to_bytes(4, "big")
        return _FORMAT + bytes((len(group),)) + bytes(group)

    @staticmethod
    def decode(information: bytes) -> Parameters:
        """Absent ones have their defaults, larger ones than there can be are taken as the largest.
        ProtocolError when malformed."""
        values = [DEFAULT_INFORMATION, DEFAULT_INFORMATION, DEFAULT_WINDOW, DEFAULT_WINDOW]
        if information:
            if information[:2] != _FORMAT or len(information) != 3 + (information + b"\0")[2]:
                raise _malformed(information)
            position = 3
            while position < len(information):
                head = information[position : position + 2]
                position += 2 + head[-1]
                if len(head) < 2 or position > len(information):
                    raise _malformed(information)
                if head[0] in _IDENTIFIERS:
                    raw = information[position - head[1] : position]
                    values[head[0] - 5] = int.from_bytes(raw, "big")
        if min(values[:2]) < 8 or min(values[2:]) < 1:
            raise _malformed(information)
        return Parameters(
            min(values[0], MAX_INFORMATION),
            min(values[1], MAX_INFORMATION),
            min(values[2], 7),
            min(values[3], 7),
        )

    def agreed(self, others: Parameters) -> Parameters:
        """What holds for us when the other end says `others`: of each the smaller."""
        return Parameters(
            min(self.send_size, others.receive_size),
            min(self.receive_size, others.send_size),
            min(self.send_window, others.receive_window),
            min(self.receive_window, others.send_window),
        )

    @property
    def are_default(self) -> bool:
        sizes = self.send_size == self.receive_size == DEFAULT_INFORMATION
        return sizes and self.send_window == self.receive_window == DEFAULT_WINDOW


def _malformed(information: bytes) -> ProtocolError:
    return ProtocolError("HDLC: malformed parameters in SNRM or UA: %s" % information[:32].hex())


class Outgoing:
    """APDUs on their way out. `first` is V(A), the number of the oldest frame not acknowledged."""

    def __init__(self) -> None:
        self.first = 0
        self.sent = 0  # how many frames from `first` on have been sent at least once
        self._frames: list[tuple[memoryview, bool]] = []  # information, more to come
        self._waiting: list[memoryview] = []

    def put(self, llc: bytes, apdu: bytes | memoryview) -> None:
        self._waiting.append(memoryview(llc + bytes(apdu)))

    @property
    def empty(self) -> bool:
        return not self._frames and not self._waiting

    @property
    def all_sent(self) -> bool:
        """Every frame has been on the line at least once."""
        return not self._waiting and self.sent == len(self._frames)

    def acknowledge(self, number: int) -> int:
        """The other end expects `number` next. How many frames that acknowledges; -1: it cannot
        be."""
        count = number - self.first & 7
        if count > self.sent:
            return -1
        if count:
            self._frames = self._frames[count:]
            self.sent -= count
            self.first = number
        return count

    def window(self, size: int, count: int) -> list[tuple[int, memoryview, bool]]:
        """The frames to send now, at most `count`: (number, information of at most `size` bytes,
        whether the APDU goes on in the next)."""
        frames = self._frames
        while len(frames) < count and self._waiting:
            apdu = self._waiting[0]
            frames.append((apdu[:size], len(apdu) > size))
            if len(apdu) > size:
                self._waiting[0] = apdu[size:]
            else:
                self._waiting = self._waiting[1:]
        self.sent = max(self.sent, min(count, len(frames)))
        return [(self.first + i & 7, frame[0], frame[1]) for i, frame in enumerate(frames[:count])]


class Incoming:
    """Received frames, put together to APDUs of at most `max_apdu` bytes. `expected` is V(R).

    Whole APDUs wait in `complete` until they are taken; while too many wait, frames are not
    accepted, so that the other end sends them again later."""

    def __init__(self, llc: bytes, max_apdu: int) -> None:
        self.expected = 0
        self.complete: list[bytes] = []
        self._llc = llc
        self._max_apdu = max_apdu
        self._part = bytearray()
        self.amid_apdu = False

    @property
    def full(self) -> bool:
        if len(self.complete) >= 16:
            return True
        return sum([len(apdu) for apdu in self.complete]) > self._max_apdu

    def accept(self, number: int, information: bytes, segmented: bool) -> bool:
        """False for a frame out of sequence, or while full. ProtocolError for an APDU that is too
        long or has no LLC header; it is dropped."""
        if number != self.expected or self.full:
            return False
        self.expected = number + 1 & 7
        self._part += information
        self.amid_apdu = segmented
        too_long = len(self._part) > len(self._llc) + self._max_apdu
        if segmented and not too_long:
            return True
        apdu = bytes(self._part)
        self._part = bytearray()
        if too_long:
            self.amid_apdu = False
            raise ProtocolError("HDLC: an APDU longer than %d bytes came" % self._max_apdu)
        self.complete.append(without_llc(apdu, self._llc))
        return True

    def missed(self, number: int, window: int) -> bool:
        """Whether a frame numbered so shows that one before it was lost (else it came twice)."""
        return 0 < (number - self.expected & 7) < window

    def take(self) -> bytes | None:
        """The next whole APDU; None when there is none."""
        if not self.complete:
            return None
        apdu = self.complete[0]
        self.complete = self.complete[1:]
        return apdu


def without_llc(information: bytes, llc: bytes) -> bytes:
    """The APDU behind its LLC header, which some meters double, and of general blocks send before
    the first one only. ProtocolError when it is another."""
    if information[:3] == llc:
        return information[6 if information[3:6] == llc else 3 :]
    if information[:1] == _GENERAL_BLOCK:
        return information
    raise ProtocolError(
        "HDLC: LLC header %s expected, %s came" % (llc.hex(), hexed(information[:3]))
    )
