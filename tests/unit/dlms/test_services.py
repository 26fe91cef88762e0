"""Every service between our client and the virtual meter, whatever the meter grants and the path
loses."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from itertools import count

import pytest

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client.client import HIGH_GMAC, LOW, Association, Client
from gateway.dlms.data import axdr, obis
from gateway.dlms.data.selection import by_range, column
from gateway.dlms.errors import AccessRefused, ActionRefused, NoAnswer, NotSupported
from gateway.dlms.protection.keyring import Keys
from hal.cpython.crypto import SystemCrypto
from hal.sim.clock import ManualClock
from tools.meter import device, kinds
from tools.meter.model import MANAGEMENT
from tools.meter.server import CONFORMANCE, MeterServer

SERIAL = "AMI0000000001"
PASSWORD = b"a password"
SCRIPTS = obis.parse(device.SCRIPTS)
CALENDAR = obis.parse(device.CALENDAR)
TARIFF = obis.parse(device.TARIFF)
ALARMS = obis.parse(device.ALARM_FILTER)
PROFILE = obis.parse(device.LOAD_PROFILE)
CLOCK = obis.parse(device.CLOCK)
SPECIAL_DAYS = obis.parse(device.SPECIAL_DAYS)
GENERAL = acse.GENERAL_BLOCK_TRANSFER
BLOCKS = acse.BLOCK_GET | acse.BLOCK_SET | acse.BLOCK_ACTION
LISTS = acse.MULTIPLE_REFERENCES

Fate = Callable[[bytes, bool], int]  # frame, to the meter: how many of it arrive


class Path:
    """A Link to a meter; `fate` decides how often each frame arrives."""

    def __init__(self, meter: MeterServer, clock: ManualClock, max_apdu: int) -> None:
        self.max_apdu = max_apdu
        self.fate: Fate = lambda frame, up: 1
        self.streaming = True  # the carrier takes several answers at once
        self.sent: list[bytes] = []
        self.came: list[bytes] = []
        self._meter = meter
        self._clock = clock
        self._arrived: deque[bytes] = deque()

    async def send(self, frame: bytes | memoryview) -> None:
        assert len(frame) <= self.max_apdu
        self.sent.append(bytes(frame))
        for _ in range(self.fate(bytes(frame), True)):
            if self.streaming:
                answers = self._meter.answers(MANAGEMENT, 1, bytes(frame))
            else:
                answer = self._meter.handle(MANAGEMENT, 1, bytes(frame))
                answers = [] if answer is None else [answer]
            for answer in answers:
                assert len(answer) <= self.max_apdu
                self.came.append(answer)
                self._arrived.extend([answer] * self.fate(answer, False))

    async def receive(self, timeout_ms: int) -> bytes:
        if self._arrived:
            self._clock.advance(1)
            return self._arrived.popleft()
        self._clock.advance(timeout_ms)
        raise asyncio.TimeoutError

    async def close(self) -> None: ...


class Pair:
    def __init__(
        self,
        conformance: int = CONFORMANCE,
        max_apdu: int = 160,
        window: int = 1,
        ciphered: bool = False,
        tries: int = 6,
    ) -> None:
        self.now = [1748865600.0]
        keys = device.derive_test_keys(7, SERIAL)
        secrets = {"keys": keys} if ciphered else {"password": PASSWORD}
        self.meter = device.build_meter(SERIAL, source=lambda: self.now[0], **secrets)
        self.server = MeterServer(self.meter, 640, conformance)
        clock = ManualClock()
        self.path = Path(self.server, clock, max_apdu)
        if ciphered:
            association = Association(
                MANAGEMENT,
                authentication=HIGH_GMAC,
                keys=Keys(b"CONC0001", keys.ek, keys.ak),
            )
        else:
            association = Association(MANAGEMENT, authentication=LOW, secret=PASSWORD)
        counter = count(1)
        self.client = Client(
            self.path,
            clock,
            SystemCrypto(),
            association,
            lambda: next(counter),
            1000,
            tries,
            window=window,
        )

    async def open(self) -> Client:
        await self.client.associate()
        self.path.sent.clear()
        self.path.came.clear()
        return self.client

    def tags(self) -> set[int]:
        return {frame[0] for frame in self.path.sent}


def scripts(number: int) -> bytes:
    """A script table of `number` scripts, each some 30 bytes."""
    actions = [
        device.script(
            index + 1,
            device.write_action(1, device.TARIFF, 2, (axdr.UNSIGNED, index % 200)),
        )
        for index in range(number)
    ]
    return axdr.encode((axdr.ARRAY, actions))


def day(index: int) -> axdr.Typed:
    return (
        axdr.STRUCTURE,
        [
            (axdr.LONG_UNSIGNED, index),
            (axdr.OCTET_STRING, bytes([7, 0xE9, 1 + index % 12, 1 + index % 28, 0xFF])),
            (axdr.UNSIGNED, 1),
        ],
    )


def run(coroutine: object) -> None:
    asyncio.run(coroutine)  # type: ignore[arg-type]


GRANTS = {
    "everything": CONFORMANCE,
    "no general blocks": CONFORMANCE & ~GENERAL,
    "general blocks only": CONFORMANCE & ~BLOCKS,
    "no access": CONFORMANCE & ~acse.ACCESS,
    "no lists": CONFORMANCE & ~LISTS & ~acse.ACCESS,
    "the least": acse.GET | acse.SET | acse.ACTION | BLOCKS,
}
grants = pytest.mark.parametrize("granted", GRANTS.values(), ids=list(GRANTS))
windows = pytest.mark.parametrize("window", [1, 4])
protections = pytest.mark.parametrize("ciphered", [False, True], ids=["plain", "ciphered"])


@protections
@grants
@windows
def test_long_values_both_ways(granted: int, window: int, ciphered: bool) -> None:
    async def scene() -> None:
        pair = Pair(granted, window=window, ciphered=ciphered)
        client = await pair.open()
        await client.set(9, SCRIPTS, 2, scripts(40))
        assert await client.get(9, SCRIPTS, 2) == scripts(40)
        assert (apdu.GENERAL_BLOCK_TRANSFER in pair.tags()) == bool(granted & GENERAL)

    run(scene())


@windows
def test_a_carrier_that_takes_one_answer_at_a_time(window: int) -> None:
    async def scene() -> None:
        pair = Pair(window=window)
        pair.path.streaming = False
        client = await pair.open()
        await client.set(9, SCRIPTS, 2, scripts(40))
        assert await client.get(9, SCRIPTS, 2) == scripts(40)
        pair.path.fate = lossy(3, 0.1, 0.1)
        await client.set(9, SCRIPTS, 2, scripts(45))
        assert await client.get(9, SCRIPTS, 2) == scripts(45)

    run(scene())


@protections
@grants
def test_lists(granted: int, ciphered: bool) -> None:
    async def scene() -> None:
        pair = Pair(granted, ciphered=ciphered)
        client = await pair.open()
        one = (1, TARIFF, 2, None)
        nowhere = (1, obis.parse("9.9.9.9.9.9"), 2, None)
        long = (9, SCRIPTS, 2, None)
        results = await client.set_list(
            [(one, b"\x11\x07"), (nowhere, b"\x11\x01"), (long, scripts(20)), (one, b"\x12\0\0")]
        )
        names = [apdu.access_result_name(result) for result in results]
        assert names == ["success", "object-undefined", "success", "type-unmatched"]
        found = await client.get_list([one, nowhere, long, one])
        assert found == [(0, b"\x11\x07"), (4, None), (0, scripts(20)), (0, b"\x11\x07")]

    run(scene())


@protections
@grants
def test_lists_of_methods(granted: int, ciphered: bool) -> None:
    async def scene() -> None:
        pair = Pair(granted, ciphered=ciphered)
        client = await pair.open()
        execute = (9, SCRIPTS, 1)
        await client.set(9, SCRIPTS, 2, scripts(40))
        found = await client.action_list(
            [
                (execute, axdr.encode((axdr.LONG_UNSIGNED, 5))),
                (execute, axdr.encode((axdr.LONG_UNSIGNED, 99))),
                ((8, CLOCK, 77), None),
            ]
        )
        assert [(apdu.action_result_name(result), data) for result, data in found] == [
            ("success", None),
            ("object-undefined", None),
            ("object-undefined", None),
        ]
        assert axdr.decode(await client.get(1, TARIFF, 2)) == (axdr.UNSIGNED, 4)
        inserted = [((11, SPECIAL_DAYS, 1), axdr.encode(day(index))) for index in range(1, 15)]
        found = await client.action_list(inserted)
        assert found == [(0, None)] * 14
        assert pair.meter.log.count("action", 11, device.SPECIAL_DAYS, 1) == 14

    run(scene())


@protections
@grants
@windows
def test_methods_with_long_parameters_and_answers(
    granted: int, window: int, ciphered: bool
) -> None:
    async def scene() -> None:
        pair = Pair(granted, window=window, ciphered=ciphered)
        pair.meter.find(1, device.TARIFF).method(1, kinds.ANY, lambda typed: typed)  # an echo
        client = await pair.open()
        long = axdr.encode((axdr.OCTET_STRING, random.Random(1).randbytes(700)))
        assert await client.action(1, TARIFF, 1, long) == long
        echo = (1, TARIFF, 1)
        found = await client.action_list([(echo, long), (echo, b"\x11\x05"), (echo, long)])
        assert found == [(0, long), (0, b"\x11\x05"), (0, long)]
        found = await client.access([apdu.AccessAction(*echo, long), apdu.AccessGet(1, TARIFF, 2)])
        assert found == [(0, long), (0, b"\x11\x01")]
        assert pair.meter.log.count("action", 1, device.TARIFF, 1) == 5

    run(scene())


@protections
@grants
def test_access(granted: int, ciphered: bool) -> None:
    async def scene() -> None:
        pair = Pair(granted, ciphered=ciphered)
        client = await pair.open()
        await client.set(9, SCRIPTS, 2, scripts(40))
        pair.path.sent.clear()
        operations = [
            apdu.AccessGet(1, TARIFF, 2),
            apdu.AccessSet(1, TARIFF, 2, b"\x11\x09"),
            apdu.AccessSet(1, TARIFF, 3, b"\x11\x09"),
            apdu.AccessGet(1, TARIFF, 2),
            apdu.AccessAction(9, SCRIPTS, 1, axdr.encode((axdr.LONG_UNSIGNED, 3))),
            apdu.AccessGet(1, TARIFF, 2),
            apdu.AccessAction(9, SCRIPTS, 1, axdr.encode((axdr.LONG_UNSIGNED, 99))),
        ]
        found = await client.access(operations)
        assert found == [
            (0, b"\x11\x01"),
            (0, None),
            (4, None),
            (0, b"\x11\x09"),
            (0, None),
            (0, b"\x11\x02"),
            (4, None),
        ]
        if not ciphered and granted & acse.ACCESS and granted & GENERAL:
            assert pair.tags() <= {apdu.ACCESS_REQUEST, apdu.GENERAL_BLOCK_TRANSFER}
        stopped = await client.access(operations, break_on_error=True)
        assert [result for result, _ in stopped] == [0, 0, 4]

    run(scene())


def test_access_with_selection_and_a_long_answer() -> None:
    async def scene() -> None:
        pair = Pair(window=3)
        client = await pair.open()
        for _ in range(30):
            pair.now[0] += 3600
            pair.meter.tick()
        clock = pair.meter.find(8, device.CLOCK)
        start, end = (clock.stamp(int(pair.now[0]) - 3600 * back) for back in (9, 0))  # type: ignore[attr-defined]
        ((result, data),) = await client.access(
            [apdu.AccessGet(7, PROFILE, 2, by_range(start, end))]
        )
        assert result == 0 and data is not None
        assert len(axdr.decode(data)[1]) == 10
        assert data == await client.get(7, PROFILE, 2, by_range(start, end))

    run(scene())


@grants
def test_profile_rows_one_by_one(granted: int) -> None:
    async def scene() -> None:
        pair = Pair(granted | acse.SELECTIVE_ACCESS)
        client = await pair.open()
        for _ in range(50):
            pair.now[0] += 3600
            pair.meter.tick()
        expected = axdr.decode(await client.get(7, PROFILE, 2))[1]
        assert len(expected) == 50
        rows = [row async for row in client.read_profile(PROFILE)]
        assert [(axdr.STRUCTURE, row) for row in rows] == expected
        rows = [row async for row in client.read_profile(PROFILE, first=11, last=13)]
        assert [(axdr.STRUCTURE, row) for row in rows] == expected[10:13]
        clock = pair.meter.find(8, device.CLOCK)
        start, end = (clock.stamp(int(pair.now[0]) - 3600 * back) for back in (4, 2))  # type: ignore[attr-defined]
        voltage = column(3, obis.parse(device.VOLTAGE), 2)
        rows = [row async for row in client.read_profile(PROFILE, start, end)]
        assert [(axdr.STRUCTURE, row) for row in rows] == expected[-5:-2]
        rows = [row async for row in client.read_profile(PROFILE, start, end, columns=[voltage])]
        assert rows == [[row[1][2]] for row in expected[-5:-2]]
        # an iteration that is given up leaves the client usable
        async for _ in client.read_profile(PROFILE):
            break
        assert len(axdr.decode(await client.get(7, PROFILE, 2))[1]) == 50

    run(scene())


def test_a_refused_profile() -> None:
    async def scene() -> None:
        client = await Pair().open()
        with pytest.raises(AccessRefused) as refused:
            async for _ in client.read_profile(obis.parse("1.0.99.9.0.255")):
                pass
        assert "profile_generic.buffer of 1.0.99.9.0.255" in str(refused.value)
        with pytest.raises(ValueError):
            client.read_profile(PROFILE, start=bytes(12))

    run(scene())


def test_what_is_not_granted_is_named() -> None:
    async def scene() -> None:
        client = await Pair(acse.GET | acse.SET | acse.ACTION).open()
        with pytest.raises(NotSupported, match="block transfer with SET"):
            await client.set(9, SCRIPTS, 2, scripts(20))
        with pytest.raises(NotSupported, match="selective access"):
            async for _ in client.read_profile(PROFILE, first=1, last=2):
                pass

    run(scene())


def test_unconfirmed_requests_are_carried_out_and_not_answered() -> None:
    async def scene() -> None:
        pair = Pair()
        client = await pair.open()
        await client.set(1, TARIFF, 2, b"\x11\x05", confirmed=False)
        await client.set(9, SCRIPTS, 2, scripts(20), confirmed=False)
        await client.action(9, SCRIPTS, 1, axdr.encode((axdr.LONG_UNSIGNED, 12)), confirmed=False)
        assert not pair.path.came
        assert await client.get(9, SCRIPTS, 2) == scripts(20)
        assert await client.get(1, TARIFF, 2) == b"\x11\x0b"

    run(scene())


def test_the_meters_window_is_used() -> None:
    async def scene() -> None:
        pair = Pair(window=6)
        client = await pair.open()
        await client.set(9, SCRIPTS, 2, scripts(60))
        blocks = [apdu.decode(frame) for frame in pair.path.sent]
        assert len(blocks) > 10
        # the first alone, then five at once: the meter's window
        assert [block.streaming for block in blocks[:6]] == [False, True, True, True, True, False]
        pair.path.sent.clear()
        pair.path.came.clear()
        assert await client.get(9, SCRIPTS, 2) == scripts(60)
        came = [apdu.decode(frame) for frame in pair.path.came]
        assert [block.streaming for block in came[:6]] == [True] * 5 + [False]
        assert len(pair.path.sent) == 1 + (len(came) - 1) // 6

    run(scene())


def lossy(seed: int, loss: float, double: float) -> Fate:
    fates = random.Random(seed)

    def fate(frame: bytes, up: bool) -> int:
        draw = fates.random()
        return 0 if draw < loss else 2 if draw < loss + double else 1

    return fate


@protections
@windows
@pytest.mark.parametrize("seed", range(6))
def test_general_blocks_over_a_bad_path(seed: int, window: int, ciphered: bool) -> None:
    async def scene() -> None:
        pair = Pair(window=window, ciphered=ciphered, tries=12)
        client = await pair.open()
        pair.path.fate = lossy(seed, 0.15, 0.1)
        for size in (20, 45):
            await client.set(9, SCRIPTS, 2, scripts(size))
            assert await client.get(9, SCRIPTS, 2) == scripts(size)
            found = await client.get_list([(9, SCRIPTS, 2, None), (1, TARIFF, 2, None)])
            assert found[0] == (0, scripts(size))

    run(scene())


@pytest.mark.parametrize("seed", range(6))
def test_a_method_in_general_blocks_is_invoked_once_however_often_blocks_come(seed: int) -> None:
    async def scene() -> None:
        pair = Pair(tries=12, max_apdu=80)
        client = await pair.open()
        pair.path.fate = lossy(seed, 0.2, 0.3)
        items = [((11, SPECIAL_DAYS, 1), axdr.encode(day(index))) for index in range(1, 13)]
        assert await client.action_list(items) == [(0, None)] * 12
        assert pair.meter.log.count("action", 11, device.SPECIAL_DAYS, 1) == 12

    run(scene())


def test_only_the_gap_is_asked_for_again() -> None:
    async def scene() -> None:
        pair = Pair(window=8)
        client = await pair.open()
        await client.set(9, SCRIPTS, 2, scripts(60))
        gone = [3, 4]

        def fate(frame: bytes, up: bool) -> int:
            if up or not gone:
                return 1
            if apdu.decode(frame).number != gone[0]:
                return 1
            gone.pop(0)
            return 0

        pair.path.fate = fate
        pair.path.sent.clear()
        pair.path.came.clear()
        assert await client.get(9, SCRIPTS, 2) == scripts(60)
        asked = [apdu.decode(frame) for frame in pair.path.sent]
        assert (asked[1].ack, asked[1].window) == (2, 2)
        numbers = [apdu.decode(frame).number for frame in pair.path.came]
        assert numbers[:8] == [1, 2, 3, 4, 5, 6, 7, 8]
        assert numbers[8:10] == [3, 4] and numbers[10:] == list(range(9, max(numbers) + 1))

    run(scene())


def test_a_path_that_carries_nothing_ends_in_no_answer() -> None:
    async def scene() -> None:
        pair = Pair(tries=3)
        client = await pair.open()
        pair.path.fate = lambda frame, up: 0
        with pytest.raises(NoAnswer, match=r"SET script_table\.scripts of 0\.0\.10\.0\.100\.255"):
            await client.set(9, SCRIPTS, 2, scripts(60))
        assert len(pair.path.sent) == 3
        pair.path.fate = lambda frame, up: 1
        await client.set(9, SCRIPTS, 2, scripts(60))
        # the same when all but the first blocks are lost, and in the other direction
        pair.path.fate = lambda frame, up: int(not up or apdu.decode(frame).number < 3)
        with pytest.raises(NoAnswer):
            await client.set(9, SCRIPTS, 2, scripts(59))
        pair.path.fate = lambda frame, up: int(up or len(frame) < 60)
        with pytest.raises(NoAnswer):
            await client.get(9, SCRIPTS, 2)
        pair.path.fate = lambda frame, up: 1
        assert await client.get(9, SCRIPTS, 2) == scripts(60)

    run(scene())


@protections
@windows
def test_a_request_that_is_cancelled_leaves_the_link_usable(window: int, ciphered: bool) -> None:
    """Cut off at every single step of a long SET and a long GET."""

    async def scene() -> None:
        pair = Pair(window=window, ciphered=ciphered)
        client = await pair.open()
        for after in range(12):
            left = [0]

            async def receive(timeout_ms: int, left: list[int] = left) -> bytes:
                if left[0] == 0:
                    await asyncio.sleep(10)
                left[0] -= 1
                return await Path.receive(pair.path, timeout_ms)

            pair.path.receive = receive  # type: ignore[method-assign]
            for request in (
                lambda: client.set(9, SCRIPTS, 2, scripts(60)),
                lambda: client.get(9, SCRIPTS, 2),
            ):
                left[0] = after
                task = asyncio.create_task(request())
                for _ in range(100):
                    await asyncio.sleep(0)
                if not task.done():
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
            del pair.path.receive  # type: ignore[method-assign]
            # the late answers are still to come
            assert await client.get(1, TARIFF, 2) == b"\x11\x01"
            await client.set(9, SCRIPTS, 2, scripts(30))
            assert await client.get(9, SCRIPTS, 2) == scripts(30)

    run(scene())


def test_faults_of_the_meter() -> None:
    async def scene() -> None:
        pair = Pair(window=4, tries=8)
        client = await pair.open()
        faults = pair.meter.faults
        faults.lose_received_blocks = 2
        await client.set(9, SCRIPTS, 2, scripts(50))
        assert faults.lose_received_blocks == 0
        faults.lose_blocks = 6
        assert await client.get(9, SCRIPTS, 2) == scripts(50)
        assert faults.lose_blocks == 0
        faults.refuse_write = (9, device.SCRIPTS, 2)
        with pytest.raises(AccessRefused, match="read-write-denied"):
            await client.set(9, SCRIPTS, 2, scripts(50))
        with pytest.raises(ActionRefused, match="object-undefined"):
            await client.action(9, SCRIPTS, 1, axdr.encode((axdr.LONG_UNSIGNED, 9999)))

    run(scene())


@protections
def test_a_push_amid_requests_is_not_taken_for_an_answer(ciphered: bool) -> None:
    async def scene() -> None:
        pair = Pair(ciphered=ciphered)
        came: list[object] = []
        pair.client._exchange._on_notification = came.append
        client = await pair.open()
        push = (40, obis.parse(device.PUSH), 1)
        await client.action(*push, b"\x0f\x00")
        await client.action(*push, b"\x0f\x00")  # the first one comes before this answer
        assert await client.get(1, TARIFF, 2) == b"\x11\x01"
        await client.action(*push, b"\x0f\x00")
        third = await client.listen(100)
        assert isinstance(third, apdu.DataNotification)
        assert [each.invoke for each in came] == [1, 2, 3]  # type: ignore[attr-defined]
        assert await client.release() == "normal"

    run(scene())


def test_an_aare_longer_than_the_agreed_pdu_comes_whole() -> None:
    async def play() -> None:
        pair = Pair(max_apdu=640, window=3, ciphered=True)
        pair.client._associating._association.max_pdu = 90
        await pair.client.associate()
        assert any(len(frame) > 90 for frame in pair.path.came)
        client = pair.client
        assert client.conformance & GENERAL
        pair.path.came.clear()
        await client.get(9, SCRIPTS, 2)
        assert all(len(frame) <= 90 for frame in pair.path.came)

    run(play())
