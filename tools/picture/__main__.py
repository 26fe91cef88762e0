"""A picture of what a command shows in a terminal, for the README:

    FORCE_COLOR=1 COLUMNS=112 ami-hes report JOB | python -m tools.picture > report.svg

Colours and weights are kept. The picture names no font to be fetched: any monospaced one serves.
"""

from __future__ import annotations

import sys
from xml.sax.saxutils import escape

from rich.color_triplet import ColorTriplet
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

CELL, LINE, MARGIN = 8.4, 19, 16  # px: width of a character, height of a line, edge
SIZE = 14
THEME = TerminalTheme(
    (255, 255, 255),
    (33, 43, 54),
    [
        (0, 0, 0),
        (176, 32, 32),
        (36, 118, 62),
        (146, 98, 0),
        (32, 80, 150),
        (130, 50, 140),
        (0, 110, 120),
        (90, 100, 110),
    ],
)


def picture(shown: str) -> str:
    """SVG of the lines of `shown`, with their ANSI colours."""
    lines = [line.rstrip() for line in shown.rstrip("\n").split("\n")]
    columns = max(len(Text.from_ansi(line).plain.rstrip()) for line in lines)
    console = Console(width=columns + 1, color_system="truecolor", force_terminal=True)
    width, height = columns * CELL + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d"' % (width, height),
        ' font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="%d">' % SIZE,
        '<rect width="100%" height="100%" rx="8" fill="#ffffff" stroke="#8fa3b5"/>',
    ]
    for number, line in enumerate(lines):
        y = MARGIN + LINE * number + SIZE
        column = 0
        for segment in Text.from_ansi(line).render(console, end=""):
            parts.append(_span(segment, MARGIN + column * CELL, y))
            column += segment.cell_length
    return "\n".join([*[part for part in parts if part], "</svg>\n"])


def _span(segment: Segment, x: float, y: float) -> str:
    """One run of characters, held to its columns whatever the font."""
    text = segment.text.rstrip()
    if not text:
        return ""
    start = len(text) - len(text.lstrip())
    text = text.lstrip()
    return '<text x="%.1f" y="%d" textLength="%.1f" lengthAdjust="spacingAndGlyphs"%s>%s</text>' % (
        x + start * CELL,
        y,
        len(text) * CELL,
        _look(segment.style or Style()),
        escape(text),
    )


def _look(style: Style) -> str:
    colour = THEME.foreground_color
    if style.color is not None:
        colour = style.color.get_truecolor(THEME)
    if style.dim:
        colour = ColorTriplet(*[(2 * part + 255) // 3 for part in colour])
    weight = ' font-weight="bold"' if style.bold else ""
    return ' fill="%s"%s xml:space="preserve"' % (colour.hex, weight)


if __name__ == "__main__":
    sys.stdout.write(picture(sys.stdin.read()))
