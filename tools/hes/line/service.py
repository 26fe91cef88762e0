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
from collections import Counter
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
from tools.hes.line.backlog import Backlog
from tools.hes.line.broker import Broker
from tools.hes.line.connection import Deaf, Sender, stop_if_cancelled, together
from tools.hes.line.inbox import Answer, Inbox
from tools.hes.line.sessions import Heard, Sessions
from tools.hes.line.tls_fault import tls_fault
from tools.hes.line.writer import Writer
from tools.hes.store.line import Line
from tools.hes.store.problems import StoreProblem
from tools.hes.store.states import SUBMITTED, UNANSWERED
from tools.package.keys import SigningKey

KEEPALIVE = 20  # seconds
UNANSWERED_AT_ONCE = 256  # messages handed to the store whose answer is not sent yet
BACKOFF = (0.5, 30.0)  # seconds before connecting again: the first time, at most
BEAT_EVERY = 2  # seconds between two signs of life in the store
ENROLLED_EVERY = 1  # seconds between two looks for who is enrolled
STATES_EVERY = 2  # seconds between two looks for concentrators whose retained state did not come

PLAIN = (
    "PLAIN: the line is not protected; whoever may use the broker can read, forge and erase what"
    " concentrators report"
)

_WHERE = "hes"
# The connection's faults; any other is one message's.
_OF_THE_LINE = (aiomqtt.MqttError, OSError)
# What aiomqtt and paho log reaches us as an exception.
_SILENT = logging.getLogger("tools.hes")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


# concentrator, topic, the store's result, what to answer with it
Taking: TypeAlias = "tuple[str, str, asyncio.Future[Any], Answer | None]"
Taken: TypeAlias = "asyncio.Queue[Taking]"


class Service:
    """`poll` is how often (seconds) the store is looked at for new orders; `time_key` signs the
    time for a concentrator whose clock is unset or far off. Without `sessions` the line is `plain`:
    nothing protects it. `chore`: something to be done every so many seconds, in a thread of its
    own, beside all this.
    """

    def __init__(
        self,
        store: Line,
        broker: Broker,
        now: Callable[[], float] = time.time,
        poll: float = 0.25,
        time_key: SigningKey | None = None,
        thread: Executor | None = None,
        sessions: Sessions | None = None,
        plain: bool = False,
        chore: tuple[Callable[[], None], float] | None = None,
    ) -> None:
        if sessions is None and not plain:
            raise ValueError("expected sessions, or plain")
        self._store = store
        self._writer = Writer(store.together, thread, store.works)
        self._broker = broker
        self._poll = poll
        self._chore = chore
        self._status = "connecting"
        self._backlog = Backlog()
        self._sessions = sessions or Sessions(None, [], True, now)
        self._inbox = Inbox(store, self._sessions, now, time_key)
        # messages since the start, by topic and what became of them
        self.counts: Counter[tuple[str, str]] = Counter()

    @property
    def readings(self) -> Counter[tuple[str, str]]:
        """Of readings since the start, by concentrator and what of them; see intake.py."""
        return self._inbox.readings

    async def run(self) -> None:
        """Serves until cancelled. A broker that is away is tried again, with growing, jittered
        pauses; so is a database.
        """
        if self._sessions.plain:
            log.warning(_WHERE, PLAIN)
        try:
            chores = [] if self._chore is None else [self._do_chore(*self._chore)]
            await together(self._beat(), self._stay_connected(), *chores)
        finally:
            await self._writer.close()

    async def _beat(self) -> None:
        while True:
            try:
                await self._writer.do(self._store.beat, self._broker.name, self._status)
            except Exception as error:  # without it we seem to be away, which is no reason to go
                log.error(_WHERE, "sign of life: %s" % told(error))
            self._tell_dropped()
            self._writer.post(self._store.tell_counted)
            await asyncio.sleep(BEAT_EVERY)

    async def _do_chore(self, do: Callable[[], None], every: float) -> None:
        while True:
            try:
                await asyncio.to_thread(do)
            except Exception as error:
                log.error(_WHERE, "%s" % told(error))
            await asyncio.sleep(every)

    def _tell_dropped(self) -> None:
        for concentrator, count in self._backlog.taken_dropped().items():
            text = "%d messages of it were dropped unread: too large, or too many at once" % count
            self._tell(concentrator, "flooding", text)
        for concentrator, event, text in self._sessions.complaints.due():
            self._tell(concentrator, event, text)

    def _tell(self, concentrator: str, event: str, text: str) -> None:
        log.warning(_WHERE, "%s: %s" % (concentrator, text))
        self._add_event(concentrator, event, text)

    def _add_event(self, concentrator: str, event: str, text: str) -> None:
        """Those of made-up names are counted as those of one."""
        try:
            messages.topic(concentrator, event)
            admitted = self._inbox.admits(concentrator)
        except ValueError:
            admitted = False
        if not admitted:
            concentrator, text = "", "%s: %s" % (concentrator[:64], text)
        self._writer.post(self._store.add_event, concentrator, event, text)

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
            except _OF_THE_LINE as error:
                self._now_is("not connected (%s)" % (await tls_fault(self._broker) or error))
            except Exception as error:  # a fault of ours: the next connection may be free of it
                self._now_is("not connected (%s)" % told(error), log.error)
            stop_if_cancelled()
            if time.monotonic() - started > BACKOFF[1]:
                pause = BACKOFF[0]
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, BACKOFF[1])

    async def _session(self) -> None:
        """One connection, from its beginning to its end."""
        self._backlog = Backlog()
        client = aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            username=self._broker.username,
            password=self._broker.password,
            identifier="ami-hes-%08x" % random.getrandbits(32),
            keepalive=KEEPALIVE,
            timeout=10,
            tls_context=self._broker.tls,
            queue_type=lambda maxsize: self._backlog,  # type: ignore[arg-type]
            logger=_SILENT,
        )
        async with client:
            await self.converse(client)

    async def converse(self, client: aiomqtt.Client) -> None:
        """Over this connection, until it breaks."""
        sender = Sender(client, self._sessions)
        await self._learn()
        known = await self._writer.do(self._store.addressed)
        names = (*messages.UP_TOPICS, messages.HANDSHAKE)
        await sender.subscribe(["ami/v1/+/%s" % name for name in names])
        self._now_is("connected")
        self._inbox.begin(known)
        taken: Taken = asyncio.Queue(UNANSWERED_AT_ONCE)
        await together(
            self._send_orders(sender),
            self._take_messages(client, sender, taken),
            self._answer_messages(taken),
            self._ask_states(sender),
            self._invite(sender, taken),
        )

    async def _learn(self) -> list[str]:
        """Who is enrolled; gives those who were not before."""
        if self._sessions.enrolment is None:
            return []
        return self._sessions.learn(await self._writer.do(self._sessions.enrolment.all))

    async def _invite(self, sender: Sender, taken: Taken) -> None:
        """Those who can have a session and seem to have none to begin a handshake. Who is enrolled
        only now may have agreed on one already."""
        while True:
            await asyncio.sleep(max(ENROLLED_EVERY, self._poll))
            try:
                enrolled = await self._learn()
            except StoreProblem as error:
                log.error(_WHERE, "who is enrolled: %s" % error)
                continue
            waiting = self._sessions.due_invitations()
            for concentrator in enrolled:
                heard = self._sessions.admitted(concentrator)
                if heard is None:
                    waiting.append(concentrator)
                else:
                    await taken.put(self._agreeing(sender, concentrator, heard, first=True))
            for concentrator in waiting:
                invitation = self._sessions.invitation(concentrator)
                if invitation is not None:
                    await sender.handshake(concentrator, invitation)

    async def _ask_states(self, sender: Sender) -> None:
        """RabbitMQ gives retained messages to subscriptions by full name only. With other brokers
        the states are there before this looks for them.
        """
        while True:
            await asyncio.sleep(STATES_EVERY)
            addressed = await self._writer.do(self._store.addressed)
            self._inbox.know(addressed)
            silent = [name for name in addressed if name not in self._inbox.heard]
            for first in range(0, len(silent), TOPICS_AT_ONCE):
                some = silent[first : first + TOPICS_AT_ONCE]
                await sender.subscribe([messages.topic(name, "state") for name in some])
                self._inbox.heard.update(some)

    async def _send_orders(self, sender: Sender) -> None:
        """What was never answered, once at the start; from then on whatever is new in the store."""
        states: tuple[str, ...] = UNANSWERED
        while True:
            try:
                await self._send_due(sender, states)
            except _OF_THE_LINE:
                raise
            except Exception as error:  # of what is sent; the concentrators are heard meanwhile
                log.error(_WHERE, "orders: %s" % told(error))
            states = (SUBMITTED,)
            await asyncio.sleep(self._poll)

    async def _send_due(self, sender: Sender, states: tuple[str, ...]) -> None:
        due = await self._writer.do(outgoing.due, self._store, states, self._sessions.stands)
        # Trust and keys first: orders may stand on them.
        await outgoing.send_numbered(sender, due.numbered)
        for concentrator, orders in due.orders:
            await outgoing.send(sender, concentrator, orders)
        for concentrator, after in due.asks:
            await sender.publish(concentrator, "ask", Ask(after).encode())

    async def _take_messages(self, client: aiomqtt.Client, sender: Sender, taken: Taken) -> None:
        """Hand each to the store; its answer waits for the commit, the next message does not.
        Whatever goes wrong with a message concerns that message alone.
        """
        async for message in client.messages:
            concentrator = name = ""
            try:
                _, _, concentrator, name = str(message.topic).split("/")
                payload = bytes(message.payload) if isinstance(message.payload, bytes) else b""
                if name == "state" and not payload:
                    continue  # somebody cleared the retained state
                messages.topic(concentrator, name)  # checks the id
                heard = self._sessions.heard(concentrator, name, payload)
                if heard.answers or heard.work or heard.state_again:
                    await taken.put(self._agreeing(sender, concentrator, heard))
                if heard.payload is None:
                    continue
                if not self._inbox.admits(concentrator):
                    self._tell(
                        concentrator, "too-many-names", "it is not enrolled, and is not heard"
                    )
                    continue
                work, answer = self._inbox.understood(
                    sender, concentrator, name, heard.payload, bool(message.retain)
                )
            except Exception as error:
                self._note(concentrator, name, error)
                continue
            await taken.put((concentrator, name, self._writer.do(work), answer))

    def _agreeing(
        self, sender: Sender, concentrator: str, heard: Heard, first: bool = False
    ) -> Taking:
        """What a handshake brings with it. `first`: the first sealed message is ours, and brings a
        hello."""

        async def answer(_: Any) -> None:
            for payload in heard.answers:
                await sender.handshake(concentrator, payload)
            if heard.state_again:
                await sender.subscribe([messages.topic(concentrator, "state")])
            if first:
                await self._inbox.tell_time(sender, concentrator)

        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        if heard.work is not None:
            done = self._writer.do(heard.work)
        return concentrator, messages.HANDSHAKE, done, answer

    async def _answer_messages(self, taken: Taken) -> None:
        while True:
            concentrator, name, done, answer = await taken.get()
            try:
                result = await done
            except Exception as error:
                self._note(concentrator, name, error)
                continue
            self.counts[name, "taken"] += 1
            if answer is None:
                continue
            try:
                await answer(result)
            except _OF_THE_LINE:
                raise
            except Exception as error:
                self._note(concentrator, name, error)

    def _note(self, concentrator: str, name: str, error: Exception) -> None:
        text = told(error)
        # What is no message of ours is the sender's fault, anything else is ours.
        bad = isinstance(error, (Refused, ValueError))
        self.counts[name, "refused" if bad else "failed"] += 1
        (log.warning if bad else log.error)(_WHERE, "%s from %s: %s" % (name, concentrator, text))
        event = "malformed" if bad else "message-failed"
        self._add_event(concentrator, event, "%s: %s" % (name, text))


def told(error: Exception) -> str:
    """What went wrong, for people: ours say it themselves, of others the kind is told too."""
    if isinstance(error, (Refused, StoreProblem)):
        return str(error)
    return "%s: %s" % (type(error).__name__, error)
