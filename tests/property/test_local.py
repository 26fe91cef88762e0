"""Whatever comes to the port of local access, or by UDP, is answered or dropped."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dlms.client.client import HIGH_GMAC, Association, Client
from gateway.dlms.errors import ProtocolError
from gateway.dlms.protection.keyring import Keys
from gateway.local import header
from gateway.local.objects import Objects
from gateway.local.server import LocalServer
from hal.cpython.crypto import SystemCrypto
from hal.modem.udp import Udp
from hal.modem.wrapper import wrap
from hal.sim.clock import ManualClock
from tests.portable.local.support import Times, kept
from tests.portable.local.test_server import AK, EK, OURS, THEIRS, Status
from tests.portable.modem.test_udp import Air

first_bytes = st.sampled_from([b"\x60", b"\x62", b"\xc0", b"\xc8", b"\xcb", b"\xdb", b"\xdd", b""])
apdus = st.builds(lambda first, rest: first + rest, first_bytes, st.binary(max_size=120))


class Line:
    """A Link to a server."""

    max_apdu = 1024

    def __init__(self, server: LocalServer) -> None:
        self._server = server
        self._answers: list[bytes] = []
        self.sent: list[bytes] = []

    async def send(self, apdu: bytes | memoryview) -> None:
        self.sent.append(bytes(apdu))
        self._answers.append(self._server.answer(1, bytes(apdu)))

    async def receive(self, timeout_ms: int) -> bytes:
        return self._answers.pop(0)

    async def close(self) -> None: ...


def server_with(counters: dict[bytes, int]) -> LocalServer:
    def next_counter() -> int:
        counters[OURS] += 1
        return counters[OURS]

    clock = ManualClock(1800000000)
    objects = Objects("street-1", Status(), kept(clock), Times())
    keys = Keys(OURS, EK, AK)
    return LocalServer(objects, keys, SystemCrypto(), clock, next_counter, lambda *_: None)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), apdus), max_size=12), st.data())
def test_the_local_server_answers_anything_and_lets_nobody_in(
    noise: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    """Nor does noise between a technician's APDUs, or a changed byte in one of them."""
    counters = {OURS: 0, THEIRS: 0}
    server = server_with(counters)
    for client_sap, apdu in noise:
        assert server.answer(client_sap, apdu)
        assert not server.proven(client_sap)

    def next_counter() -> int:
        counters[THEIRS] += 1
        return counters[THEIRS]

    async def visit() -> None:
        line = Line(server)
        keys = Keys(THEIRS, EK, AK)
        association = Association(1, 1, HIGH_GMAC, keys=keys)
        clock = ManualClock()
        client = Client(line, clock, SystemCrypto(), association, next_counter, 1000, 1)
        await client.associate()
        await client.get(1, bytes((0, 0, 42, 0, 0, 255)), 2)
        proof = bytearray(line.sent[1])
        place = data.draw(st.integers(0, len(proof) - 1))
        proof[place] ^= data.draw(st.integers(1, 255))
        for apdu in (bytes(proof), line.sent[0], line.sent[1], line.sent[2]):
            assert server.answer(2, apdu)
            assert not server.proven(2)

    fresh = server_with(counters)
    server = fresh
    asyncio.run(visit())


@given(st.binary(max_size=60))
def test_the_header_of_the_gateway_protocol(data: bytes) -> None:
    try:
        tag, serial, apdu = header.decode(data)
    except ProtocolError:
        return
    assert header.encode(tag, serial, apdu) == data


datagrams = st.one_of(
    st.binary(max_size=100),
    st.builds(wrap, st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=60)),
)


@settings(deadline=None)
@given(st.lists(st.tuples(datagrams, st.sampled_from(["fd00::1", "fd00::99"])), max_size=40))
def test_udp_takes_anything_from_anybody(noise: list[tuple[bytes, str]]) -> None:
    async def play() -> None:
        air = Air()

        async def open_port() -> Any:
            return air

        clock = ManualClock()
        modem = Udp(open_port, clock)
        await modem.send("[fd00::1]:4059", b"x", 1, 1)
        for datagram, host in noise:
            air.say(datagram, host)
        await clock.settle()
        air.say(wrap(1, 16, b"after all"), "fd00::1")
        counts = {"received": -1}
        while counts["received"] + counts.get("malformed", 0) < len(noise) + 1:
            await clock.settle()
            counts = modem.statistics()
        event: Any = None
        for _ in range(counts["received"] + 1):
            event = await modem.event()
        assert event.data == b"after all" and event.address == "[fd00::1]:4059"
        assert len(modem.nodes()) == 1
        await modem.close()

    asyncio.run(play())
