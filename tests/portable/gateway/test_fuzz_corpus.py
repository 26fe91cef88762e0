"""What the fuzzer found interesting (tests/fuzz/corpus) raises the protocol's own errors here too,
on both runtimes, and nothing else."""

from __future__ import annotations

from gateway.contract import envelope, messages, trust_change
from gateway.contract.edhoc import frames
from gateway.contract.edhoc.credential import Credential
from gateway.contract.edhoc.initiator import Initiator
from gateway.contract.edhoc.responder import Responder
from gateway.contract.job import Job
from gateway.contract.model import Model
from gateway.contract.package import Package
from gateway.contract.refused import Refused
from gateway.contract.sealed import Opener
from gateway.dlms import apdu
from gateway.dlms.data import axdr
from gateway.dlms.errors import ProtocolError
from gateway.dlms.hdlc import frames as hdlc_frames
from gateway.dlms.hdlc import mode_e
from hal.modem import usi
from hal.modem.mam.mam import MetersAndMore
from hal.modem.wmbus import hci
from hal.modem.wmbus.amber import Amber
from hal.modem.wrapper import Unwrapper
from hal.rt import cbor
from tests.contract.here import SystemCrypto

CORPUS = __file__[: __file__.rindex("/")] + "/../../fuzz/corpus/"
MESSAGES = (
    messages.State,
    messages.Hello,
    messages.Reports,
    messages.Pull,
    messages.Cancel,
    messages.Chunk,
    messages.Ack,
    messages.Resend,
    messages.Time,
    messages.Pause,
    messages.SignedTime,
    trust_change.TrustChange,
)


def inputs(target: str) -> list[bytes]:
    with open(CORPUS + target + ".txt") as file:
        lines = file.read().split("\n")
    found = [bytes.fromhex(line) for line in lines if not line.startswith("#")]
    assert len(found) > 2
    return found


def pieces(data: bytes) -> list[bytes]:
    """Each behind a byte that is its length: as tests/fuzz cuts them."""
    found = []
    pos = 0
    while pos < len(data):
        end = pos + 1 + data[pos]
        found.append(data[pos + 1 : end])
        pos = end
    return found


def play(target, call, errors) -> None:
    for data in inputs(target):
        try:
            call(data)
        except errors:
            pass


def test_data() -> None:
    play("dlms_axdr", axdr.decode, ProtocolError)


def test_apdus() -> None:
    play("dlms_apdu", apdu.decode, ProtocolError)


def test_wrapper() -> None:
    def feed(data):
        reader = Unwrapper(500)
        for piece in pieces(data):
            reader.feed(piece)

    play("dlms_wrapper", feed, ValueError)


def test_hdlc_frames() -> None:
    def feed(data):
        receiver = hdlc_frames.Receiver()
        for piece in pieces(data):
            for frame in receiver.feed(piece):
                assert frame.name
        receiver.silence()

    play("hdlc_frame", feed, ())
    play("hdlc_connection", feed, ())


def test_mode_e() -> None:
    def feed(data):
        reader = mode_e.Messages()
        for piece in pieces(data):
            for message in reader.feed(piece):
                mode_e.Identification.decode(message)

    play("mode_e_messages", feed, ProtocolError)


def test_modem_lines() -> None:
    def feed(data):
        usi_line, hci_line = usi.Parser(), hci.Parser()
        for piece in pieces(data):
            usi_line.feed(piece)
            hci_line.feed(piece, 0)

    play("modem_prime", feed, ())
    play("modem_imst", feed, ())


def test_drivers() -> None:
    def feed(driver):
        def play_line(data):
            driver.start(0)
            now = 0
            for piece in pieces(data):
                now += 50
                driver.feed(piece, now)
                driver.tick(now)
                driver.outgoing()
                driver.events()

        return play_line

    play("modem_mam", feed(MetersAndMore()), ())
    play("modem_amber", feed(Amber()), ())


def test_cbor() -> None:
    play("cbor_item", lambda data: cbor.decode(data, (18,)), cbor.CborError)


def test_sessions() -> None:
    crypto = SystemCrypto()
    private, public = crypto.ec_generate("P-256")
    credential = Credential("c", b"k", public)

    def sealed(data):
        opener = Opener(crypto, bytes(16), bytes(12), bytes(4))
        for piece in pieces(data):
            opener.open("topic", piece)

    def initiator(data):
        side = Initiator(crypto, credential, private, bytes(4))
        for piece in pieces(data):
            frames.error_in(piece)
            side.message_3(piece, [(b"k", public)])

    def responder(data):
        side = Responder(crypto, credential, private, bytes(4))
        for piece in pieces(data):
            connection, message = frames.unframed(piece)
            if connection is None:
                side.message_2(message)
            else:
                side.finished(message, [credential])

    play("sealed_message", sealed, Refused)
    play("edhoc_initiator", initiator, Refused)
    play("edhoc_responder", responder, Refused)


def test_uplink() -> None:
    def message(data):
        if data:
            MESSAGES[data[0] % len(MESSAGES)].decode(data[1:])

    play("uplink_message", message, Refused)
    play("uplink_envelope", envelope.split, Refused)
    play("uplink_package", Package.from_payload, Refused)
    play("uplink_job", Job.decode, Refused)
    play("uplink_model", Model.from_payload, Refused)
