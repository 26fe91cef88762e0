"""What is wrong with the model of a meter; apart from models.py, which few concentrators load."""

from __future__ import annotations


class ModelError(Exception):
    """A meter cannot be spoken with as its model says. `reason` of REASONS."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
