"""How far a transfer is and how long it may take: exact sums."""

from __future__ import annotations

from gateway.activities.image.remaining_time import Outlook
from hal.sim.clock import ManualClock


def test_nothing_can_be_said_before_a_block_and_a_conversation():
    clock = ManualClock(0)
    outlook = Outlook(clock, 2, 10)
    assert (outlook.phase, outlook.talks, outlook.rounds, outlook.blocks) == ("survey", 10, 2, 0)
    clock.advance(700)
    assert outlook.now(10) == ("survey", 700, 0)
    outlook.talked(100)
    assert outlook.now(10) == ("survey", 700, 0)
    outlook = Outlook(clock, 2, 10)
    outlook.sent(100)
    assert outlook.now(10) == ("survey", 0, 0)


def test_conversations_and_blocks_by_what_they_have_taken():
    clock = ManualClock(0)
    outlook = Outlook(clock, 2, 10)
    outlook.blocks = 40
    for duration in (100, 200, 300):
        outlook.talked(duration)
    for duration in (10, 30):
        outlook.sent(duration)
    assert (outlook.talks, outlook.blocks, outlook.rounds) == (7, 38, 2)
    # 7 left in this phase and 2 rounds with 10 meters, 200 ms each, two at once; 38 blocks of 20.
    assert outlook.now(10) == ("survey", 0, 27 * 600 // (3 * 2) + 38 * 20)
    outlook.phase, outlook.rounds = "confirm", 0
    clock.advance(5)
    assert outlook.now(3) == ("confirm", 5, 7 * 100 + 38 * 20)


def test_left_is_never_nothing_and_never_less():
    clock = ManualClock(0)
    outlook = Outlook(clock, 0, 1)
    outlook.rounds = 0
    for _ in range(3):
        outlook.talked(100)
        outlook.sent(10)
    assert (outlook.talks, outlook.blocks) == (0, 0)
    assert outlook.now(5) == ("survey", 0, 1)
    outlook.rounds = 1
    assert outlook.now(5) == ("survey", 0, 500), "at_once is at least one"


def test_meters_that_verify_take_as_long_as_their_model_says_or_nobody_knows():
    clock = ManualClock(0)
    outlook = Outlook(clock, 1, 2)
    outlook.rounds = 0
    outlook.begin(2)
    for _ in range(2):
        outlook.talked(1000)
        outlook.sent(10)
    outlook.waits(clock.ticks_ms(), 0)
    assert outlook.now(2) == ("survey", 0, 0), "never: less than a minute"
    outlook.waits(clock.ticks_ms(), 1200)
    clock.advance(300_000)
    assert outlook.now(2) == ("survey", 300_000, 900_000)
    clock.advance(900_000)
    assert outlook.now(2) == ("survey", 1_200_000, 0)
    outlook.begin(3)
    assert outlook.now(2) == ("survey", 1_200_000, 3000)
