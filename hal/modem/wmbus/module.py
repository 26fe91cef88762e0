"""DLMS over a wireless M-Bus module, whatever its make: what the drivers in imst.py and amber.py
have in common.

Sans-IO: bytes and milliseconds in, events and bytes out; `hal.modem.attached` gives it a serial
line. There is no registration, no confirmation and no repetition on air: TxDone says that the
module took the frame, the nodes are those ever heard. The radio budget is kept here, as no module
does. The module's own configuration (link mode, frequency, RSSI) is left as commissioned.
"""

from __future__ import annotations

from hal.modem import supervisor
from hal.modem.answer import Question
from hal.modem.duty import DutyBudget
from hal.modem.in_flight import InFlight
from hal.modem.records import AddressSet
from hal.modem.sans_io import SansIo, check_saps, check_size
from hal.modem.wmbus import wmbus
from hal.ports import BROADCAST, Capabilities, ModemReset, NoRoute, Quality, Rx

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.modem.wmbus.resync import ResyncParser

STATUS_OK = 0
STATUS_NO_ANSWER = 1
MAX_FRAME = 250  # bytes of a link frame that every module takes
MTU = MAX_FRAME - wmbus.TO_METER_OVERHEAD
MAX_NODES = 2000
OWN_ADDRESS = "0000000000000031"  # type 31: communication controller
_ONLY = 0  # key of the one frame in flight: modules do not name it in their answers


def parse_address(text: str) -> bytes:
    """16 hex digits to the 8 bytes on air. NoRoute when it is not that."""
    try:
        address = bytes.fromhex(text)
    except ValueError:
        address = b""
    if len(address) != 8 or len(text) != 16:
        raise NoRoute("an RF path is M, ident, version, type in 16 hex digits, not %r" % text)
    return address


class Module(SansIo):
    """Address text: M-field, ident, version, type as 16 lower-case hex digits. A dialect gives the
    methods at the end, and calls _taken() to _received_frame() with what it reads."""

    def __init__(
        self,
        own: str,
        bit_rate: int,
        duty_permille: int,
        silence_ms: int,
        answer_ms: int,
        line: ResyncParser,
        damaged: str,
    ) -> None:
        """own: our address. bit_rate (bit/s) and duty_permille (of an hour): of the link mode, see
        wmbus.MODES. silence_ms: after so long without a frame the module is asked for a sign of
        life; answer_ms: how long it has for any answer. line: parses what the module
        says. damaged: the name of the counter of its wrong checksums."""
        super().__init__()
        self._duty = DutyBudget(
            duty_permille,
            lambda size: wmbus.airtime_ms(wmbus.TO_METER_OVERHEAD + size, bit_rate),
        )
        self.capabilities = Capabilities(
            "rf",
            MTU,
            0,
            1,
            joins=False,
            addresses="wmbus",
            duty_permille=duty_permille % 1000,
            budget=self._duty if duty_permille < 1000 else None,
        )
        self._line = line
        self._damaged = damaged
        self._own = parse_address(own)
        self._supervisor = supervisor.Supervisor(silence_ms, answer_ms)
        self._answer_ms = answer_ms
        self._in_flight = InFlight(1)
        self._question = Question()
        self._heard = AddressSet(8, MAX_NODES)
        self._access = 0
        self._now_ms = 0
        self._received = 0
        self._resets = 0
        self._other_telegram = 0
        self._malformed = 0
        self._unexpected = 0

    # What the runner calls

    @property
    def dead(self) -> bool:
        """The module does not answer, not even to a reset."""
        return self._supervisor.dead

    def start(self, now_ms: int) -> None:
        """The line is open (anew): see whether the module is there."""
        self._begin_line()
        self._outgoing = bytearray()
        self._in_flight.clear()
        self._supervisor.heard(now_ms)
        self._write(self._probe())

    def feed(self, data: bytes, now_ms: int) -> None:
        self._now_ms = now_ms
        self._read(data, now_ms)

    def tick(self, now_ms: int) -> None:
        self._events += self._in_flight.expire(now_ms, STATUS_NO_ANSWER)
        self.feed(b"", now_ms)
        step = self._supervisor.step(now_ms)
        if step == supervisor.PROBE:
            self._write(self._probe())
        elif step == supervisor.RESET:
            self.reset(now_ms)

    def due_ms(self, now_ms: int) -> int:
        """Milliseconds until tick() has something to do; at least 1."""
        due = self._in_flight.due_ms(self._supervisor.due_ms())
        stalled = self._stalled_ms()
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
        check_size("wireless M-Bus", len(data), MTU)
        check_saps("wireless M-Bus", source_sap, destination_sap)
        if address == BROADCAST:
            raise NoRoute("wireless M-Bus has no broadcast towards meters")
        if route:
            raise NoRoute("wireless M-Bus has no repeaters that could be named")
        meter = parse_address(address)
        self._in_flight.check(_ONLY)
        self._access = (self._access + 1) & 0xFF
        telegram = wmbus.Telegram(meter, self._access, source_sap, destination_sap, bytes(data))
        frame = wmbus.to_meter(self._own, telegram)
        self._now_ms = now_ms
        self._duty.spend(self._duty.airtime_ms(len(data)), now_ms)
        handle = self._in_flight.begin(_ONLY, now_ms, self._answer_ms)
        self._write(self._transmission(frame))
        return handle

    def discover(self, now_ms: int) -> None:
        """Nothing to ask: meters are heard when they send."""

    def kick(self, address: str, now_ms: int) -> None:
        """Forget that this meter was heard. NoRoute when it was not."""
        if not self._heard.remove(parse_address(address)):
            raise NoRoute("meter %s was never heard" % address)

    def get(self, parameter: str, now_ms: int) -> int:
        key, request = self._reading(parameter)
        self._write(request)
        return self._question.ask(key)

    def set(self, parameter: str, value: bytes, now_ms: int) -> int:
        key, request = self._writing(parameter, value)
        self._write(request)
        return self._question.ask(key)

    def reset(self, now_ms: int) -> None:
        self._resets += 1
        self._write(self._restart())

    def nodes(self) -> list[str]:
        """Meters ever heard, the first 2000."""
        return self._heard.texts()

    def statistics(self) -> dict[str, int]:
        """Counters, and "duty-left-ms": how long it may still be on air within this hour."""
        counts = {
            "sent": self._in_flight.sent,
            "received": self._received,
            "failed": self._in_flight.failed,
            "resets": self._resets,
            "duty-left-ms": self._duty.left_ms(self._now_ms),
            "other-telegram": self._other_telegram,
            "malformed": self._malformed,
            "unexpected": self._unexpected + self._in_flight.unexpected,
        }
        counts[self._damaged] = self._line.damaged
        counts["noise"] = self._line.noise
        counts["stalled"] = self._line.stalled
        return counts

    # What a dialect reads from its module

    def _taken(self, status: int) -> None:
        """The module is finished with the frame."""
        self._events += self._in_flight.confirm(_ONLY, status)

    def _restarted(self) -> None:
        self._in_flight.clear()
        self._events.append(ModemReset())

    def _answered(self, key: object, value: bytes | None, error: str = "") -> None:
        self._events += self._question.answer(key, value, error)

    def _received_frame(self, frame: bytes, rssi: int | None) -> None:
        """A link frame from the C-field on, without CRCs."""
        try:
            telegram = wmbus.parse(frame, wmbus.CI_FROM_METER_LONG, wmbus.CI_FROM_METER_SHORT)
        except ValueError:
            self._malformed += 1
            return
        if telegram is None:
            self._other_telegram += 1
            self._heard.add(frame[1 : wmbus.LINK])
            return
        self._heard.add(telegram.address)
        self._received += 1
        self._events.append(
            Rx(
                telegram.address.hex(),
                telegram.source_sap,
                telegram.destination_sap,
                telegram.apdu,
                Quality(rssi=rssi),
            )
        )

    def _write(self, data: bytes) -> None:
        self._outgoing += data

    # What a dialect may add to

    def _begin_line(self) -> None:
        """Forget what was half received."""
        self._line.reset()

    def _stalled_ms(self) -> int | None:
        """When _read() would give up a frame that does not end."""
        return self._line.due_ms()

    # What a dialect gives

    def _read(self, data: bytes, now_ms: int) -> None:
        """Bytes from the module, or none, as time has passed."""
        raise NotImplementedError

    def _probe(self) -> bytes:
        """A request that the module answers if it lives."""
        raise NotImplementedError

    def _restart(self) -> bytes:
        raise NotImplementedError

    def _transmission(self, frame: bytes) -> bytes:
        """The request to send a link frame."""
        raise NotImplementedError

    def _reading(self, parameter: str) -> tuple[object, bytes]:
        """Key of the answer, request. PortError when there is no such parameter."""
        raise NotImplementedError

    def _writing(self, parameter: str, value: bytes) -> tuple[object, bytes]:
        raise NotImplementedError
