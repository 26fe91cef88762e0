"""Section 1: whoever holds the broker can neither read, nor forge, nor erase, nor stop anything."""

from __future__ import annotations

import hashlib
import os
import time

from gateway.contract import messages
from gateway.contract.edhoc.credential import Credential
from gateway.contract.edhoc.frames import error_message, framed_1, framed_3
from gateway.contract.edhoc.responder import Responder
from gateway.contract.envelope import split
from gateway.contract.messages import Ack, Chunk, Hello, Reports, Resend, SignedTime, State, Time
from gateway.contract.reports import MeterReport, Report
from gateway.contract.sealed import kid_of
from gateway.dlms.data import axdr, obis
from hal.cpython.crypto import SystemCrypto
from tests.attack.cell import OTHERS, PATIENCE, Cell
from tests.system.orders import configure_job, period_package, read_job, sign, signed
from tests.unit.hes.secured import Identity
from tools.cosem.names import ATTRIBUTE, Member
from tools.demonstration.stage import CONCENTRATOR
from tools.hes.orders import order
from tools.package.keys import SigningKey

LOCATION = (1, "0.0.96.1.1.255", 2)  # a text of the utility's
TRUE, A_STRING = 0xF5, 0x58  # CBOR: with these message_1 and message_2 begin
POISON = [
    b"",
    b"\xff" * 64,
    b"\x81" * 60_000,  # arrays without end
    b"\x9a\xff\xff\xff\xff",  # an array of 2^32 - 1
    b"\xd2\x84\x43\xa1\x01\x26" + b"\xa0" * 9,
    b"\xd0\x83\x47\xa2\x01\x01\x04\x44" + bytes(60),
    bytes(127 * 1024),
    bytes(200 * 1024),
    os.urandom(5000),
]


def state_of(cell: Cell) -> State:
    """Its last one, as anybody can read it."""
    return State.decode(split(cell.attacker.heard("state")[-1][1])[1])


def births(cell: Cell) -> int:
    """How many connections it has begun."""
    return len(cell.sessions())


def test_nobody_reads_what_is_on_the_line(cell: Cell) -> None:
    secret = b"Calle Mayor 4, 2B"
    class_id, name, attribute = LOCATION
    before = {serial: cell.meters.read(serial, *LOCATION) for serial in cell.serials}
    for serial in cell.serials:
        cell.meters.put(serial, *LOCATION, (axdr.OCTET_STRING, secret))
    terms = order.Terms(5, 0, int(time.time()) + 3600, tries=10, backoff=1)
    member = Member(ATTRIBUTE, class_id, obis.parse(name), attribute)
    store = cell.hes_store
    job = order.read(store.orders, cell.key, CONCENTRATOR, cell.serials, terms, [member])
    cell.wait_for("the values", PATIENCE, lambda: cell.finished(job))
    assert set(cell.results(job).values()) == {"VALUE"}
    for serial in cell.serials:
        cell.meters.put(serial, *LOCATION, before[serial])
    heard = cell.attacker.heard()
    assert {"report", "hello", "job", "ack"} <= {name for name, _ in heard}
    for name, payload in heard:
        assert name in ("state", "edhoc") or kid_of(payload) is not None, name
        assert secret not in payload
        assert not [serial for serial in cell.serials if serial.encode() in payload]


def test_results_are_not_erased(cell: Cell) -> None:
    """While the HES is away, somebody says that it has them all."""
    state, attacker = state_of(cell), cell.attacker
    job = cell.configure()
    cell.wait_for("the job to be taken", PATIENCE, lambda: cell.meters.log(cell.serials[0]))
    cell.freeze("hes", True)
    try:
        for number in (1, 50, 10**6, 2**63):
            attacker.say("ack", Ack(state.epoch, number).encode())
            attacker.say("resend", Resend(state.epoch, number).encode())
        state.first = state.next = 10**6
        attacker.say("state", state.encode(), retain=True)
    finally:
        cell.freeze("hes", False)
    cell.judge(job)


def test_the_hes_is_not_blinded(cell: Cell) -> None:
    """By states of another epoch, old births and wills, and a broker that forgets the state."""
    attacker, state = cell.attacker, state_of(cell)
    old = attacker.heard("state")
    state.epoch, state.first, state.next, state.session = state.epoch + 1, 2**40, 2**40, 7
    attacker.say("state", state.encode(), retain=True)
    stranger = Identity()
    attacker.say("state", stranger.signed(state.encode()), retain=True)
    attacker.say("state", b"", retain=True)
    attacker.play_again(old + old[::-1])
    cell.legal_job()


def test_poison_stops_nobody(cell: Cell) -> None:
    """On each topic, both ways, retained as well."""
    attacker, pids, count = cell.attacker, cell.pids(), births(cell)
    names = sorted({*messages.UP_TOPICS, *messages.DOWN_TOPICS, "edhoc"})
    for name in names:
        attacker.say_all([(name, poison) for poison in POISON])
        attacker.say(name, POISON[2], retain=True)
    cell.legal_job()
    assert cell.pids() == pids and births(cell) == count
    for name in names:
        attacker.say(name, b"", retain=True)


def test_bad_pieces_end_no_job(cell: Cell) -> None:
    def attack() -> None:
        digest, size = hashlib.sha256(cell.package).digest(), len(cell.package)
        for total in (size, 0, 2 * size):
            for offset in (0, 100, size - 1):
                data = os.urandom(total - offset) if total > offset else b""
                chunk = Chunk(digest, offset, total, data).encode()
                cell.attacker.say_all([("chunk", chunk)] * 5)

    cell.legal_job(attack)


def test_nobody_invents_results(cell: Cell) -> None:
    state, silent = state_of(cell), cell.serials[-1]
    cell.meters.fault(silent, "dead", True)
    try:
        job = cell.configure()
        body = MeterReport(job, silent, "succeeded", "OK", "applied", "", 1, "plc", 5, None)
        for number in range(state.next, state.next + 40):
            report = Reports(state.epoch, [Report(number, int(time.time()), body)])
            cell.attacker.say("report", report.encode())
        cell.wait_for("another", PATIENCE, lambda: "OK" in cell.results(job).values())
        assert cell.results(job)[silent] == "PENDING"
    finally:
        cell.meters.fault(silent, "dead", False)
    cell.judge(job)


def test_what_was_said_is_not_said_again(cell: Cell) -> None:
    """Sealed messages and handshakes, in any order, and on other topics."""
    attacker, pids = cell.attacker, cell.pids()
    heard = [each for each in attacker.heard() if each[0] != "state"][-150:]
    sealed = [payload for name, payload in heard if name != "edhoc"][-20:]
    names = (*messages.UP_TOPICS, *messages.DOWN_TOPICS)
    refused = [each for each in cell.events() if each[0] == "refused"]
    attacker.play_again(heard + heard[::-1])
    attacker.say_all([(name, each) for name in names if name != "state" for each in sealed])
    cell.legal_job()
    assert cell.pids() == pids
    assert [each for each in cell.events() if each[0] == "refused"] == refused


def test_a_flood_of_handshakes_ends_no_session(cell: Cell) -> None:
    attacker, stranger = cell.attacker, Identity()
    count = len(attacker.heard("edhoc"))
    said = []
    for number in range(100):
        begun = stranger.initiator(CONCENTRATOR, number.to_bytes(4, "big"))
        said.append(("edhoc", framed_1(begun.message_1())))
        said.append(("edhoc", framed_3(os.urandom(4), os.urandom(90))))
        said.append(("edhoc", os.urandom(60)))  # as a message_2
        said.append(("edhoc", error_message()))
    attacker.say_all(said)
    cell.legal_job()
    # It answers not every one of them.
    assert len(attacker.heard("edhoc")) - count < 300


def test_an_enrolled_one_is_not_spoken_to_in_plain(cell: Cell) -> None:
    """Nor does it listen."""
    state, attacker = state_of(cell), cell.attacker
    seen = len([each for each in cell.events() if each[0] == "refused"])
    hello = Hello(state.session, int(time.time()), [], epoch=state.epoch, first=1, next=1)
    attacker.say("hello", hello.encode())
    attacker.say("time", Time(int(time.time()) + 86400).encode())
    attacker.say("job", b"\xd2" + os.urandom(60))
    cell.legal_job()
    cell.wait_for(
        "the HES's word of it",
        PATIENCE,
        lambda: [each for each in cell.events() if each[0] == "unsealed"],
    )
    # What is not sealed makes no noise in the concentrator's reports.
    assert len([each for each in cell.events() if each[0] == "refused"]) == seen


def test_an_enrolled_concentrator_does_not_play_another(cell: Cell) -> None:
    attacker, name = cell.attacker, OTHERS[0]
    other, state = cell.others[name], state_of(cell)
    keys = [(cell.line_key.kid, cell.line_key.public)]
    for topic_of in (name, CONCENTRATOR):
        for called in (name, CONCENTRATOR):
            begun = other.initiator(called, os.urandom(4))
            answer = cell.answer_to(framed_1(begun.message_1()), topic_of)
            message_3, session = begun.message_3(answer, keys)
            attacker.say("edhoc", framed_3(session.sealer.kid, message_3), who=topic_of)
            for spoken in (name, CONCENTRATOR):
                topic = messages.topic(spoken, "hello")
                hello = Hello(state.session, 0, [], epoch=state.epoch + 1, first=9**9, next=9**9)
                attacker.say("hello", session.sealer.seal(topic, hello.encode()), who=CONCENTRATOR)
    cell.legal_job()
    assert [each.concentrator for each in cell.hes_store.enrolment.knocks()] == [CONCENTRATOR]


def test_an_operators_key_alone_orders_nothing(cell: Cell) -> None:
    """It was stolen, and the thief holds the broker too, but not the HES's key for the line."""
    attacker = cell.attacker
    written = cell.written()
    package = signed(period_package(3600), cell.key)
    job = configure_job(cell.serials, package, priority=9)
    for _ in range(3):
        attacker.say("job", sign(job.encode(), cell.key))
    pieces = Chunk(hashlib.sha256(package).digest(), 0, len(package), package)
    attacker.say("chunk", pieces.encode())
    ahead = SignedTime(CONCENTRATOR, bytes(16), int(time.time()) + 10**8)
    attacker.say("time", sign(ahead.encode(), cell.key))
    read = read_job(cell.serials, priority=9)
    attacker.say("job", sign(read.encode(), cell.key))
    cell.legal_job()
    assert cell.written() == [each + 1 for each in written]
    assert not [each for each in cell.events() if each[0] == "unknown-report"]


def test_messages_in_another_order(cell: Cell) -> None:
    """What was held back and comes after later ones is not taken, on either side."""
    line, attacker, count = cell.line, cell.attacker, births(cell)
    street, said = cell.hes_store.street, len(attacker.heard("meters"))
    known = street.ways(CONCENTRATOR)
    line.hold("ask")
    try:
        street.ask_meters(CONCENTRATOR)
        cell.wait_for("an ask to be held", PATIENCE, lambda: line.held("ask"))
        line.hold("meters", "ack")
        street.ask_meters(CONCENTRATOR)
        cell.wait_for("an answer to be held", PATIENCE, lambda: line.held("meters"))
        cell.legal_job()
        cell.wait_for("acks to be held", PATIENCE, lambda: line.held("ack"))
    finally:
        line.release()
        street.stop_asking(CONCENTRATOR)
    cell.legal_job()
    assert births(cell) == count
    # One answer, to the ask that came in its turn; which the HES did not take after the reports.
    assert len(attacker.heard("meters")) == said + 1
    assert street.ways(CONCENTRATOR) == known


def test_forged_answers_end_no_handshake(cell: Cell) -> None:
    """They come before the HES's own: somebody else's, and one of before."""
    line, attacker, count = cell.line, cell.attacker, births(cell)
    old = [raw for _, raw in attacker.heard("edhoc") if raw[0] == A_STRING]
    before = len(attacker.heard("edhoc"))
    cell.freeze("hes", True)
    try:
        line.cut()
        cell.wait_for("a handshake", PATIENCE, lambda: len(attacker.heard("edhoc")) > before)
        message_1 = attacker.heard("edhoc")[before][1]
        own = SigningKey.generate()
        credential = Credential("hes", cell.line_key.kid, own.public)
        forger = Responder(SystemCrypto(), credential, own.scalar, os.urandom(4))
        attacker.say("edhoc", forger.message_2(message_1[1:]))
        attacker.play_again([("edhoc", old[-1])])
    finally:
        cell.freeze("hes", False)
    cell.legal_job()
    heard = [raw for _, raw in attacker.heard("edhoc")[before:]]
    assert len([raw for raw in heard if raw[0] == TRUE]) == 1, "one handshake was enough"
    assert births(cell) == count + 1
