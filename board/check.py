"""`ami-gateway --check`: whether a gateway could run here, asked without starting one and without
changing anything, so that one may be running. A table, and what to do where something is wrong.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, cast

from board.wiring import check_uarts
from gateway.contract.meter_keys import Vault
from gateway.folder import not_there, starts_of
from gateway.kept_clock import KeptClock
from gateway.meters.inventory import KEYS, Inventory
from gateway.meters.json_lines import lines
from gateway.meters.key_lines import parse_keys
from gateway.meters.line_fields import InventoryError
from gateway.settings import Settings, SettingsError, parse
from hal.cpython import certificate, usb_serial
from hal.cpython.clock import SystemClock
from hal.cpython.crypto import SystemCrypto
from hal.modem.drivers import DRIVERS
from hal.ports import CryptoError, Storage
from hal.rt import port_url
from hal.rt.names import is_valid

OK, LOOK, WRONG = "ok", "look", "WRONG"
SOON_S = 30 * 86400
BUILT = 1_767_225_600  # 2026-01-01: no clock that is right says less
MOST_NAMED = 3  # problems of the inventory


class Row(NamedTuple):
    what: str
    state: str
    text: str


class ReadFolder:
    """As much of a Storage as reading takes; it makes nothing, and removes nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str, offset: int = 0, size: int = -1) -> bytes:
        with open(self._path / name, "rb") as file:
            file.seek(offset)
            return file.read(size)

    def names(self) -> list[str]:
        return sorted(name for name in os.listdir(self._path) if is_valid(name))

    def size(self, name: str) -> int:
        try:
            return os.stat(self._path / name).st_size
        except FileNotFoundError:
            return -1

    def free(self) -> int:
        medium = os.statvfs(self._path)
        return medium.f_bavail * medium.f_frsize


def check(settings: Path, data: Path, uarts: Mapping[str, str]) -> int:
    """Prints the table. 0 if nothing is wrong, else 1."""
    rows = list(_rows(settings, data, uarts))
    width = max(len(row.what) for row in rows)
    for row in rows:
        print("%-*s  %-5s  %s" % (width, row.what, row.state, row.text))
    wrong = sum(row.state == WRONG for row in rows)
    print("nothing is wrong" if not wrong else "%d of %d are wrong" % (wrong, len(rows)))
    return 1 if wrong else 0


def _rows(path: Path, data: Path, uarts: Mapping[str, str]) -> Iterator[Row]:
    try:
        settings = parse(path.read_bytes(), DRIVERS)
        check_uarts(settings, sorted(uarts))
    except SettingsError as error:
        yield Row("settings", WRONG, "%s: %s" % (path, error))
        return
    except OSError as error:
        text = "%s: %s; --settings says where they are" % (path, error.strerror)
        yield Row("settings", WRONG, text)
        return
    line = ", PLAIN: whoever has the broker reads all" if settings.plain else ""
    yield Row("settings", LOOK if settings.plain else OK, settings.concentrator + line)
    yield from _lines(settings, uarts)
    yield from _certificates(settings, path.parent)
    yield from _secrets(settings, path.parent)
    if not data.is_dir():
        yield Row("data", LOOK, "%s is not there yet; the first start makes it" % data)
        yield _clock(0)
        return
    try:
        yield from _data(settings, path.parent, data)
    except OSError as error:
        yield Row("data", WRONG, "%s: %s; run this as the gateway's user" % (data, error))


def _lines(settings: Settings, uarts: Mapping[str, str]) -> Iterator[Row]:
    urls = [("line of %s" % one.driver, one.url) for one in settings.modems if one.url]
    if settings.local is not None:
        urls.append(("line of local", settings.local.url))
    for what, url in urls:
        line = port_url.parse(url)
        if line.kind == port_url.TCP:
            yield Row(what, OK, "%s: not tried, it may serve one at a time" % url)
            continue
        device = uarts[line.place] if line.kind == port_url.UART else line.place
        try:
            if line.kind == port_url.USB or device.startswith("usb:"):
                device = usb_serial.device_of(device.removeprefix("usb:"))
        except OSError as error:
            yield Row(what, WRONG, str(error.strerror))
            continue
        if not os.path.exists(device):
            yield Row(what, WRONG, "%s is not there: plug it in, or correct the url" % device)
        elif not os.access(device, os.R_OK | os.W_OK):
            text = "%s: no right to read and write it; its group is often dialout" % device
            yield Row(what, WRONG, text)
        else:
            yield Row(what, OK, device)


def _certificates(settings: Settings, folder: Path) -> Iterator[Row]:
    one, now = settings.uplink, time.time()
    for what, name in (("uplink.ca", one.ca), ("uplink.certificate", one.certificate)):
        if name is None:
            continue
        try:
            found = certificate.validity(str(folder / name))
        except (OSError, ValueError) as error:
            yield Row(what, WRONG, "%s: expected certificates in PEM, came %s" % (name, error))
            continue
        for subject, begins, ends in found:
            text = "%s, until %s" % (subject, _date(ends))
            state = OK
            if now < begins:
                state, text = (
                    WRONG,
                    "%s counts from %s only; is the clock right?"
                    % (
                        subject,
                        _date(begins),
                    ),
                )
            elif now > ends:
                state, text = WRONG, "%s ended at %s: put a new one there" % (subject, _date(ends))
            elif ends - now < SOON_S:
                state, text = LOOK, text + ": it is time for a new one"
            yield Row(what, state, text)
    if one.certificate is not None and one.key is not None:
        try:
            fits = certificate.belong_together(str(folder / one.certificate), str(folder / one.key))
            text = one.key if fits else "%s is not the key of %s" % (one.key, one.certificate)
            yield Row("uplink.key", OK if fits else WRONG, text)
        except (OSError, ValueError) as error:
            yield Row("uplink.key", WRONG, "%s: expected a key in PEM, came %s" % (one.key, error))


def _secrets(settings: Settings, folder: Path) -> Iterator[Row]:
    one = settings.uplink
    names = [("uplink.password_file", one.password_file), ("uplink.key", one.key)]
    for what, name in [*names, ("board_key", settings.board_key)]:
        if name is None:
            continue
        path = folder / name
        if what == "board_key" and not path.exists():
            continue  # _data() says whether it has to be there
        try:
            mode = path.stat().st_mode & 0o777
        except OSError as error:
            yield Row(what, WRONG, "%s: %s" % (name, error.strerror))
            continue
        if mode & 0o077:
            yield Row(what, WRONG, "%s has mode %o: chmod 600 it" % (name, mode))
        elif not os.access(path, os.R_OK):
            yield Row(what, WRONG, "%s cannot be read: run this as the gateway's user" % name)
        else:
            yield Row(what, OK, "%s, for its owner alone" % name)


def _data(settings: Settings, folder: Path, data: Path) -> Iterator[Row]:
    storage = cast(Storage, ReadFolder(data))
    open_ones = [name for name in storage.names() if (data / name).stat().st_mode & 0o077]
    if data.stat().st_mode & 0o077:
        open_ones.insert(0, str(data))
    text = "%s, started %d times" % (data, starts_of(storage))
    yield Row("data", OK, text)
    if open_ones:
        text = "others may read %s; the next start narrows that" % ", ".join(open_ones)
        yield Row("permissions", LOOK, text)
    else:
        yield Row("permissions", OK, "for its owner alone")
    missing = not_there(storage)
    text = "; ".join(missing) or "all that has to be there is there"
    yield Row("files", WRONG if missing else OK, text)
    yield _space(settings, storage)
    inventory = Inventory(storage)
    bad = inventory.bad_lines
    text = "%d meters" % len(inventory)
    if bad:
        text += ", %d lines cannot be used: %s" % (bad, "; ".join(inventory.problems[:MOST_NAMED]))
    elif not len(inventory):
        text += ": commissioning puts meters.jsonl there"
    yield Row("inventory", WRONG if bad else OK if len(inventory) else LOOK, text)
    yield _keys(settings, folder, storage, inventory)
    yield _clock(KeptClock(SystemClock(), storage).floor)


def _space(settings: Settings, storage: Storage) -> Row:
    used = sum(max(storage.size(name), 0) for name in storage.names())
    limits = settings.storage
    wanted = limits.ledger_bytes + limits.audit_bytes + limits.readings_bytes
    needed = max(wanted - used, 0) + settings.storage.free_bytes
    free = storage.free()
    text = "%d kB free, %d kB may be needed" % (free >> 10, needed >> 10)
    if free < settings.storage.free_bytes:
        return Row("space", WRONG, text + ": no job would be taken; make room")
    return Row("space", LOOK if free < needed else OK, text)


def _keys(settings: Settings, folder: Path, storage: Storage, inventory: Inventory) -> Row:
    try:
        text = (folder / settings.board_key).read_text().strip()
        vault = Vault(SystemCrypto(), bytes.fromhex(text))
    except FileNotFoundError:
        if starts_of(storage):
            return Row("keys", WRONG, "%s is gone: put its copy back" % settings.board_key)
        return Row("keys", LOOK, "%s is made at the first start" % settings.board_key)
    except (OSError, ValueError):
        return Row("keys", WRONG, "%s: expected 32 or 64 hex digits" % settings.board_key)
    opened, plain, shut = set(), 0, []
    for _, _, line in lines(storage, KEYS, lambda name, number, text: None):
        try:
            row = parse_keys(line)
            plain += row.plain()
            if row.wrapped:
                vault.unwrap(row.serial, row.wrapped)
            if row.wrapped_lls:
                vault.unwrap_secret(row.serial, row.wrapped_lls)
            opened.add(row.serial)
        except InventoryError:
            continue  # told with the inventory
        except CryptoError:
            shut.append(row.serial)
    if shut:
        text = "of %d meters they do not open (%s): is %s the right one? Else send them again"
        names = ", ".join(shut[:MOST_NAMED])
        return Row("keys", WRONG, text % (len(shut), names, settings.board_key))
    without = [serial for serial in inventory.serials() if serial not in opened]
    if without:
        text = "%d open, %d meters have none (%s)"
        names = ", ".join(without[:MOST_NAMED])
        return Row("keys", LOOK, text % (len(opened), len(without), names))
    if plain:
        return Row("keys", LOOK, "%d are not wrapped yet; the gateway does it" % plain)
    return Row("keys", OK, "%d open" % len(opened))


def _clock(floor: int) -> Row:
    now = int(time.time())
    if now < max(floor, BUILT):
        text = "%s, and %s has passed: it counts as unset until the HES sets it"
        return Row("clock", LOOK, text % (_date(now), _date(max(floor, BUILT))))
    return Row("clock", OK, _date(now))


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
