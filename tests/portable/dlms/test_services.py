"""APDUs of lists, ACCESS, notifications and general blocks; what the client does with them."""

from __future__ import annotations

import asyncio

from gateway.dlms import apdu
from gateway.dlms.apdu import acse, gbt
from gateway.dlms.client.client import PROPOSED
from gateway.dlms.data import axdr, selection
from gateway.dlms.errors import AccessRefused, NoAnswer, ProtocolError, ServiceRefused
from tests.portable.dlms.test_client import (
    CALENDAR,
    CLASSIC,
    DATA,
    LONG,
    Meter,
    Script,
    aare,
    client,
    fails,
    invoke_of,
    open_client,
    open_high,
)
from tests.portable.support import raises, random_bytes, run

NAME = b"\x01\x00\x63\x01\x00\xff"
GENERAL = CLASSIC | acse.GENERAL_BLOCK_TRANSFER
ALL = CLASSIC | acse.ACCESS

# APDU, its bytes by hand from the ASN.1 of the Green Book
KNOWN = [
    (
        apdu.SetListRequest(
            0x41, [(1, NAME, 2, None), (3, NAME, 2, (1, b"\x00"))], [DATA, b"\x00"]
        ),
        "c10441 02 0001010063 0100ff02 00 0003 01006301 00ff 02 01 01 00 02 120384 00",
    ),
    (
        apdu.SetListFirstBlock(0x41, [(1, NAME, 2, None)], False, 1, b"\x01\x12"),
        "c10541 01 0001 010063 0100ff 02 00 00 00000001 02 0112",
    ),
    (apdu.SetListResponse(0x41, [0, 3]), "c50541 02 00 03"),
    (apdu.SetLastListAck(0x41, [0, 250], 7), "c50441 02 00 fa 00000007"),
    (
        apdu.ActionListRequest(0x41, [(9, NAME, 1), (9, NAME, 2)], [DATA, b"\x00"]),
        "c30341 02 0009 010063 0100ff 01 0009 010063 0100ff 02 02 120384 00",
    ),
    (
        apdu.ActionListFirstBlock(0x41, [(9, NAME, 1)], True, 1, b"\x01\x00"),
        "c30541 01 0009 010063 0100ff 01 01 00000001 02 0100",
    ),
    (
        apdu.ActionListResponse(0x41, [(0, DATA, 0), (3, None, 0), (0, None, 4)]),
        "c70341 03 00 01 00 120384 03 00 00 01 01 04",
    ),
    (
        apdu.AccessRequest(
            0x40000001,
            b"",
            [
                apdu.AccessGet(1, NAME, 2),
                apdu.AccessGet(7, NAME, 2, (2, b"\x00")),
                apdu.AccessSet(1, NAME, 2, DATA),
                apdu.AccessSet(1, NAME, 2, DATA, (1, b"\x00")),
                apdu.AccessAction(9, NAME, 1, DATA),
                apdu.AccessAction(9, NAME, 2),
            ],
        ),
        "d9 40000001 00 06"
        "01 0001 010063 0100ff 02"
        "04 0007 010063 0100ff 02 02 00"
        "02 0001 010063 0100ff 02"
        "05 0001 010063 0100ff 02 01 00"
        "03 0009 010063 0100ff 01"
        "03 0009 010063 0100ff 02"
        "06 00 00 120384 120384 120384 00",
    ),
    (
        apdu.AccessResponse(0x40000001, b"", [(1, 0, DATA), (2, 3, b"\x00"), (3, 0, b"\x00")]),
        "da 40000001 00 00 03 120384 00 00 03 01 00 02 03 03 00",
    ),
    (apdu.DataNotification(5, bytes(12), DATA), "0f 00000005 0c 000000000000000000000000 120384"),
    (apdu.DataNotification(5, b"", DATA), "0f 00000005 00 120384"),
    (
        apdu.EventNotification(bytes(12), 1, NAME, 2, DATA),
        "c2 01 0c 000000000000000000000000 0001 010063 0100ff 02 120384",
    ),
    (apdu.EventNotification(b"", 1, NAME, 2, DATA), "c2 00 0001 010063 0100ff 02 120384"),
    (
        apdu.InformationReport("20250602120000", [0xFA00, 8], [DATA, b"\x00"]),
        "18 01 0e 3230323530363032313230303030 02 02 fa00 02 0008 02 120384 00",
    ),
    (apdu.InformationReport("", [], []), "18 00 00 00"),
    (apdu.GeneralBlock(True, False, 63, 1, 0, b"\xc0"), "e0 bf 0001 0000 01 c0"),
    (apdu.GeneralBlock(False, True, 3, 2, 9, b""), "e0 43 0002 0009 00"),
]


def test_apdus_are_as_the_standard_has_them() -> None:
    for known, text in KNOWN:
        raw = bytes.fromhex(text.replace(" ", ""))
        assert known.encode() == raw, known
        assert apdu.decode(raw) == known, known


def test_apdus_cut_short_or_longer_are_refused() -> None:
    for known, _ in KNOWN:
        raw = known.encode()
        for size in range(len(raw)):
            if isinstance(known, (apdu.DataNotification, apdu.EventNotification)) and (
                len(raw) - len(DATA) < size
            ):
                continue  # the value is for axdr.decode to judge
            raises(ProtocolError, apdu.decode, raw[:size])
        if not isinstance(known, (apdu.DataNotification, apdu.EventNotification)):
            raises(ProtocolError, apdu.decode, raw + b"\x00")


def test_counts_that_disagree_are_refused() -> None:
    for text in (
        "c10441 01 0001010063 0100ff02 00 02 00 00",
        "c30341 01 0009010063 0100ff01 00",
        "d9 40000001 00 01 01 0001 010063 0100ff 02 00",
        "d9 40000001 00 01 06 0001 010063 0100ff 02 01 00",
        "da 40000001 00 00 01 00 00",
        "da 40000001 00 00 01 00 01 04 00",
        "18 00 01 02 fa00 00",
        "18 00 01 01 fa00 01 00",
        "18 01 01 ff 00 00",
    ):
        raises(ProtocolError, apdu.decode, bytes.fromhex(text.replace(" ", "")))


def test_an_access_response_may_repeat_the_request() -> None:
    text = "da 40000001 00 01 01 04 0007 010063 0100ff 02 02 00 01 120384 01 01 00"
    found = apdu.decode(bytes.fromhex(text.replace(" ", "")))
    assert found.items == [(1, 0, DATA)]


def test_values_out_of_range_are_not_sent() -> None:
    raises(ValueError, apdu.GetRequest(0x141, 1, NAME, 2).encode)
    raises(ValueError, apdu.GetRequest(0x41, 65536, NAME, 2).encode)
    raises(ValueError, apdu.GetRequest(0x41, 1, NAME[:5], 2).encode)
    raises(ValueError, apdu.ActionRequest(0x41, 1, NAME, 128, None).encode)
    raises(ValueError, apdu.ActionListRequest(0x41, [(1, NAME, 200)], [DATA]).encode)
    raises(ValueError, apdu.GeneralBlock(True, False, 64, 1, 0, b"").encode)
    raises(ValueError, apdu.GeneralBlock(True, False, 1, 65536, 0, b"").encode)
    raises(ValueError, apdu.InformationReport("", [65536], [DATA]).encode)


def test_service_errors_by_name() -> None:
    assert apdu.ConfirmedServiceError(1, 6, 3).error_name() == "initiate/pdu-size-too-short"
    assert apdu.ConfirmedServiceError(5, 5, 3).error_name() == "access/hardware-fault"
    assert apdu.ConfirmedServiceError(5, 5, 9).error_name() == "access/9"
    assert apdu.ConfirmedServiceError(5, 77, 9).error_name() == "error 77/9"
    assert apdu.ConfirmedServiceError(19, 0, 6).service_name() == "terminate-up-load"
    assert apdu.ConfirmedServiceError(0, 0, 6).error_name().startswith("application-reference/")


def test_selectors() -> None:
    selector, data = selection.by_range(bytes(12), bytes(12), [selection.column(3, NAME, 2)])
    assert selector == 1
    restricting, start, _end, columns = axdr.decode(data)[1]
    assert [field[1] for field in restricting[1]] == [8, selection.CLOCK, 2, 0]
    assert start == (axdr.OCTET_STRING, bytes(12))
    assert columns[1] == [selection.column(3, NAME, 2)]
    low, high = (axdr.LONG_UNSIGNED, 1), (axdr.LONG_UNSIGNED, 9)
    _, data = selection.by_range(low, high, None, selection.column(3, NAME, 2))
    assert axdr.decode(data)[1][1:] == [low, high, (axdr.ARRAY, [])]
    selector, data = selection.by_entry(3, 9, 2, 4)
    assert selector == 2
    assert [field[1] for field in axdr.decode(data)[1]] == [3, 9, 2, 4]
    assert [tag for tag, _ in axdr.decode(data)[1]] == [6, 6, 18, 18]


# ---------------------------------------------------------------- general blocks


def test_blocks_put_together_in_any_order() -> None:
    whole = random_bytes(3, 1000)
    blocks = gbt.Outgoing(whole, 64).window(0, 99, 1, 0)
    assert [block.last for block in blocks] == [False] * 15 + [True]
    assert [block.streaming for block in blocks] == [True] * 15 + [False]
    for order in (blocks, blocks[::1], list(reversed(blocks)), blocks[8:] + blocks[:9] + blocks):
        incoming = gbt.Incoming(1000)
        for block in order:
            incoming.take(block)
        assert incoming.whole() == whole
        assert incoming.received == 16


def test_gaps_are_known() -> None:
    blocks = gbt.Outgoing(bytes(100), 10).window(0, 99, 1, 0)
    incoming = gbt.Incoming(1000)
    for number in (1, 2, 6, 9):
        assert incoming.take(blocks[number - 1])
    assert (incoming.received, incoming.missing()) == (2, 3)
    assert not incoming.take(blocks[0]) and not incoming.take(blocks[5])
    for number in (3, 4, 5):
        incoming.take(blocks[number - 1])
    assert (incoming.received, incoming.missing()) == (6, 2)
    assert incoming.whole() is None


def test_blocks_that_cannot_be_one_apdu() -> None:
    def block(number: int, data: bytes, last: bool = False) -> apdu.GeneralBlock:
        return apdu.GeneralBlock(last, False, 1, number, 0, data)

    incoming = gbt.Incoming(10)
    incoming.take(block(1, bytes(6)))
    raises(ProtocolError, incoming.take, block(2, bytes(5)))
    incoming = gbt.Incoming(10)
    raises(ProtocolError, incoming.take, block(1, b""))
    incoming.take(block(3, b"x", True))
    raises(ProtocolError, incoming.take, block(4, b"x"))
    incoming = gbt.Incoming(10)
    incoming.take(block(4, b"x"))
    raises(ProtocolError, incoming.take, block(3, b"x", True))
    assert not incoming.take(block(1000, b"x"))  # nobody may be so far ahead
    raises(ValueError, gbt.Outgoing, bytes(70000), 1)


class Blocks:
    """The meter's side of one long exchange: takes blocks, sends `answer` in blocks of 50."""

    def __init__(self, answer: apdu.GetResponse | apdu.SetResponse) -> None:
        self.answer = answer
        self.incoming = gbt.Incoming(5000)
        self.outgoing = None

    def __call__(self, sent: bytes) -> list[bytes]:
        block = apdu.decode(sent)
        if self.outgoing is None:
            self.incoming.take(block)
            whole = self.incoming.whole()
            received = self.incoming.received
            if whole is None:
                if block.streaming:
                    return []
                return [apdu.GeneralBlock(False, False, 3, 1, received, b"").encode()]
            self.answer.invoke = apdu.decode(whole).invoke
            self.outgoing = gbt.Outgoing(self.answer.encode(), 50)
            after = 0
        else:
            after = block.ack
        found = self.outgoing.window(after, block.window, 3, self.incoming.received)
        return [each.encode() for each in found]


def general(link: Script, **settings: int) -> object:
    return open_client(link, aare(GENERAL), **settings)


def test_a_long_set_goes_in_general_blocks() -> None:
    link = Script(100)
    made = general(link)
    meter = Blocks(apdu.SetResponse(0, 0))
    for _ in range(9):
        link.then(meter)
    run(made.set(20, CALENDAR, 7, LONG))
    whole = apdu.decode(meter.incoming.whole())
    assert isinstance(whole, apdu.SetRequest) and whole.data == LONG
    windows = [apdu.decode(frame).streaming for frame in link.sent]
    assert windows == [False, True, True, False, True, True, False]


def test_a_lost_block_is_sent_again() -> None:
    link = Script(100)
    made = general(link)
    meter = Blocks(apdu.SetResponse(0, 0))
    link.then(meter)
    link.then()  # block 2 is lost, and the acknowledgement of 2 to 4 says so
    for _ in range(9):
        link.then(meter)
    run(made.set(20, CALENDAR, 7, LONG))
    assert [apdu.decode(frame).number for frame in link.sent] == [1, 2, 3, 4, 2, 3, 4, 5, 6, 7]


def test_a_lost_end_of_a_window_is_sent_again() -> None:
    link = Script(100)
    made = general(link)
    meter = Blocks(apdu.SetResponse(0, 0))
    for _ in range(3):
        link.then(meter)
    link.then()  # block 4, the end of the window, is lost: the meter keeps silent
    for _ in range(9):
        link.then(meter)
    run(made.set(20, CALENDAR, 7, LONG))
    assert [apdu.decode(frame).number for frame in link.sent] == [1, 2, 3, 4, 4, 5, 6, 7]


def test_a_long_answer_streams_within_our_window() -> None:
    link = Script(100)
    made = client(link, None)
    link.then(aare(GENERAL))
    run(made.associate())
    made._exchange._window = 5
    meter = Blocks(apdu.GetResponse(0, 0, LONG))
    link.sent.clear()
    for _ in range(4):
        link.then(meter)
    assert run(made.get(20, CALENDAR, 7)) == LONG
    acks = [apdu.decode(frame) for frame in link.sent]
    assert [(ack.ack, ack.window, ack.data) for ack in acks[1:]] == [(5, 5, b""), (10, 5, b"")]
    assert [ack.number for ack in acks] == [1, 2, 3]


def test_a_general_answer_to_a_plain_request() -> None:
    link = Script(200)
    made = general(link)
    answer = None

    def first(sent: bytes) -> list[bytes]:
        nonlocal answer
        answer = gbt.Outgoing(apdu.GetResponse(invoke_of(sent), 0, LONG).encode(), 150)
        return [answer.window(0, 1, 1, 0)[0].encode()]

    def following(sent: bytes) -> list[bytes]:
        ack = apdu.decode(sent)
        return [block.encode() for block in answer.window(ack.ack, 1, 1, 0)]

    link.then(first)
    for _ in range(4):
        link.then(following)
    assert run(made.get(20, CALENDAR, 7)) == LONG
    assert [frame[0] for frame in link.sent] == [0xC0, 0xE0, 0xE0, 0xE0, 0xE0]


def test_blocks_of_an_earlier_transfer_do_no_harm() -> None:
    link = Script(200)
    made = general(link)

    def old(number: int, last: bool, data: bytes) -> bytes:
        return apdu.GeneralBlock(last, False, 1, number, 9, data).encode()

    stale = gbt.Outgoing(apdu.GetResponse(0x49, 0, LONG).encode(), 150)
    late = [block.encode() for block in stale.window(0, 9, 1, 1)]
    link.then(
        lambda sent: (
            [
                old(7, False, b"old"),
                old(1, True, b"\xc4\x01"),
                old(1, True, apdu.GetResponse(0x4F, 0, b"\x00").encode()),
            ]
            + late
            + [apdu.GetResponse(invoke_of(sent), 0, DATA).encode()]
        )
    )
    link.then()
    link.then()
    assert run(made.get(20, CALENDAR, 7)) == DATA


def test_a_stall_ends_in_no_answer() -> None:
    link = Script(100)
    made = general(link, tries=4)
    meter = Blocks(apdu.SetResponse(0, 0))
    link.then(meter)
    for _ in range(40):
        link.then()
    error = fails(NoAnswer, made.set(20, CALENDAR, 7, LONG))
    assert "SET activity_calendar.season_profile_passive of 0.0.13.0.0.255" in str(error)
    assert len(link.sent) < 12


def test_a_general_answer_never_grows_beyond_its_limit() -> None:
    link = Script(200)
    made = general(link, max_value=500, tries=1)
    link.then(
        lambda sent: [
            apdu.GeneralBlock(False, True, 1, number, 0, bytes(100)).encode()
            for number in range(1, 60)
        ]
    )
    error = fails(ProtocolError, made.get(20, CALENDAR, 7))
    assert "longer than the" in str(error)
    assert made.conformance == 0


def test_garbage_does_not_end_a_ciphered_association() -> None:
    link = Script()
    meter = Meter()
    made = open_high(link, meter)
    garbage = [b"", b"\xff\xff\xff", b"\xcc\x01", b"\xe0\x80\x00", b"\x0f\x00\x00\x00\x01\x00\x00"]
    link.then(lambda sent: garbage + meter.on_get(sent))
    assert run(made.get(20, CALENDAR, 2)) == DATA
    for _ in range(3):
        link.then(lambda sent: garbage)
    fails(ProtocolError, made.get(20, CALENDAR, 2))
    assert made.conformance == 0  # nothing else came: the association is closed


def test_general_blocks_that_were_not_agreed_and_blocks_in_blocks_are_no_answer() -> None:
    def answer(sent: bytes) -> list[bytes]:
        response = apdu.GetResponse(invoke_of(sent), 0, DATA).encode()
        return [apdu.GeneralBlock(True, False, 1, 1, 0, response).encode()]

    def within(sent: bytes) -> list[bytes]:
        return [apdu.GeneralBlock(True, False, 1, 1, 0, answer(sent)[0]).encode()]

    for granted, step in ((CLASSIC, answer), (GENERAL, within)):
        link = Script()
        made = open_client(link, aare(granted))
        for _ in range(6):
            link.then(step)
        fails(NoAnswer, made.get(20, CALENDAR, 2))
    link = Script()
    made = general(link)
    link.then(answer)
    assert run(made.get(20, CALENDAR, 2)) == DATA


# ---------------------------------------------------------------- ACCESS, lists


def test_access_is_sent_once_where_it_invokes_methods() -> None:
    link = Script()
    made = open_client(link, aare(ALL))
    link.then()
    reading = apdu.AccessGet(1, NAME, 2)
    fails(NoAnswer, made.access([reading, apdu.AccessAction(9, NAME, 1)]))
    assert len(link.sent) == 1
    for _ in range(2):
        link.then()
    link.then(
        lambda sent: [
            apdu.AccessResponse(apdu.decode(sent).invoke - 1, b"", [(1, 0, b"\x11\x01")]).encode(),
            apdu.AccessResponse(apdu.decode(sent).invoke, b"", [(1, 0, DATA)]).encode(),
        ]
    )
    assert run(made.access([reading])) == [(0, DATA)]


def test_access_answers_that_do_not_fit_the_request() -> None:
    for items in ([], [(2, 0, DATA)], [(1, 0, DATA), (1, 0, DATA)]):
        link = Script()
        made = open_client(link, aare(ALL))
        link.then(
            lambda sent, items=items: [
                apdu.AccessResponse(apdu.decode(sent).invoke, b"", items).encode()
            ]
        )
        link.then(lambda sent: [apdu.GetResponse(invoke_of(sent), 0, DATA).encode()])
        # it agreed to ACCESS, and does not keep to it
        assert run(made.access([apdu.AccessGet(1, NAME, 2)])) == [(0, DATA)]
        assert not made.conformance & acse.ACCESS and made.unkept == acse.ACCESS
        made = open_client(link, aare(ALL))
        link.then(
            lambda sent, items=items: [
                apdu.AccessResponse(apdu.decode(sent).invoke, b"", items).encode()
            ]
        )
        # a method may be invoked already
        fails(ProtocolError, made.access([apdu.AccessAction(9, NAME, 2, DATA)]))
        assert link.closed == 1


def test_lists_whose_answers_do_not_fit_the_request() -> None:
    two = [(1, NAME, 2, None), (1, NAME, 3, None)]
    link = Script()
    for answer in (
        lambda sent: [apdu.SetListResponse(invoke_of(sent), [0]).encode()],
        lambda sent: [apdu.SetResponse(invoke_of(sent), 3).encode()],
    ):
        made = open_client(link)
        link.then(answer)
        for result in (0, 3):
            link.then(lambda sent, r=result: [apdu.SetResponse(invoke_of(sent), r).encode()])
        assert run(made.set_list([(target, DATA) for target in two])) == [0, 3]
    made = open_client(link)
    link.then(lambda sent: [apdu.ActionListResponse(invoke_of(sent), [(0, None, 0)]).encode()])
    # methods may be invoked already
    fails(ProtocolError, made.action_list([((9, NAME, 1), None), ((9, NAME, 2), DATA)]))


def test_a_list_of_methods_is_sent_once() -> None:
    link = Script()
    made = open_client(link)
    link.then()
    fails(NoAnswer, made.action_list([((9, NAME, 1), None), ((9, NAME, 2), DATA)]))
    assert len(link.sent) == 1


def test_too_long_a_list_is_divided() -> None:
    link = Script(64)
    made = open_client(link)
    for _ in range(9):
        link.then(
            lambda sent: [
                apdu.GetListResponse(
                    invoke_of(sent), [(0, DATA)] * len(apdu.decode(sent).items)
                ).encode()
                if sent[1] == 3
                else apdu.GetResponse(invoke_of(sent), 0, DATA).encode()
            ]
        )
    assert run(made.get_list([(1, NAME, 2, None)] * 11)) == [(0, DATA)] * 11


# ---------------------------------------------------------------- notifications


def test_notifications_are_not_taken_for_the_answer() -> None:
    link = Script()
    came = []
    made = client(link)
    made._exchange._on_notification = came.append
    link.then(aare())
    run(made.associate())
    push = apdu.DataNotification(7, b"", DATA)
    event = apdu.EventNotification(b"", 1, NAME, 2, DATA)
    report = apdu.InformationReport("", [8], [DATA])
    link.then(
        lambda sent: [
            push.encode(),
            event.encode(),
            report.encode(),
            apdu.GetResponse(invoke_of(sent), 0, b"\x11\x01").encode(),
        ]
    )
    assert run(made.get(1, NAME, 2)) == b"\x11\x01"
    assert came == [push, event, report]


def test_notifications_without_end_do_not_hold_the_client() -> None:
    link = Script()
    made = open_client(link, tries=1)
    push = apdu.DataNotification(7, b"", DATA).encode()
    link.then(lambda sent: [push] * 5000)
    before = link.clock.ticks_ms()
    fails(NoAnswer, made.get(1, NAME, 2))
    assert link.clock.ticks_ms() - before == 1000


def test_listening() -> None:
    link = Script()
    made = open_client(link, aare(GENERAL))
    assert run(made.listen(500)) is None
    push = apdu.DataNotification(7, b"", LONG)
    blocks = gbt.Outgoing(push.encode(), 100).window(0, 99, 0, 0)
    for block in blocks:
        block.streaming = not block.last
    link._arrived += [b"", b"\xff\x00", apdu.GetResponse(0x41, 0, DATA).encode()]
    link._arrived += [block.encode() for block in blocks]
    assert run(made.listen(500)) == push
    assert run(made.listen(500)) is None


# ---------------------------------------------------------------- profile


def test_rows_come_before_the_end_has() -> None:
    rows = [(axdr.STRUCTURE, [(axdr.LONG_UNSIGNED, n), (axdr.NULL, None)]) for n in range(30)]
    value = axdr.encode((axdr.ARRAY, rows))
    link = Script()
    made = open_client(link)
    for number in range(len(value) // 20 + 1):
        part = value[number * 20 : number * 20 + 20]
        last = number == len(value) // 20
        link.then(
            lambda sent, part=part, last=last, number=number: [
                apdu.GetBlock(invoke_of(sent), last, number + 1, 0, part).encode()
            ]
        )

    async def reading() -> None:
        found = []
        asked = []
        held = []
        profile = made.read_profile(NAME)
        async for row in profile:
            found.append((axdr.STRUCTURE, row))
            asked.append(len(link.sent))
            held.append(len(profile._held))
        assert found == rows
        assert asked[0] == 1 and asked[-1] == len(value) // 20 + 1
        assert max(held) < 40  # never the whole

    run(reading())


def rows_of(value: bytes) -> list[object]:
    link = Script()
    made = open_client(link)
    link.then(lambda sent: [apdu.GetResponse(invoke_of(sent), 0, value).encode()])

    async def reading() -> list[object]:
        found = []
        async for row in made.read_profile(NAME):
            found.append(row)
        return found

    return run(reading())


def test_profiles_whole_empty_and_compact() -> None:
    assert rows_of(axdr.encode((axdr.ARRAY, []))) == []
    row = (axdr.STRUCTURE, [(axdr.LONG_UNSIGNED, 5)])
    assert rows_of(axdr.encode((axdr.ARRAY, [row, row]))) == [row[1], row[1]]
    compact = (axdr.COMPACT_ARRAY, ((axdr.STRUCTURE, [axdr.LONG_UNSIGNED]), [row, row]))
    assert rows_of(axdr.encode(compact)) == [row[1], row[1]]


def test_compact_rows_one_by_one_as_their_blocks_come() -> None:
    rows = [
        (axdr.STRUCTURE, [(axdr.LONG_UNSIGNED, i), (axdr.OCTET_STRING, bytes(i % 7))])
        for i in range(100)
    ]
    description = (axdr.STRUCTURE, [axdr.LONG_UNSIGNED, axdr.OCTET_STRING])
    value = axdr.encode((axdr.COMPACT_ARRAY, (description, rows)))
    link = Script()
    made = open_client(link)
    for number in range(len(value) // 20 + 1):
        part = value[number * 20 : number * 20 + 20]
        last = number == len(value) // 20
        link.then(
            lambda sent, part=part, last=last, number=number: [
                apdu.GetBlock(invoke_of(sent), last, number + 1, 0, part).encode()
            ]
        )

    async def reading() -> None:
        found, held = [], []
        profile = made.read_profile(NAME)
        async for row in profile:
            found.append((axdr.STRUCTURE, row))
            held.append(len(profile._held))
        assert found == rows
        assert max(held) < 40  # never the whole

    run(reading())


def test_rows_that_no_profile_needs() -> None:
    raises(ProtocolError, rows_of, b"\x01\x01\x02\x82\xff\xff" + bytes(65535))
    raises(ProtocolError, rows_of, b"\x01\x01\x02\x01\x01\x82\x20\x00" + bytes(8192))
    # a compact array of arrays of nulls: a few bytes, 65535 values in each row
    compact = b"\x13\x02\x02\x01\xff\xff\x00\x11\x01\x05"
    raises(ProtocolError, rows_of, compact)
    raises(ProtocolError, rows_of, b"\x13\x02\x01\x00\x05")


def test_profiles_that_make_no_sense() -> None:
    row = axdr.encode((axdr.STRUCTURE, [(axdr.LONG_UNSIGNED, 5)]))
    for value in (
        b"\x00",
        b"\x12\x00\x01",
        b"\x01",
        b"\x01\x02" + row,
        b"\x01\x01\x11\x05",
        b"\x01\x01" + row[:-1],
    ):
        raises(ProtocolError, rows_of, value)


def test_a_profile_that_breaks_off() -> None:
    row = axdr.encode((axdr.STRUCTURE, [(axdr.LONG_UNSIGNED, 5)]))
    link = Script()
    made = open_client(link)
    link.then(
        lambda sent: [apdu.GetBlock(invoke_of(sent), False, 1, 0, b"\x01\x05" + row * 2).encode()]
    )
    link.then(lambda sent: [apdu.GetBlock(invoke_of(sent), True, 2, 15, b"").encode()])

    async def reading() -> int:
        count = 0
        try:
            async for _ in made.read_profile(NAME):
                count += 1
        except AccessRefused as refused:
            assert refused.result == "long-get-aborted"
            return count
        raise AssertionError("it did not break off")

    assert run(reading()) == 2


# ---------------------------------------------------------------- cancellation


def test_a_cancelled_request_leaves_the_link_usable() -> None:
    link = Script()
    made = open_client(link)
    late = []

    async def story() -> None:
        async def forever(timeout_ms: int) -> bytes:
            await asyncio.sleep(3600)
            return b""

        receive, link.receive = link.receive, forever
        link.then(
            lambda sent: (
                late.append(apdu.GetResponse(invoke_of(sent), 0, b"\x11\x01").encode()) or []
            )
        )
        task = asyncio.create_task(made.get(1, NAME, 2))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        link.receive = receive
        link.then(lambda sent: late + [apdu.GetResponse(invoke_of(sent), 0, b"\x11\x02").encode()])
        assert await made.get(1, NAME, 2) == b"\x11\x02"

    run(story())


def test_refusals_say_what_to_try() -> None:
    link = Script()
    made = open_client(link)
    link.then(apdu.ExceptionResponse(1, 2))
    error = fails(ServiceRefused, made.get(1, NAME, 2))
    assert "service-not-supported; the meter lacks this service" in str(error)
    link.then(lambda sent: [apdu.GetResponse(invoke_of(sent), 9, None).encode()])
    error = fails(AccessRefused, made.get(1, NAME, 2))
    assert (error.result, error.number) == ("object-class-inconsistent", 9)
    assert "read the object list" in str(error)
    assert PROPOSED & acse.ACCESS
