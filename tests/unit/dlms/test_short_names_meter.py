"""Our client and the virtual meter with short names, whose own side of them is written apart."""

from __future__ import annotations

import asyncio

import pytest

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client.association import (
    HIGH,
    HIGH_ECDSA,
    HIGH_GMAC,
    HIGH_MD5,
    HIGH_SHA1,
    HIGH_SHA256,
    LOW,
    NONE,
    SN,
    Association,
)
from gateway.dlms.client.client import Client
from gateway.dlms.data import axdr, obis, selection
from gateway.dlms.errors import AccessRefused, ActionRefused, AssociationRefused, NoAnswer
from gateway.dlms.protection.policy import (
    AUTHENTICATED,
    AUTHENTICATED_ENCRYPTED,
    DED,
    ENCRYPTED,
    GENERAL_CIPHERING,
    GENERAL_DED,
    GENERAL_GLO,
    GLO,
    Protection,
)
from tests.unit.dlms.test_protections import (
    ALARMS,
    NAME,
    PROFILE,
    SECRET,
    SERIAL,
    client_keys,
    over,
)
from tests.unit.meter.links import MemoryLink
from tools.meter import device, protection
from tools.meter.model import MANAGEMENT, PUBLIC
from tools.meter.protection import Demand
from tools.meter.server import CONFORMANCE, MeterServer

NOON = 1_700_000_000 // 86400 * 86400 + 43200
CURRENT = obis.parse("0.0.40.0.0.255")
# as somebody might lay them out, far from where they are assigned
BASES = {device.CLOCK: 0x2BC0, device.LOGICAL_DEVICE_NAME: 0xFD00, device.ENERGY: 0x0008}


def meter(
    mechanism: int = LOW,
    demand: Demand | None = None,
    suite: int = 0,
    short: bool = True,
    max_pdu: int = 640,
    without: int = 0,
) -> MeterServer:
    built = device.build_meter(
        SERIAL,
        keys=device.derive_test_keys(7, SERIAL, suite),
        password=SECRET,
        mechanism=mechanism,
        demand=demand or Demand("plain"),
        source=lambda: float(NOON),
        short_names=BASES if short else None,
    )
    return MeterServer(built, max_pdu, CONFORMANCE & ~without)


def association(mechanism: int = LOW, how: Protection | None = None, suite: int = 0) -> Association:
    keyed = how is not None or mechanism in (HIGH_GMAC, HIGH_SHA256, HIGH_ECDSA)
    return Association(
        MANAGEMENT,
        authentication=mechanism,
        secret=SECRET,
        keys=client_keys(suite) if keyed else None,
        protection=how or Protection("plain"),
        algorithm=protection.manufacturer_algorithm,
        referencing=SN,
    )


def client(server: MeterServer, how: Association | None = None) -> tuple[Client, MemoryLink]:
    link = MemoryLink(server, MANAGEMENT)
    return over(link, how or association()), link


async def exercise(one: Client) -> None:
    """Associate, then every service, short and in blocks, and release."""
    await one.associate()
    assert axdr.decode(await one.get(1, NAME, 2)) == (axdr.OCTET_STRING, SERIAL.encode())
    await one.set(1, ALARMS, 2, b"\x06\x00\x00\x00\x07")
    assert await one.get(1, ALARMS, 2) == b"\x06\x00\x00\x00\x07"
    assert len(await one.get(12, CURRENT, 2)) > 400
    await one.action(7, PROFILE, 1, axdr.encode((axdr.INTEGER, 0)))
    found = await one.get_list([(8, obis.parse(device.CLOCK), 3, None), (1, NAME, 2, None)])
    assert [result for result, _ in found] == [0, 0]
    await one.release()


@pytest.mark.parametrize(
    "mechanism", [NONE, LOW, HIGH, HIGH_MD5, HIGH_SHA1, HIGH_GMAC, HIGH_SHA256, HIGH_ECDSA]
)
def test_every_authentication(mechanism: int) -> None:
    suite = 1 if mechanism == HIGH_ECDSA else 0
    server = meter(mechanism, suite=suite)
    one, link = client(server, association(mechanism, suite=suite))
    asyncio.run(exercise(one))
    assert acse.Aarq.decode(link.sent[0]).context == acse.SN
    assert server.meter.log.count("action", 7, device.LOAD_PROFILE, 1) == 1


TAGS = {GLO: 0x25, DED: 0x45, GENERAL_GLO: 0xDB, GENERAL_DED: 0xDC, GENERAL_CIPHERING: 0xDD}


@pytest.mark.parametrize("policy", [AUTHENTICATED, ENCRYPTED, AUTHENTICATED_ENCRYPTED])
@pytest.mark.parametrize("form", list(TAGS))
def test_every_protection(form: str, policy: int) -> None:
    server = meter(HIGH_GMAC, Demand(form, policy))
    one, link = client(server, association(HIGH_GMAC, Protection(form, policy)))
    asyncio.run(exercise(one))
    assert acse.Aarq.decode(link.sent[0]).context == acse.SN_CIPHERED
    assert link.sent[2][0] == TAGS[form]  # after AARQ and the proof
    assert link.sent[-1][0] == acse.RLRQ


def test_wrong_keys_and_secrets_are_refused() -> None:
    for mechanism in (LOW, HIGH_MD5, HIGH_GMAC):
        server = meter(mechanism)
        wrong = association(mechanism)
        wrong.secret = b"another secret .."
        if wrong.keys is not None:
            wrong.keys = client_keys(0, ak=bytes(16))
        one, _ = client(server, wrong)
        with pytest.raises(AssociationRefused):
            asyncio.run(one.associate())


def test_a_meter_with_the_other_names_refuses_by_name() -> None:
    for short in (True, False):
        how = association()
        how.referencing = 3 - SN if short else SN
        one, _ = client(meter(short=short), how)
        with pytest.raises(AssociationRefused, match="short" if short else "logical"):
            asyncio.run(one.associate())


@pytest.mark.parametrize("max_pdu", [640, 128, 64])
def test_whatever_is_read_is_what_logical_names_give(max_pdu: int) -> None:
    """Every attribute of every object, one by one and in lists."""

    async def everything(server: MeterServer, how: Association) -> list[object]:
        one, _ = client(server, how)
        await one.associate()
        targets = [
            (each.class_id, each.logical_name, index, None)
            for each in server.meter.objects.values()
            for index in range(1, 15)
        ]
        found: list[object] = []
        for class_id, name, index, _ in targets:
            try:
                found.append(await one.get(class_id, name, index))
            except AccessRefused as refused:
                found.append(refused.result)
        found += await one.get_list(targets)
        await one.release()
        return found

    by_logical = association()
    by_logical.referencing = 1
    long = asyncio.run(everything(meter(short=False, max_pdu=max_pdu), by_logical))
    short = asyncio.run(everything(meter(max_pdu=max_pdu), association()))
    assert len(long) > 300 and short == long


def test_methods_and_their_refusals() -> None:
    server = meter()
    one, _ = client(server)

    async def work() -> None:
        await one.associate()
        for each in list(server.meter.objects.values()):
            for index in (1, 2, 3, 4, 5, 6):
                before = len(server.meter.log.counts)
                try:
                    await one.action(each.class_id, each.logical_name, index, b"\x0f\x00")
                    assert index in each.methods
                    assert server.meter.log.count("action", each.class_id, each.name, index) == 1
                except ActionRefused as refused:
                    known = index in each.methods
                    assert (refused.result == "object-undefined") is not known, (each.name, index)
                    assert len(server.meter.log.counts) == before
                except Exception as error:
                    assert "are not known here" in str(error) and not each.methods

    asyncio.run(work())


def test_profile_rows_by_range_and_entry() -> None:
    server = meter(max_pdu=128)
    profile = server.meter.find(7, device.LOAD_PROFILE)
    one, _ = client(server)

    async def work() -> None:
        await one.associate()
        for _ in range(30):
            await one.action(7, PROFILE, 2, axdr.encode((axdr.INTEGER, 0)))
        rows = [row async for row in one.read_profile(PROFILE)]
        assert (axdr.ARRAY, [(axdr.STRUCTURE, row) for row in rows]) == profile.value(2)
        assert len(rows) == 30
        some = [row async for row in one.read_profile(PROFILE, first=4, last=7)]
        assert some == rows[3:7]
        assert await one.get(7, PROFILE, 2, selection.by_entry(1, 2))

    asyncio.run(work())


def test_long_writes_and_methods_in_blocks_and_general_blocks() -> None:
    calendar = obis.parse(device.CALENDAR)
    for without in (acse.GENERAL_BLOCK_TRANSFER, acse.BLOCK_GET | acse.BLOCK_SET):
        server = meter(max_pdu=64, without=without)
        name = axdr.encode((axdr.OCTET_STRING, bytes(range(90))))
        one, link = client(server)

        async def work(one: Client = one, name: bytes = name) -> None:
            await one.associate()
            await one.set(20, calendar, 6, name)
            assert await one.get(20, calendar, 6) == name
            items = [((20, calendar, 6, None), name), ((20, calendar, 9, None), b"\x00")]
            assert (await one.set_list(items))[0] == 0
            with pytest.raises(AccessRefused):
                await one.set(20, calendar, 9, axdr.encode((axdr.ARRAY, [(axdr.NULL, None)] * 90)))

        asyncio.run(work())
        general = any(sent[0] == apdu.GENERAL_BLOCK_TRANSFER for sent in link.sent)
        assert general is bool(without & acse.BLOCK_SET)


def test_a_meter_that_grants_little() -> None:
    little = acse.MULTIPLE_REFERENCES | acse.PARAMETERIZED_ACCESS | acse.GENERAL_BLOCK_TRANSFER
    server = meter(HIGH_MD5, without=little | acse.BLOCK_GET | acse.BLOCK_SET)
    one, _ = client(server, association(HIGH_MD5))
    asyncio.run(exercise(one))


def test_the_public_client_finds_what_it_may_see() -> None:
    server = meter(HIGH_GMAC, Demand(GLO))
    link = MemoryLink(server, PUBLIC)
    one = over(link, Association(PUBLIC, referencing=SN))

    async def work() -> None:
        await one.associate()
        assert axdr.decode(await one.get(1, NAME, 2))[1] == SERIAL.encode()
        with pytest.raises(AccessRefused, match="object-undefined"):
            await one.get(1, ALARMS, 2)

    asyncio.run(work())


def test_base_names_that_meet_are_refused() -> None:
    for bases, said in (
        ({device.CLOCK: 0x100, device.ENERGY: 0x108}, "another's"),
        ({device.CLOCK: 0xFFFF}, "16 bits"),
        ({"1.2.3.4.5.6": 1}, "has not"),
    ):
        with pytest.raises(ValueError, match=said):
            device.build_meter(SERIAL, password=SECRET, short_names=bases)


def test_what_the_meter_pushes_comes_through() -> None:
    server = meter(HIGH_GMAC, Demand(GLO))
    how = association(HIGH_GMAC, Protection(GLO))
    heard: list[object] = []

    class Listening(MemoryLink):
        async def send(self, apdu: bytes | memoryview) -> None:
            self.sent.append(bytes(apdu))
            self._answers.extend(self._meter.answers(self._client_sap, 1, bytes(apdu)))

    link = Listening(server, MANAGEMENT)
    one = over(link, how)
    one._exchange._on_notification = heard.append

    async def work() -> None:
        await one.associate()
        await one.action(40, obis.parse(device.PUSH), 1, axdr.encode((axdr.INTEGER, 0)))
        await one.get(1, NAME, 2)

    asyncio.run(work())
    assert [type(each) for each in heard] == [apdu.DataNotification]


class Late(MemoryLink):
    """The answer to the next request is held back; `deliver` puts it in front of what comes."""

    hold = False
    held = b""

    async def send(self, apdu: bytes | memoryview) -> None:
        await super().send(apdu)
        if self.hold:
            self.held = self._answers.pop()
            self.hold = False

    def deliver(self) -> None:
        self._answers.appendleft(self.held)


@pytest.mark.parametrize("ciphered", [False, True])
def test_late_answers_and_their_replay(ciphered: bool) -> None:
    server = meter(HIGH_GMAC, Demand(GLO)) if ciphered else meter()
    how = association(HIGH_GMAC, Protection(GLO)) if ciphered else association()
    zone = (8, obis.parse(device.CLOCK), 3)
    link = Late(server, MANAGEMENT)
    one = over(link, how)

    async def work() -> None:
        await one.associate()
        name, offset = await one.get(1, NAME, 2), await one.get(*zone)
        # asked twice, answered twice
        link.hold = True
        assert await one.get(1, NAME, 2) == name
        link.deliver()
        assert await one.get(*zone) == offset
        # given up, and answered after that
        one._exchange.tries = 1
        link.hold = True
        with pytest.raises(NoAnswer):
            await one.get(1, NAME, 2)
        link.deliver()
        assert await one.get(*zone) == offset
        if ciphered:  # nor does the same answer do once more
            link.deliver()
            assert await one.get(*zone) == offset

    asyncio.run(work())
