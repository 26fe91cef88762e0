"""Captured and computed frames of every format, their damage, and what is made of noise."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.data import obis
from gateway.dlms.hdlc import frames as hdlc_frames
from gateway.dlms.hdlc import mode_e
from hal.modem import usi
from hal.modem.wmbus import amber_frames, hci, wmbus
from hal.modem.wrapper import wrap
from tests.field import AK, EK, capture
from tests.unit.sniff.conftest import Tool
from tools.sniff import framing, kinds
from tools.sniff.decoder import AUTO, Decoder
from tools.sniff.frame import Chunk, Frame
from tools.sniff.keys import Keys, given

CAPTURE = Path("tests/portable/data/usi-sniffer-with-timestamp.bin")
HCI_CAPTURED = [
    "a5820327442d2c5768663230028d20cb103407201d82040f26a7e808ff3449f9e9d2e4b28bd7e7c6f1c6df3885",
    "a582032d442d2c5768663230028d20cc113407207a8a0a514fee3152ff6b30c18b865e189e5e3ecde8f77142dee9"
    "3cd4578e2b",
    "a5820327442d2c5768663230028d20cd12340720519df247ff65e751662a300bc4e5c67da86477f0182637c1ab",
    "a5820327442d2c5768663230028d20ce13340720cf5fb58233baa470d6ccabe4d7de2e05ddebb50a60542b0ec3",
]
GET = apdu.GetRequest(0xC1, 8, obis.parse("0.0.1.0.0.255"), 2).encode()
ANSWER = bytes.fromhex("c401c1000600000384")
NAMED = "get-request invoke 1, clock 0.0.1.0.0.255 time"
METER = wmbus.Telegram(bytes.fromhex("2d2c576866323002"), 1, 1, 1, GET)


def hdlc(information: bytes, outward: bool, segmented: bool = False) -> bytes:
    ends = hdlc_frames.server_address(1, 17), hdlc_frames.client_address(1)
    return hdlc_frames.encode(*(ends if outward else ends[::-1]), 0x10, information, segmented)


# format: (a frame to a meter, its answer)
LINES = {
    framing.USI: (
        usi.frame(0x30, b"\x37\x01\x01\x00\x05" + len(GET).to_bytes(2, "big") + GET + b"\x00"),
        usi.frame(
            0x30,
            b"\x38\x01\x01\x00\x00\x00\x05" + len(ANSWER).to_bytes(2, "big") + ANSWER + b"\x00",
        ),
    ),
    framing.IMST: (
        hci.frame(hci.RADIO, hci.SEND_REQUEST, wmbus.to_meter(bytes(8), METER)),
        hci.frame(
            hci.RADIO,
            hci.INDICATION,
            wmbus.from_meter(wmbus.Telegram(METER.address, 1, 1, 1, ANSWER)),
            7,
            85,
        ),
    ),
    framing.AMBER: (
        amber_frames.frame(amber_frames.DATA, wmbus.to_meter(bytes(8), METER)),
        amber_frames.frame(
            amber_frames.DATA_INDICATION,
            wmbus.from_meter(wmbus.Telegram(METER.address, 1, 1, 1, ANSWER)),
        ),
    ),
    framing.WRAPPER: (wrap(16, 1, GET), wrap(1, 16, ANSWER)),
    framing.HDLC: (
        hdlc(b"\xe6\xe6\x00" + GET, True),
        hdlc(b"\xe6\xe7\x00" + ANSWER, False),
    ),
}


def decoded(data: bytes, format: str = AUTO, piece: int = 1 << 20) -> tuple[list[Frame], Decoder]:
    decoder = Decoder(format)
    found = []
    for at in range(0, len(data), piece):
        found += decoder.feed(Chunk(data[at : at + piece]))
    return found + decoder.end(), decoder


def said(frame: Frame) -> str:
    return " | ".join(layer.text for layer in frame.layers)


def test_the_captured_session_of_the_vendors_sniffer(sniff: Tool) -> None:
    ran = sniff(CAPTURE, "--json")
    assert ran.status == 0
    assert ran.summary["frames"] == 193 and ran.summary["damaged"] == {}
    assert len(ran.frames) == 193
    registering = ran.frames[1]["layers"]
    assert [layer["name"] for layer in registering] == ["USI", "PRIME sniffer", "PRIME MAC"]
    assert "2017-06-14 08:30:31.195Z" in registering[1]["text"]
    assert "REG" in registering[2]["text"]


def test_the_captured_radio_frames() -> None:
    frames, decoder = decoded(bytes.fromhex("".join(HCI_CAPTURED)))
    assert len(frames) == 4 and not decoder.damage
    assert decoder.formats == {"": framing.IMST}
    assert "KAM 32666857" in said(frames[0]) and "CI 8d" in said(frames[0])


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ("7e02f037010100050003c0018100837e", "data.request node 5"),
        ("7e01f10c000002010000ff7e", "get parameter 201"),
        ("a5010100", "ping.request"),
        ("ff0a02008077", "get"),
        ("ff1100ee", "factory reset"),
        ("00010001000000010 3".replace(" ", ""), "enable, and tell of the nodes"),
    ],
)
def test_computed_frames(frame: str, text: str) -> None:
    formats = {"7e": framing.USI, "a5": framing.IMST, "ff": framing.AMBER}
    frames, decoder = decoded(bytes.fromhex(frame), formats.get(frame[:2], framing.WRAPPER))
    assert len(frames) == 1 and not decoder.damage
    assert text in said(frames[0])


@pytest.mark.parametrize("format", LINES)
@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_a_request_and_its_answer_by_name(format: str, piece: int) -> None:
    frames, decoder = decoded(b"".join(LINES[format]), AUTO, piece)
    assert decoder.formats == {"": format}
    assert [frame.damage for frame in frames] == ["", ""]
    assert [frame.outward for frame in frames] == [True, False]
    assert NAMED in said(frames[0])
    assert "get-response invoke 1, success, double-long-unsigned 900" in said(frames[1])


@pytest.mark.parametrize("format", [each for each in LINES if each != framing.WRAPPER])
def test_a_wrong_check_sequence_is_shown_and_the_next_frame_found(format: str) -> None:
    request, answer = LINES[format]
    place = request.index(GET) + 3
    damaged = request[:place] + bytes((request[place] ^ 0x10,)) + request[place + 1 :]
    frames, decoder = decoded(damaged + answer, format)
    bad = [frame for frame in frames if frame.damage == kinds.BAD_CRC]
    assert len(bad) == 1 == decoder.damage[kinds.BAD_CRC]
    assert "expected " in said(bad[0]) and "came " in said(bad[0])
    assert "double-long-unsigned 900" in said(frames[-1])


@pytest.mark.parametrize("format", LINES)
def test_noise_ahead_and_a_frame_cut_short(format: str) -> None:
    request, answer = LINES[format]
    frames, decoder = decoded(b"\x11\x22\x33" + request + answer[:-4], format)
    assert any(NAMED in said(frame) for frame in frames)
    assert frames[-1].damage and sum(decoder.damage.values()) >= 2


@pytest.mark.parametrize("format", [framing.IMST, framing.AMBER, framing.HDLC])
def test_a_pause_ends_a_frame(format: str) -> None:
    request, answer = LINES[format]
    decoder = Decoder(format)
    assert not decoder.feed(Chunk(request[:-3], 1000))
    frames = decoder.feed(Chunk(answer, 9000))
    assert frames[0].damage == kinds.CUT_SHORT
    assert "double-long-unsigned 900" in said(frames[-1])


def test_kinds_of_damage_of_usi() -> None:
    for data, kind in (
        (b"\x7e\x01\xb0\x7d\x00\x00\x7e", kinds.BAD_ESCAPE),
        (b"\x7e\x01\xb0\x00\x00\x7e", kinds.BAD_LENGTH),
        (b"\x7e\x01\xbf\x00\x00\x7e", kinds.UNKNOWN_PROTOCOL),
        (b"\x7e\x01\x7e", kinds.BAD_LENGTH),
        (b"\x7e" + bytes(5000) + b"\x7e", kinds.TOO_LONG),
    ):
        frames, _ = decoded(data, framing.USI)
        assert [frame.damage for frame in frames] == [kind], data[:8]


def test_malformed_inside_a_good_frame() -> None:
    short = usi.frame(0x30, b"\x37\x01\x01\x00\x05\x00\xff\xc0")
    frames, decoder = decoded(short, framing.USI)
    assert frames[0].damage == "malformed" and "expected 255 bytes" in said(frames[0])
    assert decoder.damage == {"malformed": 1}


def test_segments_of_hdlc_are_put_together() -> None:
    whole = b"\xe6\xe7\x00" + ANSWER
    line = hdlc(b"\xe6\xe6\x00" + GET, True)
    line += hdlc(whole[:5], False, True) + hdlc(whole[5:], False)
    frames, _ = decoded(line)
    assert [frame.damage for frame in frames] == ["", "", ""]
    assert "a segment" in said(frames[1])
    assert "double-long-unsigned 900" in said(frames[2])


def test_an_optical_probes_opening() -> None:
    opening = mode_e.with_parity(mode_e.Identification("AMI", 9600, True, "E450").encode())
    decoder = Decoder(framing.HDLC)
    frames = decoder.feed(Chunk(opening, 0))
    frames += decoder.feed(Chunk(LINES[framing.HDLC][0], 3000))
    assert [layer.name for layer in frames[0].layers] == ["mode E"]
    assert "E450" in said(frames[0]) and not decoder.damage


def test_nodes_of_a_base_node_over_tcp() -> None:
    new = b"\x01\x00\x05\x00\x01\x03AMI" + bytes.fromhex("0080e1000005")
    frames, decoder = decoded(wrap(0, 1, new) + wrap(1, 5, GET) + wrap(5, 1, ANSWER))
    assert decoder.formats == {"": framing.WRAPPER}
    assert "0080e1000005" in said(frames[1]) and NAMED in said(frames[1])
    assert "900" in said(frames[2])


def test_an_answer_means_more_when_the_question_was_heard() -> None:
    scaler = apdu.GetRequest(0xC2, 3, obis.parse("1.0.1.8.0.255"), 3).encode()
    answer = bytes.fromhex("c401c200") + bytes.fromhex("02020f001 61e".replace(" ", ""))
    frames, _ = decoded(wrap(16, 1, scaler) + wrap(1, 16, answer))
    assert "x 10^0 Wh" in said(frames[1])


def test_short_names_by_name() -> None:
    asked = bytes.fromhex("050102fa08")
    frames, decoder = decoded(wrap(16, 1, asked) + wrap(1, 16, bytes.fromhex("0c01000600000384")))
    assert decoder.formats == {"": framing.WRAPPER}
    assert [frame.outward for frame in frames] == [True, False]
    assert said(frames[0]).endswith("read-request 0xFA08")
    assert said(frames[1]).endswith("read-response 1 items")
    association = acse.InitiateResponse(0x1C0320, 0, acse.VAA_SN).encode()
    assert said(decoded(wrap(1, 16, association))[0][0]).endswith("max-pdu 0, short names")


# ---------------------------------------------------------------- what is it?

ALONE = {
    **{name: pair[0] for name, pair in LINES.items()},
    framing.MBUS: capture("mbus-wired-plain"),
    framing.P1: capture("p1-text"),
    framing.CIPHERED_P1: capture("p1-in-glo")[8:],
}
UNCHECKED = (framing.WRAPPER, framing.CIPHERED_P1)  # without a check sequence nothing tells damage


def test_every_format_has_a_frame_here() -> None:
    assert set(ALONE) == set(framing.FORMATS)


@pytest.mark.parametrize("format", [each for each in ALONE if each not in UNCHECKED])
@pytest.mark.parametrize("many", [1, 5])
def test_damaged_frames_alone_are_known_by_their_kind(format: str, many: int) -> None:
    whole = ALONE[format]
    place = len(whole) * 2 // 3
    damaged = whole[:place] + bytes((whole[place] ^ 0x04,)) + whole[place + 1 :]
    frames, decoder = decoded(damaged * many)
    assert decoder.formats == {"": format} and decoder.recognised
    assert decoder.damage == {kinds.BAD_CRC: many}
    assert all("expected " in said(frame) for frame in frames)


@pytest.mark.parametrize("format", ALONE)
def test_a_frame_cut_short_alone_is_known_by_its_kind(format: str) -> None:
    frames, decoder = decoded(ALONE[format][:-3])
    assert decoder.formats == {"": format} and decoder.recognised
    assert decoder.damage == {kinds.CUT_SHORT: 1} and len(frames) == 1


@pytest.mark.parametrize("seed", range(60))
def test_noise_is_not_recognised(seed: int) -> None:
    source = random.Random(seed)
    size = source.choice((1, 30, 300, 3000, 40_000))
    frames, decoder = decoded(source.randbytes(size))
    assert not decoder.recognised, decoder.formats
    assert {frame.damage for frame in frames} == {kinds.NOT_RECOGNISED}
    assert frames[0].offset == 0 and decoder.bytes == size


@pytest.mark.parametrize(
    "data",
    [
        bytes(5000),
        b"\xff" * 5000,
        b"\x7e" * 5000,
        b"/usr/bin/python3 /etc/hosts\n" * 100,
        b"/AMI5 /home5\n" * 400,
        b"h" * 5000,
        b'{"frames": [1, 2, 3], "path": "/AMI5/x!"}\n' * 200,
        "\u00e9t\u00e9 / summer\n".encode() * 50,
        bytes(range(256)) * 40,
    ],
)
def test_what_is_no_line_is_not_recognised(data: bytes) -> None:
    _, decoder = decoded(data)
    assert not decoder.recognised, decoder.formats


def test_frames_behind_a_long_noise_are_found_with_their_place() -> None:
    noise = random.Random(7).randbytes(20_000)
    request, answer = LINES[framing.HDLC]
    frames, decoder = decoded(noise + request + answer, piece=1000)
    assert decoder.formats == {"": framing.HDLC} and decoder.recognised
    assert NAMED in said(frames[-2]) and frames[-2].offset == len(noise)


# ---------------------------------------------------------------- wired M-Bus


def mbus(ci: int, data: bytes, control: int = 0x53, address: int = 0xFF) -> bytes:
    body = bytes((control, address, ci)) + data
    return bytes((0x68, len(body), len(body), 0x68)) + body + bytes((sum(body) & 0xFF, 0x16))


PUSH = apdu.DataNotification(7, b"", bytes.fromhex("0202" + "06000003e8" + "06000007d0")).encode()


def test_segments_of_the_wired_m_bus() -> None:
    """In several segments, of two meters in turn; and segments whose beginning is missing."""
    pieces = [PUSH[:5], PUSH[5:9], PUSH[9:]]
    ends = b"\x01\x67", b"\x02\x67"
    line = mbus(0x12, ends[0] + pieces[2])
    for at, piece in enumerate(pieces):
        for each in ends:
            line += mbus(at | (0x10 if at == 2 else 0), each + piece)
    frames, decoder = decoded(line)
    assert decoder.formats == {"": framing.MBUS} and not decoder.damage
    assert said(frames[0]).endswith("segment 2 of an APDU whose beginning is missing")
    whole = [said(frame) for frame in frames if "data-notification" in said(frame)]
    assert [text.split(" | ")[0] for text in whole] == [
        "SND-UD to all, 1 to 103, segment 2",
        "SND-UD to all, 2 to 103, segment 2",
    ]
    assert all("double-long-unsigned 2000" in text for text in whole)


def test_a_request_over_the_wired_m_bus_and_its_answer() -> None:
    asked = mbus(0x10, b"\x10\x01" + GET, 0x73, 5)
    answer = mbus(0x10, b"\x01\x10" + ANSWER, 0x08, 5)
    frames, _ = decoded(asked + b"\xe5" + answer + bytes.fromhex("105b055f16".replace("5f", "60")))
    assert [frame.outward for frame in frames] == [True, None, False, None]
    assert NAMED in said(frames[0]) and "SND-UD 5" in said(frames[0])
    assert said(frames[1]) == "acknowledged"
    assert "double-long-unsigned 900 (clock 0.0.1.0.0.255 time)" in said(frames[2])
    assert said(frames[3]) == "REQ-UD2 5"


def test_m_bus_without_dlms_is_named() -> None:
    frames, decoder = decoded(mbus(0x72, bytes(12), 0x08, 1))
    assert decoder.formats == {"": framing.MBUS}
    assert said(frames[0]) == "RSP-UD 1, CI 72, not DLMS"


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_a_ciphered_p1_port(piece: int) -> None:
    """general-glo-ciphering with nothing around it, telegram after telegram."""
    keys = Keys()
    keys.add(given(EK, AK), [])
    decoder = Decoder(AUTO, keys)
    line = ALONE[framing.CIPHERED_P1] * 3
    frames = []
    for at in range(0, len(line), piece):
        frames += decoder.feed(Chunk(line[at : at + piece]))
    assert len(frames) == 3 and decoder.formats == {"": framing.CIPHERED_P1}
    assert not decoder.end() and not decoder.damage
    assert all("1-0:1.8.0(000007001*Wh)" in said(frame) for frame in frames)
    assert "keys of given" in said(frames[0]) and "NOT AUTHENTICATED" not in said(frames[0])


@pytest.mark.parametrize("piece", [1, 50, 1 << 20])
def test_telegrams_of_a_p1_port_one_after_the_other(piece: int) -> None:
    """Also without a CRC, as older meters send them; and behind one that broke off."""
    whole = capture("p1-text")
    older = whole[: whole.rindex(b"!")] + b"!\r\n"
    frames, decoder = decoded(whole + older + whole[:70] + b"\r\n" + whole, piece=piece)
    good = [said(frame) for frame in frames if not frame.damage]
    assert [text.startswith("MMM5\\253000000_A, 1-3:0.2.8(50)") for text in good] == [True] * 3
    assert [text.endswith("no CRC") for text in good] == [False, True, False]
    assert decoder.formats == {"": framing.P1} and decoder.damage == {kinds.NOISE: 1}
