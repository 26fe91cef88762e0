"""Protocol mode E of IEC 62056-21: messages, both ends against each other, meters without it."""

from __future__ import annotations

import asyncio

from gateway.dlms.errors import NoAnswer, NotSupported, ProtocolError
from gateway.dlms.hdlc.mode_e import (
    BAUDS,
    FIRST_BAUD,
    Identification,
    Messages,
    ModeEServer,
    open_mode_e,
    option_select,
    request,
    with_parity,
)
from hal.sim.clock import ManualClock
from tests.portable.support import raises, random_bytes, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

METER = Identification("LGZ", 9600, True, "ZMD3104.B32")


class Probe:
    """A SerialLine with a meter under it, which hears and is heard only at its own speed."""

    def __init__(self, meter: ModeEServer | None, echo: bool = False) -> None:
        self.baud = 0
        self.heard: list[bytes] = []
        self.meter = meter
        self.acknowledges = True
        self.noise = b""  # before every answer
        self.echo = echo  # optical probes send back what is written
        self._waiting = b""
        self._ready = asyncio.Event()

    async def set_baud(self, baud: int) -> None:
        self.baud = baud

    async def read(self) -> bytes:
        while not self._waiting:
            self._ready.clear()
            await self._ready.wait()
        data, self._waiting = self._waiting[:3], self._waiting[3:]
        return data

    async def write(self, data: bytes | memoryview) -> None:
        self.heard.append(bytes(data))
        if self.echo:
            self._waiting += bytes(data)
        meter = self.meter
        if meter is None or meter.baud != self.baud:
            return
        answer = meter.feed(bytes(data))
        if answer and (self.acknowledges or not meter.hdlc):
            self._waiting += self.noise + with_parity(answer)
            self._ready.set()

    async def close(self) -> None: ...


def opened(probe: Probe, **options: Any) -> Identification | None:
    """What open_mode_e gives over this probe, in simulated time."""

    async def both() -> Identification | None:
        clock = ManualClock()
        found: list[Identification | None] = []
        errors: list[Exception] = []

        async def opening() -> None:
            try:
                found.append(await open_mode_e(probe, clock, **options))
            except Exception as error:
                errors.append(error)

        task = asyncio.create_task(opening())
        await clock.run(60_000)
        await task
        if errors:
            raise errors[0]
        return found[0]

    return run(both())


def test_messages() -> None:
    assert request() == b"/?!\r\n"
    assert request("12345678 A") == b"/?12345678 A!\r\n"
    for address in ("!", "a" * 33, "\r\n", "\u0661"):
        raises(ValueError, request, address)
    assert option_select(9600) == b"\x06252\r\n"
    raises(ValueError, option_select, 115200)
    assert METER.encode() == b"/LGZ5\\2ZMD3104.B32\r\n"


def test_parity() -> None:
    # ISO 646 characters with even parity: "/" has five ones, "?" six, "!" two
    assert with_parity(b"/?!\r\n").hex() == "af3f218d0a"
    assert Messages().feed(with_parity(METER.encode())) == [METER.encode()[:-2]]


def test_identifications_of_real_meters() -> None:
    for text, manufacturer, baud, hdlc, rest in (
        ("/LGZ4\\2ZMD3104100.B32", "LGZ", 4800, True, "ZMD3104100.B32"),
        ("/ISk5\\2MT382-1000", "ISk", 9600, True, "MT382-1000"),
        ("/ELS5\\@V10.04", "ELS", 9600, False, "V10.04"),
        ("/EMH4\\@01LZQJL0014F", "EMH", 4800, False, "01LZQJL0014F"),
        ("/ABC5\\@\\2X", "ABC", 9600, True, "X"),
        ("/ABCBmode-b", "ABC", 300, False, "mode-b"),
        ("/ABC0", "ABC", 300, False, ""),
    ):
        found = Identification.decode(text.encode())
        assert found.manufacturer == manufacturer and found.baud == baud, text
        assert found.hdlc == hdlc and found.text == rest, text
    for wrong in (b"", b"/", b"/AB5", b"ABC5x", b"/ABC5\x01", b"/ABC5\xff", b"/ABC5\n"):
        raises(ProtocolError, Identification.decode, wrong)


def test_opening() -> None:
    for echo in (False, True):
        probe = Probe(ModeEServer(METER), echo)
        found = opened(probe)
        assert found is not None and found.text == "ZMD3104.B32"
        assert probe.heard == [with_parity(b"/?!\r\n"), with_parity(b"\x06252\r\n")]
        assert probe.baud == 9600 and probe.meter is not None and probe.meter.hdlc


def test_slower_than_the_meter_could() -> None:
    probe = Probe(ModeEServer(METER))
    found = opened(probe, fastest=2500, parity=False)
    assert found is not None and found.baud == probe.baud == 2400
    assert probe.heard[1] == b"\x06232\r\n"


def test_a_meter_that_does_not_acknowledge() -> None:
    probe = Probe(ModeEServer(METER))
    probe.acknowledges = False
    assert opened(probe) is not None
    assert probe.baud == 9600


def test_noise_before_the_messages() -> None:
    probe = Probe(ModeEServer(METER))
    probe.noise = b"\xff\x00~\r/x\r\n"[:6]
    assert opened(probe) is not None


def test_a_certain_meter() -> None:
    probe = Probe(ModeEServer(METER, "4711"))
    assert opened(probe, address="4711") is not None
    try:
        opened(Probe(ModeEServer(METER, "4711")), address="4712")
        raise AssertionError("another meter answered")
    except NoAnswer:
        pass


def test_without_mode_e() -> None:
    mode_c = Identification("LGZ", 9600, False, "OLD")
    text = str(raises(NotSupported, opened, Probe(ModeEServer(mode_c))))
    assert "OLD" in text
    probe = Probe(None)
    raises(NoAnswer, opened, probe)
    assert len(probe.heard) == 2
    for meter in (None, ModeEServer(mode_c)):
        probe = Probe(meter)
        assert opened(probe, fallback_baud=9600) is None
        assert probe.baud == 9600 and (meter is None or not meter.hdlc)


def test_a_meter_that_answers_something_else() -> None:
    class Other(ModeEServer):
        def feed(self, data: bytes) -> bytes:
            return super().feed(data).replace(b"\x06252", b"\x06050")

    raises(NotSupported, opened, Probe(Other(METER)))


def test_the_meter_takes_only_what_it_offers() -> None:
    for wrong in (b"\x06262", b"\x06252x", b"\x06050", b"\x06251", b"\x0625", b"\x062:2", b"/?x!"):
        meter = ModeEServer(METER)
        assert meter.feed(wrong + b"\r\n") == b"" and not meter.hdlc, wrong
        assert meter.feed(request()) == METER.encode()
        assert meter.feed(option_select(9600)) == option_select(9600)
        assert meter.hdlc and meter.baud == 9600
    meter = ModeEServer(Identification("LGZ", 9600, False, ""))
    assert meter.feed(option_select(9600)) == b"" and meter.baud == FIRST_BAUD


def test_every_speed() -> None:
    for baud in BAUDS.values():
        said = Identification("ABC", baud, True, "x")
        found = Identification.decode(said.encode()[:-2])
        assert (found.baud, found.hdlc) == (baud, True)


def test_random_bytes_crash_nothing() -> None:
    messages = Messages()
    meter = ModeEServer(METER)
    for seed in range(30):
        data = random_bytes(seed + 1, 1000).replace(b"\x55", b"\r\n").replace(b"\x56", b"/")
        meter.feed(data)
        for message in messages.feed(data):
            assert message[:1] in (b"/", b"\x06") and len(message) <= 80
            try:
                Identification.decode(message)
            except ProtocolError:
                pass
        assert len(messages._line) <= 80
