"""From settings to modems and uplink, where boards do not differ: each brings its own classes."""

from __future__ import annotations

import errno
import os

from gateway.contract.identity import shown
from gateway.contract.limits import MAX_SEALED
from gateway.folder import NEW_KEY, has_past
from gateway.settings import SettingsError
from gateway.uplink.identity import FILE as IDENTITY
from gateway.uplink.identity import fingerprint_of_file, identity_of
from hal.modem.drivers import DRIVERS, LINE, TCP
from hal.rt import log, port_url
from hal.rt.tls_files import TlsFiles

_NEEDS_A_COPY = {
    "board_key": "the HES needs a copy to send keys",
    "local.key": "technicians need a copy",
}

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Protocol, TypeVar

    from gateway.local.access import LocalPort
    from gateway.settings import ModemSettings, Settings
    from hal.ports import BytePort, Clock, Crypto, Datagrams, Modem, Storage

    OpenPort = Callable[[str, Clock], Awaitable[BytePort]]
    OpenUdp = Callable[[], Awaitable[Datagrams]]
    U = TypeVar("U")
    F = TypeVar("F", bound="Owned")

    class Owned(Protocol):
        """OwnFolder of hal/cpython and hal/micropython."""

        narrowed: list[str]


def check_uarts(settings: Settings, names: list[str]) -> None:
    """SettingsError when the settings name a UART that the board has not."""
    urls = [("modems[%d].url" % place, one.url) for place, one in enumerate(settings.modems)]
    if settings.local is not None:
        urls.append(("local.url", settings.local.url))
    for key, url in urls:
        line = port_url.parse(url) if url else None
        if line is not None and line.kind == port_url.UART and line.place not in names:
            raise SettingsError(
                "%s: expected a UART of this board (%s), came %r"
                % (key, ", ".join(names) or "it has none", line.place)
            )


def own_data(folder: str, own: Callable[[str], F]) -> F:
    """The folder of the data, ours alone as long as this process runs. SettingsError when another
    gateway has it: two would write over each other's ledger, and use the same counters."""
    try:
        owned = own(folder)
    except OSError as error:
        if error.errno != errno.EAGAIN:
            raise
        raise SettingsError(
            "another gateway runs on %s already: use that, or give another folder" % folder
        )
    for line in owned.narrowed:
        log.warning("gateway", "the data was open to others: " + line)
    return owned


def modems(
    settings: Settings, clock: Clock, open_port: OpenPort, open_udp: OpenUdp
) -> list[tuple[Modem, int]]:
    """[(Modem, meters at once)]. `open_port` as in hal/cpython/ports.py, `open_udp` as UdpPort.open
    in hal/cpython/datagrams.py."""
    return [
        (_modem(one, clock, open_port, open_udp), one.meters_at_once) for one in settings.modems
    ]


def _modem(one: ModemSettings, clock: Clock, open_port: OpenPort, open_udp: OpenUdp) -> Modem:
    row = DRIVERS[one.driver]
    modem: Modem
    if row.stands_on == LINE:
        from hal.modem.attached import Attached  # a board without a serial line has no use for it

        modem = Attached(row.make(**one.options), lambda: open_port(one.url, clock), clock)
    elif row.stands_on == TCP:
        modem = row.make(
            lambda host, port: open_port("tcp://%s:%d" % (host, port), clock), clock, **one.options
        )
    else:
        modem = row.make(open_udp, clock, one.kind, **one.options)
    return modem


def uplink(settings: Settings, folder: str, make: Callable[..., U]) -> U:
    """`make` is the board's MqttUplink; the files that the settings name lie in `folder`.
    SettingsError when one of them cannot be read.
    """
    one = settings.uplink
    password = None
    if one.password_file is not None:
        try:
            password = _read(folder, "uplink.password_file", one.password_file).decode().strip()
        except UnicodeError:
            raise SettingsError("uplink.password_file: expected a text in UTF-8")
    tls = None
    if one.ca is not None:
        _read(folder, "uplink.ca", one.ca)
        own: list[str | None] = [None, None]
        if one.certificate is not None and one.key is not None:
            _read(folder, "uplink.certificate", one.certificate)
            _read(folder, "uplink.key", one.key)
            own = [folder + "/" + one.certificate, folder + "/" + one.key]
        tls = TlsFiles(folder + "/" + one.ca, own[0], own[1])
    return make(
        one.host,
        one.port,
        settings.concentrator,
        one.username,
        password,
        tls,
        MAX_SEALED,
        one.keepalive_s,
    )


def board_key(
    settings: Settings,
    folder: str,
    random: Callable[[int], bytes],
    make_private_file: Callable[[str, bytes], None],
    storage: Storage,
) -> bytes:
    """The key that wraps the meters' keys, from its file in `folder`, made if absent.
    SettingsError when others than its owner may read it, or it holds no key, or it is gone and
    there are secrets in the `storage` that were wrapped under it.
    """
    if not _is_there(folder + "/" + settings.board_key) and has_past(storage):
        raise SettingsError(
            "board_key: %s is gone, and what is in the data folder is wrapped under it; put its"
            " copy back, with mode 600 (the HES has one). If it is lost for good, %s"
            % (settings.board_key, NEW_KEY)
        )
    return _secret(folder, "board_key", settings.board_key, (32, 64), random, make_private_file)


def fingerprint(
    settings: Settings,
    folder: str,
    data: str,
    crypto: Crypto,
    own: Callable[[str], Owned],
    make_storage: Callable[[str], Storage],
    make_private_file: Callable[[str, bytes], None],
) -> str:
    """By which the HES enrols the concentrator with these settings, which keeps its data in the
    folder `data`, where a gateway may be running. Before the first start its identity is made here.
    SettingsError; OSError."""
    path = data + "/" + IDENTITY
    if not _is_there(path):
        own_data(data, own)  # as long as this process runs, which ends with this
        storage = make_storage(data)
        key = board_key(settings, folder, crypto.random, make_private_file, storage)
        identity_of(storage, crypto, key)
    with open(path, "rb") as file:
        return shown(fingerprint_of_file(file.read(), crypto))


def local_port(
    settings: Settings,
    folder: str,
    clock: Clock,
    open_port: OpenPort,
    random: Callable[[int], bytes],
    make_private_file: Callable[[str, bytes], None],
) -> LocalPort | None:
    """The line and the key of local access; None when the settings have none. The key's file is
    made if absent. SettingsError as board_key()."""
    one = settings.local
    if one is None:
        return None
    from gateway.local.access import LocalPort

    key = _secret(folder, "local.key", one.key, (64,), random, make_private_file)
    return LocalPort(lambda: open_port(one.url, clock), key)


def _secret(
    folder: str,
    setting: str,
    name: str,
    digits: tuple[int, ...],
    random: Callable[[int], bytes],
    make_private_file: Callable[[str, bytes], None],
) -> bytes:
    path = folder + "/" + name
    if not _is_there(path):
        make_private_file(path, (random(32).hex() + "\n").encode())
        log.warning("gateway", "%s made; %s" % (name, _NEEDS_A_COPY[setting]))
    mode = os.stat(path)[0]
    if mode & 0o077:
        raise SettingsError(
            "%s: expected a file that only its owner may read, came mode %o for %s;"
            " chmod 600 it" % (setting, mode & 0o777, name)
        )
    text = _read(folder, setting, name).strip()
    if len(text) not in digits or [c for c in text if c not in b"0123456789abcdefABCDEF"]:
        expected = " or ".join(["%d" % count for count in digits])
        raise SettingsError("%s: expected %s hex digits in %s" % (setting, expected, name))
    return bytes.fromhex(text.decode())


def _is_there(path: str) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _read(folder: str, key: str, name: str) -> bytes:
    try:
        with open(folder + "/" + name, "rb") as file:
            return file.read()
    except OSError as error:
        raise SettingsError(
            "%s: expected a file that can be read, came %s: %s" % (key, name, error)
        )
