"""Published bytes mean here what their publishers say they mean."""

from __future__ import annotations

import sys

from gateway.dlms import apdu
from gateway.dlms.data import axdr, obis
from gateway.dlms.data.datetime import text_date_time
from gateway.dlms.errors import ProtocolError
from gateway.dlms.hdlc.frames import decode, encode, split_address
from gateway.dlms.hdlc.mode_e import Identification, with_parity
from gateway.dlms.hdlc.numbered import Parameters
from gateway.dlms.protection.public_key import derived_key
from gateway.dlms.protection.suites import AES_GCM_128, SUITES
from tests.portable.dlms import published
from tests.portable.support import raises

if sys.implementation.name == "micropython":
    from hal.micropython.crypto import SystemCrypto
else:
    from hal.cpython.crypto import SystemCrypto

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


def test_apdus_both_ways() -> None:
    for what, _, text in published.APDUS:
        raw = unhex(text)
        message = apdu.decode(raw)
        assert message.encode() == raw, what
        for end in range(len(raw)):
            try:
                cut = apdu.decode(raw[:end])
            except ProtocolError:
                continue
            # the Data at an APDU's end is axdr's to judge
            raises(ProtocolError, axdr.decode, cut.data)


def test_associations_say_what_they_are() -> None:
    found = [apdu.decode(unhex(text)) for _, _, text in published.APDUS[:10]]
    assert [each.context for each in found] == [1, 1, 1, 1, 3, 1, 1, 1, 1, 1]
    assert [each.mechanism for each in found] == [0, 1, 5, 2, 1, 0, 0, 0, 5, 0]
    assert [each.value for each in found[1:5]] == [b"12345678", b"K56iVagY"] + [b"12345678"] * 2
    assert found[4].title == unhex("4d4d4d0000bc614e")
    names = [each.diagnostic_name() for each in found[5:9]]
    assert names == [
        "null",
        "application-context-name-not-supported",
        "no-reason-given",
        "authentication-required",
    ]
    assert apdu.decode(found[7].user_information).error_name() == "initiate/dlms-version-too-low"
    assert found[8].value == b"P6wRJ21F"


def test_special_days() -> None:
    days = axdr.to_values(axdr.decode(unhex(published.SPECIAL_DAYS)))
    assert len(days) == 11
    assert days[0] == [1, b"\x07\xe2\x01\x01\xff", 2]
    assert days[10] == [11, b"\x07\xe2\x05\x09\xff", 2]


def test_a_list_that_errs() -> None:
    raises(ProtocolError, apdu.decode, unhex(published.BROKEN_LIST))


def test_an_association_that_used_its_dedicated_key_too_early() -> None:
    frames = [decode(unhex(text)) for text in published.EARLY_DEDICATED_KEY]
    request, answer, proof, refusal = [frame.information[3:] for frame in frames]
    aarq, aare = apdu.decode(request), apdu.decode(answer)
    assert (aarq.context, aarq.mechanism, aarq.title) == (3, 2, b"ABCDEFGH")
    assert (aare.result, aare.mechanism, aare.title) == (0, 2, b"GOE\x00\x00X\x1c\xf1")
    assert len(aarq.value) == len(aare.value) == 16
    assert proof[0] == 0xD3
    assert apdu.decode(refusal).error_name() == "application-reference/deciphering-error"


def test_mode_e() -> None:
    assert with_parity(b"/?!\r\n") == unhex(published.MODE_E_REQUEST)
    found = Identification.decode(published.MODE_E_IDENTIFICATION.encode())
    assert (found.manufacturer, found.baud, found.hdlc) == ("HLY", 9600, True)


def test_profile_with_null_data() -> None:
    rows = axdr.to_values(axdr.decode(unhex(published.PROFILE)))
    assert len(rows) == 4
    assert text_date_time(rows[0][0]).startswith("2019-12-31")
    assert [row[0] for row in rows[1:]] == [None] * 3
    assert [row[1:] for row in rows] == [[6, 1517, 1620]] * 4
    assert axdr.encode(axdr.decode(unhex(published.PROFILE))) == unhex(published.PROFILE)


def test_frames_both_ways() -> None:
    for what, _, text, destination, source, kind, size in published.FRAMES:
        raw = unhex(text)
        frame = decode(raw)
        assert split_address(frame.destination) == destination, what
        assert split_address(frame.source) == source, what
        assert frame.name == kind, what
        assert len(frame.information) == size, what
        parts = (frame.destination, frame.source, frame.control, frame.information)
        assert encode(*parts, frame.segmented) == raw, what
        if kind in ("I", "UI"):
            assert frame.information[:3] in (b"\xe6\xe6\x00", b"\xe6\xe7\x00"), what
            apdu.decode(frame.information[3:])


def test_frames_damaged_in_any_bit_are_refused() -> None:
    for what, _, text, _, _, _, _ in published.FRAMES[:5]:
        raw = bytearray(unhex(text))
        for place in range(8 * len(raw)):
            raw[place >> 3] ^= 1 << (place & 7)
            try:
                decode(raw)
            except ProtocolError:
                raw[place >> 3] ^= 1 << (place & 7)
                continue
            raise AssertionError("%s is taken with bit %d changed" % (what, place))


def test_parameters_of_snrm_and_ua() -> None:
    agreed = Parameters.decode(decode(unhex(published.FRAMES[1][2])).information)
    assert (agreed.send_size, agreed.send_window) == (0x9A, 1)
    wide = Parameters.decode(decode(unhex(published.FRAMES[4][2])).information)
    assert (wide.send_size, wide.receive_size) == (2030, 2030)
    assert (wide.send_window, wide.receive_window) == (7, 7)


def _shown(value: Any) -> Any:
    """Octets as the logical name, date or text they are."""
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if not isinstance(value, bytes):
        return value
    if len(value) == 6:
        return obis.text(value)
    if len(value) == 12 and value[0] == 7:
        return _date(value)
    return value.decode()


def _date(octets: bytes) -> str:
    year = octets[0] << 8 | octets[1]
    return "%d-%02d-%02d %d %02d:%02d:%02d" % ((year,) + tuple(octets[2:8]))


def test_pushes_of_meters_in_the_field() -> None:
    for what, _, text, date, values in published.PUSHES:
        push = apdu.decode(unhex(text))
        assert isinstance(push, apdu.DataNotification), what
        assert (_date(push.date_time) if push.date_time else "") == date, what
        assert _shown(axdr.to_values(axdr.decode(push.data))) == values, what


def test_date_of_a_push_has_12_bytes_or_none() -> None:
    for broken in (
        "0f4000000001070600000001",
        "0f40000000090b07e3020401173416ff80000600000001",
        "c201 0107 0008 0000010000ff 02 0600000001",
        "d940000000 0107 01 01 0008 0000010000ff 02 01 00",
        "da40000000 0107 00 01 00 01 01 00",
    ):
        raises(ProtocolError, apdu.decode, unhex(broken))


def _mbus_data(frame: bytes) -> bytes:
    """The user data of a wired M-Bus long frame, behind C, A, CI and the two SAPs."""
    size = frame[1]
    assert frame[:4] == bytes((0x68, size, size, 0x68)) and len(frame) == size + 6
    assert sum(frame[4:-2]) & 0xFF == frame[-2] and frame[-1] == 0x16
    return frame[9:-2]


def test_customer_interface_of_an_austrian_meter() -> None:
    raw = b"".join([_mbus_data(unhex(text)) for text in published.NOE_FRAMES])
    assert raw[:2] == b"\xdb\x08" and raw[10:13] == b"\x81\xf8\x20"
    assert len(raw) == 12 + 0xF8
    gcm = SystemCrypto().aes_gcm(unhex(published.NOE_KEY))
    plain = gcm.crypt(raw[2:10] + raw[13:17], raw[17:])
    assert plain == unhex(published.NOE_PLAIN)[: len(plain)]
    push = apdu.decode(unhex(published.NOE_PLAIN))
    assert _date(push.date_time) == "2021-09-27 1 09:47:15"
    values = axdr.to_values(axdr.decode(push.data))
    assert len(values) == 0x23
    assert obis.text(values[1]) == "1.0.1.8.0.255" and values[2:4] == [12937, [0, 30]]
    assert values[-1] == b"181220000009"


def test_access_request_under_an_agreed_key() -> None:
    plain = unhex(published.APDUS[-1][2])
    request = apdu.decode(plain)
    assert len(request.operations) == 4
    crypto = SystemCrypto()
    raw = unhex(published.ONE_PASS_APDU)
    ephemeral = raw[36:100]
    assert crypto.ec_public("P-256", unhex(published.ONE_PASS_EPHEMERAL)) == ephemeral
    secret = crypto.ecdh("P-256", unhex(published.ONE_PASS_PRIVATE), ephemeral)
    assert secret == unhex(published.ONE_PASS_SECRET)
    client, meter = raw[11:19], raw[20:28]
    key = derived_key(crypto, SUITES[1], secret, AES_GCM_128, client, meter)
    assert key == unhex(published.ONE_PASS_KEY)
    # The published tag does not follow from the published AK, whatever is authenticated with it.
    assert crypto.aes_gcm(key).crypt(client + raw[-230 - 4 : -230], raw[-230:-12]) == plain


def test_signature_of_an_ephemeral_key() -> None:
    crypto = SystemCrypto()
    raw = unhex(published.ONE_PASS_APDU)
    signer = unhex(published.CLIENT_SIGNING)
    assert crypto.ecdsa_verify("P-256", signer, raw[36:100], raw[100:164])
    assert not crypto.ecdsa_verify("P-256", signer, raw[36:99] + b"\x00", raw[100:164])
