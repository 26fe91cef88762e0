"""Durations as the operator reads them, at every change of unit."""

from __future__ import annotations

import pytest

from tools.hes.cli.show import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "less than a minute"),
        (59, "less than a minute"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h 0 min"),
        (7380, "2 h 3 min"),
        (86399, "23 h 59 min"),
        (86400, "1 d 0 h"),
        (90000, "1 d 1 h"),
        (172799, "1 d 23 h"),
        (10**7, "115 d 17 h"),
    ],
)
def test_durations(seconds: int, text: str) -> None:
    assert duration(seconds) == text
