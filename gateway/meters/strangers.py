"""Meters on the network that are not in the inventory: told upstream once a day, never trusted.

What was told is kept in one small file, so that a restart does not tell it again. A wireless M-Bus
receiver hears the meters of the whole neighbourhood: of each kind of path only the first few dozen
a day are told by name, and that there are more.
"""

from __future__ import annotations

import json

from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.ports import Clock, Storage

WHERE = "strangers"
FILE = "strangers"
EVENT = "stranger"
MOST_A_DAY = 48  # of each kind of path, told by name
_DAY_S = 86400
_MAX_FILE = 16384


class Strangers:
    """`tell(name, detail)` makes a report of it."""

    def __init__(self, clock: Clock, storage: Storage, tell: Callable[[str, str], None]) -> None:
        self._clock = clock
        self._storage = storage
        self._tell = tell
        self._day = 0
        self._told: dict[str, list[str]] = {}  # kind: addresses told on this day; "": more
        self._read()

    def told(self, kind: str) -> int:
        """How many of this kind were told today."""
        return len(self._told.get(kind, []))

    def found(self, kind: str, addresses: list[str]) -> None:
        """These are on the network now and in no meter's entry."""
        today = self._clock.unix_time() // _DAY_S
        if today > self._day:
            self._day = today
            self._told = {}
        told = self._told.setdefault(kind, [])
        new = sorted([address for address in addresses if address not in told])
        if not new or "" in told:
            return
        named = new[: MOST_A_DAY - len(told)]
        for address in named:
            told.append(address)
            log.warning(WHERE, "%s %s is not in the inventory" % (kind, address))
            self._tell(EVENT, "%s %s" % (kind, address))
        if len(new) > len(named):
            told.append("")
            self._tell(EVENT, "%s: %d more today" % (kind, len(new) - len(named)))
        self._write()

    def _read(self) -> None:
        try:
            if not 0 < self._storage.size(FILE) <= _MAX_FILE:
                return
            day, told = json.loads(str(self._storage.read(FILE), "utf-8"))
            if type(day) is int and _is_told(told):
                self._day, self._told = day, told
        except (OSError, ValueError, TypeError, RuntimeError):
            log.warning(WHERE, "%s is damaged: what was told today may be told again" % FILE)

    def _write(self) -> None:
        try:
            self._storage.replace(FILE, json.dumps([self._day, self._told]).encode())
        except OSError as error:
            log.error(WHERE, "storage: cannot keep what was told: %s" % error)


def _is_told(told: object) -> bool:
    return isinstance(told, dict) and all(
        isinstance(kind, str) and isinstance(addresses, list) for kind, addresses in told.items()
    )
