"""The client against a scripted link: what a real path and a real meter do to it.

`Script` is a Link. Each frame the client sends is given to the next step of the script, which says
what comes back: a list of frames (none: lost). `Meter` holds the meter's side of a ciphered
association.
"""

from __future__ import annotations

import asyncio
import sys

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client.client import HIGH_GMAC, LOW, NONE, PROPOSED, Association, Client
from gateway.dlms.data import axdr
from gateway.dlms.errors import (
    AccessRefused,
    ActionRefused,
    AssociationRefused,
    NoAnswer,
    NotSupported,
    ProtocolError,
    SecurityFailed,
    ServiceRefused,
)
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.security import Ciphering
from hal.sim.clock import ManualClock
from tests.portable.support import random_bytes, run

if sys.implementation.name == "micropython":
    from hal.micropython.crypto import SystemCrypto
else:
    from hal.cpython.crypto import SystemCrypto

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    Step = Callable[[bytes], list[bytes]]

CALENDAR = b"\x00\x00\x0d\x00\x00\xff"
DATA = b"\x12\x03\x84"
LONG = axdr.encode((axdr.OCTET_STRING, random_bytes(1, 600)))
EK, AK = bytes(range(16)), bytes(range(0xD0, 0xE0))
CLIENT_TITLE, METER_TITLE = b"AMI\x00\x00\x00\x00\x01", b"MTR\x00\x00\x00\x00\x09"
CRYPTO = SystemCrypto()
TIMEOUT = 1000


class Script:
    """See above. Time passes only while the client waits for nothing."""

    def __init__(self, max_apdu: int = 1024) -> None:
        self.max_apdu = max_apdu
        self.clock = ManualClock()
        self.steps: list[Step] = []
        self.sent: list[bytes] = []
        self.closed = 0
        self._arrived: list[bytes] = []

    def then(self, *answers: Any) -> None:
        """The next frame is answered by these: APDUs, bytes, or one function of the frame."""
        if len(answers) == 1 and callable(answers[0]):
            self.steps.append(answers[0])
            return
        frames = [a if isinstance(a, bytes) else a.encode() for a in answers]
        self.steps.append(lambda sent: frames)

    async def send(self, frame: bytes | memoryview) -> None:
        assert len(frame) <= self.max_apdu, "the client sent more than the path carries"
        if frame[0] == acse.RLRQ and not self.steps:
            self.closed += 1  # the client closes the association by itself
            return
        self.sent.append(bytes(frame))
        assert self.steps, "the script is over; sent: " + bytes(frame).hex()
        self._arrived += self.steps.pop(0)(bytes(frame))

    async def receive(self, timeout_ms: int) -> bytes:
        assert 0 < timeout_ms <= TIMEOUT
        if self._arrived:
            self.clock.advance(1)
            return self._arrived.pop(0)
        self.clock.advance(timeout_ms)
        raise asyncio.TimeoutError

    async def close(self) -> None:
        pass


def counting(start: int) -> Callable[[], int]:
    count = [start - 1]

    def following() -> int:
        count[0] += 1
        return count[0]

    return following


# what most meters grant
CLASSIC = PROPOSED & ~(acse.GENERAL_BLOCK_TRANSFER | acse.ACCESS | acse.GENERAL_PROTECTION)


def aare(conformance: int = CLASSIC, max_pdu: int = 0) -> acse.Aare:
    return acse.Aare(1, 0, (1, 0), acse.InitiateResponse(conformance, max_pdu).encode())


def client(link: Script, association: Association | None = None, **settings: int) -> Client:
    return Client(
        link,
        link.clock,
        CRYPTO,
        association or Association(16),
        counting(1),
        TIMEOUT,
        settings.get("tries", 3),
        settings.get("max_value", 65536),
        settings.get("window", 1),
        pause_ms=settings.get("pause_ms", 0),
    )


def open_client(link: Script, answer: acse.Aare | None = None, **settings: int) -> Client:
    """A client with a plain association; the script is empty again."""
    link.then(answer or aare())
    made = client(link, None, **settings)
    run(made.associate())
    assert not link.steps
    link.sent.clear()
    return made


def fails(kind: type[Exception], awaitable: Awaitable[object]) -> Any:
    async def attempt() -> Any:
        try:
            result = await awaitable
        except kind as error:
            return error
        raise AssertionError("expected %s, got %r" % (kind.__name__, result))

    return run(attempt())


def invoke_of(frame: bytes) -> int:
    return frame[2]


# ---------------------------------------------------------------- plain association


def test_aarq_proposes_what_the_client_can_do() -> None:
    link = Script(300)
    link.then(aare())
    run(client(link).associate())
    sent = apdu.decode(link.sent[0])
    assert (sent.context, sent.mechanism, sent.title) == (acse.LN, NONE, b"")
    proposed = acse.InitiateRequest.decode(sent.user_information)
    assert proposed.conformance == PROPOSED == 0x601EDF
    assert proposed.max_pdu == 300


def test_low_level_security_sends_the_password_and_hides_it() -> None:
    link = Script()
    link.then(acse.Aare(1, 1, (1, 13), b""))
    association = Association(16, 1, LOW, b"tops3cret")
    error = fails(AssociationRefused, client(link, association).associate())
    assert apdu.decode(link.sent[0]).value == b"tops3cret"
    assert error.diagnostic == "authentication-failure"
    assert "tops3cret" not in str(error) + repr(association)


def test_refused_association_names_the_initiate_error() -> None:
    link = Script()
    link.then(acse.Aare(1, 1, (1, 1), apdu.ConfirmedServiceError(1, 6, 3).encode()))
    error = fails(AssociationRefused, client(link).associate())
    assert "no-reason-given (initiate/pdu-size-too-short)" in str(error)
    assert len(link.sent) == 1


def test_aarq_is_sent_again_when_lost() -> None:
    link = Script()
    link.then()
    link.then()
    link.then(aare())
    run(client(link).associate())
    assert len(link.sent) == 3
    link = Script()
    for _ in range(3):
        link.then()
    fails(NoAnswer, client(link).associate())


def test_exception_response_to_aarq() -> None:
    link = Script()
    link.then(apdu.ExceptionResponse(1, 1))
    error = fails(ServiceRefused, client(link).associate())
    assert (error.state, error.service) == ("service-not-allowed", "operation-not-possible")


def test_another_application_context_is_refused() -> None:
    link = Script()
    link.then(acse.Aare(acse.SN, 0, (1, 0), acse.InitiateResponse(PROPOSED, 0).encode()))
    fails(ProtocolError, client(link).associate())


def test_nothing_works_without_association_or_after_release() -> None:
    link = Script()
    fails(NotSupported, client(link).get(1, CALENDAR, 2))
    made = open_client(link)
    link.then(acse.Rlre())
    run(made.release())
    assert link.sent[0] == acse.Rlrq().encode()
    fails(NotSupported, made.get(1, CALENDAR, 2))


def test_release_without_answer_is_over_all_the_same() -> None:
    link = Script()
    made = open_client(link)
    link.then()
    run(made.release())
    assert made.conformance == 0


def test_negotiated_conformance_is_obeyed() -> None:
    link = Script(64)
    made = open_client(link, aare(acse.GET | acse.SET | acse.ACTION))
    fails(NotSupported, made.get(7, CALENDAR, 2, (1, DATA)))
    error = fails(NotSupported, made.set(20, CALENDAR, 7, LONG))
    assert "block transfer with SET" in str(error)
    error = fails(NotSupported, made.action(20, CALENDAR, 1, LONG))
    assert "block transfer with ACTION" in str(error)
    assert not link.sent
    made = open_client(link, aare(acse.GET))
    fails(NotSupported, made.set(20, CALENDAR, 7, DATA))
    fails(NotSupported, made.action(20, CALENDAR, 1, DATA))
    assert not link.sent


# ---------------------------------------------------------------- GET


def test_get() -> None:
    link = Script()
    made = open_client(link)
    link.then(lambda sent: [apdu.GetResponse(invoke_of(sent), 0, DATA).encode()])
    assert run(made.get(20, CALENDAR, 2)) == DATA
    assert link.sent[0].hex() == "c0014100" + "1400000d0000ff0200"


def test_get_refused_says_what_and_why() -> None:
    link = Script()
    made = open_client(link)
    link.then(lambda sent: [apdu.GetResponse(invoke_of(sent), 3, None).encode()])
    error = fails(AccessRefused, made.get(20, CALENDAR, 7))
    assert error.result == "read-write-denied"
    assert "activity_calendar.season_profile_passive of 0.0.13.0.0.255" in error.object
    assert "read-write-denied" in str(error)


def test_lost_answers_are_asked_for_again_with_the_same_invoke_id() -> None:
    link = Script()
    made = open_client(link)
    link.then()
    link.then()
    link.then(lambda sent: [apdu.GetResponse(invoke_of(sent), 0, DATA).encode()])
    assert run(made.get(20, CALENDAR, 2)) == DATA
    assert link.sent[0] == link.sent[1] == link.sent[2]
    for _ in range(3):
        link.then()
    error = fails(NoAnswer, made.get(20, CALENDAR, 2))
    assert "sent 3 times" in str(error)


def test_late_and_double_answers_are_dropped() -> None:
    link = Script()
    made = open_client(link)
    link.then(lambda sent: [apdu.GetResponse(invoke_of(sent), 0, b"\x11\x01").encode()] * 2)
    assert run(made.get(20, CALENDAR, 2)) == b"\x11\x01"
    # its double is still in the air when the next answer comes; so is an AARE sent twice
    link.then(lambda sent: [aare().encode(), apdu.GetResponse(invoke_of(sent), 0, DATA).encode()])
    assert run(made.get(20, CALENDAR, 2)) == DATA


def test_wrong_invoke_id_is_never_taken_for_the_answer() -> None:
    link = Script()
    made = open_client(link, tries=1)
    link.then(lambda sent: [apdu.GetResponse(invoke_of(sent) ^ 1, 0, DATA).encode()])
    fails(NoAnswer, made.get(20, CALENDAR, 2))


def test_an_endless_stream_of_late_answers_does_not_hold_the_client() -> None:
    link = Script()
    made = open_client(link, tries=1)
    link.then(lambda sent: [apdu.GetResponse(invoke_of(sent) ^ 1, 0, DATA).encode()] * 5000)
    before = link.clock.ticks_ms()
    fails(NoAnswer, made.get(20, CALENDAR, 2))
    assert link.clock.ticks_ms() - before == TIMEOUT


def test_an_answer_to_another_service_is_a_protocol_error() -> None:
    link = Script()
    made = open_client(link)
    link.then(lambda sent: [apdu.SetResponse(invoke_of(sent), 0).encode()])
    fails(ProtocolError, made.get(20, CALENDAR, 2))


def test_garbage_is_a_protocol_error_and_the_next_request_works() -> None:
    link = Script()
    made = open_client(link)
    for garbage in (b"", b"\xc4", b"\xc4\x01\x41", b"\xff\xff\xff\xff", b"\xc4\x02\x41\x00\x00"):
        link.then(garbage)
        error = fails(ProtocolError, made.get(20, CALENDAR, 2))
        assert "GET activity_calendar" in str(error)
        # the association is closed, and the next one can start
        assert link.closed == 1 and made.conformance == 0
        fails(NotSupported, made.get(20, CALENDAR, 2))
        link.closed = 0
        link.then(aare())
        run(made.associate())
    link.then(lambda sent: [apdu.GetResponse(invoke_of(sent), 0, DATA).encode()])
    assert run(made.get(20, CALENDAR, 2)) == DATA


def test_exception_response_and_confirmed_service_error() -> None:
    link = Script()
    made = open_client(link)
    link.then(apdu.ExceptionResponse(2, 2))
    error = fails(ServiceRefused, made.get(20, CALENDAR, 2))
    assert (error.state, error.service) == ("service-unknown", "service-not-supported")
    assert len(link.sent) == 1
    for _ in range(3):
        link.then(apdu.ExceptionResponse(1, 6, 77))
    error = fails(ServiceRefused, made.get(20, CALENDAR, 2))
    assert (error.service, error.counter) == ("invocation-counter-error", 77)
    link.then(apdu.ConfirmedServiceError(1, 6, 4))
    error = fails(ServiceRefused, made.get(20, CALENDAR, 2))
    assert "refused-by-the-VDE-handler" in str(error)


def blocks_of(value: bytes, size: int, sent: bytes, number: int) -> bytes:
    """The meter's block `number` of `value`."""
    part = value[(number - 1) * size : number * size]
    last = number * size >= len(value)
    return apdu.GetBlock(invoke_of(sent), last, number, 0, part).encode()


def test_get_with_blocks() -> None:
    link = Script()
    made = open_client(link)
    link.then(lambda sent: [blocks_of(LONG, 250, sent, 1)])
    link.then(lambda sent: [blocks_of(LONG, 250, sent, 2)])
    link.then(lambda sent: [blocks_of(LONG, 250, sent, 3)])
    assert run(made.get(20, CALENDAR, 2)) == LONG
    asked = [apdu.decode(frame) for frame in link.sent[1:]]
    assert [question.block for question in asked] == [1, 2]


def test_get_with_lost_and_double_blocks() -> None:
    link = Script()
    made = open_client(link)
    link.then(lambda sent: [blocks_of(LONG, 250, sent, 1)] * 2)
    link.then()  # the answer to "next after 1" is lost: asked again
    link.then(lambda sent: [blocks_of(LONG, 250, sent, 2)] * 3)
    link.then(lambda sent: [blocks_of(LONG, 250, sent, 2), blocks_of(LONG, 250, sent, 3)])
    assert run(made.get(20, CALENDAR, 2)) == LONG


def test_get_starts_over_when_the_meter_lost_the_thread() -> None:
    link = Script()
    made = open_client(link)
    link.then(lambda sent: [blocks_of(LONG, 250, sent, 1)])
    # numbered like the block that was acknowledged, as some meters do
    link.then(lambda sent: [apdu.GetBlock(invoke_of(sent), True, 1, 19, b"").encode()])
    link.then(lambda sent: [blocks_of(LONG, 400, sent, 1)])
    link.then(lambda sent: [blocks_of(LONG, 400, sent, 2)])
    assert run(made.get(20, CALENDAR, 2)) == LONG
    for _ in range(3):
        link.then(lambda sent: [blocks_of(LONG, 250, sent, 1)])
        link.then(lambda sent: [apdu.GetResponse(invoke_of(sent), 15, None).encode()])
    assert fails(AccessRefused, made.get(20, CALENDAR, 2)).result == "long-get-aborted"


def test_get_refuses_blocks_that_do_not_follow() -> None:
    link = Script()
    made = open_client(link)
    link.then(lambda sent: [blocks_of(LONG, 250, sent, 2)])
    fails(ProtocolError, made.get(20, CALENDAR, 2))
    made = open_client(link)
    link.then(lambda sent: [apdu.GetBlock(invoke_of(sent), False, 1, 0, b"").encode()])
    fails(ProtocolError, made.get(20, CALENDAR, 2))


def test_get_never_grows_beyond_its_limit() -> None:
    link = Script()
    made = open_client(link, max_value=500)
    link.then(lambda sent: [blocks_of(LONG, 250, sent, 1)])
    link.then(lambda sent: [blocks_of(LONG, 250, sent, 2)])
    link.then(lambda sent: [blocks_of(LONG, 250, sent, 3)])
    error = fails(ProtocolError, made.get(20, CALENDAR, 2))
    assert "500" in str(error)


def test_get_list_whole_and_in_blocks() -> None:
    link = Script()
    made = open_client(link)
    items = [(20, CALENDAR, 2, None), (20, CALENDAR, 3, None)]
    expected = [(0, LONG), (4, None)]
    link.then(lambda sent: [apdu.GetListResponse(invoke_of(sent), expected).encode()])
    assert run(made.get_list(items)) == expected
    joined = b"\x02\x00" + LONG + b"\x01\x04"
    link.then(lambda sent: [blocks_of(joined, 400, sent, 1)])
    link.then(lambda sent: [blocks_of(joined, 400, sent, 2)])
    assert run(made.get_list(items)) == expected
    link.then(lambda sent: [apdu.GetListResponse(invoke_of(sent), expected[:1]).encode()])
    for result, data in expected:  # one by one: what it says to lists cannot be relied on
        link.then(lambda sent, r=result, d=data: [apdu.GetResponse(invoke_of(sent), r, d).encode()])
    assert run(made.get_list(items)) == expected


# ---------------------------------------------------------------- SET


def test_set() -> None:
    link = Script()
    made = open_client(link)
    link.then(lambda sent: [apdu.SetResponse(invoke_of(sent), 0).encode()])
    run(made.set(20, CALENDAR, 7, DATA))
    assert apdu.decode(link.sent[0]).data == DATA
    link.then(lambda sent: [apdu.SetResponse(invoke_of(sent), 12).encode()])
    assert fails(AccessRefused, made.set(20, CALENDAR, 7, DATA)).result == "type-unmatched"


def test_set_uses_blocks_when_meter_or_path_is_small() -> None:
    head = len(apdu.SetRequest(0, 20, CALENDAR, 7, None, b"").encode())
    for max_apdu, max_pdu in ((200, 0), (1024, 200), (200, 1024), (150, 60)):
        link = Script(max_apdu)
        made = open_client(link, aare(CLASSIC, max_pdu))
        limit = min(max_apdu, max_pdu or max_apdu)
        link.then(lambda sent: [apdu.SetResponse(invoke_of(sent), 0).encode()])
        run(made.set(20, CALENDAR, 7, bytes(limit - head)))  # just fits
        link.sent.clear()
        written = bytearray()
        for _ in range(100):
            link.then(lambda sent, written=written: take_set_block(sent, written))
        run(made.set(20, CALENDAR, 7, LONG))
        assert written == LONG
        assert max([len(frame) for frame in link.sent]) <= limit
        assert len(link.sent[0]) >= limit - 1  # and no smaller than need be


def take_set_block(sent: bytes, written: bytearray) -> list[bytes]:
    block = apdu.decode(sent)
    written += block.data
    if block.last:
        return [apdu.SetLastAck(block.invoke, 0, block.block).encode()]
    return [apdu.SetBlockAck(block.invoke, block.block).encode()]


def test_a_list_set_in_blocks() -> None:
    link = Script(150)
    made = open_client(link)
    value = axdr.encode((axdr.OCTET_STRING, random_bytes(3, 90)))
    items = [((20, CALENDAR, attribute, None), value) for attribute in (7, 9, 10)]
    written = bytearray()

    def take(sent: bytes) -> list[bytes]:
        block = apdu.decode(sent)
        if not isinstance(block, apdu.SetListFirstBlock):
            assert isinstance(block, apdu.SetBlock)
        else:
            assert (block.items, block.last, block.block) == ([i[0] for i in items], False, 1)
        written.extend(block.data)
        if block.last:
            return [apdu.SetLastListAck(block.invoke, [0, 3, 0], block.block).encode()]
        return [apdu.SetBlockAck(block.invoke, block.block).encode()]

    for _ in range(3):
        link.then(take)
    assert run(made.set_list(items)) == [0, 3, 0]
    assert isinstance(apdu.decode(link.sent[0]), apdu.SetListFirstBlock)
    assert written == apdu.values_of([value] * 3)


def test_an_unconfirmed_action_is_sent_once_and_not_waited_for() -> None:
    link = Script()
    made = open_client(link)
    link.then()
    assert run(made.action(20, CALENDAR, 1, DATA, False)) is None
    (sent,) = link.sent
    request = apdu.decode(sent)
    assert isinstance(request, apdu.ActionRequest) and request.invoke & 0x40 == 0
    assert (request.class_id, request.obis, request.method) == (20, CALENDAR, 1)
    assert request.data == DATA


def test_set_with_a_value_one_byte_too_long_for_one_apdu() -> None:
    head = len(apdu.SetRequest(0, 20, CALENDAR, 7, None, b"").encode())
    link = Script(64)
    made = open_client(link)
    written = bytearray()
    link.then(lambda sent: take_set_block(sent, written))
    link.then(lambda sent: take_set_block(sent, written))
    run(made.set(20, CALENDAR, 7, bytes(64 - head + 1)))
    assert written == bytes(64 - head + 1)
    assert isinstance(apdu.decode(link.sent[0]), apdu.SetFirstBlock)


def test_set_blocks_with_loss_doubles_and_refusal() -> None:
    link = Script(250)
    made = open_client(link)
    ack = lambda n: lambda sent: [apdu.SetBlockAck(invoke_of(sent), n).encode()]  # noqa: E731
    link.then(lambda sent: [apdu.SetBlockAck(invoke_of(sent), 1).encode()] * 2)
    link.then()
    link.then(ack(2))
    link.then(lambda sent: [apdu.SetLastAck(invoke_of(sent), 3, 3).encode()])
    error = fails(AccessRefused, made.set(20, CALENDAR, 7, LONG))
    assert error.result == "read-write-denied"
    assert link.sent[1] == link.sent[2]
    link.then(lambda sent: [apdu.SetResponse(invoke_of(sent), 4).encode()])
    error = fails(AccessRefused, made.set(20, CALENDAR, 7, LONG))
    assert error.result == "object-undefined"
    link.then(lambda sent: [apdu.SetResponse(invoke_of(sent), 0).encode()])
    fails(ProtocolError, made.set(20, CALENDAR, 7, LONG))
    made = open_client(link)
    link.then(ack(5))
    fails(ProtocolError, made.set(20, CALENDAR, 7, LONG))


def test_set_starts_over_when_the_meter_lost_the_thread() -> None:
    link = Script(350)
    made = open_client(link)
    written = bytearray()
    link.then(lambda sent: [apdu.SetBlockAck(invoke_of(sent), 1).encode()])
    link.then(lambda sent: [apdu.SetResponse(invoke_of(sent), 17).encode()])
    link.then(lambda sent: [apdu.SetLastAck(invoke_of(sent), 18, 1).encode()])
    link.then(lambda sent: take_set_block(sent, written))
    link.then(lambda sent: take_set_block(sent, written))
    run(made.set(20, CALENDAR, 7, LONG))
    assert written == LONG


# ---------------------------------------------------------------- ACTION


def test_action_with_and_without_data() -> None:
    link = Script()
    made = open_client(link)
    link.then(lambda sent: [apdu.ActionResponse(invoke_of(sent), 0).encode()])
    assert run(made.action(20, CALENDAR, 1, DATA)) is None
    link.then(lambda sent: [apdu.ActionResponse(invoke_of(sent), 0, DATA).encode()])
    assert run(made.action(20, CALENDAR, 1, None)) == DATA
    link.then(lambda sent: [apdu.ActionResponse(invoke_of(sent), 1).encode()])
    error = fails(ActionRefused, made.action(20, CALENDAR, 1, DATA))
    assert error.result == "hardware-fault"
    assert "activity_calendar.activate_passive_calendar" in error.object
    link.then(lambda sent: [apdu.ActionResponse(invoke_of(sent), 0, None, 3).encode()])
    assert "read-write-denied" in str(fails(ActionRefused, made.action(20, CALENDAR, 1, None)))


def test_a_method_is_never_invoked_twice() -> None:
    link = Script()
    made = open_client(link)
    link.then()
    fails(NoAnswer, made.action(20, CALENDAR, 1, DATA))
    assert len(link.sent) == 1


def test_action_with_blocks_both_ways() -> None:
    link = Script(250)
    made = open_client(link)
    taken = bytearray()
    returned = b"\x00" + LONG  # Get-Data-Result: data

    def take(sent: bytes) -> list[bytes]:
        block = apdu.decode(sent)
        taken.extend(block.data)
        return [apdu.ActionBlockAck(block.invoke, block.block).encode()] * 2

    def finish(sent: bytes) -> list[bytes]:
        taken.extend(apdu.decode(sent).data)
        first = apdu.ActionResponseBlock(invoke_of(sent), False, 1, returned[:300])
        return [first.encode()]

    def more(sent: bytes) -> list[bytes]:
        assert apdu.decode(sent).block == 1
        return [apdu.ActionResponseBlock(invoke_of(sent), True, 2, returned[300:]).encode()]

    link.then(take)
    link.then(take)
    link.then(finish)
    link.then()  # lost: asking for a block again invokes nothing
    link.then(more)
    assert run(made.action(18, CALENDAR, 2, LONG)) == LONG
    assert taken == LONG
    # the last block is what invokes: it goes out once
    link.then(take)
    link.then()
    link.then(take)
    link.then()
    fails(NoAnswer, made.action(18, CALENDAR, 2, LONG))
    assert not link.steps


def test_action_blocks_returning_bare_data() -> None:
    link = Script()
    made = open_client(link)
    link.then(lambda sent: [apdu.ActionResponseBlock(invoke_of(sent), True, 1, LONG).encode()])
    assert run(made.action(18, CALENDAR, 2, None)) == LONG


def test_cancelling_a_request_leaves_the_client_usable() -> None:
    link = Script()
    made = open_client(link)

    async def scenario() -> bytes:
        held = asyncio.Event()

        async def wait_forever(timeout_ms: int) -> bytes:
            await held.wait()
            return b""

        receive = link.receive
        link.receive = wait_forever  # type: ignore[method-assign]
        late: list[bytes] = []
        link.then(
            lambda sent: late.append(apdu.GetResponse(invoke_of(sent), 0, b"\x00").encode()) or []
        )
        task = asyncio.create_task(made.get(20, CALENDAR, 2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        try:
            await task
            raise AssertionError("not cancelled")
        except asyncio.CancelledError:
            pass
        link.receive = receive  # type: ignore[method-assign]
        link.then(lambda sent: late + [apdu.GetResponse(invoke_of(sent), 0, DATA).encode()])
        return await made.get(20, CALENDAR, 2)

    assert run(scenario()) == DATA


# ---------------------------------------------------------------- ciphered association


class Meter:
    """The meter's half of an HLS 5 association, one step at a time."""

    def __init__(self, ek: bytes = EK) -> None:
        self.ciphering = Ciphering(CRYPTO, Keys(METER_TITLE, ek, AK), counting(100), CLIENT_TITLE)
        self.challenge = b"the meter's challenge"
        self.their_challenge = b""
        self.max_pdu = 0

    def on_aarq(self, sent: bytes) -> list[bytes]:
        request = apdu.decode(sent)
        assert request.title == CLIENT_TITLE and request.context == acse.LN_CIPHERED
        assert request.mechanism == HIGH_GMAC
        self.their_challenge = request.value
        acse.InitiateRequest.decode(self.ciphering.unprotect(request.user_information))
        initiate = acse.InitiateResponse(CLASSIC, self.max_pdu).encode()
        return [
            acse.Aare(
                acse.LN_CIPHERED,
                0,
                (1, 14),
                self.ciphering.protect(initiate),
                METER_TITLE,
                HIGH_GMAC,
                self.challenge,
            ).encode()
        ]

    def on_reply(self, sent: bytes) -> list[bytes]:
        request = apdu.decode(self.ciphering.unprotect(sent))
        assert (request.class_id, request.method) == (15, 1)
        self.ciphering.check_proof(self.challenge, axdr.decode(request.data)[1])
        proof = axdr.encode((axdr.OCTET_STRING, self.ciphering.proof(self.their_challenge)))
        return [self.ciphering.protect(apdu.ActionResponse(request.invoke, 0, proof).encode())]

    def on_get(self, sent: bytes, data: bytes = DATA) -> list[bytes]:
        request = apdu.decode(self.ciphering.unprotect(sent))
        return [self.ciphering.protect(apdu.GetResponse(request.invoke, 0, data).encode())]

    def on_set(self, sent: bytes, written: bytearray) -> list[bytes]:
        plain = self.ciphering.unprotect(sent)
        return [self.ciphering.protect(take_set_block(plain, written)[0])]


HIGH = Association(1, 1, HIGH_GMAC, b"", Keys(CLIENT_TITLE, EK, AK))


def open_high(link: Script, meter: Meter, **settings: int) -> Client:
    link.then(meter.on_aarq)
    link.then(meter.on_reply)
    made = client(link, HIGH, **settings)
    run(made.associate())
    assert not link.steps
    link.sent.clear()
    return made


def test_high_level_security_and_a_ciphered_get() -> None:
    link, meter = Script(), Meter()
    made = open_high(link, meter)
    link.then(meter.on_get)
    assert run(made.get(20, CALENDAR, 2)) == DATA
    assert link.sent[0][0] == 0xC8
    assert CALENDAR not in link.sent[0]


def test_ciphered_request_sent_again_takes_a_new_counter() -> None:
    link, meter = Script(), Meter()
    made = open_high(link, meter)
    link.then(lambda sent: meter.on_get(sent) and [])  # the meter took it; its answer is lost
    link.then(meter.on_get)
    assert run(made.get(20, CALENDAR, 2)) == DATA
    assert link.sent[0][3:7] < link.sent[1][3:7]


def test_ciphered_set_in_blocks_fits_the_path() -> None:
    link, meter = Script(150), Meter()
    meter.max_pdu = 120
    made = open_high(link, meter)
    written = bytearray()
    for _ in range(20):
        link.then(lambda sent: meter.on_set(sent, written))
    run(made.set(20, CALENDAR, 7, LONG))
    assert written == LONG
    assert 115 <= max([len(frame) for frame in link.sent]) <= 120


def test_replayed_and_double_answers_are_dropped() -> None:
    link, meter = Script(), Meter()
    made = open_high(link, meter, tries=1)
    recorded: list[bytes] = []

    def answer(sent: bytes) -> list[bytes]:
        recorded.extend(meter.on_get(sent))
        return recorded * 2

    link.then(answer)
    assert run(made.get(20, CALENDAR, 2)) == DATA
    for _ in range(16):  # until the invoke-id is that of the recording
        link.then(lambda sent: recorded)
        fails(NoAnswer, made.get(20, CALENDAR, 2))
    link.then(lambda sent: recorded + meter.on_get(sent, b"\x11\x07"))
    assert run(made.get(20, CALENDAR, 2)) == b"\x11\x07"


def test_tampered_answers_are_refused_but_do_not_hide_the_true_one() -> None:
    link, meter = Script(), Meter()
    made = open_high(link, meter)

    def tampered(sent: bytes) -> bytes:
        frame = bytearray(meter.on_get(sent)[0])
        frame[-1] ^= 1
        return bytes(frame)

    link.then(lambda sent: [tampered(sent)])
    link.then()
    link.then()
    error = fails(SecurityFailed, made.get(20, CALENDAR, 2))
    assert "GET activity_calendar" in str(error) and "tag" in str(error)

    def both(sent: bytes) -> list[bytes]:
        true = meter.on_get(sent)
        forged = bytearray(true[0])
        forged[9] ^= 1
        return [bytes(forged)] + true

    link.then(both)
    assert run(made.get(20, CALENDAR, 2)) == DATA


def test_a_complaint_about_an_old_frame_does_not_hide_the_true_answer() -> None:
    link, meter = Script(), Meter()
    made = open_high(link, meter)
    complaint = apdu.ExceptionResponse(1, 6, 5).encode()
    link.then(lambda sent: [complaint] + meter.on_get(sent))
    assert run(made.get(20, CALENDAR, 2)) == DATA


def test_a_counter_too_low_for_the_association_is_told_at_once() -> None:
    link = Script()
    link.then(apdu.ExceptionResponse(1, 6, 77))
    error = fails(ServiceRefused, client(link, HIGH).associate())
    assert error.counter == 77


def test_a_plain_answer_to_a_ciphered_request_is_refused() -> None:
    link, meter = Script(), Meter()
    made = open_high(link, meter)

    def plain(sent: bytes) -> list[bytes]:
        invoke = apdu.decode(meter.ciphering.unprotect(sent)).invoke
        return [apdu.GetResponse(invoke, 0, DATA).encode()]

    for _ in range(3):
        link.then(plain)
    fails(SecurityFailed, made.get(20, CALENDAR, 2))


def test_a_meter_without_our_keys_is_not_believed() -> None:
    # it cannot make the InitiateResponse
    link, meter = Script(), Meter()
    stranger = Ciphering(CRYPTO, Keys(METER_TITLE, AK, EK), counting(1), CLIENT_TITLE)

    def forge(sent: bytes) -> list[bytes]:
        initiate = stranger.protect(acse.InitiateResponse(PROPOSED, 0).encode())
        return [
            acse.Aare(3, 0, (1, 14), initiate, METER_TITLE, HIGH_GMAC, meter.challenge).encode()
        ]

    link.then(forge)
    link.then(forge)  # the first may have been late: asked once more, after silence
    fails(SecurityFailed, client(link, HIGH).associate())


def test_a_recorded_association_is_not_believed() -> None:
    link, meter = Script(), Meter()
    recorded: list[list[bytes]] = []
    link.then(lambda sent: recorded.append(meter.on_aarq(sent)) or recorded[0])
    link.then(lambda sent: recorded.append(meter.on_reply(sent)) or recorded[1])
    run(client(link, HIGH).associate())
    # Another client, without memory of counters: AARE and proof are authentic, but old.
    replay = Script()
    replay.then(lambda sent: recorded[0])
    replay.then(lambda sent: recorded[1])
    fails(SecurityFailed, client(replay, HIGH, tries=1).associate())


def test_a_meter_that_skips_or_mirrors_authentication_is_refused() -> None:
    for mechanism, mirror in ((NONE, False), (LOW, False), (HIGH_GMAC, True)):
        link, meter = Script(), Meter()

        def skip(sent: bytes, mechanism: int = mechanism, mirror: bool = mirror) -> list[bytes]:
            theirs = apdu.decode(sent).value
            answer = apdu.decode(meter.on_aarq(sent)[0])  # noqa: B023
            answer.mechanism = mechanism
            answer.value = theirs if mirror else answer.value
            return [answer.encode()]

        link.then(skip)
        fails(SecurityFailed, client(link, HIGH, tries=1).associate())


def test_answers_that_are_always_late_are_no_verdict_on_the_keys() -> None:
    link, meter = Script(), Meter()
    late: list[bytes] = []

    def one_behind(sent: bytes) -> list[bytes]:
        before = list(late)
        late[:] = meter.on_aarq(sent)
        return before

    def refuse(sent: bytes) -> list[bytes]:
        request = apdu.decode(meter.ciphering.unprotect(sent))
        return [meter.ciphering.protect(apdu.ActionResponse(request.invoke, 3).encode())]

    link.then(one_behind)
    link.then(one_behind)
    link.then(refuse)  # the proof answers the challenge before
    link.then(meter.on_aarq)
    link.then(meter.on_reply)
    run(client(link, HIGH).associate())
    assert not link.steps


def test_a_refused_proof_is_a_refused_association() -> None:
    link, meter = Script(), Meter()

    def refuse(sent: bytes) -> list[bytes]:
        request = apdu.decode(meter.ciphering.unprotect(sent))
        return [meter.ciphering.protect(apdu.ActionResponse(request.invoke, 3).encode())]

    for _ in range(2):  # the first AARE may have been an earlier one's
        link.then(meter.on_aarq)
        link.then(refuse)
    made = client(link, HIGH)
    error = fails(AssociationRefused, made.associate())
    assert error.diagnostic == "authentication-failure"
    link.then(meter.on_aarq)
    link.then(meter.on_reply)
    run(made.associate())  # the next association starts well


def test_a_late_aare_of_an_unanswered_aarq_is_overcome() -> None:
    link, meter = Script(), Meter()
    late: list[bytes] = []
    link.then(lambda sent: late.extend(meter.on_aarq(sent)) or [])
    # Tries two: the old AARE arrives first, with a challenge the meter no longer waits for.
    link.then(lambda sent: meter.on_aarq(sent) and late)

    def refuse(sent: bytes) -> list[bytes]:
        request = apdu.decode(meter.ciphering.unprotect(sent))
        return [meter.ciphering.protect(apdu.ActionResponse(request.invoke, 3).encode())]

    link.then(refuse)
    link.then(meter.on_aarq)
    link.then(meter.on_reply)
    run(client(link, HIGH).associate())
    assert not link.steps


def test_answers_of_an_association_that_is_over_are_dropped() -> None:
    link, meter = Script(), Meter()
    made = open_high(link, meter, tries=1)
    late: list[bytes] = []
    link.then(lambda sent: late.extend(meter.on_get(sent)) or [])
    fails(NoAnswer, made.get(20, CALENDAR, 2))
    link.then(lambda sent: late + [apdu.GetResponse(0x41, 0, DATA).encode()])
    fails(NoAnswer, made.associate())
    link.then(lambda sent: late + meter.on_aarq(sent))
    link.then(meter.on_reply)
    run(made.associate())


def test_release_of_a_ciphered_association_proves_who_asks() -> None:
    link, meter = Script(), Meter()
    made = open_high(link, meter)

    def release(sent: bytes) -> list[bytes]:
        plain = meter.ciphering.unprotect(apdu.decode(sent).user_information)
        assert acse.InitiateRequest.decode(plain).conformance == PROPOSED
        return [acse.Rlre().encode()]

    link.then(release)
    run(made.release())
    assert not link.steps


def test_keys_are_never_shown() -> None:
    assert EK.hex() not in repr(HIGH) and repr(EK) not in repr(HIGH)
