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
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeAlias

import aiomqtt

from gateway.contract import messages
from gateway.contract.messages import Ask
from gateway.contract.refused import Refused
from hal.ports import TOPICS_AT_ONCE
from hal.rt import log
from tools.hes.line import outgoing
from tools.hes.line.broker import Broker
from tools.hes.line.connection import Deaf, publish, stop_if_cancelled, subscribe, together
from tools.hes.line.inbox import Answer, Inbox
from tools.hes.line.writer import Writer
from tools.hes.store.line import Line
from tools.hes.store.problems import StoreProblem
from tools.hes.store.states import SUBMITTED, UNANSWERED
from tools.package.keys import SigningKey

KEEPALIVE = 20  # seconds
BACKLOG = 10000  # messages received and not yet handled
UNANSWERED_AT_ONCE = 256  # messages handed to the store whose answer is not sent yet
BACKOFF = (0.5, 30.0)  # seconds before connecting again: the first time, at most
BEAT_EVERY = 2  # seconds between two signs of life in the store
STATES_EVERY = 2  # seconds between two looks for concentrators whose retained state did not come

PLAIN = (
    "PLAIN: the line is not protected; whoever may use the broker can read, forge and erase what"
    " concentrators report"
)

_WHERE = "hes"
# What aiomqtt and paho log reaches us as an exception.
_SILENT = logging.getLogger("tools.hes")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


# concentrator, topic, the store's result, what to answer with it
Taken: TypeAlias = "asyncio.Queue[tuple[str, str, asyncio.Future[Any], Answer | None]]"


class Service:
    """`poll` is how often (seconds) the store is looked at for new orders; `time_key` signs the
    time for a concentrator whose clock is unset or far off. `plain`: take messages that nothing
    protects.
    """

    def __init__(
        self,
        store: Line,
        broker: Broker,
        now: Callable[[], float] = time.time,
        poll: float = 0.25,
        time_key: SigningKey | None = None,
        thread: Executor | None = None,
        plain: bool = True,
    ) -> None:
        self._store = store
        self._writer = Writer(store.together, thread)
        self._broker = broker
        self._poll = poll
        self._status = "connecting"
        self._plain = plain
        self._inbox = Inbox(store, now, time_key)

    async def run(self) -> None:
        """Serves until cancelled. A broker that is away is tried again, with growing, jittered
        pauses; so is a database.
        """
        if self._plain:
            log.warning(_WHERE, PLAIN)
        try:
            await together(self._beat(), self._stay_connected())
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
            stop_if_cancelled()
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
        await subscribe(client, ["ami/v1/+/%s" % name for name in messages.UP_TOPICS])
        self._now_is("connected")
        self._inbox.begin()
        taken: Taken = asyncio.Queue(UNANSWERED_AT_ONCE)
        await together(
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
            silent = [name for name in addressed if name not in self._inbox.heard]
            for first in range(0, len(silent), TOPICS_AT_ONCE):
                some = silent[first : first + TOPICS_AT_ONCE]
                await subscribe(client, [messages.topic(name, "state") for name in some])
                self._inbox.heard.update(some)

    async def _send_orders(self, client: aiomqtt.Client) -> None:
        """What was never answered, once at the start; from then on whatever is new in the store."""
        states: tuple[str, ...] = UNANSWERED
        while True:
            due = await self._writer.do(outgoing.due, self._store, states)
            # Trust and keys first: orders may stand on them.
            await outgoing.send_numbered(client, due.numbered)
            for concentrator, orders in due.orders:
                await outgoing.send(client, concentrator, orders)
            for concentrator, after in due.asks:
                await publish(client, concentrator, "ask", Ask(after).encode())
            states = (SUBMITTED,)
            await asyncio.sleep(self._poll)

    async def _take_messages(self, client: aiomqtt.Client, taken: Taken) -> None:
        """Hand each to the store; its answer waits for the commit, the next message does not."""
        async for message in client.messages:
            _, _, concentrator, name = str(message.topic).split("/")
            payload = bytes(message.payload) if isinstance(message.payload, bytes) else b""
            if name == "state" and not payload:
                continue  # somebody cleared the retained state
            try:
                messages.topic(concentrator, name)  # checks the id
                work, answer = self._inbox.understood(
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
