"""What an HDLC client has to know of its line and meters."""

from __future__ import annotations

from gateway.dlms.hdlc.numbered import DEFAULT_INFORMATION, DEFAULT_WINDOW, Parameters


class Settings:
    """What one line and its meters need. Proposed to the meter: `information`, the largest
    information field in bytes (8..2030), and `window`, frames in a turn (1..7), both ways.

    `response_ms`: how long the meter may take for its answer; a slow line's own time counts in.
    `tries`: how often a frame is sent before the connection is given up. `poll_ms`: how long after
    an empty answer the meter is asked again. `busy_ms`: how long it may say that it is busy.
    `silence_ms`: after this long without a byte, a frame that broke off will not go on.
    """

    __slots__ = (
        "busy_ms",
        "information",
        "poll_ms",
        "response_ms",
        "silence_ms",
        "tries",
        "window",
    )

    def __init__(
        self,
        information: int = DEFAULT_INFORMATION,
        window: int = DEFAULT_WINDOW,
        response_ms: int = 3000,
        tries: int = 3,
        poll_ms: int = 300,
        busy_ms: int = 60_000,
        silence_ms: int = 500,
    ) -> None:
        Parameters(information, information, window, window)  # raises where they cannot be
        self.information = information
        self.window = window
        self.response_ms = response_ms
        self.tries = tries
        self.poll_ms = poll_ms
        self.busy_ms = busy_ms
        self.silence_ms = silence_ms
