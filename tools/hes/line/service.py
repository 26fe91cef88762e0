"""The part of the HES that speaks to the concentrators: `ami-hes serve`.

It stores reports before it acknowledges them, asks for those that are missing, sends jobs and
cancels until each is answered, hands out packages piece by piece, and tells the time. What it knows
is in the store, so it may be killed and started again at any moment. The messages are those of
gateway/contract/messages.py.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import aiomqtt

from gateway.contract import envelope, messages
from gateway.contract.messages import (
    Ack,
    Ask,
    Chunk,
    Hello,
    Meters,
    Progress,
    Pull,
    Reports,
    Resend,
    SignedTime,
    State,
    Time,
)
from gateway.contract.refused import Refused
from gateway.uplink.hes_time import FORCED_S
from hal.ports import TOPICS_AT_ONCE
from hal.rt import log
from tools.hes.line.broker import Broker
from tools.hes.line.writer import Writer
from tools.hes.store import records
from tools.hes.store.line import Line
from tools.hes.store.problems import StoreProblem
from tools.hes.store.records import Numbered, Order
from tools.hes.store.states import SUBMITTED, UNANSWERED
from tools.package.keys import SigningKey

KEEPALIVE = 20  # seconds
BACKLOG = 10000  # messages received and not yet handled
UNANSWERED_AT_ONCE = 256  # messages handed to the store whose answer is not sent yet
BACKOFF = (0.5, 30.0)  # seconds before connecting again: the first time, at most
TIME_EVERY = 900  # seconds between two `time` messages to a concentrator
BEAT_EVERY = 2  # seconds between two signs of life in the store
RESEND_EVERY = 5  # seconds before a gap is asked for again
STATES_EVERY = 2  # seconds between two looks for concentrators whose retained state did not come

_WHERE = "hes"
# What aiomqtt and paho log reaches us as an exception.
_SILENT = logging.getLogger("tools.hes")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


Work: TypeAlias = "Callable[[], Any]"
Answer: TypeAlias = "Callable[[Any], Awaitable[None]]"
# concentrator, topic, the store's result, what to answer with it
Taken: TypeAlias = "asyncio.Queue[tuple[str, str, asyncio.Future[Any], Answer | None]]"


class Deaf(aiomqtt.MqttError):
    """The broker lets us in and refuses what we want to hear."""


@dataclass(frozen=True)
class Due:
    """What is to be sent now; orders and asks by concentrator."""

    numbered: list[Numbered]
    orders: list[tuple[str, list[Order]]]
    asks: list[tuple[str, str]]


@dataclass(frozen=True)
class Greeted:
    """What a concentrator that has said hello is to have."""

    safe: Ack | None
    numbered: list[Numbered]
    orders: list[Order]


class Service:
    """`poll` is how often (seconds) the store is looked at for new orders; `time_key` signs the
    time for a concentrator whose clock is unset or far off.
    """

    def __init__(
        self,
        store: Line,
        broker: Broker,
        now: Callable[[], float] = time.time,
        poll: float = 0.25,
        time_key: SigningKey | None = None,
        thread: Executor | None = None,
    ) -> None:
        self._store = store
        self._writer = Writer(store.together, thread)
        self._broker = broker
        self._now = now
        self._poll = poll
        self._time_key = time_key
        self._status = "connecting"
        self._asked: dict[str, float] = {}  # concentrator: when its gap was last asked for
        self._told: dict[str, float] = {}  # concentrator: when it was last told the time
        self._states: set[str] = set()  # concentrators whose state came, or was asked for by name

    async def run(self) -> None:
        """Serves until cancelled. A broker that is away is tried again, with growing, jittered
        pauses; so is a database.
        """
        try:
            await _together(self._beat(), self._stay_connected())
        finally:
            await self._writer.close()

    async def _beat(self) -> None:
        while True:
            await self._writer.do(self._store.beat, self._broker.name, self._status)
            await asyncio.sleep(BEAT_EVERY)

    def _now_is(self, status: str, tell: Callable[[str, str], None] = log.info) -> None:
        if status != self._status:
            tell(_WHERE, "broker %s: %s" % (self._broker.name, status))
            self._status = status
            self._writer.post(self._store.beat, self._broker.name, status)

    async def _stay_connected(self) -> None:
        pause = BACKOFF[0]
        while True:
            started = time.monotonic()
            try:
                await self._session()
            except Deaf as error:
                self._now_is("not connected (%s)" % error, log.error)
            except (aiomqtt.MqttError, OSError) as error:
                self._now_is("not connected (%s)" % error)
            _stop_if_cancelled()
            if time.monotonic() - started > BACKOFF[1]:
                pause = BACKOFF[0]
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, BACKOFF[1])

    async def _session(self) -> None:
        """One connection, from its beginning to its end."""
        client = aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            username=self._broker.username,
            password=self._broker.password,
            identifier="ami-hes-%08x" % random.getrandbits(32),
            keepalive=KEEPALIVE,
            timeout=10,
            tls_context=self._broker.tls,
            max_queued_incoming_messages=BACKLOG,
            logger=_SILENT,
        )
        async with client:
            await self.converse(client)

    async def converse(self, client: aiomqtt.Client) -> None:
        """Over this connection, until it breaks."""
        await _subscribe(client, ["ami/v1/+/%s" % name for name in messages.UP_TOPICS])
        self._now_is("connected")
        self._asked.clear()
        self._told.clear()
        self._states.clear()
        taken: Taken = asyncio.Queue(UNANSWERED_AT_ONCE)
        await _together(
            self._send_orders(client),
            self._take_messages(client, taken),
            self._answer_messages(taken),
            self._ask_states(client),
        )

    async def _ask_states(self, client: aiomqtt.Client) -> None:
        """RabbitMQ gives retained messages to subscriptions by full name only. With other brokers
        the states are there before this looks for them.
        """
        while True:
            await asyncio.sleep(STATES_EVERY)
            addressed = await self._writer.do(self._store.addressed)
            silent = [name for name in addressed if name not in self._states]
            for first in range(0, len(silent), TOPICS_AT_ONCE):
                some = silent[first : first + TOPICS_AT_ONCE]
                await _subscribe(client, [messages.topic(name, "state") for name in some])
                self._states.update(some)

    # -------------------------------------------------------- orders

    async def _send_orders(self, client: aiomqtt.Client) -> None:
        """What was never answered, once at the start; from then on whatever is new in the store."""
        states: tuple[str, ...] = UNANSWERED
        while True:
            due = await self._writer.do(self._due, states)
            # Trust and keys first: orders may stand on them.
            await self._send_numbered(client, due.numbered)
            for concentrator, orders in due.orders:
                await self._send(client, concentrator, orders)
            for concentrator, after in due.asks:
                await _publish(client, concentrator, "ask", Ask(after).encode())
            states = (SUBMITTED,)
            await asyncio.sleep(self._poll)

    def _due(self, states: tuple[str, ...]) -> Due:
        """What is to be sent now, marked as sent: should it get lost, it is unanswered, and comes
        again with the next connection or hello.
        """
        store = self._store
        names = store.concentrators_with_orders(states)
        due = Due(
            store.numbered(None, states),
            [(name, store.orders(name, states)) for name in names],
            store.asks(),
        )
        self._mark(due.numbered, [order for _, orders in due.orders for order in orders])
        for concentrator, _ in due.asks:
            store.ask_sent(concentrator)
        return due

    def _mark(self, numbered: list[Numbered], orders: list[Order]) -> None:
        for message in numbered:
            if message.state == SUBMITTED:
                self._store.numbered_sent(message)
        for order in orders:
            self._store.sent(order)

    async def _send(self, client: aiomqtt.Client, concentrator: str, orders: list[Order]) -> None:
        for order in orders:
            await _publish(client, concentrator, order.kind, order.envelope)
            log.info(_WHERE, "%s %s sent to %s" % (order.kind, order.job.hex(), concentrator))

    async def _send_numbered(self, client: aiomqtt.Client, found: list[Numbered]) -> None:
        for each in found:
            await _publish(client, each.concentrator, each.topic, each.envelope)
            log.info(_WHERE, "%s %d sent to %s" % (each.topic, each.number, each.concentrator))

    # -------------------------------------------------------- messages

    async def _take_messages(self, client: aiomqtt.Client, taken: Taken) -> None:
        """Hand each to the store; its answer waits for the commit, the next message does not."""
        async for message in client.messages:
            _, _, concentrator, name = str(message.topic).split("/")
            payload = bytes(message.payload) if isinstance(message.payload, bytes) else b""
            if name == "state" and not payload:
                continue  # somebody cleared the retained state
            try:
                messages.topic(concentrator, name)  # checks the id
                work, answer = self._understood(
                    client, concentrator, name, payload, bool(message.retain)
                )
            except (Refused, ValueError) as error:
                log.warning(_WHERE, "%s from %s: %s" % (name, concentrator, error))
                self._note(concentrator, name, error)
                continue
            await taken.put((concentrator, name, self._writer.do(work), answer))

    async def _answer_messages(self, taken: Taken) -> None:
        while True:
            concentrator, name, done, answer = await taken.get()
            try:
                result = await done
            except StoreProblem as error:  # of this message alone
                log.error(_WHERE, "%s from %s: %s" % (name, concentrator, error))
                self._note(concentrator, name, error)
                continue
            if answer is not None:
                await answer(result)

    def _note(self, concentrator: str, name: str, error: Exception) -> None:
        text = "%s: %s" % (name, error)
        self._writer.post(self._store.add_event, concentrator[:64], "malformed", text)

    def _understood(
        self, client: aiomqtt.Client, concentrator: str, name: str, payload: bytes, retained: bool
    ) -> tuple[Work, Answer | None]:
        """What the store is to do, and what is answered with its result. Refused."""
        store, who = self._store, concentrator
        if name == "state":
            state = State.decode(payload)
            if state.concentrator != who:
                raise Refused("malformed", "state: speaks of concentrator %s" % state.concentrator)
            self._states.add(who)
            log.info(_WHERE, "%s is %s" % (who, "online" if state.online else "offline"))
            return (
                partial(self._take_state, who, state, retained),
                partial(self._answer_state, client, who, state),
            )
        if name == "hello":
            hello = Hello.decode(payload)
            return (
                partial(self._take_hello, who, hello),
                partial(self._answer_hello, client, who, hello),
            )
        if name == "report":
            reports = Reports.decode(payload)
            return (
                partial(store.take_reports, who, reports),
                partial(self._answer_reports, client, who, reports.epoch),
            )
        if name == "meters":
            return partial(store.take_meters, who, Meters.decode(payload)), None
        if name == "progress":
            return partial(store.take_progress, who, Progress.decode(payload)), None
        pull = Pull.decode(payload)
        return (
            partial(store.package_piece, pull.digest, pull.offset, pull.size),
            partial(self._answer_pull, client, who, pull),
        )

    def _take_state(self, concentrator: str, state: State, retained: bool) -> int:
        """The number up to which its reports are safe."""
        self._store.take_state(concentrator, state, retained)
        return self._store.position(concentrator, state.epoch)

    async def _answer_state(
        self, client: aiomqtt.Client, concentrator: str, state: State, safe: int
    ) -> None:
        if state.online:
            await _publish(client, concentrator, "ack", Ack(state.epoch, safe).encode())
            # What it sent while nobody listened here is lost, and need not wait for its patience.
            resend = Resend(state.epoch, safe + 1)
            await _publish(client, concentrator, "resend", resend.encode())

    def _take_hello(self, concentrator: str, hello: Hello) -> Greeted:
        store = self._store
        epoch = store.epoch(concentrator)
        safe = None if epoch is None else Ack(epoch, store.position(concentrator, epoch))
        store.take_hello(concentrator, hello)
        greeted = Greeted(
            safe, store.numbered(concentrator), store.missing(concentrator, hello.jobs)
        )
        self._mark(greeted.numbered, greeted.orders)
        return greeted

    async def _answer_hello(
        self, client: aiomqtt.Client, concentrator: str, hello: Hello, greeted: Greeted
    ) -> None:
        await self._tell_time(client, concentrator, hello)
        if greeted.safe is not None:
            await _publish(client, concentrator, "ack", greeted.safe.encode())
        await self._send_numbered(client, greeted.numbered)
        await self._send(client, concentrator, greeted.orders)

    async def _answer_reports(
        self, client: aiomqtt.Client, concentrator: str, epoch: int, taken: records.Taken
    ) -> None:
        if not taken.gap:
            self._asked.pop(concentrator, None)
        elif self._now() - self._asked.get(concentrator, 0) >= RESEND_EVERY:
            self._asked[concentrator] = self._now()
            missing = taken.number + 1
            log.warning(_WHERE, "%s: report %d is missing, asked for it" % (concentrator, missing))
            await _publish(client, concentrator, "resend", Resend(epoch, missing).encode())
        await _publish(client, concentrator, "ack", Ack(epoch, taken.number).encode())
        if self._now() - self._told.get(concentrator, 0) >= TIME_EVERY:
            await self._tell_time(client, concentrator)

    async def _answer_pull(
        self, client: aiomqtt.Client, concentrator: str, pull: Pull, piece: tuple[int, bytes]
    ) -> None:
        chunk = Chunk(pull.digest, pull.offset, *piece)
        await _publish(client, concentrator, "chunk", chunk.encode())

    async def _tell_time(
        self, client: aiomqtt.Client, concentrator: str, hello: Hello | None = None
    ) -> None:
        now = self._told[concentrator] = self._now()
        payload = Time(int(now)).encode()
        if hello is not None and abs(hello.time - now) > FORCED_S:
            if self._time_key is None:
                log.warning(
                    _WHERE,
                    "%s: its clock is unset or far off; `ami-hes serve --time-key KEY.pem` sets it"
                    % concentrator,
                )
            else:
                answer = SignedTime(concentrator, hello.nonce, int(now))
                payload = envelope.sign(answer.encode(), self._time_key.kid, self._time_key.sign)
        await _publish(client, concentrator, "time", payload)


async def _subscribe(client: aiomqtt.Client, topics: list[str]) -> None:
    """One request for all topics, so that a birth is not heard before its reports can be."""
    codes: Any = await client.subscribe([(topic, 1) for topic in topics])
    for topic, code in zip(topics, codes, strict=True):
        if code.value >= 0x80:
            raise Deaf(
                "nothing is heard: the broker refuses the subscription to %s; check its access"
                " rules" % topic
            )


async def _publish(client: aiomqtt.Client, concentrator: str, name: str, payload: bytes) -> None:
    await client.publish(messages.topic(concentrator, name), payload, qos=1)
    _stop_if_cancelled()


def _stop_if_cancelled() -> None:
    """Before Python 3.12, asyncio.wait_for(), which aiomqtt uses, swallows a cancel that comes
    together with the answer it waits for.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _together(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run them until the first ends. The others are cancelled; what it raised comes out."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
