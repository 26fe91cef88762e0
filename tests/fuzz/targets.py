"""What is fuzzed. A target takes one input and returns; what it raises is a finding.

Where a decoder has an encoder, what was decoded must encode, and decode to the same again.
"""

from __future__ import annotations

import asyncio
import importlib.util
import math
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import hal.micropython
from gateway.dlms import acse, apdu, axdr, client, security
from gateway.dlms.errors import DlmsError, ProtocolError, SecurityFailed
from gateway.jobs import job
from gateway.uplink import envelope, messages, package
from gateway.uplink.refused import Refused
from hal.modem import hci, usi, wmbus
from hal.modem.imst import Imst
from hal.modem.prime import Prime
from hal.modem.wrapper import HEADER, Unwrapper, wrap
from hal.ports import CryptoError, ModemError
from hal.rt import cbor
from tools.meter import device
from tools.meter.server import MeterServer

TARGETS: dict[str, Callable[[bytes], None]] = {}


def target(play: Callable[[bytes], None]) -> Callable[[bytes], None]:
    TARGETS[play.__name__] = play
    return play


def pieces(data: bytes) -> Iterator[bytes]:
    """Cut an input into pieces, each after a byte that is its length."""
    pos = 0
    while pos < len(data):
        end = pos + 1 + data[pos]
        yield data[pos + 1 : end]
        pos = end


def same(left: Any, right: Any) -> bool:
    """Equal, with a NaN equal to a NaN."""
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


# ---------------------------------------------------------------- DLMS/COSEM


@target
def dlms_axdr(data: bytes) -> None:
    """A-XDR Data."""
    try:
        typed = axdr.decode(data)
    except ProtocolError:
        return
    assert axdr.skip_at(data, 0) == len(data)
    again = axdr.encode(typed)
    assert same(axdr.decode(again), typed)
    axdr.to_values(typed)


@target
def dlms_apdu(data: bytes) -> None:
    """Plain APDUs: ACSE and xDLMS."""
    try:
        message = apdu.decode(data)
    except ProtocolError:
        return
    encoded = message.encode()
    again = apdu.decode(encoded)
    # BER carries more than the profile uses: what is skipped does not come back.
    assert again == message or (data[0] in (acse.AARQ, acse.AARE) and again.encode() == encoded)


class OpenCrypto:
    """Ciphers nothing and believes every tag and signature: lets a fuzzer, which cannot guess
    them, behind them. What a peer that holds the keys can do, and means no good."""

    def random(self, size: int) -> bytes:
        return bytes(range(size))

    def aes_gcm(self, key: bytes) -> _OpenGcm:
        return _OpenGcm()

    def ecdsa_verify(self, curve: str, public_key: bytes, message: bytes, signature: bytes) -> bool:
        return True


class _OpenGcm:
    def encrypt(self, nonce: bytes, data: bytes, aad: bytes, tag_size: int) -> bytes:
        return bytes(data) + bytes(tag_size)

    def decrypt(self, nonce: bytes, data: bytes, aad: bytes, tag_size: int) -> bytes:
        if len(data) < tag_size:
            raise CryptoError("no tag")
        return bytes(data[: len(data) - tag_size])

    def crypt(self, nonce: bytes, data: bytes) -> bytes:
        return bytes(data)


def _keys() -> security.Keys:
    return security.Keys(b"CLIENT00", bytes(16), bytes(16))


@target
def dlms_unprotect(data: bytes) -> None:
    """Ciphered APDUs, with tags that always match."""
    ciphering = security.Ciphering(OpenCrypto(), _keys(), int, b"METER000")
    for piece in pieces(data):
        try:
            ciphering.unprotect(piece)
        except (ProtocolError, SecurityFailed):
            pass


class _Script:
    """A link on which the meter's frames are already there."""

    max_apdu = 512

    def __init__(self, frames: Iterator[bytes]) -> None:
        self._frames = frames

    async def send(self, apdu: bytes) -> None:
        assert len(apdu) <= self.max_apdu

    async def receive(self, timeout_ms: int) -> bytes:
        for frame in self._frames:
            return frame
        raise asyncio.TimeoutError

    async def close(self) -> None:
        pass


class _Stopped:
    """A clock that stands still: what the link has, it has at once."""

    def ticks_ms(self) -> int:
        return 0


def _drive(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run what never waits for anything; the protocol's own errors end it."""
    try:
        coroutine.send(None)
    except (StopIteration, DlmsError):
        return
    raise AssertionError("it waits for more than the link")


def _converse(data: bytes, association: client.Association) -> None:
    """Everything a client does, against a meter that answers with the pieces of `data`."""
    counter = iter(range(1, 1 << 20)).__next__
    one = client.Client(
        _Script(pieces(data)), _Stopped(), OpenCrypto(), association, counter, tries=2
    )
    name = b"\x00\x00\x01\x00\x00\xff"
    _drive(one.associate())
    _drive(one.get(8, name, 2))
    _drive(one.get_list([(1, name, 2, None), (3, name, 2, None)]))
    _drive(one.set(8, name, 2, b"\x09\x82\x02\x00" + bytes(512)))
    _drive(one.action(8, name, 1, b"\x0f\x00"))
    _drive(one.action(18, name, 2, b"\x09\x82\x02\x00" + bytes(512)))
    _drive(one.release())


@target
def dlms_client(data: bytes) -> None:
    """The client against any meter, without security."""
    _converse(data, client.Association(16))


@target
def dlms_client_hls(data: bytes) -> None:
    """The client against a meter that holds the keys and means no good."""
    association = client.Association(1, authentication=client.HIGH_GMAC, keys=_keys())
    _converse(data, association)


@target
def meter(data: bytes) -> None:
    """The virtual meter against any client."""
    built = device.build_meter("AMI1", password=b"12345678", source=lambda: 1_700_000_000.0)
    server = MeterServer(built, 256)
    for piece in pieces(data):
        if len(piece) > 1:
            answer = server.handle(piece[0] & 0x11, 1, piece[1:])
            assert answer is None or len(answer) <= 256


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
def modem_imst(data: bytes) -> None:
    """The wireless M-Bus module's serial line (HCI)."""
    driver = Imst(silence_ms=1000, answer_ms=100, duty_permille=1000)
    _play_driver(driver, data, _hci_frame, "2d2c576866323002")


@target
def modem_wmbus(data: bytes) -> None:
    """A telegram of wireless M-Bus."""
    try:
        found = wmbus.parse(data, 0x7C, 0x7D)
    except ValueError:
        return
    assert found is None or len(found.apdu) <= len(data)


# ---------------------------------------------------------------- uplink


def _micropython_cbor() -> Any:
    """The CBOR module that boards have instead of cbor2."""
    path = Path(hal.micropython.__file__).parent / "lib" / "cbor2.py"
    spec = importlib.util.spec_from_file_location("micropython_cbor2", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_CBOR = _micropython_cbor()


@target
def cbor_item(data: bytes) -> None:
    """CBOR as our messages use it; both runtimes' decoders give the same."""
    try:
        item = cbor.decode(data, (18,))
    except cbor.CborError:
        return  # no library sees what is refused here
    bare = item.value if isinstance(item, cbor.CBORTag) else item
    theirs = _CBOR.loads(data)
    theirs = theirs.value if isinstance(theirs, _CBOR.CBORTag) else theirs
    assert same(theirs, bare) or isinstance(bare, dict)
    assert same(cbor.decode(cbor.encode(item), (18,)), item) or "nan" in repr(item)


_MESSAGES = (
    messages.State,
    messages.Hello,
    messages.Reports,
    messages.Pull,
    messages.Cancel,
    messages.Chunk,
    messages.Ack,
    messages.Resend,
    messages.Time,
)


@target
def uplink_message(data: bytes) -> None:
    """Every message between HES and concentrator; the first byte says which."""
    if not data:
        return
    kind = _MESSAGES[data[0] % len(_MESSAGES)]
    try:
        message = kind.decode(data[1:])
    except Refused:
        return
    again = message.encode()
    assert kind.decode(again).encode() == again


@target
def uplink_job(data: bytes) -> None:
    """The payload of a job."""
    try:
        found = job.Job.decode(data)
    except job.JobError:
        return
    assert job.Job.decode(found.encode()).encode() == found.encode()


@target
def uplink_envelope(data: bytes) -> None:
    """COSE_Sign1, with a signature that always matches."""
    try:
        payload, kid = envelope.verify(data, [(b"k", bytes(64))], OpenCrypto())
    except Refused:
        return
    assert kid == b"k"
    assert envelope.split(envelope.sign(payload, kid, lambda _: bytes(64)))[1] == payload


@target
def uplink_package(data: bytes) -> None:
    """The content of a package."""
    try:
        found = package.Package.from_payload(data)
    except Refused:
        return
    again = found.to_payload()
    assert package.Package.from_payload(again).to_payload() == again
