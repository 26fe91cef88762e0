"""Two-way recordings of a modem's line, JSON lines: what ami-sniff --record writes, what ami-replay
makes a test of.

    {"recording": 1, "format": "usi", "started": 1790000000000, "about": "..."}
    {"at": 0, "line": "open"}                         the host opened the line, or "closed"
    {"at": 3, "write": "7e..."}                       the host to the modem, hex
    {"at": 41, "read": "7e..."}                       the modem to the host

`at`: milliseconds since the recording began. `started` (ms since 1970), `format` and `about` may be
missing. ami-replay adds "driver" to the first line, and lines of what the driver was told ("call")
and said ("event"); see tools/replay. Unknown members are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from tools.sniff.frame import Chunk

VERSION = 1
LONGEST_LINE = 1 << 20


class RecordingProblem(Exception):
    """It is no recording; the text says where, what was expected and what came."""


def begin(file: TextIO, started_ms: int, about: str, format: str = "") -> None:
    """The first line."""
    head: dict[str, Any] = {"recording": VERSION}
    if format:
        head["format"] = format
    _put(file, {**head, "started": started_ms, "about": about})


def put_bytes(file: TextIO, at_ms: int, outward: bool, data: bytes) -> None:
    _put(file, {"at": at_ms, "write" if outward else "read": data.hex()})


def put_line(file: TextIO, at_ms: int, state: str) -> None:
    """`state`: "open" or "closed"."""
    _put(file, {"at": at_ms, "line": state})


def _put(file: TextIO, row: dict[str, Any]) -> None:
    file.write(json.dumps(row) + "\n")
    file.flush()


def is_recording(beginning: bytes) -> bool:
    return beginning.lstrip().startswith(b'{"recording"')


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The first line, then the others. RecordingProblem, OSError."""
    last = 0
    with path.open("r", encoding="utf-8", errors="replace") as file:
        number = 0
        while text := file.readline(LONGEST_LINE):
            number += 1
            if not text.strip():
                continue
            try:
                row = json.loads(text)
                if not isinstance(row, dict):
                    raise ValueError("a JSON object expected")
                if number == 1:
                    if row.get("recording") != VERSION:
                        raise ValueError('expected {"recording": 1, ..}')
                else:
                    at = row["at"]
                    if type(at) is not int or not last <= at < 1 << 53:
                        raise ValueError('expected an "at" of at least %d, came %r' % (last, at))
                    last = at
                    for name in ("read", "write"):
                        if name in row:
                            bytes.fromhex(row[name])
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                what = 'expected an "at"' if isinstance(error, KeyError) else str(error)
                raise RecordingProblem("%s:%d: %s" % (path, number, what)) from None
            yield row


def chunks(path: Path) -> Iterator[Chunk]:
    """The bytes, with times since 1970 where the recording knows when it began."""
    started = 0
    for row in rows(path):
        if "recording" in row:
            started = row.get("started", 0)
            started = started if type(started) is int else 0
        for name, outward in (("write", True), ("read", False)):
            if name in row:
                yield Chunk(bytes.fromhex(row[name]), started + row["at"], outward)
