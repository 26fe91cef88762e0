"""xDLMS and ACSE APDUs: published bytes, both directions, broken input; names."""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.data import cosem, obis
from gateway.dlms.errors import ProtocolError
from tests.portable.support import raises, random_bytes

CLOCK = b"\x00\x00\x01\x00\x00\xff"
CALENDAR = b"\x00\x00\x0d\x00\x00\xff"
DATA = b"\x12\x03\x84"

# APDU, its bytes; those of the Green Book's examples where it has one
CASES = [
    (apdu.GetRequest(0xC1, 8, CLOCK, 2), "c001c100080000010000ff0200"),
    (
        apdu.GetRequest(0xC1, 7, CLOCK, 2, (2, b"\x02\x02" + DATA + DATA)),
        "c001c100070000010000ff0201020202120384120384",
    ),
    (apdu.GetRequest(0xC1, 7, CLOCK, -1), "c001c100070000010000ffff00"),
    (apdu.GetNext(0xC1, 2), "c002c100000002"),
    (
        apdu.GetListRequest(0xC1, [(1, CLOCK, 2, None), (3, CALENDAR, 3, (1, DATA))]),
        "c003c10200010000010000ff0200" + "000300000d0000ff030101120384",
    ),
    (apdu.GetResponse(0xC1, 0, DATA), "c401c100120384"),
    (apdu.GetResponse(0xC1, 3, None), "c401c10103"),
    (apdu.GetBlock(0xC1, False, 1, 0, b"\x01\x02"), "c402c1000000000100020102"),
    (apdu.GetBlock(0xC1, True, 2, 0, bytes(130)), "c402c10100000002008182" + "00" * 130),
    (apdu.GetBlock(0xC1, True, 2, 19, b""), "c402c101000000020113"),
    (apdu.GetListResponse(0xC1, [(0, DATA), (4, None)]), "c403c102001203840104"),
    (apdu.SetRequest(0xC1, 20, CALENDAR, 7, None, DATA), "c101c1001400000d0000ff0700120384"),
    (
        apdu.SetFirstBlock(0xC1, 20, CALENDAR, 7, None, False, 1, b"\x01"),
        "c102c1001400000d0000ff070000000000010101",
    ),
    (apdu.SetBlock(0xC1, True, 2, b"\x01"), "c103c101000000020101"),
    (apdu.SetResponse(0xC1, 0), "c501c100"),
    (apdu.SetBlockAck(0xC1, 1), "c502c100000001"),
    (apdu.SetLastAck(0xC1, 3, 2), "c503c10300000002"),
    (apdu.ActionRequest(0xC1, 20, CALENDAR, 1, DATA), "c301c1001400000d0000ff0101120384"),
    (apdu.ActionRequest(0xC1, 20, CALENDAR, 1, None), "c301c1001400000d0000ff0100"),
    (
        apdu.ActionFirstBlock(0xC1, 18, CALENDAR, 2, False, 1, b"\x09"),
        "c304c1001200000d0000ff0200000000010109",
    ),
    (apdu.ActionBlock(0xC1, True, 2, b"\x09"), "c306c101000000020109"),
    (apdu.ActionNext(0xC1, 1), "c302c100000001"),
    (apdu.ActionResponse(0xC1, 0), "c701c10000"),
    (apdu.ActionResponse(0xC1, 0, DATA), "c701c1000100120384"),
    (apdu.ActionResponse(0xC1, 0, None, 3), "c701c100010103"),
    (apdu.ActionResponseBlock(0xC1, False, 1, b"\x00"), "c702c100000000010100"),
    (apdu.ActionBlockAck(0xC1, 1), "c704c100000001"),
    (apdu.ExceptionResponse(1, 2), "d80102"),
    (apdu.ExceptionResponse(2, 6, 0x01234567), "d8020601234567"),
    (apdu.ConfirmedServiceError(1, 6, 1), "0e010601"),
    (acse.InitiateRequest(0x007E1F, 1200), "01000000065f1f0400007e1f04b0"),
    (
        acse.InitiateRequest(0x007E1F, 1200, bytes(16)),
        "010110" + "00" * 16 + "0000065f1f0400007e1f04b0",
    ),
    (acse.InitiateResponse(0x00501F, 500), "0800065f1f040000501f01f40007"),
    # Green Book, table "Example: AARQ" without and with low level security
    (
        acse.Aarq(1, bytes.fromhex("01000000065f1f0400007e1f04b0")),
        "601da109060760857405080101be10040e01000000065f1f0400007e1f04b0",
    ),
    (
        acse.Aarq(1, bytes.fromhex("01000000065f1f0400007e1f04b0"), b"", acse.LOW, b"12345678"),
        "6036a1090607608574050801018a0207808b0760857405080201ac0a80083132333435363738"
        "be10040e01000000065f1f0400007e1f04b0",
    ),
    (
        acse.Aare(1, 0, (1, 0), bytes.fromhex("0800065f1f040000501f01f40007")),
        "6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f040000501f01f40007",
    ),
    (
        acse.Aare(3, 0, (1, 14), b"\x28\x00", b"ABCDEFGH", acse.HIGH_GMAC, b"12345678"),
        "6142a109060760857405080103a203020100a305a10302010e"
        "a40a04084142434445464748" + "88020780" + "890760857405080205"
        "aa0a80083132333435363738" + "be0404022800",
    ),
    (acse.Aare(1, 1, (2, 2), b""), "6117a109060760857405080101a203020101a305a203020102"),
    (acse.Rlrq(0), "6203800100"),
    (acse.Rlrq(1, b"\x28"), "6208800101be03040128"),
    (
        acse.Aare(acse.SN, 0, (1, 0), b"\x08"),
        "611ca109060760857405080102a203020100a305a103020100be03040108",
    ),
    (acse.Rlre(0, b"\x28"), "6308800100be03040128"),
]

BROKEN = [
    "",
    "c0",
    "c001",
    "c009c100",  # no such choice
    "2100",
    "c401c1",
    "c401c100",  # success without data
    "c401c10100",  # success as a refusal
    "c401c102",
    "c401c1010300",  # a byte too many
    "6308800100be03050128",  # the field holds another tag than 04
    "6309800100be0404012800",  # and more than one
    "c403c1ff0012038400",  # a list that lies about its count
    "c003c184ffffffff00010000010000ff0200",
    "c402c1010000000100840fffffff00",  # a block of 256 MB
    "c502c10000000100",
    "d801",
    "d8010200",
    "0e0106",
    "6000",
    "601da10906076085740508010",
    "600ba109060760857405080101ff",
    "6016a109060760857405080101a109060760857405080101",  # a field twice
    "610ba109060760857405080199",  # without a result
    "61820000",
    "62028001",
    "01000000055f1f0400007e1f04b0",  # version 5
    "01000000065f1f0300007e1f04b0",
    "0800065f1f040000501f01f4000700",
]


def unhex(text: str) -> bytes:
    return bytes.fromhex(text if len(text) % 2 == 0 else text + "0")


def test_every_apdu_encodes_as_published() -> None:
    for message, expected in CASES:
        assert message.encode().hex() == expected, message


def test_every_apdu_decodes_from_bytes_and_from_a_view() -> None:
    for message, encoded in CASES:
        assert apdu.decode(bytes.fromhex(encoded)) == message, encoded
        assert apdu.decode(memoryview(bytes.fromhex(encoded))) == message, encoded


def test_messages_that_differ_are_not_equal() -> None:
    assert apdu.GetNext(1, 2) != apdu.GetNext(1, 3)
    assert apdu.GetNext(1, 2) != apdu.SetBlockAck(1, 2)


def test_every_cut_is_refused_or_another_apdu() -> None:
    for message, encoded in CASES:
        raw = bytes.fromhex(encoded)
        for size in range(len(raw)):
            try:
                found = apdu.decode(raw[:size])
            except ProtocolError:
                continue
            # only data that fills the rest of its APDU can be cut unnoticed
            assert type(found) is type(message)
            assert found != message


def test_every_apdu_with_a_byte_too_many_is_refused() -> None:
    open_ended = (apdu.GetResponse, apdu.SetRequest, apdu.ActionRequest, apdu.ActionResponse)
    for message, encoded in CASES:
        if isinstance(message, open_ended) and getattr(message, "data", None) is not None:
            continue
        raises(ProtocolError, apdu.decode, bytes.fromhex(encoded) + b"\x00")


def test_broken_apdus_are_refused() -> None:
    for encoded in BROKEN:
        raises(ProtocolError, apdu.decode, unhex(encoded))


def test_random_bytes_raise_nothing_else() -> None:
    tags = (0xC0, 0xC1, 0xC3, 0xC4, 0xC5, 0xC7, 0xD8, 0x0E, 0x60, 0x61, 0x62, 0x63, 0x01, 0x08)
    refused = 0
    for seed in range(1500):
        noise = random_bytes(seed, 2 + seed % 50)
        try:
            apdu.decode(bytes((tags[seed % len(tags)], noise[0] % 7)) + noise[1:])
        except ProtocolError:
            refused += 1
    assert refused > 1000


def test_changed_bytes_raise_nothing_else() -> None:
    for message, encoded in CASES:
        raw = bytearray(bytes.fromhex(encoded))
        for at in range(min(len(raw), 40)):
            for change in (0x01, 0x80, 0xFF):
                raw[at] ^= change
                try:
                    apdu.decode(raw)
                except ProtocolError:
                    pass
                raw[at] ^= change
        assert apdu.decode(raw) == message


def test_requests_out_of_range_are_refused() -> None:
    raises(ValueError, apdu.GetRequest(0xC1, 65536, CLOCK, 2).encode)
    raises(ValueError, apdu.GetRequest(0xC1, 8, CLOCK[:5], 2).encode)
    raises(ValueError, apdu.GetRequest(0xC1, 8, CLOCK, 128).encode)
    raises(ValueError, apdu.GetNext(0xC1, 1 << 32).encode)
    raises(ValueError, apdu.GetResponse(0xC1, 0, None).encode)
    raises(ValueError, acse.InitiateRequest(0, 65536).encode)


def test_reprs_show_no_octets() -> None:
    shown = repr(acse.Aarq(1, b"\x01", b"", acse.LOW, b"password"))
    assert "password" not in shown and "8 bytes" in shown


def test_diagnostics_have_their_standard_names() -> None:
    assert acse.Aare(1, 1, (1, 13), b"").diagnostic_name() == "authentication-failure"
    assert acse.Aare(1, 1, (2, 2), b"").diagnostic_name() == "no-common-acse-version"
    assert acse.Aare(1, 1, (1, 99), b"").diagnostic_name() == "diagnostic 1.99"
    assert apdu.access_result_name(3) == "read-write-denied"
    assert apdu.access_result_name(77) == "data-access-result 77"
    assert apdu.action_result_name(15) == "long-action-aborted"
    assert apdu.ExceptionResponse(1, 6).service_name() == "invocation-counter-error"
    assert apdu.ConfirmedServiceError(1, 6, 3).error_name() == "initiate/pdu-size-too-short"


def test_logical_names() -> None:
    assert obis.parse("0.0.13.0.0.255") == CALENDAR
    assert obis.parse("0-0:13.0.0*255") == CALENDAR
    assert obis.text(CALENDAR) == "0.0.13.0.0.255"
    for wrong in ("", "0.0.13.0.0", "0.0.13.0.0.256", "0.0.13.0.0.x", "0.0.13..0.255", "1" * 40):
        raises(ValueError, obis.parse, wrong)
    raises(ValueError, obis.text, b"\x00")


def test_interface_classes_by_name_and_number() -> None:
    calendar = cosem.by_name("activity_calendar")
    assert calendar.id == 20
    assert calendar.attribute_index("season_profile_passive") == 7
    assert calendar.method_index("activate_passive_calendar") == 1
    assert calendar.attribute_type(10) == "octet-string"
    assert cosem.CLASSES[7].attribute_index("capture_period") == 4
    assert cosem.attribute_name(11, 2) == "special_days_table.entries"
    assert cosem.attribute_name(11, 9) == "special_days_table.9"
    assert cosem.attribute_name(999, 2) == "class 999.2"
    assert cosem.method_name(18, 4) == "image_transfer.image_activate"
    assert "capture_period" in str(raises(ValueError, cosem.CLASSES[7].attribute_index, "period"))
    raises(ValueError, cosem.by_name, "calendar")
    for number in (1, 3, 7, 8, 9, 11, 15, 18, 20, 21, 64):
        indexes = [row[0] for row in cosem.CLASSES[number].attributes]
        assert indexes == list(range(1, len(indexes) + 1))


def test_versions_of_a_class() -> None:
    assert cosem.find(64, 0).method_name(2) == "global_key_transfer"
    assert cosem.find(64, 1).method_name(2) == cosem.find(64).method_name(2) == "key_transfer"
    assert cosem.find(64, 0).attribute_name(6) == "6"
    assert cosem.find(15, 0).attribute_name(9) == "9"
    assert cosem.find(15, 1).attribute_name(9) == "security_setup_reference"
    assert cosem.find(15, 1).method_name(5) == "5"
    assert cosem.find(40, 0).attribute_type(7) == "long-unsigned"
    assert cosem.find(40, 2).attribute_type(7) == "structure"
    assert cosem.find(40, 2).attribute_name(13) == "last_confirmation_date_time"
    assert cosem.find(40, 77) is cosem.CLASSES[40]
    assert cosem.find(9999) is None
    for (number, version), interface in cosem.VERSIONS.items():
        assert (interface.id, interface.version) == (number, version)
        indexes = [row[0] for row in interface.attributes]
        assert indexes == list(range(1, len(indexes) + 1))
    for number in (1, 3, 4, 5, 7, 8, 9, 11, 15, 17, 18, 20, 21, 22, 40, 64, 70, 71):
        assert cosem.by_name(cosem.CLASSES[number].name) is cosem.CLASSES[number]
