"""Frames that a modem took and has not reported done: window, handles, deadlines, counters."""

from __future__ import annotations

from hal.ports import Busy, TxDone

TYPE_CHECKING = False
if TYPE_CHECKING:
    Key = int | str


class InFlight:
    """Each frame goes by a key, by which the modem's confirm names it: the node's number or
    address; 0 for all where it names none. A key is in flight once."""

    def __init__(self, window: int) -> None:
        """window: frames at once."""
        self._window = window
        self._frames: dict[Key, tuple[int, int]] = {}  # key -> handle, deadline
        self._last_handle = 0
        self.sent = 0
        self.failed = 0  # those settled with a status other than 0
        self.unexpected = 0  # confirms of nothing in flight

    def __len__(self) -> int:
        return len(self._frames)

    def check(self, key: Key) -> None:
        """Busy when begin() would not take the frame."""
        if key in self._frames or len(self._frames) >= self._window:
            raise Busy("%d frames wait for the modem's confirm" % len(self._frames))

    def begin(self, key: Key, now_ms: int, limit_ms: int) -> int:
        """A frame is handed to the modem, which has `limit_ms` to confirm it; returns its handle.
        Busy."""
        self.check(key)
        self._last_handle += 1
        self.sent += 1
        self._frames[key] = (self._last_handle, now_ms + limit_ms)
        return self._last_handle

    def confirm(self, key: Key, status: int) -> list[TxDone]:
        """The modem is finished with a frame; nothing comes of a confirm nobody waits for."""
        if key not in self._frames:
            self.unexpected += 1
            return []
        return self._settle(key, status)

    def fail(self, key: Key, status: int) -> list[TxDone]:
        """The frame of this key, if there is one, is lost without the modem saying so."""
        return self._settle(key, status) if key in self._frames else []

    def expire(self, now_ms: int, status: int) -> list[TxDone]:
        """Frames whose confirm is overdue."""
        done: list[TxDone] = []
        for key in [key for key, frame in self._frames.items() if now_ms >= frame[1]]:
            done += self._settle(key, status)
        return done

    def due_ms(self, otherwise: int) -> int:
        """When expire() has something to do; `otherwise` if that is earlier."""
        for _, deadline in self._frames.values():
            otherwise = min(otherwise, deadline)
        return otherwise

    def clear(self) -> None:
        """The modem restarted, or its line was lost: ModemReset tells of the frames."""
        self._frames = {}

    def _settle(self, key: Key, status: int) -> list[TxDone]:
        handle, _ = self._frames.pop(key)
        if status:
            self.failed += 1
        return [TxDone(handle, status)]
