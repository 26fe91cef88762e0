"""All targets. Where a decoder has an encoder, what was decoded must encode, and decode to the same
again."""

from __future__ import annotations

from tests.fuzz.target import TARGETS
from tests.fuzz.targets import dlms, lines, session, uplink

__all__ = ("TARGETS", "dlms", "lines", "session", "uplink")
