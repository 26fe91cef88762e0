"""IMST iM871A (868 MHz) and iM170A (169 MHz) over HCI: DLMS in wireless M-Bus.

Sans-IO: bytes and milliseconds in, events and bytes out; `hal.modem.attached` gives it a serial
line. There is no registration, no confirmation and no repetition on air: TxDone says that the
module took the frame. Not in evidence: a status byte in the module's answer to a send request; any
answer counts. The module's own configuration (link mode, frequency, RSSI) is left as commissioned.
"""

from __future__ import annotations

from hal.modem import hci, supervisor, wmbus
from hal.modem.duty import DutyBudget
from hal.modem.records import AddressSet
from hal.ports import (
    BROADCAST,
    Busy,
    Capabilities,
    ModemReset,
    NoRoute,
    PortError,
    Quality,
    Rx,
    TooLong,
    TxDone,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.modem.answer import Answer
    from hal.ports import Joined, Left

    Event = TxDone | Rx | Joined | Left | ModemReset | Answer

STATUS_OK = 0
STATUS_NO_ANSWER = 1
MTU = hci.MAX_PAYLOAD - wmbus.TO_METER_OVERHEAD
MAX_NODES = 2000
OWN_ADDRESS = "0000000000000031"  # type 31: communication controller


def parse_address(text: str) -> bytes:
    """16 hex digits to the 8 bytes on air. NoRoute when it is not that."""
    try:
        address = bytes.fromhex(text)
    except ValueError:
        address = b""
    if len(address) != 8 or len(text) != 16:
        raise NoRoute("an RF path is M, ident, version, type in 16 hex digits, not %r" % text)
    return address


class Imst:
    """Driver of one module. Address text: M-field, ident, version, type as 16 lower-case hex
    digits.

    own: our address. bit_rate: of the link mode, in bit/s. duty_permille: radio budget, see
    DutyBudget."""

    def __init__(
        self,
        own: str = OWN_ADDRESS,
        bit_rate: int = 4800,
        duty_permille: int = 100,
        silence_ms: int = 60000,
        answer_ms: int = 5000,
    ) -> None:
        self.capabilities = Capabilities(
            "rf", MTU, 0, 1, joins=False, addresses="wmbus", duty_permille=duty_permille % 1000
        )
        self._own = parse_address(own)
        self._bit_rate = bit_rate
        self._duty = DutyBudget(duty_permille)
        self._supervisor = supervisor.Supervisor(silence_ms, answer_ms)
        self._answer_ms = answer_ms
        self._parser = hci.Parser()
        self._outgoing = bytearray()
        self._events: list[Event] = []
        self._heard = AddressSet(8, MAX_NODES)
        self._pending = 0  # handle of the frame the module has not answered yet
        self._pending_deadline = 0
        self._access = 0
        self._last_handle = 0
        self._sent = 0
        self._received = 0
        self._failed = 0
        self._resets = 0
        self._other_telegram = 0
        self._malformed = 0
        self._unexpected = 0

    @property
    def dead(self) -> bool:
        """The module does not answer, not even to a reset."""
        return self._supervisor.dead

    def start(self, now_ms: int) -> None:
        """The line is open (anew): see whether the module is there."""
        self._parser.reset()
        self._outgoing = bytearray()
        self._pending = 0
        self._supervisor.heard(now_ms)
        self._write(hci.DEVICE, hci.PING_REQUEST)

    def feed(self, data: bytes, now_ms: int) -> None:
        for frame in self._parser.feed(data, now_ms):
            self._supervisor.heard(now_ms)
            if frame.endpoint == hci.RADIO and frame.message == hci.INDICATION:
                self._indication(frame)
            elif frame.endpoint == hci.RADIO and frame.message == hci.SEND_RESPONSE:
                self._answered(STATUS_OK)
            elif frame.endpoint == hci.DEVICE and frame.message == hci.RESET_RESPONSE:
                self._pending = 0
                self._events.append(ModemReset())
            elif frame.endpoint != hci.DEVICE:
                self._unexpected += 1

    def tick(self, now_ms: int) -> None:
        if self._pending and now_ms >= self._pending_deadline:
            self._answered(STATUS_NO_ANSWER)
        self.feed(b"", now_ms)
        step = self._supervisor.step(now_ms)
        if step == supervisor.PROBE:
            self._write(hci.DEVICE, hci.PING_REQUEST)
        elif step == supervisor.RESET:
            self.reset(now_ms)

    def due_ms(self, now_ms: int) -> int:
        """Milliseconds until tick() has something to do; at least 1."""
        due = self._supervisor.due_ms()
        if self._pending:
            due = min(due, self._pending_deadline)
        stalled = self._parser.due_ms()
        if stalled is not None:
            due = min(due, stalled)
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
        """Hand over one telegram; returns its handle. Busy, TooLong, NoRoute or DutyCycle."""
        if len(data) > MTU:
            raise TooLong("wM-Bus takes %d bytes a frame, not %d" % (MTU, len(data)))
        if not (0 <= source_sap <= 0xFF and 0 <= destination_sap <= 0xFF):
            raise ValueError("wM-Bus SAPs are 0..255, not %d, %d" % (source_sap, destination_sap))
        if address == BROADCAST:
            raise NoRoute("wireless M-Bus has no broadcast towards meters")
        meter = parse_address(address)
        if self._pending:
            raise Busy("the module has not answered the frame before")
        self._access = (self._access + 1) & 0xFF
        telegram = wmbus.Telegram(meter, self._access, source_sap, destination_sap, bytes(data))
        frame = wmbus.to_meter(self._own, telegram)
        self._duty.spend(wmbus.airtime_ms(len(frame), self._bit_rate), now_ms)
        self._last_handle += 1
        self._pending = self._last_handle
        self._pending_deadline = now_ms + self._answer_ms
        self._write(hci.RADIO, hci.SEND_REQUEST, frame)
        self._sent += 1
        return self._last_handle

    def discover(self, now_ms: int) -> None:
        """Nothing to ask: meters are heard when they send."""

    def kick(self, address: str, now_ms: int) -> None:
        """Nothing to forget: there are no routes. NoRoute when it is no address."""
        parse_address(address)

    def get(self, parameter: str, now_ms: int) -> int:
        raise PortError("IMST: there is no parameter %r" % parameter)

    def set(self, parameter: str, value: bytes, now_ms: int) -> int:
        return self.get(parameter, now_ms)

    def reset(self, now_ms: int) -> None:
        self._resets += 1
        self._write(hci.DEVICE, hci.RESET_REQUEST)

    def events(self) -> list[Event]:
        """What happened since the last call."""
        events = self._events
        self._events = []
        return events

    def outgoing(self) -> bytes:
        """Bytes for the line since the last call."""
        data = bytes(self._outgoing)
        self._outgoing = bytearray()
        return data

    def nodes(self) -> list[str]:
        """Meters ever heard, the first 2000."""
        return self._heard.texts()

    def statistics(self) -> dict[str, int]:
        return {
            "sent": self._sent,
            "received": self._received,
            "failed": self._failed,
            "resets": self._resets,
            "bad-crc": self._parser.bad_crc,
            "noise": self._parser.noise,
            "stalled": self._parser.stalled,
            "other-telegram": self._other_telegram,
            "malformed": self._malformed,
            "unexpected": self._unexpected,
        }

    def _indication(self, frame: hci.Frame) -> None:
        try:
            telegram = wmbus.parse(
                frame.payload, wmbus.CI_FROM_METER_LONG, wmbus.CI_FROM_METER_SHORT
            )
        except ValueError:
            self._malformed += 1
            return
        if telegram is None:
            self._other_telegram += 1
            self._heard.add(frame.payload[1 : wmbus.LINK])
            return
        address = telegram.address.hex()
        self._heard.add(telegram.address)
        self._received += 1
        quality = Quality(rssi=frame.rssi)
        self._events.append(
            Rx(address, telegram.source_sap, telegram.destination_sap, telegram.apdu, quality)
        )

    def _answered(self, status: int) -> None:
        if not self._pending:
            self._unexpected += 1
            return
        if status != STATUS_OK:
            self._failed += 1
        self._events.append(TxDone(self._pending, status))
        self._pending = 0

    def _write(self, endpoint: int, message: int, payload: bytes = b"") -> None:
        self._outgoing += hci.frame(endpoint, message, payload)
