"""What a modem answers to a get or set: on its way from a driver to who waits in Attached."""

from __future__ import annotations


class Answer:
    """To the question of `token`. value: what get() asked for, b"" for a set(); None when the modem
    refused, and then `error` says what came."""

    __slots__ = ("error", "token", "value")

    def __init__(self, token: int, value: bytes | None, error: str = "") -> None:
        self.token = token
        self.value = value
        self.error = error
