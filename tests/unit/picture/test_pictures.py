"""The README's pictures: no text runs over its box, and a terminal's output keeps its columns."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib
import pytest
from matplotlib.ft2font import FT2Font, LoadFlags

from tests.conftest import ROOT
from tools.picture.__main__ import CELL, MARGIN, picture

PICTURES = ROOT / "tools" / "picture"
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
SVG = "{http://www.w3.org/2000/svg}"
SIZES = {"t": 14, "s": 12, "c": 12, "d": 12}


def width(text: str, style: str) -> float:
    """In DejaVu Sans, wider than what else stands for sans-serif."""
    font = FT2Font(FONTS / ("DejaVuSans-Bold.ttf" if style == "t" else "DejaVuSans.ttf"))
    font.set_size(SIZES[style], 72)
    font.set_text(text, 0, flags=LoadFlags.NO_HINTING)
    return font.get_width_height()[0] / 64


def span(element: ET.Element) -> tuple[float, float]:
    """From where to where a text reaches."""
    assert element.text
    size = width(element.text, element.attrib["class"])
    x = float(element.attrib["x"])
    start = x - size / 2 if element.get("text-anchor") == "middle" else x
    return start, start + size


def test_texts_of_the_architecture_fit_their_boxes() -> None:
    root = ET.parse(PICTURES / "architecture.svg").getroot()
    boxes = [
        [float(box.attrib[name]) for name in ("x", "y", "width", "height")]
        for box in root.iter(SVG + "rect")
        if "class" in box.attrib
    ]
    texts = list(root.iter(SVG + "text"))
    inside = 0
    for element in texts:
        x, y = float(element.attrib["x"]), float(element.attrib["y"])
        around = [b for b in boxes if b[0] < x < b[0] + b[2] and b[1] < y < b[1] + b[3]]
        if around:
            left, _, across, _ = min(around, key=lambda box: box[2] * box[3])
            start, end = span(element)
            assert left + 4 < start and end < left + across - 4, element.text
            inside += 1
    assert inside > 40


def test_texts_of_the_architecture_do_not_meet() -> None:
    root = ET.parse(PICTURES / "architecture.svg").getroot()
    lines: dict[str, list[tuple[float, float, str]]] = {}
    for element in root.iter(SVG + "text"):
        lines.setdefault(element.attrib["y"], []).append((*span(element), element.text or ""))
    for line in lines.values():
        line.sort()
        for before, after in itertools.pairwise(line):
            assert before[1] + 4 < after[0], (before[2], after[2])


@pytest.mark.parametrize("name", ["architecture.svg", "report.svg"])
def test_a_picture_fetches_nothing(name: str) -> None:
    text = (PICTURES / name).read_text()
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_terminal_output_keeps_columns_and_looks() -> None:
    shown = "\x1b[1mMeter\x1b[0m  \x1b[1;31mKO\x1b[0m\n  a < b & \x1b[2mc\x1b[0m\n"
    first, second, third, fourth = ET.fromstring(picture(shown)).iter(SVG + "text")
    assert [each.text for each in (first, second, third, fourth)] == ["Meter", "KO", "a < b &", "c"]
    assert float(second.attrib["x"]) == pytest.approx(MARGIN + 7 * CELL)
    assert float(fourth.attrib["x"]) == pytest.approx(MARGIN + 10 * CELL)
    assert float(first.attrib["textLength"]) == pytest.approx(5 * CELL)
    assert second.get("fill") == "#b02020" and second.get("font-weight") == "bold"
    assert third.get("font-weight") is None and third.get("fill") != fourth.get("fill")
    assert first.attrib["y"] == second.attrib["y"] < third.attrib["y"] == fourth.attrib["y"]
