"""The fleet's pre-established client: images for all at once, and each meter's own word on them."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

from gateway.activities import attributes, identity
from gateway.activities.image import image_object
from gateway.contract.own_model import OWN_MODEL
from gateway.dlms.client.broadcast import CLIENT, Broadcast
from gateway.dlms.client.client import Association, Client
from gateway.dlms.errors import AccessRefused, ActionRefused, ServiceRefused
from gateway.dlms.protection.keyring import Keys
from hal.cpython.crypto import SystemCrypto
from hal.sim.clock import ManualClock
from tests.portable.support import run
from tools.meter import device
from tools.meter.fleet import CONFORMANCE, Fleet, derive_test_fleet
from tools.meter.image import make_image
from tools.meter.model import FLEET
from tools.meter.server import MeterServer

TITLE = bytes.fromhex("414d490000000001")
SERIAL = "AMI0000000001"
IMAGE = make_image("AMI-E450", "V03.00.00", bytes(700))
PERIOD = (7, b"\x01\x00\x63\x01\x00\xff", 4)


class Counter:
    def __init__(self) -> None:
        self.last = 0

    def __call__(self) -> int:
        self.last += 1
        return self.last


class OneLink:
    """A Link to one MeterServer, as client 102."""

    max_apdu = 600

    def __init__(self, server: MeterServer) -> None:
        self._server = server
        self._answers: list[bytes] = []
        self.frames = 0

    async def send(self, apdu: bytes | memoryview) -> None:
        self.frames += 1
        answer = self._server.handle(FLEET, 1, bytes(apdu))
        if answer is not None:
            self._answers.append(answer)

    async def receive(self, timeout_ms: int) -> bytes:
        if not self._answers:
            raise TimeoutError
        return self._answers.pop(0)

    async def close(self) -> None:
        pass


class Stand:
    def __init__(self, fleet: Fleet | None, clear: bool = False) -> None:
        self.fleet = fleet or derive_test_fleet(1, TITLE, clear)
        self.keys = device.derive_test_keys(1, SERIAL)
        self.meter = device.build_meter(SERIAL, keys=self.keys)
        self.server = MeterServer(self.meter, fleet=self.fleet)
        self.link = OneLink(self.server)
        keys = Keys(TITLE, self.keys.ek, self.keys.ak)
        self.counter = Counter()
        self.client = Client(
            self.link, ManualClock(), SystemCrypto(), Association(CLIENT, keys=keys), self.counter
        )
        self.client.assume(self.keys.title, CONFORMANCE, 600)

    def sender(self, broadcast_key: bytes | None = None, ak: bytes | None = None) -> Broadcast:
        if self.fleet.clear:
            return Broadcast(SystemCrypto(), None, None)
        keys = Keys(
            TITLE,
            b"",
            b"",
            broadcast=self.fleet.broadcast_key if broadcast_key is None else broadcast_key,
        )
        keys.ak = self.fleet.broadcast_ak if ak is None else ak
        return Broadcast(SystemCrypto(), keys, Counter())

    def cast(self, apdu: bytes) -> None:
        assert self.server.handle(FLEET, 1, apdu) is None

    def read(self, *keys: Any) -> attributes.Attributes:
        return run(attributes.read(self.client, keys))

    def method(self, number: int, data: bytes) -> Awaitable[Any]:
        return self.client.action(image_object.CLASS, image_object.NAME, number, data)


@pytest.fixture(params=["ciphered", "clear"])
def stand(request: pytest.FixtureRequest) -> Stand:
    return Stand(None, request.param == "clear")


def send_blocks(stand: Stand, sender: Broadcast, numbers: range) -> None:
    for number in numbers:
        data = image_object.transfer(number, IMAGE[number * 200 :][:200])
        stand.cast(sender.action(18, image_object.NAME, 2, data))


def test_an_image_by_broadcast_and_the_meters_word_on_it(stand: Stand) -> None:
    sender = stand.sender()
    count = -(-len(IMAGE) // 200)
    start = image_object.initiate(b"V03", len(IMAGE))
    stand.cast(sender.action(18, image_object.NAME, 1, start))
    send_blocks(stand, sender, range(count - 1))
    found = stand.read(*identity.keys(OWN_MODEL), image_object.STATUS, image_object.BLOCKS)
    assert identity.wrong_meter(found, SERIAL) is None
    has = image_object.bitmap(found.value(image_object.BLOCKS), count)
    assert has.lacking() == [count - 1]
    send_blocks(stand, sender, range(count - 1, count))
    stand.cast(sender.action(18, image_object.NAME, 3, image_object.NOTHING))
    stand.cast(sender.action(18, image_object.NAME, 4, image_object.NOTHING))
    stand.read(image_object.STATUS)
    assert stand.meter.firmware == "V03.00.00"


def test_what_is_lacking_by_unicast(stand: Stand) -> None:
    start = image_object.initiate(b"V03", len(IMAGE))
    run(stand.method(1, start))
    for number in range(-(-len(IMAGE) // 200)):
        run(stand.method(2, image_object.transfer(number, IMAGE[number * 200 :][:200])))
    run(stand.method(3, image_object.NOTHING))
    found = stand.read(image_object.STATUS)
    assert image_object.number(found.value(image_object.STATUS), "status") == image_object.VERIFIED


def test_it_may_do_nothing_else(stand: Stand) -> None:
    with pytest.raises(AccessRefused, match="read-write-denied"):
        run(stand.client.get(*PERIOD))
    with pytest.raises(ActionRefused):
        run(stand.client.action(7, PERIOD[1], 1, image_object.NOTHING))
    stand.cast(stand.sender().action(7, PERIOD[1], 1, image_object.NOTHING))
    assert stand.meter.log.count("action", 7, "1.0.99.1.0.255", 1) == 0


def test_forged_old_and_foreign_broadcasts_change_nothing() -> None:
    stand = Stand(None)
    start = image_object.initiate(b"V03", len(IMAGE))
    good = stand.sender()
    first = good.action(18, image_object.NAME, 1, start)
    changed = bytearray(first)
    changed[-1] ^= 1
    for apdu in (
        bytes(changed),
        stand.sender(broadcast_key=bytes(16)).action(18, image_object.NAME, 1, start),
        stand.sender(ak=bytes(16)).action(18, image_object.NAME, 1, start),
        Broadcast(SystemCrypto(), None, None).action(18, image_object.NAME, 1, start),
    ):
        stand.server.handle(FLEET, 1, apdu)
        assert stand.meter.log.count("action", 18, "0.0.44.0.0.255", 1) == 0
    stand.cast(first)
    stand.cast(first)  # a replay
    assert stand.meter.log.count("action", 18, "0.0.44.0.0.255", 1) == 1


def test_unicast_under_wrong_keys_or_with_old_counters() -> None:
    stand = Stand(None)
    for _ in range(5):
        run(stand.client.get(*image_object.BLOCK_SIZE))
    stand.counter.last = 0  # and even three tries are not above what the meter has seen
    with pytest.raises(ServiceRefused, match="invocation-counter"):
        run(stand.client.get(*image_object.BLOCK_SIZE))
    stand.keys.ek = bytes(16)
    wrong = Keys(TITLE, bytes(16), stand.keys.ak)
    client = Client(
        stand.link, ManualClock(), SystemCrypto(), Association(CLIENT, keys=wrong), Counter()
    )
    client.assume(stand.keys.title, CONFORMANCE, 600)
    with pytest.raises(ServiceRefused, match="deciphering-error"):
        run(client.get(*image_object.BLOCK_SIZE))


def test_a_meter_without_a_fleet_has_no_such_client() -> None:
    server = MeterServer(device.build_meter(SERIAL, password=b"12345678"))
    raw = Broadcast(SystemCrypto(), None, None).action(18, image_object.NAME, 3, b"\x0f\x00")
    answer = server.handle(FLEET, 1, raw)
    assert answer is not None and answer[0] == 0xD8  # exception-response
