"""The modem drivers, a row each: the name that settings call it by, what they may say of it, and
where it is found. A driver is imported on use, so that a board holds those alone that its settings
name.

A new driver is its own files, its row here, its entry in tests/portable/modem/modem_ends.py and its
line in hal/README.md.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# What a driver stands on, and so what make() takes beside the options.
LINE = "line"  # nothing: it is sans-IO, and hal.modem.attached gives it a byte port, the url's
TCP = "tcp"  # connect(host, port) and the clock: a connection to each meter
UDP = "udp"  # open_port(), the clock and the kind of path: one socket for all

LINK_MODES = ("C2", "N2", "N2c", "S2", "T2")  # of EN 13757-4, those in wmbus.MODES


class Option:
    """A setting that only some drivers have. holds(value): whether it may be so; `expected` says it
    in words."""

    __slots__ = ("default", "expected", "holds", "name")

    def __init__(
        self, name: str, default: str, expected: str, holds: Callable[[object], bool]
    ) -> None:
        self.name = name
        self.default = default
        self.expected = expected
        self.holds = holds


class Row:
    """kinds: of the paths it serves, "plc", "rf" or "ip"; where there are several, the settings
    say which. meters_at_once: how many meters are served over it side by side, unless the settings
    say so. module, maker: what makes a driver of the options, by name."""

    __slots__ = ("_maker", "_module", "kinds", "meters_at_once", "options", "stands_on")

    def __init__(
        self,
        kinds: tuple[str, ...],
        stands_on: str,
        meters_at_once: int,
        module: str,
        maker: str,
        options: tuple[Option, ...] = (),
    ) -> None:
        self.kinds = kinds
        self.stands_on = stands_on
        self.meters_at_once = meters_at_once
        self.options = options
        self._module = module
        self._maker = maker

    @property
    def has_line(self) -> bool:
        return self.stands_on == LINE

    def make(self, *given: object, **options: str) -> Any:
        """The driver, of what it stands on and its options. Imports its module."""
        __import__(self._module)
        return getattr(sys.modules[self._module], self._maker)(*given, **options)


def _link_mode(usual: str) -> Option:
    """What a module is commissioned for; its radio budget follows from it."""
    return Option("link_mode", usual, " or ".join(LINK_MODES), lambda value: value in LINK_MODES)


def _is_group(value: object) -> bool:
    """Nothing, or [IPv6 multicast]:port, or IPv4's 224.0.0.0/4."""
    if value == "":
        return True
    if not isinstance(value, str) or len(value) > 80:
        return False
    host, _, port = value.rpartition(":")
    if not 0 < len(port) < 6 or not all("0" <= c <= "9" for c in port):
        return False
    if not 0 < int(port) < 65536:
        return False
    first = host.split(".")[0]
    return (host[:3].lower() == "[ff" and host[-1] == "]") or first in [
        "%d" % number for number in range(224, 240)
    ]


# For broadcasts; without it there are none.
_GROUP = Option("group", "", "an address like [ff03::1]:4059", _is_group)

# How many meters are served over a modem side by side, so that the medium has something to do while
# a meter thinks. More than that and answers queue on the medium for longer than a request waits:
# with PRIME at 21.4 kbit/s and meters that take 500 ms, 4 keep it busy for 73 % of the time, 6 for
# 94 %, 8 for 99 %; at 4.8 kbit/s 4 keep it busy for 99 %, and 8 make the job 20 % longer.
DRIVERS = {
    "prime-usi": Row(("plc",), LINE, 8, "hal.modem.prime.prime", "Prime"),
    "dlms-o-tcp": Row(("plc",), LINE, 8, "hal.modem.dlmsotcp", "DlmsOTcp"),
    "meters-and-more": Row(("plc",), LINE, 4, "hal.modem.mam.mam", "MetersAndMore"),
    "imst": Row(("rf",), LINE, 4, "hal.modem.wmbus.imst", "for_mode", (_link_mode("N2"),)),
    "amber": Row(("rf",), LINE, 4, "hal.modem.wmbus.amber", "for_mode", (_link_mode("S2"),)),
    "ip": Row(("ip",), TCP, 16, "hal.modem.ip", "Ip"),
    # G3-PLC meshes as well as Wi-SUN ones and meters on a LAN.
    "udp": Row(("plc", "rf", "ip"), UDP, 4, "hal.modem.udp", "Udp", (_GROUP,)),
}
