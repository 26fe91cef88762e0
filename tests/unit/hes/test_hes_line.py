"""The protected line against a real Mosquitto: sessions with an enrolled concentrator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt

from gateway.contract import envelope, messages
from gateway.contract.edhoc.frames import framed_1
from gateway.contract.messages import Reports, Time
from gateway.contract.sealed import kid_of
from hal.cpython.crypto import SystemCrypto
from tests.mosquitto import Mosquitto
from tests.unit.hes.concentrator import EPOCH, Concentrator
from tests.unit.hes.orders import CONCENTRATOR, accepted, configure, ended, numbered, ok
from tests.unit.hes.secured import Identity, Secured, line_key
from tests.unit.hes.test_hes_service import run, serving, until
from tools.hes.line import handshakes
from tools.hes.line.sessions import OTHER_KNOCK_EVERY, Sessions
from tools.hes.store.store import Store

KEY = line_key()
BOARD = Identity()


def secured(store: Store, url: str) -> AbstractAsyncContextManager[None]:
    return serving(store, url, keys=[KEY], plain=False)


def enrol(store: Store, identity: Identity = BOARD) -> None:
    store.enrolment.add(CONCENTRATOR, identity.fingerprint)


def events(store: Store) -> list[str]:
    return [event.name for event in reversed(store.reports.events())]


@asynccontextmanager
async def listening(port: int) -> AsyncIterator[list[tuple[str, bytes]]]:
    """All that passes the broker: (topic's last name, payload)."""
    heard: list[tuple[str, bytes]] = []

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            heard.append((str(message.topic).rsplit("/", 1)[1], bytes(message.payload)))  # type: ignore[arg-type]

    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("ami/#", qos=1)
        task = asyncio.create_task(listen(client))
        yield heard
        task.cancel()


def test_a_whole_job_of_which_the_broker_reads_nothing(
    store: Store, broker: Mosquitto, key: Any
) -> None:
    async def scenario() -> None:
        enrol(store)
        job_id = configure(store, key)
        there = Secured(broker.port, BOARD, [KEY])
        async with listening(broker.port) as heard, secured(store, broker.url), there:
            await there.birth()
            await there.agree()
            await there.hello()
            assert Time.decode(await there.next("time")).time
            # The order is signed inside.
            payload, _ = envelope.verify(
                await there.next("job"), [(key.kid, key.public)], SystemCrypto()
            )
            await there.report(1, accepted(job_id), ok(job_id, "AMI01"))
            await there.acknowledged_up_to(2)
            await there.report(3, ok(job_id, "AMI02"), ok(job_id, "AMI03"), ended(job_id))
            await there.acknowledged_up_to(5)
            assert "other-hes" not in events(store)
            assert store.reports.job(job_id).state == "succeeded"
            ((place),) = store.enrolment.all()
            assert (place.sign, place.line_key) == (BOARD.sign, KEY.kid) and place.agreed
            assert store.reports.concentrators()[0].online
        assert {name for name, _ in heard} >= {"state", "edhoc", "hello", "report", "job", "ack"}
        for name, payload in heard:
            assert name in ("state", "edhoc") or kid_of(payload) is not None, name
            assert b"AMI01" not in payload and job_id not in payload
        assert [name for name in events(store) if name not in ("enrolled",)] == []

    run(scenario())


def test_a_hes_that_was_killed_gets_all_back_without_being_told(
    store: Store, broker: Mosquitto, key: Any
) -> None:
    async def scenario() -> None:
        enrol(store)
        async with Secured(broker.port, BOARD, [KEY]) as there:
            async with secured(store, broker.url):
                job_id = configure(store, key)
                await there.birth()
                await there.agree()
                await there.hello()
                await there.next("job")
                await there.report(1, accepted(job_id))
                await there.acknowledged_up_to(1)
            await there.report(2, ok(job_id, "AMI01"))  # nobody listens
            second = configure(store, key)
            async with secured(store, broker.url):
                # By the retained birth it is known to be there, in a session that is not known.
                assert await there.refused() == "'no such session'"
                assert store.reports.concentrators()[0].online
                assert store.reports.job(second).state == "submitted"  # it was not sent to nobody
                await there.agree()
                await there.hello([job_id], first=2, next=3)
                await there.asked_again_from(2)
                await there.report(2, ok(job_id, "AMI01"))
                await there.acknowledged_up_to(2)
                await until(lambda: store.reports.job(second).state == "sent")

    run(scenario())


def test_a_message_of_a_session_that_is_not_known_is_answered_once_in_a_while(
    store: Store, broker: Mosquitto
) -> None:
    async def scenario() -> None:
        enrol(store)
        async with Secured(broker.port, BOARD, [KEY]) as there:
            async with secured(store, broker.url):
                await there.agree()
                await there.hello()
                await there.next("time")
            async with secured(store, broker.url):
                for _ in range(20):
                    await there.hello()
                assert await there.refused() == "'no such session'"
                await there.agree()
                await there.hello()
                await there.next("time")
                assert there.inbox["edhoc"].empty()

    run(scenario())


def test_what_nothing_protects_is_not_taken_from_who_is_enrolled(
    store: Store, broker: Mosquitto, key: Any
) -> None:
    """Nor from others, but with --plain."""

    async def scenario() -> None:
        enrol(store)
        job_id = configure(store, key)
        plain = Concentrator(broker.port)
        there, other = Secured(broker.port, BOARD, [KEY], 2), Concentrator(broker.port, name="c-2")
        async with serving(store, broker.url, keys=[KEY]), plain, there, other:
            await there.agree()
            await there.hello()
            await plain.birth()
            await plain.hello()
            await plain.report(1, accepted(job_id), ok(job_id, "AMI01"))
            await other.birth()
            await other.acknowledged()  # not enrolled, and plain is allowed
            await until(lambda: "unsealed" in events(store))
            assert store.reports.job(job_id).state == "sent"
            assert [place.id for place in store.reports.concentrators()] == ["c-2"]
            await there.report(1, accepted(job_id))
            await there.acknowledged_up_to(1)
        async with secured(store, broker.url), Concentrator(broker.port, name="c-3") as third:
            await third.birth()
            await until(lambda: "not-enrolled" in events(store))
            assert [place.id for place in store.reports.concentrators()] == ["c-2"]
        assert events(store).count("unsealed") <= 2  # one event, not one for each message

    run(scenario())


def test_a_flood_of_beginnings_ends_no_session(
    store: Store, broker: Mosquitto, monkeypatch: Any
) -> None:
    monkeypatch.setattr(handshakes, "OF_ONE", (1000.0, 1000.0))  # as if it could be paid for

    async def scenario() -> None:
        enrol(store)
        there = Secured(broker.port, BOARD, [KEY])
        async with secured(store, broker.url), there, aiomqtt.Client("127.0.0.1", broker.port) as n:
            await there.agree()
            await there.hello()
            await there.next("time")
            for number in range(100):
                begun = BOARD.initiator(CONCENTRATOR, number.to_bytes(4, "big"))
                topic = messages.topic(CONCENTRATOR, "edhoc")
                await n.publish(topic, framed_1(begun.message_1()), qos=1)
            await there.hello()
            await there.next("time")
            while not there.inbox["edhoc"].empty():
                there.inbox["edhoc"].get_nowait()
            await there.agree()
            await there.hello()
            await there.next("time")

    run(scenario())


def test_each_message_counts_once_and_for_its_topic_only(
    store: Store, broker: Mosquitto, key: Any
) -> None:
    async def scenario() -> None:
        enrol(store)
        job_id = configure(store, key)
        async with secured(store, broker.url), Secured(broker.port, BOARD, [KEY]) as there:
            await there.agree()
            await there.hello()
            await there.next("job")
            reports = Reports(EPOCH, numbered(1, accepted(job_id))).encode()
            sealed = there.sealed("report", reports)
            await there.send_as_it_is("meters", sealed)
            await there.send_as_it_is("report", sealed)
            await there.acknowledged_up_to(1)
            await there.send_as_it_is("report", sealed)  # as MQTT may do it: no word of that
            await there.report(2, ok(job_id, "AMI01"))
            await there.acknowledged_up_to(2)
            assert "replayed" not in events(store)
            for _ in range(3):
                await there.send_as_it_is("report", sealed)
            assert store.reports.meters(job_id)[0].outcome == "OK"
            await until(lambda: {"unsealed", "replayed"} <= set(events(store)))

    run(scenario())


def test_another_board_and_one_that_is_not_enrolled_knock_in_vain(
    store: Store, broker: Mosquitto, key: Any
) -> None:
    async def scenario() -> None:
        job_id = configure(store, key)
        other = Identity()
        async with secured(store, broker.url), Secured(broker.port, BOARD, [KEY]) as there:
            await there.birth()
            await there.agree()
            assert await there.refused() == "the credential is not known there"
            await until(lambda: len(store.enrolment.knocks()) == 1)
            (knock,) = store.enrolment.knocks()
            assert (knock.concentrator, knock.fingerprint) == (CONCENTRATOR, BOARD.fingerprint)
            await there.hello()
            enrol(store)
            # Its session is used at once, and its state is heard again although it was sent before.
            assert Time.decode(await there.next("time")).time
            await there.next("job")
            await until(lambda: [c.online for c in store.reports.concentrators()] == [True])
            await there.hello()
            await there.next("ack")

            async with Secured(broker.port, other, [KEY]) as thief:
                await asyncio.sleep(OTHER_KNOCK_EVERY)
                await thief.agree()
                assert await thief.refused() == "the credential is not known there"
                await thief.report(1, accepted(job_id))
                await until(lambda: "other-board" in events(store))
                assert store.reports.job(job_id).state == "sent"
            await there.report(1, accepted(job_id))
            await there.acknowledged_up_to(1)

            # The board is exchanged: who was believed is so no longer.
            store.enrolment.replace(CONCENTRATOR, other.fingerprint)
            async with Secured(broker.port, other, [KEY]) as exchanged:
                await exchanged.agree()
                await exchanged.hello([job_id])
                await exchanged.next("time")
                await there.report(2, ok(job_id, "AMI01"))
                await exchanged.report(2, ok(job_id, "AMI02"))
                await exchanged.acknowledged_up_to(2)
            assert [row.outcome for row in store.reports.meters(job_id)] == ["", "OK", ""]

    run(scenario())


def test_who_is_enrolled_without_a_session_that_is_known_is_asked_to_begin(
    store: Store, broker: Mosquitto
) -> None:
    async def scenario() -> None:
        async with Secured(broker.port, BOARD, [KEY]) as there:
            async with secured(store, broker.url):
                await there.birth()
                await there.agree()
                assert await there.refused() == "the credential is not known there"
            async with secured(store, broker.url):
                enrol(store)
                assert await there.refused() == "'no such session'"
                await there.agree()
                await there.hello()
                await there.next("time")
                await until(lambda: [c.online for c in store.reports.concentrators()] == [True])

    run(scenario())


def test_a_line_key_takes_the_place_of_another(store: Store, broker: Mosquitto) -> None:
    """Both are served meanwhile, the new one first; the list tells who still uses the old one."""
    new = line_key()

    async def agreed_with(keys: list[Any], trusted: list[Any], session: int) -> bytes:
        there = Secured(broker.port, BOARD, trusted, session)
        async with serving(store, broker.url, keys=keys, plain=False), there:
            await there.agree()
            await there.hello()
            await there.next("time")
            key = store.enrolment.all()[0].line_key
            assert key is not None
            return key

    async def scenario() -> None:
        enrol(store)
        assert await agreed_with([KEY], [KEY], 1) == KEY.kid
        assert await agreed_with([new, KEY], [KEY], 2) == KEY.kid
        assert await agreed_with([new, KEY], [KEY, new], 3) == new.kid
        assert await agreed_with([new], [KEY, new], 4) == new.kid
        assert await agreed_with([new], [new], 5) == new.kid

    run(scenario())


def test_a_board_that_does_not_trust_our_line_key_is_named(store: Store) -> None:
    """One that is broken off again and again is not."""
    now = [1_790_000_000.0]
    enrol(store)
    sessions = Sessions(store.enrolment, [KEY], now=lambda: now[0])
    sessions.learn(store.enrolment.all())

    def begins(after: float) -> list[str]:
        now[0] += after
        begun = BOARD.initiator(CONCENTRATOR, bytes(4))
        assert sessions.heard(CONCENTRATOR, "edhoc", framed_1(begun.message_1())).answers
        return [event for _, event, _ in sessions.complaints.due()]

    assert [begins(1) for _ in range(10)] == 10 * [[]]
    assert [begins(90), begins(120)] == [[], ["handshakes-in-vain"]]


def test_two_head_ends_on_one_broker_are_named_by_both(
    store: Store, broker: Mosquitto, tmp_path: Path
) -> None:
    """Each has a database of its own, and the same line key: a copy of a machine, say."""

    async def scenario() -> None:
        other = Store(tmp_path / "other.sqlite")
        for one in (store, other):
            enrol(one)
        there = Secured(broker.port, BOARD, [KEY])
        async with secured(store, broker.url), there:
            await there.agree()
            await there.hello()
            await there.next("time")
            async with secured(other, broker.url):
                await there.agree()
                await until(lambda: "other-hes" in events(store))
                await until(lambda: "other-hes" in events(other))
        other.close()

    run(scenario())


def test_a_state_that_its_board_did_not_sign_is_dropped(store: Store, broker: Mosquitto) -> None:
    async def scenario() -> None:
        enrol(store)
        thief = Secured(broker.port, Identity(), [KEY], 7)
        async with secured(store, broker.url), Secured(broker.port, BOARD, [KEY]) as there, thief:
            await there.agree()
            await there.birth()
            await until(lambda: bool(store.reports.concentrators()))
            await thief.birth()
            await until(lambda: "forged-state" in events(store))
            assert [place.session for place in store.reports.concentrators()] == [1]

    run(scenario())
