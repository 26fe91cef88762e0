"""From settings to modems and uplink, where boards do not differ: each brings its own classes."""

from __future__ import annotations

from gateway.uplink.messages import MAX_MESSAGE
from hal.modem.attached import Attached
from hal.modem.imst import Imst
from hal.modem.ip import Ip
from hal.modem.prime import Prime
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
    """`make` is the board's MqttUplink; the files that the settings name lie in `folder`. OSError
    when the password's cannot be read."""
    one = settings.uplink
    password = None
    if one.password_file is not None:
        with open(folder + "/" + one.password_file) as file:
            password = file.read().strip()
    tls = None
    if one.ca is not None:
        own = [None if name is None else folder + "/" + name for name in (one.certificate, one.key)]
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
