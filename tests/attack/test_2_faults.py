"""Section 2: the fault of one is not the fault of all."""

from __future__ import annotations

import os
import time

from gateway.contract import messages
from gateway.contract.edhoc.frames import framed_1, framed_3
from gateway.contract.messages import State
from tests.attack.cell import PATIENCE, Cell
from tests.unit.hes.secured import Identity

ESCAPES = "\x1b[2J\x07\u202etxt"  # clears a screen, rings, turns the direction of reading


def test_names_that_nobody_knows_fill_nothing(cell: Cell) -> None:
    for number in range(200):
        who = "nobody-%d" % number
        state = State(who, 1, True, 1, 1, 1, 0, "1.0", ESCAPES, 0, 0, 0)
        cell.attacker.say("state", state.encode(), who=who)
        cell.attacker.say("hello", os.urandom(50), who=who)
    cell.legal_job()
    names = [each.id for each in cell.hes_store.reports.concentrators()]
    assert not [name for name in names if name.startswith("nobody")]


def test_texts_of_the_line_reach_no_terminal_as_they_are(cell: Cell) -> None:
    """Of a concentrator that is enrolled, and has turned bad."""
    other, name, attacker = Identity(), "street-3", cell.attacker
    cell.hes("concentrator", "add", name, other.fingerprint.hex())
    time.sleep(2)  # the HES looks every second who is enrolled
    begun = other.initiator(name, bytes(4))
    before = len(attacker.heard("edhoc"))
    attacker.say("edhoc", framed_1(begun.message_1()), who=name)
    cell.wait_for("an answer", PATIENCE, lambda: len(attacker.heard("edhoc")) > before)
    keys = [(cell.line_key.kid, cell.line_key.public)]
    message_3, session = begun.message_3(attacker.heard("edhoc")[-1][1], keys)
    attacker.say("edhoc", framed_3(session.sealer.kid, message_3), who=name)
    state = State(name, 0, True, 1, 1, 1, 0, ESCAPES, ESCAPES, 0, 0, 0)
    attacker.say("state", other.signed(state.encode()), who=name)
    attacker.say("hello", session.sealer.seal(messages.topic(name, "hello"), b"\xff"), who=name)
    cell.legal_job()
    told = cell.hes("list")
    assert name in told
    assert not [mark for mark in ("\x1b", "\x07", "\u202e") if mark in told]
    cell.hes("concentrator", "remove", name)
