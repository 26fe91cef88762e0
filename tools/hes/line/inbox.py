"""What each message of a concentrator has the store do, and its answer once that is safe."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from gateway.contract import envelope
from gateway.contract.line_certificate import LineStatus
from gateway.contract.messages import (
    Ack,
    Chunk,
    Hello,
    Memory,
    Meters,
    Progress,
    Pull,
    Readings,
    Reports,
    SignedTime,
    State,
    Time,
)
from gateway.contract.refused import Refused
from gateway.uplink.hes_time import FORCED_S
from hal.rt import log
from tools.hes.line.connection import Sender
from tools.hes.line.outgoing import mark, send, send_numbered
from tools.hes.line.pace import Greetings
from tools.hes.line.sessions import Sessions
from tools.hes.line.stream import Stream
from tools.hes.store.line import Line
from tools.hes.store.records import Numbered, Order, Taken, TakenReadings
from tools.package.keys import SigningKey

TIME_EVERY = 900  # seconds between two `time` messages to a concentrator

MOST_NAMES = 10_000  # of concentrators that are not enrolled

_WHERE = "hes"

Work: TypeAlias = "Callable[[], Any]"
Answer: TypeAlias = "Callable[[Any], Awaitable[None]]"


@dataclass(frozen=True)
class Greeted:
    """What a concentrator that has said hello is to have. `safe` of each of its streams, with
    whether it keeps some that we do not have, and did so at the hello before.
    """

    memory: Memory | None
    safe: list[tuple[Stream, Ack, bool]]
    numbered: list[Numbered]
    orders: list[Order]


class Inbox:
    """Of one `serve`; `heard` are the concentrators whose state came over this connection."""

    def __init__(
        self,
        store: Line,
        sessions: Sessions,
        now: Callable[[], float],
        time_key: SigningKey | None = None,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._now = now
        self._time_key = time_key
        self.heard: set[str] = set()
        self._names: set[str] = set()
        self._reports = Stream("ack", "resend", "report", now)
        self._readings = Stream("readings-ack", "readings-resend", "record of readings", now)
        # of readings since the start, by concentrator and what of them: see TakenReadings
        self.readings: Counter[tuple[str, str]] = Counter()
        self._greetings = Greetings(now)
        self._told: dict[str, float] = {}  # concentrator: when it was last told the time

    def begin(self, known: list[str]) -> None:
        """A new connection; `known` are the concentrators that the store knows."""
        self.know(known)
        self.heard.clear()
        self._reports.clear()
        self._readings.clear()
        self._greetings.clear()
        self._told.clear()

    def know(self, concentrators: list[str]) -> None:
        """They are known to the store, and always have their place."""
        self._names.update(concentrators)

    def admits(self, concentrator: str) -> bool:
        """Whether it has a place among those that are spoken with. Anybody can make up names."""
        if concentrator not in self._names and len(self._names) >= MOST_NAMES:
            return self._sessions.protects(concentrator)
        self._names.add(concentrator)
        return True

    def understood(
        self, sender: Sender, concentrator: str, name: str, payload: bytes, retained: bool
    ) -> tuple[Work, Answer | None]:
        """What the store is to do, and what is answered with its result. Refused."""
        store, who = self._store, concentrator
        if name == "state":
            state = State.decode(payload)
            if state.concentrator != who:
                raise Refused("malformed", "state: speaks of concentrator %s" % state.concentrator)
            self.heard.add(who)
            answer = self._answer_state
            log.info(_WHERE, "%s is %s" % (who, "online" if state.online else "offline"))
            return (
                partial(self._take_state, who, state, retained),
                None if self._sessions.protects(who) else partial(answer, sender, who, state),
            )
        if name == "hello":
            hello = Hello.decode(payload)
            return (
                partial(self._take_hello, who, hello),
                partial(self._answer_hello, sender, who, hello),
            )
        if name == "report":
            reports = Reports.decode(payload)
            return (
                partial(store.take_reports, who, reports, self._sessions.protects(who)),
                partial(self._answer_reports, sender, who, reports.epoch),
            )
        if name == "readings":
            readings = Readings.decode(payload)
            return (
                partial(store.take_readings, who, readings),
                partial(self._answer_readings, sender, who, readings.epoch),
            )
        if name == "meters":
            return partial(store.take_meters, who, Meters.decode(payload)), None
        if name == "progress":
            return partial(store.take_progress, who, Progress.decode(payload)), None
        if name == "certificates":
            return partial(store.take_certificates, who, LineStatus.decode(payload)), None
        pull = Pull.decode(payload)
        return (
            partial(store.package_for, who, pull.digest, pull.offset, pull.size),
            partial(self._answer_pull, sender, who, pull),
        )

    def _take_state(self, concentrator: str, state: State, retained: bool) -> int:
        """The number up to which its reports are safe."""
        # Where the line is protected nothing durable moves on it: the hello tells the same.
        moves = not self._sessions.protects(concentrator)
        self._store.take_state(concentrator, state, retained, moves)
        return self._store.position(concentrator, state.epoch)

    async def _answer_state(
        self, sender: Sender, concentrator: str, state: State, safe: int
    ) -> None:
        if state.online:
            ack = Ack(state.epoch, safe)
            await self._reports.acknowledge(sender, concentrator, ack)
            # What it sent while nobody listened here is lost, and need not wait for its patience.
            await self._reports.ask_again(sender, concentrator, ack)

    def _take_hello(self, concentrator: str, hello: Hello) -> Greeted:
        store = self._store
        memory = store.remember(concentrator, hello)
        store.take_hello(concentrator, hello, self._sessions.protects(concentrator))
        epoch = hello.epoch or store.epoch(concentrator)
        safe = []
        if epoch is not None:
            number = store.position(concentrator, epoch)
            behind = self._reports.behind(concentrator, number, hello.next)
            safe.append((self._reports, Ack(epoch, number), behind))
        epoch, _, following = hello.readings
        if epoch:
            number = store.reading_position(concentrator, epoch)
            behind = self._readings.behind(concentrator, number, following)
            safe.append((self._readings, Ack(epoch, number), behind))
        if not self._greetings.due(concentrator):
            return Greeted(memory, safe, [], [])
        orders = store.missing(concentrator, hello.jobs)
        greeted = Greeted(memory, safe, store.numbered(concentrator), orders)
        mark(store, greeted.numbered, greeted.orders)
        return greeted

    async def _answer_hello(
        self, sender: Sender, concentrator: str, hello: Hello, greeted: Greeted
    ) -> None:
        if greeted.memory is not None:
            await sender.publish(concentrator, "memory", greeted.memory.encode())
        await self.tell_time(sender, concentrator, hello)
        for stream, ack, _ in greeted.safe:
            await stream.acknowledge(sender, concentrator, ack)
        await send_numbered(sender, greeted.numbered)
        await send(sender, concentrator, greeted.orders)
        # What it sent in a session that is not known here any more is lost.
        first = self._sessions.first_hello(concentrator)
        for stream, ack, behind in greeted.safe:
            if behind or first:
                await stream.ask_again(sender, concentrator, ack)

    async def _answer_reports(
        self, sender: Sender, concentrator: str, epoch: int, taken: Taken
    ) -> None:
        ack = Ack(epoch, taken.number)
        await self._reports.taken(sender, concentrator, ack, taken.gap)
        if self._now() - self._told.get(concentrator, 0) >= TIME_EVERY:
            await self.tell_time(sender, concentrator)

    async def _answer_readings(
        self, sender: Sender, concentrator: str, epoch: int, taken: TakenReadings
    ) -> None:
        for what, number in taken.counts.items():
            self.readings[concentrator, what] += number
        ack = Ack(epoch, taken.number)
        await self._readings.taken(sender, concentrator, ack, taken.gap)

    async def _answer_pull(
        self, sender: Sender, concentrator: str, pull: Pull, piece: tuple[int, bytes]
    ) -> None:
        chunk = Chunk(pull.digest, pull.offset, *piece)
        await sender.publish(concentrator, "chunk", chunk.encode())

    async def tell_time(
        self, sender: Sender, concentrator: str, hello: Hello | None = None
    ) -> None:
        """Signed where that takes it, as far as its `hello` tells."""
        now = self._told[concentrator] = self._now()
        payload = Time(int(now)).encode()
        if hello is not None and abs(hello.time - now) > FORCED_S:
            if hello.time == 0 and self._sessions.protects(concentrator):
                # It takes the time from us where that answers its hello.
                payload = Time(int(now), hello.nonce).encode()
            elif self._time_key is None:
                log.warning(
                    _WHERE,
                    "%s: its clock is unset or far off: there it is %s, here %s. If it is right"
                    " here, `ami-hes serve --time-key KEY.pem` sets it"
                    % (concentrator, _date(hello.time), _date(now)),
                )
            else:
                text = "%s: its clock is set, signed, from %s to %s"
                log.warning(_WHERE, text % (concentrator, _date(hello.time), _date(now)))
                answer = SignedTime(concentrator, hello.nonce, int(now))
                payload = envelope.sign(answer.encode(), self._time_key.kid, self._time_key.sign)
        await sender.publish(concentrator, "time", payload)


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds)) if seconds else "unset"
