"""A meter that answers anything at all: every command ends with one line and a status."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dlms import apdu
from gateway.dlms.data import axdr, obis
from tests.unit.dlms_tool.conftest import Stand, Tool
from tools.dlms.trace import Tracer
from tools.meter.model import CosemObject

Typed = tuple[int, Any]

COMMANDS: list[list[str]] = [
    ["identify"],
    ["objects"],
    ["clock"],
    ["clock", "--set", "now"],
    ["profile", "1.0.99.1.0.255"],
    ["profile", "1.0.99.1.0.255", "--last", "3"],
    ["profile", "1.0.99.1.0.255", "--from", "2025-01-01"],
    ["get", "register 1.0.1.8.0.255 value", "association_ln 0.0.40.0.0.255 xdlms_context_info"],
    ["image", "FILE", "--identifier", "X"],
]


class Liar:
    """Values of any type and shape, some near to what is expected, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def value(self, right: Typed) -> Typed:
        choice = self._random.random()
        if choice < 0.5:
            return self._bent(right)
        return right if choice < 0.8 else self._any(3)

    def _bent(self, typed: Typed) -> Typed:
        tag, value = typed
        if tag in (axdr.ARRAY, axdr.STRUCTURE) and value:
            fields = [each if self._random.random() < 0.8 else self._any(2) for each in value]
            fields = [self._bent(each) if self._random.random() < 0.3 else each for each in fields]
            return tag, fields[: self._random.randint(0, len(fields))] or fields
        return self._any(1)

    def _any(self, depth: int) -> Typed:
        pick = self._random
        kinds: list[Typed] = [
            (axdr.NULL, None),
            (axdr.BOOLEAN, pick.random() < 0.5),
            (axdr.BIT_STRING, "01" * pick.randint(0, 40)),
            (axdr.OCTET_STRING, pick.randbytes(pick.choice([0, 1, 4, 5, 6, 7, 12, 12, 12, 13]))),
            (axdr.OCTET_STRING, b"\x1b[2J[red]\xff"),
            (axdr.VISIBLE_STRING, "\x1b]0;title\x07[bold]"),
            (axdr.DOUBLE_LONG_UNSIGNED, pick.getrandbits(32)),
            (axdr.LONG, pick.randint(-32768, 32767)),
            (axdr.INTEGER, pick.randint(-128, 127)),
            (axdr.ENUM, pick.getrandbits(8)),
            (axdr.FLOAT64, float("nan")),
        ]
        if depth and pick.random() < 0.4:
            tag = pick.choice([axdr.ARRAY, axdr.STRUCTURE])
            return tag, [self._any(depth - 1) for _ in range(pick.randint(0, 4))]
        return pick.choice(kinds)


@pytest.mark.parametrize("seed", range(12))
def test_every_command_ends_well(
    stand: Stand,
    tool: Tool,
    keys: list[str],
    tmp_path: Path,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    liar = Liar(seed)
    right = CosemObject.read
    monkeypatch.setattr(
        CosemObject,
        "read",
        lambda self, index, client: liar.value(right(self, index, client)),
    )
    file = tmp_path / "fw.img"
    file.write_bytes(bytes(600))
    quick = ["--timeout", "2", "--tries", "1"]
    for command in COMMANDS:
        arguments = [str(file) if word == "FILE" else word for word in command]
        if command[0] == "image":
            arguments += ["--poll", "0.01", "--patience", "0.1", "--reconnects", "0"]
        for more in ([], ["--json", "--trace"]):
            ran = tool(stand.tcp, *arguments, *quick, *more, *keys)
            assert ran.status in (0, 1), ran.err
            assert "\x1b" not in ran.out + ran.err
            if ran.status and command[0] != "get" and not more:
                assert "ami-dlms: " in ran.err.splitlines()[-1]


@given(st.binary(max_size=80))
def test_trace_takes_anything(raw: bytes) -> None:
    assert Tracer().describe(raw)


@given(
    st.sampled_from(
        [
            apdu.GetRequest(1, 7, obis.parse("1.0.99.1.0.255"), 2, (1, b"\x00")).encode(),
            apdu.SetRequest(1, 99, obis.parse("1.0.99.1.0.255"), 2, None, b"\x11\x05").encode(),
            apdu.ActionRequest(1, 15, obis.parse("0.0.40.0.0.255"), 1, b"\x09\x01\x00").encode(),
            apdu.GetResponse(1, 0, b"\x09\x02ab").encode(),
            apdu.ExceptionResponse(1, 2).encode(),
        ]
    ),
    st.integers(0, 30),
    st.integers(0, 255),
)
def test_trace_takes_damaged_apdus(raw: bytes, place: int, octet: int) -> None:
    damaged = bytearray(raw)
    damaged[place % len(raw)] = octet
    assert Tracer().describe(bytes(damaged))


def test_trace_hides_what_an_unknown_class_holds() -> None:
    tracer = Tracer()
    name = obis.parse("0.0.99.1.0.255")
    data = axdr.encode((axdr.OCTET_STRING, b"hidden"))
    assert "hidden" not in tracer.describe(apdu.SetRequest(1, 9999, name, 2, None, data).encode())
    assert "hidden" in tracer.describe(apdu.SetRequest(1, 1, name, 2, None, data).encode())
    tracer.describe(apdu.GetRequest(1, 15, name, 7).encode())
    assert "hidden" not in tracer.describe(apdu.GetResponse(1, 0, data).encode())
    tracer.describe(apdu.GetRequest(1, 1, name, 2).encode())
    assert "hidden" in tracer.describe(apdu.GetResponse(1, 0, data).encode())


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("ciphered", [True, False])
def test_damaged_answers_end_well(
    stand: Stand, tool: Tool, keys: list[str], tmp_path: Path, seed: int, ciphered: bool
) -> None:
    """Answers cut, lengthened and changed on their way, over UDP, which carries them all."""
    pick = random.Random(seed)
    right = stand.server.handle

    def damaged(client_sap: int, server_sap: int, request: bytes) -> bytes | None:
        answer = right(client_sap, server_sap, request)
        if not answer or pick.random() < 0.6:
            return answer
        bent = bytearray(answer)
        choice = pick.random()
        if choice < 0.6:
            bent[pick.randrange(len(bent))] = pick.getrandbits(8)
        elif choice < 0.8:
            del bent[pick.randrange(len(bent)) :]
        else:
            bent += pick.randbytes(pick.randint(1, 20))
        return bytes(bent)

    stand.server.handle = damaged  # type: ignore[method-assign]
    file = tmp_path / "fw.img"
    file.write_bytes(bytes(600))
    options = ["--timeout", "0.05", "--tries", "2", *(keys if ciphered else [])]
    for command in COMMANDS:
        arguments = [str(file) if word == "FILE" else word for word in command]
        if command[0] == "image":
            arguments += ["--poll", "0.01", "--patience", "0.1", "--reconnects", "1"]
        ran = tool(stand.udp, *arguments, *options)
        assert ran.status in (0, 1), ran.err
        assert "\x1b" not in ran.out + ran.err
