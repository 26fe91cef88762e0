"""The unix port of MicroPython: the gateway exactly as on a MicroPython board, on a developer's
machine; HELP says how to start it.
"""

from __future__ import annotations

import sys

import board.heap  # noqa: F401 - first of all
from board import firmware
from gateway.version import VERSION

HELP = """\
usage: micropython -m board.unix [--version | --identity | --check] [SETTINGS [FOLDER]]

The firmware of the concentrator under MicroPython, on this machine.

  SETTINGS  a JSON file; gateway/settings.py shows all settings (default: gateway.json here)
  FOLDER    what the gateway keeps: the ledger, packages, invocation counters, and the inventory
            (meters.jsonl, keys.jsonl) that commissioning put there (default: data beside SETTINGS)

With --identity it prints the fingerprint by which the HES enrols this concentrator, and ends. With
--check it looks at settings, certificates, keys, inventory, clock, space and rights, and ends with
status 0 if nothing is wrong, else 1; a gateway may be running meanwhile.
"""


def main(arguments: list[str]) -> int:
    """Exit status as board/linux.py. MicroPython has no signal handlers: it ends by being killed,
    which is always safe.
    """
    if "-h" in arguments or "--help" in arguments:
        print(HELP, end="")
        return 0
    if "--version" in arguments:
        print("gateway", VERSION)
        return 0
    only_identity, only_check = "--identity" in arguments, "--check" in arguments
    arguments = [each for each in arguments if each not in ("--identity", "--check")]
    if len(arguments) > 2:
        print("gateway: expected SETTINGS and FOLDER at most; --help says more", file=sys.stderr)
        return 2
    path = arguments[0] if arguments else "gateway.json"
    base = path[: path.rfind("/")] if "/" in path else "."
    data = arguments[1] if arguments[1:] else base + "/data"
    if only_check:
        return firmware.check(path, data, {})
    if only_identity:
        return firmware.identity(path, data)
    return firmware.run("gateway", path, data, {})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
