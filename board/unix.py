"""The unix port of MicroPython: the gateway exactly as on a MicroPython board, on a developer's
machine; HELP says how to start it.
"""

from __future__ import annotations

import asyncio
import os
import sys

import board.heap  # noqa: F401 - first of all
from board.wiring import board_key, check_uarts, modems, uplink
from gateway.app import Gateway, Ports
from gateway.settings import SettingsError, parse
from hal.micropython.clock import SystemClock
from hal.micropython.crypto import SystemCrypto
from hal.micropython.datagrams import UdpPort
from hal.micropython.mqtt import MqttUplink
from hal.micropython.ports import open_port
from hal.micropython.private_file import make_private_file
from hal.micropython.storage import FolderStorage
from hal.rt import log

HELP = """\
usage: micropython -m board.unix [SETTINGS [FOLDER]]

The firmware of the concentrator under MicroPython, on this machine.

  SETTINGS  a JSON file; gateway/settings.py shows all settings (default: gateway.json here)
  FOLDER    what the gateway keeps: the ledger, packages, invocation counters, and the inventory
            (meters.jsonl, keys.jsonl) that commissioning put there (default: data beside SETTINGS)
"""


def main(arguments: list[str]) -> int:
    """Exit status as board/linux.py. MicroPython has no signal handlers: it ends by being killed,
    which is always safe.
    """
    if "-h" in arguments or "--help" in arguments:
        print(HELP, end="")
        return 0
    if len(arguments) > 2:
        print("gateway: expected SETTINGS and FOLDER at most; --help says more", file=sys.stderr)
        return 2
    path = arguments[0] if arguments else "gateway.json"
    base = path[: path.rfind("/")] if "/" in path else "."
    data = arguments[1] if len(arguments) > 1 else base + "/data"
    try:
        with open(path, "rb") as file:
            settings = parse(file.read())
        check_uarts(settings, [])
        log.set_level(settings.log_level)
        clock, crypto = SystemClock(), SystemCrypto()
        log.set_clock(clock.unix_time)
        _ensure_folder(data)
        ports = Ports(
            clock,
            FolderStorage(data),
            crypto,
            uplink(settings, base, MqttUplink),
            modems(settings, clock, open_port, UdpPort.open),
            board_key(settings, base, crypto.random, make_private_file),
        )
        gateway = Gateway(settings, ports)
    except SettingsError as error:
        print("gateway: %s: %s" % (path, error), file=sys.stderr)
        return 2
    except OSError as error:
        print("gateway: %s or a file it names: %s" % (path, error), file=sys.stderr)
        return 2
    try:
        asyncio.run(gateway.run())
    except KeyboardInterrupt:
        log.info("gateway", "stopped")
        return 0
    except Exception as error:
        log.error("gateway", "ends: %s: %s" % (type(error).__name__, error))
    return 1


def _ensure_folder(path: str) -> None:
    try:
        os.stat(path)
    except OSError:
        os.mkdir(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
