"""The handshake and the sessions of a protected line: what an attacker on the broker gets out of
it, and how often a handshake begins. The other side is a HES as in protected.py."""

from __future__ import annotations

from gateway.contract.edhoc.frames import error_message
from gateway.contract.identity import shown
from gateway.contract.refused import Refused
from gateway.uplink.identity import identity_of
from gateway.uplink.line import (
    ANSWER_MS,
    CALM_MS,
    CONFIRM_MS,
    ERROR_MS,
    ERRORS,
    FIRST_PAUSE_MS,
    LAST_PAUSE_MS,
    SESSION_MS,
    Line,
)
from hal.rt import log
from hal.sim.storage import MemoryStorage
from tests.portable.support import raises
from tests.portable.uplink.protected import Guard
from tests.portable.uplink.support import BOARD_KEY, HERE, crypto

log.set_level("error")

DOWN, UP = "ami/v1/%s/ack" % HERE, "ami/v1/%s/hello" % HERE
ERROR = error_message()


class Ends:
    """A line that is connected, and its HES."""

    def __init__(self) -> None:
        self.guard = Guard(crypto())
        self.peers = list(self.guard.peers)
        identity = identity_of(MemoryStorage(), crypto(), BOARD_KEY)
        self.line = Line(HERE, identity, self.peers, crypto())
        self.line.connected(77, 0)

    def agree(self, now: int) -> None:
        """A handshake that is due now, up to the first sealed message of each side."""
        message_1 = self.line.due(now)
        assert message_1 is not None
        message_2 = self.guard.handshake(message_1)
        assert message_2 is not None
        self.line.take(message_2, now)
        message_3 = self.line.due(now)
        assert message_3 is not None
        assert self.guard.handshake(message_3) is None
        self.up()
        self.down()

    def up(self) -> None:
        assert self.guard.opened(UP, self.line.seal(UP, b"up")) == b"up"

    def down(self) -> None:
        sealed = self.guard.sealed(DOWN, b"down")
        assert sealed is not None and self.line.open(DOWN, sealed) == b"down"

    def begins(self, start: int, until: int) -> list[int]:
        """When a handshake begins between these ticks, each second looked at."""
        return [now for now in range(start, until, 1000) if self.line.due(now) is not None]


def test_a_session_both_ways() -> None:
    ends = Ends()
    assert not ends.line.ready
    ends.agree(0)
    assert ends.line.ready and ends.line.agreed == 1
    for _ in range(3):
        ends.up()
        ends.down()
    assert ends.begins(0, 100_000) == []


def test_nothing_but_what_the_hes_has_sealed_is_taken() -> None:
    ends = Ends()
    assert raises(Refused, ends.line.open, DOWN, b"\x83\x01\x05\x01").reason == "unsealed"
    ends.agree(0)
    sealed = ends.guard.sealed(DOWN, b"down")
    assert sealed is not None
    for topic, raw in (
        (DOWN, b"\x83\x01\x05\x01"),
        (DOWN, b""),
        (DOWN, sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (UP, sealed),
        (DOWN, ends.line.seal(DOWN, b"our own")),
    ):
        assert raises(Refused, ends.line.open, topic, raw).reason == "unsealed"
    assert ends.line.open(DOWN, sealed) == b"down"
    assert raises(Refused, ends.line.open, DOWN, sealed).reason == "repeated"
    ends.line.connected(78, 1000)  # nothing of the connection before counts
    assert not ends.line.ready
    late = ends.guard.sealed(DOWN, b"late")
    assert late is not None and raises(Refused, ends.line.open, DOWN, late).reason == "unsealed"


def test_what_it_says_itself_is_no_answer() -> None:
    """Both sides publish on one topic, and the broker gives each its own, too."""
    ends = Ends()
    message_1 = ends.line.due(0)
    assert message_1 is not None
    for _ in range(5):
        ends.line.take(message_1, 1)
    message_2 = ends.guard.handshake(message_1)
    assert message_2 is not None
    ends.line.take(message_2, 2)
    message_3 = ends.line.due(2)
    assert message_3 is not None and ends.guard.handshake(message_3) is None
    ends.line.take(message_3, 3)
    ends.up()
    ends.down()


def test_forged_answers_do_not_end_a_handshake_unless_they_are_many() -> None:
    other = Guard(crypto())  # a HES with the same key id, and a key of its own
    for forged in range(5):
        ends = Ends()
        message_1 = ends.line.due(0)
        assert message_1 is not None
        ends.line.take(message_1, 5)  # our own comes back from the broker, and counts for nothing
        for each in range(forged):
            answer = other.handshake(message_1) if each % 2 else b"\x58\x30" + bytes(48)
            assert answer is not None
            ends.line.take(answer, 10)
        good = ends.guard.handshake(message_1)
        assert good is not None
        ends.line.take(good, 20)
        message_3 = ends.line.due(20)
        assert (message_3 is not None) == (forged < 3), forged
        assert ends.line.ready == (forged < 3)


def test_without_an_answer_it_begins_again_ever_more_seldom() -> None:
    ends = Ends()
    begun = ends.begins(0, 6 * LAST_PAUSE_MS)
    pauses = [begun[i + 1] - begun[i] for i in range(len(begun) - 1)]
    assert pauses[0] == ANSWER_MS + FIRST_PAUSE_MS
    assert pauses == sorted(pauses) and pauses[-1] == ANSWER_MS + LAST_PAUSE_MS
    # A new connection is a new beginning, and with success so are the pauses.
    ends.line.connected(78, 10_000_000)
    ends.agree(10_000_000)
    ends.line.connected(79, 20_000_000)
    assert ends.begins(20_000_000, 20_100_000) == [20_000_000, 20_090_000]


def test_a_session_that_the_hes_does_not_confirm_is_made_anew() -> None:
    ends = Ends()
    message_1 = ends.line.due(0)
    assert message_1 is not None
    message_2 = ends.guard.handshake(message_1)
    assert message_2 is not None
    ends.line.take(message_2, 0)
    assert ends.line.due(0) is not None  # message_3, which is lost
    again = ends.begins(0, 10 * CONFIRM_MS)
    assert CONFIRM_MS < again[0] <= CONFIRM_MS + LAST_PAUSE_MS


def test_an_error_has_a_handshake_begin_and_floods_of_them_only_seldom() -> None:
    ends = Ends()
    ends.agree(0)
    ends.line.take(ERROR, 1_000_000)
    assert ends.begins(1_000_000, 1_000_000 + ERROR_MS) == []
    ends.agree(1_000_000 + ERROR_MS)
    begun = []
    start, until = 2_000_000, 2_000_000 + 10 * LAST_PAUSE_MS
    for now in range(start, until, 1000):
        ends.line.take(ERROR, now)
        message_1 = ends.line.due(now)
        if message_1 is not None:
            begun.append(now)
            message_2 = ends.guard.handshake(message_1)
            assert message_2 is not None
            ends.line.take(message_2, now)
            message_3 = ends.line.due(now)
            assert message_3 is not None
            ends.guard.handshake(message_3)
            ends.up()
    pauses = [begun[i + 1] - begun[i] for i in range(len(begun) - 1)]
    assert pauses[:2] == [ERROR_MS + 1000] * 2  # an error each second
    assert pauses[2:4] == [FIRST_PAUSE_MS, 2 * FIRST_PAUSE_MS] and len(begun) < 20
    assert begun[-1] - begun[-2] >= LAST_PAUSE_MS
    ends.down()
    now = until + LAST_PAUSE_MS + CALM_MS
    ends.line.take(ERROR, now)
    assert ends.begins(now, now + 10_000) == [now + ERROR_MS]


def test_the_first_errors_are_believed_soon_after_the_handshake() -> None:
    """A HES that is started anew, a few times within the hour, has its concentrators back within
    seconds."""
    ends = Ends()
    ends.agree(0)
    for number in range(ERRORS):
        now = 5000 * (number + 1)
        ends.line.take(ERROR, now)
        ends.agree(now + ERROR_MS)
    ends.line.take(ERROR, now + 5000)
    assert ends.begins(now + 5000, now + 90_000)[0] == now + ERROR_MS + FIRST_PAUSE_MS


def test_what_it_sends_itself_is_no_answer_to_it() -> None:
    """Both ways are one topic, and it hears all of it."""
    ends = Ends()
    message_1 = ends.line.due(0)
    assert message_1 is not None
    for _ in range(5):
        ends.line.take(message_1, 0)
    message_2 = ends.guard.handshake(message_1)
    assert message_2 is not None
    ends.line.take(message_2, 0)
    assert ends.line.due(0) is not None and ends.line.ready


def test_an_error_that_a_sealed_message_belies_is_none() -> None:
    ends = Ends()
    ends.agree(0)
    ends.line.take(ERROR, 100_000)
    ends.down()
    assert ends.begins(100_000, 1_000_000) == []


def test_noise_on_the_topic_of_the_handshake_does_nothing() -> None:
    ends = Ends()
    ends.agree(0)
    for raw in (b"", b"\xf5", bytes(127 * 1024), b"\x58\x30" + bytes(48), b"\x01", b"\x03\xf5\xf5"):
        ends.line.take(raw, 1000)
    ends.up()
    ends.down()
    assert ends.begins(1000, 1_000_000) == []


def test_after_a_day_the_next_session_and_the_old_one_until_it_is_confirmed() -> None:
    ends = Ends()
    ends.agree(0)
    old = ends.guard.session
    assert old is not None
    assert ends.begins(SESSION_MS - 10_000, SESSION_MS) == []
    message_1 = ends.line.due(SESSION_MS)
    assert message_1 is not None
    ends.up()
    ends.down()
    message_2 = ends.guard.handshake(message_1)
    assert message_2 is not None
    ends.line.take(message_2, SESSION_MS)
    ends.up()  # still in the old one
    assert ends.guard.session is old
    message_3 = ends.line.due(SESSION_MS)
    assert message_3 is not None
    assert ends.line.open(DOWN, old.sealer.seal(DOWN, b"on its way")) == b"on its way"
    ends.guard.handshake(message_3)
    ends.up()
    ends.down()
    assert ends.guard.session is not old
    late = old.sealer.seal(DOWN, b"too late")
    assert raises(Refused, ends.line.open, DOWN, late).reason == "unsealed"


def test_a_key_of_the_hes_that_is_removed_has_no_session_for_long() -> None:
    ends = Ends()
    ends.agree(0)
    ends.peers.append((b"line-2", ends.guard.public))
    assert ends.begins(5000, 6000) == [5000]
    nobody = Ends()
    nobody.peers.clear()
    assert nobody.begins(0, 1_000_000) == []


def test_who_is_not_enrolled_is_told_how_that_is_done():
    identity = identity_of(MemoryStorage(), crypto(), BOARD_KEY)
    line, said, before = Line(HERE, identity, [], crypto()), [], log.warning
    log.warning = lambda where, text: said.append(text)
    try:
        line.connected(77, 0)
        line._due_ms = CALM_MS
        line.take(error_message(Refused("unknown-signer", "")), 1)
    finally:
        log.warning = before
    assert "ami-hes concentrator add %s %s" % (HERE, shown(identity.fingerprint)) in said[-1]
