"""The gurux client against ami-meter."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Callable

import pytest

pytest.importorskip("gurux_dlms")

from gurux_dlms.ConnectionState import ConnectionState
from gurux_dlms.ecdsa import GXPrivateKey, GXPublicKey
from gurux_dlms.enums import (
    AccessServiceCommandType,
    Authentication,
    Conformance,
    DataType,
    InterfaceType,
)
from gurux_dlms.GXDLMSAccessItem import GXDLMSAccessItem
from gurux_dlms.GXDLMSExceptionResponse import GXDLMSExceptionResponse
from gurux_dlms.objects import (
    GXDLMSActivityCalendar,
    GXDLMSClock,
    GXDLMSData,
    GXDLMSImageTransfer,
    GXDLMSProfileGeneric,
    GXDLMSRegister,
    GXDLMSScriptTable,
    GXDLMSWeekProfile,
)
from gurux_dlms.objects.enums import SecuritySuite

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from hal.modem.wrapper import Unwrapper
from tests.interop.gurux_client import GuruxClient, Refused
from tools.meter import device
from tools.meter.association import ASSOCIATED
from tools.meter.hdlc import MeterHdlc
from tools.meter.protection import Demand
from tools.meter.server import MeterServer
from tools.meter.tcp import MeterTcp

SERIAL = "AMI0000000042"
NOON = 1_700_000_000 // 86400 * 86400 + 43200
KEYS = device.derive_test_keys(1, SERIAL)
PASSWORD = b"12345678"
SECRET = b"0123456789ABCDEF"


class Time:
    """The meter's source of time."""

    def __init__(self) -> None:
        self.now = float(NOON)

    def __call__(self) -> float:
        return self.now


Made = tuple[MeterServer, GuruxClient, Time]


def low() -> Made:
    time = Time()
    meter = MeterServer(device.build_meter(SERIAL, password=PASSWORD, source=time), 256)
    one = GuruxClient(client_sap=1, authentication=Authentication.LOW, secret=PASSWORD)
    return meter, one, time


def _high(general: bool = False, dedicated: bytes = b"") -> Made:
    time = Time()
    meter = MeterServer(device.build_meter(SERIAL, keys=KEYS, source=time), 256)
    one = GuruxClient(
        client_sap=1,
        authentication=Authentication.HIGH_GMAC,
        keys=(b"GRXCLNT1", KEYS.ek, KEYS.ak),
        general=general,
        dedicated=dedicated,
    )
    return meter, one, time


def hls_glo() -> Made:
    return _high()


def hls_ded() -> Made:
    return _high(dedicated=bytes(range(16)))


def hls_general_glo() -> Made:
    return _high(general=True)


def hls_general_ded() -> Made:
    return _high(general=True, dedicated=bytes(range(16)))


def _secret(authentication: int) -> Made:
    """HLS by a secret, nothing ciphered."""
    time = Time()
    keys = KEYS if authentication == Authentication.HIGH_SHA256 else None  # for the system title
    built = device.build_meter(
        SERIAL,
        keys=keys,
        password=SECRET,
        mechanism=authentication,
        demand=Demand("plain"),
        source=time,
    )
    one = GuruxClient(client_sap=1, authentication=authentication, secret=SECRET)
    one.dlms.ciphering.systemTitle = b"GRXCLNT1"
    return MeterServer(built, 256), one, time


def hls_md5() -> Made:
    return _secret(Authentication.HIGH_MD5)


def hls_sha1() -> Made:
    return _secret(Authentication.HIGH_SHA1)


def hls_sha256() -> Made:
    return _secret(Authentication.HIGH_SHA256)


def run(made: Made, work: Callable[[GuruxClient], Awaitable[None]]) -> None:
    async def main() -> None:
        hdlc = made[1].dlms.interfaceType == InterfaceType.HDLC
        tcp = MeterHdlc(made[0]) if hdlc else MeterTcp(made[0])
        port = await tcp.start(0)
        try:
            await made[1].open(port)
            await work(made[1])
            await made[1].close()
        finally:
            await tcp.stop()

    asyncio.run(main())


LEVELS: list[Callable[[], Made]] = [
    low,
    hls_md5,
    hls_sha1,
    hls_sha256,
    hls_glo,
    hls_ded,
    hls_general_glo,
    hls_general_ded,
]


@pytest.fixture(params=LEVELS, ids=lambda level: level.__name__)
def level(request: pytest.FixtureRequest) -> Callable[[], Made]:
    found: Callable[[], Made] = request.param
    return found


@pytest.fixture(params=[InterfaceType.WRAPPER, InterfaceType.HDLC], ids=["wrapper", "hdlc"])
def made(request: pytest.FixtureRequest, level: Callable[[], Made]) -> Made:
    found = level()
    found[1].use(request.param)
    return found


def test_public_client_reads_the_identity() -> None:
    meter = MeterServer(device.build_meter(SERIAL, keys=KEYS), 256)

    async def work(one: GuruxClient) -> None:
        assert await one.read(GXDLMSData("0.0.42.0.0.255"), 2) == SERIAL.encode()
        with pytest.raises(Refused):
            await one.read(GXDLMSProfileGeneric("1.0.99.1.0.255"), 2)

    run((meter, GuruxClient(), Time()), work)


def test_objects_are_listed_and_read(made: Made) -> None:
    async def work(one: GuruxClient) -> None:
        reply = await one.ask(one.dlms.getObjectsRequest())
        objects = one.dlms.parseObjects(reply.data, True)
        assert "0.0.13.0.0.255" in [each.logicalName for each in objects]
        register = objects.findByLN(3, "1.0.1.8.0.255")
        await one.read(register, 3)
        assert register.unit == 30
        assert await one.read(register, 2) >= 0
        clock = GXDLMSClock()
        await one.read(clock, 2)
        assert clock.time.value.timestamp() == NOON
        calendar = GXDLMSActivityCalendar("0.0.13.0.0.255")
        for index in range(2, 11):
            await one.read(calendar, index)
        assert calendar.calendarNameActive == "FACTORY"
        assert calendar.seasonProfileActive[0].name == b"S1"
        assert calendar.dayProfileTableActive[0].daySchedules[0].scriptSelector == 1

    run(made, work)


def test_profile_whole_by_entry_and_by_range(made: Made) -> None:
    time = made[2]

    async def work(one: GuruxClient) -> None:
        time.now += 48 * 3600
        profile = GXDLMSProfileGeneric("1.0.99.1.0.255")
        await one.read(profile, 3)
        assert [each.logicalName for each, _ in profile.captureObjects] == [
            "0.0.1.0.0.255",
            "1.0.1.8.0.255",
            "1.0.32.7.0.255",
        ]
        rows = await one.read(profile, 2)
        assert len(rows) == 48
        reply = await one.ask(one.dlms.readRowsByEntry(profile, 2, 3))
        assert [row[1] for row in reply.value] == [row[1] for row in rows[1:4]]
        first = datetime.datetime.fromtimestamp(NOON + 3600, datetime.UTC)
        last = datetime.datetime.fromtimestamp(NOON + 4 * 3600, datetime.UTC)
        reply = await one.ask(one.dlms.readRowsByRange(profile, first, last))
        assert [row[1] for row in reply.value] == [row[1] for row in rows[:4]]

    run(made, work)


def test_values_are_written_short_and_in_blocks(made: Made) -> None:
    async def work(one: GuruxClient) -> None:
        profile = GXDLMSProfileGeneric("1.0.99.1.0.255")
        profile.capturePeriod = 900
        await one.ask(one.dlms.write(profile, 4))
        assert await one.read(GXDLMSProfileGeneric("1.0.99.1.0.255"), 4) == 900
        calendar = GXDLMSActivityCalendar("0.0.13.0.0.255")
        calendar.weekProfileTablePassive = []
        for number in range(12):
            week = GXDLMSWeekProfile()
            week.name = b"WEEK-NUMBER-%04d" % number
            calendar.weekProfileTablePassive.append(week)
        # gurux leaves no room for the system title of general-glo and -ded: its blocks are longer
        # than it agreed to, and the meter says so
        if one.dlms.negotiatedConformance & Conformance.GENERAL_PROTECTION:
            with pytest.raises(GXDLMSExceptionResponse, match="PDU is too long"):
                await one.ask(one.dlms.write(calendar, 8))
            one.spoilt = True
            return
        await one.ask(one.dlms.write(calendar, 8))
        again = GXDLMSActivityCalendar("0.0.13.0.0.255")
        await one.read(again, 8)
        names = [week.name for week in again.weekProfileTablePassive]
        assert names == [b"WEEK-NUMBER-%04d" % number for number in range(12)]

    run(made, work)


def test_methods_are_invoked(made: Made) -> None:
    tariff = GXDLMSData("0.0.96.14.0.255")

    async def work(one: GuruxClient) -> None:
        assert await one.read(tariff, 2) == 1
        scripts = GXDLMSScriptTable("0.0.10.0.100.255")
        await one.ask(one.dlms.method(scripts, 1, 2, DataType.UINT16))
        assert await one.read(tariff, 2) == 2
        with pytest.raises(Refused):
            await one.ask(one.dlms.method(scripts, 1, 99, DataType.UINT16))

    run(made, work)


def test_several_attributes_in_one_exchange(made: Made) -> None:
    name, energy = GXDLMSData("0.0.42.0.0.255"), GXDLMSRegister("1.0.1.8.0.255")

    async def work(one: GuruxClient) -> None:
        wanted = [(name, 2), (energy, 2)]
        reply = await one.ask(one.dlms.readList(wanted))
        one.dlms.updateValues(wanted, reply.value)
        assert name.value == SERIAL.encode()
        assert energy.value >= 0

    run(made, work)


def test_image_is_transferred_and_a_bad_one_refused(made: Made) -> None:
    async def work(one: GuruxClient) -> None:
        image = GXDLMSImageTransfer("0.0.44.0.0.255")
        await one.read(image, 2)
        data = bytes(range(256)) * 3
        await one.ask(image.imageTransferInitiate(one.dlms, "V09.00.00", len(data)))
        for messages in image.imageBlockTransfer(one.dlms, data, None):
            await one.ask(messages)
        await one.read(image, 4)
        assert image.imageFirstNotTransferredBlockNumber == -(-len(data) // image.imageBlockSize)
        with pytest.raises(Refused):  # no image of ours
            await one.ask(image.imageVerify(one.dlms))

    run(made, work)


def test_wrong_keys_are_refused_and_the_right_ones_taken_after() -> None:
    meter, right, time = hls_glo()
    keys = (b"GRXCLNT1", bytes(16), KEYS.ak)
    wrong = GuruxClient(client_sap=1, authentication=Authentication.HIGH_GMAC, keys=keys)

    async def nothing(one: GuruxClient) -> None:
        pass

    with pytest.raises(Exception, match=r"(?i)authentication|permanent|decipher|reject"):
        run((meter, wrong, time), nothing)
    run((meter, right, time), nothing)


@pytest.mark.parametrize("level", [low, hls_general_glo, hls_general_ded])
def test_access(level: Callable[[], Made]) -> None:
    name, energy = GXDLMSData("0.0.42.0.0.255"), GXDLMSRegister("1.0.1.8.0.255")
    missing = GXDLMSData("1.2.3.4.5.255")

    async def work(one: GuruxClient) -> None:
        asked = [
            GXDLMSAccessItem(AccessServiceCommandType.GET, target, 2)
            for target in (name, missing, energy)
        ]
        reply = await one.ask(one.dlms.accessRequest(None, asked))
        one.dlms.parseAccessResponse(asked, reply.data)
        assert [int(item.error) for item in asked] == [0, 4, 0]
        assert name.value == SERIAL.encode() and energy.value >= 0

    run(level(), work)


@pytest.mark.parametrize("level", [low, hls_glo, hls_ded])
def test_general_blocks_of_a_request(level: Callable[[], Made]) -> None:
    """Gurux makes general blocks and takes none (settings.blockNumber does not exist), so what the
    meter answers to them is looked at here."""
    made = level()
    server, client, _ = made
    client.dlms.proposedConformance |= Conformance.GENERAL_BLOCK_TRANSFER
    client.dlms.proposedConformance &= ~Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE

    async def work(one: GuruxClient) -> None:
        calendar = GXDLMSActivityCalendar("0.0.13.0.0.255")
        calendar.weekProfileTablePassive = []
        for number in range(12):
            week = GXDLMSWeekProfile()
            week.name = b"WEEK-NUMBER-%04d" % number
            calendar.weekProfileTablePassive.append(week)
        answers = []
        for message in one.dlms.write(calendar, 8):
            ((client_sap, server_sap, block),) = Unwrapper().feed(bytes(message))
            assert block[0] == apdu.GENERAL_BLOCK_TRANSFER
            answers += server.answers(client_sap, server_sap, block)
        assert len(answers) == 2
        acknowledged = apdu.decode(answers[0])
        assert isinstance(acknowledged, apdu.GeneralBlock) and acknowledged.ack == 1
        again = GXDLMSActivityCalendar("0.0.13.0.0.255")
        await one.read(again, 8)
        assert len(again.weekProfileTablePassive) == 12

    run(made, work)


@pytest.mark.parametrize("ciphered", [False, True], ids=["plain", "suite-1"])
def test_hls_ecdsa(ciphered: bool) -> None:
    """The meter takes gurux's signature. Gurux cannot verify any, its own neither (a point is not
    invertible, 1.0.203), so it is told to go on."""
    keys = device.derive_test_keys(1, SERIAL, 1)
    demand = None if ciphered else Demand("plain")
    built = device.build_meter(SERIAL, keys=keys, mechanism=acse.HIGH_ECDSA, demand=demand)
    one = GuruxClient(
        client_sap=1,
        authentication=Authentication.HIGH_ECDSA,
        keys=(b"GRXCLNT1", keys.ek, keys.ak) if ciphered else None,
    )
    cipher, dlms_settings = one.dlms.ciphering, one.dlms.settings
    cipher.systemTitle = b"GRXCLNT1"
    cipher.securitySuite = SecuritySuite.SUITE_1
    cipher.signingKeyPair = (
        GXPublicKey.fromRawBytes(keys.public("signing")),
        GXPrivateKey.fromRawBytes(keys.client_signing),
    )
    one.dlms.ctoSChallenge = bytes(range(32))  # its own are too short for ECDSA
    dlms_settings.customChallenges = dlms_settings.useCustomChallenge = True

    async def main() -> None:
        tcp = MeterTcp(MeterServer(built, 256))
        port = await tcp.start(0)
        try:
            with pytest.raises((UnboundLocalError, ValueError)):
                await one.open(port)
            assert built.associations[1].status == ASSOCIATED
            dlms_settings.connected |= ConnectionState.DLMS
            assert await one.read(GXDLMSData("0.0.42.0.0.255"), 2) == SERIAL.encode()
            await one.close()
        finally:
            await tcp.stop()

    asyncio.run(main())
