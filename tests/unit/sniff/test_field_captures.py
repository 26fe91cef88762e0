"""Every capture of tests/data/field, shown whole and right by ami-sniff."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.field import (
    AK,
    BOTH,
    EK,
    FIELD,
    LIST,
    LONG,
    NAMED,
    READINGS,
    STRINGS,
    TELEGRAM,
    TITLE,
    WIRED,
    capture,
)
from tests.unit.sniff.conftest import Ran, Tool

ALONE = ["--ek", EK]
OTHER_AK = ["--ek", EK, "--ak", "00" * 16]
WHEN = "2027-01-05-tue 12:00:10 ok"
NO_TAG = ", keys of given, NOT AUTHENTICATED: it has no tag"
NO_AK = ", keys of given, NOT AUTHENTICATED: no AK to check its tag"
WRONG_TAG = ", keys of given, NOT AUTHENTICATED: its tag does not fit"


@dataclass
class Shown:
    """What is to be seen: the texts of all layers of frames, from the second layer on; of the last
    one as far as it is given. `values`: by name, of the last frame. `line`: its first layer."""

    name: str
    frames: list[list[str]]
    values: dict[str, str] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    damage: str = ""
    format: str = "hdlc"
    status: int = 0


def glo(counter: int, how: str, name: str = "general-glo-ciphering") -> str:
    return "%s, counter %d%s" % (name, counter, how)


def push(invoke: int, when: str = WHEN, value: str = "structure {") -> str:
    time = when and ", " + when
    return "data-notification invoke %d%s, %s" % (invoke, time, value)


def block(number: int, size: int, last: bool = False) -> str:
    place = "the last" if last else "streaming"
    return "general-block number %d, %s, window 0, ack 0, %d bytes" % (number, place, size)


def blocks(*sizes: int) -> list[list[str]]:
    """All blocks of an APDU but the last."""
    return [[block(at, size)] for at, size in enumerate(sizes, 1)]


MISSING = ", of an APDU whose beginning is missing"
PLAIN = [*blocks(112, 122), [block(3, 44, True), push(1001)]]
OTHER = [*blocks(112, 122), [block(3, 44, True), push(1004)]]
CIPHERED = [*blocks(116, 116, 116, 116), [block(5, 60, True), glo(0x1003, NO_TAG), push(1003)]]
ROWS = ", ".join(
    "structure {octet-string 2027-01-05-tue %02d:00:00.* ok, double-long-unsigned %d}"
    % (hour, 3000 + hour)
    for hour in range(8)
)
AARQ = [
    "aarq LN, authentication none, user_information of 14 bytes",
    "initiate-request conformance 001e1d, max-pdu 65535, response-allowed True",
]
P1 = ", ".join(TELEGRAM)

CASES = [
    Shown("gbt-llc-first", PLAIN, LIST),
    Shown("gbt-llc-each", PLAIN, LIST),
    Shown(
        "gbt-llc-first-strings",
        [
            *blocks(112, 108),
            [block(3, 115, True), push(1002, "2027-01-05-tue 12:00:58 ok")],
        ],
        STRINGS,
    ),
    Shown("gbt-llc-first-enc-only", CIPHERED, LONG, BOTH),
    Shown("gbt-llc-each-enc-only", CIPHERED, LONG, BOTH),
    Shown(
        "gbt-llc-first-two-meters",
        [frame for both in zip(PLAIN, OTHER, strict=True) for frame in both],
        LIST,
    ),
    Shown(
        "gbt-llc-first-headless",
        [[block(2, 122) + MISSING], [block(3, 44, True) + MISSING], *PLAIN],
        LIST,
    ),
    Shown(
        "gbt-llc-first-get",
        [
            ["get-request invoke 1, profile_generic 1.0.99.1.0.255 buffer"],
            *blocks(60, 60),
            [
                block(3, 54, True),
                "get-response invoke 1, success, array [%s] (profile_generic 1.0.99.1.0.255 buffer)"
                % ROWS,
            ],
        ],
    ),
    Shown(
        "enc-only-glo-wrapper", [[glo(0x2001, NO_TAG), push(2001)]], LONG, BOTH, format="wrapper"
    ),
    Shown(
        "enc-only-general-ciphering",
        [[glo(0x2002, NO_TAG, "general-ciphering"), push(2001)]],
        LONG,
        BOTH,
        format="wrapper",
    ),
    Shown(
        "enc-only-general-ded",
        [
            [
                "aarq LN ciphered, authentication HLS GMAC, title 4d4d4d0000000099, a challenge of"
                " 8 bytes, user_information of 50 bytes",
                glo(1, ", keys of given", "glo-initiate-request"),
                "initiate-request conformance 001e1d, max-pdu 1224, response-allowed True",
            ],
            [
                "aare LN ciphered, accepted, authentication-required, title 4d4d4d0000000001,"
                " authentication HLS GMAC, a challenge of 8 bytes, user_information of 33 bytes",
                glo(1, ", keys of given", "glo-initiate-response"),
                "initiate-response conformance 001e1d, max-pdu 1224",
            ],
            [
                glo(2, NO_TAG, "general-ded-ciphering"),
                "get-request invoke 1, register 1.0.1.8.0.255 value",
            ],
            [
                glo(2, NO_TAG, "general-ded-ciphering"),
                "get-response invoke 1, success, double-long-unsigned 4001"
                " (register 1.0.1.8.0.255 value)",
            ],
        ],
        keys=BOTH,
        format="wrapper",
    ),
    Shown(
        "auth-only-glo-wrapper",
        [[glo(0x2004, ", keys of given"), push(2004)]],
        LIST,
        BOTH,
        format="wrapper",
    ),
    Shown(
        "auth-only-glo-wrapper",
        [[glo(0x2004, ", NOT AUTHENTICATED: no keys are given"), push(2004)]],
        LIST,
        format="wrapper",
    ),
    Shown(
        "auth-only-glo-wrapper",
        [[glo(0x2004, ", NOT AUTHENTICATED: its tag does not fit"), push(2004)]],
        LIST,
        OTHER_AK,
        format="wrapper",
    ),
    *[
        Shown(
            "tag-ek-only-" + line,
            [[glo(0x3001, how), push(0)]],
            READINGS,
            keys,
            format=line,
        )
        for line in ("hdlc", "wrapper")
        for how, keys in ((", keys of given", BOTH), (NO_AK, ALONE), (WRONG_TAG, OTHER_AK))
    ],
    Shown(
        "double-llc-aare",
        [
            [
                "aare LN, accepted, authentication none, user_information of 14 bytes",
                "initiate-response conformance 00101d, max-pdu 512",
            ]
        ],
    ),
    Shown(
        "double-llc-get",
        [
            ["get-request invoke 1, register 1.0.1.8.0.255 value"],
            [
                "get-response invoke 1, success, double-long-unsigned 5001"
                " (register 1.0.1.8.0.255 value)"
            ],
        ],
    ),
    Shown("double-llc-push", [[push(5, "", "structure {double-long-unsigned 5002}")]]),
    Shown("hdlc-bad-fcs", [["FCS: expected 4e7e, came 416e"]], damage="bad-crc"),
    Shown("hdlc-bad-fcs-ciphered", [["FCS: expected 1320, came c62c"]], damage="bad-crc"),
    Shown("hdlc-bad-fcs-six", [["FCS: expected "]] * 6, damage="bad-crc"),
    Shown("hdlc-cut-short", [["a frame begins, and ends after 31 bytes"]], damage="cut-short"),
    Shown(
        "hdlc-cut-short-ciphered", [["a frame begins, and ends after 80 bytes"]], damage="cut-short"
    ),
    Shown(
        "mbus-wired",
        [[], [glo(0x6001, NO_TAG), push(1)]],
        WIRED,
        BOTH,
        format="mbus",
    ),
    Shown(
        "mbus-wired-plain",
        [[push(0, "", "array [")]],
        {"1.0.1.7.0.255": "6001 W"},
        format="mbus",
    ),
    Shown("p1-text", [[P1]], format="p1"),
    Shown(
        "plain-text", [["116 bytes are no frames"]], damage="not-recognised", status=1, format=""
    ),
    Shown(
        "random-bytes", [["300 bytes are no frames"]], damage="not-recognised", status=1, format=""
    ),
    Shown("push-list-long", [[push(0, "", "array [")]], NAMED),
    Shown("push-with-time", [[push(0)]], READINGS),
    Shown(
        "aare-no-userinfo",
        [["aare LN, rejected-permanent, authentication-failure, authentication none"]],
    ),
    Shown(
        "aare-transient",
        [
            [
                "aare LN, rejected-transient (for now: try again later), no-reason-given,"
                " authentication none"
            ]
        ],
    ),
    Shown(
        "aare-provider",
        [
            [
                "aare LN, rejected-permanent, no-common-acse-version (of the provider),"
                " authentication none"
            ]
        ],
    ),
    *[
        Shown("frmr-" + letter.lower(), [AARQ, ["FRMR 1 to 16, of control 10, reason " + reason]])
        for letter, reason in (
            ("W", "W: the control field is not known or not allowed"),
            ("X", "X: information where none is allowed"),
            ("Y", "Y: the information is longer than agreed"),
            ("Z", "Z: N(R) is not right"),
        )
    ],
    Shown(
        "p1-in-glo",
        [[glo(0x7001, ", keys of given"), "P1 text: " + P1]],
        keys=BOTH,
        format="wrapper",
    ),
    *[
        Shown(
            name,
            [
                [
                    glo(counter, ", keys of given"),
                    push(
                        7,
                        "",
                        "structure {double-long-unsigned 7101, double-long-unsigned 7102,"
                        " double-long-unsigned 7103}",
                    ),
                ]
            ],
            keys=[*BOTH, "--title", TITLE],
            format=line,
        )
        for name, counter, line in (
            ("empty-title", 0x7002, "wrapper"),
            ("empty-title-hdlc", 0x7003, "hdlc"),
        )
    ],
    Shown(
        "date-weekday-0",
        [
            [
                push(
                    9,
                    "2027-01-05 12:00:10 ok",
                    "structure {octet-string 2027-01-05 12:00:10.* ok, double-long-unsigned 9001}",
                )
            ]
        ],
        format="wrapper",
    ),
    Shown(
        "date-weekday-0-typed",
        [
            [
                push(
                    9,
                    "",
                    "structure {date-time 2027-01-05 12:00:10.* ok, date 2027-01-05,"
                    " octet-string 2027-01-05}",
                )
            ]
        ],
        format="wrapper",
    ),
    Shown(
        "date-zero-typed",
        [
            [
                push(
                    10,
                    "",
                    "structure {date-time 0x000000000000000000000000, date 0x0000000000,"
                    " time 0x19000000, double-long-unsigned 9002}",
                )
            ]
        ],
        format="wrapper",
    ),
    Shown(
        "rlre-short-lengths",
        [["rlre, its lengths are wrong (4 bytes left over after the APDU); released"]],
        keys=BOTH,
        format="wrapper",
    ),
    Shown(
        "aare-no-mechanism",
        [
            [
                "aare LN, accepted, authentication-required, no mechanism-name, a challenge of"
                " 8 bytes, user_information of 14 bytes",
                "initiate-response conformance 001e1d, max-pdu 1224",
            ]
        ],
        format="wrapper",
    ),
    Shown(
        "get-stray-octets",
        [
            ["get-request invoke 1, clock 0.0.1.0.0.255 time"],
            [
                "get-response invoke 1, success, octet-string 2027-01-05-tue 12:00:10.* ok (and 2"
                " left over: 0x0000) (clock 0.0.1.0.0.255 time)"
            ],
        ],
        format="wrapper",
    ),
]


def test_every_capture_has_its_line() -> None:
    assert {case.name for case in CASES} == {path.stem for path in FIELD.glob("*.hex")}


def sniffed(case: Shown, tmp_path: Path, sniff: Tool, *options: str) -> Ran:
    path = tmp_path / (case.name + ".bin")
    path.write_bytes(capture(case.name))
    return sniff(*case.keys, *options, path)


def texts(frame: dict[str, Any]) -> list[str]:
    layers = [layer["text"] for layer in frame["layers"]]
    alone = len(layers) == 1 and frame["layers"][0]["name"] != "wired M-Bus"
    return layers if alone else layers[1:]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_shown_whole(case: Shown, tmp_path: Path, sniff: Tool) -> None:
    ran = sniffed(case, tmp_path, sniff, "--json", "-v")
    assert ran.status == case.status
    assert list(ran.summary["formats"].values()) == [case.format or "auto"]
    assert len(ran.frames) == len(case.frames)
    for frame, expected in zip(ran.frames, case.frames, strict=True):
        came = texts(frame)
        assert frame.get("damage", "") == case.damage
        assert came[:-1] == expected[:-1]
        if not expected:
            continue
        begun = case.damage or expected[-1].endswith(("{", "["))
        assert came[-1].startswith(expected[-1]) if begun else came[-1] == expected[-1]
    last = ran.frames[-1]["layers"][-1]["parts"]
    found = {part["name"]: part["text"] for part in last}
    if case.values:
        assert {name: found.get(name) for name in case.values} == case.values
        assert len(found) == len(case.values) + 1  # the tag


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_lines_for_people_say_the_same(case: Shown, tmp_path: Path, sniff: Tool) -> None:
    whole = sniffed(case, tmp_path, sniff, "-v")
    short = sniffed(case, tmp_path, sniff)
    assert whole.status == short.status == case.status
    for text in (text for frame in case.frames for text in frame):
        assert text in whole.out
        assert text[:300] in short.out
    for name, value in case.values.items():
        assert any(name in line and value in line for line in whole.out.splitlines())
    if case.status:
        assert "not recognised" in whole.err


def test_an_encryption_key_alone_may_come_from_the_environment(
    tmp_path: Path, sniff: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMI_SNIFF_EK", EK)
    ran = sniffed(Shown("tag-ek-only-hdlc", []), tmp_path, sniff)
    assert NO_AK in ran.out and EK not in ran.out and AK not in ran.out


def test_without_a_title_it_says_which_option_helps(tmp_path: Path, sniff: Tool) -> None:
    ran = sniffed(Shown("empty-title", [], keys=BOTH), tmp_path, sniff)
    assert "the sender's system title is not known; give it with --title" in ran.out
