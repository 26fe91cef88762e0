"""Which readings are believed: each rule by itself, and the utility's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.contract import quality
from tests.unit.hes.readings import EVENT, LOG, NOW, PROFILE, STATUS, T0, register
from tools.hes.validation import rules, status
from tools.hes.validation.own_rules import OwnRules, RulesProblem
from tools.hes.validation.row import (
    AFTER_GAP,
    DUPLICATE,
    FLAGGED,
    FUTURE,
    NO_VALUE,
    OFF_PERIOD,
    OWN_RULE,
    REASONS,
    ROLLED_OVER,
    SPIKE,
    WENT_BACK,
    Column,
    Row,
    Shape,
    reasons_text,
)
from tools.hes.validation.row import (
    STATUS as VOID,
)


def shape(*columns: list[Any], period: int = 900) -> Shape:
    return Shape(7, PROFILE, period, tuple(Column(*each) for each in columns))


ONE = shape(register(1))


def judged(of: Shape, some: list[tuple[int, Any]], before: Row | None = None) -> list[int]:
    """The reasons of rows (period after T0, value)."""
    made = [
        Row(T0 + round(at * of.period), value if isinstance(value, list) else [value], 0, NOW)
        for at, value in some
    ]
    rules.judge(of, before, made)
    return [row.reasons for row in made]


def test_what_counts_up_and_what_does_not() -> None:
    def counter(obis: tuple[int, ...], class_id: int = 3, attribute: int = 2) -> bool:
        return rules.is_counter(Column(class_id, bytes(obis), attribute, 0, 6, 0, 30))

    assert counter((1, 0, 1, 8, 0, 255)) and counter((1, 0, 2, 8, 1, 255), 4)
    assert not counter((1, 0, 1, 29, 0, 255))  # of a period
    assert not counter((1, 0, 16, 8, 0, 255))  # import less export
    assert not counter((1, 0, 32, 7, 0, 255))  # a voltage
    assert not counter((1, 0, 1, 9, 0, 255))  # begins anew with each billing period
    assert not counter((1, 0, 1, 8, 0, 255), 1) and not counter((1, 0, 1, 8, 0, 255), 3, 3)
    assert not counter((0, 0, 1, 8, 0, 255))


def test_a_register_that_goes_back() -> None:
    assert judged(ONE, [(0, 1000), (1, 1050), (2, 1040), (3, 1045)]) == [0, 0, WENT_BACK, 0]
    assert judged(shape(register(1, 7)), [(0, 9), (1, 5)]) == [0, 0]
    before = Row(T0 - 900, [2000], 0, NOW)
    assert judged(ONE, [(0, 1000)], before) == [WENT_BACK]
    assert judged(ONE, [(0, 1000)], Row(T0 - 900, [])) == [0]  # of other columns


@pytest.mark.parametrize("end", [(1 << 32) - 5, 999_990, 99_999_000])
def test_a_register_that_rolls_over(end: int) -> None:
    assert judged(ONE, [(0, end), (1, 10), (2, 60)]) == [0, ROLLED_OVER, 0]
    assert judged(ONE, [(0, end), (1, end // 2)]) == [0, WENT_BACK]


def test_rows_that_are_missing_before_one() -> None:
    assert judged(ONE, [(0, 1), (1, 2), (3, 3)]) == [0, 0, AFTER_GAP]
    assert judged(ONE, [(0, 1)], Row(T0 - 1800, [1])) == [AFTER_GAP]
    assert judged(ONE, [(0, 1)], Row(T0 - 900, [1])) == [0]
    assert judged(ONE, [(0, 1)]) == [0]  # the first one of all


@pytest.mark.parametrize(
    "period, days, whole",
    [
        (86400, 25 / 24, True),
        (86400, 2, False),
        (30 * 86400, 31 / 30, True),
        (30 * 86400, 2, False),
    ],
)
def test_days_of_25_hours_and_months_of_31_days_are_no_gap(
    period: int, days: float, whole: bool
) -> None:
    found = judged(shape(register(1), period=period), [(0, 1), (days, 2)])
    assert found[1] & AFTER_GAP == (0 if whole else AFTER_GAP)


def test_a_spike() -> None:
    calm = [(at, 1000 + 50 * at) for at in range(20)]
    jump = [*calm, (20, 1950 + 60_000), (21, 1950 + 60_050)]
    assert judged(ONE, jump) == [0] * 20 + [SPIKE, 0]
    # 20 kW for a quarter of an hour are a house's.
    assert judged(ONE, [*calm, (20, 1950 + 5_000)])[-1] == 0
    # In kWh with a scaler it is the same.
    kilo = shape(register(1, scaler=3))
    assert judged(kilo, [(at, 1000) for at in range(20)] + [(20, 1060)])[-1] == SPIKE
    assert judged(kilo, [(at, 1000) for at in range(20)] + [(20, 1004)])[-1] == 0
    # Of a large consumer it is nothing.
    large = [(at, 60_000 * at) for at in range(20)]
    assert judged(ONE, [*large, (20, 60_000 * 19 + 90_000)])[-1] == 0
    # Too little to judge by; no energy.
    assert judged(ONE, [(0, 0), (1, 50), (2, 90_000)])[-1] == 0
    assert judged(shape(register(1, unit=None)), jump)[-2] == 0


def test_times() -> None:
    row = Row(NOW + 301, [1], 0, NOW)
    soon = Row(NOW + 300, [1], 0, NOW)
    log = Shape(7, LOG, 0, (Column(*EVENT),))
    rules.judge(log, None, [soon, row])
    assert (soon.reasons, row.reasons) == (0, FUTURE)
    assert judged(ONE, [(0.5, 1)]) == [OFF_PERIOD]
    hourly = shape(register(1), period=3600)
    assert judged(hourly, [(0.5, 1), (0.75, 1), (0.8, 1)]) == [0, 0, OFF_PERIOD]  # India, Nepal


def test_two_rows_of_one_time() -> None:
    assert judged(ONE, [(0, 1), (1, 2), (1, 3), (2, 4)]) == [0, DUPLICATE, DUPLICATE, 0]
    made = [Row(T0, [1], quality.SECOND_PASS, NOW), Row(T0, [2], quality.SECOND_PASS, NOW)]
    rules.judge(ONE, None, made)
    assert [row.reasons for row in made] == [0, 0]


def test_flags_status_words_and_nothing() -> None:
    made = [
        Row(T0 + 900 * at, [value, word], flags, NOW)
        for at, (value, word, flags) in enumerate(
            [
                (1, 0, 0),
                (1, 0x08, 0),  # daylight saving
                (1, 0x04, 0),  # data not valid
                (1, b"\x02", 0),  # clock invalid
                (1, "1000", 0),  # bit 0 of a bit-string: critical error
                (1, "0001", 0),
                (None, 0, 0),
                (1, None, 0),
                (1, 0, quality.TIME_REPAIRED),
                (1, 0, quality.SECOND_PASS | quality.AFTER_GAP),
            ]
        )
    ]
    rules.judge(shape(register(1), STATUS), None, made)
    assert [row.reasons for row in made] == [
        0,
        0,
        VOID,
        VOID,
        VOID,
        0,
        NO_VALUE,
        NO_VALUE,
        FLAGGED,
        0,
    ]
    assert status.void_bits(bytes((0, 0, 96, 10, 77, 255))) == 0


def test_every_reason_has_its_words() -> None:
    row = Row(T0)
    assert row.validity == "valid" and reasons_text(row) == ""
    for reason, words in REASONS.items():
        row.reasons = reason
        assert reasons_text(row) == words and row.validity != "valid"
    row.words = "says the utility"
    row.reasons = OWN_RULE | SPIKE
    assert reasons_text(row) == "far more than at any other time; says the utility"
    assert row.validity == "invalid"


def test_the_same_row_is_one_of_the_same_types() -> None:
    assert Row(1, [1, [b"x"]]).key() == Row(1, [1, [b"x"]], 5, 7, 9).key()
    assert Row(1, [float("nan")]).key() == Row(1, [float("nan")]).key()
    for other in ([True], [1.0], [2], [1, 1], [[1]], ["1"], [b"1"], [None]):
        assert Row(1, [1]).key() != Row(1, other).key()
    assert Row(1, [1]).key() != Row(2, [1]).key()


def test_a_file_of_rules(tmp_path: Path) -> None:
    good = tmp_path / "rules.py"
    good.write_text(
        "def check(meter, profile, columns, rows):\n"
        "    return {at: 'no' for at, (time, values) in enumerate(rows) if values[0] == 13}\n"
    )
    made = [Row(T0, [12]), Row(T0, [13], words="old")]
    assert OwnRules.load(good).judge("M", ONE, made) == ""
    assert [(row.reasons, row.words) for row in made] == [(0, ""), (OWN_RULE, "no")]
    for content, said in (
        ("x = ", "cannot be loaded: SyntaxError"),
        ("raise ValueError('no')", "cannot be loaded: ValueError: no"),
        ("check = 5", r"expected a function check\(meter, profile, columns, rows\)"),
    ):
        good.write_text(content)
        with pytest.raises(RulesProblem, match=said):
            OwnRules.load(good)
    other = tmp_path / "rules.txt"
    other.write_text("")
    with pytest.raises(RulesProblem, match="expected a Python file"):
        OwnRules.load(other)
    with pytest.raises(OSError):
        OwnRules.load(tmp_path / "none.py")
