"""Our client against the gurux meter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

pytest.importorskip("gurux_dlms")

from cryptography.hazmat.primitives import ciphers
from cryptography.hazmat.primitives.ciphers import algorithms, modes
from gurux_dlms.enums import Authentication, Conformance

from gateway.dlms import apdu
from gateway.dlms.client import client
from gateway.dlms.client.client import Association, Client
from gateway.dlms.data import axdr, obis
from gateway.dlms.errors import AccessRefused, ActionRefused, AssociationRefused
from gateway.dlms.hdlc.link import HdlcLink
from gateway.dlms.hdlc.mode_e import open_mode_e
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.policy import (
    AUTHENTICATED,
    AUTHENTICATED_ENCRYPTED,
    DED,
    GENERAL_DED,
    GENERAL_GLO,
    GLO,
    Protection,
)
from hal.cpython.clock import SystemClock
from hal.cpython.crypto import SystemCrypto
from hal.cpython.tcp import TcpPort
from hal.modem.wrapper import wrap
from tests.interop import gurux_objects
from tests.interop.gurux_meter import HDLC, PLAIN_SERVICES, WRAPPER, Cipher, GuruxMeter
from tests.interop.links import HOST, WrapperLink, served

EK, AK = bytes(range(16)), bytes(range(0xD0, 0xE0))
METER, CLIENT = b"GRX00001", b"AMI00001"
SECRET = b"0123456789ABCDEF"
NAME = obis.parse("0.0.42.0.0.255")
TEXT = obis.parse("0.0.96.50.0.255")
LIMIT = obis.parse("0.0.96.50.1.255")
ENERGY = obis.parse("1.0.1.8.0.255")
CLOCK = obis.parse("0.0.1.0.0.255")
PROFILE = obis.parse("1.0.99.1.0.255")
CALENDAR = obis.parse("0.0.13.0.0.255")
SCRIPTS = obis.parse("0.0.10.0.100.255")
IMAGE = obis.parse("0.0.44.0.0.255")

Made = tuple[GuruxMeter, Association]


def plain(interface: int) -> Made:
    return GuruxMeter(interface, gurux_objects.build(), max_pdu=256), Association(16)


def low(interface: int) -> Made:
    meter = GuruxMeter(interface, gurux_objects.build(), Authentication.LOW, SECRET, max_pdu=256)
    return meter, Association(1, authentication=client.LOW, secret=SECRET)


def _high(interface: int, authentication: int) -> Made:
    """HLS by a secret, nothing ciphered; HLS 6 has system titles in its proof."""
    titled = authentication == client.HIGH_SHA256
    meter = GuruxMeter(
        interface,
        gurux_objects.build(),
        authentication,
        SECRET,
        Cipher(METER, EK, AK) if titled else None,
        max_pdu=256,
    )
    association = Association(
        1,
        authentication=authentication,
        secret=SECRET,
        keys=Keys(CLIENT, b"", b"") if titled else None,
        algorithm=aes if authentication == client.HIGH else None,
    )
    return meter, association


def aes(secret: bytes, challenge: bytes) -> bytes:
    """What gurux takes for the manufacturer's own algorithm: AES of the challenge."""
    return ciphers.Cipher(algorithms.AES(secret), modes.ECB()).encryptor().update(challenge)


def high_own(interface: int) -> Made:
    return _high(interface, client.HIGH)


def high_md5(interface: int) -> Made:
    return _high(interface, client.HIGH_MD5)


def high_sha1(interface: int) -> Made:
    return _high(interface, client.HIGH_SHA1)


def high_sha256(interface: int) -> Made:
    return _high(interface, client.HIGH_SHA256)


def _ciphered(
    interface: int,
    form: str,
    conformance: int = PLAIN_SERVICES,
    policy: int = AUTHENTICATED_ENCRYPTED,
) -> Made:
    meter = GuruxMeter(
        interface,
        gurux_objects.build(),
        Authentication.HIGH_GMAC,
        cipher=Cipher(METER, EK, AK),
        conformance=conformance,
        max_pdu=256,
    )
    association = Association(
        1,
        authentication=client.HIGH_GMAC,
        keys=Keys(CLIENT, EK, AK),
        protection=Protection(form, policy),
    )
    return meter, association


def glo(interface: int) -> Made:
    return _ciphered(interface, GLO)


def glo_authenticated(interface: int) -> Made:
    return _ciphered(interface, GLO, policy=AUTHENTICATED)


def ded(interface: int) -> Made:
    return _ciphered(interface, DED)


def general_glo(interface: int) -> Made:
    return _ciphered(interface, GENERAL_GLO, PLAIN_SERVICES | Conformance.GENERAL_PROTECTION)


def general_ded(interface: int) -> Made:
    return _ciphered(interface, GENERAL_DED, PLAIN_SERVICES | Conformance.GENERAL_PROTECTION)


LEVELS: list[Callable[[int], Made]] = [
    plain,
    low,
    high_own,
    high_md5,
    high_sha1,
    high_sha256,
    glo,
    glo_authenticated,
    ded,
    general_glo,
    general_ded,
]


@asynccontextmanager
async def associated(
    made: Made,
    on_notification: Callable[[object], None] | None = None,
    timeout_ms: int = 60_000,
) -> AsyncIterator[Client]:
    meter, association = made
    counter = iter(range(1, 1 << 20)).__next__
    clock = SystemClock()
    link: WrapperLink | HdlcLink
    async with served(meter.receive) as port:
        if meter.settings.interfaceType == HDLC:
            line = await TcpPort.open(HOST, port)
            link = HdlcLink(line, clock, association.client_sap)
        else:
            link = await WrapperLink.open(port, association.client_sap)
        one = Client(
            link,
            clock,
            SystemCrypto(),
            association,
            counter,
            timeout_ms=timeout_ms,
            on_notification=on_notification,
        )
        try:
            await one.associate()
            yield one
            await one.release()
        finally:
            await link.close()


def run(made: Made, work: Callable[[Client, GuruxMeter], Awaitable[None]]) -> GuruxMeter:
    async def main() -> None:
        async with associated(made) as one:
            await work(one, made[0])

    asyncio.run(main())
    return made[0]


@pytest.fixture(params=LEVELS, ids=lambda level: level.__name__)
def level(request: pytest.FixtureRequest) -> Callable[[int], Made]:
    found: Callable[[int], Made] = request.param
    return found


@pytest.fixture(params=[WRAPPER, HDLC], ids=["wrapper", "hdlc"])
def made(request: pytest.FixtureRequest, level: Callable[[int], Made]) -> Made:
    interface: int = request.param
    return level(interface)


def test_everything_is_read(made: Made) -> None:
    async def work(one: Client, meter: GuruxMeter) -> None:
        assert axdr.decode(await one.get(1, NAME, 2)) == (axdr.OCTET_STRING, gurux_objects.SERIAL)
        assert axdr.decode(await one.get(3, ENERGY, 2)) == (axdr.DOUBLE_LONG_UNSIGNED, 1234567)
        unit = (axdr.STRUCTURE, [(axdr.INTEGER, 0), (axdr.ENUM, 30)])
        assert axdr.decode(await one.get(3, ENERGY, 3)) == unit
        time = bytes.fromhex("07e8021dff0c22380000 0000".replace(" ", ""))
        assert axdr.decode(await one.get(8, CLOCK, 2)) == (axdr.OCTET_STRING, time)
        season = axdr.to_values(axdr.decode(await one.get(20, CALENDAR, 7)))
        assert season == [[b"S1", bytes.fromhex("07e80101ff00000000000000"), b"W1"]]
        days = axdr.to_values(axdr.decode(await one.get(20, CALENDAR, 9)))
        assert days == [[1, [[bytes.fromhex("081e0000"), SCRIPTS, 1]]]]
        scripts = axdr.to_values(axdr.decode(await one.get(9, SCRIPTS, 2)))
        assert scripts == [[1, [[1, 1, LIMIT, 2, 7]]]]
        assert axdr.decode(await one.get(18, IMAGE, 5)) == (axdr.BOOLEAN, True)

    run(made, work)


TAGS = {  # of the GET that a meter sees
    glo: 0xC8,
    glo_authenticated: 0xC8,
    ded: 0xD0,
    general_glo: 0xDB,
    general_ded: 0xDC,
}


def test_protection_is_what_was_asked_for(level: Callable[[int], Made]) -> None:
    async def work(one: Client, meter: GuruxMeter) -> None:
        await one.get(1, NAME, 2)

    made = level(HDLC)
    meter = run(made, work)
    proof = [0xCB if made[1].keys and made[1].keys.ek else 0xC3] if made[1].proves else []
    if level in (general_glo, general_ded):
        proof = [0xDB]
    assert [*meter.requests] == [0x60, *proof, TAGS.get(level, 0xC0), 0x62]


def test_long_values_come_in_blocks(made: Made) -> None:
    async def work(one: Client, meter: GuruxMeter) -> None:
        assert axdr.decode(await one.get(1, TEXT, 2)) == (axdr.OCTET_STRING, gurux_objects.TEXT)
        rows = axdr.to_values(axdr.decode(await one.get(7, PROFILE, 2)))
        assert rows == [row_of(number) for number in range(gurux_objects.ROWS)]

    meter = run(made, work)
    assert len(meter.requests) >= 8


def row_of(number: int) -> list[object]:
    at = gurux_objects.captured_at(number)
    octets = bytes((7, 0xE8, at.month, at.day, 0xFF, at.hour, at.minute, 0, 0, 0, 0, 0))
    return [octets, 1000 * number]


def test_profile_by_entry_and_by_range(made: Made) -> None:
    entries = [(axdr.DOUBLE_LONG_UNSIGNED, n) for n in (3, 6)]
    columns = [(axdr.LONG_UNSIGNED, n) for n in (1, 0)]
    by_entry = (2, axdr.encode((axdr.STRUCTURE, entries + columns)))
    clock = [
        (axdr.LONG_UNSIGNED, 8),
        (axdr.OCTET_STRING, CLOCK),
        (axdr.INTEGER, 2),
        (axdr.LONG_UNSIGNED, 0),
    ]
    times = [(axdr.OCTET_STRING, row_of(n)[0]) for n in (10, 12)]
    by_range = (
        1,
        axdr.encode((axdr.STRUCTURE, [(axdr.STRUCTURE, clock), *times, (axdr.ARRAY, [])])),
    )

    async def work(one: Client, meter: GuruxMeter) -> None:
        found = axdr.to_values(axdr.decode(await one.get(7, PROFILE, 2, by_entry)))
        assert found == [row_of(number) for number in (2, 3, 4, 5)]
        found = axdr.to_values(axdr.decode(await one.get(7, PROFILE, 2, by_range)))
        assert found == [row_of(number) for number in (10, 11, 12)]

    run(made, work)


def test_values_are_written(made: Made) -> None:
    async def work(one: Client, meter: GuruxMeter) -> None:
        value = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 77))
        await one.set(1, LIMIT, 2, value)
        assert await one.get(1, LIMIT, 2) == value
        name = axdr.encode((axdr.OCTET_STRING, b"WINTER"))
        await one.set(20, CALENDAR, 6, name)
        assert await one.get(20, CALENDAR, 6) == name
        week = axdr.encode(
            (
                axdr.ARRAY,
                [(axdr.STRUCTURE, [(axdr.OCTET_STRING, b"W2"), *[(axdr.UNSIGNED, 3)] * 7])],
            )
        )
        await one.set(20, CALENDAR, 8, week)
        assert await one.get(20, CALENDAR, 8) == week

    run(made, work)


def test_long_values_are_written_in_blocks(made: Made) -> None:
    data = axdr.encode((axdr.OCTET_STRING, bytes(range(250)) * 4))

    async def work(one: Client, meter: GuruxMeter) -> None:
        await one.set(1, TEXT, 2, data)
        assert await one.get(1, TEXT, 2) == data

    run(made, work)


def test_image_goes_over(made: Made) -> None:
    image = bytes(range(200))

    def block(number: int) -> bytes:
        part = image[64 * number : 64 * number + 64]
        fields = [(axdr.DOUBLE_LONG_UNSIGNED, number), (axdr.OCTET_STRING, part)]
        return axdr.encode((axdr.STRUCTURE, fields))

    async def work(one: Client, meter: GuruxMeter) -> None:
        start = [(axdr.OCTET_STRING, b"V03"), (axdr.DOUBLE_LONG_UNSIGNED, len(image))]
        await one.action(18, IMAGE, 1, axdr.encode((axdr.STRUCTURE, start)))
        for number in (0, 2, 3):
            await one.action(18, IMAGE, 2, block(number))
        status = axdr.decode(await one.get(18, IMAGE, 3))
        assert status == (axdr.BIT_STRING, "1011")
        with pytest.raises(ActionRefused, match="other-reason"):
            await one.action(18, IMAGE, 3, axdr.encode((axdr.INTEGER, 0)))
        await one.action(18, IMAGE, 2, block(1))
        assert axdr.decode(await one.get(18, IMAGE, 4)) == (axdr.DOUBLE_LONG_UNSIGNED, 4)
        await one.action(18, IMAGE, 3, axdr.encode((axdr.INTEGER, 0)))
        await one.action(18, IMAGE, 4, axdr.encode((axdr.INTEGER, 0)))
        assert axdr.decode(await one.get(18, IMAGE, 6)) == (axdr.ENUM, 6)

    meter = run(made, work)
    assert meter.settings.objects[-1].data == image


def test_long_actions_go_in_blocks(made: Made) -> None:
    start = [(axdr.OCTET_STRING, bytes(600)), (axdr.DOUBLE_LONG_UNSIGNED, 5)]

    async def work(one: Client, meter: GuruxMeter) -> None:
        await one.action(18, IMAGE, 1, axdr.encode((axdr.STRUCTURE, start)))

    meter = run(made, work)
    assert meter.settings.objects[-1].identifier == bytes(600)


def test_several_attributes_in_one_exchange(made: Made) -> None:
    short = [(1, NAME, 2, None), (1, ENERGY, 2, None), (3, ENERGY, 2, None)]

    async def work(one: Client, meter: GuruxMeter) -> None:
        found = await one.get_list(short)
        assert [result for result, _ in found] == [0, 4, 0]
        assert found[2][1] == axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 1234567))
        found = await one.get_list([(1, TEXT, 2, None), *short, (7, PROFILE, 2, None)])
        assert [result for result, _ in found] == [0, 0, 4, 0, 0]
        assert axdr.decode(found[0][1] or b"") == (axdr.OCTET_STRING, gurux_objects.TEXT)
        assert axdr.to_values(axdr.decode(found[4][1] or b""))[39] == row_of(39)

    run(made, work)


def test_what_is_not_there_is_refused_by_name(made: Made) -> None:
    async def work(one: Client, meter: GuruxMeter) -> None:
        with pytest.raises(AccessRefused) as refused:
            await one.get(3, NAME, 2)
        assert refused.value.result == "object-undefined"
        assert axdr.decode(await one.get(1, LIMIT, 2))[1] == 5

    run(made, work)


def test_wrong_password_and_then_the_right_one() -> None:
    meter, right = low(WRAPPER)

    async def main() -> None:
        wrong = Association(1, authentication=client.LOW, secret=b"87654321")
        with pytest.raises(AssociationRefused) as refused:
            async with associated((meter, wrong)):
                pass
        assert refused.value.diagnostic == "authentication-failure"
        async with associated((meter, right)) as one:
            assert axdr.decode(await one.get(1, LIMIT, 2))[1] == 5

    asyncio.run(main())


class OpticalProbe(TcpPort):
    """A line whose speed can be set; the speed does not matter to TCP."""

    bauds: list[int]

    async def set_baud(self, baud: int) -> None:
        self.bauds = [*getattr(self, "bauds", []), baud]


def even_parity(text: bytes) -> bytes:
    return bytes(byte | (byte.bit_count() & 1) << 7 for byte in text)


def test_mode_e_then_hdlc() -> None:
    """The opening is spelt out here as IEC 62056-21 has it; gurux has it in its examples only."""
    meter, association = high_sha1(HDLC)
    opening = [
        (even_parity(b"/?!\r\n"), even_parity(b"/GRX5\\2GURUX\r\n")),
        (even_parity(b"\x06252\r\n"), even_parity(b"\x06252\r\n")),
    ]

    def receive(data: bytes) -> list[bytes]:
        if not opening:
            return meter.receive(data)
        expected, answer = opening.pop(0)
        assert data == expected
        return [answer]

    async def main() -> None:
        clock = SystemClock()
        async with served(receive) as port:
            line = await OpticalProbe.open(HOST, port)
            assert isinstance(line, OpticalProbe)
            found = await open_mode_e(line, clock)
            assert found is not None
            assert (found.manufacturer, found.baud, found.text) == ("GRX", 9600, "GURUX")
            assert line.bauds == [300, 9600]
            link = HdlcLink(line, clock, association.client_sap)
            one = Client(link, clock, SystemCrypto(), association, int, timeout_ms=60_000)
            await one.associate()
            assert axdr.decode(await one.get(1, LIMIT, 2))[1] == 5
            await one.release()
            await link.close()

    asyncio.run(main())


def test_gurux_takes_what_is_tampered_with() -> None:
    """It does not check the tag of what it receives, so only the virtual meter, and the client
    against it, can show that tampering is noticed (tests/unit/dlms)."""
    meter, association = glo(WRAPPER)
    answers: list[bytes] = []

    async def main() -> None:
        async with associated((meter, association)) as one:
            ciphering = one._exchange.ciphering
            assert ciphering is not None
            request = bytearray(ciphering.protect(bytes.fromhex("c00145000100002a0000ff0200")))
            request[-1] ^= 1
            answers.extend(meter.receive(wrap(1, 1, request)))

    asyncio.run(main())
    assert answers[0][8] == 0xCC


GENERAL_BLOCKS = (
    PLAIN_SERVICES & ~Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
) | Conformance.GENERAL_BLOCK_TRANSFER


@pytest.mark.parametrize("form", [None, GLO, DED, GENERAL_GLO])
@pytest.mark.parametrize("interface", [WRAPPER, HDLC], ids=["wrapper", "hdlc"])
def test_general_blocks_of_an_answer(interface: int, form: str | None) -> None:
    """A ciphered answer is ciphered whole, and its ciphertext cut."""
    services = GENERAL_BLOCKS
    if form is None:
        objects = gurux_objects.build()
        meter = GuruxMeter(interface, objects, conformance=services, max_pdu=256)
        made = meter, Association(16)
    else:
        if form == GENERAL_GLO:
            services |= Conformance.GENERAL_PROTECTION
        made = _ciphered(interface, form, services)

    async def work(one: Client, meter: GuruxMeter) -> None:
        assert axdr.decode(await one.get(1, TEXT, 2)) == (axdr.OCTET_STRING, gurux_objects.TEXT)
        rows = axdr.to_values(axdr.decode(await one.get(7, PROFILE, 2)))
        assert rows == [row_of(number) for number in range(gurux_objects.ROWS)]
        found = [row async for row in one.read_profile(PROFILE)]
        assert len(found) == gurux_objects.ROWS

    meter = run(made, work)
    assert meter.requests.count(0xE0) >= 9


@pytest.mark.parametrize("level", [plain, glo, general_glo])
@pytest.mark.parametrize("interface", [WRAPPER, HDLC], ids=["wrapper", "hdlc"])
def test_notifications_come_in_between(interface: int, level: Callable[[int], Made]) -> None:
    """The meter pushes just before it answers; the request is not disturbed."""
    meter, association = level(interface)
    answer = meter.receive

    def receive(data: bytes) -> list[bytes]:
        if not meter.settings.connected:
            return answer(data)
        # in the order of its counter
        push = meter.push(gurux_objects.captured_at(3), b"\x06\x00\x00\x00\x2a")
        return [push, *answer(data)]

    meter.receive = receive  # type: ignore[method-assign]
    heard: list[object] = []

    async def main() -> None:
        async with associated((meter, association), heard.append) as one:
            assert axdr.decode(await one.get(1, LIMIT, 2))[1] == 5

    asyncio.run(main())
    assert heard
    for push in heard:
        assert isinstance(push, apdu.DataNotification)
        assert push.date_time == row_of(3)[0]
        assert axdr.decode(push.data) == (axdr.DOUBLE_LONG_UNSIGNED, 42)
