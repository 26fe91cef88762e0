"""notify --listen with what meters really push: blocks, every protection, parts of the keys, text,
times; and a connection that stays open."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from gateway.dlms import apdu
from gateway.dlms.data import axdr
from gateway.dlms.hdlc import frames as hdlc_frames
from gateway.dlms.protection import policy
from gateway.dlms.protection.enveloping import Enveloping
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.policy import FORMS, Protection
from gateway.dlms.protection.security import Ciphering
from hal.cpython.crypto import SystemCrypto
from hal.modem.wrapper import wrap
from tests.conftest import find_free_port
from tests.field import AK, BOTH, EK, LIST, LONG, NAMED, READINGS, STRINGS, TITLE, capture
from tests.unit.dlms_tool.conftest import Ran, Tool

OURS = "4d4d4d0000000099"
MASTER = "0f" * 16
ALONE = ["--ek", EK]
OTHER_AK = ["--ek", EK, "--ak", "00" * 16]
VALUE = axdr.encode((axdr.STRUCTURE, [(axdr.LONG_UNSIGNED, 2301)]))
PUSH = apdu.DataNotification(7, b"", VALUE).encode()
SHOWN = "structure {long-unsigned 2301}"


def listen(
    tool: Tool, lines: list[bytes], *options: str, stay: bool = False, scheme: str = "tcp"
) -> Ran:
    """Run notify --listen, and send it `lines` as one meter, once it is there. `stay`: the meter
    keeps its connection open until notify has ended."""
    port = find_free_port()
    done = threading.Event()
    over = threading.Event()

    def meter() -> None:
        while not over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", port), 1) as line:
                    for data in lines:
                        line.sendall(data)
                    done.set()
                    if stay:
                        over.wait(60)
                return
            except OSError:
                over.wait(0.02)

    def datagrams() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            while not over.is_set():
                for data in lines:
                    line.sendto(data, ("127.0.0.1", port))
                over.wait(0.05)

    thread = threading.Thread(target=meter if scheme == "tcp" else datagrams)
    thread.start()
    try:
        url = "%s://127.0.0.1:%d" % (scheme, port)
        return tool(url, "notify", "--listen", "--seconds", "30", *options)
    finally:
        over.set()
        thread.join()


def one(tool: Tool, name: str, *options: str) -> dict[str, Any]:
    """What --json shows of the one push of a capture."""
    ran = listen(tool, [capture(name)], "--json", "--count", "1", "--seconds", "30", *options)
    assert ran.status == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def refused(tool: Tool, data: bytes, *options: str) -> str:
    """The line that says why a push is not shown."""
    for seconds in ("0.3", "3", "30"):  # how long it takes until it has come
        ran = listen(tool, [data], "--seconds", seconds, *options)
        assert ran.status == 1 and ran.out == ""
        lines = [line for line in ran.err.splitlines() if line.startswith("127.0.0.1: ")]
        if lines:
            break
    assert len(lines) == 1, ran.err
    return lines[0].removeprefix("127.0.0.1: ")


# ---------------------------------------------------------------- captures

THREE = {"structure": [{"double-long-unsigned": 7101 + at} for at in range(3)]}
CAPTURES = [
    ("enc-only-glo-wrapper", [*BOTH, "--policy", "encrypted"], 2001, LONG, "it has no tag"),
    ("enc-only-glo-wrapper", [*ALONE, "--policy", "encrypted"], 2001, LONG, "it has no tag"),
    (
        "enc-only-general-ciphering",
        [*BOTH, "--policy", "encrypted", "--title", OURS],
        2001,
        LONG,
        "it has no tag",
    ),
    ("auth-only-glo-wrapper", [*BOTH, "--policy", "authenticated"], 2004, LIST, None),
    ("auth-only-glo-wrapper", ["--policy", "authenticated"], 2004, LIST, "no keys are given"),
    (
        "auth-only-glo-wrapper",
        [*ALONE, "--policy", "authenticated"],
        2004,
        LIST,
        "no AK to check its tag",
    ),
    ("tag-ek-only-wrapper", BOTH, 0, READINGS, None),
    ("tag-ek-only-wrapper", ALONE, 0, READINGS, "no AK to check its tag"),
]


@pytest.mark.parametrize(("name", "options", "invoke", "values", "unproven"), CAPTURES)
def test_captures_with_their_keys(
    tool: Tool,
    name: str,
    options: list[str],
    invoke: int,
    values: dict[str, str],
    unproven: str | None,
) -> None:
    found = one(tool, name, *options)
    assert found["kind"] == "data-notification" and found["invoke"] == invoke
    assert found["time"] == "2027-01-05-tue 12:00:10 ok"
    assert found["readings"] == values
    assert found.get("not_authenticated") == unproven


def test_what_is_not_authenticated_is_marked_for_people_too(tool: Tool) -> None:
    ran = listen(tool, [capture("tag-ek-only-wrapper")], "--count", "1", *ALONE)
    assert ran.status == 0
    assert ", NOT AUTHENTICATED: no AK to check its tag\n" in ran.out
    assert "  1.1.1.8.0.255: double-long-unsigned 3001\n" in ran.out


@pytest.mark.parametrize("name", ["empty-title"])
def test_a_title_that_is_not_told_is_given(tool: Tool, name: str) -> None:
    found = one(tool, name, *BOTH, "--peer-title", TITLE)
    assert found["invoke"] == 7 and found["value"] == THREE and "not_authenticated" not in found
    found = one(tool, name, *ALONE, "--peer-title", TITLE)
    assert found["value"] == THREE and found["not_authenticated"] == "no AK to check its tag"
    assert "--peer-title" in refused(tool, capture(name), *BOTH)
    assert "--peer-title" in refused(tool, capture(name), *ALONE)


def test_the_text_of_a_p1_port(tool: Tool) -> None:
    found = one(tool, "p1-in-glo", *BOTH)
    assert found["kind"] == "p1-text"
    assert "\r\n1-0:1.8.0(000007001*Wh)\r\n" in found["value"]
    ran = listen(tool, [capture("p1-in-glo")], "--count", "1", *ALONE)
    assert "P1 text from 127.0.0.1, NOT AUTHENTICATED" in ran.out
    assert "\n  0-0:1.0.0(270105120010W) = 2027-01-05 12:00:10 winter time\n" in ran.out
    assert "\n  1-0:1.8.0(000007001*Wh)\n" in ran.out
    plain = wrap(1, 1, capture("p1-text"))
    assert "1-0:1.8.0(000007001*Wh)" in listen(tool, [plain], "--count", "1").out


@pytest.mark.parametrize(
    ("name", "time", "lines"),
    [
        (
            "date-weekday-0",
            "2027-01-05 12:00:10 ok",
            [
                "structure {",
                "  octet-string 2027-01-05 12:00:10.* ok",
                "  double-long-unsigned 9001",
                "}",
            ],
        ),
        (
            "date-weekday-0-typed",
            "",
            [
                "structure {",
                "  date-time 2027-01-05 12:00:10.* ok",
                "  date 2027-01-05",
                "  octet-string 2027-01-05",
                "}",
            ],
        ),
        (
            "date-zero-typed",
            "",
            [
                "structure {",
                "  date-time 0x000000000000000000000000",
                "  date 0x0000000000",
                "  time 0x19000000",
                "  double-long-unsigned 9002",
                "}",
            ],
        ),
    ],
)
def test_dates_that_are_none(tool: Tool, name: str, time: str, lines: list[str]) -> None:
    ran = listen(tool, [capture(name)], "--count", "1")
    assert ran.status == 0, ran.err
    shown = ran.out.splitlines()
    assert shown[0] == "data-notification from 127.0.0.1" + (time and ", " + time)
    assert shown[1:] == ["  " + line for line in lines]


# ---------------------------------------------------------------- blocks


def blocks(whole: bytes, size: int = 10) -> list[bytes]:
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    return [
        apdu.GeneralBlock(at == len(parts), at < len(parts), 0, at, 0, part).encode()
        for at, part in enumerate(parts, 1)
    ]


@pytest.mark.parametrize("scheme", ["tcp", "udp"])
def test_general_blocks_each_in_a_message_of_its_own(tool: Tool, scheme: str) -> None:
    lines = [wrap(1, 103, block) for block in blocks(PUSH)]
    ran = listen(tool, lines, "--count", "1", scheme=scheme)
    assert ran.status == 0 and SHOWN in ran.out and ran.err.count("\n") == 1, ran.err


def test_ciphered_in_blocks_and_blocks_of_two_meters_in_turn(tool: Tool) -> None:
    ciphered = capture("tag-ek-only-wrapper")[8:]
    first = [wrap(1, 103, block) for block in blocks(ciphered, 100)]
    second = [wrap(2, 103, block) for block in blocks(PUSH, 6)]
    lines = [line for pair in zip(first, second, strict=False) for line in pair]
    lines += first[len(second) :] + second[len(first) :]
    ran = listen(tool, lines, "--count", "2", *BOTH)
    assert ran.status == 0, ran.err
    assert "1.1.61.7.0.255: double-long-unsigned 16" in ran.out and SHOWN in ran.out


def test_blocks_that_are_not_all_there_are_told(tool: Tool) -> None:
    all_of = [wrap(1, 103, block) for block in blocks(PUSH, 5)]
    assert len(all_of) == 3
    ran = listen(tool, all_of[1:] + all_of[:1] + all_of[2:] + all_of, "--count", "1")
    assert ran.status == 0 and SHOWN in ran.out
    assert "block 2 of an APDU whose beginning is missing" in ran.err
    assert "the last, but block 2 is missing" in ran.err


@contextmanager
def customer_port(data: bytes) -> Iterator[str]:
    """A serial server whose line brings `data`; the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def serve() -> None:
            line, _ = listener.accept()
            with line:
                for at in range(0, len(data), 50):
                    line.sendall(data[at : at + 50])
                over.wait(60)

        thread = threading.Thread(target=serve)
        thread.start()
        yield "hdlc+tcp://127.0.0.1:%d" % listener.getsockname()[1]
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("name", "options", "values"),
    [
        ("gbt-llc-first", [], LIST),
        ("gbt-llc-each", [], LIST),
        ("gbt-llc-first-strings", [], STRINGS),
        ("gbt-llc-first-enc-only", [*BOTH, "--policy", "encrypted"], LONG),
        ("gbt-llc-first-headless", [], LIST),
        ("tag-ek-only-hdlc", ALONE, READINGS),
        ("push-list-long", [], NAMED),
        ("push-with-time", [], READINGS),
    ],
)
def test_pushes_of_a_customer_port(
    tool: Tool, name: str, options: list[str], values: dict[str, str]
) -> None:
    with customer_port(capture(name)) as url:
        ran = tool(url, "notify", "--listen", "--json", "--count", "1", "--seconds", "30", *options)
    assert ran.status == 0, ran.err
    assert json.loads(ran.out)["readings"] == values


def test_two_meters_and_doubled_headers_at_a_customer_port(tool: Tool) -> None:
    with customer_port(capture("gbt-llc-first-two-meters")) as url:
        ran = tool(url, "notify", "--listen", "--json", "--count", "2", "--seconds", "30")
    assert [json.loads(line)["invoke"] for line in ran.out.splitlines()] == [1001, 1004]
    segments = hdlc_frames.encode(b"\xce\xff", b"\x03", 0x13, b"\xe6\xe7\x00" + PUSH[:6], True)
    segments += hdlc_frames.encode(b"\xce\xff", b"\x03", 0x13, PUSH[6:])
    with customer_port(capture("double-llc-push") + segments) as url:
        ran = tool(url, "notify", "--listen", "--count", "2", "--seconds", "30")
    assert "structure {double-long-unsigned 5002}" in ran.out and SHOWN in ran.out


def test_an_empty_title_at_a_customer_port(tool: Tool) -> None:
    with customer_port(capture("empty-title-hdlc")) as url:
        options = [*BOTH, "--peer-title", TITLE, "--json", "--count", "1", "--seconds", "30"]
        ran = tool(url, "notify", "--listen", *options)
    assert json.loads(ran.out)["value"] == THREE


# ---------------------------------------------------------------- every protection


class Meter:
    """A meter that pushes under any protection, and the files of keys its head-end needs."""

    def __init__(self, folder: Path) -> None:
        self._own = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
        theirs = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
        numbers = [key.private_numbers().private_value.to_bytes(32, "big") for key in self._own]
        points = [key.public_key().public_bytes(Encoding.X962, _POINT)[1:] for key in theirs]
        self.keys = Keys(
            bytes.fromhex(TITLE),
            bytes.fromhex(EK),
            bytes.fromhex(AK),
            1,
            numbers[0],
            points[0],
            numbers[1],
            points[1],
            bytes.fromhex(MASTER),
        )
        self.options = ["--suite", "1", "--title", OURS, "--master", MASTER]
        for name, key in zip(("signing", "agreement"), theirs, strict=True):
            path = folder / (name + ".pem")
            path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            self.options += ["--%s-key" % name, str(path)]
        for name, key in zip(("signing", "agreement"), self._own, strict=True):
            path = folder / ("peer-%s.pem" % name)
            path.write_bytes(key.public_key().public_bytes(Encoding.PEM, _PUBLIC))
            self.options += ["--peer-" + name, str(path)]

    def push(self, how: Protection, plain: bytes = PUSH) -> bytes:
        counter = count(1)
        ciphering = Ciphering(
            SystemCrypto(),
            self.keys,
            lambda: next(counter),
            bytes.fromhex(OURS),
            protection=how,
        )
        if how.enveloped:  # the firmware's own meters never push so
            return wrap(1, 1, Enveloping(ciphering, SystemCrypto(), False).protect(plain))
        return wrap(1, 1, ciphering.protect(plain))


_POINT, _PUBLIC = PublicFormat.UncompressedPoint, PublicFormat.SubjectPublicKeyInfo
POLICIES = {
    policy.AUTHENTICATED: "authenticated",
    policy.ENCRYPTED: "encrypted",
    policy.AUTHENTICATED_ENCRYPTED: "both",
}


@pytest.fixture
def meter(tmp_path: Path) -> Meter:
    return Meter(tmp_path)


@pytest.mark.parametrize("signed", [False, True], ids=["", "signed"])
@pytest.mark.parametrize("due", POLICIES)
@pytest.mark.parametrize(
    ("form", "source"),
    [("general-glo", "identified"), *[("general-ciphering", each) for each in policy.KEY_SOURCES]],
)
def test_every_form_policy_and_signature(
    tool: Tool, meter: Meter, form: str, source: str, due: int, signed: bool
) -> None:
    """Each is opened with the options that name it, and by itself where the policy is the usual."""
    pushed = meter.push(Protection(form, due, source, signed))
    options = [*meter.options, *BOTH, "--policy", POLICIES[due], "--protection", form]
    options += ["--key-source", source] if form == "general-ciphering" else []
    options += ["--signed"] if signed else []
    ran = listen(tool, [pushed], "--count", "1", "--json", *options)
    assert ran.status == 0, ran.err
    found = json.loads(ran.out)
    assert found["value"] == {"structure": [{"long-unsigned": 2301}]}
    proven = due != policy.ENCRYPTED or signed
    assert found.get("not_authenticated") == (None if proven else "it has no tag")
    if due == policy.AUTHENTICATED_ENCRYPTED:
        usual = listen(tool, [pushed], "--count", "1", *meter.options, *BOTH)
        assert SHOWN in usual.out, usual.err
    else:
        assert "--policy " + POLICIES[due] in refused(tool, pushed, *meter.options, *BOTH)


def test_only_signed_needs_no_symmetric_keys(tool: Tool, meter: Meter) -> None:
    pushed = meter.push(Protection("plain", signed=True))
    ran = listen(tool, [pushed], "--count", "1", *meter.options)
    assert ran.status == 0 and SHOWN in ran.out and "NOT AUTHENTICATED" not in ran.out


def test_an_event_under_its_own_tag_needs_the_meters_title(tool: Tool, meter: Meter) -> None:
    event = apdu.EventNotification(b"", 1, bytes(6), 2, VALUE).encode()
    pushed = meter.push(Protection("glo"), event)
    options = [*BOTH, "--suite", "1"]
    assert "--peer-title" in refused(tool, pushed, *options)
    ran = listen(tool, [pushed], "--count", "1", *options, "--peer-title", TITLE)
    assert ran.status == 0 and SHOWN in ran.out, ran.err


# ---------------------------------------------------------------- which option is to blame


def _without(options: list[str], *names: str) -> list[str]:
    kept = list(options)
    for name in names:
        at = kept.index(name)
        del kept[at : at + 2]
    return kept


@pytest.mark.parametrize(
    ("how", "left_out", "more", "blamed"),
    [
        (Protection("plain", signed=True), ["--peer-signing"], [], "--peer-signing"),
        (Protection("general-glo"), [], OTHER_AK, "check --ek and --ak"),
        (Protection("general-glo"), [], [], "give --ek and --ak"),
        (Protection("general-glo"), [], [*BOTH, "--signed"], "--signed"),
        (
            Protection("general-glo"),
            [],
            [*BOTH, "--protection", "general-ciphering"],
            "--protection",
        ),
        (Protection("general-glo", policy.ENCRYPTED), [], BOTH, "--policy encrypted"),
        (Protection("general-glo", policy.AUTHENTICATED), [], BOTH, "--policy authenticated"),
        (Protection("general-ciphering", key="wrapped"), ["--master"], BOTH, "give --master"),
        (
            Protection("general-ciphering", key="static"),
            ["--peer-agreement"],
            BOTH,
            "--peer-agreement",
        ),
        (
            Protection("general-ciphering", key="wrapped"),
            [],
            [*BOTH, "--key-source", "static"],
            "--key-source",
        ),
        (Protection("general-ciphering"), ["--title"], BOTH, "--title"),
        (Protection("general-glo"), ["--suite"], BOTH, "--suite"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_advice_names_the_option(
    tool: Tool, meter: Meter, how: Protection, left_out: list[str], more: list[str], blamed: str
) -> None:
    options = _without(meter.options, *left_out)
    if "--suite" in left_out:
        options = []
    line = refused(tool, meter.push(how), *options, *more)
    assert blamed in line, line
    for secret in (EK, AK, MASTER):
        assert secret not in line


def test_another_peers_public_key_is_blamed(tool: Tool, meter: Meter, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Meter(tmp_path / "other")
    line = refused(tool, other.push(Protection("plain", signed=True)), *meter.options)
    assert line == (
        "the signature of an APDU does not verify; check --peer-signing, the meter's public key"
    )


def test_policy_and_protection_refuse_what_is_plain(tool: Tool) -> None:
    push = wrap(1, 1, PUSH)
    for form in FORMS:
        if form == "plain":
            assert SHOWN in listen(tool, [push], "--count", "1", "--protection", form).out
        else:
            assert "--protection says " + form in refused(tool, push, "--protection", form)
    assert "--policy" in refused(tool, push, "--policy", "authenticated")


# ---------------------------------------------------------------- the end


def test_a_meter_that_stays_connected_does_not_end_in_a_traceback(
    tool: Tool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        ran = listen(tool, [wrap(1, 1, PUSH)], "--count", "1", stay=True)
    assert ran.status == 0 and SHOWN in ran.out
    assert ran.err.splitlines()[1:] == []
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
