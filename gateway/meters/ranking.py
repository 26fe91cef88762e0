"""Which path of a meter is worth trying first: its delivery, learned, less what it costs.

Delivery is the share of requests answered, smoothed over attempts: a new one counts a quarter. So
one silent attempt sends the next one over another path, and a path that answers every request only
at the second try is passed over as well. As hours go by, a bad path slowly gets its good name back:
what was wrong with it, an evening's noise or a switched-off line, may be over.
"""

from __future__ import annotations

# Delivery is kept in half percents, so that a byte is fine enough for smoothing.
PRIOR = 180  # nothing is known of the path yet
_FULL = 200

# Percent of delivery that a path must be better by. Nothing is known at first, so that the costs
# decide: PLC before RF, whose budget of airtime is small, before IP, whose traffic is paid for.
_COST = {"plc": 0, "rf": 10, "ip": 20}


def learned(rate: int, percent: int) -> int:
    """The rate after an attempt in which `percent` of the requests were answered."""
    return min((3 * rate + 2 * percent + 2) // 4, _FULL)


def aged(rate: int) -> int:
    """The rate after another hour in which nothing was learned: from nothing to the prior in about
    a day."""
    return rate if rate >= PRIOR else rate + max((PRIOR - rate) // 8, 1)


def percent(rate: int) -> int:
    return rate // 2


def cost(rate: int, hops: int, silent: int) -> int:
    """Of the medium, for an exchange that succeeds: 100 is one with a neighbour that loses nothing.
    Distance unknown counts as two hops. Attempts without an answer in a row cost far more than any
    distance: most of their time is waiting in vain."""
    return (hops or 2) * 100 * _FULL // max(rate, _FULL // 10) + 10000 * silent


def worth(kind: str, rate: int) -> int:
    """What paths are ranked by."""
    return rate - 2 * _COST.get(kind, 0)
