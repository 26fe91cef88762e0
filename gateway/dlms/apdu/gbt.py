"""General block transfer (Green Book 9.3.5, general-block-transfer APDU): any long APDU, plain or
ciphered, in numbered blocks, several at once, with what was lost asked for again.

A window is how many blocks the other side may send before it must wait for an acknowledgement; its
last block has `streaming` off. Acknowledgements are blocks without data. `ack` is the highest block
received with none missing before it, and where the sender goes on. A window of 0 means that nothing
is ever acknowledged. `Outgoing` cuts, `Incoming` puts together; both sides of a link use both.
"""

from __future__ import annotations

from gateway.dlms.apdu.parts import ends, put_bytes
from gateway.dlms.data.axdr import bytes_at
from gateway.dlms.errors import ProtocolError
from gateway.dlms.fields import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.data.axdr import Bytes

GENERAL_BLOCK_TRANSFER = 0xE0
MOST_WINDOW = 63
MOST_BLOCKS = 0xFFFF
OVERHEAD = 9  # what a block adds to its data, at most

_LAST = 0x80
_STREAMING = 0x40


class GeneralBlock(Fields):
    """`number` of this block, from 1; `ack` of those received; `window` for those to receive."""

    __slots__ = ("ack", "data", "last", "number", "streaming", "window")
    FIELDS = ("last", "streaming", "window", "number", "ack", "data")

    def __init__(
        self, last: bool, streaming: bool, window: int, number: int, ack: int, data: bytes
    ) -> None:
        self.last = last
        self.streaming = streaming
        self.window = window
        self.number = number
        self.ack = ack
        self.data = data

    def encode(self) -> bytes:
        for value, most in ((self.window, MOST_WINDOW), (self.number, 0xFFFF), (self.ack, 0xFFFF)):
            if not 0 <= value <= most:
                raise ValueError("%d is not in 0..%d" % (value, most))
        control = (_LAST if self.last else 0) | (_STREAMING if self.streaming else 0) | self.window
        out = bytearray((GENERAL_BLOCK_TRANSFER, control))
        out.extend(self.number.to_bytes(2, "big"))
        out.extend(self.ack.to_bytes(2, "big"))
        put_bytes(out, self.data)
        return bytes(out)


def _general_block(data: Bytes) -> GeneralBlock:
    if len(data) < 7:
        raise ProtocolError("a general block of %d bytes" % len(data))
    control = data[1]
    part, end = bytes_at(data, 6)
    ends(data, end)
    return GeneralBlock(
        control & _LAST != 0,
        control & _STREAMING != 0,
        control & MOST_WINDOW,
        data[2] << 8 | data[3],
        data[4] << 8 | data[5],
        part,
    )


BLOCK_DECODERS = {GENERAL_BLOCK_TRANSFER: _general_block}


class Outgoing:
    """One APDU to be sent in blocks of at most `size` bytes of it."""

    __slots__ = ("_apdu", "_size", "count")

    def __init__(self, apdu: bytes, size: int) -> None:
        self._apdu = apdu
        self._size = size
        self.count = (len(apdu) + size - 1) // size
        if self.count > MOST_BLOCKS:
            raise ValueError("%d bytes need more than %d blocks" % (len(apdu), MOST_BLOCKS))

    def window(self, after: int, most: int, own_window: int, ack: int) -> list[GeneralBlock]:
        """The next blocks after block `after`, at most `most` of them, the last of them not
        streaming; `own_window` and `ack` say what we can, and did, receive."""
        stop = min(after + max(most, 1), self.count)
        blocks = []
        for number in range(after + 1, stop + 1):
            start = (number - 1) * self._size
            blocks.append(
                GeneralBlock(
                    number == self.count,
                    number < stop,
                    own_window,
                    number,
                    ack,
                    self._apdu[start : start + self._size],
                )
            )
        return blocks


class Incoming:
    """One APDU coming in blocks, of at most `limit` bytes in all. Blocks may come out of order,
    double, or not at all."""

    __slots__ = ("_ahead", "_count", "_limit", "_size", "_whole", "received")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0  # bytes held
        self._count = 0  # of the last block, once it is known
        self._whole = bytearray()
        self._ahead: dict[int, bytes] = {}  # blocks beyond a gap
        self.received = 0  # the highest block with none missing before it

    def take(self, block: GeneralBlock) -> bool:
        """Whether the block brought anything new; ProtocolError when the blocks cannot be one
        APDU."""
        number = block.number
        if number <= self.received or number in self._ahead:
            return False
        if number > self.received + MOST_WINDOW:
            return False  # of another transfer: nobody may be so far ahead
        if self._count and number > self._count:
            raise ProtocolError("block %d after block %d, the last" % (number, self._count))
        if not block.data:
            raise ProtocolError("block %d is empty" % number)
        self._size += len(block.data)
        if self._size > self._limit:
            raise ProtocolError("longer than the %d bytes allowed" % self._limit)
        if block.last:
            if any(ahead > number for ahead in self._ahead):
                raise ProtocolError("block %d, the last, after a higher one" % number)
            self._count = number
        self._ahead[number] = block.data
        while self.received + 1 in self._ahead:
            self.received += 1
            self._whole.extend(self._ahead.pop(self.received))
        return True

    def missing(self) -> int:
        """How many blocks the first gap has; 0: none is known to be missing."""
        if not self._ahead:
            return 0
        return min(self._ahead) - self.received - 1

    def whole(self) -> bytes | None:
        """The APDU, once every block is there."""
        if not self._count or self.received < self._count:
            return None
        return bytes(self._whole)
