"""Numbers of changes of trust and keys: each is taken once, in order, and a refusal says why."""

from __future__ import annotations

from gateway.contract.refused import Refused
from gateway.uplink.trust import SKEW_S, check_address, check_number
from tests.portable.support import raises


def test_only_the_next_number():
    check_number(1, 0, False)
    check_number(8, 7, False)
    for number, last, same, reason, detail in (
        (7, 7, True, "duplicate", "number 7 was taken before"),
        (7, 7, False, "replayed", "number 7, the last one taken is 7"),
        (6, 7, True, "replayed", "number 6, the last one taken is 7"),
        (6, 7, False, "replayed", "number 6, the last one taken is 7"),
        (0, 7, False, "replayed", "number 0, the last one taken is 7"),
        (9, 7, False, "out-of-order", "number 9, expected 8"),
        (2, 0, False, "out-of-order", "number 2, expected 1"),
    ):
        refused = raises(Refused, check_number, number, last, same)
        assert (refused.reason, refused.detail) == (reason, detail)


class Change:
    def __init__(self, concentrator, issued, not_after):
        self.concentrator = concentrator
        self.issued = issued
        self.not_after = not_after


def test_for_us_and_of_now():
    now = 1_800_000_000
    for change, reason in (
        (Change("street-1", now, now), ""),
        (Change("street-1", now + SKEW_S, now), ""),
        (Change("street-1", now + SKEW_S + 1, now), "not-yet-valid"),
        (Change("street-1", now, now - 1), "expired"),
        (Change("street-2", now, now), "wrong-concentrator"),
    ):
        if reason:
            assert raises(Refused, check_address, change, "street-1", now).reason == reason
        else:
            check_address(change, "street-1", now)
