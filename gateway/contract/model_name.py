"""What a model of meter may be called; `ami` is our own."""

from __future__ import annotations

from gateway.contract.rules import HEAD, Rule, either, exactly

OWN = "ami"


def _fits(value: object) -> bool:
    if not isinstance(value, str) or not 1 <= len(value) <= 32:
        return False
    return all(c in "abcdefghijklmnopqrstuvwxyz0123456789-" for c in value)


NAME = Rule("1..32 of a-z, 0-9 and -", _fits, size=(HEAD + 32, 1, 0))
NAME_OR_NONE = either(exactly(""), NAME)
