"""Ways to the meters: which path is tried first, and links over it.

Going on to the next path is gateway/activities/attempt.py's business; what is learned of each path
is kept by reachability.py, and what is done about a meter that is not reached, by recovery.py.
"""

from __future__ import annotations

import os

from gateway.meters.hindrance import Hindrance, budget_spent, soonest
from gateway.meters.link import Link
from gateway.meters.modem_health import Health
from gateway.meters.modem_port import ModemPort
from gateway.meters.reachability import Reachability
from gateway.meters.recovery import Recovery
from gateway.meters.traffic import NO_TRAFFIC
from hal.ports import Busy, DutyCycle, ModemGone, NoRoute
from hal.rt import log
from hal.rt.group import Group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.meters.inventory import Meter, Path
    from hal.ports import Clock, Modem, Rx

WHERE = "network"
LOOK_MS = 5000  # how often the modems are looked after
GRACE_MS = 30000  # what recovery did for a meter has so long to take effect
NO_PATH_COST = 1 << 20
NO_MODEM = "no modem"
MODEM_GONE = "modem gone"
MAX_GRACES = 64  # meters waited for like that


class Network:
    """All modems. add() each, keep run() running, then ask usable() and open().

    `reachability`: what is known of the paths; without one, it is learned anew. `random(n)` gives n
    random bytes, for jitter. `tell(name, detail)` is called when a modem goes down for longer, or
    is up again: "modem-down", "modem-up".
    """

    def __init__(
        self,
        clock: Clock,
        reachability: Reachability | None = None,
        random: Callable[[int], bytes] = os.urandom,
        tell: Callable[[str, str], None] | None = None,
    ) -> None:
        self.reachability = reachability or Reachability(clock)
        self._clock = clock
        self._random = random
        self._tell = tell
        self._ports: list[ModemPort] = []
        self._recoveries: list[Recovery] = []
        self._healths: list[Health] = []
        self._graces: dict[str, int] = {}  # serial: until when (ticks) it is not tried

    def add(self, modem: Modem, meters_at_once: int) -> None:
        """Before run(). meters_at_once: how many links may be open over this modem side by side."""
        port = ModemPort(modem, self._clock, meters_at_once)
        self._ports.append(port)
        self._recoveries.append(Recovery(port, self._clock, self._random))
        self._healths.append(Health(self._clock.ticks_ms()))

    def listen(self, take: Callable[[str, Rx], None]) -> None:
        """`take(kind of path, frame)` is called with what comes outside of a conversation."""
        for port in self._ports:
            port.unasked = take

    def ports(self) -> list[ModemPort]:
        return self._ports

    async def run(self, heartbeat: Callable[[], None] | None = None) -> None:
        """Read all modems until cancelled; `heartbeat()` is called every LOOK_MS."""
        readers = Group()
        for port in self._ports:
            readers.start(port.read())
        if not self._ports:
            log.warning(WHERE, "no modem is configured: no meter can be reached")
        readers.start(self._look_after(heartbeat))
        await readers.wait()

    async def _look_after(self, heartbeat: Callable[[], None] | None) -> None:
        while True:
            await self._clock.sleep_ms(LOOK_MS)
            for place in range(len(self._ports)):
                self._look_at(self._ports[place], self._healths[place])
            if heartbeat is not None:
                heartbeat()

    def _look_at(self, port: ModemPort, health: Health) -> None:
        if not health.look(port.look(), self._clock.ticks_ms()):
            return
        if health.told_up:
            name, detail = "modem-up", "%s: the modem is at work again" % port.kind
        else:
            name, detail = "modem-down", "%s: the modem does not answer; check it" % port.kind
        log.warning(WHERE, detail)
        if self._tell is not None:
            self._tell(name, detail)

    # ------------------------------------------------------------ one meter's turn

    def ready(self, meter: Meter, traffic: tuple[int, int] = NO_TRAFFIC) -> bool:
        """Whether an attempt now makes sense: nothing of ours hinders it, and what recovery did for
        the meter has had time to take effect."""
        if self.hindrance(meter, traffic) is not None:
            return False
        if self._graces.get(meter.serial, 0) <= self._clock.ticks_ms():
            return True
        return any(self._port(path) is not None for path in meter.paths)

    def hindrance(self, meter: Meter, traffic: tuple[int, int] = NO_TRAFFIC) -> Hindrance | None:
        """What of ours keeps us from the meter over each of its paths. None: nothing, or waiting
        promises nothing, for none of the paths has a modem, or the meter has not registered though
        its network has settled. An attempt then tells so at once.

        traffic: frames, and octets in all, that a conversation will send: a radio budget must have
        room for them."""
        found = []
        for path in meter.paths:
            if any(port.serves(path) for port in self._ports):
                one = self.hindrance_of(path, traffic)
                if one is None:
                    return None
                found.append(one)
        return soonest(found) if found else None

    def hindrance_of(self, path: Path, traffic: tuple[int, int] = NO_TRAFFIC) -> Hindrance | None:
        """What of ours is in the way on this path."""
        kind = path[0]
        port = self._port(path)
        if port is None:
            alive = [port for port in self._ports if port.serves(path) and port.alive()]
            if not alive:
                return Hindrance("modem-gone", "%s: modem gone" % kind)
            if not any(port.settled() for port in alive):
                text = "%s: not registered, the network is still forming" % kind
                return Hindrance("network-forming", text)
            port = alive[0]
        if not port.has_slot():
            return Hindrance("no-slot", "%s: no slot" % kind)
        wait_ms = port.budget_wait_ms(port.airtime_ms(traffic))
        return budget_spent(wait_ms) if wait_ms else None

    def radio_ms(self, meter: Meter, traffic: tuple[int, int]) -> Callable[[int], int] | None:
        """Of the meter's best path: (number of meters) -> how long until its radio budget has room
        for the last of so many such conversations. None: there is no limit."""
        for path in self.usable(meter):
            port = self._port(path)
            if port is not None:
                return port.room_for(traffic)
        return None

    def was_silent(self, meter: Meter) -> bool:
        """Whether it has answered over none of its paths when it was last tried there."""
        paths = [self.reachability.state(meter, path) for path in meter.paths]
        return bool(paths) and all(path.silent for path in paths)

    def full(self) -> bool:
        """Whether no modem has a slot free, so that there is no sense in asking for a meter."""
        return bool(self._ports) and not any(port.has_slot() for port in self._ports)

    def claim(self, meter: Meter, traffic: tuple[int, int] = NO_TRAFFIC) -> bool:
        """ready(), and when True a slot and the radio budget for so much traffic are kept for the
        meter until open() or release()."""
        if not self.ready(meter, traffic):
            return False
        for path in self.usable(meter):
            port = self._port(path)
            if port is not None and self.hindrance_of(path, traffic) is None:
                port.claims.append(meter.serial)
                port.promised_ms[meter.serial] = port.airtime_ms(traffic)
                break
        return True

    def release(self, meter: Meter) -> None:
        """Give back what was claimed and not used."""
        for port in self._ports:
            port.promised_ms.pop(meter.serial, None)
            if meter.serial in port.claims:
                port.claims.remove(meter.serial)
                port.slot_free.set()

    def usable(self, meter: Meter) -> list[Path]:
        """The paths over which the meter may answer now, the best first."""
        paths = [path for path in meter.paths if self._port(path) is not None]
        if len(paths) < 2:
            return paths
        # Sorting is not stable on MicroPython: the place in the inventory decides among equals.
        worth = self.reachability.worth
        return sorted(paths, key=lambda path: (-worth(meter, path), meter.paths.index(path)))

    def obstacle(self, path: Path) -> str:
        """Why a path is not usable: "no modem", "modem gone" or "not registered"; "" when it is."""
        ports = [port for port in self._ports if port.serves(path)]
        if not ports:
            return NO_MODEM
        if not any(port.alive() for port in ports):
            return MODEM_GONE
        return "" if self._port(path) is not None else "not registered"

    async def open(self, meter: Meter, path: Path, traffic: tuple[int, int] = NO_TRAFFIC) -> Link:
        """A link over one of the usable paths; waits for a free slot. NoRoute or ModemGone when it
        is not usable (any more), Busy when such a link is open already, DutyCycle when the radio
        budget has no room for so much traffic."""
        kind, address = path
        self.release(meter)  # now for the link
        while True:
            port = self._port(path)
            if port is None:
                obstacle = self.obstacle(path)
                text = "%s %s: %s" % (kind, address, obstacle)
                raise ModemGone(text) if obstacle == MODEM_GONE else NoRoute(text)
            key = (address, meter.server_sap, meter.client_sap)
            if key in port.links:
                raise Busy("a conversation with %s %s is open already" % (kind, address))
            if port.has_slot():
                airtime_ms = port.airtime_ms(traffic)
                wait_ms = port.budget_wait_ms(airtime_ms)
                if wait_ms:
                    raise DutyCycle(wait_ms)
                link = Link(port, address, meter.server_sap, meter.client_sap, airtime_ms)
                port.links[key] = link
                return link
            port.slot_free.clear()
            await port.slot_free.wait()

    def cost(self, meter: Meter) -> int:
        """What an exchange with the meter is likely to cost its medium, over its best path; more
        than any where it has none now."""
        paths = self.usable(meter)
        return self.reachability.cost(meter, paths[0]) if paths else NO_PATH_COST

    # ------------------------------------------------------------ what attempts teach

    def record(
        self, meter: Meter, path: Path, answered: bool, percent: int = 100, hops: int = 0
    ) -> None:
        """What an attempt over `path` taught: whether the meter answered, and to how many of a
        hundred requests, from how many hops away (0: not known)."""
        self._count(path, "attempt-answered" if answered else "attempt-silent")
        if answered:
            self.reachability.answered(meter, path, percent, hops)
            self._graces.pop(meter.serial, None)
            for recovery in self._recoveries_of(path):
                recovery.answered(path[1])
            return
        self._suspect(meter, path)
        self.reachability.fell_silent(meter, path)

    def failed_over(self, path: Path) -> None:
        """An attempt goes on over this path after another had failed."""
        self._count(path, "attempt-failover")

    def _count(self, path: Path, name: str) -> None:
        for port in self._ports:
            if port.reaches(path):
                port.counts[name] += 1
                return

    async def recover(self, meter: Meter) -> str:
        """An attempt has reached the meter over none of its paths: do what is due to get it back,
        so that the next one finds it. What was done, now or before, in words for people."""
        done = []
        acted = False
        for path in meter.paths:
            if self.obstacle(path) == "not registered":
                self._suspect(meter, path)
            silent = self.reachability.state(meter, path).silent
            for recovery in self._recoveries_of(path):
                now, words = await recovery.help(path, silent)
                acted = acted or now
                if words:
                    done.append("%s: %s" % (path[0], words))
        if acted and (meter.serial in self._graces or len(self._graces) < MAX_GRACES):
            self._graces[meter.serial] = self._clock.ticks_ms() + GRACE_MS
        ticks = self._clock.ticks_ms()
        for serial in [serial for serial, until in self._graces.items() if until <= ticks]:
            del self._graces[serial]
        return "; ".join(done)

    def _suspect(self, meter: Meter, path: Path) -> None:
        if self.reachability.state(meter, path).heard:
            for port in self._ports:
                if port.serves(path) and port.alive():
                    port.note_silent(meter.serial)

    def _recoveries_of(self, path: Path) -> list[Recovery]:
        """Of the working modems of the path's kind; of the one that reaches it, if one does."""
        found = []
        for place in range(len(self._ports)):
            port = self._ports[place]
            if port.serves(path) and port.alive():
                if port.reaches(path):
                    return [self._recoveries[place]]
                found.append(self._recoveries[place])
        return found

    # ------------------------------------------------------------ all meters at once

    async def broadcast(
        self, kind: str, data: bytes | memoryview, client_sap: int, server_sap: int
    ) -> int:
        """One frame to all meters of a kind of path at once; returns on how many modems it went on
        the medium, when they are finished with it.

        Waits for the modem's window and radio budget, one broadcast at a time and behind the frames
        of links, so that conversations go on. NoRoute when no working modem of the kind can
        broadcast; TooLong; OSError when the only one fails.
        """
        ports = [
            port
            for port in self._ports
            if port.kind == kind and port.alive() and port.modem.capabilities.broadcast_mtu
        ]
        if not ports:
            raise NoRoute("no %s modem that can broadcast is at work" % kind)
        sent = 0
        failure: OSError | None = None
        for port in ports:
            try:
                sent += await port.broadcast(data, client_sap, server_sap)
            except OSError as error:
                failure = error
        if failure is not None and not sent:
            raise failure
        return sent

    def broadcast_mtu(self, kind: str) -> int:
        """The longest frame that broadcast() takes now; 0: none."""
        sizes = [
            port.modem.capabilities.broadcast_mtu
            for port in self._ports
            if port.kind == kind and port.alive() and port.modem.capabilities.broadcast_mtu
        ]
        return min(sizes) if sizes else 0

    def slots(self, kind: str) -> int:
        """How many meters are served side by side over this kind of path."""
        return sum([port.meters_at_once for port in self._ports if port.kind == kind])

    def reachable(self, meters: list[Meter]) -> int:
        """How many of the meters have a usable path now."""
        return len([meter for meter in meters if any(self._port(p) for p in meter.paths)])

    def statistics(self) -> list[tuple[str, dict[str, int]]]:
        """(kind, counters by name) of each modem: the driver's own and those of its links."""
        rows = []
        for port in self._ports:
            counts = dict(port.modem.statistics())
            counts.update(port.counts)
            counts["alive"] = 1 if port.alive() else 0
            counts["links"] = len(port.links)
            counts["nodes"] = port.node_count()
            counts.update(port.hinders())
            rows.append((port.kind, counts))
        return rows

    def _port(self, path: Path) -> ModemPort | None:
        """The working modem of the path's kind that reaches its address."""
        for port in self._ports:
            if port.alive() and port.reaches(path):
                return port
        return None
