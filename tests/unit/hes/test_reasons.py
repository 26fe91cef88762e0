"""Every reason has a meaning, and the operator's table says the same as the code."""

from __future__ import annotations

from pathlib import Path

from gateway.contract import reasons, result

TABLE = Path(__file__).parents[3] / "tools" / "hes" / "reasons.md"
TRIED_AGAIN = {
    **dict.fromkeys(result.TRIED_AGAIN, "yes"),
    **dict.fromkeys(result.HINDRANCES, "waits"),
    **dict.fromkeys(result.FINAL, "no"),
    **dict.fromkeys(result.OF_MESSAGES, "-"),
}


def test_every_reason_has_one_meaning() -> None:
    assert len(set(result.REASONS)) == len(result.REASONS)
    assert sorted(reasons.MEANINGS) == sorted(result.REASONS)
    assert {step for step, _ in reasons.MEANINGS.values()} == set(reasons.STEPS)


def test_the_operators_table_says_the_same() -> None:
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| `")]
    told = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    expected = []
    for reason, (step, sentence) in reasons.MEANINGS.items():
        words, who = reasons.STEPS[step]
        row = ["`%s`" % reason, sentence, TRIED_AGAIN[reason], words or "-", who or "-"]
        expected.append(row)
    assert told == expected, "write tools/hes/reasons.md anew: its rows stand in the assertion"


def test_a_technician_goes_only_where_hands_are_needed() -> None:
    steps = reasons.MEANINGS.items()
    assert {reason for reason, (step, _) in steps if step == reasons.TECHNICIAN} == {
        "no-answer",
        "meter-defective",
        "condition-broken",
        "image-stuck",
        "image-incomplete",
    }


def test_reasons_of_a_newer_concentrator() -> None:
    assert reasons.sentence("eaten-by-a-grue") == "eaten-by-a-grue"
    assert reasons.next_step("eaten-by-a-grue") == reasons.NOTHING
