"""A driver on a line that comes late, dies, gets stuck, and comes back."""

from __future__ import annotations

import asyncio

from hal.modem import usi
from hal.modem.allowance import FIRST_PAUSE_MS, LISTEN, UNASKED
from hal.modem.answer import Answer
from hal.modem.attached import ANSWER_MS, LINE_BURST, Attached
from hal.modem.events import MAX_WAITING
from hal.modem.prime.prime import Prime
from hal.ports import Joined, Left, Misbehaves, ModemReset, NoRoute, PortError, Rx, TxDone
from hal.rt import log
from hal.sim.clock import ManualClock
from tests.portable.modem.modem_wire import Wire
from tests.portable.support import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.modem.sans_io import Event

A = "0080e1000001"
JOIN = usi.frame(usi.PRIME_API, bytes.fromhex("3a0341414100050080e100000100"))
NO_NODES = usi.frame(0x07, bytes.fromhex("0f82500019"))
LIST_QUERY = usi.frame(0x06, bytes.fromhex("0e82501e0000"))
REQUEST = usi.frame(usi.PRIME_API, bytes.fromhex("370101000500017800"))
CONFIRM = usi.frame(usi.PRIME_API, bytes.fromhex("390101000500"))


class Asked(Prime):
    """A PRIME driver whose answers to questions the test gives."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.answers: list[Answer] = []

    def get(self, parameter: str, now_ms: int) -> int:
        self.asked.append(parameter)
        return len(self.asked)

    def events(self) -> list[Event]:
        events = super().events()
        events.extend(self.answers)
        self.answers = []
        return events


class Bench:
    """A PRIME driver, a clock, and every wire it opened."""

    def __init__(self, failures: int = 0) -> None:
        log.set_level("error")
        self.clock = ManualClock()
        self.wires: list[Wire] = []
        self.failures = failures
        self.driver = Asked()
        self.modem = Attached(self.driver, self.open, self.clock)
        self.events: list[object] = []
        self.task = asyncio.create_task(self.collect())

    async def open(self) -> Wire:
        if self.failures:
            self.failures -= 1
            raise OSError("no such device")
        self.wires.append(Wire())
        return self.wires[-1]

    async def collect(self) -> None:
        try:
            while True:
                event = await self.modem.event()
                self.events.append(event)
        except OSError as gone:
            self.events.append(gone)

    def kinds(self) -> list[str]:
        names = [type(event).__name__ for event in self.events]
        self.events = []
        return names

    async def end(self) -> None:
        await self.modem.close()
        await self.task


async def refused(bench: Bench) -> bool:
    try:
        await bench.modem.send(A, b"x", 1, 1)
    except OSError:
        return True
    return False


def test_data_goes_both_ways() -> None:
    async def play() -> None:
        bench = Bench()
        await bench.clock.settle()
        wire = bench.wires[0]
        assert wire.take() == LIST_QUERY
        wire.say(NO_NODES + JOIN)
        await bench.clock.settle()
        assert bench.kinds() == [Joined.__name__]
        handle = await bench.modem.send(A, b"x", 1, 1)
        assert wire.take() == REQUEST
        wire.say(CONFIRM)
        await bench.clock.settle()
        (done,) = bench.events
        assert isinstance(done, TxDone) and (done.handle, done.status) == (handle, 0)
        assert bench.modem.nodes() == [A]
        assert bench.modem.statistics()["opened"] == 1
        await bench.end()
        assert wire.closed
        assert await refused(bench)

    run(play())


def test_the_debug_level_tells_of_frames_but_not_what_is_in_them() -> None:
    lines: list[str] = []

    async def play() -> None:
        bench = Bench()
        await bench.clock.settle()
        bench.wires[0].say(NO_NODES + JOIN)
        await bench.clock.settle()
        await bench.modem.send(A, b"x", 1, 1)
        answer = bytes.fromhex("38010100000005000353454300")
        bench.wires[0].say(CONFIRM + usi.frame(usi.PRIME_API, answer))
        bench.wires[0].say(usi.frame(usi.PRIME_API, b"\x3b\x00\x05"))
        bench.wires[0].say(usi.frame(usi.PRIME_API, b"\x4f\x05" + bytes(13)))
        await bench.clock.settle()
        await bench.end()

    written = log.debug
    log.debug = lambda where, text: lines.append("%s: %s" % (where, text))
    try:
        run(play())
    finally:
        log.debug = written
    assert lines == [
        "modem plc: %s joined" % A,
        "modem plc: frame 1: 1 bytes for %s" % A,
        "modem plc: frame 1: done, status 0",
        "modem plc: 3 bytes from %s" % A,
        "modem plc: %s left" % A,
        "modem plc: it restarted",
    ]


def test_ticks_come_when_the_driver_is_due() -> None:
    async def play() -> None:
        bench = Bench()
        await bench.clock.settle()
        bench.wires[0].say(NO_NODES + JOIN)
        await bench.clock.settle()
        await bench.modem.send(A, b"x", 1, 1)
        bench.kinds()
        await bench.clock.run(59999)
        assert bench.kinds() == []
        await bench.clock.run(1)
        assert bench.kinds() == [TxDone.__name__]
        await bench.end()

    run(play())


def test_a_frame_sent_while_the_line_opens_waits_for_it() -> None:
    async def play() -> None:
        bench = Bench()
        try:  # the line has not had a chance to open yet
            await bench.modem.send(A, b"x", 1, 1)
        except NoRoute:
            pass  # the driver was asked: the line is open, and the node not listed yet
        assert len(bench.wires) == 1
        await bench.end()

    run(play())


def test_a_line_that_comes_late() -> None:
    async def play() -> None:
        bench = Bench(failures=3)
        assert await refused(bench)
        await bench.clock.run(500 + 1000 + 1999)
        assert not bench.wires
        await bench.clock.run(1)
        bench.wires[0].say(JOIN)
        await bench.clock.settle()
        assert bench.kinds() == [Joined.__name__]  # no reset: nothing was lost
        await bench.end()

    run(play())


def test_a_line_that_dies_and_returns() -> None:
    async def play() -> None:
        bench = Bench()
        await bench.clock.settle()
        bench.wires[0].say(NO_NODES + JOIN)
        await bench.clock.settle()
        await bench.modem.send(A, b"x", 1, 1)
        bench.kinds()
        bench.wires[0].hang_up()
        await bench.clock.settle()
        assert bench.kinds() == [ModemReset.__name__]
        assert await refused(bench)
        assert bench.modem.nodes() == []
        await bench.clock.run(500)
        assert bench.wires[0].closed
        assert bench.wires[1].take() == LIST_QUERY
        bench.wires[1].say(JOIN)
        await bench.clock.settle()
        assert bench.kinds() == [ModemReset.__name__, Joined.__name__]
        assert not await refused(bench)
        await bench.end()

    run(play())


def test_a_modem_that_never_answers_is_reopened_again_and_again() -> None:
    async def play() -> None:
        log.set_level("error")
        bench = Bench()
        bench.modem._driver = Prime(silence_ms=1000, answer_ms=100)
        log.set_level("error")
        await bench.clock.run(3000)
        assert len(bench.wires) == 2
        sent = [frame.data[:1] for frame in usi.Parser().feed(bench.wires[0].take())]
        assert sent.count(b"\x2d") == 3 and sent.count(b"\x2b") == 1
        assert bench.kinds() == [ModemReset.__name__]
        await bench.clock.run(60000)
        assert 4 < len(bench.wires) < 20
        await bench.end()

    run(play())


def test_a_stuck_line_is_given_up() -> None:
    async def play() -> None:
        bench = Bench()
        await bench.clock.settle()
        bench.wires[0].say(NO_NODES + JOIN)
        await bench.clock.settle()
        bench.wires[0].stuck = True
        sender = asyncio.create_task(refused(bench))
        await bench.clock.run(10001)
        assert await sender
        assert bench.wires[0].closed
        await bench.clock.run(1000)
        assert len(bench.wires) == 2
        await bench.end()

    run(play())


def test_unread_events_stop_the_reading() -> None:
    async def play() -> None:
        bench = Bench()
        bench.modem._allowances.heard = lambda address, now_ms: LISTEN  # type: ignore[method-assign]
        await bench.clock.settle()
        bench.task.cancel()
        wire = bench.wires[0]
        wire.say(NO_NODES + JOIN)
        answer = usi.frame(usi.PRIME_API, bytes.fromhex("3801010000000500017800"))
        for _ in range(2 * MAX_WAITING):
            wire.say(answer)
        for _ in range(20):
            await bench.clock.settle()
        assert len(bench.modem._events) == MAX_WAITING + 1
        received = 0
        for _ in range(2 * MAX_WAITING + 1):
            received += isinstance(await bench.modem.event(), Rx)
        assert received == 2 * MAX_WAITING
        await bench.modem.close()

    run(play())


ANSWER = usi.frame(usi.PRIME_API, bytes.fromhex("3801010000000500017800"))


def test_a_node_that_floods_reaches_nobody() -> None:
    async def play() -> None:
        bench = Bench()
        await bench.clock.settle()
        wire = bench.wires[0]
        wire.say(NO_NODES + JOIN)
        for _ in range(500):
            wire.say(ANSWER)
        await bench.clock.run(100)
        came = [event for event in bench.events if isinstance(event, Rx)]
        assert len(came) == UNASKED
        left = bench.events[-1]
        assert isinstance(left, Left) and left.address == A
        assert isinstance(left.error, Misbehaves) and A in str(left.error)
        assert bench.modem.nodes() == [A] and bench.modem.statistics()["floods"] == 1
        try:
            await bench.modem.send(A, b"x", 1, 1)
            raise AssertionError("spoken to")
        except Misbehaves:
            pass
        bench.events = []
        await bench.clock.run(FIRST_PAUSE_MS)
        wire.say(ANSWER)
        await bench.clock.run(100)
        assert [type(event) for event in bench.events] == [Rx]
        await bench.modem.send(A, b"x", 1, 1)
        await bench.end()

    run(play())


def test_a_line_that_babbles_is_closed_for_longer_and_longer() -> None:
    async def play() -> None:
        bench = Bench()
        await bench.clock.settle()
        pauses = []
        for _ in range(3):
            wire = bench.wires[-1]
            for _ in range(LINE_BURST // 4096 + 16):
                wire.say(bytes(4096))
                await bench.clock.settle()
            await bench.clock.run(100)
            assert wire.closed
            opened, began = len(bench.wires), bench.clock.ticks_ms()
            while len(bench.wires) == opened:
                await bench.clock.run(1000)
            pauses.append((bench.clock.ticks_ms() - began) // 1000)
        assert pauses == sorted(pauses) and pauses[0] >= 29 and pauses[2] >= 119
        await bench.end()

    run(play())


class Faulty(Prime):
    """Dies of the first bytes it is fed."""

    sound = False

    def feed(self, data: bytes, now_ms: int) -> None:
        if not self.sound:
            self.sound = True
            raise KeyError("a fault")
        super().feed(data, now_ms)


def test_a_fault_of_the_driver_comes_out_of_event_once() -> None:
    async def play() -> None:
        log.set_level("error")
        wires: list[Wire] = []

        async def open_wire() -> Wire:
            wires.append(Wire())
            wires[-1].say(JOIN)
            return wires[-1]

        modem = Attached(Faulty(), open_wire, ManualClock())
        kinds = []
        while "Joined" not in kinds:
            try:
                event: object = await modem.event()
            except KeyError as fault:
                event = fault
            kinds.append(type(event).__name__)
        assert kinds == ["ModemReset", "KeyError", "ModemReset", "Joined"]
        assert len(wires) == 2 and wires[0].closed
        await modem.close()
        assert wires[1].closed

    run(play())


def test_parameters_are_asked_one_at_a_time_and_answered_or_not() -> None:
    async def play() -> None:
        bench = Bench()
        outcomes: list[object] = []

        async def ask(parameter: str) -> None:
            try:
                outcomes.append(await bench.modem.get(parameter))
            except (PortError, OSError) as error:
                outcomes.append(str(error))

        asking = [asyncio.create_task(ask("1")), asyncio.create_task(ask("2"))]
        await bench.clock.settle()
        driver = bench.driver
        assert driver.asked == ["1"] and outcomes == []
        driver.answers.append(Answer(99, b"of another question"))
        driver.answers.append(Answer(1, b"\x2a"))
        bench.wires[0].say(b"answers")
        await bench.clock.settle()
        assert outcomes == [b"\x2a"] and driver.asked == ["1", "2"]
        await bench.clock.run(ANSWER_MS)
        assert outcomes[1:] == ["modem plc: parameter 2: no answer within 5000 ms"]
        driver.answers.append(Answer(2, b"too late"))
        asking.append(asyncio.create_task(ask("3")))
        await bench.clock.settle()
        driver.answers.append(Answer(3, None, "refused, status 4"))
        bench.wires[0].say(b"answers")
        await bench.clock.settle()
        assert outcomes[2:] == ["modem plc: parameter 3: refused, status 4"]
        asking.append(asyncio.create_task(ask("4")))
        await bench.clock.settle()
        bench.wires[0].hang_up()
        await bench.clock.settle()
        assert outcomes[3:] == ["modem plc: the line was lost before the answer"]
        await bench.end()

    run(play())


def test_what_a_modem_is_told_goes_over_the_line_at_once() -> None:
    async def play() -> None:
        bench = Bench()
        await bench.clock.settle()
        wire = bench.wires[0]
        wire.say(NO_NODES)
        wire.say(JOIN)
        await bench.clock.settle()
        wire.take()
        await bench.modem.discover()
        assert wire.take() == LIST_QUERY
        await bench.modem.kick(A)
        assert wire.take() == usi.frame(usi.PRIME_API, b"\x35\x00\x05")
        await bench.modem.reset()
        assert wire.take() == usi.frame(usi.PRIME_API, b"\x2b")
        try:
            await bench.modem.kick("0080e1000009")
            raise AssertionError("an unknown node was kicked")
        except NoRoute:
            pass
        bench.kinds()
        wire.say(usi.frame(usi.PRIME_API, b"\x2c\x00"))
        await bench.clock.settle()
        assert bench.kinds() == ["ModemReset"]
        wire.hang_up()
        await bench.clock.settle()
        for verb in (bench.modem.discover, bench.modem.reset):
            try:
                await verb()
                raise AssertionError("there is no line")
            except OSError:
                pass
        await bench.end()

    run(play())
