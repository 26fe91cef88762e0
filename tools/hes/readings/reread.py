"""Rows that are missing are asked for again: by a signed job where `serve` has a key for that, else
by the command that a person may run.

Meters that lack the same rows are in one job. Rows are asked for MOST_TIMES at most, a day apart
and more; what then has not come stays a gap that people see. A concentrator has MOST_JOBS of these
jobs in a day at most, the oldest gaps first: readings that are due go before what was missed.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.contract.limits import MAX_METERS
from hal.rt import log
from tools.hes.orders import order
from tools.hes.orders.typed import DAY
from tools.hes.readings import expected, profiles, quantities
from tools.hes.readings.expected import Missing
from tools.hes.store.problems import StoreProblem
from tools.hes.store.records import Reread
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

EVERY_S = 3600  # between two looks for what is missing
BACK_S = 30 * DAY  # what is older is not looked for
MOST_TIMES = 3
MOST_JOBS = 50  # of one concentrator in a day
PRIORITY, TRIES, BACKOFF_S = 2, 2, 600

_WHERE = "readings"


@dataclass(frozen=True)
class Span:
    """Rows from `start` to `end`, both included, of one profile, that these meters lack."""

    concentrator: str
    profile: str
    start: int
    end: int
    missing: list[Missing]

    @property
    def meters(self) -> list[str]:
        return [each.series.serial for each in self.missing]

    def command(self) -> str:
        """What a person runs to have them read again."""
        times = [
            time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(at)) for at in (self.start, self.end)
        ]
        return shlex.join(
            [
                *("ami-hes", "submit", "--concentrator", self.concentrator),
                *("--readings", self.profile, "--rows-from", times[0], "--rows-to", times[1]),
                *("--meters", ",".join(self.meters), "--key", "KEY.pem"),
            ]
        )


def spans(missing: Sequence[Missing]) -> list[Span]:
    """What can be read again, oldest first, of many meters together where they lack the same."""
    found: dict[tuple[str, str, int, int], list[Missing]] = {}
    for each in missing:
        if each.reason or each.series.class_id != profiles.PROFILE_GENERIC:
            continue
        profile = "profile_generic %s.255" % quantities.short(each.series.obis)
        key = (each.series.concentrator, profile, each.start, each.end)
        found.setdefault(key, []).append(each)
    made = []
    for key in sorted(found, key=lambda one: (one[2], one)):
        some = found[key]
        for first in range(0, len(some), MAX_METERS):
            made.append(Span(*key, some[first : first + MAX_METERS]))
    return made


def order_again(store: Store, key: SigningKey) -> int:
    """One look for what is missing, and the jobs for it; how many. StoreProblem."""
    now = int(store.readings.now())
    some = store.readings.series()
    until = expected.due_until(store.readings, store.trust, some, now)
    missing = expected.missing(store.readings, some, now - BACK_S, until)
    ordered = store.readings.jobs_of_rereads(now - DAY)
    times = store.readings.rereads()
    made = 0
    for span in spans([each for each in missing if _is_due(each, times, now)]):
        if ordered.get(span.concentrator, 0) >= MOST_JOBS:
            continue
        terms = order.Terms(PRIORITY, 0, now + DAY, TRIES, BACKOFF_S)
        job = order.readings(
            store.orders,
            key,
            span.concentrator,
            span.meters,
            terms,
            span.profile,
            span.start,
            span.end,
        )
        for each in span.missing:
            before = times.get((each.series.id, each.start))
            count = 1 if before is None else before.times + 1
            store.readings.reread(each.series.id, each.start, count, job)
        ordered[span.concentrator] = ordered.get(span.concentrator, 0) + 1
        made += 1
    return made


def _is_due(each: Missing, times: dict[tuple[int, int], Reread], now: int) -> bool:
    before = times.get((each.series.id, each.start))
    if before is None:
        return True
    return before.times < MOST_TIMES and now - before.ordered >= before.times * DAY


def look(store: Store, key: SigningKey) -> None:
    """As order_again(), for who looks every now and then: what goes wrong is in the log."""
    try:
        made = order_again(store, key)
    except StoreProblem as error:
        log.error(_WHERE, "missing rows: %s; it is tried again" % error)
        return
    if made:
        log.info(_WHERE, "%d jobs ordered for rows that are missing" % made)
