"""Short names: the bytes of Read and Write, and the client that goes by the object list."""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.apdu import acse, short
from gateway.dlms.client import base_names
from gateway.dlms.client.associating import PROPOSED_SN
from gateway.dlms.client.client import HIGH_MD5, SN, Association
from gateway.dlms.data import axdr
from gateway.dlms.data.selection import by_entry
from gateway.dlms.errors import (
    AccessRefused,
    ActionRefused,
    AssociationRefused,
    NoAnswer,
    NotSupported,
    ProtocolError,
    ServiceRefused,
)
from gateway.dlms.protection.tags import DED_OF, GLO_OF
from tests.portable.dlms.test_client import TIMEOUT, Script, client
from tests.portable.support import raises, random_bytes, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Green Book 9.5, COSEMpdu: (APDU, its bytes)
APDUS = (
    (short.ReadRequest([(0x0100, None)]), "0501020100"),
    (short.ReadRequest([(0xFA08, None), (0x0110, None)]), "050202fa08020110"),
    # parameterized-access [4]: variable name, selector, parameter
    (short.ReadRequest([(0xFA58, (0, b"\x09\x02ab"))]), "050104fa580009026162"),
    (short.ReadNext(3), "0501050003"),
    (short.ReadRequestBlock(False, 1, b"\x01\x02"), "05010600000102" + "0102"),
    (short.ReadResponse([(0, b"\x11\x07")]), "0c01001107"),
    (short.ReadResponse([(0, b"\x00"), (3, None)]), "0c0200000103"),
    (short.ReadBlock(True, 2, b"\xaa"), "0c0102010002" + "01aa"),
    (short.ReadBlockAck(1), "0c01030001"),
    (short.WriteRequest([(0x0108, None)], [b"\x11\x05"]), "060102010801" + "1105"),
    (short.WriteRequest([(0x0108, (1, b"\x00"))], [b"\x00"]), "0601040108010001" + "00"),
    # write-data-block-access [7]; the raw data is the one Data, an octet-string
    (short.WriteRequestBlock(True, 2, b"\x01\x02"), "060107010002" + "0109020102"),
    (short.WriteResponse([0, 3]), "0d02000103"),
    (short.WriteBlockAck(2), "0d01020002"),
    (short.UnconfirmedWriteRequest([(0x0108, None)], [b"\x11\x05"]), "160102010801" + "1105"),
)


def test_every_apdu_is_as_the_green_book_has_it():
    for made, text in APDUS:
        assert made.encode().hex() == text, (made, made.encode().hex())
        assert short.decode(bytes.fromhex(text)) == made
        assert short.decode(memoryview(bytes.fromhex(text))) == made


def test_all_else_is_read_too():
    assert short.decode(b"\xc0\x01\xc1" + bytes(10)) == apdu.GetRequest(0xC1, 0, bytes(6), 0)
    raises(ProtocolError, apdu.decode, bytes.fromhex("0501020100"))
    raises(ProtocolError, short.decode, b"")


def test_association_of_the_green_book():
    """Green Book 11.2: with short names, no security."""
    aarq = "601da109060760857405080102be10040e01000000065f1f04001c0320ffff"
    asked = acse.Aarq.decode(bytes.fromhex(aarq))
    assert asked.context == acse.SN and asked.encode().hex() == aarq
    assert acse.InitiateRequest.decode(asked.user_information).conformance == (
        acse.READ
        | acse.WRITE
        | acse.UNCONFIRMED_WRITE
        | acse.MULTIPLE_REFERENCES
        | acse.INFORMATION_REPORT
        | acse.PARAMETERIZED_ACCESS
    )
    answer = acse.InitiateResponse(0x1C0320, 500, acse.VAA_SN)
    assert answer.encode().hex() == "0800065f1f04001c032001f4fa00"
    assert acse.InitiateResponse.decode(answer.encode()) == answer


def test_ciphered_tags():
    """Green Book 9.5: glo [37] [38] [44] [45] [54] [56], ded [69] [70] [76] [77] [86] [88]."""
    plain = (5, 6, 12, 13, 22, 24)
    assert [GLO_OF[tag] for tag in plain] == [37, 38, 44, 45, 54, 56]
    assert [DED_OF[tag] for tag in plain] == [69, 70, 76, 77, 86, 88]


def test_hostile_apdus():
    for text in (
        "05",
        "0501",
        "050102",
        "05010201",
        "0502020100",  # one of two
        "05820001",
        "0584ffffffff020100",
        "050103",  # no such choice
        "0502050001020100",  # a block number among others
        "0502060000010102" + "01",
        "05010500",
        "050105000100",  # bytes left over
        "0501060000010502",  # less data than it says
        "050104010001",  # no parameter
        "0501040100010982ffff",
        "0c",
        "0c01",
        "0c0100",
        "0c010100",  # success as an error
        "0c0104",
        "0c0103",
        "0c01020000",
        "0c020200000101aa0000",  # a block among others
        "0c84ffffffff0000",
        "06",
        "0601020108",
        "060102010801",
        "06010201080211050000" + "00",
        "060207010002010902010202010801",
        "060107010002" + "0209020102",
        "060107010002" + "010a020102",
        "060107010002" + "01098201",
        "0d",
        "0d0101",
        "0d010100",
        "0d0103",
        "0d0102ff",
        "0d8400ffffff00",
        "16010201080100" + "00",
        "1601070100020109020102",  # there are no blocks of it
    ):
        raises(ProtocolError, short.decode, bytes.fromhex(text))
    # nesting without end, and lengths that lie, at every place of every APDU
    deep = b"\x05\x01\x04\x01\x00\x00" + b"\x02\x01" * 5000
    raises(ProtocolError, short.decode, deep)
    raises(ProtocolError, short.decode, b"\x0c\x01\x00" + b"\x01\x01" * 5000)
    for _, text in APDUS:
        whole = bytes.fromhex(text)
        for size in range(len(whole)):
            try:
                short.decode(whole[:size])
            except ProtocolError:
                pass
        for place in range(len(whole)):
            for value in (0, 1, 2, 7, 0x7F, 0x80, 0x84, 0xFF):
                broken = bytearray(whole)
                broken[place] = value
                try:
                    short.decode(bytes(broken))
                except ProtocolError:
                    pass


# ---------------------------------------------------------------- the client

CLOCK = b"\x00\x00\x01\x00\x00\xff"
ENERGY = b"\x01\x00\x01\x08\x00\xff"
NAME = b"\x00\x00\x2a\x00\x00\xff"
PROFILE = b"\x01\x00\x63\x01\x00\xff"
IMAGE = b"\x00\x00\x2c\x00\x00\xff"
CURRENT = b"\x00\x00\x28\x00\x00\xff"
SECURITY = b"\x00\x00\x2b\x00\x00\xff"
OBJECTS = (
    (0xFA00, 12, 2, CURRENT),
    (0x0100, 1, 0, NAME),
    (0x0200, 3, 0, ENERGY),
    (0x0300, 8, 0, CLOCK),
    (0x0400, 7, 1, PROFILE),
    (0x0500, 18, 0, IMAGE),
    (0xFFF0, 8, 0, b"\x00\x00\x60\x01\x00\xff"),
    (0x0600, 64, 1, SECURITY),
)


def element(base: int, class_id: int, version: int, name: bytes) -> Any:
    fields = [
        (axdr.LONG, base - 0x10000 if base > 0x7FFF else base),
        (axdr.LONG_UNSIGNED, class_id),
        (axdr.UNSIGNED, version),
        (axdr.OCTET_STRING, name),
    ]
    return (axdr.STRUCTURE, fields)


LIST = axdr.encode((axdr.ARRAY, [element(*each) for each in OBJECTS]))
# what most meters with short names grant, and blocks
GRANTED = 0x1C0320 | acse.BLOCK_GET | acse.BLOCK_SET


def aare(conformance: int = GRANTED, max_pdu: int = 0) -> Any:
    answer = acse.InitiateResponse(conformance, max_pdu, acse.VAA_SN)
    return acse.Aare(acse.SN, 0, (1, 0), answer.encode())


def opened(link: Script, answer: Any = None, listed: bool = True, **settings: int) -> Any:
    """An associated client; with `listed` it has read the object list."""
    link.then(answer or aare())
    one = client(link, Association(16, referencing=SN), **settings)
    run(one.associate())
    if listed:
        link.then(value(LIST))
        link.then(value(b"\x00"))
        run(one.get(1, NAME, 2))
    link.sent.clear()
    link.steps.clear()
    return one


def value(data: bytes) -> Any:
    return short.ReadResponse([(0, data)])


def test_it_asks_for_short_names_and_their_services():
    link = Script()
    opened(link, listed=False)
    link.then(aare())
    one = client(link, Association(16, referencing=SN))
    run(one.associate())
    asked = acse.Aarq.decode(link.sent[0])
    assert asked.context == acse.SN
    assert acse.InitiateRequest.decode(asked.user_information).conformance == PROPOSED_SN
    assert one.conformance == GRANTED


def test_names_are_found_in_the_object_list_once():
    link = Script()
    one = opened(link, listed=False)
    link.then(value(LIST))
    link.then(value(b"\x06\x00\x00\x00\x2a"))
    assert run(one.get(3, ENERGY, 2)) == b"\x06\x00\x00\x00\x2a"
    link.then(value(b"\x02\x02\x0f\x00\x16\x1e"))
    run(one.get(3, ENERGY, 3))
    # the list is attribute 2 of the association: 0xFA00 + 8
    assert [sent.hex() for sent in link.sent] == ["050102fa08", "0501020208", "0501020210"]


def test_a_list_in_blocks_goes_by_and_only_names_stay():
    link = Script()
    one = opened(link, listed=False)
    joined = b"\x01\x00" + LIST
    size = 37
    blocks = [joined[i : i + size] for i in range(0, len(joined), size)]
    for number, data in enumerate(blocks, 1):
        link.then(short.ReadBlock(number == len(blocks), number, data))
    link.then(value(b"\x11\x01"))
    assert run(one.get(8, CLOCK, 4)) == b"\x11\x01"
    assert link.sent[1].hex() == "0501050001"  # block 1 is there: the next
    assert link.sent[-1].hex() == "0501020318"


def test_both_forms_of_blocks():
    """With the count and choice of the list of answers before the value, and without."""
    long = axdr.encode((axdr.OCTET_STRING, random_bytes(3, 200)))
    empty = b"\x01\x00"  # an array of nothing
    for raw, due in ((b"\x01\x00" + long, long), (long, long), (empty, empty)):
        link = Script()
        one = opened(link)
        half = max(len(raw) // 2, 2)
        blocks = [raw[:half]] + ([raw[half:]] if raw[half:] else [])
        for number, data in enumerate(blocks, 1):
            link.then(short.ReadBlock(number == len(blocks), number, data))
        assert run(one.get(1, NAME, 2)) == due
    link = Script()
    one = opened(link)
    link.then(short.ReadBlock(True, 1, b"\x01\x01\x03"))
    assert raises(AccessRefused, run, one.get(1, NAME, 2)).number == 3


def test_a_list_of_attributes():
    link = Script()
    one = opened(link)
    items = [
        (1, NAME, 2, None),
        (3, b"\x01\x00\x02\x08\x00\xff", 2, None),  # not there
        (8, NAME, 2, None),  # there, of another class
        (8, CLOCK, 3, None),
    ]
    link.then(short.ReadResponse([(0, b"\x11\x01"), (2, None)]))
    assert run(one.get_list(items)) == [(0, b"\x11\x01"), (4, None), (9, None), (2, None)]
    assert link.sent[-1].hex() == "05020201080203" + "10"
    # in blocks: the list with its count
    link.then(short.ReadBlock(False, 1, b"\x02\x00\x11"))
    link.then(short.ReadBlock(True, 2, b"\x01\x01\x02"))
    assert run(one.get_list([items[0], items[3]])) == [(0, b"\x11\x01"), (2, None)]
    # where the meter takes one at a time
    link = Script()
    one = opened(link, aare(GRANTED & ~acse.MULTIPLE_REFERENCES))
    link.then(value(b"\x11\x01"))
    link.then(short.ReadResponse([(2, None)]))
    assert run(one.get_list([items[0], items[3]])) == [(0, b"\x11\x01"), (2, None)]


def test_writing():
    link = Script()
    one = opened(link)
    link.then(short.WriteResponse([0]))
    run(one.set(8, CLOCK, 3, b"\x10\x00\x3c"))
    assert link.sent[-1].hex() == "0601020310" + "01" + "10003c"
    link.then(short.WriteResponse([3]))
    refused = raises(AccessRefused, run, one.set(8, CLOCK, 3, b"\x10\x00\x3c"))
    assert (refused.number, refused.result) == (3, "read-write-denied")
    assert refused.object == "SET clock.time_zone of 0.0.1.0.0.255"
    link.then(short.WriteResponse([0, 12]))
    items = [((8, CLOCK, 3, None), b"\x00"), ((8, ENERGY, 2, None), b"\x00")]
    items.append(((1, NAME, 2, None), b"\x00"))
    assert run(one.set_list(items)) == [0, 9, 12]
    link.then()
    run(one.set(8, CLOCK, 3, b"\x10\x00\x3c", None, False))
    assert link.sent[-1][0] == 0x16 and not link.steps


def test_writing_in_blocks():
    link = Script()
    one = opened(link, aare(GRANTED, 64))
    long = axdr.encode((axdr.OCTET_STRING, random_bytes(4, 150)))
    joined = bytearray()

    def block(raw: bytes) -> list[bytes]:
        came = short.decode(raw)
        assert len(raw) <= 64
        joined.extend(came.data)
        if came.last:
            return [short.WriteResponse([0]).encode()]
        return [short.WriteBlockAck(came.block).encode()]

    for _ in range(4):
        link.then(block)
    run(one.set(1, NAME, 2, long))
    link.steps.clear()
    assert bytes(joined) == short.WriteRequest([(0x0108, None)], [long]).encode()[1:]
    # the meter has lost the thread: all over again
    link.then(short.WriteResponse([19]))
    for _ in range(4):
        link.then(block)
    run(one.set(1, NAME, 2, long))
    # an acknowledgement of what was not sent
    link.steps.clear()
    link.then(short.WriteBlockAck(2))
    raises(ProtocolError, run, one.set(1, NAME, 2, long))
    link = Script()
    one = opened(link, aare(GRANTED & ~acse.BLOCK_SET, 64))
    refused = raises(NotSupported, run, one.set(1, NAME, 2, long))
    assert "no block transfer with write" in str(refused)


def test_methods_stand_where_their_class_says():
    """Blue Book: register reset x + 28, image_block_transfer x + 48, security_activate x + 30."""
    link = Script()
    one = opened(link)
    for class_id, name, method, data, sent in (
        (3, ENERGY, 1, b"\x0f\x00", "0601020228" + "01" + "0f00"),
        (18, IMAGE, 2, b"\x00", "0601020548" + "01" + "00"),
        (18, IMAGE, 3, None, "0601020550" + "01" + "00"),
        (64, SECURITY, 1, b"\x16\x03", "0601020630" + "01" + "1603"),
        (8, CLOCK, 6, b"\x10\x00\x01", "0601020388" + "01" + "100001"),
    ):
        link.then(short.WriteResponse([0]))
        assert run(one.action(class_id, name, method, data)) is None
        assert link.sent[-1].hex() == sent
    # what answers is read, with selector 0
    link.then(value(b"\x09\x01a"))
    assert run(one.action(64, SECURITY, 3, b"\x01\x00")) == b"\x09\x01a"
    assert link.sent[-1].hex() == "0501040640" + "00" + "0100"
    link.then(short.WriteResponse([12]))
    refused = raises(ActionRefused, run, one.action(3, ENERGY, 1, b"\x00"))
    assert refused.result == "type-unmatched"
    results = [((3, ENERGY, 1), None), ((3, NAME, 1), None), ((3, ENERGY, 1), None)]
    link.then(short.WriteResponse([0]))
    link.then(short.WriteResponse([2]))
    assert run(one.action_list(results)) == [(0, None), (9, None), (2, None)]


def test_methods_that_go_by_read_only():
    """Peers that have every method behind a Read refuse the Write: then it was not invoked."""
    link = Script()
    one = opened(link)
    link.then(short.WriteResponse([4]))
    link.then(value(b"\x00"))
    assert run(one.action(3, ENERGY, 1, b"\x0f\x00")) is None
    assert [sent.hex() for sent in link.sent] == ["0601020228010f00", "0501040228000f00"]
    link.then(value(b"\x00"))
    assert run(one.action(3, ENERGY, 1, b"\x0f\x00")) is None
    assert link.sent[-1].hex() == "0501040228000f00"
    # refused both ways: what was said first
    link = Script()
    one = opened(link)
    link.then(short.WriteResponse([3]))
    link.then(short.ReadResponse([(4, None)]))
    refused = raises(ActionRefused, run, one.action(3, ENERGY, 1, b"\x0f\x00"))
    assert refused.result == "read-write-denied"
    # any other refusal is the method's own
    link.then(short.WriteResponse([2]))
    refused = raises(ActionRefused, run, one.action(3, ENERGY, 1, b"\x0f\x00"))
    assert refused.result == "temporary-failure"
    # silence may mean that it was invoked: nothing more is sent
    link = Script()
    one = opened(link)
    link.then(short.WriteResponse([4]))
    link.then()
    raises(NoAnswer, run, one.action(3, ENERGY, 1, b"\x0f\x00"))
    assert len(link.sent) == 2
    # without parameterized access there is no other way
    link = Script()
    one = opened(link, aare(acse.READ | acse.WRITE))
    link.then(short.WriteResponse([4]))
    raises(ActionRefused, run, one.action(3, ENERGY, 1, b"\x0f\x00"))


def test_a_method_is_sent_once():
    link = Script()
    one = opened(link)
    link.then()
    raises(NoAnswer, run, one.action(3, ENERGY, 1, b"\x00"))
    assert len(link.sent) == 1


def test_a_read_never_meets_a_method_nor_another_object():
    link = Script()
    one = opened(link)
    # attribute 6 of a register would be the place of its reset, 18 of the clock a method's
    for class_id, name, attribute in ((3, ENERGY, 6), (8, CLOCK, 18), (1, NAME, 33)):
        refused = raises(AccessRefused, run, one.get(class_id, name, attribute))
        assert refused.result == "object-undefined"
    for class_id, name, method in ((3, ENERGY, 2), (18, IMAGE, 5), (18, IMAGE, 0)):
        refused = raises(ActionRefused, run, one.action(class_id, name, method, None))
        assert refused.result == "object-undefined"
    refused = raises(NotSupported, run, one.action(1, NAME, 1, None))
    assert "class 1 version 0" in str(refused)
    raises(NotSupported, run, one.get(1, NAME, 0))
    raises(NotSupported, run, one.get(1, NAME, -1))
    assert link.sent == []


def test_no_name_beyond_the_last():
    link = Script()
    one = opened(link)
    link.then(value(b"\x00"))
    run(one.get(8, b"\x00\x00\x60\x01\x00\xff", 2))
    assert link.sent[-1].hex() == "050102fff8"
    raises(ProtocolError, run, one.get(8, b"\x00\x00\x60\x01\x00\xff", 3))


def test_what_is_not_agreed_is_refused_by_name():
    link = Script()
    one = opened(link, aare(acse.READ))
    for call in (
        lambda: one.set(8, CLOCK, 3, b"\x00"),
        lambda: one.action(3, ENERGY, 1, None),
    ):
        assert "did not agree to write" in str(raises(NotSupported, run, call()))
    refused = raises(NotSupported, run, one.get(7, PROFILE, 2, by_entry(1, 2)))
    assert "did not agree to parameterized-access" in str(refused)
    refused = raises(NotSupported, run, one.action(64, SECURITY, 3, b"\x01\x00"))
    assert "parameterized-access" in str(refused)
    refused = raises(NotSupported, run, one.set(8, CLOCK, 3, b"\x00", None, False))
    assert "unconfirmed-write" in str(refused)
    assert link.sent == []


def test_rows_of_a_profile():
    rows = [(axdr.STRUCTURE, [(axdr.LONG_UNSIGNED, n)]) for n in range(30)]
    raw = axdr.encode((axdr.ARRAY, rows))

    async def read(one: Any, **which: int) -> list[int]:
        found = []
        async for row in one.read_profile(PROFILE, **which):
            found.append(row[0][1])
        return found

    for before in (b"\x01\x00", b""):
        joined = before + raw
        link = Script()
        one = opened(link)
        count = -(-len(joined) // 21)
        for number in range(count):
            data = joined[21 * number : 21 * number + 21]
            link.then(short.ReadBlock(number == count - 1, number + 1, data))
        assert run(read(one, first=1, last=30)) == list(range(30))
        selector, parameter = by_entry(1, 30)
        asked = short.ReadRequest([(0x0408, (selector, parameter))])
        assert short.decode(link.sent[0]) == asked
    link = Script()
    one = opened(link)
    link.then(value(b"\x01\x00"))
    assert run(read(one)) == []


def test_a_late_answer_is_not_taken_for_the_next():
    """Nothing in an answer says of what it is: it may be to what was sent again, or given up."""
    link = Script()
    one = opened(link)
    link.then()
    link.then(value(b"\x11\x01"), value(b"\x11\x01"))  # the first answer was only late
    assert run(one.get(3, ENERGY, 2)) == b"\x11\x01"
    link.then(value(b"\x11\x02"))
    assert run(one.get(8, CLOCK, 4)) == b"\x11\x02"
    # the first answer was lost: after as long as one may take, on with the next
    link.then()
    link.then(value(b"\x11\x01"))
    run(one.get(3, ENERGY, 2))
    before = link.clock.ticks_ms()
    link.then(value(b"\x11\x02"))
    assert run(one.get(8, CLOCK, 4)) == b"\x11\x02"
    assert link.clock.ticks_ms() - before >= TIMEOUT
    before = link.clock.ticks_ms()
    link.then(value(b"\x11\x03"))
    assert run(one.get(8, CLOCK, 4)) == b"\x11\x03"
    assert link.clock.ticks_ms() - before < TIMEOUT


def test_blocks_that_come_twice_or_wrong():
    link = Script()
    one = opened(link)
    link.then(short.ReadBlock(False, 1, b"\x09\x02"))
    link.then(short.ReadBlock(False, 1, b"\x09\x02"), short.ReadBlock(True, 2, b"ab"))
    assert run(one.get(1, NAME, 2)) == b"\x09\x02ab"
    for wrong in (
        short.ReadBlock(True, 3, b"ab"),
        short.ReadBlock(False, 2, b""),
        value(b"\x00"),
        short.ReadResponse([(3, None), (3, None)]),
    ):
        link = Script()
        one = opened(link)
        link.then(short.ReadBlock(False, 1, b"\x09\x02"))
        link.then(wrong)
        raises(ProtocolError, run, one.get(1, NAME, 2))
        assert link.closed == 1
    # the transfer has come apart: from the first block on
    link = Script()
    one = opened(link)
    link.then(short.ReadBlock(False, 1, b"\x09\x02"))
    link.then(short.ReadResponse([(19, None)]))
    link.then(value(b"\x09\x02ab"))
    assert run(one.get(1, NAME, 2)) == b"\x09\x02ab"


def test_counts_that_do_not_fit():
    link = Script()
    one = opened(link)
    link.then(short.ReadResponse([(0, b"\x00"), (0, b"\x00")]))
    raises(ProtocolError, run, one.get(1, NAME, 2))
    assert link.closed == 1
    for call, answer in (
        (lambda one: one.set(8, CLOCK, 3, b"\x00"), short.WriteResponse([0, 0])),
        (lambda one: one.set(8, CLOCK, 3, b"\x00"), short.WriteResponse([])),
        (lambda one: one.get(8, CLOCK, 3), short.ReadResponse([])),
        (lambda one: one.action(3, ENERGY, 1, None), short.WriteResponse([0, 0])),
    ):
        link = Script()
        one = opened(link)
        link.then(answer)
        raises(ProtocolError, run, call(one))


def test_lists_that_are_not_kept_to_are_given_up():
    items = [(1, NAME, 2, None), (8, CLOCK, 3, None)]
    for wrong in (
        short.ReadResponse([(3, None)]),  # the whole list is refused by one result
        value(b"\x11\x01"),
        apdu.ExceptionResponse(1, 2),
    ):
        link = Script()
        one = opened(link)
        link.then(wrong)
        link.then(value(b"\x11\x01"))
        link.then(short.ReadResponse([(2, None)]))
        assert run(one.get_list(items)) == [(0, b"\x11\x01"), (2, None)], wrong
        assert [len(sent) for sent in link.sent] == [8, 5, 5]
    link = Script()
    one = opened(link)
    link.then(short.WriteResponse([0]))
    link.then(short.WriteResponse([0]))
    link.then(short.WriteResponse([3]))
    assert run(one.set_list([(item, b"\x00") for item in items])) == [0, 3]


def test_object_lists_of_the_wrong_shape():
    good = element(0x0100, 1, 0, NAME)
    shortened = (axdr.STRUCTURE, good[1][:3])
    renamed = element(0x0100, 1, 0, NAME[:5])
    swapped = (axdr.STRUCTURE, [good[1][1], good[1][0]] + good[1][2:])
    for listed in (
        b"\x00",
        axdr.encode(good),
        axdr.encode((axdr.ARRAY, [good, shortened])),
        axdr.encode((axdr.ARRAY, [renamed])),
        axdr.encode((axdr.ARRAY, [swapped])),
        axdr.encode((axdr.ARRAY, [(axdr.ARRAY, [good])])),
        axdr.encode((axdr.ARRAY, [good])) + b"\x00",
        b"\x01\x84\xff\xff\xff\xff" + axdr.encode(good),
        b"\x01\x01" * 3000,
    ):
        link = Script(8192)
        one = opened(link, listed=False)
        link.then(value(listed))
        raises(ProtocolError, run, one.get(1, NAME, 2))
        assert link.closed == 1
    # longer than what is allowed to be held
    link = Script(65535)
    one = opened(link, listed=False, max_value=1100)
    many = axdr.encode((axdr.ARRAY, [good] * 101))
    for number in range(1, len(many), 100):
        link.then(
            short.ReadBlock(number + 100 >= len(many), number // 100 + 1, many[number - 1 :][:100])
        )
    refused = raises(ProtocolError, run, one.get(1, NAME, 2))
    assert "objects are too many" in str(refused), refused
    # a meter that keeps it to itself
    link = Script()
    one = opened(link, listed=False)
    link.then(short.ReadResponse([(3, None)]))
    refused = raises(AccessRefused, run, one.get(1, NAME, 2))
    assert refused.object == "GET association_sn.object_list of 0.0.40.0.0.255"


def test_the_association_itself_needs_no_list():
    link = Script()
    one = opened(link, listed=False)
    link.then(value(LIST))
    assert run(one.get(12, CURRENT, 2)) == LIST
    assert [sent.hex() for sent in link.sent] == ["050102fa08"]


def test_hls_goes_through_a_method_of_the_association():
    """Passes 3 and 4 (Green Book 9.2.7.4): Read of 0xFA00 + 0x58 with our proof as parameter."""
    from gateway.dlms.protection import hls
    from tests.portable.dlms.test_client import CRYPTO

    secret = b"0123456789ABCDEF"
    association = Association(1, 1, HIGH_MD5, secret, referencing=SN)
    link = Script()
    stoc = bytes(range(16))
    ctos = bytearray()

    def pass_2(raw: bytes) -> list[bytes]:
        ctos[:] = acse.Aarq.decode(raw).value
        initiate = acse.InitiateResponse(acse.READ | acse.WRITE, 0, acse.VAA_SN).encode()
        return [acse.Aare(acse.SN, 0, (1, 14), initiate, b"", HIGH_MD5, stoc).encode()]

    def pass_4(raw: bytes) -> list[bytes]:
        ((name, (selector, proof)),) = short.decode(raw).items
        meter = hls.Hls(HIGH_MD5, CRYPTO, secret, None, None, None)
        assert (name, selector) == (0xFA58, 0)
        assert axdr.decode(proof)[1] == meter.prove(stoc, bytes(ctos), b"")
        mine = meter.prove(bytes(ctos), stoc, b"")
        return [value(axdr.encode((axdr.OCTET_STRING, mine))).encode()]

    link.then(pass_2)
    link.then(pass_4)
    one = client(link, association)
    run(one.associate())
    assert one.conformance == acse.READ | acse.WRITE
    # our proof is refused
    link.then(pass_2)
    link.then(short.ReadResponse([(3, None)]))
    one = client(link, association, tries=1)
    refused = raises(AssociationRefused, run, one.associate())
    assert "refused our HLS proof" in str(refused)


def test_a_meter_of_the_other_names_is_told_by_name():
    link = Script()
    link.then(acse.Aare(acse.SN, 1, (1, 2), b""))
    refused = raises(AssociationRefused, run, client(link).associate())
    assert "short names (SN) without ciphering" in str(refused)
    link = Script()
    link.then(acse.Aare(acse.LN, 1, (1, 2), b""))
    one = client(link, Association(16, referencing=SN))
    assert "logical names (LN)" in str(raises(AssociationRefused, run, one.associate()))
    link = Script()
    link.then(acse.Aare(acse.LN, 1, (1, 2), b""))
    refused = raises(AssociationRefused, run, client(link).associate())
    assert "other names only (LN, SN)" in str(refused)
    raises(ValueError, lambda: Association(16, referencing=3))


def test_refusals_of_the_service():
    link = Script()
    one = opened(link)
    link.then(apdu.ConfirmedServiceError(5, 5, 1))
    raises(ServiceRefused, run, one.get(1, NAME, 2))
    before = link.clock.ticks_ms()
    link.then(value(b"\x00"))
    run(one.get(1, NAME, 2))
    assert link.clock.ticks_ms() - before < TIMEOUT  # that was an answer: no other is waited for


def test_reports_come_in_between():
    heard = []
    link = Script()
    link.then(aare())
    one = client(link, Association(16, referencing=SN))
    one._exchange._on_notification = heard.append
    run(one.associate())
    report = apdu.InformationReport("", [0x0108], [b"\x11\x01"])
    link.then(report, value(LIST))
    link.then(report, value(b"\x11\x02"))
    assert run(one.get(1, NAME, 2)) == b"\x11\x02"
    assert heard == [report, report]


def test_access_goes_as_lists():
    link = Script()
    one = opened(link)
    link.then(short.ReadResponse([(0, b"\x11\x01"), (0, b"\x11\x02")]))
    link.then(short.WriteResponse([0]))
    link.then(short.WriteResponse([0]))
    operations = [
        apdu.AccessGet(1, NAME, 2),
        apdu.AccessGet(8, CLOCK, 3),
        apdu.AccessSet(8, CLOCK, 3, b"\x00"),
        apdu.AccessAction(3, ENERGY, 1),
    ]
    found = run(one.access(operations))
    assert found == [(0, b"\x11\x01"), (0, b"\x11\x02"), (0, None), (0, None)]


def test_base_names_find_whole_rows_only():
    names = base_names.BaseNames()
    # a row whose end and the next one's beginning look like another object
    names.add(element(0x0001, 0x0102, 3, b"\x00\x01\x00\x01\x00\x01")[1])
    names.add(element(0x0001, 0x0001, 0, b"\x00\x01\x00\x01\x00\x00")[1])
    assert len(names) == 2 and names.size == 22
    names.complete()
    assert names.find(0x0001, b"\x00\x01\x00\x01\x00\x01") is None
    assert names.find(0x0001, b"\x00\x01\x00\x01\x00\x00") == (1, 0)
    assert names.find(0x0102, b"\x00\x01\x00\x01\x00\x01") == (1, 3)
    assert names.next_base(0) == 1 and names.next_base(1) == 0x10000
