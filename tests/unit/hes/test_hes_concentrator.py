"""Enrolment: the store's side on both engines, fingerprints as people type them, the commands."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.identity import fingerprint_of, shown
from gateway.contract.messages import State
from hal.cpython.crypto import SystemCrypto
from tools.hes.__main__ import main
from tools.hes.cli.concentrator import unheard
from tools.hes.orders import fingerprint
from tools.hes.store.enrolment import MOST_STRANGERS
from tools.hes.store.problems import StoreProblem
from tools.hes.store.records import Enrolled, Knock
from tools.hes.store.store import Store

BOTH = True  # engines, see conftest.py

ONE, OTHER = bytes(range(16)), bytes(range(100, 116))
SHOWN, OTHER_SHOWN = (
    "0001-0203-0405-0607-0809-0a0b-0c0d-0e0f",
    "6465-6667-6869-6a6b-6c6d-6e6f-7071-7273",
)
SIGN, KID = bytes(64), bytes(8)


def birth(name: str) -> State:
    return State(name, 1, True, 7, 1, 1, 1_790_000_000, "1.0", "test", 0, 7, 7)


# ---------------------------------------------------------------- the store


def test_a_concentrator_is_enrolled_once(clocked: Store, now: list[float]) -> None:
    there = clocked.enrolment
    there.add("c1", ONE)
    assert there.get("c1") == Enrolled("c1", ONE, None, None, int(now[0]), 0) == there.all()[0]
    assert there.get("c2") is None
    with pytest.raises(StoreProblem, match="c1 is enrolled already"):
        there.add("c1", OTHER)
    with pytest.raises(StoreProblem, match="c1 is enrolled with this fingerprint"):
        there.add("c2", ONE)
    assert [event.name for event in clocked.reports.events()] == ["enrolled"]
    there.remove("c1")
    with pytest.raises(StoreProblem, match="c1 is not enrolled"):
        there.remove("c1")
    there.add("c2", ONE)


def test_a_session_counts_for_the_board_that_is_enrolled(clocked: Store, now: list[float]) -> None:
    there = clocked.enrolment
    there.add("c1", ONE)
    assert not there.agreed("c1", OTHER, SIGN, KID) and not there.agreed("c2", ONE, SIGN, KID)
    assert there.all()[0].agreed == 0
    now[0] += 5
    assert there.agreed("c1", ONE, SIGN, KID)
    assert there.all() == [Enrolled("c1", ONE, SIGN, KID, int(now[0]) - 5, int(now[0]))]
    there.replace("c1", OTHER)
    assert there.all() == [Enrolled("c1", OTHER, None, None, int(now[0]), 0)]
    assert not there.agreed("c1", ONE, SIGN, KID)
    with pytest.raises(StoreProblem, match="c2 is not enrolled"):
        there.replace("c2", ONE)
    there.add("c2", ONE)
    with pytest.raises(StoreProblem, match="c1 is enrolled with this fingerprint"):
        there.replace("c2", OTHER)
    assert there.get("c2") is not None  # all of it or nothing


def test_who_knocks_is_remembered_until_he_is_enrolled(clocked: Store, now: list[float]) -> None:
    there, began = clocked.enrolment, int(now[0])
    for _ in range(3):
        there.knocked("c1", ONE)
        now[0] += 10
    assert there.knocks() == [Knock("c1", ONE, began, began + 20, 3)]
    there.knocked("c1", OTHER)
    assert there.knocks() == [Knock("c1", OTHER, began + 30, began + 30, 1)]
    there.add("c1", OTHER)
    assert there.knocks() == []
    there.knocked("c1", ONE)
    found = [(event.name, event.detail) for event in reversed(clocked.reports.events())]
    assert found == [
        ("not-enrolled", "knocks as " + SHOWN),
        ("not-enrolled", "knocks as " + OTHER_SHOWN),
        ("enrolled", "as " + OTHER_SHOWN),
        ("other-board", "knocks as " + SHOWN),
    ]


def test_strangers_are_few_and_do_not_drive_out_what_knocks_by_an_enrolled_name(
    clocked: Store, now: list[float]
) -> None:
    there = clocked.enrolment
    there.add("mine", ONE)
    there.knocked("mine", OTHER)
    for number in range(MOST_STRANGERS + 5):
        now[0] += 1
        there.knocked("c%03d" % number, bytes(14) + number.to_bytes(2, "big"))
    names = [each.concentrator for each in there.knocks()]
    assert names == ["c%03d" % number for number in range(5, MOST_STRANGERS + 5)] + ["mine"]


# ---------------------------------------------------------------- as people type


@pytest.mark.parametrize(
    "text",
    [
        SHOWN,
        SHOWN.upper(),
        SHOWN.replace("-", ""),
        SHOWN.replace("-", " "),
        ":".join(SHOWN.replace("-", "")[i : i + 2] for i in range(0, 32, 2)),
        " 0001.0203_0405 0607\n08090A0B0c0d0e0f ",
    ],
)
def test_fingerprints_are_taken_as_people_write_them(text: str) -> None:
    assert fingerprint.parse(text) == ONE
    assert shown(ONE) == SHOWN


def test_a_fingerprint_is_of_both_keys() -> None:
    agree, sign = bytes(range(64)), bytes(64)
    expected = hashlib.sha256(agree + sign).digest()[:16]
    assert fingerprint_of(SystemCrypto(), agree, sign) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "got 0 digits"),
        (SHOWN[:-1], "of 32 hex digits, 8 groups of 4, got 31 digits"),
        (SHOWN + "0", "got 33 digits"),
        (SHOWN[5:], "got 28 digits"),
        ("000l" + SHOWN[4:], "got 'l' in place 4, group 1; is it a 1?"),
        (SHOWN[:5] + "O203" + SHOWN[9:], "got 'o' in place 5, group 2; is it a 0?"),
        ("x" + SHOWN, "0-9 and a-f, got 'x' in place 1, group 1$"),
        ("\x1b[2J" + SHOWN, r"got '\\x1b' in place 1"),
        ("٣" * 32, r"got '\\u0663' in place 1"),
    ],
)
def test_a_slip_of_the_pen_is_named(text: str, said: str) -> None:
    with pytest.raises(fingerprint.FingerprintProblem, match=said):
        fingerprint.parse(text)


# ---------------------------------------------------------------- the commands


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("AMI_HES_DB", raising=False)
    return Store("hes.sqlite")


def said(capsys: Any, *command: str, status: int = 0) -> str:
    assert main(["concentrator", *command]) == status
    captured = capsys.readouterr()
    assert not (captured.out and captured.err)
    return str(captured.out or captured.err)


def test_add_replace_remove(desk: Store, capsys: Any) -> None:
    assert "no concentrator is enrolled" in said(capsys, "list")
    # In groups, as it is read out, and in capitals.
    assert said(capsys, "add", "c1", *SHOWN.upper().split("-")) == "c1 is enrolled as %s\n" % SHOWN
    assert said(capsys, "add", "c1", SHOWN) == "c1 is enrolled as %s\n" % SHOWN
    text = said(capsys, "add", "c1", OTHER_SHOWN, status=1)
    assert "c1 is enrolled as %s; if its board was exchanged: ami-hes conc" % SHOWN in text
    text = said(capsys, "add", "c2", SHOWN, status=1)
    assert "c1 is enrolled with this fingerprint" in text
    text = said(capsys, "add", "C_1", SHOWN, status=1)
    assert "a concentrator's id is [a-z0-9-]{1,64}, not 'C_1'" in text
    assert "got 31 digits" in said(capsys, "add", "c2", SHOWN[:-1], status=1)
    assert said(capsys, "replace", "c1", OTHER_SHOWN) == "c1 is enrolled as %s\n" % OTHER_SHOWN
    assert "`ami-hes concentrator add` does" in said(capsys, "replace", "c2", SHOWN, status=1)
    assert said(capsys, "remove", "c1") == "c1 is enrolled no longer\n"
    assert "c1 is not enrolled" in said(capsys, "remove", "c1", status=1)


def test_a_board_that_is_enrolled_under_another_name_is_named(desk: Store, capsys: Any) -> None:
    desk.enrolment.add("street-2", ONE)
    desk.enrolment.knocked("street-1", ONE)
    hint = said(capsys, "list").splitlines()[-2]
    assert hint.startswith("the board that is enrolled as street-2 knocks as street-1 (once")
    assert hint.endswith(
        "concentrator remove street-2, then ami-hes concentrator add street-1 " + SHOWN
    )
    text = said(capsys, "add", "street-1", SHOWN, status=1)
    assert "settings say so: ami-hes concentrator remove street-2, then add street-1" in text


def test_the_enrolled_board_that_is_back_is_not_to_be_replaced(
    desk: Store, capsys: Any, monkeypatch: Any
) -> None:
    desk.enrolment.add("c1", ONE)
    desk.enrolment.knocked("c1", OTHER)
    before = said(capsys, "list").splitlines()[-1]
    assert before.endswith("concentrator replace c1 " + OTHER_SHOWN)
    database = desk.enrolment._db
    monkeypatch.setattr(database, "_now", lambda: time.time() + 60)
    desk.enrolment.agreed("c1", ONE, SIGN, KID)
    after = said(capsys, "list").splitlines()[-1]
    assert "the enrolled one has been there since" in after and "replace" not in after


def test_one_that_was_removed_is_not_online_and_orders_for_it_are_said_to_wait(
    desk: Store, capsys: Any
) -> None:
    for name in ("c1", "c2"):
        desk.enrolment.add(name, name.encode() * 8)
        desk.enrolment.agreed(name, name.encode() * 8, SIGN, KID)
        desk.line.take_state(name, birth(name), moves=False)
    assert unheard(desk.enrolment, "c1") is None
    said(capsys, "remove", "c1")
    text = said(capsys, "list")
    row = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert " not enrolled " in row["c1"] and " online " in row["c2"]
    assert "plain" not in text
    assert "c1 is not enrolled, so it gets nothing over a protected" in str(
        unheard(desk.enrolment, "c1")
    )
    # Where it is heard in plain it gets what it is sent.
    desk.line.take_state("c1", birth("c1"))
    assert unheard(desk.enrolment, "c1") is None
    assert " plain, not enrolled " in said(capsys, "list")


def test_what_is_not_as_it_should_be_is_said_with_what_to_do(desk: Store, capsys: Any) -> None:
    for name in ("silent", "good", "exchanged"):
        desk.enrolment.add(name, name.encode().ljust(16, b"-"))
        if name != "silent":
            desk.enrolment.agreed(name, name.encode().ljust(16, b"-"), SIGN, KID)
    desk.enrolment.knocked("exchanged", ONE)
    desk.enrolment.knocked("exchanged", ONE)
    desk.enrolment.knocked("new", OTHER)
    desk.line.take_state("good", birth("good"))
    desk.line.take_state("plain", birth("plain"))
    lines = said(capsys, "list").splitlines()
    row = {line.split()[0]: line for line in lines[:-4] if line.strip()}
    assert " online " in row["good"] and " never heard of " in row["silent"]
    assert " not enrolled " in row["new"] and " plain, not enrolled " in row["plain"]
    hints = {line.split()[0].rstrip(":"): line for line in lines[-4:]}
    assert "good" not in hints
    assert "was never heard of since it was enrolled" in hints["silent"]
    assert "knocks (2 times, last at" in hints["exchanged"]
    assert hints["exchanged"].endswith("ami-hes concentrator replace exchanged " + SHOWN)
    assert "is not enrolled and knocks (once, last at" in hints["new"]
    assert hints["new"].endswith("ami-hes concentrator add new " + OTHER_SHOWN)
    assert "speaks in plain" in hints["plain"]

    assert main(["list"]) == 0
    text = capsys.readouterr().out
    for name in ("silent", "exchanged", "new"):
        assert "\n" + name in text and "never heard" in text
    assert "speaks in plain" not in text  # who runs with --plain knows
    text = said(capsys, "show", "exchanged")
    assert "Fingerprint" in text and "another board than the enrolled one knocks" in text
    assert "no concentrator nobody is enrolled" in said(capsys, "show", "nobody", status=1)
    text = said(capsys, "add", "new", SHOWN, status=0)
    assert "what has knocked by this name is another board, " + OTHER_SHOWN in text


def test_an_order_for_a_name_that_nobody_knows_gets_a_hint(
    desk: Store, capsys: Any, key: Any
) -> None:
    key.save(Path("k.pem"))
    order = ["--read", "clock 0.0.1.0.0.255 time", "--meters", "A1", "--key", "k.pem"]
    assert main(["submit", "--concentrator", "street-l", *order]) == 0
    text = capsys.readouterr().err
    assert "no concentrator street-l is enrolled, and none has been heard of; `ami-hes conc" in text
    desk.enrolment.add("street-1", ONE)
    assert main(["submit", "--concentrator", "street-l", *order]) == 0
    assert "none has been heard of; did you mean street-1?" in capsys.readouterr().err
    assert main(["submit", "--concentrator", "street-1", *order]) == 0
    assert "heard of" not in capsys.readouterr().err
    assert main(["trust", "add", "--concentrator", "street-2", "k.json", "--for", "orders"]) == 0
    assert main(["trust", "send", "--concentrator", "street-2", "--key", "k.pem"]) == 0
    assert "none has been heard of; did you mean street-1?" in capsys.readouterr().out
