"""Conversations with a meter that has short names only."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from gateway.dlms.client.association import HIGH_GMAC
from gateway.dlms.protection.policy import GLO, Protection
from hal.modem.wrapper import wrap
from tests.unit.dlms.test_short_names_meter import SERIAL, association, client, exercise, meter
from tests.unit.meter.links import MemoryLink
from tests.unit.sniff.conftest import Tool
from tools.meter import device
from tools.meter.protection import Demand


def recorded(link: MemoryLink) -> bytearray:
    """What goes over the link from now on, in the wrapper."""
    line = bytearray()
    send, receive = link.send, link.receive

    async def sent(apdu: bytes | memoryview) -> None:
        line.extend(wrap(1, 1, bytes(apdu)))
        await send(apdu)

    async def received(timeout_ms: int) -> bytes:
        apdu = await receive(timeout_ms)
        line.extend(wrap(1, 1, apdu))
        return apdu

    link.send, link.receive = sent, received  # type: ignore[method-assign]
    return line


def test_they_are_named_with_their_directions(sniff: Tool, tmp_path: Path) -> None:
    one, link = client(meter())
    line = recorded(link)
    asyncio.run(exercise(one))
    file = tmp_path / "short.bin"
    file.write_bytes(line)
    ran = sniff(file)
    assert ran.status == 0, ran.err
    rows = [row for row in ran.out.splitlines() if "COSEM" in row and "@" in row]
    assert rows and all(" > " in row or " < " in row for row in rows)
    assert "aarq SN" in ran.out and "read-request 0xFA08" in ran.out
    assert "write-request 0x" in ran.out and "write-response" in ran.out
    # also without the association before it
    begin = line.index(b"\x05\x01\x02\xfa\x08") - 8
    file.write_bytes(line[begin:])
    ran = sniff(file)
    assert ran.status == 0 and "read-request 0xFA08" in ran.out, ran.out


def test_they_are_deciphered(sniff: Tool, tmp_path: Path) -> None:
    one, link = client(meter(HIGH_GMAC, Demand(GLO)), association(HIGH_GMAC, Protection(GLO)))
    line = recorded(link)
    asyncio.run(exercise(one))
    file = tmp_path / "short.bin"
    file.write_bytes(line)
    own = device.derive_test_keys(7, SERIAL)
    keys = tmp_path / "keys.jsonl"
    keys.write_text(json.dumps({"serial": SERIAL, "ek": own.ek.hex(), "ak": own.ak.hex()}) + "\n")
    ran = sniff(file, "--keys", keys)
    assert ran.status == 0, ran.err
    assert "glo-read-request" in ran.out and "read-request 0xFA58" in ran.out
    assert "not deciphered" not in ran.out
