"""What comes over a line: the wrapper, HDLC, mode E, and the modems' serial protocols."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.dlms.errors import ProtocolError
from gateway.dlms.hdlc import client as hdlc_client
from gateway.dlms.hdlc import frames as hdlc_frames
from gateway.dlms.hdlc import mode_e
from gateway.dlms.hdlc import settings as hdlc_settings
from gateway.dlms.hdlc.numbered import Parameters
from gateway.dlms.hdlc.server import HdlcServer
from hal.modem import usi
from hal.modem.dlmsotcp import DlmsOTcp
from hal.modem.mam.mam import MetersAndMore
from hal.modem.prime.prime import Prime
from hal.modem.wmbus import amber_frames, hci, wmbus
from hal.modem.wmbus.amber import Amber
from hal.modem.wmbus.imst import Imst
from hal.modem.wrapper import HEADER, Unwrapper, wrap
from hal.ports import ModemError
from tests.fuzz.target import pieces, target


@target
def dlms_wrapper(data: bytes) -> None:
    """The wrapper's stream, in any pieces."""
    reader, whole = Unwrapper(500), Unwrapper(500)
    stream = b"".join(pieces(data))
    found = []
    try:
        for piece in pieces(data):
            found += reader.feed(piece)
            assert len(reader._buffer) < HEADER + 500
        assert whole.feed(stream) == found
    except ValueError:
        return
    assert stream.startswith(b"".join(wrap(*frame) for frame in found))


# ---------------------------------------------------------------- HDLC and mode E

CLIENT = hdlc_frames.client_address(1)
SERVER = hdlc_frames.server_address(1, 17)


@target
def hdlc_frame(data: bytes) -> None:
    """HDLC frames out of a stream, in any pieces."""
    receiver = hdlc_frames.Receiver()
    found = []
    for piece in pieces(data):
        found += receiver.feed(piece)
        if not piece:
            found += receiver.silence()
    for frame in found:
        address = hdlc_frames.split_address
        assert address(frame.source) and address(frame.destination) and frame.name
        again = hdlc_frames.encode(
            frame.destination, frame.source, frame.control, frame.information, frame.segmented
        )
        assert hdlc_frames.decode(again).information == frame.information


def _framed(piece: bytes, destination: bytes, source: bytes) -> bytes:
    """A piece of even length in a frame, its first byte the control field, its second telling
    whether it is a segment; another as it is."""
    if len(piece) < 2 or len(piece) % 2:
        return piece
    return hdlc_frames.encode(destination, source, piece[0], piece[2:], piece[1] & 1 == 1)


@target
def hdlc_connection(data: bytes) -> None:
    """The client's end of an HDLC connection."""
    one = hdlc_client.HdlcClient(1, SERVER, hdlc_settings.Settings(window=3), max_apdu=300)
    now = 0
    one.connect(now)
    for piece in pieces(data):
        now += 200
        one.feed(_framed(piece, CLIENT, SERVER), now)
        one.tick(now)
        if one.state == hdlc_client.OPEN and one.all_sent:
            one.send(bytes(200), now)
        while (arrived := one.arrived()) is not None:
            assert len(arrived) <= 300
        one.ask(now)
        assert len(one.output()) <= 4 * (len(piece) + 3) * 200
        assert one.deadline is None or one.deadline > now - 1


@target
def hdlc_station(data: bytes) -> None:
    """The meter's end of HDLC connections."""
    station = HdlcServer((1,), 17, Parameters(128, 128, 3, 3), max_apdu=300)
    now = 0
    for piece in pieces(data):
        now += 200
        station.feed(_framed(piece, SERVER, CLIENT), now)
        station.tick(now)
        for request in station.requests():
            assert len(request.apdu) <= 300
            station.answer(request, [bytes(200)], now)
        station.ended()
        assert len(station.clients()) <= 8
        assert len(station.output()) <= 4 * (len(piece) + 3) * 200


@target
def mode_e_messages(data: bytes) -> None:
    """IEC 62056-21 mode E, both ends."""
    messages = mode_e.Messages()
    server = mode_e.ModeEServer(mode_e.Identification("AMI", 9600, True, "x"))
    for piece in pieces(data):
        assert len(server.feed(piece)) <= 100
        for message in messages.feed(piece):
            try:
                found = mode_e.Identification.decode(message)
            except ProtocolError:
                continue
            assert mode_e.Identification.decode(found.encode()[:-2]).text == found.text


# ---------------------------------------------------------------- modems


def _usi_frame(piece: bytes) -> bytes:
    """A frame with a right CRC around the piece, so that the fuzzer need not find one."""
    try:
        return usi.frame(piece[0] & 0x3F, piece[1:])
    except ValueError:
        return piece


def _hci_frame(piece: bytes) -> bytes:
    return hci.frame(piece[0] & 0x0F, piece[0] >> 4, piece[1:251])


def _play_driver(driver: Any, data: bytes, framed: Callable[[bytes], bytes], address: str) -> None:
    """Pieces of odd length go in as they are, the others in a frame."""
    driver.start(0)
    now = 0
    for piece in pieces(data):
        now += 50
        frame = framed(piece) if piece and len(piece) % 2 == 0 else piece
        driver.feed(frame, now)
        driver.tick(now)
        try:
            driver.send(address, b"\xc0\x01", 16, 1, now)
        except ModemError:
            pass
        assert len(driver.events()) <= 4 * (len(piece) + 10)
        assert len(driver.outgoing()) <= 200 + 4 * len(piece)
        assert driver.due_ms(now) >= 1
        assert len(driver.nodes()) <= 2000


@target
def modem_prime(data: bytes) -> None:
    """The PRIME base node's serial line (USI)."""
    driver = Prime(silence_ms=1000, answer_ms=100)
    _play_driver(driver, data, _usi_frame, "0080e1000001")


@target
def modem_dlmsotcp(data: bytes) -> None:
    """The base node's TCP session (DLMSoTCP)."""
    driver = DlmsOTcp(silence_ms=1000, answer_ms=100)
    _play_driver(
        driver,
        data,
        lambda piece: wrap(piece[0] & 7, piece[0] >> 6, piece[1:]),
        "0080e1000001",
    )


@target
def modem_imst(data: bytes) -> None:
    """The wireless M-Bus module's serial line (HCI)."""
    driver = Imst(silence_ms=1000, answer_ms=100, duty_permille=1000)
    _play_driver(driver, data, _hci_frame, "2d2c576866323002")


@target
def modem_amber(data: bytes) -> None:
    """The Amber module's serial line."""
    driver = Amber(silence_ms=1000, answer_ms=100, duty_permille=1000)
    _play_driver(
        driver,
        data,
        lambda piece: amber_frames.frame(piece[0], piece[1:255]),
        "2d2c576866323002",
    )


@target
def modem_mam(data: bytes) -> None:
    """The Meters and More modem's serial line (USI)."""
    driver = MetersAndMore(silence_ms=1000, answer_ms=100, confirm_ms=300, look_ms=100)
    _play_driver(
        driver,
        data,
        lambda piece: usi.frame(usi.METERS_AND_MORE, bytes([piece[0] & 0x7F]) + piece[1:]),
        "0a0000000001",
    )


@target
def modem_wmbus(data: bytes) -> None:
    """A telegram of wireless M-Bus."""
    try:
        found = wmbus.parse(data, 0x7C, 0x7D)
    except ValueError:
        return
    assert found is None or len(found.apdu) <= len(data)
