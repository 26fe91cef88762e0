"""What goes to the screen: tables for people, or one JSON document for programs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tools.dlms.failure import CallProblem

_PIPE_WIDTH = 1000  # nothing is folded where no screen says how wide it is


def console(*, stderr: bool = False) -> Console:
    found = Console(stderr=stderr, highlight=False)
    return (
        found if found.is_terminal else Console(stderr=stderr, highlight=False, width=_PIPE_WIDTH)
    )


def print_json(document: Any) -> None:
    json.dump(document, sys.stdout, indent=1)
    print(flush=True)


def say(text: str) -> None:
    """One line, or a few, of plain text."""
    print(printable(text), flush=True)


def table(*headings: str, title: str = "") -> Table:
    """All cells are plain text: nothing a meter says is taken for markup."""
    made = Table(title=Text(title) if title else None, title_justify="left")
    for heading in headings:
        made.add_column(Text(heading), overflow="fold")
    return made


def row(made: Table, *cells: str | Text) -> None:
    made.add_row(*[cell if isinstance(cell, Text) else Text(printable(cell)) for cell in cells])


def write_file(path: Path, content: bytes) -> None:
    """Whole or not at all. CallProblem names the file."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        raise CallProblem("%s: %s" % (path, error.strerror)) from None


def printable(text: str) -> str:
    """Without what could steer a terminal: a meter's strings are not to be trusted."""
    return "".join(c if c.isprintable() or c == "\n" else "\\x%02x" % ord(c) for c in text)
