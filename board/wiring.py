"""From settings to modems and uplink, where boards do not differ: each brings its own classes."""

from __future__ import annotations

import os

from gateway.settings import SettingsError
from gateway.uplink.messages import MAX_MESSAGE
from hal.modem.attached import Attached
from hal.modem.imst import Imst
from hal.modem.ip import Ip
from hal.modem.prime import Prime
from hal.rt import log
from hal.rt.tls_files import TlsFiles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from gateway.settings import ModemSettings, Settings
    from hal.ports import BytePort, Clock, Modem

    OpenPort = Callable[[str, Clock], Awaitable[BytePort]]
    U = TypeVar("U")


def modems(settings: Settings, clock: Clock, open_port: OpenPort) -> list[tuple[Modem, int]]:
    """[(Modem, meters at once)]. `open_port` as in hal/cpython/ports.py."""
    return [(_modem(one, clock, open_port), one.meters_at_once) for one in settings.modems]


def _modem(one: ModemSettings, clock: Clock, open_port: OpenPort) -> Modem:
    if one.driver == "ip":
        return Ip(lambda host, port: open_port("tcp://%s:%d" % (host, port), clock), clock)
    driver = Prime() if one.driver == "prime-usi" else Imst()
    return Attached(driver, lambda: open_port(one.url, clock), clock)


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
        MAX_MESSAGE,
        one.keepalive_s,
    )


def board_key(
    settings: Settings,
    folder: str,
    random: Callable[[int], bytes],
    make_private_file: Callable[[str, bytes], None],
) -> bytes:
    """The key that wraps the meters' keys, from its file in `folder`, made if absent.
    SettingsError when others than its owner may read it, or it holds no key.
    """
    path = folder + "/" + settings.board_key
    try:
        mode = os.stat(path)[0]
    except OSError:
        make_private_file(path, (random(32).hex() + "\n").encode())
        log.warning("gateway", "%s made; the HES needs a copy to send keys" % settings.board_key)
        mode = os.stat(path)[0]
    if mode & 0o077:
        raise SettingsError(
            "board_key: expected a file that only its owner may read, came mode %o for %s;"
            " chmod 600 it" % (mode & 0o777, settings.board_key)
        )
    text = _read(folder, "board_key", settings.board_key).strip()
    digits = b"0123456789abcdefABCDEF"
    if len(text) not in (32, 64) or [c for c in text if c not in digits]:
        raise SettingsError("board_key: expected 32 or 64 hex digits in %s" % settings.board_key)
    return bytes.fromhex(text.decode())


def _read(folder: str, key: str, name: str) -> bytes:
    try:
        with open(folder + "/" + name, "rb") as file:
            return file.read()
    except OSError as error:
        raise SettingsError(
            "%s: expected a file that can be read, came %s: %s" % (key, name, error)
        )
