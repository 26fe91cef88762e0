"""What a node may send, and a line: who is beyond it is one fault, and not everybody's.

A node has a credit of frames: a few at once, one more each second, and for each frame that goes out
to it as many as an answer may have. Who goes beyond floods. It is named in the log, and neither
listened nor spoken to for a while, each time twice as long; what it has to say meanwhile reaches no
list that others wait in.
"""

from __future__ import annotations

from hal.ports import Misbehaves
from hal.rt import log

UNASKED = 32  # frames at once that nobody asked for
FRAME_MS = 1000  # until there is one more
ANSWERS = 80  # frames that a request may bring: a window of general blocks has 63, some come twice
MOST_ASKED = 2 * ANSWERS
FIRST_PAUSE_MS = 30_000
LAST_PAUSE_MS = 3_600_000
FORGIVEN_MS = 86_400_000  # who has kept quiet for so long begins with the first pause again
REMEMBERED = 64  # nodes

LISTEN, FLOODS, DEAF = range(3)


class _Account:
    __slots__ = ("credit", "pause_ms", "since_ms", "until_ms")

    def __init__(self, now_ms: int) -> None:
        self.credit = UNASKED
        self.since_ms = now_ms  # when it had that credit
        self.until_ms = now_ms  # not listened to before
        self.pause_ms = 0  # the last


class Allowances:
    """Of the nodes of one modem. `name`: of that, for the log."""

    def __init__(self, name: str) -> None:
        self.floods = 0
        self._name = name
        self._accounts: dict[str, _Account] = {}

    def asked(self, address: str, now_ms: int) -> None:
        """A frame goes out to it. Misbehaves while it is not listened to."""
        account = self._account(address, now_ms)
        if now_ms < account.until_ms:
            raise _misbehaves(address, account.until_ms - now_ms)
        account.credit = min(account.credit + ANSWERS, MOST_ASKED)

    def heard(self, address: str, now_ms: int) -> int:
        """A frame has come from it: LISTEN; FLOODS, with this one it is beyond its credit; or DEAF,
        as long as its pause lasts."""
        account = self._account(address, now_ms)
        if now_ms < account.until_ms:
            return DEAF
        more = (now_ms - account.since_ms) // FRAME_MS
        account.since_ms += more * FRAME_MS
        if account.credit < UNASKED:
            account.credit = min(account.credit + more, UNASKED)
        account.credit -= 1
        if account.credit >= 0:
            return LISTEN
        self._mute(address, account, now_ms)
        return FLOODS

    def complaint(self, address: str, now_ms: int) -> Misbehaves:
        """For who waits for its answer."""
        return _misbehaves(address, self._account(address, now_ms).until_ms - now_ms)

    def _mute(self, address: str, account: _Account, now_ms: int) -> None:
        self.floods += 1
        if now_ms - account.until_ms >= FORGIVEN_MS:
            account.pause_ms = 0
        account.pause_ms = min(max(2 * account.pause_ms, FIRST_PAUSE_MS), LAST_PAUSE_MS)
        account.until_ms = account.since_ms = now_ms + account.pause_ms
        account.credit = UNASKED
        log.warning(
            self._name,
            "%s floods: more than %d frames that nobody asked for; not listened to for %d s"
            % (address, UNASKED, account.pause_ms // 1000),
        )

    def _account(self, address: str, now_ms: int) -> _Account:
        account = self._accounts.get(address)
        if account is None:
            if len(self._accounts) >= REMEMBERED:
                del self._accounts[self._least(now_ms)]
            account = self._accounts[address] = _Account(now_ms)
        return account

    def _least(self, now_ms: int) -> str:
        """Whose account is missed least: of those listened to whose credit is old, else of those
        that will be soonest."""
        return min(
            self._accounts,
            key=lambda each: (
                self._accounts[each].until_ms > now_ms,
                self._accounts[each].pause_ms,
                self._accounts[each].since_ms,
            ),
        )


class LineAllowance:
    """Octets that a line may bring: `burst` at once, `rate` a second."""

    def __init__(self, rate: int, burst: int, now_ms: int) -> None:
        self._rate = rate
        self._burst = burst
        self._credit = burst
        self._since_ms = now_ms

    def heard(self, octets: int, now_ms: int) -> bool:
        """False: it babbles."""
        more = (now_ms - self._since_ms) * self._rate // 1000
        if more:
            self._credit = min(self._credit + more, self._burst)
            self._since_ms = now_ms
        self._credit -= octets
        return self._credit >= 0


def _misbehaves(address: str, left_ms: int) -> Misbehaves:
    return Misbehaves(
        "%s sends what nobody asked for: not listened to for %d s more" % (address, left_ms // 1000)
    )
