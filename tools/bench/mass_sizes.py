"""What goes over the air of an image transfer, in bytes: the frames of the real client and a
virtual meter, in the fleet's pre-established association, ciphered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.activities import attributes, identity
from gateway.activities.image import image_object
from gateway.contract.own_model import OWN_MODEL
from gateway.dlms.client.broadcast import CLIENT, Broadcast
from gateway.dlms.client.client import Association, Client
from gateway.dlms.protection.keyring import Keys
from gateway.meters.way import CONFORMANCE, SERVER
from hal.cpython.clock import SystemClock
from hal.cpython.crypto import SystemCrypto
from hal.modem.prime.api import MAX_PAYLOAD
from tools.bench.mass_channel import BLOCK
from tools.bench.wrong import WrongWork
from tools.meter.population import CLIENT_TITLE, Member, Mix, build_population
from tools.meter.server import MeterServer

Exchange = tuple[int, int]  # bytes of the request, bytes of the answer


@dataclass(frozen=True)
class Sizes:
    """`broadcast`: a block to all; `block`: the ACTION with it to one meter, and its answer."""

    broadcast: int
    block: Exchange
    initiate: Exchange
    bitmap: Exchange
    verify: Exchange
    status: Exchange  # and what it would activate
    activate: Exchange
    firmware: Exchange


class _Wire:
    """A link to one meter that notes how large its frames are."""

    max_apdu = MAX_PAYLOAD

    def __init__(self, server: MeterServer) -> None:
        self._server = server
        self._answer: bytes | None = None
        self.request = 0
        self.answer = 0

    async def send(self, apdu: bytes | memoryview) -> None:
        self.request += len(apdu)
        self._answer = self._server.handle(CLIENT, SERVER, bytes(apdu))

    async def receive(self, timeout_ms: int) -> bytes:
        if self._answer is None:
            raise WrongWork("the virtual meter does not answer")
        self.answer += len(self._answer)
        return self._answer

    async def close(self) -> None:
        """Nothing to close."""

    def taken(self) -> Exchange:
        """Of the exchange just done."""
        sizes = self.request, self.answer
        self.request = self.answer = 0
        return sizes


def measure(image: bytes, identifier: bytes, seed: int) -> Sizes:
    """With this image, which the meter accepts."""
    mix = Mix(plc=1, rf=0, both=0, dead=0, refuses_write=0, other_firmware=0)
    (member,) = build_population(1, seed, mix)
    return asyncio.run(_converse(member, image, identifier))


async def _converse(member: Member, image: bytes, identifier: bytes) -> Sizes:
    crypto, wire, own = SystemCrypto(), _Wire(member.server), member.keys
    counters = iter(range(1, 1 << 20))
    association = Association(CLIENT, SERVER, keys=Keys(CLIENT_TITLE, own.ek, own.ak))
    client = Client(wire, SystemClock(), crypto, association, lambda: next(counters))
    client.assume(own.title, CONFORMANCE, MAX_PAYLOAD)
    assert member.fleet is not None
    fleet = member.fleet
    shared = fleet.broadcast_key
    keys = Keys(CLIENT_TITLE, shared, fleet.broadcast_ak, broadcast=shared)
    blocks = [
        image_object.transfer(number, image[number * BLOCK :][:BLOCK])
        for number in range(-(-len(image) // BLOCK))
    ]
    to_all = Broadcast(crypto, keys, lambda: 1).action(
        image_object.CLASS, image_object.NAME, image_object.TRANSFER, blocks[0]
    )

    async def read(*keys: attributes.Key) -> Exchange:
        if len(keys) == 1:
            await client.get(*keys[0])
        else:
            await attributes.read(client, keys)
        return wire.taken()

    async def invoke(method: int, data: bytes = image_object.NOTHING) -> Exchange:
        await client.action(image_object.CLASS, image_object.NAME, method, data)
        return wire.taken()

    initiate = await invoke(image_object.INITIATE, image_object.initiate(identifier, len(image)))
    sent = [await invoke(image_object.TRANSFER, data) for data in blocks]
    bitmap = await read(image_object.BLOCKS)
    verify = await invoke(image_object.VERIFY)
    status = await read(image_object.STATUS, image_object.TO_ACTIVATE)
    activate = await invoke(image_object.ACTIVATE)
    firmware = await read(identity.firmware_key(OWN_MODEL)[0])
    return Sizes(len(to_all), sent[0], initiate, bitmap, verify, status, activate, firmware)
