"""What a PRIME sniffer hands over, field by field: beacons, promotions, levels, and no time where
the record tells none."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hal.modem import usi
from tests.unit.sniff.test_sniff_lines import CAPTURE
from tools.sniff import framing, source
from tools.sniff.decoder import Decoder
from tools.sniff.frame import Chunk, Frame, Layer
from tools.sniff.prime_mac import decode


def captured() -> list[Frame]:
    decoder = Decoder(framing.USI)
    frames = []
    for chunk in source.Capture(CAPTURE).chunks():
        frames += decoder.feed(chunk)
    assert not decoder.damage
    return frames


def fields(layer: Layer) -> dict[str, str]:
    return {part.name: part.text or part.raw.hex() for part in layer.parts}


def test_every_captured_beacon_is_decoded_and_its_sequence_goes_on() -> None:
    beacons = [frame.layers[2] for frame in captured() if "beacon" in frame.layers[2].text]
    assert len(beacons) > 60
    numbers = [int(fields(beacon)["BCN.SEQ"]) for beacon in beacons]
    assert numbers == [at % 32 for at in range(len(numbers))]
    assert beacons[1].text == (
        "beacon, QLTY 15, SID 0, LEVEL 0, CFP 26, CSMA 0, POS 1, SEQ 1, frame of 552 symbols,"
        " FRQ 0 (every frame), SNA 010203000000, COST 0"
    )
    assert fields(beacons[1]) == {
        "HDR.HT": "2",
        "BCN.QLTY": "15",
        "BCN.SID": "0",
        "BCN.LEVEL": "0",
        "BCN.CFP": "26",
        "BCN.CSMA": "0",
        "BCN.POS": "1",
        "BCN.FRA_LEN": "1",
        "BCN.PHYBC": "0",
        "BCN.MACBC": "0",
        "BCN.SEQ": "1",
        "BCN.FRQ": "0",
        "BCN.SNA": "010203000000",
        "BCN.COST": "0",
        "CRC": "054965ca",
    }


def test_beacons_come_once_a_frame_by_the_sniffers_clock() -> None:
    """552 symbols of 2.24 ms: what FRA_LEN says is what the ticks measure."""
    began = [
        fields(frame.layers[1])["began"] for frame in captured() if "beacon" in frame.layers[2].text
    ]
    times = [float(each.removesuffix(" s")) for each in began[:20]]
    gaps = [round(after - before, 5) for before, after in pairwise(times)]
    assert set(gaps) == {1.23648}


def test_captured_promotions_registrations_and_levels() -> None:
    frames = captured()
    asked = [frame for frame in frames if "PRO_REQ_S" in frame.layers[2].text]
    assert len(asked) == 30
    assert asked[0].layers[2].text == (
        "uplink, level 0: PRO_REQ_S, SID 0, LNID 757, 12 bytes, NSID 255, RQ 3, TIME 1,"
        " PNA 010203000013, COST 1"
    )
    found = fields(asked[0].layers[2])
    assert {name: found[name] for name in found if name.startswith("PRO.")} == {
        "PRO.N": "0",
        "PRO.BCN_POS": "0",
        "PRO.NSID": "255",
        "PRO.RQ": "3",
        "PRO.TIME": "1",
        "PRO.SEQ": "0",
        "PRO.FRQ": "0",
        "PRO.MOD": "0",
        "PRO.ACK": "0",
        "PRO.DS": "0",
        "PRO.PN_BC": "0",
        "PRO.PN_R": "1",
        "PRO.SWC_DC": "1",
        "PRO.SWC_ARQ": "1",
        "PRO.PNA": "010203000013",
        "PRO.COST": "1",
    }
    said = [frame.layers[2].text for frame in frames]
    assert any("downlink, level 0: REG_RSP" in text and "01020300000a" in text for text in said)
    assert any("ALV_ACK" in text and "RX_SNR 3, RX_POW 11" in text for text in said)
    assert {frame.layers[1].text.split("Z, ")[1] for frame in frames} == {
        "R_DBPSK, 123 dBuV, quality 7",
        "R_DBPSK, 93 dBuV, quality 3",
    }


def record(kind: int, pdu: bytes, heard_ms: int = 0, began: int = 100_000) -> Frame:
    head = bytes((kind, 0x14, 0x11, 0x00, 0x10, 5, 12, 1)) + bytes(5)
    times = heard_ms.to_bytes(6, "big") + began.to_bytes(4, "big") + (began + 9).to_bytes(4, "big")
    tail = (80).to_bytes(2, "big") + b"\x00" + len(pdu).to_bytes(2, "big")
    frames = Decoder(framing.USI).feed(
        Chunk(usi.frame(usi.PRIME_SNIFFER, head + times + tail + pdu))
    )
    return frames[0]


@pytest.mark.parametrize("heard_ms", [0, 12_345])
def test_a_record_without_time_shows_the_sniffers_ticks(heard_ms: int) -> None:
    frame = record(0x20, bytes.fromhex("2f000000000801020300000000000549" + "65ca"), heard_ms)
    assert frame.layers[1].text == "18 bytes heard at 1.00000 s, DBPSK, 80 dBuV, quality 5"
    assert fields(frame.layers[1])["heard"] == "not told"
    assert "1970" not in " ".join(layer.text for layer in frame.layers)


def test_the_layouts_of_1_3_6() -> None:
    # QLTY 5, SID 3, CNT 2, SLT 1, CFP 27, LEVEL 4, SEQ 9, FRQ 2
    beacon = bytes((0b0010_0101, 3, 0b010_001_00, 27, 4, 9 << 3 | 2)) + bytes.fromhex(
        "010203000000" + "0708" + "deadbeef"
    )
    assert record(0x20, beacon).layers[2].text == (
        "beacon, QLTY 5, SID 3, LEVEL 4, CNT 2, SLT 1, CFP 27, SEQ 9, FRQ 2 (every 4 frames),"
        " SNA 010203000000, UPCOST 7, DNCOST 8"
    )
    wanted = bytes((0b0001_0000,)) + bytes.fromhex("010203000000" + "00800000000a" + "aa")
    assert record(0x20, wanted).layers[2].text == (
        "promotion needed, SNA 010203000000, PNA 00800000000a"
    )

    def packet(down: int, data: bytes, kind: int = 3) -> str:
        head = bytes((0x00, 0x40 if down else 0, 0xAA))
        head += bytes((0x02, kind, 0x00)) + (9 << 10 | len(data)).to_bytes(3, "big")
        return decode(head + data + b"CRC.", False).text

    request = bytes((0b0_0_101_001, 0xFF)) + bytes.fromhex("00800000000a" + "0102" + "09")
    assert packet(0, request) == (
        "uplink, level 0: PRO_REQ_S, SID 0, LNID 9, 11 bytes, NSID 255, RQ 5, TIME 1,"
        " PNA 00800000000a, UPCOST 1, DNCOST 2"
    )
    for down, first, sid, kind in (
        (1, 0x00, 7, "PRO_REQ_B"),
        (0, 0x00, 7, "PRO_ACK"),
        (1, 0x80, 0xFF, "PRO_REJ"),
        (0, 0x80, 7, "PRO_DEM_S"),
        (1, 0x80, 7, "PRO_DEM_B"),
    ):
        assert ": %s, " % kind in packet(down, bytes((first, sid)))
    assert "EUI-48 00800000000a" in packet(0, bytes.fromhex("0000" + "00800000000a"), 1)


def test_keys_that_a_registration_brings_are_not_shown() -> None:
    keys = b"\x5a" * 32
    head = bytes((0x00, 0x40, 0xAA, 0x02, 1, 0x00)) + (9 << 10 | 40).to_bytes(3, "big")
    layer = decode(head + bytes((0x10, 0)) + bytes(6) + keys + b"CRC.", False)
    assert keys[:4] not in b"".join(part.raw for part in layer.parts)
    assert fields(layer)["more"] == "32 bytes, not shown"


@pytest.mark.parametrize("newer", [False, True])
def test_a_pdu_of_any_length_is_shown(newer: bool) -> None:
    for kind in range(4):
        for first in (kind << 4, kind << 4 | 0x4F):
            for size in range(40):
                layer = decode((bytes((first,)) + bytes([0x83]) * 40)[:size], newer)
                assert layer.name == "PRIME MAC" and layer.text
