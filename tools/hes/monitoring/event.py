"""One security event, as whoever watches the utility's systems wants it: what, where, when, why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SecurityEvent:
    """`sequence` counts without a gap from 1. `time`: seconds since 1970 UTC. `name` and `reason`
    are the words of the contract ("trust-changed", "bad-signature"). `concentrator` is "" for what
    happened at the head-end itself. `detail` is one line for people, and holds no secret.
    """

    sequence: int
    time: int
    name: str
    concentrator: str = ""
    reason: str = ""
    detail: str = ""
