"""A serial line of frames that begin with a known byte, tell their length and have a checksum: what
the modules' two protocols have in common. After damage the next such byte is looked for."""

from __future__ import annotations

NO_FRAME = -1  # none begins here, whatever follows
MORE = -2  # what is there does not tell its length yet


class ResyncParser:
    """Bytes in, frames out; holds at most one frame. A protocol gives _end() and _frame()."""

    def __init__(self, sync: bytes, stalled_ms: int) -> None:
        """sync: the byte that begins a frame. stalled_ms: a frame half received for so long will
        never end."""
        self._sync = sync
        self._stalled_ms = stalled_ms
        self._buffer = b""
        self._last = 0
        self.frames = 0
        self.noise = 0  # bytes outside frames
        self.damaged = 0  # frames with a wrong checksum
        self.stalled = 0  # frames that never ended

    def reset(self) -> None:
        self._buffer = b""

    def due_ms(self) -> int | None:
        """When feed(b"", now) would give up a frame that does not end; None while there is none."""
        return self._last + self._stalled_ms if self._buffer else None

    def _whole(self, data: bytes, now_ms: int) -> list[tuple[bytes, int, int]]:
        """The frames that are whole now: (buffer, where it begins, where it ends)."""
        found: list[tuple[bytes, int, int]] = []
        if self._buffer and now_ms >= self._last + self._stalled_ms:
            self.stalled += 1
            self._scan(self._buffer[1:], found)
        if data:
            self._last = now_ms
            self._scan(self._buffer + data, found)
        return found

    def _scan(self, buffer: bytes, found: list[tuple[bytes, int, int]]) -> None:
        position = 0
        while True:
            start = buffer.find(self._sync, position)
            if start < 0:
                self.noise += len(buffer) - position
                self._buffer = b""
                return
            self.noise += start - position
            end = self._end(buffer, start)
            if end == NO_FRAME:
                self.noise += 1
                position = start + 1
            elif end == MORE or end > len(buffer):
                self._buffer = buffer[start:]
                return
            elif not self._is_good(buffer, start, end):
                self.damaged += 1
                position = start + 1
            else:
                self.frames += 1
                found.append((buffer, start, end))
                position = end

    # What a protocol gives

    def _end(self, buffer: bytes, start: int) -> int:
        """Where the frame ends that begins at `start`, or NO_FRAME, or MORE."""
        raise NotImplementedError

    def _is_good(self, buffer: bytes, start: int, end: int) -> bool:
        """Whether its checksum is right."""
        raise NotImplementedError
