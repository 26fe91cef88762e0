"""`ami-bench`: how fast the firmware's parts are."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from tools.bench import dlms


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0: measured; 1: something does not do its work right; 2: the command is not."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        return status
    except dlms.WrongWork as error:
        print("ami-bench: %s" % error, file=sys.stderr)
    except OSError as error:
        print("ami-bench: %s: %s" % (error.filename, error.strerror), file=sys.stderr)
    return 1


def _dlms(options: argparse.Namespace) -> int:
    compare = dlms.compare if options.runtime == "cpython" else dlms.compare_micropython
    report = compare(options.repeat)
    dlms.show(report, Console())
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ami-bench", description="How fast the firmware's parts are."
    )
    commands = parser.add_subparsers(required=True, metavar="WHAT")
    command = commands.add_parser(
        "dlms",
        help="DLMS codecs, against gurux-dlms and dlms-cosem",
        description="Our DLMS codecs against gurux-dlms and dlms-cosem where they are installed "
        "(they are test dependencies). Each does the same work, checked before it is timed.",
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    command.add_argument(
        "--repeat", type=_positive, default=41, metavar="N", help="rounds (default 41)"
    )
    command.add_argument(
        "--runtime", choices=["cpython", "micropython"], default="cpython", help="default cpython"
    )
    command.set_defaults(run=_dlms)
    return parser


if __name__ == "__main__":
    sys.exit(main())
