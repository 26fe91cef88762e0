"""The virtual meter as a server, driven by the gateway's own client."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import pytest

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client.client import HIGH_GMAC, LOW, Association
from gateway.dlms.data import axdr, obis
from gateway.dlms.data.axdr import (
    ARRAY,
    DOUBLE_LONG_UNSIGNED,
    INTEGER,
    LONG_UNSIGNED,
    OCTET_STRING,
    STRUCTURE,
    UNSIGNED,
)
from gateway.dlms.errors import (
    AccessRefused,
    ActionRefused,
    AssociationRefused,
    DlmsError,
    NoAnswer,
    SecurityFailed,
    ServiceRefused,
)
from gateway.dlms.protection.keyring import Keys
from hal.modem.wrapper import Unwrapper, wrap
from tests.unit.meter.conftest import SERIAL
from tests.unit.meter.links import TITLE, MemoryLink, client, management, public
from tools.meter import device, protection
from tools.meter.association import SecuritySetup
from tools.meter.kinds import Typed
from tools.meter.model import MANAGEMENT, PUBLIC, Meter
from tools.meter.server import MeterServer
from tools.meter.tcp import MeterTcp

NAME = obis.parse(device.LOGICAL_DEVICE_NAME)
ALARMS = obis.parse(device.ALARM_FILTER)
PROFILE = obis.parse(device.LOAD_PROFILE)


@pytest.fixture
def server(meter: Meter) -> MeterServer:
    return MeterServer(meter)


def data(typed: Typed) -> bytes:
    return axdr.encode(typed)


def test_public_client_reads_identity_and_nothing_else(server: MeterServer) -> None:
    async def story() -> None:
        reader = client(MemoryLink(server, PUBLIC), public())
        await reader.associate()
        assert axdr.decode(await reader.get(1, NAME, 2)) == (OCTET_STRING, SERIAL.encode())
        counter = await reader.get(1, obis.parse(device.INVOCATION_COUNTER), 2)
        assert axdr.decode(counter) == (DOUBLE_LONG_UNSIGNED, 0)
        with pytest.raises(AccessRefused) as refused:
            await reader.get(1, ALARMS, 2)
        assert refused.value.result == "read-write-denied"
        with pytest.raises(AccessRefused) as refused:
            await reader.set(1, ALARMS, 2, data((DOUBLE_LONG_UNSIGNED, 1)))
        assert refused.value.result == "read-write-denied"
        with pytest.raises(ActionRefused) as denied:
            await reader.action(7, PROFILE, 1, data((INTEGER, 0)))
        assert denied.value.result == "read-write-denied"
        await reader.release()

    asyncio.run(story())
    assert not server.meter.log.counts


def test_management_reads_writes_and_acts(server: MeterServer) -> None:
    async def story() -> None:
        manager = client(MemoryLink(server, MANAGEMENT), management(7, SERIAL))
        await manager.associate()
        await manager.set(1, ALARMS, 2, data((DOUBLE_LONG_UNSIGNED, 0xF0)))
        assert axdr.decode(await manager.get(1, ALARMS, 2)) == (DOUBLE_LONG_UNSIGNED, 0xF0)
        with pytest.raises(AccessRefused) as refused:
            await manager.set(1, ALARMS, 2, data((LONG_UNSIGNED, 1)))
        assert refused.value.result == "type-unmatched"
        await manager.action(9, obis.parse(device.SCRIPTS), 1, data((LONG_UNSIGNED, 2)))
        with pytest.raises(ActionRefused) as denied:
            await manager.action(9, obis.parse(device.SCRIPTS), 1, data((LONG_UNSIGNED, 99)))
        assert denied.value.result == "object-undefined"
        status = await manager.get(15, obis.parse("0.0.40.0.0.255"), 8)
        assert axdr.decode(status)[1] == 2
        await manager.release()
        with pytest.raises(DlmsError):
            await manager.get(1, ALARMS, 2)

    asyncio.run(story())
    assert server.meter.read(1, device.TARIFF, 2) == (UNSIGNED, 2)
    assert server.meter.log.as_json() == [
        {"service": "action", "class": 9, "obis": device.SCRIPTS, "index": 1, "count": 1},
        {"service": "set", "class": 1, "obis": device.ALARM_FILTER, "index": 2, "count": 1},
    ]


def test_password(time: Any) -> None:
    server = MeterServer(device.build_meter(SERIAL, password=b"12345678", source=time))

    async def story() -> None:
        link = MemoryLink(server, MANAGEMENT)
        await client(link, Association(MANAGEMENT, 1, LOW, b"12345678")).associate()
        with pytest.raises(AssociationRefused) as refused:
            await client(link, Association(MANAGEMENT, 1, LOW, b"12345679")).associate()
        assert refused.value.diagnostic == "authentication-failure"
        with pytest.raises(AssociationRefused) as refused:
            await client(link, Association(MANAGEMENT)).associate()
        assert refused.value.diagnostic == "authentication-required"

    asyncio.run(story())


def test_wrong_keys_are_refused_and_leave_the_counter_alone(server: MeterServer) -> None:
    keys = device.derive_test_keys(7, SERIAL)
    wrong = [(bytes(16), keys.ak), (keys.ek, bytes(16))]

    async def story() -> None:
        for ek, ak in wrong:
            association = Association(
                MANAGEMENT, authentication=HIGH_GMAC, keys=Keys(TITLE, ek, ak)
            )
            link = MemoryLink(server, MANAGEMENT)
            with pytest.raises(AssociationRefused):
                await client(link, association, first_counter=5000).associate()
        await client(MemoryLink(server, MANAGEMENT), management(7, SERIAL)).associate()

    asyncio.run(story())


def test_nothing_works_before_the_hls_proof(server: MeterServer) -> None:
    keys = device.derive_test_keys(7, SERIAL)
    counter = count(1)

    def sealed(tag: int, plain: bytes) -> bytes:
        head = next(counter).to_bytes(4, "big")
        body = protection.gcm_seal(keys.ek, TITLE + head, 0x30, keys.ak, plain)
        return bytes([tag]) + protection.octets(b"\x30" + head + body)

    def unsealed(reply: bytes) -> bytes:
        content = protection.Reader(reply, 1).octets()
        nonce = keys.title + content[1:5]
        return protection.gcm_open(keys.ek, nonce, content[0], keys.ak, content[5:])

    initiate = acse.InitiateRequest(0xFFFFFF, 500).encode()
    aarq = acse.Aarq(acse.LN_CIPHERED, sealed(0x21, initiate), TITLE, HIGH_GMAC, b"challenge")
    answer = server.handle(MANAGEMENT, 1, aarq.encode())
    assert acse.Aare.decode(answer or b"").result == 0
    get = apdu.GetRequest(1, 1, ALARMS, 2).encode()
    refusal = server.handle(MANAGEMENT, 1, sealed(0xC8, get))
    assert apdu.decode(refusal or b"").service_name() == "operation-not-possible"
    bad = data((OCTET_STRING, b"\x10" + bytes(16)))
    proof = apdu.ActionRequest(0x42, 15, obis.parse("0.0.40.0.0.255"), 1, bad).encode()
    reply = server.handle(MANAGEMENT, 1, sealed(0xCB, proof)) or b""
    assert apdu.decode(unsealed(reply)).result == 250
    assert server.meter.associations[MANAGEMENT].status == 0
    # and the proof cannot be tried again
    security = server.meter.find(64, device.SECURITY)
    assert isinstance(security, SecuritySetup)
    challenge = acse.Aare.decode(answer or b"").value
    good = protection.gmac(security, TITLE, 99, challenge)
    again = data((OCTET_STRING, good))
    proof = apdu.ActionRequest(0x43, 15, obis.parse("0.0.40.0.0.255"), 1, again).encode()
    reply = server.handle(MANAGEMENT, 1, sealed(0xCB, proof)) or b""
    assert apdu.decode(reply).service_name() == "operation-not-possible"


def test_replayed_and_forged_requests(server: MeterServer) -> None:
    async def story() -> None:
        link = MemoryLink(server, MANAGEMENT)
        manager = client(link, management(7, SERIAL))
        await manager.associate()
        await manager.set(1, ALARMS, 2, data((DOUBLE_LONG_UNSIGNED, 1)))
        recorded = link.sent[-1]
        await manager.set(1, ALARMS, 2, data((DOUBLE_LONG_UNSIGNED, 2)))
        replayed = apdu.decode(server.handle(MANAGEMENT, 1, recorded) or b"")
        assert replayed.service_name() == "invocation-counter-error"
        security = server.meter.find(64, device.SECURITY)
        assert isinstance(security, SecuritySetup)
        assert replayed.counter == security.last_counter + 1
        forged = recorded[:-1] + bytes([recorded[-1] ^ 1])
        answer = apdu.decode(server.handle(MANAGEMENT, 1, forged) or b"")
        assert answer.service_name() == "deciphering-error"
        plain = apdu.SetRequest(1, 1, ALARMS, 2, None, data((DOUBLE_LONG_UNSIGNED, 3)))
        answer = apdu.decode(server.handle(MANAGEMENT, 1, plain.encode()) or b"")
        assert answer.service_name() == "operation-not-possible"

    asyncio.run(story())
    assert server.meter.read(1, device.ALARM_FILTER, 2)[1] == 2


def test_low_counter_names_the_one_expected(server: MeterServer) -> None:
    async def story() -> None:
        link = MemoryLink(server, MANAGEMENT)
        await client(link, management(7, SERIAL), first_counter=100).associate()
        with pytest.raises(ServiceRefused) as refused:
            await client(link, management(7, SERIAL), first_counter=1).associate()
        assert refused.value.counter is not None
        await client(link, management(7, SERIAL), refused.value.counter).associate()

    asyncio.run(story())


@pytest.mark.parametrize("max_apdu", [128, 250, 1021])
def test_long_values_both_ways(server: MeterServer, time: Any, max_apdu: int) -> None:
    time.now += 4 * 86400
    days = [
        (STRUCTURE, [(LONG_UNSIGNED, n), (OCTET_STRING, b"\xff\xff\x01\x01\xff"), (UNSIGNED, 1)])
        for n in range(90)
    ]
    actions = [device.write_action(1, device.ALARM_FILTER, 2, (DOUBLE_LONG_UNSIGNED, 9))] * 30

    async def story() -> None:
        manager = client(MemoryLink(server, MANAGEMENT, max_apdu), management(7, SERIAL))
        await manager.associate()
        rows = axdr.decode(await manager.get(7, PROFILE, 2))
        assert rows == server.meter.read(7, device.LOAD_PROFILE, 2)
        assert len(rows[1]) == 96
        table = obis.parse(device.SPECIAL_DAYS)
        await manager.set(11, table, 2, data((ARRAY, days)))
        assert axdr.decode(await manager.get(11, table, 2)) == (ARRAY, days)
        several = await manager.get_list(
            [(1, NAME, 2, None), (7, PROFILE, 2, None), (1, NAME, 9, None)]
        )
        assert [result for result, _ in several] == [0, 0, 4]
        assert axdr.decode(several[1][1] or b"") == rows
        scripts = obis.parse(device.SCRIPTS)
        await manager.set(9, scripts, 2, data((ARRAY, [device.script(5, *actions)])))
        block = bytes(200)
        size = (DOUBLE_LONG_UNSIGNED, 200)
        image = obis.parse(device.IMAGE)
        await manager.action(18, image, 1, data((STRUCTURE, [(OCTET_STRING, b"image"), size])))
        numbered = [(DOUBLE_LONG_UNSIGNED, 0), (OCTET_STRING, block)]
        await manager.action(18, image, 2, data((STRUCTURE, numbered)))

    asyncio.run(story())
    assert server.meter.log.count("set", 11, device.SPECIAL_DAYS, 2) == 1
    assert server.meter.log.count("action", 18, device.IMAGE, 2) == 1


def test_profile_by_entry(server: MeterServer, time: Any) -> None:
    time.now += 4 * 3600

    async def story() -> None:
        manager = client(MemoryLink(server, MANAGEMENT), management(7, SERIAL))
        await manager.associate()
        columns = [(LONG_UNSIGNED, 1), (LONG_UNSIGNED, 0)]
        entries = [(DOUBLE_LONG_UNSIGNED, 1), (DOUBLE_LONG_UNSIGNED, 2), *columns]
        rows = await manager.get(7, PROFILE, 2, (2, data((STRUCTURE, entries))))
        assert len(axdr.decode(rows)[1]) == 2
        with pytest.raises(AccessRefused):
            await manager.get(1, ALARMS, 2, (2, data((STRUCTURE, entries))))

    asyncio.run(story())


def test_a_lost_answer_is_given_again_without_a_second_effect(server: MeterServer) -> None:
    async def story() -> None:
        link = MemoryLink(server, MANAGEMENT)
        manager = client(link, management(7, SERIAL))
        await manager.associate()
        server.meter.faults.lose_answers = 1
        await manager.set(1, ALARMS, 2, data((DOUBLE_LONG_UNSIGNED, 1)))
        server.meter.faults.lose_answers = 1
        with pytest.raises(NoAnswer):
            await manager.action(9, obis.parse(device.SCRIPTS), 1, data((LONG_UNSIGNED, 2)))
        await manager.set(1, ALARMS, 2, data((DOUBLE_LONG_UNSIGNED, 1)))

    asyncio.run(story())
    assert server.meter.log.count("set", 1, device.ALARM_FILTER, 2) == 2
    assert server.meter.log.count("action", 9, device.SCRIPTS, 1) == 1


def test_duplicated_frames_have_one_effect(server: MeterServer) -> None:
    async def story() -> None:
        link = MemoryLink(server, MANAGEMENT)
        manager = client(link, management(7, SERIAL))
        await manager.associate()
        link.repeat = True
        for value in range(3):
            await manager.set(1, ALARMS, 2, data((DOUBLE_LONG_UNSIGNED, value)))
            await manager.action(9, obis.parse(device.SCRIPTS), 1, data((LONG_UNSIGNED, 1)))

    asyncio.run(story())
    assert server.meter.log.count("set", 1, device.ALARM_FILTER, 2) == 3
    assert server.meter.log.count("action", 9, device.SCRIPTS, 1) == 3


def test_faults(server: MeterServer) -> None:
    faults = server.meter.faults

    async def story() -> None:
        manager = client(MemoryLink(server, MANAGEMENT), management(7, SERIAL))
        faults.dead = True
        with pytest.raises(NoAnswer):
            await manager.associate()
        faults.dead = False
        await manager.associate()
        faults.refuse_write = (1, device.ALARM_FILTER, 2)
        with pytest.raises(AccessRefused) as refused:
            await manager.set(1, ALARMS, 2, data((DOUBLE_LONG_UNSIGNED, 1)))
        assert refused.value.result == "read-write-denied"
        faults.refuse_write = None
        await manager.set(1, ALARMS, 2, data((DOUBLE_LONG_UNSIGNED, 1)))
        server.lose_state()
        with pytest.raises(ServiceRefused):
            await manager.get(1, ALARMS, 2)
        await manager.associate()
        assert axdr.decode(await manager.get(1, ALARMS, 2)) == (DOUBLE_LONG_UNSIGNED, 0)
        faults.wrong_counter = True
        with pytest.raises(NoAnswer):
            await manager.get(1, ALARMS, 2)
        with pytest.raises((NoAnswer, SecurityFailed)):
            await manager.associate()

    asyncio.run(story())


@pytest.mark.parametrize(
    "raw",
    [b"\x00", b"\x60", b"\x60\x01", b"\xc0", b"\xc0\x01\x41", b"\xc8\x05\x30", bytes(700), b"\x62"],
)
def test_garbage_is_answered_by_an_exception(server: MeterServer, raw: bytes) -> None:
    for sap in (PUBLIC, MANAGEMENT, 77):
        answer = server.handle(sap, 1, raw)
        assert answer is not None
        assert answer[0] in (apdu.EXCEPTION_RESPONSE, acse.AARE)
    assert server.handle(PUBLIC, 2, raw) is None


def test_garbage_within_an_association(server: MeterServer) -> None:
    initiate = acse.InitiateRequest(0xFFFFFF, 500).encode()
    server.handle(PUBLIC, 1, acse.Aarq(acse.LN, initiate).encode())
    whole = apdu.SetRequest(0x41, 1, ALARMS, 2, None, b"\x06\x00\x00\x00\x01").encode()
    for size in range(1, len(whole)):
        answer = server.handle(PUBLIC, 1, whole[:size])
        assert answer is not None
    assert server.handle(PUBLIC, 1, b"\x62\x00") is not None


def test_conformance_is_negotiated(server: MeterServer) -> None:
    initiate = acse.InitiateRequest(acse.GET | acse.EVENT_NOTIFICATION, 500).encode()
    answer = server.handle(PUBLIC, 1, acse.Aarq(acse.LN, initiate).encode()) or b""
    agreed = acse.InitiateResponse.decode(acse.Aare.decode(answer).user_information)
    assert agreed.conformance == acse.GET
    assert agreed.max_pdu == server.max_pdu
    request = apdu.SetRequest(0x41, 1, ALARMS, 2, None, b"\x00").encode()
    refusal = apdu.decode(server.handle(PUBLIC, 1, request) or b"")
    assert refusal.service_name() == "service-not-supported"
    none = acse.InitiateRequest(acse.SET, 500).encode()
    answer = server.handle(PUBLIC, 1, acse.Aarq(acse.LN, none).encode()) or b""
    error = apdu.decode(acse.Aare.decode(answer).user_information)
    assert error.error_name() == "initiate/incompatible-conformance"


def test_tcp(server: MeterServer) -> None:
    async def story() -> None:
        tcp = MeterTcp(server)
        port = await tcp.start(0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        initiate = acse.InitiateRequest(0xFFFFFF, 500).encode()
        aarq = wrap(PUBLIC, 1, acse.Aarq(acse.LN, initiate).encode())
        get = wrap(PUBLIC, 1, apdu.GetRequest(1, 1, NAME, 2).encode())
        writer.write(aarq[:5])
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(aarq[5:] + get)
        cutter = Unwrapper()
        answers: list[tuple[int, int, bytes]] = []
        while len(answers) < 2:
            answers += cutter.feed(await reader.read(4096))
        assert [row[:2] for row in answers] == [(1, PUBLIC), (1, PUBLIC)]
        assert apdu.decode(answers[1][2]).data == data((OCTET_STRING, SERIAL.encode()))
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.read() == b""
        await tcp.stop()

    asyncio.run(story())


def test_a_slow_meter_answers_later(server: MeterServer) -> None:
    server.meter.faults.slow_ms = 200

    async def story() -> None:
        tcp = MeterTcp(server)
        reader, writer = await asyncio.open_connection("127.0.0.1", await tcp.start(0))
        initiate = acse.InitiateRequest(0xFFFFFF, 500).encode()
        loop = asyncio.get_running_loop()
        before = loop.time()
        writer.write(wrap(PUBLIC, 1, acse.Aarq(acse.LN, initiate).encode()))
        assert await reader.read(4096)
        assert loop.time() - before >= 0.2
        writer.close()
        await tcp.stop()

    asyncio.run(story())


def test_new_keys_hold_from_the_next_request_on(server: MeterServer) -> None:
    from cryptography.hazmat.primitives.keywrap import aes_key_wrap

    old = device.derive_test_keys(7, SERIAL)
    wrapped = aes_key_wrap(old.master, b"\x42" * 16)
    transfer = (STRUCTURE, [(axdr.ENUM, 0), (OCTET_STRING, wrapped)])
    keys = Keys(TITLE, b"\x42" * 16, old.ak)
    fresh = Association(MANAGEMENT, authentication=HIGH_GMAC, keys=keys)

    async def story() -> None:
        link = MemoryLink(server, MANAGEMENT)
        manager = client(link, management(7, SERIAL), first_counter=1000)
        await manager.associate()
        await manager.action(64, obis.parse(device.SECURITY), 2, data((ARRAY, [transfer])))
        with pytest.raises(AssociationRefused):
            await client(link, management(7, SERIAL), first_counter=2000).associate()
        await client(link, fresh, first_counter=1).associate()

    asyncio.run(story())


def test_blocks_out_of_order_end_the_transfer() -> None:
    server = MeterServer(device.build_meter(SERIAL, password=b"12345678"))
    initiate = acse.InitiateRequest(0xFFFFFF, 100).encode()
    aarq = acse.Aarq(acse.LN, initiate, b"", LOW, b"12345678").encode()
    server.handle(MANAGEMENT, 1, aarq)

    def ask(request: Any) -> Any:
        return apdu.decode(server.handle(MANAGEMENT, 1, request.encode()) or b"")

    assert ask(apdu.GetNext(1, 1)).result == 16  # no-long-get-in-progress
    first = ask(apdu.GetRequest(1, 9, obis.parse(device.SCRIPTS), 2))
    assert (first.block, first.last) == (1, False)
    second = ask(apdu.GetNext(1, 1))
    assert second.block == 2
    assert ask(apdu.GetNext(1, 1)).data == second.data  # the answer was lost: again
    assert ask(apdu.GetNext(1, 7)).result == 19  # data-block-number-invalid
    assert ask(apdu.GetNext(1, 2)).result == 16
    assert ask(apdu.SetBlock(2, False, 2, b"x")).result == 18  # no-long-set-in-progress
    head = apdu.SetFirstBlock(3, 1, ALARMS, 2, None, False, 1, b"\x06\x00")
    assert ask(head).block == 1
    assert ask(apdu.SetBlock(3, True, 3, b"\x00\x00\x05")).result == 19
    assert ask(apdu.SetBlock(4, True, 2, b"\x00\x00\x05")).result == 18
    assert server.meter.read(1, device.ALARM_FILTER, 2)[1] == 0
    assert ask(apdu.SetFirstBlock(5, 1, ALARMS, 2, None, False, 1, b"\x06\x00")).block == 1
    done = ask(apdu.SetBlock(5, True, 2, b"\x00\x00\x05"))
    assert (done.result, done.block) == (0, 2)
    assert server.meter.read(1, device.ALARM_FILTER, 2)[1] == 5
