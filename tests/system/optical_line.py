"""Two pseudo-terminals joined like the two ends of an optical probe: bytes pass only while both
ends have the same speed, as on a real line."""

from __future__ import annotations

import os
import select
import termios
import threading
import tty


class OpticalLine:
    """`board` and `laptop` are the devices to open."""

    def __init__(self) -> None:
        self._ends = [os.openpty(), os.openpty()]
        for _, follower in self._ends:
            tty.setraw(follower)
        self.board, self.laptop = (os.ttyname(follower) for _, follower in self._ends)
        self.lost = 0  # bytes sent at a speed the other end had not
        self._speeds = [[0, 0], [0, 0]]  # before, now
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._thread.join(10)
        for pair in self._ends:
            for fd in pair:
                os.close(fd)

    def _run(self) -> None:
        leaders = [leader for leader, _ in self._ends]
        while not self._stopped.is_set():
            self._look(leaders)
            for leader in select.select(leaders, [], [], 0.01)[0]:
                sender = leaders.index(leader)
                data = os.read(leader, 4096)
                self._look(leaders)
                # It may have been sent just before its speed changed.
                if self._speeds[1 - sender][1] in self._speeds[sender]:
                    os.write(leaders[1 - sender], data)
                else:
                    self.lost += len(data)

    def _look(self, leaders: list[int]) -> None:
        for number, leader in enumerate(leaders):
            speed = termios.tcgetattr(leader)[4]
            if speed != self._speeds[number][1]:
                self._speeds[number] = [self._speeds[number][1], speed]
