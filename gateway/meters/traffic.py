"""How much of the medium an attempt takes from our side."""

from __future__ import annotations

NO_TRAFFIC = (0, 0)  # not known, or of no interest where there is no radio budget


class Traffic:
    """Of one conversation: (frames, octets in all) that it is `expected` to send, and that were
    `sent` where it had a result."""

    def __init__(self, expected: tuple[int, int] = NO_TRAFFIC) -> None:
        self.expected = expected
        self.sent = NO_TRAFFIC
