"""ami-replay: recordings of modems as regression tests of their drivers."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from gateway.version import VERSION
from tools.dlms.output import console, printable, row, say, table
from tools.replay.derive import Derived, Row, derive, inputs, whole
from tools.replay.orders import Trace
from tools.replay.player import DRIVERS, first_difference, replay
from tools.sniff import framing
from tools.sniff.recording import RecordingProblem, rows

DESCRIPTION = """\
Play the modem's side of a recording to its driver, in the recording's time, and check that the
driver writes what is written down, and tells the events that are.

From a trace of the field to a test:
  1. On the machine of the gateway, in the middle of the modem's line (see ami-sniff --help):
       ami-sniff --record trace.jsonl --offer pty:/run/ami/modem serial:/dev/ttyS1?baud=115200
     with "url": "serial:/run/ami/modem" in the gateway's settings. Start it before the gateway
     opens its line, so that the trace has the nodes; stop it when what went wrong has happened.
  2. What would the driver of today do?
       ami-replay --driver prime-usi trace.jsonl
     It finds out what the driver was told (a trace has bytes, and no calls), and names every frame
     that the trace has and the driver does not write, or the other way round.
  3. Cut the trace to what matters (a line is an event of its own; times may stay), and make it a
     test:
       ami-replay --driver prime-usi --update -o tests/data/recordings/no-answer.jsonl trace.jsonl
     The test holds calls, bytes and events. Put what it shows into "about" of its first line.
  4. It fails until the driver does what it should: change the expected lines by hand, or mend the
     driver and take its new behaviour over, having read the difference:
       ami-replay tests/data/recordings/no-answer.jsonl
       ami-replay --update tests/data/recordings/no-answer.jsonl
All recordings in tests/data/recordings are played by tests/portable/modem/test_recordings.py, on
CPython and on MicroPython. Where a driver goes through its nodes in an order of the runtime's
(Meters and More), put "runtime": "cpython" into the first line. A trace holds what passed: leave no
password sent in clear in a test.

Exit status 0: the same; 1: not the same; 2: the command or a file is not right.
"""

_MOST_SHOWN = 5
_SHOWN = 96  # characters of a value


class Wrong(Exception):
    """The command line or a file is not right."""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.output is not None and (len(options.recordings) > 1 or not options.update):
        return _failed("-o goes with --update and one recording")
    made = table("recording", "driver", "in", "written", "events", "")
    same = True
    try:
        for path in options.recordings:
            same = _one(path, options, made) and same
    except (Wrong, RecordingProblem) as problem:
        return _failed(str(problem))
    except OSError as error:
        return _failed("%s: %s" % (error.filename, error.strerror))
    console().print(made)
    return 0 if same else 1


def _failed(line: str) -> int:
    print("ami-replay: %s" % printable(line), file=sys.stderr)
    return 2


def _one(path: Path, options: argparse.Namespace, made: Any) -> bool:
    found = list(rows(path))
    if not found:
        raise Wrong("%s: expected a recording, the file is empty" % path)
    head = found[0]
    is_test = "driver" in head
    if options.driver is not None:
        head["driver"] = options.driver
    if options.link_mode is not None:
        head["link_mode"] = options.link_mode
    if "driver" not in head:
        raise Wrong("%s: a trace does not say whose it is: give --driver" % path)
    if head["driver"] not in DRIVERS:
        raise Wrong("%s: expected a driver of %s" % (path, ", ".join(DRIVERS)))
    try:
        differences = _differences(head, found) if is_test else []
        derived = Derived(inputs(found), []) if is_test else derive(head, found[1:])
        test = whole(head, derived.rows)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise Wrong("%s: %s" % (path, error)) from None
    for at, text in derived.differences:
        differences.append("%.3f s: %s" % (at / 1000, text))
    result = "the same" if not differences else "%d lines differ" % len(differences)
    if options.update:
        _write(options.output or path, test)
        result = "written down" + (", " + result if differences else "")
    for line in differences:
        say("%s: %s" % (path.name, line))
    counts = [sum(kind in each for each in test) for kind in ("read", "write", "event")]
    row(made, path.name, head["driver"], *map(str, counts), result)
    return not differences or (options.update and is_test)


def _differences(head: Row, found: list[Row]) -> list[str]:
    """Where a test's outcome is not what it was, from the first place on."""
    wanted, came = replay(found)
    place = first_difference(wanted, came)
    if place is None:
        return []
    lines = []
    for which, outcome in (("expected", wanted), ("came", came)):
        for at, kind, value in outcome[place : place + _MOST_SHOWN]:
            text = "%.3f s: %s %s %s" % (at / 1000, which, kind, _shown(head, kind, value))
            lines.append(text)
        if len(outcome) <= place:
            lines.append("%s nothing more" % which)
    return lines


def _shown(head: Row, kind: str, value: Any) -> str:
    if kind != "write":
        return json.dumps(value)[:_SHOWN]
    trace = Trace(head["driver"])
    framer = framing.framer(trace.format)
    data = bytes.fromhex(value)
    frames = framer.feed(data, None)
    said = "; ".join(trace.describe(raw) for raw in frames)
    return "%s (%s)" % (said, value[:_SHOWN])


def _write(path: Path, test: list[Row]) -> None:
    """Whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("w", encoding="utf-8") as file:
        for each in test:
            file.write(json.dumps(each) + "\n")
    os.replace(fresh, path)


class _Parser(argparse.ArgumentParser):
    """Complains in one line."""

    def error(self, message: str) -> NoReturn:
        print("ami-replay: %s; see %s --help" % (message, self.prog), file=sys.stderr)
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ami-replay",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version="%(prog)s " + VERSION)
    add = parser.add_argument
    add("recordings", type=Path, nargs="+", metavar="RECORDING")
    add("--driver", choices=DRIVERS, help="of a trace; a test has it in its first line")
    add("--link-mode", metavar="MODE", help="of a radio module: N2, N2c, S2, T2 or C2")
    add("--update", action="store_true", help="write down what the driver does now")
    add("-o", "--output", type=Path, metavar="FILE", help="into this file instead")
    return parser


if __name__ == "__main__":
    sys.exit(main())
