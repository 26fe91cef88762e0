"""An image to many at once: each condition of the campaign by itself, with the exact course."""

from __future__ import annotations

from gateway.activities.image import blocks, campaign, conversations, image_object
from gateway.activities.image.block_planning import Bitmap, Costs
from gateway.activities.image.campaign import Campaign
from gateway.activities.image.conversations import Conversations, Member
from gateway.activities.image.transfer import Order
from gateway.contract.result import WAIT, Result
from gateway.meters.hindrance import Hindrance
from gateway.meters.reach import Unreached
from tests.portable.activities.test_image_campaign import (
    APPLIED,
    BLOCKS,
    CONTENT,
    JobControl,
    ScriptedFleet,
    all_applied,
    meters,
    run_now,
    transfer,
)
from tests.portable.activities.test_image_transfer import (
    BLOCK,
    NEW,
    NOW,
    OTHER,
    TEMPORARY,
    Content,
)
from tests.portable.dlms.scripted_meter import FIRMWARE, octets
from tests.portable.support import raises, run

ACTIVATE, VERIFY = 4, 3


def a_campaign(count=4, activation=0, again=False):
    """(campaign, its members, fleet, control), not begun; the image is 40 blocks."""
    fleet = ScriptedFleet(meters(count))
    control = JobControl(fleet)
    order = Order(Content(CONTENT), activation, again, fleet.clock)
    one = Campaign(fleet, order, control, 2)
    members = [Member(meter, again, None) for meter in fleet.meters.values()]
    one._talk.begin(members)
    one._blocks.size, one._blocks.count = BLOCK, BLOCKS
    return one, members, fleet, control


# ---------------------------------------------------------------- ACTIVATE by broadcast


def test_nobody_is_told_to_activate_unless_a_sentinel_has_verified():
    """The sentinels of a network of 20 are some of them; if none has verified, all are checked."""
    for verdict, told_at_once in ((3, True), (4, False)):
        fleet = ScriptedFleet(meters(20))
        for meter in fleet.meters.values():
            meter.verdict = verdict
        results = transfer(fleet)
        activates = [
            number for number in range(len(fleet.sent)) if fleet.sent[number][0] == ACTIVATE
        ]
        assert bool(activates) == told_at_once
        expected = APPLIED if told_at_once else ("KO", "image-verify-failed")
        assert set(results.values()) == {expected}
        assert [meter.activated for meter in fleet.meters.values()] == [int(told_at_once)] * 20


def test_one_sentinel_that_would_activate_another_image_keeps_all_from_it():
    fleet = ScriptedFleet(meters(20))
    fleet.meters["M0"].told = b"OTHER"
    results = transfer(fleet)
    assert results.pop("M0") == ("KO", "image-not-ours")
    assert set(results.values()) == {APPLIED}
    assert fleet.count(ACTIVATE) == 0
    assert fleet.meters["M0"].activated == 0


def test_each_reason_not_to_tell_all_to_activate():
    """All is well: True. Each other row changes one thing."""

    def well(one, members, fleet):
        pass

    def later(one, members, fleet):
        one._order.activation = NOW + 1

    def stranger(one, members, fleet):
        fleet.others.append("X")

    def stale(one, members, fleet):
        members[3].stale = True

    def doubt(one, members, fleet):
        one._doubt = True

    def none_verified(one, members, fleet):
        for meter in fleet.meters.values():
            meter.status, meter.have = 1, "1" * 30 + "0" * 10

    def foreign(one, members, fleet):
        members[2].foreign = True

    for change, expected in (
        (well, True),
        (later, False),
        (stranger, False),
        (stale, False),
        (doubt, False),
        (none_verified, False),
        (foreign, False),
    ):
        one, members, fleet, _ = a_campaign()
        for meter in fleet.meters.values():
            meter.status, meter.have = 3, "1" * BLOCKS
            meter.image, meter.identifier = bytearray(CONTENT), b"V03"
        change(one, members, fleet)
        assert run(one._all_may_activate()) == expected, change
    one, members, fleet, _ = a_campaign(activation=NOW)
    for meter in fleet.meters.values():
        meter.status, meter.have = 3, "1" * BLOCKS
        meter.image, meter.identifier = bytearray(CONTENT), b"V03"
    assert run(one._all_may_activate()), "its time has come"


# ---------------------------------------------------------------- sums


def test_loss_is_what_was_missed_of_the_rounds_since_it_was_asked():
    one, (member, *_), _, _ = a_campaign()

    def has(count):
        bits = Bitmap(BLOCKS)
        for block in range(count):
            bits.add(block)
        return bits

    one._blocks._sent, one._blocks._rounds = list(range(BLOCKS)), 1
    one._blocks.learn(member, has(30))
    assert abs(member.loss - 0.25) < 1e-9 and member.seen == 1 and member.has.held() == 30
    one._blocks._sent, one._blocks._rounds = list(range(30, BLOCKS)), 3
    one._blocks.learn(member, has(39))
    # Of the ten it lacked one is missed after two rounds.
    assert abs(member.loss - 0.1**0.5) < 1e-9 and member.seen == 3
    before = member.loss
    one._blocks.learn(member, has(39))
    assert member.loss == before, "no round since: nothing is learned"
    one._blocks._rounds = 4
    one._blocks.learn(member, has(40))
    assert member.loss == 0
    one._blocks._rounds = 5
    one._blocks.learn(member, has(40))
    assert member.loss == 0, "it lacked nothing"
    one._blocks._rounds, one._blocks._sent = 6, list(range(BLOCKS))
    member.has = None
    one._blocks.learn(member, None)
    assert member.loss == 1 and member.has is None


def test_what_sentinels_say_of_the_line():
    """With nothing missed a loss of half a block in all they have heard is assumed."""
    for missing, losses in ((0, 0.5 / (BLOCKS * 4)), (4, 0.1)):
        one, members, fleet, _ = a_campaign()
        one._blocks._sent, one._blocks._rounds = list(range(BLOCKS)), 1
        for member in members:
            member.has = Bitmap(BLOCKS)
        for meter in fleet.meters.values():
            meter.status, meter.have = 1, "1" * (BLOCKS - missing) + "0" * missing
        assert run(one._blocks.rounds_wanted(BLOCKS)) >= 1
        assert [round(each, 6) for each in one._blocks._losses] == [round(losses, 6)] * 4


def test_sentinels_that_hear_nothing_or_say_nothing():
    one, members, fleet, _ = a_campaign()
    one._blocks._sent, one._blocks._rounds = list(range(BLOCKS)), 1
    for member in members:
        member.has = Bitmap(BLOCKS)
    for meter in fleet.meters.values():
        meter.status, meter.have = 1, "0" * BLOCKS
    assert run(one._blocks.rounds_wanted(BLOCKS)) == 0, "no broadcast is heard: one by one"
    one, members, fleet, _ = a_campaign()
    one._blocks._sent, one._blocks._rounds = list(range(BLOCKS)), 1
    for meter in fleet.meters.values():
        meter.gone = 1000
    losses = list(one._blocks._losses)
    assert run(one._blocks.rounds_wanted(BLOCKS)) == 1, "nobody answers: nothing is known"
    assert one._blocks._losses == losses


def test_who_lacks_a_few_is_mended_and_who_lacks_more_is_not():
    """Of 40 blocks ten may be lacking."""
    for lacking, mended in ((0, False), (1, True), (10, True), (11, False)):
        one, (member, *_), _, _ = a_campaign()
        member.has = Bitmap(BLOCKS)
        for block in range(BLOCKS - lacking):
            member.has.add(block)
        assert (one._blocks.mendable([]) == [member]) == mended, lacking
        assert one._blocks.mendable(list(range(BLOCKS))) == [], "all of it is broadcast again"
        member.verified = True
        assert one._blocks.mendable([]) == []
    one = a_campaign()[0]
    assert one._blocks.mendable([]) == [], "what they have is not known"


def test_the_price_of_a_block_and_of_a_conversation():
    one, _, fleet, _ = a_campaign()
    run(one._blocks.send([0, 1, 2, 3]))
    assert one._blocks.costs.broadcast == 100 and one._blocks.costs.unicast == 60
    assert one._blocks._rounds == 1 and list(one._blocks._sent) == [0, 1, 2, 3]
    assert fleet.sent == [(2, 0), (2, 1), (2, 2), (2, 3)]
    phase, took, left = one.outlook()
    assert (phase, took, left) == ("blocks", 400, 0)


def test_a_forecast_while_it_runs():
    """Asked at every broadcast: time goes on, what is left shrinks, and phases come in order."""
    fleet = ScriptedFleet(meters(6))
    control = JobControl(fleet)
    one = Campaign(fleet, Order(Content(CONTENT), 0, False, fleet.clock), control, 2)
    seen = []
    held = fleet.broadcast

    async def broadcast(method, data):
        await held(method, data)
        seen.append(one.outlook())

    fleet.broadcast = broadcast
    run(one.run([Member(meter, False, None) for meter in fleet.meters.values()]))
    assert {each.reason for each in control.results.values()} == {"applied"}
    phases = [phase for phase, _, _ in seen]
    assert [p for i, p in enumerate(phases) if i == 0 or phases[i - 1] != p] == [
        "survey",
        "blocks",
        "verify",
    ]
    times = [took for _, took, _ in seen]
    assert times == sorted(times) and times[-1] - times[0] >= 100 * (len(seen) - 1)
    left = [each for phase, _, each in seen if phase == "blocks"]
    assert left[0] == 0 and left[1] > left[-1] > 0
    few = blocks.PROBE - 1  # after these, meters are asked
    drops = [left[i] - left[i + 1] for i in range(1, BLOCKS - 1) if i != few]
    assert set(drops) == {100}, "a block less each time"


# ---------------------------------------------------------------- status by status


def test_what_an_earlier_transfer_left_is_worth():
    """(status, blocks there, what it would activate) -> (known, verified, stale)."""
    some, whole = "1" * 30 + "0" * 10, "1" * BLOCKS
    for status, have, told, again, expected in (
        (0, None, None, True, (None, False, False)),
        (1, some, None, True, (30, False, True)),
        (2, whole, None, True, (40, False, True)),
        (3, whole, b"V03", True, (0, True, True)),
        (3, whole, b"OTHER", True, (None, False, True)),
        (4, some, None, True, (30, False, True)),
        (4, whole, None, True, (None, False, True)),
        (5, whole, b"V03", True, (0, True, True)),
        (6, whole, b"V03", True, (None, False, False)),
        (7, whole, b"V03", True, (None, False, False)),
        (1, some, None, False, (None, False, True)),
        (3, whole, b"V03", False, (None, False, True)),
        (1, "11", None, True, (2, False, True)),
        (1, some + "0" * 8, None, True, (30, False, True)),
        (1, some + "0001", None, True, (None, False, True)),  # of a longer image
    ):
        one, (member, *_), fleet, _ = a_campaign(1, again=again)
        meter = fleet.meters["M0"]
        meter.status, meter.have = status, have
        meter.verify_polls = meter.activate_polls = 9
        meter.image, meter.identifier, meter.told = bytearray(CONTENT), b"V03", told
        one._blocks.size = one._blocks.count = 0
        run(one._survey())
        known = None if member.has is None else member.has.held()
        found = (known, member.verified, member.stale)
        assert found == expected, (status, have, told, again, found)
        assert member.before == status


def test_what_a_check_finds():
    """By status: whether it is verified, activating, what it has; or its end."""
    whole = "1" * BLOCKS
    some = "1" * 30 + "0" * 10
    for status, have, verdict, verified, activating, known in (
        (0, None, None, False, False, None),
        (1, some, None, False, False, 30),
        (3, whole, None, True, False, None),
        (4, some, None, False, False, 30),
        (5, whole, None, True, True, None),
    ):
        one, (member, *_), fleet, _ = a_campaign(1)
        meter = fleet.meters["M0"]
        meter.status, meter.have, meter.activate_polls = status, have, 9
        meter.image, meter.identifier = bytearray(CONTENT), b"V03"
        assert run(one._check(meter, member)) is verdict, status
        assert (member.verified, member.activating) == (verified, activating), status
        assert (None if member.has is None else member.has.held()) == known, status
    one, (member, *_), fleet, _ = a_campaign(1)
    meter = fleet.meters["M0"]
    meter.status, meter.have, meter.image = 4, whole, bytearray(CONTENT)
    found = run(one._check(meter, member))
    assert (found.reason, found.detail) == (
        "image-verify-failed",
        "step 5: verification failed; not activated",
    )
    member.stale, member.has = True, Bitmap(BLOCKS)
    assert run(one._check(meter, member)) is None and member.has is None, "brought anew"
    one, (member, *_), fleet, _ = a_campaign(1)
    meter = fleet.meters["M0"]
    meter.status, meter.have, meter.verify_polls = 2, whole, 9
    assert run(one._check(meter, member)) == conversations.AGAIN_MS
    for _ in range(conversations.SILENT):  # it has no time for us
        verdict = one._talk._broken(member, Unreached(True, "no answer"))
    assert (verdict.outcome, verdict.reason) == (WAIT, "image-verifying")


def test_a_status_that_has_not_moved_since_an_earlier_failure_says_nothing():
    """It failed for want of blocks; now they are there, and the broadcast VERIFY was not heard."""
    one, (member, *_), fleet, _ = a_campaign(1)
    meter = fleet.meters["M0"]
    meter.status, meter.have, meter.image = 4, "1" * BLOCKS, bytearray(CONTENT)
    meter.identifier = b"V03"
    member.before, member.stale, member.has = 4, True, Bitmap(BLOCKS)
    assert run(one._check(meter, member)) == 0, "told to verify"
    assert run(one._check(meter, member)) is None and member.verified
    meter.status, member.verified = 4, False  # and now it has moved
    assert run(one._check(meter, member)) is None and member.has is None, "brought anew"


def test_what_a_check_finds_once_all_have_been_told_to_activate():
    """It runs the image; or it has verified it and did not hear; or it holds another one."""
    for status, runs, told, reason, verified, foreign, doubt in (
        (6, NEW, None, "applied", False, False, False),
        (3, "V02.10.01", None, None, True, False, False),
        (3, "V02.10.01", b"OTHER", None, False, True, True),
        (5, "V02.10.01", None, None, True, False, False),
    ):
        one, (member, *_), fleet, _ = a_campaign(1)
        one._told_all, member.activating = True, True
        meter = fleet.meters["M0"]
        meter.status, meter.have, meter.activate_polls = status, "1" * BLOCKS, 9
        meter.image, meter.identifier, meter.told = bytearray(CONTENT), b"V03", told
        meter.values[FIRMWARE] = octets(runs)
        found = run(one._check(meter, member))
        assert (found and found.reason) == reason, status
        assert (member.verified, member.foreign, one._doubt) == (verified, foreign, doubt), status
        assert member.activating == (status >= 5), status


def test_who_has_all_and_did_not_hear_verify_is_told_by_itself():
    for refusal, polls, expected, status in (
        (None, 0, 0, 3),
        (None, 9, 2000, 2),  # "not yet", and at work
        (TEMPORARY, 0, 2000, 1),
        (OTHER, 0, "step 5: no; not activated", 1),
    ):
        one, (member, *_), fleet, _ = a_campaign(1)
        meter = fleet.meters["M0"]
        meter.status, meter.have = 1, "1" * BLOCKS
        meter.image, meter.identifier, meter.verify_polls = bytearray(CONTENT), b"V03", polls
        if refusal is not None:
            meter.refuses[VERIFY] = refusal
        found = run(one._check(meter, member))
        assert (found.detail if isinstance(found, Result) else found) == expected
        assert meter.status == status


# ---------------------------------------------------------------- conversations


def some_conversations(count=3, at_once=1):
    fleet = ScriptedFleet(meters(count))
    control = JobControl(fleet)
    talk = Conversations(fleet, control, at_once)
    members = [Member(meter, False, None) for meter in fleet.meters.values()]
    talk.begin(members)
    return talk, members, fleet, control


def test_what_a_conversation_takes():
    talk, members, fleet, _ = some_conversations(3)
    assert talk.exchange_ms() == 0

    async def work(client, member):
        fleet.clock.advance(70)

    run(talk.each(members, work))
    assert talk.exchange_ms() == 120
    assert fleet.talks == ["M0", "M1", "M2"]
    talk, members, fleet, _ = some_conversations(4, 2)

    async def other(client, member):
        pass

    run(talk.each(members, other))
    assert talk.exchange_ms() == 50 / 2


def test_stopped_before_the_next_conversation_and_the_next_broadcast():
    talk, members, fleet, control = some_conversations(3)

    async def work(client, member):
        control.stopped = len(fleet.talks) == 2

    raises(conversations.Stopped, run, talk.each(members, work))
    assert fleet.talks == ["M0", "M1"]
    raises(conversations.Stopped, run, talk.broadcast(3, b""))
    assert fleet.sent == []
    raises(conversations.Stopped, run, talk.pause(10))


def test_silence_is_tried_ever_more_seldom_and_three_times():
    talk, (member, *_), fleet, control = some_conversations(1)
    fleet.meters["M0"].gone = 1000
    times = []
    held = fleet.talk

    async def timed(*arguments):
        times.append(fleet.clock.ticks_ms())
        return await held(*arguments)

    fleet.talk = timed

    async def work(client, member):
        raise AssertionError("nobody is there")

    run(talk.each([member], work))
    assert len(times) == conversations.SILENT == 3
    pauses = [times[i + 1] - times[i] for i in range(2)]
    assert 10_000 <= pauses[0] <= 11_100 and 20_000 <= pauses[1] <= 21_100
    result = control.results["M0"]
    assert (result.outcome, result.reason, result.detail) == ("KO", "no-answer", "no answer")


def test_who_was_told_to_activate_and_is_silent_may_be_starting():
    talk, (member, *_), fleet, control = some_conversations(1)
    fleet.meters["M0"].gone = 1000
    member.activating = True

    async def work(client, member):
        raise AssertionError("nobody is there")

    run(talk.each([member], work))
    result = control.results["M0"]
    assert (result.outcome, result.reason, result.wait_s) == (WAIT, "image-activating", 30)


def test_who_was_heard_once_is_lost_and_who_never_was_does_not_answer():
    for heard, seconds, reason in (
        ((False, False, False), [10, 20], "no-answer"),
        ((True, False, False, False), [10, 10, 20], "link-lost"),
        ((False, True, False, False, False), [10, 10, 10, 20], "link-lost"),
        ((False, False, True, False, False, False), [10, 20, 10, 10, 20], "link-lost"),
    ):
        talk, (member, *_), _, _ = some_conversations(1)
        again = [talk._broken(member, Unreached(True, "lost", each)) for each in heard]
        last = again.pop()
        assert (last.outcome, last.reason, last.detail) == ("KO", reason, "lost"), heard
        assert again == [1000 * each for each in seconds], heard


def test_what_hinders_us_is_no_conversation_that_broke_off():
    talk, (member, *_), fleet, _ = some_conversations(1)
    spent = Unreached(False, "spent", hindrance=Hindrance("radio-budget", "spent", 90))
    for _ in range(conversations.GONE_MS // conversations.AGAIN_MS + 1):
        assert talk._broken(member, spent) == conversations.AGAIN_MS
        fleet.clock.advance(conversations.AGAIN_MS)
    assert (member.silent, member.broken) == (0, 0)
    assert raises(conversations.Gone, talk._broken, member, spent).reason == "radio-budget"


def test_times_and_counts_of_conversations():
    assert (conversations.SILENT, conversations.MOST_TRIES) == (3, 20)
    assert (conversations.AGAIN_MS, conversations.TURN_MS) == (10_000, 1000)
    assert (conversations.TALK_MS, conversations.PATIENCE_MS) == (1_800_000, 900_000)
    assert (conversations.GONE_MS, conversations.RESULTS_AT_ONCE) == (600_000, 32)


def test_patience_to_the_millisecond():
    talk, (member, *_), fleet, _ = some_conversations(1)
    talk.begin_waiting([member])
    end = Result(WAIT, "image-verifying")
    fleet.clock.advance(conversations.PATIENCE_MS - 1)
    assert talk.later(member, end) == conversations.AGAIN_MS
    fleet.clock.advance(1)
    assert talk.later(member, end) is end


def test_a_result_is_told_once_and_many_side_by_side():
    talk, members, _, control = some_conversations(70)
    result = Result("KO", "modem-gone")
    run(talk.end(members[0], result))
    run(talk.end(members[0], result))
    at_work, most = [], []
    held = control.finish

    async def finish(member, result):
        import asyncio

        at_work.append(member)
        most.append(len(at_work))
        await asyncio.sleep(0)
        at_work.remove(member)
        await held(member, result)

    control.finish = finish
    run(talk.end_all(result, members[:3]))
    assert len(control.results) == 3
    run(talk.end_all(result))
    assert len(control.results) == 70 and talk.members == []
    assert max(most) == conversations.RESULTS_AT_ONCE == 32


def test_a_modem_out_of_order_for_ten_minutes_and_not_a_moment_less():
    talk, _, fleet, _ = some_conversations(1)
    fleet.failing = 10**6
    before = fleet.clock.ticks_ms()
    raises(conversations.Gone, run, talk.broadcast(3, b""))
    waited = fleet.clock.ticks_ms() - before
    assert conversations.GONE_MS < waited <= conversations.GONE_MS + 2 * conversations.AGAIN_MS
    # One that works again begins the count anew.
    talk, _, fleet, _ = some_conversations(1)
    for _ in range(3):
        fleet.failing = 50
        run(talk.broadcast(3, b""))
    assert fleet.clock.ticks_ms() > conversations.GONE_MS


def test_the_costs_at_first():
    one, _, _, _ = a_campaign()
    costs = one._blocks.costs
    assert isinstance(costs, Costs)
    assert (costs.broadcast, costs.unicast, costs.exchange) == (1.0, 0.6, 1.0)
    assert one._blocks._losses == [0.02, 0.1, 0.3, 0.5]
    assert (blocks.SENTINELS, campaign.REPAIRS, blocks.FEW) == (16, 4, 4)


def test_meters_are_untouched_by_a_campaign_that_reaches_nobody():
    fleet = ScriptedFleet([])
    assert transfer(fleet) == {}
    assert fleet.sent == [] and fleet.talks == []


def test_already_verified_needs_no_block_and_no_initiate():
    fleet = ScriptedFleet(meters(3))
    for meter in fleet.meters.values():
        run_now(meter.action(18, image_object.NAME, 1, image_object.initiate(b"V03", len(CONTENT))))
        meter.begun = 0
        for number in range(BLOCKS):
            meter._take(number, CONTENT[number * BLOCK :][:BLOCK])
        meter.status = 3
    all_applied(fleet, transfer(fleet, again=True))
    assert fleet.count(1) == fleet.count(2) == 0
    assert [meter.begun for meter in fleet.meters.values()] == [0, 0, 0]
