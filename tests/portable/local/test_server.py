"""The concentrator as a DLMS server for technicians: who gets in, and what they see."""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client.client import HIGH_GMAC, HIGH_MD5, LOW, Association, Client
from gateway.dlms.data import axdr, obis
from gateway.dlms.errors import AccessRefused, AssociationRefused, DlmsError, ProtocolError
from gateway.dlms.protection.keyring import Keys
from gateway.local import header
from gateway.local.objects import Objects
from gateway.local.server import FREE_REFUSALS, LocalServer
from hal.rt.hexed import hexed
from hal.sim.clock import ManualClock
from tests.portable.local.support import NONCE, Times, kept
from tests.portable.support import raises, random_bytes, run
from tests.portable.uplink.support import crypto

EK, AK = bytes(range(16)), bytes(range(16, 32))
OURS, THEIRS = b"AMI\x00\x00\x00\x00\x01", b"TEC\x00\x00\x00\x00\x09"
NAME = obis.parse("0.0.42.0.0.255")


class Status:
    firmware = "0.1.0"

    def meters_known(self):
        return 42

    def meters_reachable(self):
        return 40


class Bench:
    """A server, and a Link to it."""

    max_apdu = 1024

    def __init__(self):
        self.clock = ManualClock(1800000000)
        self.times = Times()
        self.records = []
        self.sent = []
        self._counters = {}
        self.server = LocalServer(
            Objects("street-1", Status(), kept(self.clock), self.times),
            Keys(OURS, EK, AK),
            crypto(),
            self.clock,
            lambda: self.next(OURS),
            lambda kind, details: self.records.append([kind] + details),
        )
        self._answers = []

    def next(self, whose):
        self._counters[whose] = self._counters.get(whose, 0) + 1
        return self._counters[whose]

    async def send(self, apdu):
        self.sent.append(bytes(apdu))
        self._answers.append(self.server.answer(1, bytes(apdu)))

    async def receive(self, timeout_ms):
        return self._answers.pop(0)

    async def close(self):
        pass

    def client(self, ek=EK, title=THEIRS, association=None):
        keys = Keys(title, ek, AK)
        association = association or Association(1, 1, HIGH_GMAC, keys=keys)
        return Client(self, self.clock, crypto(), association, lambda: self.next(title), 1000, 1)

    async def get(self, client, class_id, name, attribute):
        return axdr.decode(await client.get(class_id, obis.parse(name), attribute))


async def refused(kind, awaitable):
    try:
        await awaitable
    except kind as error:
        return error
    raise AssertionError("expected %s" % kind.__name__)


def test_a_technician_sees_the_concentrator():
    async def play():
        bench = Bench()
        client = bench.client()
        await client.associate()
        assert bench.server.proven(1) and bench.server.title(1) == THEIRS
        assert bench.records == [["local", "in", THEIRS.hex()]]
        for class_id, name, attribute, value in (
            (1, "0.0.42.0.0.255", 2, (axdr.OCTET_STRING, b"street-1")),
            (1, "1.0.0.2.0.255", 2, (axdr.OCTET_STRING, b"0.1.0")),
            (1, "0.0.96.50.0.255", 2, (axdr.DOUBLE_LONG_UNSIGNED, 42)),
            (1, "0.0.96.51.0.255", 2, (axdr.DOUBLE_LONG_UNSIGNED, 40)),
            (1, "0.0.42.0.0.255", 1, (axdr.OCTET_STRING, NAME)),
        ):
            assert await bench.get(client, class_id, name, attribute) == value
        _, date = await bench.get(client, 8, "0.0.1.0.0.255", 2)
        assert date == bytes.fromhex("07eb010fff08000000000000")  # 2027-01-15 08:00:00 UTC
        _, rows = await bench.get(client, 15, "0.0.40.0.0.255", 2)
        assert len(rows) == 7
        await client.release()
        assert not bench.server.proven(1)

    run(play())


def test_what_is_not_there_is_refused_by_name():
    async def play():
        bench = Bench()
        client = bench.client()
        await client.associate()
        for class_id, name, attribute, result in (
            (1, "0.0.96.1.0.255", 2, "object-undefined"),
            (3, "0.0.42.0.0.255", 2, "object-class-inconsistent"),
            (8, "0.0.1.0.0.255", 3, "read-write-denied"),
            (15, "0.0.40.0.0.255", 7, "read-write-denied"),
        ):
            error = await refused(AccessRefused, client.get(class_id, obis.parse(name), attribute))
            assert error.result == result
        await refused(DlmsError, client.action(8, obis.parse("0.0.1.0.0.255"), 1, b"\x0f\x00"))
        assert await bench.get(client, 1, "0.0.96.50.0.255", 2)

    run(play())


def test_nothing_without_the_key():
    async def play():
        bench = Bench()
        wrong = bench.client(ek=bytes(16))
        await refused(AssociationRefused, wrong.associate())
        for association in (
            Association(1, 1, 0),
            Association(1, 1, LOW, b"password"),
            Association(1, 1, HIGH_MD5, b"password"),
            Association(1, 1, HIGH_GMAC, keys=Keys(OURS, EK, AK)),  # our own title
        ):
            client = bench.client(association=association)
            await refused(AssociationRefused, client.associate())
        assert not bench.server.proven(1)
        assert bench.server.answer(1, bytes.fromhex("c001c1000100002a0000ff0200"))[0] == 0xD8
        assert bench.records[0] == ["local", "refused", THEIRS.hex()]

    run(play())


def test_who_is_refused_is_on_record_by_title_also_one_who_gives_none():
    async def play():
        for title in (THEIRS[:7], b"", OURS):
            bench = Bench()
            await bench.client().associate()
            aarq = acse.Aarq.decode(bench.sent[0])
            aarq.title = title
            bench.records = []
            answer = acse.Aare.decode(bench.server.answer(1, aarq.encode()))
            assert answer.diagnostic == (1, acse.AUTHENTICATION_FAILURE), title
            assert bench.records == [["local", "refused", hexed(title)]]
            assert isinstance(bench.records[0][2], str)
            assert not bench.server.proven(1)

    run(play())


def test_an_association_without_its_proof_may_do_nothing():
    async def play():
        bench = Bench()
        client = bench.client()
        await client.associate()
        await client.release()
        aarq, proof = bench.sent[:2]
        # what was recorded comes again: the key is right, the counters and the challenge are old
        answer = apdu.decode(bench.server.answer(1, aarq))
        assert isinstance(answer, apdu.ExceptionResponse)
        assert (answer.service, answer.counter) == (apdu.INVOCATION_COUNTER_ERROR, 5)
        assert bench.server.answer(1, proof)[0] == 0xD8
        assert not bench.server.proven(1)

    run(play())


def replayed(bench, aarq):
    """Whether the server sees that it has had this one before."""
    answer = bench.server.answer(1, aarq)
    bench.server.forget(1)
    if answer[0] == acse.AARE:
        return False
    assert apdu.decode(answer).service == apdu.INVOCATION_COUNTER_ERROR
    return True


def test_sixteen_technicians_are_remembered_and_then_it_begins_anew():
    async def play():
        bench = Bench()

        async def visit(number):
            """Its first message."""
            sent = len(bench.sent)
            client = bench.client(title=THEIRS[:7] + bytes([number]))
            await client.associate()
            await client.release()
            return bench.sent[sent]

        recorded = []
        for number in range(16):
            recorded.append(await visit(number))
        assert [replayed(bench, aarq) for aarq in recorded] == [True] * 16
        await visit(3)  # who is among them takes nobody's place
        assert [replayed(bench, aarq) for aarq in recorded] == [True] * 16
        last = await visit(16)
        assert [replayed(bench, aarq) for aarq in recorded + [last]] == [False] * 16 + [True]

    run(play())


def test_only_who_has_proven_himself_is_remembered():
    async def play():
        bench = Bench()
        client = bench.client()
        await client.associate()
        bench.server.forget(1)
        aarq = bench.sent[0]
        assert replayed(bench, aarq)
        other = Bench()
        assert other.server.answer(1, aarq)[0] == acse.AARE
        other.server.forget(1)
        assert not replayed(other, aarq)

    run(play())


def test_what_is_served_before_and_after_the_proof():
    clock = obis.parse("0.0.1.0.0.255")
    association = obis.parse("0.0.40.0.0.255")
    denied, not_allowed, unsupported = "c701410300", "d80101", "d80202"
    for request, before, after in (
        (apdu.GetRequest(0x41, 8, clock, 3), not_allowed, "c401410103"),
        (apdu.GetRequest(0x41, 8, clock, 2, (2, b"\x00")), not_allowed, unsupported),
        (apdu.SetRequest(0x41, 8, clock, 2, None, b"\x00"), not_allowed, "c501410c"),
        (apdu.ActionRequest(0x41, 8, clock, 1, b"\x00"), not_allowed, denied),
        (apdu.ActionRequest(0x41, 15, association, 2, b"\x00"), not_allowed, denied),
        (apdu.ActionRequest(0x41, 15, association, 1, b"\x00"), "c70141fa00", denied),
        (apdu.ActionRequest(0x41, 15, clock, 1, b"\x00"), not_allowed, denied),
        (apdu.ActionRequest(0x41, 8, association, 1, b"\x00"), not_allowed, denied),
    ):
        for proven, expected in ((False, before), (True, after)):
            bench = Bench()
            run(bench.client().associate())
            session = bench.server._sessions[1]
            session.proven = proven
            answer = bench.server._served(1, session, request.encode())
            assert answer.hex() == expected, (request, proven)


def test_a_wrong_proof_is_a_refusal_and_on_record():
    async def play():
        bench = Bench()
        for count in (1, 2, 3):
            await bench.client().associate()
            session = bench.server._sessions[1]
            session.proven = False
            bench.server._refusals = count - 1
            bench.records = []
            name = obis.parse("0.0.40.0.0.255")
            wrong = axdr.encode((axdr.OCTET_STRING, bytes(17)))
            request = apdu.ActionRequest(0x41, 15, name, 1, wrong)
            assert bench.server._served(1, session, request.encode()).hex() == "c70141fa00"
            assert bench.records == [["local", "refused", THEIRS.hex()]]
            assert 1 not in bench.server._sessions
        await refused(AssociationRefused, bench.client().associate())
        assert len(bench.records) == 1, "the door is shut: not looked at"

    run(play())


def test_why_an_association_is_refused():
    async def play():
        for name, value, diagnostic, looked_at in (
            ("mechanism", 0, acse.AUTHENTICATION_REQUIRED, 0),
            ("mechanism", 1, acse.AUTHENTICATION_REQUIRED, 0),
            ("mechanism", 6, acse.AUTHENTICATION_REQUIRED, 0),
            ("context", 1, 2, 0),
            ("title", THEIRS[:7], acse.AUTHENTICATION_FAILURE, 1),
            ("title", OURS, acse.AUTHENTICATION_FAILURE, 1),
            ("value", b"short", acse.AUTHENTICATION_FAILURE, 1),
        ):
            bench = Bench()
            await bench.client().associate()
            aarq = acse.Aarq.decode(bench.sent[0])
            setattr(aarq, name, value)
            bench.records = []
            answer = acse.Aare.decode(bench.server.answer(1, aarq.encode()))
            assert (answer.result, answer.diagnostic) == (1, (1, diagnostic)), (name, value)
            assert len(bench.records) == looked_at and not bench.server.proven(1), (name, value)
        bench = Bench()
        await bench.client().associate()
        answer = acse.Aare.decode(bench.server.answer(2, bench.sent[0]))
        assert (answer.result, answer.diagnostic) == (0, (1, acse.AUTHENTICATION_REQUIRED))

    run(play())


def test_guessing_is_slowed_down_and_a_right_key_ends_that():
    async def play():
        bench = Bench()
        for _ in range(FREE_REFUSALS):
            await refused(AssociationRefused, bench.client(ek=bytes(16)).associate())
        good = bench.client()
        await refused(AssociationRefused, good.associate())
        assert len(bench.records) == FREE_REFUSALS  # locked: not even looked at, nor recorded
        bench.clock.advance(1001)
        await refused(AssociationRefused, bench.client(ek=bytes(16)).associate())
        bench.clock.advance(1001)
        await refused(AssociationRefused, good.associate())
        bench.clock.advance(1000)
        await good.associate()
        await good.release()
        await refused(AssociationRefused, bench.client(ek=bytes(16)).associate())
        await good.associate()

    run(play())


def test_any_bytes_are_answered():
    bench = Bench()
    for seed in range(300):
        noise = random_bytes(seed, 1 + seed % 60)
        for first in (noise[:1], b"\x60", b"\x62", b"\xc8", b"\xcb", b"\xdb"):
            assert bench.server.answer(1, first + noise[1:])
    assert bench.server.answer(1, b"")[0] == 0xD8


def test_the_gateway_header():
    raw = header.encode(header.TO_DEVICE, "AMI0000000001", b"\xc0\x01")
    assert raw == bytes.fromhex("e6000d") + b"AMI0000000001" + b"\xc0\x01"
    assert header.decode(raw) == (header.TO_DEVICE, "AMI0000000001", b"\xc0\x01")
    assert raises(ValueError, header.encode, header.TO_DEVICE, "x" * 33, b"")
    for bad in (
        "",
        "e6",
        "e60001",
        "e6000141",
        "e60001ffc0",
        "e6010141c0",
        "e80001aac0",
        "e60000c0",
    ):
        raises(ProtocolError, header.decode, bytes.fromhex(bad))


def test_a_technician_sets_the_clock():
    async def play():
        bench = Bench()
        client = bench.client()
        await client.associate()
        at = obis.parse("0.0.1.0.0.255")
        for date, seconds in (
            ("07eb010f05080000000000 00", 1800000000),
            ("07eb010fff080000ff000000", 1800000000),
            ("07eb010f0509000000ffc400", 1800000000),  # an hour ahead of UTC: deviation -60
            ("07eb010f0507000000003c00", 1800000000),
        ):
            raw = bytes.fromhex(date.replace(" ", ""))
            await client.set(8, at, 2, axdr.encode((axdr.OCTET_STRING, raw)))
            assert bench.times.taken[-1] == seconds, date
        await client.set(8, at, 2, axdr.encode((axdr.DATE_TIME, raw)))
        assert bench.records[-1] == ["local", "set", THEIRS.hex(), at.hex(), 0]
        count = len(bench.times.taken)
        for data in (
            (axdr.OCTET_STRING, bytes.fromhex("07eb010f0508000000800000")),  # no deviation
            (axdr.OCTET_STRING, bytes.fromhex("ffff010f0508000000000000")),
            (axdr.OCTET_STRING, bytes.fromhex("07ebff0f0508000000000000")),
            (axdr.OCTET_STRING, bytes.fromhex("07eb010f0518000000000000")),
            (axdr.OCTET_STRING, bytes(11)),
            (axdr.UNSIGNED, 1),
        ):
            error = await refused(AccessRefused, client.set(8, at, 2, axdr.encode(data)))
            assert "type-unmatched" in str(error), error
        bench.times.refuses = True
        good = axdr.encode((axdr.OCTET_STRING, raw))
        error = await refused(AccessRefused, client.set(8, at, 2, good))
        assert "read-write-denied" in str(error) and len(bench.times.taken) == count
        assert bench.records[-1][-1] == 3

    run(play())


def test_nothing_else_can_be_written():
    async def play():
        bench = Bench()
        client = bench.client()
        await client.associate()
        data = axdr.encode((axdr.OCTET_STRING, bytes(12)))
        for class_id, name, attribute, result in (
            (1, "0.0.42.0.0.255", 2, "read-write-denied"),
            (8, "0.0.1.0.0.255", 1, "read-write-denied"),
            (15, "0.0.40.0.0.255", 2, "read-write-denied"),
            (1, "0.0.96.1.0.255", 2, "object-undefined"),
            (3, "0.0.1.0.0.255", 2, "object-class-inconsistent"),
        ):
            wanted = client.set(class_id, obis.parse(name), attribute, data)
            assert result in str(await refused(AccessRefused, wanted)), name
        assert bench.times.taken == []

    run(play())


def test_a_signed_time_is_carried_to_the_local_port():
    async def play():
        bench = Bench()
        client = bench.client()
        await client.associate()
        at = obis.parse("0.0.96.52.0.255")
        assert await bench.get(client, 1, "0.0.96.52.0.255", 2) == (axdr.OCTET_STRING, NONCE)
        await client.set(1, at, 2, axdr.encode((axdr.OCTET_STRING, b"signed")))
        assert bench.times.taken == [b"signed"]

    run(play())


def test_a_guess_is_shown_as_doubtful():
    clock = kept(ManualClock())
    objects = Objects("street-1", Status(), clock, Times())
    assert objects.get(8, obis.parse("0.0.1.0.0.255"), 2)[1][-1] == 1  # invalid
    clock.guess(1800000000)
    _, value = objects.get(8, obis.parse("0.0.1.0.0.255"), 2)
    assert value == b"\x09\x0c" + bytes.fromhex("07eb010fff08000000000002")
