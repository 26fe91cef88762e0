"""Files of one JSON object a line, read in pieces: they may be longer than the RAM has room for."""

from __future__ import annotations

from hal.rt import memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hal.ports import Storage

MAX_LINE = 512
_CHUNK = 2048
_TIDY_LINES = 64


def lines(
    storage: Storage, name: str, report: Callable[[str, int, str], None]
) -> Iterator[tuple[int, int, bytes]]:
    """(line number, offset, line) of each line that is not blank.

    Never holds more than one chunk and one line; what exceeds MAX_LINE is left out, and told to
    report(name, number, text). An absent file has no lines.
    """
    size = storage.size(name)
    number, start, position = 1, 0, 0
    line = b""  # what is known of the line that began at `start`, at most MAX_LINE + 1 bytes
    while position < size:
        chunk = storage.read(name, position, _CHUNK)
        if not chunk:
            break
        begin = 0
        while True:
            end = chunk.find(b"\n", begin)
            piece = chunk[begin : len(chunk) if end < 0 else end]
            line += piece[: MAX_LINE + 1 - len(line)]
            if end < 0:
                break
            if _fits(name, number, line, report):
                yield number, start, line
            if number % _TIDY_LINES == 0:
                memory.tidy()
            number, start, line, begin = number + 1, position + end + 1, b"", end + 1
        position += len(chunk)
    if _fits(name, number, line, report):
        yield number, start, line


def _fits(name: str, number: int, line: bytes, report: Callable[[str, int, str], None]) -> bool:
    if len(line) > MAX_LINE:
        report(name, number, "longer than %d bytes" % MAX_LINE)
        return False
    return bool(line.strip())
