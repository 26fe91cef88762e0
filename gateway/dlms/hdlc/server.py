"""The meter's end of HDLC connections (IEC 62056-46, 6.4), sans-IO: the counterpart of hdlc.py.

One station on one line: a connection for each client that has sent its SNRM. A client's turn ends
with its poll bit; the answer goes out when the application has answered all that came, or says
"nothing yet" (RR) after `hold_ms`, and the client asks again.
"""

from __future__ import annotations

from gateway.dlms.errors import ProtocolError
from gateway.dlms.hdlc import frames
from gateway.dlms.hdlc.frames import ALL_STATIONS, Frame, Receiver, split_address
from gateway.dlms.hdlc.numbered import (
    LLC_COMMAND,
    LLC_RESPONSE,
    Incoming,
    Outgoing,
    Parameters,
    without_llc,
)

MAX_CLIENTS = 8
_W, _Y, _Z = 1, 4, 8  # reasons of a frame reject


class Request:
    """An APDU of a client, as it came. `confirmed`: by an I frame, so that an answer may follow."""

    __slots__ = ("apdu", "client_sap", "confirmed", "connection", "server_sap")

    def __init__(
        self, client_sap: int, server_sap: int, apdu: bytes, connection: _Connection | None
    ) -> None:
        self.client_sap = client_sap
        self.server_sap = server_sap
        self.apdu = apdu
        self.connection = connection
        self.confirmed = connection is not None


class HdlcServer:
    """The logical devices `server_saps` behind the physical address `lower`.

    `parameters` are what the station can do; `inactivity_ms`: a client silent for so long is
    forgotten. After feed() and tick(): `requests()` to answer with answer(), `ended()` connections
    whose associations are over, `output()` for the line. `deadline`: when tick() is due."""

    def __init__(
        self,
        server_saps: tuple[int, ...],
        lower: int,
        parameters: Parameters,
        max_apdu: int = 65535,
        hold_ms: int = 1500,
        inactivity_ms: int = 120_000,
        silence_ms: int = 500,
    ) -> None:
        self.parameters = parameters
        self.max_apdu = max_apdu
        self.hold_ms = hold_ms
        self.busy = False  # RNR: nothing more is accepted
        self._saps = server_saps
        self._lower = lower
        self._inactivity_ms = inactivity_ms
        self._silence_ms = silence_ms
        self._silent_at: int | None = None
        self._receiver = Receiver()
        self._connections: dict[tuple[bytes, bytes], _Connection] = {}
        self._requests: list[Request] = []
        self._ended: list[tuple[int, int]] = []
        self._output = b""

    # ------------------------------------------------------------ the application's side

    def requests(self) -> list[Request]:
        """What has come, oldest first; given once."""
        requests, self._requests = self._requests, []
        return requests

    def answer(self, request: Request, apdus: list[bytes], now: int) -> None:
        """The answer to a confirmed request: an APDU as a rule, none, or several. Too late ones
        are dropped."""
        connection = request.connection
        if connection is not None and connection.answers(apdus):
            self._output += connection.turn(now, self.busy)

    def notify(self, client_sap: int, server_sap: int, apdu: bytes) -> None:
        """A UI frame to a client that has a connection; else nothing."""
        for connection in self._connections.values():
            if connection.client_sap == client_sap and connection.server_sap == server_sap:
                self._output += connection.frame(frames.UI, LLC_RESPONSE + apdu)

    def ended(self) -> list[tuple[int, int]]:
        """(client SAP, server SAP) of connections that were ended or begun anew; given once."""
        ended, self._ended = self._ended, []
        return ended

    @property
    def connected(self) -> bool:
        return len(self._connections) > 0

    def clients(self) -> list[int]:
        """Client SAPs that have a connection."""
        return [connection.client_sap for connection in self._connections.values()]

    def output(self) -> bytes:
        output, self._output = self._output, b""
        return output

    # ------------------------------------------------------------ the line's side

    @property
    def deadline(self) -> int | None:
        times = [connection.deadline for connection in self._connections.values()]
        if self._silent_at is not None:
            times.append(self._silent_at)
        return min(times) if times else None

    def feed(self, data: bytes, now: int) -> None:
        for frame in self._receiver.feed(data):
            self._on_frame(frame, now)
        amid = self._receiver.amid_frame
        self._silent_at = now + self._silence_ms if amid else None

    def tick(self, now: int) -> None:
        if self._silent_at is not None and now >= self._silent_at:
            self._silent_at = None
            for frame in self._receiver.silence():
                self._on_frame(frame, now)
        for key, connection in list(self._connections.items()):
            if now >= connection.forget_at:
                self._end(key)
            elif connection.due is not None and now >= connection.due:
                self._output += connection.turn(now, self.busy, True)

    # ------------------------------------------------------------ frames

    def _on_frame(self, frame: Frame, now: int) -> None:
        if len(frame.source) != 1:
            return
        upper, lower = split_address(frame.destination)
        kind = frame.kind
        if kind == frames.UI:
            self._on_unconfirmed(frame, upper, lower)
            return
        if upper not in self._saps or lower not in (-1, self._lower):
            return
        key = (frame.source, frame.destination)
        connection = self._connections.get(key)
        if kind == frames.SNRM:
            self._on_snrm(frame, key, now)
        elif kind == frames.DISC and connection is not None:
            self._end(key)
            self._answer(frame, frames.UA)
        elif connection is None:
            if frame.poll:
                self._answer(frame, frames.DM)
        else:
            connection.forget_at = now + self._inactivity_ms
            apdus, output = connection.on_frame(frame, now, self.busy)
            for apdu in apdus:
                client_sap, server_sap = connection.client_sap, connection.server_sap
                self._requests.append(Request(client_sap, server_sap, apdu, connection))
            self._output += output

    def _on_snrm(self, frame: Frame, key: tuple[bytes, bytes], now: int) -> None:
        self._end(key)
        try:
            proposed = Parameters.decode(frame.information)
        except ProtocolError:
            self._answer(frame, frames.DM)
            return
        if len(self._connections) >= MAX_CLIENTS:
            self._answer(frame, frames.DM)
            return
        agreed = self.parameters.agreed(proposed)
        forget_at = now + self._inactivity_ms
        self._connections[key] = _Connection(self, frame, agreed, forget_at)
        self._answer(frame, frames.UA, agreed.encode())

    def _on_unconfirmed(self, frame: Frame, upper: int, lower: int) -> None:
        ours = lower in (-1, self._lower) or lower in ALL_STATIONS
        if not ours or frame.segmented:
            return
        try:
            apdu = without_llc(frame.information, LLC_COMMAND)
        except ProtocolError:
            return
        for sap in self._saps:
            if upper == sap or upper in ALL_STATIONS:
                self._requests.append(Request(frame.source[0] >> 1, sap, apdu, None))

    def _answer(self, frame: Frame, control: int, information: bytes = b"") -> None:
        self._output += frames.encode(
            frame.source, frame.destination, control | frames.POLL, information
        )

    def _end(self, key: tuple[bytes, bytes]) -> None:
        connection = self._connections.pop(key, None)
        if connection is not None:
            connection.over = True
            self._ended.append((connection.client_sap, connection.server_sap))


class _Connection:
    """With one client, from its SNRM on."""

    def __init__(
        self, server: HdlcServer, snrm: Frame, parameters: Parameters, forget_at: int
    ) -> None:
        self.client_sap = snrm.source[0] >> 1
        self.server_sap = split_address(snrm.destination)[0]
        self.forget_at = forget_at
        self.due: int | None = None  # when the client is told that there is nothing yet
        self.over = False
        self._client = snrm.source
        self._own = snrm.destination
        self._parameters = parameters
        self._hold_ms = server.hold_ms
        self._outgoing = Outgoing()
        self._incoming = Incoming(LLC_COMMAND, server.max_apdu)
        self._polled = False
        self._missed = False  # a frame was lost in the client's turn
        self._owed = 0  # APDUs the application has not answered yet
        self._client_busy = False
        self._rejection = b""  # once there was one, all else is answered with it

    @property
    def deadline(self) -> int:
        return self.forget_at if self.due is None else min(self.due, self.forget_at)

    def answers(self, apdus: list[bytes]) -> bool:
        """Take an answer; True when there is nothing left to wait for and the client waits."""
        if self.over:
            return False
        self._owed -= 1
        for apdu in apdus:
            self._outgoing.put(LLC_RESPONSE, apdu)
        return self._polled and not self._owed

    def on_frame(self, frame: Frame, now: int, busy: bool) -> tuple[list[bytes], bytes]:
        """(APDUs for the application, bytes for the line)."""
        apdus: list[bytes] = []
        if not self._rejection:
            self._read(frame, apdus, busy)
        if not frame.poll:
            return apdus, b""
        self._polled = True
        return apdus, self.turn(now, busy)

    def _read(self, frame: Frame, apdus: list[bytes], busy: bool) -> None:
        kind = frame.kind
        if kind not in (frames.INFORMATION, frames.RR, frames.RNR, frames.REJ):
            self._reject(frame, _W)
        elif len(frame.information) > self._parameters.receive_size:
            self._reject(frame, _Y)
        elif self._outgoing.acknowledge(frame.control >> 5) < 0:
            self._reject(frame, _Z)
        elif kind == frames.INFORMATION:
            number = frame.control >> 1 & 7
            try:
                taken = not busy and self._incoming.accept(
                    number, frame.information, frame.segmented
                )
            except ProtocolError:
                self._reject(frame, _Y)
                return
            if not taken and self._incoming.missed(number, self._parameters.receive_window):
                self._missed = True
            apdu = self._incoming.take()
            if apdu is not None:
                self._owed += 1
                apdus.append(apdu)
        else:
            self._client_busy = kind == frames.RNR

    def _reject(self, frame: Frame, reason: int) -> None:
        numbers = (
            self._incoming.expected << 5 | (self._outgoing.first + self._outgoing.sent & 7) << 1
        )
        self._rejection = bytes((frame.control, numbers, reason))

    def turn(self, now: int, busy: bool, at_once: bool = False) -> bytes:
        """The answer to the client's poll, as far as there is one; it is its turn then."""
        if self._owed and not at_once and not self._rejection:
            if self.due is None:
                self.due = now + self._hold_ms
            return b""
        self.due = None
        if not self._polled:
            return b""
        self._polled = False
        if self._rejection:
            return self.frame(frames.FRMR | frames.POLL, self._rejection)
        if not self._outgoing.empty and not self._client_busy:
            return self._window()
        kind = frames.RNR if busy else frames.REJ if self._missed else frames.RR
        self._missed = False
        return self.frame(self._incoming.expected << 5 | kind | frames.POLL)

    def _window(self) -> bytes:
        self._missed = False
        output = b""
        window = self._outgoing.window(self._parameters.send_size, self._parameters.send_window)
        for i, (number, information, segmented) in enumerate(window):
            control = self._incoming.expected << 5 | number << 1
            if i == len(window) - 1:
                control |= frames.POLL
            output += self.frame(control, information, segmented)
        return output

    def frame(
        self, control: int, information: bytes | memoryview = b"", segmented: bool = False
    ) -> bytes:
        return frames.encode(self._client, self._own, control, information, segmented)
