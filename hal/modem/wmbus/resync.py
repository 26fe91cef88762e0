"""A serial line of frames that begin with a known byte, tell their length and have a checksum: what
the modules' two protocols have in common. After damage the next such byte is looked for."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NO_FRAME = -1  # none begins here, whatever follows
MORE = -2  # it is not whole yet


class ResyncParser:
    """Bytes in, frames out; holds at most one frame. A protocol gives _parse()."""

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

    def feed(self, data: bytes, now_ms: int) -> list[Any]:
        """The frames that are whole now, as the protocol makes them."""
        frames: list[Any] = []
        if self._buffer and now_ms >= self._last + self._stalled_ms:
            self.stalled += 1
            self._scan(self._buffer[1:], frames)
        if data:
            self._last = now_ms
            self._scan(self._buffer + data, frames)
        return frames

    def _scan(self, buffer: bytes, frames: list[Any]) -> None:
        position = 0
        while True:
            start = buffer.find(self._sync, position)
            if start < 0:
                self.noise += len(buffer) - position
                self._buffer = b""
                return
            self.noise += start - position
            end, frame = self._parse(buffer, start)
            if end == MORE:
                self._buffer = buffer[start:]
                return
            if frame is not None:
                self.frames += 1
                frames.append(frame)
                position = end
                continue
            if end == NO_FRAME:
                self.noise += 1
            else:
                self.damaged += 1
            position = start + 1

    def _parse(self, buffer: bytes, start: int) -> tuple[int, Any]:
        """What begins at `start`, of a protocol: where it ends and the frame, None when its
        checksum is wrong; (NO_FRAME, None) or (MORE, None)."""
        raise NotImplementedError
