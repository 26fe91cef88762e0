"""A campaign's bond to its job: what it is given, whom it may speak to, and each result once; with
a campaign and a queue that the test plays."""

from __future__ import annotations

from gateway.contract.image_file import CLEAR
from gateway.contract.model import Model
from gateway.contract.own_model import OWN_MODEL
from gateway.contract.result import Result
from gateway.meters.inventory import Meter
from gateway.meters.model_error import ModelError
from gateway.work import many_meters
from gateway.work.many_meters import BETWEEN_MS, PAUSED_MS, ManyMeters
from gateway.work.results import Results
from hal.ports import StorageFailed
from hal.sim.clock import ManualClock
from tests.portable.support import run
from tests.portable.work.test_worker import Execution, Reach
from tests.portable.work.test_worker import Queue as FinishingQueue


class Job:
    activation = 1800

    class package:
        digest = b"digest"


class Queue(FinishingQueue):
    def __init__(self, clock):
        FinishingQueue.__init__(self, clock)
        self.parked = []
        self.told = []
        self.signals = []  # of signal(), then "go"
        self.busy = []
        self.overtaking = False

    def park(self, execution):
        self.parked.append(execution.serial)

    def unpark(self, execution):
        if execution.serial in self.busy:
            return False
        self.parked.remove(execution.serial)
        return True

    def transfers(self, first, outlook):
        self.told.append((first.serial, outlook))

    def signal(self, execution):
        return self.signals.pop(0) if self.signals else "go"

    def overtaken(self, execution):
        return self.overtaking


class Network:
    def slots(self, kind):
        return {"plc": 4}[kind]


class Inventory:
    def meter(self, serial):
        return None if serial == "unknown" else Meter(serial, [("plc", "0080e1000001")])


class Files:
    def image(self, digest):
        return "image of " + digest.decode()


class Fleet:
    kind = "plc"
    model = OWN_MODEL


class Scene:
    """transfer() of A, B and one that is in no inventory; play(campaign) is the campaign."""

    def __init__(self, play):
        self.clock = ManualClock()
        self.queue = Queue(self.clock)
        self.beats = []
        self.failure = None
        reach = Reach(self.clock, Network())
        reach.inventory = Inventory()
        scene = self

        class Campaign:
            def __init__(self, fleet, order, control, at_once):
                self.fleet, self.order, self.bond, self.at_once = fleet, order, control, at_once
                self.clock, self.queue = scene.clock, scene.queue

            def outlook(self):
                return "outlook"

            async def run(self, members):
                self.members = members
                try:
                    await play(self)
                except AssertionError as error:  # transfer() lives on with any fault
                    scene.failure = error

        self.first = Execution("A")
        self.first.others = [Execution("unknown"), Execution("B")]
        for execution in [self.first] + self.first.others:
            execution.job, execution.again = Job, execution is not self.first
        results = Results(self.queue, self.clock)
        held = many_meters.Campaign
        many_meters.Campaign = Campaign
        try:
            many = ManyMeters(reach, self.queue, Files(), results)
            run(many.transfer(self.first, Fleet(), lambda: self.beats.append(0)))
        finally:
            many_meters.Campaign = held
        if self.failure is not None:
            raise self.failure
        self.results = [
            (execution.serial, result.outcome, result.reason, path)
            for execution, result, path, _ in self.queue.finished
        ]


UNKNOWN = ("unknown", "KO", "unknown-meter", "")


def test_what_a_campaign_is_given():
    seen = []

    async def play(campaign):
        order = campaign.order
        seen.append((order.image, order.activation, order.again, order.clock is campaign.clock))
        assert isinstance(campaign.fleet, Fleet) and campaign.at_once == 3
        assert [member.meter.serial for member in campaign.members] == ["A", "B"]
        assert [member.again for member in campaign.members] == [False, True]
        assert campaign.queue.parked == ["A", "B"]
        assert [told is not None for _, told in campaign.queue.told] == [True]

    scene = Scene(play)
    assert seen == [("image of digest", 1800, False, True)]
    assert scene.results == [UNKNOWN]
    assert scene.queue.told[-1] == ("A", None), "there is no transfer any more"


def test_a_fault_of_ours_ends_those_without_a_result_and_no_other():
    async def play(campaign):
        await campaign.bond.finish(campaign.members[0], Result("OK", "applied"))
        raise KeyError("a fault of ours")

    scene = Scene(play)
    assert scene.results == [
        UNKNOWN,
        ("A", "OK", "applied", "plc"),
        ("B", "KO", "gateway-error", "plc"),
    ]
    assert scene.queue.told[-1] == ("A", None)


def test_a_flash_that_does_not_give_the_image_costs_nobody_a_try():
    for error in (OSError(5, "as the test ordered"), StorageFailed("the image cannot be read")):

        async def play(campaign, error=error):
            raise error

        assert [row[1:3] for row in Scene(play).results[1:]] == [("HINDERED", "flash-full")] * 2


def test_a_meter_that_never_answered_has_no_path():
    async def play(campaign):
        await campaign.bond.finish(campaign.members[0], Result("KO", "no-answer"))
        await campaign.bond.finish(campaign.members[1], Result("KO", "link-lost"))
        assert [campaign.bond.finished(member) for member in campaign.members] == [True, True]

    assert Scene(play).results[1:] == [
        ("A", "KO", "no-answer", ""),
        ("B", "KO", "link-lost", "plc"),
    ]


def test_whether_it_may_go_on():
    async def play(campaign):
        bond, queue, clock = campaign.bond, campaign.queue, campaign.clock
        assert await bond.may_go_on()
        queue.signals = ["stop"]
        assert not await bond.may_go_on()
        slept = []

        async def sleep_ms(duration):
            slept.append(duration)

        clock.sleep_ms = sleep_ms
        queue.signals = ["pause", "pause", "go"]
        assert await bond.may_go_on()
        assert slept == [PAUSED_MS] * 2 == [1000] * 2
        queue.signals = ["pause", "stop"]
        assert not await bond.may_go_on()

    assert len(Scene(play).beats) >= 7


def test_turns_and_what_breaks_a_conversation_off():
    async def play(campaign):
        bond, queue, clock = campaign.bond, campaign.queue, campaign.clock
        first, second = campaign.members
        queue.busy = ["B"]
        assert not await bond.turn(second)
        assert await bond.turn(first) and queue.parked == ["B"]
        queue.signals = ["stop"]
        assert bond.goes_on(first), "looked at every two seconds only"
        clock.advance(BETWEEN_MS - 1)
        assert bond.goes_on(first)
        clock.advance(1)
        assert not bond.goes_on(first) and queue.signals == []
        clock.advance(BETWEEN_MS)
        assert bond.goes_on(first)
        clock.advance(BETWEEN_MS)
        queue.overtaking = True
        assert not bond.goes_on(first), "a more urgent job wants the meter"
        bond.over(first)
        assert sorted(queue.parked) == ["A", "B"]

    Scene(play)


class Known:
    """A reach that knows one meter, and its model."""

    def __init__(self, model):
        self._model = model
        self.clock = ManualClock()
        self.crypto = None
        self.inventory = self.network = self

    def meter(self, serial):
        return Meter(serial, [("plc", "a")], title=b"AMI00001")

    def usable(self, meter):
        return meter.paths

    def broadcast_mtu(self, kind):
        return 400

    def model(self, meter):
        if isinstance(self._model, ModelError):
            raise self._model
        return self._model


def test_which_meters_are_a_fleet():
    class Images:
        def image(self, digest):
            return self

        delivery = CLEAR

    for model, wanted in (
        (OWN_MODEL, True),
        (Model("x", 1, ""), True),
        (Model("x", 1, "", broadcast=False), False),
        (ModelError("unknown-model", "no model x is here"), False),
    ):
        many = ManyMeters(Known(model), None, Images(), None)
        many._image = Images().image
        fleet = many.fleet(Execution("A"), lambda: None)
        assert (fleet is not None) == wanted
        assert fleet is None or fleet.model is model
