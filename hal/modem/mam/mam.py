"""Meters and More over USI: protocol 31, source-routed repeaters, APDUs of at most 127 bytes.

Sans-IO: bytes and milliseconds in, events and bytes out; `hal.modem.attached` gives it a serial
line. The modem carries out one request at a time: it sends the frame over the path it is told,
waits for the answer, and says when there was none. Who is out there, and over which repeaters, is
the host's business (search.py, routes.py); so Joined and Left are this driver's own
findings. TxDone 0 says that the node answered, or, where DLMS has it keep silent (a general block
with more to follow at once), that the frame was sent. A frame to all is said again at the ends of
routes, as nodes do not pass it on by themselves.

Computed from Microchip's public stack, not seen on a wire. Not in evidence: which attribute DLMS
has (18 here, "command"; any is taken from a node), and where its two SAPs stand (one byte each,
before the APDU; they are part of the 127). The protocol has no command that restarts the modem:
reset() forgets everything about the network and starts anew. The stack's own authentication is not
used: DLMS has its own.
"""

from __future__ import annotations

from hal.modem import supervisor, usi
from hal.modem.answer import Question
from hal.modem.mam import frames, request, spelling
from hal.modem.mam.frames import MTU, SAPS
from hal.modem.mam.routes import Routes
from hal.modem.mam.search import LOOK, POLL, Search
from hal.modem.sans_io import SansIo, check_saps, check_size
from hal.ports import (
    BROADCAST,
    Busy,
    Capabilities,
    Joined,
    Left,
    ModemReset,
    NoRoute,
    PortError,
    Quality,
    Rx,
    TxDone,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.modem.mam.request import Request
    from hal.modem.mam.routes import Via

STATUS_OK = 0
STATUS_SILENT = 0x20  # as the event says it: nobody answered
STATUS_REFUSED = 0xFE
STATUS_STUCK = 0xFF  # the modem said nothing more of the frame

_BUSY_MS = 500  # the modem is still waiting for answers to the request before
_MAX_REPEATS = 64  # of a frame to all, by repeaters
_SIGN_OF_LIFE = (frames.GET_CONFIRM, frames.ACA_PARAMETER, 0)
_TURNS = 8  # frames of the host in a row while the search has something to do


class MetersAndMore(SansIo):
    """Driver of one modem. Address text: ACA as 12 lower-case hex digits."""

    def __init__(
        self,
        silence_ms: int = 60000,
        answer_ms: int = 5000,
        confirm_ms: int = 30000,
        look_ms: int = 2000,
        refresh_ms: int = 4 * 3600000,
    ) -> None:
        """silence_ms: after so long without a frame the modem is asked for a sign of life.
        answer_ms: how long it has for that. confirm_ms: how long one request may take, answer
        included. look_ms: how long the answers of those that hear the modem are waited for.
        refresh_ms: how often new nodes are looked for, and how long a known one may keep
        silent."""
        super().__init__()
        self.capabilities = Capabilities(
            "plc",
            MTU,
            MTU,
            1,
            joins=True,
            addresses="mam",
            confirmed=True,
            routes=frames.MAX_REPEATERS,
        )
        self._supervisor = supervisor.Supervisor(silence_ms, answer_ms)
        self._confirm_ms = confirm_ms
        self._look_ms = look_ms
        self._parser = usi.Parser()
        self._question = Question()
        self._routes = Routes()
        self._search = Search(self._routes, refresh_ms)
        self._now: Request | None = None  # the modem has it
        self._waiting: Request | None = None  # the host's next
        self._turns = 0
        self._last_handle = 0
        names = "sent received failed resets looks polls lost busy stuck bad-answer refused"
        names += " stranger malformed unexpected unknown-command unknown-protocol"
        self._counts = dict.fromkeys(names.split(), 0)

    @property
    def dead(self) -> bool:
        """The modem does not answer any more."""
        return self._supervisor.dead

    # What the runner calls

    def start(self, now_ms: int) -> None:
        """The line is open (anew): look for nodes."""
        self._parser.reset()
        self._outgoing = bytearray()
        self._supervisor.heard(now_ms)
        self._forget(now_ms)
        self._go_on(now_ms)

    def feed(self, data: bytes, now_ms: int) -> None:
        for frame in self._parser.feed(data):
            self._supervisor.heard(now_ms)
            if frame.protocol != usi.METERS_AND_MORE or not frame.data:
                self._counts["unknown-protocol"] += 1
                continue
            try:
                self._heard(frame.data, now_ms)
            except ValueError:
                self._counts["malformed"] += 1
        self._go_on(now_ms)

    def tick(self, now_ms: int) -> None:
        now = self._now
        if now is not None and now_ms >= now.deadline:
            if now.limit and not now.confirmed and now_ms < now.limit:
                self._say(now, now_ms)  # it was busy before
            elif now.looks():
                self._finish(STATUS_OK, now_ms)
            else:
                self._counts["stuck"] += 1
                self._finish(STATUS_STUCK, now_ms)
        self._go_on(now_ms)
        step = self._supervisor.step(now_ms)
        if step == supervisor.PROBE:
            self._write(frames.get_request(frames.ACA_PARAMETER, 0))
        elif step == supervisor.RESET:
            self.reset(now_ms)

    def due_ms(self, now_ms: int) -> int:
        """Milliseconds until tick() has something to do; at least 1."""
        due = self._supervisor.due_ms()
        if self._now is not None:
            due = min(due, self._now.deadline)
        else:
            due = min(due, self._search.due_ms())
        return max(1, due - now_ms)

    def send(
        self,
        address: str,
        data: bytes | memoryview,
        source_sap: int,
        destination_sap: int,
        now_ms: int,
        route: list[str] | None = None,
    ) -> int:
        """Hand over one frame; returns its handle. Busy, TooLong or NoRoute."""
        check_size("Meters and More", len(data), MTU)
        check_saps("Meters and More", source_sap, destination_sap)
        via = None if route is None else spelling.via(route)
        node = None
        if address != BROADCAST:
            node = self._routes.node(spelling.aca(address))
            if node is None or not node.joined:
                raise NoRoute("no Meters and More node %s is known" % address)
            if via is not None and node.address in via:
                raise NoRoute("%s is its own repeater" % address)
        if self._waiting is not None or (self._now is not None and self._now.step is None):
            raise Busy("the modem has a frame already")
        self._last_handle += 1
        frame = request.of_host(node, source_sap, destination_sap, data, self._last_handle)
        if via is not None:
            frame.vias = [via]
        elif node is None:
            frame.vias = [()] + self._routes.covering(_MAX_REPEATS)
        self._waiting = frame
        self._counts["sent"] += 1
        self._go_on(now_ms)
        return frame.handle

    def discover(self, now_ms: int) -> None:
        self._search.begin(now_ms)
        self._go_on(now_ms)

    def kick(self, address: str, now_ms: int) -> None:
        """Forget all ways to this node, and find a new one: it leaves, and joins when found."""
        node = self._routes.node(spelling.aca(address))
        if node is None:
            raise NoRoute("no Meters and More node %s is known" % address)
        if node.joined:
            self._routes.lost(node)
            self._events.append(Left(address))
        node.routes = []
        self._search.seek(node)
        self._go_on(now_ms)

    def get(self, parameter: str, now_ms: int) -> int:
        """`parameter`: its number in hex, and an index if it has any: "201" (own ACA), "5.1"."""
        number, index = spelling.parameter(parameter)
        self._write(frames.get_request(number, index))
        return self._question.ask((frames.GET_CONFIRM, number, index))

    def set(self, parameter: str, value: bytes, now_ms: int) -> int:
        number, index = spelling.parameter(parameter)
        if len(value) > 255:
            raise PortError("a parameter has at most 255 bytes, not %d" % len(value))
        self._write(frames.set_request(number, index, value))
        return self._question.ask((frames.SET_CONFIRM, number, index))

    def reset(self, now_ms: int) -> None:
        """Forget the network and find it anew."""
        self._counts["resets"] += 1
        self._forget(now_ms)
        self._events.append(ModemReset())
        self._go_on(now_ms)

    def nodes(self) -> list[str]:
        return [node.address.hex() for node in self._routes.joined()]

    def route(self, address: str) -> list[str] | None:
        """The repeaters on the best way to a node; None when it is not joined."""
        node = self._routes.node(spelling.aca(address))
        best = node.best() if node is not None and node.joined else None
        return None if best is None else [repeater.hex() for repeater in best.via]

    def statistics(self) -> dict[str, int]:
        counts = self._parser.damage()
        unknown = counts["unknown-protocol"]
        counts.update(self._counts)
        counts["unknown-protocol"] += unknown
        return counts

    # What the modem says

    def _heard(self, data: bytes, now_ms: int) -> None:
        command = data[0]
        if command == frames.DATA_INDICATION:
            self._indication(frames.indication(data), now_ms)
        elif command == frames.DATA_CONFIRM and len(data) == 10:
            self._confirm(data[1:7], data[9], now_ms)
        elif command == frames.EVENT_INDICATION and len(data) >= 3:
            self._event(data[1], now_ms)
        elif command == frames.GET_CONFIRM and len(data) >= 9:
            self._answer(data, data[9 : 9 + data[8]] if len(data) == 9 + data[8] else None)
        elif command == frames.SET_CONFIRM and len(data) == 8:
            self._answer(data, b"")
        elif command == frames.STATUS and len(data) == 3:
            self._refused(data[1], data[2], now_ms)
        else:
            self._counts["unknown-command"] += 1

    def _refused(self, error: int, command: int, now_ms: int) -> None:
        self._counts["refused"] += 1
        if command != frames.DATA_REQUEST or self._now is None or self._now.confirmed:
            return
        if error == frames.NOT_READY:
            self._now.deadline = now_ms + _BUSY_MS
        else:
            self._finish(STATUS_REFUSED, now_ms)

    def _answer(self, data: bytes, value: bytes | None) -> None:
        key = (data[0], int.from_bytes(data[2:6], "big"), int.from_bytes(data[6:8], "big"))
        error = "" if value is not None else "cut short"
        if data[1]:
            value = None
            error = "refused with %d" % data[1]
        answers = self._question.answer(key, value, error)
        if not answers and key != _SIGN_OF_LIFE:
            # The public firmware confirms a set after every data request, though nobody asked.
            self._counts["unexpected"] += 1
        self._events += answers

    def _confirm(self, target: bytes, status: int, now_ms: int) -> None:
        now = self._now
        if now is None or now.confirmed or target != now.target():
            self._counts["unexpected"] += 1
        elif status == frames.TX_BUSY:
            self._counts["busy"] += 1
            now.deadline = now_ms + _BUSY_MS
        elif status != frames.TX_OK:
            self._finish(status, now_ms)
        elif not now.answered:
            self._finish(STATUS_OK, now_ms)
        else:
            now.confirmed = True
            if now.looks() and not now.vias[0]:
                # The modem says when nobody answered, but not when all have.
                now.deadline = now_ms + self._look_ms

    def _event(self, event: int, now_ms: int) -> None:
        if event not in (frames.EVENT_TIMEOUT, frames.EVENT_ACA):
            self._counts["unknown-command"] += 1
        elif self._now is None or not self._now.confirmed:
            self._counts["unexpected"] += 1
        else:
            self._finish(STATUS_SILENT, now_ms)

    def _indication(self, heard: frames.Indication, now_ms: int) -> None:
        now = self._now
        asked = now is not None and now.node is not None and heard.source == now.target()
        if heard.status != 0:
            self._counts["bad-answer"] += 1
        elif heard.dsap == frames.DSAP_MANAGEMENT:
            self._management(heard, asked, now_ms)
        elif heard.dsap != frames.DSAP_APPLICATION or len(heard.apdu) < SAPS:
            self._counts["malformed"] += 1
        else:
            self._data(heard, asked, now_ms)

    def _data(self, heard: frames.Indication, asked: bool, now_ms: int) -> None:
        node = self._routes.node(heard.source)
        if node is None or not node.joined:
            # It may have been lost before its answer came, or belong to another network.
            self._counts["stranger"] += 1
            self._search.told(heard.source, ())
            return
        node.heard = now_ms
        hops = None
        if asked and self._now is not None and self._now.step is None:
            hops = 1 + len(self._now.vias[0])
            self._finish(STATUS_OK, now_ms)
        apdu = heard.apdu
        self._counts["received"] += 1
        self._events.append(
            Rx(heard.source.hex(), apdu[0], apdu[1], apdu[SAPS:], Quality(hops=hops))
        )

    def _management(self, heard: frames.Indication, asked: bool, now_ms: int) -> None:
        step = None if self._now is None else self._now.step
        if heard.attribute == frames.ADDRESS_RESPONSE:
            self._told([frames.found(heard.apdu)], ())
        elif heard.attribute == frames.LOOK_RESPONSE:
            if step is None or step.kind != LOOK or step.via[-1:] != (heard.source,):
                self._counts["unexpected"] += 1
                return
            self._told(frames.all_found(heard.apdu), step.via)
            self._finish(STATUS_OK, now_ms)
        elif heard.attribute == frames.ACKNOWLEDGE and asked and step is not None:
            self._finish(STATUS_OK, now_ms)
        else:
            self._counts["unexpected"] += 1

    def _told(self, addresses: list[bytes], via: Via) -> None:
        step = None if self._now is None else self._now.step
        for address in addresses:
            if address == frames.TO_ALL or address == bytes(frames.ADDRESS):
                self._counts["malformed"] += 1
                continue
            if step is not None and step.kind == LOOK:
                self._search.answered(step)
            self._search.told(address, via)

    # What the modem is told

    def _go_on(self, now_ms: int) -> None:
        """Give the modem its next request, once it is finished with the one before."""
        if self._now is not None:
            return
        step = None
        if self._waiting is None or self._turns >= _TURNS:
            step = self._search.next(now_ms)
        self._lose()
        if step is not None:
            self._turns = 0
            self._now = request.of_search(step)
            self._counts["looks" if self._now.looks() else "polls"] += 1
        elif self._waiting is not None:
            self._turns += 1
            self._now = self._waiting
            self._waiting = None
            node = self._now.node
            if node is not None and not self._now.vias:
                best = node.best()
                self._now.vias = [() if best is None else best.via]
        if self._now is not None:
            self._now.limit = now_ms + self._confirm_ms
            self._say(self._now, now_ms)

    def _say(self, now: Request, now_ms: int) -> None:
        now.confirmed = False
        now.deadline = now_ms + self._confirm_ms
        self._write(now.encode())

    def _finish(self, status: int, now_ms: int) -> None:
        """The modem is through with its request."""
        done = self._now
        if done is None:
            return
        via = done.vias.pop(0)
        if done.node is None and done.vias and status == STATUS_OK:
            done.limit = now_ms + self._confirm_ms
            self._say(done, now_ms)  # the next repeater
            return
        self._now = None
        if done.step is None:
            if status != STATUS_OK:
                self._counts["failed"] += 1
            self._events.append(TxDone(done.handle, status))
            self._learn(done, via, status, now_ms)
        elif done.step.kind == POLL:
            self._learn(done, via, status, now_ms)

    def _learn(self, done: Request, via: Via, status: int, now_ms: int) -> None:
        """What its end says of the way to its node."""
        node, step = done.node, done.step
        if node is None or not done.answered or self._routes.node(node.address) is not node:
            return
        if status != STATUS_OK:
            if self._routes.failed(node, via) and node.joined:
                self._search.seek(node)
            if step is not None:
                self._search.silent(step)
        else:
            if self._routes.carried(node, via, now_ms):
                self._events.append(Joined(node.address.hex()))
            if step is not None:
                self._search.answered(step)

    def _lose(self) -> None:
        for address in self._search.gone:
            self._counts["lost"] += 1
            self._events.append(Left(address.hex()))
        self._search.gone = []

    def _forget(self, now_ms: int) -> None:
        self._now = None
        self._waiting = None
        self._routes.clear()
        self._search.clear(now_ms)

    def _write(self, data: bytes) -> None:
        self._outgoing += usi.frame(usi.METERS_AND_MORE, data)
