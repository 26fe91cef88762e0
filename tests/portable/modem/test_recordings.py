"""Every recording in tests/data/recordings: its driver writes what is written down, and tells the
events that are. `ami-replay --help` says how a trace of the field becomes one."""

from __future__ import annotations

import os
import sys

from hal.modem import usi
from tests.portable.support import raises
from tools.replay import player

FOLDER = "tests/data/recordings"


def recordings() -> list[str]:
    return [FOLDER + "/" + name for name in sorted(os.listdir(FOLDER)) if name[-6:] == ".jsonl"]


def test_every_driver_does_what_is_written_down() -> None:
    assert len(recordings()) >= 3
    for path in recordings():
        rows = player.load(path)
        if rows[0].get("runtime", sys.implementation.name) != sys.implementation.name:
            continue
        wanted, came = player.replay(rows)
        assert len(wanted) > 10, path
        place = player.first_difference(wanted, came)
        if place is not None:
            raise AssertionError(
                "%s: %s expected, %s came; see ami-replay"
                % (path, wanted[place : place + 1], came[place : place + 1])
            )


def test_another_outcome_is_a_difference() -> None:
    rows = player.load(FOLDER + "/prime-usi.jsonl")
    for row in rows:
        if "read" in row and "38" in row["read"]:
            damaged = bytearray(bytes.fromhex(row["read"]))
            damaged[-2] ^= 1
            row["read"] = bytes(damaged).hex()
            break
    wanted, came = player.replay(rows)
    assert player.first_difference(wanted, came) is not None


def test_calls_of_every_kind() -> None:
    listed = "0f8250011900010001" + "00" * 17 + "0080e1000001"
    page = usi.frame(usi.PRIME_GET_RESPONSE_ENHANCED, bytes.fromhex(listed))
    calls = [
        ["send", "0080e1000001", 16, 1, "c0"],
        ["send", "0080e1000009", 16, 1, "c0"],
        ["discover"],
        ["kick", "0080e1000001"],
        ["get", "0024"],
        ["set", "0024", "03"],
        ["reset"],
    ]
    rows = [{"recording": 1, "driver": "prime-usi"}, {"at": 5, "line": "open"}]
    rows.append({"at": 10, "read": page.hex()})
    rows += [{"at": 20 + place, "call": calls[place]} for place in range(len(calls))]
    rows.append({"at": 40, "line": "closed"})
    rows.append({"at": 90000, "read": ""})
    driver = player.Player(player.make_driver(rows[0]))
    driver.play(rows)
    events = [each[2] for each in driver.outcome if each[1] == "event"]
    assert events == [["joined", "0080e1000001"], ["refused", "NoRoute"]]
    written = b"".join([bytes.fromhex(each[2]) for each in driver.outcome if each[1] == "write"])
    commands = [frame.data[0] for frame in usi.Parser().feed(written)]
    assert commands == [0x0E, 0x37, 0x0E, 0x35, 0x2D, 0x31, 0x2B], commands


def test_what_makes_no_sense_is_told() -> None:
    assert "prime-usi" in str(raises(ValueError, player.make_driver, {"driver": "x"}))
    assert "N2" in str(raises(ValueError, player.make_driver, {"driver": "imst", "link_mode": "x"}))
    rows = [{"driver": "imst"}, {"at": 0, "line": "open"}, {"at": 1, "call": ["jump"]}]
    assert "jump" in str(raises(ValueError, player.replay, rows))
