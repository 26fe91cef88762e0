"""The fingerprint of a concentrator's identity, as people read it off a board and type it."""

from __future__ import annotations

from gateway.contract.identity import FINGERPRINT_SIZE

_DIGITS = 2 * FINGERPRINT_SIZE
_GROUP = 4  # digits
_BETWEEN = " -:._\t\n"

# What people take for a digit.
_MISTAKEN = {"o": "0", "q": "0", "i": "1", "l": "1", "z": "2", "s": "5", "g": "6"}


class FingerprintProblem(Exception):
    """What was typed is no fingerprint; the text says what is wrong with it."""


def parse(text: str) -> bytes:
    """Hex digits in any case, with anything usual between them. FingerprintProblem."""
    digits = [each for each in text.lower() if each not in _BETWEEN]
    for place, each in enumerate(digits):
        if each not in "0123456789abcdef":
            hint = "; is it a %s?" % _MISTAKEN[each] if each in _MISTAKEN else ""
            raise FingerprintProblem(
                "expected a fingerprint of hex digits, 0-9 and a-f, got %s in place %d, group"
                " %d%s" % (ascii(each), place + 1, place // _GROUP + 1, hint)
            )
    if len(digits) != _DIGITS:
        raise FingerprintProblem(
            "expected a fingerprint of %d hex digits, %d groups of %d, got %d digits"
            % (_DIGITS, _DIGITS // _GROUP, _GROUP, len(digits))
        )
    return bytes.fromhex("".join(digits))
