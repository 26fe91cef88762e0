"""Hex digits of octets, also of none."""

from __future__ import annotations


def hexed(octets: bytes | bytearray | memoryview) -> str:
    """Of no octets "", where hex() itself gives b"" on MicroPython."""
    return octets.hex() or ""
