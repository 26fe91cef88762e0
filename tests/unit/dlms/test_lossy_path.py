"""The client and the virtual meter over a path that loses, doubles, delays and damages frames."""

from __future__ import annotations

import asyncio
import random

import pytest

from gateway.dlms.client.client import HIGH_GMAC, NONE, Association, Client
from gateway.dlms.data import axdr, obis
from gateway.dlms.errors import AccessRefused, DlmsError, NoAnswer
from gateway.dlms.protection.keyring import Keys
from hal.cpython.crypto import SystemCrypto
from hal.sim.clock import ManualClock
from tools.meter import device
from tools.meter.server import MeterServer

SERIAL = "AMI0000000001"
TABLE = obis.parse(device.SPECIAL_DAYS)
SCRIPTS = obis.parse(device.SCRIPTS)


class BadLink:
    """A Link to a meter with seeded damage in both directions."""

    def __init__(self, meter: MeterServer, client_sap: int, seed: int, clock: ManualClock) -> None:
        self.max_apdu = 150
        self.damage = True
        self._meter = meter
        self._client_sap = client_sap
        self._random = random.Random(seed)
        self._clock = clock
        self._to_meter: list[bytes] = []
        self._to_client: list[bytes] = []

    def _travel(self, queue: list[bytes], frame: bytes) -> None:
        fate = self._random.random() if self.damage else 1.0
        if fate < 0.15:
            return
        if fate < 0.25:
            queue.append(frame)
        elif fate < 0.30:
            spoilt = bytearray(frame)
            spoilt[self._random.randrange(len(spoilt))] ^= 1 << self._random.randrange(8)
            frame = bytes(spoilt)
        queue.append(frame)

    async def send(self, apdu: bytes | memoryview) -> None:
        assert len(apdu) <= self.max_apdu
        self._travel(self._to_meter, bytes(apdu))
        while self._to_meter:
            if self.damage and self._random.random() < 0.1:
                break  # held back: it arrives with the next frame
            answer = self._meter.handle(self._client_sap, 1, self._to_meter.pop(0))
            if answer is not None:
                self._travel(self._to_client, answer)

    async def receive(self, timeout_ms: int) -> bytes:
        held_back = self.damage and self._random.random() < 0.1
        if not self._to_client or held_back:
            self._clock.advance(timeout_ms)
            raise asyncio.TimeoutError
        self._clock.advance(1)
        return self._to_client.pop(0)

    async def close(self) -> None: ...


@pytest.mark.parametrize("seed", range(25))
def test_values_survive_and_methods_run_at_most_once(seed: int) -> None:
    keys = device.derive_test_keys(7, SERIAL)
    meter = device.build_meter(SERIAL, keys=keys)
    clock = ManualClock()
    link = BadLink(MeterServer(meter), 1, seed, clock)
    counter = iter(range(1, 100000))
    client = Client(
        link,
        clock,
        SystemCrypto(),
        Association(1, 1, HIGH_GMAC, b"", Keys(b"CONC0001", keys.ek, keys.ak)),
        lambda: next(counter),
        1000,
        12,
    )
    days = (
        axdr.ARRAY,
        [
            (
                axdr.STRUCTURE,
                [
                    (axdr.LONG_UNSIGNED, seed * 100 + n),
                    (axdr.OCTET_STRING, b"\xff\xff\x01\x01\xff"),
                    (axdr.UNSIGNED, 1),
                ],
            )
            for n in range(40)
        ],
    )

    async def associated() -> None:
        for _ in range(60):
            try:
                await client.associate()
            except DlmsError:
                continue
            return
        raise AssertionError("no association in 60 attempts")

    async def done(step: str) -> object:
        """Set, or get, associating anew after an error, as the queue would."""
        for _ in range(60):
            try:
                if step == "set":
                    return await client.set(11, TABLE, 2, axdr.encode(days))
                return await client.get(11, TABLE, 2)
            except DlmsError:
                await associated()
        raise AssertionError("%s not done in 60 attempts" % step)

    async def story() -> None:
        await associated()
        await done("set")
        assert axdr.decode(await done("get")) == days  # type: ignore[arg-type]
        assert meter.read(11, device.SPECIAL_DAYS, 2) == days
        answered = 0
        for invoked in range(1, 11):
            await associated()
            try:
                await client.action(9, SCRIPTS, 1, axdr.encode((axdr.LONG_UNSIGNED, 2)))
                answered += 1
            except DlmsError:
                pass
            count = meter.log.count("action", 9, device.SCRIPTS, 1)
            assert answered <= count <= invoked
        link.damage = False
        await associated()  # what was in the air may still spoil the first attempt
        assert axdr.decode(await client.get(11, TABLE, 2)) == days

    asyncio.run(story())


def test_a_dead_path_is_no_answer_and_a_bad_one_never_hangs() -> None:
    clock = ManualClock()
    link = BadLink(MeterServer(device.build_meter(SERIAL, password=b"12345678")), 16, 1, clock)
    client = Client(link, clock, SystemCrypto(), Association(16, 1, NONE), int, 1000, 1)

    async def story() -> None:
        outcomes = set()
        for _ in range(200):
            try:
                await client.associate()
                await client.get(1, obis.parse(device.LOGICAL_DEVICE_NAME), 2)
                await client.get(1, obis.parse(device.ALARM_FILTER), 2)
            except AccessRefused:
                outcomes.add("refused")  # the true answer: this client may not read it
            except NoAnswer:
                outcomes.add("no answer")
            except DlmsError:
                outcomes.add("damaged")
        assert outcomes == {"refused", "no answer", "damaged"}

    before = clock.ticks_ms()
    asyncio.run(story())
    assert clock.ticks_ms() - before <= 200 * 3 * 1000 + 1000
