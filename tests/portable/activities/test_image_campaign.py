"""One image to many meters at once: every phase, every fault named and confined to its meter."""

from __future__ import annotations

from gateway.activities.image import blocks, conversations, image_object
from gateway.activities.image import transfer as image_transfer
from gateway.activities.image.campaign import Campaign
from gateway.activities.image.conversations import Member
from gateway.activities.image.transfer import Order
from gateway.contract.own_model import OWN_MODEL
from gateway.contract.result import HINDERED, WAIT
from gateway.dlms.data import axdr
from gateway.dlms.errors import ActionRefused, NoAnswer, ServiceRefused
from gateway.meters.line_fields import InventoryError
from gateway.meters.model_error import ModelError
from gateway.meters.reach import Unreached
from hal.sim.channel import Rng
from hal.sim.clock import ManualClock
from tests.portable.activities.test_image_transfer import (
    BLOCK,
    NEW,
    NOW,
    OTHER,
    TEMPORARY,
    Content,
    ImageMeter,
)
from tests.portable.dlms.scripted_meter import FIRMWARE, octets
from tests.portable.support import random_bytes, run

APPLIED = ("OK", "applied")
CONTENT = random_bytes(3, 40 * BLOCK)
BLOCKS = 40


class FleetMeter(ImageMeter):
    """Takes broadcasts, too. `loss`: of them; `busy`: conversations it is somebody else's."""

    def __init__(self, serial="M", **identity):
        ImageMeter.__init__(self, serial=serial, **identity)
        self.serial = serial
        self.content = CONTENT
        self.loss = 0.0
        self.deaf = False  # to all broadcasts
        self.gone = 0  # conversations that do not come about
        self.talks = 0
        self.busy = 0
        self.begun = 0  # image_transfer_initiate
        self.activated = 0
        self.breaks_after = -1  # so many requests of a conversation

    def _advance(self):
        if self.status == 2:
            self.verify_polls -= 1
            if self.verify_polls < 0:
                good = bytes(self.image) == self.content and "0" not in self.have
                self.status = self.verdict if good else 4
        else:
            ImageMeter._advance(self)

    async def action(self, class_id, name, method, data):
        self._advance()
        if method not in self.refuses:
            if method == 3 and (self.status not in (1, 4) or "0" in self.have):
                if self.status == 3:
                    return
                self._refuse(OTHER)
            if method == 1 and not self.block_size:
                self._refuse(OTHER)
            if method == 4 and self.status not in (3, 5, 6):
                self._refuse(OTHER)
            if method == 4 and self.status == 6:
                return
            self.begun += method == 1
            self.activated += method == 4
        await ImageMeter.action(self, class_id, name, method, data)
        self._advance()

    def _refuse(self, result):
        raise ActionRefused(image_object.result_name(result), "ACTION", "no", result)

    def hear(self, method, data):
        """A broadcast: what a meter refuses, it just does not do."""
        if method == 2:
            (_, number), (_, block) = axdr.decode(data)[1]
            if self.status in (1, 4) and number < len(self.have):
                self._take(number, block)
            return
        try:
            run_now(self.action(18, image_object.NAME, method, data))
        except ActionRefused:
            pass


def run_now(coroutine):
    """A coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


class ScriptedFleet:
    """What Campaign needs of a Fleet: meters in a table. `others` hear broadcasts as well."""

    def __init__(self, meters, others=()):
        self.kind = "plc"
        self.model = OWN_MODEL
        self.clock = ManualClock(NOW)
        self.clock.sleep_ms = self._sleep_ms
        self.clock.wait_for_ms = self._wait_for_ms
        self.meters = {meter.serial: meter for meter in meters}
        self.others = list(others)
        self.sent = []  # (method, block number or None)
        self.talks = []
        self.failing = 0  # so many broadcasts fail
        self.works = True
        self.block_room = 200
        self.rng = Rng(5)
        self.after_broadcasts = {}  # number -> what happens then

    async def _sleep_ms(self, duration):
        self.clock.advance(duration)

    async def _wait_for_ms(self, awaitable, duration):
        return await awaitable

    def room(self):
        return self.block_room

    def up(self):
        return self.works

    def covered_by(self, meters):
        ours = [meter.serial for meter in meters]
        hearing = [m.serial for m in self.meters.values() if not m.silent] + self.others
        return not [m for m in hearing if (m if isinstance(m, str) else m.serial) not in ours]

    async def broadcast(self, method, data):
        if self.failing:
            self.failing -= 1
            raise OSError("the modem is gone")
        self.clock.advance(100)
        number = axdr.decode(data)[1][0][1] if method == 2 else None
        self.sent.append((method, number))
        for meter in list(self.meters.values()) + self.others:
            if not meter.deaf and not self.rng.chance(meter.loss):
                meter.hear(method, data)
        happens = self.after_broadcasts.pop(len(self.sent), None)
        if happens:
            happens()

    async def talk(self, asked, work, between):
        meter = self.meters[asked.serial]
        self.clock.advance(50)
        self.talks.append(asked.serial)
        meter.talks += 1
        if not self.works:
            raise Unreached(False, "modem gone")
        if meter.gone:
            meter.gone -= 1
            raise Unreached(True, "no answer")
        heard = _Counting(meter, between)
        try:
            return await work(heard)
        except NoAnswer as error:
            raise Unreached(True, str(error), heard.answers > 0)

    def count(self, method):
        return len([1 for each, _ in self.sent if each == method])


class _Counting:
    """A client of one conversation: between() before each frame."""

    def __init__(self, meter, between):
        self._meter = meter
        self._between = between
        self.capacity = meter.capacity
        self.answers = 0

    async def _asked(self, work):
        self._between()
        if self.answers == self._meter.breaks_after:
            raise NoAnswer("broke off")
        found = await work()
        self.answers += 1
        return found

    def get(self, *key):
        return self._asked(lambda: self._meter.get(*key))

    def get_list(self, items):
        return self._asked(lambda: self._meter.get_list(items))

    def set(self, *item):
        return self._asked(lambda: self._meter.set(*item))

    def action(self, *item):
        return self._asked(lambda: self._meter.action(*item))

    def action_list(self, items):
        return self._asked(lambda: self._meter.action_list(items))


class JobControl:
    """The job, and who else wants its meters."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.results = {}
        self.stopped = False
        self.paused = 0  # looks
        self.interrupt = 0  # conversations broken off between two frames
        self.held = []

    async def may_go_on(self):
        while self.paused:
            self.paused -= 1
            await self.fleet.clock.sleep_ms(1000)
        return not self.stopped

    def goes_on(self, member):
        if self.interrupt:
            self.interrupt -= 1
            return False
        return not self.stopped

    async def turn(self, member):
        meter = self.fleet.meters[member.meter.serial]
        if meter.busy:
            meter.busy -= 1
            return False
        assert member.meter.serial not in self.held
        self.held.append(member.meter.serial)
        return True

    def over(self, member):
        self.held.remove(member.meter.serial)

    async def finish(self, member, result):
        assert member.meter.serial not in self.results
        self.results[member.meter.serial] = result


def meters(count, **identity):
    return [FleetMeter("M%d" % number, **identity) for number in range(count)]


def transfer(fleet, activation=0, again=False, control=None, content=None, at_once=2):
    """The results by serial: (outcome, reason)."""
    control = control or JobControl(fleet)
    order = Order(content or Content(CONTENT), activation, again, fleet.clock)
    campaign = Campaign(fleet, order, control, at_once)
    members = [Member(meter, again, None) for meter in fleet.meters.values()]
    run(campaign.run(members))
    assert control.held == [] and len(control.results) == len(fleet.meters)
    return {serial: (each.outcome, each.reason) for serial, each in control.results.items()}


def all_applied(fleet, results):
    assert set(results.values()) == {APPLIED}, results
    for meter in fleet.meters.values():
        assert bytes(meter.image) == CONTENT and meter.status == 6
        assert meter.values[FIRMWARE] == octets(NEW) and meter.activated == 1


# ---------------------------------------------------------------- the way it should be


def test_all_by_broadcast_on_a_quiet_line():
    fleet = ScriptedFleet(meters(20))
    all_applied(fleet, transfer(fleet))
    assert [number for method, number in fleet.sent if method == 2] == list(range(BLOCKS))
    assert fleet.count(3) == fleet.count(4) == 1
    for meter in fleet.meters.values():
        assert meter.sent == [] and meter.begun == fleet.count(1)  # nothing is known of the line
    # asked what it is, and what it runs then; sentinels twice more, and a few after few blocks
    assert len(fleet.talks) == 20 * 2 + blocks.SENTINELS * 2 + blocks.PROBERS


def test_lost_blocks_are_repaired():
    for loss in (0.02, 0.1, 0.2, 0.4):
        fleet = ScriptedFleet(meters(20))
        for meter in fleet.meters.values():
            meter.loss = loss
        all_applied(fleet, transfer(fleet))
        assert fleet.count(2) > BLOCKS or loss < 0.1
        # Nobody had more than a few of its blocks by itself.
        assert max([len(meter.sent) for meter in fleet.meters.values()]) <= BLOCKS // 4


def test_a_bad_meter_among_good_ones_is_served_by_itself():
    fleet = ScriptedFleet(meters(20))
    fleet.meters["M7"].loss = 0.9
    all_applied(fleet, transfer(fleet))
    assert fleet.count(2) < 5 * BLOCKS
    assert [m.serial for m in fleet.meters.values() if m.sent] == ["M7"]


def test_what_many_lack_is_broadcast_again():
    fleet = ScriptedFleet(meters(20))

    def forget():
        for meter in fleet.meters.values():
            meter.have = meter.have[:5] + "000" + meter.have[8:]

    # after the sentinels have been asked: with the command to verify
    fleet.after_broadcasts[1 + BLOCKS] = None
    held = ScriptedFleet.broadcast

    async def broadcast(method, data):
        if method == 3 and fleet.count(3) == 0:
            forget()
        await held(fleet, method, data)

    fleet.broadcast = broadcast
    all_applied(fleet, transfer(fleet))
    again = [number for method, number in fleet.sent if method == 2][BLOCKS:]
    assert again == [5, 6, 7]
    assert not [1 for meter in fleet.meters.values() if meter.sent]


def test_meters_that_take_no_broadcast_are_brought_it_one_by_one():
    fleet = ScriptedFleet(meters(20))
    for serial in ("M3", "M4", "M11"):
        fleet.meters[serial].deaf = True
    all_applied(fleet, transfer(fleet))
    assert fleet.count(2) <= 2 * BLOCKS
    for meter in fleet.meters.values():
        assert meter.sent == (list(range(BLOCKS)) if meter.deaf else [])


class Told:
    """In place of the log: the warnings."""

    def __init__(self):
        self.warnings = []

    def warning(self, where, text):
        self.warnings.append(text)

    def info(self, where, text):
        pass


def large(count):
    """A fleet of six, and an image of so many blocks."""
    content = random_bytes(4, count * BLOCK)
    fleet = ScriptedFleet(meters(6))
    for meter in fleet.meters.values():
        meter.content = content
    return fleet, Content(content)


def test_many_blocks_are_not_sent_to_who_does_not_hear_them():
    """After a few, and a few meters asked, each gets the image by itself; the path is named."""
    fleet, content = large(100)
    for meter in fleet.meters.values():
        meter.deaf = True
    kept, blocks.log = blocks.log, Told()
    try:
        results = transfer(fleet, content=content)
        (line,) = blocks.log.warnings
    finally:
        blocks.log = kept
    assert set(results.values()) == {APPLIED}
    assert fleet.count(2) == blocks.PROBE
    assert line.startswith("plc: none of 4 meters has got a broadcast: one by one")
    fleet, content = large(100)
    assert set(transfer(fleet, content=content).values()) == {APPLIED}
    assert fleet.count(2) == 100, "where they hear, all are sent, each once"
    assert [len(meter.sent) for meter in fleet.meters.values()] == [0] * 6


def test_a_fleet_that_erases_its_flash_first_is_waited_for():
    """Many blocks are not sent in vain; few are, once. No meter is brought it by itself."""
    for count, most in ((100, 100 + blocks.PROBE), (BLOCKS, BLOCKS + blocks.PROBE), (12, 24)):
        fleet, content = large(count)
        erased = fleet.clock.ticks_ms() + 60_000
        for meter in fleet.meters.values():

            def take(number, block, taken=meter._take, erased=erased, fleet=fleet):
                return taken(number, block) if fleet.clock.ticks_ms() >= erased else TEMPORARY

            meter._take = take
        assert set(transfer(fleet, content=content).values()) == {APPLIED}
        assert count < fleet.count(2) <= most
        for meter in fleet.meters.values():
            assert len(meter.sent) <= 12, "only asked with a block whether it is ready"


def test_a_wrong_broadcast_key_is_noticed_after_few_blocks():
    fleet = ScriptedFleet(meters(5))
    for meter in fleet.meters.values():
        meter.deaf = True
    all_applied(fleet, transfer(fleet))
    assert fleet.count(2) == blocks.PROBE and fleet.count(4) == 0


def test_a_block_too_long_for_a_broadcast():
    fleet = ScriptedFleet(meters(4))
    fleet.block_room = BLOCK - 1
    all_applied(fleet, transfer(fleet))
    assert fleet.sent == []


# ---------------------------------------------------------------- who is left alone


def test_meters_not_to_have_it_are_untouched():
    cases = {
        "firmware": (FleetMeter("A", firmware=NEW), ("OK", "already-as-wanted")),
        "model": (FleetMeter("B", model="AMI-X"), ("KO", "wrong-model")),
        "old": (FleetMeter("C", firmware="V01.08.00"), ("KO", "wrong-firmware")),
    }
    fleet = ScriptedFleet(meters(5) + [meter for meter, _ in cases.values()])
    results = transfer(fleet)
    for meter, wanted in cases.values():
        assert results[meter.serial] == wanted
        assert meter.status == 0 and meter.begun == meter.activated == 0 and meter.have is None
    for serial in ("M0", "M1", "M2", "M3", "M4"):
        assert results[serial] == APPLIED
    # nobody was told by broadcast to begin or to activate
    assert fleet.count(1) == fleet.count(4) == 0 and fleet.count(2) == BLOCKS


def test_strangers_that_hear_it_are_untouched():
    stranger = FleetMeter("X")
    stranger.status, stranger.identifier, stranger.image = 3, b"OTHER", bytearray(5)
    stranger.have = "1"
    fleet = ScriptedFleet(meters(5), [stranger])
    all_applied(fleet, transfer(fleet))
    assert (stranger.status, stranger.begun, stranger.activated) == (3, 0, 0)


def test_a_stranger_that_comes_in_the_midst_activates_nothing():
    stranger = FleetMeter("X")
    stranger.status, stranger.identifier, stranger.image, stranger.have = 3, b"OTHER", b"12345", "1"
    fleet = ScriptedFleet(meters(5))
    fleet.after_broadcasts[10] = lambda: fleet.others.append(stranger)
    all_applied(fleet, transfer(fleet))
    assert (stranger.status, stranger.activated) == (3, 0)
    assert fleet.count(1) and fleet.count(4) == 0


def test_another_verified_image_in_a_meter_is_dropped_before_anybody_activates():
    for deaf in (False, True):
        fleet = ScriptedFleet(meters(6))
        meter = fleet.meters["M2"]
        meter.status, meter.identifier, meter.image, meter.have = 3, b"OTHER", bytearray(5), "1"
        meter.deaf = deaf
        all_applied(fleet, transfer(fleet))
        assert meter.identifier == Content.identifier


# ---------------------------------------------------------------- resumed


def test_resumed_by_what_the_meters_have():
    fleet = ScriptedFleet(meters(20))
    for meter in fleet.meters.values():
        run_now(meter.action(18, image_object.NAME, 1, image_object.initiate(b"V03", len(CONTENT))))
        meter.begun = 0
        for number in range(30):
            meter._take(number, CONTENT[number * BLOCK :][:BLOCK])
    all_applied(fleet, transfer(fleet, again=True))
    assert [number for method, number in fleet.sent if method == 2] == list(range(30, BLOCKS))
    assert not [1 for meter in fleet.meters.values() if meter.begun]


def test_resumed_when_all_was_verified_or_activating():
    fleet = ScriptedFleet(meters(4))
    for number, meter in enumerate(fleet.meters.values()):
        meter.image, meter.identifier, meter.have = bytearray(CONTENT), b"V03", "1" * BLOCKS
        meter.status = (3, 5, 2, 1)[number]
        meter.activate_polls = 2
        meter.activated = 1 if number == 1 else 0
        meter.verify_polls = 1
    results = transfer(fleet, again=True)
    assert set(results.values()) == {APPLIED}
    assert fleet.count(2) == 0 and not [1 for meter in fleet.meters.values() if meter.begun]


def test_resumed_with_blocks_of_something_else():
    for deaf in (False, True):
        fleet = ScriptedFleet(meters(5))
        meter = fleet.meters["M1"]
        meter.status, meter.identifier, meter.deaf = 1, b"OTHER", deaf
        meter.image, meter.have = bytearray(len(CONTENT)), "1" * 30 + "0" * 10
        all_applied(fleet, transfer(fleet, again=True))
        assert meter.begun == 1


def test_activation_at_a_set_time_while_our_clock_is_not_set():
    fleet = ScriptedFleet(meters(5))
    fleet.clock.unix_time = lambda: 0
    assert set(transfer(fleet, activation=NOW + 3600).values()) == {(HINDERED, "clock-unset")}


def test_activation_at_a_set_time():
    fleet = ScriptedFleet(meters(5))
    results = transfer(fleet, activation=NOW + 3600)
    assert set(results.values()) == {(WAIT, "activation-waits")}
    assert fleet.count(4) == 0
    assert {meter.status for meter in fleet.meters.values()} == {3}
    fleet.clock.set_unix_time(NOW + 3600)
    fleet.sent = []
    all_applied(fleet, transfer(fleet, activation=NOW + 3600, again=True))
    assert fleet.count(2) == 0 and fleet.count(4) >= 1


# ---------------------------------------------------------------- meters with faults


def one_of(change, **more):
    """The result of the meter that change() has spoilt, among good ones, which have theirs."""
    fleet = ScriptedFleet(meters(6))
    bad = fleet.meters["M2"]
    change(bad)
    results = transfer(fleet, **more)
    found = results.pop("M2")
    assert set(results.values()) == {APPLIED}, results
    return found, bad, fleet


def test_each_fault_is_named_and_confined():
    def set_refusal(method, result):
        return lambda meter: meter.refuses.update({method: result})

    def drops(meter):
        meter.drops = [4]

    def lies(meter):
        meter.drops, meter.bits = [4], "1" * BLOCKS

    def short(meter):
        meter.bits, meter.deaf = "1111", True

    def bad(meter):
        meter.verdict = 4

    def keeps(meter):
        meter.then_runs = "V02.10.01"

    def gone(meter):
        meter.gone = 1000

    def no_size(meter):
        meter.block_size = 0

    def other_identity(meter):
        meter.told = b"OTHER"

    for change, reasons, status in (
        (set_refusal(2, OTHER), ("image-refused",), 1),
        (set_refusal(2, TEMPORARY), ("meter-busy",), 1),
        (set_refusal(3, OTHER), ("image-verify-failed",), 1),
        (set_refusal(4, OTHER), ("activation-failed",), 3),
        (drops, ("image-incomplete",), 1),
        (lies, ("image-verify-failed",), 1),
        (short, ("image-incomplete",), 1),
        (bad, ("image-verify-failed",), 4),
        (keeps, ("activation-failed",), 7),
        (gone, ("no-answer",), 0),
        (no_size, ("block-too-large",), None),
        (other_identity, ("image-not-ours",), 3),
    ):
        (outcome, reason), meter, _ = one_of(change)
        assert outcome == "KO" and reason in reasons, (reasons, outcome, reason)
        assert status is None or meter.status == status, (reasons, meter.status)
        assert meter.values[FIRMWARE] != octets(NEW)


def test_a_meter_that_refuses_the_rest():
    """It has nearly all by broadcast, and refuses what is to follow by itself."""

    def spoil(meter):
        taken = meter._take
        meter.drops = [7, 8]

        def take(number, block):
            if number in meter.drops and meter.have.count("1") == BLOCKS - 2:
                return OTHER
            return taken(number, block)

        meter._take = take

    found, _, _ = one_of(spoil)
    assert found == ("KO", "image-refused")


def test_too_large_for_the_meter():
    fleet = ScriptedFleet(meters(4), [FleetMeter("X")])  # not alone: each is told by itself
    fleet.meters["M1"].refuses[1] = OTHER
    fleet.meters["M2"].refuses[1] = TEMPORARY
    results = transfer(fleet)
    assert results["M1"] == ("KO", "image-refused") and results["M2"] == ("KO", "meter-busy")
    assert results["M0"] == results["M3"] == APPLIED
    assert fleet.meters["M2"].talks < 200  # asked again now and then, not without end


def test_verification_that_never_ends():
    def slow(meter):
        meter.verify_polls = 10**9

    found, meter, _ = one_of(slow)
    assert found == (WAIT, "image-verifying") and meter.activated == 0
    assert meter.talks <= 5 + 2 * conversations.PATIENCE_MS // conversations.AGAIN_MS


def test_slow_verification_and_activation():
    def slow(meter):
        meter.verify_polls, meter.activate_polls = 6, 6

    found, _, _ = one_of(slow)
    assert found == APPLIED


def test_activation_that_never_ends():
    def slow(meter):
        meter.activate_polls = 10**9

    found, meter, _ = one_of(slow)
    assert found == (WAIT, "image-activating")
    assert meter.talks <= 10 + conversations.PATIENCE_MS // conversations.AGAIN_MS


def test_a_meter_that_starts_anew_for_its_image_and_is_silent_meanwhile():
    fleet = ScriptedFleet(meters(5))
    meter = fleet.meters["M3"]
    begin = meter.action

    async def action(class_id, name, method, data):
        await begin(class_id, name, method, data)
        if method == 4:
            meter.gone = 2

    meter.action = action
    all_applied(fleet, transfer(fleet))
    meter.gone = 0
    fleet = ScriptedFleet(meters(5))
    other = fleet.meters["M3"]
    start = other.action

    async def never_back(class_id, name, method, data):
        await start(class_id, name, method, data)
        if method == 4:
            other.gone = 1000

    other.action = never_back
    assert transfer(fleet)["M3"] == (WAIT, "image-activating")


def test_a_meter_that_restarts_in_the_midst_and_forgets_all():
    fleet = ScriptedFleet(meters(6))
    meter = fleet.meters["M4"]

    def restart():
        meter.status, meter.have, meter.image = 0, None, b""

    fleet.after_broadcasts[20] = restart
    all_applied(fleet, transfer(fleet))
    assert meter.sent == list(range(BLOCKS))


def test_a_meter_that_answers_seldom_is_not_given_up():
    def seldom(meter):
        meter.gone = conversations.SILENT - 1
        meter.deaf = True
        meter.capacity = 50
        meter.lose = [number % 3 > 0 for number in range(300)]

    found, _, _ = one_of(seldom)
    assert found == APPLIED


def test_conversations_that_break_off_come_to_an_end():
    def breaks(meter):
        meter.deaf, meter.breaks_after = True, 1

    found, meter, _ = one_of(breaks)
    assert found == ("KO", "link-lost") and meter.talks <= 2 * conversations.MOST_TRIES


def test_what_the_inventory_lacks_is_no_fault_of_the_meter():
    for error, reason in (
        (InventoryError("M2: no keys in keys.jsonl"), "no-keys"),
        (ModelError("model-unfit", "M2: no such model"), "model-unfit"),
    ):
        fleet = ScriptedFleet(meters(5))
        held = fleet.talk

        async def talk(asked, work, between, held=held, error=error):
            if asked.serial == "M2":
                raise error
            return await held(asked, work, between)

        fleet.talk = talk
        results = transfer(fleet)
        assert results.pop("M2") == ("KO", reason)
        assert set(results.values()) == {APPLIED}


def test_an_error_of_the_meters_security_is_its_own():
    def refuse(meter):
        async def get_list(items):
            raise ServiceRefused("service-not-allowed", "deciphering-error", None, "no")

        meter.get_list = get_list

    found, _, _ = one_of(refuse)
    assert found == ("KO", "security-failed")


def test_a_fault_of_ours_costs_one_meter():
    def fault(meter):
        async def get_list(items):
            raise KeyError("a fault of ours")

        meter.get_list = get_list

    found, _, _ = one_of(fault)
    assert found == ("KO", "gateway-error")


# ---------------------------------------------------------------- the job, the modem, others


def test_stopped_at_any_broadcast():
    for number in (1, 2, 20, BLOCKS, BLOCKS + 1, BLOCKS + 2):
        fleet = ScriptedFleet(meters(5))
        control = JobControl(fleet)
        fleet.after_broadcasts[number] = lambda control=control: setattr(control, "stopped", True)
        results = transfer(fleet, control=control)
        assert set(results.values()) == {(WAIT, "interrupted")}
        assert len(fleet.sent) == number
        # another night
        results = transfer(fleet, again=True)
        assert set(results.values()) == {APPLIED}
        assert fleet.count(2) <= BLOCKS + 1


def test_stopped_in_conversations():
    fleet = ScriptedFleet(meters(5))
    control = JobControl(fleet)
    fleet.meters["M2"].deaf = True
    fleet.meters["M2"].capacity = 50
    taken = fleet.meters["M2"]._take

    def take(number, block):
        control.stopped = number == 9
        return taken(number, block)

    fleet.meters["M2"]._take = take
    results = transfer(fleet, control=control)
    assert results.pop("M2") == (WAIT, "interrupted")
    assert fleet.meters["M2"].sent == list(range(10))  # between two frames
    assert set(results.values()) == {APPLIED}
    fleet.meters["M2"]._take = taken
    fleet.meters["M2"].sent = []
    assert set(transfer(fleet, again=True).values()) == {APPLIED}
    assert fleet.meters["M2"].sent == list(range(10, BLOCKS))


def test_paused_and_resumed():
    fleet = ScriptedFleet(meters(5))
    control = JobControl(fleet)

    def pause():
        control.paused = 3600

    fleet.after_broadcasts[20] = pause
    for meter in fleet.meters.values():
        meter.loss = 0.2
    before = fleet.clock.ticks_ms()
    all_applied(fleet, transfer(fleet, control=control))
    assert fleet.clock.ticks_ms() - before > 3_600_000
    # The pause is not taken for the price of a broadcast.
    assert max([len(meter.sent) for meter in fleet.meters.values()]) < BLOCKS // 2


def test_an_urgent_job_has_the_meter_first():
    fleet = ScriptedFleet(meters(5))
    fleet.meters["M1"].busy = 30
    control = JobControl(fleet)
    control.interrupt = 3
    all_applied(fleet, transfer(fleet, control=control))


def test_a_modem_that_is_gone_for_a_while():
    fleet = ScriptedFleet(meters(5))
    fleet.after_broadcasts[20] = lambda: setattr(fleet, "failing", 12)
    all_applied(fleet, transfer(fleet))
    fleet = ScriptedFleet(meters(5))
    fleet.after_broadcasts[20] = lambda: setattr(fleet, "failing", 10**6)
    assert set(transfer(fleet).values()) == {("HINDERED", "modem-gone")}
    assert fleet.clock.ticks_ms() < 2 * conversations.GONE_MS


def test_a_modem_that_is_gone_when_meters_are_asked():
    fleet = ScriptedFleet(meters(5))

    def goes():
        fleet.works = False
        slept = fleet.clock.sleep_ms
        back = fleet.clock.ticks_ms() + 120_000

        async def sleep_ms(duration):
            await slept(duration)
            fleet.works = fleet.works or fleet.clock.ticks_ms() > back

        fleet.clock.sleep_ms = sleep_ms

    fleet.after_broadcasts[1 + BLOCKS] = goes
    all_applied(fleet, transfer(fleet))
    fleet = ScriptedFleet(meters(5))
    fleet.works = False
    assert set(transfer(fleet).values()) == {("HINDERED", "modem-gone")}


def test_image_of_a_firmware_it_does_not_make():
    class Wrong(Content):
        firmware = "V09"

    fleet = ScriptedFleet(meters(5))
    results = transfer(fleet, content=Wrong(CONTENT))
    assert set(results.values()) == {("KO", "activation-failed")}
    # and it is not brought a second time
    assert fleet.count(2) == BLOCKS
    assert not [1 for meter in fleet.meters.values() if meter.sent]


def test_a_bad_image_is_refused_by_all_and_not_brought_again():
    class Bad(Content):
        pass

    fleet = ScriptedFleet(meters(5))
    results = transfer(fleet, content=Bad(bytes(len(CONTENT))))
    assert set(results.values()) == {("KO", "image-verify-failed")}
    assert fleet.count(2) == BLOCKS and fleet.count(4) == 0
    assert not [1 for meter in fleet.meters.values() if meter.sent or meter.activated]
    assert image_transfer.FRUITLESS > image_transfer.UNSTUCK
