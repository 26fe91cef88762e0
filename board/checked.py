"""What `--check` of every board looks at, without starting a gateway and without changing anything,
so that one may be running: settings, secrets, certificates, and the data folder. A table, and what
to do where something is wrong. Boards with CPython add more rows (check.py).
"""

from __future__ import annotations

import errno
import os

from board.wiring import check_uarts
from gateway.contract.meter_keys import Vault
from gateway.folder import not_there, starts_of
from gateway.kept_clock import KeptClock
from gateway.meters.inventory import KEYS, Inventory
from gateway.meters.json_lines import lines
from gateway.meters.key_lines import parse_keys
from gateway.meters.line_fields import InventoryError
from gateway.settings import SettingsError, parse
from gateway.uplink import certificates
from hal.modem.drivers import DRIVERS
from hal.ports import CryptoError
from hal.rt.calendar import day_text
from hal.rt.certificate import Certificate, pem_blocks
from hal.rt.der import DerError
from hal.rt.names import is_valid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from gateway.settings import Settings
    from hal.ports import Clock, Crypto

OK, LOOK, WRONG = "ok", "look", "WRONG"
SOON_S = 30 * 86400
BUILT = 1_767_225_600  # 2026-01-01: no clock that is right says less
MOST_NAMED = 3  # problems of the inventory


class Row:
    """One line of the table; `state` is OK, LOOK or WRONG."""

    __slots__ = ("state", "text", "what")

    def __init__(self, what: str, state: str, text: str) -> None:
        self.what = what
        self.state = state
        self.text = text


class ReadFolder:
    """As much of a Storage as reading takes; it makes nothing, and removes nothing."""

    def __init__(self, path: str) -> None:
        self._path = path

    def read(self, name: str, offset: int = 0, size: int = -1) -> bytes:
        with open(self._path + "/" + name, "rb") as file:
            file.seek(offset)
            return file.read(size)

    def names(self) -> list[str]:
        return sorted([name for name in os.listdir(self._path) if is_valid(name)])

    def size(self, name: str) -> int:
        path = self._path + "/" + name
        return os.stat(path)[6] if _is_there(path) else -1

    def free(self) -> int:
        medium = os.statvfs(self._path)
        return medium[1] * medium[4]  # f_frsize, f_bavail


def show(rows: Iterable[Row]) -> int:
    """Prints the table. 0 if nothing is wrong, else 1."""
    rows = list(rows)
    width = max([len(row.what) for row in rows])
    for row in rows:
        name = row.what + " " * (width - len(row.what))
        print("%s  %s  %s" % (name, row.state + " " * (5 - len(row.state)), row.text))
    wrong = len([row for row in rows if row.state == WRONG])
    print("nothing is wrong" if not wrong else "%d of %d are wrong" % (wrong, len(rows)))
    return 1 if wrong else 0


def settings_at(path: str, uarts: list[str], hint: str) -> tuple[Settings | None, Row]:
    """The settings, None if they are none, and what is to be said of them. `hint`: how one says
    where they are."""
    try:
        with open(path, "rb") as file:
            settings = parse(file.read(), DRIVERS)
        check_uarts(settings, uarts)
    except SettingsError as error:
        return None, Row("settings", WRONG, "%s: %s" % (path, error))
    except OSError as error:
        return None, Row("settings", WRONG, "%s: %s; %s" % (path, _why(error), hint))
    line = ", PLAIN: whoever has the broker reads all" if settings.plain else ""
    state = LOOK if settings.plain else OK
    return settings, Row("settings", state, settings.concentrator + line)


def line_certificates(settings: Settings, folder: str, now: int) -> Iterator[Row]:
    """Those that the settings name."""
    one = settings.uplink
    for what, name in (("uplink.ca", one.ca), ("uplink.certificate", one.certificate)):
        if name is None:
            continue
        try:
            with open(folder + "/" + name, "rb") as file:
                found = [Certificate(raw) for raw in pem_blocks(file.read())]
            if not found:
                raise DerError("no such block")
        except OSError as error:
            yield Row(what, WRONG, "%s: expected certificates in PEM: %s" % (name, _why(error)))
            continue
        except DerError as error:
            yield Row(what, WRONG, "%s: expected certificates in PEM, came %s" % (name, error))
            continue
        for each in found:
            yield _valid(what, each, now)


def secrets(settings: Settings, folder: str) -> Iterator[Row]:
    """Whether others may read them. A file system without rights has none to give."""
    one = settings.uplink
    for what, name in (
        ("uplink.password_file", one.password_file),
        ("uplink.key", one.key),
        ("board_key", settings.board_key),
    ):
        if name is None:
            continue
        path = folder + "/" + name
        if what == "board_key" and not _is_there(path):
            continue  # data_rows() says whether it has to be there
        try:
            mode = os.stat(path)[0] & 0o777
        except OSError as error:
            yield Row(what, WRONG, "%s: %s" % (name, _why(error)))
            continue
        if mode & 0o077:
            yield Row(what, WRONG, "%s has mode %o: chmod 600 it" % (name, mode))
        elif not _can_be_read(path):
            yield Row(what, WRONG, "%s cannot be read: run this as the gateway's user" % name)
        else:
            yield Row(what, OK, "%s, for its owner alone" % name)


def data_rows(
    settings: Settings, folder: str, data: str, clock: Clock, now: int, crypto: Crypto
) -> Iterator[Row]:
    """The folder `data`, and the clock. `now`: what the board's clock says, 0: nothing."""
    if not _is_there(data):
        yield Row("data", LOOK, "%s is not there yet; the first start makes it" % data)
        yield _clock(0, now)
        return
    try:
        yield from _data(settings, folder, data, clock, now, crypto)
    except OSError as error:
        yield Row("data", WRONG, "%s: %s; run this as the gateway's user" % (data, _why(error)))


def _data(
    settings: Settings, folder: str, data: str, clock: Clock, now: int, crypto: Crypto
) -> Iterator[Row]:
    storage: Any = ReadFolder(data)
    names = [name for name in storage.names() if os.stat(data + "/" + name)[0] & 0o077]
    if os.stat(data)[0] & 0o077:
        names.insert(0, data)
    yield Row("data", OK, "%s, started %d times" % (data, starts_of(storage)))
    if names:
        text = "others may read %s; the next start narrows that" % ", ".join(names)
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
    vault, said = _vault(settings, folder, storage, crypto)
    if vault is None:
        yield said
    else:
        yield _keys(settings, vault, storage, inventory)
        yield from _enrolled(settings, vault, storage, crypto, now)
    yield _clock(KeptClock(clock, storage).floor, now)


def _space(settings: Settings, storage: Any) -> Row:
    used = sum([max(storage.size(name), 0) for name in storage.names()])
    wanted = settings.storage.ledger_bytes + settings.storage.audit_bytes
    needed = max(wanted - used, 0) + settings.storage.free_bytes
    free = storage.free()
    text = "%d kB free, %d kB may be needed" % (free >> 10, needed >> 10)
    if free < settings.storage.free_bytes:
        return Row("space", WRONG, text + ": no job would be taken; make room")
    return Row("space", LOOK if free < needed else OK, text)


def _vault(
    settings: Settings, folder: str, storage: Any, crypto: Crypto
) -> tuple[Vault | None, Row]:
    """That of the board's key; None, and why not."""
    name = settings.board_key
    path = folder + "/" + name
    if not _is_there(path):
        if starts_of(storage):
            return None, Row("keys", WRONG, "%s is gone: put its copy back" % name)
        return None, Row("keys", LOOK, "%s is made at the first start" % name)
    try:
        with open(path, "rb") as file:
            return Vault(crypto, bytes.fromhex(file.read().decode().strip())), Row("keys", OK, "")
    except (OSError, ValueError):
        return None, Row("keys", WRONG, "%s: expected 32 or 64 hex digits" % name)


def _keys(settings: Settings, vault: Vault, storage: Any, inventory: Inventory) -> Row:
    opened, plain, shut = [], 0, []
    for _, _, line in lines(storage, KEYS, lambda name, number, text: None):
        try:
            row = parse_keys(line)
            plain += row.plain()
            if row.wrapped:
                vault.unwrap(row.serial, row.wrapped)
            if row.wrapped_lls:
                vault.unwrap_secret(row.serial, row.wrapped_lls)
            if row.serial not in opened:
                opened.append(row.serial)
        except InventoryError:
            continue  # told with the inventory
        except CryptoError:
            shut.append(row.serial)
    if shut:
        text = "of %d meters they do not open (%s): is %s the right one? Else send them again"
        names = ", ".join(shut[:MOST_NAMED])
        return Row("keys", WRONG, text % (len(shut), names, settings.board_key))
    known = set(opened)
    without = [serial for serial in inventory.serials() if serial not in known]
    if without:
        text = "%d open, %d meters have none (%s)"
        names = ", ".join(without[:MOST_NAMED])
        return Row("keys", LOOK, text % (len(opened), len(without), names))
    if plain:
        return Row("keys", LOOK, "%d are not wrapped yet; the gateway does it" % plain)
    return Row("keys", OK, "%d open" % len(opened))


def _enrolled(
    settings: Settings, vault: Vault, storage: Any, crypto: Crypto, now: int
) -> Iterator[Row]:
    """The certificates that were made for this board, in use and on trial, and their keys."""
    what = certificates.FILE
    if storage.size(what) < 0:
        if settings.uplink.enrol:
            yield Row(what, LOOK, "none was asked for yet; the gateway asks with its next hello")
        return
    kept = certificates.kept(storage.read(what))
    if kept is None:
        yield Row(what, WRONG, "it is damaged: what the settings name counts, a new one is needed")
        return
    found = [one for one in kept[:2] if one]
    if not found:
        yield Row(what, LOOK, "one is asked for and has not come: `ami-hes certificate issue`")
    for one in found:
        try:
            private = vault.unwrap_secret(certificates.KEY_NAME, one[0])
            own = Certificate(one[1][0])
        except CryptoError:
            text = "its key does not open: is %s the right one? Else a new one is needed"
            yield Row(what, WRONG, text % settings.board_key)
            continue
        except DerError as error:
            yield Row(what, WRONG, "expected a certificate, came %s" % error)
            continue
        if crypto.ec_public("P-256", private) != own.public:
            yield Row(what, WRONG, "the key beside it is not the key of CN=%s" % own.subject)
        else:
            yield _valid(what, own, now)


def _valid(what: str, one: Certificate, now: int) -> Row:
    """`now` 0: nothing is known of that."""
    name, begins, ends = "CN=" + one.subject, one.not_before, one.not_after
    if now and now < begins:
        text = "%s counts from %s only; is the clock right?" % (name, _date(begins))
        return Row(what, WRONG, text)
    if now > ends:
        return Row(what, WRONG, "%s ended at %s: put a new one there" % (name, _date(ends)))
    text = "%s, until %s" % (name, _date(ends))
    if now and ends - now < SOON_S:
        return Row(what, LOOK, text + ": it is time for a new one")
    return Row(what, OK, text)


def _clock(floor: int, now: int) -> Row:
    if now < max(floor, BUILT):
        text = "%s, and %s has passed: it counts as unset until the HES sets it"
        return Row("clock", LOOK, text % (_date(now), _date(max(floor, BUILT))))
    return Row("clock", OK, _date(now))


def _date(seconds: int) -> str:
    minutes = seconds % 86400 // 60
    time = "T%02d:%02d:%02dZ" % (minutes // 60, minutes % 60, seconds % 60)
    return day_text(seconds) + time


def _is_there(path: str) -> bool:
    try:
        os.stat(path)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return False
    return True


def _can_be_read(path: str) -> bool:
    try:
        with open(path, "rb"):
            return True
    except OSError:
        return False


def _why(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "No such file or directory"
    return str(error)
