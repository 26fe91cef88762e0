"""How much may stand in a message: each limit that HES and concentrator agree on, once."""

from __future__ import annotations

MOST_JOBS = 16  # in one Progress, the most urgent ones
MOST_REASONS = 4  # of one job in Progress
