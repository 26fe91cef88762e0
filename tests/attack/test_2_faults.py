"""Section 2: the fault of one is not the fault of all."""

from __future__ import annotations

import hashlib
import math
import os
import time

from gateway.contract import messages
from gateway.contract.edhoc.frames import framed_1, framed_3
from gateway.contract.messages import State
from gateway.meters.counters import BLOCK, MAX_JUMP, Counters
from hal.cpython.storage import FolderStorage
from hal.sim.storage import MemoryStorage
from tests.attack.cell import OTHERS, PATIENCE, Cell
from tools.hes.orders import order

BAD = [
    b"\x34\x08\x00\x04down\x00\x01",  # PUBLISH at QoS 2
    b"\xf0\x00",  # a packet that there is not
]
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
    name, attacker = OTHERS[1], cell.attacker
    other = cell.others[name]
    begun = other.initiator(name, bytes(4))
    keys = [(cell.line_key.kid, cell.line_key.public)]
    answer = cell.answer_to(framed_1(begun.message_1()), name)
    message_3, session = begun.message_3(answer, keys)
    attacker.say("edhoc", framed_3(session.sealer.kid, message_3), who=name)
    state = State(name, 0, True, 1, 1, 1, 0, ESCAPES, ESCAPES, 0, 0, 0)
    attacker.say("state", other.signed(state.encode()), who=name)
    attacker.say("hello", session.sealer.seal(messages.topic(name, "hello"), b"\xff"), who=name)
    cell.legal_job()
    told = cell.hes("list")
    assert name in told
    assert not [mark for mark in ("\x1b", "\x07", "\u202e") if mark in told]


def test_a_meter_that_floods_is_named_and_the_others_are_worked(cell: Cell) -> None:
    flooder = cell.odd[1]
    cell.meters.fault(flooder, "flood", 200)
    try:
        job = cell.read_clock(flooder)
        cell.wait_for("it to be named", PATIENCE, lambda: " floods: " in cell.log("gateway"))
        cell.legal_job()
    finally:
        cell.meters.fault(flooder, "flood", 0)
        if not cell.finished(job):
            order.cancel(cell.hes_store.orders, cell.key, job)


def test_a_meter_that_lies_about_its_counter_costs_one_jump(cell: Cell) -> None:
    """And not the key: once it stops, it is worked as before."""
    liar = cell.odd[0]
    before = next_counter(cell, liar)
    cell.meters.fault(liar, "wants_counter", MAX_JUMP // 2)
    try:
        job = cell.read_clock(liar, tries=2)
        cell.legal_job()
        cell.wait_for("the job's end", PATIENCE, lambda: cell.finished(job))
        assert cell.results(job) == {liar: "KO"}
    finally:
        cell.meters.fault(liar, "wants_counter", 0)
    job = cell.read_clock(liar)
    cell.wait_for("the job's end", PATIENCE, lambda: cell.finished(job))
    assert cell.results(job) == {liar: "VALUE"}
    assert next_counter(cell, liar) - before <= MAX_JUMP + 4 * BLOCK


def next_counter(cell: Cell, serial: str) -> int:
    """The first one that is not on the flash."""
    copy, storage = MemoryStorage(), FolderStorage(str(cell.data))
    for name in storage.names():
        if name.startswith("counters."):
            copy.replace(name, storage.read(name))
    return Counters(copy, bytes).next(serial)


def test_a_broker_that_speaks_badly_is_tried_ever_more_seldom(cell: Cell) -> None:
    """It ends each connection by what MQTT 3.1.1 does not know, or by QoS 2. The meters are worked
    meanwhile, and the HES is told once it is over."""
    line = cell.line
    cell.restart_gateway()  # its pauses begin anew
    cell.wait_for_birth()
    wanted = [each + 1 for each in cell.written()]
    cell.slow(2)
    try:
        job = cell.configure()
        complete = "package %s: complete" % hashlib.sha256(cell.package).hexdigest()[:16]
        cell.wait_for("the package", PATIENCE, lambda: complete in cell.log("gateway"))
        line.poison, opened, began = BAD[0], line.opened, time.monotonic()
        line.cut()
        cell.slow(0)
        for line.poison in BAD:
            before = line.ended
            cell.wait_for("it to be left", PATIENCE, lambda n=before: line.ended > n)
        cell.wait_for("the meters to be written", PATIENCE, lambda: cell.written() == wanted)
        assert not cell.finished(job)
        # Pauses double from a second on, and each may be half as long.
        assert line.opened - opened <= math.log2(2 * (time.monotonic() - began) + 1)
    finally:
        line.poison = b""
        cell.slow(0)
    cell.judge(job)
