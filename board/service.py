"""What all boards with CPython have in common: the command line, and the gateway as a process."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from board.wiring import (
    board_key,
    check_uarts,
    fingerprint,
    local_port,
    modems,
    own_data,
    uplink,
)
from gateway.app import Gateway, Ports
from gateway.settings import Settings, SettingsError, parse
from gateway.version import VERSION
from hal.cpython import journal
from hal.cpython.clock import SystemClock
from hal.cpython.crypto import SystemCrypto
from hal.cpython.datagrams import UdpPort
from hal.cpython.mqtt import MqttUplink
from hal.cpython.own_folder import OwnFolder
from hal.cpython.ports import opener
from hal.cpython.private_file import make_private_file
from hal.cpython.storage import FolderStorage
from hal.cpython.watchdog import DeviceWatchdog, SystemdWatchdog
from hal.modem.drivers import DRIVERS
from hal.rt import log


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """The options that main() takes; a board may add its own."""
    parser = argparse.ArgumentParser(
        name, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version="%(prog)s " + VERSION)
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
    parser.add_argument(
        "--watchdog",
        metavar="DEVICE",
        help="feed the kernel's watchdog, e.g. /dev/watchdog, where no systemd does it",
    )
    parser.add_argument(
        "--identity",
        action="store_true",
        help="print the fingerprint by which the HES enrols this concentrator, and end",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="look at settings, lines, certificates, keys, inventory, clock, space and rights, and"
        " end with status 0 if nothing is wrong, else 1; a gateway may be running meanwhile",
    )
    return parser


def main(
    name: str,
    options: argparse.Namespace,
    uarts: Mapping[str, str],
    show: Callable[[Settings, Mapping[str, str]], str] | None = None,
) -> int:
    """`uarts`: as hal.cpython.ports.opener() takes them. show: what to print of the settings,
    instead of running the gateway.

    Exit status 0 after SIGTERM or Ctrl-C; 1 after a fault, or where --check finds one; 2 when
    settings or files are wrong.
    """
    base: Path = options.settings.parent
    data: Path = options.data or base / "data"
    watchdog: SystemdWatchdog | DeviceWatchdog | None = None
    if options.check:
        from board.check import check  # a gateway that runs has no use for it

        return check(options.settings, data, uarts)
    try:
        settings = parse(options.settings.read_bytes(), DRIVERS)
        check_uarts(settings, sorted(uarts))
        if show is not None:
            print(show(settings, uarts), end="")
            return 0
        if options.identity:
            print(
                fingerprint(
                    settings,
                    str(base),
                    str(data),
                    SystemCrypto(),
                    OwnFolder,
                    FolderStorage,
                    make_private_file,
                )
            )
            return 0
        with closing(own_data(str(data), OwnFolder)):
            watchdog = _watchdog(options.watchdog)
            gateway = Gateway(settings, _ports(settings, base, data, uarts, watchdog))
            return asyncio.run(_run(gateway))
    except SettingsError as error:
        print("%s: %s: %s" % (name, options.settings, error), file=sys.stderr)
        return 2
    except OSError as error:
        print("%s: %s: %s" % (name, error.filename, error.strerror), file=sys.stderr)
        return 2
    finally:
        if watchdog is not None:
            watchdog.stop("stopped")


def _ports(
    settings: Settings,
    base: Path,
    data: Path,
    uarts: Mapping[str, str],
    watchdog: SystemdWatchdog | DeviceWatchdog | None,
) -> Ports:
    log.set_level(settings.log_level)
    log.set_journal(journal.reads_stderr())
    clock, crypto = SystemClock(), SystemCrypto()
    log.set_clock(clock.unix_time)
    open_port = opener(dict(uarts))
    random, private, storage = crypto.random, make_private_file, FolderStorage(str(data))
    return Ports(
        clock=clock,
        storage=storage,
        crypto=crypto,
        uplink=uplink(settings, str(base), MqttUplink),
        modems=modems(settings, clock, open_port, UdpPort.open),
        board_key=board_key(settings, str(base), random, private, storage),
        watchdog=watchdog,
        local=local_port(settings, str(base), clock, open_port, random, private),
        udp=UdpPort.open,
    )


def _watchdog(device: str | None) -> SystemdWatchdog | DeviceWatchdog | None:
    if device is not None:
        return DeviceWatchdog(device)
    return SystemdWatchdog.of_environment()


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
