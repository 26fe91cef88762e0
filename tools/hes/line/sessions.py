"""Whose messages are believed, and how they are protected: the sessions with the concentrators.

An enrolled concentrator agrees on a session with us at each of its connections (handshakes.py).
From then on everything is sealed both ways but its `state`, which is signed. A session is known in
RAM only: a message of one that is not known here is answered by an error of EDHOC, which nobody has
to believe, and the concentrator begins a handshake. The session in use stays until the first sealed
message of the next one has come, so that no flood of beginnings ends it.

A board that has agreed on a session and is not enrolled is told so, and its session is kept here:
it is the one that the board goes on with, so that it is spoken to at once when somebody enrols it.

What is not protected is taken with `plain` only, and then from those who are not enrolled.
"""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gateway.contract import envelope, messages
from gateway.contract.edhoc.frames import HEADS_UP, WrongSuite, error_message, unframed
from gateway.contract.messages import State
from gateway.contract.refused import Refused
from gateway.contract.sealed import Session, kid_of
from hal.cpython.crypto import SystemCrypto
from hal.ports import Crypto
from hal.rt import log
from tools.hes.line.complaints import Complaints
from tools.hes.line.handshakes import Agreed, Handshakes, LineKey
from tools.hes.store.enrolment import Enrolment
from tools.hes.store.records import Enrolled

MAX_AGE_S = 25 * 3600.0  # of a session; the concentrator begins a new one after 24 hours
INVITE_EVERY = 10.0  # seconds between two errors to one concentrator
DOUBT_S = 1.0  # a birth of a session that is not known may be followed by its handshake
# Seconds between two knocks by one name that are written down: by the same board, by another.
KNOCK_EVERY, OTHER_KNOCK_EVERY = 30.0, 2.0
MOST_STRANGERS = 1000

IN_VAIN = 2  # handshakes begun and not finished, one after the other
NO_MESSAGE_3 = (
    "it begins handshakes and finishes none. Does it trust our line key, under hes_keys in its"
    " settings or by a message of trust? Or does its line lose most messages?"
)
SAID = 1024  # messages of ours that are on their way to the broker and back
OTHER_HES = (
    "what it is answered is not by us: another `ami-hes serve` with another database works on this"
    " broker, or somebody who may write there plays a head-end"
)

_WHERE = "hes"


@dataclass(frozen=True)
class Heard:
    """What is to be done about a message: hand `payload` on, unless it is None; `answers` go down
    on the topic `edhoc`; `work` is for the store; `state_again`: its retained state could not be
    proven before, and can now.
    """

    payload: bytes | None = None
    answers: Sequence[bytes] = ()
    work: Callable[[], Any] | None = None
    state_again: bool = False


@dataclass
class _Live:
    session: Session
    since: float

    @property
    def number(self) -> int:
        """As State.session and Hello.session have it: the concentrator's connection id."""
        return int.from_bytes(self.session.sealer.kid, "big")


@dataclass
class _Line:
    """To one enrolled concentrator. `next` has been agreed on and not been used yet."""

    current: _Live | None = None
    next: _Live | None = None
    doubted: float | None = None  # since when a birth of another session waits for its handshake
    unproven: bool = False  # its state came before its key for signatures was known
    asked_again: bool = False  # in this session, for what it had sent before
    invited: float = field(default=-INVITE_EVERY)

    def sessions(self) -> list[_Live]:
        return [each for each in (self.current, self.next) if each is not None]


class Sessions:
    """`keys`: our line keys, the first one preferred; none: no session can be agreed on. Without
    `enrolment` nobody is enrolled. `now` in seconds.
    """

    def __init__(
        self,
        enrolment: Enrolment | None,
        keys: Sequence[LineKey],
        plain: bool = False,
        now: Callable[[], float] = time.time,
        crypto: Crypto | None = None,
    ) -> None:
        self.enrolment = enrolment
        self.plain = plain
        self.complaints = Complaints(now)
        self._secured = bool(keys)
        self._crypto = crypto or SystemCrypto()
        self._now = now
        self._known: dict[str, Enrolled] = {}
        self._lines: dict[str, _Line] = {}
        self._strangers: dict[str, tuple[float, bytes]] = {}  # when who last knocked
        self._said: deque[tuple[str, bytes]] = deque(maxlen=SAID)  # of ours, on the same topic
        # By name and fingerprint, the latest last: since when which session waits for an enrolment.
        self._waiting: dict[tuple[str, bytes], tuple[float, Agreed]] = {}
        self._handshakes = Handshakes(keys, self._crypto, now)

    def learn(self, enrolled: Sequence[Enrolled]) -> list[str]:
        """Who is enrolled now. Gives those who were not before: they may be waiting for it."""
        before, self._known = self._known, {each.concentrator: each for each in enrolled}
        for name, each in before.items():
            now = self._known.get(name)
            if now is None or now.fingerprint != each.fingerprint:
                self._lines.pop(name, None)
            elif now.sign is None:  # the store is about to hear of the first session
                self._known[name] = dataclasses.replace(now, sign=each.sign)
        found = [
            name
            for name, each in self._known.items()
            if name not in before or before[name].fingerprint != each.fingerprint
        ]
        for name in found:
            # What it sent before was not believed, so its retained state has to come once more.
            self._lines[name] = _Line(unproven=True)
        return found

    def admitted(self, concentrator: str) -> Heard | None:
        """Of who is enrolled now: go on with the session that he has agreed on before; None: there
        is none."""
        enrolled = self._known[concentrator]
        since, agreed = self._waiting.pop((concentrator, enrolled.fingerprint), (0.0, None))
        if agreed is None or not 0 <= self._now() - since < MAX_AGE_S:
            return None
        heard = self._agreed(enrolled, agreed)
        line = self._lines[concentrator]
        line.current, line.next = line.next, None
        return heard

    def stands(self, concentrator: str) -> bool:
        """Whether it can be spoken to."""
        if concentrator in self._known:
            line = self._lines.get(concentrator)
            return line is not None and line.current is not None
        return self.plain

    def protects(self, concentrator: str) -> bool:
        """Whether what it sends is proven to be its own and to be fresh."""
        return concentrator in self._known

    def heard(self, concentrator: str, name: str, payload: bytes) -> Heard:
        """Refused: it is no message of ours."""
        if name == messages.HANDSHAKE:
            return self._handshake(concentrator, payload)
        enrolled = self._known.get(concentrator)
        if enrolled is None:
            if self.plain:
                return Heard(payload)
            self.complaints.add(concentrator, "not-enrolled", "it is not enrolled")
            return Heard()
        line = self._lines.setdefault(concentrator, _Line())
        if name == "state":
            return self._state(enrolled, line, payload)
        return self._sealed(concentrator, line, messages.topic(concentrator, name), payload)

    def sealed(self, concentrator: str, topic: str, plain: bytes) -> bytes | None:
        """As it goes down, in the order of sending; None: it cannot, there is no session."""
        if concentrator not in self._known:
            return plain if self.plain else None
        line = self._lines.get(concentrator)
        if line is None or line.current is None:
            return None
        try:
            return line.current.session.sealer.seal(topic, plain)
        except ValueError:  # its numbers are used up
            line.current = None
            return None

    def answered(self, concentrator: str, payload: bytes) -> None:
        """This goes down on the topic of the handshake."""
        self._said.append((concentrator, payload))

    def first_hello(self, concentrator: str) -> bool:
        """Whether this is the first one of its session: what it has sent before it may be lost."""
        line = self._lines.get(concentrator)
        if line is None or line.asked_again:
            return False
        line.asked_again = True
        return True

    def due_invitations(self) -> list[str]:
        """Those who seem to be there, and to wait in a session that is not known here."""
        found = []
        for name, line in self._lines.items():
            if line.doubted is None or 0 <= self._now() - line.doubted < DOUBT_S:
                continue
            line.doubted = None
            if not self._handshakes.waits(name):
                found.append(name)
        return found

    def invitation(self, concentrator: str) -> bytes | None:
        """The error that has it begin a handshake; None: it had one just now."""
        line = self._lines.setdefault(concentrator, _Line())
        if not self._secured or 0 <= self._now() - line.invited < INVITE_EVERY:
            return None
        line.invited = self._now()
        return error_message()

    def _state(self, enrolled: Enrolled, line: _Line, payload: bytes) -> Heard:
        """Signed. Anybody may repeat an old one, so nothing that lasts stands on it."""
        if payload[:1] != envelope.TAG_SIGN1:
            self._complain_of_plain(enrolled.concentrator)
            return Heard()
        if enrolled.sign is None:
            line.unproven = True
            line.doubted = line.doubted or self._now()
            return Heard()
        kid = enrolled.fingerprint[:8]
        try:
            plain, _ = envelope.verify(payload, [(kid, enrolled.sign)], self._crypto)
        except Refused as refused:
            self.complaints.add(enrolled.concentrator, "forged-state", str(refused))
            return Heard()
        state = State.decode(plain)
        known = [each.number for each in line.sessions()]
        if state.online and state.session not in known:
            line.doubted = line.doubted or self._now()
        return Heard(plain)

    def _sealed(self, concentrator: str, line: _Line, topic: str, payload: bytes) -> Heard:
        kid = kid_of(payload)
        if kid is None:
            self._complain_of_plain(concentrator)
            return Heard()
        for live in line.sessions():
            if live.session.opener.kid != kid or not 0 <= self._now() - live.since < MAX_AGE_S:
                continue
            try:
                plain = live.session.opener.open(topic, payload)
            except Refused as refused:
                if refused.reason != "repeated":
                    self.complaints.add(concentrator, refused.reason, refused.detail)
                return Heard()
            if live is line.next:
                line.current, line.next = live, None
                line.asked_again = False
            return Heard(plain)
        return self._invited(concentrator)

    def _invited(self, concentrator: str) -> Heard:
        invitation = self.invitation(concentrator)
        return Heard(answers=[invitation] if invitation else ())

    def _complain_of_plain(self, concentrator: str) -> None:
        self.complaints.add(
            concentrator, "unsealed", "nothing protects it, and this concentrator is enrolled"
        )

    def _handshake(self, concentrator: str, payload: bytes) -> Heard:
        enrolled = self._known.get(concentrator)
        if not self._secured:
            return Heard()
        if payload[:1] not in HEADS_UP:
            # What we send comes back to us too: it is the same topic.
            if enrolled is not None and (concentrator, payload) not in self._said:
                self.complaints.add(concentrator, "other-hes", OTHER_HES, False)
            return Heard()
        try:
            connection, message = unframed(payload)
            if connection is None:
                begun = self._handshakes.begin(concentrator, message, enrolled is not None)
                if self._handshakes.in_vain(concentrator) >= IN_VAIN:
                    self.complaints.add(concentrator, "handshakes-in-vain", NO_MESSAGE_3, False)
                return Heard(answers=begun)
            if not self._handshakes.knows(concentrator, connection):
                return self._invited(concentrator) if enrolled else Heard()
            agreed = self._handshakes.finish(concentrator, connection, message)
        except WrongSuite as refused:
            return Heard(answers=[error_message(refused)])
        except Refused as refused:
            self.complaints.add(concentrator, "handshake-refused", str(refused))
            return Heard()
        if enrolled is None or enrolled.fingerprint != agreed.fingerprint:
            return self._knock(agreed)
        return self._agreed(enrolled, agreed)

    def _agreed(self, enrolled: Enrolled, agreed: Agreed) -> Heard:
        assert self.enrolment is not None
        concentrator = enrolled.concentrator
        line = self._lines.setdefault(concentrator, _Line())
        line.next, line.doubted = _Live(agreed.session, self._now()), None
        state_again, line.unproven = line.unproven, False
        self._known[concentrator] = dataclasses.replace(enrolled, sign=agreed.sign)
        log.info(_WHERE, "%s: session agreed on, %s" % (concentrator, agreed.line_key.hex()))
        work = partial(
            self.enrolment.agreed, concentrator, agreed.fingerprint, agreed.sign, agreed.line_key
        )
        return Heard(work=work, state_again=state_again)

    def _knock(self, agreed: Agreed) -> Heard:
        """Of a board that is not the enrolled one, or where none is."""
        name, answer = agreed.concentrator, error_message(Refused("unknown-signer", ""))
        self._waiting.pop((name, agreed.fingerprint), None)
        self._waiting[name, agreed.fingerprint] = self._now(), agreed
        if len(self._waiting) > MOST_STRANGERS:
            del self._waiting[next(iter(self._waiting))]
        last, who = self._strangers.get(name, (-KNOCK_EVERY, b""))
        pause = KNOCK_EVERY if who == agreed.fingerprint else OTHER_KNOCK_EVERY
        if 0 <= self._now() - last < pause:
            return Heard(answers=[answer])
        self._strangers[name] = self._now(), agreed.fingerprint
        if len(self._strangers) > MOST_STRANGERS:
            del self._strangers[next(iter(self._strangers))]
        assert self.enrolment is not None
        log.warning(_WHERE, "%s knocks as %s: not enrolled" % (name, agreed.fingerprint.hex()))
        work = partial(self.enrolment.knocked, name, agreed.fingerprint)
        return Heard(answers=[answer], work=work)
