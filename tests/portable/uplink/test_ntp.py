"""NTP: what its answers may do to the clock, and what is no answer."""

from __future__ import annotations

import asyncio

from gateway.uplink.ntp import (
    FIRST_PAUSE_MS,
    KISSED_PAUSE_MS,
    LAST_PAUSE_MS,
    LONGEST_WAY_MS,
    Ntp,
    NtpFault,
    date_of,
)
from hal.rt import log
from tests.portable.support import run
from tests.portable.uplink.support import HOUR, NOW, World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

log.set_level("error")
_1900 = 2208988800


def answer(
    request: bytes, date: int, head: int = 0x24, stratum: int = 2, kiss: bytes = b""
) -> bytes:
    stamp = ((date + _1900) & 0xFFFFFFFF).to_bytes(4, "big") + bytes(4)
    raw = bytes((head, stratum)) + bytes(10) + (kiss or bytes(4)) + bytes(8)
    return raw + request[40:48] + stamp + stamp


class Server:
    """Opens UDP ports behind which a server answers. `offset`: of its date from NOW and the ticks.
    `way_ms`: how long an answer takes. `forged`: what comes before it, from anywhere."""

    def __init__(self, world: World) -> None:
        self.clock = world.clock
        self.offset = 0
        self.way_ms = 20
        self.silent = False
        self.kiss = b""
        self.forged: list[tuple[bytes, object]] = []
        self.asked: list[int] = []  # ticks
        self.open = 0

    async def __call__(self) -> Any:
        self.open += 1
        self._waiting: list[tuple[bytes, object]] = []
        return self

    async def place(self, host: str, port: int) -> object:
        return (host, port)

    async def send(self, data: bytes, place: object) -> None:
        assert len(data) == 48 and data[0] == 0x23 and data[1:40] == bytes(39)
        self.asked.append(self.clock.ticks_ms())
        date = NOW + self.offset + self.clock.ticks_ms() // 1000
        good = answer(data, date, stratum=0 if self.kiss else 2, kiss=self.kiss)
        self._waiting = list(self.forged)
        if not self.silent:
            self._waiting.append((good, place))

    async def receive(self) -> tuple[bytes, object]:
        if not self._waiting:
            await self.clock.sleep_ms(1_000_000)
        if len(self._waiting) == 1:
            await self.clock.sleep_ms(self.way_ms)
        return self._waiting.pop(0)

    async def close(self) -> None:
        self.open -= 1


async def asked(world: World, server: Server, trusted: bool, duration_ms: int) -> None:
    correct = world.session.inbox.correct_clock
    ntp = Ntp(server, "time", 123, trusted, world.kept, world.crypto, correct)
    task = asyncio.create_task(ntp.run())
    await world.clock.run(duration_ms)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    assert server.open == 0


def test_an_unset_clock_is_not_set_but_the_date_is_known_to_people() -> None:
    async def scenario() -> None:
        world = World(0)
        server = Server(world)
        await asked(world, server, False, 10_000)
        assert world.kept.unix_time() == 0 and world.kept.floor == 0
        assert abs(world.kept.doubtful_time() - NOW - 11) <= 1
        assert world.storage.size("time.0") < 0

    run(scenario())


def test_a_trusted_server_sets_it_but_not_below_the_floor() -> None:
    async def scenario() -> None:
        world = World()
        world.kept.confirm()
        world.clock.set_unix_time(0)
        world.boot()
        server = Server(world)
        server.offset = -3 * HOUR
        await asked(world, server, True, 10_000)
        assert world.kept.unix_time() == 0
        server.offset = 50 * HOUR
        await asked(world, server, True, 10_000)
        assert world.kept.unix_time() >= NOW + 50 * HOUR
        assert world.kept.floor > NOW + 40 * HOUR

    run(scenario())


def test_a_set_clock_is_moved_by_an_hour_a_day_trusted_or_not() -> None:
    async def scenario() -> None:
        for trusted in (False, True):
            world = World()
            before = world.clock.unix_time()
            server = Server(world)
            server.offset = 2 * HOUR
            await asked(world, server, trusted, 10_000)
            assert world.clock.unix_time() == before + 10
            server.offset = 1000
            await asked(world, server, trusted, 10_000)
            assert 1015 <= world.clock.unix_time() - before <= 1025
            assert (world.kept.floor > 0) == trusted
            assert world.ledger.last_number == 0  # nobody has sent a message that was bad

    run(scenario())


def test_how_often_it_is_asked() -> None:
    async def scenario() -> None:
        world = World()
        server = Server(world)
        await asked(world, server, False, 10 * HOUR * 1000)
        pauses = [server.asked[i + 1] - server.asked[i] for i in range(len(server.asked) - 1)]
        assert min(pauses) >= 2 * FIRST_PAUSE_MS and len(server.asked) < 20
        assert LAST_PAUSE_MS <= pauses[-1] <= LAST_PAUSE_MS + 100
        # While the clock is unset, each minute; and a server that wants no questions, once a day.
        world = World(0)
        server = Server(world)
        server.silent = True
        await asked(world, server, False, HOUR * 1000)
        assert 45 <= len(server.asked) <= 57
        server = Server(world)
        server.kiss = b"DENY"
        await asked(world, server, False, 3 * KISSED_PAUSE_MS)
        assert 3 <= len(server.asked) <= 4

    run(scenario())


def test_what_is_no_answer_to_us_is_passed_over() -> None:
    async def scenario() -> None:
        world = World(0)
        server = Server(world)
        right = ("time", 123)
        evil = answer(bytes(48), NOW - 9 * HOUR)
        server.forged = [(evil, right), (b"", right), (evil, ("other", 123)), (b"x" * 40, right)]
        await asked(world, server, True, 10_000)
        assert abs(world.kept.unix_time() - NOW - 11) <= 1
        # So slow that its date means little.
        world = World(0)
        server = Server(world)
        server.way_ms = LONGEST_WAY_MS + 1
        await asked(world, server, True, 10_000)
        assert world.kept.unix_time() == 0

    run(scenario())


def test_dates() -> None:
    request = bytes(range(48))
    for date in (1_735_689_600, NOW, 2_085_978_495, 2_085_978_497, 3_900_000_000):
        assert date_of(answer(request, date), 0, NOW) == date, date
        assert date_of(answer(request, date), 999, NOW) == date
        assert date_of(answer(request, date), 1000, NOW) == date + 1
    whole = answer(request, NOW)
    assert date_of(whole[:44] + b"\xc0\0\0\0", 250, NOW) == NOW + 1
    for raw, word in (
        (whole[:47], "47 octets"),
        (b"", "0 octets"),
        (answer(request, NOW, head=0x23), "expected an answer"),
        (answer(request, NOW, head=0xE4), "does not know"),
        (answer(request, NOW, stratum=16), "does not know"),
        (answer(request, -_1900), "tells no time"),
        (answer(request, NOW, stratum=0, kiss=b"RATE"), "RATE"),
        (answer(request, NOW, stratum=0, kiss=b"\x1b[2J"), "?"),
    ):
        try:
            date_of(raw, 0, NOW)
        except NtpFault as fault:
            assert word in str(fault) and fault.kissed == ("asked" in str(fault)), fault
        else:
            raise AssertionError(raw)
