"""Short names: our client with the gurux meter, the gurux client with ami-meter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("gurux_dlms")

from gurux_dlms import GXDLMSClient
from gurux_dlms.enums import Authentication, DataType
from gurux_dlms.objects import (
    GXDLMSClock,
    GXDLMSData,
    GXDLMSProfileGeneric,
    GXDLMSRegister,
    GXDLMSScriptTable,
)

from gateway.dlms.client import client
from gateway.dlms.client.client import SN, Association, Client
from gateway.dlms.data import axdr, obis
from gateway.dlms.errors import AccessRefused, AssociationRefused
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.policy import GLO, Protection
from tests.interop import gurux_objects
from tests.interop.gurux_client import GuruxClient, Refused
from tests.interop.gurux_meter import HDLC, WRAPPER, Cipher
from tests.interop.gurux_short_meter import SHORT_SERVICES, ShortGuruxMeter
from tests.interop.test_client_with_gurux_meter import (
    AK,
    CALENDAR,
    CLIENT,
    CLOCK,
    EK,
    ENERGY,
    IMAGE,
    LIMIT,
    METER,
    NAME,
    PROFILE,
    SCRIPTS,
    SECRET,
    TEXT,
    associated,
)
from tools.meter import device
from tools.meter.hdlc import MeterHdlc
from tools.meter.model import MANAGEMENT
from tools.meter.server import MeterServer
from tools.meter.short_names import AssociationSN
from tools.meter.tcp import MeterTcp

Made = tuple[ShortGuruxMeter, Association]


def plain(interface: int, plain_blocks: bool = False) -> Made:
    objects = gurux_objects.build()
    meter = ShortGuruxMeter(interface, objects, max_pdu=256, plain_blocks=plain_blocks)
    return meter, Association(16, referencing=SN)


def without_count(interface: int) -> Made:
    return plain(interface, plain_blocks=True)


def low(interface: int) -> Made:
    objects = gurux_objects.build()
    meter = ShortGuruxMeter(interface, objects, Authentication.LOW, SECRET, max_pdu=256)
    return meter, Association(1, authentication=client.LOW, secret=SECRET, referencing=SN)


def high_md5(interface: int) -> Made:
    objects = gurux_objects.build()
    meter = ShortGuruxMeter(interface, objects, Authentication.HIGH_MD5, SECRET, max_pdu=256)
    return meter, Association(1, authentication=client.HIGH_MD5, secret=SECRET, referencing=SN)


def _ciphered(interface: int, form: str) -> Made:
    meter = ShortGuruxMeter(
        interface,
        gurux_objects.build(),
        Authentication.HIGH_GMAC,
        cipher=Cipher(METER, EK, AK),
        max_pdu=256,
        conformance=SHORT_SERVICES,
    )
    association = Association(
        1,
        authentication=client.HIGH_GMAC,
        keys=Keys(CLIENT, EK, AK),
        protection=Protection(form),
        referencing=SN,
    )
    return meter, association


def glo(interface: int) -> Made:
    return _ciphered(interface, GLO)


LEVELS: list[Callable[[int], Made]] = [plain, without_count, low, high_md5, glo]


@pytest.fixture(params=LEVELS, ids=lambda level: level.__name__)
def level(request: pytest.FixtureRequest) -> Callable[[int], Made]:
    found: Callable[[int], Made] = request.param
    return found


@pytest.fixture(params=[WRAPPER, HDLC], ids=["wrapper", "hdlc"])
def made(request: pytest.FixtureRequest, level: Callable[[int], Made]) -> Made:
    interface: int = request.param
    return level(interface)


def run(
    made: Made,
    work: Callable[[Client, ShortGuruxMeter], Awaitable[None]],
    timeout_ms: int = 60_000,
) -> None:
    async def main() -> None:
        async with associated(made, timeout_ms=timeout_ms) as one:
            await work(one, made[0])

    asyncio.run(main())


def test_everything_is_read(made: Made) -> None:
    async def work(one: Client, meter: ShortGuruxMeter) -> None:
        assert axdr.decode(await one.get(1, NAME, 2)) == (axdr.OCTET_STRING, gurux_objects.SERIAL)
        assert axdr.decode(await one.get(3, ENERGY, 2)) == (axdr.DOUBLE_LONG_UNSIGNED, 1234567)
        time = bytes.fromhex("07e8021dff0c223800000000")
        assert axdr.decode(await one.get(8, CLOCK, 2)) == (axdr.OCTET_STRING, time)
        days = axdr.to_values(axdr.decode(await one.get(20, CALENDAR, 9)))
        assert days == [[1, [[bytes.fromhex("081e0000"), SCRIPTS, 1]]]]
        # longer than an APDU: in blocks
        assert axdr.decode(await one.get(1, TEXT, 2))[1] == gurux_objects.TEXT
        found = await one.get_list([(3, ENERGY, 2, None), (3, LIMIT, 2, None), (1, LIMIT, 2, None)])
        assert [result for result, _ in found] == [0, 9, 0]
        with pytest.raises(AccessRefused, match="object-undefined"):
            await one.get(1, obis.parse("0.0.96.77.0.255"), 2)

    run(made, work)


def test_rows_of_the_profile(made: Made) -> None:
    async def work(one: Client, meter: ShortGuruxMeter) -> None:
        rows = [row async for row in one.read_profile(PROFILE)]
        assert [row[1][1] for row in rows] == [1000 * n for n in range(gurux_objects.ROWS)]
        some = [row async for row in one.read_profile(PROFILE, first=3, last=5)]
        assert [row[1][1] for row in some] == [2000, 3000, 4000]

    run(made, work)


def test_written_and_invoked(made: Made) -> None:
    async def work(one: Client, meter: ShortGuruxMeter) -> None:
        await one.set(1, LIMIT, 2, axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 77)))
        assert axdr.decode(await one.get(1, LIMIT, 2))[1] == 77
        long = bytes(reversed(gurux_objects.TEXT))
        await one.set(1, TEXT, 2, axdr.encode((axdr.OCTET_STRING, long)))  # in blocks
        assert axdr.decode(await one.get(1, TEXT, 2))[1] == long
        image = next(
            each for each in meter.settings.objects if isinstance(each, gurux_objects.Image)
        )
        size = 130
        content = bytes(range(size))
        start = [(axdr.OCTET_STRING, b"V03"), (axdr.DOUBLE_LONG_UNSIGNED, size)]
        await one.action(18, IMAGE, 1, axdr.encode((axdr.STRUCTURE, start)))
        for number in range(3):
            part = content[64 * number :][:64]
            block = [(axdr.DOUBLE_LONG_UNSIGNED, number), (axdr.OCTET_STRING, part)]
            await one.action(18, IMAGE, 2, axdr.encode((axdr.STRUCTURE, block)))
        await one.action(18, IMAGE, 3, axdr.encode((axdr.INTEGER, 0)))
        assert image.data == content
        assert axdr.decode(await one.get(18, IMAGE, 6)) == (axdr.ENUM, 3)

    run(made, work)


def test_tags_and_a_wrong_secret() -> None:
    meter, association = glo(WRAPPER)

    async def work(one: Client, meter: ShortGuruxMeter) -> None:
        await one.get(1, NAME, 2)

    run((meter, association), work)
    assert meter.requests[1:4] == [0x25, 0x25, 0x25]  # proof, object list, value
    meter, association = high_md5(WRAPPER)
    association.secret = b"another secret.."
    with pytest.raises(AssociationRefused):  # once no late answer has come for so long
        run((meter, association), work, timeout_ms=6000)


# ---------------------------------------------------------------- their client

PASSWORD = b"12345678"
SERIAL = "AMI0000000042"
BASES = {device.CLOCK: 0x2BC0, device.LOGICAL_DEVICE_NAME: 0xFD00}


def short_client() -> GuruxClient:
    one = GuruxClient(client_sap=1, authentication=Authentication.LOW, secret=PASSWORD)
    one.dlms.useLogicalNameReferencing = False
    return one


@pytest.mark.parametrize("interface", [WRAPPER, HDLC], ids=["wrapper", "hdlc"])
def test_the_gurux_client_with_our_meter(interface: int) -> None:
    built = device.build_meter(SERIAL, password=PASSWORD, short_names=BASES)
    server = MeterServer(built, 1024)  # no blocks: gurux calls what it has not
    one = short_client()
    one.use(interface)

    async def work() -> None:
        reply = await one.ask(one.dlms.getObjectsRequest())
        found = {each.logicalName: each for each in one.dlms.parseObjects(reply.data, True)}
        association = built.associations[MANAGEMENT]
        assert isinstance(association, AssociationSN)
        for (_, name), base in association.names.bases.items():
            assert found[name].shortName == base, name
        clock = found[device.CLOCK]
        assert isinstance(clock, GXDLMSClock) and clock.shortName == 0x2BC0
        await one.read(clock, 3)
        assert clock.timeZone == built.read(8, device.CLOCK, 3)[1]
        name = found[device.LOGICAL_DEVICE_NAME]
        assert isinstance(name, GXDLMSData)
        assert await one.read(name, 2) == SERIAL
        energy = found[device.ENERGY]
        assert isinstance(energy, GXDLMSRegister)
        await one.read(energy, 3)
        # written, a method by Write, refused
        profile = found[device.LOAD_PROFILE]
        assert isinstance(profile, GXDLMSProfileGeneric)
        profile.capturePeriod = 900
        await one.ask(one.dlms.write(profile, 4))
        assert built.read(7, device.LOAD_PROFILE, 4)[1] == 900
        scripts = found[device.SCRIPTS]
        assert isinstance(scripts, GXDLMSScriptTable)
        await one.ask(one.dlms.method(scripts, 1, 2, DataType.UINT16))
        assert built.read(1, device.TARIFF, 2)[1] == 2
        energy.value = 1
        energy.setDataType(2, DataType.UINT32)
        with pytest.raises(Refused):
            await one.ask(one.dlms.write(energy, 2))

    asyncio.run(_with(one, server, interface, work))


async def _with(
    one: GuruxClient, server: MeterServer, interface: int, work: Callable[[], Awaitable[Any]]
) -> None:
    line: MeterTcp | MeterHdlc = MeterHdlc(server) if interface == HDLC else MeterTcp(server)
    port = await line.start(0)
    try:
        await one.open(port)
        await work()
        await one.close()
    finally:
        await line.stop()


def test_their_requests_are_read_by_our_codec() -> None:
    """Bytes that gurux makes, without a meter."""
    from gateway.dlms.apdu import short

    dlms = GXDLMSClient(False, 16, 1, Authentication.NONE, None, WRAPPER)

    def only(frames: Any) -> bytes:
        (frame,) = frames
        return bytes(frame)[8:]

    clock = GXDLMSClock("0.0.1.0.0.255", 0x2BC0)
    data = GXDLMSData("0.0.96.50.1.255", 0x0100)
    data.setDataType(2, DataType.UINT32)
    data.value = 5
    raw = only(dlms.read(clock, 3))
    assert short.decode(raw) == short.ReadRequest([(0x2BD0, None)])
    assert short.decode(raw).encode() == raw
    raw = only(dlms.write(data, 2))
    written = short.WriteRequest([(0x0108, None)], [axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 5))])
    assert short.decode(raw) == written and written.encode() == raw
    profile = GXDLMSProfileGeneric("1.0.99.1.0.255", 0x0400)
    raw = only(dlms.readRowsByEntry(profile, 3, 9))
    ((name, selection),) = short.decode(raw).items
    assert (name, selection[0]) == (0x0408, 2)
    assert short.decode(raw).encode() == raw
