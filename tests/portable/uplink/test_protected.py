"""A session with the HES over a protected line: what leaves before it stands, what is dropped, and
what an attacker on the broker gets out of it. Faults of one message end that message alone."""

from __future__ import annotations

from gateway.contract import envelope
from gateway.contract.edhoc.frames import error_message
from gateway.contract.messages import Ack, Chunk, Resend, Time
from gateway.contract.reports import Event, JobReport, Refusal
from gateway.uplink.session import HELLO_MS
from hal.ports import Message
from hal.rt import log
from tests.portable.support import run
from tests.portable.uplink.protected import LINE_KID
from tests.portable.uplink.support import HERE, HOUR, KID, NOW, World, crypto, read_job, signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

log.set_level("error")


def topic(name: str) -> str:
    return "ami/v1/%s/%s" % (HERE, name)


def sent(world: World) -> list[tuple[str, bytes]]:
    """(name, payload) of all that leaves from now on."""
    told: list[tuple[str, bytes]] = []
    publish = world.line.publish

    async def recorded(message: Message, timeout_ms: int) -> None:
        told.append((message.topic.split("/")[3], message.payload))
        await publish(message, timeout_ms)

    world.line.publish = recorded  # type: ignore[method-assign]
    return told


def test_a_session_and_a_job_through_it() -> None:
    async def scenario() -> None:
        world = World(protected=True)
        told = sent(world)
        world.hes.order("job", signed(read_job().encode()))
        await world.start()
        await world.clock.run(2000)
        assert [name for name, _ in told][:4] == ["state", "edhoc", "edhoc", "hello"]
        assert [name for name, _ in told].count("state") == 1
        for name, payload in told:
            expected = {"state": b"\xd2", "edhoc": payload[:1]}.get(name, b"\xd0")
            assert payload[:1] == expected, name
        assert [body.reason for body in world.hes.bodies(JobReport)] == ["accepted"]
        assert world.ledger.acknowledged == world.ledger.last_number
        assert world.hes.guard is not None and world.hes.guard.handshakes == 1
        hello = next(content for name, content in world.hes.heard if name == "hello")
        assert world.hes.state is not None
        assert (hello.session, hello.epoch) == (world.hes.state.session, world.ledger.epoch)
        await world.stop()
        assert not world.hes.state.online  # the will, signed beforehand

    run(scenario())


def test_without_an_answer_nothing_leaves_and_the_gateway_works_on() -> None:
    async def scenario() -> None:
        world = World(protected=True)
        guard = world.hes.guard
        assert guard is not None
        guard.away = True
        told = sent(world)
        await world.start()
        world.ledger.event("an-event")
        await world.clock.run(HOUR * 1000)
        assert {name for name, _ in told} == {"state", "edhoc"}
        assert len(told) < 12 and len(world.line.attempts) == 1
        guard.away = False
        world.hes.tell("edhoc", error_message())  # as a HES does that is there again
        await world.clock.run(5000)
        assert [event.name for event in world.hes.bodies(Event)] == ["an-event"]
        await world.stop()

    run(scenario())


def test_a_hes_that_does_not_accept_the_session_gets_no_more_than_hellos() -> None:
    async def scenario() -> None:
        world = World(protected=True)
        guard = world.hes.guard
        assert guard is not None
        told = sent(world)
        guard.opened = lambda topic, payload: None  # type: ignore[method-assign]
        world.ledger.event("an-event")
        await world.start()
        await world.clock.run(4 * HOUR * 1000)
        names = [name for name, _ in told]
        assert set(names) == {"state", "edhoc", "hello"}
        assert guard.handshakes == names.count("edhoc") // 2 < 20
        assert len(world.line.attempts) == 1
        await world.stop()

    run(scenario())


def test_who_is_enrolled_while_on_the_line_says_hello_as_soon_as_the_hes_speaks() -> None:
    async def scenario() -> None:
        world = World(protected=True)
        guard = world.hes.guard
        assert guard is not None
        opened, guard.opened = guard.opened, lambda topic, payload: None  # type: ignore[method-assign]
        world.ledger.event("an-event")
        await world.start()
        for _ in range(40):  # as often as it knocks, it is told that nobody knows it
            world.hes.tell("edhoc", error_message())
            await world.clock.run(180_000)
        hellos = world.hes.count("hello")
        guard.opened = opened  # type: ignore[method-assign]
        guard.session = guard._next  # of its last knock
        world.hes.tell("time", Time(world.hes.clock_time()).encode())
        await world.clock.run(1000)
        assert world.hes.count("hello") == hellos + 1
        assert [event.name for event in world.hes.bodies(Event)] == ["an-event"]
        assert world.hes.state is not None and world.hes.state.online
        await world.stop()

    run(scenario())


def test_what_the_hes_has_not_sealed_is_dropped_without_a_word() -> None:
    async def scenario() -> None:
        world = World(protected=True)
        await world.start()
        world.ledger.event("an-event")
        world.hes.acknowledging = False
        await world.clock.run(2000)
        epoch, last = world.ledger.epoch, world.ledger.last_number
        before = world.storage.operations
        for name, payload in (
            ("ack", Ack(epoch, last).encode()),
            ("resend", Resend(epoch, 1).encode()),
            ("time", Time(NOW + 600).encode()),
            ("chunk", Chunk(bytes(32), 0, 0, b"").encode()),
            ("job", signed(read_job().encode())),
            ("job", b"\xff" * 1000),
            ("trust", b""),
        ):
            for _ in range(200):
                world.session.take(Message(topic(name), payload))
        assert (world.ledger.last_number, world.ledger.acknowledged) == (last, 0)
        assert world.storage.operations == before
        assert world.session._dropped.count == 7 * 200
        world.hes.acknowledging = True
        await world.clock.run(70_000)
        assert world.ledger.acknowledged == last
        assert world.hes.clock_time() - world.clock.unix_time() < 5
        await world.stop()

    run(scenario())


def test_what_there_is_no_memory_for_is_told_once_an_hour_and_asked_for_again() -> None:
    async def scenario() -> None:
        world = World(protected=True)
        await world.start()
        await world.clock.run(2000)
        line = world.session._line
        assert line is not None
        opened, full = line.open, True

        def no_memory(topic: str, sealed: bytes) -> bytes:
            if full and topic.endswith("/job"):
                raise MemoryError()
            return opened(topic, sealed)

        line.open = no_memory  # type: ignore[method-assign]
        world.hes.order("job", signed(read_job().encode()))
        for _ in range(200):
            world.session.take(Message("oversized/" + topic("job"), b""))
        await world.clock.run((HOUR - 600) * 1000)
        assert [event.name for event in world.hes.bodies(Event)] == ["message-too-large"]
        assert world.hes.bodies(Refusal) == world.hes.bodies(JobReport) == []
        full = False
        await world.clock.run(HELLO_MS)
        assert [body.reason for body in world.hes.bodies(JobReport)] == ["accepted"]
        await world.stop()

    run(scenario())


def test_whoever_holds_the_key_for_the_line_orders_nothing() -> None:
    """Sealed by the HES's own session, signed by the line key, by a key of his own, and by none."""

    async def scenario() -> None:
        world = World(protected=True)
        await world.start()
        await world.clock.run(2000)
        guard = world.hes.guard
        assert guard is not None
        payload, stranger = read_job().encode(), crypto().ec_generate("P-256")[0]
        for kid, private in ((LINE_KID, guard.private), (KID, guard.private), (KID, stranger)):
            raw = envelope.sign(payload, kid, signing(private))
            world.hes.tell("job", raw)
        world.hes.tell("job", payload)
        await world.clock.run(2000)
        reasons = [body.reason for body in world.hes.bodies(Refusal)]
        assert reasons == ["unknown-signer", "bad-signature", "bad-signature", "malformed"]
        assert world.hes.bodies(JobReport) == []
        await world.stop()

    run(scenario())


def signing(private: bytes) -> Callable[[bytes], bytes]:
    return lambda structure: crypto().ecdsa_sign("P-256", private, structure)


def test_a_hes_that_was_started_anew_gets_a_new_session() -> None:
    async def scenario() -> None:
        world = World(protected=True)
        guard = world.hes.guard
        assert guard is not None
        await world.start()
        await world.clock.run(40_000)
        guard.forget()
        world.ledger.event("an-event")
        await world.clock.run(5000)
        assert guard.handshakes == 2 and len(world.line.attempts) == 1
        assert [event.name for event in world.hes.bodies(Event)] == ["an-event"]
        await world.stop()

    run(scenario())


def test_each_connection_has_a_session_of_its_own() -> None:
    async def scenario() -> None:
        world = World(protected=True)
        await world.start()
        for _ in range(3):
            world.line.cut()
            await world.clock.run(90_000)
        assert world.hes.guard is not None and world.hes.guard.handshakes == 4
        assert len(world.line.attempts) == 4
        await world.stop()

    run(scenario())


def test_a_sealed_time_sets_a_clock_that_is_unset() -> None:
    async def scenario() -> None:
        world = World(unix=0, protected=True)
        world.hes.lose = ["time"]
        await world.start()
        world.hes.lose = []
        world.session.take(Message(topic("time"), Time(NOW).encode()))
        assert world.clock.unix_time() == 0
        world.hes.tell("time", Time(NOW).encode())  # who knows for how long it was held back
        world.hes.lose = ["time"]
        await world.clock.run(HELLO_MS)
        world.hes.lose = []
        hellos = [content.nonce for name, content in world.hes.heard if name == "hello"]
        world.hes.tell("time", Time(NOW, hellos[-2]).encode())
        await world.clock.run(1000)
        assert world.clock.unix_time() == 0 and world.hes.reasons() == 2 * ["unsigned-time"]
        world.hes.tell("time", Time(NOW + 301, hellos[-1]).encode())
        await world.clock.run(1000)
        assert NOW + 300 <= world.clock.unix_time() <= NOW + 303
        await world.stop()

    run(scenario())


def test_a_fault_of_one_message_ends_that_message_alone() -> None:
    async def scenario(protected: bool) -> None:
        world = World(protected=protected)
        await world.start()
        takers = world.session.inbox._takers
        for error in (MemoryError(), ValueError("ours"), KeyError(1)):

            def fails(payload: bytes, error: Exception = error) -> None:
                raise error

            takers["ask"] = fails
            world.hes.tell("ask", b"\x82\x01\x60")
        world.hes.order("job", signed(read_job().encode()))
        await world.clock.run(2000)
        assert world.session._faults.count == 3
        assert len(world.line.attempts) == 1
        assert [body.reason for body in world.hes.bodies(JobReport)] == ["accepted"]
        await world.stop()

    for protected in (False, True):
        run(scenario(protected))


def test_what_cannot_be_made_is_left_out_and_the_rest_is_sent() -> None:
    async def scenario() -> None:
        world = World()

        def fails(after: str) -> Any:
            raise MemoryError()

        world.status.meters = fails  # type: ignore[method-assign]
        await world.start()
        world.hes.tell("ask", b"\x82\x01\x60")
        world.ledger.event("an-event")
        await world.clock.run(3000)
        assert world.session._faults.count == 1
        assert len(world.line.attempts) == 1
        assert [event.name for event in world.hes.bodies(Event)] == ["an-event"]
        await world.stop()

    run(scenario())
