"""A line between an HdlcClient and an HdlcServer in simulated time, which loses, damages, doubles
and delays what it carries, but never lets a later byte overtake an earlier one."""

from __future__ import annotations

from gateway.dlms.hdlc.client import CLOSED, CLOSING, OPEN, OPENING, HdlcClient
from gateway.dlms.hdlc.frames import server_address
from gateway.dlms.hdlc.numbered import Parameters
from gateway.dlms.hdlc.server import HdlcServer
from gateway.dlms.hdlc.settings import Settings
from hal.sim.channel import Rng

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESS = server_address(1, 17)


class Line:
    """`trouble(bytes) -> [(delay in ms, bytes)]` for everything written, either way. `echo`, of the
    same shape, for what the line sends back of the client's own."""

    def __init__(
        self,
        settings: Settings,
        parameters: Parameters,
        answer: Callable[[bytes], bytes | None],
        trouble: Callable[[bytes], list[tuple[int, bytes]]] | None = None,
        max_apdu: int = 65535,
        address: bytes = ADDRESS,
        echo: Callable[[bytes], list[tuple[int, bytes]]] | None = None,
    ) -> None:
        self.now = 1000
        self.client = HdlcClient(1, address, settings, max_apdu)
        self.server = HdlcServer((1,), 17, parameters, max_apdu, hold_ms=1000)
        self.handled: list[bytes] = []  # APDUs the server's application saw
        self.received: list[bytes] = []  # APDUs the client's application saw
        self.answer = answer
        self.bytes_sent = 0
        self._trouble = trouble
        self._echo = echo
        self._way_up: list[tuple[int, bytes]] = []  # to the server: (when, bytes)
        self._way_down: list[tuple[int, bytes]] = []

    def exchange(self, request: bytes, limit_ms: int = 600_000) -> bytes:
        """One request, its answer. DlmsError as the client names it; AssertionError when nothing
        at all comes of it."""
        if self.client.state != OPEN:
            self.connect()
        count = len(self.received)
        self.client.send(request, self.now)
        end = self.now + limit_ms
        while len(self.received) == count:
            assert self.now < end, "neither an answer nor a failure"
            self.check()
            self.client.ask(self.now)
            self.step()
        return self.received[count]

    def connect(self) -> None:
        self.client.connect(self.now)
        while self.client.state == OPENING:
            self.step()
        self.check()

    def without_trouble(self) -> None:
        """From now on the line is a good one; what is still on its way is lost."""
        self._trouble = None
        self._way_up = []
        self._way_down = []
        self.client.abandon()

    def disconnect(self) -> None:
        self.client.disconnect(self.now)
        while self.client.state == CLOSING:
            self.step()
        assert self.client.state == CLOSED

    def check(self) -> None:
        if self.client.failure is not None:
            failure, self.client.failure = self.client.failure, None
            raise failure

    def step(self) -> None:
        """On to the next moment at which anything happens."""
        self._carry()
        times = [way[0][0] for way in (self._way_up, self._way_down) if way]
        times += [t for t in (self.client.deadline, self.server.deadline) if t is not None]
        assert times, "everybody waits for ever"
        self.now = max(self.now, min(times))
        while self._way_up and self._way_up[0][0] <= self.now:
            self.server.feed(self._way_up.pop(0)[1], self.now)
        while self._way_down and self._way_down[0][0] <= self.now:
            self.client.feed(self._way_down.pop(0)[1], self.now)
        self.client.tick(self.now)
        self.server.tick(self.now)
        for request in self.server.requests():
            self.handled.append(request.apdu)
            found = self.answer(request.apdu)
            self.server.answer(request, [] if found is None else [found], self.now)
        self._carry()
        while True:
            apdu = self.client.arrived()
            if apdu is None:
                break
            self.received.append(apdu)

    def _carry(self) -> None:
        for end, way in ((self.client, self._way_up), (self.server, self._way_down)):
            data = end.output()
            self.bytes_sent += len(data)
            if not data:
                continue
            if end is self.client and self._echo is not None:
                self._put(self._way_down, self._echo(data))
            self._put(way, [(5, data)] if self._trouble is None else self._trouble(data))

    def _put(self, way: list[tuple[int, bytes]], pieces: list[tuple[int, bytes]]) -> None:
        for delay, piece in pieces:
            earliest = way[-1][0] if way else self.now
            way.append((max(self.now + delay, earliest), piece))


class Trouble:
    """Seeded: each piece of up to 40 bytes is lost, damaged or late, and each frame doubled, with
    the chance `share` (0..1)."""

    def __init__(self, seed: int, share: float, longest_ms: int = 2000) -> None:
        self._rng = Rng(seed, "trouble")
        self._share = share
        self._longest_ms = longest_ms

    def __call__(self, data: bytes) -> list[tuple[int, bytes]]:
        pieces: list[tuple[int, bytes]] = []
        while data:
            size = ((data[1] & 7) << 8 | data[2]) + 2
            for _ in range(2 if self._rng.chance(self._share) else 1):
                self._frame(data[:size], pieces)
            data = data[size:]
        return pieces

    def _frame(self, data: bytes, pieces: list[tuple[int, bytes]]) -> None:
        rng = self._rng
        while data:
            size = rng.between(1, 40)
            piece, data = data[:size], data[size:]
            if rng.chance(self._share):
                continue
            if rng.chance(self._share):
                at = rng.below(len(piece))
                piece = piece[:at] + bytes((piece[at] ^ 1 << rng.below(8),)) + piece[at + 1 :]
            late = rng.chance(self._share)
            pieces.append((rng.below(self._longest_ms) if late else 5, piece))
