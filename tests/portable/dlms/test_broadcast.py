"""Broadcast and pre-established associations: what is said without an AARQ."""

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client.broadcast import CLIENT, Broadcast
from gateway.dlms.client.client import Association, Client
from gateway.dlms.errors import NoAnswer, NotSupported, SecurityFailed
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.security import Ciphering
from tests.portable.dlms.test_client import (
    AK,
    CLIENT_TITLE,
    CRYPTO,
    DATA,
    EK,
    METER_TITLE,
    TIMEOUT,
    Script,
    counting,
    fails,
    invoke_of,
)
from tests.portable.support import raises, run

IMAGE = b"\x00\x00\x2c\x00\x00\xff"
SHARED = bytes(range(0x20, 0x30))


def test_broadcast_in_clear_is_an_unconfirmed_action() -> None:
    raw = Broadcast(CRYPTO, None, None).action(18, IMAGE, 2, DATA)
    request = apdu.decode(raw)
    assert isinstance(request, apdu.ActionRequest)
    assert request.invoke & 0x40 == 0  # service-class: unconfirmed
    assert (request.class_id, request.obis, request.method, request.data) == (18, IMAGE, 2, DATA)


def test_broadcast_under_the_broadcast_key() -> None:
    keys = Keys(CLIENT_TITLE, EK, AK, broadcast=SHARED)
    sender = Broadcast(CRYPTO, keys, counting(7))
    first, second = [sender.action(18, IMAGE, 2, DATA) for _ in range(2)]
    assert first[0] == 0xCB and first[2:7].hex() == "7000000007"  # key set broadcast, suite 0
    assert second[3:7].hex() == "00000008"
    plain = CRYPTO.aes_gcm(SHARED).decrypt(
        CLIENT_TITLE + first[3:7], first[7:], bytes([0x70]) + AK, 12
    )
    assert apdu.decode(plain).data == DATA
    # a unicast association does not take it
    unicast = Ciphering(CRYPTO, Keys(METER_TITLE, SHARED, AK), counting(1), CLIENT_TITLE)
    raises(SecurityFailed, unicast.unprotect, first)


def test_broadcast_needs_its_key_and_a_counter_that_is_left() -> None:
    raises(ValueError, Broadcast, CRYPTO, Keys(CLIENT_TITLE, EK, AK), counting(1))
    keys = Keys(CLIENT_TITLE, EK, AK, broadcast=SHARED)
    raises(ValueError, Broadcast, CRYPTO, keys, None)
    last = Broadcast(CRYPTO, keys, counting(0xFFFFFFFF))
    last.action(18, IMAGE, 2, DATA)
    raises(SecurityFailed, last.action, 18, IMAGE, 2, DATA)


def _pre_established(link: Script, received: int = -1) -> Client:
    association = Association(CLIENT, 1, keys=Keys(CLIENT_TITLE, EK, AK))
    made = Client(link, link.clock, CRYPTO, association, counting(1), TIMEOUT, 2)
    made.assume(METER_TITLE, acse.GET | acse.ACTION | acse.MULTIPLE_REFERENCES, 512, received)
    return made


def test_pre_established_association_starts_with_the_request() -> None:
    link = Script()
    made = _pre_established(link)
    meter = Ciphering(CRYPTO, Keys(METER_TITLE, EK, AK), counting(41), CLIENT_TITLE, responder=True)

    def answer(frame: bytes) -> list[bytes]:
        invoke = invoke_of(meter.unprotect(frame))
        return [meter.protect(apdu.GetResponse(invoke, 0, DATA).encode())]

    link.then(answer)
    assert run(made.get(1, IMAGE, 2)) == DATA
    assert len(link.sent) == 1 and made.received == 41
    fails(NotSupported, made.set(1, IMAGE, 2, DATA))  # not among the services both sides know
    assert run(made.release()) == "" and len(link.sent) == 1  # there is nothing to release


def test_old_answers_do_not_count_in_a_pre_established_association() -> None:
    link = Script()
    meter = Ciphering(CRYPTO, Keys(METER_TITLE, EK, AK), counting(41), CLIENT_TITLE, responder=True)
    recorded = []

    def answer(frame: bytes) -> list[bytes]:
        invoke = invoke_of(meter.unprotect(frame))
        recorded.append(meter.protect(apdu.GetResponse(invoke, 0, DATA).encode()))
        return recorded[-1:]

    made = _pre_established(link)
    link.then(answer)
    run(made.get(1, IMAGE, 2))
    again = _pre_established(link, made.received)
    link.then(recorded[0])
    link.then(recorded[0])
    fails(NoAnswer, again.get(1, IMAGE, 2))


def test_a_pre_established_association_proves_nothing_by_itself() -> None:
    link = Script()
    keys = Keys(CLIENT_TITLE, EK, AK)
    made = Client(link, link.clock, CRYPTO, Association(1, 1, 5, keys=keys), counting(1))
    raises(ValueError, made.assume, METER_TITLE, acse.GET, 512)
