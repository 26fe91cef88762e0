"""One line a frame, as it comes, or all its layers byte by byte; JSON lines; and the summary."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any

from rich.text import Text

from tools.dlms.output import console, printable, row, table
from tools.sniff.decoder import Decoder
from tools.sniff.frame import Frame, Layer

_ARROWS = {True: ">", False: "<", None: " "}
_COLOURS = {True: "cyan", False: "green", None: ""}
_SINCE_1970 = 10**11  # ms; anything less counts from the beginning of a capture
_BYTES_IN_LINE = 16
_LONGEST = 300  # characters of one layer, unless all is to be seen
_TIME, _NAMES = 13, 28


def moment(at_ms: int | None, offset: int) -> str:
    """Local time of the day, seconds since the beginning, or where in the file."""
    if at_ms is None:
        return "@%d" % offset
    if at_ms < _SINCE_1970:
        return "%.3f" % (at_ms / 1000)
    try:
        return datetime.fromtimestamp(at_ms / 1000).strftime("%H:%M:%S.") + "%03d" % (at_ms % 1000)
    except (ValueError, OverflowError, OSError):
        return "%.3f" % (at_ms / 1000)


class Lines:
    """For people. `verbose`: all layers byte by byte."""

    def __init__(self, verbose: bool) -> None:
        self._console = console()
        self._verbose = verbose
        self._stream = ""

    def begin(self) -> None:
        heading = "%*s   %-*s  %s" % (_TIME, "time", _NAMES, "layers", "what it says")
        self._console.print(Text(heading, "bold"), no_wrap=True, crop=True)

    def frame(self, frame: Frame) -> None:
        if frame.stream != self._stream:
            self._stream = frame.stream
            self._print(Text("-- %s" % printable(frame.stream), "bold"))
        names = ", ".join(dict.fromkeys(layer.name for layer in frame.layers))
        line = Text("%*s " % (_TIME, moment(frame.at_ms, frame.offset)))
        line.append("%s " % _ARROWS[frame.outward], _COLOURS[frame.outward])
        line.append("%-*s  " % (_NAMES, names), "dim")
        if frame.damage:
            line.append("%s: " % frame.damage.upper(), "red bold")
        line.append(_what(frame), "red" if frame.damage else "")
        self._print(line)
        if self._verbose:
            for layer in frame.layers:
                self._layer(layer)

    def end(self, decoder: Decoder) -> None:
        print_summary(decoder)

    def _layer(self, layer: Layer) -> None:
        self._print(Text("    %s: %s" % (layer.name, _one_line(layer.text)), "bold"))
        for part in layer.parts:
            pieces = [
                part.raw[at : at + _BYTES_IN_LINE].hex(" ")
                for at in range(0, len(part.raw), _BYTES_IN_LINE)
            ] or [""]
            text = _one_line(part.text)
            self._print(Text("      %-20s %-47s  %s" % (part.name, pieces[0], text)))
            for piece in pieces[1:]:
                self._print(Text("      %-20s %s" % ("", piece)))

    def _print(self, line: Text) -> None:
        whole = self._verbose or not self._console.is_terminal
        self._console.print(line, no_wrap=True, crop=not whole, soft_wrap=whole)


def _what(frame: Frame) -> str:
    """The line without what the layers' names say already."""
    return " | ".join(_shortened(layer.text) for layer in frame.layers if layer.text)


def _shortened(text: str) -> str:
    line = _one_line(text)
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "... (all of it with -v)"


def _one_line(text: str) -> str:
    return printable(text).replace("\n", "\\n")


class JsonLines:
    """For programs: an object a frame, at the end one with the summary."""

    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose

    def begin(self) -> None:
        pass

    def frame(self, frame: Frame) -> None:
        found: dict[str, Any] = {"frame": frame.number, "at_ms": frame.at_ms}
        found["offset"] = frame.offset
        found["outward"] = frame.outward
        if frame.stream:
            found["stream"] = frame.stream
        if frame.damage:
            found["damage"] = frame.damage
        found["layers"] = [self._layer(layer) for layer in frame.layers]
        self._print(found)

    def _layer(self, layer: Layer) -> dict[str, Any]:
        found: dict[str, Any] = {"name": layer.name, "text": layer.text}
        if self._verbose:
            found["parts"] = [
                {"name": part.name, "hex": part.raw.hex(), "text": part.text}
                for part in layer.parts
            ]
        return found

    def end(self, decoder: Decoder) -> None:
        self._print({"summary": summary(decoder)})

    def _print(self, document: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()


def summary(decoder: Decoder) -> dict[str, Any]:
    return {
        "bytes": decoder.bytes,
        "frames": decoder.frames - sum(decoder.damage.values()),
        "damaged": dict(decoder.damage),
        "formats": decoder.formats or {"": decoder.format},
        "kinds": dict(decoder.kinds.most_common()),
        "ciphered": decoder.cosem.ciphered,
        "deciphered": decoder.cosem.deciphered,
        "not_authenticated": decoder.cosem.unproven,
    }


def print_summary(decoder: Decoder) -> None:
    found = summary(decoder)
    formats = sorted(set(found["formats"].values()))
    made = table("", "", title="Summary: %s" % ", ".join(formats))
    made.show_header = False
    row(made, "bytes", str(found["bytes"]))
    row(made, "frames", str(found["frames"]))
    for kind, count in found["damaged"].items():
        row(made, Text(kind, "red"), str(count))
    if found["ciphered"]:
        row(made, "deciphered", "%d of %d" % (found["deciphered"], found["ciphered"]))
    if found["not_authenticated"]:
        row(made, Text("not authenticated", "red"), str(found["not_authenticated"]))
    for kind, count in found["kinds"].items():
        row(made, kind, str(count))
    console().print(made)
