"""HDLC frames of DLMS (IEC 62056-46, frame format type 3; Green Book 8.4), both ways.

7E | format, segmentation bit, length (2) | destination | source | control | HCS (2) |
information | FCS (2) | 7E

The length counts all between the flags, so 7E may stand inside and nothing is escaped. The HCS is
there only with information. Addresses have 1, 2 or 4 bytes; the lowest bit of each byte is 1 in the
last one only. One flag may close a frame and open the next.
"""

from __future__ import annotations

from gateway.dlms.errors import ProtocolError
from hal.rt.crc import x25, x25_good
from hal.rt.hexed import hexed

FLAG = b"\x7e"
MAX_LENGTH = 0x7FF
MAX_INFORMATION = 2030  # what fits beside addresses of 4 bytes, HCS and FCS (IEC 62056-46, 6.4.4.4)
_LEAST_LENGTH = 7  # format, two addresses of a byte, control, FCS
_HEADER = 13  # format, two addresses of 4 bytes, control, HCS

# control fields without the poll/final bit
INFORMATION = 0x00
RR = 0x01
RNR = 0x05
REJ = 0x09
SNRM = 0x83
DISC = 0x43
UA = 0x63
DM = 0x0F
FRMR = 0x87
UI = 0x03
POLL = 0x10  # in commands; the same bit is "final" in responses
NAMES = {
    INFORMATION: "I",
    RR: "RR",
    RNR: "RNR",
    REJ: "REJ",
    SNRM: "SNRM",
    DISC: "DISC",
    UA: "UA",
    DM: "DM",
    FRMR: "FRMR",
    UI: "UI",
}

# the reserved address of all stations, as upper or lower part of one byte or of two
ALL_STATIONS = (0x7F, 0x3FFF)


def client_address(sap: int) -> bytes:
    """The one byte of a client's address. ValueError unless 1..127."""
    if not 1 <= sap <= 0x7F:
        raise ValueError("HDLC: client %d is not 1..127" % sap)
    return bytes((sap << 1 | 1,))


def server_address(upper: int, lower: int = -1, size: int = 0) -> bytes:
    """The address of a logical device (`upper`) in a physical one (`lower`, -1: not told apart), in
    1, 2 or 4 bytes (0: as few as will do). ValueError when that does not fit."""
    if size == 0:
        size = 1 if lower < 0 else 2
        if upper > 0x7F or lower > 0x7F:
            size = 4
    if size not in (1, 2, 4):
        raise ValueError("HDLC: a server address has 1, 2 or 4 bytes, not %d" % size)
    largest = 0x3FFF if size == 4 else 0x7F
    if size > 1 and lower < 0:
        raise ValueError("HDLC: a server address of %d bytes needs its lower part too" % size)
    if size == 1 and lower >= 0:
        raise ValueError("HDLC: a server address of 1 byte has no lower part")
    if not 0 <= upper <= largest or lower > largest:
        raise ValueError("HDLC: server %d/%d does not fit %d bytes" % (upper, lower, size))
    if size == 1:
        return bytes((upper << 1 | 1,))
    if size == 2:
        return bytes((upper << 1, lower << 1 | 1))
    return bytes(
        (upper >> 6 & 0xFE, upper << 1 & 0xFE, lower >> 6 & 0xFE, lower << 1 & 0xFE | 1),
    )


def split_address(address: bytes) -> tuple[int, int]:
    """(upper, lower) of an address as it stands in a frame; lower -1 when it has none."""
    if len(address) == 1:
        return address[0] >> 1, -1
    if len(address) == 2:
        return address[0] >> 1, address[1] >> 1
    return address[0] >> 1 << 7 | address[1] >> 1, address[2] >> 1 << 7 | address[3] >> 1


def encode(
    destination: bytes,
    source: bytes,
    control: int,
    information: bytes | memoryview = b"",
    segmented: bool = False,
) -> bytes:
    """A frame with both its flags. ValueError when it exceeds 2047 bytes."""
    length = 5 + len(destination) + len(source)
    if information:
        length += 2 + len(information)
    if length > MAX_LENGTH:
        raise ValueError("HDLC: a frame of %d bytes, at most %d" % (length, MAX_LENGTH))
    start = (0xA800 if segmented else 0xA000) | length
    body = start.to_bytes(2, "big") + destination + source + bytes((control,))
    if information:
        body = body + x25(body) + bytes(information)
    return FLAG + body + x25(body) + FLAG


class Frame:
    """A frame as it came. Addresses as they stand in it; `information` without HCS."""

    __slots__ = ("control", "destination", "information", "segmented", "source")

    def __init__(
        self, destination: bytes, source: bytes, control: int, information: bytes, segmented: bool
    ) -> None:
        self.destination = destination
        self.source = source
        self.control = control
        self.information = information
        self.segmented = segmented

    @property
    def kind(self) -> int:
        """The control field without poll/final bit and sequence numbers, as the constants above."""
        control = self.control
        if not control & 1:
            return INFORMATION
        return control & 0x0F if control & 3 == 1 else control & 0xEF

    @property
    def poll(self) -> bool:
        return self.control & POLL != 0

    @property
    def name(self) -> str:
        return NAMES.get(self.kind, "control %02x" % self.control)


def decode(data: bytes) -> Frame:
    """The one frame that `data` is, with its flags. ProtocolError for anything else."""
    frames = Receiver().feed(data)
    if len(frames) != 1 or len(data) != ((data[1] & 7) << 8 | data[2]) + 2:
        raise ProtocolError("HDLC: not one whole undamaged frame: %s" % hexed(data[:16]))
    return frames[0]


class Receiver:
    """A byte stream in, frames out. What is no frame is passed over, for noise is normal on a line.
    Never holds more than one frame."""

    def __init__(self) -> None:
        self._buffer = b""
        self._needed = 0  # bytes in the buffer before there is anything new to see
        self.damaged = 0  # headers and frames whose check sequence was wrong

    @property
    def amid_frame(self) -> bool:
        return len(self._buffer) > 1

    def feed(self, data: bytes) -> list[Frame]:
        buffer = self._buffer + data if self._buffer else bytes(data)
        if len(buffer) < self._needed:
            self._buffer = buffer
            return []
        frames: list[Frame] = []
        self._scan(buffer, 0, frames)
        return frames

    def silence(self) -> list[Frame]:
        """The line has been quiet for so long that a frame begun cannot go on (its length was
        damaged, or part of it lost). Gives what stands behind that beginning."""
        frames: list[Frame] = []
        while self.amid_frame:
            self._scan(self._buffer, 1, frames)
        return frames

    def _scan(self, buffer: bytes, position: int, frames: list[Frame]) -> None:
        """Gather the frames from `position` on; what may become one is kept."""
        while True:
            flag = buffer.find(FLAG, position)
            if flag < 0:
                self._buffer = b""
                self._needed = 0
                return
            found = self._frame_at(buffer, flag + 1)
            if isinstance(found, Frame):
                frames.append(found)
                # its closing flag may open the next one as well
                position = flag + 1 + ((buffer[flag + 1] & 7) << 8 | buffer[flag + 2])
            elif found:
                self._buffer = buffer[flag:]
                self._needed = 1 + found
                return
            else:
                position = flag + 1

    def _frame_at(self, buffer: bytes, start: int) -> Frame | int:
        """The frame whose format field is at `start`. 0: there is none; else so many bytes from
        `start` on must be there to see more."""
        there = len(buffer) - start
        if there and buffer[start] & 0xF0 != 0xA0:
            return 0
        if there < _LEAST_LENGTH:
            return _LEAST_LENGTH
        length = (buffer[start] & 7) << 8 | buffer[start + 1]
        if there < _HEADER and there <= length:
            return min(_HEADER, length + 1)
        closing = start + length
        stop = min(closing, start + _HEADER)
        source = _after_address(buffer, start + 2, stop)
        control = _after_address(buffer, source, stop) if source else 0
        if not control or control + 3 > closing:
            return 0
        information = control + 1
        if information + 2 != closing:
            information += 2
            # The header is checked first, so that a false beginning is not waited for.
            if information + 2 >= closing or not x25_good(buffer[start:information]):
                self.damaged += 1
                return 0
        if there <= length:
            return length + 1
        if buffer[closing] != 0x7E or not x25_good(buffer[start:closing]):
            self.damaged += 1
            return 0
        return Frame(
            buffer[start + 2 : source],
            buffer[source:control],
            buffer[control],
            buffer[information : closing - 2],
            buffer[start] & 8 != 0,
        )


_REASONS = (
    (1, "the control field is not known (W)"),
    (2, "information where none may be (X)"),
    (4, "the information is too long (Y)"),
    (8, "the acknowledgement cannot be (Z)"),
)


def rejection(information: bytes) -> str:
    """What the information of an FRMR says: the control field that is rejected, and why (ISO/IEC
    13239, 5.5.3.4.2)."""
    if len(information) < 3:
        return "without a reason"
    reasons = [text for bit, text in _REASONS if information[2] & bit]
    return "control %02x, %s" % (information[0], ", ".join(reasons) or "no reason given")


def _after_address(buffer: bytes, start: int, stop: int) -> int:
    """Where the address at `start` ends; 0 when none of 1, 2 or 4 bytes ends before `stop`."""
    end = start
    while end < stop:
        end += 1
        if buffer[end - 1] & 1:
            return 0 if end - start == 3 or end - start > 4 else end
    return 0
