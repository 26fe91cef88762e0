"""The client's end of an HDLC connection (IEC 62056-46, 6.4; normal response mode), sans-IO.

Bytes, and the time in ms, go in; bytes for the line and whole APDUs come out. The two ends take
turns: the last frame of the client's turn has the poll bit, the last one of the meter's answer the
final bit. Whatever was lost shows in the sequence numbers of the next turn and is sent again; when
the meter does not answer at all, the client repeats the newest frame it has no acknowledgement for.
It does not while the meter speaks: each frame that comes gives more time, and one that has begun is
waited for. Frames longer than agreed are taken.
"""

from __future__ import annotations

from gateway.dlms.errors import DlmsError, LinkLost, LinkSilent, ProtocolError
from gateway.dlms.hdlc import frames
from gateway.dlms.hdlc.echo import Echo
from gateway.dlms.hdlc.frames import Frame, Receiver
from gateway.dlms.hdlc.numbered import (
    LLC_COMMAND,
    LLC_RESPONSE,
    Incoming,
    Outgoing,
    Parameters,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.hdlc.settings import Settings

# states
CLOSED = 0
OPENING = 1
OPEN = 2
CLOSING = 3

MAX_APDU = 65535  # the largest that DLMS can negotiate
_ALL_CLIENTS = b"\xff"
_CLOSING_MS = 500  # for the answer to a DISC, beside what the line takes


class HdlcClient:
    """One connection of `client_sap` to the server `address` (see frames.server_address).

    `state` says how far it is. When it ends against our will, `failure` says why and the state is
    CLOSED; connect() begins anew. APDUs that arrived are in `arrived()`, bytes to send in
    `output()`; `deadline` is when tick() must be called at the latest (None: not at all)."""

    def __init__(
        self,
        client_sap: int,
        address: bytes,
        settings: Settings,
        max_apdu: int = MAX_APDU,
    ) -> None:
        self.state = CLOSED
        self.failure: DlmsError | None = None
        self.parameters = Parameters()  # in force, once OPEN
        self.strangers = 0  # frames from or to somebody else
        self.heard = 0  # frames that brought part of an answer
        self._asked_at = 0  # when the meter's turn began
        self._took = 0  # how long its last one took, in ms
        self._own = frames.client_address(client_sap)
        self._address = address
        self._echo = Echo() if self._own == address else None
        self._settings = settings
        self._max_apdu = max_apdu
        self._receiver = Receiver()
        self._output = b""
        self._notified = Incoming(LLC_RESPONSE, max_apdu)  # by UI frames, in any state
        self._silent_at: int | None = None
        self._begin()

    def _begin(self) -> None:
        self._outgoing = Outgoing()
        self._incoming = Incoming(LLC_RESPONSE, self._max_apdu)
        # what waits in both, in the order it came (ciphered APDUs out of order are replays):
        # whether it is a notification
        self._order = [True] * len(self._notified.complete)
        self._waiting = False  # it is the meter's turn
        self._due: int | None = None  # its answer, or our next question
        self._overdue = False  # a frame that had begun in time was no answer
        self._asked = False  # with RR or RNR, not with frames of ours
        self._progress = False  # the meter's turn has brought or acknowledged something
        self._sent = 0  # times, since the last progress
        self._busy_since: int | None = None
        self._more = False  # the last turn brought something: more may follow at once
        if self._echo is not None:
            self._echo.forget()

    # ------------------------------------------------------------ what is wanted

    def connect(self, now: int) -> None:
        """SNRM; OPEN once the meter's UA has come. Also ends a connection that is open."""
        self._begin()
        self.failure = None
        self.state = OPENING
        self._send_command(now)

    def disconnect(self, now: int) -> None:
        """DISC; CLOSED once the meter has answered, or has not within little more time than it took
        before."""
        if self.state in (OPENING, OPEN):
            self._begin()
            self.state = CLOSING
            self._send_command(now)

    def abandon(self) -> None:
        """The line is gone: CLOSED at once."""
        self._begin()
        self.state = CLOSED

    def send(self, apdu: bytes | memoryview, now: int) -> None:
        """Queue an APDU; it goes out as soon as it is our turn. Needs an OPEN connection."""
        if self.state != OPEN:
            raise LinkLost("HDLC: there is no connection; connect first")
        self._outgoing.put(LLC_COMMAND, apdu)
        if not self._waiting:
            self._take_turn(now)

    def send_unconfirmed(self, apdu: bytes | memoryview, address: bytes) -> None:
        """A UI frame, which nobody answers; `address` may be a broadcast one. ValueError when the
        APDU does not fit one frame."""
        information = LLC_COMMAND + bytes(apdu)
        if len(information) > frames.MAX_INFORMATION:
            raise ValueError("HDLC: %d bytes do not fit one UI frame" % len(information))
        self._output += frames.encode(address, self._own, frames.UI, information)

    def ask(self, now: int) -> None:
        """An APDU is wanted: if it is our turn and there is nothing to say, ask for it (RR)."""
        if self.state == OPEN and not self._waiting and self._due is None:
            if self._more:
                self._poll(now)
            else:
                self._due = now + self._settings.poll_ms

    # ------------------------------------------------------------ what came of it

    @property
    def all_sent(self) -> bool:
        """Every frame of what was queued has been on the line."""
        return self._outgoing.all_sent

    @property
    def their_turn(self) -> bool:
        """The meter is to answer; that it does not shows here first."""
        return self._waiting

    @property
    def coming_in(self) -> bool:
        """A frame that may be the answer has begun."""
        return self._waiting and not self._overdue and self._receiver.amid_frame

    @property
    def deadline(self) -> int | None:
        if self._silent_at is None or self._due is None:
            return self._due if self._silent_at is None else self._silent_at
        return self._silent_at if self.coming_in else min(self._due, self._silent_at)

    def output(self) -> bytes:
        """Bytes for the line; given once."""
        output, self._output = self._output, b""
        return output

    def arrived(self) -> bytes | None:
        """The next APDU, in order; None when there is none (yet)."""
        if not self._order:
            return None
        notification = self._order[0]
        self._order = self._order[1:]
        return self._notified.take() if notification else self._incoming.take()

    # ------------------------------------------------------------ time and bytes

    def feed(self, data: bytes, now: int) -> None:
        damaged = self._receiver.damaged
        found = self._receiver.feed(data)
        for frame in found:
            self._on_frame(frame, now)
        if self._due is not None and now >= self._due:
            self._overdue = self._overdue or len(found) > 0 or self._receiver.damaged > damaged
        amid = self._receiver.amid_frame
        self._silent_at = now + self._settings.silence_ms if amid else None

    def tick(self, now: int) -> None:
        if self._silent_at is not None and now >= self._silent_at:
            self._silent_at = None
            for frame in self._receiver.silence():
                self._on_frame(frame, now)
        if self._due is None or now < self._due or self.coming_in:
            return
        if self.state == OPEN and not self._waiting:
            self._poll(now)
        elif self._sent >= (1 if self.state == CLOSING else self._settings.tries):
            self._give_up()
        elif self.state == OPEN:
            self._repeat(now)
        else:
            self._send_command(now)

    # ------------------------------------------------------------ frames of the meter

    def _on_frame(self, frame: Frame, now: int) -> None:
        kind = frame.kind
        to_all = kind == frames.UI and frame.destination == _ALL_CLIENTS
        if frame.source != self._address or not (frame.destination == self._own or to_all):
            self.strangers += 1
            return
        if self._echo is not None and self._echo.is_one(frame, self._incoming.amid_apdu):
            return
        try:
            if kind == frames.UI:
                self._on_notification(frame)
            elif self.state == OPEN:
                self._on_frame_in_connection(frame, now)
            elif self.state == OPENING:
                self._on_answer_to_snrm(frame)
            elif self.state == CLOSING and kind in (frames.UA, frames.DM):
                self._end(None)
        except ProtocolError as error:
            self._end(error)

    def _on_notification(self, frame: Frame) -> None:
        # Some meters segment their notifications, though the standard knows no numbers for that.
        expected = self._notified.expected
        try:
            self._accept(self._notified, expected, frame)
        except ProtocolError:
            pass  # nobody asked for it: the connection has nothing to do with it

    def _accept(self, incoming: Incoming, number: int, frame: Frame) -> bool:
        held = len(incoming.complete)
        accepted = incoming.accept(number, frame.information, frame.segmented)
        if len(incoming.complete) > held:
            self._order.append(incoming is self._notified)
        return accepted

    def _on_answer_to_snrm(self, frame: Frame) -> None:
        if frame.kind == frames.DM:
            text = "HDLC: the meter refuses the connection (DM): it is busy, or check the addresses"
            self._end(LinkLost(text))
        elif frame.kind == frames.UA:
            proposed = self._proposal()
            self.parameters = proposed.agreed(Parameters.decode(frame.information))
            self._begin()
            self.state = OPEN

    def _on_frame_in_connection(self, frame: Frame, now: int) -> None:
        kind = frame.kind
        if kind == frames.DM:
            self._end(LinkLost("HDLC: the meter has given up the connection (DM)"))
        elif kind == frames.FRMR:
            why = frames.rejection(frame.information)
            self._end(ProtocolError("HDLC: the meter rejects a frame: %s" % why))
        elif kind in (frames.INFORMATION, frames.RR, frames.RNR, frames.REJ):
            self._on_numbered(frame, kind, now)

    def _on_numbered(self, frame: Frame, kind: int, now: int) -> None:
        acknowledged = self._outgoing.acknowledge(frame.control >> 5)
        if acknowledged < 0:
            raise ProtocolError("HDLC: %s acknowledges frames that were never sent" % frame.name)
        progress = acknowledged > 0
        missed = False
        if kind == frames.INFORMATION:
            number = frame.control >> 1 & 7
            if self._accept(self._incoming, number, frame):
                progress = True
                self.heard += 1 if frame.information else 0
            else:
                missed = self._incoming.missed(number, self.parameters.receive_window)
        if kind == frames.RNR:
            self._sent = 0
            self._busy_since = now if self._busy_since is None else self._busy_since
        elif kind != frames.INFORMATION:
            self._busy_since = None
        if progress:
            self._sent = 0
            self._progress = True
        if not self._waiting:
            return
        # An answer that brings nothing and acknowledges nothing of what is out is the answer to an
        # earlier turn, on its way twice: the true one will come.
        late = not (self._progress or self._asked) and kind in (frames.INFORMATION, frames.RR)
        if not frame.poll or late:
            if progress:
                self._due = now + self._settings.response_ms
                self._overdue = False
            return
        self._waiting = False
        self._took = now - self._asked_at
        self._due = None
        self._more = missed or (progress and kind == frames.INFORMATION)
        if not self._outgoing.sent:
            self._sent = 0
        self._take_turn(now)

    # ------------------------------------------------------------ our turn

    def _take_turn(self, now: int) -> None:
        settings = self._settings
        if self._busy_since is not None:
            if now - self._busy_since >= settings.busy_ms:
                self._end(LinkSilent("HDLC: the meter has been busy for %d ms" % settings.busy_ms))
            else:
                self._due = now + settings.poll_ms
        elif not self._outgoing.empty:
            if self._sent >= settings.tries:
                self._give_up()
            else:
                window = self._outgoing.window(
                    self.parameters.send_size, self.parameters.send_window
                )
                for i, (number, information, segmented) in enumerate(window):
                    last = i == len(window) - 1
                    self._send_information(number, information, segmented, last)
                self._await_answer(now)
        elif self._incoming.amid_apdu:
            if self._more:
                self._poll(now)
            else:
                self._due = now + settings.poll_ms

    def _repeat(self, now: int) -> None:
        """The meter has not answered. The newest frame it has not acknowledged makes it say which
        it lacks (when it is the first one already, that is all it needs)."""
        sent = self._outgoing.sent
        if not sent or self._busy_since is not None:
            self._poll(now)
            return
        window = self._outgoing.window(self.parameters.send_size, sent)
        number, information, segmented = window[sent - 1]
        self._send_information(number, information, segmented, True)
        self._await_answer(now)

    def _send_information(
        self, number: int, information: memoryview, segmented: bool, last: bool
    ) -> None:
        control = self._incoming.expected << 5 | number << 1 | (frames.POLL if last else 0)
        self._put(control, information, segmented)

    def _poll(self, now: int) -> None:
        kind = frames.RNR if self._incoming.full else frames.RR
        self._put(self._incoming.expected << 5 | kind | frames.POLL)
        self._await_answer(now)
        self._asked = True

    def _send_command(self, now: int) -> None:
        if self.state == CLOSING:
            control, information = frames.DISC, b""
        else:
            control, proposal = frames.SNRM, self._proposal()
            information = b"" if proposal.are_default else proposal.encode()
        self._put(control | frames.POLL, information)
        self._await_answer(now)

    def _put(
        self, control: int, information: bytes | memoryview = b"", segmented: bool = False
    ) -> None:
        if self._echo is not None:
            self._echo.sent(control, information)
        self._output += frames.encode(self._address, self._own, control, information, segmented)

    def _await_answer(self, now: int) -> None:
        self._waiting = True
        self._overdue = False
        self._asked = self._progress = False
        self._sent += 1
        self._asked_at = now
        patience = self._settings.response_ms
        if self.state == CLOSING:
            patience = min(patience, 2 * self._took + _CLOSING_MS)
        self._due = now + patience

    def _proposal(self) -> Parameters:
        size, window = self._settings.information, self._settings.window
        return Parameters(size, size, window, window)

    # ------------------------------------------------------------ the end

    def _give_up(self) -> None:
        if self.state == CLOSING:
            self._end(None)
            return
        what = "connection (SNRM)" if self.state == OPENING else "frames"
        self._end(
            LinkSilent(
                "HDLC: the meter does not answer to %s, sent %d times, %d ms each; check"
                " addresses, baud rate and line" % (what, self._sent, self._settings.response_ms)
            )
        )

    def _end(self, failure: DlmsError | None) -> None:
        self.state = CLOSED
        self.failure = failure
        self._waiting = False
        self._due = None
