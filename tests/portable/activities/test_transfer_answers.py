"""An image into one meter: answers that are lost or say "not now", step by step, and the exact
result of each; every bound by its number."""

from __future__ import annotations

from gateway.activities import pauses
from gateway.activities.image import image_object, methods, transfer
from gateway.activities.image.image_object import (
    ACTIVATE,
    BLOCK_OVERHEAD,
    INITIATE,
    TRANSFER,
    VERIFY,
)
from gateway.activities.image.transfer import Order
from gateway.contract.result import WAIT
from gateway.dlms.errors import AccessRefused, ActionRefused, NoAnswer, ServiceRefused
from hal.sim.clock import ManualClock
from tests.portable.activities.test_image_transfer import (
    BLOCK,
    BLOCKS,
    CONTENT,
    NEW,
    NOW,
    OTHER,
    TEMPORARY,
    Content,
    ImageMeter,
)
from tests.portable.dlms.scripted_meter import FIRMWARE, octets
from tests.portable.support import raises, run

APPLIED = ("OK", "applied")
OLD = "V02.10.01"
BEFORE, AFTER, BUSY, BUSY_AT_WORK = range(4)


class UnsureMeter(ImageMeter):
    """`answers`: method -> what happens at its next invocations: BEFORE, it is lost on its way
    there; AFTER, its answer is lost; BUSY, temporary-failure and nothing is done; BUSY_AT_WORK,
    temporary-failure and it is done all the same."""

    def __init__(self, **identity):
        ImageMeter.__init__(self, **identity)
        self.answers = {}
        self.invoked = []

    async def action(self, class_id, name, method, data):
        self.invoked.append(method)
        happens = self.answers.get(method)
        happens = happens.pop(0) if happens else None
        if happens == BEFORE:
            raise NoAnswer("no answer")
        if happens == BUSY:
            raise ActionRefused("temporary-failure", "ACTION", "not now", TEMPORARY)
        await ImageMeter.action(self, class_id, name, method, data)
        if happens == AFTER:
            raise NoAnswer("no answer")
        if happens == BUSY_AT_WORK:
            raise ActionRefused("temporary-failure", "ACTION", "not yet", TEMPORARY)


def bring(meter, activation=0, again=False, content=None, clock=None):
    """(result, ms it took), with a clock that runs by itself."""
    clock = clock or ManualClock(NOW)

    async def sleep_ms(duration):
        clock.advance(duration)

    clock.sleep_ms = sleep_ms
    before = clock.ticks_ms()
    order = Order(content or Content(), activation, again, clock)
    result = run(transfer.run(meter, "M1", order))
    return result, clock.ticks_ms() - before


def told(result):
    return result.outcome, result.reason


# ---------------------------------------------------------------- step 1


def test_initiate_may_be_lost_twice_and_not_three_times():
    for answers, times in (([BEFORE], 2), ([AFTER], 2), ([BEFORE, AFTER], 3)):
        meter = UnsureMeter()
        meter.answers[INITIATE] = list(answers)
        assert told(bring(meter)[0]) == APPLIED
        assert meter.invoked.count(INITIATE) == times
        assert meter.identifier == b"V03"
    meter = UnsureMeter()
    meter.answers[INITIATE] = [BEFORE] * methods.TRIES
    raises(NoAnswer, bring, meter)
    assert meter.invoked == [INITIATE] * 3
    assert meter.sent == []


def test_a_meter_that_does_not_begin_now_is_not_sent_a_block():
    for result, reason in ((TEMPORARY, "meter-busy"), (OTHER, "image-refused")):
        meter = UnsureMeter()
        meter.refuses[INITIATE] = result
        found, _ = bring(meter)
        assert told(found) == ("KO", reason)
        assert found.detail.startswith("step 1: ")
        assert ("too large" in found.detail) == (result == OTHER)
        assert meter.sent == [] and meter.status == 0


def test_image_transfer_is_enabled_only_where_it_is_not():
    for enabled in (True, False):
        meter = UnsureMeter()
        meter.enabled = enabled
        sets = []
        held = meter.set

        async def keep(*item, held=held, sets=sets):
            sets.append(item[:3])
            await held(*item)

        meter.set = keep
        assert told(bring(meter)[0]) == APPLIED
        assert sets == ([] if enabled else [image_object.ENABLED])


# ---------------------------------------------------------------- steps 2 to 4


def test_as_many_blocks_in_one_exchange_as_fit():
    each = BLOCK + BLOCK_OVERHEAD
    assert BLOCK_OVERHEAD == 30
    for capacity, sizes in (
        (each - 1, [1] * 7),
        (each, [1] * 7),
        (2 * each - 1, [1] * 7),
        (2 * each, [2, 2, 2, 1]),
        (7 * each, [7]),
    ):
        meter = UnsureMeter()
        meter.capacity = capacity
        exchanges = []
        held = meter.action_list

        async def count(items, held=held, exchanges=exchanges):
            exchanges.append(len(items))
            return await held(items)

        meter.action_list = count
        assert told(bring(meter)[0]) == APPLIED
        assert exchanges == sizes


def test_three_silent_blocks_in_a_row_and_the_path_is_asked_for():
    """Two, and it goes on: 0, 1 lost, 2 taken; then 3, 4, 5 lost and the meter is asked."""
    meter = UnsureMeter()
    meter.capacity = 50
    meter.lose = [True, True, False, True, True, True]
    assert told(bring(meter)[0]) == APPLIED
    assert transfer.SILENT == 3
    assert meter.sent == [0, 1, 2, 3, 4, 5, 0, 1, 3, 4, 5, 6]


def test_rounds_that_bring_nothing_come_to_an_end():
    """Six when no block gets through, which says nothing of the meter; two when they are taken and
    do not stick."""
    meter = UnsureMeter()
    meter.capacity = 50
    meter.lose = [True] * 1000
    lost = raises(NoAnswer, bring, meter)
    assert str(lost) == "step 3: 7 of 7 blocks get no answer, the first is 0"
    assert meter.sent == [0, 1, 2] * 6
    meter = UnsureMeter()
    meter.drops = [2, 4]
    result, _ = bring(meter)
    assert told(result) == ("KO", "image-incomplete")
    assert result.detail == "step 4: 2 of 7 blocks do not stick, the first is 2"
    assert meter.sent == list(range(BLOCKS)) + [2, 4] * 2
    assert VERIFY not in meter.invoked and ACTIVATE not in meter.invoked


def test_a_round_that_brings_one_block_begins_the_count_anew():
    meter = UnsureMeter()
    meter.capacity = 50
    # Five rounds of three blocks that are lost, then one that brings a block, three times.
    meter.lose = ([True] * 3 * 5 + [True, True, False, True, True, True]) * 3 + [False] * 9
    assert told(bring(meter)[0]) == APPLIED


def test_a_block_refused_for_now_is_sent_again_and_one_refused_for_good_is_not():
    meter = UnsureMeter()
    taken = meter._take
    refusals = [TEMPORARY]

    def take(number, block):
        return refusals.pop() if refusals and number == 3 else taken(number, block)

    meter._take = take
    result, took = bring(meter)
    assert told(result) == APPLIED and took == pauses.FIRST_MS
    assert meter.sent == [0, 1, 2, 3, 3, 4, 5, 6], "two exchanges, two blocks behind the third"
    meter = UnsureMeter()
    meter.refuses[TRANSFER] = OTHER
    result, _ = bring(meter)
    assert told(result) == ("KO", "image-refused")
    assert result.detail == "step 3: the meter refuses a block: other-reason"
    assert meter.sent.count(0) == 1


def test_sizes_of_blocks_at_their_bounds():
    most = transfer.MOST_BLOCKS
    assert most == 65536

    class Huge(Content):
        def __init__(self, size):
            Content.__init__(self)
            self.size = size

    for size, refused in ((most, False), (most + 1, True)):
        meter = UnsureMeter()
        meter.block_size = 1
        meter.refuses[INITIATE] = OTHER  # far enough
        result, _ = bring(meter, content=Huge(size))
        assert result.reason == ("block-too-large" if refused else "image-refused")
        assert (INITIATE in meter.invoked) != refused
    meter = UnsureMeter()
    assert told(bring(meter, content=Huge(0))[0]) == ("KO", "block-too-large")
    assert meter.invoked == []


# ---------------------------------------------------------------- what an earlier transfer left


def left_over(status, have, identifier=b"V03", image=CONTENT):
    meter = UnsureMeter()
    meter.status, meter.have, meter.identifier = status, have, identifier
    meter.image = bytearray(image)
    return meter


def test_what_is_built_upon():
    """By status and bitmap: whether it begins anew, and what is sent."""
    every = list(range(BLOCKS))
    for status, have, begins, sent in (
        (1, "1110000", 0, [3, 4, 5, 6]),
        (1, "0000000", 1, every),
        (1, "1111111", 0, []),
        (4, "1110111", 0, [3]),
        (4, "1111111", 1, every),  # all there, and not good
        (4, "0000000", 1, every),
        (0, "1110000", 1, every),
        (6, "1111111", 1, every),
        (7, "1111111", 1, every),
        (1, "111", 0, [3, 4, 5, 6]),
        (1, "11100001", 1, every),  # of another image
        (3, "1111111", 0, []),  # verified, and ours
    ):
        meter = left_over(status, have)
        assert told(bring(meter)[0]) == APPLIED, (status, have)
        assert meter.invoked.count(INITIATE) == begins, (status, have)
        assert meter.sent == sent, (status, have)


def test_blocks_of_another_image_are_found_out_once():
    """Verification fails, so it is brought anew; a second failure is the end."""
    meter = left_over(1, "1111000", b"OTHER", bytes(100))
    assert told(bring(meter)[0]) == APPLIED
    assert meter.invoked.count(INITIATE) == 1 and meter.invoked.count(VERIFY) == 2
    meter = left_over(1, "1111000", b"OTHER", bytes(100))
    meter.drops, meter.bits = [6], "1" * BLOCKS
    result, _ = bring(meter)
    assert told(result) == ("KO", "image-verify-failed")
    assert meter.invoked.count(INITIATE) == 1 and meter.invoked.count(VERIFY) == 2
    assert ACTIVATE not in meter.invoked


def test_another_image_that_is_being_verified_gives_way():
    meter = left_over(2, "1111111", b"OTHER")
    meter.verify_polls = 2
    assert told(bring(meter)[0]) == APPLIED
    assert meter.identifier == b"V03" and meter.sent == list(range(BLOCKS))
    meter = left_over(2, "1111111")
    meter.verify_polls = 2
    assert told(bring(meter)[0]) == APPLIED
    assert meter.sent == [] and meter.invoked == [ACTIVATE]


def test_one_that_is_being_activated_is_waited_for_and_told_nothing():
    meter = left_over(5, "1111111")
    meter.activate_polls = 3
    result, _ = bring(meter)
    assert told(result) == APPLIED and result.detail == "it runs " + NEW
    assert meter.invoked == []


# ---------------------------------------------------------------- step 5


def test_verify_lost_or_passing():
    """What happens to VERIFY, and the exact end."""
    for answers, verifies, least_ms in (
        ([AFTER], 1, 0),
        ([BUSY_AT_WORK], 1, 0),
        ([BEFORE], 2, methods.POLL_MS),
        ([BEFORE, AFTER], 2, methods.POLL_MS),
        ([BEFORE, BEFORE], 3, 2 * methods.POLL_MS),
        ([BUSY], 2, methods.SETTLE_MS),  # it may yet begin: that is watched for a while
        ([BUSY, BEFORE], 3, methods.SETTLE_MS),
    ):
        meter = UnsureMeter()
        meter.answers[VERIFY] = list(answers)
        meter.verify_polls = 1 if answers == [AFTER] else 0
        result, took = bring(meter)
        assert told(result) == APPLIED, answers
        assert meter.status == 6 and meter.invoked.count(VERIFY) == verifies, answers
        assert least_ms <= took <= least_ms + 2 * methods.POLL_MS
    meter = UnsureMeter()
    meter.answers[VERIFY] = [BUSY] * 9
    assert told(bring(meter)[0]) == ("KO", "meter-busy")
    assert meter.invoked.count(VERIFY) == methods.TRIES and ACTIVATE not in meter.invoked
    meter = UnsureMeter()
    meter.answers[VERIFY] = [BEFORE] * 9
    raises(NoAnswer, bring, meter)
    assert meter.invoked.count(VERIFY) == methods.TRIES and ACTIVATE not in meter.invoked


def test_a_status_that_has_not_moved_since_an_earlier_failure_says_nothing():
    """Verification has failed for want of blocks; now they are there, and VERIFY is lost."""
    meter = left_over(4, "1110111")
    meter.answers[VERIFY] = [BEFORE]
    assert told(bring(meter)[0]) == APPLIED
    assert meter.invoked.count(VERIFY) == 2 and meter.invoked.count(INITIATE) == 0
    meter = left_over(4, "1110111")
    meter.verdict = 4
    assert told(bring(meter)[0]) == ("KO", "image-verify-failed")


def test_a_meter_that_has_no_time_to_answer_while_it_verifies_is_waited_for():
    """Also one that has not even answered VERIFY: it may be at it."""
    silence = NoAnswer("no answer")
    for answer, error in (
        (BUSY_AT_WORK, silence),
        (BUSY_AT_WORK, AccessRefused("temporary-failure", "GET", "no", 2)),
        (AFTER, silence),
        (BEFORE, silence),
    ):
        meter = UnsureMeter()
        meter.answers[VERIFY] = [answer]
        held = meter.get

        async def get(class_id, name, attribute, meter=meter, held=held, error=error):
            if VERIFY in meter.invoked:
                raise error
            return await held(class_id, name, attribute)

        meter.get = get
        assert told(bring(meter)[0]) == (WAIT, "image-verifying")


def test_a_meter_that_erases_its_flash_first_is_waited_for():
    """60 s of temporary-failure after initiate: few frames, no technician; and one that never takes
    a block is busy, after two minutes."""
    meter = UnsureMeter()
    meter.capacity = 50
    clock = ManualClock(NOW)
    erased = clock.ticks_ms() + 60_000
    taken = meter._take

    def take(number, block):
        return taken(number, block) if clock.ticks_ms() >= erased else TEMPORARY

    meter._take = take
    result, took = bring(meter, clock=clock)
    assert told(result) == APPLIED and 60_000 <= took <= 63_000
    assert meter.sent == [0] * 6 + list(range(BLOCKS))
    for name in (TEMPORARY, 11):  # object-unavailable
        meter = UnsureMeter()
        meter.refuses[TRANSFER] = name
        result, took = bring(meter)
        assert told(result) == ("KO", "meter-busy") and result.worth_retrying()
        assert result.detail.startswith("step 3: the meter takes no block now: ")
        assert pauses.MOST_MS <= took <= pauses.MOST_MS + pauses.LONGEST_MS


def test_initiate_answered_with_not_now():
    """Either it has begun all the same, or it is asked again."""
    meter = UnsureMeter()
    meter.answers[INITIATE] = [BUSY_AT_WORK]
    result, took = bring(meter)
    assert told(result) == APPLIED and took == 0 and meter.invoked.count(INITIATE) == 1
    meter = UnsureMeter()
    meter.answers[INITIATE] = [BUSY, BUSY]
    result, took = bring(meter)
    assert told(result) == APPLIED and took == 3 * pauses.FIRST_MS
    assert meter.invoked.count(INITIATE) == 3


def test_what_a_refusal_says_is_the_reason():
    """By step and action-result, whatever the step's own reason is."""
    for method in (INITIATE, TRANSFER, VERIFY, ACTIVATE):
        for number, reason in (
            (1, "meter-defective"),
            (3, "access-denied"),
            (4, "object-mismatch"),
            (12, "type-mismatch"),
        ):
            meter = UnsureMeter()
            meter.refuses[method] = number
            assert told(bring(meter)[0]) == ("KO", reason), (method, number)


def test_verify_refused_is_the_end():
    meter = UnsureMeter()
    meter.refuses[VERIFY] = OTHER
    result, took = bring(meter)
    assert told(result) == ("KO", "image-verify-failed")
    assert result.detail == "step 5: initiated (other-reason); not activated"
    assert took == 0 and ACTIVATE not in meter.invoked


def test_verification_is_watched_for_so_long_and_then_waits():
    polls = methods.SETTLE_MS // methods.POLL_MS + 1
    assert (methods.SETTLE_MS, methods.POLL_MS, methods.WAIT_S) == (15_000, 2_000, 30)
    meter = UnsureMeter()
    meter.verify_polls = polls
    assert told(bring(meter)[0]) == APPLIED
    meter = UnsureMeter()
    meter.verify_polls = polls + 1
    result, took = bring(meter)
    assert told(result) == (WAIT, "image-verifying") and result.wait_s == 30
    assert methods.SETTLE_MS <= took <= methods.SETTLE_MS + methods.POLL_MS
    assert ACTIVATE not in meter.invoked


def test_a_model_that_takes_long_is_left_alone_for_longer():
    for expected_s, wait_s in ((0, 30), (240, 30), (1200, 150), (3600, 300)):
        assert methods.pause_s(expected_s) == wait_s


# ---------------------------------------------------------------- step 7


def test_activate_lost_or_passing():
    waits = (WAIT, "image-activating")
    for answers, expected, activates in (
        ([AFTER], APPLIED, 1),
        ([BUSY_AT_WORK], APPLIED, 1),
        ([BEFORE], APPLIED, 2),
        ([BEFORE, AFTER], APPLIED, 2),
        ([BEFORE, BEFORE, AFTER], APPLIED, 3),
        ([BUSY], waits, 1),
    ):
        meter = UnsureMeter()
        meter.answers[ACTIVATE] = list(answers)
        result, took = bring(meter)
        assert told(result) == expected, answers
        assert meter.invoked.count(ACTIVATE) == activates, answers
        if expected == waits:
            assert result.wait_s == methods.WAIT_S and took >= methods.SETTLE_MS
            assert meter.status == 3 and meter.values[FIRMWARE] == octets(OLD)
            # Another conversation: nothing is sent twice, and it is told again.
            assert told(bring(meter, again=True)[0]) == APPLIED
            assert meter.sent == list(range(BLOCKS))
            assert meter.invoked.count(ACTIVATE) == 2 and meter.invoked.count(VERIFY) == 1


def test_activate_refused_is_the_end():
    meter = UnsureMeter()
    meter.refuses[ACTIVATE] = OTHER
    result, took = bring(meter)
    assert told(result) == ("KO", "activation-failed")
    assert result.detail == "step 7: the meter refuses: other-reason"
    assert took == 0 and meter.status == 3


def test_what_the_meter_says_after_activation():
    for status, runs, expected, detail in (
        (6, NEW, APPLIED, "it runs V03.00.00"),
        (0, NEW, APPLIED, "it runs V03.00.00"),  # it has started anew
        (7, OLD, ("KO", "activation-failed"), "step 7: activation failed; the old one should run"),
        (
            6,
            OLD,
            ("KO", "activation-failed"),
            'step 7: activated, but it runs octet-string "V02.10.01", not V03.00.00',
        ),
        (
            0,
            OLD,
            ("KO", "activation-failed"),
            'step 7: not initiated, but it runs octet-string "V02.10.01", not V03.00.00',
        ),
    ):
        meter = UnsureMeter()

        async def action(class_id, name, method, data, meter=meter, status=status, runs=runs):
            await UnsureMeter.action(meter, class_id, name, method, data)
            if method == ACTIVATE:
                meter.status = status
                meter.values[FIRMWARE] = octets(runs)

        meter.action = action
        result, _ = bring(meter)
        assert told(result) == expected and result.detail == detail, (status, runs)


def test_a_meter_that_goes_to_start_is_waited_for():
    for error in (
        NoAnswer("no answer"),
        ServiceRefused("service-not-allowed", "other", None, "no"),
    ):
        meter = UnsureMeter()
        held = meter.get_list

        async def get_list(items, meter=meter, held=held, error=error):
            if ACTIVATE in meter.invoked:
                raise error
            return await held(items)

        meter.get_list = get_list
        result, took = bring(meter)
        assert told(result) == (WAIT, "image-activating") and took == 0
        assert result.wait_s == methods.WAIT_S


def test_the_time_of_activation_to_the_second():
    for activation, expected, wait_s in (
        (NOW + 1, (WAIT, "activation-waits"), 1),
        (NOW, APPLIED, 0),
        (NOW - 1, APPLIED, 0),
        (0, APPLIED, 0),
    ):
        meter = UnsureMeter()
        result, _ = bring(meter, activation)
        assert told(result) == expected and result.wait_s == wait_s
        assert (ACTIVATE in meter.invoked) == (expected == APPLIED)


def test_nothing_is_activated_that_is_not_ours_to_the_byte():
    for identifier, size in ((b"V04", 100), (b"V03", 99), (b"V0", 101)):
        meter = UnsureMeter()
        meter.told = identifier
        held = meter.get

        async def get(class_id, name, attribute, meter=meter, held=held, size=size):
            image = meter.image
            if attribute == 7 and class_id == 18:
                meter.image = bytes(size)
            try:
                return await held(class_id, name, attribute)
            finally:
                meter.image = image

        meter.get = get
        result, _ = bring(meter)
        assert told(result) == ("KO", "image-not-ours"), (identifier, size)
        assert result.detail == (
            "step 6: expected 563033 of 100 bytes, the meter would activate %s of %d bytes; "
            "not activated" % (identifier.hex(), size)
        )
        assert ACTIVATE not in meter.invoked
