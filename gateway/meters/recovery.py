"""Getting back a meter that does not answer (use case 10: "se intenta recuperar la comunicación").

Between two attempts, from the gentlest means to the strongest:

  discover  the modem looks for nodes: for a meter that is not registered
  kick      this one node registers anew, or the way to it is forgotten: for one that stays silent
            in a second attempt
  reset     the modem restarts: only when several meters that used to answer do not, and for a
            while since the first of them nothing at all has been heard over it

Each waits longer from time to time while it does not help, give or take a quarter, so that neither
an evening's noise nor a meter taken off its wall keeps a network busy.
"""

from __future__ import annotations

from hal.ports import NoRoute
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.meters.inventory import Path
    from gateway.meters.modem_port import ModemPort
    from hal.ports import Clock

WHERE = "recovery"
DISCOVER_MS = (60000, 3600000)  # between two: at first, at most
KICK_MS = (300000, 21600000)  # of the same node
RESET_MS = (3600000, 86400000)
KICKS_APART_MS = 5000  # of different nodes
SILENT_ATTEMPTS = 2  # in a row, before a node is kicked
SILENT_METERS = 5  # that used to answer, before the modem is suspected
SILENCE_MS = 300000  # in which nothing was heard over it
ASK_MS = 10000  # a modem has so long to take what it is told
MAX_KICKED = 64  # nodes remembered

DISCOVER = "asked the modem to look for nodes"
KICK = "asked it to register anew"
FORGET = "forgot the way to it"  # where nodes do not register
RESET = "modem reset"
COUNTS = ("recovery-discover", "recovery-kick", "recovery-reset")


class Pause:
    """Time between two tries: doubles, jittered, until begin_anew()."""

    def __init__(self, limits: tuple[int, int], random: Callable[[int], bytes]) -> None:
        self._limits = limits
        self._random = random
        self._pause_ms = limits[0]
        self.due_ms: int | None = None  # None: now
        self.taken_ms = 0

    def due(self, now_ms: int) -> bool:
        return self.due_ms is None or now_ms >= self.due_ms

    def taken(self, now_ms: int) -> None:
        share = 192 + self._random(1)[0] // 2  # of 256
        self.taken_ms = now_ms
        self.due_ms = now_ms + self._pause_ms * share // 256
        self._pause_ms = min(2 * self._pause_ms, self._limits[1])

    def begin_anew(self) -> None:
        self._pause_ms = self._limits[0]

    def ago(self, now_ms: int, words: str) -> str:
        """What was done last, in words; "" if nothing ever was."""
        if self.due_ms is None:
            return ""
        return "%s %d s ago" % (words, (now_ms - self.taken_ms) // 1000)


class Recovery:
    """Of the nodes of one modem, and of the modem."""

    def __init__(self, port: ModemPort, clock: Clock, random: Callable[[int], bytes]) -> None:
        self._port = port
        self._clock = clock
        self._random = random
        self._discover = Pause(DISCOVER_MS, random)
        self._discovered_ms = 0
        self._reset = Pause(RESET_MS, random)
        self._reset_ms: int | None = None
        self._kicked: dict[str, Pause] = {}
        self._next_kick_ms = 0
        for name in COUNTS:
            port.counts[name] = 0

    def answered(self, address: str) -> None:
        """It worked: next time begin gently again."""
        self._kicked.pop(address, None)
        self._reset.begin_anew()

    async def help(self, path: Path, silent: int) -> tuple[bool, str]:
        """Do what is due for a node that was not reached: it is not registered, or has been silent
        in so many attempts in a row. Whether anything was done now, and in words what was done now
        or before; "" if nothing."""
        now = self._clock.ticks_ms()
        if self._modem_at_fault(now):
            if not self._reset.due(now):
                return False, self._reset.ago(now, RESET)
            self._reset.taken(now)
            self._reset_ms = now
            log.warning(
                WHERE,
                "%s: %d meters silent and nothing heard for %d s: resetting the modem"
                % (
                    self._port.kind,
                    len(self._port.silent),
                    (now - self._port.silent_ms) // 1000,
                ),
            )
            return await self._ask(self._port.modem.reset(), "recovery-reset", RESET)
        if not self._port.reaches(path):
            return await self._look_around(now)
        if silent < SILENT_ATTEMPTS:
            return False, ""
        return await self._register_anew(path[1], now)

    def _modem_at_fault(self, now_ms: int) -> bool:
        port = self._port
        since = port.silent_ms if self._reset_ms is None else max(port.silent_ms, self._reset_ms)
        return len(port.silent) >= SILENT_METERS and now_ms - since >= SILENCE_MS

    async def _look_around(self, now: int) -> tuple[bool, str]:
        if self._port.joined_ms > self._discovered_ms:
            self._discover.begin_anew()  # the last one, or time, has brought somebody
        if not self._discover.due(now):
            return False, self._discover.ago(now, DISCOVER)
        self._discover.taken(now)
        self._discovered_ms = now
        return await self._ask(self._port.modem.discover(), "recovery-discover", DISCOVER)

    async def _register_anew(self, address: str, now: int) -> tuple[bool, str]:
        pause = self._kicked.get(address)
        if pause is not None and not pause.due(now):
            return False, pause.ago(now, self._kick_words())
        if now < self._next_kick_ms:
            return False, ""
        self._next_kick_ms = now + KICKS_APART_MS
        if pause is None:
            if len(self._kicked) >= MAX_KICKED:
                del self._kicked[min(self._kicked, key=lambda one: self._kicked[one].due_ms or 0)]
            pause = self._kicked[address] = Pause(KICK_MS, self._random)
        pause.taken(now)
        words = self._kick_words()
        try:
            return await self._ask(self._port.modem.kick(address), "recovery-kick", words)
        except NoRoute:
            return await self._look_around(now)

    def _kick_words(self) -> str:
        return KICK if self._port.modem.capabilities.joins else FORGET

    async def _ask(self, asking: Awaitable[None], count: str, words: str) -> tuple[bool, str]:
        try:
            await self._clock.wait_for_ms(asking, ASK_MS)
        except NoRoute:
            raise
        except Exception as error:  # whatever a driver dies of is its own, never the gateway's
            log.warning(
                WHERE, "%s: %s: %s" % (self._port.kind, words, str(error) or type(error).__name__)
            )
            return False, ""
        self._port.counts[count] += 1
        log.info(WHERE, "%s: %s" % (self._port.kind, words))
        return True, words
