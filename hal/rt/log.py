"""The log: one line to stderr each: date, level, where, text. Never raises; never holds secrets.

Where systemd's journal reads stderr, each line begins with its priority (sd-daemon(3)) instead of
the date, which the journal writes itself.
"""

from __future__ import annotations

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DEBUG, INFO, WARNING, ERROR = range(4)
_NAMES = ("debug", "info", "warning", "error")
_PRIORITIES = (7, 6, 4, 3)  # of syslog
_MAX_TEXT = 1000
# Some MicroPython ports count from 2000.
_EPOCH = 0 if time.gmtime(0)[0] == 1970 else 946684800

_level = INFO
_journal = False


def _has_stderr() -> bool:
    """Asked once, while we hold no file: a descriptor 2 closed at the start would be given to the
    next file opened, and MicroPython would write the log into it."""
    stderr = getattr(sys, "stderr", None)
    if stderr is None or not hasattr(stderr, "flush"):
        return stderr is not None
    try:
        stderr.flush()
    except (OSError, ValueError):
        return False
    return True


_heard = _has_stderr()


def _runtime_time() -> int:
    return int(time.time()) + _EPOCH


_unix_time: Callable[[], int] = _runtime_time


def set_level(name: str) -> None:
    """Write lines of this level ("debug", "info", "warning", "error") and above."""
    global _level
    if name not in _NAMES:
        raise ValueError("log level must be one of %s, not %r" % (", ".join(_NAMES), name))
    _level = _NAMES.index(name)


def set_journal(reads: bool) -> None:
    """Whether it is systemd's journal that reads stderr."""
    global _journal
    _journal = reads


def set_clock(unix_time: Callable[[], int]) -> None:
    """Take dates from here (a Clock's `unix_time`) instead of the runtime."""
    global _unix_time
    _unix_time = unix_time


def debug(where: str, text: str) -> None:
    _write(DEBUG, where, text)


def info(where: str, text: str) -> None:
    _write(INFO, where, text)


def warning(where: str, text: str) -> None:
    _write(WARNING, where, text)


def error(where: str, text: str) -> None:
    _write(ERROR, where, text)


def _write(level: int, where: str, text: str) -> None:
    if level < _level or not _heard:
        return
    told = "%s: %s\n" % (_line(where), _line(text))
    if _journal:
        line = "<%d>%s" % (_PRIORITIES[level], told)
    else:
        line = "%s %-7s %s" % (_date(_unix_time()), _NAMES[level], told)
    try:
        sys.stderr.write(line)
    except (OSError, ValueError, AttributeError, TypeError):
        pass  # closed meanwhile, or full: the gateway goes on


def _date(seconds: int) -> str:
    """RFC 3339 in UTC."""
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % tuple(time.gmtime(seconds - _EPOCH))[:6]


def _line(text: str) -> str:
    """`text` as one printable line of bounded length: what comes from outside cannot forge
    lines."""
    text = str(text)
    if len(text) > _MAX_TEXT:
        text = text[:_MAX_TEXT] + "..."
    return printable(text)


def printable(text: str) -> str:
    """The same for people to see, on a screen, in a file or on a page: nothing in it moves a
    cursor, rings, begins a line, turns the direction of writing, or cannot be seen.
    """
    for character in text:
        if not 32 <= ord(character) < 127:
            break
    else:
        return text
    return "".join([_printable(character) for character in text])


# Unicode's controls of format and of direction, separators of lines, what is invisible, surrogates.
_UNSEEN = (
    (0x7F, 0x9F),
    (0xAD, 0xAD),
    (0x61C, 0x61C),
    (0x200B, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x206F),
    (0xD800, 0xDFFF),
    (0xFEFF, 0xFEFF),
    (0xFFF9, 0xFFFB),
    (0xE0000, 0xE0FFF),
)


def _printable(character: str) -> str:
    code = ord(character)
    if code < 32:
        return "\\x%02x" % code
    for first, last in _UNSEEN:
        if first <= code <= last:
            return ("\\x%02x" if code < 256 else "\\u%04x") % code
    return character
