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
import sqlite3
import time
from collections.abc import Callable, Coroutine
from typing import Any

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
from tools.hes.store.store import SUBMITTED, UNANSWERED, Store
from tools.package.keys import SigningKey

KEEPALIVE = 20  # seconds
BACKLOG = 10000  # messages received and not yet handled
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


class Service:
    """`poll` is how often (seconds) the store is looked at for new orders; `time_key` signs the
    time for a concentrator whose clock is unset or far off.
    """

    def __init__(
        self,
        store: Store,
        broker: Broker,
        now: Callable[[], float] = time.time,
        poll: float = 0.25,
        time_key: SigningKey | None = None,
    ) -> None:
        self._store = store
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
        pauses.
        """
        await _together(self._beat(), self._stay_connected())

    async def _beat(self) -> None:
        while True:
            self._store.beat(self._broker.name, self._status)
            await asyncio.sleep(BEAT_EVERY)

    def _now_is(self, status: str) -> None:
        if status != self._status:
            log.info(_WHERE, "broker %s: %s" % (self._broker.name, status))
            self._status = status
            self._store.beat(self._broker.name, status)

    async def _stay_connected(self) -> None:
        pause = BACKOFF[0]
        while True:
            started = time.monotonic()
            try:
                await self._session()
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
        await _together(
            self._send_orders(client), self._take_messages(client), self._ask_states(client)
        )

    async def _ask_states(self, client: aiomqtt.Client) -> None:
        """RabbitMQ gives retained messages to subscriptions by full name only. With other brokers
        the states are there before this looks for them.
        """
        while True:
            await asyncio.sleep(STATES_EVERY)
            silent = [name for name in self._store.addressed() if name not in self._states]
            for first in range(0, len(silent), TOPICS_AT_ONCE):
                some = silent[first : first + TOPICS_AT_ONCE]
                await _subscribe(client, [messages.topic(name, "state") for name in some])
                self._states.update(some)

    async def _send_orders(self, client: aiomqtt.Client) -> None:
        """What was never answered, once at the start; from then on whatever is new in the store."""
        states: tuple[str, ...] = UNANSWERED
        while True:
            # Trust and keys first: orders may stand on them.
            await self._send_numbered(client, self._store.numbered(None, states))
            for concentrator in self._store.concentrators_with_orders(states):
                await self._send(client, concentrator, self._store.orders(concentrator, states))
            for concentrator, after in self._store.asks():
                await _publish(client, concentrator, "ask", Ask(after).encode())
                self._store.ask_sent(concentrator)
            states = (SUBMITTED,)
            await asyncio.sleep(self._poll)

    async def _send(
        self, client: aiomqtt.Client, concentrator: str, orders: list[tuple[str, bytes, bytes]]
    ) -> None:
        for kind, job_id, raw in orders:
            await _publish(client, concentrator, kind, raw)
            self._store.sent(kind, job_id)
            log.info(_WHERE, "%s %s sent to %s" % (kind, job_id.hex(), concentrator))

    async def _send_numbered(self, client: aiomqtt.Client, rows: list[sqlite3.Row]) -> None:
        for row in rows:
            await _publish(client, row["concentrator"], row["topic"], row["envelope"])
            self._store.numbered_sent(row)
            log.info(
                _WHERE, "%s %d sent to %s" % (row["topic"], row["number"], row["concentrator"])
            )

    async def _take_messages(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            _, _, concentrator, name = str(message.topic).split("/")
            payload = bytes(message.payload) if isinstance(message.payload, bytes) else b""
            if name == "state" and not payload:
                continue  # somebody cleared the retained state
            try:
                messages.topic(concentrator, name)  # checks the id
                await self._take(client, concentrator, name, payload, message.retain)
            except (Refused, ValueError) as error:
                log.warning(_WHERE, "%s from %s: %s" % (name, concentrator, error))
                self._store.add_event(concentrator[:64], "malformed", "%s: %s" % (name, error))

    async def _take(
        self, client: aiomqtt.Client, concentrator: str, name: str, payload: bytes, retained: bool
    ) -> None:
        if name == "state":
            await self._take_state(client, concentrator, State.decode(payload), retained)
        elif name == "hello":
            hello = Hello.decode(payload)
            await self._tell_time(client, concentrator, hello)
            await self._acknowledge(client, concentrator)
            self._store.take_hello(concentrator, hello)
            await self._send_numbered(client, self._store.numbered(concentrator, UNANSWERED))
            await self._send(client, concentrator, self._store.missing(concentrator, hello.jobs))
        elif name == "report":
            await self._take_reports(client, concentrator, Reports.decode(payload))
        elif name == "meters":
            self._store.take_meters(concentrator, Meters.decode(payload))
        elif name == "progress":
            self._store.take_progress(concentrator, Progress.decode(payload))
        elif name == "pull":
            pull = Pull.decode(payload)
            total, data = self._store.package_piece(pull.digest, pull.offset, pull.size)
            chunk = Chunk(pull.digest, pull.offset, total, data)
            await _publish(client, concentrator, "chunk", chunk.encode())

    async def _take_state(
        self, client: aiomqtt.Client, concentrator: str, state: State, retained: bool
    ) -> None:
        if state.concentrator != concentrator:
            raise Refused("malformed", "state: speaks of concentrator %s" % state.concentrator)
        self._states.add(concentrator)
        self._store.take_state(concentrator, state, retained)
        log.info(_WHERE, "%s is %s" % (concentrator, "online" if state.online else "offline"))
        if state.online:
            safe = self._store.position(concentrator, state.epoch)
            await _publish(client, concentrator, "ack", Ack(state.epoch, safe).encode())
            # What it sent while nobody listened here is lost, and need not wait for its patience.
            resend = Resend(state.epoch, safe + 1)
            await _publish(client, concentrator, "resend", resend.encode())

    async def _take_reports(
        self, client: aiomqtt.Client, concentrator: str, message: Reports
    ) -> None:
        taken = self._store.take_reports(concentrator, message)
        if not taken.gap:
            self._asked.pop(concentrator, None)
        elif self._now() - self._asked.get(concentrator, 0) >= RESEND_EVERY:
            self._asked[concentrator] = self._now()
            log.warning(
                _WHERE,
                "%s: report %d is missing, asked for it" % (concentrator, taken.number + 1),
            )
            resend = Resend(message.epoch, taken.number + 1)
            await _publish(client, concentrator, "resend", resend.encode())
        await _publish(client, concentrator, "ack", Ack(message.epoch, taken.number).encode())
        if self._now() - self._told.get(concentrator, 0) >= TIME_EVERY:
            await self._tell_time(client, concentrator)

    async def _acknowledge(self, client: aiomqtt.Client, concentrator: str) -> None:
        epoch = self._store.epoch(concentrator)
        if epoch is not None:
            ack = Ack(epoch, self._store.position(concentrator, epoch))
            await _publish(client, concentrator, "ack", ack.encode())

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
            raise aiomqtt.MqttError(
                "the broker refuses the subscription to %s; check its access rules" % topic
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
