"""What all boards with MicroPython have in common: from a settings file to a gateway that runs."""

from __future__ import annotations

import asyncio
import sys

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
from gateway.settings import SettingsError, parse
from hal.micropython.clock import SystemClock
from hal.micropython.crypto import SystemCrypto
from hal.micropython.datagrams import UdpPort
from hal.micropython.mqtt import MqttUplink
from hal.micropython.own_folder import OwnFolder
from hal.micropython.ports import opener
from hal.micropython.private_file import make_private_file
from hal.micropython.storage import FolderStorage
from hal.modem.drivers import DRIVERS
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.ports import Watchdog


def identity(path: str, data: str) -> int:
    """Print the fingerprint by which the HES enrols the concentrator with the settings at `path`; 2
    when settings or files are wrong."""
    base = path[: path.rfind("/")] if "/" in path else "."
    try:
        with open(path, "rb") as file:
            settings = parse(file.read(), DRIVERS)
        print(
            fingerprint(
                settings, base, data, SystemCrypto(), OwnFolder, FolderStorage, make_private_file
            )
        )
    except (SettingsError, OSError) as error:
        print("gateway: %s: %s" % (path, error), file=sys.stderr)
        return 2
    return 0


def check(path: str, data: str, uarts: dict[str, tuple[int, dict[str, Any]]]) -> int:
    """Print what would keep a gateway with the settings at `path` from running; 0 if nothing."""
    from board.checked import data_rows, line_certificates, secrets, settings_at, show

    base = path[: path.rfind("/")] if "/" in path else "."
    settings, said = settings_at(path, sorted(uarts.keys()), "give the path of the right file")
    rows = [said]
    if settings is not None:
        clock = SystemClock()
        now = clock.unix_time()
        rows.extend(line_certificates(settings, base, now))
        rows.extend(secrets(settings, base))
        rows.extend(data_rows(settings, base, data, clock, now, SystemCrypto()))
    return show(rows)


def run(
    name: str,
    path: str,
    data: str,
    uarts: dict[str, tuple[int, dict[str, Any]]],
    watchdog: Watchdog | None = None,
) -> int:
    """The gateway with the settings at `path` and everything it keeps in the folder `data`, until
    it dies of a fault. `uarts`: as hal.micropython.ports.opener() takes them.

    1 after a fault, 2 when settings or files are wrong; 0 after Ctrl-C.
    """
    base = path[: path.rfind("/")] if "/" in path else "."
    try:
        with open(path, "rb") as file:
            settings = parse(file.read(), DRIVERS)
        check_uarts(settings, sorted(uarts.keys()))
        log.set_level(settings.log_level)
        clock, crypto = SystemClock(), SystemCrypto()
        log.set_clock(clock.unix_time)
        own_data(data, OwnFolder)
        open_port = opener(uarts)
        random, private, storage = crypto.random, make_private_file, FolderStorage(data)
        ports = Ports(
            clock=clock,
            storage=storage,
            crypto=crypto,
            uplink=uplink(settings, base, MqttUplink),
            modems=modems(settings, clock, open_port, UdpPort.open),
            board_key=board_key(settings, base, random, private, storage),
            watchdog=watchdog,
            local=local_port(settings, base, clock, open_port, random, private),
            udp=UdpPort.open,
        )
        gateway = Gateway(settings, ports)
    except SettingsError as error:
        print("%s: %s: %s" % (name, path, error), file=sys.stderr)
        return 2
    except OSError as error:
        print("%s: %s or a file it names: %s" % (name, path, error), file=sys.stderr)
        return 2
    try:
        asyncio.run(gateway.run())
    except KeyboardInterrupt:
        log.info("gateway", "stopped")
        return 0
    except Exception as error:
        log.error("gateway", "ends: %s: %s" % (type(error).__name__, error))
    return 1
