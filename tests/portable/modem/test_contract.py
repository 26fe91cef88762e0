"""What every driver does alike (hal/ports.py, Modem), each on its own line to its scripted other
end (modem_ends.py), in four conditions of the line: clean, byte at a time, a fifth of all frames
lost, delayed."""

from __future__ import annotations

from hal.modem.answer import Answer
from hal.modem.drivers import DRIVERS
from hal.ports import (
    BROADCAST,
    Busy,
    Joined,
    Left,
    ModemReset,
    NoRoute,
    PortError,
    Rx,
    TooLong,
    TxDone,
)
from hal.sim.channel import Rng
from tests.portable.modem.modem_ends import ENTRIES
from tests.portable.support import raises

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.modem.attached import Driver
    from tests.portable.modem.modem_ends import Entry

CONDITIONS = ("clean", "bytewise", "lossy", "delayed")
LOSS = 0.2
FORM_MS = 600000  # a network has so long to show all its nodes
CLIENT, SERVER = 16, 1


class Bench:
    """A driver, its other end and the line between them. Time jumps from one thing to be done to
    the next. A driver that declares itself dead has its line opened anew, as Attached does it."""

    def __init__(self, entry: Entry, condition: str, driver: Driver | None = None) -> None:
        """driver: one that has been on another line before."""
        self.entry = entry
        self.condition = condition
        self.driver = driver or entry.driver()
        self.end = entry.end()
        self.now = 1000
        self.silent = False  # the other end neither hears nor answers
        self.opened = 0
        self.handles: list[int] = []
        self.done: list[TxDone] = []
        self.echoes: list[Rx] = []
        self.answers: list[Answer] = []
        self.resets = 0
        self._rng = Rng(11, entry.name + condition)
        self._late: list[tuple[int, bytes]] = []
        self._open()

    def run(self, duration: int) -> None:
        end = self.now + duration
        while True:
            self._exchange()
            if self.now >= end:
                return
            wake = self.now + self.driver.due_ms(self.now)
            if self._late:
                wake = min(wake, self._late[0][0])
            self.now = min(max(wake, self.now + 1), end)

    def form(self) -> None:
        """Until the driver knows all nodes, where it is the one to know them."""
        if not self.driver.capabilities.joins:
            self.run(20000)
            return
        start = self.now
        while sorted(self.driver.nodes()) != sorted(self.entry.nodes):
            assert self.now - start < FORM_MS, (self.entry.name, self.driver.nodes())
            self.run(20000)
            if sorted(self.driver.nodes()) != sorted(self.entry.nodes):
                self.driver.discover(self.now)

    def send(self, address: str, data: bytes) -> int:
        """Hand over a frame, waiting while the driver is busy, or while it takes the node to be
        gone on a line that loses frames."""
        for _ in range(400):
            try:
                handle = self.driver.send(address, data, CLIENT, SERVER, self.now)
            except Busy:
                self.run(500)
                continue
            except NoRoute:
                assert self.condition == "lossy", tag(self)
                self.form()
                continue
            self.handles.append(handle)
            return handle
        raise AssertionError("%s stays busy" % self.entry.name)

    def ask(self, parameter: str, value: bytes | None = None) -> Answer | None:
        """Get or set it as Attached does, several times if need be."""
        for _ in range(30):
            if value is None:
                token = self.driver.get(parameter, self.now)
            else:
                token = self.driver.set(parameter, value, self.now)
            self.answers = []
            self.run(5000)
            for answer in self.answers:
                if answer.token == token:
                    return answer
        return None

    def _open(self) -> None:
        self.opened += 1
        self._late = []
        self.end = self.entry.end() if self.opened == 1 else self.end
        self.driver.start(self.now)
        self.driver.events()

    def _exchange(self) -> None:
        driver = self.driver
        driver.tick(self.now)
        while True:
            said = driver.outgoing()
            if not said and not (self._late and self._late[0][0] <= self.now):
                break
            if said and not self.silent and not self._lost():
                for answer in self.end.take(said):
                    if not self._lost():
                        self._late.append((self._arrival(), answer))
            while self._late and self._late[0][0] <= self.now:
                data = self._late.pop(0)[1]
                step = 1 if self.condition == "bytewise" else len(data)
                for start in range(0, len(data), step):
                    driver.feed(data[start : start + step], self.now)
        for event in driver.events():
            self._happened(event)
        if driver.dead:
            self._reset_happened()
            self._open()

    def _reset_happened(self) -> None:
        """What was in flight is lost, and ModemReset all that tells of it."""
        self.resets += 1
        settled = [done.handle for done in self.done]
        self.handles = [handle for handle in self.handles if handle in settled]

    def _lost(self) -> bool:
        return self.condition == "lossy" and self._rng.chance(LOSS)

    def _arrival(self) -> int:
        if self.condition != "delayed":
            return self.now
        earliest = self._late[-1][0] if self._late else self.now
        return max(earliest, self.now + self._rng.between(100, 900))

    def _happened(self, event: object) -> None:
        if isinstance(event, TxDone):
            self.done.append(event)
        elif isinstance(event, Rx):
            self.echoes.append(event)
        elif isinstance(event, Answer):
            self.answers.append(event)
        elif isinstance(event, ModemReset):
            self._reset_happened()
        else:
            assert isinstance(event, (Joined, Left)), event
            assert event.address in self.entry.nodes


def benches() -> list[Bench]:
    return [Bench(entry, condition) for entry in ENTRIES for condition in CONDITIONS]


def tag(bench: Bench) -> str:
    return "%s, %s" % (bench.entry.name, bench.condition)


def traffic(bench: Bench, rounds: int) -> tuple[int, int, int]:
    """(frames sent, settled well, echoed) of so many frames to each node in turn."""
    bench.handles, bench.done, bench.echoes = [], [], []
    sent = {}
    nodes = bench.entry.nodes
    for number in range(rounds):
        address = nodes[number % len(nodes)]
        data = b"%d" % number
        sent[data] = address
        bench.send(address, data)
        bench.run(2000)
    bench.run(120000)
    handles = [done.handle for done in bench.done]
    assert sorted(handles) == bench.handles, tag(bench)  # each settled, and once
    assert len(handles) == rounds or bench.condition == "lossy", tag(bench)
    for echo in bench.echoes:
        assert sent[echo.data] == echo.address, tag(bench)
        assert (echo.source_sap, echo.destination_sap) == (SERVER, CLIENT), tag(bench)
    assert len({echo.data for echo in bench.echoes}) == len(bench.echoes), tag(bench)
    well = len([done for done in bench.done if done.status == 0])
    return rounds, well, len(bench.echoes)


def test_every_driver_on_a_line_is_here() -> None:
    on_lines = [name for name, row in DRIVERS.items() if row.has_line]
    assert sorted([entry.name for entry in ENTRIES]) == sorted(on_lines)
    for entry in ENTRIES:
        assert type(DRIVERS[entry.name].make(**_usual(entry.name))) is type(entry.driver())


def _usual(name: str) -> dict[str, str]:
    return {option.name: option.default for option in DRIVERS[name].options}


def test_every_frame_is_settled_once_and_echoes_come_from_its_node() -> None:
    for bench in benches():
        bench.form()
        sent, well, echoed = traffic(bench, 40)
        if bench.condition == "lossy":
            assert len(bench.done) > sent - 5, tag(bench)
            assert echoed >= sent // 3, tag(bench)
        else:
            assert well == echoed == sent, tag(bench)
        counts = bench.driver.statistics()
        assert counts["sent"] >= sent and counts["received"] >= echoed, tag(bench)
        assert counts["failed"] >= 0 and not bench.driver.dead, tag(bench)


def test_the_window_is_as_large_as_declared() -> None:
    for bench in benches():
        if bench.condition != "lossy":
            bench.form()
            bench.silent = True
            nodes = bench.entry.nodes
            window = bench.driver.capabilities.in_flight
            assert 1 <= window < len(nodes), tag(bench)
            for number in range(window):
                bench.driver.send(nodes[number], b"x", CLIENT, SERVER, bench.now)
            raises(Busy, bench.driver.send, nodes[window], b"x", CLIENT, SERVER, bench.now)


def test_what_cannot_be_sent_is_refused_and_leaves_no_trace() -> None:
    for bench in benches():
        bench.form()
        driver = bench.driver
        node = bench.entry.nodes[0]
        before = driver.statistics()["sent"]
        largest = driver.capabilities.unicast_mtu
        raises(TooLong, driver.send, node, bytes(largest + 1), CLIENT, SERVER, bench.now)
        raises(NoRoute, driver.send, bench.entry.unknown, b"x", CLIENT, SERVER, bench.now)
        if not driver.capabilities.broadcast_mtu:
            raises(NoRoute, driver.send, BROADCAST, b"x", CLIENT, SERVER, bench.now)
        assert driver.statistics()["sent"] == before, tag(bench)
        bench.send(node, bytes(largest))
        bench.run(120000)
        if bench.condition != "lossy":
            assert [len(echo.data) for echo in bench.echoes] == [largest], tag(bench)


def test_a_broadcast_is_settled_as_sent() -> None:
    for bench in benches():
        size = bench.driver.capabilities.broadcast_mtu
        if size:
            bench.form()
            bench.send(BROADCAST, bytes(size))
            bench.run(120000)
            (done,) = bench.done
            assert bench.echoes == [], tag(bench)
            assert done.status == 0 or bench.condition == "lossy", tag(bench)


def test_discovery_keeps_what_is_known() -> None:
    for bench in benches():
        bench.form()
        known = sorted(bench.driver.nodes())
        bench.driver.discover(bench.now)
        bench.driver.discover(bench.now)
        bench.run(120000)
        if bench.condition != "lossy":
            assert sorted(bench.driver.nodes()) == known, tag(bench)
        bench.form()


def test_a_kicked_node_comes_back_and_others_stay() -> None:
    for bench in benches():
        bench.form()
        driver = bench.driver
        raises(NoRoute, driver.kick, bench.entry.unknown, bench.now)
        while bench.entry.nodes[0] not in driver.nodes():
            bench.send(bench.entry.nodes[0], b"so that it is heard")
            bench.run(10000)
        driver.kick(bench.entry.nodes[0], bench.now)
        bench.run(1)
        if driver.capabilities.joins:
            assert not set(bench.entry.nodes[1:]) - set(driver.nodes()), tag(bench)
        bench.run(120000)
        bench.form()
        _, _, echoed = traffic(bench, 12)
        assert echoed == 12 or bench.condition == "lossy", tag(bench)


def test_parameters() -> None:
    for bench in benches():
        driver = bench.driver
        bench.form()
        raises(PortError, driver.get, "no such parameter", bench.now)
        raises(PortError, driver.set, "no such parameter", b"x", bench.now)
        if bench.entry.parameter is None:
            continue
        name, value, after = bench.entry.parameter
        answer = bench.ask(name, value)
        assert answer is not None and answer.value == b"", tag(bench)
        answer = bench.ask(name)
        assert answer is not None and answer.value == after, tag(bench)


def test_a_reset_is_told_and_everything_comes_back() -> None:
    for bench in benches():
        bench.form()
        bench.driver.reset(bench.now)
        bench.run(120000)
        assert bench.resets >= 1 or bench.condition == "lossy", tag(bench)
        bench.form()
        _, _, echoed = traffic(bench, 12)
        assert echoed == 12 or bench.condition == "lossy", tag(bench)


def test_a_silent_modem_is_given_up_and_found_again() -> None:
    for bench in benches():
        bench.form()
        bench.silent = True
        bench.send(bench.entry.nodes[0], b"x")
        opened = bench.opened
        bench.run(600000)
        assert bench.opened > opened, tag(bench)
        assert len(bench.done) <= 1 and bench.echoes == [], tag(bench)
        bench.silent = False
        bench.run(120000)
        bench.form()
        _, _, echoed = traffic(bench, 12)
        assert echoed == 12 or bench.condition == "lossy", tag(bench)
