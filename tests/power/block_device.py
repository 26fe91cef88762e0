"""A flash of blocks, in RAM, that loses power during any of its writes, erases and syncs.

What it did since the last sync is not on the medium for sure: after a cut each block may stand as
before any of it, or after the first few writes to it, whatever the other blocks do. A write cut off
may be there in part.

One order is kept: the block written last is not there without all before it. The littlefs of
MicroPython 1.25 writes a file's new block and then the metadata that refer to it, with one sync
after both; a medium that stored the second without the first would leave it a file that it cannot
read (error 84, LFS_ERR_CORRUPT).
"""

from __future__ import annotations

from hal.sim.storage import PowerCut
from tests.portable.support import random_bytes

# What a cut leaves of what was not synced, and of the write that it cut off.
LEFT = (
    "all before",  # the write that was cut off is missing, nothing else
    "first half",  # ... is half there
    "second half",
    "noise",  # ... is half there, and noise from there on
    "nothing",
    "out of order 1",  # some blocks' writes are there, some half, some not
    "out of order 2",
    "out of order 3",
)
_SYNC, _COUNT, _SIZE, _ERASE = 3, 4, 5, 6  # of MicroPython's block device, extended interface

_EIO = -5


class BlockDevice:
    """`operations` counts writes, erases and syncs. Made of the `image` left by another one."""

    SIZE = 512

    def __init__(self, image: bytes | bytearray) -> None:
        self._now = bytearray(image)
        self._durable = bytearray(image)
        self._unsynced: list[tuple[int, bytes]] = []  # (place, data) in order
        self._cut_at = -1
        self._left = ""
        self._dead = False
        self.operations = 0

    def arm(self, calls: int, left: str) -> None:
        """Let the power go during the operation after `calls` more; one of LEFT is what is left."""
        if left not in LEFT:
            raise ValueError("expected one of %s, not %r" % (", ".join(LEFT), left))
        self._cut_at = self.operations + calls
        self._left = left

    def unplug(self) -> None:
        """No more of it: whoever has files open there gets EIO."""
        self._dead = True

    def after_cut(self) -> BlockDevice:
        return BlockDevice(self._durable)

    # What MicroPython's file systems call.

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> int:
        if self._dead:
            return _EIO
        place = block * self.SIZE + offset
        buffer[:] = self._now[place : place + len(buffer)]
        return 0

    def writeblocks(self, block: int, buffer: bytearray, offset: int = 0) -> int:
        # When a collected file closes itself there is no memory to be had.
        if self._dead:
            return _EIO
        self._write(block * self.SIZE + offset, bytes(buffer))
        return 0

    def ioctl(self, operation: int, argument: int) -> int:
        if self._dead:
            return _EIO
        if operation == _COUNT:
            return len(self._now) // self.SIZE
        if operation == _SIZE:
            return self.SIZE
        if operation == _ERASE:
            self._write(argument * self.SIZE, b"\xff" * self.SIZE)
        elif operation == _SYNC:
            if self.operations == self._cut_at:
                self._cut()
            self.operations += 1
            self._settle(self._unsynced)
            self._unsynced = []
        return 0

    def _write(self, place: int, data: bytes) -> None:
        if self.operations == self._cut_at:
            self._cut(place, data)
        self.operations += 1
        self._now[place : place + len(data)] = data
        self._unsynced.append((place, data))

    def _settle(self, writes: list[tuple[int, bytes]]) -> None:
        for place, data in writes:
            self._durable[place : place + len(data)] = data

    def _cut(self, place: int = 0, data: bytes = b"") -> None:
        """The power goes during this write, or, without one, during a sync."""
        self.unplug()
        half, left = len(data) // 2, self._left
        if left.startswith("out of order"):
            writes = self._unsynced + ([(place, data)] if data else [])
            if writes:
                self._settle(self._some(writes, int(left[-1])))
        elif left != "nothing":
            self._settle(self._unsynced)
            if left == "first half":
                self._settle([(place, data[:half])])
            elif left == "second half":
                self._settle([(place + half, data[half:])])
            elif left == "noise":
                self._settle([(place, data[:half] + random_bytes(place, len(data) - half))])
        raise PowerCut("the power is gone")

    def _some(self, writes: list[tuple[int, bytes]], seed: int) -> list[tuple[int, bytes]]:
        """Of each block the first few writes, the last of those perhaps half; of the block that was
        written last none, or else all that came before it.
        """
        last = writes[-1][0] // self.SIZE
        end = len(writes)
        while end and writes[end - 1][0] // self.SIZE == last:
            end -= 1
        chances = random_bytes(self.operations * 4 + seed, len(writes) + 1)
        first = 0 if end and chances[-1] < 192 else end
        kept = writes[:first]
        over: set[int] = set()
        for i in range(first, end if first < end else len(writes)):
            place, data = writes[i]
            if place // self.SIZE in over:
                continue
            if chances[i] < 96:
                over.add(place // self.SIZE)
                data = data[: len(data) // 2] if chances[i] < 48 else b""
            kept.append((place, data))
        return kept
