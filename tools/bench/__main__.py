"""`ami-bench`: how fast the firmware's parts are, and how large."""

from __future__ import annotations

import argparse
import sys

from gateway.version import VERSION
from tools.bench import contract, daily, dlms, heap, ledger, mass, modem, readings, uplink
from tools.bench.wrong import WrongWork

# each adds its command with add_command(commands)
PARTS = [dlms, contract, uplink, ledger, readings, modem, mass, daily, heap]


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0: measured; 1: something does not do its work right; 2: the command is not."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        return status
    except WrongWork as error:
        print("ami-bench: %s" % error, file=sys.stderr)
    except OSError as error:
        print("ami-bench: %s: %s" % (error.filename, error.strerror), file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ami-bench", description="How fast the firmware's parts are."
    )
    parser.add_argument("--version", action="version", version="%(prog)s " + VERSION)
    commands = parser.add_subparsers(required=True, metavar="PART")
    for part in PARTS:
        part.add_command(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
