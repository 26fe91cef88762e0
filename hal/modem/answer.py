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


class Question:
    """The one get or set a driver has open. Attached asks one at a time, so a new one takes the
    place of one that was never answered."""

    def __init__(self) -> None:
        self._token = 0
        self._key: object = None

    def ask(self, key: object) -> int:
        """key: by what the modem's answer is known. Returns the token for who asks."""
        self._token += 1
        self._key = key
        return self._token

    def answer(self, key: object, value: bytes | None, error: str = "") -> list[Answer]:
        """The modem answered; nothing comes of an answer to what was not asked."""
        if self._key is None or key != self._key:
            return []
        self._key = None
        return [Answer(self._token, value, error)]
