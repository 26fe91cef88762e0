"""The time of an NTP server: SNTP (RFC 4330, RFC 5905 section 14), one question at a time.

NTP as it is asked here proves nothing: whoever is on the way can answer. So what it may do are the
bounds of a plain time: a clock that is set it moves by an hour a day at most, and an unset one it
does not set. Its date is kept as a guess then, for people: what needs a date goes on waiting for
one that somebody vouches for. With `trusted` in the settings (a server of the utility's own, on a
network of its own) it may set an unset clock, though not below the floor.

Nothing here raises the floor unless `trusted`.
"""

from __future__ import annotations

import asyncio

from gateway.contract.refused import Refused
from hal.ports import PortError
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.kept_clock import KeptClock
    from hal.ports import Crypto, Datagrams

PORT = 123
SIZE = 48
ASK = 0x23  # leap indicator 0, version 4, mode 3 (client)
SERVER = 4  # mode
UNSYNCHRONISED = 3  # leap indicator
MOST_STRATUM = 15
_EPOCH = 2208988800  # seconds from 1900, where NTP begins, to 1970
_ERA = 1 << 32  # of seconds; the second one begins in 2036
_NOT_BEFORE = 1735689600  # 2025-01-01: no answer is older

PATIENCE_MS = 5_000
FIRST_PAUSE_MS = 64_000  # RFC 4330 section 10: never under 15 s
LAST_PAUSE_MS = 3_600_000
KISSED_PAUSE_MS = 86_400_000  # the server has told us to go away
LONGEST_WAY_MS = 2_000  # there and back; half of it is the error
_WHERE = "ntp"


class NtpFault(Exception):
    """What came is no time; `kissed`: the server does not want to be asked."""

    def __init__(self, text: str, kissed: bool = False) -> None:
        super().__init__(text)
        self.kissed = kissed


class Ntp:
    """`run()` it as one task. open_udp() opens a port of ours. correct(date, vouched, source,
    confirms) as Inbox.correct_clock()."""

    def __init__(
        self,
        open_udp: Callable[[], Awaitable[Datagrams]],
        host: str,
        port: int,
        trusted: bool,
        clock: KeptClock,
        crypto: Crypto,
        correct: Callable[[int, bool, str, bool], None],
    ) -> None:
        self._open_udp = open_udp
        self._host = host
        self._port = port
        self._trusted = trusted
        self._clock = clock
        self._crypto = crypto
        self._correct = correct
        self._told = ""

    async def run(self) -> None:
        """Until cancelled."""
        pause = FIRST_PAUSE_MS
        while True:
            kissed = False
            try:
                self._take(await self._ask())
                self._tell("")
            except NtpFault as fault:
                kissed = fault.kissed
                self._tell(str(fault))
            except Refused as refused:
                self._tell("not taken: %s" % refused)
            except (OSError, PortError, asyncio.TimeoutError) as error:
                self._tell("%s: %s" % (self._host, error or "no answer"))
            except Exception as error:  # a fault of ours: the gateway goes on without
                self._tell("fault: %s: %s" % (type(error).__name__, error))
            if kissed:
                await self._clock.sleep_ms(KISSED_PAUSE_MS)
                continue
            pause = min(2 * pause, LAST_PAUSE_MS) if self._clock.unix_time() else FIRST_PAUSE_MS
            await self._clock.sleep_ms(pause)

    async def _ask(self) -> int:
        udp = await self._open_udp()
        try:
            place = await udp.place(self._host, self._port)
            # What is sent is drawn at random: it tells nobody our clock, and nobody guesses it.
            ours = self._crypto.random(8)
            began = self._clock.ticks_ms()
            await udp.send(bytes((ASK,)) + bytes(SIZE - 9) + ours, place)
            while True:
                left = PATIENCE_MS - (self._clock.ticks_ms() - began)
                if left <= 0:
                    raise asyncio.TimeoutError
                answer, sender = await self._clock.wait_for_ms(udp.receive(), left)
                if sender == place and answer[24:32] == ours:
                    break
            way = self._clock.ticks_ms() - began
            if way > LONGEST_WAY_MS:
                raise NtpFault("%s: the answer took %d ms" % (self._host, way))
            return date_of(answer, way // 2, max(self._clock.floor, _NOT_BEFORE))
        finally:
            await udp.close()

    def _take(self, date: int) -> None:
        if not self._clock.unix_time() and not self._trusted:
            self._clock.guess(date)
            raise NtpFault("the clock stays unset: the date of %s is a guess" % self._host)
        self._correct(date, self._trusted, "that of " + self._host, self._trusted)

    def _tell(self, text: str) -> None:
        """Once, until it is another."""
        if text and text != self._told:
            log.warning(_WHERE, text)
        self._told = text


def date_of(answer: bytes, late_ms: int, not_before: int) -> int:
    """Seconds since 1970 UTC when the answer came, `late_ms` after it was sent. `not_before` tells
    the era (RFC 5905 section 6 has them). NtpFault."""
    if len(answer) < SIZE or answer[0] & 7 != SERVER:
        raise NtpFault("expected an answer of an NTP server, came %d octets" % len(answer))
    stratum = answer[1]
    if stratum == 0:
        code = "".join([chr(c) if 65 <= c <= 90 else "?" for c in answer[12:16]])
        raise NtpFault("the server does not want to be asked: %s" % code, True)
    if answer[0] >> 6 == UNSYNCHRONISED or stratum > MOST_STRATUM:
        raise NtpFault("the server does not know the time itself")
    seconds = int.from_bytes(answer[40:44], "big")
    if not seconds:
        raise NtpFault("the server tells no time")
    thousandths = int.from_bytes(answer[44:48], "big") * 1000 >> 32
    date = seconds - _EPOCH + (thousandths + late_ms) // 1000
    while date < not_before - _ERA // 2:
        date += _ERA
    return date
