"""Requests tampered with, cut short or out of order: the virtual meter refuses them under every
form of protection, nothing is written, and the association goes on."""

from __future__ import annotations

import asyncio

import pytest

from gateway.dlms.apdu.errors import EXCEPTION_RESPONSE
from gateway.dlms.protection.policy import Protection
from tests.unit.dlms.test_protections import ALARMS, TAGGED, label, opened
from tools.meter.model import MANAGEMENT

WANTED, EVIL = b"\x06\x00\x00\x00\x01", b"\x06\x00\x00\x00\x02"


@pytest.mark.parametrize(("suite", "how"), TAGGED, ids=label)
def test_requests_tampered_with_or_cut_are_refused_by_the_meter(
    suite: int, how: Protection
) -> None:
    async def story() -> None:
        client, _, server = await opened(suite, how)
        await client.set(1, ALARMS, 2, WANTED)
        ciphering = client._exchange.ciphering
        assert ciphering is not None
        held = ciphering.protect(bytes.fromhex("c101450001") + ALARMS + b"\x02\x00" + EVIL)
        hostile = [held[:end] for end in (*range(1, len(held), 11), len(held) - 1)]
        for place in (*range(0, len(held), 7), len(held) - 1):
            broken = bytearray(held)
            broken[place] ^= 0x04
            hostile.append(bytes(broken))
        for raw in [*hostile, held + b"\x00"]:
            answer = server.handle(MANAGEMENT, 1, raw)
            assert answer is None or answer[0] == EXCEPTION_RESPONSE, raw.hex()
        assert await client.get(1, ALARMS, 2) == WANTED
        # the true one is late by now: the GET took a higher counter
        answer = server.handle(MANAGEMENT, 1, held)
        assert answer is None or answer[0] == EXCEPTION_RESPONSE
        assert await client.get(1, ALARMS, 2) == WANTED

    asyncio.run(story())
