"""A Linux board, or any machine with CPython: the gateway as a service. Console script
`ami-gateway`.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from board.wiring import board_key, modems, uplink
from gateway.app import Gateway, Ports
from gateway.settings import SettingsError, parse
from hal.cpython.clock import SystemClock
from hal.cpython.crypto import SystemCrypto
from hal.cpython.mqtt import MqttUplink
from hal.cpython.ports import open_port
from hal.cpython.private_file import make_private_file
from hal.cpython.storage import FolderStorage
from hal.rt import log

DESCRIPTION = """\
The firmware of the concentrator, as a service on this machine.

It takes signed jobs from the HES over MQTT, works them on the meters, and reports. Everything it
must remember is in the data folder: the ledger, packages, invocation counters, and the inventory
(meters.jsonl, keys.jsonl) that commissioning put there. It may be killed at any moment.
"""


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 after SIGTERM or Ctrl-C; 1 after a fault; 2 when settings or files are
    wrong."""
    parser = argparse.ArgumentParser(
        "ami-gateway", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--settings",
        type=Path,
        default=Path("gateway.json"),
        metavar="FILE",
        help="the settings; gateway/settings.py shows them all (default: gateway.json here)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="what the gateway keeps (default: data beside the settings)",
    )
    options = parser.parse_args(arguments)
    base: Path = options.settings.parent
    data: Path = options.data or base / "data"
    try:
        settings = parse(options.settings.read_bytes())
        log.set_level(settings.log_level)
        clock, crypto = SystemClock(), SystemCrypto()
        log.set_clock(clock.unix_time)
        data.mkdir(parents=True, exist_ok=True)
        ports = Ports(
            clock,
            FolderStorage(str(data)),
            crypto,
            uplink(settings, str(base), MqttUplink),
            modems(settings, clock, open_port),
            board_key(settings, str(base), crypto.random, make_private_file),
        )
        gateway = Gateway(settings, ports)
    except SettingsError as error:
        print("ami-gateway: %s: %s" % (options.settings, error), file=sys.stderr)
        return 2
    except OSError as error:
        print("ami-gateway: %s: %s" % (error.filename, error.strerror), file=sys.stderr)
        return 2
    return asyncio.run(_run(gateway))


async def _run(gateway: Gateway) -> int:
    task = asyncio.ensure_future(gateway.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info("gateway", "stopped")
        return 0
    except Exception as error:
        log.error("gateway", "ends: %s: %s" % (type(error).__name__, error))
    return 1


if __name__ == "__main__":
    sys.exit(main())
