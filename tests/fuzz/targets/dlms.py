"""DLMS/COSEM: codecs, protection, the client and the virtual meter."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

from gateway.dlms import apdu
from gateway.dlms.apdu import acse, short
from gateway.dlms.apdu.access import AccessAction, AccessGet, AccessSet
from gateway.dlms.client import client
from gateway.dlms.data import axdr
from gateway.dlms.errors import DlmsError, ProtocolError, SecurityFailed
from gateway.dlms.protection import keyring, policy
from gateway.dlms.protection.security import Ciphering
from tests.fuzz.target import OpenCrypto, pieces, same, target
from tools.meter import device
from tools.meter.server import MeterServer


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
    assert same(axdr.values(data), axdr.to_values(typed))


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


@target
def dlms_short(data: bytes) -> None:
    """Plain APDUs with short names."""
    try:
        message = short.decode(data)
    except ProtocolError:
        return
    encoded = message.encode()
    again = short.decode(encoded)
    assert again == message or (data[0] in (acse.AARQ, acse.AARE) and again.encode() == encoded)


def _keys() -> keyring.Keys:
    """Of suite 1, with everything one can have."""
    return keyring.Keys(
        b"CLIENT00",
        bytes(16),
        bytes(16),
        1,
        signing=bytes(32),
        peer_signing=bytes(64),
        agreement=bytes(32),
        peer_agreement=bytes(64),
        master=bytes(16),
        broadcast=bytes(16),
    )


PROTECTIONS = [policy.Protection(form) for form in policy.FORMS[1:]]
PROTECTIONS += [policy.Protection(policy.GENERAL_CIPHERING, key=key) for key in policy.KEY_SOURCES]
PROTECTIONS += [
    policy.Protection(policy.GLO, signed=True),
    policy.Protection(policy.PLAIN, signed=True),
    policy.Protection(policy.GLO, policy.AUTHENTICATED),
    policy.Protection(policy.GLO, policy.ENCRYPTED),
]


@target
def dlms_unprotect(data: bytes) -> None:
    """Protected APDUs, with tags and signatures that always match; the first byte says which
    protection is due, and on which side."""
    if not data:
        return
    protection = PROTECTIONS[(data[0] & 0x7F) % len(PROTECTIONS)]
    meter = data[0] >= 0x80
    ciphering = Ciphering(
        OpenCrypto(), _keys(), int, b"METER000", protection=protection, responder=meter
    )
    if protection.dedicated:
        ciphering.dedicate(bytes(16))
    for piece in pieces(data[1:]):
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
    target_ = (8, name, 2, None)
    _drive(one.set_list([(target_, b"\x11\x01"), (target_, b"\x00")]))
    _drive(one.action_list([((9, name, 1), b"\x12\x00\x01"), ((18, name, 3), None)]))
    _drive(
        one.access(
            [AccessGet(8, name, 2), AccessSet(8, name, 2, b"\x00"), AccessAction(9, name, 1)]
        )
    )
    _drive(_all_rows(one))
    _drive(one.listen(1000))
    _drive(one.release())


async def _all_rows(one: client.Client) -> None:
    async for row in one.read_profile(b"\x01\x00\x63\x01\x00\xff"):
        assert isinstance(row, list)


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
def dlms_client_signed(data: bytes) -> None:
    """The same with ECDSA, general-ciphering and signatures."""
    protection = policy.Protection(policy.GENERAL_CIPHERING, key="one-pass", signed=True)
    _converse(
        data,
        client.Association(
            1, authentication=client.HIGH_ECDSA, keys=_keys(), protection=protection
        ),
    )


@target
def dlms_client_short(data: bytes) -> None:
    """The client against any meter with short names."""
    _converse(data, client.Association(16, referencing=client.SN))


@target
def dlms_client_short_hls(data: bytes) -> None:
    """The same against one that holds the keys and means no good."""
    _converse(
        data,
        client.Association(1, authentication=client.HIGH_GMAC, keys=_keys(), referencing=client.SN),
    )


@target
def meter(data: bytes) -> None:
    """The virtual meter against any client."""
    built = device.build_meter("AMI1", password=b"12345678", source=lambda: 1_700_000_000.0)
    server = MeterServer(built, 256)
    for piece in pieces(data):
        if len(piece) > 1:
            for answer in server.answers(piece[0] & 0x11, 1, piece[1:]):
                assert len(answer) <= 256


@target
def meter_short(data: bytes) -> None:
    """The virtual meter with short names against any client, let in by its password."""
    built = device.build_meter(
        "AMI1", password=b"12345678", source=lambda: 1_700_000_000.0, short_names={}
    )
    server = MeterServer(built, 256)
    initiate = acse.InitiateRequest(client.PROPOSED_SN, 256).encode()
    aarq = acse.Aarq(acse.SN, initiate, b"", acse.LOW, b"12345678")
    assert acse.Aare.decode(server.handle(1, 1, aarq.encode()) or b"").result == acse.ACCEPTED
    for piece in pieces(data):
        for answer in server.answers(1, 1, piece):
            assert len(answer) <= 256
