"""Logical names (OBIS, Blue Book 7): six bytes A-B:C.D.E*F."""

from __future__ import annotations


def parse(text: str) -> bytes:
    """Six bytes from "0.0.13.0.0.255" or "0-0:13.0.0*255". ValueError says what was wrong."""
    plain = text.strip().replace("-", ".").replace(":", ".").replace("*", ".")
    parts = plain.split(".")
    if len(parts) != 6:
        raise ValueError(f"a logical name has six numbers (0.0.13.0.0.255), not {text!r}")
    values = []
    for part in parts:
        if not part or len(part) > 3 or [c for c in part if c not in "0123456789"]:
            raise ValueError(f"{part!r} in the logical name {text!r} is not a number")
        value = int(part)
        if value > 255:
            raise ValueError("%d in the logical name %r is over 255" % (value, text))
        values.append(value)
    return bytes(values)


def text(name: bytes | memoryview) -> str:
    """ "0.0.13.0.0.255" from six bytes."""
    if len(name) != 6:
        raise ValueError("a logical name is 6 bytes, not %d" % len(name))
    return ".".join([str(value) for value in name])
