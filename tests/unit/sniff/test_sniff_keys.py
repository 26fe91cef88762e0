"""Deciphering: every form of protection, with the right keys, others and none; no secret shown."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from gateway.contract.meter_keys import MeterKeys, Vault
from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client.broadcast import Broadcast
from gateway.dlms.client.client import LOW
from gateway.dlms.data import axdr, obis
from gateway.dlms.protection.keyring import Keys as DlmsKeys
from gateway.dlms.protection.policy import (
    DED,
    ENCRYPTED,
    GENERAL_CIPHERING,
    GENERAL_DED,
    IDENTIFIED,
    PLAIN,
    Protection,
)
from gateway.meters.inventory import BROADCAST
from hal.cpython.crypto import SystemCrypto
from hal.modem.wrapper import wrap
from tests.unit.dlms.test_protections import (
    CASES,
    SECRET,
    SERIAL,
    TITLE,
    association,
    exercise,
    label,
    meter,
    over,
    pair,
)
from tests.unit.meter.links import MemoryLink
from tests.unit.sniff.conftest import Tool
from tools.meter.device import derive_test_keys
from tools.meter.model import MANAGEMENT
from tools.meter.server import MeterServer
from tools.sniff import keys, output
from tools.sniff.decoder import Decoder
from tools.sniff.frame import Chunk, Frame
from tools.sniff.keys import Keys, KeySet

ADDRESS = "0080e1000001"


class Overheard(MemoryLink):
    """`said`: the wrapper PDUs that passed, and whether to the meter."""

    def __init__(self, server: MeterServer, client_sap: int, max_apdu: int = 1024) -> None:
        super().__init__(server, client_sap, max_apdu)
        self.said: list[tuple[bool, bytes]] = []

    async def send(self, apdu: bytes | memoryview) -> None:
        self.said.append((True, wrap(MANAGEMENT, 1, apdu)))
        await super().send(apdu)

    async def receive(self, timeout_ms: int) -> bytes:
        answer = await super().receive(timeout_ms)
        self.said.append((False, wrap(1, MANAGEMENT, answer)))
        return answer


def known(suite: int, seed: int = 7) -> Keys:
    found = Keys()
    own = derive_test_keys(seed, SERIAL, suite)
    found.add(KeySet(SERIAL, MeterKeys(own.ek, own.ak, suite)), [])
    return found


def overheard(server: MeterServer, wanted: object) -> list[tuple[bool, bytes]]:
    link = Overheard(server, MANAGEMENT)
    asyncio.run(exercise(over(link, wanted)))  # type: ignore[arg-type]
    return link.said


def decode(
    said: list[tuple[bool, bytes]], keys: Keys | None, ways: bool = True
) -> tuple[list[Frame], Decoder]:
    decoder = Decoder("wrapper", keys)
    frames = []
    for at, (outward, data) in enumerate(said):
        frames += decoder.feed(Chunk(data, at, outward if ways else None))
    return frames + decoder.end(), decoder


def text(frames: list[Frame]) -> str:
    return "\n".join(layer.text for frame in frames for layer in frame.layers)


def shown(frames: list[Frame]) -> str:
    """All that either output would show of them."""
    out = io.StringIO()
    lines = output.Lines(True)
    lines._console = Console(file=out, width=300, highlight=False)
    for frame in frames:
        lines.frame(frame)
    parts = [part for frame in frames for layer in frame.layers for part in layer.parts]
    return out.getvalue() + " ".join(part.raw.hex() for part in parts)


def secrets(suite: int) -> list[str]:
    own = derive_test_keys(7, SERIAL, suite)
    return [own.ek.hex(), own.ak.hex(), own.master.hex(), SECRET.decode(), SECRET.hex()]


@pytest.mark.parametrize("ways", [True, False], ids=["two-way", "one-way"])
@pytest.mark.parametrize(("suite", "how"), CASES, ids=label)
def test_every_form_of_protection(suite: int, how: Protection, ways: bool) -> None:
    said = overheard(*pair(suite, how))
    frames, decoder = decode(said, known(suite), ways)
    found = text(frames)
    own_key = how.form == GENERAL_CIPHERING and how.key != IDENTIFIED
    if own_key:
        assert "its key was wrapped or agreed for this APDU alone" in found
    else:
        assert decoder.cosem.deciphered == decoder.cosem.ciphered, found
        assert (decoder.cosem.ciphered > 8) == (how.form != PLAIN)
        for words in (
            "set-request invoke",
            "data 0.0.97.98.10.255 value, double-long-unsigned 7",
            "profile_generic 1.0.99.1.0.255 reset",
            'octet-string "%s"' % SERIAL,
        ):
            assert words in found, (words, found)
    visible = shown(frames)
    for secret in secrets(suite):
        assert secret not in visible.replace(" ", "")


@pytest.mark.parametrize("how", [Protection(), Protection(DED), Protection(GENERAL_DED)], ids=label)
def test_with_other_keys_and_with_none(how: Protection) -> None:
    said = overheard(*pair(0, how))
    frames, decoder = decode(said, known(0, seed=8))
    assert decoder.cosem.deciphered == 0 and decoder.cosem.ciphered > 8
    assert "no key given fits" in text(frames)
    frames, decoder = decode(said, None)
    assert decoder.cosem.deciphered == 0 and "no keys are given" in text(frames)


def test_without_the_aarq_a_title_given_helps() -> None:
    said = overheard(*pair(0, Protection()))[2:]
    frames, decoder = decode(said, known(0))
    assert decoder.cosem.deciphered == 0
    assert "the sender's system title is not known" in text(frames)
    helped = known(0)
    helped.titles.append(TITLE)
    frames, decoder = decode(said, helped)
    requests = decoder.cosem.deciphered
    assert requests > 4 and "set-request" in text(frames)
    title = derive_test_keys(7, SERIAL).title
    own = derive_test_keys(7, SERIAL)
    helped.add(KeySet(SERIAL, MeterKeys(own.ek, own.ak), title), [])
    frames, decoder = decode(said, helped)
    assert decoder.cosem.deciphered == decoder.cosem.ciphered > requests


def test_encrypted_only_with_another_key_is_not_taken_for_plain() -> None:
    said = overheard(*pair(0, Protection(policy=ENCRYPTED)))
    _, decoder = decode(said, known(0, seed=8))
    assert decoder.cosem.deciphered <= decoder.cosem.ciphered // 4  # 1 in 256 by chance


def test_a_changed_bit_is_told() -> None:
    said = overheard(*pair(0, Protection()))
    outward, data = said[4]
    said[4] = outward, data[:-3] + bytes((data[-3] ^ 1,)) + data[-2:]
    frames, decoder = decode(said, known(0))
    assert "it was changed on its way" in text(frames)
    assert decoder.cosem.deciphered == decoder.cosem.ciphered - 1


def test_passwords_are_never_shown() -> None:
    said = overheard(meter(0, LOW, ciphered=False), association(LOW, None))
    frames, _ = decode(said, None)
    assert "authentication LLS" in text(frames)
    visible = shown(frames)
    for secret in secrets(0):
        assert secret not in visible.replace(" ", "")


def test_secrets_written_are_never_shown_alone_or_in_lists() -> None:
    association_ln = obis.parse("0.0.40.0.0.255")
    value = axdr.encode((axdr.OCTET_STRING, SECRET))
    target = 15, association_ln, 7
    sent = [
        apdu.SetRequest(0xC1, *target, None, value),
        apdu.SetListRequest(0xC1, [(*target, None)], [value]),
        apdu.SetFirstBlock(0xC1, *target, None, False, 1, value[:10]),
        apdu.SetBlock(0xC1, True, 2, value[10:]),
        apdu.ActionRequest(0xC1, 64, obis.parse("0.0.43.0.0.255"), 2, value),
        apdu.ActionListRequest(0xC1, [(64, obis.parse("0.0.43.0.0.255"), 2)], [value]),
        apdu.GeneralBlock(True, False, 1, 1, 0, apdu.SetRequest(1, *target, None, value).encode()),
        acse.InitiateRequest(1, 1, SECRET),
        acse.Aarq(1, acse.InitiateRequest(1, 1, SECRET).encode(), b"", LOW, SECRET),
    ]
    said = [(True, wrap(1, 1, each.encode())) for each in sent]
    frames, decoder = decode(said, None)
    assert len(frames) == len(sent) and not decoder.damage
    assert "association_ln 0.0.40.0.0.255 secret" in shown(frames)
    visible = shown(frames).replace(" ", "")
    assert SECRET.hex() not in visible and SECRET[:6].hex() not in visible
    assert SECRET.decode() not in shown(frames)


def test_a_damaged_frame_shows_no_secret() -> None:
    aarq = acse.Aarq(1, b"", b"", LOW, SECRET).encode()
    decoder = Decoder("wrapper")
    frames = decoder.feed(Chunk(wrap(1, 1, aarq)[:-6])) + decoder.end()
    assert frames[0].damage
    assert SECRET[:6].hex() not in shown(frames).replace(" ", "")


def test_the_fleets_broadcast() -> None:
    fleet = MeterKeys(b"\x11" * 16, b"\x22" * 16)
    sender = DlmsKeys(TITLE, b"\x33" * 16, fleet.ak, broadcast=fleet.ek)
    broadcast = Broadcast(SystemCrypto(), sender, lambda: 5)
    action = broadcast.action(18, obis.parse("0.0.44.0.0.255"), 2, b"\x00")
    said = [(True, wrap(102, 1, action))]
    given = Keys()
    given.titles.append(TITLE)
    frames, decoder = decode(said, given)
    assert "no broadcast key is given" in text(frames)
    given.add(KeySet(BROADCAST, fleet), [])
    frames, decoder = decode(said, given)
    assert decoder.cosem.deciphered == 1
    assert "image_transfer 0.0.44.0.0.255 image_block_transfer" in text(frames)


def test_general_blocks_are_put_together() -> None:
    get = apdu.GetRequest(0xC1, 8, obis.parse("0.0.1.0.0.255"), 2).encode()
    blocks = [
        apdu.GeneralBlock(False, True, 1, 1, 0, get[:5]),
        apdu.GeneralBlock(True, False, 1, 2, 0, get[5:]),
    ]
    frames, _ = decode([(True, wrap(16, 1, each.encode())) for each in blocks], None)
    assert "clock 0.0.1.0.0.255 time" not in text(frames[:1])
    assert "clock 0.0.1.0.0.255 time" in text(frames[1:])


# ---------------------------------------------------------------- files


def test_keys_and_meters_of_an_inventory(tmp_path: Path) -> None:
    own = derive_test_keys(7, SERIAL)
    vault = Vault(SystemCrypto(), bytes(32))
    wrapped = vault.wrap("AMI0000000043", MeterKeys(own.ek, own.ak)).hex()
    rows = [
        {"serial": SERIAL, "ek": own.ek.hex(), "ak": own.ak.hex()},
        {"serial": "AMI0000000043", "wrapped": wrapped},
        {"serial": "31001234", "lls": "00"},
        {"serial": "31001235", "wrapped_lls": "00" * 24, "counter": 7},
    ]
    (tmp_path / "keys.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    place = {"serial": SERIAL, "paths": [["plc", ADDRESS]], "title": own.title.hex()}
    (tmp_path / "meters.jsonl").write_text(json.dumps(place) + "\n")
    (tmp_path / "board.key").write_text("00" * 32)
    found = keys.read(tmp_path / "keys.jsonl", tmp_path / "meters.jsonl", tmp_path / "board.key")
    assert len(found) == 2 and found.serial(ADDRESS) == SERIAL
    assert [each.serial for each in found.candidates(ADDRESS, b"")] == [SERIAL]
    assert [each.serial for each in found.candidates("", own.title)] == [SERIAL]
    assert len(found.candidates("", b"")) == 2
    assert own.ek.hex() not in repr(found) + repr(found.candidates("", b""))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("{", "expected a JSON object"),
        ('{"serial": "A"}', 'expected {"serial": .., "ek": hex, "ak": hex}'),
        ('{"serial": "A", "ek": "00", "ak": "00"}', 'expected {"serial"'),
        ('{"serial": "A", "wrapped": "00"}', "give --board-key"),
    ],
)
def test_a_wrong_line_of_keys(row: str, expected: str, tmp_path: Path, sniff: Tool) -> None:
    (tmp_path / "keys.jsonl").write_text(row + "\n")
    (tmp_path / "capture").write_bytes(b"")
    ran = sniff("--keys", tmp_path / "keys.jsonl", tmp_path / "capture")
    assert ran.status == 2
    assert "keys.jsonl:1: " in ran.err and expected in ran.err


def test_keys_on_the_command_line(tmp_path: Path, sniff: Tool) -> None:
    said = overheard(*pair(0, Protection()))
    (tmp_path / "capture").write_bytes(b"".join(data for _, data in said))
    own = derive_test_keys(7, SERIAL)
    ran = sniff("--ek", own.ek.hex(), "--ak", own.ak.hex(), tmp_path / "capture")
    assert ran.status == 0 and "data 0.0.97.98.10.255 value" in ran.out
    assert own.ek.hex() not in ran.out + ran.err
    alone = sniff("--ek", own.ek.hex(), tmp_path / "capture")
    assert alone.status == 0 and "data 0.0.97.98.10.255 value" in alone.out
    assert "NOT AUTHENTICATED: no AK to check its tag" in alone.out
    assert sniff("--ak", own.ak.hex(), tmp_path / "capture").status == 2
    wrong = sniff("--ek", "00", "--ak", "11", tmp_path / "capture")
    assert wrong.status == 2 and "32 hex digits" in wrong.err


def test_a_line_of_keys_may_have_no_authentication_key(tmp_path: Path, sniff: Tool) -> None:
    said = overheard(*pair(0, Protection()))
    (tmp_path / "capture").write_bytes(b"".join(data for _, data in said))
    row = {"serial": SERIAL, "ek": derive_test_keys(7, SERIAL).ek.hex()}
    (tmp_path / "keys.jsonl").write_text(json.dumps(row) + "\n")
    ran = sniff("--keys", tmp_path / "keys.jsonl", "--json", tmp_path / "capture")
    assert ran.status == 0 and ran.summary["deciphered"] == ran.summary["ciphered"] > 8
    assert ran.summary["not_authenticated"] == ran.summary["deciphered"]
    assert "keys of %s, NOT AUTHENTICATED: no AK to check its tag" % SERIAL in ran.out
