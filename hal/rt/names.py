"""The names a Storage takes."""

from __future__ import annotations

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.-"


def is_valid(name: str) -> bool:
    """[a-z0-9.-]{1,48}, and not "." or ".."."""
    return 0 < len(name) <= 48 and name not in (".", "..") and all(c in _LETTERS for c in name)


def checked(name: str) -> str:
    """The name itself; ValueError when it is not one (no path can leave the folder)."""
    if not is_valid(name):
        raise ValueError("storage name %r: expected 1 to 48 of a-z 0-9 . -" % name)
    return name
