"""What a bad serial line does to the bytes on it."""

from __future__ import annotations

from hal.sim.channel import Rng


class Damage:
    """`wrong` and `lost`: of how many frames (0..1; what is written at once counts as one) a bit
    turns over, or a byte is missing. Both may change while the line is in use."""

    def __init__(self, wrong: float = 0.0, lost: float = 0.0, seed: int = 1) -> None:
        self.wrong = wrong
        self.lost = lost
        self.done = 0  # frames damaged
        self._rng = Rng(seed, "line")

    def passed(self, data: bytes) -> bytes:
        """The bytes as they come out at the other end."""
        if not data or not (self.wrong or self.lost):
            return data
        rng = self._rng
        if rng.chance(self.wrong):
            place = rng.below(len(data))
            turned = bytes((data[place] ^ 1 << rng.below(8),))
            data = data[:place] + turned + data[place + 1 :]
            self.done += 1
        if rng.chance(self.lost):
            place = rng.below(len(data))
            data = data[:place] + data[place + 1 :]
            self.done += 1
        return data
